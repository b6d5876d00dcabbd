#include "xds/encode_parts.h"

namespace fairlead::xds {
namespace {

using fairlead::xds::write;  // beside those below

using HttpManager = wire::http::HttpConnectionManager;

// ── The HTTP connection manager ──────────────────────────────────────────────────────────────────

HttpManager::CodecType codec_of(config::HttpConnectionManager::Codec codec) {
  using Codec = config::HttpConnectionManager::Codec;
  switch (codec) {
    case Codec::automatic:
      return HttpManager::AUTO;
    case Codec::http1:
      return HttpManager::HTTP1;
    case Codec::http2:
      return HttpManager::HTTP2;
  }
  return HttpManager::AUTO;
}

void write_routes(const config::HttpConnectionManager& http, HttpManager& into) {
  if (http.routes) {
    write(*http.routes, *into.mutable_route_config());
    return;
  }
  write_ads(*into.mutable_rds()->mutable_config_source());
  into.mutable_rds()->set_route_config_name(http.route_config_name);
}

void write_timeouts(const config::HttpConnectionManager& http, HttpManager& into) {
  write(http.idle_timeout, *into.mutable_common_http_protocol_options()->mutable_idle_timeout());
  write(http.stream_idle_timeout, *into.mutable_stream_idle_timeout());
  write(http.request_timeout, *into.mutable_request_timeout());
  write(http.request_headers_timeout, *into.mutable_request_headers_timeout());
  write(http.drain_timeout, *into.mutable_drain_timeout());
}

void write_limits(const config::HttpConnectionManager& http, HttpManager& into) {
  into.mutable_max_request_headers_kb()->set_value(http.max_request_headers_kb);
  if (http.max_headers_count == config::HttpConnectionManager().max_headers_count) return;
  into.mutable_common_http_protocol_options()->mutable_max_headers_count()->set_value(
      http.max_headers_count);
}

void write_header_handling(const config::HttpConnectionManager& http, HttpManager& into) {
  into.set_server_name(http.server_name);
  if (http.server_header_pass_through) {
    into.set_server_header_transformation(HttpManager::PASS_THROUGH);
  }
  into.mutable_generate_request_id()->set_value(http.generate_request_id);
  into.set_preserve_external_request_id(http.preserve_external_request_id);
  into.set_proxy_100_continue(!http.answer_expect);
  into.mutable_use_remote_address()->set_value(http.use_remote_address);
  into.mutable_normalize_path()->set_value(http.normalize_path);
  into.set_path_with_escaped_slashes_action(HttpManager::KEEP_UNCHANGED);
}

void write(const config::HttpConnectionManager& http, HttpManager& into) {
  into.set_codec_type(codec_of(http.codec));
  into.set_stat_prefix(http.stat_prefix);
  write_routes(http, into);
  write_access_logs(http.access_logs, *into.mutable_access_log());
  write_header_handling(http, into);
  write_timeouts(http, into);
  write_limits(http, into);
  for (const std::string& upgrade : http.upgrades) {
    into.add_upgrade_configs()->set_upgrade_type(upgrade);
  }
  for (const config::ClosedFilter& filter : http.closed_filters) {
    into.add_http_filters()->set_name(filter.name);  // closes again where it is read
  }
  wire::http::HttpFilter& router = *into.add_http_filters();
  router.set_name("envoy.filters.http.router");
  pack(wire::Router(), *router.mutable_typed_config());
}

// ── TCP ──────────────────────────────────────────────────────────────────────────────────────────

void write(const config::TcpProxy& tcp, wire::tcp::TcpProxy& into) {
  into.set_stat_prefix(tcp.stat_prefix);
  if (tcp.clusters.size() == 1 && tcp.clusters.front().weight == 1) {
    into.set_cluster(tcp.clusters.front().cluster);
  } else {
    for (const config::WeightedCluster& cluster : tcp.clusters) {
      auto& made = *into.mutable_weighted_clusters()->add_clusters();
      made.set_name(cluster.cluster);
      made.set_weight(cluster.weight);
    }
  }
  write(tcp.idle_timeout, *into.mutable_idle_timeout());
  into.mutable_max_connect_attempts()->set_value(tcp.max_connect_attempts);
  write_access_logs(tcp.access_logs, *into.mutable_access_log());
}

// ── Filter chains ────────────────────────────────────────────────────────────────────────────────

void write(const std::vector<config::Prefix>& prefixes,
           google::protobuf::RepeatedPtrField<wire::core::CidrRange>& into) {
  for (const config::Prefix& prefix : prefixes) {
    wire::core::CidrRange& range = *into.Add();
    range.set_address_prefix(prefix.address.text());
    range.mutable_prefix_len()->set_value(static_cast<std::uint32_t>(prefix.length));
  }
}

void write(const config::FilterChainMatch& match, wire::listener::FilterChainMatch& into) {
  if (match.destination_port) {
    into.mutable_destination_port()->set_value(*match.destination_port);
  }
  write(match.prefix_ranges, *into.mutable_prefix_ranges());
  write(match.source_prefix_ranges, *into.mutable_source_prefix_ranges());
  into.mutable_server_names()->Assign(match.server_names.begin(), match.server_names.end());
  into.set_transport_protocol(match.transport_protocol);
  into.mutable_application_protocols()->Assign(match.application_protocols.begin(),
                                               match.application_protocols.end());
}

void add_filter(const char* name, const wire::Message& message, wire::listener::FilterChain& into) {
  wire::listener::Filter& filter = *into.add_filters();
  filter.set_name(name);
  pack(message, *filter.mutable_typed_config());
}

void write(const config::FilterChain& chain, config::Direction direction,
           wire::listener::FilterChain& into) {
  into.set_name(chain.name);
  if (chain.match != config::FilterChainMatch{}) {
    write(chain.match, *into.mutable_filter_chain_match());
  }
  if (const auto* tcp = std::get_if<config::TcpProxy>(&chain.filter)) {
    wire::tcp::TcpProxy proxy;
    write(*tcp, proxy);
    add_filter("envoy.filters.network.tcp_proxy", proxy, into);
  } else {
    HttpManager http;
    write(std::get<config::HttpConnectionManager>(chain.filter), http);
    if (direction == config::Direction::inbound) {
      write_undelivered_marks(*http.mutable_local_reply_config());
    }
    add_filter("envoy.filters.network.http_connection_manager", http, into);
  }
  if (const auto* http = std::get_if<config::HttpConnectionManager>(&chain.filter)) {
    write_closed(http->closed, into);
  }
  write_closed(chain.closed, into);
  write_origin(chain.origin, into);
}

// ── Listener filters ─────────────────────────────────────────────────────────────────────────────

using Predicate = wire::listener::ListenerFilterChainMatchPredicate;

// Ports that follow each other make one range. Envoy wants two rules or more in an or_match.
void write_disabled(const std::vector<std::uint16_t>& ports, wire::listener::ListenerFilter& into) {
  Predicate any;
  for (const std::uint16_t port : ports) {
    auto& rules = *any.mutable_or_match()->mutable_rules();
    if (!rules.empty() && rules.rbegin()->destination_port_range().end() == port) {
      rules.rbegin()->mutable_destination_port_range()->set_end(port + 1);
      continue;
    }
    auto& range = *rules.Add()->mutable_destination_port_range();
    range.set_start(port);
    range.set_end(port + 1);
  }
  if (ports.empty()) return;
  *into.mutable_filter_disabled() =
      any.or_match().rules_size() == 1 ? any.or_match().rules(0) : any;
}

template <class Message>
wire::listener::ListenerFilter& add_filter(const char* name, wire::listener::Listener& into) {
  wire::listener::ListenerFilter& filter = *into.add_listener_filters();
  filter.set_name(name);
  pack(Message(), *filter.mutable_typed_config());
  return filter;
}

void write_listener_filters(const config::Listener& listener, wire::listener::Listener& into) {
  if (listener.original_dst_filter) {
    add_filter<wire::OriginalDst>("envoy.filters.listener.original_dst", into);
  }
  if (listener.tls_inspector) {
    write_disabled(listener.uninspected_ports,
                   add_filter<wire::TlsInspector>("envoy.filters.listener.tls_inspector", into));
  }
  if (listener.http_inspector) {
    write_disabled(listener.uninspected_ports,
                   add_filter<wire::HttpInspector>("envoy.filters.listener.http_inspector", into));
  }
}

// ── The listener ─────────────────────────────────────────────────────────────────────────────────

wire::core::TrafficDirection direction_of(config::Direction direction) {
  switch (direction) {
    case config::Direction::unspecified:
      return wire::core::UNSPECIFIED;
    case config::Direction::inbound:
      return wire::core::INBOUND;
    case config::Direction::outbound:
      return wire::core::OUTBOUND;
  }
  return wire::core::UNSPECIFIED;
}

void write_addresses(const config::Listener& listener, wire::listener::Listener& into) {
  write(listener.address, *into.mutable_address()->mutable_socket_address());
  for (const SocketAddress& more : listener.additional_addresses) {
    write(more, *into.add_additional_addresses()->mutable_address()->mutable_socket_address());
  }
}

// ── Marks ────────────────────────────────────────────────────────────────────────────────────────

using LogFilter = wire::log::AccessLogFilter;

void add_mark(wire::http::LocalReplyConfig& into, const LogFilter& filter) {
  wire::http::ResponseMapper& mapper = *into.add_mappers();
  *mapper.mutable_filter() = filter;
  wire::core::HeaderValueOption& mark = *mapper.add_headers_to_add();
  mark.mutable_header()->set_key(std::string(config::undelivered_mark));
  mark.mutable_header()->set_value("%RESPONSE_CODE_DETAILS%");
  mark.set_append_action(wire::core::HeaderValueOption::OVERWRITE_IF_EXISTS_OR_ADD);
}

wire::route::HeaderMatcher& add_header(LogFilter& all, const char* name) {
  LogFilter& filter = *all.mutable_and_filter()->add_filters();
  wire::route::HeaderMatcher& header = *filter.mutable_header_filter()->mutable_header();
  header.set_name(name);
  return header;
}

void add_absent(LogFilter& all, const char* name) {
  wire::route::HeaderMatcher& header = add_header(all, name);
  header.set_present_match(true);
  header.set_invert_match(true);
}

}  // namespace

// Envoy's flags: UF no connection, UH no endpoint, UO as many requests as there may be, UC the
// connection ended before the response.
void write_undelivered_marks(wire::http::LocalReplyConfig& into) {
  LogFilter never_sent;
  for (const char* flag : {"UF", "UH", "UO"}) {
    never_sent.mutable_response_flag_filter()->add_flags(flag);
  }
  add_mark(into, never_sent);
  LogFilter died_with_safe;
  died_with_safe.mutable_and_filter()->add_filters()->mutable_response_flag_filter()->add_flags(
      "UC");
  add_header(died_with_safe, ":method")
      .mutable_string_match()
      ->mutable_safe_regex()
      ->set_regex("GET|HEAD|OPTIONS|TRACE");
  add_absent(died_with_safe, "content-length");
  add_absent(died_with_safe, "transfer-encoding");
  add_mark(into, died_with_safe);
}

void write(const config::Listener& listener, wire::listener::Listener& into) {
  into.set_name(listener.name);
  write_addresses(listener, into);
  if (!listener.bind_to_port) into.mutable_bind_to_port()->set_value(false);
  if (listener.use_original_dst) into.mutable_use_original_dst()->set_value(true);
  into.set_traffic_direction(direction_of(listener.direction));
  write_listener_filters(listener, into);
  write(listener.listener_filters_timeout, *into.mutable_listener_filters_timeout());
  into.set_continue_on_listener_filters_timeout(listener.continue_on_listener_filters_timeout);
  for (const config::FilterChain& chain : listener.filter_chains) {
    write(chain, listener.direction, *into.add_filter_chains());
  }
  if (listener.default_filter_chain) {
    write(*listener.default_filter_chain, listener.direction, *into.mutable_default_filter_chain());
  }
  write_access_logs(listener.access_logs, *into.mutable_access_log());
  write_origin(listener.origin, into);
}

}  // namespace fairlead::xds
