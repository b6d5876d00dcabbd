#include "control/compile/inbound.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <set>
#include <tuple>
#include <variant>

#include "control/compile/compile.h"

namespace fairlead::control {
namespace {

config::Cluster delivery_cluster(std::string name, Origin origin) {
  config::Cluster cluster =
      cluster_named(std::move(name), config::ClusterType::original_dst, std::move(origin));
  // The capture rules know the proxy's own deliveries by these addresses.
  cluster.source_v4 = IpAddress::v4({127, 0, 0, 6});
  cluster.source_v6 = IpAddress::v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6});
  return cluster;
}

config::HttpConnectionManager http_delivery(std::string stat_prefix, std::string virtual_host,
                                            const std::string& cluster, const Origin& origin) {
  config::Route route = forward_all(cluster, origin);
  route.forward.retry =
      config::RetryPolicy{.retry_on = {"reset-before-request"}, .retries = 2};  // as istiod's

  config::RouteConfiguration routes{.name = cluster, .origin = origin};
  routes.virtual_hosts.push_back({.name = std::move(virtual_host),
                                  .domains = {"*"},
                                  .routes = {std::move(route)},
                                  .origin = origin});

  config::HttpConnectionManager http = http_filter(std::move(stat_prefix));
  http.server_name = "istio-envoy";
  http.routes = std::move(routes);
  return http;
}

void add_catch_alls(config::Listener& listener) {
  const std::string cluster(inbound_passthrough_cluster);
  listener.filter_chains.push_back(chain("virtualInbound-blackhole",
                                         {.destination_port = inbound_capture_port},
                                         tcp_filter(std::string(black_hole_cluster)), built_in()));
  // Who dials the capture port itself would be sent in a circle.
  listener.filter_chains.push_back(
      chain("virtualInbound-catchall-http", http1_bytes(),
            http_delivery(cluster + ";", "inbound|http|0", cluster, built_in()), built_in()));
  listener.filter_chains.push_back(chain("virtualInbound", {}, tcp_filter(cluster), built_in()));
}

void add_port(config::Listener& listener, const InboundPort& port) {
  const std::string number = std::to_string(port.port);
  const std::string name = "0.0.0.0_" + number;
  const std::string cluster = inbound_cluster(port.port);
  config::FilterChainMatch any_bytes{.destination_port = port.port};
  if (port.treatment == Treatment::tcp) {
    listener.uninspected_ports.push_back(port.port);
  } else {
    config::FilterChainMatch http_bytes = http1_bytes();
    http_bytes.destination_port = port.port;
    listener.filter_chains.push_back(chain(
        name, std::move(http_bytes),
        http_delivery("inbound_" + name + ";", "inbound|http|" + std::to_string(port.service_port),
                      cluster, port.origin),
        port.origin));
  }
  listener.filter_chains.push_back(
      chain(name, std::move(any_bytes), tcp_filter(cluster), port.origin));
}

// The mark that Envoy itself sets comes after a route's changes.
void take_off_marks(config::FilterChain& chain) {
  auto* http = std::get_if<config::HttpConnectionManager>(&chain.filter);
  if (!http || !http->routes) return;
  for (config::VirtualHost& host : http->routes->virtual_hosts) {
    for (config::Route& route : host.routes) {
      route.response_headers_to_remove.emplace_back(config::undelivered_mark);
    }
  }
}

// Who declares TCP never waits for first bytes, whatever others call the same port; HTTP passes as
// TCP too.
bool declares_more(const InboundPort& left, const InboundPort& right) {
  const auto rank = [](const InboundPort& port) {
    return port.treatment == Treatment::tcp ? 2 : port.treatment == Treatment::http ? 1 : 0;
  };
  return rank(left) > rank(right);
}

}  // namespace

bool operator<(const InboundPort& left, const InboundPort& right) {
  const auto key = [](const InboundPort& port) {
    const Origin& origin = port.origin;
    return std::tie(port.port, port.service_port, port.treatment, port.host, origin.kind,
                    origin.name_space, origin.name, origin.file, origin.line);
  };
  return key(left) < key(right);
}

bool InboundIndex::goes_before(const Lead& left, const Lead& right) {
  const auto key = [](const Lead& lead) {
    return std::tie(lead.endpoint->address, lead.service->name_space, lead.service->name,
                    lead.service_port, lead.port);
  };
  return key(left) < key(right);
}

