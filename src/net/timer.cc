#include "net/timer.h"

#include <algorithm>
#include <bit>

#include "net/loop.h"

namespace fairlead::net {

// An entry due at tick D sits on the level of the highest digit (of kBits bits) in which D differs
// from now, in the slot of that digit. So a level's used slots all lie after the current one, the
// lowest used level holds the next to fire, and time moves entries down, never up.

void WheelEntry::stop() {
  if (wheel_ == nullptr) return;
  *at_ = next_;
  if (next_ != nullptr) next_->at_ = at_;
  if (wheel_->slots_[level_][slot_] == nullptr) {
    wheel_->used_[level_] &= ~(std::uint64_t{1} << slot_);
  }
  wheel_ = nullptr;
  at_ = nullptr;
  next_ = nullptr;
}

Wheel::~Wheel() {
  for (auto& level : slots_) {
    for (WheelEntry* slot : level) {
      while (slot != nullptr) {
        WheelEntry* next = slot->next_;
        slot->stop();
        slot = next;
      }
    }
  }
}

void Wheel::set(WheelEntry& entry, std::uint64_t due) {
  due = std::max(due, now_ + 1);
  if (entry.wheel_ == this && due >= entry.due_) {
    // Where it sits is early enough: advance() will see that it is not due yet and move it.
    entry.due_ = due;
    return;
  }
  entry.stop();
  entry.due_ = due;
  put(entry);
}

void Wheel::put(WheelEntry& entry) {
  const std::uint64_t furthest = now_ | ((std::uint64_t{1} << (kBits * kLevels)) - 1);
  const std::uint64_t at = std::min(entry.due_, furthest);
  const int level = at == now_ ? 0 : (std::bit_width(at ^ now_) - 1) / kBits;
  const std::uint64_t slot = (at >> (level * kBits)) & (kSlots - 1);
  WheelEntry*& first = slots_[level][slot];
  entry.wheel_ = this;
  entry.level_ = static_cast<std::uint8_t>(level);
  entry.slot_ = static_cast<std::uint8_t>(slot);
  entry.next_ = first;
  entry.at_ = &first;
  if (first != nullptr) first->at_ = &entry.next_;
  first = &entry;
  used_[level] |= std::uint64_t{1} << slot;
}

std::optional<std::uint64_t> Wheel::next() const {
  for (int level = 0; level < kLevels; ++level) {
    if (used_[level] == 0) continue;
    const std::uint64_t slot = static_cast<std::uint64_t>(std::countr_zero(used_[level]));
    const std::uint64_t above = now_ >> ((level + 1) * kBits) << ((level + 1) * kBits);
    return above | slot << (level * kBits);
  }
  return {};
}

void Wheel::advance(std::uint64_t to) {
  while (now_ < to) {
    const std::optional<std::uint64_t> tick = next();
    if (!tick || *tick > to) {
      now_ = to;
      return;
    }
    now_ = *tick;
    for (int level = kLevels - 1; level >= 0; --level) {
      const int shift = level * kBits;
      if ((now_ & ((std::uint64_t{1} << shift) - 1)) != 0) continue;
      const std::uint64_t slot = now_ >> shift & (kSlots - 1);
      // Firing may set or stop any entry, also in this very slot: take one at a time.
      while (WheelEntry* entry = slots_[level][slot]) {
        entry->stop();
        if (entry->due_ > now_) {
          put(*entry);
        } else {
          entry->expired();
        }
      }
    }
  }
}

void Timer::arm(Duration after) {
  loop_.arm(*this, after);
}

}  // namespace fairlead::net
