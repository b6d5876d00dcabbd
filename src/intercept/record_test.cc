#include "intercept/record.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "intercept/test_pod.h"
#include "nft/render.h"

namespace fairlead::intercept {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kernel_of;
using testing::settings_with;
using ::testing::StartsWith;

std::string many_ranges() {
  std::string list = "10.0.0.0/16";
  for (int i = 1; i < 40; ++i) list += fmt::format(",10.{}.0.0/16,2001:db8:{:x}::/48", i, i);
  return list;
}

// Lists out of order and with doubles, the widest ranges, more words than one comment holds.
std::vector<Settings> odd_settings() {
  std::vector<Settings> all{
      {},
      settings_with({{"envoy-port", "1"}, {"inbound-capture-port", "2"}, {"dual-stack", "f"}}),
      settings_with({{"proxy-uid", "7,0"}}),
      settings_with({{"proxy-uid", "7"}, {"proxy-gid", ""}}),
      settings_with({{"proxy-gid", "4294967294,8"}, {"inbound-tunnel-port", "9"}}),
      settings_with({{"istio-inbound-ports", "81,80,81,79"}, {"istio-service-cidr", ""}}),
      settings_with({{"istio-inbound-ports", ""}, {"istio-outbound-ports", "9080,80,80"}}),
      settings_with({{"istio-local-exclude-ports", ""},
                     {"istio-local-outbound-ports-exclude", "65535,1,22"},
                     {"istio-outbound-ipv4-loopback-cidr", "127.0.0.0/8"}}),
      settings_with({{"istio-service-cidr", "0.0.0.0/0,::/0,10.1.2.3,127.0.0.0/8"},
                     {"istio-service-exclude-cidr", "fd00::1,0.0.0.0/1"}}),
      settings_with({{"istio-exclude-interfaces", "eth+,lo,a.b-c"},
                     {"istio-outbound-owner-groups", "1000,5,5"},
                     {"istio-outbound-owner-groups-exclude", "3,2,0"}}),
      settings_with({{"istio-outbound-owner-groups", ""}}),
      settings_with({{"istio-service-exclude-cidr", many_ranges()}}),
      settings_with({{"istio-service-exclude-cidr", many_ranges()}, {"dual-stack", "false"}}),
  };
  for (std::size_t i = all.size(); i-- > 0;) {
    all.push_back(all[i]);
    all.back().exemption = Exemption::mark;
  }
  return all;
}

TEST(Record, SettingsBecomeWordsAndComeBack) {
  for (const Settings& settings : odd_settings()) {
    const std::string words = words_of(settings);
    const Result<Settings> back = settings_from_words(words);
    ASSERT_TRUE(back.ok()) << words << back.fault().describe();
    EXPECT_EQ(*back, settings) << words;
  }
  EXPECT_EQ(words_of({}), "");
  EXPECT_EQ(words_of(settings_with({{"proxy-uid", "7"}, {"istio-inbound-ports", "80,81"}})),
            "--proxy-uid=7 --istio-inbound-ports=80,81 ");
  EXPECT_THAT(settings_from_words("--no-such=1").fault().message, HasSubstr("'--no-such=1'"));
}

TEST(Record, TakesWordsOfAnyLength) {
  Settings unchecked;
  unchecked.interfaces_excluded = {std::string(300, 'e')};
  EXPECT_EQ(record_of(unchecked).elements.size(), 3);
  EXPECT_THAT(changes(capture_rules(unchecked).tables.front(), unchecked), IsEmpty());
}

TEST(Record, WhatTheKernelKeepsIsNoChange) {
  const nft::testing::Wire wire;
  for (const Settings& settings : odd_settings()) {
    nft::Kernel kernel = kernel_of(wire, settings);
    const auto found = wire.pod.in([&] { return installed(kernel); });
    ASSERT_TRUE(found.ok()) << words_of(settings) << found.fault().describe();
    const nft::Table& table = (*found)->table;
    EXPECT_EQ(*recorded(table.set(record_name)), settings) << words_of(settings);
    EXPECT_THAT(changes(table, settings), IsEmpty()) << words_of(settings);
  }
}

TEST(Record, ACommandIsWhatAShellTakes) {
  EXPECT_EQ(command_of({}), "fairlead intercept apply");
  Settings settings = settings_with({{"envoy-port", "15101"},
                                     {"istio-inbound-ports", ""},
                                     {"istio-service-cidr", "10.0.0.0/8,fd00::/8"},
                                     {"istio-exclude-interfaces", "eth*,it's,$x"}});
  settings.exemption = Exemption::mark;
  EXPECT_EQ(command_of(settings),
            "fairlead intercept apply --envoy-port=15101 --istio-inbound-ports= "
            "--istio-service-cidr=10.0.0.0/8,fd00::/8 "
            "'--istio-exclude-interfaces=eth*,it'\\''s,$x' --exemption=mark");
}

TEST(Record, WhatPutsATableBackRepeatsItsFlags) {
  const nft::Set record = record_of(settings_with({{"envoy-port", "15101"}}));
  EXPECT_EQ(remedy(&record), "fairlead intercept apply --envoy-port=15101");
}

TEST(Record, ATableOfAnotherVersionIsSaidToBeSo) {
  nft::Set newer = record_of({});
  newer.elements.insert({{1U}, "--flag-of-tomorrow=1 "});
  EXPECT_EQ(recorded(&newer).fault().message,
            "the table was made by another version of fairlead, or by hand: "
            "'--flag-of-tomorrow=1' is no setting");
  EXPECT_THAT(recorded(nullptr).fault().message,
              StartsWith("the table was made by another version of fairlead, or by hand: "));
  for (const nft::Set* record : {static_cast<const nft::Set*>(nullptr), &std::as_const(newer)}) {
    EXPECT_EQ(remedy(record),
              "fairlead intercept apply, with the flags that the table was made with");
  }
}

// What `changes` says after `change` was done to the chain outbound of the defaults.
template <class Change>
std::vector<std::string> after(Change change) {
  nft::Table table = capture_rules({}).tables.front();
  const auto outbound = std::find_if(table.chains.begin(), table.chains.end(),
                                     [](const nft::Chain& one) { return one.name == "outbound"; });
  change(outbound->rules);
  return changes(table, {});
}

TEST(Changes, EachIsToldWithItsRuleAndNoOtherIs) {
  using Rules = std::vector<nft::Rule>;
  EXPECT_THAT(after([](Rules&) {}), IsEmpty());
  EXPECT_THAT(after([](Rules& rules) { rules[3].comment = "another"; }), IsEmpty());
  EXPECT_THAT(after([](Rules& rules) { rules.erase(rules.begin() + 5); }),
              ElementsAre(HasSubstr("number 6 is missing: meta skuid 1337 counter return")));
  EXPECT_THAT(after([](Rules& rules) { rules.insert(rules.begin(), rules.back()); }),
              ElementsAre(StartsWith("chain outbound: rule 1 was added: meta l4proto tcp")));
  EXPECT_THAT(after([](Rules& rules) { rules.push_back(rules.front()); }),
              ElementsAre(StartsWith("chain outbound: rule 14 was added: ip saddr 127.0.0.6")));
  EXPECT_THAT(after([](Rules& rules) { rules[12] = rules[11]; }),
              ElementsAre(StartsWith("chain outbound: rule 13 was changed: it is ip6 daddr ::1 ")));
  EXPECT_THAT(after([](Rules& rules) { std::swap(rules[10], rules[12]); }),
              ElementsAre(StartsWith("chain outbound: rule 11 was changed: it is meta l4proto tcp"),
                          StartsWith("chain outbound: rule 13 was changed: it is ip daddr ")));
  EXPECT_THAT(after([](Rules& rules) { rules.clear(); }),
              ElementsAre("chain outbound lost all its 13 rules"));
}

TEST(Changes, AreAlsoWhatStandsBesideTheChains) {
  nft::Table table = capture_rules({}).tables.front();
  table.sets.push_back({.name = "ports"});
  table.maps.push_back({.name = "places"});
  table.counters.push_back({.name = "all"});
  EXPECT_THAT(changes(table, {}),
              ElementsAre("set ports was added", "map places was added", "counter all was added"));
}

TEST(Changes, OfChains) {
  nft::Table table = capture_rules({}).tables.front();
  table.chains.front().base = nft::Base{};
  table.chains.back().name = "other";
  EXPECT_THAT(changes(table, {}),
              ElementsAre("chain redirect-outbound was made anew: the kernel calls it otherwise",
                          "chain output is missing", "chain other was added"));
}

}  // namespace
}  // namespace fairlead::intercept
