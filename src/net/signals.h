// Signals as something to wait for.
#pragma once

#include <initializer_list>
#include <memory>
#include <vector>

#include "net/loop.h"
#include "net/readiness.h"

namespace fairlead::net {

class Signals final : private Source {
 public:
  static Result<std::unique_ptr<Signals>> watch(Loop& loop, std::initializer_list<int> signals);
  // Blocks them in this thread, and so in the threads that it starts afterwards: call it before
  // there are others. A child process inherits that too: it calls unblock() before exec.
  ~Signals();  // as they were before

  [[nodiscard]] Task<Result<int>> next();
  // The next signal. Several of one kind may come as one, SIGCHLD above all: reap in a loop.

  static void unblock();
  // No signal is blocked any more in this thread. Safe between fork and exec.

 private:
  Signals(Loop& loop, int descriptor) : Source(loop, descriptor) {}
  void ready(std::uint32_t events) override;
  Readiness readiness_;
  std::vector<int> blocked_;  // by us
};

}  // namespace fairlead::net
