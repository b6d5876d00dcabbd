// TLS through a proxy that reads what its client asks for, and nothing more.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "proxy/test_client_hello.h"
#include "proxy/test_peers.h"

namespace fairlead::proxy {
namespace {

using namespace testing;
using ::testing::MatchesRegex;

class ServerNameTest : public ::testing::Test {
 protected:
  ServerNameTest() {
    std::string pattern = "/tmp/fairlead-server-name-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    log_ = folder_ + "/log";
  }
  ~ServerNameTest() override { std::filesystem::remove_all(folder_); }

  // What gets there first says its name, then everything back.
  static Server::Serve saying(const std::string& name) {
    return [name](Wire& wire, int) {
      wire.send(name + ":");
      for (std::string one = wire.exactly(1); !one.empty(); one = wire.exactly(1)) wire.send(one);
    };
  }
  config::FilterChain chain_to(const std::string& cluster, config::FilterChainMatch match) const {
    config::FilterChain chain;
    chain.name = "to-" + cluster;
    chain.match = std::move(match);
    config::TcpProxy tcp;
    tcp.stat_prefix = "tcp";
    tcp.clusters.push_back({.cluster = cluster});
    tcp.access_logs = {{.path = log_, .format = format_}};
    chain.filter = std::move(tcp);
    return chain;
  }
  void start(bool tls_inspector = true) {
    config::Listener listener;
    listener.name = "front";
    listener.address = {IpAddress::v4({127, 0, 0, 1}), 0};
    listener.tls_inspector = tls_inspector;
    listener.filter_chains = {chain_to("shop", {.server_names = {"shop.example"}}),
                              chain_to("any-shop", {.server_names = {"*.shop.example"}}),
                              chain_to("h2", {.application_protocols = {"h2"}})};
    listener.default_filter_chain = chain_to("other", {});
    listener.access_logs = {{.path = log_, .format = format_}};
    ASSERT_TRUE(proxy_
                    .apply(snapshot_of({std::move(listener)},
                                       {cluster_of("shop", {shop_.address()}),
                                        cluster_of("any-shop", {any_shop_.address()}),
                                        cluster_of("h2", {h2_.address()}),
                                        cluster_of("other", {other_.address()})}))
                    .empty());
    address_ = proxy_.address();
  }
  // Who answered, and with what.
  std::string ask(std::string_view bytes) const {
    Wire wire = Wire::to(address_);
    EXPECT_TRUE(wire.send(bytes));
    std::string who = wire.until(":");
    EXPECT_EQ(wire.exactly(bytes.size()).size(), bytes.size());
    return who;
  }

  Server shop_{saying("shop")};
  Server any_shop_{saying("any-shop")};
  Server h2_{saying("h2")};
  Server other_{saying("other")};
  // Once it has so many lines.
  std::string logged(std::ptrdiff_t lines) {
    std::string log;
    EXPECT_TRUE(eventually([&] {
      log = proxy_.log(log_);
      return std::count(log.begin(), log.end(), '\n') == lines;
    })) << log;
    return log;
  }

  std::string folder_;
  std::string log_;
  std::string format_ =
      "%FILTER_CHAIN_NAME% %REQUESTED_SERVER_NAME% %UNIQUE_ID% "
      "%RESPONSE_CODE_DETAILS%\n";
  RunningProxy proxy_;
  SocketAddress address_;
};

TEST_F(ServerNameTest, TheNameThatIsAskedForChoosesTheFilterChain) {
  start();
  EXPECT_EQ(ask(client_hello("Shop.Example")), "shop:");
  EXPECT_EQ(ask(client_hello("a.b.shop.example")), "any-shop:");
  EXPECT_EQ(ask(client_hello("elsewhere", {"http/1.1", "h2"})), "h2:");
  EXPECT_EQ(ask(client_hello("elsewhere")), "other:");
  EXPECT_EQ(ask(client_hello("")), "other:");
  EXPECT_EQ(ask("hello, this is no TLS"), "other:");
  const std::string log = logged(6);
  for (const char* line : {"to-shop shop.example ", "to-any-shop a.b.shop.example ",
                           "to-h2 elsewhere ", "to-other elsewhere ", "to-other - "}) {
    EXPECT_THAT(log, ::testing::HasSubstr(line));
  }
}

TEST_F(ServerNameTest, AHelloInManyPiecesIsWaitedFor) {
  start();
  const std::string hello = records_of(hello_message(server_name_extension("shop.example")), 20);
  Wire wire = Wire::to(address_);
  for (const char byte : hello) ASSERT_TRUE(wire.send({&byte, 1}));
  EXPECT_EQ(wire.until(":"), "shop:");
  EXPECT_EQ(wire.exactly(hello.size()), hello);
}

TEST_F(ServerNameTest, NobodyLooksWhereNoInspectorIs) {
  start(false);
  EXPECT_EQ(ask(client_hello("shop.example")), "other:");
}

TEST_F(ServerNameTest, AHelloThatIsTooLongEndsTheConnection) {
  start();
  const std::string padding = extension(21, std::string(17000, '\0'));
  Wire wire = Wire::to(address_);
  ASSERT_TRUE(
      wire.send(records_of(hello_message(server_name_extension("shop.example") + padding))));
  EXPECT_EQ(wire.all(), "");
  EXPECT_THAT(logged(1), MatchesRegex("- - [0-9a-f-]+ client_hello_too_long\n"));
  for (const Server* server : {&shop_, &any_shop_, &h2_, &other_}) {
    EXPECT_EQ(server->connections(), 0);
  }
}

}  // namespace
}  // namespace fairlead::proxy
