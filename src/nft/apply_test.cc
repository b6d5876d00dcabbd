#include "nft/apply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <set>
#include <sstream>

#include "nft/diff.h"
#include "nft/read.h"
#include "nft/render.h"
#include "nft/test_namespace.h"
#include "nft/test_rules.h"
#include "nft/trace.h"

namespace fairlead::nft {
namespace {

using ::testing::HasSubstr;
using testing::Listeners;
using testing::node_rules;
using ::testing::SizeIs;
using testing::TestNamespace;
using testing::Wire;

Kernel open_in(const TestNamespace& where) {
  return where.in([] {
    Result<Kernel> kernel = Kernel::open();
    if (!kernel) throw std::runtime_error(kernel.fault().describe());
    return std::move(*kernel);
  });
}

std::string listing(Kernel& kernel) {
  Result<std::string> text = list(kernel, TableFamily::inet, "fairlead-services");
  return text ? *text : text.fault().describe();
}

void commit(Kernel& kernel, const Transaction& transaction) {
  const Result<> result = kernel.commit(transaction);
  ASSERT_TRUE(result.ok()) << result.fault().describe() << "\n" << transaction.text();
}

TEST(Kernel, TakesTheWholeTableAndListsWhatLoadsAgain) {
  const TestNamespace space;
  Kernel kernel = open_in(space);
  commit(kernel, {.commands = {render(node_rules({.endpoints = 3}))}});
  const std::string first = listing(kernel);
  EXPECT_THAT(first, HasSubstr("Service default/reviews"));
  commit(kernel, removal(node_rules({})));
  commit(kernel, {.commands = {first}});
  EXPECT_EQ(listing(kernel), first);
}

TEST(Kernel, BuildsTheSameByCommandsAsFromTheText) {
  const TestNamespace space;
  Kernel kernel = open_in(space);
  commit(kernel, {.commands = {render(node_rules({.endpoints = 3}))}});
  const std::string whole = listing(kernel);
  commit(kernel, replacement(node_rules({.endpoints = 3})));
  EXPECT_EQ(listing(kernel), whole);
}

TEST(Kernel, OneEndpointMovedIsTwoLines) {
  const Ruleset before = node_rules({.endpoints = 2, .fillers = 50});
  Ruleset after = before;
  for (Map& map : after.tables[0].maps) {
    if (map.name != "endpoints4") continue;
    map.elements[{testing::v4(10, 96, 0, 12), tcp, 9080U, 1U}].data =
        Tuple{testing::v4(10, 244, 9, 9), 9080U};
  }
  EXPECT_TRUE(difference(before, before).empty());
  const Transaction change = difference(before, after);
  EXPECT_THAT(change.commands, SizeIs(2)) << change.text();

  const TestNamespace space;
  Kernel kernel = open_in(space);
  commit(kernel, replacement(before));
  commit(kernel, change);
  EXPECT_THAT(listing(kernel), HasSubstr("10.244.9.9 . 9080"));
  EXPECT_THAT(listing(kernel), Not(HasSubstr("10.244.2.2 . 9080")));
}

// Whatever two rulesets: the difference leads from one to the other, as if the other had been built
// from nothing.
TEST(Kernel, DifferenceArrivesWhereReplacementDoes) {
  const TestNamespace space;
  const TestNamespace fresh;
  Kernel kernel = open_in(space);
  Kernel other = open_in(fresh);
  const auto sorted = [](const std::string& text) {
    std::multiset<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
      // Elements come in the order of the kernel's hashes, several to a block.
      const std::size_t start = line.find_first_not_of("\t ,{}");
      if (start == std::string::npos) continue;
      line = line.substr(start, line.find_last_not_of("\t ,{}") - start + 1);
      if (line.starts_with("elements = { ")) line = line.substr(13);
      lines.insert(line);
    }
    return lines;
  };
  Ruleset before;
  for (const std::uint32_t endpoints : {2U, 5U, 0U, 1U, 3U}) {
    Ruleset after = node_rules({.endpoints = endpoints, .fillers = endpoints});
    if (endpoints == 1) {
      Table& table = after.tables[0];
      table.chains.pop_back();  // a base chain goes
      table.counters.push_back({.name = "extra", .comment = "comes"});
    }
    commit(kernel, difference(before, after));
    commit(other, replacement(after));
    EXPECT_EQ(sorted(listing(kernel)), sorted(listing(other))) << endpoints;
    before = std::move(after);
  }
  commit(kernel, difference(before, {}));
  EXPECT_FALSE(*exists(kernel, TableFamily::inet, "fairlead-services"));
}

// What is read back means the same: it takes every packet the same way.
TEST(Kernel, WhatIsReadBackTracesTheSame) {
  const TestNamespace space;
  Kernel kernel = open_in(space);
  const Ruleset meant = node_rules({.endpoints = 3, .fillers = 3});
  commit(kernel, replacement(meant));
  Result<Table> table = read(kernel, TableFamily::inet, "fairlead-services");
  ASSERT_TRUE(table.ok()) << table.fault().describe();
  const Ruleset found{{*table}};
  for (const char* to : {"10.96.0.12:9080", "[fd96::c]:9080", "10.96.0.99:80", "10.96.0.12:1",
                         "[fd96::63]:80", "10.100.0.2:80", "10.244.2.1:9080"}) {
    for (const Hook hook : {Hook::output, Hook::prerouting, Hook::postrouting}) {
      Packet packet{.hook = hook, .destination = *SocketAddress::parse(to)};
      packet.source = packet.destination;
      const Trace a = trace(meant, packet);
      const Trace b = trace(found, packet);
      EXPECT_EQ(a.outcome(), b.outcome()) << to;
      EXPECT_EQ(a.steps.size(), b.steps.size()) << to;
      if (a.decided) {
        // Not the text: nft leaves out a match that a later expression implies.
        EXPECT_EQ(a.steps[a.decided_by].chain, b.steps[b.decided_by].chain);
        EXPECT_EQ(a.steps[a.decided_by].rule, b.steps[b.decided_by].rule);
      }
    }
  }
}

TEST(Kernel, RefusesToReadWhatItHasNoWordFor) {
  const TestNamespace space;
  Kernel kernel = open_in(space);
  commit(kernel, {.commands = {"table inet other { chain c { tcp flags syn accept; }; }"}});
  const Result<Table> table = read(kernel, TableFamily::inet, "other");
  ASSERT_FALSE(table.ok());
  EXPECT_EQ(table.fault().kind, FaultKind::unsupported);
  EXPECT_EQ(read(kernel, TableFamily::inet, "absent").fault().kind, FaultKind::missing);
}

TEST(Kernel, AFailureLeavesNothingBehind) {
  const TestNamespace space;
  Kernel kernel = open_in(space);
  Transaction transaction = replacement(node_rules({}));
  transaction.commands.push_back(
      "delete element inet fairlead-services hairpin4 { 1.1.1.1 . 1.1.1.1 }");
  EXPECT_FALSE(kernel.rehearse(transaction).ok());
  EXPECT_FALSE(kernel.commit(transaction).ok());
  EXPECT_FALSE(*exists(kernel, TableFamily::inet, "fairlead-services"));
  EXPECT_TRUE(kernel.rehearse(replacement(node_rules({}))).ok());
  EXPECT_FALSE(*exists(kernel, TableFamily::inet, "fairlead-services"));
}

TEST(Kernel, ConnectionsLandWhereTheTraceSays) {
  const Wire wire;
  Kernel kernel = open_in(wire.pod);  // the "node": its own connections pass output
  const Ruleset rules = node_rules({.endpoints = 3});
  commit(kernel, replacement(rules));
  Listeners listeners;
  listeners.open("peer", wire.peer, 9080);
  listeners.open("peer", wire.peer, 80);

  const std::map<std::string, std::string> table{
      {"10.96.0.12:9080", "peer:9080"}, {"[fd96::c]:9080", "peer:9080"},
      {"10.96.0.99:80", "refused"},     {"[fd96::63]:80", "refused"},
      {"10.96.0.12:80", "peer:80"},     {"10.244.2.1:9080", "peer:9080"},
  };
  for (const auto& [to, place] : table) {
    const SocketAddress destination = *SocketAddress::parse(to);
    const Trace said = trace(rules, {.destination = destination, .out_interface = "eth0"});
    const testing::Landing landing = listeners.connect(wire.pod, {}, destination);
    EXPECT_EQ(landing.place, place) << to;
    EXPECT_EQ(landing.place == "refused", said.fate == Fate::rejected) << to;
  }
}

TEST(Kernel, SpreadsOverTheTargetsOfTheTraceAndCountsByService) {
  const Wire wire;
  Kernel kernel = open_in(wire.pod);
  const Ruleset rules = node_rules({.endpoints = 3});
  commit(kernel, replacement(rules));
  Listeners listeners;
  listeners.open("peer", wire.peer, 9080);
  const SocketAddress service{testing::v4(10, 96, 0, 12), 9080};
  for (int i = 0; i < 60; ++i) {
    EXPECT_EQ(listeners.connect(wire.pod, {}, service).place, "peer:9080");
  }
  Result<std::vector<Reading>> readings = counters(kernel, TableFamily::inet, "fairlead-services");
  ASSERT_TRUE(readings.ok()) << readings.fault().describe();
  const auto reviews = std::find_if(readings->begin(), readings->end(), [](const Reading& one) {
    return one.key == "10.96.0.12 . tcp . 9080";
  });
  ASSERT_NE(reviews, readings->end());
  EXPECT_EQ(reviews->place, "set connections4");
  EXPECT_EQ(reviews->comment, "Service default/reviews");
  EXPECT_EQ(reviews->packets, 60U);
}

TEST(Kernel, SaysWhatIsMissingWithoutTheRight) {
  const TestNamespace space;
  space.in([] {
    // A thread without its capabilities: what a container without NET_ADMIN is.
    const pid_t child = ::fork();
    if (child == 0) {
      if (::setuid(65534) != 0) ::_exit(3);
      ::close(STDERR_FILENO);  // nor may the library speak past us
      const int said = ::memfd_create("said", 0);
      Result<Kernel> kernel = Kernel::open();
      if (!kernel || said != STDERR_FILENO) ::_exit(2);
      if (kernel->ask("list tables").fault().kind != FaultKind::denied) ::_exit(4);
      const Result<> result = kernel->commit(replacement(node_rules({})));
      const bool clear = !result.ok() && result.fault().kind == FaultKind::denied &&
                         result.fault().message.find("CAP_NET_ADMIN") != std::string::npos;
      ::_exit(clear && ::lseek(said, 0, SEEK_END) == 0 ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(WEXITSTATUS(status), 0);
  });
}

}  // namespace
}  // namespace fairlead::nft
