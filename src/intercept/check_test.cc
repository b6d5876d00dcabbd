#include "intercept/check.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <initializer_list>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "intercept/show.h"
#include "intercept/test_pod.h"

namespace fairlead::intercept {
namespace {

using ::testing::AllOf;
using testing::check_in;
using ::testing::HasSubstr;
using testing::kernel_of;
using ::testing::Not;
using testing::Pod;
using testing::settings_with;
using testing::Verdicts;

Settings by_mark() {
  Settings settings;
  settings.exemption = Exemption::mark;
  return settings;
}

TEST(Check, ProvesTheRulesWithNoProxyThere) {
  const nft::testing::Wire wire;
  nft::Kernel kernel = kernel_of(wire, {});
  const Verdicts verdicts = check_in(wire, kernel);
  EXPECT_EQ(verdicts.failures, "");
  EXPECT_EQ(verdicts.agree, 6) << verdicts.all;
  EXPECT_THAT(verdicts.all,
              AllOf(HasSubstr("taken to port 15001, which learned 192.0.2.1:15002"),
                    HasSubstr("taken to port 15001, which learned [2001:db8::1]:15002"),
                    HasSubstr("taken to port 15006, which learned 10.244.1.11:15002"),
                    HasSubstr("taken to port 15006, which learned [fd44:1::11]:15002")));
}

TEST(Check, ProvesTheRulesBesideARunningProxy) {
  Pod pod({});  // listens on 15001 and 15006
  const Verdicts verdicts = check_in(pod.wire(), pod.kernel());
  EXPECT_EQ(verdicts.failures, "");
  EXPECT_THAT(verdicts.all, HasSubstr("answered; a proxy listens on port 15001"));
}

TEST(Check, WithoutARouteProvesWhatItCanOverLoopback) {
  const nft::testing::Wire wire;
  wire.pod.run("ip link set eth0 down");
  nft::Kernel kernel = kernel_of(wire, {});
  const Verdicts verdicts = check_in(wire, kernel);
  EXPECT_EQ(verdicts.failures, "");
  EXPECT_EQ(verdicts.agree, 1) << verdicts.all;
  EXPECT_THAT(verdicts.all, AllOf(HasSubstr("which learned 127.0.0.6:15002"),
                                  HasSubstr("could not be tried: Network is unreachable")));
}

TEST(Check, FindsThatSomeoneElseTakesTheConnections) {
  const nft::testing::Wire wire;
  nft::Kernel kernel = kernel_of(wire, {});
  const Result<> thief = kernel.commit(
      {.commands = {"table inet thief { chain output { type nat hook output priority -150; "
                    "meta l4proto tcp redirect to :9; }; }"}});
  ASSERT_TRUE(thief.ok()) << thief.fault().describe();
  const Verdicts verdicts = check_in(wire, kernel);
  EXPECT_THAT(verdicts.failures, HasSubstr("the app connects to 192.0.2.1:15002"));
}

TEST(Check, FindsRulesWhoseTailWentMissing) {
  const nft::testing::Wire wire;
  nft::Kernel kernel = kernel_of(wire, {});
  ASSERT_TRUE(
      kernel.commit({.commands = {"flush chain inet fairlead-capture redirect-inbound"}}).ok());
  EXPECT_THAT(check_in(wire, kernel).failures, HasSubstr("someone from outside"));
}

TEST(Check, FindsARuleThatLetsAllConnectionsGo) {
  const nft::testing::Wire wire;
  nft::Kernel kernel = kernel_of(wire, {});
  ASSERT_TRUE(
      kernel.commit({.commands = {"insert rule inet fairlead-capture outbound accept"}}).ok());
  EXPECT_THAT(check_in(wire, kernel).failures,
              AllOf(HasSubstr("the app connects to anywhere by IPv4: no destination is taken"),
                    HasSubstr("the app connects to anywhere by IPv6: no destination is taken")));
}

TEST(Check, WhatIsNotMeantToBeTakenIsNoFinding) {
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, const char*>>{
           {"istio-service-cidr", "10.0.0.0/8"},
           {"istio-service-cidr", "fd00::/8"},
           {"istio-service-cidr", ""},
           {"istio-outbound-owner-groups", "1000"}}) {
    const nft::testing::Wire wire;
    nft::Kernel kernel = kernel_of(wire, settings_with({{name, value}}));
    EXPECT_EQ(check_in(wire, kernel).failures, "") << name << ' ' << value;
  }
}

// ── a table that lost rules ─────────────────────────────────────────────────────────────────────

TEST(Check, FindsThatRulesAreMissing) {
  struct {
    const char* command;
    const char* finding;
  } const table[] = {
      {"flush table inet fairlead-capture", "chain output does not lead to chain outbound"},
      {"flush table inet fairlead-capture", "chain prerouting does not lead to chain inbound"},
      {"flush chain inet fairlead-capture output", "chain output does not lead to chain outbound"},
      {"flush chain inet fairlead-capture outbound", "chain outbound lacks its last rule"},
      {"flush chain inet fairlead-capture redirect-outbound",
       "chain redirect-outbound redirects to no port"},
      {"flush chain inet fairlead-capture prerouting",
       "chain prerouting does not lead to chain inbound"},
      {"flush chain inet fairlead-capture inbound", "chain inbound lacks its last rule"},
      {"delete chain inet fairlead-capture output",
       "there is no chain output that the kernel calls"},
  };
  for (const auto& row : table) {
    const nft::testing::Wire wire;
    nft::Kernel kernel = kernel_of(wire, {});
    ASSERT_TRUE(kernel.commit({.commands = {row.command}}).ok());
    const Verdicts verdicts = check_in(wire, kernel);
    EXPECT_THAT(verdicts.failures, HasSubstr(row.finding)) << row.command;
    EXPECT_FALSE(verdicts.judgement.proved) << row.command;
    EXPECT_THAT(verdicts.judgement.text, HasSubstr("rules are missing")) << row.command;
    EXPECT_THAT(verdicts.all, Not(HasSubstr("a rule before that one"))) << row.command;
  }
}

constexpr char both_families[] = "inet fairlead-capture";
constexpr char v4_alone[] = "ip fairlead-capture";

// By which the kernel knows the rule of the chain outbound that has this comment.
std::string handle_of(nft::Kernel& kernel, const std::string& table, const std::string& comment) {
  const std::string listed =
      *kernel.ask("list chain " + table + " outbound", nft::Kernel::Form::json);
  const std::string before = "\"handle\": ";
  const std::size_t rule = listed.find("\"comment\": \"" + comment);
  const std::size_t handle = listed.rfind(before, rule);
  if (rule == std::string::npos || handle == std::string::npos) throw std::runtime_error(listed);
  return std::to_string(std::stoi(listed.substr(handle + before.size())));
}

TEST(Check, FindsThatARuleWasTakenOutOfAChain) {
  struct {
    Settings settings;
    const char* table;
    const char* comment;
    const char* finding;
  } const table[] = {
      {settings_with({{"istio-service-cidr", ""}}), both_families, "all other outbound",
       "chain outbound lacks its last rule"},
      {settings_with({{"istio-service-exclude-cidr", "198.51.100.0/24,2001:db8:1::/48"}}),
       both_families, "outbound range excluded",
       "chain outbound: of the rules put in, number 13 is missing: ip daddr 198.51.100.0/24 "},
      {settings_with({{"dual-stack", "false"}, {"istio-service-exclude-cidr", "198.51.100.7"}}),
       v4_alone, "loopback: the app to itself",
       "chain outbound: of the rules put in, number 8 is missing: ip daddr 127.0.0.1 "},
      {by_mark(), both_families, "the app (not mark 0x539)",
       "chain outbound: of the rules put in, number 5 is missing: oifname \"lo\" meta mark != "},
  };
  for (const auto& row : table) {
    const nft::testing::Wire wire;
    nft::Kernel kernel = kernel_of(wire, row.settings);
    const Verdicts before = check_in(wire, kernel);
    EXPECT_TRUE(before.judgement.proved) << before.all;
    const std::string handle = handle_of(kernel, row.table, row.comment);
    ASSERT_TRUE(kernel
                    .commit({.commands = {fmt::format("delete rule {} outbound handle {}",
                                                      row.table, handle)}})
                    .ok());
    const Verdicts after = check_in(wire, kernel);
    EXPECT_THAT(after.failures, HasSubstr(row.finding));
    EXPECT_FALSE(after.judgement.proved) << row.comment;
  }
}

TEST(Check, FindsARuleThatWasAddedOrChanged) {
  struct {
    const char* command;
    const char* finding;
  } const table[] = {
      {"add rule inet fairlead-capture outbound position {} ip daddr 203.0.113.0/24 return",
       "chain outbound: rule 10 was added: ip daddr 203.0.113.0/24 return"},
      {"insert rule inet fairlead-capture outbound position {} tcp dport {{ 22, 23 }} return",
       "chain outbound: rule 9 was added: tcp dport { 22, 23 } return"},
      {"replace rule inet fairlead-capture outbound handle {} meta skgid 1338 counter return",
       "chain outbound: rule 9 was changed: it is meta skgid 1338 counter return, and was "
       "oifname "},
      {"add chain inet fairlead-capture more # {}", "chain more was added"},
      {"add set inet fairlead-capture more {{ type mark; }} # {}", "set more was added"},
  };
  for (const auto& row : table) {
    const nft::testing::Wire wire;
    nft::Kernel kernel = kernel_of(wire, {});
    const std::string handle = handle_of(kernel, both_families, "the app (not gid 1337)");
    const Result<> done =
        kernel.commit({.commands = {fmt::format(fmt::runtime(row.command), handle)}});
    ASSERT_TRUE(done.ok()) << done.fault().describe();
    const Verdicts verdicts = check_in(wire, kernel);
    EXPECT_THAT(verdicts.failures, HasSubstr(row.finding)) << row.command;
    EXPECT_FALSE(verdicts.judgement.proved) << row.command;
  }
}

TEST(Check, TheCommandThatPutsATableBackHasTheFlagsOfIt) {
  const nft::testing::Wire wire;
  nft::Kernel kernel = kernel_of(
      wire, settings_with({{"envoy-port", "15101"}, {"istio-exclude-interfaces", "net*"}}));
  ASSERT_TRUE(kernel.commit({.commands = {"flush chain inet fairlead-capture outbound"}}).ok());
  const char* command =
      "put it back, in this network namespace, with: fairlead intercept apply --envoy-port=15101 "
      "'--istio-exclude-interfaces=net*'\n";
  EXPECT_THAT(check_in(wire, kernel).failures, HasSubstr(command));
  EXPECT_THAT(show((*installed(kernel))->table, {}), HasSubstr(command));
}

// As fairlead made them before it put the settings into the table.
TEST(Check, ATableOfAnotherVersionIsSaidToBeSo) {
  const nft::testing::Wire wire;
  nft::Kernel kernel = kernel_of(wire, {});
  EXPECT_THAT(show((*installed(kernel))->table, {}), Not(HasSubstr("put it back")));
  ASSERT_TRUE(kernel.commit({.commands = {"delete set inet fairlead-capture settings"}}).ok());
  const char* said = "the table was made by another version of fairlead, or by hand: ";
  const char* advice =
      "put it back, in this network namespace, with: fairlead intercept apply, with the flags that "
      "the table was made with\n";
  const Verdicts verdicts = check_in(wire, kernel);
  EXPECT_THAT(verdicts.failures, AllOf(HasSubstr(said), HasSubstr(advice)));
  EXPECT_FALSE(verdicts.judgement.proved);
  EXPECT_THAT(verdicts.judgement.text,
              AllOf(HasSubstr("it is not known whether capture is in force as it was put in"),
                    HasSubstr(said), Not(HasSubstr("rules are missing"))));
  EXPECT_THAT(show((*installed(kernel))->table, {}), AllOf(HasSubstr(said), HasSubstr(advice)));
}

TEST(Check, NothingCapturedIsNoFindingWhenNothingWasAskedFor) {
  for (const auto& settings :
       {settings_with({{"istio-service-cidr", ""}, {"istio-inbound-ports", ""}}),
        settings_with({{"istio-outbound-owner-groups", ""}, {"istio-inbound-ports", ""}})}) {
    const nft::testing::Wire wire;
    nft::Kernel kernel = kernel_of(wire, settings);
    const Verdicts verdicts = check_in(wire, kernel);
    EXPECT_EQ(verdicts.failures, "");
    EXPECT_TRUE(verdicts.judgement.proved);
    EXPECT_THAT(verdicts.judgement.text, HasSubstr("nothing is captured, as was asked"));
  }
}

// ── interfaces ──────────────────────────────────────────────────────────────────────────────────

TEST(Check, AnExcludedInterfaceIsNoFinding) {
  for (const char* excluded : {"eth0", "eth*", "other0", "lo"}) {
    const nft::testing::Wire wire;
    nft::Kernel kernel = kernel_of(wire, settings_with({{"istio-exclude-interfaces", excluded}}));
    const Verdicts verdicts = check_in(wire, kernel);
    EXPECT_EQ(verdicts.failures, "") << excluded;
    EXPECT_TRUE(verdicts.judgement.proved) << excluded;
    EXPECT_THAT(verdicts.judgement.text, HasSubstr(std::string("not by ") + excluded));
    if (std::string(excluded).starts_with("eth")) {
      EXPECT_THAT(verdicts.all, AllOf(HasSubstr("not taken: it leaves by eth0, which is excluded"),
                                      HasSubstr("but not by the excluded eth0")));
    }
  }
}

TEST(Check, TheInterfaceIsThatOfTheRoute) {
  const nft::testing::Wire wire;
  wire.pod.run("ip link set eth0 down");
  wire.pod.run("ip link set eth0 name net7");
  wire.pod.run("ip link set net7 up");
  wire.pod.run("ip route replace default dev net7");
  nft::Kernel kernel = kernel_of(wire, settings_with({{"istio-exclude-interfaces", "net7"}}));
  const Verdicts verdicts = check_in(wire, kernel);
  EXPECT_EQ(verdicts.failures, "");
  EXPECT_THAT(verdicts.all, HasSubstr("it leaves by net7, which is excluded"));
}

// ── what cannot be tried ────────────────────────────────────────────────────────────────────────

TEST(Check, TheVerdictSaysHowMuchWasTriedAndWhyNotMore) {
  const nft::testing::Wire wire;
  wire.pod.run("ip link set eth0 down");
  nft::Kernel kernel = kernel_of(wire, {});
  const Judgement judgement = check_in(wire, kernel).judgement;
  EXPECT_TRUE(judgement.proved);
  EXPECT_THAT(judgement.text, HasSubstr("as far as it could be tried: 1 of 5 connections (the "
                                        "others: Network is unreachable)"));
}

// Takes from the calling thread all but what an init container for capture has.
void keep_the_capabilities_of_an_init_container() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
  data[0].effective = data[0].permitted = 1U << CAP_NET_ADMIN | 1U << CAP_NET_RAW;
  if (::syscall(SYS_capset, &header, data) != 0) throw std::runtime_error("capset");
}

