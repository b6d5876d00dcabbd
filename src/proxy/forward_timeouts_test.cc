// Everything that ends because it took too long.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <thread>

#include "proxy/test_peers.h"

namespace fairlead::proxy {
namespace {

using namespace testing;
using config::Milliseconds;
using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

class TimeoutTest : public ForwardTest {
 protected:
  static Server::Serve silent() {
    return [](Wire& wire, int) {
      while (!wire.message().empty()) {
      }
    };
  }
  // A head and half of a body, and then nothing.
  static Server::Serve breaking_off() {
    return [](Wire& wire, int) {
      (void)wire.message();
      wire.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
      (void)wire.all();
    };
  }
  void start_with(Milliseconds timeout, const SocketAddress& app,
                  std::optional<config::RetryPolicy> retry = {}) {
    config::Route route = route_to("app");
    route.forward.timeout = timeout;
    route.forward.retry = std::move(retry);
    start(manager_of({route}), cluster_of("app", {app}));
  }
  bool counted(const std::string& name, int count) {
    return eventually([&] {
      return proxy_.stats(name + "$").find(name + ": " + std::to_string(count) + "\n") !=
             std::string::npos;
    });
  }
};

// ── Requests ─────────────────────────────────────────────────────────────────────────────────────

TEST_F(TimeoutTest, ATryThatTakesTooLongIsMadeAgain) {
  Server app([](Wire& wire, int connection) {
    while (!wire.message().empty()) {
      if (connection > 0) wire.send(ok_with("at last"));
    }
  });
  start_with(Milliseconds{0}, app.address(),
             config::RetryPolicy{
                 .retry_on = {"reset"}, .retries = 20, .per_try_timeout = Milliseconds{300}});
  EXPECT_THAT(ask(get), HasSubstr("at last"));
  const Record record = last_record();
  EXPECT_GE(record.attempts, 2U);
  EXPECT_EQ(record.flags, Flag::none);
  EXPECT_THAT(proxy_.stats("upstream_rq_per_try_timeout"), HasSubstr("per_try_timeout: "));
}

TEST_F(TimeoutTest, ATryThatTakesTooLongIs504WhereNothingSaysToRetry) {
  Server app(silent());
  start_with(
      Milliseconds{0}, app.address(),
      config::RetryPolicy{
          .retry_on = {"connect-failure"}, .retries = 3, .per_try_timeout = Milliseconds{100}});
  const std::string response = ask(get);
  EXPECT_THAT(response, StartsWith("HTTP/1.1 504 "));
  EXPECT_THAT(response, HasSubstr("did not answer within 100 ms"));
  EXPECT_EQ(last_record().flags, Flag::upstream_request_timeout);
  EXPECT_EQ(last_record().attempts, 1U);
  EXPECT_TRUE(counted("upstream_rq_per_try_timeout", 1));
}

TEST_F(TimeoutTest, TheTimeOfARequestIsForAllItsTries) {
  Server app(silent());
  start_with(Milliseconds{500}, app.address(),
             config::RetryPolicy{
                 .retry_on = {"5xx"}, .retries = 1000, .per_try_timeout = Milliseconds{50}});
  const std::string response = ask(get);
  EXPECT_THAT(response, StartsWith("HTTP/1.1 504 "));
  EXPECT_THAT(response, HasSubstr("did not answer within 500 ms"));
  EXPECT_TRUE(counted("upstream_rq_timeout", 1));
}

TEST_F(TimeoutTest, AResponseThatTakesTooLongIsCutOff) {
  Server app(breaking_off());
  start_with(Milliseconds{500}, app.address());
  Wire wire = client();
  ASSERT_TRUE(wire.send(get));
  EXPECT_THAT(wire.all(), ::testing::EndsWith("\r\n\r\nhello"));
  EXPECT_EQ(last_record().status, 200U);
  EXPECT_EQ(last_record().flags, Flag::upstream_request_timeout);
}

TEST_F(TimeoutTest, ARequestThatDoesNotComeWholeIs408) {
  Server app([](Wire& wire, int) { (void)wire.all(); });
  config::HttpConnectionManager manager = manager_of({route_to("app")});
  manager.request_timeout = Milliseconds{100};
  start(std::move(manager), cluster_of("app", {app.address()}));
  const std::string response = ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
  EXPECT_THAT(response, StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(response, HasSubstr("did not come whole within 100 ms"));
  EXPECT_THAT(response, HasSubstr("connection: close\r\n"));
  EXPECT_TRUE(counted("downstream_rq_timeout", 1));
}

TEST_F(TimeoutTest, ABodyThatComesAfterItsHeadIsAnsweredInTimeToo) {
  Server app(silent());
  start_with(Milliseconds{200}, app.address());
  Wire wire = client();
  ASSERT_TRUE(
      wire.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"));
  EXPECT_THAT(wire.until("\r\n\r\n"), StartsWith("HTTP/1.1 100 "));
  ASSERT_TRUE(wire.send("hello"));
  EXPECT_THAT(wire.message(), StartsWith("HTTP/1.1 504 "));
}

TEST_F(TimeoutTest, TheTimeOfARequestThatHasComeIsNotThatOfItsAnswer) {
  Server app(Server::answering([](const std::string&) {
    std::this_thread::sleep_for(milliseconds(400));
    return ok_with("slow");
  }));
  config::HttpConnectionManager manager = manager_of({route_to("app")});
  manager.request_timeout = Milliseconds{100};
  start(std::move(manager), cluster_of("app", {app.address()}));
  EXPECT_THAT(ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"), HasSubstr("slow"));
}

TEST_F(TimeoutTest, AHeadThatDoesNotComeWholeIs408) {
  config::HttpConnectionManager manager = manager_of({route_to("app")});
  manager.request_headers_timeout = Milliseconds{100};
  start(std::move(manager), cluster_of("app", {}));
  Wire wire = client();
  ASSERT_TRUE(wire.send("GET / HTTP/1.1\r\nHost:"));
  const std::string all = wire.all();
  EXPECT_THAT(all, StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(all, HasSubstr("did not come in time"));
  EXPECT_TRUE(counted("downstream_rq_header_timeout", 1));
}

TEST_F(TimeoutTest, TheTimeOfARequestBeginsWithItsHead) {
  config::HttpConnectionManager manager = manager_of({route_to("app")});
  manager.request_timeout = Milliseconds{100};
  start(std::move(manager), cluster_of("app", {}));
  Wire wire = client();
  ASSERT_TRUE(wire.send("GET / HTTP/1.1\r\nHost:"));
  const std::string all = wire.all();
  EXPECT_THAT(all, StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(all, HasSubstr("the request did not come in time"));
  EXPECT_TRUE(counted("downstream_rq_timeout", 1));
}

TEST_F(TimeoutTest, TheTimeOfATryBeginsWhenTheRequestIsThere) {
  Server app(Server::answering(echo));
  start_with(
      Milliseconds{0}, app.address(),
      config::RetryPolicy{.retry_on = {"5xx"}, .retries = 1, .per_try_timeout = Milliseconds{300}});
  Wire wire = client();
  ASSERT_TRUE(wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na"));
  std::this_thread::sleep_for(milliseconds(700));
  ASSERT_TRUE(wire.send("b"));
  EXPECT_THAT(wire.message(), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(last_record().attempts, 1U);
}

// ── Silence ──────────────────────────────────────────────────────────────────────────────────────

TEST_F(TimeoutTest, ARequestInWhichNothingMovesIs504) {
  Server app(silent());
  config::HttpConnectionManager manager = manager_of({route_to("app")});
  manager.stream_idle_timeout = Milliseconds{100};
  start(std::move(manager), cluster_of("app", {app.address()}));
  EXPECT_THAT(ask(get), StartsWith("HTTP/1.1 504 "));
  EXPECT_EQ(last_record().flags, Flag::stream_idle_timeout);
  EXPECT_TRUE(counted("downstream_rq_idle_timeout", 1));
}

TEST_F(TimeoutTest, AClientThatSendsNoMoreOfItsRequestIs408) {
  Server app(silent());
  config::HttpConnectionManager manager = manager_of({route_to("app")});
  manager.stream_idle_timeout = Milliseconds{100};
  start(std::move(manager), cluster_of("app", {app.address()}));
  const std::string response = ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na");
  EXPECT_THAT(response, StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(response, HasSubstr("nothing of the request came for 100 ms"));
  EXPECT_EQ(last_record().flags, Flag::stream_idle_timeout);
  EXPECT_THAT(proxy_.stats("cluster.app.upstream_rq_timeout"), ::testing::Not(HasSubstr(": 1")));
}

TEST_F(TimeoutTest, AResponseInWhichNothingMovesIsCutOff) {
  Server app(breaking_off());
  config::HttpConnectionManager manager = manager_of({route_to("app")});
  manager.stream_idle_timeout = Milliseconds{500};
  start(std::move(manager), cluster_of("app", {app.address()}));
  Wire wire = client();
  ASSERT_TRUE(wire.send(get));
  EXPECT_THAT(wire.all(), ::testing::EndsWith("\r\n\r\nhello"));
  EXPECT_EQ(last_record().flags, Flag::stream_idle_timeout);
}

class TunnelTimeoutTest : public TimeoutTest {
 protected:
  void start_tunnel(Milliseconds idle) {
    config::HttpConnectionManager manager = manager_of({route_to("app")});
    manager.upgrades = {"websocket"};
    manager.stream_idle_timeout = idle;
    start(std::move(manager), cluster_of("app", {app_.address()}));
    wire_ = client();
    ASSERT_TRUE(wire_.send(
        "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"));
    ASSERT_THAT(wire_.until("\r\n\r\n"), StartsWith("HTTP/1.1 101 "));
  }
  Server app_{[](Wire& wire, int) {
    (void)wire.message();
    wire.send(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    for (std::string word = wire.exactly(4); !word.empty(); word = wire.exactly(4)) wire.send(word);
  }};
  Wire wire_{-1};
};

TEST_F(TunnelTimeoutTest, ATunnelInWhichNothingMovesEnds) {
  start_tunnel(Milliseconds{500});
  EXPECT_EQ(wire_.all(), "");
  EXPECT_EQ(last_record().status, 101U);
  EXPECT_EQ(last_record().flags, Flag::stream_idle_timeout);
}

TEST_F(TunnelTimeoutTest, ATunnelInUseLastsLongerThanItMayBeSilent) {
  start_tunnel(Milliseconds{1500});
  const auto end = std::chrono::steady_clock::now() + milliseconds(3500);
  while (std::chrono::steady_clock::now() < end) {
    ASSERT_TRUE(wire_.send("ping"));
    ASSERT_EQ(wire_.exactly(4), "ping");
    std::this_thread::sleep_for(milliseconds(50));
  }
}

TEST_F(TimeoutTest, AnIdleConnectionEndsAndABusyOneDoesNot) {
  Server app(Server::answering([](const std::string&) {
    std::this_thread::sleep_for(milliseconds(900));
    return ok_with("slow");
  }));
  config::HttpConnectionManager manager = manager_of({route_to("app")});
  manager.idle_timeout = Milliseconds{300};
  start(std::move(manager), cluster_of("app", {app.address()}));
  Wire used = client();
  ASSERT_TRUE(used.send(get));
  EXPECT_THAT(used.message(), HasSubstr("slow"));
  EXPECT_EQ(used.all(), "");
  Wire unused = client();
  EXPECT_EQ(unused.all(), "");
  EXPECT_TRUE(counted("downstream_cx_idle_timeout", 2));
}

TEST_F(TimeoutTest, AnIdleConnectionUpstreamEnds) {
  std::promise<void> ended;
  Server app([&](Wire& wire, int) {
    (void)wire.message();
    wire.send(ok_with("one"));
    EXPECT_EQ(wire.all(), "");
    ended.set_value();
  });
  config::Cluster cluster = cluster_of("app", {app.address()});
  cluster.idle_timeout = Milliseconds{100};
  start(manager_of({route_to("app")}), std::move(cluster));
  EXPECT_THAT(ask(get), HasSubstr("one"));
  ended.get_future().wait();
  EXPECT_TRUE(counted("upstream_cx_idle_timeout", 1));
}

// ── Connecting ───────────────────────────────────────────────────────────────────────────────────

// Listens, and takes nobody: its queue is full.
class FullQueue {
 public:
  FullQueue() {
    listening_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in raw{};
    raw.sin_family = AF_INET;
    raw.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(raw);
    EXPECT_EQ(::bind(listening_, reinterpret_cast<sockaddr*>(&raw), size), 0);
    EXPECT_EQ(::listen(listening_, 0), 0);
    ::getsockname(listening_, reinterpret_cast<sockaddr*>(&raw), &size);
    address_ = {IpAddress::v4({127, 0, 0, 1}), ntohs(raw.sin_port)};
    for (int& one : waiting_) {
      one = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      const int begun = ::connect(one, reinterpret_cast<sockaddr*>(&raw), size);
      EXPECT_TRUE(begun == 0 || errno == EINPROGRESS);
    }
  }
  ~FullQueue() {
    for (const int one : waiting_) ::close(one);
    ::close(listening_);
  }
  FullQueue(const FullQueue&) = delete;
  FullQueue& operator=(const FullQueue&) = delete;
  [[nodiscard]] const SocketAddress& address() const { return address_; }

 private:
  int listening_ = -1;
  std::array<int, 4> waiting_{};
  SocketAddress address_;
};

TEST_F(TimeoutTest, AConnectionThatTakesTooLongIs503) {
  const FullQueue app;
  config::Cluster cluster = cluster_of("app", {app.address()});
  cluster.connect_timeout = Milliseconds{100};
  start(manager_of({route_to("app")}), std::move(cluster));
  const std::string response = ask(get);
  EXPECT_THAT(response, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(response, HasSubstr("no connection to " + app.address().text()));
  EXPECT_TRUE(has(last_record().flags, Flag::upstream_connection_failure));
  EXPECT_GE(last_record().attempts, 2U);  // nothing was sent: it is tried again
  EXPECT_THAT(proxy_.stats("upstream_cx_connect_timeout"), HasSubstr("connect_timeout: "));
}

TEST_F(TimeoutTest, TheTimeOfARequestEndsItsConnecting) {
  const FullQueue app;
  config::Route route = route_to("app");
  route.forward.timeout = Milliseconds{100};
  start(manager_of({route}), cluster_of("app", {app.address()}));
  EXPECT_THAT(ask(get), StartsWith("HTTP/1.1 504 "));
  EXPECT_EQ(last_record().flags, Flag::upstream_request_timeout);
}

// ── TCP ──────────────────────────────────────────────────────────────────────────────────────────

TEST(TcpTimeout, AConnectionInWhichNothingMovesEnds) {
  std::promise<void> ended;
  Server app([&](Wire& wire, int) {
    EXPECT_EQ(wire.all(), "hello");
    EXPECT_TRUE(wire.ended_orderly());
    ended.set_value();
  });
  config::TcpProxy tcp;
  tcp.stat_prefix = "tcp";
  tcp.clusters.push_back({.cluster = "app"});
  tcp.idle_timeout = Milliseconds{500};
  RunningProxy proxy;
  ASSERT_TRUE(proxy
                  .apply(snapshot_of({listener_of("front", std::move(tcp))},
                                     {cluster_of("app", {app.address()})}))
                  .empty());
  Wire wire = Wire::to(proxy.address());
  ASSERT_TRUE(wire.send("hello"));
  EXPECT_EQ(wire.all(), "");
  EXPECT_TRUE(wire.ended_orderly());
  ended.get_future().wait();
  EXPECT_THAT(proxy.stats("idle_timeout"), HasSubstr("tcp.tcp.idle_timeout: 1\n"));
  EXPECT_TRUE(eventually([&] { return !proxy.records().empty(); }));
  EXPECT_EQ(proxy.records().back().flags, Flag::none);
}

}  // namespace
}  // namespace fairlead::proxy
