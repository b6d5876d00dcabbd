// When requests are tried again, and what ends that.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "proxy/test_memory.h"

namespace fairlead::proxy {
namespace {

using namespace testing;
using config::Milliseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Answer = MemoryConnector::Answer;

constexpr std::string_view get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

class RetryTest : public MemoryProxyTest {
 protected:
  void start_with(config::RetryPolicy retry, Milliseconds timeout = Milliseconds{0}) {
    config::Route route = route_to("app");
    route.forward.timeout = timeout;
    route.forward.retry = std::move(retry);
    start(manager_of({route}), cluster_of("app", {endpoint(1)}));
  }
  // The time from each attempt to the next.
  [[nodiscard]] std::vector<Duration> waits() const {
    std::vector<Duration> all;
    const std::vector<Instant>& at = proxy_.connector.asked_at;
    for (std::size_t number = 1; number < at.size(); ++number) {
      all.push_back(at[number] - at[number - 1]);
    }
    return all;
  }
  // Envoy's: below 25, 50, 100, 200 and then 250 ms, and a millisecond for the timer.
  static void expect_spread(const std::vector<Duration>& waits) {
    Duration most = milliseconds(25);
    Duration whole{};
    for (const Duration wait : waits) {
      EXPECT_LE(wait, most + milliseconds(1));
      whole += wait;
      most = std::min<Duration>(2 * most, milliseconds(250));
    }
    EXPECT_GT(whole, milliseconds(200));
    EXPECT_LT(whole, milliseconds(2200));
  }
};

TEST_F(RetryTest, WhereNobodyListensItWaitsBetweenTriesAndNotLongerThanTheCap) {
  proxy_.connector.answer = Answer::refused;
  start_with({.retry_on = {"connect-failure"}, .retries = 10});
  MemoryPeer& client = connect();
  client.send(get);
  EXPECT_EQ(client.received(), "");
  pass(seconds(3));
  EXPECT_THAT(client.received(), StartsWith("HTTP/1.1 503 "));
  EXPECT_EQ(waits().size(), 10U);
  expect_spread(waits());
}

TEST_F(RetryTest, AnAnswerIsTriedAgainAfterAWaitToo) {
  start_with({.retry_on = {"5xx"}, .retries = 11});
  MemoryPeer& client = connect();
  client.send(get);
  const Instant began = proxy_.clock.now();
  int answers = 0;
  for (int step = 0; step < 3000 && client.received().empty(); ++step) {
    if (proxy_.connections() == 1 && !server(0).received().empty()) {
      ++answers;
      server(0).send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    }
    pass(milliseconds(1));
  }
  const Duration whole = proxy_.clock.now() - began;
  EXPECT_EQ(answers, 12);
  EXPECT_EQ(proxy_.connections(), 1U);  // which went back to the pool each time
  EXPECT_EQ(last_record().attempts, 12U);
  EXPECT_EQ(last_record().flags, Flag::upstream_retry_limit_exceeded);
  EXPECT_GT(whole, milliseconds(200));
  EXPECT_LT(whole, milliseconds(2200));
}

TEST_F(RetryTest, ThePolicysWaitsAreHonoured) {
  proxy_.connector.answer = Answer::refused;
  start_with({.retry_on = {"connect-failure"},
              .retries = 40,
              .back_off_base = Milliseconds{2},
              .back_off_cap = Milliseconds{4}});
  MemoryPeer& client = connect();
  client.send(get);
  pass(milliseconds(300));
  EXPECT_THAT(client.received(), StartsWith("HTTP/1.1 503 "));
  for (const Duration wait : waits()) EXPECT_LE(wait, milliseconds(5));
}

TEST_F(RetryTest, AWaitEndsWithTheTimeOfTheRequest) {
  proxy_.connector.answer = Answer::refused;
  start_with({.retry_on = {"connect-failure"},
              .retries = 40,
              .back_off_base = Milliseconds{60'000},
              .back_off_cap = Milliseconds{60'000}},
             Milliseconds{100});
  MemoryPeer& client = connect();
  client.send(get);
  pass(milliseconds(102));
  EXPECT_THAT(client.received(), StartsWith("HTTP/1.1 504 "));
  EXPECT_EQ(last_record().flags, Flag::upstream_request_timeout);
}

TEST_F(RetryTest, NothingIsTriedAgainForAClientThatLeft) {
  proxy_.connector.answer = Answer::refused;
  start_with({.retry_on = {"connect-failure"},
              .retries = 40,
              .back_off_base = Milliseconds{60'000},
              .back_off_cap = Milliseconds{60'000}});
  MemoryPeer& client = connect();
  client.send(get);
  EXPECT_EQ(proxy_.connector.asked.size(), 1U);
  client.reset();
  pass(seconds(600));
  EXPECT_EQ(proxy_.connector.asked.size(), 1U);
  EXPECT_TRUE(has(last_record().flags, Flag::downstream_connection_termination));
}

TEST_F(RetryTest, AWaitEndsWithTheWorker) {
  proxy_.connector.answer = Answer::refused;
  start_with({.retry_on = {"connect-failure"},
              .retries = 40,
              .back_off_base = Milliseconds{60'000},
              .back_off_cap = Milliseconds{60'000}});
  connect().send(get);
  proxy_.worker.loop().run(proxy_.worker.end());
  EXPECT_EQ(proxy_.worker.open_connections(), 0U);
}

TEST_F(RetryTest, WhatComesAfterTheRequestWaitsForItsAnswer) {
  proxy_.connector.first = {Answer::refused};
  start_with({.retry_on = {"connect-failure"}, .retries = 1});
  MemoryPeer& client = connect();
  client.send(get);
  client.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n");  // during the wait
  pass(milliseconds(30));
  ASSERT_EQ(proxy_.connections(), 1U);
  EXPECT_THAT(server(0).received(), StartsWith("GET / "));
  server(0).send(ok_with("one"));
  EXPECT_THAT(server(0).received(), StartsWith("GET /next "));
  server(0).send(ok_with("two"));
  const std::string all = client.received();
  EXPECT_THAT(all, HasSubstr("one"));
  EXPECT_THAT(all, HasSubstr("two"));
}

}  // namespace
}  // namespace fairlead::proxy
