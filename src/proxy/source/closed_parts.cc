#include "proxy/source/closed_parts.h"

#include <fmt/format.h>

namespace fairlead::proxy {
namespace {

class ClosedParts {
 public:
  void add(const config::Listener& listener) {
    const std::string name = "Listener " + listener.name;
    for (const config::FilterChain& chain : listener.filter_chains) add(name, chain);
    if (listener.default_filter_chain) add(name, *listener.default_filter_chain);
  }
  void add(const config::RouteConfiguration& routes) {
    const std::string name = "RouteConfiguration " + routes.name;
    tell(name, routes.closed);
    for (const config::VirtualHost& host : routes.virtual_hosts) {
      const std::string host_name = fmt::format("{}, virtual host {}", name, host.name);
      tell(host_name, host.closed);
      for (const config::Route& route : host.routes) {
        if (!route.closed.empty())
          tell(fmt::format("{}, route {}", host_name, route.name), route.closed);
      }
    }
  }
  void add(const config::Cluster& cluster) {
    const std::string name = "Cluster " + cluster.name;
    tell(name, cluster.closed);
    const char* const rest = cluster.transport_socket_matches.empty()
                                 ? ""
                                 : ", endpoints that no transport socket match fits";
    tell(name + rest, cluster.transport_socket);
    for (const config::TransportSocketMatch& match : cluster.transport_socket_matches) {
      tell(fmt::format("{}, endpoints of the transport socket match {}", name, match.name),
           match.closed);
    }
    add(cluster.endpoints);
  }
  void add(const config::ClusterLoadAssignment& endpoints) {
    for (const config::LocalityEndpoints& locality : endpoints.localities) {
      for (const config::LbEndpoint& endpoint : locality.endpoints) {
        if (endpoint.closed.empty()) continue;
        tell(fmt::format("Endpoint {} of {}", endpoint.address.text(), endpoints.cluster_name),
             endpoint.closed);
      }
    }
  }
  [[nodiscard]] std::vector<std::string> all() && { return std::move(all_); }

 private:
  void add(const std::string& listener, const config::FilterChain& chain) {
    const std::string name = fmt::format("{}, filter chain {}", listener, chain.name);
    tell(name, chain.closed);
    const auto* http = std::get_if<config::HttpConnectionManager>(&chain.filter);
    if (http == nullptr) return;
    tell(name + ", all requests", http->closed);
    for (const config::ClosedFilter& filter : http->closed_filters) {
      tell(name + ", all requests", filter.why);
    }
    if (http->routes) add(*http->routes);
  }
  void tell(const std::string& part, const config::Closed& why) {
    if (!why.empty()) all_.push_back(fmt::format("{}: {}", part, why));
  }

  std::vector<std::string> all_;
};

}  // namespace

std::vector<std::string> closed_parts(const config::Snapshot& snapshot) {
  ClosedParts parts;
  for (const auto& [name, listener] : snapshot.listeners) parts.add(*listener);
  for (const auto& [name, routes] : snapshot.routes) parts.add(*routes);
  for (const auto& [name, cluster] : snapshot.clusters) parts.add(*cluster);
  for (const auto& [name, endpoints] : snapshot.endpoints) parts.add(*endpoints);
  return std::move(parts).all();
}

}  // namespace fairlead::proxy
