#include "xds/decode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "xds/encode.h"
#include "xds/wire.h"

namespace fairlead::xds {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

std::vector<std::string> fields_of(const std::vector<config::Unhonoured>& list) {
  std::vector<std::string> fields;
  for (const config::Unhonoured& each : list) fields.push_back(each.describe());
  return fields;
}

// ── The wire ─────────────────────────────────────────────────────────────────────────────────────

// Adds a field that our subset does not have, as a newer or fuller sender would.
void add_unknown(wire::Message& message, int number) {
  message.GetReflection()->MutableUnknownFields(&message)->AddLengthDelimited(number, "x");
}

wire::listener::Listener tcp_listener() {
  wire::listener::Listener listener;
  listener.set_name("l");
  listener.mutable_address()->mutable_socket_address()->set_address("0.0.0.0");
  listener.mutable_address()->mutable_socket_address()->set_port_value(1);
  wire::tcp::TcpProxy tcp;
  tcp.set_stat_prefix("tcp");
  tcp.set_cluster("c");
  auto& filter = *listener.add_filter_chains()->add_filters();
  filter.set_name("tcp");
  filter.mutable_typed_config()->PackFrom(tcp);
  return listener;
}

Result<Decoded<config::Listener>> decoded(const wire::listener::Listener& listener) {
  return decode_listener(listener.SerializeAsString());
}

TEST(Decode, FieldsBeyondOurSubsetAreListedByName) {
  wire::listener::Listener listener = tcp_listener();
  add_unknown(listener, 5);
  add_unknown(*listener.mutable_filter_chains(0)->mutable_filter_chain_match(), 12);
  add_unknown(listener, 4711);
  wire::tcp::TcpProxy tcp;
  tcp.set_stat_prefix("tcp");
  tcp.set_cluster("c");
  add_unknown(tcp, 12);
  listener.mutable_filter_chains(0)->mutable_filters(0)->mutable_typed_config()->PackFrom(tcp);
  const auto made = decoded(listener);
  ASSERT_TRUE(made.ok()) << made.fault().describe();
  EXPECT_THAT(fields_of(made->unhonoured),
              ElementsAre("Listener l: per_connection_buffer_limit_bytes", "Listener l: field 4711",
                          "Listener l: filter_chains[0].filter_chain_match.source_type",
                          "Listener l: filter_chains[0].filters[0].typed_config.tunneling_config",
                          "Listener l: filter_chains[0].filter_chain_match: with a condition that "
                          "is not honoured"));
}

TEST(Decode, FiltersThatWeDoNotHaveAreListedAndTheOthersStand) {
  wire::listener::Listener listener = tcp_listener();
  auto& chain = *listener.mutable_filter_chains(0);
  auto& rbac = *chain.add_filters();
  rbac.set_name("envoy.filters.network.rbac");
  rbac.mutable_typed_config()->set_type_url("type.googleapis.com/envoy.x.RBAC");
  chain.mutable_filters()->SwapElements(0, 1);
  listener.add_listener_filters()->set_name("envoy.filters.listener.proxy_protocol");
  const auto made = decoded(listener);
  ASSERT_TRUE(made.ok()) << made.fault().describe();
  EXPECT_THAT(fields_of(made->unhonoured),
              ElementsAre("Listener l: listener_filters[0]: envoy.filters.listener.proxy_protocol",
                          "Listener l: filter_chains[0].filters[0]: envoy.filters.network.rbac"));
  EXPECT_TRUE(std::holds_alternative<config::TcpProxy>(made->value.filter_chains[0].filter));
}

TEST(Decode, ALimitToWaitingForWhatIsReferredToIsListedAndNoLimitIsNot) {
  wire::cluster::Cluster cluster;
  cluster.set_name("c");
  cluster.set_type(wire::cluster::Cluster::EDS);
  auto& source = *cluster.mutable_eds_cluster_config()->mutable_eds_config();
  source.mutable_ads();
  source.mutable_initial_fetch_timeout();
  EXPECT_THAT(decode_cluster(cluster.SerializeAsString())->unhonoured, IsEmpty());
  source.mutable_initial_fetch_timeout()->set_seconds(5);
  EXPECT_THAT(fields_of(decode_cluster(cluster.SerializeAsString())->unhonoured),
              ElementsAre("Cluster c: eds_cluster_config.eds_config.initial_fetch_timeout: "
                          "waited for without limit, as with 0s"));
}

// What a real Envoy is told to write on its own replies beside an app, our proxy writes untold.
TEST(Decode, MarksOfWhatNoAppHadAreOursAndAnyOtherRepliesAreListed) {
  config::HttpConnectionManager http{.stat_prefix = "inbound"};
  http.route_config_name = "80";
  config::Listener inbound{.name = "l", .direction = config::Direction::inbound};
  inbound.address = *SocketAddress::parse("0.0.0.0:1");
  inbound.filter_chains.push_back({.name = "http", .filter = http});
  wire::listener::Listener listener;
  ASSERT_TRUE(parse(encode(inbound), listener));
  EXPECT_THAT(decoded(listener)->unhonoured, IsEmpty());

  wire::Any& filter =
      *listener.mutable_filter_chains(0)->mutable_filters(0)->mutable_typed_config();
  wire::http::HttpConnectionManager manager;
  ASSERT_TRUE(filter.UnpackTo(&manager));
  ASSERT_EQ(manager.local_reply_config().mappers_size(), 2);
  EXPECT_EQ(manager.local_reply_config().mappers(0).headers_to_add(0).header().key(),
            "x-fairlead-undelivered");
  manager.mutable_local_reply_config()->mutable_mappers()->RemoveLast();
  filter.PackFrom(manager);
  EXPECT_THAT(
      fields_of(decoded(listener)->unhonoured),
      ElementsAre("Listener l: filter_chains[0].filters[0].typed_config.local_reply_config"));

  inbound.direction = config::Direction::outbound;
  ASSERT_TRUE(parse(encode(inbound), listener));
  ASSERT_TRUE(listener.filter_chains(0).filters(0).typed_config().UnpackTo(&manager));
  EXPECT_FALSE(manager.has_local_reply_config());
}

wire::listener::Listener http_listener(void (*set)(wire::http::HttpConnectionManager&)) {
  wire::http::HttpConnectionManager http;
  http.set_stat_prefix("s");
  http.mutable_rds()->set_route_config_name("r");
  http.mutable_rds()->mutable_config_source()->mutable_ads();
  http.mutable_rds()->mutable_config_source()->mutable_initial_fetch_timeout();
  http.add_http_filters()->mutable_typed_config()->PackFrom(wire::Router());
  set(http);
  wire::listener::Listener listener = tcp_listener();
  listener.mutable_filter_chains(0)->mutable_filters(0)->mutable_typed_config()->PackFrom(http);
  return listener;
}

const config::HttpConnectionManager& manager_in(const config::Listener& listener) {
  return std::get<config::HttpConnectionManager>(listener.filter_chains.at(0).filter);
}

TEST(Decode, AnUpgradeCountsUnlessItIsOff) {
  using Manager = wire::http::HttpConnectionManager;
  const auto made = decoded(http_listener([](Manager& http) {
    http.add_upgrade_configs()->set_upgrade_type("websocket");
    auto& on = *http.add_upgrade_configs();
    on.set_upgrade_type("foo");
    on.mutable_enabled()->set_value(true);
    auto& off = *http.add_upgrade_configs();
    off.set_upgrade_type("CONNECT");
    off.mutable_enabled()->set_value(false);
  }));
  ASSERT_TRUE(made.ok()) << made.fault().describe();
  EXPECT_THAT(manager_in(made->value).upgrades, ElementsAre("websocket", "foo"));
}

// Absent is not false: what is said of 100-continue where nothing is configured is ours.
TEST(Decode, Proxy100ContinueHasThreeValues) {
  using Manager = wire::http::HttpConnectionManager;
  const auto answers = [](void (*set)(Manager&)) {
    return manager_in(decoded(http_listener(set))->value).answer_expect;
  };
  EXPECT_FALSE(answers([](Manager&) {}));
  EXPECT_FALSE(answers([](Manager& http) { http.set_proxy_100_continue(true); }));
  EXPECT_TRUE(answers([](Manager& http) { http.set_proxy_100_continue(false); }));
}

// HTTP/1.1 is what is spoken on both sides; whoever asks for another is told.
TEST(Decode, WhatIsSpokenInAnotherWayIsListed) {
  using Manager = wire::http::HttpConnectionManager;
  const auto listener =
      decoded(http_listener([](Manager& http) { http.set_codec_type(Manager::HTTP2); }));
  EXPECT_THAT(fields_of(listener->unhonoured),
              ElementsAre("Listener l: filter_chains[0].filters[0].typed_config.codec_type: HTTP2: "
                          "HTTP/1.1 is spoken"));
  EXPECT_THAT(decoded(http_listener([](Manager& http) {
                http.set_codec_type(Manager::HTTP1);
              }))->unhonoured,
              IsEmpty());
  wire::cluster::Cluster cluster;
  cluster.set_name("c");
  EXPECT_THAT(decode_cluster(cluster.SerializeAsString())->unhonoured, IsEmpty());
  wire::http_options::HttpProtocolOptions options;
  options.mutable_explicit_http_config()->mutable_http2_protocol_options();
  (*cluster.mutable_typed_extension_protocol_options())[wire::http_options_key].PackFrom(options);
  EXPECT_THAT(fields_of(decode_cluster(cluster.SerializeAsString())->unhonoured),
              ElementsAre("Cluster c: typed_extension_protocol_options: HTTP/2: HTTP/1.1 is "
                          "spoken"));
  cluster.clear_typed_extension_protocol_options();
  cluster.mutable_http2_protocol_options();
  EXPECT_THAT(fields_of(decode_cluster(cluster.SerializeAsString())->unhonoured),
              ElementsAre("Cluster c: http2_protocol_options: HTTP/2: HTTP/1.1 is spoken"));
}

TEST(Decode, EscapedSlashesAreLeftAsTheyAre) {
  using Manager = wire::http::HttpConnectionManager;
  EXPECT_THAT(decoded(http_listener([](Manager& http) {
                http.set_path_with_escaped_slashes_action(Manager::KEEP_UNCHANGED);
              }))->unhonoured,
              IsEmpty());
  EXPECT_THAT(
      fields_of(decoded(http_listener([](Manager& http) {
                  http.set_path_with_escaped_slashes_action(Manager::REJECT_REQUEST);
                }))->unhonoured),
      ElementsAre(HasSubstr("path_with_escaped_slashes_action: other than KEEP_UNCHANGED")));
}

TEST(Decode, LogsOfTheProcesssOwnStreams) {
  wire::listener::Listener listener = tcp_listener();
  wire::stream_log::StdoutAccessLog out;
  out.mutable_log_format()->mutable_text_format_source()->set_inline_string("out %PROTOCOL%");
  listener.add_access_log()->mutable_typed_config()->PackFrom(out);
  wire::stream_log::StderrAccessLog err;
  err.mutable_log_format()->set_text_format("err");
  listener.add_access_log()->mutable_typed_config()->PackFrom(err);
  const auto made = decoded(listener);
  ASSERT_TRUE(made.ok()) << made.fault().describe();
  EXPECT_THAT(made->value.access_logs,
              ElementsAre(config::AccessLog{.path = "/dev/stdout", .format = "out %PROTOCOL%"},
                          config::AccessLog{.path = "/dev/stderr", .format = "err"}));
}

TEST(Decode, ATransportSocketThatIsNotBuiltIsToldByItsName) {
  wire::cluster::Cluster cluster;
  cluster.set_name("c");
  auto& socket = *cluster.mutable_transport_socket();
  socket.set_name("envoy.transport_sockets.tls");
  socket.mutable_typed_config()->set_type_url(
      "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext");
  EXPECT_THAT(fields_of(decode_cluster(cluster.SerializeAsString())->unhonoured),
              ElementsAre(HasSubstr("transport_socket: envoy.transport_sockets.tls")));
  socket.mutable_typed_config()->PackFrom(wire::RawBuffer());
  EXPECT_THAT(decode_cluster(cluster.SerializeAsString())->unhonoured, IsEmpty());
}

TEST(Decode, FaultsNameResourceAndField) {
  const auto refusal = [](const wire::listener::Listener& listener) {
    const auto made = decoded(listener);
    return made.ok() ? std::string() : made.fault().message;
  };
  wire::listener::Listener listener = tcp_listener();
  listener.mutable_filter_chains(0)->mutable_filters(0)->mutable_typed_config()->set_value("\xff");
  EXPECT_EQ(refusal(listener),
            "Listener l: filter_chains[0].filters[0].typed_config: is not what its type says");
  listener = tcp_listener();
  *listener.add_filter_chains() = listener.filter_chains(0);
  EXPECT_EQ(refusal(listener),
            "Listener l: filter_chains[1].filter_chain_match: is that of filter_chains[0]");
  listener = tcp_listener();
  listener.mutable_listener_filters_timeout()->set_seconds(-1);
  EXPECT_EQ(refusal(listener), "Listener l: listener_filters_timeout: is no duration from 0s on");
  listener = tcp_listener();
  listener.mutable_address()->mutable_socket_address()->set_port_value(65536);
  EXPECT_EQ(refusal(listener), "Listener l: address.socket_address.port_value: 65536 is no port");
  listener = tcp_listener();
  listener.mutable_address()->mutable_socket_address()->set_protocol(
      wire::core::SocketAddress::UDP);
  EXPECT_THAT(refusal(listener), StartsWith("Listener l: address.socket_address.protocol: "));
  EXPECT_EQ(decode_listener("\xff\xff").fault().message, "Listener: the bytes are no such message");
}

std::string route_refusal(void (*spoil)(wire::route::RouteConfiguration&)) {
  wire::route::RouteConfiguration routes;
  routes.set_name("r");
  auto& host = *routes.add_virtual_hosts();
  host.set_name("h");
  host.add_domains("*");
  auto& route = *host.add_routes();
  route.mutable_match()->set_prefix("/");
  route.mutable_route()->set_cluster("c");
  spoil(routes);
  const auto made = decode_route_configuration(routes.SerializeAsString());
  return made.ok() ? "" : made.fault().message;
}

TEST(Decode, RoutesThatCannotBeAreRefused) {
  using Routes = wire::route::RouteConfiguration;
  EXPECT_EQ(route_refusal([](Routes&) {}), "");
  EXPECT_EQ(route_refusal([](Routes& r) { r.mutable_virtual_hosts(0)->add_domains("*"); }),
            "RouteConfiguration r: virtual_hosts[0].domains: \"*\" is there twice");
  EXPECT_THAT(route_refusal(
                  [](Routes& r) { r.mutable_virtual_hosts(0)->mutable_routes(0)->clear_match(); }),
              HasSubstr("virtual_hosts[0].routes[0].match: expected prefix, path"));
  EXPECT_THAT(route_refusal([](Routes& r) {
                auto& weighted = *r.mutable_virtual_hosts(0)
                                      ->mutable_routes(0)
                                      ->mutable_route()
                                      ->mutable_weighted_clusters();
                weighted.add_clusters()->set_name("c");
              }),
              HasSubstr("weighted_clusters.clusters: the weights add up to 0"));
  EXPECT_THAT(route_refusal([](Routes& r) {
                r.mutable_virtual_hosts(0)->mutable_routes(0)->mutable_direct_response();
              }),
              HasSubstr("direct_response.status: 0 is no final status"));
  static constexpr auto route_of = [](Routes& r) {
    return r.mutable_virtual_hosts(0)->mutable_routes(0);
  };
  EXPECT_THAT(
      route_refusal([](Routes& r) { route_of(r)->mutable_redirect()->set_port_redirect(65536); }),
      HasSubstr("redirect.port_redirect: 65536 is no port"));
  EXPECT_THAT(
      route_refusal([](Routes& r) { route_of(r)->mutable_match()->add_query_parameters(); }),
      HasSubstr("match.query_parameters[0].name: is needed"));
  EXPECT_THAT(route_refusal([](Routes& r) {
                route_of(r)->mutable_route()->set_prefix_rewrite("/a");
                route_of(r)->mutable_route()->mutable_regex_rewrite();
              }),
              HasSubstr("route.regex_rewrite: excludes prefix_rewrite"));
}

// As Envoy refuses them; they would end a line of a message, and begin another.
TEST(Decode, WhatWouldBreakAMessageIsRefused) {
  using Routes = wire::route::RouteConfiguration;
  static constexpr auto route_of = [](Routes& r) {
    return r.mutable_virtual_hosts(0)->mutable_routes(0);
  };
  static constexpr auto add = [](Routes& r, const char* name, std::string value) {
    auto& header = *route_of(r)->add_request_headers_to_add()->mutable_header();
    header.set_key(name);
    header.set_value(std::move(value));
  };
  const std::string key = "request_headers_to_add[0].header.key: ";
  const std::string value = "request_headers_to_add[0].header.value: expected no line break";
  EXPECT_THAT(route_refusal([](Routes& r) { add(r, "x", "a\r\nb: c"); }), HasSubstr(value));
  EXPECT_THAT(route_refusal([](Routes& r) { add(r, "x", std::string("a\0b", 3)); }),
              HasSubstr(value));
  EXPECT_EQ(route_refusal([](Routes& r) { add(r, "x", "a\tb"); }), "");
  EXPECT_THAT(route_refusal([](Routes& r) { add(r, "", "a"); }), HasSubstr(key + "is needed"));
  for (const auto spoil :
       {+[](Routes& r) { add(r, "x a", "a"); }, +[](Routes& r) { add(r, "x:y", "a"); }}) {
    EXPECT_THAT(route_refusal(spoil), HasSubstr(key + "is no name of a field"));
  }
  for (const auto spoil :
       {+[](Routes& r) { add(r, ":path", "a"); }, +[](Routes& r) { add(r, "Host", "a"); }}) {
    EXPECT_THAT(route_refusal(spoil), HasSubstr("Host are not to be changed"));
  }
  EXPECT_THAT(route_refusal([](Routes& r) { route_of(r)->add_response_headers_to_remove("host"); }),
              HasSubstr("response_headers_to_remove[0]: fields with a colon"));
  EXPECT_THAT(
      route_refusal([](Routes& r) { route_of(r)->mutable_route()->set_prefix_rewrite("/\n"); }),
      HasSubstr("route.prefix_rewrite: expected no line break"));
  EXPECT_THAT(route_refusal([](Routes& r) {
                route_of(r)->mutable_route()->set_host_rewrite_literal("a\rb");
              }),
              HasSubstr("route.host_rewrite_literal: expected no line break"));
  EXPECT_THAT(route_refusal([](Routes& r) {
                auto& rewrite = *route_of(r)->mutable_route()->mutable_regex_rewrite();
                rewrite.mutable_pattern()->set_regex("a");
                rewrite.set_substitution("\n");
              }),
              HasSubstr("regex_rewrite.substitution: expected no line break"));
  EXPECT_THAT(
      route_refusal([](Routes& r) { route_of(r)->mutable_redirect()->set_path_redirect("\n"); }),
      HasSubstr("redirect.path_redirect: expected no line break"));
}

TEST(Decode, ANameIsNeeded) {
  EXPECT_EQ(decode_cluster("").fault().message, "Cluster: name: is needed");
  EXPECT_EQ(decode_listener("").fault().message, "Listener: name: is needed");
  EXPECT_EQ(decode_route_configuration("").fault().message, "RouteConfiguration: name: is needed");
  const Result<Resources> made = decode_resources(
      R"([{"@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"}])", "r.json");
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.fault().message, "r.json:1: [0].name: is needed");
}

