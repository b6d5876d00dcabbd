// The way into the kernel's tables: libnftables, opened at run time, so that only a process which
// writes rules needs the library. With read.h the only part of this room that does anything.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "nft/diff.h"

namespace fairlead::nft {

[[nodiscard]] bool may_change_rules();
// Whether this thread may, and may read them, in the network namespace that it is in now.

class Kernel {
 public:
  static Result<Kernel> open();
  // Speaks for the network namespace that the calling thread is in now, also after the thread went
  // on to another. Fault: missing, when this system has no libnftables. Rights are first asked for
  // by what is done. Keep it open: a new one for each change costs a hundred times as much.

  Kernel(Kernel&&) noexcept;
  Kernel& operator=(Kernel&&) noexcept;
  ~Kernel();

  Result<> commit(const Transaction& transaction);
  // All of it or nothing. Fault: denied without CAP_NET_ADMIN here; else nft's own words.
  // The one exception: what is too long for the socket's buffer (a user namespace may not enlarge
  // it, about 2,000 elements) is committed in pieces, in order, which `difference` and
  // `replacement` order so that rules come after what they look up.

  Result<> rehearse(const Transaction& transaction);
  // Whether the kernel would take it. Changes nothing.

  enum class Form : std::uint8_t {
    text,
    heads,    // text without the elements of sets and maps, which then are not even asked for
    handles,  // text, after each part "# handle " and the number by which the kernel knows it
    json,
  };
  Result<std::string> ask(const std::string& command, Form form = Form::text);
  // "list table inet fairlead-capture" and the like; what nft prints.

 private:
  struct Library;
  struct Context;
  explicit Kernel(std::unique_ptr<Context> context);
  static Result<const Library*> library();
  Result<> commit_pieces(const Transaction& transaction);

  std::unique_ptr<Context> context_;
};

}  // namespace fairlead::nft
