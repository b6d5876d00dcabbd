#include "proxy/decide/balance.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

namespace fairlead::proxy {
namespace {

using config::BalancePolicy;
using config::Health;
using config::LbEndpoint;

LbEndpoint endpoint(std::uint8_t last, std::uint32_t weight = 1, Health health = Health::unknown) {
  LbEndpoint made;
  made.address = {IpAddress::v4({10, 0, 0, last}), 80};
  made.weight = weight;
  made.health = health;
  return made;
}

std::shared_ptr<const config::ClusterLoadAssignment> assignment(
    std::vector<std::pair<std::uint32_t, std::vector<LbEndpoint>>> priorities) {
  auto made = std::make_shared<config::ClusterLoadAssignment>();
  for (auto& [priority, endpoints] : priorities) {
    config::LocalityEndpoints locality;
    locality.priority = priority;
    locality.endpoints = std::move(endpoints);
    made->localities.push_back(std::move(locality));
  }
  return made;
}

std::map<std::size_t, int> counted(Balancer& balancer, const EndpointSet& set, int picks,
                                   Random& random, LoadView load = {},
                                   std::span<const std::size_t> avoid = {}) {
  std::map<std::size_t, int> counts;
  for (int i = 0; i < picks; ++i) ++counts[*balancer.pick(set, load, random, avoid)];
  return counts;
}

TEST(Eligible, HealthWeightAndPriorityWithReasons) {
  const auto endpoints =
      assignment({{0,
                   {endpoint(1), endpoint(2, 3, Health::healthy), endpoint(3, 1, Health::unhealthy),
                    endpoint(4, 1, Health::draining), endpoint(5, 0)}}});
  Refusals refused;
  const auto chosen = eligible(*endpoints, &refused);
  ASSERT_EQ(chosen.size(), 2U);
  EXPECT_DOUBLE_EQ(chosen[0].share, 0.25);
  EXPECT_DOUBLE_EQ(chosen[1].share, 0.75);
  ASSERT_EQ(refused.size(), 3U);
  EXPECT_EQ(refused[0].what, "endpoint 10.0.0.3:80");
  EXPECT_EQ(refused[0].why, "it is unhealthy");
  EXPECT_EQ(refused[1].why, "it is draining");
  EXPECT_EQ(refused[2].why, "its weight is 0");
}

TEST(Eligible, PrioritiesShareAsInEnvoy) {
  const auto all_well = assignment({{0, {endpoint(1)}}, {1, {endpoint(2)}}});
  Refusals refused;
  EXPECT_EQ(eligible(*all_well, &refused).size(), 1U);
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(refused[0].why, "its priority 1 waits until those before it fail");
  const auto half =
      assignment({{0, {endpoint(1), endpoint(2, 1, Health::unhealthy)}}, {1, {endpoint(3)}}});
  const auto shared = eligible(*half);
  ASSERT_EQ(shared.size(), 2U);
  EXPECT_DOUBLE_EQ(shared[0].share, 0.7);
  EXPECT_DOUBLE_EQ(shared[1].share, 0.3);
  const auto failed = assignment({{0, {endpoint(1, 1, Health::unhealthy)}}, {2, {endpoint(3)}}});
  ASSERT_EQ(eligible(*failed).size(), 1U);
  EXPECT_EQ(eligible(*failed)[0].priority, 2U);
  EXPECT_DOUBLE_EQ(eligible(*failed)[0].share, 1.0);
  EXPECT_TRUE(eligible(*assignment({{0, {endpoint(1, 1, Health::unhealthy)}}})).empty());
}

TEST(Balancer, NobodyToPick) {
  SeededRandom random(1);
  const EndpointSet set(assignment({}));
  EXPECT_FALSE(Balancer(BalancePolicy::round_robin).pick(set, {}, random).has_value());
}

TEST(Balancer, RoundRobinTakesEachInTurn) {
  SeededRandom random(1);
  const EndpointSet set(assignment({{0, {endpoint(1), endpoint(2), endpoint(3)}}}));
  Balancer balancer(BalancePolicy::round_robin);
  const std::size_t first = *balancer.pick(set, {}, random);
  EXPECT_EQ(*balancer.pick(set, {}, random), (first + 1) % 3);
  EXPECT_EQ(*balancer.pick(set, {}, random), (first + 2) % 3);
  EXPECT_EQ(*balancer.pick(set, {}, random), first);
}

TEST(Balancer, WeightedRoundRobinIsExactAndSmooth) {
  SeededRandom random(3);
  const EndpointSet set(assignment({{0, {endpoint(1, 5), endpoint(2, 1), endpoint(3, 1)}}}));
  Balancer balancer(BalancePolicy::round_robin);
  std::map<std::size_t, int> counts;
  int together = 0;
  std::size_t last = 9;
  for (int i = 0; i < 700; ++i) {
    const std::size_t chosen = *balancer.pick(set, {}, random);
    ++counts[chosen];
    if (chosen != 0 && chosen == last) ++together;
    last = chosen;
  }
  EXPECT_NEAR(counts[0], 500, 5);
  EXPECT_NEAR(counts[1], 100, 5);
  EXPECT_NEAR(counts[2], 100, 5);
  EXPECT_EQ(together, 0);
}

TEST(Balancer, LeastRequestPrefersTheIdle) {
  SeededRandom random(5);
  const EndpointSet set(assignment({{0, {endpoint(1), endpoint(2), endpoint(3)}}}));
  Balancer balancer(BalancePolicy::least_request, 2);
  const std::vector<std::uint32_t> even{1, 1, 1};
  for (const auto& [number, count] : counted(balancer, set, 9000, random, even)) {
    EXPECT_NEAR(count, 3000, 250) << number;
  }
  const std::vector<std::uint32_t> busy{9, 0, 0};
  // The busy one is taken only when both choices fall on it: one time in nine.
  EXPECT_NEAR(counted(balancer, set, 9000, random, busy)[0], 1000, 150);
}

TEST(Balancer, LeastRequestCountsLoadByWeight) {
  SeededRandom random(5);
  const EndpointSet set(assignment({{0, {endpoint(1, 3), endpoint(2, 1)}}}));
  Balancer balancer(BalancePolicy::least_request, 8);
  EXPECT_NEAR(counted(balancer, set, 1000, random, std::vector<std::uint32_t>{2, 1})[0], 1000, 40);
  EXPECT_LT(counted(balancer, set, 1000, random, std::vector<std::uint32_t>{4, 1})[0], 150);
  Balancer two(BalancePolicy::least_request, 2);
  EXPECT_NEAR(counted(two, set, 8000, random)[0], 6000, 250)
      << "idle: in proportion to the weights";
}

TEST(Balancer, RandomByWeight) {
  SeededRandom random(6);
  const EndpointSet set(assignment({{0, {endpoint(1, 9), endpoint(2, 1)}}}));
  Balancer balancer(BalancePolicy::random);
  EXPECT_NEAR(counted(balancer, set, 10000, random)[0], 9000, 250);
}

TEST(Balancer, WhatWasTriedIsAvoidedWhileThereIsAnother) {
  SeededRandom random(8);
  const EndpointSet set(
      assignment({{0, {endpoint(1), endpoint(2, 1000), endpoint(3)}}, {1, {endpoint(4)}}}));
  const EndpointSet even(assignment({{0, {endpoint(1), endpoint(2), endpoint(3)}}}));
  const std::vector<std::size_t> tried{0, 1};
  const std::vector<std::size_t> all{0, 1, 2};
  for (const BalancePolicy policy :
       {BalancePolicy::round_robin, BalancePolicy::least_request, BalancePolicy::random}) {
    for (const EndpointSet* one : {&set, &even}) {
      Balancer balancer(policy);
      EXPECT_EQ(counted(balancer, *one, 100, random, {}, tried)[2], 100);
      int sum = 0;
      for (const auto& [number, count] : counted(balancer, *one, 100, random, {}, all))
        sum += count;
      EXPECT_EQ(sum, 100);
    }
  }
}

TEST(Balancer, PrioritiesByTheirShares) {
  SeededRandom random(9);
  const EndpointSet set(
      assignment({{0, {endpoint(1), endpoint(2, 1, Health::unhealthy)}}, {1, {endpoint(3)}}}));
  for (const BalancePolicy policy : {BalancePolicy::round_robin, BalancePolicy::least_request}) {
    Balancer balancer(policy);
    auto counts = counted(balancer, set, 10000, random);
    EXPECT_NEAR(counts[0], 7000, 250);
    EXPECT_NEAR(counts[1], 3000, 250);
    // When all of one priority was tried, the other is taken.
    EXPECT_EQ(counted(balancer, set, 50, random, {}, std::vector<std::size_t>{0})[1], 50);
  }
}

TEST(Balancer, ANewSetOfOtherSizeStartsAnew) {
  SeededRandom random(10);
  Balancer balancer(BalancePolicy::round_robin);
  const EndpointSet large(
      assignment({{0, {endpoint(1, 2), endpoint(2), endpoint(3)}}, {1, {endpoint(4)}}}));
  const EndpointSet small(assignment({{0, {endpoint(1)}}}));
  EXPECT_LT(*balancer.pick(large, {}, random), 3U);
  EXPECT_EQ(*balancer.pick(small, {}, random), 0U);
  EXPECT_LT(*balancer.pick(large, {}, random), 3U);
}

TEST(Balancer, SharesAreWhatIsPicked) {
  SeededRandom random(11);
  const auto endpoints =
      assignment({{0, {endpoint(1, 2), endpoint(2, 6), endpoint(9, 1, Health::unhealthy)}},
                  {1, {endpoint(3)}}});
  const EndpointSet set(endpoints);
  const auto predicted = eligible(*endpoints);
  ASSERT_EQ(predicted.size(), set.size());
  for (const BalancePolicy policy :
       {BalancePolicy::round_robin, BalancePolicy::least_request, BalancePolicy::random}) {
    Balancer balancer(policy);
    auto counts = counted(balancer, set, 20000, random);
    for (std::size_t at = 0; at < set.size(); ++at) {
      EXPECT_EQ(&set.endpoint(at), predicted[at].endpoint);
      EXPECT_NEAR(counts[at] / 20000.0, predicted[at].share, 0.02);
    }
  }
}

}  // namespace
}  // namespace fairlead::proxy
