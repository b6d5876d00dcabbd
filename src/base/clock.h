// Time and chance are arguments: whoever decides something is given them, so that a test can
// choose.
#pragma once

#include <chrono>
#include <cstdint>

namespace fairlead {

using Duration = std::chrono::nanoseconds;
using Instant = std::chrono::steady_clock::time_point;   // for intervals; never goes back
using WallTime = std::chrono::system_clock::time_point;  // for people; may jump

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Instant now() const = 0;
  [[nodiscard]] virtual WallTime wall() const = 0;
};

class Random {
 public:
  virtual ~Random() = default;
  virtual std::uint64_t next() = 0;
  // Uniform over all 64-bit values. Not for secrets.
  std::uint64_t below(std::uint64_t bound);
  // Uniform in [0, bound); bound > 0.
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] Instant now() const override { return std::chrono::steady_clock::now(); }
  [[nodiscard]] WallTime wall() const override { return std::chrono::system_clock::now(); }
};

[[nodiscard]] const Clock& system_clock();
// One for all threads.

// A test's clock: stands still until told.
class ManualClock final : public Clock {
 public:
  [[nodiscard]] Instant now() const override { return Instant{} + elapsed_; }
  [[nodiscard]] WallTime wall() const override {
    return WallTime{} + std::chrono::duration_cast<WallTime::duration>(elapsed_);
  }
  void advance(Duration by) { elapsed_ += by; }

 private:
  Duration elapsed_{std::chrono::hours(1)};
};

// xoshiro256**: small, fast, good enough for balancing. The same seed gives the same sequence.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed);
  std::uint64_t next() override;

 private:
  std::uint64_t state_[4];
};

[[nodiscard]] std::uint64_t seed_from_system();
// A fresh seed from the kernel (getrandom).

}  // namespace fairlead