TEST(Decode, WhatWouldBeReplacedForEachRequestIsListedAndNotSent) {
  wire::route::RouteConfiguration routes;
  routes.set_name("r");
  wire::route::VirtualHost& host = *routes.add_virtual_hosts();
  host.set_name("h");
  host.add_domains("*");
  wire::route::Route& route = *host.add_routes();
  route.mutable_match()->set_prefix("/");
  route.mutable_route()->set_cluster("c");
  for (const char* value : {"plain", "%DOWNSTREAM_REMOTE_ADDRESS%", "100%% sure", "50%"}) {
    auto& header = *route.add_request_headers_to_add()->mutable_header();
    header.set_key("x-a");
    header.set_value(value);
  }
  const auto made = decode_route_configuration(routes.SerializeAsString());
  ASSERT_TRUE(made.ok()) << made.fault().describe();
  const std::vector<config::HeaderToAdd>& added =
      made->value.virtual_hosts[0].routes[0].request_headers_to_add;
  ASSERT_THAT(added, SizeIs(2));
  EXPECT_EQ(added[0].value, "plain");
  EXPECT_EQ(added[1].value, "100% sure");
  const std::string place =
      "RouteConfiguration r: virtual_hosts[0].routes[0].request_headers_to_add";
  EXPECT_THAT(fields_of(made->unhonoured),
              ElementsAre(StartsWith(place + "[1].header.value"), StartsWith(place + "[3]")));
}

