// What is not enforced closes the smallest part that holds it: in a resource, in the session, and
// in what is kept on disk.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "xds/decode.h"
#include "xds/encode.h"
#include "xds/session.h"
#include "xds/test_world.h"
#include "xds/wire.h"

namespace fairlead::xds {
namespace {

using namespace test;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using wire::discovery::DiscoveryRequest;
using wire::discovery::DiscoveryResponse;

constexpr Instant start{std::chrono::hours(1)};

// ── Resources ────────────────────────────────────────────────────────────────────────────────────

// Of a type that fairlead does not build. Its content is of no account.
void set_type(wire::Any& any, const std::string& type) {
  any.set_type_url("type.googleapis.com/" + type);
  any.set_value("\x0a\x01x");
}

void add_unknown(wire::Message& message, int number, const std::string& bytes = "\x0a\x01x") {
  message.GetReflection()->MutableUnknownFields(&message)->AddLengthDelimited(number, bytes);
}

constexpr const char* tls = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
constexpr const char* upstream_tls = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
constexpr const char* network_rbac = "envoy.extensions.filters.network.rbac.v3.RBAC";
constexpr const char* ext_authz = "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz";

// Chains "plain" and "other", by destination port.
wire::listener::Listener listener_message() {
  wire::listener::Listener listener;
  listener.set_name("l");
  listener.mutable_address()->mutable_socket_address()->set_address("0.0.0.0");
  listener.mutable_address()->mutable_socket_address()->set_port_value(1);
  unsigned port = 0;
  for (const char* name : {"plain", "other"}) {
    auto& chain = *listener.add_filter_chains();
    chain.set_name(name);
    chain.mutable_filter_chain_match()->mutable_destination_port()->set_value(++port);
    wire::tcp::TcpProxy tcp;
    tcp.set_stat_prefix("t");
    tcp.set_cluster("c");
    auto& filter = *chain.add_filters();
    filter.set_name("tcp");
    filter.mutable_typed_config()->PackFrom(tcp);
  }
  return listener;
}

wire::http::HttpConnectionManager manager_message() {
  wire::http::HttpConnectionManager http;
  http.set_stat_prefix("h");
  http.mutable_route_config()->set_name("inline");
  auto& router = *http.add_http_filters();
  router.set_name("envoy.filters.http.router");
  router.mutable_typed_config()->PackFrom(wire::Router());
  return http;
}

config::Listener decoded(const wire::listener::Listener& message) {
  auto made = decode_listener(message.SerializeAsString());
  EXPECT_TRUE(made.ok()) << made.fault().describe();
  return made->value;
}

wire::route::RouteConfiguration routes_message() {
  wire::route::RouteConfiguration routes;
  routes.set_name("r");
  for (const char* name : {"a", "b"}) {
    auto& host = *routes.add_virtual_hosts();
    host.set_name(name);
    host.add_domains(name);
    for (int i = 0; i < 2; ++i) {
      host.add_routes()->mutable_match()->set_prefix("/");
      host.mutable_routes(i)->mutable_route()->set_cluster("c");
    }
  }
  return routes;
}

config::RouteConfiguration decoded(const wire::route::RouteConfiguration& message) {
  auto made = decode_route_configuration(message.SerializeAsString());
  EXPECT_TRUE(made.ok()) << made.fault().describe();
  return made->value;
}

TEST(Closing, ATransportSocketClosesItsChainAlone) {
  wire::listener::Listener message = listener_message();
  auto& socket = *message.mutable_filter_chains(1)->mutable_transport_socket();
  socket.set_name("envoy.transport_sockets.tls");
  set_type(*socket.mutable_typed_config(), tls);
  const config::Listener made = decoded(message);
  EXPECT_EQ(made.filter_chains[0].closed, "");
  EXPECT_EQ(made.filter_chains[1].closed,
            "filter_chains[1].transport_socket: envoy.transport_sockets.tls");
  socket.mutable_typed_config()->PackFrom(wire::RawBuffer());
  EXPECT_EQ(decoded(message).filter_chains[1].closed, "");
}

TEST(Closing, ANetworkFilterClosesItsChainAndOneThatOnlyObservesDoesNot) {
  wire::listener::Listener message = listener_message();
  auto& filters = *message.mutable_filter_chains(0)->mutable_filters();
  const wire::listener::Filter last = filters[0];
  set_type(*filters[0].mutable_typed_config(),
           "envoy.tcp.metadataexchange.config.MetadataExchange");
  *filters.Add() = last;
  EXPECT_EQ(decoded(message).filter_chains[0].closed, "");
  set_type(*filters[0].mutable_typed_config(), network_rbac);
  EXPECT_THAT(decoded(message).filter_chains[0].closed, HasSubstr("filter_chains[0].filters[0]"));
  EXPECT_EQ(decoded(message).filter_chains[1].closed, "");
}

TEST(Closing, AChainWithoutAKnownEndOrWithAnUnknownConditionStillTakesItsConnections) {
  wire::listener::Listener message = listener_message();
  set_type(*message.mutable_filter_chains(0)->mutable_filters(0)->mutable_typed_config(),
           "envoy.extensions.filters.network.redis_proxy.v3.RedisProxy");
  message.mutable_filter_chains(1)
      ->mutable_filter_chain_match()
      ->GetReflection()
      ->MutableUnknownFields(message.mutable_filter_chains(1)->mutable_filter_chain_match())
      ->AddVarint(12, 1);
  const config::Listener made = decoded(message);
  EXPECT_THAT(made.filter_chains[0].closed, HasSubstr("redis_proxy"));
  EXPECT_THAT(made.filter_chains[1].closed, HasSubstr("filter_chain_match"));
}

TEST(Closing, WhatStandsBesideTheChainsClosesAllOfThem) {
  wire::listener::Listener message = listener_message();
  auto& filter = *message.add_listener_filters();
  filter.set_name("proxy");
  set_type(*filter.mutable_typed_config(),
           "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol");
  for (const config::FilterChain& chain : decoded(message).filter_chains) {
    EXPECT_THAT(chain.closed, HasSubstr("listener_filters[0]"));
  }
}

TEST(Closing, AnHttpFilterClosesTheRoutesOfItsManager) {
  wire::http::HttpConnectionManager http = manager_message();
  const wire::http::HttpFilter router = http.http_filters(0);
  auto& filter = *http.mutable_http_filters(0);
  filter.set_name("authz");
  set_type(*filter.mutable_typed_config(), ext_authz);
  *http.add_http_filters() = router;
  wire::listener::Listener message = listener_message();
  message.mutable_filter_chains(0)->mutable_filters(0)->mutable_typed_config()->PackFrom(http);
  const config::Listener made = decoded(message);
  EXPECT_EQ(made.filter_chains[0].closed, "");
  const auto& manager = std::get<config::HttpConnectionManager>(made.filter_chains[0].filter);
  ASSERT_THAT(manager.closed_filters, SizeIs(1));
  EXPECT_EQ(manager.closed_filters[0].name, "authz");
  EXPECT_EQ(manager.closed, "");

  filter.mutable_typed_config()->PackFrom(wire::RBAC());  // without rules it refuses nothing
  message.mutable_filter_chains(0)->mutable_filters(0)->mutable_typed_config()->PackFrom(http);
  const config::Listener inert = decoded(message);
  EXPECT_THAT(std::get<config::HttpConnectionManager>(inert.filter_chains[0].filter).closed_filters,
              IsEmpty());
}

TEST(Closing, SettingsOfAFilterCloseTheirRouteOrTurnTheFilterOff) {
  wire::route::RouteConfiguration message = routes_message();
  wire::RBACPerRoute rules;
  add_unknown(*rules.mutable_rbac(), 1);
  auto& first = *message.mutable_virtual_hosts(0)->mutable_routes(0);
  (*first.mutable_typed_per_filter_config())["rbac"].PackFrom(rules);
  auto& second = *message.mutable_virtual_hosts(0)->mutable_routes(1);
  (*second.mutable_typed_per_filter_config())["rbac"].PackFrom(wire::RBACPerRoute());
  wire::route::FilterConfig off;
  off.set_disabled(true);
  (*message.mutable_virtual_hosts(1)->mutable_typed_per_filter_config())["jwt"].PackFrom(off);
  const config::RouteConfiguration made = decoded(message);
  const config::VirtualHost& host = made.virtual_hosts[0];
  EXPECT_THAT(host.routes[0].closed,
              HasSubstr("virtual_hosts[0].routes[0].typed_per_filter_config"));
  EXPECT_EQ(host.routes[1].closed, "");
  EXPECT_THAT(host.routes[1].disabled_filters, testing::ElementsAre("rbac"));
  EXPECT_EQ(host.closed, "");
  EXPECT_THAT(made.virtual_hosts[1].disabled_filters, testing::ElementsAre("jwt"));
  EXPECT_EQ(made.virtual_hosts[1].closed, "");
}

TEST(Closing, ARateLimitClosesItsVirtualHost) {
  wire::route::RouteConfiguration message = routes_message();
  auto& host = *message.mutable_virtual_hosts(1);
  add_unknown(host, 6);
  const config::RouteConfiguration made = decoded(message);
  EXPECT_EQ(made.virtual_hosts[0].closed, "");
  EXPECT_THAT(made.virtual_hosts[1].closed, HasSubstr("virtual_hosts[1].rate_limits"));
  EXPECT_EQ(made.closed, "");
}

TEST(Closing, ARouteThatActsInAnUnknownWayStillTakesItsRequests) {
  wire::route::RouteConfiguration message = routes_message();
  auto& route = *message.mutable_virtual_hosts(0)->mutable_routes(0);
  route.mutable_route()->clear_cluster();
  add_unknown(*route.mutable_route(), 2, "x-cluster");
  auto& filter = *message.mutable_virtual_hosts(0)->mutable_routes(1);
  filter.clear_route();
  add_unknown(filter, 17);
  const config::RouteConfiguration made = decoded(message);
  ASSERT_THAT(made.virtual_hosts[0].routes, SizeIs(2));
  EXPECT_THAT(made.virtual_hosts[0].routes[0].closed, Not(IsEmpty()));
  EXPECT_THAT(made.virtual_hosts[0].routes[1].closed, Not(IsEmpty()));
}

TEST(Closing, TransportSocketsOfAClusterCloseTheEndpointsThatTheyAreFor) {
  wire::cluster::Cluster message;
  message.set_name("c");
  auto& match = *message.add_transport_socket_matches();
  match.set_name("tlsMode-istio");
  (*match.mutable_match()->mutable_fields())["tlsMode"].set_string_value("istio");
  match.mutable_transport_socket()->set_name("envoy.transport_sockets.tls");
  set_type(*match.mutable_transport_socket()->mutable_typed_config(), upstream_tls);
  auto& plain = *message.add_transport_socket_matches();
  plain.set_name("tlsMode-disabled");
  plain.mutable_match();
  plain.mutable_transport_socket()->mutable_typed_config()->PackFrom(wire::RawBuffer());
  const auto made = decode_cluster(message.SerializeAsString());
  ASSERT_TRUE(made.ok()) << made.fault().describe();
  EXPECT_EQ(made->value.closed, "");
  EXPECT_EQ(made->value.transport_socket, "");
  ASSERT_THAT(made->value.transport_socket_matches, SizeIs(2));
  EXPECT_EQ(made->value.transport_socket_matches[0].labels, (config::Labels{{"tlsMode", "istio"}}));
  EXPECT_THAT(made->value.transport_socket_matches[0].closed,
              HasSubstr("transport_socket_matches[0].transport_socket"));
  EXPECT_EQ(made->value.transport_socket_matches[1].closed, "");
  ASSERT_THAT(made->protections, SizeIs(1));

  message.clear_transport_socket_matches();
  message.mutable_transport_socket()->set_name("envoy.transport_sockets.tls");
  set_type(*message.mutable_transport_socket()->mutable_typed_config(), upstream_tls);
  EXPECT_EQ(decode_cluster(message.SerializeAsString())->value.transport_socket,
            "transport_socket: envoy.transport_sockets.tls");
}

TEST(Closing, AnEndpointsLabelsAreReadAndWritten) {
  wire::endpoint::ClusterLoadAssignment message;
  message.set_cluster_name("c");
  auto& endpoint = *message.add_endpoints()->add_lb_endpoints();
  auto& address = *endpoint.mutable_endpoint()->mutable_address()->mutable_socket_address();
  address.set_address("10.0.0.1");
  address.set_port_value(1);
  auto& labels =
      (*endpoint.mutable_metadata()->mutable_filter_metadata())["envoy.transport_socket_match"];
  (*labels.mutable_fields())["tlsMode"].set_string_value("istio");
  (*labels.mutable_fields())["number"].set_number_value(7);
  const auto made = decode_cluster_load_assignment(message.SerializeAsString());
  ASSERT_TRUE(made.ok()) << made.fault().describe();
  EXPECT_THAT(made->unhonoured, IsEmpty());
  const config::LbEndpoint& one = made->value.localities[0].endpoints[0];
  EXPECT_EQ(one.transport_socket_labels.at("tlsMode"), "istio");
  EXPECT_EQ(one.transport_socket_labels.size(), 2U);
  EXPECT_EQ(decode_cluster_load_assignment(encode(made->value))->value, made->value);
}

TEST(Closing, WhatIsClosedStaysClosedOnItsWay) {
  config::Cluster cluster{.name = "c", .transport_socket = "x", .closed = "y"};
  cluster.transport_socket_matches = {{.name = "m", .closed = "z"}};
  const config::Cluster same = decode_cluster(encode(cluster))->value;
  EXPECT_EQ(same.closed, "y");
  EXPECT_NE(same.transport_socket, "");
  EXPECT_NE(same.transport_socket_matches.at(0).closed, "");
  config::RouteConfiguration routes = decoded(routes_message());
  routes.closed = "1";
  routes.virtual_hosts[0].closed = "2";
  routes.virtual_hosts[1].routes[0].closed = "3";
  routes.virtual_hosts[1].disabled_filters = {"f"};
  EXPECT_EQ(decode_route_configuration(encode(routes))->value, routes);
  config::Listener listener = decoded(listener_message());
  listener.filter_chains[0].closed = "4";
  EXPECT_EQ(decode_listener(encode(listener))->value, listener);
}

// ── The session ──────────────────────────────────────────────────────────────────────────────────

std::string response(ResourceType type, const std::string& version,
                     const std::vector<std::string>& resources) {
  DiscoveryResponse made;
  made.set_type_url(std::string(type_url(type)));
  made.set_version_info(version);
  made.set_nonce(version);
  for (const std::string& bytes : resources) {
    made.add_resources()->set_type_url(made.type_url());
    made.mutable_resources()->rbegin()->set_value(bytes);
  }
  return made.SerializeAsString();
}

class ClosingSession : public testing::Test {
 protected:
  AdsClient client{dynamic_bootstrap(), {}};
  config::SnapshotPointer snapshot;
  std::string nack;  // of the last response; empty: an ACK
  std::string version;

