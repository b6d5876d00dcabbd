#include "net/background.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>
#include <vector>

namespace fairlead::net {
namespace {

Task<Result<>> run_all(Background& background, std::vector<int>& order, int count) {
  for (int i = 0; i < count; ++i) {
    if (Result<> ran = co_await background.run([&order, i] { order.push_back(i); }); !ran.ok()) {
      co_return ran;
    }
  }
  co_return done();
}

TEST(Background, WorkIsDoneElsewhereAndItsEndIsSeenHere) {
  Loop loop;
  Background background(loop);
  std::thread::id where;
  const auto task = [](Background& on, std::thread::id& into) -> Task<Result<>> {
    co_return co_await on.run([&into] { into = std::this_thread::get_id(); });
  };
  ASSERT_TRUE(loop.run(task(background, where)).ok());
  EXPECT_NE(where, std::this_thread::get_id());
  EXPECT_NE(where, std::thread::id());
  std::vector<int> order;
  ASSERT_TRUE(loop.run(run_all(background, order, 5)).ok());
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST(Background, TheLoopTurnsMeanwhile) {
  Loop loop;
  Background background(loop);
  std::promise<void> go_on;
  Timer timer(loop, [&go_on] { go_on.set_value(); });
  timer.arm(std::chrono::milliseconds(1));
  const auto task = [](Background& on, std::future<void> until) -> Task<Result<>> {
    const auto shared = std::make_shared<std::future<void>>(std::move(until));
    co_return co_await on.run([shared] { shared->wait(); });
  };
  EXPECT_TRUE(loop.run(task(background, go_on.get_future())).ok());
}

TEST(Background, WhatHasNotBegunIsDroppedAtTheEnd) {
  Loop loop;
  Gate gate;
  auto background = std::make_unique<Background>(loop);
  std::promise<void> go_on;
  const auto held = std::make_shared<std::future<void>>(go_on.get_future());
  std::atomic<int> begun = 0;
  std::vector<FaultKind> ends;
  const auto task = [](Background& on, std::function<void()> work,
                       std::vector<FaultKind>& into) -> Task<> {
    const Result<> ran = co_await on.run(std::move(work));
    into.push_back(ran.ok() ? FaultKind::internal : ran.fault().kind);
  };
  loop.start(gate, task(
                       *background,
                       [held, &begun] {
                         ++begun;
                         held->wait();
                       },
                       ends));
  while (begun == 0) std::this_thread::yield();
  loop.start(gate, task(*background, [&begun] { ++begun; }, ends));
  go_on.set_value();
  background.reset();
  loop.run([](Gate& on) -> Task<> { co_await on.close(); }(gate));
  EXPECT_LE(begun, 2);
  EXPECT_EQ(ends.size(), 2U);
}

}  // namespace
}  // namespace fairlead::net