wire::core::HeaderValueOption header(const std::string& name, const std::string& value) {
  wire::core::HeaderValueOption made;
  made.mutable_header()->set_key(name);
  made.mutable_header()->set_value(value);
  return made;
}

TEST(Decode, WhatAHostAndAllRoutesChangeFollowsWhatTheRouteChanges) {
  wire::route::RouteConfiguration routes;
  routes.set_name("r");
  *routes.add_request_headers_to_add() = header("x-level", "all");
  routes.add_response_headers_to_remove("server");
  auto& host = *routes.add_virtual_hosts();
  host.set_name("h");
  host.add_domains("*");
  *host.add_request_headers_to_add() = header("x-level", "host");
  host.add_request_headers_to_remove("X-Secret");
  auto& route = *host.add_routes();
  route.mutable_match()->set_prefix("/");
  route.mutable_route()->set_cluster("c");
  *route.add_request_headers_to_add() = header("x-level", "route");
  *route.add_request_headers_to_add() = header("x-secret", "of the route");
  const auto made = decode_route_configuration(routes.SerializeAsString());
  ASSERT_TRUE(made.ok()) << made.fault().describe();
  const config::Route& read = made->value.virtual_hosts[0].routes[0];
  std::vector<std::string> values;
  for (const config::HeaderToAdd& each : read.request_headers_to_add) values.push_back(each.value);
  EXPECT_THAT(values, ElementsAre("route", "host", "all"));
  EXPECT_THAT(read.request_headers_to_remove, ElementsAre("X-Secret"));
  EXPECT_THAT(read.response_headers_to_remove, ElementsAre("server"));
  EXPECT_THAT(made->unhonoured, IsEmpty());
}

