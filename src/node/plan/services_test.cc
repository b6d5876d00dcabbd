#include "node/plan/services.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "base/clock.h"
#include "nft/apply.h"
#include "nft/read.h"
#include "nft/render.h"
#include "nft/test_namespace.h"
#include "nft/trace.h"
#include "node/plan/test_world.h"

namespace fairlead::node {
namespace {

using nft::testing::Landing;
using nft::testing::Listeners;
using nft::testing::TestNamespace;
using testing::add_endpoint;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ip;
using ::testing::IsEmpty;
using testing::port;
using testing::service;
using ::testing::SizeIs;
using testing::world_of;

const Self self{.node = "n1", .dns = {{ip("10.96.0.10"), 53}}};

mesh::World shop() {
  mesh::Service reviews = service("reviews", {"10.96.0.12", "fd00:10:96::c"}, {port("http", 9080)});
  add_endpoint(reviews, "10.244.1.2", 8080);
  add_endpoint(reviews, "10.244.1.3", 8080);
  add_endpoint(reviews, "fd00:10:244:1::2", 8080);
  mesh::Service alone = service("alone", {"10.96.0.13"}, {port("", 80)});
  add_endpoint(alone, "10.244.1.2", 8080);
  const mesh::Service empty = service("empty", {"10.96.0.99"}, {port("http", 80)});
  mesh::Service dns = service("dns", {"10.96.0.10"}, {port("dns-tcp", 53), port("metrics", 9153)});
  mesh::Service headless = service("headless", {}, {port("http", 80)});
  headless.kind = mesh::ServiceKind::headless;
  add_endpoint(headless, "10.244.1.3", 80);
  return world_of({reviews, alone, empty, dns, headless});
}

nft::Transaction change_of_rules(const mesh::World& before, mesh::World after) {
  share(after, before);
  ServicePlan plan(std::make_shared<const mesh::World>(before), self);
  return plan.change_to(std::make_shared<const mesh::World>(std::move(after)));
}

nft::Trace trace_to(const mesh::World& world, const std::string& address, std::uint16_t to,
                    nft::Hook hook = nft::Hook::prerouting) {
  const nft::Packet packet{.hook = hook,
                           .source = {ip("10.244.1.7"), 40000},
                           .destination = {ip(address), to},
                           .in_interface = "pod7"};
  return nft::trace(service_rules(world, self), packet);
}

std::vector<std::string> addresses_of(const std::vector<Backend>& all) {
  std::vector<std::string> texts;
  texts.reserve(all.size());
  for (const Backend& one : all) texts.push_back(one.address.text());
  return texts;
}

TEST(Backends, AreTheReadyOnesElseThoseThatServeToTheirEnd) {
  mesh::Service reviews = service("reviews", {"10.96.0.12"}, {port("http", 80)});
  add_endpoint(reviews, "10.244.1.2", 8080);
  add_endpoint(reviews, "10.244.1.2", 8080);  // one in two slices
  mesh::Endpoint& leaving = add_endpoint(reviews, "10.244.1.3", 8080);
  leaving.ready = false;
  leaving.terminating = true;
  mesh::Endpoint& broken = add_endpoint(reviews, "10.244.1.4", 8080);
  broken.ready = broken.serving = false;
  const auto now = [&] { return addresses_of(backends(reviews, reviews.ports[0], Family::v4)); };
  EXPECT_THAT(now(), ElementsAre("10.244.1.2:8080"));
  std::erase_if(reviews.endpoints, [](const auto& one) { return one.ready; });
  EXPECT_THAT(now(), ElementsAre("10.244.1.3:8080"));
  reviews.endpoints[0].serving = false;
  EXPECT_THAT(now(), IsEmpty());
  EXPECT_THAT(backends(reviews, reviews.ports[0], Family::v6), IsEmpty());
}

TEST(ServiceRules, HangTogetherAndLeaveOutWhatHasNone) {
  const nft::Ruleset rules = service_rules(shop(), self);
  const Result<> sound = nft::check(rules);
  EXPECT_TRUE(sound.ok()) << sound.fault().describe();
  const nft::Table& table = rules.tables[0];
  EXPECT_THAT(table.set("connections4")->elements, SizeIs(2));
  EXPECT_THAT(table.map("endpoints4")->elements, SizeIs(3));
  EXPECT_THAT(table.map("endpoints6")->elements, SizeIs(1));
  EXPECT_EQ(table.set("connections4")->elements.begin()->second, "default/reviews:http");
  EXPECT_EQ(label_of(shop().services[0], shop().services[0].ports[0]), "default/alone:80");
}

TEST(ServiceRules, SayWhereAConnectionGoes) {
  const mesh::World world = shop();
  for (const nft::Hook hook : {nft::Hook::prerouting, nft::Hook::output}) {
    EXPECT_EQ(trace_to(world, "10.96.0.12", 9080, hook).outcome(),
              "sent to 10.244.1.2:8080 (1/2) or 10.244.1.3:8080 (1/2)");
    EXPECT_EQ(trace_to(world, "10.96.0.13", 80, hook).outcome(), "sent to 10.244.1.2:8080");
    EXPECT_EQ(trace_to(world, "10.96.0.99", 80, hook).fate, nft::Fate::rejected);
    EXPECT_EQ(trace_to(world, "10.96.0.12", 81, hook).fate, nft::Fate::rejected);
  }
  EXPECT_EQ(trace_to(world, "fd00:10:96::c", 9080).outcome(), "sent to [fd00:10:244:1::2]:8080");
  EXPECT_EQ(trace_to(world, "10.244.1.3", 80).fate, nft::Fate::accepted);
  // The node's own DNS stays reachable, whatever a Service of that address says.
  EXPECT_EQ(trace_to(world, "10.96.0.10", 53).fate, nft::Fate::accepted);
  EXPECT_EQ(trace_to(world, "10.96.0.10", 9153).fate, nft::Fate::rejected);
}

// Through whatever node its traffic goes.
TEST(ServiceRules, LeadAMachineBackToItself) {
  mesh::World world = shop();
  mesh::Workload machine{.kind = mesh::WorkloadKind::vm};
  machine.addresses = {ip("10.200.0.7")};
  world.workloads = {machine};
  const auto fate = [&](const char* from, const char* to) {
    return nft::trace(service_rules(world, self), {.hook = nft::Hook::postrouting,
                                                   .source = {ip(from), 40000},
                                                   .destination = {ip(to), 8080},
                                                   .out_interface = "veth"})
        .fate;
  };
  EXPECT_EQ(fate("10.200.0.7", "10.200.0.7"), nft::Fate::masqueraded);
  EXPECT_EQ(fate("10.200.0.7", "10.244.1.2"), nft::Fate::accepted);
}

TEST(ServiceRules, GiveAnAddressThatTwoClaimToTheFirst) {
  mesh::Service a = service("a", {"10.96.0.12"}, {port("http", 80)});
  mesh::Service b = service("b", {"10.96.0.12"}, {port("http", 80), port("more", 81)});
  add_endpoint(a, "10.244.1.2", 8080);
  add_endpoint(b, "10.244.1.3", 8080);
  EXPECT_EQ(trace_to(world_of({a, b}), "10.96.0.12", 80).outcome(), "sent to 10.244.1.2:8080");
  EXPECT_EQ(trace_to(world_of({a, b}), "10.96.0.12", 81).outcome(), "sent to 10.244.1.3:8080");
  const nft::Transaction change = change_of_rules(world_of({a, b}), world_of({b}));
  EXPECT_THAT(change.text(), HasSubstr("10.244.1.3 . 8080"));
}

TEST(ServicePlan, IsEmptyForWhatRulesDoNotSay) {
  const mesh::World before = shop();
  mesh::World after = before;
  after.version = "2";
  after.services.edit(0, [](mesh::Service& one) { one.labels["a"] = "b"; });
  EXPECT_TRUE(change_of_rules(before, after).empty());
}

TEST(ServicePlan, OfOneEndpointTouchesNothingElse) {
  mesh::World after = shop();
  ASSERT_EQ(after.services.back().name, "reviews");
  after.services.edit(after.services.size() - 1, [](mesh::Service& reviews) {
    reviews.endpoints[1].address = ip("10.244.2.9");
  });
  const nft::Transaction change = change_of_rules(shop(), after);
  EXPECT_THAT(change.commands, Contains(HasSubstr("delete element")));
  for (const std::string& command : change.commands) {
    EXPECT_THAT(command, ::testing::AnyOf(HasSubstr("endpoints4"), HasSubstr("hairpin4")));
  }
}

// ── in the kernel ───────────────────────────────────────────────────────────────────────────────

nft::Kernel open_in(const TestNamespace& where) {
  return where.in([] {
    Result<nft::Kernel> kernel = nft::Kernel::open();
    if (!kernel) throw std::runtime_error(kernel.fault().describe());
    return std::move(*kernel);
  });
}

void commit(nft::Kernel& kernel, const nft::Transaction& transaction) {
  const Result<> result = kernel.commit(transaction);
  ASSERT_TRUE(result.ok()) << result.fault().describe() << "\n" << transaction.text();
}

nft::Table table_in(nft::Kernel& kernel) {
  Result<nft::Table> table = nft::read(kernel, nft::TableFamily::inet, services_table);
  EXPECT_TRUE(table.ok());
  if (!table) return {};
  // In the order of names: which stands first says nothing.
  const auto by_name = [](const auto& a, const auto& b) { return a.name < b.name; };
  std::sort(table->chains.begin(), table->chains.end(), by_name);
  return std::move(*table);
}

mesh::World random_world(Random& chance) {
  const auto address = [&](const char* prefix, std::uint64_t bound) {
    return prefix + std::to_string(1 + chance.below(bound));
  };
  std::vector<mesh::Service> services;
  for (const char* name : {"a", "b", "c", "d"}) {
    if (chance.below(4) == 0) continue;
    // Few addresses, so that several claim one.
    mesh::Service one =
        service(name, {address("10.96.0.", 3), address("fd00:10:96::", 3)}, {port("x", 80)});
    if (chance.below(2) == 0) one.ports.push_back(port("y", 81));
    if (chance.below(6) == 0) one.kind = mesh::ServiceKind::headless;
    for (std::uint64_t i = chance.below(4); i > 0; --i) {
      const bool v6 = chance.below(3) == 0;
      const std::string pod = v6 ? address("fd00:10:244:1::", 5) : address("10.244.1.", 5);
      mesh::Endpoint& endpoint =
          add_endpoint(one, pod, static_cast<std::uint16_t>(8080 + chance.below(2)),
                       chance.below(2) ? "n1" : "n2");
      endpoint.ready = chance.below(4) != 0;
      endpoint.terminating = !endpoint.ready;
    }
    services.push_back(std::move(one));
  }
  mesh::World world = world_of(std::move(services));
  for (const char* name : {"p", "q"}) {
    if (chance.below(3) == 0) continue;
    world.workloads.push_back({.name_space = "default",
                               .name = name,
                               .addresses = {ip(address("10.244.1.", 5))},
                               .node = chance.below(2) ? "n1" : "n2"});
  }
  return world;
}

TEST(ServicePlan, LeadsTheKernelToTheSameTableAsAFreshStart) {
  const TestNamespace changed_space;
  const TestNamespace fresh_space;
  nft::Kernel changed = open_in(changed_space);
  nft::Kernel fresh = open_in(fresh_space);
  SeededRandom chance(7);
  auto before = std::make_shared<const mesh::World>(random_world(chance));
  ServicePlan plan(before, self);
  commit(changed, nft::replacement(service_rules(*before, self)));
  for (int round = 0; round < 40; ++round) {
    mesh::World next = random_world(chance);
    if (round % 5 != 0) share(next, *before);  // what is shared is a matter of cost alone
    const auto after = std::make_shared<const mesh::World>(std::move(next));
    commit(changed, plan.change_to(after));
    commit(fresh, nft::replacement(service_rules(*after, self)));
    ASSERT_EQ(table_in(changed), table_in(fresh)) << "in round " << round;
    before = after;
  }
}

// A node with two pods on wires of their own; the node forwards between them.
struct Cluster {
  TestNamespace node;
  TestNamespace pods[2];
  Listeners listeners;

