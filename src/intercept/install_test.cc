#include "intercept/install.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <thread>

#include "intercept/meaning.h"
#include "intercept/show.h"
#include "intercept/test_pod.h"
#include "nft/diff.h"
#include "nft/render.h"

namespace fairlead::intercept {
namespace {

using ::testing::AllOf;
using testing::check_in;
using ::testing::HasSubstr;
using testing::kernel_of;
using testing::Pod;
using ::testing::StartsWith;
using testing::Verdicts;

std::optional<Installed> installed_in(Pod& pod) {
  Result<std::optional<Installed>> found = installed(pod.kernel());
  if (!found) throw std::runtime_error(found.fault().describe());
  return *std::move(found);
}

// Without what nft's listing does not tell.
nft::Table without_chain_comments(nft::Table table) {
  table.comment.clear();
  for (nft::Chain& chain : table.chains) chain.comment.clear();
  return table;
}

TEST(Install, WhatIsReadBackIsWhatWasMeant) {
  for (const Settings& settings :
       {Settings{},
        testing::settings_with({{"istio-service-cidr", "10.0.0.0/8,fd00::/8"},
                                {"istio-inbound-ports", "80,81"},
                                {"istio-exclude-interfaces", "docker0"}}),
        testing::settings_with({{"dual-stack", "false"}})}) {
    Pod pod(settings);
    EXPECT_EQ(
        nft::render(nft::Ruleset{{installed_in(pod)->table}}),
        nft::render(nft::Ruleset{{without_chain_comments(capture_rules(settings).tables[0])}}));
  }
}

TEST(Install, MayBeRunAgainWithOtherSettings) {
  Pod pod({});
  const Settings v4_alone = testing::settings_with({{"dual-stack", "false"}});
  const Result<> again = pod.wire().pod.in([&] { return apply(pod.kernel(), v4_alone); });
  ASSERT_TRUE(again.ok()) << again.fault().describe();
  EXPECT_FALSE(*nft::exists(pod.kernel(), nft::TableFamily::inet, table_name));
  EXPECT_TRUE(*nft::exists(pod.kernel(), nft::TableFamily::ip, table_name));
}

TEST(Install, ADormantTableIsToldInASentenceAndMayBeReplacedOrRemoved) {
  const nft::testing::Wire wire;
  for (const char* dual_stack : {"true", "false"}) {
    const Settings settings = testing::settings_with({{"dual-stack", dual_stack}});
    nft::Kernel kernel = kernel_of(wire, settings);
    const std::string family = settings.dual_stack ? "inet" : "ip";
    const auto put_to_sleep = [&] {
      return kernel
          .commit({.commands = {"add table " + family + " fairlead-capture { flags dormant; }"}})
          .ok();
    };
    ASSERT_TRUE(put_to_sleep());
    const auto found = installed(kernel);
    ASSERT_FALSE(found.ok());
    EXPECT_THAT(found.fault().message, HasSubstr("capture is switched off: the table " + family +
                                                 " fairlead-capture is dormant"));
    ASSERT_TRUE(wire.pod.in([&] { return apply(kernel, settings); }).ok());
    EXPECT_EQ(check_in(wire, kernel).failures, "");
    ASSERT_TRUE(put_to_sleep());
    EXPECT_TRUE(*wire.pod.in([&] { return remove(kernel); }));
  }
}

TEST(Install, ReplacingNeverLeavesAMomentUncaptured) {
  Pod pod({});
  std::atomic<bool> done = false;
  std::atomic<int> times = 0;
  std::string refused;
  std::thread replacing([&] {
    pod.wire().pod.in([&] {
      for (; !done && refused.empty(); ++times) {
        const Result<> applied = apply(pod.kernel(), {});
        if (!applied) refused = applied.fault().describe();
      }
    });
  });
  std::map<std::string, int> landings;
  int connections = 0;
  // However the two threads take turns on a busy machine.
  for (; connections < 1500 || (times < 20 && connections < 100'000); ++connections) {
    ++landings[pod.connect({"app", "10.96.0.12:9080"}).place];
  }
  done = true;
  replacing.join();
  EXPECT_EQ(refused, "");
  EXPECT_GE(times, 20);
  EXPECT_EQ(landings, (std::map<std::string, int>{{"pod:15001", connections}}));
}

TEST(Install, RemoveLeavesNothing) {
  Pod pod({});
  EXPECT_TRUE(*pod.wire().pod.in([&] { return remove(pod.kernel()); }));
  EXPECT_EQ(*pod.kernel().ask("list ruleset"), "");
  EXPECT_FALSE(installed_in(pod).has_value());
  EXPECT_EQ(pod.connect({"app", "10.96.0.12:9080"}).place, "peer:9080");
  const int handover =
      pod.wire().pod.in([] { return std::system("ip -6 addr show dev lo | grep -q ' ::6/128'"); });
  EXPECT_NE(handover, 0) << "::6 is still on lo";
  EXPECT_FALSE(*pod.wire().pod.in([&] { return remove(pod.kernel()); }));
}

TEST(Install, WhatCannotBeReadIsNamedWithTheCommandThatPutsItBack) {
  struct {
    const char* command;
    const char* said;
  } const table[] = {
      {"add rule inet fairlead-capture outbound meta skuid 5 log prefix \"x\" counter accept",
       "the table inet fairlead-capture holds what fairlead does not make: a rule in the chain "
       "outbound: meta skuid 5 log prefix \"x\" counter packets 0 bytes 0 accept (put the table "
       "back, in this network namespace, with: fairlead intercept apply --envoy-port=15101)"},
      {"add set inet fairlead-capture hardware { type ether_addr; }",
       "the table inet fairlead-capture holds what fairlead does not make: the set hardware (put "
       "the table back, in this network namespace, with: fairlead intercept apply "
       "--envoy-port=15101)"},
      {"add table inet fairlead-capture { flags dormant; }",
       "capture is switched off: the table inet fairlead-capture is dormant, and no rule of it in "
       "force (put it back, in this network namespace, with: fairlead intercept apply "
       "--envoy-port=15101)"},
  };
  for (const auto& row : table) {
    const nft::testing::Wire wire;
    nft::Kernel kernel = kernel_of(wire, testing::settings_with({{"envoy-port", "15101"}}));
    ASSERT_TRUE(kernel.commit({.commands = {row.command}}).ok()) << row.command;
    const auto found = installed(kernel);
    ASSERT_FALSE(found.ok()) << row.command;
    EXPECT_EQ(found.fault().message, row.said);
  }
}

bool has_handover_address(const nft::testing::Wire& wire) {
  return wire.pod.in(
      [] { return std::system("ip -6 addr show dev lo | grep -q ' ::6/128'") == 0; });
}

TEST(Install, TheHandoverAddressGoesWithTheTableOfBothFamilies) {
  const nft::testing::Wire wire;
  nft::Kernel kernel = kernel_of(wire, {});
  EXPECT_TRUE(has_handover_address(wire));
  const Settings v4_alone = testing::settings_with({{"dual-stack", "false"}});
  ASSERT_TRUE(wire.pod.in([&] { return apply(kernel, v4_alone); }).ok());
  EXPECT_FALSE(has_handover_address(wire));
}

TEST(Install, AHandoverAddressOfSomebodyElseStays) {
  const nft::testing::Wire wire;
  nft::Kernel kernel = kernel_of(wire, testing::settings_with({{"dual-stack", "false"}}));
  wire.pod.run("ip -6 addr replace ::6/128 dev lo");
  EXPECT_TRUE(*wire.pod.in([&] { return remove(kernel); }));
  EXPECT_FALSE(*wire.pod.in([&] { return remove(kernel); }));
  EXPECT_TRUE(has_handover_address(wire));
}

TEST(Install, WithoutIPv6ThereIsNothingToHandOver) {
  const nft::testing::Wire wire;
  wire.pod.in([] {
    for (const char* which : {"all", "default", "lo"}) {
      std::ofstream(std::string("/proc/sys/net/ipv6/conf/") + which + "/disable_ipv6") << 1;
    }
    return 0;
  });
  nft::Kernel kernel = kernel_of(wire, {});
  const Verdicts verdicts = check_in(wire, kernel);
  EXPECT_EQ(verdicts.failures, "");
  EXPECT_THAT(verdicts.all, HasSubstr("taken to port 15001, which learned 192.0.2.1:15002"));
  EXPECT_TRUE(*wire.pod.in([&] { return remove(kernel); }));
}

TEST(Show, ATableThatNothingLeadsTo) {
  const nft::testing::Wire wire;
  nft::Kernel kernel = kernel_of(wire, {});
  ASSERT_TRUE(kernel
                  .commit({.commands = {"delete table inet fairlead-capture",
                                        "add table inet fairlead-capture"}})
                  .ok());
  const auto found = wire.pod.in([&] { return installed(kernel); });
  EXPECT_THAT(show((*found)->table, (*found)->readings),
              AllOf(HasSubstr("no connection that the pod opens is captured"),
                    HasSubstr("NOT KNOWN TO BE AS PUT IN: the table was made by another")));
  EXPECT_THAT(
      show_as_iptables((*found)->table, (*found)->readings),
      AllOf(
          StartsWith("# NOT WHOLE: there is no chain output that the kernel calls"),
          HasSubstr("\n# put it back, in this network namespace, with: fairlead intercept apply")));
}

TEST(Show, TellsARuleOfSomebodyElseAsWhatItIs) {
  nft::Table table = capture_rules({}).tables.front();
  std::vector<nft::Rule>& rules = table.chains.back().rules;
  rules.push_back({.expressions = {nft::LocalDestination{}, nft::Count{}, nft::Masquerade{}}});
  rules.push_back({.expressions = {nft::InSet{.key = {nft::Field::ip_daddr}, .set = "bad"},
                                   nft::Verdict{.kind = nft::Verdict::Kind::drop}}});
  EXPECT_THAT(show(table, {}), AllOf(HasSubstr("masquerade fully-random    [0]\n"
                                               "        fib daddr type local\n"),
                                     HasSubstr("drop                       [0]\n"
                                               "        ip daddr @bad\n")));
  EXPECT_THAT(show_as_iptables(table, {}), HasSubstr("DROP  "));
}

TEST(Show, TellsEveryHopWithItsCount) {
  Pod pod({});
  for (int i = 0; i < 3; ++i) pod.connect({"app", "10.96.0.12:9080"});
  pod.connect({"outside", "10.244.1.11:9080"});
  const Installed now = *installed_in(pod);
  EXPECT_THAT(show(now.table, now.readings),
              AllOf(HasSubstr("exempt are the connections of uid 1337 and of gid 1337"),
                    HasSubstr("to the proxy, outbound  [3]"),
                    HasSubstr("to the proxy, inbound  [1]"), HasSubstr("TAKEN to port 15001")));
  const std::string tables = show_as_iptables(now.table, now.readings);
  EXPECT_THAT(tables, AllOf(StartsWith("# iptables -t nat -L -v -n\n"),
                            HasSubstr("Chain PREROUTING (policy ACCEPT)"),
                            HasSubstr("Chain FAIRLEAD_OUTPUT (1 references)"),
                            HasSubstr("owner UID match 1337"), HasSubstr("redir ports 15006"),
                            HasSubstr("# ip6tables")));
  EXPECT_THAT(tables, HasSubstr("the counts too are of IPv4 and IPv6 together"));
  const std::string v4 = tables.substr(0, tables.find("\n# "));
  EXPECT_THAT(v4, ::testing::Not(HasSubstr("::")));
}

// A user namespace with one user in it, as `unshare -Urn` makes: nobody there can be 1337.
int alone_in_a_user_namespace(int (*act)()) {
  const pid_t child = ::fork();
  if (child != 0) {
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
  }
  if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(100);
  if (::prctl(PR_SET_DUMPABLE, 1) != 0) ::_exit(100);  // else /proc/self belongs to root
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) ::_exit(101);
  std::ofstream("/proc/self/setgroups") << "deny";
  std::ofstream("/proc/self/uid_map") << "0 65534 1";
  std::ofstream("/proc/self/gid_map") << "0 65534 1";
  int status = 102;
  try {
    status = act();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
  ::_exit(status);
}

TEST(Rootless, WithoutTheProxysUserTheMarkExempts) {
  EXPECT_TRUE(owners_exist({})) << "as root every user exists";
  const int status = alone_in_a_user_namespace([]() -> int {
    Settings settings;
    if (owners_exist(settings)) return 1;
    settings.exemption = Exemption::mark;
    Pod pod(settings);
    if (pod.connect({"app", "10.96.0.12:9080"}).place != "pod:15001") return 2;
    if (pod.connect({"proxy", "10.96.0.12:9080"}).place != "peer:9080") return 3;
    if (pod.connect({"app", "[fd96::c]:9080"}).place != "pod:15001") return 4;
    if (pod.connect({"proxy", "[fd96::c]:9080"}).place != "peer:9080") return 5;
    if (pod.connect({"outside", "10.244.1.11:9080"}).place != "pod:15006") return 6;
    const Verdicts verdicts = check_in(pod.wire(), pod.kernel());
    if (!verdicts.failures.empty()) throw std::runtime_error(verdicts.failures);
    const std::string told = describe_exemption(installed_in(pod)->table);
    return told == "exempt are the connections of mark 0x539" ? 0 : 7;
  });
  EXPECT_EQ(status, 0) << "101: this system denies unprivileged user namespaces";
}

TEST(Enter, SaysWhatIsNotThere) {
  const Result<> nowhere = enter("no-such-pod");
  ASSERT_FALSE(nowhere.ok());
  EXPECT_THAT(nowhere.fault().message, HasSubstr("/run/netns/no-such-pod"));
  EXPECT_THAT(enter("/etc/passwd").fault().message, HasSubstr("is not a network namespace"));
}

}  // namespace
}  // namespace fairlead::intercept