TEST(Decode, WhatRequiresTlsIsRedirectedThereBeforeAllElse) {
  wire::route::RouteConfiguration routes;
  routes.set_name("r");
  auto& host = *routes.add_virtual_hosts();
  host.set_name("h");
  host.add_domains("*");
  auto& route = *host.add_routes();
  route.mutable_match()->set_prefix("/");
  route.mutable_route()->set_cluster("c");
  for (const auto required :
       {wire::route::VirtualHost::ALL, wire::route::VirtualHost::EXTERNAL_ONLY}) {
    host.set_require_tls(required);
    const auto made = decode_route_configuration(routes.SerializeAsString());
    ASSERT_TRUE(made.ok()) << made.fault().describe();
    ASSERT_THAT(made->value.virtual_hosts[0].routes, SizeIs(2));
    const config::Route& first = made->value.virtual_hosts[0].routes[0];
    EXPECT_EQ(first.kind, config::Route::Kind::redirect);
    EXPECT_EQ(first.redirect.scheme, "https");
    EXPECT_EQ(first.redirect.status, 301U);
    ASSERT_THAT(first.headers, SizeIs(1));
    EXPECT_EQ(first.headers[0].name, "x-forwarded-proto");
    EXPECT_TRUE(first.headers[0].invert);
    EXPECT_THAT(made->unhonoured, IsEmpty());
  }
}