  Cluster() {
    node.run(
        "ip addr add 172.30.0.1/32 dev lo && sysctl -qw net.ipv4.ip_forward=1 "
        "net.ipv6.conf.all.forwarding=1 && ip route add 10.96.0.0/16 dev lo src 172.30.0.1");
    for (int i = 0; i < 2; ++i) {
      const std::string four = "10.244.1." + std::to_string(2 + i);
      const std::string six = "fd00:10:244:1::" + std::to_string(2 + i);
      const std::string wire = "pod" + std::to_string(i);
      node.run("ip link add " + wire + " type veth peer name eth0 netns " + pods[i].path());
      node.run("ip link set " + wire + " up && ip addr add fe80::1/64 dev " + wire + " nodad");
      pods[i].run("ip link set eth0 up && ip addr add " + four + "/32 dev eth0 && ip addr add " +
                  six + "/128 dev eth0 nodad");
      node.run("ip route add " + four + " dev " + wire + " && ip -6 route add " + six + " dev " +
               wire);
      pods[i].run(
          "ip route add 172.30.0.1 dev eth0 && ip route add default via 172.30.0.1 onlink dev eth0 "
          "&& ip -6 route add default via fe80::1 dev eth0");
      listeners.open(wire, pods[i], 8080);
    }
  }
};

TEST(ServiceRules, TakeConnectionsToPods) {
  const Cluster cluster;
  nft::Kernel kernel = open_in(cluster.node);
  commit(kernel, nft::replacement(service_rules(shop(), self)));
  const auto connect = [&](const TestNamespace& from, const char* to, std::uint16_t at) {
    return cluster.listeners.connect(from, {}, {ip(to), at});
  };

  std::map<std::string, int> spread;
  for (int i = 0; i < 60; ++i) ++spread[connect(cluster.pods[0], "10.96.0.12", 9080).place];
  EXPECT_THAT(spread, SizeIs(2));
  EXPECT_GT(spread["pod0:8080"], 5);
  EXPECT_GT(spread["pod1:8080"], 5);
  EXPECT_EQ(connect(cluster.pods[1], "fd00:10:96::c", 9080).place, "pod0:8080");
  EXPECT_EQ(connect(cluster.node, "10.96.0.13", 80).place, "pod0:8080");

  // A pod that its own service leads back to itself sees the node as its peer, and it works.
  const Landing hairpin = connect(cluster.pods[0], "10.96.0.13", 80);
  EXPECT_EQ(hairpin.place, "pod0:8080");
  EXPECT_NE(hairpin.peer.ip, ip("10.244.1.2"));
  EXPECT_EQ(connect(cluster.pods[1], "10.96.0.13", 80).peer.ip, ip("10.244.1.3"));

  for (const TestNamespace* from : {&cluster.pods[0], &cluster.node}) {
    EXPECT_EQ(connect(*from, "10.96.0.99", 80).place, "refused");
    EXPECT_EQ(connect(*from, "10.96.0.12", 81).place, "refused");
  }

  const auto readings = nft::counters(kernel, nft::TableFamily::inet, services_table);
  ASSERT_TRUE(readings.ok());
  std::map<std::string, std::uint64_t> counts;
  for (const nft::Reading& reading : *readings) {
    if (!reading.key.empty()) counts[reading.place + " " + reading.comment] += reading.packets;
  }
  EXPECT_EQ(counts["set connections4 default/reviews:http"], 60U);
  EXPECT_EQ(counts["set connections6 default/reviews:http"], 1U);
  EXPECT_EQ(counts["set connections4 default/alone:80"], 3U);
  EXPECT_EQ(counts["set refused4 default/empty:http"], 2U);
}

TEST(ServiceRules, ListAsTextThatLoadsAgain) {
  const TestNamespace space;
  nft::Kernel kernel = open_in(space);
  commit(kernel, nft::replacement(service_rules(shop(), self)));
  const nft::Table loaded = table_in(kernel);
  const Result<std::string> text = nft::list(kernel, nft::TableFamily::inet, services_table);
  ASSERT_TRUE(text.ok());
  EXPECT_THAT(*text, HasSubstr("default/reviews:http 10.244.1.3"));
  commit(kernel, {.commands = {std::string("delete table inet ") + services_table, *text}});
  EXPECT_EQ(table_in(kernel), loaded);
  // nft itself, the program, prints and reads it too.
  space.run(
      "rules=$(nft list ruleset) && nft flush ruleset && echo \"$rules\" | nft -f - && "
      "nft -j list ruleset > /dev/null");
  EXPECT_EQ(table_in(kernel), loaded);
}

}  // namespace
}  // namespace fairlead::node
