#include "control/compile/parts.h"

#include <limits>

#include "control/compile/compile.h"

namespace fairlead::control {
namespace {

// Istio's default text format (istio.io, "Envoy Access Logs"): a wire format of sorts, since log
// pipelines parse it.
constexpr const char* access_log_format =
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" "
    "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "
    "\"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% "
    "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" "
    "\"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% "
    "%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% "
    "%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n";

std::vector<config::AccessLog> to_standard_output() {
  return {{.path = "/dev/stdout", .format = access_log_format}};
}

bool server_speaks_first(std::uint16_t port) {
  return port == 25 || port == 53 || port == 3306 || port == 27017;  // SMTP, DNS, MySQL, MongoDB
}

template <class Filter>
config::FilterChain chain_of(std::string name, config::FilterChainMatch match, Filter filter,
                             Origin origin) {
  return {.name = std::move(name),
          .match = std::move(match),
          .filter = std::move(filter),
          .origin = std::move(origin)};
}

}  // namespace

Treatment treatment_of(const mesh::ServicePort& port) {
  switch (port.protocol) {
    case mesh::Protocol::http:
      return Treatment::http;
    case mesh::Protocol::undeclared:
      return server_speaks_first(port.port) ? Treatment::tcp : Treatment::guessed;
    case mesh::Protocol::http2:
    case mesh::Protocol::grpc:
    case mesh::Protocol::tls:
    case mesh::Protocol::tcp:
    case mesh::Protocol::udp:
      return Treatment::tcp;
  }
  return Treatment::tcp;
}

config::HttpConnectionManager http_filter(std::string stat_prefix) {
  config::HttpConnectionManager http;
  http.stat_prefix = std::move(stat_prefix);
  http.access_logs = to_standard_output();
  http.normalize_path = true;
  http.upgrades = {"websocket"};
  // Apps may be silent for long within a request, but nothing is held for ever. A head is never
  // slow.
  http.stream_idle_timeout = std::chrono::hours(1);
  http.request_headers_timeout = std::chrono::minutes(1);
  return http;
}

config::TcpProxy tcp_filter(std::string cluster) {
  config::TcpProxy tcp;
  tcp.stat_prefix = cluster;
  tcp.clusters = {{.cluster = std::move(cluster)}};
  tcp.access_logs = to_standard_output();
  return tcp;
}

config::FilterChain chain(std::string name, config::FilterChainMatch match,
                          config::HttpConnectionManager filter, Origin origin) {
  return chain_of(std::move(name), std::move(match), std::move(filter), std::move(origin));
}

config::FilterChain chain(std::string name, config::FilterChainMatch match, config::TcpProxy filter,
                          Origin origin) {
  return chain_of(std::move(name), std::move(match), std::move(filter), std::move(origin));
}

config::FilterChainMatch http1_bytes() {
  return {.application_protocols = {"http/1.0", "http/1.1"}};
}

config::Cluster cluster_named(std::string name, config::ClusterType type, Origin origin) {
  constexpr std::uint32_t no_limit = std::numeric_limits<std::uint32_t>::max();
  config::Cluster cluster;
  cluster.name = std::move(name);
  cluster.type = type;
  cluster.balance = type == config::ClusterType::original_dst
                        ? config::BalancePolicy::cluster_provided
                        : config::BalancePolicy::least_request;
  cluster.connect_timeout = std::chrono::seconds(10);
  cluster.max_connections = no_limit;
  cluster.max_pending_requests = no_limit;
  cluster.max_requests = no_limit;
  cluster.max_retries = no_limit;
  cluster.origin = std::move(origin);
  return cluster;
}

config::Route forward_all(std::string cluster, Origin origin) {
  config::Route route;
  route.name = "default";
  route.forward.clusters = {{.cluster = std::move(cluster)}};
  route.forward.timeout = config::Milliseconds{0};
  route.origin = std::move(origin);
  return route;
}

Origin built_in() {
  return {.kind = "built-in", .name = "fairlead"};
}

std::string outbound_cluster(std::string_view host, std::uint16_t port) {
  return "outbound|" + std::to_string(port) + "||" + std::string(host);
}

std::string inbound_cluster(std::uint16_t port) {
  return "inbound|" + std::to_string(port) + "||";
}

}  // namespace fairlead::control
