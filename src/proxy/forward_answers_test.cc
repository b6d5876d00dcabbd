// What is answered without asking an app, what is not the app's own answer, and what passes that is
// not an ordinary request and its response.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "proxy/test_peers.h"

namespace fairlead::proxy {
namespace {

using namespace testing;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class AnswersTest : public ForwardTest {
 protected:
  void start_with(config::Route route, const std::vector<SocketAddress>& endpoints = {}) {
    start(manager_of({std::move(route)}), cluster_of("app", endpoints));
  }
  static config::Route direct(std::uint32_t status, std::string body) {
    config::Route route;
    route.name = "direct";
    route.kind = config::Route::Kind::direct;
    route.direct = {.status = status, .body = std::move(body)};
    return route;
  }
};

// ── Our own answers ──────────────────────────────────────────────────────────────────────────────

TEST_F(AnswersTest, ADirectResponseIsTheRoutesOwn) {
  config::Route route = direct(418, "short and stout");
  route.response_headers_to_add = {{.name = "x-pot", .value = "tea"}};
  start_with(route);
  Wire wire = client();
  for (int round = 0; round < 2; ++round) {  // the connection is kept
    ASSERT_TRUE(wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"));
    const std::string response = wire.message();
    EXPECT_THAT(response, StartsWith("HTTP/1.1 418 "));
    EXPECT_THAT(response, HasSubstr("x-pot: tea\r\n"));
    EXPECT_THAT(response, HasSubstr("content-type: text/plain\r\n"));
    EXPECT_THAT(response, EndsWith("\r\n\r\nshort and stout"));
  }
  ASSERT_TRUE(wire.send("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
  const std::string head = wire.all();
  EXPECT_THAT(head, HasSubstr("content-length: 15\r\n"));
  EXPECT_THAT(head, EndsWith("\r\n\r\n"));
  EXPECT_EQ(last_record().flags, Flag::none);
  EXPECT_EQ(last_record().route.view(), "direct");
  EXPECT_EQ(last_record().attempts, 0U);
  EXPECT_THAT(proxy_.stats("rq_direct_response"), HasSubstr("rq_direct_response: 3\n"));
}

TEST_F(AnswersTest, ADirectResponseWithoutBody) {
  start_with(direct(204, ""));
  Wire wire = client();
  ASSERT_TRUE(wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  const std::string response = wire.until("\r\n\r\n");
  EXPECT_THAT(response, StartsWith("HTTP/1.1 204 "));
  EXPECT_THAT(response, Not(HasSubstr("content-length")));  // RFC 9110 §8.6
  ASSERT_TRUE(wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_THAT(wire.until("\r\n\r\n"), StartsWith("HTTP/1.1 204 "));
}

TEST_F(AnswersTest, ARedirectNamesItsTarget) {
  config::Route secure;
  secure.kind = config::Route::Kind::redirect;
  secure.path.value = "/secure";
  secure.redirect = {.scheme = "https"};
  config::Route moved;
  moved.kind = config::Route::Kind::redirect;
  moved.redirect = {.host = "new.example:81", .path = "/there", .status = 307};
  start(manager_of({secure, moved}), cluster_of("app", {}));
  std::string response = ask("GET /secure/x?y=1 HTTP/1.1\r\nHost: shop:80\r\n\r\n");
  EXPECT_THAT(response, StartsWith("HTTP/1.1 301 "));
  EXPECT_THAT(response, HasSubstr("location: https://shop/secure/x?y=1\r\n"));
  EXPECT_THAT(response, HasSubstr("content-length: 0\r\n"));
  response = ask("GET /else HTTP/1.1\r\nHost: shop\r\n\r\n");
  EXPECT_THAT(response, StartsWith("HTTP/1.1 307 "));
  EXPECT_THAT(response, HasSubstr("location: http://new.example:81/there\r\n"));
  EXPECT_THAT(proxy_.stats("rq_redirect"), HasSubstr("rq_redirect: 2\n"));
}

TEST_F(AnswersTest, ARedirectKeepsTheSchemeThatTheClientCameWith) {
  config::Route route;
  route.kind = config::Route::Kind::redirect;
  route.redirect.path = "/login";
  start_with(route);
  const std::string forwarded = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\r\n";
  EXPECT_THAT(ask(forwarded), HasSubstr("location: https://a/login\r\n"));
}

TEST_F(AnswersTest, RoutesSeeNothingThatAClientMadeUp) {
  config::Route secret = direct(200, "secret");
  secret.headers.push_back(
      {.name = "x-forwarded-proto",
       .value = config::StringMatch{.kind = config::StringMatch::Kind::exact, .value = "https"}});
  config::HttpConnectionManager manager = manager_of({secret, direct(403, "no")});
  manager.use_remote_address = true;
  start(std::move(manager), cluster_of("app", {}));
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\r\n"),
              StartsWith("HTTP/1.1 403 "));
}

TEST_F(AnswersTest, OurAnswersAreLoggedWithTheirFields) {
  char folder[] = "/tmp/fairlead-answers-XXXXXX";
  ASSERT_NE(::mkdtemp(folder), nullptr);
  const std::string path = std::string(folder) + "/log";
  config::Route route;
  route.kind = config::Route::Kind::redirect;
  route.redirect.path = "/x";
  config::HttpConnectionManager manager = manager_of({route});
  manager.access_logs = {
      {.path = path, .format = "%RESP(LOCATION)% %REQ(X-REQUEST-ID)% %REQ(X-FORWARDED-PROTO)%\n"}};
  start(std::move(manager), cluster_of("app", {}));
  (void)ask("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: mine\r\n\r\n");
  std::string log;
  EXPECT_TRUE(eventually([&] { return !(log = proxy_.log(path)).empty(); }));
  EXPECT_EQ(log, "http://a/x mine http\n");
  std::filesystem::remove_all(folder);
}

TEST_F(AnswersTest, OurErrorsToHeadHaveNoBody) {
  config::Route only = route_to("app");
  only.path.value = "/known";
  start_with(only);
  Wire wire = client();
  ASSERT_TRUE(wire.send("HEAD /unknown HTTP/1.1\r\nHost: a\r\n\r\n"));
  const std::string head = wire.until("\r\n\r\n");
  EXPECT_THAT(head, StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(head, HasSubstr("content-length: "));
  ASSERT_TRUE(wire.send("HEAD /known HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
  const std::string all = wire.all();
  EXPECT_THAT(all, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(all, EndsWith("\r\n\r\n"));
}

TEST_F(AnswersTest, WhatIsNoRequestToUsIsRecordedToo) {
  config::HttpConnectionManager manager = manager_of({route_to("app")});
  manager.max_headers_count = 3;
  start(std::move(manager), cluster_of("app", {}));
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: a\r\nx-1: a\r\nx-2: a\r\n\r\n"),
              StartsWith("HTTP/1.1 503 "));
  const std::string response =
      ask("GET / HTTP/1.1\r\nHost: a\r\nx-1: a\r\nx-2: a\r\nx-3: a\r\n\r\n");
  EXPECT_THAT(response, StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(response, HasSubstr("made of more than 3 fields"));
  EXPECT_TRUE(eventually([&] { return proxy_.records().size() == 2; }));
  const Record record = proxy_.records().back();
  EXPECT_EQ(record.status, 431U);
  EXPECT_EQ(record.flags, Flag::downstream_protocol_error);
  EXPECT_EQ(record.listener.view(), "front");
  EXPECT_EQ(record.downstream_local, proxy_.address());
  EXPECT_FALSE(record.upstream_remote);
  EXPECT_THAT(proxy_.stats("downstream_rq_too_large"), HasSubstr("too_large: 1\n"));
}

TEST_F(AnswersTest, TheLogTellsTrailersAndANameForEachEntry) {
  Server app(Server::answering([](const std::string&) {
    return std::string(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n"
        "X-Sum: 7\r\n\r\n");
  }));
  const std::string path = "/tmp/fairlead-trailers-" + std::to_string(::getpid()) + ".log";
  config::HttpConnectionManager manager = manager_of({route_to("app")});
  manager.access_logs = {
      {.path = path, .format = "%TRAILER(X-SUM)% %UNIQUE_ID% %STREAM_ID% %REQ(X-REQUEST-ID)%\n"}};
  start(std::move(manager), cluster_of("app", {app.address()}));
  for (int round = 0; round < 2; ++round) {
    EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
  }
  std::string log;
  EXPECT_TRUE(eventually([&] {
    log = proxy_.log(path);
    return std::count(log.begin(), log.end(), '\n') == 2;
  }));
  std::remove(path.c_str());
  std::vector<std::string> unique;
  for (std::size_t at = 0; at < log.size();) {
    const std::string line = log.substr(at, log.find('\n', at) - at);
    at += line.size() + 1;
    ASSERT_THAT(line, ::testing::MatchesRegex("7 [0-9a-f-]{36} [0-9a-f-]{36} [0-9a-f-]{36}"));
    unique.push_back(line.substr(2, 36));
    EXPECT_EQ(line.substr(39, 36), line.substr(76, 36));  // the stream's is the request's
  }
  ASSERT_EQ(unique.size(), 2U);
  EXPECT_NE(unique[0], unique[1]);
}

// ── Asking before sending ────────────────────────────────────────────────────────────────────────

constexpr std::string_view asking =
    "PUT /put HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";

TEST_F(AnswersTest, NobodyIsToldToSendWhatIsRefused) {
  config::Route only = route_to("app");
  only.path.value = "/other";
  start_with(only);
  Wire wire = client();
  ASSERT_TRUE(wire.send(asking));
  const std::string all = wire.until("\r\n\r\n");
  EXPECT_THAT(all, StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(all, HasSubstr("connection: close\r\n"));  // whether the body comes is not known
}

// Its answer is the first thing that the client hears: nobody has told it to send.
TEST_F(AnswersTest, AnAppMayRefuseBeforeTheBodyHasCome) {
  for (const char* refusal : {"417 Expectation Failed", "401 Unauthorized"}) {
    Server app([&](Wire& wire, int) {
      EXPECT_THAT(wire.until("\r\n\r\n"), HasSubstr("Expect: 100-continue\r\n"));
      wire.send("HTTP/1.1 " + std::string(refusal) + "\r\nContent-Length: 2\r\n\r\nno");
      (void)wire.all();
    });
    start({app.address()});
    Wire wire = client();
    ASSERT_TRUE(wire.send(asking));
    EXPECT_THAT(wire.all(), StartsWith("HTTP/1.1 " + std::string(refusal) + "\r\n"));
  }
  EXPECT_EQ(last_record().status, 401U);
}

// Expect is taken off by the listener's setting, or by the route: the body is asked for here.
TEST_F(AnswersTest, WhoeverTakesExpectOffSaysContinue) {
  Server app([](Wire& wire, int) {
    while (true) {
      const std::string request = wire.message();
      if (request.empty()) return;
      EXPECT_THAT(request, Not(HasSubstr("xpect")));
      wire.send(ok_with("taken"));
    }
  });
  for (const bool by_route : {false, true}) {
    config::Route route = route_to("app");
    if (by_route) route.request_headers_to_remove = {"expect"};
    config::HttpConnectionManager manager = manager_of({route});
    manager.answer_expect = !by_route;
    start(std::move(manager), cluster_of("app", {app.address()}));
    Wire wire = client();
    ASSERT_TRUE(wire.send(asking));
    EXPECT_EQ(wire.until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    ASSERT_TRUE(wire.send("hello"));
    EXPECT_THAT(wire.message(), EndsWith("taken"));
  }
}

TEST_F(AnswersTest, ContinueIsSaidOnce) {
  Server app([](Wire& wire, int) {
    (void)wire.until("\r\n\r\n");
    wire.send("HTTP/1.1 100 Continue\r\n\r\n");
    (void)wire.exactly(5);
    wire.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    wire.send(ok_with("done"));
    (void)wire.all();
  });
  start({app.address()});
  Wire wire = client();
  ASSERT_TRUE(wire.send(asking));
  EXPECT_EQ(wire.until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  ASSERT_TRUE(wire.send("hello"));
  EXPECT_THAT(wire.until("\r\n\r\n"), StartsWith("HTTP/1.1 103 "));  // other hints pass
  EXPECT_THAT(wire.message(), HasSubstr("done"));
}

TEST_F(AnswersTest, ABodyThatComesUnaskedIsNotAskedFor) {
  Server app(Server::answering(echo));
  start({app.address()});
  const std::string response = ask(std::string(asking) + "hello");
  EXPECT_THAT(response, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(response, EndsWith("\r\n\r\nhello"));
}

TEST_F(AnswersTest, AClientThatGoesBeforeItIsToldToSendLeavesNothingBehind) {
  std::promise<void> left;
  Server app([&](Wire& wire, int) {
    EXPECT_THAT(wire.all(), StartsWith("POST / "));
    left.set_value();
  });
  config::Cluster cluster = cluster_of("app", {app.address()});
  cluster.max_connections = 1;
  start(manager_of({route_to("app")}), std::move(cluster));
  {
    Wire first = client();
    ASSERT_TRUE(first.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"));
    ASSERT_TRUE(eventually([&] { return app.connections() == 1; }));
    Wire waiting = client();
    ASSERT_TRUE(waiting.send(asking));
    ASSERT_TRUE(eventually(
        [&] { return proxy_.stats("upstream_rq_active").find(": 2") != std::string::npos; }));
    waiting.reset();
    EXPECT_TRUE(eventually(
        [&] { return proxy_.stats("upstream_rq_active").find(": 1") != std::string::npos; }));
  }
  left.get_future().wait();
  EXPECT_TRUE(eventually([&] { return proxy_.records().size() == 2; }));
}

// ── What the far proxy never delivered ───────────────────────────────────────────────────────────

std::string undelivered(std::string_view mark = "x-fairlead-undelivered: no app\r\n") {
  return "HTTP/1.1 503 Service Unavailable\r\n" + std::string(mark) + "Content-Length: 2\r\n\r\nno";
}

TEST_F(AnswersTest, AMarked503IsTriedElsewhereWithoutAnyPolicy) {
  std::atomic<int> asked{0};
  const Server::Serve refuse = Server::answering([&](const std::string&) {
    ++asked;
    return undelivered();
  });
  Server one(refuse);
  Server two(refuse);
  start(manager_of({route_to("app")}), proxied(cluster_of("app", {one.address(), two.address()})));
  const std::string response = ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
  EXPECT_THAT(response, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(response, Not(HasSubstr("undelivered")));  // the mark is between proxies
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(one.connections(), 1);  // each of them
  EXPECT_EQ(two.connections(), 1);
  EXPECT_EQ(last_record().attempts, 2U);
  EXPECT_TRUE(has(last_record().flags, Flag::upstream_retry_limit_exceeded));
}

// An app without a proxy may say what it wants: its POST must not happen twice.
TEST_F(AnswersTest, TheMarkOfWhoeverHasNoProxyIsNotBelieved) {
  std::atomic<int> asked{0};
  Server app(Server::answering([&](const std::string&) {
    ++asked;
    return undelivered();
  }));
  config::Route route = route_to("app");
  // Nor by a route that would retry on any header that came.
  route.forward.retry = config::RetryPolicy{.retry_on = {"retriable-headers"}, .retries = 3};
  route.forward.retry->retriable_headers = {
      {.name = std::string(config::undelivered_mark), .value = {}}};
  for (const bool by_policy : {false, true}) {
    asked = 0;
    start(manager_of({by_policy ? route : route_to("app")}),
          cluster_of("app", {app.address(), app.address()}));
    const std::string response = ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    EXPECT_THAT(response, StartsWith("HTTP/1.1 503 "));
    EXPECT_THAT(response, Not(HasSubstr("undelivered")));
    EXPECT_EQ(asked, 1);
  }
}

// A snapshot that says so of the same endpoint counts from then on.
TEST_F(AnswersTest, WhoHasAProxyIsWhatControlSaysNow) {
  std::atomic<int> asked{0};
  Server app(Server::answering([&](const std::string&) {
    ++asked;
    return undelivered();
  }));
  const auto tries = [&](const config::Cluster& cluster) {
    asked = 0;
    EXPECT_TRUE(
        proxy_.apply(snapshot_of({listener_of("front", manager_of({route_to("app")}))}, {cluster}))
            .empty());
    address_ = proxy_.address();
    (void)ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    return asked.load();
  };
  const config::Cluster plain = cluster_of("app", {app.address()});
  EXPECT_EQ(tries(plain), 1);
  EXPECT_EQ(tries(proxied(plain)), 2);
  EXPECT_EQ(tries(plain), 1);
}

// The proxy beside an app takes off what only proxies say, on every answer.
TEST_F(AnswersTest, WhatAnAppMayNotSayIsTakenOffItsAnswers) {
  Server app(Server::answering([](const std::string&) {
    return std::string(
        "HTTP/1.1 103 Early Hints\r\nX-Fairlead-Undelivered: app\r\n\r\n"
        "HTTP/1.1 503 No\r\nX-Fairlead-Undelivered: app\r\nx-envoy-peer-metadata: Cg==\r\n"
        "X-Envoy-Peer-Metadata-Id: a\r\nX-Mine: 1\r\nContent-Length: 2\r\n\r\nno");
  }));
  for (const config::Direction direction :
       {config::Direction::inbound, config::Direction::outbound}) {
    start(manager_of({route_to("app")}), cluster_of("app", {app.address()}), direction);
    Wire wire = client();
    ASSERT_TRUE(wire.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    const std::string all = wire.all();
    EXPECT_THAT(all, StartsWith("HTTP/1.1 103 "));
    EXPECT_THAT(all, HasSubstr("HTTP/1.1 503 "));
    EXPECT_THAT(all, HasSubstr("X-Mine: 1\r\n"));
    EXPECT_THAT(all, Not(::testing::ContainsRegex("[Uu]ndelivered|[Mm]etadata")));
  }
}

// Two proxies, as between two pods: the app's mark ends at its own proxy.
TEST_F(AnswersTest, ThroughTheProxyBesideItTheAppsOwnMarkIsNotHeard) {
  std::atomic<int> asked{0};
  Server app(Server::answering([&](const std::string&) {
    ++asked;
    return undelivered();
  }));
  RunningProxy beside;
  config::Listener inbound = listener_of("inbound", manager_of({route_to("app")}));
  inbound.direction = config::Direction::inbound;
  ASSERT_TRUE(beside.apply(snapshot_of({std::move(inbound)}, {cluster_of("app", {app.address()})}))
                  .empty());
  start(manager_of({route_to("app")}), proxied(cluster_of("app", {beside.address()})));
  const std::string response = ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
  EXPECT_THAT(response, StartsWith("HTTP/1.1 503 "));
  EXPECT_EQ(asked, 1);
  // When the app is gone, that proxy's own mark is.
  app.stop();
  (void)ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
  ASSERT_TRUE(eventually([&] { return proxy_.records().size() == 2; }));
  EXPECT_EQ(last_record().attempts, 2U);
}

TEST_F(AnswersTest, A503WithoutTheMarkIsTheAppsOwn) {
  std::atomic<int> asked{0};
  Server app(Server::answering([&](const std::string&) {
    ++asked;
    return undelivered("");
  }));
  start({app.address()});
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 503 "));
  EXPECT_EQ(asked, 1);
}

TEST_F(AnswersTest, TheMarkMeansNothingOnOtherAnswers) {
  Server app(Server::answering(
      [](const std::string&) { return ok_with("fine", "x-fairlead-undelivered: a lie\r\n"); }));
  start({app.address()});
  const std::string response = ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(response, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(response, Not(HasSubstr("undelivered")));
  EXPECT_EQ(last_record().attempts, 1U);
}

TEST_F(AnswersTest, WhatIsPartlyGoneIsNotTriedElsewhere) {
  std::atomic<int> asked{0};
  Server app([&](Wire& wire, int) {
    (void)wire.until("\r\n\r\n");
    ++asked;
    (void)wire.exactly(3);
    wire.send(undelivered());
    (void)wire.all();
  });
  start(manager_of({route_to("app")}), proxied(cluster_of("app", {app.address()})));
  Wire wire = client();
  ASSERT_TRUE(wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nhi"));
  ASSERT_TRUE(eventually([&] { return asked == 1; }));
  ASSERT_TRUE(wire.send("!"));
  EXPECT_THAT(wire.until("\r\n\r\n"), StartsWith("HTTP/1.1 503 "));
  EXPECT_EQ(asked, 1);
}

class SentAgainTest : public AnswersTest {
 protected:
  // The first answer is 503, once the body is there; the next ones echo it.
  void start_refusing_once() {
    config::Route route = route_to("app");
    route.forward.retry = config::RetryPolicy{.retry_on = {"5xx"}, .retries = 1};
    start_with(std::move(route), {app_.address()});
  }
  std::atomic<int> begun_{0};
  Server app_{[this](Wire& wire, int) {
    while (true) {
      const std::string head = wire.until("\r\n\r\n");
      if (head.empty()) return;
      const bool first = ++begun_ == 1;
      const std::string size = head.substr(head.find("content-length: ") + 16);
      const std::string body = wire.exactly(std::stoul(size));
      wire.send(first ? undelivered("") : ok_with(body));
    }
  }};
};

TEST_F(SentAgainTest, ABodyThatCameInPieces) {
  start_refusing_once();
  Wire wire = client();
  ASSERT_TRUE(wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nab"));
  ASSERT_TRUE(eventually([&] { return begun_ == 1; }));
  ASSERT_TRUE(wire.send("cd"));
  ASSERT_TRUE(wire.send("ef"));
  EXPECT_THAT(wire.message(), EndsWith("\r\n\r\nabcdef"));
  EXPECT_EQ(begun_, 2);
}

TEST_F(SentAgainTest, ABodyThatIsTooLongToBeKeptIsNot) {
  start_refusing_once();
  Wire wire = client();
  ASSERT_TRUE(wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"));
  ASSERT_TRUE(eventually([&] { return begun_ == 1; }));
  ASSERT_TRUE(wire.send(std::string(100'000, 'x')));
  EXPECT_THAT(wire.message(), StartsWith("HTTP/1.1 503 "));
  EXPECT_EQ(begun_, 1);
  EXPECT_THAT(proxy_.stats("retry_or_shadow_abandoned"), HasSubstr("abandoned: 1"));
}

// ── Upgrades ─────────────────────────────────────────────────────────────────────────────────────

class UpgradeTest : public AnswersTest {
 protected:
  void start_upgrading(const SocketAddress& app, const std::string& what = "websocket") {
    config::Route route = route_to("app");
    if (what == "CONNECT") route.path.value = "";  // it has none
    config::HttpConnectionManager manager = manager_of({route});
    manager.upgrades = {what};
    start(std::move(manager), cluster_of("app", {app}));
  }
  static constexpr std::string_view upgrade_ =
      "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  static constexpr std::string_view switching_ =
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
};

TEST_F(UpgradeTest, TheHandshakePassesAsItIs) {
  Server app([](Wire& wire, int) {
    const std::string request = wire.message();
    EXPECT_THAT(request, HasSubstr("pgrade: WebSocket\r\n"));
    EXPECT_THAT(request, HasSubstr("onnection: "));
    EXPECT_THAT(request, HasSubstr("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"));
    wire.send(switching_);
    (void)wire.all();
  });
  start_upgrading(app.address());
  Wire wire = client();
  ASSERT_TRUE(wire.send(upgrade_));
  const std::string response = wire.until("\r\n\r\n");
  EXPECT_THAT(response, StartsWith("HTTP/1.1 101 Switching Protocols\r\n"));
  EXPECT_THAT(response, HasSubstr("pgrade: websocket\r\n"));
  EXPECT_THAT(response, HasSubstr("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
  EXPECT_THAT(response, Not(HasSubstr("content-length")));
  EXPECT_THAT(response, Not(HasSubstr("transfer-encoding")));
}

TEST_F(UpgradeTest, TheListIsReadAndOfItPassesWhatIsConfigured) {
  Server app([](Wire& wire, int) {
    while (true) {
      const std::string request = wire.message();
      if (request.empty()) return;
      EXPECT_THAT(request, HasSubstr("pgrade: websocket\r\n")) << request;
      EXPECT_THAT(request, Not(HasSubstr("h2c"))) << request;
      EXPECT_THAT(request, Not(HasSubstr("foo/1"))) << request;
      wire.send(ok_with("seen"));
    }
  });
  start_upgrading(app.address());
  for (const char* list :
       {"Upgrade: foo/1, websocket\r\n", "Upgrade: foo/1\r\nUpgrade: websocket\r\n",
        "Upgrade: h2c, websocket\r\n", "Upgrade: websocket,,h2c\r\n"}) {
    EXPECT_THAT(
        ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n" + std::string(list) + "\r\n"),
        EndsWith("seen"))
        << list;
  }
}

TEST_F(UpgradeTest, AnAppMaySwitchOnlyToWhatWasPassedOn) {
  Server app([](Wire& wire, int) {
    (void)wire.message();
    wire.send("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: foo/1\r\n\r\n");
    (void)wire.all();
  });
  start_upgrading(app.address());
  const std::string asked = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: foo/1";
  EXPECT_THAT(ask(asked + ", websocket\r\n\r\n"), StartsWith("HTTP/1.1 502 "));
  EXPECT_THAT(ask(asked + "\r\n\r\n"), StartsWith("HTTP/1.1 502 "));
}

TEST_F(UpgradeTest, MuchPassesInBothDirectionsAtOnce) {
  Server app([](Wire& wire, int) {
    (void)wire.message();
    wire.send(switching_);
    for (int round = 0; round < 100; ++round) wire.send(wire.exactly(20000));
    wire.shutdown_write();
  });
  start_upgrading(app.address());
  Wire wire = client();
  // The first words of the new protocol come with the handshake.
  const std::string words(2'000'000, 'w');
  ASSERT_TRUE(wire.send(std::string(upgrade_) + words.substr(0, 100)));
  EXPECT_THAT(wire.until("\r\n\r\n"), StartsWith("HTTP/1.1 101 "));
  std::thread sending([&] { wire.send(words.substr(100)); });
  const std::string back = wire.all();
  sending.join();
  EXPECT_EQ(back.size(), words.size());
  wire.shutdown_write();
  EXPECT_EQ(last_record().status, 101U);
  EXPECT_EQ(last_record().bytes_received, words.size());
  EXPECT_EQ(last_record().bytes_sent, words.size());
}

TEST_F(UpgradeTest, AnAppThatDoesNotWantToIsAnsweredAsUsual) {
  Server app(Server::answering([](const std::string&) { return ok_with("just http"); }));
  start_upgrading(app.address());
  Wire wire = client();
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(wire.send(upgrade_));
    EXPECT_THAT(wire.message(), EndsWith("\r\n\r\njust http"));
  }
  EXPECT_EQ(app.connections(), 1);
}

TEST_F(UpgradeTest, AnUpgradeThatNobodyAskedForIsNoAnswer) {
  Server app([](Wire& wire, int) {
    (void)wire.message();
    wire.send(switching_);
    (void)wire.all();
  });
  start_upgrading(app.address());
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 502 "));
}

TEST_F(UpgradeTest, ATunnelEndsWithItsApp) {
  Server app([](Wire& wire, int) {
    (void)wire.message();
    wire.send(switching_);
    (void)wire.exactly(4);
    wire.reset();
  });
  start_upgrading(app.address());
  Wire wire = client();
  ASSERT_TRUE(wire.send(upgrade_));
  EXPECT_THAT(wire.until("\r\n\r\n"), StartsWith("HTTP/1.1 101 "));
  ASSERT_TRUE(wire.send("ping"));
  EXPECT_EQ(wire.all(), "");
}

TEST_F(UpgradeTest, ConnectMakesATunnelWhereItIsAllowed) {
  Server app([](Wire& wire, int) {
    EXPECT_THAT(wire.until("\r\n\r\n"), StartsWith("CONNECT a:80 HTTP/1.1\r\n"));
    wire.send("HTTP/1.1 200 OK\r\n\r\nwelcome");
    EXPECT_EQ(wire.exactly(5), "hello");
    wire.shutdown_write();
    (void)wire.all();
  });
  start_upgrading(app.address(), "CONNECT");
  Wire wire = client();
  ASSERT_TRUE(wire.send("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"));
  const std::string head = wire.until("\r\n\r\n");
  EXPECT_THAT(head, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(head, Not(HasSubstr("transfer-encoding")));
  EXPECT_EQ(wire.exactly(7), "welcome");
  ASSERT_TRUE(wire.send("hello"));
  EXPECT_EQ(wire.all(), "");
}

}  // namespace
}  // namespace fairlead::proxy
