#include "config/sidecar.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace fairlead::config {
namespace {

Origin by_the_bootstrap() {
  return {.kind = "built-in", .name = "bootstrap"};
}

struct Families {
  bool v4 = true;
  bool v6 = false;
};

Families families_of(const std::vector<IpAddress>& addresses) {
  const auto any = [&](Family family) {
    return std::any_of(addresses.begin(), addresses.end(),
                       [&](const IpAddress& address) { return address.family() == family; });
  };
  return {.v4 = any(Family::v4) || !any(Family::v6), .v6 = any(Family::v6)};
}

// A listener that leads one path to the admin port, and nothing else.
Listener window(std::string name, std::uint16_t port, const char* path, const char* admin_path,
                const Families& families) {
  Route route{.name = name,
              .path = {.kind = PathMatch::Kind::exact, .value = path},
              .origin = by_the_bootstrap()};
  route.forward.clusters = {{.cluster = sidecar_admin_cluster}};
  if (path != std::string_view(admin_path)) route.forward.prefix_rewrite = admin_path;

  RouteConfiguration routes{.name = name, .origin = by_the_bootstrap()};
  routes.virtual_hosts.push_back(
      {.name = name, .domains = {"*"}, .routes = {std::move(route)}, .origin = by_the_bootstrap()});
  HttpConnectionManager http;
  http.stat_prefix = name;
  http.codec = HttpConnectionManager::Codec::automatic;
  http.routes = std::move(routes);

  Listener listener;
  listener.name = std::move(name);
  listener.address = {families.v4 ? IpAddress() : IpAddress::v6({}), port};
  if (families.v4 && families.v6) listener.additional_addresses = {{IpAddress::v6({}), port}};
  listener.filter_chains.push_back({.filter = std::move(http), .origin = by_the_bootstrap()});
  listener.origin = by_the_bootstrap();
  return listener;
}

}  // namespace

Cluster cluster_at(std::string name, LbEndpoint endpoint) {
  Cluster cluster;
  cluster.name = name;
  cluster.type = endpoint.host.empty() ? ClusterType::static_endpoints : ClusterType::strict_dns;
  cluster.connect_timeout = std::chrono::seconds(1);
  cluster.endpoints.cluster_name = std::move(name);
  cluster.endpoints.localities.emplace_back();
  cluster.endpoints.localities.back().endpoints.push_back(std::move(endpoint));
  cluster.origin = by_the_bootstrap();
  return cluster;
}

std::vector<Listener> sidecar_listeners(const SidecarPorts& ports,
                                        const std::vector<IpAddress>& addresses) {
  const Families families = families_of(addresses);
  std::vector<Listener> listeners;
  if (ports.metrics != 0) {
    listeners.push_back(
        window("prometheus", ports.metrics, "/stats/prometheus", "/stats/prometheus", families));
  }
  if (ports.health != 0) {
    listeners.push_back(window("health", ports.health, "/healthz/ready", "/ready", families));
  }
  return listeners;
}

}  // namespace fairlead::config
