#include "http/grpc_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace fairlead::http {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using namespace std::chrono_literals;

struct Pair {
  GrpcSession client;
  GrpcSession server;
  std::vector<GrpcEvent> at_client;
  std::vector<GrpcEvent> at_server;

  explicit Pair(const GrpcOptions& options = {})
      : client(GrpcSession::Role::client, options), server(GrpcSession::Role::server, options) {}

  GrpcCall start(std::optional<Duration> timeout = std::nullopt) {
    return *client.start({.method = "/a.B/C", .authority = "control:15010", .timeout = timeout});
  }
  static bool carry(GrpcSession& from, GrpcSession& to) {
    const std::string bytes = from.take_output();
    EXPECT_TRUE(to.receive(bytes).ok());
    return !bytes.empty();
  }
  void settle() {
    bool moved = true;
    while (moved) {
      moved = carry(client, server);
      moved = carry(server, client) || moved;
    }
    for (GrpcEvent& event : server.take_events()) at_server.push_back(std::move(event));
    for (GrpcEvent& event : client.take_events()) at_client.push_back(std::move(event));
  }
};

template <class T>
std::vector<T> all_of(const std::vector<GrpcEvent>& events) {
  std::vector<T> found;
  for (const GrpcEvent& event : events) {
    if (const T* one = std::get_if<T>(&event)) found.push_back(*one);
  }
  return found;
}

std::vector<std::string> messages_of(const std::vector<GrpcEvent>& events) {
  std::vector<std::string> messages;
  for (const GrpcMessage& message : all_of<GrpcMessage>(events)) messages.push_back(message.bytes);
  return messages;
}

TEST(GrpcSession, MessagesGoBothWaysUntilBothEnd) {
  Pair pair;
  const GrpcCall call = pair.start(5s);
  pair.client.send(call, "one");
  pair.settle();
  ASSERT_THAT(all_of<GrpcOpened>(pair.at_server), SizeIs(1));
  const GrpcOpened opened = all_of<GrpcOpened>(pair.at_server)[0];
  EXPECT_EQ(opened.method, "/a.B/C");
  EXPECT_EQ(opened.timeout, Duration(5s));
  EXPECT_THAT(messages_of(pair.at_server), ElementsAre("one"));

  pair.server.send(call, "uno");
  pair.client.send(call, "two");
  pair.server.send(call, "dos");
  pair.settle();
  EXPECT_THAT(messages_of(pair.at_server), ElementsAre("one", "two"));
  EXPECT_THAT(messages_of(pair.at_client), ElementsAre("uno", "dos"));

  pair.client.half_close(call);
  pair.settle();
  EXPECT_THAT(all_of<GrpcHalfClosed>(pair.at_server), SizeIs(1));
  pair.server.finish(call, {GrpcCode::ok, ""});
  pair.settle();
  ASSERT_THAT(all_of<GrpcEnded>(pair.at_client), SizeIs(1));
  EXPECT_TRUE(all_of<GrpcEnded>(pair.at_client)[0].status.ok());
  ASSERT_THAT(all_of<GrpcEnded>(pair.at_server), SizeIs(1));
  EXPECT_TRUE(all_of<GrpcEnded>(pair.at_server)[0].status.ok());
  EXPECT_EQ(pair.server.open_calls(), 0);
}

TEST(GrpcSession, AnErrorWithoutAMessageIsTrailersOnly) {
  Pair pair;
  const GrpcCall call = pair.start();
  pair.settle();
  pair.server.finish(call, {GrpcCode::unimplemented, "no such method: /a.B/C"});
  pair.settle();
  const auto ended = all_of<GrpcEnded>(pair.at_client);
  ASSERT_THAT(ended, SizeIs(1));
  EXPECT_EQ(ended[0].status.code, GrpcCode::unimplemented);
  EXPECT_EQ(ended[0].status.message, "no such method: /a.B/C");
}

TEST(GrpcSession, ALargeMessagePassesASmallWindow) {
  Pair pair({.max_waiting = 1000, .http2 = {.stream_window = 70000}});
  const GrpcCall call = pair.start();
  pair.client.send(call, std::string(1'000'000, 'x'));
  pair.settle();
  ASSERT_THAT(messages_of(pair.at_server), SizeIs(1));
  EXPECT_EQ(messages_of(pair.at_server)[0].size(), 1'000'000);
}

