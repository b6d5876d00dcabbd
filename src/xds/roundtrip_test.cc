// Every config value goes out as Envoy's message and comes back the same.
#include <gtest/gtest.h>

#include "base/clock.h"
#include "xds/decode.h"
#include "xds/encode.h"

namespace fairlead::xds {
namespace {

// Values made by chance, valid ones only: the seed names the value when a test fails.
class Maker {
 public:
  explicit Maker(std::uint64_t seed) : random_(seed) {}

  config::Cluster cluster();
  config::ClusterLoadAssignment endpoints(bool names);
  config::Listener listener();
  config::RouteConfiguration routes();

 private:
  SeededRandom random_;
  int counter_ = 0;

  bool coin() { return random_.below(2) == 0; }
  std::uint32_t number(std::uint32_t least, std::uint32_t most) {
    return least + static_cast<std::uint32_t>(random_.below(std::uint64_t{most} - least + 1));
  }
  template <class T>
  T one_of(std::initializer_list<T> choices) {
    return *(choices.begin() + random_.below(choices.size()));
  }
  std::string word() {
    return "w" + std::to_string(counter_++) + one_of<std::string>({"", "ü|", "\"\n"});
  }
  std::string maybe_word() { return coin() ? word() : std::string(); }
  std::string maybe_line() { return coin() ? "%w" + std::to_string(counter_++) + "ü|" : ""; }
  std::vector<std::string> words() {
    std::vector<std::string> made(random_.below(3));
    for (std::string& each : made) each = word();
    return made;
  }
  std::vector<std::string> names() {
    std::vector<std::string> made(random_.below(3));
    for (std::string& each : made) each = "X-" + std::to_string(counter_++);
    return made;
  }
  config::Milliseconds duration() {
    return config::Milliseconds{one_of<std::int64_t>({0, 1, 999, 1000, 15000, 3600123})};
  }
  Origin origin() {
    if (coin()) return {};
    return {.kind = "Service",
            .name_space = coin() ? "default" : "",
            .name = "n" + std::to_string(counter_++),
            .file = coin() ? "a|b:c.yaml" : "",
            .line = static_cast<int>(number(0, 300))};
  }
  IpAddress ip(bool v4) {
    const auto byte = static_cast<std::uint8_t>(number(1, 250));
    if (v4) return IpAddress::v4({10, 0, 0, byte});
    return IpAddress::v6({0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte});
  }
  SocketAddress address() { return {ip(coin()), static_cast<std::uint16_t>(number(1, 65535))}; }
  std::vector<config::Prefix> prefixes() {
    std::vector<config::Prefix> made(random_.below(3));
    for (config::Prefix& each : made) {
      const bool v4 = coin();
      each = {ip(v4), static_cast<int>(number(0, v4 ? 32 : 128))};
    }
    return made;
  }
  std::vector<config::AccessLog> logs() {
    std::vector<config::AccessLog> made(random_.below(3));
    for (config::AccessLog& each : made) each = {.path = word(), .format = maybe_word()};
    return made;
  }
  std::vector<config::WeightedCluster> weighted() {
    std::vector<config::WeightedCluster> made(1 + random_.below(3));
    for (config::WeightedCluster& each : made) {
      each = {.cluster = word(), .weight = number(1, 100)};
    }
    return made;
  }
  config::LbEndpoint endpoint(bool names);
  config::StringMatch string_match();
  config::HeaderMatch header_match();
  config::QueryParameterMatch query_match();
  config::RedirectAction redirect();
  config::RetryPolicy retry();
  std::vector<config::HeaderToAdd> headers();
  config::Route route();
  config::HttpConnectionManager http();
  config::FilterChain chain(std::uint16_t port);
};

config::LbEndpoint Maker::endpoint(bool names) {
  using config::Health;
  config::LbEndpoint made{
      .health = one_of({Health::unknown, Health::healthy, Health::unhealthy, Health::draining}),
      .weight = number(1, 128),
      .workload = coin() ? "default/" + word() : "",
      .proxied = coin(),
      .origin = origin()};
  if (names && coin()) {
    made.host = "host.example";
    made.address.port = 80;
  } else if (coin()) {
    made.unix_path = "/run/" + word();
  } else {
    made.address = address();
  }
  return made;
}

config::ClusterLoadAssignment Maker::endpoints(bool names) {
  config::ClusterLoadAssignment made{.cluster_name = word(), .origin = origin()};
  const std::uint64_t count = random_.below(3);
  for (std::uint32_t i = 0; i < count; ++i) {
    config::LocalityEndpoints locality{
        .region = maybe_word(), .zone = maybe_word(), .priority = i, .weight = number(1, 9)};
    const std::uint64_t members = random_.below(4);
    for (std::uint64_t j = 0; j < members; ++j) locality.endpoints.push_back(endpoint(names));
    made.localities.push_back(std::move(locality));
  }
  return made;
}

config::Cluster Maker::cluster() {
  using config::BalancePolicy;
  using config::ClusterType;
  config::Cluster made;
  made.name = word();
  made.type = one_of({ClusterType::static_endpoints, ClusterType::strict_dns, ClusterType::eds,
                      ClusterType::original_dst});
  made.balance = made.type == ClusterType::original_dst
                     ? BalancePolicy::cluster_provided
                     : one_of({BalancePolicy::round_robin, BalancePolicy::least_request,
                               BalancePolicy::random});
  if (made.type == ClusterType::eds) made.eds_service_name = maybe_word();
  made.least_request_choices = number(2, 5);
  made.connect_timeout = duration() + config::Milliseconds{1};
  made.idle_timeout = duration();
  made.max_requests_per_connection = number(0, 2);
  made.max_connections = number(0, UINT32_MAX);
  made.max_pending_requests = number(0, UINT32_MAX);
  made.max_requests = number(0, 9);
  made.max_retries = number(0, 9);
  if (coin()) made.source_v4 = ip(true);
  if (coin()) made.source_v6 = ip(false);
  if (made.type == ClusterType::strict_dns) made.endpoints = endpoints(true);
  if (made.type == ClusterType::static_endpoints && coin()) made.endpoints = endpoints(false);
  made.origin = origin();
  return made;
}

config::StringMatch Maker::string_match() {
  using Kind = config::StringMatch::Kind;
  return {.kind = one_of({Kind::exact, Kind::prefix, Kind::suffix, Kind::contains, Kind::regex}),
          .value = word(),
          .ignore_case = coin()};
}

config::HeaderMatch Maker::header_match() {
  config::HeaderMatch made{
      .name = "x-" + std::to_string(counter_++), .invert = coin(), .missing_is_empty = coin()};
  if (coin()) {
    made.value = string_match();
  } else if (coin()) {
    made.range = {.start = -1 - std::int64_t{number(0, 9)}, .end = std::int64_t{1} << 40};
  }
  return made;
}

config::QueryParameterMatch Maker::query_match() {
  config::QueryParameterMatch made{.name = word()};
  if (coin()) {
    made.value = string_match();
  } else {
    made.present = coin();
  }
  return made;
}

config::RedirectAction Maker::redirect() {
  config::RedirectAction made{.scheme = one_of<std::string>({"", "https", "ftp"}),
                              .host = maybe_line(),
                              .port = one_of<std::uint32_t>({0, 1, 65535}),
                              .strip_query = coin(),
                              .status = one_of<std::uint32_t>({301, 302, 303, 307, 308})};
  switch (number(0, 2)) {
    case 0:
      made.path = maybe_line();
      break;
    case 1:
      made.prefix_rewrite = maybe_line();
      break;
    default:
      made.regex_rewrite = {.pattern = word(), .substitution = maybe_line()};
  }
  return made;
}

config::RetryPolicy Maker::retry() {
  config::RetryPolicy made{
      .retries = number(0, 5), .per_try_timeout = duration(), .avoid_previous_hosts = coin()};
  if (coin()) {
    made.back_off_base = config::Milliseconds(1 + random_.below(100));
    made.back_off_cap = made.back_off_base * number(1, 20);
  }
  if (coin()) made.retry_on = {"5xx", "connect-failure"};
  if (coin()) made.retriable_status_codes = {503, 429};
  if (coin()) made.retriable_headers = {header_match(), header_match()};
  return made;
}

std::vector<config::HeaderToAdd> Maker::headers() {
  std::vector<config::HeaderToAdd> made(random_.below(3));
  for (config::HeaderToAdd& each : made) {
    each = {.name = "x-" + std::to_string(counter_++),
            .value = coin() ? "50% of %x%" : maybe_line(),
            .append = coin()};
  }
  return made;
}

config::Route Maker::route() {
  using Kind = config::Route::Kind;
  using Path = config::PathMatch::Kind;
  config::Route made;
  made.name = maybe_word();
  made.path.kind = one_of({Path::prefix, Path::exact, Path::regex, Path::path_separated_prefix});
  made.path.value = "/p" + std::to_string(counter_++);
  made.path.case_sensitive = coin();
  if (coin()) made.headers = {header_match(), header_match()};
  if (coin()) made.query_parameters = {query_match(), query_match()};
  made.kind = one_of({Kind::forward, Kind::forward, Kind::redirect, Kind::direct});
  if (made.kind == Kind::forward) {
    made.forward.clusters = weighted();
    if (coin()) made.forward.timeout = duration();
    if (coin()) made.forward.retry = retry();
    if (coin()) made.forward.idle_timeout = duration();
    if (coin()) {
      made.forward.prefix_rewrite = maybe_line();
    } else {
      made.forward.regex_rewrite = {.pattern = word(), .substitution = maybe_line()};
    }
    made.forward.host_rewrite = maybe_line();
  } else if (made.kind == Kind::redirect) {
    made.redirect = redirect();
  } else {
    made.direct = {.status = number(200, 599), .body = maybe_word()};
  }
  made.request_headers_to_add = headers();
  made.request_headers_to_remove = names();
  made.response_headers_to_add = headers();
  made.response_headers_to_remove = names();
  made.origin = origin();
  return made;
}

config::RouteConfiguration Maker::routes() {
  config::RouteConfiguration made{
      .name = word(), .ignore_port_in_host_matching = coin(), .origin = origin()};
  const std::uint64_t count = random_.below(3);
  for (std::uint64_t i = 0; i < count; ++i) {
    config::VirtualHost host{.name = word(), .domains = {word(), word()}, .origin = origin()};
    const std::uint64_t members = random_.below(4);
    for (std::uint64_t j = 0; j < members; ++j) host.routes.push_back(route());
    if (coin()) host.retry = retry();
    made.virtual_hosts.push_back(std::move(host));
  }
  return made;
}

config::HttpConnectionManager Maker::http() {
  using Codec = config::HttpConnectionManager::Codec;
  config::HttpConnectionManager made;
  made.stat_prefix = word();
  made.codec = one_of({Codec::automatic, Codec::http1});
  if (coin()) {
    made.routes = routes();
  } else {
    made.route_config_name = word();
  }
  made.access_logs = logs();
  made.generate_request_id = coin();
  made.preserve_external_request_id = coin();
  made.use_remote_address = coin();
  made.normalize_path = coin();
  made.server_name = "s" + maybe_line();
  made.server_header_pass_through = coin();
  made.answer_expect = coin();
  made.upgrades = words();
  made.idle_timeout = duration();
  made.stream_idle_timeout = duration();
  made.request_timeout = duration();
  made.request_headers_timeout = duration();
  made.drain_timeout = duration();
  made.max_request_headers_kb = number(1, 96);
  made.max_headers_count = one_of<std::uint32_t>({1, 100, 4000});
  return made;
}

config::FilterChain Maker::chain(std::uint16_t port) {
  config::FilterChain made;
  made.name = maybe_word();
  made.match.destination_port = port;
  made.match.prefix_ranges = prefixes();
  made.match.server_names = words();
  made.match.transport_protocol = one_of<std::string>({"", "tls", "raw_buffer"});
  made.match.application_protocols = words();
  made.match.source_prefix_ranges = prefixes();
  if (coin()) {
    made.filter = http();
  } else {
    made.filter = config::TcpProxy{.stat_prefix = word(),
                                   .clusters = weighted(),
                                   .idle_timeout = duration(),
                                   .max_connect_attempts = number(1, 3),
                                   .access_logs = logs()};
  }
  made.origin = origin();
  return made;
}

config::Listener Maker::listener() {
  using config::Direction;
  config::Listener made;
  made.name = word();
  made.address = address();
  if (coin()) made.additional_addresses = {address(), address()};
  made.bind_to_port = coin();
  made.use_original_dst = coin();
  made.direction = one_of({Direction::unspecified, Direction::inbound, Direction::outbound});
  made.original_dst_filter = coin();
  made.tls_inspector = coin();
  made.http_inspector = coin();
  made.listener_filters_timeout = duration();
  made.continue_on_listener_filters_timeout = coin();
  if ((made.tls_inspector || made.http_inspector) && coin()) {
    made.uninspected_ports = coin() ? std::vector<std::uint16_t>{1, 2, 3, 3306, 65534, 65535}
                                    : std::vector<std::uint16_t>{65535};
  }
  const auto count = static_cast<std::uint16_t>(random_.below(3));
  for (std::uint16_t i = 0; i < count; ++i) made.filter_chains.push_back(chain(i + 1));
  if (count == 0 || coin()) {
    made.default_filter_chain = chain(1);
    made.default_filter_chain->match = {};
  }
  made.access_logs = logs();
  made.origin = origin();
  return made;
}

constexpr std::uint64_t seeds = 400;

// Encodes, decodes and compares; a second encoding gives the same bytes.
template <class Value, class Decode>
void check(const Value& value, Decode decode, std::uint64_t seed) {
  SCOPED_TRACE(seed);
  const std::string bytes = encode(value);
  const auto decoded = decode(bytes, nullptr);
  ASSERT_TRUE(decoded.ok()) << decoded.fault().describe();
  EXPECT_TRUE(decoded->value == value);
  for (const config::Unhonoured& field : decoded->unhonoured) {
    ADD_FAILURE() << field.describe();
  }
  EXPECT_EQ(encode(decoded->value), bytes);
}

TEST(RoundTrip, Clusters) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    check(Maker(seed).cluster(), decode_cluster, seed);
  }
}

TEST(RoundTrip, Endpoints) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    check(Maker(seed).endpoints(false), decode_cluster_load_assignment, seed);
  }
}

TEST(RoundTrip, Listeners) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    check(Maker(seed).listener(), decode_listener, seed);
  }
}

TEST(RoundTrip, Routes) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    check(Maker(seed).routes(), decode_route_configuration, seed);
  }
}

TEST(RoundTrip, AServiceWithoutEndpointsKeepsItsOrigin) {
  const config::ClusterLoadAssignment empty{
      .cluster_name = "a",
      .origin = {
          .kind = "Service", .name_space = "default", .name = "a", .file = "a.yaml", .line = 3}};
  check(empty, decode_cluster_load_assignment, 0);
  config::ClusterLoadAssignment without_localities = empty;
  without_localities.localities.emplace_back();
  check(without_localities, decode_cluster_load_assignment, 1);
}

}  // namespace
}  // namespace fairlead::xds
