#include "config/named.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace fairlead::config {
namespace {

using Numbers = Named<int>;
using Map = std::map<std::string, Numbers::Value>;

Numbers::Value value(int number) {
  return std::make_shared<const int>(number);
}

std::string name(int number) {
  return "service-" + std::to_string(number);
}

Map thousand() {
  Map made;
  for (int i = 0; i < 1000; ++i) made[name(i)] = value(i);
  return made;
}

Map map_of(const Numbers& table) {
  return {table.begin(), table.end()};
}

TEST(Named, ACopyWithOneChangeSharesTheRest) {
  const Numbers table(thousand());
  Numbers copy = table;
  EXPECT_EQ(copy.entries_of_its_own(table), 0U);
  copy.put(name(500), value(-1));
  EXPECT_LE(copy.entries_of_its_own(table), 64U);
  EXPECT_EQ(*table.at(name(500)), 500);
  EXPECT_EQ(*copy.at(name(500)), -1);
  EXPECT_EQ(copy.at(name(501)), table.at(name(501)));
}

TEST(Named, BecomingTheNextStateSharesTheRest) {
  Map values = thousand();
  const Numbers before(values);
  Numbers now = before;
  now.become(values);
  EXPECT_EQ(now.entries_of_its_own(before), 0U);
  values[name(7)] = value(-7);
  values.erase(name(900));
  values["z"] = value(1);
  now.become(values);
  EXPECT_EQ(map_of(now), values);
  EXPECT_LE(now.entries_of_its_own(before), 3 * 64U);
}

TEST(Named, DifferencesAreThoseAndNoMore) {
  const Numbers before(thousand());
  Numbers now = before;
  now.put("a", value(0));
  now.put(name(3), value(-3));
  now.remove(name(999));
  std::vector<std::string> seen;
  const bool stopped =
      Numbers::any_difference(before, now, [&](const auto* old, const auto* fresh) {
        seen.push_back(old == nullptr     ? "+" + fresh->first
                       : fresh == nullptr ? "-" + old->first
                                          : "~" + old->first);
        return false;
      });
  EXPECT_FALSE(stopped);
  EXPECT_THAT(seen, testing::ElementsAre("+a", "~service-3", "-service-999"));
  EXPECT_FALSE(before == now);
  now.remove("a");
  now.put(name(3), before.at(name(3)));
  now.put(name(999), before.at(name(999)));
  EXPECT_TRUE(before == now);
}

// Against std::map, through many changes.
TEST(Named, IsAMap) {
  std::mt19937 random(7);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same every time
  Map map;
  Numbers table;
  Numbers before;
  for (int round = 0; round < 20000; ++round) {
    const std::string at = name(static_cast<int>(random() % 400));
    const bool shrinks = round % 4000 > 2500;
    if (random() % 3 == 0 || (shrinks && random() % 3 != 0)) {
      map.erase(at);
      table.remove(at);
    } else {
      table.put(at, map[at] = value(round));
    }
    ASSERT_EQ(table.size(), map.size());
    ASSERT_EQ(table.contains(at), map.contains(at));
    if (round % 50 != 0) continue;
    ASSERT_EQ(map_of(table), map);
    Map patched = map_of(before);
    Numbers::any_difference(before, table, [&](const auto* old, const auto* now) {
      if (now == nullptr) patched.erase(old->first);
      if (now != nullptr) patched[now->first] = now->second;
      return false;
    });
    ASSERT_EQ(patched, map);
    Numbers become = before;
    become.become(map);
    ASSERT_EQ(map_of(become), map);
    ASSERT_TRUE(become == table);
    before = table;
  }
}

TEST(Named, NothingIsATableToo) {
  Numbers table;
  EXPECT_TRUE(table.empty());
  EXPECT_EQ(table.begin(), table.end());
  EXPECT_FALSE(table.contains("a"));
  EXPECT_EQ(table.get("a"), nullptr);
  table.remove("a");
  table.put("a", value(1));
  table.remove("a");
  EXPECT_TRUE(table == Numbers());
}

}  // namespace
}  // namespace fairlead::config
