// Clusters and their endpoints (envoy.config.cluster.v3, envoy.config.endpoint.v3) as plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/origin.h"
#include "config/closed.h"

namespace fairlead::config {

enum class ClusterType : std::uint8_t {
  static_endpoints,  // the endpoints are in the cluster
  strict_dns,        // names in the cluster, resolved again and again
  eds,               // endpoints come as a ClusterLoadAssignment
  original_dst,      // the address that the downstream dialled
};

enum class BalancePolicy : std::uint8_t { round_robin, least_request, random, cluster_provided };

enum class Health : std::uint8_t { unknown, healthy, unhealthy, draining };

using Labels = std::map<std::string, std::string>;

struct LbEndpoint {
  SocketAddress address;            // when `host` is empty
  std::string host;                 // a name to resolve (strict_dns), with address.port
  std::string unix_path;            // a unix socket instead of an address; empty for none
  Health health = Health::unknown;  // unknown counts as healthy, as in Envoy
  std::uint32_t weight = 1;
  std::string workload;  // "namespace/name" from metadata, for people
  bool proxied = false;  // its x-fairlead-undelivered is a proxy's: control says so
  Labels transport_socket_labels;
  // Metadata envoy.transport_socket_match, by which a cluster chooses how it is spoken to.
  Closed closed;  // what is sent to it is refused
  Origin origin;
  bool operator==(const LbEndpoint&) const = default;
};

struct LocalityEndpoints {
  std::string region;
  std::string zone;
  std::uint32_t priority = 0;
  std::uint32_t weight = 1;
  std::vector<LbEndpoint> endpoints;
  bool operator==(const LocalityEndpoints&) const = default;
};

struct ClusterLoadAssignment {
  std::string cluster_name;
  std::vector<LocalityEndpoints> localities;
  Origin origin;
  bool operator==(const ClusterLoadAssignment&) const = default;
};

// How the endpoints that carry all of these labels are spoken to.
struct TransportSocketMatch {
  std::string name;
  Labels labels;  // none: every endpoint
  Closed closed;  // empty: plain text
  bool operator==(const TransportSocketMatch&) const = default;
};

struct Cluster {
  std::string name;
  ClusterType type = ClusterType::static_endpoints;
  std::string eds_service_name;  // empty: the cluster's name
  BalancePolicy balance = BalancePolicy::round_robin;
  std::uint32_t least_request_choices = 2;
  std::chrono::milliseconds connect_timeout{5000};
  std::chrono::milliseconds idle_timeout{3600000};  // of a pooled connection
  std::uint32_t max_requests_per_connection = 0;    // 0: no limit
  std::uint32_t max_connections = 1024;             // circuit_breakers thresholds, DEFAULT priority
  std::uint32_t max_pending_requests = 1024;
  std::uint32_t max_requests = 1024;
  std::uint32_t max_retries = 3;
  bool http2 = false;                  // explicit HTTP/2 upstream
  std::optional<IpAddress> source_v4;  // upstream_bind_config: 127.0.0.6 for delivery inbound
  std::optional<IpAddress> source_v6;
  ClusterLoadAssignment endpoints;                             // static_endpoints and strict_dns
  std::vector<TransportSocketMatch> transport_socket_matches;  // the first that fits counts
  Closed transport_socket;  // for endpoints that none of these fits; empty: plain text
  Closed closed;            // whatever is chosen for it is refused
  Origin origin;
  bool operator==(const Cluster&) const = default;
};

}  // namespace fairlead::config
