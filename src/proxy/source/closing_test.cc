// From the bytes of discovery responses to what a client is answered: a protection that is not
// enforced never lets through what the version before it would have.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/source/closed_parts.h"
#include "proxy/test_peers.h"
#include "xds/encode.h"
#include "xds/session.h"

namespace fairlead::proxy {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using xds::ResourceType;

constexpr Instant start{std::chrono::hours(1)};

// Protobuf's wire format: messages that fairlead's subset does not have are put together by hand.
std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7U) bytes += static_cast<char>(value | 0x80U);
  return bytes + static_cast<char>(value);
}
std::string field(std::uint64_t number, const std::string& content) {
  return varint(number << 3U | 2U) + varint(content.size()) + content;
}
std::string any(const std::string& type, const std::string& content) {
  return field(1, type) + field(2, content);
}

std::string response(ResourceType type, const std::string& version, const std::string& resource) {
  const std::string url(xds::type_url(type));
  return field(1, version) + field(2, any(url, resource)) + field(4, url) + field(5, version);
}

// envoy.extensions.filters.http.rbac.v3.RBACPerRoute whose rules say DENY.
std::string denying_settings() {
  const std::string rules = varint(1U << 3U) + varint(1);  // action: DENY
  const std::string settings = field(2, field(1, rules));
  return any("type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute", settings);
}

class ClosingTest : public ::testing::Test {
 protected:
  ClosingTest() {
    xds::Bootstrap bootstrap;
    bootstrap.node.id = "n";
    bootstrap.discovery = xds::AggregatedDiscovery{.cluster = "xds-grpc"};
    client_.emplace(bootstrap, xds::ClientOptions{});
    take(client_->connected(start));
  }
  void take(const xds::ClientStep& step) {
    if (!step.snapshot) return;
    snapshot_ = step.snapshot;
    ASSERT_THAT(proxy_.apply(snapshot_), IsEmpty());
  }
  void receive(ResourceType type, const std::string& version, const std::string& resource) {
    const auto step = client_->received(response(type, version, resource), start);
    ASSERT_TRUE(step.ok()) << step.fault().describe();
    take(*step);
  }
  // The first version: everything is open.
  void begin() {
    receive(ResourceType::cluster, "1", xds::encode(cluster_of("app", {app_.address()})));
    receive(ResourceType::listener, "1", xds::encode(listener_));
    receive(ResourceType::route, "1", routes());
    ASSERT_THAT(ask(), StartsWith("HTTP/1.1 200 "));
    ASSERT_THAT(closed_parts(*snapshot_), IsEmpty());
  }
  static config::Listener by_rds() {
    config::HttpConnectionManager manager;
    manager.stat_prefix = "test";
    manager.route_config_name = "r";
    return listener_of("front", manager);
  }
  static std::string routes() {
    config::RouteConfiguration made = *manager_of({route_to("app")}).routes;
    made.name = "r";
    return xds::encode(made);
  }
  // What comes back: an answer, or nothing where the connection is ended.
  std::string ask() {
    Wire wire = Wire::to(proxy_.address());
    (void)wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    return wire.message();
  }

  Server app_{Server::answering(echo)};
  RunningProxy proxy_;
  config::Listener listener_ = by_rds();
  std::optional<xds::AdsClient> client_;
  config::SnapshotPointer snapshot_;
};

TEST_F(ClosingTest, RulesThatDenyAreNeverPassedOver) {
  begin();
  const std::string settings = field(16, field(1, "rbac") + field(2, denying_settings()));
  receive(ResourceType::route, "2", routes() + settings);
  EXPECT_THAT(ask(), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(client_->refusal(ResourceType::route), HasSubstr("typed_per_filter_config.rbac"));
  EXPECT_THAT(closed_parts(*snapshot_), ElementsAre(HasSubstr("RouteConfiguration r: ")));
  receive(ResourceType::route, "3", routes());
  EXPECT_THAT(ask(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(ClosingTest, NorWhenTheirVersionCannotBeTaken) {
  begin();
  const std::string settings = field(16, field(1, "rbac") + field(2, denying_settings()));
  const std::string without_domains = field(2, field(1, "no-domains"));
  receive(ResourceType::route, "2", routes() + settings + without_domains);
  EXPECT_THAT(client_->refusal(ResourceType::route), HasSubstr("domains"));
  EXPECT_THAT(ask(), StartsWith("HTTP/1.1 403 "));
  // Without the rules it is only refused, and the first version is good again when it comes.
  receive(ResourceType::route, "3", routes() + without_domains);
  EXPECT_THAT(ask(), StartsWith("HTTP/1.1 403 "));
  receive(ResourceType::route, "4", routes());
  EXPECT_THAT(ask(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(ClosingTest, AFilterBesideTheChainsEndsItsConnections) {
  begin();
  const std::string type =
      "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol";
  receive(ResourceType::listener, "2",
          xds::encode(listener_) + field(9, field(1, "proxy") + field(3, any(type, ""))));
  EXPECT_EQ(ask(), "");
  EXPECT_THAT(closed_parts(*snapshot_), ElementsAre(HasSubstr("listener_filters[0]: proxy")));
}

TEST_F(ClosingTest, AClusterThatAsksForTlsIsNotSentPlainText) {
  begin();
  const std::string socket = field(1, "envoy.transport_sockets.tls");
  receive(ResourceType::cluster, "2",
          xds::encode(cluster_of("app", {app_.address()})) + field(24, socket));
  EXPECT_THAT(ask(), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(client_->refusal(ResourceType::cluster), HasSubstr("Cluster app: transport_socket"));
}

// A proxy that starts while control is away.
TEST_F(ClosingTest, WhatIsOnDiskIsClosedAsItWas) {
  begin();
  const std::string settings = field(16, field(1, "rbac") + field(2, denying_settings()));
  receive(ResourceType::route, "2", routes() + settings);
  xds::Bootstrap bootstrap;
  bootstrap.node.id = "n";
  bootstrap.discovery = xds::AggregatedDiscovery{.cluster = "xds-grpc"};
  xds::AdsClient again(bootstrap, {});
  const auto restored = again.restore(client_->last_good(), start);
  ASSERT_TRUE(restored.ok()) << restored.fault().describe();
  take(*restored);
  EXPECT_THAT(ask(), StartsWith("HTTP/1.1 403 "));
}

}  // namespace
}  // namespace fairlead::proxy
