// Lets everything else on this thread that is ready have its turn first: for whoever may go on for
// long without having to wait.
//
//   if (++in_a_row % 64 == 0 && !(co_await net::Pause()).ok()) co_return;
#pragma once

#include "base/cancel.h"
#include "base/result.h"
#include "base/task.h"

namespace fairlead::net {

// co_await gives Result<>: a fault only when cancelled.
class Pause final : public Waiter {
 public:
  [[nodiscard]] bool await_ready() const { return false; }
  template <class P>
  bool await_suspend(std::coroutine_handle<P> coroutine) {
    if (!park(coroutine)) return false;
    wake();
    return true;
  }
  [[nodiscard]] Result<> await_resume() const {
    if (was_cancelled()) return cancelled_fault();
    return done();
  }
};

}  // namespace fairlead::net
