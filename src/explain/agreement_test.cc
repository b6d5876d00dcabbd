// The explanation against the data path's own machinery: what is said to be chosen is what the
// tables of a proxy and the walk of a packet really choose.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "base/clock.h"
#include "control/compile/compile.h"
#include "explain/capture.h"
#include "explain/test_shop.h"
#include "intercept/rules.h"
#include "nft/trace.h"
#include "node/plan/services.h"
#include "proxy/decide/filter_chain.h"
#include "proxy/decide/table.h"

namespace fairlead::explain {
namespace {

using testing::path_in;
using testing::shop;
using testing::world_from;

std::map<std::string, double> shares_of(const Path& path) {
  std::map<std::string, double> shares;
  for (const Branch& branch : path.branches) shares[branch.address] += branch.share;
  return shares;
}

// Where a proxy's own tables send many requests.
std::map<std::string, double> really_chosen(const mesh::World& world, const char* from,
                                            const SocketAddress& dialled, const char* authority) {
  constexpr int requests = 4000;
  std::map<std::string, double> shares;
  const mesh::Workload* workload = mesh::find_workload(world, "default", from);
  const auto snapshot = std::make_shared<const config::Snapshot>(
      control::compile(world, control::audience_of(*workload)));
  const auto made = proxy::SnapshotTable::make(snapshot);
  if (!made) throw std::runtime_error(made.fault().describe());
  const proxy::SnapshotTable& table = **made;
  const config::Listener& accepted =
      *snapshot->listeners.at(std::string(control::virtual_outbound));
  const config::Listener* listener = table.listener_for(accepted, dialled);
  const config::FilterChain* chain =
      proxy::choose_filter_chain(*listener, {.source = {workload->addresses[0], 1},
                                             .destination = dialled,
                                             .application_protocols = {"http/1.1"}});
  http::RequestHead head;
  head.authority = authority;
  const auto& manager = std::get<config::HttpConnectionManager>(chain->filter);
  const proxy::Rule* rule = proxy::match(*table.routes(manager), head);
  SeededRandom random(7);
  const proxy::ClusterTable* cluster =
      table.cluster(proxy::choose_cluster(rule->route->forward.clusters, random).cluster);
  proxy::Balancer balancer(cluster->cluster->balance, cluster->cluster->least_request_choices);
  for (int i = 0; i < requests; ++i) {
    const auto picked = balancer.pick(*cluster->endpoints, {}, random);
    shares[cluster->endpoints->endpoint(*picked).address.text()] += 1.0 / requests;
  }
  return shares;
}

TEST(Agreement, WithTheTablesOfAProxy) {
  const auto world = world_from(shop());
  const auto predicted = shares_of(path_in(world, "productpage", "http://reviews:9080/"));
  const auto chosen = really_chosen(*world, "productpage", *SocketAddress::parse("10.96.0.12:9080"),
                                    "reviews:9080");
  ASSERT_EQ(predicted.size(), chosen.size());
  for (const auto& [address, share] : chosen) {
    ASSERT_TRUE(predicted.contains(address)) << address;
    EXPECT_NEAR(share, predicted.at(address), 0.05) << address;
  }
}

TEST(Agreement, WithTheWalkThroughANodesRules) {
  const auto world = world_from(shop());
  const nft::Ruleset rules = node::service_rules(*world, {.node = "node1", .dns = cluster_dns()});
  const nft::Trace trace =
      nft::trace(rules, {.hook = nft::Hook::prerouting,
                         .source = *SocketAddress::parse("10.244.1.8:40000"),
                         .destination = *SocketAddress::parse("10.96.0.12:9080"),
                         .in_interface = "veth"});
  const auto predicted = shares_of(path_in(world, "outsider", "http://reviews:9080/"));
  std::set<std::string> traced;
  for (const nft::Target& target : trace.targets) traced.insert(target.address.text());
  std::set<std::string> said;
  for (const auto& [address, share] : predicted) said.insert(address);
  EXPECT_EQ(traced, said);
  EXPECT_EQ(traced.size(), 2U);
}

TEST(Agreement, WithTheRulesThatCaptureInstalls) {
  const char* annotation = "traffic.sidecar.istio.io/excludeOutboundIPRanges: 10.96.0.12/32";
  const auto world = world_from(shop(annotation));
  const mesh::Workload& pod = *mesh::find_workload(*world, "default", "productpage");
  const auto settings = capture_settings(pod);
  ASSERT_TRUE(settings.ok());
  const nft::Ruleset rules = intercept::capture_rules(*settings);
  for (const char* to : {"10.96.0.12:9080", "10.96.0.14:7000"}) {
    const nft::Trace trace = nft::trace(rules, {.hook = nft::Hook::output,
                                                .source = *SocketAddress::parse("10.244.1.3:40000"),
                                                .destination = *SocketAddress::parse(to),
                                                .out_interface = "eth0",
                                                .uid = 1000,
                                                .gid = 1000});
    const Path path = path_in(world, "productpage", std::string("tcp://") + to);
    const bool said = path.hops[2].to == "127.0.0.1:15001";
    EXPECT_EQ(path.hops[2].stage, Stage::capture);
    EXPECT_EQ(trace.fate == nft::Fate::redirected, said) << to;
  }
}

TEST(Agreement, TheProxysOwnPortsAreNotCaptured) {
  const auto world = world_from(shop());
  const Path path = path_in(world, "outsider", "http://10.244.1.5:15021/healthz/ready");
  EXPECT_EQ(path.hops.back().stage, Stage::app);
  bool listener = false;
  for (const Hop& hop : path.hops) listener = listener || hop.stage == Stage::listener;
  EXPECT_FALSE(listener);
}

}  // namespace
}  // namespace fairlead::explain
