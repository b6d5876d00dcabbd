#include "net/loop.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "base/latest.h"

namespace fairlead::net {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

Task<int> number(int value) {
  co_return value;
}

Task<long> sum_of(int count) {
  long sum = 0;
  for (int i = 0; i < count; ++i) sum += co_await number(i);
  co_return sum;
}

TEST(Loop, AMillionImmediateAwaitsNeedNoStack) {
  Loop loop;
  EXPECT_EQ(loop.run(sum_of(1'000'000)), 499'999'500'000L);
}

Task<int> deep(int levels) {
  if (levels == 0) co_return 0;
  co_return 1 + co_await deep(levels - 1);
}

TEST(Loop, ManyAwaitsInsideEachOtherReturnWithoutStack) {
  Loop loop;
  EXPECT_EQ(loop.run(deep(20'000)), 20'000);
}

Task<Result<>> sleep_for(Loop& loop, Duration time) {
  co_return co_await loop.sleep(time);
}

Task<Result<std::string>> in_order(Loop& loop) {
  std::string order;
  // One after the other, though they begin side by side.
  const auto step = [](Loop& on, std::string& log, char name, Duration time) -> Task<Result<>> {
    Result<> slept = co_await on.sleep(time);
    log += name;
    co_return slept;
  };
  auto pair = co_await both(step(loop, order, 'b', milliseconds(30)),
                            step(loop, order, 'a', milliseconds(2)));
  if (!pair.first.ok()) co_return pair.first.fault();
  co_return order;
}

TEST(Loop, BothRunSideBySide) {
  Loop loop;
  const auto order = loop.run(in_order(loop));
  ASSERT_TRUE(order.ok());
  EXPECT_EQ(*order, "ab");
}

Task<Result<>> with_deadline(Loop& loop, Duration deadline, Duration work) {
  co_return co_await within(loop, deadline, sleep_for(loop, work));
}

TEST(Loop, ADeadlineEndsWhatTakesTooLong) {
  Loop loop;
  const auto late = loop.run(with_deadline(loop, milliseconds(5), hours(1)));
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.fault().kind, FaultKind::timed_out);
  EXPECT_EQ(late.fault().message, "timed out after 5 ms");
  EXPECT_TRUE(loop.run(with_deadline(loop, hours(1), milliseconds(1))).ok());
}

Task<> record(Loop& loop, Duration deadline, std::vector<FaultKind>& kinds) {
  const Result<> ended = co_await with_deadline(loop, deadline, hours(1));
  kinds.push_back(ended.ok() ? FaultKind::internal : ended.fault().kind);
}

Task<> close_gate(Gate& gate) {
  co_await gate.close();
}

TEST(Loop, ACancellationFromOutsideIsNoTimeout) {
  Loop loop;
  Gate gate;
  std::vector<FaultKind> kinds;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(loop.start(gate, record(loop, hours(2), kinds)));
  EXPECT_EQ(gate.inside(), 3U);
  loop.run(close_gate(gate));
  EXPECT_EQ(gate.inside(), 0U);
  EXPECT_EQ(kinds, std::vector(3, FaultKind::cancelled));
  EXPECT_FALSE(loop.start(gate, record(loop, hours(2), kinds)));
  EXPECT_EQ(kinds.size(), 3U);
}

TEST(Loop, WhatStillWaitsEndsWithTheLoop) {
  // The address sanitizer sees frames and strings that are not given back.
  auto loop = std::make_unique<Loop>();
  std::vector<FaultKind> kinds;
  for (int i = 0; i < 3; ++i) loop->start(record(*loop, hours(2), kinds));
  loop.reset();
  EXPECT_TRUE(kinds.empty());
}

TEST(Loop, OtherThreadsPost) {
  Loop loop;
  int sum = 0;
  std::atomic<int> left = 4;
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) loop.post([&] { ++sum; });
      if (--left == 0) loop.stop();
    });
  }
  loop.run();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(sum, 4000);
}

struct Collect final : TurnEnd {
  explicit Collect(Loop& on) : loop(on) {}
  void turn_ended() override {
    ++times;
    if (again-- > 0) loop.at_turn_end(*this);
  }
  Loop& loop;
  int times = 0;
  int again = 0;
};

Task<Result<>> ask_for_turn_ends(Loop& loop, Collect& one, Collect& dies) {
  loop.at_turn_end(one);
  loop.at_turn_end(one);
  loop.at_turn_end(dies);
  co_return co_await loop.sleep(milliseconds(1));
}

TEST(Loop, WorkAtTheEndOfATurnIsDoneOnce) {
  Loop loop;
  Collect one(loop);
  Collect again(loop);
  again.again = 2;
  ASSERT_TRUE(loop.run(ask_for_turn_ends(loop, one, again)).ok());
  EXPECT_EQ(one.times, 1);
  EXPECT_EQ(again.times, 3);
}

Task<Result<>> watch_values(Latest<int>& latest, std::vector<int>& seen) {
  std::uint64_t number = 0;
  while (latest.get() != 3) {
    if (Result<> changed = co_await latest.after(number); !changed.ok()) co_return changed;
    number = latest.number();
    seen.push_back(latest.get());
  }
  co_return done();
}

Task<Result<>> set_values(Loop& loop, Latest<int>& latest) {
  latest.set(1);
  if (Result<> slept = co_await loop.sleep(milliseconds(1)); !slept.ok()) co_return slept;
  latest.set(2);  // skipped: the next comes before anyone looks
  latest.set(3);
  co_return done();
}

Task<Result<>> watch_and_set(Loop& loop, Latest<int>& latest, std::vector<int>& seen) {
  auto ended = co_await both(watch_values(latest, seen), set_values(loop, latest));
  co_return ended.first;
}

TEST(Latest, ReadersSeeTheNewestValue) {
  Loop loop;
  Latest<int> latest;
  std::vector<int> seen;
  ASSERT_TRUE(loop.run(watch_and_set(loop, latest, seen)).ok());
  EXPECT_EQ(seen, (std::vector{1, 3}));
}

// ── A clock that the test turns ─────────────────────────────────────────────────────────────────

TEST(Loop, TimersKeepToTheClockThatTheLoopWasGiven) {
  ManualClock clock;
  Loop loop(clock);
  int rang = 0;
  Timer timer(loop, [&rang] { ++rang; });
  timer.arm(hours(1));
  EXPECT_TRUE(loop.settle());
  EXPECT_EQ(rang, 0);
  ASSERT_TRUE(loop.next_timer().has_value());
  EXPECT_LE(*loop.next_timer(), clock.now() + hours(1));
  clock.advance(hours(1) - milliseconds(1));
  EXPECT_TRUE(loop.settle());
  EXPECT_EQ(rang, 0);
  clock.advance(milliseconds(1));
  EXPECT_TRUE(loop.settle());
  EXPECT_EQ(rang, 1);
  EXPECT_FALSE(loop.next_timer().has_value());
}

// Asks for another turn at the end of each.
class Restless final : public TurnEnd {
 public:
  explicit Restless(Loop& loop) : loop_(loop) { loop_.at_turn_end(*this); }

 private:
  void turn_ended() override { loop_.at_turn_end(*this); }
  Loop& loop_;
};

TEST(Loop, WhatNeverComesToRestIsTold) {
  ManualClock clock;
  Loop loop(clock);
  const Restless restless(loop);
  EXPECT_FALSE(loop.settle(100));
}

}  // namespace
}  // namespace fairlead::net
