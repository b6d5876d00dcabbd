#include "proxy/source/addresses.h"

#include <algorithm>

namespace fairlead::proxy {
namespace {

template <class Each>
void for_each_host(const config::Cluster& cluster, Each each) {
  for (const config::LocalityEndpoints& locality : cluster.endpoints.localities) {
    for (const config::LbEndpoint& endpoint : locality.endpoints) {
      if (!endpoint.host.empty()) each(endpoint.host);
    }
  }
}

bool has_hosts(const config::Cluster& cluster) {
  bool found = false;
  for_each_host(cluster, [&](const std::string&) { found = true; });
  return found;
}

}  // namespace

std::set<std::string> hosts_in(const config::Snapshot& snapshot) {
  std::set<std::string> hosts;
  for (const auto& [name, cluster] : snapshot.clusters) {
    for_each_host(*cluster, [&](const std::string& host) { hosts.insert(host); });
  }
  return hosts;
}

config::Cluster with_addresses(const config::Cluster& cluster, const AddressTable& table) {
  config::Cluster made = cluster;
  for (config::LocalityEndpoints& locality : made.endpoints.localities) {
    std::vector<config::LbEndpoint> endpoints;
    for (config::LbEndpoint& endpoint : locality.endpoints) {
      if (endpoint.host.empty()) {
        endpoints.push_back(std::move(endpoint));
        continue;
      }
      const auto found = table.find(endpoint.host);
      if (found == table.end()) continue;
      endpoint.host.clear();
      for (const IpAddress& ip : found->second) {
        endpoint.address.ip = ip;
        endpoints.push_back(endpoint);
      }
    }
    locality.endpoints = std::move(endpoints);
  }
  return made;
}

void Addresser::apply(config::Snapshot& snapshot, const AddressTable& table) {
  std::map<std::string, Made> made;
  const config::Named<config::Cluster> clusters = snapshot.clusters;
  for (const auto& [name, cluster] : clusters) {
    if (!has_hosts(*cluster)) continue;
    config::Cluster value = with_addresses(*cluster, table);
    const auto before = made_.find(name);
    const bool same = before != made_.end() && *before->second.value == value;
    Made now{cluster, same ? before->second.value
                           : std::make_shared<const config::Cluster>(std::move(value))};
    snapshot.clusters.put(name, now.value);
    made[name] = std::move(now);
  }
  made_ = std::move(made);
}

}  // namespace fairlead::proxy
