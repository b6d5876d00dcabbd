#include "intercept/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <random>

#include "intercept/test_pod.h"

namespace fairlead::intercept {
namespace {

using nft::testing::Landing;
using testing::Connection;
using testing::Pod;
using testing::settings_with;
using testing::traced;

// ── what the rules say: today's order beside that of Istio 0.7.1 ────────────────────────────────

struct Row {
  Connection connection;
  const char* today;  // the port it is taken to; "-" left alone
  const char* of_0_7_1;
};

TEST(CaptureRules, TodayBesideIstio071) {
  const Row table[] = {
      {{"app", "10.96.0.12:9080"}, "15001", "15001"},
      {{"app", "203.0.113.5:443"}, "15001", "15001"},
      {{"app", "[fd96::c]:9080"}, "15001", "-"},  // IPv6 was not captured at all
      {{"proxy", "10.96.0.12:9080"}, "-", "-"},
      {{"proxy", "[fd96::c]:9080"}, "-", "-"},
      {{"proxy group", "10.96.0.12:9080"}, "-", "15001"},  // groups were not known
      {{"app", "127.0.0.1:9080"}, "-", "-"},
      {{"app", "[::1]:9080"}, "-", "-"},
      {{"app", "10.244.1.11:9080"}, "-", "15001"},        // the app to its own pod
      {{"app", "127.0.0.2:9080"}, "-", "15001"},          //
      {{"proxy", "10.244.1.11:9080"}, "15006", "15001"},  // its own pod: now the inbound side
      {{"proxy", "10.244.1.11:15008"}, "-", "15001"},
      {{"proxy", "10.244.1.11:9080", "127.0.0.6"}, "-", "15001"},  // handed over to the app
      {{"proxy", "[fd44:1::11]:9080", "::6"}, "-", "-"},
      {{"outside", "10.244.1.11:9080"}, "15006", "15001"},  // one port for both directions
      {{"outside", "[fd44:1::11]:9080"}, "15006", "-"},
      {{"outside", "10.244.1.11:15020"}, "-", "15001"},  // no port was excluded
      {{"outside", "10.244.1.11:15021"}, "-", "15001"},
      {{"outside", "10.244.1.11:15090"}, "-", "15001"},
      {{"outside", "10.244.1.11:15008"}, "-", "15001"},
      {{"outside", "10.244.1.11:22"}, "15006", "15001"},
  };
  const Settings settings;
  const nft::Ruleset today = capture_rules(settings);
  const nft::Ruleset then = capture_rules_of_istio_0_7_1(settings);
  EXPECT_TRUE(nft::check(today).ok());
  EXPECT_TRUE(nft::check(then).ok());
  for (const Row& row : table) {
    const std::string name = std::string(row.connection.from) + " to " + row.connection.to;
    EXPECT_EQ(traced(today, row.connection, settings), row.today) << name;
    EXPECT_EQ(traced(then, row.connection, settings), row.of_0_7_1) << name;
  }
}

TEST(CaptureRules, SettingsNarrowWhatIsTaken) {
  struct {
    std::initializer_list<std::pair<std::string, std::string>> flags;
    Connection connection;
    const char* taken;
  } const table[] = {
      {{{"istio-service-cidr", "10.96.0.0/16"}}, {"app", "10.96.0.12:80"}, "15001"},
      {{{"istio-service-cidr", "10.96.0.0/16"}}, {"app", "203.0.113.5:80"}, "-"},
      {{{"istio-service-cidr", "10.96.0.0/16,fd96::/108"}}, {"app", "[fd96::c]:80"}, "15001"},
      {{{"istio-service-cidr", ""}, {"istio-outbound-ports", "80"}},
       {"app", "1.2.3.4:80"},
       "15001"},
      {{{"istio-service-cidr", ""}, {"istio-outbound-ports", "80"}}, {"app", "1.2.3.4:81"}, "-"},
      {{{"istio-service-exclude-cidr", "10.96.0.0/24"}}, {"app", "10.96.0.12:80"}, "-"},
      {{{"istio-service-exclude-cidr", "10.96.0.0/24"}}, {"app", "10.96.1.12:80"}, "15001"},
      {{{"istio-local-outbound-ports-exclude", "5432"}}, {"app", "10.96.0.12:5432"}, "-"},
      {{{"istio-inbound-ports", "80,81"}}, {"outside", "10.244.1.11:81"}, "15006"},
      {{{"istio-inbound-ports", "80,81"}}, {"outside", "10.244.1.11:82"}, "-"},
      {{{"istio-inbound-ports", ""}}, {"outside", "10.244.1.11:80"}, "-"},
      {{{"istio-inbound-ports", ""}}, {"app", "10.96.0.12:80"}, "15001"},
      {{{"istio-local-exclude-ports", "22"}}, {"outside", "10.244.1.11:22"}, "-"},
      {{{"istio-local-exclude-ports", "22"}}, {"outside", "10.244.1.11:15090"}, "15006"},
      {{{"istio-exclude-interfaces", "eth0"}}, {"app", "10.96.0.12:80"}, "-"},
      {{{"istio-exclude-interfaces", "eth0"}}, {"outside", "10.244.1.11:80"}, "-"},
      {{{"istio-exclude-interfaces", "eth*"}}, {"app", "10.96.0.12:80"}, "-"},
      {{{"istio-exclude-interfaces", "docker0,eth+"}}, {"app", "10.96.0.12:80"}, "-"},
      {{{"istio-exclude-interfaces", "et"}}, {"app", "10.96.0.12:80"}, "15001"},
      {{{"dual-stack", "false"}}, {"app", "[fd96::c]:80"}, "-"},
      {{{"dual-stack", "F"}}, {"app", "[fd96::c]:80"}, "-"},
      {{{"dual-stack", "false"}}, {"app", "10.96.0.12:80"}, "15001"},
      {{{"proxy-uid", "7"}}, {"proxy", "10.96.0.12:80"}, "15001"},
      {{{"proxy-uid", "7,1337"}}, {"proxy", "10.96.0.12:80"}, "-"},
      {{{"istio-outbound-owner-groups", "5,6"}}, {"app", "10.96.0.12:80"}, "-"},
      {{{"istio-outbound-owner-groups", ""}}, {"app", "10.96.0.12:80"}, "-"},
      {{{"istio-outbound-owner-groups", ""}}, {"outside", "10.244.1.11:80"}, "15006"},
      {{{"istio-outbound-owner-groups-exclude", "1000"}}, {"app", "10.96.0.12:80"}, "-"},
      {{{"istio-outbound-ipv4-loopback-cidr", "127.0.0.0/8"}}, {"proxy", "127.0.0.9:80"}, "-"},
  };
  for (const auto& row : table) {
    const Settings settings = settings_with(row.flags);
    EXPECT_EQ(traced(capture_rules(settings), row.connection, settings), row.taken)
        << row.flags.begin()->first << "=" << row.flags.begin()->second << ": "
        << row.connection.from << " to " << row.connection.to;
  }
}

TEST(CaptureSettings, RefusesWhatCannotBeWithAReason) {
  const auto refusal = [](const char* name, const char* value) -> std::string {
    Settings settings;
    for (const Option& option : options()) {
      if (option.name != std::string(name)) continue;
      const Result<> set = option.set(settings, value);
      return set.ok() ? "" : set.fault().message;
    }
    return "no such option";
  };
  EXPECT_THAT(refusal("istio-inbound-interception-mode", "TPROXY"),
              ::testing::HasSubstr("TPROXY is not built"));
  EXPECT_THAT(refusal("istio-inbound-interception-mode", "magic"),
              ::testing::HasSubstr("REDIRECT is expected"));
  EXPECT_THAT(refusal("envoy-port", "0"), ::testing::HasSubstr("from 1 to 65535"));
  EXPECT_THAT(refusal("envoy-port", "99999"), ::testing::HasSubstr("'99999'"));
  EXPECT_THAT(refusal("istio-inbound-ports", "80 81"), ::testing::HasSubstr("'80 81' is not"));
  EXPECT_THAT(refusal("proxy-uid", "bob"), ::testing::HasSubstr("id -u"));
  EXPECT_THAT(refusal("istio-service-cidr", "10.0.0.0/99"), ::testing::HasSubstr("0 to 32"));
  EXPECT_THAT(refusal("redirect-dns", "true"), ::testing::HasSubstr("DNS"));
  EXPECT_EQ(refusal("redirect-dns", "false"), "");
  for (const char* word : {"1", "t", "T", "true", "TRUE", "True", "0", "f", "F", "FALSE"}) {
    EXPECT_EQ(refusal("dual-stack", word), "") << word;
  }
  EXPECT_THAT(refusal("dual-stack", "yes"), ::testing::HasSubstr("neither true nor false"));
  EXPECT_EQ(refusal("istio-inbound-interception-mode", "REDIRECT"), "");

  EXPECT_FALSE(check(settings_with({{"envoy-port", "15006"}})).ok());
  EXPECT_FALSE(check(settings_with({{"proxy-uid", ""}})).ok());
  EXPECT_FALSE(check(settings_with({{"istio-exclude-interfaces", "a\"b"}})).ok());
  EXPECT_FALSE(check(settings_with({{"istio-exclude-interfaces", "e*h0"}})).ok());
  EXPECT_FALSE(check(settings_with({{"istio-exclude-interfaces", "e th0"}})).ok());
  EXPECT_FALSE(check(settings_with({{"inbound-tunnel-port", "15001"}})).ok());
  EXPECT_THAT(check(settings_with({{"istio-exclude-interfaces", "*"}})).fault().message,
              ::testing::HasSubstr("every interface"));
  EXPECT_TRUE(check(settings_with({{"istio-exclude-interfaces", "eth*,lo"}})).ok());
  EXPECT_TRUE(check(Settings{}).ok());
}

TEST(CaptureSettings, SpacesAroundThePartsOfAListMeanNothing) {
  EXPECT_EQ(settings_with({{"istio-inbound-ports", " 80 , 81,, "}}),
            settings_with({{"istio-inbound-ports", "80,81"}}));
}

// ── what the kernel does: the same ──────────────────────────────────────────────────────────────

TEST(CaptureInTheKernel, LandsWhereTheTraceSaysAndKeepsTheOriginalDestination) {
  const Connection table[] = {
      {"app", "10.96.0.12:9080"},
      {"app", "[fd96::c]:9080"},
      {"app", "203.0.113.5:443"},
      {"app", "203.0.113.5:1"},
      {"proxy", "10.96.0.12:9080"},
      {"proxy", "[fd96::c]:9080"},
      {"proxy", "203.0.113.5:1"},
      {"proxy group", "10.96.0.12:9080"},
      {"app", "127.0.0.1:9080"},
      {"app", "[::1]:9080"},
      {"app", "127.0.0.1:1"},
      {"app", "10.244.1.11:9080"},
      {"app", "[fd44:1::11]:9080"},
      {"app", "127.0.0.6:22"},
      {"proxy", "10.244.1.11:9080"},
      {"proxy", "[fd44:1::11]:9080"},
      {"proxy", "10.244.1.11:15008"},
      {"proxy", "127.0.0.1:9080"},
      {"proxy", "127.0.0.6:15002"},
      {"proxy", "[::1]:9080"},
      {"outside", "10.244.1.11:9080"},
      {"outside", "[fd44:1::11]:9080"},
      {"outside", "10.244.1.11:15020"},
      {"outside", "[fd44:1::11]:15021"},
      {"outside", "10.244.1.11:15090"},
      {"outside", "10.244.1.11:15008"},
      {"outside", "10.244.1.11:22"},
      {"outside", "10.244.1.11:4444"},
      {"proxy", "10.244.1.11:9080", "127.0.0.6"},
      {"proxy", "[fd44:1::11]:9080", "::6"},
  };
  Pod pod({});
  for (const Connection& connection : table) {
    const std::string name = std::string(connection.from) + " to " + connection.to;
    const Landing landing = pod.connect(connection);
    EXPECT_EQ(landing.place, pod.expected(connection)) << name;
    const bool taken = landing.place == "pod:15001" || landing.place == "pod:15006";
    if (taken) {
      EXPECT_EQ(landing.original.text(), connection.to) << name;
    }
  }
}

TEST(CaptureInTheKernel, TheServerSeesTheClientsAddress) {
  Pod pod({});
  const Landing landing = pod.connect({"outside", "10.244.1.11:9080"});
  EXPECT_EQ(landing.place, "pod:15006");
  EXPECT_EQ(landing.peer.ip.text(), "10.244.1.1");
}

TEST(CaptureInTheKernel, ByMarkItIsTheSame) {
  Settings settings;
  settings.exemption = Exemption::mark;
  Pod pod(settings);
  for (const Connection& connection :
       {Connection{"app", "10.96.0.12:9080"}, Connection{"proxy", "10.96.0.12:9080"},
        Connection{"proxy", "10.244.1.11:9080"}, Connection{"app", "10.244.1.11:9080"},
        Connection{"proxy", "[fd96::c]:9080"}, Connection{"app", "[fd96::c]:9080"}}) {
    EXPECT_EQ(pod.connect(connection).place, pod.expected(connection))
        << connection.from << " to " << connection.to;
  }
}

// Many settings, many packets: the trace and the kernel agree.
TEST(CaptureInTheKernel, AgreesWithTheTraceForRandomSettingsAndPackets) {
  std::mt19937 random(20);  // NOLINT: the same run each time
  const auto pick = [&](auto&& all) {
    return all[std::uniform_int_distribution<std::size_t>(0, std::size(all) - 1)(random)];
  };
  const char* ranges[] = {"*", "10.96.0.0/16", "fd96::/108,203.0.113.0/24", "",
                          "127.0.0.0/8,203.0.113.0/24"};
  const char* port_lists[] = {"", "9080", "80,9080", "15008"};
  const char* inbound[] = {"*", "", "9080", "22,15020"};
  const char* from[] = {"app", "proxy", "proxy group", "outside"};
  const char* v4[] = {"10.96.0.12", "203.0.113.5", "127.0.0.1", "127.0.0.6", "10.244.1.11"};
  const char* v6[] = {"[fd96::c]", "[fd44:2::1]", "[::1]", "[fd44:1::11]"};
  const char* ports[] = {"9080", "80", "15008", "15020", "22", "1"};
  for (int round = 0; round < 12; ++round) {
    Settings settings =
        settings_with({{"istio-service-cidr", pick(ranges)},
                       {"istio-service-exclude-cidr", pick(std::array{"", "10.96.0.0/28"})},
                       {"istio-outbound-ports", pick(port_lists)},
                       {"istio-local-outbound-ports-exclude", pick(port_lists)},
                       {"istio-inbound-ports", pick(inbound)},
                       {"istio-local-exclude-ports", pick(port_lists)},
                       {"dual-stack", pick(std::array{"true", "true", "false"})}});
    if (round % 4 == 3) settings.exemption = Exemption::mark;
    Pod pod(settings);
    for (int i = 0; i < 40; ++i) {
      const char* who = pick(from);
      const bool outside = std::string(who) == "outside";
      std::string to = std::string(outside ? "10.244.1.11" : pick(v4)) + ":" + pick(ports);
      if (i % 3 == 0) to = std::string(outside ? "[fd44:1::11]" : pick(v6)) + ":" + pick(ports);
      const Connection connection{who, to.c_str()};
      EXPECT_EQ(pod.connect(connection).place, pod.expected(connection))
          << "round " << round << ": " << who << " to " << to;
    }
  }
}

}  // namespace
}  // namespace fairlead::intercept
