// Worlds to talk about, put together service by service: for the tests of the session and its
// fuzzer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/snapshot.h"
#include "xds/bootstrap.h"
#include "xds/references.h"

namespace fairlead::xds::test {

inline std::string cluster_name(const std::string& service) {
  return "outbound|80||" + service;
}

inline config::LbEndpoint endpoint(std::uint8_t last) {
  return {.address = {IpAddress::v4({10, 0, 0, last}), 80}};
}

// One of its own for each name, as services have.
inline IpAddress address_of(const std::string& name) {
  std::uint32_t sum = 0;
  for (const char letter : name) sum = sum * 31 + static_cast<unsigned char>(letter);
  return IpAddress::v4({10, static_cast<std::uint8_t>(sum >> 16),
                        static_cast<std::uint8_t>(sum >> 8), static_cast<std::uint8_t>(sum)});
}

// A snapshot that is put together service by service. Each has a cluster by EDS, and a listener
// with either a TCP filter or routes by RDS.
class World {
 public:
  explicit World(std::string version) { made_.world = std::move(version); }

  World& service(const std::string& name, std::uint8_t address, bool http) {
    config::Cluster cluster{.name = cluster_name(name), .type = config::ClusterType::eds};
    put(made_.clusters, cluster.name, cluster);
    config::ClusterLoadAssignment endpoints{.cluster_name = cluster.name};
    endpoints.localities.push_back({.endpoints = {endpoint(address)}});
    put(made_.endpoints, cluster.name, endpoints);
    config::Listener listener{
        .name = "listener-" + name, .address = {address_of(name), 80}, .bind_to_port = false};
    listener.filter_chains.emplace_back();
    if (http) {
      listener.filter_chains[0].filter =
          config::HttpConnectionManager{.stat_prefix = name, .route_config_name = name};
      route(name, cluster.name);
    } else {
      listener.filter_chains[0].filter =
          config::TcpProxy{.stat_prefix = name, .clusters = {{.cluster = cluster.name}}};
    }
    put(made_.listeners, listener.name, listener);
    return *this;
  }
  World& route(const std::string& name, const std::string& cluster) {
    config::Route route;
    route.forward.clusters = {{.cluster = cluster}};
    config::RouteConfiguration routes{.name = name};
    routes.virtual_hosts.push_back({.name = name, .domains = {"*"}, .routes = {route}});
    put(made_.routes, name, routes);
    return *this;
  }
  World& cluster(const config::Cluster& cluster) {
    put(made_.clusters, cluster.name, cluster);
    return *this;
  }

  [[nodiscard]] config::SnapshotPointer done() {
    made_.versions = {made_.world, made_.world, made_.world, made_.world};
    return std::make_shared<const config::Snapshot>(made_);
  }
  // As control does it: a type that did not change keeps its version and its values.
  [[nodiscard]] config::SnapshotPointer after(const config::Snapshot& before) {
    share(made_.clusters, before.clusters, made_.versions.clusters, before.versions.clusters);
    share(made_.endpoints, before.endpoints, made_.versions.endpoints, before.versions.endpoints);
    share(made_.listeners, before.listeners, made_.versions.listeners, before.versions.listeners);
    share(made_.routes, before.routes, made_.versions.routes, before.versions.routes);
    return std::make_shared<const config::Snapshot>(made_);
  }

 private:
  config::Snapshot made_;

  template <class T>
  static void put(config::Named<T>& into, const std::string& name, const T& value) {
    into.put(name, std::make_shared<const T>(value));
  }
  template <class Table>
  void share(Table& now, const Table& before, std::string& version,
             const std::string& before_version) {
    for (const auto& [name, value] : Table(now)) {
      const auto old = before.find(name);
      if (old != before.end() && *old->second == *value) now.put(name, old->second);
    }
    version = now == before ? before_version : made_.world;
  }
};

template <class T>
bool equal(const config::Named<T>& left, const config::Named<T>& right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](const auto& one, const auto& other) {
                      return one.first == other.first && *one.second == *other.second;
                    });
}

inline bool equal(const config::Snapshot& left, const config::Snapshot& right) {
  return equal(left.clusters, right.clusters) && equal(left.endpoints, right.endpoints) &&
         equal(left.listeners, right.listeners) && equal(left.routes, right.routes);
}

// What a snapshot names and does not have.
inline std::vector<std::string> dangling(const config::Snapshot& snapshot) {
  std::vector<std::string> found;
  Names clusters;
  Names routes;
  for (const auto& [name, listener] : snapshot.listeners) {
    add_cluster_names(*listener, clusters);
    add_route_names(*listener, routes);
  }
  for (const std::string& name : routes) {
    if (!snapshot.routes.contains(name)) found.push_back("routes " + name);
  }
  for (const auto& [name, each] : snapshot.routes) add_cluster_names(*each, clusters);
  for (const std::string& name : clusters) {
    if (!snapshot.clusters.contains(name)) found.push_back("cluster " + name);
  }
  for (const auto& [name, cluster] : snapshot.clusters) {
    if (cluster->type == config::ClusterType::eds &&
        !snapshot.endpoints.contains(eds_name_of(*cluster))) {
      found.push_back("endpoints " + eds_name_of(*cluster));
    }
  }
  return found;
}

inline Bootstrap dynamic_bootstrap() {
  Bootstrap bootstrap;
  bootstrap.node.id = "sidecar~10.0.0.9~a.default~default.svc.cluster.local";
  bootstrap.node.metadata = R"({"NAMESPACE":"default"})";
  bootstrap.discovery = AggregatedDiscovery{.cluster = "xds-grpc"};
  return bootstrap;
}

// No client takes it.
inline config::Cluster impossible() {
  config::Cluster cluster{.name = "impossible"};
  cluster.connect_timeout = config::Milliseconds{0};
  return cluster;
}

}  // namespace fairlead::xds::test
