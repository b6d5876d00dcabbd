#include <fmt/format.h>

#include <limits>
#include <set>

#include "xds/decode_parts.h"
#include "xds/effects.h"

namespace fairlead::xds {
namespace {

using wire::cluster::Cluster;

Result<config::ClusterType> read_type(const Cluster& cluster, const Place& place) {
  switch (cluster.type()) {
    case Cluster::STATIC:
      return config::ClusterType::static_endpoints;
    case Cluster::STRICT_DNS:
    case Cluster::LOGICAL_DNS:  // every address of the name instead of one at a time
      return config::ClusterType::strict_dns;
    case Cluster::EDS:
      return config::ClusterType::eds;
    case Cluster::ORIGINAL_DST:
      return config::ClusterType::original_dst;
    default:
      break;
  }
  return place.in("type").refused(
      fmt::format("{} is none that we know", static_cast<int>(cluster.type())));
}

Result<config::BalancePolicy> read_policy(const Cluster& cluster, const Place& place) {
  const Place here = place.in("lb_policy");
  const bool original = cluster.type() == Cluster::ORIGINAL_DST;
  if (original != (cluster.lb_policy() == Cluster::CLUSTER_PROVIDED)) {
    return here.refused("CLUSTER_PROVIDED goes with the type ORIGINAL_DST, and with that alone");
  }
  switch (cluster.lb_policy()) {
    case Cluster::ROUND_ROBIN:
      return config::BalancePolicy::round_robin;
    case Cluster::LEAST_REQUEST:
      return config::BalancePolicy::least_request;
    case Cluster::RANDOM:
      return config::BalancePolicy::random;
    case Cluster::CLUSTER_PROVIDED:
      return config::BalancePolicy::cluster_provided;
    case Cluster::RING_HASH:
    case Cluster::MAGLEV:
    case Cluster::LOAD_BALANCING_POLICY_CONFIG:
      here.note(Cluster::LbPolicy_Name(cluster.lb_policy()) + ": balanced by least request");
      return config::BalancePolicy::least_request;
    default:
      break;
  }
  return here.refused(
      fmt::format("{} is none that we know", static_cast<int>(cluster.lb_policy())));
}

void set(std::uint32_t& value, bool given, const google::protobuf::UInt32Value& from) {
  if (given) value = from.value();
}

void read_circuit_breakers(config::Cluster& made, const wire::cluster::CircuitBreakers& breakers,
                           const Place& place) {
  for (int i = 0; i < breakers.thresholds_size(); ++i) {
    const auto& limits = breakers.thresholds(i);
    if (limits.priority() != wire::core::DEFAULT) {
      // Every request is of priority DEFAULT here, and counted against its limits.
      place.in("thresholds", i).note("of another priority than DEFAULT", Effect::tunes);
      continue;
    }
    set(made.max_connections, limits.has_max_connections(), limits.max_connections());
    set(made.max_pending_requests, limits.has_max_pending_requests(),
        limits.max_pending_requests());
    set(made.max_requests, limits.has_max_requests(), limits.max_requests());
    set(made.max_retries, limits.has_max_retries(), limits.max_retries());
  }
}

Result<> read_common_options(config::Cluster& made, const wire::core::HttpProtocolOptions& options,
                             const Place& place) {
  set(made.max_requests_per_connection, options.has_max_requests_per_connection(),
      options.max_requests_per_connection());
  if (options.has_max_headers_count()) place.in("max_headers_count").note();
  if (!options.has_idle_timeout()) return done();
  return take(made.idle_timeout, read_duration(options.idle_timeout(), place.in("idle_timeout")));
}

Result<> read_http_options(config::Cluster& made, const wire::Any& any, const Place& place) {
  const auto options = unpack<wire::http_options::HttpProtocolOptions>(any, place);
  if (!options.ok()) return options.fault();
  made.http2 = options->explicit_http_config().has_http2_protocol_options();
  // use_downstream_protocol_config means HTTP/1.1 here: nothing else comes from downstream.
  return read_common_options(made, options->common_http_protocol_options(),
                             place.in("common_http_protocol_options"));
}

Result<> read_extensions(config::Cluster& made, const Cluster& cluster, const Place& place) {
  const Place here = place.in("typed_extension_protocol_options");
  for (const auto& [name, any] : cluster.typed_extension_protocol_options()) {
    const Place inside = here.in(name);
    if (name != wire::http_options_key) {
      inside.note(any.type_url(), effect_of_any(any));
      continue;
    }
    Result<> read = read_http_options(made, any, inside);
    if (!read.ok()) return read;
  }
  return done();
}

Result<> set_source(config::Cluster& made, const wire::core::SocketAddress& address,
                    const Place& place) {
  const Result<SocketAddress> source = read_address(address, place);
  if (!source.ok()) return source.fault();
  if (source->port != 0) place.in("port_value").note("the system chooses the port");
  (source->ip.is_v4() ? made.source_v4 : made.source_v6) = source->ip;
  return done();
}

Result<> read_source(config::Cluster& made, const wire::core::BindConfig& bind,
                     const Place& place) {
  for (int i = 0; i < bind.extra_source_addresses_size(); ++i) {
    Result<> read = set_source(made, bind.extra_source_addresses(i).address(),
                               place.in("extra_source_addresses", i).in("address"));
    if (!read.ok()) return read;
  }
  return bind.has_source_address()
             ? set_source(made, bind.source_address(), place.in("source_address"))
             : done();
}

void note_transport_socket(const Cluster& cluster, const Place& place) {
  if (!cluster.has_transport_socket()) return;
  const auto& socket = cluster.transport_socket();
  if (!socket.typed_config().Is<wire::RawBuffer>()) {
    place.in("transport_socket").note(socket.name());
  }
}

void read_transport_socket_matches(config::Cluster& made, const Cluster& cluster,
                                   const Place& place) {
  for (int i = 0; i < cluster.transport_socket_matches_size(); ++i) {
    const auto& match = cluster.transport_socket_matches(i);
    const Place here = place.in("transport_socket_matches", i);
    if (!match.transport_socket().typed_config().Is<wire::RawBuffer>()) {
      here.in("transport_socket").note(match.transport_socket().name(), Effect::protects);
    }
    made.transport_socket_matches.push_back(
        {.name = match.name(), .labels = labels_in(match.match()), .closed = here.claim()});
  }
}

Result<> read_endpoints(config::Cluster& made, const Cluster& cluster, const Place& place) {
  if (made.type == config::ClusterType::eds) {
    if (!cluster.has_eds_cluster_config()) {
      return place.in("eds_cluster_config").refused("is needed for the type EDS");
    }
    const auto& eds = cluster.eds_cluster_config();
    check_config_source(eds.eds_config(), place.in("eds_cluster_config").in("eds_config"));
    made.eds_service_name = eds.service_name();
  }
  if (!cluster.has_load_assignment()) return done();
  return take(made.endpoints, read(cluster.load_assignment(), place.in("load_assignment"),
                                   made.type == config::ClusterType::strict_dns));
}

Result<> read_options(config::Cluster& made, const Cluster& cluster, const Place& place) {
  if (cluster.has_connect_timeout()) {
    Result<> read = take(made.connect_timeout,
                         read_duration(cluster.connect_timeout(), place.in("connect_timeout")));
    if (!read.ok()) return read;
    if (made.connect_timeout.count() == 0) {
      return place.in("connect_timeout").refused("expected more than 0s");
    }
  }
  made.http2 = cluster.has_http2_protocol_options();
  set(made.max_requests_per_connection, cluster.has_max_requests_per_connection(),
      cluster.max_requests_per_connection());
  Result<> read = read_common_options(made, cluster.common_http_protocol_options(),
                                      place.in("common_http_protocol_options"));
  if (!read.ok()) return read;
  return read_extensions(made, cluster, place);
}

Result<> read_balancing(config::Cluster& made, const Cluster& cluster, const Place& place) {
  Result<> read = take(made.balance, read_policy(cluster, place));
  if (!read.ok()) return read;
  const auto& least_request = cluster.least_request_lb_config();
  set(made.least_request_choices, least_request.has_choice_count(), least_request.choice_count());
  if (made.least_request_choices < 2) {
    return place.in("least_request_lb_config").in("choice_count").refused("expected 2 or more");
  }
  read_circuit_breakers(made, cluster.circuit_breakers(), place.in("circuit_breakers"));
  return done();
}

// ── Endpoints ────────────────────────────────────────────────────────────────────────────────────

config::Health health_from(wire::core::HealthStatus status, const Place& place) {
  switch (status) {
    case wire::core::HEALTHY:
      return config::Health::healthy;
    case wire::core::UNHEALTHY:
    case wire::core::TIMEOUT:
      return config::Health::unhealthy;
    case wire::core::DRAINING:
      return config::Health::draining;
    case wire::core::DEGRADED:
      place.in("health_status").note("DEGRADED: taken as healthy");
      return config::Health::healthy;
    default:
      return config::Health::unknown;
  }
}

Result<> read_host(config::LbEndpoint& made, const wire::core::SocketAddress& address,
                   bool names_allowed, const Place& place) {
  const bool is_name = !IpAddress::parse(address.address()).ok();
  if (!is_name || !names_allowed) return take(made.address, read_address(address, place));
  if (address.address().empty()) return place.in("address").refused("expected a host");
  if (address.port_value() > std::numeric_limits<std::uint16_t>::max()) {
    return place.in("port_value").refused(fmt::format("{} is no port", address.port_value()));
  }
  made.host = address.address();
  made.address.port = static_cast<std::uint16_t>(address.port_value());
  return done();
}

Result<> read_where(config::LbEndpoint& made, const wire::core::Address& address,
                    bool names_allowed, const Place& place) {
  if (address.has_pipe()) {
    if (address.pipe().path().empty()) return place.in("pipe").in("path").refused("is empty");
    made.unix_path = address.pipe().path();
    return done();
  }
  if (!address.has_socket_address()) return place.refused("expected a socket_address or a pipe");
  return read_host(made, address.socket_address(), names_allowed, place.in("socket_address"));
}

Result<std::uint32_t> read_weight(bool given, const google::protobuf::UInt32Value& weight,
                                  const Place& place) {
  if (!given) return std::uint32_t{1};
  if (weight.value() == 0) return place.in("load_balancing_weight").refused("expected 1 or more");
  return weight.value();
}

Result<config::LbEndpoint> read(const wire::endpoint::LbEndpoint& endpoint, bool names_allowed,
                                const Place& place) {
  config::LbEndpoint made;
  if (!endpoint.has_endpoint()) return place.in("endpoint").refused("is needed");
  Result<> read = read_where(made, endpoint.endpoint().address(), names_allowed,
                             place.in("endpoint").in("address"));
  if (!read.ok()) return std::move(read).fault();
  read = take(made.weight, read_weight(endpoint.has_load_balancing_weight(),
                                       endpoint.load_balancing_weight(), place));
  if (!read.ok()) return std::move(read).fault();
  made.health = health_from(endpoint.health_status(), place);
  made.workload = workload_in(endpoint.metadata());
  made.proxied = proxied_in(endpoint.metadata());
  made.origin = origin_in(endpoint.metadata());
  made.transport_socket_labels = labels_in(endpoint.metadata());
  note_metadata(endpoint.metadata(), place);
  close_unless_closed(made.closed, endpoint.metadata(), place);
  return made;
}

void close_all(config::LocalityEndpoints& locality, const config::Closed& why) {
  for (config::LbEndpoint& endpoint : locality.endpoints) {
    if (endpoint.closed.empty()) endpoint.closed = why;
  }
}

Result<config::LocalityEndpoints> read(const wire::endpoint::LocalityLbEndpoints& locality,
                                       bool names_allowed, const Place& place) {
  config::LocalityEndpoints made{.region = locality.locality().region(),
                                 .zone = locality.locality().zone(),
                                 .priority = locality.priority()};
  if (!locality.locality().sub_zone().empty()) place.in("locality").in("sub_zone").note();
  if (locality.priority() > 128) return place.in("priority").refused("expected at most 128");
  Result<> read_one = take(made.weight, read_weight(locality.has_load_balancing_weight(),
                                                    locality.load_balancing_weight(), place));
  if (!read_one.ok()) return std::move(read_one).fault();
  made.endpoints.reserve(static_cast<std::size_t>(locality.lb_endpoints_size()));
  for (int i = 0; i < locality.lb_endpoints_size(); ++i) {
    Result<config::LbEndpoint> endpoint =
        read(locality.lb_endpoints(i), names_allowed, place.in("lb_endpoints", i));
    if (!endpoint.ok()) return std::move(endpoint).fault();
    made.endpoints.push_back(std::move(endpoint).value());
  }
  close_all(made, place.claim());
  return made;
}

// What we send for a service without endpoints: a locality that only carries the origin.
bool only_carries_origin(const wire::endpoint::LocalityLbEndpoints& locality) {
  return locality.lb_endpoints_size() == 0 && !locality.has_locality() &&
         locality.metadata().filter_metadata().contains("fairlead");
}

Result<> check_priorities(const config::ClusterLoadAssignment& made, const Place& place) {
  std::set<std::uint32_t> priorities;
  for (const config::LocalityEndpoints& locality : made.localities) {
    priorities.insert(locality.priority);
  }
  if (!priorities.empty() && *priorities.rbegin() + 1 != priorities.size()) {
    return place.in("endpoints").refused("the priorities leave one out");
  }
  return done();
}

}  // namespace

Result<config::ClusterLoadAssignment> read(const wire::endpoint::ClusterLoadAssignment& endpoints,
                                           const Place& place, bool names_allowed) {
  config::ClusterLoadAssignment made{.cluster_name = endpoints.cluster_name()};
  if (made.cluster_name.empty()) return place.in("cluster_name").refused("is needed");
  for (int i = 0; i < endpoints.endpoints_size(); ++i) {
    const auto& message = endpoints.endpoints(i);
    const Place here = place.in("endpoints", i);
    if (!made.origin.known()) made.origin = origin_in(message.metadata());
    note_metadata(message.metadata(), here);
    if (only_carries_origin(message)) continue;
    Result<config::LocalityEndpoints> locality = read(message, names_allowed, here);
    if (!locality.ok()) return std::move(locality).fault();
    made.localities.push_back(std::move(locality).value());
  }
  Result<> checked = check_priorities(made, place);
  if (!checked.ok()) return std::move(checked).fault();
  const config::Closed why = place.claim();
  for (config::LocalityEndpoints& locality : made.localities) close_all(locality, why);
  return made;
}

void note_http2(const Cluster& cluster, const Place& place) {
  place
      .in(cluster.has_http2_protocol_options() ? "http2_protocol_options"
                                               : "typed_extension_protocol_options")
      .note("HTTP/2: HTTP/1.1 is spoken", Effect::decides);
}

Result<config::Cluster> read(const Cluster& cluster, const Place& place) {
  config::Cluster made{.name = cluster.name(), .origin = origin_in(cluster.metadata())};
  if (made.name.empty()) return place.in("name").refused("is needed");
  note_metadata(cluster.metadata(), place);
  note_transport_socket(cluster, place);
  const Result<> parts =
      all({take(made.type, read_type(cluster, place)), read_balancing(made, cluster, place),
           read_options(made, cluster, place),
           read_source(made, cluster.upstream_bind_config(), place.in("upstream_bind_config")),
           read_endpoints(made, cluster, place)});
  if (!parts.ok()) return parts.fault();
  made.transport_socket = place.in("transport_socket").claim();
  read_transport_socket_matches(made, cluster, place);
  close_unless_closed(made.closed, cluster.metadata(), place);
  return made;
}

}  // namespace fairlead::xds
