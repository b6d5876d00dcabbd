#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <set>

#include "xds/decode_parts.h"
#include "xds/effects.h"
#include "xds/encode_parts.h"

namespace fairlead::xds {
namespace {

using HttpManager = wire::http::HttpConnectionManager;
constexpr int port_count = 65536;

// ── The HTTP connection manager ──────────────────────────────────────────────────────────────────

Result<> read_duration_if(bool given, config::Milliseconds& into,
                          const google::protobuf::Duration& duration, const Place& place) {
  return given ? take(into, read_duration(duration, place)) : done();
}

Result<> read_timeouts(config::HttpConnectionManager& made, const HttpManager& http,
                       const Place& place) {
  const auto& common = http.common_http_protocol_options();
  return all({read_duration_if(common.has_idle_timeout(), made.idle_timeout, common.idle_timeout(),
                               place.in("common_http_protocol_options").in("idle_timeout")),
              read_duration_if(http.has_stream_idle_timeout(), made.stream_idle_timeout,
                               http.stream_idle_timeout(), place.in("stream_idle_timeout")),
              read_duration_if(http.has_request_timeout(), made.request_timeout,
                               http.request_timeout(), place.in("request_timeout")),
              read_duration_if(http.has_request_headers_timeout(), made.request_headers_timeout,
                               http.request_headers_timeout(), place.in("request_headers_timeout")),
              read_duration_if(http.has_drain_timeout(), made.drain_timeout, http.drain_timeout(),
                               place.in("drain_timeout"))});
}

Result<> read_codec(config::HttpConnectionManager& made, const HttpManager& http,
                    const Place& place) {
  using Codec = config::HttpConnectionManager::Codec;
  switch (http.codec_type()) {
    case HttpManager::AUTO:
      made.codec = Codec::automatic;
      return done();
    case HttpManager::HTTP1:
      made.codec = Codec::http1;
      return done();
    case HttpManager::HTTP2:
      place.in("codec_type").note("HTTP2: HTTP/1.1 is spoken");
      made.codec = Codec::http2;
      return done();
    default:
      break;
  }
  return place.in("codec_type").refused("expected AUTO, HTTP1 or HTTP2");
}

Result<> read_route_source(config::HttpConnectionManager& made, const HttpManager& http,
                           const Place& place) {
  if (http.has_route_config()) {
    Result<config::RouteConfiguration> routes = read(http.route_config(), place.in("route_config"));
    if (!routes.ok()) return std::move(routes).fault();
    made.routes = std::move(routes).value();
    return done();
  }
  if (!http.has_rds()) return place.refused("expected rds or route_config");
  const Place rds = place.in("rds");
  check_config_source(http.rds().config_source(), rds.in("config_source"));
  made.route_config_name = http.rds().route_config_name();
  if (made.route_config_name.empty()) return rds.in("route_config_name").refused("is needed");
  return done();
}

// Beside the router, filters that do nothing until a field of theirs, or a route, says what. Our
// subset has no such field: each that is set is noted, here or with the route.
constexpr std::array http_filters{known<wire::Router>(), known<wire::HTTPFault>(),
                                  known<wire::Cors>(), known<wire::RBAC>()};

Result<> read_http_filter(const wire::http::HttpFilter& filter, const Place& place) {
  const wire::Any& any = filter.typed_config();
  for (const Known& known : http_filters) {
    if (known.is(any)) return known.check(any, place.in("typed_config"));
  }
  place.note(fmt::format("{}, {}", filter.name(), any.type_url()), effect_of_any(any));
  return done();
}

Result<> read_http_filters(const HttpManager& http, const Place& place) {
  bool routed = false;
  for (int i = 0; i < http.http_filters_size(); ++i) {
    const auto& filter = http.http_filters(i);
    if (filter.disabled()) continue;
    const Place here = place.in("http_filters", i);
    if (routed) return here.refused("the router is the last filter");
    Result<> read = read_http_filter(filter, here);
    if (!read.ok()) return read;
    routed = filter.typed_config().Is<wire::Router>();
  }
  if (!routed) return place.in("http_filters").refused("expected the router as the last filter");
  return done();
}

// Our proxy marks what its app never had without being told; nothing else is changed in replies.
void check_local_replies(const wire::http::LocalReplyConfig& replies, const Place& place) {
  wire::http::LocalReplyConfig ours;
  write_undelivered_marks(ours);
  if (bytes_of(replies) != bytes_of(ours)) place.in("local_reply_config").note();
}

void read_header_handling(config::HttpConnectionManager& made, const HttpManager& http,
                          const Place& place) {
  if (!http.server_name().empty()) made.server_name = http.server_name();
  if (http.server_header_transformation() == HttpManager::PASS_THROUGH) {
    made.server_header_pass_through = true;
  } else if (http.server_header_transformation() != HttpManager::OVERWRITE) {
    place.in("server_header_transformation").note("APPEND_IF_ABSENT: overwritten");
  }
  if (http.has_generate_request_id()) {
    made.generate_request_id = http.generate_request_id().value();
  }
  made.preserve_external_request_id = http.preserve_external_request_id();
  made.answer_expect = http.has_proxy_100_continue() && !http.proxy_100_continue();
  made.use_remote_address = http.use_remote_address().value();
  made.normalize_path = http.normalize_path().value();
  if (http.path_with_escaped_slashes_action() > HttpManager::KEEP_UNCHANGED) {
    place.in("path_with_escaped_slashes_action").note("other than KEEP_UNCHANGED");
  }
  if (http.has_local_reply_config()) check_local_replies(http.local_reply_config(), place);
  if (http.has_request_id_extension() &&
      !http.request_id_extension().typed_config().Is<wire::UuidRequestIdConfig>()) {
    place.in("request_id_extension").note("other than the UUID");
  }
}

Result<> read_limits(config::HttpConnectionManager& made, const HttpManager& http,
                     const Place& place) {
  const auto& common = http.common_http_protocol_options();
  if (common.has_max_requests_per_connection()) {
    place.in("common_http_protocol_options").in("max_requests_per_connection").note();
  }
  if (common.has_max_headers_count()) made.max_headers_count = common.max_headers_count().value();
  if (made.max_headers_count == 0) {
    return place.in("common_http_protocol_options")
        .in("max_headers_count")
        .refused("expected 1 or more");
  }
  if (!http.has_max_request_headers_kb()) return done();
  made.max_request_headers_kb = http.max_request_headers_kb().value();
  if (made.max_request_headers_kb == 0 || made.max_request_headers_kb > 8192) {
    return place.in("max_request_headers_kb").refused("expected 1 to 8192");
  }
  return done();
}

void read_upgrades(config::HttpConnectionManager& made, const HttpManager& http) {
  for (const auto& upgrade : http.upgrade_configs()) {
    if (upgrade.has_enabled() && !upgrade.enabled().value()) continue;
    made.upgrades.push_back(upgrade.upgrade_type());
  }
}

// What a filter could refuse, and nobody enforces, closes the routes that do not disable it.
void close_for_filters(config::HttpConnectionManager& made, const HttpManager& http,
                       const Place& place) {
  for (int i = 0; i < http.http_filters_size(); ++i) {
    config::Closed why = place.in("http_filters", i).claim();
    if (!why.empty()) made.closed_filters.push_back({http.http_filters(i).name(), std::move(why)});
  }
}

Result<config::HttpConnectionManager> read(const HttpManager& http, const Place& place) {
  config::HttpConnectionManager made{.stat_prefix = http.stat_prefix()};
  read_header_handling(made, http, place);
  read_upgrades(made, http);
  const Result<> parts =
      all({made.stat_prefix.empty() ? place.in("stat_prefix").refused("is needed") : done(),
           read_codec(made, http, place), check_line(made.server_name, place.in("server_name")),
           read_route_source(made, http, place), read_http_filters(http, place),
           read_timeouts(made, http, place), read_limits(made, http, place),
           take(made.access_logs, read_access_logs(http.access_log(), place))});
  if (!parts.ok()) return parts.fault();
  close_for_filters(made, http, place);
  made.closed = place.claim();
  return made;
}

// ── TCP ──────────────────────────────────────────────────────────────────────────────────────────

Result<std::vector<config::WeightedCluster>> read_clusters(const wire::tcp::TcpProxy& tcp,
                                                           const Place& place) {
  std::vector<config::WeightedCluster> made;
  if (tcp.cluster_specifier_case() == wire::tcp::TcpProxy::kCluster) {
    made.push_back({.cluster = tcp.cluster()});
  }
  const auto& weighted = tcp.weighted_clusters().clusters();
  const Place inside = place.in("weighted_clusters");
  for (int i = 0; i < weighted.size(); ++i) {
    const Place here = inside.in("clusters", i);
    if (weighted[i].weight() == 0) return here.in("weight").refused("expected 1 or more");
    made.push_back({.cluster = weighted[i].name(), .weight = weighted[i].weight()});
  }
  for (const config::WeightedCluster& cluster : made) {
    if (cluster.cluster.empty()) return place.refused("a cluster's name is empty");
  }
  if (made.empty()) return place.refused("expected cluster or weighted_clusters");
  return made;
}

Result<config::TcpProxy> read(const wire::tcp::TcpProxy& tcp, const Place& place) {
  config::TcpProxy made{.stat_prefix = tcp.stat_prefix()};
  if (made.stat_prefix.empty()) return place.in("stat_prefix").refused("is needed");
  if (tcp.has_max_connect_attempts()) {
    made.max_connect_attempts = tcp.max_connect_attempts().value();
  }
  if (made.max_connect_attempts == 0) {
    return place.in("max_connect_attempts").refused("expected 1 or more");
  }
  const Result<> parts = all({take(made.clusters, read_clusters(tcp, place)),
                              read_duration_if(tcp.has_idle_timeout(), made.idle_timeout,
                                               tcp.idle_timeout(), place.in("idle_timeout")),
                              take(made.access_logs, read_access_logs(tcp.access_log(), place))});
  if (!parts.ok()) return parts.fault();
  return made;
}

// ── Filter chains ────────────────────────────────────────────────────────────────────────────────

Result<config::Prefix> read(const wire::core::CidrRange& range, const Place& place) {
  const Result<IpAddress> address = IpAddress::parse(range.address_prefix());
  if (!address.ok()) {
    return place.in("address_prefix")
        .refused(fmt::format("expected an IP address, found \"{}\"", range.address_prefix()));
  }
  const std::uint32_t length = range.prefix_len().value();
  const std::uint32_t most = address->is_v4() ? 32 : 128;
  if (length > most) return place.in("prefix_len").refused(fmt::format("expected 0 to {}", most));
  return config::Prefix{*address, static_cast<int>(length)};
}

Result<config::FilterChainMatch> read(const wire::listener::FilterChainMatch& match,
                                      const Place& place) {
  config::FilterChainMatch made;
  if (match.has_destination_port()) {
    const std::uint32_t port = match.destination_port().value();
    if (port == 0 || port >= port_count) {
      return place.in("destination_port").refused(fmt::format("{} is no port", port));
    }
    made.destination_port = static_cast<std::uint16_t>(port);
  }
  const Result<> ranges =
      all({read_each(made.prefix_ranges, match.prefix_ranges(), place, "prefix_ranges", read),
           read_each(made.source_prefix_ranges, match.source_prefix_ranges(), place,
                     "source_prefix_ranges", read)});
  if (!ranges.ok()) return ranges.fault();
  made.server_names.assign(match.server_names().begin(), match.server_names().end());
  made.transport_protocol = match.transport_protocol();
  made.application_protocols.assign(match.application_protocols().begin(),
                                    match.application_protocols().end());
  return made;
}

template <class Value, class Message>
Result<> read_filter(config::FilterChain& made, const wire::listener::Filter& filter,
                     const Place& place) {
  const Place inside = place.in("typed_config");
  const Result<Message> message = unpack<Message>(filter.typed_config(), inside);
  if (!message.ok()) return message.fault();
  Result<Value> value = read(*message, inside);
  if (!value.ok()) return std::move(value).fault();
  made.filter = std::move(value).value();
  return done();
}

Result<> read_filters(config::FilterChain& made, const wire::listener::FilterChain& chain,
                      const Place& place) {
  bool ended = false;
  Result<> all_read = done();
  for (int i = 0; i < chain.filters_size(); ++i) {
    const auto& filter = chain.filters(i);
    const Place here = place.in("filters", i);
    if (ended) return here.refused("nothing comes after a filter that ends the chain");
    Result<> read_one = done();
    if (filter.typed_config().Is<HttpManager>()) {
      read_one = read_filter<config::HttpConnectionManager, HttpManager>(made, filter, here);
      ended = true;
    } else if (filter.typed_config().Is<wire::tcp::TcpProxy>()) {
      read_one = read_filter<config::TcpProxy, wire::tcp::TcpProxy>(made, filter, here);
      ended = true;
    } else {
      here.note(filter.name(), effect_of_any(filter.typed_config()));
    }
    if (!read_one.ok() && all_read.ok()) all_read = std::move(read_one);
  }
  if (ended || !all_read.ok()) return all_read;
  constexpr std::string_view expected =
      "expected the HTTP connection manager or the TCP proxy as the last filter";
  if (chain.filters().empty()) return place.in("filters").refused(expected);
  const int last = chain.filters_size() - 1;
  const std::string& type = chain.filters(last).typed_config().type_url();
  made.closed = place.in("filters", last).close(fmt::format("{}, found {}", expected, type));
  return done();
}

Result<config::FilterChain> read(const wire::listener::FilterChain& chain, const Place& place) {
  config::FilterChain made{.name = chain.name(), .origin = origin_in(chain.metadata())};
  note_metadata(chain.metadata(), place);
  if (chain.has_transport_socket() &&
      !chain.transport_socket().typed_config().Is<wire::RawBuffer>()) {
    place.in("transport_socket").note(chain.transport_socket().name());
  }
  const Result<> parts =
      all({take(made.match, read(chain.filter_chain_match(), place.in("filter_chain_match"))),
           read_filters(made, chain, place)});
  if (!parts.ok()) return parts.fault();
  const Place match = place.in("filter_chain_match");
  // Without one of its conditions it would take connections that are not its own.
  if (match.has_notes_below()) {
    made.closed = match.close("with a condition that is not honoured");
  }
  close_unless_closed(made.closed, chain.metadata(), place);
  return made;
}

// Two chains that ask for the same cannot both be chosen. Where one asks for more than we know,
// they may differ.
Result<> check_chains(const config::Listener& made, const wire::listener::Listener& listener,
                      const Place& place) {
  const auto asks_for_more = [&](int n) {
    const auto& match = listener.filter_chains(n).filter_chain_match();
    return !match.GetReflection()->GetUnknownFields(match).empty();
  };
  const auto match_of = [&](int n) -> const config::FilterChainMatch& {
    return made.filter_chains[static_cast<std::size_t>(n)].match;
  };
  for (int i = 0; i < listener.filter_chains_size(); ++i) {
    for (int earlier = 0; earlier < i; ++earlier) {
      if (asks_for_more(i) || asks_for_more(earlier)) continue;
      if (match_of(i) != match_of(earlier)) continue;
      return place.in("filter_chains", i)
          .in("filter_chain_match")
          .refused(fmt::format("is that of filter_chains[{}]", earlier));
    }
  }
  return done();
}

Result<> read_chains(config::Listener& made, const wire::listener::Listener& listener,
                     const Place& place) {
  Result<> chains =
      read_each(made.filter_chains, listener.filter_chains(), place, "filter_chains", read);
  if (!chains.ok()) return chains;
  if (listener.has_default_filter_chain()) {
    Result<> chain = take(made.default_filter_chain,
                          read(listener.default_filter_chain(), place.in("default_filter_chain")));
    if (!chain.ok()) return chain;
  }
  if (made.filter_chains.empty() && !made.default_filter_chain) {
    return place.in("filter_chains").refused("expected at least one");
  }
  return check_chains(made, listener, place);
}

// For what stands beside the chains.
void close_all_chains(config::Listener& made, const config::Closed& why) {
  for (config::FilterChain& chain : made.filter_chains) {
    if (chain.closed.empty()) chain.closed = why;
  }
  if (made.default_filter_chain && made.default_filter_chain->closed.empty()) {
    made.default_filter_chain->closed = why;
  }
}

// ── Listener filters ─────────────────────────────────────────────────────────────────────────────

using Predicate = wire::listener::ListenerFilterChainMatchPredicate;

// The destination ports for which a filter is disabled. Absent: for all.
using Ports = std::optional<std::set<std::uint16_t>>;

Result<> add_range(Ports& ports, const envoy::type::v3::Int32Range& range, const Place& place) {
  if (range.start() < 0 || range.end() > port_count || range.start() >= range.end()) {
    return place.refused("is no range of ports");
  }
  for (int port = range.start(); port < range.end(); ++port) {
    ports->insert(static_cast<std::uint16_t>(port));
  }
  return done();
}

Result<> add_ports(Ports& ports, const Predicate& predicate, const Place& place) {
  if (!ports) return done();
  switch (predicate.rule_case()) {
    case Predicate::kAnyMatch:
      if (predicate.any_match()) ports.reset();
      return done();
    case Predicate::kDestinationPortRange:
      return add_range(ports, predicate.destination_port_range(),
                       place.in("destination_port_range"));
    case Predicate::kOrMatch: {
      const Place any = place.in("or_match");
      for (int i = 0; i < predicate.or_match().rules_size(); ++i) {
        Result<> added = add_ports(ports, predicate.or_match().rules(i), any.in("rules", i));
        if (!added.ok()) return added;
      }
      return done();
    }
    case Predicate::RULE_NOT_SET:
      break;  // and_match and not_match are among the unknown
  }
  return done();
}

// What the listener filters come to.
struct Inspection {
  bool inspects = false;
  std::set<std::uint16_t> uninspected;
};

Result<> read_inspector(Inspection& inspection, bool& present,
                        const wire::listener::ListenerFilter& filter, const Place& place) {
  Ports ports = std::set<std::uint16_t>();
  const Place disabled = place.in("filter_disabled");
  Result<> added = add_ports(ports, filter.filter_disabled(), disabled);
  if (!added.ok() || !ports) return added;
  present = true;
  if (!inspection.inspects) {
    inspection = {true, std::move(*ports)};
    return done();
  }
  // A port is left alone when no inspector looks at it.
  if (*ports != inspection.uninspected) disabled.note("the inspectors differ in their ports");
  std::erase_if(inspection.uninspected, [&](std::uint16_t port) { return !ports->contains(port); });
  return done();
}

Result<> read_listener_filters(config::Listener& made, const wire::listener::Listener& listener,
                               const Place& place) {
  Inspection inspection;
  for (int i = 0; i < listener.listener_filters_size(); ++i) {
    const auto& filter = listener.listener_filters(i);
    const Place here = place.in("listener_filters", i);
    Result<> read_one = done();
    if (filter.typed_config().Is<wire::OriginalDst>()) {
      made.original_dst_filter = true;
    } else if (filter.typed_config().Is<wire::TlsInspector>()) {
      const auto tls = unpack<wire::TlsInspector>(filter.typed_config(), here.in("typed_config"));
      if (!tls.ok()) return tls.fault();
      here.in("typed_config").note_unknown(wire::TlsInspector());
      read_one = read_inspector(inspection, made.tls_inspector, filter, here);
    } else if (filter.typed_config().Is<wire::HttpInspector>()) {
      read_one = read_inspector(inspection, made.http_inspector, filter, here);
    } else {
      here.note(filter.name(), effect_of_any(filter.typed_config()));
    }
    if (!read_one.ok()) return read_one;
  }
  made.uninspected_ports.assign(inspection.uninspected.begin(), inspection.uninspected.end());
  return done();
}

// ── The listener ─────────────────────────────────────────────────────────────────────────────────

Result<> read_addresses(config::Listener& made, const wire::listener::Listener& listener,
                        const Place& place) {
  Result<> read = take(made.address, read_address(listener.address(), place.in("address")));
  for (int i = 0; i < listener.additional_addresses_size() && read.ok(); ++i) {
    const Result<SocketAddress> more = read_address(listener.additional_addresses(i).address(),
                                                    place.in("additional_addresses", i));
    if (!more.ok()) return more.fault();
    made.additional_addresses.push_back(*more);
  }
  return read;
}

config::Direction direction_from(wire::core::TrafficDirection direction) {
  switch (direction) {
    case wire::core::INBOUND:
      return config::Direction::inbound;
    case wire::core::OUTBOUND:
      return config::Direction::outbound;
    default:
      return config::Direction::unspecified;
  }
}

}  // namespace

Result<config::Listener> read(const wire::listener::Listener& listener, const Place& place) {
  config::Listener made{
      .name = listener.name(),
      .bind_to_port = !listener.has_bind_to_port() || listener.bind_to_port().value(),
      .use_original_dst = listener.use_original_dst().value(),
      .direction = direction_from(listener.traffic_direction()),
      .continue_on_listener_filters_timeout = listener.continue_on_listener_filters_timeout(),
      .origin = origin_in(listener.metadata())};
  if (made.name.empty()) return place.in("name").refused("is needed");
  note_metadata(listener.metadata(), place);
  const Result<> parts = all(
      {read_addresses(made, listener, place), read_listener_filters(made, listener, place),
       read_duration_if(listener.has_listener_filters_timeout(), made.listener_filters_timeout,
                        listener.listener_filters_timeout(), place.in("listener_filters_timeout")),
       read_chains(made, listener, place),
       take(made.access_logs, read_access_logs(listener.access_log(), place))});
  if (!parts.ok()) return parts.fault();
  close_all_chains(made, place.claim());
  return made;
}

}  // namespace fairlead::xds
