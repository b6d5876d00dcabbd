// Listeners, filter chains and what runs in them (envoy.config.listener.v3) as plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/address.h"
#include "base/origin.h"
#include "config/closed.h"
#include "config/route.h"

namespace fairlead::config {

struct AccessLog {
  std::string path;    // a file, "/dev/stdout" or "/dev/stderr"
  std::string format;  // Envoy's command operators; empty: Envoy's default format
  bool operator==(const AccessLog&) const = default;
};

struct HttpConnectionManager {
  enum class Codec : std::uint8_t { automatic, http1, http2 };
  std::string stat_prefix;
  Codec codec = Codec::automatic;
  std::string route_config_name;             // by RDS, when `routes` is absent
  std::optional<RouteConfiguration> routes;  // inline
  std::vector<AccessLog> access_logs;
  bool generate_request_id = true;
  bool preserve_external_request_id = false;
  bool use_remote_address = false;
  bool normalize_path = false;
  std::string server_name = "envoy";
  bool server_header_pass_through = false;
  bool answer_expect = false;                // 100 is said here; else Expect goes to the endpoint
  std::vector<std::string> upgrades;         // "websocket", "CONNECT": let through
  Milliseconds idle_timeout{3600000};        // a connection without a request; 0: none
  Milliseconds stream_idle_timeout{300000};  // a request without progress; 0: none
  Milliseconds request_timeout{0};           // until the whole request has come; 0: none
  Milliseconds request_headers_timeout{0};   // 0: none
  Milliseconds drain_timeout{5000};
  std::uint32_t max_request_headers_kb = 60;
  std::uint32_t max_headers_count = 100;
  std::vector<ClosedFilter> closed_filters;
  Closed closed;  // every request is refused
  bool operator==(const HttpConnectionManager&) const = default;
};

struct TcpProxy {
  std::string stat_prefix;
  std::vector<WeightedCluster> clusters;  // at least one, unless its chain is closed
  Milliseconds idle_timeout{3600000};     // 0: none
  std::uint32_t max_connect_attempts = 1;
  std::vector<AccessLog> access_logs;
  bool operator==(const TcpProxy&) const = default;
};

struct Prefix {
  IpAddress address;
  int length = 0;
  bool operator==(const Prefix&) const = default;
};

// The order of matching, and that it never goes back, is Envoy's: destination port, address, server
// name, transport protocol, application protocol, source.
struct FilterChainMatch {
  std::optional<std::uint16_t> destination_port;
  std::vector<Prefix> prefix_ranges;
  std::vector<std::string> server_names;
  std::string transport_protocol;                  // "", "tls", "raw_buffer"
  std::vector<std::string> application_protocols;  // "http/1.1", "h2c", ALPN names
  std::vector<Prefix> source_prefix_ranges;
  bool operator==(const FilterChainMatch&) const = default;
};

struct FilterChain {
  std::string name;
  FilterChainMatch match;
  std::variant<TcpProxy, HttpConnectionManager> filter;
  Closed closed;  // every connection is ended
  Origin origin;
  bool operator==(const FilterChain&) const = default;
};

enum class Direction : std::uint8_t { unspecified, inbound, outbound };

struct Listener {
  std::string name;
  SocketAddress address;
  std::vector<SocketAddress> additional_addresses;
  bool bind_to_port = true;
  bool use_original_dst = false;  // hand the connection to the listener of the dialled address
  Direction direction = Direction::unspecified;
  bool original_dst_filter = false;  // envoy.filters.listener.original_dst
  bool tls_inspector = false;
  bool http_inspector = false;
  Milliseconds listener_filters_timeout{15000};  // 0: wait for ever
  bool continue_on_listener_filters_timeout = false;
  std::vector<std::uint16_t> uninspected_ports;
  // Destination ports that the inspectors leave alone (filter_disabled of each), sorted: what is
  // declared needs no guess, and a server that speaks first is not kept waiting.
  std::vector<FilterChain> filter_chains;
  std::optional<FilterChain> default_filter_chain;
  std::vector<AccessLog> access_logs;  // connections that no chain took
  Origin origin;
  bool operator==(const Listener&) const = default;
};

}  // namespace fairlead::config
