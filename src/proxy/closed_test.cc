// Closed parts of a configuration: chosen as if they were open, then refused; nothing goes on to
// the next chain, route or endpoint.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "proxy/test_peers.h"

namespace fairlead::proxy {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* get = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

class ClosedTest : public ForwardTest {
 protected:
  Server app_{Server::answering(echo)};

  // With an access log of flags, details and the upstream's address.
  static config::HttpConnectionManager logging(config::HttpConnectionManager manager,
                                               const std::string& path) {
    manager.access_logs = {
        {.path = path, .format = "%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %UPSTREAM_HOST%\n"}};
    return manager;
  }
  static std::string log_path() {
    return std::filesystem::temp_directory_path() /
           ("fairlead-closed-" + std::to_string(::getpid()));
  }
  ~ClosedTest() override { std::filesystem::remove(log_path()); }
  void expect_logged(const std::string& beginning) {
    EXPECT_TRUE(eventually([&] { return !proxy_.log(log_path()).empty(); }));
    EXPECT_THAT(proxy_.log(log_path()), StartsWith(beginning));
  }
  void expect_refused(const std::string& response, int status, const std::string& field) {
    EXPECT_THAT(response, StartsWith("HTTP/1.1 " + std::to_string(status) + " "));
    EXPECT_THAT(response, HasSubstr(field));
    EXPECT_THAT(response, Not(HasSubstr("x-fairlead-undelivered")));
    const Record record = last_record();
    EXPECT_EQ(record.flags, Flag::protection_not_enforced);
    EXPECT_THAT(std::string(record.details.view()), HasSubstr("protection_not_enforced{"));
    EXPECT_EQ(record.attempts, 0U);
    EXPECT_EQ(app_.connections(), 0);
  }
};

TEST_F(ClosedTest, ARouteIsMatchedAndNothingGoesOnToTheNext) {
  config::Route closed = route_to("app");
  closed.path = {.kind = config::PathMatch::Kind::prefix, .value = "/x"};
  closed.closed = "virtual_hosts[0].routes[0].typed_per_filter_config: rbac";
  start(logging(manager_of({closed, route_to("app")}), log_path()),
        cluster_of("app", {app_.address()}), config::Direction::inbound);
  expect_refused(ask(get), 403, "typed_per_filter_config: rbac");
  EXPECT_THAT(proxy_.stats("protection_not_enforced"), HasSubstr("protection_not_enforced: 1"));
  expect_logged("PNE protection_not_enforced{virtual_hosts[0].");
  // What it does not take is served as ever.
  EXPECT_THAT(ask("GET /other HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(ClosedTest, ADirectResponseAndARedirectAreBehindTheFiltersToo) {
  config::Route direct;
  direct.kind = config::Route::Kind::direct;
  direct.direct = {.status = 200, .body = "secret"};
  config::HttpConnectionManager manager = manager_of({direct});
  manager.closed_filters = {{.name = "rbac", .why = "http_filters[0]: rbac"}};
  start(manager, cluster_of("app", {}));
  const std::string response = ask(get);
  EXPECT_THAT(response, Not(HasSubstr("secret")));
  expect_refused(response, 403, "http_filters[0]: rbac");
}

TEST_F(ClosedTest, AClosedClusterIsChosenAndRefuses) {
  config::Cluster cluster = cluster_of("app", {app_.address()});
  cluster.closed = "transport_socket: tls";
  start(manager_of({route_to("app")}), cluster, config::Direction::inbound);
  expect_refused(ask(get), 503, "transport_socket: tls");
  EXPECT_EQ(last_record().cluster.view(), "app");
  EXPECT_THAT(proxy_.stats("cluster.app.protection"), HasSubstr("protection_not_enforced: 1"));
}

// Two endpoints, one of them closed: it keeps its share, which is refused, also where the policy
// would try elsewhere.
TEST_F(ClosedTest, AnEndpointKeepsItsShareAndIsNotReplacedByAnother) {
  Server other(Server::answering(echo));
  config::Cluster cluster = cluster_of("app", {app_.address(), other.address()});
  cluster.transport_socket_matches = {
      {.name = "tls", .labels = {{"tlsMode", "istio"}}, .closed = "transport_socket_matches[0]"}};
  cluster.endpoints.localities[0].endpoints[0].transport_socket_labels = {{"tlsMode", "istio"}};
  config::Route route = route_to("app");
  route.forward.retry = config::RetryPolicy{
      .retry_on = {"5xx", "connect-failure"}, .retries = 5, .avoid_previous_hosts = true};
  start(manager_of({route}), cluster);
  int served = 0;
  int refused = 0;
  for (int round = 0; round < 20; ++round) {
    const std::string response = ask(get);
    served += response.starts_with("HTTP/1.1 200 ") ? 1 : 0;
    refused += response.starts_with("HTTP/1.1 503 ") ? 1 : 0;
  }
  EXPECT_EQ(served + refused, 20);
  EXPECT_GE(served, 5);  // each worker begins its turn anywhere
  EXPECT_GE(refused, 5);
  EXPECT_EQ(app_.connections(), 0);
}

TEST_F(ClosedTest, AClosedChainEndsItsConnectionsAndTheOtherDoesNotGetThem) {
  config::Listener listener =
      listener_of("front", logging(manager_of({route_to("app")}), log_path()));
  listener.filter_chains[0].closed = "filter_chains[0].filters[0]: envoy.filters.network.rbac";
  listener.filter_chains[0].match.prefix_ranges = {{IpAddress::v4({127, 0, 0, 0}), 8}};
  config::FilterChain open{.name = "open", .filter = manager_of({route_to("app")})};
  listener.default_filter_chain = open;
  EXPECT_THAT(proxy_.apply(snapshot_of({listener}, {cluster_of("app", {app_.address()})})),
              IsEmpty());
  Wire wire = Wire::to(proxy_.address());
  (void)wire.send(get);
  EXPECT_EQ(wire.all(), "");
  EXPECT_EQ(last_record().flags, Flag::protection_not_enforced);
  EXPECT_EQ(last_record().filter_chain.view(), "front-chain");
  EXPECT_THAT(proxy_.stats("listener.*protection"), HasSubstr("protection_not_enforced: 1"));
  expect_logged("PNE protection_not_enforced{filter_chains[0].filters[0]:_envoy.");
  EXPECT_EQ(app_.connections(), 0);
}

TEST_F(ClosedTest, TcpIsRefusedByClusterAndByEndpoint) {
  for (const bool whole : {true, false}) {
    config::Cluster cluster = cluster_of("app", {app_.address()});
    (whole ? cluster.closed : cluster.transport_socket) = "transport_socket: tls";
    config::TcpProxy tcp;
    tcp.stat_prefix = "tcp";
    tcp.clusters = {{.cluster = "app"}};
    RunningProxy proxy;
    EXPECT_THAT(proxy.apply(snapshot_of({listener_of("front", tcp)}, {cluster})), IsEmpty());
    Wire wire = Wire::to(proxy.address());
    (void)wire.send("hello");
    EXPECT_EQ(wire.all(), "");
    std::vector<Record> records;
    ASSERT_TRUE(eventually([&] { return !(records = proxy.records()).empty(); }));
    EXPECT_EQ(records[0].flags, Flag::protection_not_enforced);
    EXPECT_EQ(app_.connections(), 0);
  }
}

}  // namespace
}  // namespace fairlead::proxy
