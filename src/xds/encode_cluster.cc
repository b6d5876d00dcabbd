#include <algorithm>

#include "xds/encode_parts.h"

namespace fairlead::xds {
namespace {

using fairlead::xds::write;  // beside those below

using wire::cluster::Cluster;

Cluster::DiscoveryType type_of(config::ClusterType type) {
  switch (type) {
    case config::ClusterType::static_endpoints:
      return Cluster::STATIC;
    case config::ClusterType::strict_dns:
      return Cluster::STRICT_DNS;
    case config::ClusterType::eds:
      return Cluster::EDS;
    case config::ClusterType::original_dst:
      return Cluster::ORIGINAL_DST;
  }
  return Cluster::STATIC;
}

Cluster::LbPolicy policy_of(config::BalancePolicy policy) {
  switch (policy) {
    case config::BalancePolicy::round_robin:
      return Cluster::ROUND_ROBIN;
    case config::BalancePolicy::least_request:
      return Cluster::LEAST_REQUEST;
    case config::BalancePolicy::random:
      return Cluster::RANDOM;
    case config::BalancePolicy::cluster_provided:
      return Cluster::CLUSTER_PROVIDED;
  }
  return Cluster::ROUND_ROBIN;
}

void write_circuit_breakers(const config::Cluster& cluster, wire::cluster::CircuitBreakers& into) {
  auto& limits = *into.add_thresholds();
  limits.mutable_max_connections()->set_value(cluster.max_connections);
  limits.mutable_max_pending_requests()->set_value(cluster.max_pending_requests);
  limits.mutable_max_requests()->set_value(cluster.max_requests);
  limits.mutable_max_retries()->set_value(cluster.max_retries);
}

void write_http_options(const config::Cluster& cluster, Cluster& into) {
  wire::http_options::HttpProtocolOptions options;
  auto& common = *options.mutable_common_http_protocol_options();
  write(cluster.idle_timeout, *common.mutable_idle_timeout());
  if (cluster.max_requests_per_connection != 0) {
    common.mutable_max_requests_per_connection()->set_value(cluster.max_requests_per_connection);
  }
  if (cluster.http2) {
    options.mutable_explicit_http_config()->mutable_http2_protocol_options();
  } else {
    options.mutable_explicit_http_config()->mutable_http_protocol_options();
  }
  pack(options, (*into.mutable_typed_extension_protocol_options())[wire::http_options_key]);
}

// One source address, and the other family's beside it.
void write_source(const config::Cluster& cluster, Cluster& into) {
  if (!cluster.source_v4 && !cluster.source_v6) return;
  wire::core::BindConfig& bind = *into.mutable_upstream_bind_config();
  const IpAddress& first = cluster.source_v4 ? *cluster.source_v4 : *cluster.source_v6;
  write(SocketAddress{first, 0}, *bind.mutable_source_address());
  if (cluster.source_v4 && cluster.source_v6) {
    write(SocketAddress{*cluster.source_v6, 0},
          *bind.add_extra_source_addresses()->mutable_address());
  }
}

void write_balancing(const config::Cluster& cluster, Cluster& into) {
  into.set_lb_policy(policy_of(cluster.balance));
  if (cluster.least_request_choices != 2) {
    into.mutable_least_request_lb_config()->mutable_choice_count()->set_value(
        cluster.least_request_choices);
  }
  write_circuit_breakers(cluster, *into.mutable_circuit_breakers());
}

void write_eds(const config::Cluster& cluster, Cluster& into) {
  write_ads(*into.mutable_eds_cluster_config()->mutable_eds_config());
  into.mutable_eds_cluster_config()->set_service_name(cluster.eds_service_name);
}

wire::core::HealthStatus health_of(config::Health health) {
  switch (health) {
    case config::Health::unknown:
      return wire::core::UNKNOWN;
    case config::Health::healthy:
      return wire::core::HEALTHY;
    case config::Health::unhealthy:
      return wire::core::UNHEALTHY;
    case config::Health::draining:
      return wire::core::DRAINING;
  }
  return wire::core::UNKNOWN;
}

void write(const config::LbEndpoint& endpoint, wire::endpoint::LbEndpoint& into) {
  wire::core::Address& address = *into.mutable_endpoint()->mutable_address();
  if (!endpoint.unix_path.empty()) {
    address.mutable_pipe()->set_path(endpoint.unix_path);
  } else {
    write(endpoint.address, *address.mutable_socket_address());
    if (!endpoint.host.empty()) address.mutable_socket_address()->set_address(endpoint.host);
  }
  into.set_health_status(health_of(endpoint.health));
  into.mutable_load_balancing_weight()->set_value(endpoint.weight);
  if (!endpoint.workload.empty()) {
    write_text_field(*into.mutable_metadata(), "workload", endpoint.workload);
  }
  if (endpoint.proxied) write_text_field(*into.mutable_metadata(), "proxied", "true");
  if (!endpoint.transport_socket_labels.empty()) {
    write_labels(
        endpoint.transport_socket_labels,
        (*into.mutable_metadata()->mutable_filter_metadata())[wire::transport_socket_filter]);
  }
  write_closed(endpoint.closed, into);
  write_origin(endpoint.origin, into);
}

void write(const config::LocalityEndpoints& locality, wire::endpoint::LocalityLbEndpoints& into) {
  into.mutable_locality()->set_region(locality.region);
  into.mutable_locality()->set_zone(locality.zone);
  into.set_priority(locality.priority);
  into.mutable_load_balancing_weight()->set_value(locality.weight);
  for (const config::LbEndpoint& endpoint : locality.endpoints) {
    write(endpoint, *into.add_lb_endpoints());
  }
}

}  // namespace

void write(const config::ClusterLoadAssignment& endpoints,
           wire::endpoint::ClusterLoadAssignment& into) {
  into.set_cluster_name(endpoints.cluster_name);
  for (const config::LocalityEndpoints& locality : endpoints.localities) {
    write(locality, *into.add_endpoints());
  }
  // The message has no metadata of its own: the first locality carries the origin, and one without
  // endpoints where there is none.
  if (endpoints.origin == Origin{}) return;
  write_origin(endpoints.origin,
               into.endpoints().empty() ? *into.add_endpoints() : *into.mutable_endpoints(0));
}

// Of one that is not plain text no more is known than that: whoever reads it closes it again.
void write_transport_sockets(const config::Cluster& cluster, Cluster& into) {
  const auto write_socket = [](const config::Closed& closed, wire::core::TransportSocket& socket) {
    socket.set_name(closed.empty() ? "envoy.transport_sockets.raw_buffer" : closed);
    if (closed.empty()) pack(wire::RawBuffer(), *socket.mutable_typed_config());
  };
  if (!cluster.transport_socket.empty()) {
    write_socket(cluster.transport_socket, *into.mutable_transport_socket());
  }
  for (const config::TransportSocketMatch& match : cluster.transport_socket_matches) {
    Cluster::TransportSocketMatch& made = *into.add_transport_socket_matches();
    made.set_name(match.name);
    write_labels(match.labels, *made.mutable_match());
    write_socket(match.closed, *made.mutable_transport_socket());
  }
}

void write(const config::Cluster& cluster, Cluster& into) {
  into.set_name(cluster.name);
  into.set_type(type_of(cluster.type));
  write(cluster.connect_timeout, *into.mutable_connect_timeout());
  write_balancing(cluster, into);
  write_http_options(cluster, into);
  write_source(cluster, into);
  if (cluster.type == config::ClusterType::eds) write_eds(cluster, into);
  if (cluster.endpoints != config::ClusterLoadAssignment{}) {
    write(cluster.endpoints, *into.mutable_load_assignment());
  }
  write_transport_sockets(cluster, into);
  write_closed(cluster.closed, into);
  write_origin(cluster.origin, into);
}

}  // namespace fairlead::xds
