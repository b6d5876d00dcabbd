#include "http/io/places.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

namespace fairlead::http {
namespace {

IpAddress ip(const std::string& text) {
  return *IpAddress::parse(text);
}

std::vector<std::unique_ptr<Places::Place>> take(Places& places, const std::string& client,
                                                 int count, bool idle) {
  std::vector<std::unique_ptr<Places::Place>> taken;
  for (int i = 0; i < count; ++i) {
    taken.push_back(std::make_unique<Places::Place>(places, ip(client)));
    taken.back()->set_idle(idle);
  }
  return taken;
}

TEST(Places, OneClientHasItsShareAndNoMore) {
  Places places({.total = 256, .per_client = 64});
  const auto greedy = take(places, "10.0.0.1", 300, false);
  EXPECT_EQ(places.held_by(ip("10.0.0.1")), 64U);
  EXPECT_EQ(places.counts().refused, 236U);
  EXPECT_FALSE(greedy.back()->is_admitted());
  const Places::Place other(places, ip("10.0.0.2"));
  EXPECT_TRUE(other.is_admitted());
}

TEST(Places, AtItsShareAClientsOldestIdleOneGivesWay) {
  Places places({.per_client = 3});
  auto own = take(places, "10.0.0.1", 3, false);
  own[1]->set_idle(true);
  own[2]->set_idle(true);
  const Places::Place newest(places, ip("10.0.0.1"));
  EXPECT_TRUE(newest.is_admitted());
  EXPECT_TRUE(own[1]->ended().is_cancelled());
  EXPECT_FALSE(own[0]->ended().is_cancelled() || own[2]->ended().is_cancelled());
  EXPECT_EQ(places.counts().evicted, 1U);
  EXPECT_EQ(places.held_by(ip("10.0.0.1")), 3U);
}

TEST(Places, WhenFullTheOldestIdleOfTheGreediestGivesWay) {
  Places places({.total = 10});
  auto greedy = take(places, "10.0.0.1", 7, false);
  const auto modest = take(places, "10.0.0.2", 3, true);
  greedy[4]->set_idle(true);
  const Places::Place third(places, ip("10.0.0.3"));
  EXPECT_TRUE(third.is_admitted());
  EXPECT_TRUE(greedy[4]->ended().is_cancelled());
  for (const auto& place : modest) EXPECT_FALSE(place->ended().is_cancelled());
  EXPECT_EQ(places.counts().held, 10U);
}

TEST(Places, WhoKeepsAllBusyGivesWayToWhoHasLess) {
  Places places({.total = 4});
  const auto greedy = take(places, "10.0.0.1", 4, false);
  const auto others = take(places, "10.0.0.2", 4, false);
  EXPECT_EQ(places.held_by(ip("10.0.0.1")), 2U);
  EXPECT_EQ(places.held_by(ip("10.0.0.2")), 2U);
  EXPECT_TRUE(greedy[0]->ended().is_cancelled() && greedy[1]->ended().is_cancelled());
  EXPECT_FALSE(others[2]->is_admitted()) << "shares are fair already";
}

TEST(Places, NobodyIsTakenAwayForNothing) {
  Places places({.total = 2});
  const Places::Place one(places, ip("10.0.0.1"));
  Places::Place two(places, ip("10.0.0.2"));
  EXPECT_FALSE(Places::Place(places, ip("10.0.0.3")).is_admitted()) << "both are busy";
  two.set_idle(true);
  EXPECT_TRUE(Places::Place(places, ip("10.0.0.3")).is_admitted());
  EXPECT_TRUE(two.ended().is_cancelled());
}

TEST(Places, AnIpv6NetworkIsOneClient) {
  Places places({.per_client = 2});
  const Places::Place one(places, ip("fd00:1:2:3::1"));
  const Places::Place two(places, ip("fd00:1:2:3::2"));
  EXPECT_FALSE(Places::Place(places, ip("fd00:1:2:3:ffff::3")).is_admitted());
  EXPECT_TRUE(Places::Place(places, ip("fd00:1:2:4::1")).is_admitted());
}

// What holds whatever comes in whatever order.
TEST(Places, AreNeverMoreThanThereAreAndNeverLost) {
  std::mt19937 chance(7);
  Places places({.total = 20, .per_client = 12});
  std::vector<std::unique_ptr<Places::Place>> all;
  for (int step = 0; step < 20'000; ++step) {
    const auto any = [&](std::size_t size) { return chance() % size; };
    if (all.empty() || any(3) != 0) {
      const auto client = ip("10.0.0." + std::to_string(1 + any(5)));
      const std::size_t before = places.held_by(client);
      all.push_back(std::make_unique<Places::Place>(places, client));
      if (!all.back()->is_admitted()) {
        ASSERT_EQ(places.held_by(client), before);
      }
      all.back()->set_idle(any(2) == 0);
    } else {
      all.erase(all.begin() + static_cast<std::ptrdiff_t>(any(all.size())));
    }
    std::size_t alive = 0;
    for (const auto& place : all) {
      alive += place->is_admitted() && !place->ended().is_cancelled() ? 1 : 0;
    }
    ASSERT_EQ(places.counts().held, alive);
    ASSERT_LE(alive, 20U);
    for (int i = 1; i <= 5; ++i) ASSERT_LE(places.held_by(ip("10.0.0." + std::to_string(i))), 12U);
    if (all.size() > 100) all.clear();
  }
  all.clear();
  EXPECT_EQ(places.counts().held, 0U);
}

}  // namespace
}  // namespace fairlead::http
