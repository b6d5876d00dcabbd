// Everything that ends because it took too long.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "proxy/test_memory.h"

namespace fairlead::proxy {
namespace {

using namespace testing;
using config::Milliseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr milliseconds tick{1};  // timers are never early, and may be that late

class TimeoutTest : public MemoryProxyTest {
 protected:
  void start_with(Milliseconds timeout, std::optional<config::RetryPolicy> retry = {}) {
    config::Route route = route_to("app");
    route.forward.timeout = timeout;
    route.forward.retry = std::move(retry);
    start(manager_of({route}), cluster_of("app", {endpoint(1)}));
  }
  void start_with(const config::HttpConnectionManager& manager) {
    start(manager, cluster_of("app", {endpoint(1)}));
  }
  static config::HttpConnectionManager manager() { return manager_of({route_to("app")}); }
  MemoryPeer& ask(std::string_view request = get) {
    MemoryPeer& client = connect();
    EXPECT_TRUE(client.send(request));
    return client;
  }
  // Nothing until then, and something at that time.
  std::string answer_after(MemoryPeer& client, Duration time) {
    pass(time - tick);
    EXPECT_EQ(client.received(), "");
    pass(2 * tick);
    return client.received();
  }
};

// ── Requests ─────────────────────────────────────────────────────────────────────────────────────

TEST_F(TimeoutTest, ATryThatTakesTooLongIsMadeAgain) {
  start_with(Milliseconds{0},
             config::RetryPolicy{
                 .retry_on = {"reset"}, .retries = 20, .per_try_timeout = Milliseconds{300}});
  MemoryPeer& client = ask();
  pass(seconds(1));
  ASSERT_GE(proxy_.connections(), 2U);
  server(proxy_.connections() - 1).send(ok_with("at last"));
  EXPECT_THAT(client.received(), HasSubstr("at last"));
  EXPECT_EQ(last_record().attempts, proxy_.connections());
  EXPECT_EQ(last_record().flags, Flag::none);
  EXPECT_TRUE(counted("upstream_rq_per_try_timeout", static_cast<int>(proxy_.connections()) - 1));
}

TEST_F(TimeoutTest, ATryThatTakesTooLongIs504WhereNothingSaysToRetry) {
  start_with(Milliseconds{0}, config::RetryPolicy{.retry_on = {"connect-failure"},
                                                  .retries = 3,
                                                  .per_try_timeout = Milliseconds{100}});
  const std::string response = answer_after(ask(), milliseconds(100));
  EXPECT_THAT(response, StartsWith("HTTP/1.1 504 "));
  EXPECT_THAT(response, HasSubstr("did not answer within 100 ms"));
  EXPECT_EQ(last_record().flags, Flag::upstream_request_timeout);
  EXPECT_EQ(last_record().attempts, 1U);
  EXPECT_TRUE(counted("upstream_rq_per_try_timeout", 1));
}

TEST_F(TimeoutTest, TheTimeOfARequestIsForAllItsTries) {
  start_with(Milliseconds{500},
             config::RetryPolicy{
                 .retry_on = {"5xx"}, .retries = 1000, .per_try_timeout = Milliseconds{50}});
  const std::string response = answer_after(ask(), milliseconds(500));
  EXPECT_THAT(response, StartsWith("HTTP/1.1 504 "));
  EXPECT_THAT(response, HasSubstr("did not answer within 500 ms"));
  EXPECT_TRUE(counted("upstream_rq_timeout", 1));
}

TEST_F(TimeoutTest, AResponseThatTakesTooLongIsCutOff) {
  start_with(Milliseconds{500});
  MemoryPeer& client = ask();
  server(0).send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
  EXPECT_THAT(client.received(), EndsWith("\r\n\r\nhello"));
  EXPECT_EQ(answer_after(client, milliseconds(500)), "");
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(last_record().status, 200U);
  EXPECT_EQ(last_record().flags, Flag::upstream_request_timeout);
}

TEST_F(TimeoutTest, ARequestThatDoesNotComeWholeIs408) {
  config::HttpConnectionManager limited = manager();
  limited.request_timeout = Milliseconds{100};
  start_with(limited);
  MemoryPeer& client = ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
  const std::string response = answer_after(client, milliseconds(100));
  EXPECT_THAT(response, StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(response, HasSubstr("did not come whole within 100 ms"));
  EXPECT_THAT(response, HasSubstr("connection: close\r\n"));
  EXPECT_TRUE(counted("downstream_rq_timeout", 1));
}

TEST_F(TimeoutTest, ABodyThatComesAfterItsHeadIsAnsweredInTimeToo) {
  start_with(Milliseconds{200});
  MemoryPeer& client = ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
  pass(seconds(10));
  client.send("hello");
  EXPECT_THAT(answer_after(client, milliseconds(200)), StartsWith("HTTP/1.1 504 "));
}

TEST_F(TimeoutTest, TheTimeOfARequestThatHasComeIsNotThatOfItsAnswer) {
  config::HttpConnectionManager limited = manager();
  limited.request_timeout = Milliseconds{100};
  start_with(limited);
  MemoryPeer& client = ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
  pass(milliseconds(400));
  server(0).send(ok_with("slow"));
  EXPECT_THAT(client.received(), HasSubstr("slow"));
}

TEST_F(TimeoutTest, AHeadThatDoesNotComeWholeIs408) {
  config::HttpConnectionManager limited = manager();
  limited.request_headers_timeout = Milliseconds{100};
  start_with(limited);
  const std::string all = answer_after(ask("GET / HTTP/1.1\r\nHost:"), milliseconds(100));
  EXPECT_THAT(all, StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(all, HasSubstr("did not come in time"));
  EXPECT_TRUE(counted("downstream_rq_header_timeout", 1));
}

TEST_F(TimeoutTest, AHeadThatStopsIs408AfterTheIdleTimeOfAStream) {
  config::HttpConnectionManager limited = manager();
  limited.stream_idle_timeout = Milliseconds{2000};
  start_with(limited);
  const std::string all = answer_after(ask("GET / HTTP/1.1\r\nHos"), seconds(2));
  EXPECT_THAT(all, StartsWith("HTTP/1.1 408 "));
  EXPECT_EQ(last_record().status, 408U);
  EXPECT_EQ(last_record().flags, Flag::stream_idle_timeout);
  EXPECT_TRUE(counted("downstream_rq_idle_timeout", 1));
  EXPECT_FALSE(counted("downstream_rq_header_timeout", 1));
}

TEST_F(TimeoutTest, AHeadThatTricklesIs408InTheSameTime) {
  config::HttpConnectionManager limited = manager();
  limited.stream_idle_timeout = Milliseconds{2000};
  start_with(limited);
  MemoryPeer& client = ask("GET / HTTP/1.1\r\nx: ");
  for (int step = 0; step < 19; ++step) {
    pass(milliseconds(100));
    client.send("a");
  }
  EXPECT_EQ(client.received(), "");
  pass(milliseconds(102));
  EXPECT_THAT(client.received(), StartsWith("HTTP/1.1 408 "));
}

TEST_F(TimeoutTest, AHeadIsLimitedWhereTheConfigurationSaysNothing) {
  config::HttpConnectionManager unlimited = manager();
  unlimited.stream_idle_timeout = Milliseconds{0};
  start_with(unlimited);
  EXPECT_THAT(answer_after(ask("GET / HTTP/1.1\r\nHos"), seconds(60)), StartsWith("HTTP/1.1 408 "));
}

TEST_F(TimeoutTest, ASecondHeadThatStopsIs408Too) {
  config::HttpConnectionManager limited = manager();
  limited.stream_idle_timeout = Milliseconds{2000};
  start_with(limited);
  MemoryPeer& client = ask();
  server(0).send(ok_with("one"));
  EXPECT_THAT(client.received(), HasSubstr("one"));
  pass(seconds(100));
  client.send("GET /next HT");
  EXPECT_THAT(answer_after(client, seconds(2)), StartsWith("HTTP/1.1 408 "));
}

TEST_F(TimeoutTest, TheTimeOfARequestBeginsWithItsHead) {
  config::HttpConnectionManager limited = manager();
  limited.request_timeout = Milliseconds{100};
  start_with(limited);
  const std::string all = answer_after(ask("GET / HTTP/1.1\r\nHost:"), milliseconds(100));
  EXPECT_THAT(all, StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(all, HasSubstr("the request did not come in time"));
  EXPECT_TRUE(counted("downstream_rq_timeout", 1));
}

TEST_F(TimeoutTest, TheTimeOfATryBeginsWhenTheRequestIsThere) {
  start_with(
      Milliseconds{0},
      config::RetryPolicy{.retry_on = {"5xx"}, .retries = 1, .per_try_timeout = Milliseconds{300}});
  MemoryPeer& client = ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na");
  pass(milliseconds(700));
  client.send("b");
  pass(milliseconds(200));
  server(0).send(ok_with("done"));
  EXPECT_THAT(client.received(), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(last_record().attempts, 1U);
}

// ── Silence ──────────────────────────────────────────────────────────────────────────────────────

TEST_F(TimeoutTest, ARequestInWhichNothingMovesIs504) {
  config::HttpConnectionManager limited = manager();
  limited.stream_idle_timeout = Milliseconds{100};
  start_with(limited);
  EXPECT_THAT(answer_after(ask(), milliseconds(100)), StartsWith("HTTP/1.1 504 "));
  EXPECT_EQ(last_record().flags, Flag::stream_idle_timeout);
  EXPECT_TRUE(counted("downstream_rq_idle_timeout", 1));
}

TEST_F(TimeoutTest, AClientThatSendsNoMoreOfItsRequestIs408) {
  config::HttpConnectionManager limited = manager();
  limited.stream_idle_timeout = Milliseconds{100};
  start_with(limited);
  MemoryPeer& client = ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na");
  const std::string response = answer_after(client, milliseconds(100));
  EXPECT_THAT(response, StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(response, HasSubstr("nothing of the request came for 100 ms"));
  EXPECT_EQ(last_record().flags, Flag::stream_idle_timeout);
  EXPECT_FALSE(counted("cluster.app.upstream_rq_timeout", 1));
}

TEST_F(TimeoutTest, AResponseInWhichNothingMovesIsCutOff) {
  config::HttpConnectionManager limited = manager();
  limited.stream_idle_timeout = Milliseconds{500};
  start_with(limited);
  MemoryPeer& client = ask();
  server(0).send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
  EXPECT_THAT(client.received(), EndsWith("\r\n\r\nhello"));
  EXPECT_EQ(answer_after(client, milliseconds(500)), "");
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(last_record().flags, Flag::stream_idle_timeout);
}

// A client that takes nothing: its connection holds 100 bytes on their way to it.
class UnreadTest : public TimeoutTest {
 protected:
  UnreadTest() { proxy_.capacity = 100; }
};

TEST_F(UnreadTest, AResponseThatTheClientDoesNotTakeIsCutOff) {
  config::HttpConnectionManager limited = manager();
  limited.stream_idle_timeout = Milliseconds{500};
  start_with(limited);
  (void)ask();
  server(0).send(ok_with(std::string(50'000, 'x')));
  EXPECT_EQ(proxy_.worker.open_connections(), 1U);
  pass(milliseconds(502));
  EXPECT_EQ(proxy_.worker.open_connections(), 0U);
  EXPECT_TRUE(has(last_record().flags, Flag::stream_idle_timeout));
}

TEST_F(UnreadTest, AnAnswerOfOurOwnThatTheClientDoesNotTakeIsCutOff) {
  for (const Milliseconds idle : {Milliseconds{500}, Milliseconds{0}}) {
    config::Route route = route_to("app");
    route.kind = config::Route::Kind::direct;
    route.direct.body = std::string(5000, 'x');
    config::HttpConnectionManager limited = manager_of({route});
    limited.stream_idle_timeout = idle;
    start_with(limited);
    (void)ask();
    EXPECT_EQ(proxy_.worker.open_connections(), 1U);
    pass(idle.count() != 0 ? Duration(milliseconds(502)) : Duration(std::chrono::minutes(6)));
    EXPECT_EQ(proxy_.worker.open_connections(), 0U);
  }
}

TEST_F(TimeoutTest, AnUpstreamThatDoesNotTakeTheRequestIsGivenUp) {
  proxy_.connector.capacity = 100;
  config::HttpConnectionManager limited = manager();
  limited.stream_idle_timeout = Milliseconds{500};
  start_with(limited);
  MemoryPeer& client =
      ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n" + std::string(5000, 'x'));
  EXPECT_THAT(answer_after(client, milliseconds(500)), StartsWith("HTTP/1.1 504 "));
  EXPECT_TRUE(server(0).ended());
}

TEST_F(TimeoutTest, WhoWaitsForAConnectionOfOthersWaitsNoLongerThanItsTime) {
  config::Cluster cluster = cluster_of("app", {endpoint(1)});
  cluster.max_connections = 1;
  config::Route unlimited = route_to("app");
  unlimited.path.value = "/long";
  config::Route route = route_to("app");
  route.forward.timeout = Milliseconds{500};
  start(manager_of({unlimited, route}), std::move(cluster));
  (void)ask("GET /long HTTP/1.1\r\nHost: a\r\n\r\n");
  MemoryPeer& second = ask();
  EXPECT_THAT(answer_after(second, milliseconds(500)), StartsWith("HTTP/1.1 504 "));
  EXPECT_EQ(proxy_.connections(), 1U);
}

class TunnelTimeoutTest : public TimeoutTest {
 protected:
  MemoryPeer& start_tunnel(Milliseconds idle) {
    config::HttpConnectionManager limited = manager();
    limited.upgrades = {"websocket"};
    limited.stream_idle_timeout = idle;
    start_with(limited);
    MemoryPeer& client =
        ask("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    server(0).send(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    EXPECT_THAT(client.received(), StartsWith("HTTP/1.1 101 "));
    return client;
  }
};

TEST_F(TunnelTimeoutTest, ATunnelInWhichNothingMovesEnds) {
  MemoryPeer& client = start_tunnel(Milliseconds{500});
  EXPECT_EQ(answer_after(client, milliseconds(500)), "");
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(last_record().status, 101U);
  EXPECT_EQ(last_record().flags, Flag::stream_idle_timeout);
}

TEST_F(TunnelTimeoutTest, ATunnelInUseLastsLongerThanItMayBeSilent) {
  MemoryPeer& client = start_tunnel(Milliseconds{500});
  for (int turn = 0; turn < 20; ++turn) {
    MemoryPeer& from = turn % 2 == 0 ? client : server(0);
    MemoryPeer& to = turn % 2 == 0 ? server(0) : client;
    (void)to.received();
    from.send("ping");
    EXPECT_EQ(to.received(), "ping");
    pass(milliseconds(450));
  }
  EXPECT_FALSE(client.ended());
}

TEST_F(TimeoutTest, AnIdleConnectionEndsAndABusyOneDoesNot) {
  config::HttpConnectionManager limited = manager();
  limited.idle_timeout = Milliseconds{300};
  start_with(limited);
  MemoryPeer& used = ask();
  MemoryPeer& unused = connect();
  pass(milliseconds(302));
  EXPECT_TRUE(unused.ended());
  EXPECT_FALSE(used.ended());
  pass(milliseconds(600));
  server(0).send(ok_with("slow"));
  EXPECT_THAT(used.received(), HasSubstr("slow"));
  pass(milliseconds(298));
  EXPECT_FALSE(used.ended());
  pass(milliseconds(4));
  EXPECT_TRUE(used.ended());
  EXPECT_TRUE(counted("downstream_cx_idle_timeout", 2));
}

TEST_F(TimeoutTest, AnIdleConnectionUpstreamEnds) {
  config::Cluster cluster = cluster_of("app", {endpoint(1)});
  cluster.idle_timeout = Milliseconds{100};
  start(manager(), std::move(cluster));
  MemoryPeer& client = ask();
  server(0).send(ok_with("one"));
  EXPECT_THAT(client.received(), HasSubstr("one"));
  pass(milliseconds(98));
  EXPECT_FALSE(server(0).ended());
  pass(milliseconds(4));
  EXPECT_TRUE(server(0).ended());
  EXPECT_TRUE(counted("upstream_cx_idle_timeout", 1));
}

// ── Connecting ───────────────────────────────────────────────────────────────────────────────────

TEST_F(TimeoutTest, AConnectionThatTakesTooLongIs503) {
  proxy_.connector.answer = MemoryConnector::Answer::silence;
  config::Cluster cluster = cluster_of("app", {endpoint(1)});
  cluster.connect_timeout = Milliseconds{100};
  start(manager(), std::move(cluster));
  MemoryPeer& client = ask();
  pass(seconds(1));
  const std::string response = client.received();
  EXPECT_THAT(response, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(response, HasSubstr("no connection to " + endpoint(1).text()));
  EXPECT_TRUE(has(last_record().flags, Flag::upstream_connection_failure));
  EXPECT_GE(last_record().attempts, 2U);  // nothing was sent: it is tried again
  EXPECT_TRUE(counted("upstream_cx_connect_timeout", static_cast<int>(last_record().attempts)));
}

TEST_F(TimeoutTest, TheTimeOfARequestEndsItsConnecting) {
  proxy_.connector.answer = MemoryConnector::Answer::silence;
  start_with(Milliseconds{100});
  EXPECT_THAT(answer_after(ask(), milliseconds(100)), StartsWith("HTTP/1.1 504 "));
  EXPECT_EQ(last_record().flags, Flag::upstream_request_timeout);
}

// ── TCP ──────────────────────────────────────────────────────────────────────────────────────────

class TcpTimeoutTest : public TimeoutTest {
 protected:
  static config::TcpProxy tcp(Milliseconds idle) {
    config::TcpProxy tcp;
    tcp.stat_prefix = "tcp";
    tcp.clusters.push_back({.cluster = "app"});
    tcp.idle_timeout = idle;
    return tcp;
  }
};

TEST_F(TcpTimeoutTest, AConnectionInWhichNothingMovesEnds) {
  start_tcp(tcp(Milliseconds{500}), cluster_of("app", {endpoint(1)}));
  MemoryPeer& client = ask("hello");
  EXPECT_EQ(server(0).received(), "hello");
  EXPECT_EQ(answer_after(client, milliseconds(500)), "");
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(server(0).ended());
  EXPECT_FALSE(server(0).was_reset());
  EXPECT_TRUE(counted("tcp.tcp.idle_timeout", 1));
  EXPECT_EQ(last_record().flags, Flag::none);
}

TEST_F(TcpTimeoutTest, AnEndpointThatDoesNotTakeWhatIsSentEndsTheConnection) {
  proxy_.connector.capacity = 100;
  start_tcp(tcp(Milliseconds{500}), cluster_of("app", {endpoint(1)}));
  MemoryPeer& client = ask(std::string(5000, 'x'));
  EXPECT_EQ(answer_after(client, milliseconds(500)), "");
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(proxy_.worker.open_connections(), 0U);
}

TEST_F(TcpTimeoutTest, AClientThatDoesNotTakeWhatIsSentEndsTheConnection) {
  proxy_.capacity = 100;
  start_tcp(tcp(Milliseconds{500}), cluster_of("app", {endpoint(1)}));
  (void)ask("hello");
  server(0).send(std::string(5000, 'x'));
  pass(milliseconds(502));
  EXPECT_EQ(proxy_.worker.open_connections(), 0U);
}

TEST_F(TcpTimeoutTest, AConnectionOfWhichOneDirectionHasEndedEndsToo) {
  start_tcp(tcp(Milliseconds{500}), cluster_of("app", {endpoint(1)}));
  MemoryPeer& client = ask("hello");
  client.shutdown_write();
  EXPECT_TRUE(server(0).ended());
  pass(milliseconds(502));
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(proxy_.worker.open_connections(), 0U);
}

TEST_F(TcpTimeoutTest, ConnectingHasItsTime) {
  proxy_.connector.answer = MemoryConnector::Answer::silence;
  config::Cluster cluster = cluster_of("app", {endpoint(1)});
  cluster.connect_timeout = Milliseconds{100};
  start_tcp(tcp(Milliseconds{0}), std::move(cluster));
  MemoryPeer& client = ask("hello");
  pass(seconds(1));
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(has(last_record().flags, Flag::upstream_connection_failure));
  EXPECT_EQ(proxy_.worker.open_connections(), 0U);
}

// ── Detection ────────────────────────────────────────────────────────────────────────────────────

class DetectionTimeoutTest : public TcpTimeoutTest {
 protected:
  // HTTP/1.1 to one chain, and TCP to the default chain when nothing is known.
  void start_guessing(bool goes_on) {
    config::Listener listener = listener_of("front", manager());
    listener.filter_chains[0].match.application_protocols = {"http/1.0", "http/1.1"};
    listener.default_filter_chain = listener_of("tcp", tcp(Milliseconds{0})).filter_chains[0];
    listener.http_inspector = true;
    listener.listener_filters_timeout = Milliseconds{1000};
    listener.continue_on_listener_filters_timeout = goes_on;
    proxy_.apply(snapshot_of({std::move(listener)}, {cluster_of("app", {endpoint(1)})}));
  }
};

TEST_F(DetectionTimeoutTest, SilenceIsTcpAfterItsTime) {
  start_guessing(true);
  MemoryPeer& client = connect();
  pass(milliseconds(998));
  EXPECT_EQ(proxy_.connections(), 0U);
  pass(milliseconds(4));
  EXPECT_EQ(proxy_.connections(), 1U);
  server(0).send("hello, I speak first");
  EXPECT_EQ(client.received(), "hello, I speak first");
}

TEST_F(DetectionTimeoutTest, SilenceEndsTheConnectionWhereNothingGoesOn) {
  start_guessing(false);
  MemoryPeer& client = connect();
  pass(milliseconds(998));
  EXPECT_FALSE(client.ended());
  pass(milliseconds(4));
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(counted("downstream_pre_cx_timeout", 1));
}

TEST_F(DetectionTimeoutTest, BytesThatDecideNothingDoNotMakeItLonger) {
  start_guessing(false);
  MemoryPeer& client = connect();
  for (int step = 0; step < 12 && !client.ended(); ++step) {
    client.send("G");
    pass(milliseconds(100));
  }
  EXPECT_TRUE(client.ended());
}

// ── Ending ───────────────────────────────────────────────────────────────────────────────────────

TEST_F(TimeoutTest, AtItsEndAWorkerClosesWhatIdlesAndThenCutsOffTheRest) {
  start_with(manager());
  MemoryPeer& idle = ask();
  server(0).send(ok_with("one"));
  EXPECT_THAT(idle.received(), HasSubstr("one"));
  MemoryPeer& busy = ask();
  MemoryPeer& half = ask("GET / HTTP/1.1\r\nHos");
  proxy_.worker.begin_drain();
  proxy_.worker.stop_accepting();
  proxy_.settle();
  EXPECT_TRUE(idle.ended());
  EXPECT_FALSE(busy.ended());
  server(0).send(ok_with("two"));
  EXPECT_THAT(busy.received(), HasSubstr("connection: close"));
  EXPECT_FALSE(half.ended());
  proxy_.worker.loop().run(proxy_.worker.end());
  EXPECT_TRUE(half.was_reset() || half.ended());
  EXPECT_EQ(proxy_.worker.open_connections(), 0U);
}

}  // namespace
}  // namespace fairlead::proxy
