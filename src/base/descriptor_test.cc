#include "base/descriptor.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <utility>

namespace fairlead {
namespace {

Descriptor opened() {
  return Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

bool is_open(int number) {
  return ::fcntl(number, F_GETFD) >= 0;
}

TEST(Descriptor, IsClosedWithItsOwner) {
  int number = -1;
  {
    const Descriptor one = opened();
    number = one.number();
    ASSERT_TRUE(is_open(number));
  }
  EXPECT_FALSE(is_open(number));
}

TEST(Descriptor, WhatIsAssignedOverIsClosed) {
  Descriptor one = opened();
  Descriptor other = opened();
  const int first = one.number();
  const int second = other.number();
  one = std::move(other);
  EXPECT_FALSE(is_open(first));
  EXPECT_TRUE(is_open(second));
  EXPECT_EQ(one.number(), second);
  EXPECT_FALSE(other.valid());  // NOLINT: a moved one is none
}

TEST(Descriptor, ReleasedItIsTheCallers) {
  int number = -1;
  {
    Descriptor one = opened();
    number = one.release();
    EXPECT_FALSE(one.valid());
  }
  ASSERT_TRUE(is_open(number));
  const Descriptor again(number);
}

}  // namespace
}  // namespace fairlead
