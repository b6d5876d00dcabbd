// Network namespaces: to make sockets in a pod's, or to run something in it.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <type_traits>

#include "net/socket.h"

namespace fairlead::net {

class NetNamespace {
 public:
  static Result<NetNamespace> current();  // this thread's
  static Result<NetNamespace> of_process(pid_t pid);
  static Result<NetNamespace> open(const std::string& path);  // "/run/netns/NAME", "/proc/1/ns/net"

  [[nodiscard]] Result<> call(const std::function<void()>& work) const;
  // Calls `work` on a thread of its own inside the namespace, and waits until it is done. A socket
  // keeps the namespace that it was made in, so a listener made there may be adopted by a loop
  // here. A fault: `work` was not called.
  template <class Work, class T = std::invoke_result_t<Work>>
  [[nodiscard]] T call_for(Work work) const;
  // The same for work that gives a Result.

  [[nodiscard]] int descriptor() const { return namespace_.number(); }
  // For setns(2): CLONE_NEWNET.

 private:
  explicit NetNamespace(Descriptor opened) : namespace_(std::move(opened)) {}
  Descriptor namespace_;
};

template <class Work, class T>
T NetNamespace::call_for(Work work) const {
  std::optional<T> result;
  if (Result<> called = call([&] { result.emplace(work()); }); !called.ok()) {
    return std::move(called).fault();
  }
  return std::move(*result);
}

}  // namespace fairlead::net