TEST(Decode, ARouteBeyondUsIsLeftOutAndListed) {
  wire::route::RouteConfiguration routes;
  routes.set_name("r");
  auto& host = *routes.add_virtual_hosts();
  host.set_name("h");
  host.add_domains("*");
  auto& connect = *host.add_routes();
  add_unknown(*connect.mutable_match(), 12);
  connect.mutable_route()->set_cluster("c");
  auto& plain = *host.add_routes();
  plain.mutable_match()->set_path("/");
  plain.mutable_route()->set_cluster("c");
  const auto made = decode_route_configuration(routes.SerializeAsString());
  ASSERT_TRUE(made.ok()) << made.fault().describe();
  EXPECT_THAT(made->value.virtual_hosts[0].routes, SizeIs(1));
  EXPECT_THAT(
      fields_of(made->unhonoured),
      ElementsAre("RouteConfiguration r: virtual_hosts[0].routes[0].match.connect_matcher",
                  "RouteConfiguration r: virtual_hosts[0].routes[0]: the whole route is left out"));
}

TEST(Decode, ARouteWithAConditionBeyondUsDoesNotTakeMoreThanItMay) {
  wire::route::RouteConfiguration routes;
  routes.set_name("r");
  auto& host = *routes.add_virtual_hosts();
  host.set_name("h");
  host.add_domains("*");
  auto& grpc = *host.add_routes();
  grpc.mutable_match()->set_prefix("/");
  add_unknown(*grpc.mutable_match(), 8);
  grpc.mutable_route()->set_cluster("c");
  auto& by_header = *host.add_routes();
  by_header.mutable_match()->set_prefix("/");
  auto& header = *by_header.mutable_match()->add_headers();
  header.set_name("x-n");
  add_unknown(*header.mutable_string_match(), 8);
  header.mutable_string_match()->set_exact("a");
  by_header.mutable_route()->set_cluster("c");
  const auto made = decode_route_configuration(routes.SerializeAsString());
  ASSERT_TRUE(made.ok()) << made.fault().describe();
  EXPECT_THAT(made->value.virtual_hosts[0].routes, SizeIs(0));
  EXPECT_THAT(fields_of(made->unhonoured),
              ElementsAre(HasSubstr("routes[0].match.grpc"),
                          HasSubstr("routes[1].match.headers[0].string_match.custom"),
                          HasSubstr("routes[0]: the whole route is left out"),
                          HasSubstr("routes[1]: the whole route is left out")));
}

