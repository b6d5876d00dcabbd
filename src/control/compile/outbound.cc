#include "control/compile/outbound.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "control/compile/compile.h"

namespace fairlead::control {
namespace {

using mesh::Service;
using mesh::ServiceKind;
using mesh::ServicePort;

constexpr std::chrono::seconds declared_bytes_wait{5};
// A client of declared HTTP speaks first, so silence on a 0.0.0.0 listener means an unknown
// destination that happens to have the same port number.

template <class Visit>
void for_each_port(const Service& service, Visit visit) {
  if (service.kind == ServiceKind::external_name) return;  // an alias in DNS, nothing else
  for (const ServicePort& port : service.ports) {
    if (port.transport == mesh::Transport::tcp) visit(port);
  }
}

bool app_chooses_endpoint(const Service& service) {
  if (service.kind == ServiceKind::headless) return true;
  return service.mesh_external && service.endpoints.empty();  // the app resolved the name itself
}

std::string route_name(const Service& service, const ServicePort& port) {
  const std::string number = std::to_string(port.port);
  return treatment_of(port) == Treatment::http ? number : service.host + ":" + number;
}

// ── Clusters and endpoints ───────────────────────────────────────────────────────────────────────

bool stands_for_its_workload(const Service& service, const mesh::Endpoint& endpoint) {
  if (service.addresses.empty() || endpoint.workload.empty()) return true;
  const Family first = service.addresses.front().family();
  if (endpoint.address.family() == first) return true;
  return std::none_of(
      service.endpoints.begin(), service.endpoints.end(), [&](const mesh::Endpoint& other) {
        return other.workload == endpoint.workload && other.address.family() == first;
      });
}

config::LbEndpoint endpoint_of(const mesh::Endpoint& endpoint, const mesh::EndpointPort& port) {
  config::LbEndpoint made;
  made.address = {endpoint.address, port.port};
  made.proxied = port.proxied;
  made.weight = std::max<std::uint32_t>(endpoint.weight, 1);
  made.workload = endpoint.workload;
  made.origin = endpoint.origin;
  return made;
}

config::ClusterLoadAssignment endpoints_of(const Service& service, const ServicePort& port,
                                           std::string cluster) {
  std::map<std::string, config::LocalityEndpoints> by_zone;
  for (const mesh::Endpoint* endpoint : eligible_endpoints(service)) {
    const mesh::EndpointPort* target = mesh::port_of(*endpoint, port);
    if (!target) continue;
    config::LocalityEndpoints& locality = by_zone[endpoint->zone];
    locality.zone = endpoint->zone;
    locality.endpoints.push_back(endpoint_of(*endpoint, *target));
  }

  config::ClusterLoadAssignment made{.cluster_name = std::move(cluster), .origin = service.origin};
  for (auto& [zone, locality] : by_zone) {
    locality.weight = 0;
    for (const config::LbEndpoint& endpoint : locality.endpoints) {
      locality.weight += endpoint.weight;
    }
    made.localities.push_back(std::move(locality));
  }
  return made;
}

// Destinations while they are gathered.
struct Making {
  Gathered<config::Cluster> clusters;
  Gathered<config::ClusterLoadAssignment> endpoints;
};

void add_service(Making& made, const Service& service, const Destinations* previous) {
  for_each_port(service, [&](const ServicePort& port) {
    const std::string name = outbound_cluster(service.host, port.port);
    const bool by_app = app_chooses_endpoint(service);
    config::Cluster cluster =
        cluster_named(name, by_app ? config::ClusterType::original_dst : config::ClusterType::eds,
                      service.origin);
    if (!by_app) {
      cluster.eds_service_name = name;
      place(made.endpoints, previous ? &previous->endpoints : nullptr, name,
            endpoints_of(service, port, name));
    }
    place(made.clusters, previous ? &previous->clusters : nullptr, name, std::move(cluster));
  });
}

void share_service(Making& made, const Service& service, const Destinations& previous) {
  for_each_port(service, [&](const ServicePort& port) {
    const std::string name = outbound_cluster(service.host, port.port);
    const auto cluster = previous.clusters.find(name);
    const auto endpoints = previous.endpoints.find(name);
    if (cluster != previous.clusters.end()) made.clusters.try_emplace(name, cluster->second);
    if (endpoints != previous.endpoints.end()) made.endpoints.try_emplace(name, endpoints->second);
  });
}

bool unchanged(const mesh::World* previous_world, const Service& service) {
  if (!previous_world) return false;
  const Service* before = mesh::find_service(*previous_world, service.name_space, service.name);
  return before && (before == &service || *before == service);
}

void add_built_in_clusters(Making& made, const Destinations* previous) {
  const Resources<config::Cluster>* clusters = previous ? &previous->clusters : nullptr;
  config::Cluster black_hole = cluster_named(std::string(black_hole_cluster),
                                             config::ClusterType::static_endpoints, built_in());
  black_hole.balance = config::BalancePolicy::round_robin;
  black_hole.endpoints.cluster_name = black_hole.name;
  place(made.clusters, clusters, black_hole.name, black_hole);
  config::Cluster passthrough = cluster_named(std::string(passthrough_cluster),
                                              config::ClusterType::original_dst, built_in());
  passthrough.idle_timeout = std::chrono::minutes(5);
  place(made.clusters, clusters, passthrough.name, passthrough);
}

// ── Listeners ────────────────────────────────────────────────────────────────────────────────────

config::HttpConnectionManager routed_http(std::string stat_prefix, std::string routes) {
  config::HttpConnectionManager http = http_filter(std::move(stat_prefix));
  http.route_config_name = std::move(routes);
  return http;
}

config::Listener outbound_listener(const SocketAddress& address, Origin origin) {
  config::Listener listener;
  listener.name = address.ip.text() + "_" + std::to_string(address.port);
  listener.address = address;
  listener.bind_to_port = false;
  listener.direction = config::Direction::outbound;
  listener.listener_filters_timeout = config::Milliseconds{0};
  listener.continue_on_listener_filters_timeout = true;
  listener.origin = std::move(origin);
  return listener;
}

void guess_http(config::Listener& listener, config::Milliseconds wait, std::string routes) {
  listener.http_inspector = true;
  listener.listener_filters_timeout = wait;
  listener.filter_chains.push_back(
      chain("http", http1_bytes(),
            routed_http("outbound_" + listener.name + ";", std::move(routes)), listener.origin));
}

config::Listener service_listener(const SocketAddress& address, const Service& service,
                                  const ServicePort& port) {
  config::Listener listener = outbound_listener(address, service.origin);
  const std::string cluster = outbound_cluster(service.host, port.port);
  if (treatment_of(port) == Treatment::tcp) {
    listener.filter_chains.push_back(chain("tcp", {}, tcp_filter(cluster), service.origin));
    return listener;
  }
  guess_http(listener, first_bytes_wait, route_name(service, port));
  listener.default_filter_chain = chain("tcp", {}, tcp_filter(cluster), service.origin);
  return listener;
}

config::Listener wildcard_http_listener(std::uint16_t port, bool ipv6) {
  config::Listener listener = outbound_listener({IpAddress(), port}, built_in());
  if (ipv6) listener.additional_addresses = {{IpAddress::v6({}), port}};
  guess_http(listener, declared_bytes_wait, std::to_string(port));
  listener.default_filter_chain =
      chain("PassthroughFilterChain", {}, tcp_filter(std::string(passthrough_cluster)), built_in());
  return listener;
}

config::Listener virtual_outbound_listener(bool ipv6) {
  config::Listener listener;
  listener.name = virtual_outbound;
  listener.address = {IpAddress(), outbound_capture_port};
  if (ipv6) listener.additional_addresses = {{IpAddress::v6({}), outbound_capture_port}};
  listener.use_original_dst = true;
  listener.direction = config::Direction::outbound;
  listener.origin = built_in();
  listener.filter_chains.push_back(chain("virtualOutbound-blackhole",
                                         {.destination_port = outbound_capture_port},
                                         tcp_filter(std::string(black_hole_cluster)), built_in()));
  listener.filter_chains.push_back(chain("virtualOutbound-catchall-tcp", {},
                                         tcp_filter(std::string(passthrough_cluster)), built_in()));
  return listener;
}

// The addresses by which an app reaches this port and nothing else, apart from what a 0.0.0.0
// listener takes already.
std::vector<SocketAddress> own_addresses(const Service& service, const ServicePort& port) {
  const bool http = treatment_of(port) == Treatment::http;
  std::vector<SocketAddress> addresses;
  if (!service.addresses.empty()) {
    if (http) return addresses;
    for (const IpAddress& address : service.addresses) addresses.push_back({address, port.port});
    return addresses;
  }
  for (const mesh::Endpoint& endpoint : service.endpoints) {
    const mesh::EndpointPort* target = mesh::port_of(endpoint, port);
    if (!target) continue;
    const std::uint16_t dialled = service.kind == ServiceKind::headless ? target->port : port.port;
    if (http && dialled == port.port) continue;
    addresses.push_back({endpoint.address, dialled});
  }
  return addresses;
}

// ── Routes ───────────────────────────────────────────────────────────────────────────────────────

config::RetryPolicy retry_elsewhere() {
  return {.retry_on = {"connect-failure", "refused-stream", "unavailable", "cancelled",
                       "retriable-status-codes"},
          .retries = 2,
          .avoid_previous_hosts = true};
}

std::string host_form(const IpAddress& address) {
  return address.is_v4() ? address.text() : "[" + address.text() + "]";
}

bool in_cluster_domain(const mesh::World& world, const Service& service) {
  return service.host == service.name + "." + service.name_space + ".svc." + world.domain;
}

std::vector<std::string> domains_of(const mesh::World& world, const Service& service,
                                    std::string_view name_space) {
  std::vector<std::string> domains{service.host, service.host + "."};
  if (in_cluster_domain(world, service)) {
    const std::string qualified = service.name + "." + service.name_space;
    if (service.name_space == name_space) domains.push_back(service.name);
    domains.push_back(qualified + ".svc");
    domains.push_back(qualified);
  }
  if (service.kind == ServiceKind::headless) {
    const std::size_t own = domains.size();
    for (std::size_t i = 0; i < own; ++i) domains.push_back("*." + domains[i]);  // of its pods
  }
  for (const IpAddress& address : service.addresses) domains.push_back(host_form(address));
  return domains;
}

config::Route service_route(const Service& service, const ServicePort& port) {
  config::Route route = forward_all(outbound_cluster(service.host, port.port), service.origin);
  route.forward.retry = retry_elsewhere();
  return route;
}

// What our proxy does of its own accord (proxy/decide/retry.h): a 503 that the far proxy marks as
// never delivered is tried elsewhere, and the mark does not reach the app. An Envoy cannot tell
// endpoints apart: where one has no proxy, its app could say the mark, and none is believed.
config::Route route_for_envoy(config::Route route, bool believes_marks) {
  config::RetryPolicy& retry = *route.forward.retry;
  if (believes_marks) {
    retry.retry_on.emplace_back("retriable-headers");
    retry.retriable_headers = {{.name = std::string(config::undelivered_mark), .value = {}}};
  }
  route.response_headers_to_remove = {std::string(config::undelivered_mark)};
  return route;
}

// And so is a safe request whose connection ended before the response began. An Envoy's policy
// cannot tell methods apart, its routes can.
config::Route safe_route_for_envoy(config::Route route) {
  route.name = "safe";
  route.headers = {{.name = ":method",
                    .value = config::StringMatch{.kind = config::StringMatch::Kind::regex,
                                                 .value = "GET|HEAD|OPTIONS|TRACE"}}};
  route.forward.retry->retry_on.emplace_back("reset");
  return route;
}

std::vector<config::Route> service_routes(const Service& service, const ServicePort& port,
                                          bool envoy) {
  config::Route route = service_route(service, port);
  if (!envoy) return {std::move(route)};
  const bool believes_marks = !app_chooses_endpoint(service) && all_proxied(service, port);
  route = route_for_envoy(std::move(route), believes_marks);
  return {safe_route_for_envoy(route), route};
}

config::VirtualHost virtual_host(const Service& service, const ServicePort& port,
                                 std::vector<std::string> domains, bool envoy) {
  return {.name = service.host + ":" + std::to_string(port.port),
          .domains = std::move(domains),
          .routes = service_routes(service, port, envoy),
          .origin = service.origin};
}

config::VirtualHost allow_any() {
  config::Route route = forward_all(std::string(passthrough_cluster), built_in());
  route.name = "allow_any";
  return {
      .name = "allow_any", .domains = {"*"}, .routes = {std::move(route)}, .origin = built_in()};
}

config::RouteConfiguration routes_named(std::string name, Origin origin) {
  return {
      .name = std::move(name), .ignore_port_in_host_matching = true, .origin = std::move(origin)};
}

// One port's routes while they are gathered. A domain may stand in one virtual host only, or Envoy
// refuses the whole resource: the first service keeps it.
struct PortRoutes {
  config::RouteConfiguration routes;
  std::set<std::string> domains;

