// Network namespaces as objects: each pod, node and VM of a lab is one. Nothing here touches the
// namespace that the process began in, once the lab's own has been entered.
#pragma once

#include <string>
#include <utility>

#include "base/descriptor.h"
#include "base/result.h"

namespace fairlead::lab {

// It lives as long as this object or a process inside.
class NetworkNamespace {
 public:
  [[nodiscard]] static Result<NetworkNamespace> make();
  // A new one: lo up, IPv4 and IPv6 forwarding as `make_router` says (off here), no duplicate
  // address detection, so that IPv6 works at once.

  [[nodiscard]] static Result<NetworkNamespace> current();
  // The calling thread's own.

  [[nodiscard]] int descriptor() const { return here_.number(); }

  // Calls `act` with this thread inside, and goes back.
  template <class Act>
  auto in(Act act) const {
    const Visit visit(here_.number());
    return act();
  }

 private:
  explicit NetworkNamespace(Descriptor here) : here_(std::move(here)) {}

  // This thread inside a namespace until the end of the scope. Going back cannot fail but by our
  // own mistake, and staying would mix two pods: it ends the program.
  class Visit {
   public:
    explicit Visit(int target);
    ~Visit();
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;

   private:
    Descriptor before_;
  };

  Descriptor here_;
};

[[nodiscard]] Result<> set_system_value(const std::string& name, const std::string& value);
// "net/ipv4/ip_forward", "1": in the namespace of the calling thread.

[[nodiscard]] Result<> prepare_here(bool forwards);
// Of the calling thread's namespace: lo up, no duplicate address detection, forwarding or not.

}  // namespace fairlead::lab