TEST(Decode, ConditionsAndRewritesOfARoute) {
  const Result<Resources> made = decode_resources(R"(
- "@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
  name: r
  virtual_hosts:
  - name: h
    domains: ["*"]
    routes:
    - match:
        prefix: /
        headers:
        - {name: X-N, range_match: {start: "-5", end: 10}, treat_missing_header_as_empty: true}
        query_parameters:
        - {name: a, string_match: {exact: "1"}}
        - {name: b, present_match: false}
        - {name: c}
      route: {cluster: c, idle_timeout: 0s, regex_rewrite: {pattern: {regex: a}, substitution: b}}
    - match: {prefix: /old}
      redirect: {scheme_redirect: https, port_redirect: 8443, prefix_rewrite: /new, strip_query: true}
)",
                                                  "r.yaml");
  ASSERT_TRUE(made.ok()) << made.fault().describe();
  EXPECT_THAT(made->unhonoured, IsEmpty());
  const std::vector<config::Route>& routes = made->routes.at(0).virtual_hosts.at(0).routes;
  const config::HeaderMatch by_header{
      .name = "x-n", .range = config::Int64Range{-5, 10}, .missing_is_empty = true};
  EXPECT_THAT(routes.at(0).headers, ElementsAre(by_header));
  EXPECT_THAT(routes[0].query_parameters,
              ElementsAre(config::QueryParameterMatch{.name = "a",
                                                      .value = config::StringMatch{.value = "1"}},
                          config::QueryParameterMatch{.name = "b", .present = false},
                          config::QueryParameterMatch{.name = "c"}));
  EXPECT_EQ(routes[0].forward.idle_timeout, config::Milliseconds{0});
  EXPECT_EQ(routes[0].forward.regex_rewrite,
            (config::RegexRewrite{.pattern = "a", .substitution = "b"}));
  EXPECT_EQ(routes.at(1).redirect,
            (config::RedirectAction{
                .scheme = "https", .port = 8443, .prefix_rewrite = "/new", .strip_query = true}));
}