  ClosingSession() {
    take(client.connected(start));
    const auto c = config::Cluster{.name = "c"};
    receive(ResourceType::cluster, "1", {encode(c)});
  }
  void take(const ClientStep& step) {
    if (step.snapshot) snapshot = step.snapshot;
  }
  void receive(ResourceType type, const std::string& named,
               const std::vector<std::string>& resources) {
    auto step = client.received(response(type, named, resources), start);
    ASSERT_TRUE(step.ok());
    take(*step);
    DiscoveryRequest request;
    ASSERT_FALSE(step->send.empty());
    ASSERT_TRUE(request.ParseFromString(step->send.front()));
    nack = request.error_detail().message();
    version = request.version_info();
  }
  void receive(const std::string& named, const std::vector<wire::listener::Listener>& listeners) {
    std::vector<std::string> bytes;
    for (const auto& each : listeners) bytes.push_back(each.SerializeAsString());
    receive(ResourceType::listener, named, bytes);
  }
  [[nodiscard]] const config::Listener& listener(const std::string& name = "l") const {
    return *snapshot->listeners.at(name);
  }
  static wire::listener::Listener named(const std::string& name) {
    static std::map<std::string, unsigned> ports;  // each name has its own
    wire::listener::Listener message = listener_message();
    message.set_name(name);
    unsigned& port = ports[name];
    if (port == 0) port = 1000 + static_cast<unsigned>(ports.size());
    message.mutable_address()->mutable_socket_address()->set_port_value(port);
    return message;
  }
  static wire::listener::Listener with_tls(wire::listener::Listener message, int chain) {
    auto& socket = *message.mutable_filter_chains(chain)->mutable_transport_socket();
    socket.set_name("envoy.transport_sockets.tls");
    set_type(*socket.mutable_typed_config(), tls);
    return message;
  }
  // Nobody takes it: what its chains are is read all the same.
  static wire::listener::Listener spoiled(wire::listener::Listener message) {
    message.mutable_listener_filters_timeout()->set_seconds(-1);
    return message;
  }
};

TEST_F(ClosingSession, AVersionThatClosesIsRefusedByNameAndInForceAllTheSame) {
  receive("1", {listener_message()});
  EXPECT_EQ(nack, "");
  EXPECT_EQ(listener().filter_chains[1].closed, "");
  receive("2", {with_tls(listener_message(), 1)});
  EXPECT_THAT(nack, HasSubstr("Listener l: filter_chains[1].transport_socket"));
  EXPECT_EQ(version, "1") << "the one that was accepted";
  EXPECT_EQ(listener().filter_chains[0].closed, "");
  EXPECT_NE(listener().filter_chains[1].closed, "");
  EXPECT_EQ(snapshot->versions.listeners, "2");
  receive("3", {listener_message()});
  EXPECT_EQ(nack, "");
  EXPECT_EQ(listener().filter_chains[1].closed, "");
}

TEST_F(ClosingSession, ARefusedVersionThatWouldProtectClosesThatPartOfTheOldOne) {
  receive("1", {listener_message()});
  receive("2", {spoiled(listener_message())});
  EXPECT_THAT(nack, HasSubstr("listener_filters_timeout"));
  EXPECT_EQ(listener().filter_chains[0].closed, "");
  EXPECT_EQ(listener().filter_chains[1].closed, "");
  receive("3", {spoiled(with_tls(listener_message(), 1))});
  EXPECT_THAT(nack, HasSubstr("listener_filters_timeout"));
  EXPECT_EQ(listener().filter_chains[0].closed, "");
  EXPECT_THAT(listener().filter_chains[1].closed, HasSubstr("transport_socket"));
  // The same once more changes nothing; a good version opens it again, also the very first one.
  const config::SnapshotPointer before = snapshot;
  receive("4", {spoiled(with_tls(listener_message(), 1))});
  EXPECT_EQ(snapshot, before);
  receive("5", {listener_message()});
  EXPECT_EQ(nack, "");
  EXPECT_EQ(listener().filter_chains[1].closed, "");
}

TEST_F(ClosingSession, AProtectionOfAChainThatTheOldVersionLacksClosesAllOfIt) {
  receive("1", {listener_message()});
  wire::listener::Listener next = with_tls(listener_message(), 1);
  next.mutable_filter_chains(1)->set_name("new");
  receive("2", {spoiled(next)});
  EXPECT_NE(listener().filter_chains[0].closed, "");
  EXPECT_NE(listener().filter_chains[1].closed, "");
}

TEST_F(ClosingSession, ARefusedResourceIsNeverTreatedAsRemovedAndTheOthersAreTaken) {
  receive("1", {named("l"), named("gone"), named("stays")});
  receive("2", {spoiled(named("stays")), named("new")});
  EXPECT_NE(nack, "");
  EXPECT_TRUE(snapshot->listeners.contains("stays"));
  EXPECT_TRUE(snapshot->listeners.contains("new"));
  EXPECT_FALSE(snapshot->listeners.contains("gone"));
  // A resource that cannot be told may be any: then nothing is taken for removed.
  receive(ResourceType::listener, "3", {"\xff\xff"});
  EXPECT_TRUE(snapshot->listeners.contains("stays"));
  EXPECT_TRUE(snapshot->listeners.contains("new"));
}

TEST_F(ClosingSession, StrictRefusesAndClosesTheOldOneWhereItLacksTheProtection) {
  AdsClient strict(dynamic_bootstrap(), {.strict = true});
  client = std::move(strict);
  take(client.connected(start));
  receive(ResourceType::cluster, "1", {encode(config::Cluster{.name = "c"})});
  receive("1", {listener_message()});
  receive("2", {with_tls(listener_message(), 0)});
  EXPECT_THAT(nack, HasSubstr("is not honoured"));
  EXPECT_NE(listener().filter_chains[0].closed, "");
  EXPECT_EQ(listener().filter_chains[1].closed, "");
}

TEST_F(ClosingSession, ClustersCloseToo) {
  receive("1", {listener_message()});
  wire::cluster::Cluster message;
  message.set_name("c");
  message.mutable_transport_socket()->set_name("envoy.transport_sockets.tls");
  receive(ResourceType::cluster, "2", {message.SerializeAsString()});
  EXPECT_THAT(nack, HasSubstr("Cluster c: transport_socket"));
  EXPECT_NE(snapshot->clusters.at("c")->transport_socket, "");
  message.mutable_connect_timeout()->set_seconds(-1);
  AdsClient other(dynamic_bootstrap(), {});
  client = std::move(other);
  take(client.connected(start));
  receive(ResourceType::cluster, "1", {encode(config::Cluster{.name = "c"})});
  receive("1", {listener_message()});
  EXPECT_EQ(snapshot->clusters.at("c")->closed, "");
  receive(ResourceType::cluster, "2", {message.SerializeAsString()});
  EXPECT_NE(snapshot->clusters.at("c")->closed, "");
}

TEST_F(ClosingSession, TheLastGoodConfigurationPassesTheSameGate) {
  receive("1", {named("by-refusal"), with_tls(named("by-itself"), 0)});
  receive("2", {spoiled(with_tls(named("by-refusal"), 1)), with_tls(named("by-itself"), 0)});
  AdsClient again(dynamic_bootstrap(), {});
  const auto restored = again.restore(client.last_good(), start);
  ASSERT_TRUE(restored.ok()) << restored.fault().describe();
  ASSERT_TRUE(restored->snapshot);
  const auto closed = [&](const std::string& name, std::size_t chain) {
    return restored->snapshot->listeners.at(name)->filter_chains[chain].closed;
  };
  EXPECT_EQ(closed("by-refusal", 0), "");
  EXPECT_THAT(closed("by-refusal", 1), HasSubstr("transport_socket"));
  EXPECT_THAT(closed("by-itself", 0), HasSubstr("transport_socket"));
  EXPECT_EQ(closed("by-itself", 1), "");
  EXPECT_THAT(restored->snapshot->unhonoured, Not(IsEmpty()));
}

TEST_F(ClosingSession, ANackIsOneLine) {
  wire::listener::Listener message = with_tls(listener_message(), 0);
  message.set_name("l\nforged");
  receive("1", {message});
  EXPECT_THAT(nack, HasSubstr("l\\nforged"));
  EXPECT_THAT(nack, Not(HasSubstr("\n")));
}

// ── What waits ───────────────────────────────────────────────────────────────────────────────────

TEST_F(ClosingSession, AClusterThatNeverComesHoldsBackOnlyWhatNamesIt) {
  wire::listener::Listener lacking = named("lacking");
  wire::tcp::TcpProxy tcp;
  tcp.set_stat_prefix("t");
  tcp.set_cluster("never");
  lacking.mutable_filter_chains(0)->mutable_filters(0)->mutable_typed_config()->PackFrom(tcp);
  receive("1", {named("whole"), lacking});
  ASSERT_TRUE(snapshot);
  EXPECT_TRUE(snapshot->listeners.contains("whole"));
  EXPECT_FALSE(snapshot->listeners.contains("lacking"));
  ASSERT_TRUE(client.deadline());
  take(client.elapsed(*client.deadline()));
  EXPECT_TRUE(snapshot->listeners.contains("lacking"));
}

TEST_F(ClosingSession, WhatIsInForceStaysUntilItsSuccessorIsWhole) {
  receive("1", {named("l"), named("m")});
  wire::listener::Listener next = named("l");
  wire::tcp::TcpProxy tcp;
  tcp.set_stat_prefix("t");
  tcp.set_cluster("new");
  next.mutable_filter_chains(0)->mutable_filters(0)->mutable_typed_config()->PackFrom(tcp);
  wire::listener::Listener other = named("m");
  other.mutable_address()->mutable_socket_address()->set_port_value(9);
  receive("2", {next, other});
  const auto cluster_of = [&] {
    return std::get<config::TcpProxy>(listener().filter_chains[0].filter).clusters[0].cluster;
  };
  EXPECT_EQ(cluster_of(), "c");
  EXPECT_EQ(listener("m").address.port, 9) << "it does not wait with it";
  receive(ResourceType::cluster, "2",
          {encode(config::Cluster{.name = "c"}), encode(config::Cluster{.name = "new"})});
  EXPECT_EQ(cluster_of(), "new");
  EXPECT_EQ(snapshot->versions.listeners, "2");
}

}  // namespace
}  // namespace fairlead::xds
