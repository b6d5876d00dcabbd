// How long to wait before a program that ended is started again. Pure.
#pragma once

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/clock.h"

namespace fairlead {

// At once when it has run for a while, whatever ended it; what ends again and again within its
// first moments waits 50 ms, then twice as long each time, 5 s at most.
class RestartPause {
 public:
  [[nodiscard]] Duration after(Duration ran) {
    if (ran >= well) {
      next_ = first;
      return Duration::zero();
    }
    return std::exchange(next_, std::min<Duration>(longest, next_ * 2));
  }

 private:
  static constexpr Duration well = std::chrono::seconds(1);
  static constexpr Duration first = std::chrono::milliseconds(50);
  static constexpr Duration longest = std::chrono::seconds(5);
  Duration next_ = first;
};

}  // namespace fairlead
