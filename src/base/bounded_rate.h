// Lets through one in so much time, and counts what it held back: for lines of a log that a peer
// can bring about as often as it likes. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "base/clock.h"

namespace fairlead {

class BoundedRate {
 public:
  explicit BoundedRate(Duration between) : between_(between) {}

  [[nodiscard]] std::optional<std::uint64_t> pass(Instant now) {
    if (last_ && now - *last_ < between_) {
      ++held_back_;
      return {};
    }
    last_ = now;
    return std::exchange(held_back_, 0);
  }
  // How many were held back since the last that passed; absent: this one is held back too.

 private:
  Duration between_;
  std::optional<Instant> last_;
  std::uint64_t held_back_ = 0;
};

}  // namespace fairlead
