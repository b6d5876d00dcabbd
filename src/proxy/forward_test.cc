#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <string>

#include "proxy/test_peers.h"

namespace fairlead::proxy {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST_F(ForwardTest, ARequestGoesThereAndItsResponseComesBack) {
  Server app(Server::answering(echo));
  start({app.address()});
  const std::string response = ask("GET /reviews?id=7 HTTP/1.1\r\nHost: reviews:9080\r\n\r\n");
  EXPECT_THAT(response, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(response, HasSubstr("GET /reviews?id=7 HTTP/1.1\r\nhost: reviews:9080\r\n"));
  EXPECT_THAT(response, HasSubstr("x-request-id: "));
  EXPECT_THAT(response, HasSubstr("x-forwarded-proto: http\r\n"));
  EXPECT_THAT(response, HasSubstr("server: envoy\r\n"));
  EXPECT_THAT(response, HasSubstr("x-envoy-upstream-service-time: "));
  EXPECT_THAT(response, HasSubstr("date: "));
}

TEST_F(ForwardTest, ConnectionsAreKeptOnBothSides) {
  Server app(Server::answering(echo));
  start({app.address()});
  Wire wire = client();
  for (int number = 0; number < 5; ++number) {
    ASSERT_TRUE(wire.send("GET /" + std::to_string(number) + " HTTP/1.1\r\nHost: a\r\n\r\n"));
    EXPECT_THAT(wire.message(), HasSubstr("GET /" + std::to_string(number) + " HTTP/1.1\r\n"));
  }
  EXPECT_EQ(app.connections(), 1);
  const Record record = last_record();
  EXPECT_TRUE(record.pooled.has_value());
  EXPECT_EQ(record.status, 200U);
  EXPECT_EQ(record.upstream_remote, app.address());
}

TEST_F(ForwardTest, RequestsInARowAreAnsweredInOrder) {
  Server app(Server::answering(echo));
  start({app.address()});
  Wire wire = client();
  ASSERT_TRUE(
      wire.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\n"
                "Content-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_THAT(wire.message(), HasSubstr("GET /1 "));
  EXPECT_THAT(wire.message(), HasSubstr("POST /2 "));
  EXPECT_THAT(wire.message(), HasSubstr("GET /3 "));
}

TEST_F(ForwardTest, LargeBodiesPassInBothDirections) {
  Server app(Server::answering([](const std::string& request) {
    return ok_with(request.substr(request.find("\r\n\r\n") + 4));
  }));
  start({app.address()});
  std::string body(3'000'000, 'x');
  for (std::size_t at = 0; at < body.size(); at += 997) body[at] = static_cast<char>('a' + at % 26);
  Wire wire = client();
  std::thread sending([&] {
    wire.send("POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) +
              "\r\n\r\n" + body);
  });
  const std::string response = wire.message();
  sending.join();
  EXPECT_EQ(response.substr(response.find("\r\n\r\n") + 4), body);
}

TEST_F(ForwardTest, WhatWeAddToAResponseARouteMayTakeOff) {
  Server app(Server::answering(echo));
  config::Route route = route_to("app");
  route.response_headers_to_remove = {"x-envoy-upstream-service-time"};
  start(manager_of({route}), cluster_of("app", {app.address()}));
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Not(HasSubstr("service-time")));
}

TEST_F(ForwardTest, EveryByteIsCounted) {
  const std::string large(1'000'000, 'x');
  Server app(Server::answering([&](const std::string&) { return ok_with(large); }));
  start({app.address()});
  const std::string response = ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(proxy_.stats("http.test.downstream_cx_tx_bytes_total"),
              HasSubstr(": " + std::to_string(response.size()) + "\n"));
}

TEST_F(ForwardTest, ResponsesHaveLimitsOfTheirOwn) {
  const std::string large(78'000, 'x');
  Server app(
      Server::answering([&](const std::string&) { return ok_with("ok", "a: " + large + "\r\n"); }));
  config::HttpConnectionManager manager = manager_of({route_to("app")});
  manager.max_request_headers_kb = 1;
  start(std::move(manager), cluster_of("app", {app.address()}));
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(ForwardTest, ChunksAndTrailersPass) {
  Server app(Server::answering([](const std::string& request) {
    EXPECT_THAT(request, HasSubstr("\r\n\r\n3\r\nabc\r\n"));
    EXPECT_THAT(request, HasSubstr("0\r\nx-sum: 9\r\n\r\n"));
    return std::string(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-end\r\n\r\n"
        "5\r\nhello\r\n0\r\nx-end: yes\r\n\r\n");
  }));
  start({app.address()});
  const std::string response =
      ask("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
          "3\r\nabc\r\n2\r\nde\r\n0\r\nx-sum: 9\r\n\r\n");
  EXPECT_THAT(response, HasSubstr("5\r\nhello\r\n0\r\nx-end: yes\r\n\r\n"));
}

TEST_F(ForwardTest, ABodyThatEndsWithItsConnectionBecomesChunks) {
  Server app([](Wire& wire, int) {
    (void)wire.message();
    wire.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
  });
  start({app.address()});
  const std::string response = ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(response, HasSubstr("d\r\nuntil the end\r\n0\r\n\r\n"));
}

TEST_F(ForwardTest, HeadHasNoBody) {
  Server app([](Wire& wire, int) {
    while (!wire.message(false).empty()) {
      wire.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    }
  });
  start({app.address()});
  Wire wire = client();
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(wire.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"));
    EXPECT_THAT(wire.message(false), HasSubstr("content-length: 1000\r\n"));
  }
  EXPECT_EQ(app.connections(), 1);
}

TEST_F(ForwardTest, TheBodyIsAskedForBeforeItIsSent) {
  Server app([](Wire& wire, int) {
    EXPECT_THAT(wire.until("\r\n\r\n"), HasSubstr("Expect: 100-continue\r\n"));
    wire.send("HTTP/1.1 100 Continue\r\n\r\n");
    wire.send(ok_with(wire.exactly(5)));
  });
  start({app.address()});
  Wire wire = client();
  ASSERT_TRUE(
      wire.send("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"));
  EXPECT_EQ(wire.until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  ASSERT_TRUE(wire.send("hello"));
  EXPECT_THAT(wire.message(), ::testing::EndsWith("\r\n\r\nhello"));
}

TEST_F(ForwardTest, ABodyThatComesAfterItsHeadIsWholeWithItsLastByte) {
  Server app([](Wire& wire, int) {
    while (!wire.until("\r\n\r\n").empty()) {
      wire.send("HTTP/1.1 100 Continue\r\n\r\n");
      wire.send(ok_with(wire.exactly(5)));
    }
  });
  start({app.address()});
  Wire wire = client();
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(wire.send(
        "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"));
    EXPECT_EQ(wire.until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    ASSERT_TRUE(wire.send("hello"));
    const std::string response = wire.message();
    EXPECT_THAT(response, ::testing::EndsWith("\r\n\r\nhello"));
    EXPECT_THAT(response, Not(HasSubstr("connection: close")));
  }
  EXPECT_EQ(app.connections(), 1);
}

TEST_F(ForwardTest, AnUpgradeBecomesATunnel) {
  Server app([](Wire& wire, int) {
    EXPECT_THAT(wire.message(), HasSubstr("pgrade: websocket\r\n"));
    wire.send(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhi");
    EXPECT_EQ(wire.exactly(4), "ping");
    wire.send("pong");
    wire.shutdown_write();
    EXPECT_EQ(wire.all(), "bye");
  });
  config::HttpConnectionManager manager = manager_of({route_to("app")});
  manager.upgrades = {"websocket"};
  start(std::move(manager), cluster_of("app", {app.address()}));
  Wire wire = client();
  ASSERT_TRUE(wire.send(
      "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"));
  EXPECT_THAT(wire.until("\r\n\r\n"), StartsWith("HTTP/1.1 101 "));
  EXPECT_EQ(wire.exactly(2), "hi");
  ASSERT_TRUE(wire.send("ping"));
  EXPECT_EQ(wire.all(), "pong");
  ASSERT_TRUE(wire.send("bye"));
  wire.shutdown_write();
  EXPECT_TRUE(eventually([&] { return last_record().status == 101; }));
}

// Whoever is asked for a protocol that it does not offer ignores that (RFC 9110 §7.8).
TEST_F(ForwardTest, AnUpgradeThatIsNotConfiguredIsIgnored) {
  Server app(Server::answering(echo));
  start({app.address()});
  for (const char* asked :
       {"Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c, websocket\r\nHTTP2-Settings: AA\r\n",
        "Connection: x\r\nConnection: upgrade\r\nUpgrade: foo/1\r\nUpgrade: websocket\r\n"}) {
    const std::string response =
        ask("GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n" + std::string(asked) + "\r\n");
    EXPECT_THAT(response, StartsWith("HTTP/1.1 200 ")) << asked;
    EXPECT_THAT(response, HasSubstr("Accept: */*")) << asked;
    EXPECT_THAT(response, Not(::testing::ContainsRegex("[Uu]pgrade"))) << asked;
  }
  EXPECT_THAT(proxy_.stats("ws_on_non_ws"), HasSubstr("downstream_rq_ws_on_non_ws_route: 3\n"));
}

TEST_F(ForwardTest, ConnectThatIsNotConfiguredIsRefused) {
  Server app(Server::answering(echo));
  start({app.address()});
  EXPECT_THAT(ask("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"), StartsWith("HTTP/1.1 403 "));
  EXPECT_EQ(app.connections(), 0);
}

TEST_F(ForwardTest, ABrokenRequestIsAnsweredAndTheConnectionEnds) {
  Server app(Server::answering(echo));
  start({app.address()});
  Wire wire = client();
  ASSERT_TRUE(
      wire.send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: "
                "chunked\r\n\r\n0\r\n\r\n"
                "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"));
  const std::string all = wire.all();
  EXPECT_THAT(all, StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(all.find("HTTP/1.1", 8), std::string::npos);
  EXPECT_EQ(app.connections(), 0);
}

TEST_F(ForwardTest, NoRouteNoClusterNoEndpointAreSaidInWords) {
  config::Route only = route_to("app");
  only.path.value = "/known";
  config::Route nowhere = route_to("missing");
  nowhere.path.value = "/nowhere";
  start(manager_of({only, nowhere}), cluster_of("app", {}));
  std::string response = ask("GET /unknown HTTP/1.1\r\nHost: shop\r\n\r\n");
  EXPECT_THAT(response, StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(response, HasSubstr("fairlead: no route takes"));
  response = ask("GET /nowhere HTTP/1.1\r\nHost: shop\r\n\r\n");
  EXPECT_THAT(response, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(response, HasSubstr("the cluster missing, which is not known"));
  response = ask("GET /known HTTP/1.1\r\nHost: shop\r\n\r\n");
  EXPECT_THAT(response, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(response, HasSubstr("no endpoint of the cluster app is ready"));
  EXPECT_EQ(last_record().flags, Flag::no_healthy_upstream);
}

TEST_F(ForwardTest, AConnectionThatCannotBeMadeIsTriedElsewhere) {
  Server app(Server::answering(echo));
  config::Route route = route_to("app");
  route.forward.retry = config::RetryPolicy{.retry_on = {"connect-failure"}, .retries = 2};
  start(manager_of({route}), cluster_of("app", {nobody_listens(), app.address()}));
  for (int round = 0; round < 4; ++round) {
    EXPECT_THAT(ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"),
                StartsWith("HTTP/1.1 200 "));
  }
}

TEST_F(ForwardTest, WhenAllFailTheCauseIsSaid) {
  start({nobody_listens()});
  const std::string response = ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(response, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(response, HasSubstr("refused"));
  EXPECT_THAT(response, Not(HasSubstr("x-fairlead-undelivered")));
  EXPECT_TRUE(has(last_record().flags, Flag::upstream_connection_failure));
}

TEST_F(ForwardTest, InboundMarksWhatItNeverDelivered) {
  start(manager_of({route_to("app")}), cluster_of("app", {nobody_listens()}),
        config::Direction::inbound);
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), HasSubstr("x-fairlead-undelivered: "));
}

TEST_F(ForwardTest, InboundMarksASafeRequestThatDiedWithItsAppAndNoOther) {
  Server dying([](Wire& wire, int) {
    (void)wire.message();
    wire.reset();
  });
  start(manager_of({route_to("app")}), cluster_of("app", {dying.address()}),
        config::Direction::inbound);
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), HasSubstr("x-fairlead-undelivered: "));
  EXPECT_THAT(ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"),
              Not(HasSubstr("x-fairlead-undelivered")));
}

TEST_F(ForwardTest, WhatWasNeverDeliveredIsTriedElsewhereAndTheMarkIsTakenOff) {
  Server refusing(Server::answering([](const std::string&) {
    return std::string(
        "HTTP/1.1 503 Service Unavailable\r\nx-fairlead-undelivered: no app\r\n"
        "Content-Length: 2\r\n\r\nno");
  }));
  Server app(Server::answering(echo));
  config::Route route = route_to("app");
  route.forward.retry = config::RetryPolicy{.retry_on = {"connect-failure"}, .retries = 2};
  start(manager_of({route}), proxied(cluster_of("app", {refusing.address(), app.address()})));
  for (int round = 0; round < 4; ++round) {
    EXPECT_THAT(ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"),
                StartsWith("HTTP/1.1 200 "));
  }
  app.stop();
}

TEST_F(ForwardTest, AnAnswerWithARetriableHeaderIsTriedElsewhere) {
  Server busy(Server::answering([](const std::string&) {
    return std::string("HTTP/1.1 200 OK\r\nX-Busy: yes\r\nContent-Length: 4\r\n\r\nbusy");
  }));
  Server app(Server::answering(echo));
  config::Route route = route_to("app");
  route.forward.retry = config::RetryPolicy{.retry_on = {"retriable-headers"},
                                            .retriable_headers = {{.name = "x-busy", .value = {}}}};
  start(manager_of({route}), cluster_of("app", {busy.address(), app.address()}));
  for (int round = 0; round < 4; ++round) {
    EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Not(HasSubstr("busy")));
  }
}

TEST_F(ForwardTest, ASafeRequestSurvivesAServerThatClosesAKeptConnection) {
  Server app([](Wire& wire, int connection) {
    (void)wire.message();
    wire.send(ok_with("first"));
    if (connection == 0) {
      (void)wire.message();  // the second request is read and not answered
      wire.reset();
      return;
    }
    while (!wire.message().empty()) wire.send(ok_with("again"));
  });
  start({app.address()});
  Wire wire = client();
  ASSERT_TRUE(wire.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_THAT(wire.message(), HasSubstr("first"));
  ASSERT_TRUE(wire.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_THAT(wire.message(), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(last_record().attempts, 2U);
}

TEST_F(ForwardTest, AnEndpointThatLeavesWhileItIsAskedMayBeTriedElsewhere) {
  std::promise<void> asked;
  std::promise<void> gone;
  Server leaving([&](Wire& wire, int) {
    if (wire.message().empty()) return;
    asked.set_value();
    gone.get_future().wait();
    wire.reset();
  });
  Server app(Server::answering(echo));
  start({leaving.address()});
  config::Listener listener = listener_of("front", manager_of({route_to("app")}));
  Wire wire = client();
  ASSERT_TRUE(wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  asked.get_future().wait();
  EXPECT_TRUE(proxy_.apply(snapshot_of({std::move(listener)}, {cluster_of("app", {app.address()})}))
                  .empty());
  gone.set_value();
  EXPECT_THAT(wire.message(), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(last_record().attempts, 2U);
}

TEST_F(ForwardTest, AnUnsafeRequestIsNotSentTwice) {
  std::atomic<int> seen{0};
  Server app([&](Wire& wire, int) {
    if (!wire.message().empty()) ++seen;
    wire.reset();
  });
  start({app.address()});
  const std::string response = ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
  EXPECT_THAT(response, StartsWith("HTTP/1.1 503 "));
  EXPECT_EQ(seen, 1);
  EXPECT_EQ(last_record().flags, Flag::upstream_connection_termination);
}

TEST_F(ForwardTest, ASafeRequestWithABodyIsNotSentTwiceEither) {
  std::atomic<int> seen{0};
  Server app([&](Wire& wire, int) {
    if (!wire.message().empty()) ++seen;
    wire.reset();
  });
  start({app.address()});
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"),
              StartsWith("HTTP/1.1 503 "));
  EXPECT_EQ(seen, 1);
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
              StartsWith("HTTP/1.1 503 "));
  EXPECT_EQ(seen, 3);  // a body of no bytes is none
}

TEST_F(ForwardTest, ABodyThatIsHereWholeIsSentAgainWhenThePolicySaysSo) {
  std::atomic<int> seen{0};
  Server app([&](Wire& wire, int connection) {
    const std::string request = wire.message();
    EXPECT_THAT(request, ::testing::EndsWith("\r\n\r\nhi"));
    ++seen;
    if (connection == 0) return wire.reset();
    wire.send(ok_with("second"));
  });
  config::Route route = route_to("app");
  route.forward.retry = config::RetryPolicy{.retry_on = {"reset"}, .retries = 1};
  start(manager_of({route}), cluster_of("app", {app.address()}));
  EXPECT_THAT(ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"),
              HasSubstr("second"));
  EXPECT_EQ(seen, 2);
}

TEST_F(ForwardTest, ARequestThatTakesTooLongIs504) {
  Server app([](Wire& wire, int) {
    (void)wire.message();
    (void)wire.message();  // until the proxy gives up
  });
  config::Route route = route_to("app");
  route.forward.timeout = config::Milliseconds{300};
  start(manager_of({route}), cluster_of("app", {app.address()}));
  const std::string response = ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(response, StartsWith("HTTP/1.1 504 "));
  EXPECT_THAT(response, HasSubstr("did not answer within 300 ms"));
  EXPECT_EQ(last_record().flags, Flag::upstream_request_timeout);
}

TEST_F(ForwardTest, AClientThatGoesAwayEndsTheRequestUpstream) {
  std::promise<void> left;
  Server app([&](Wire& wire, int) {
    (void)wire.message();
    EXPECT_EQ(wire.message(), "");
    left.set_value();
  });
  start({app.address()});
  {
    Wire wire = client();
    ASSERT_TRUE(wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    ASSERT_TRUE(eventually([&] { return app.connections() == 1; }));
  }
  left.get_future().wait();
  EXPECT_EQ(last_record().flags, Flag::downstream_connection_termination);
}

// An app that answers the first request when the test says so, and no other.
Server::Serve answering_one(std::promise<void>& came, std::future<void> go) {
  return [&came, go = std::make_shared<std::future<void>>(std::move(go))](Wire& wire, int number) {
    ASSERT_EQ(number, 0);
    EXPECT_THAT(wire.message(), StartsWith("GET /1 "));
    came.set_value();
    go->wait();
    wire.send(ok_with("one"));
    EXPECT_EQ(wire.message(), "");
  };
}

constexpr std::string_view two_in_a_row =
    "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n";

TEST_F(ForwardTest, WhatAClientSentBeforeItLeftIsNotSentOn) {
  std::promise<void> came;
  std::promise<void> go;
  Server app(answering_one(came, go.get_future()));
  start({app.address()});
  Wire wire = client();
  ASSERT_TRUE(wire.send(two_in_a_row));
  came.get_future().wait();
  wire.close();
  go.set_value();
  ASSERT_TRUE(eventually([&] { return proxy_.records().size() == 2; }));
  const Record second = last_record();
  EXPECT_EQ(second.flags, Flag::downstream_connection_termination);
  EXPECT_EQ(second.attempts, 0U);
}

TEST_F(ForwardTest, AResetEndsTheRequestBehindWhichAnotherWaits) {
  std::promise<void> came;
  std::promise<void> go;
  Server app(answering_one(came, go.get_future()));
  start({app.address()});
  Wire wire = client();
  ASSERT_TRUE(wire.send(two_in_a_row));
  came.get_future().wait();
  wire.reset();
  ASSERT_TRUE(eventually([&] { return !proxy_.records().empty(); }));
  go.set_value();
  EXPECT_EQ(last_record().flags, Flag::downstream_connection_termination);
  EXPECT_TRUE(eventually(
      [&] { return proxy_.stats("downstream_cx_active").find(": 1") == std::string::npos; }));
  EXPECT_EQ(proxy_.records().size(), 1U);
}

TEST_F(ForwardTest, AClientThatHasSaidAllIsAnswered) {
  std::promise<void> came;
  std::promise<void> go;
  const std::string large(std::size_t{8} * 1024 * 1024, 'x');
  Server app([&](Wire& wire, int) {
    EXPECT_THAT(wire.message(), StartsWith("GET /1 "));
    came.set_value();
    go.get_future().wait();
    wire.send(ok_with("one"));
    EXPECT_THAT(wire.message(), StartsWith("GET /2 "));
    wire.send(ok_with(large));
    (void)wire.message();
  });
  start({app.address()});
  Wire wire = client();
  ASSERT_TRUE(wire.send(two_in_a_row));
  came.get_future().wait();
  wire.shutdown_write();
  go.set_value();
  EXPECT_THAT(wire.message(), HasSubstr("one"));
  EXPECT_THAT(wire.message().size(), ::testing::Gt(large.size()));
}

TEST_F(ForwardTest, AnswersThatAreNoHttpAre502) {
  Server app([](Wire& wire, int) {
    (void)wire.message();
    wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nab");
  });
  start({app.address()});
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 502 "));
  EXPECT_EQ(last_record().flags, Flag::upstream_protocol_error);
}

TEST_F(ForwardTest, AResponseThatEndsInsideItsHeadIs502AndSafeRequestsAreSentOnceMore) {
  std::atomic<int> asked = 0;
  Server app([&](Wire& wire, int) {
    (void)wire.message();
    ++asked;
    wire.send("HTTP/1.1 200 OK\r\nContent-Le");
  });
  start({app.address()});
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 502 "), HasSubstr("inside its answer's head")));
  EXPECT_TRUE(has(last_record().flags, Flag::upstream_protocol_error));
  EXPECT_EQ(asked, 2);
  EXPECT_THAT(ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"),
              StartsWith("HTTP/1.1 502 "));
  EXPECT_EQ(asked, 3);
}

TEST_F(ForwardTest, AResponseThatBreaksOffIsNotMadeToLookWhole) {
  Server app([](Wire& wire, int) {
    (void)wire.message();
    wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
  });
  start({app.address()});
  Wire wire = client();
  ASSERT_TRUE(wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_THAT(wire.all(), Not(HasSubstr("0\r\n\r\n")));
  EXPECT_EQ(last_record().flags, Flag::upstream_connection_termination);
}

TEST_F(ForwardTest, AResponseThatTurnsIntoGarbageIsTheServersFault) {
  Server app([](Wire& wire, int) {
    (void)wire.message();
    wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n");
  });
  start({app.address()});
  Wire wire = client();
  ASSERT_TRUE(wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_THAT(wire.all(), Not(HasSubstr("0\r\n\r\n")));
  EXPECT_EQ(last_record().flags, Flag::upstream_protocol_error);
}

TEST_F(ForwardTest, AServerMayAnswerBeforeItHasReadTheBody) {
  Server app([](Wire& wire, int) {
    (void)wire.until("\r\n\r\n");
    wire.send(
        "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
    wire.shutdown_write();
    (void)wire.all();
  });
  start({app.address()});
  Wire wire = client();
  ASSERT_TRUE(wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\nxx"));
  EXPECT_THAT(wire.all(), StartsWith("HTTP/1.1 413 "));
}

TEST_F(ForwardTest, LimitsOfTheClusterHold) {
  std::promise<void> go;
  std::shared_future<void> gone = go.get_future().share();
  Server app([&](Wire& wire, int) {
    while (!wire.message().empty()) {
      gone.wait();
      if (!wire.send(ok_with("done"))) return;
    }
  });
  config::Cluster cluster = cluster_of("app", {app.address()});
  cluster.max_connections = 1;
  cluster.max_pending_requests = 1;
  start(manager_of({route_to("app")}), std::move(cluster));
  Wire first = client();
  ASSERT_TRUE(first.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(eventually([&] { return app.connections() == 1; }));
  Wire second = client();
  ASSERT_TRUE(second.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(eventually(
      [&] { return proxy_.stats("upstream_rq_pending_active").find(": 1") != std::string::npos; }));
  const std::string third = ask("GET /3 HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(third, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(third, HasSubstr("x-envoy-overloaded: true\r\n"));
  go.set_value();
  EXPECT_THAT(first.message(), HasSubstr("done"));
  EXPECT_THAT(second.message(), HasSubstr("done"));
  EXPECT_EQ(app.connections(), 1);
}

TEST(ForwardByManyWorkers, ALimitOfConnectionsLeavesNobodyWaitingForAnotherWorkers) {
  Server app(Server::answering(echo));
  config::Cluster cluster = cluster_of("app", {app.address()});
  cluster.max_connections = 1;
  RunningProxy proxy(ProxyOptions{.concurrency = 3, .worker = {}});
  ASSERT_TRUE(proxy
                  .apply(snapshot_of({listener_of("front", manager_of({route_to("app")}))},
                                     {std::move(cluster)}))
                  .empty());
  const SocketAddress address = proxy.address();
  for (int turn = 0; turn < 30; ++turn) {  // the kernel spreads them
    Wire wire = Wire::to(address);
    ASSERT_TRUE(wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    ASSERT_THAT(wire.message(), StartsWith("HTTP/1.1 200 "));
  }
  EXPECT_LE(app.connections(), 3);
}

TEST_F(ForwardTest, ALimitOfNoConnectionsIsOne) {
  Server app(Server::answering(echo));
  config::Cluster cluster = cluster_of("app", {app.address()});
  cluster.max_connections = 0;
  start(manager_of({route_to("app")}), std::move(cluster));
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(app.connections(), 1);
}

TEST_F(ForwardTest, ARequestHasTheBudgetOfRetriesToItself) {
  Server app(Server::answering(
      [](const std::string&) { return "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"; }));
  config::Route route = route_to("app");
  route.forward.retry = config::RetryPolicy{.retry_on = {"5xx"}, .retries = 3};
  config::Cluster cluster = cluster_of("app", {app.address()});
  cluster.max_retries = 1;
  start(manager_of({route}), std::move(cluster));
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 503 "));
  EXPECT_EQ(last_record().attempts, 4U);
  EXPECT_EQ(last_record().flags, Flag::upstream_retry_limit_exceeded);
}

TEST_F(ForwardTest, OldClientsAreServed) {
  Server app(Server::answering(echo));
  start({app.address()});
  Wire wire = client();
  ASSERT_TRUE(wire.send("GET / HTTP/1.0\r\n\r\n"));
  const std::string all = wire.all();
  EXPECT_THAT(all, HasSubstr(" 200 OK\r\n"));
  // They cannot expect to be told to go on (RFC 9110 §10.1.1), and the app is not asked to either.
  const std::string posted =
      ask("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi");
  EXPECT_THAT(posted, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(posted, Not(HasSubstr("xpect")));
}

}  // namespace
}  // namespace fairlead::proxy
