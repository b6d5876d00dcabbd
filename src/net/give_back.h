// Gives back what a burst has left: from time to time, on one loop's thread.
#pragma once

#include <functional>

#include "net/loop.h"
#include "net/timer.h"

namespace fairlead::net {

class GiveBack {
 public:
  static constexpr Duration between = std::chrono::seconds(15);

  explicit GiveBack(Loop& loop, std::function<void()> shrink = {});
  // Every 15 s: calls `shrink`, for what its owner keeps for the next time, gives back frames of
  // coroutines that this thread keeps, and, when the process is calm and has grown, what the
  // allocator keeps (base/memory.h). What is a process's own is done by one thread at a time.

 private:
  void now();
  std::function<void()> shrink_;
  Timer timer_;
};

}  // namespace fairlead::net