  void add(const mesh::World& world, const Service& service, const ServicePort& port,
           const RouteReader& reader) {
    std::vector<std::string> own;
    for (std::string& domain : domains_of(world, service, reader.name_space)) {
      if (domains.insert(domain).second) own.push_back(std::move(domain));
    }
    if (own.empty()) return;
    routes.virtual_hosts.push_back(virtual_host(service, port, std::move(own), reader.envoy));
  }
};

}  // namespace

bool all_proxied(const Service& service, const ServicePort& port) {
  if (service.mesh_external) return false;
  return std::all_of(service.endpoints.begin(), service.endpoints.end(),
                     [&](const mesh::Endpoint& endpoint) {
                       const mesh::EndpointPort* target = mesh::port_of(endpoint, port);
                       return !target || target->proxied;
                     });
}

std::vector<const mesh::Endpoint*> eligible_endpoints(const Service& service LIFETIMEBOUND) {
  const bool any_ready = std::any_of(service.endpoints.begin(), service.endpoints.end(),
                                     [](const mesh::Endpoint& endpoint) { return endpoint.ready; });
  std::vector<const mesh::Endpoint*> eligible;
  for (const mesh::Endpoint& endpoint : service.endpoints) {
    const bool serves = any_ready ? endpoint.ready : (endpoint.serving && endpoint.terminating);
    if (serves && stands_for_its_workload(service, endpoint)) eligible.push_back(&endpoint);
  }
  return eligible;
}

Destinations destinations_of(const mesh::World& world, const Destinations* previous,
                             const mesh::World* previous_world) {
  Making made;
  add_built_in_clusters(made, previous);
  for (const Service& service : world.services) {
    if (previous && unchanged(previous_world, service)) {
      share_service(made, service, *previous);
    } else {
      add_service(made, service, previous);
    }
  }
  return {resources_of(made.clusters, previous ? &previous->clusters : nullptr),
          resources_of(made.endpoints, previous ? &previous->endpoints : nullptr)};
}

Resources<config::Listener> outbound_listeners(const mesh::World& world, bool ipv6,
                                               const Resources<config::Listener>* previous) {
  Gathered<config::Listener> listeners;
  place(listeners, previous, std::string(virtual_outbound), virtual_outbound_listener(ipv6));
  for (const Service& service : world.services) {
    for_each_port(service, [&](const ServicePort& port) {
      if (treatment_of(port) == Treatment::http) {
        const std::string name = "0.0.0.0_" + std::to_string(port.port);
        if (!listeners.contains(name)) {
          place(listeners, previous, name, wildcard_http_listener(port.port, ipv6));
        }
      }
      for (const SocketAddress& address : own_addresses(service, port)) {
        config::Listener listener = service_listener(address, service, port);
        const std::string name = listener.name;
        place(listeners, previous, name, std::move(listener));
      }
    });
  }
  return resources_of(listeners, previous);
}

Resources<config::RouteConfiguration> outbound_routes(
    const mesh::World& world, const RouteReader& reader,
    const Resources<config::RouteConfiguration>* previous) {
  Gathered<config::RouteConfiguration> made;
  std::map<std::uint16_t, PortRoutes> by_port;
  for (const Service& service : world.services) {
    for_each_port(service, [&](const ServicePort& port) {
      const std::string name = route_name(service, port);
      if (treatment_of(port) == Treatment::http) {
        const auto found =
            by_port.try_emplace(port.port, PortRoutes{routes_named(name, built_in()), {}}).first;
        found->second.add(world, service, port, reader);
      } else if (treatment_of(port) == Treatment::guessed) {
        config::RouteConfiguration routes = routes_named(name, service.origin);
        routes.virtual_hosts = {virtual_host(service, port, {"*"}, reader.envoy)};
        place(made, previous, name, std::move(routes));
      }
    });
  }
  for (auto& [port, gathered] : by_port) {
    gathered.routes.virtual_hosts.push_back(allow_any());
    place(made, previous, std::to_string(port), std::move(gathered.routes));
  }
  return resources_of(made, previous);
}

}  // namespace fairlead::control
