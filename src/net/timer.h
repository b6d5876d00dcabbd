// Timers by the thousand: setting, moving and stopping one costs a few pointer writes. A wheel of
// milliseconds; a timer never fires early, and fires within about a millisecond of its time.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>

#include "base/clock.h"

namespace fairlead::net {

class Wheel;

// What a wheel holds. Stops itself when it dies.
class WheelEntry {
 public:
  WheelEntry() = default;
  WheelEntry(const WheelEntry&) = delete;
  WheelEntry& operator=(const WheelEntry&) = delete;
  [[nodiscard]] bool pending() const { return wheel_ != nullptr; }

 protected:
  ~WheelEntry() { stop(); }
  void stop();
  virtual void expired() = 0;
  // Stopped already; may destroy the entry.

 private:
  friend class Wheel;
  Wheel* wheel_ = nullptr;
  WheelEntry** at_ = nullptr;  // the pointer that points here
  WheelEntry* next_ = nullptr;
  std::uint64_t due_ = 0;  // when it is to fire
  std::uint8_t level_ = 0;
  std::uint8_t slot_ = 0;
};

// Ticks are whatever the owner counts.
class Wheel {
 public:
  Wheel() = default;
  Wheel(const Wheel&) = delete;
  Wheel& operator=(const Wheel&) = delete;
  ~Wheel();  // stops what is pending

  void set(WheelEntry& entry, std::uint64_t due);
  // Also moves one that is pending. A tick that has passed counts as the next one.
  void advance(std::uint64_t to);
  // Fires all that is due up to and with `to`.
  [[nodiscard]] std::optional<std::uint64_t> next() const;
  // No entry fires before that tick; absent when none is pending.

 private:
  friend class WheelEntry;
  static constexpr int kBits = 6;
  static constexpr int kLevels = 8;  // 2^48 ticks ahead
  static constexpr std::uint64_t kSlots = 1U << kBits;

  void put(WheelEntry& entry);

  std::array<std::array<WheelEntry*, kSlots>, kLevels> slots_{};
  std::array<std::uint64_t, kLevels> used_{};  // a bit a slot
  std::uint64_t now_ = 0;
};

class Loop;

// Calls a function once the time has come: net/loop.h.
class Timer final : private WheelEntry {
 public:
  Timer(Loop& loop, std::function<void()> action) : loop_(loop), action_(std::move(action)) {}

  void arm(Duration after);
  // Also moves one that is armed: an idle timeout is armed again with each byte.
  void stop() { WheelEntry::stop(); }
  [[nodiscard]] bool armed() const { return pending(); }

 private:
  void expired() override { action_(); }
  Loop& loop_;
  std::function<void()> action_;
};

}  // namespace fairlead::net
