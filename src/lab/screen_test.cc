#include "lab/screen.h"

#include <gtest/gtest.h>

namespace fairlead::lab {
namespace {

TEST(Cut, KeepsAsManyColumnsAsThereAre) {
  EXPECT_EQ(cut("waiting", 0), "waiting");
  EXPECT_EQ(cut("waiting", 7), "waiting");
  EXPECT_EQ(cut("waiting", 6), "waiti…");
  EXPECT_EQ(cut("→→→→", 3), "→→…");
  EXPECT_EQ(cut("→→→", 1), "…");
}

}  // namespace
}  // namespace fairlead::lab
