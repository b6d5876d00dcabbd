#include "base/near.h"

#include <gtest/gtest.h>

namespace fairlead {
namespace {

TEST(Near, CountsTheLettersThatDiffer) {
  EXPECT_EQ(edit_distance("reviews", "reviews"), 0U);
  EXPECT_EQ(edit_distance("reviwes", "reviews"), 1U);
  EXPECT_EQ(edit_distance("review", "reviews"), 1U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
}

TEST(Near, AreThoseThatShareSomething) {
  EXPECT_EQ(near_names("reviws", {"details", "reviews", "ratings"}),
            std::vector<std::string>{"reviews"});
  EXPECT_EQ(did_you_mean("wbe", {"mysql", "web", "webhook"}), "; near it: web");
  EXPECT_EQ(did_you_mean("hook", {"db", "web", "webhook"}), "; near it: webhook");
}

TEST(Near, WithoutAnyAllAreTold) {
  EXPECT_EQ(did_you_mean("zzzz", {"b", "a"}), "; there are: a, b");
  EXPECT_EQ(did_you_mean("c", {}), "; there are none");
}

}  // namespace
}  // namespace fairlead