TEST(Decode, PortsThatNoInspectorLooksAt) {
  wire::listener::Listener listener = tcp_listener();
  auto& tls = *listener.add_listener_filters();
  tls.mutable_typed_config()->PackFrom(wire::TlsInspector());
  tls.mutable_filter_disabled()->mutable_destination_port_range()->set_start(80);
  tls.mutable_filter_disabled()->mutable_destination_port_range()->set_end(83);
  auto& http = *listener.add_listener_filters();
  http.mutable_typed_config()->PackFrom(wire::HttpInspector());
  auto& range = *http.mutable_filter_disabled()
                     ->mutable_or_match()
                     ->add_rules()
                     ->mutable_destination_port_range();
  range.set_start(81);
  range.set_end(90);
  const auto made = decoded(listener);
  ASSERT_TRUE(made.ok()) << made.fault().describe();
  EXPECT_TRUE(made->value.tls_inspector && made->value.http_inspector);
  EXPECT_THAT(made->value.uninspected_ports, ElementsAre(81, 82));
  EXPECT_THAT(fields_of(made->unhonoured),
              ElementsAre("Listener l: listener_filters[1].filter_disabled: the inspectors differ "
                          "in their ports"));
  http.mutable_filter_disabled()->set_any_match(true);
  EXPECT_FALSE(decoded(listener)->value.http_inspector);
}

TEST(Decode, UnderstandsWhereIstiosResourcesComeFrom) {
  wire::cluster::Cluster cluster;
  cluster.set_name("c");
  auto& istio = (*cluster.mutable_metadata()->mutable_filter_metadata())["istio"];
  (*istio.mutable_fields())["config"].set_string_value(
      "/apis/networking.istio.io/v1/namespaces/shop/destination-rule/echo");
  auto made = decode_cluster(cluster.SerializeAsString());
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->value.origin.describe(), "DestinationRule shop/echo");

  wire::endpoint::ClusterLoadAssignment endpoints;
  endpoints.set_cluster_name("c");
  auto& endpoint = *endpoints.add_endpoints()->add_lb_endpoints();
  endpoint.mutable_endpoint()->mutable_address()->mutable_socket_address()->set_address("10.0.0.1");
  auto& of_endpoint = (*endpoint.mutable_metadata()->mutable_filter_metadata())["istio"];
  (*of_endpoint.mutable_fields())["workload"].set_string_value("echo-v1;shop;echo;v1;Kubernetes");
  const auto cla = decode_cluster_load_assignment(endpoints.SerializeAsString());
  ASSERT_TRUE(cla.ok());
  EXPECT_EQ(cla->value.localities[0].endpoints[0].workload, "shop/echo-v1");
}

// ── Text ─────────────────────────────────────────────────────────────────────────────────────────

// Shaped as istiod shapes its resources.
constexpr const char* resources = R"([
 {
  "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
  "name": "outbound|80||echo.default.svc.cluster.local",
  "alt_stat_name": "outbound|80||echo;",
  "type": "EDS",
  "eds_cluster_config": {
   "eds_config": {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"},
   "service_name": "outbound|80||echo.default.svc.cluster.local"
  },
  "connect_timeout": "10s",
  "lb_policy": "LEAST_REQUEST",
  "circuit_breakers": {"thresholds": [{"max_connections": 4294967295}]},
  "common_lb_config": {}
 },
 {"@type": "type.googleapis.com/istio.networking.nds.v1.NameTable"},
 {
  "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
  "name": "80",
  "virtualHosts": [
   {
    "name": "echo:80",
    "domains": ["echo", "10.88.0.10"],
    "routes": [
     {
      "match": {"prefix": "/"},
      "route": {
       "cluster": "outbound|80||echo.default.svc.cluster.local",
       "timeout": "0s",
       "retry_policy": {
        "retry_on": "connect-failure, refused-stream",
        "num_retries": 2,
        "host_selection_retry_max_attempts": "5"
       },
       "max_grpc_timeout": "0s"
      }
     }
    ]
   }
  ],
  "validate_clusters": false
 }
])";

TEST(DecodeText, ReadsResourcesAndListsWhatIsNotHonouredWithItsLine) {
  const Result<Resources> made = decode_resources(resources, "istiod.json");
  ASSERT_TRUE(made.ok()) << made.fault().describe();
  ASSERT_THAT(made->clusters, SizeIs(1));
  EXPECT_EQ(made->clusters[0].max_connections, 4294967295U);
  EXPECT_EQ(made->clusters[0].connect_timeout, std::chrono::seconds(10));
  ASSERT_THAT(made->routes, SizeIs(1));
  const config::Route& route = made->routes[0].virtual_hosts[0].routes[0];
  EXPECT_EQ(route.forward.timeout, config::Milliseconds(0));
  EXPECT_THAT(route.forward.retry->retry_on, ElementsAre("connect-failure", "refused-stream"));
  EXPECT_THAT(
      fields_of(made->unhonoured),
      ElementsAre("Cluster outbound|80||echo.default.svc.cluster.local: alt_stat_name "
                  "(istiod.json:5)",
                  "type.googleapis.com/istio.networking.nds.v1.NameTable: the whole resource "
                  "(istiod.json:16)",
                  "RouteConfiguration 80: virtual_hosts[0].routes[0].route.max_grpc_timeout "
                  "(istiod.json:35)"));
}