Verdicts check_as_an_init_container(const Settings& settings) {
  const nft::testing::Wire wire;
  nft::Kernel kernel = kernel_of(wire, settings);
  return wire.pod.in([&] {
    Verdicts verdicts;
    // A thread of its own: what it gives up is not given back.
    std::thread([&] {
      const auto found = installed(kernel);
      keep_the_capabilities_of_an_init_container();
      const std::vector<Probe> probes = check((*found)->table);
      for (const Probe& probe : probes) verdicts.all += probe.what + ": " + probe.observed + "\n";
      verdicts.judgement = judge(probes, (*found)->table);
    }).join();
    return verdicts;
  });
}

TEST(Check, WithoutTheRightToBeTheProxyItsConnectionsAreNotTried) {
  const Verdicts verdicts = check_as_an_init_container({});
  EXPECT_TRUE(verdicts.judgement.proved) << verdicts.all;
  EXPECT_THAT(verdicts.judgement.text,
              HasSubstr("2 of 6 connections (the others: this process may not act as user 1337 (it "
                        "lacks CAP_SETUID))"));
  EXPECT_THAT(verdicts.all, HasSubstr("the proxy connects to 192.0.2.1:15002: could not be tried"));
}

TEST(Check, WithoutTheRightToBeTheProxyItsMarkWillDo) {
  const Verdicts verdicts = check_as_an_init_container(by_mark());
  EXPECT_TRUE(verdicts.judgement.proved) << verdicts.all;
  EXPECT_THAT(verdicts.judgement.text, Not(HasSubstr("as far as"))) << verdicts.all;
}

}  // namespace
}  // namespace fairlead::intercept
