#include "proxy/decide/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/decide/filter_chain.h"

namespace fairlead::proxy {
namespace {

using ::testing::HasSubstr;

SocketAddress at(std::string_view text) {
  return SocketAddress::parse(text).value();
}

std::shared_ptr<const config::RouteConfiguration> routes_named(std::string name) {
  auto made = std::make_shared<config::RouteConfiguration>();
  made->name = std::move(name);
  config::VirtualHost any;
  any.name = "any";
  any.domains = {"*"};
  any.routes.resize(1);
  made->virtual_hosts = {any};
  return made;
}

std::shared_ptr<config::Snapshot> snapshot() {
  auto made = std::make_shared<config::Snapshot>();
  config::Listener outbound;
  outbound.name = "virtualOutbound";
  outbound.address = at("0.0.0.0:15001");
  outbound.use_original_dst = true;
  config::Listener web;
  web.name = "0.0.0.0_80";
  web.address = at("0.0.0.0:80");
  web.additional_addresses = {at("[::]:80")};
  config::HttpConnectionManager named;
  named.route_config_name = "80";
  config::HttpConnectionManager inlined;
  inlined.routes = *routes_named("inline");
  config::HttpConnectionManager lost;
  lost.route_config_name = "missing";
  web.filter_chains = {{.name = "named", .match = {}, .filter = named, .origin = {}},
                       {.name = "inline", .match = {}, .filter = inlined, .origin = {}},
                       {.name = "lost", .match = {}, .filter = lost, .origin = {}}};
  made->listeners.put("virtualOutbound", std::make_shared<const config::Listener>(outbound));
  made->listeners.put("0.0.0.0_80", std::make_shared<const config::Listener>(web));
  made->routes.put("80", routes_named("80"));
  const auto cluster = [&](const std::string& name, config::ClusterType type) {
    auto one = std::make_shared<config::Cluster>();
    one->name = name;
    one->type = type;
    made->clusters.put(name, one);
    return one;
  };
  cluster("eds", config::ClusterType::eds)->eds_service_name = "service";
  cluster("early", config::ClusterType::eds);
  cluster("passthrough", config::ClusterType::original_dst);
  const auto fixed = cluster("static", config::ClusterType::static_endpoints);
  fixed->endpoints.localities.resize(1);
  fixed->endpoints.localities[0].endpoints.resize(2);
  auto endpoints = std::make_shared<config::ClusterLoadAssignment>();
  endpoints->localities.resize(1);
  endpoints->localities[0].endpoints.resize(3);
  made->endpoints.put("service", endpoints);
  return made;
}

const config::HttpConnectionManager& manager(const config::Snapshot& snapshot, std::size_t chain) {
  return std::get<config::HttpConnectionManager>(
      snapshot.listeners.at("0.0.0.0_80")->filter_chains[chain].filter);
}

TEST(SnapshotTable, FindsListenersRoutesAndClusters) {
  const auto given = snapshot();
  const SnapshotTablePointer table = SnapshotTable::make(given).value();
  const config::Listener& accepted = *given->listeners.at("virtualOutbound");
  for (const char* dialled : {"1.2.3.4:80", "[fd00::1]:80", "1.2.3.4:81", "0.0.0.0:15001"}) {
    EXPECT_EQ(table->listener_for(accepted, at(dialled)),
              listener_for(*given, accepted, at(dialled)));
  }
  EXPECT_EQ(table->listener_for(accepted, at("1.2.3.4:80"))->name, "0.0.0.0_80");
  ASSERT_NE(table->routes(manager(*given, 0)), nullptr);
  EXPECT_EQ(table->routes(manager(*given, 0))->routes().name, "80");
  EXPECT_EQ(table->routes(manager(*given, 1))->routes().name, "inline");
  EXPECT_EQ(table->routes(manager(*given, 2)), nullptr);
  EXPECT_EQ(table->cluster("eds")->endpoints->size(), 3U);
  EXPECT_EQ(table->cluster("static")->endpoints->size(), 2U);
  EXPECT_EQ(table->cluster("early")->endpoints, nullptr);
  EXPECT_EQ(table->cluster("passthrough")->endpoints, nullptr);
  EXPECT_EQ(table->cluster("none"), nullptr);
}

TEST(SnapshotTable, WhatDidNotChangeIsTheSamePointer) {
  const auto first = snapshot();
  const SnapshotTablePointer before = SnapshotTable::make(first).value();
  auto second = std::make_shared<config::Snapshot>(*first);
  second->endpoints.put("service", std::make_shared<const config::ClusterLoadAssignment>(
                                       *first->endpoints.at("service")));
  const SnapshotTablePointer after = SnapshotTable::make(second, before.get()).value();
  EXPECT_EQ(before->routes(manager(*first, 0)), after->routes(manager(*second, 0)));
  EXPECT_EQ(before->routes(manager(*first, 1)), after->routes(manager(*second, 1)));
  EXPECT_EQ(before->cluster("static")->endpoints, after->cluster("static")->endpoints);
  EXPECT_NE(before->cluster("eds")->endpoints, after->cluster("eds")->endpoints);
}

TEST(SnapshotTable, ABadPatternIsNamed) {
  const auto given = snapshot();
  auto routes = std::make_shared<config::RouteConfiguration>(*given->routes.at("80"));
  routes->virtual_hosts[0].routes[0].path = {config::PathMatch::Kind::regex, "["};
  given->routes.put("80", routes);
  const auto made = SnapshotTable::make(given);
  ASSERT_FALSE(made.ok());
  EXPECT_THAT(made.fault().describe(), HasSubstr("making the routes 80 ready"));
}

}  // namespace
}  // namespace fairlead::proxy
