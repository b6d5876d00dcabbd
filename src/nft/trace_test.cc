#include "nft/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nft/test_rules.h"

namespace fairlead::nft {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

Packet to_service(const char* address) {
  return {.hook = Hook::output,
          .source = {testing::v4(10, 244, 1, 1), 40000},
          .destination = *SocketAddress::parse(address),
          .out_interface = "eth0"};
}

TEST(Trace, ChoosesAmongTheEndpointsOfAServiceWithTheirShares) {
  const Trace result = trace(testing::node_rules({.endpoints = 3}), to_service("10.96.0.12:9080"));
  EXPECT_EQ(result.fate, Fate::translated);
  EXPECT_THAT(result.targets, ElementsAre(Target{{testing::pod_v4(0), 9080}, 1},
                                          Target{{testing::pod_v4(1), 9080}, 1},
                                          Target{{testing::pod_v4(2), 9080}, 1}));
  EXPECT_EQ(result.missed, 0U);
  EXPECT_EQ(result.outcome(),
            "sent to 10.244.2.1:9080 (1/3), 10.244.2.2:9080 (1/3) or 10.244.2.3:9080 (1/3)");
  ASSERT_TRUE(result.decided);
  EXPECT_EQ(result.steps[result.decided_by].chain, "n3");
}

TEST(Trace, KeepsTheFamiliesApart) {
  Packet packet = to_service("[fd96::c]:9080");
  packet.source.ip = testing::v6("fd44:1::11");
  const Trace result = trace(testing::node_rules({.endpoints = 1}), packet);
  EXPECT_EQ(result.fate, Fate::translated);
  EXPECT_THAT(result.targets, ElementsAre(Target{{testing::pod_v6(0), 9080}, 1}));
  EXPECT_EQ(result.outcome(), "sent to [fd44:2::1]:9080");
}

TEST(Trace, AWeightIsTheNumberOfSlotsOfOneEndpoint) {
  Ruleset rules = testing::node_rules({.endpoints = 3});
  for (Map& map : rules.tables[0].maps) {
    if (map.name != "endpoints4") continue;
    map.elements[{testing::v4(10, 96, 0, 12), tcp, 9080U, 2U}].data =
        Tuple{testing::pod_v4(0), 9080U};
  }
  const Trace result = trace(rules, to_service("10.96.0.12:9080"));
  EXPECT_EQ(result.outcome(), "sent to 10.244.2.1:9080 (2/3) or 10.244.2.2:9080 (1/3)");
}

TEST(Trace, RejectsAServiceWithoutEndpointsBeforeAnyTranslation) {
  const Trace result = trace(testing::node_rules({}), to_service("10.96.0.99:80"));
  EXPECT_EQ(result.fate, Fate::rejected);
  EXPECT_EQ(result.steps[result.decided_by].comment, "no endpoints");
}

TEST(Trace, LeavesOtherDestinationsAloneAndSaysWhy) {
  const Trace result = trace(testing::node_rules({}), to_service("10.96.0.12:81"));
  EXPECT_EQ(result.fate, Fate::accepted);
  EXPECT_FALSE(result.decided);
  const auto last_rule = std::find_if(result.steps.rbegin(), result.steps.rend(),
                                      [](const Step& step) { return step.rule != 0; });
  EXPECT_EQ(last_rule->text, "meta mark vmap @counts");
  EXPECT_FALSE(last_rule->matched);
  EXPECT_EQ(last_rule->refused_by, "meta mark vmap @counts");
  EXPECT_EQ(result.steps.back().text, "policy accept");
}

TEST(Trace, MasqueradesAPodThatReachedItself) {
  Packet packet = to_service("10.244.2.1:9080");
  packet.hook = Hook::postrouting;
  packet.source.ip = testing::pod_v4(0);
  EXPECT_EQ(trace(testing::node_rules({}), packet).fate, Fate::masqueraded);
  packet.source.ip = testing::pod_v4(1);
  EXPECT_EQ(trace(testing::node_rules({}), packet).fate, Fate::accepted);
}

// A packet without an owner has nothing to compare, not even for "not 1337".
TEST(Trace, ANegatedOwnerDoesNotMatchAPacketWithoutOne) {
  Chain chain{.name = "output", .base = Base{}};
  chain.rules.push_back({{Match{Field::skuid, {1337U}, true}, Redirect{15001}}});
  const Ruleset rules{.tables = {{.name = "t", .chains = {chain}}}};
  Packet packet = to_service("10.0.0.1:80");
  EXPECT_EQ(trace(rules, packet).fate, Fate::accepted);
  packet.uid = 5;
  EXPECT_EQ(trace(rules, packet).fate, Fate::redirected);
}

TEST(Trace, AnInterfaceThatEndsInAStarStandsForAllThatBeginSo) {
  const auto fate_by = [](const char* rule, const char* interface, bool negated = false) {
    Chain chain{.name = "output", .base = Base{}};
    chain.rules.push_back({{Interface{.name = rule, .negated = negated}, Redirect{15001}}});
    Packet packet = to_service("10.0.0.1:80");
    packet.out_interface = interface;
    return trace({.tables = {{.name = "t", .chains = {chain}}}}, packet).fate;
  };
  EXPECT_EQ(fate_by("eth*", "eth0"), Fate::redirected);
  EXPECT_EQ(fate_by("eth*", "eth"), Fate::redirected);
  EXPECT_EQ(fate_by("eth*", "lo"), Fate::accepted);
  EXPECT_EQ(fate_by("eth*", "eth0", true), Fate::accepted);
  EXPECT_EQ(fate_by("eth", "eth0"), Fate::accepted);
}

TEST(Trace, GotoDoesNotComeBackAndJumpDoes) {
  const auto rules = [](Verdict::Kind kind) {
    Chain empty{.name = "empty"};
    Chain middle{.name = "middle"};
    middle.rules.push_back({{Verdict{kind, "empty"}}});
    middle.rules.push_back({{Verdict{Verdict::Kind::drop, ""}}});
    Chain output{.name = "output", .base = Base{}};
    output.rules.push_back({{Verdict{Verdict::Kind::jump, "middle"}}});
    output.rules.push_back({{Redirect{1}}});
    return Ruleset{.tables = {{.name = "t", .chains = {empty, middle, output}}}};
  };
  EXPECT_EQ(trace(rules(Verdict::Kind::jump), to_service("10.0.0.1:80")).fate, Fate::dropped);
  EXPECT_EQ(trace(rules(Verdict::Kind::go_to), to_service("10.0.0.1:80")).fate, Fate::redirected);
}

TEST(Trace, SaysWhenSlotsAreMissing) {
  Ruleset rules = testing::node_rules({.endpoints = 2});
  for (Map& map : rules.tables[0].maps) {
    map.elements.erase({testing::v4(10, 96, 0, 12), tcp, 9080U, 1U});
  }
  const Trace result = trace(rules, to_service("10.96.0.12:9080"));
  EXPECT_THAT(result.targets, SizeIs(1));
  EXPECT_EQ(result.missed, 1U);
  EXPECT_EQ(result.outcome(), "sent to 10.244.2.1:9080 (1/2)");
}

}  // namespace
}  // namespace fairlead::nft
