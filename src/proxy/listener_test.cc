#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "proxy/test_peers.h"

namespace fairlead::proxy {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::StartsWith;

config::TcpProxy tcp_to(const std::string& cluster) {
  config::TcpProxy tcp;
  tcp.stat_prefix = "tcp";
  tcp.clusters.push_back({.cluster = cluster});
  return tcp;
}

// HTTP by its first bytes, anything else as TCP.
config::Listener guessing(config::Milliseconds wait) {
  config::Listener listener = listener_of("front", manager_of({route_to("http")}));
  listener.http_inspector = true;
  listener.listener_filters_timeout = wait;
  listener.continue_on_listener_filters_timeout = true;
  listener.filter_chains[0].match.application_protocols = {"http/1.0", "http/1.1"};
  config::FilterChain other;
  other.name = "other";
  other.filter = tcp_to("tcp");
  listener.default_filter_chain = std::move(other);
  return listener;
}

class ListenerTest : public ::testing::Test {
 protected:
  Server::Serve greeter() {
    return [](Wire& wire, int) {
      wire.send("welcome ");
      wire.send(wire.until("\n"));
      wire.shutdown_write();
      (void)wire.all();
    };
  }
  RunningProxy proxy_;
};

TEST_F(ListenerTest, TcpPassesBothWaysAndEachEndIsPassedOn) {
  Server app([](Wire& wire, int) {
    const std::string all = wire.all();  // until the client has shut its side
    wire.send("got " + std::to_string(all.size()));
  });
  ASSERT_TRUE(proxy_
                  .apply(snapshot_of({listener_of("front", tcp_to("app"))},
                                     {cluster_of("app", {app.address()})}))
                  .empty());
  Wire wire = Wire::to(proxy_.address());
  ASSERT_TRUE(wire.send(std::string(1'000'000, 'x')));
  wire.shutdown_write();
  EXPECT_EQ(wire.all(), "got 1000000");
}

// One write whose first buffer ends anywhere in the request line: the worker decides and turns on.
TEST_F(ListenerTest, ARequestLineOfAnyLengthIsDecided) {
  Server app(Server::answering([](const std::string&) { return ok_with("served"); }));
  ASSERT_TRUE(proxy_
                  .apply(snapshot_of({guessing(config::Milliseconds{5000})},
                                     {cluster_of("http", {app.address()}), cluster_of("tcp", {})}))
                  .empty());
  for (std::size_t length = 16'360; length <= 16'400; ++length) {
    Wire wire = Wire::to(proxy_.address());
    ASSERT_TRUE(wire.send("GET /" + std::string(length - 6, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n" +
                          std::string(2000, 'x')));
    EXPECT_THAT(wire.message(), StartsWith("HTTP/1.1 ")) << length;
  }
  Wire other = Wire::to(proxy_.address());
  ASSERT_TRUE(other.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_THAT(other.message(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(ListenerTest, TcpBeyondTheLimitOfConnectionsEndsAtOnce) {
  Server app(greeter());
  config::Cluster cluster = cluster_of("app", {app.address()});
  cluster.max_connections = 1;
  ASSERT_TRUE(proxy_.apply(snapshot_of({listener_of("front", tcp_to("app"))}, {std::move(cluster)}))
                  .empty());
  Wire first = Wire::to(proxy_.address());
  ASSERT_EQ(first.exactly(8), "welcome ");
  Wire second = Wire::to(proxy_.address());
  EXPECT_EQ(second.all(), "");
  ASSERT_TRUE(eventually([&] { return proxy_.records().size() == 2; }));
  EXPECT_EQ(proxy_.records().back().flags, Flag::upstream_overflow);
  ASSERT_TRUE(first.send("you\n"));
  EXPECT_EQ(first.all(), "you\n");
  first.close();
  EXPECT_TRUE(eventually([&] { return !proxy_.records().front().open; }));
  Wire third = Wire::to(proxy_.address());
  EXPECT_EQ(third.exactly(8), "welcome ");
}

TEST_F(ListenerTest, ATcpConnectionHasItsRecordFromItsBeginningOn) {
  Server app(greeter());
  ASSERT_TRUE(proxy_
                  .apply(snapshot_of({listener_of("front", tcp_to("app"))},
                                     {cluster_of("app", {app.address()})}))
                  .empty());
  Wire wire = Wire::to(proxy_.address());
  ASSERT_EQ(wire.exactly(8), "welcome ");  // so it is connected
  ASSERT_EQ(proxy_.records().size(), 1U);
  const Record begun = proxy_.records().front();
  EXPECT_TRUE(begun.open);
  EXPECT_NE(begun.downstream_remote.port, 0);
  EXPECT_EQ(begun.upstream_remote, app.address());
  EXPECT_TRUE(begun.upstream_local.has_value());
  ASSERT_TRUE(wire.send("you\n"));
  EXPECT_EQ(wire.all(), "you\n");
  wire.close();
  ASSERT_TRUE(eventually([&] { return !proxy_.records().front().open; }));
  ASSERT_EQ(proxy_.records().size(), 1U) << "it is the same one";
  EXPECT_EQ(proxy_.records().front().bytes_sent, 12U);
  EXPECT_EQ(proxy_.records().front().upstream_local, begun.upstream_local);
}

TEST_F(ListenerTest, WhatIsNotBoundIsNotListenedOn) {
  config::Listener bound = listener_of("bound", tcp_to("app"));
  config::Listener unbound = listener_of("unbound", tcp_to("app"));
  unbound.bind_to_port = false;
  ASSERT_TRUE(proxy_.apply(snapshot_of({bound, unbound}, {cluster_of("app", {})})).empty());
  EXPECT_EQ(proxy_.addresses().size(), 1U);
}

TEST_F(ListenerTest, TcpTriesAnotherEndpoint) {
  Server app(greeter());
  ASSERT_TRUE(proxy_
                  .apply(snapshot_of({listener_of("front", tcp_to("app"))},
                                     {cluster_of("app", {nobody_listens(), app.address()})}))
                  .empty());
  for (int round = 0; round < 4; ++round) {
    Wire wire = Wire::to(proxy_.address());
    ASSERT_TRUE(wire.send("hello\n"));
    EXPECT_EQ(wire.all(), "welcome hello\n");
  }
}

TEST_F(ListenerTest, FirstBytesDecideAndSilenceIsTcpAfterAWhile) {
  Server http(Server::answering([](const std::string&) { return ok_with("by http"); }));
  Server tcp(greeter());
  ASSERT_TRUE(proxy_
                  .apply(snapshot_of(
                      {guessing(config::Milliseconds{500})},
                      {cluster_of("http", {http.address()}), cluster_of("tcp", {tcp.address()})}))
                  .empty());
  Wire web = Wire::to(proxy_.address());
  ASSERT_TRUE(web.send("GET / HT"));
  ASSERT_TRUE(web.send("TP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_THAT(web.message(), HasSubstr("by http"));
  Wire other = Wire::to(proxy_.address());
  ASSERT_TRUE(other.send("HELO there\n"));
  EXPECT_EQ(other.all(), "welcome HELO there\n");
  Wire silent = Wire::to(proxy_.address());
  EXPECT_EQ(silent.exactly(8), "welcome ");  // the server speaks first
  ASSERT_TRUE(silent.send("late\n"));
  EXPECT_EQ(silent.all(), "late\n");
}

TEST_F(ListenerTest, NoChainEndsTheConnectionAndIsRecorded) {
  config::Listener listener = guessing(config::Milliseconds{5000});
  listener.default_filter_chain.reset();
  ASSERT_TRUE(proxy_.apply(snapshot_of({std::move(listener)}, {cluster_of("http", {})})).empty());
  Wire wire = Wire::to(proxy_.address());
  ASSERT_TRUE(wire.send("HELO there\n"));
  EXPECT_EQ(wire.all(), "");
  ASSERT_TRUE(eventually([&] { return !proxy_.records().empty(); }));
  EXPECT_EQ(proxy_.records().back().flags, Flag::no_route_found);
}

TEST_F(ListenerTest, WhatLeadsBackToTheProxyIsRefused) {
  config::Cluster cluster = cluster_of("app", {});
  cluster.type = config::ClusterType::original_dst;
  ASSERT_TRUE(proxy_
                  .apply(snapshot_of({listener_of("front", manager_of({route_to("app")}))},
                                     {std::move(cluster)}))
                  .empty());
  Wire wire = Wire::to(proxy_.address());
  ASSERT_TRUE(wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_THAT(wire.message(), HasSubstr("the request would go in a circle"));
}

TEST_F(ListenerTest, ANewSnapshotMovesRequestsAndEndsWhatChanged) {
  Server one(Server::answering([](const std::string&) { return ok_with("one"); }));
  Server two(Server::answering([](const std::string&) { return ok_with("two"); }));
  config::Listener listener = listener_of("front", manager_of({route_to("app")}));
  const auto first = snapshot_of({listener}, {cluster_of("app", {one.address()})});
  ASSERT_TRUE(proxy_.apply(first).empty());
  const SocketAddress address = proxy_.address();
  Wire kept = Wire::to(address);
  ASSERT_TRUE(kept.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_THAT(kept.message(), HasSubstr("one"));

  // Another endpoint, the same listener: the connection stays.
  auto second = snapshot_of({}, {cluster_of("app", {two.address()})});
  second->listeners = first->listeners;
  ASSERT_TRUE(proxy_.apply(second).empty());
  ASSERT_TRUE(kept.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_THAT(kept.message(), HasSubstr("two"));

  // The listener is gone: an idle connection ends, and no new one is taken.
  ASSERT_TRUE(proxy_.apply(snapshot_of({}, {cluster_of("app", {two.address()})})).empty());
  EXPECT_EQ(kept.all(), "");
  EXPECT_TRUE(eventually([&] { return !Wire::to(address).open(); }));
}

TEST_F(ListenerTest, WhatComesAndGoesIsNotCountedForEver) {
  Server app(Server::answering([](const std::string&) { return ok_with("yes"); }));
  std::size_t first_size = 0;
  for (int round = 0; round < 50; ++round) {
    const std::string name = "app-" + std::to_string(100 + round);
    config::HttpConnectionManager manager = manager_of({route_to(name)});
    manager.stat_prefix = name;
    ASSERT_TRUE(proxy_
                    .apply(snapshot_of({listener_of(name, std::move(manager))},
                                       {cluster_of(name, {app.address()})}))
                    .empty());
    Wire wire = Wire::to(proxy_.address());
    ASSERT_TRUE(wire.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    EXPECT_THAT(wire.all(), HasSubstr("yes"));
    const std::string stats = proxy_.stats("");
    EXPECT_THAT(stats, HasSubstr("cluster." + name + ".upstream_rq_total: 1\n"));
    EXPECT_THAT(stats, HasSubstr("http." + name + ".downstream_rq_total: 1\n"));
    if (round == 0) first_size = stats.size();
    EXPECT_LT(stats.size(), 3 * first_size);  // a connection may outlive its cluster by a snapshot
  }
  // The last one goes too, when its connection has ended.
  ASSERT_TRUE(eventually([&] {
    return proxy_.apply(snapshot_of({}, {})).empty() && proxy_.stats("^(cluster|http)\\.").empty();
  }));
}

TEST_F(ListenerTest, ADrainFinishesWhatIsOnItsWay) {
  std::promise<void> go;
  std::shared_future<void> gone = go.get_future().share();
  Server app([&](Wire& wire, int) {
    while (!wire.message().empty()) {
      gone.wait();
      if (!wire.send(ok_with("done"))) return;
    }
  });
  ASSERT_TRUE(proxy_
                  .apply(snapshot_of({listener_of("front", manager_of({route_to("app")}))},
                                     {cluster_of("app", {app.address()})}))
                  .empty());
  Wire wire = Wire::to(proxy_.address());
  ASSERT_TRUE(wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(eventually([&] { return app.connections() == 1; }));
  proxy_.drain(std::chrono::milliseconds(1), std::chrono::seconds(60));
  ASSERT_TRUE(eventually([&] {
    return proxy_.on_control([](Proxy& proxy) { return proxy.state(); }) == Proxy::State::draining;
  }));
  go.set_value();
  const std::string all = wire.all();  // the connection ends by itself
  EXPECT_THAT(all, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(all, HasSubstr("connection: close\r\n"));
  EXPECT_THAT(all, HasSubstr("done"));
}

TEST_F(ListenerTest, AnAddressInUseIsSaid) {
  Server taken([](Wire&, int) {});
  config::Listener listener = listener_of("front", manager_of({route_to("app")}));
  listener.address = taken.address();
  const std::vector<std::string> troubles = proxy_.apply(snapshot_of({std::move(listener)}, {}));
  ASSERT_EQ(troubles.size(), 1U);
  EXPECT_THAT(troubles[0], HasSubstr("listener front"));
}

}  // namespace
}  // namespace fairlead::proxy
