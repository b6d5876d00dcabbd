#include "base/memory.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/task.h"

namespace fairlead {
namespace {

using std::chrono::seconds;

constexpr std::size_t megabyte = 1024 * 1024;

MemoryLook look(int second, double cpu_seconds, std::size_t megabytes) {
  return {.at = Instant(seconds(second)),
          .cpu = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(cpu_seconds)),
          .resident = megabytes * megabyte};
}

TEST(MemoryTrim, AfterABurstOnceItIsCalm) {
  MemoryTrim trim;
  EXPECT_FALSE(trim.is_due(look(0, 0, 30))) << "nothing is known of before";
  EXPECT_FALSE(trim.is_due(look(15, 10, 30))) << "busy";
  EXPECT_TRUE(trim.is_due(look(30, 10.1, 30)));
  trim.done(8 * megabyte);
  EXPECT_FALSE(trim.is_due(look(45, 10.2, 8)));
}

TEST(MemoryTrim, WhatDoesNotGoIsNotTriedAgainAndAgain) {
  MemoryTrim trim;
  EXPECT_FALSE(trim.is_due(look(0, 0, 30)));
  EXPECT_TRUE(trim.is_due(look(15, 0, 30)));
  trim.done(30 * megabyte);
  for (int second = 30; second < 300; second += 15) EXPECT_FALSE(trim.is_due(look(second, 0, 30)));
  EXPECT_TRUE(trim.is_due(look(300, 0, 32))) << "more has come";
}

TEST(MemoryLook, KnowsThisProcess) {
  EXPECT_GT(look_at_memory({}).resident, megabyte);
  return_free_memory();
}

TEST(Frames, AreGivenBack) {
  std::vector<void*> frames;
  for (int i = 0; i < 500; ++i) frames.push_back(take_frame(200));
  for (void* frame : frames) give_frame(frame, 200);
  give_back_frames(10);
  EXPECT_LE(kept_frames(), 10U * 32);
  give_back_frames(0);
  EXPECT_EQ(kept_frames(), 0U);
}

}  // namespace
}  // namespace fairlead
