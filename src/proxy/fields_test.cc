// Fields of the configuration whose value changes what becomes of a request or a connection, one by
// one. docs/fields.md says for each honoured field which test shows that.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "proxy/test_memory.h"

namespace fairlead::proxy {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::string_view get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

class FieldsTest : public MemoryProxyTest {
 protected:
  // What the endpoint is sent for `request`, through a listener with this one setting.
  template <class Set>
  std::string sent(Set set, std::string_view request) {
    config::HttpConnectionManager manager = manager_of({route_to("app")});
    set(manager);
    MemoryProxy proxy;
    proxy.apply(snapshot_of({listener_of("front", std::move(manager))},
                            {cluster_of("app", {endpoint(1)})}));
    proxy.connect().send(request);
    return proxy.connections() == 0 ? "" : proxy.server(0).received();
  }
  // What the client gets when the endpoint answers with `answer`.
  template <class Set>
  std::string answered(Set set, std::string_view answer) {
    config::HttpConnectionManager manager = manager_of({route_to("app")});
    set(manager);
    MemoryProxy proxy;
    proxy.apply(snapshot_of({listener_of("front", std::move(manager))},
                            {cluster_of("app", {endpoint(1)})}));
    MemoryPeer& client = proxy.connect();
    client.send(get);
    proxy.server(0).send(answer);
    return client.received();
  }
};

TEST_F(FieldsTest, NormalizePath) {
  const auto set = [](bool on) {
    return [on](config::HttpConnectionManager& manager) { manager.normalize_path = on; };
  };
  const char* request = "GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_THAT(sent(set(true), request), StartsWith("GET /b HTTP/1.1\r\n"));
  EXPECT_THAT(sent(set(false), request), StartsWith("GET /a/../b HTTP/1.1\r\n"));
}

TEST_F(FieldsTest, GenerateRequestId) {
  const auto set = [](bool on) {
    return [on](config::HttpConnectionManager& manager) { manager.generate_request_id = on; };
  };
  EXPECT_THAT(sent(set(true), get), HasSubstr("x-request-id: "));
  EXPECT_THAT(sent(set(false), get), Not(HasSubstr("x-request-id: ")));
}

TEST_F(FieldsTest, UseRemoteAddress) {
  const auto set = [](bool on) {
    return [on](config::HttpConnectionManager& manager) { manager.use_remote_address = on; };
  };
  EXPECT_THAT(sent(set(true), get), HasSubstr("x-forwarded-for: 10.0.1.1\r\n"));
  EXPECT_THAT(sent(set(false), get), Not(HasSubstr("x-forwarded-for")));
}

TEST_F(FieldsTest, Proxy100Continue) {
  const auto set = [](bool here) {
    return [here](config::HttpConnectionManager& manager) { manager.answer_expect = here; };
  };
  const char* request =
      "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
  EXPECT_THAT(sent(set(false), request), HasSubstr("Expect: 100-continue\r\n"));
  EXPECT_THAT(sent(set(true), request), Not(HasSubstr("Expect")));
}

TEST_F(FieldsTest, ServerNameAndItsTransformation) {
  const std::string answer = ok_with("hello", "Server: its-own\r\n");
  EXPECT_THAT(answered([](auto& manager) { manager.server_name = "mesh"; }, answer),
              HasSubstr("server: mesh\r\n"));
  EXPECT_THAT(answered([](auto& manager) { manager.server_header_pass_through = true; }, answer),
              HasSubstr("Server: its-own\r\n"));
}

TEST_F(FieldsTest, MaxHeadersCountAndRequestHeadersKb) {
  const std::string many =
      "GET / HTTP/1.1\r\nHost: a\r\nb: 1\r\nc: 2\r\nd: " + std::string(2000, 'd') + "\r\n\r\n";
  EXPECT_NE(sent([](auto&) {}, many), "");
  EXPECT_EQ(sent([](auto& manager) { manager.max_headers_count = 3; }, many), "");
  EXPECT_EQ(sent([](auto& manager) { manager.max_request_headers_kb = 1; }, many), "");
}

TEST_F(FieldsTest, RouteConfigName) {
  config::HttpConnectionManager manager = manager_of({route_to("app")});
  auto routes = std::make_shared<config::RouteConfiguration>(*manager.routes);
  manager.routes.reset();
  manager.route_config_name = "by-name";
  auto snapshot =
      snapshot_of({listener_of("front", std::move(manager))}, {cluster_of("app", {endpoint(1)})});
  snapshot->routes.put("other", routes);
  proxy_.apply(snapshot);
  MemoryPeer& early = connect();
  early.send(get);
  EXPECT_THAT(early.received(), StartsWith("HTTP/1.1 404 "));
  snapshot->routes.put("by-name", routes);
  proxy_.apply(snapshot);
  connect().send(get);
  EXPECT_EQ(proxy_.connections(), 1U);
}

TEST_F(FieldsTest, MaxRequestsPerConnection) {
  for (const std::uint32_t most : {0U, 1U, 2U}) {
    config::Cluster cluster = cluster_of("app", {endpoint(1)});
    cluster.max_requests_per_connection = most;
    MemoryProxy proxy;
    proxy.apply(snapshot_of({listener_of("front", manager_of({route_to("app")}))}, {cluster}));
    MemoryPeer& client = proxy.connect();
    for (int round = 0; round < 4; ++round) {
      client.send(get);
      proxy.server(proxy.connections() - 1).send(ok_with("hello"));
      EXPECT_THAT(client.received(), StartsWith("HTTP/1.1 200 "));
    }
    EXPECT_EQ(proxy.connections(), most == 0 ? 1U : 4U / most) << most;
  }
}

TEST_F(FieldsTest, MaxRequests) {
  config::Cluster cluster = cluster_of("app", {endpoint(1)});
  cluster.max_requests = 1;
  start(manager_of({route_to("app")}), std::move(cluster));
  connect().send(get);
  MemoryPeer& second = connect();
  second.send(get);
  EXPECT_THAT(second.received(), HasSubstr("x-envoy-overloaded: true\r\n"));
}

TEST_F(FieldsTest, SourceAddressesByFamily) {
  config::Cluster cluster = cluster_of("app", {endpoint(1), {*IpAddress::parse("fd00::1"), 8080}});
  cluster.source_v4 = *IpAddress::parse("127.0.0.6");
  cluster.source_v6 = *IpAddress::parse("::6");
  start(manager_of({route_to("app")}), std::move(cluster));
  for (int round = 0; round < 4; ++round) connect().send(get);
  ASSERT_EQ(proxy_.connector.asked.size(), 4U);
  for (const ConnectTarget& target : proxy_.connector.asked) {
    ASSERT_TRUE(target.source.has_value());
    EXPECT_EQ(target.source->text(), target.address.ip.is_v4() ? "127.0.0.6" : "::6");
  }
}

TEST_F(FieldsTest, ListenerFiltersTimeoutAndWhatFollows) {
  for (const bool goes_on : {false, true}) {
    config::Listener listener = listener_of("front", manager_of({route_to("app")}));
    listener.http_inspector = true;
    listener.listener_filters_timeout = config::Milliseconds{300};
    listener.continue_on_listener_filters_timeout = goes_on;
    listener.filter_chains[0].match.application_protocols = {"http/1.1"};
    config::FilterChain other;
    other.name = "other";
    config::TcpProxy tcp;
    tcp.stat_prefix = "tcp";
    tcp.clusters.push_back({.cluster = "app"});
    other.filter = std::move(tcp);
    listener.default_filter_chain = std::move(other);
    MemoryProxy proxy;
    proxy.apply(snapshot_of({std::move(listener)}, {cluster_of("app", {endpoint(1)})}));
    MemoryPeer& silent = proxy.connect();
    proxy.pass(std::chrono::milliseconds(299));
    EXPECT_EQ(proxy.connections(), 0U);
    (void)silent.received();
    proxy.pass(std::chrono::milliseconds(2));
    EXPECT_EQ(proxy.connections(), goes_on ? 1U : 0U);
    EXPECT_EQ(silent.ended() || silent.was_reset(), !goes_on);
  }
}

TEST_F(FieldsTest, DirectionAndUseOriginalDst) {
  config::Listener accepting = listener_of("front", manager_of({route_to("app")}));
  accepting.use_original_dst = true;
  config::Route direct;
  direct.kind = config::Route::Kind::direct;
  direct.direct = {.status = 201, .body = "the dialled one"};
  config::Listener dialled = listener_of("dialled", manager_of({direct}));
  dialled.address = {*IpAddress::parse("10.96.0.1"), 80};
  for (const bool hands_over : {true, false}) {
    accepting.use_original_dst = hands_over;
    MemoryProxy proxy;
    proxy.apply(snapshot_of({accepting, dialled}, {cluster_of("app", {endpoint(1)})}));
    MemoryPeer& client = proxy.connect();
    client.send(get);
    EXPECT_EQ(client.received().substr(0, 12), hands_over ? "HTTP/1.1 201" : "");
    EXPECT_EQ(proxy.connections(), hands_over ? 0U : 1U);
  }
}

TEST_F(FieldsTest, MaxConnectAttempts) {
  for (const std::uint32_t most : {1U, 3U}) {
    config::TcpProxy tcp;
    tcp.stat_prefix = "tcp";
    tcp.clusters.push_back({.cluster = "app"});
    tcp.max_connect_attempts = most;
    MemoryProxy proxy;
    proxy.connector.answer = MemoryConnector::Answer::refused;
    proxy.apply(
        snapshot_of({listener_of("front", std::move(tcp))}, {cluster_of("app", {endpoint(1)})}));
    (void)proxy.connect();
    proxy.pass(std::chrono::seconds(10));
    EXPECT_EQ(proxy.connector.asked.size(), most);
  }
}

TEST_F(FieldsTest, WeightedClustersOfTcp) {
  config::TcpProxy tcp;
  tcp.stat_prefix = "tcp";
  tcp.clusters = {{.cluster = "one", .weight = 1}, {.cluster = "two", .weight = 3}};
  proxy_.apply(snapshot_of({listener_of("front", std::move(tcp))},
                           {cluster_of("one", {endpoint(1)}), cluster_of("two", {endpoint(2)})}));
  int second = 0;
  for (int round = 0; round < 400; ++round) {
    (void)connect();
    second += proxy_.connector.asked.back().address == endpoint(2) ? 1 : 0;
  }
  EXPECT_GT(second, 250);
  EXPECT_LT(second, 350);
}

TEST_F(FieldsTest, EdsServiceName) {
  config::Cluster cluster;
  cluster.name = "app";
  cluster.type = config::ClusterType::eds;
  cluster.eds_service_name = "another-name";
  auto snapshot =
      snapshot_of({listener_of("front", manager_of({route_to("app")}))}, {std::move(cluster)});
  auto endpoints = std::make_shared<config::ClusterLoadAssignment>(
      cluster_of("another-name", {endpoint(1)}).endpoints);
  snapshot->endpoints.put("app", endpoints);
  proxy_.apply(snapshot);
  MemoryPeer& early = connect();
  early.send(get);
  EXPECT_THAT(early.received(), StartsWith("HTTP/1.1 503 "));
  snapshot->endpoints.put("another-name", endpoints);
  proxy_.apply(snapshot);
  connect().send(get);
  EXPECT_EQ(proxy_.connections(), 1U);
}

}  // namespace
}  // namespace fairlead::proxy