TEST(GrpcSession, WhoeverDoesNotTakeMessagesIsNotFlooded) {
  Pair pair({.max_waiting = 1000, .http2 = {.stream_window = 70000}});
  const GrpcCall call = pair.start();
  const std::string message(10'000, 'x');
  for (int i = 0; i < 100; ++i) pair.client.send(call, message);
  pair.settle();
  const std::size_t before = messages_of(pair.at_server).size();
  EXPECT_LT(before, 20);
  EXPECT_GT(pair.client.queued(call), 100'000);

  std::size_t taken = 0;
  for (int round = 0; round < 200 && taken < 100; ++round) {
    for (const GrpcMessage& one : all_of<GrpcMessage>(std::exchange(pair.at_server, {}))) {
      pair.server.taken(one);
      ++taken;
    }
    pair.settle();
  }
  EXPECT_EQ(taken, 100);
  EXPECT_EQ(pair.client.queued(call), 0);
}

TEST(GrpcSession, EmptyMessagesThatNobodyTakesCountToo) {
  Pair pair({.max_waiting = 64 * 100});
  const GrpcCall call = pair.start();
  for (int i = 0; i < 10'000; ++i) pair.client.send(call, "");
  pair.client.half_close(call);
  pair.settle();
  EXPECT_THAT(messages_of(pair.at_server), SizeIs(100));
  EXPECT_THAT(all_of<GrpcHalfClosed>(pair.at_server), SizeIs(0)) << "messages wait before it";

  std::size_t taken = 0;
  for (int round = 0; round < 200 && taken < 10'000; ++round) {
    for (const GrpcMessage& one : all_of<GrpcMessage>(std::exchange(pair.at_server, {}))) {
      pair.server.taken(one);
      ++taken;
    }
    pair.settle();
  }
  EXPECT_EQ(taken, 10'000);
  EXPECT_THAT(all_of<GrpcHalfClosed>(pair.at_server), SizeIs(1));
}

// The beginning of a message of megabytes, and no more of it.
void begin_large(Pair& pair, GrpcCall call) {
  pair.client.begin_message(call, 3'000'000);
  pair.client.send_part(call, std::string(2'000'000, 'x'));
  pair.settle();
}

TEST(GrpcSession, MessagesThatNeverComeWholeAreBoundedForAConnection) {
  Pair pair({.max_unfinished = 5'000'000});
  begin_large(pair, pair.start());
  begin_large(pair, pair.start());
  EXPECT_THAT(all_of<GrpcEnded>(pair.at_client), SizeIs(0));
  begin_large(pair, pair.start());
  ASSERT_THAT(all_of<GrpcEnded>(pair.at_client), SizeIs(1));
  EXPECT_EQ(all_of<GrpcEnded>(pair.at_client)[0].status.code, GrpcCode::resource_exhausted);
}

TEST(GrpcSession, MessagesThatNeverComeWholeAreBoundedForAllConnections) {
  const auto budget = std::make_shared<GrpcBudget>(GrpcBudget{.limit = 3'000'000});
  {
    Pair first({.budget = budget});
    begin_large(first, first.start());
    EXPECT_GT(budget->used, 1'900'000U);
    Pair second({.budget = budget});
    const GrpcCall small = second.start();
    begin_large(second, second.start());
    ASSERT_THAT(all_of<GrpcEnded>(second.at_client), SizeIs(1));
    EXPECT_EQ(all_of<GrpcEnded>(second.at_client)[0].status.code, GrpcCode::resource_exhausted);
    second.client.send(small, std::string(60'000, 'x'));
    second.settle();
    EXPECT_THAT(messages_of(second.at_server), SizeIs(1)) << "ordinary messages pass";
  }
  EXPECT_EQ(budget->used, 0U);
}

TEST(GrpcSession, WhatAServerResetsIsThrownAway) {
  Pair pair({.max_waiting = 1, .http2 = {.stream_window = 1000}});
  const GrpcCall call = pair.start();
  pair.settle();
  pair.server.send(call, std::string(1'000'000, 'x'));
  Pair::carry(pair.server, pair.client);
  EXPECT_GT(pair.server.queued(call), 900'000U);
  pair.server.reset(call, H2Error::enhance_your_calm);
  pair.settle();
  EXPECT_EQ(pair.server.queued(call), 0U);
  ASSERT_THAT(all_of<GrpcEnded>(pair.at_client), SizeIs(1));
  EXPECT_EQ(all_of<GrpcEnded>(pair.at_client)[0].status.code, GrpcCode::resource_exhausted);
  EXPECT_THAT(all_of<GrpcEnded>(pair.at_server), SizeIs(1));
}

TEST(GrpcSession, AMessageOverTheLimitEndsTheCallOnly) {
  Pair pair({.max_message = 100});
  const GrpcCall large = pair.start();
  const GrpcCall small = pair.start();
  pair.client.send(large, std::string(101, 'x'));
  pair.client.send(small, "fits");
  pair.settle();
  EXPECT_THAT(messages_of(pair.at_server), ElementsAre("fits"));
  const auto ended = all_of<GrpcEnded>(pair.at_client);
  ASSERT_THAT(ended, SizeIs(1));
  EXPECT_EQ(ended[0].call, large);
  EXPECT_EQ(ended[0].status.code, GrpcCode::resource_exhausted);
}

TEST(GrpcSession, ACancelledCallEndsOnBothSides) {
  Pair pair;
  const GrpcCall call = pair.start();
  pair.settle();
  pair.client.cancel(call, {GrpcCode::deadline_exceeded, "no answer in 5 s"});
  pair.settle();
  EXPECT_EQ(all_of<GrpcEnded>(pair.at_client).at(0).status.code, GrpcCode::deadline_exceeded);
  EXPECT_EQ(all_of<GrpcEnded>(pair.at_server).at(0).status.code, GrpcCode::cancelled);
  pair.server.send(call, "too late");
  pair.server.finish(call, {});
  pair.settle();
}

TEST(GrpcSession, ALostConnectionEndsEveryCall) {
  Pair pair;
  pair.start();
  pair.start();
  pair.settle();
  pair.client.lost({.kind = FaultKind::closed, .message = "connection reset by peer"});
  const auto ended = all_of<GrpcEnded>(pair.client.take_events());
  ASSERT_THAT(ended, SizeIs(2));
  EXPECT_EQ(ended[0].status.code, GrpcCode::unavailable);
  EXPECT_THAT(ended[0].status.message, HasSubstr("reset by peer"));
}

TEST(GrpcSession, WhatIsNotGrpcGetsAnHttpAnswer) {
  H2Session client(H2Session::Role::client);
  GrpcSession server(GrpcSession::Role::server);
  const auto ask = [&](const H2Fields& fields) {
    const H2Stream stream = *client.request(fields, H2Session::Body::none);
    EXPECT_TRUE(server.receive(client.take_output()).ok());
    EXPECT_TRUE(client.receive(server.take_output()).ok());
    for (const H2Event& event : client.take_events()) {
      const auto* headers = std::get_if<H2Headers>(&event);
      if (headers && headers->stream == stream) return *find_field(headers->fields, ":status");
    }
    return std::string("none");
  };
  EXPECT_EQ(ask({{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}}),
            "405");
  EXPECT_EQ(ask({{":method", "POST"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}}),
            "415");
  EXPECT_TRUE(server.take_events().empty());
}

TEST(GrpcSession, AnAnswerThatIsNotGrpcIsAStatus) {
  GrpcSession client(GrpcSession::Role::client);
  H2Session server(H2Session::Role::server);
  const GrpcCall call = *client.start({.method = "/a.B/C", .authority = "a"});
  ASSERT_TRUE(server.receive(client.take_output()).ok());
  ASSERT_TRUE(server.respond(call, {{":status", "503"}}, H2Session::Body::none).ok());
  ASSERT_TRUE(client.receive(server.take_output()).ok());
  (void)client.take_output();
  const auto ended = all_of<GrpcEnded>(client.take_events());
  ASSERT_THAT(ended, SizeIs(1));
  EXPECT_EQ(ended[0].status.code, GrpcCode::unavailable);
}

TEST(GrpcSession, ABodyThatEndsInsideAMessageIsAnError) {
  H2Session client(H2Session::Role::client);
  GrpcSession server(GrpcSession::Role::server);
  const H2Stream stream = *client.request({{":method", "POST"},
                                           {":scheme", "http"},
                                           {":path", "/a.B/C"},
                                           {":authority", "a"},
                                           {"content-type", "application/grpc"}},
                                          H2Session::Body::follows);
  client.send(stream, std::string("\0\0\0\0\5ab", 7));
  client.finish(stream);
  ASSERT_TRUE(server.receive(client.take_output()).ok());
  ASSERT_TRUE(client.receive(server.take_output()).ok());
  std::string status;
  for (const H2Event& event : client.take_events()) {
    if (const auto* headers = std::get_if<H2Headers>(&event)) {
      if (const auto* found = find_field(headers->fields, "grpc-status")) status = *found;
    }
  }
  EXPECT_EQ(status, "13");
}

TEST(GrpcSession, AGoingAwayServerSaysSo) {
  Pair pair;
  const GrpcCall call = pair.start();
  pair.settle();
  pair.server.go_away("restarting");
  pair.server.finish(call, {GrpcCode::unavailable, "restarting"});
  pair.settle();
  EXPECT_THAT(all_of<GrpcGoingAway>(pair.at_client), SizeIs(1));
  EXPECT_EQ(all_of<GrpcEnded>(pair.at_client).at(0).status.message, "restarting");
  pair.client.ping(7);
  pair.settle();
}

}  // namespace
}  // namespace fairlead::http