TEST(DecodeText, TheWaitsOfRetriesAreThoseOfThePolicy) {
  const auto retry = [](const std::string& back_off) {
    return decode_resources(
        "- \"@type\": type.googleapis.com/envoy.config.route.v3.RouteConfiguration\n"
        "  name: r\n"
        "  virtual_hosts:\n"
        "  - name: h\n"
        "    domains: ['*']\n"
        "    retry_policy: {retry_on: 5xx, retry_back_off: " +
            back_off + "}\n",
        "r.yaml");
  };
  const auto policy = [&](const std::string& back_off) {
    const auto made = retry(back_off);
    EXPECT_TRUE(made.ok()) << made.fault().describe();
    EXPECT_THAT(fields_of(made->unhonoured), IsEmpty());
    return *made->routes.at(0).virtual_hosts.at(0).retry;
  };
  EXPECT_EQ(policy("{base_interval: 0.1s}").back_off_base, config::Milliseconds(100));
  EXPECT_EQ(policy("{base_interval: 0.1s}").back_off_cap, config::Milliseconds(1000));
  EXPECT_EQ(policy("{base_interval: 0.1s, max_interval: 2s}").back_off_cap,
            config::Milliseconds(2000));
  EXPECT_THAT(retry("{base_interval: 2s, max_interval: 1s}").fault().message,
              HasSubstr("retry_back_off.max_interval: expected at least base_interval"));
  EXPECT_THAT(retry("{max_interval: 1s}").fault().message,
              HasSubstr("retry_back_off.base_interval: expected at least 1 ms"));
}

TEST(DecodeText, RefusesWithFileLineAndField) {
  const auto refusal = [](const char* text) {
    const auto made = decode_resources(text, "r.yaml");
    return made.ok() ? std::string() : made.fault().message;
  };
  EXPECT_EQ(refusal("- \"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster\n"
                    "  name: a\n"
                    "  connect_timeout: soon\n"),
            "r.yaml:3: [0].connect_timeout: expected a duration like 1.5s, found the string "
            "\"soon\"");
  EXPECT_EQ(refusal("- \"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster\n"
                    "  name: a\n"
                    "  lb_policy: CLUSTER_PROVIDED\n"),
            "r.yaml:3: [0].lb_policy: CLUSTER_PROVIDED goes with the type ORIGINAL_DST, and with "
            "that alone");
  EXPECT_THAT(refusal("- name: a\n"), HasSubstr("@type"));
  EXPECT_THAT(refusal("a: b\n"), HasSubstr("expected a list"));
  EXPECT_THAT(refusal("- \"@type\": type.googleapis.com/envoy.config.route.v3.RouteConfiguration\n"
                      "  name: r\n"
                      "  virtual_hosts:\n"
                      "  - name: h\n"
                      "    domains: ['*']\n"
                      "    routes:\n"
                      "    - match: {prefix: /, path: /a}\n"),
              HasSubstr("r.yaml:7: [0].virtual_hosts[0].routes[0].match.path: only one of "
                        "path_specifier"));
}

// ── What a real istiod sent ──────────────────────────────────────────────────────────────────────

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

// FAIRLEAD_RECORDED names a folder of recordings: SET-ROLE.TYPE.json, each a list of resources.
TEST(DecodeText, WhatIstiodSentDecodes) {
  const char* folder = std::getenv("FAIRLEAD_RECORDED");
  if (folder == nullptr) {
    std::cout << "FAIRLEAD_RECORDED is not set: no recording was read\n";
    return;
  }
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with("plain-client.") && !name.starts_with("basic-client.")) continue;
    const Result<Resources> made = decode_resources(content_of(entry.path()), name);
    ASSERT_TRUE(made.ok()) << made.fault().describe();
    for (const std::string& field : fields_of(made->unhonoured)) std::cout << field << "\n";
    for (const config::Cluster& cluster : made->clusters) {
      EXPECT_EQ(decode_cluster(encode(cluster))->value, cluster);
    }
    for (const config::Listener& listener : made->listeners) {
      EXPECT_EQ(decode_listener(encode(listener))->value, listener);
    }
    for (const config::RouteConfiguration& routes : made->routes) {
      EXPECT_EQ(decode_route_configuration(encode(routes))->value, routes);
    }
    ++files;
  }
  EXPECT_GT(files, 0U) << "no recording in " << folder;
}

}  // namespace
}  // namespace fairlead::xds
