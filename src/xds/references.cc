#include "xds/references.h"

namespace fairlead::xds {
namespace {

void add_weighted(const std::vector<config::WeightedCluster>& clusters, Names& names) {
  for (const config::WeightedCluster& cluster : clusters) names.insert(cluster.cluster);
}

template <class Each>
void for_each_chain(const config::Listener& listener, Each each) {
  for (const config::FilterChain& chain : listener.filter_chains) each(chain);
  if (listener.default_filter_chain) each(*listener.default_filter_chain);
}

}  // namespace

const std::string& eds_name_of(const config::Cluster& cluster LIFETIMEBOUND) {
  return cluster.eds_service_name.empty() ? cluster.name : cluster.eds_service_name;
}

void add_route_names(const config::Listener& listener, Names& names) {
  for_each_chain(listener, [&](const config::FilterChain& chain) {
    const auto* http = std::get_if<config::HttpConnectionManager>(&chain.filter);
    if (http != nullptr && !http->routes) names.insert(http->route_config_name);
  });
}

void add_cluster_names(const config::Listener& listener, Names& names) {
  for_each_chain(listener, [&](const config::FilterChain& chain) {
    if (const auto* tcp = std::get_if<config::TcpProxy>(&chain.filter)) {
      add_weighted(tcp->clusters, names);
    } else if (const auto& http = std::get<config::HttpConnectionManager>(chain.filter);
               http.routes) {
      add_cluster_names(*http.routes, names);
    }
  });
}

void add_route_clusters(const config::Listener& listener, Names& names) {
  for_each_chain(listener, [&](const config::FilterChain& chain) {
    const auto* http = std::get_if<config::HttpConnectionManager>(&chain.filter);
    if (http != nullptr && http->routes) add_cluster_names(*http->routes, names);
  });
}

void add_cluster_names(const config::RouteConfiguration& routes, Names& names) {
  for (const config::VirtualHost& host : routes.virtual_hosts) {
    for (const config::Route& route : host.routes) add_weighted(route.forward.clusters, names);
  }
}

}  // namespace fairlead::xds