void InboundIndex::add_leads(const mesh::Service& service, std::vector<Lead>& leads) {
  for (const mesh::Endpoint& endpoint : service.endpoints) {
    for (std::size_t place = 0; place < service.ports.size(); ++place) {
      const mesh::ServicePort& service_port = service.ports[place];
      if (service_port.transport != mesh::Transport::tcp) continue;
      const mesh::EndpointPort* port = mesh::port_of(endpoint, service_port);
      if (!port) continue;
      leads.push_back({&endpoint, &service, static_cast<std::uint16_t>(place), port->port});
    }
  }
}

void InboundIndex::use(const mesh::World& world, const mesh::World* previous) {
  static const mesh::World nothing;
  std::set<const mesh::Service*> gone;
  std::vector<const mesh::Service*> fresh;
  mesh::for_each_difference(previous ? previous->services : nothing.services, world.services,
                            mesh::ByName(), [&](const auto* before, const auto* now) {
                              if (before) gone.insert(before);
                              if (now) fresh.push_back(now);
                            });
  if (!previous) leads_.clear();
  if (!gone.empty()) {
    std::erase_if(leads_, [&](const Lead& lead) { return gone.contains(lead.service); });
  }
  std::vector<Lead> more;
  for (const mesh::Service* service : fresh) add_leads(*service, more);
  if (more.empty()) return;
  std::sort(more.begin(), more.end(), goes_before);
  std::vector<Lead> all;
  all.reserve(leads_.size() + more.size());
  std::merge(leads_.begin(), leads_.end(), more.begin(), more.end(), std::back_inserter(all),
             goes_before);
  leads_ = std::move(all);
}

InboundPorts InboundIndex::ports_of(const std::vector<IpAddress>& addresses) const {
  std::map<std::uint16_t, InboundPort> ports;
  for (const IpAddress& address : addresses) {
    auto at = std::lower_bound(
        leads_.begin(), leads_.end(), address,
        [](const Lead& lead, const IpAddress& wanted) { return lead.endpoint->address < wanted; });
    for (; at != leads_.end() && at->endpoint->address == address; ++at) {
      const Lead& lead = *at;
      const mesh::ServicePort& service_port = lead.service->ports[lead.service_port];
      InboundPort candidate{.port = lead.port,
                            .service_port = service_port.port,
                            .treatment = treatment_of(service_port),
                            .host = lead.service->host,
                            .origin = lead.service->origin};
      const auto [existing, fresh] = ports.try_emplace(lead.port, candidate);
      if (!fresh && declares_more(candidate, existing->second)) {
        existing->second = std::move(candidate);
      }
    }
  }
  InboundPorts sorted;
  for (auto& [number, port] : ports) sorted.push_back(std::move(port));
  return sorted;
}

config::Listener inbound_listener(const InboundPorts& ports, bool ipv6, bool envoy) {
  config::Listener listener;
  listener.name = virtual_inbound;
  listener.address = {IpAddress(), inbound_capture_port};
  if (ipv6) listener.additional_addresses = {{IpAddress::v6({}), inbound_capture_port}};
  listener.direction = config::Direction::inbound;
  listener.original_dst_filter = true;
  listener.http_inspector = true;
  listener.listener_filters_timeout = first_bytes_wait;
  listener.continue_on_listener_filters_timeout = true;
  listener.origin = built_in();
  add_catch_alls(listener);
  for (const InboundPort& port : ports) add_port(listener, port);
  listener.uninspected_ports.push_back(inbound_capture_port);
  std::sort(listener.uninspected_ports.begin(), listener.uninspected_ports.end());
  if (envoy) {
    for (config::FilterChain& each : listener.filter_chains) take_off_marks(each);
  }
  return listener;
}

Gathered<config::Cluster> inbound_clusters(const InboundPorts& ports,
                                           const Resources<config::Cluster>* previous) {
  Gathered<config::Cluster> clusters;
  config::Cluster passthrough =
      delivery_cluster(std::string(inbound_passthrough_cluster), built_in());
  passthrough.idle_timeout = std::chrono::minutes(5);
  place(clusters, previous, passthrough.name, passthrough);
  for (const InboundPort& port : ports) {
    config::Cluster cluster = delivery_cluster(inbound_cluster(port.port), port.origin);
    place(clusters, previous, cluster.name, cluster);
  }
  return clusters;
}

}  // namespace fairlead::control
