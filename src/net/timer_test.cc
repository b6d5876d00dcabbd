#include "net/timer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "net/loop.h"

namespace fairlead::net {
namespace {

struct Entry final : WheelEntry {
  Entry(const std::uint64_t& at, std::vector<std::uint64_t>& log) : now(at), fired(log) {}
  using WheelEntry::stop;
  void expired() override { fired.push_back(now); }
  const std::uint64_t& now;
  std::vector<std::uint64_t>& fired;
};

TEST(Wheel, FiresAtItsTickWhateverTheDistance) {
  for (const std::uint64_t start : {0ULL, 63ULL, 4095ULL, 1'000'003ULL}) {
    for (const std::uint64_t after :
         {1ULL, 2ULL, 63ULL, 64ULL, 65ULL, 4096ULL, 5000ULL, 300'000ULL}) {
      Wheel wheel;
      wheel.advance(start);
      std::uint64_t now = start;
      std::vector<std::uint64_t> fired;
      Entry entry(now, fired);
      wheel.set(entry, start + after);
      wheel.advance(now = start + after - 1);
      EXPECT_TRUE(fired.empty()) << start << "+" << after;
      ASSERT_TRUE(wheel.next().has_value());
      EXPECT_EQ(*wheel.next(), start + after);
      wheel.advance(now = start + after);
      EXPECT_EQ(fired.size(), 1U) << start << "+" << after;
      EXPECT_FALSE(wheel.next().has_value());
    }
  }
}

TEST(Wheel, WhatIsPutOffFiresOnce) {
  Wheel wheel;
  std::uint64_t now = 0;
  std::vector<std::uint64_t> fired;
  Entry entry(now, fired);
  wheel.set(entry, 10);
  for (now = 1; now < 500; ++now) {
    wheel.advance(now);
    wheel.set(entry, now + 10);  // an idle timeout, set again with each byte
  }
  EXPECT_TRUE(fired.empty());
  for (; now < 600; ++now) wheel.advance(now);
  EXPECT_EQ(fired, (std::vector<std::uint64_t>{509}));
}

// Against a plain sorted map, with everything that can happen in every order.
TEST(Wheel, AgreesWithASortedListOverALongTime) {
  SeededRandom random(7);
  Wheel wheel;
  std::uint64_t now = 0;
  std::vector<std::uint64_t> log;
  constexpr std::size_t kEntries = 200;
  std::vector<std::unique_ptr<Entry>> entries;
  entries.reserve(kEntries);
  for (std::size_t i = 0; i < kEntries; ++i) entries.push_back(std::make_unique<Entry>(now, log));
  std::map<std::size_t, std::uint64_t> due;  // what must be pending
  for (int round = 0; round < 30'000; ++round) {
    const std::size_t which = random.below(kEntries);
    switch (random.below(4)) {
      case 0:
        entries[which]->stop();
        due.erase(which);
        break;
      case 1: {
        now += random.below(random.below(10) == 0 ? 20'000 : 50);
        wheel.advance(now);
        std::erase_if(due, [&](const auto& one) { return one.second <= now; });
        for (std::size_t i = 0; i < kEntries; ++i) {
          ASSERT_EQ(entries[i]->pending(), due.contains(i)) << "round " << round;
        }
        break;
      }
      default: {
        const std::uint64_t spans[] = {5, 100, 5000, 400'000};
        const std::uint64_t at = now + 1 + random.below(spans[random.below(4)]);
        wheel.set(*entries[which], at);
        due[which] = at;
        const std::uint64_t first =
            std::min_element(due.begin(), due.end(), [](const auto& left, const auto& right) {
              return left.second < right.second;
            })->second;
        ASSERT_LE(*wheel.next(), first);
      }
    }
  }
  EXPECT_GT(log.size(), 1000U);
}

struct Chain final : WheelEntry {
  Chain(Wheel& on, int& count) : wheel(on), fired(count) {}
  void expired() override {
    ++fired;
    if (fired < 5) wheel.set(*this, 0);  // a tick that has passed is the next one
    other.reset();                       // and others may die
  }
  Wheel& wheel;
  int& fired;
  std::unique_ptr<Chain> other;
};

TEST(Wheel, AnEntryMaySetItselfAndDestroyOthersAsItFires) {
  Wheel wheel;
  int fired = 0;
  int never = 0;
  Chain chain(wheel, fired);
  chain.other = std::make_unique<Chain>(wheel, never);
  wheel.set(*chain.other, 5);
  wheel.set(chain, 5);  // the later one in a slot fires first
  wheel.advance(100);
  EXPECT_EQ(fired, 5);
  EXPECT_EQ(never, 0);
}

Task<Result<>> nap(Loop& loop) {
  co_return co_await loop.sleep(std::chrono::milliseconds(20));
}

TEST(Timer, CallsUnlessStopped) {
  Loop loop;
  int first = 0;
  int second = 0;
  Timer one(loop, [&] { ++first; });
  Timer two(loop, [&] { ++second; });
  one.arm(std::chrono::milliseconds(1));
  two.arm(std::chrono::milliseconds(1));
  two.stop();
  EXPECT_TRUE(one.armed());
  EXPECT_FALSE(two.armed());
  ASSERT_TRUE(loop.run(nap(loop)).ok());
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 0);
}

}  // namespace
}  // namespace fairlead::net
