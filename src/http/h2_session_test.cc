#include "http/h2_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

namespace fairlead::http {
namespace {

using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

const H2Fields get{{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}};
const H2Fields post{{":method", "POST"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}};
const H2Fields ok{{":status", "200"}};

// Two ends of one connection, and what each has seen.
struct Pair {
  H2Session client{H2Session::Role::client};
  H2Session server;
  std::vector<H2Event> at_client;
  std::vector<H2Event> at_server;
  std::size_t cut = 1 << 20;  // bytes delivered at once

  explicit Pair(const H2Options& server_options = {})
      : server(H2Session::Role::server, server_options) {}

  static bool carry(H2Session& from, H2Session& to, std::size_t cut) {
    const std::string bytes = from.take_output();
    for (std::size_t at = 0; at < bytes.size(); at += cut) {
      EXPECT_TRUE(to.receive(std::string_view(bytes).substr(at, cut)).ok());
    }
    return !bytes.empty();
  }

  void settle() {
    bool moved = true;
    while (moved) {
      moved = carry(client, server, cut);
      moved = carry(server, client, cut) || moved;
    }
    for (H2Event& event : server.take_events()) at_server.push_back(std::move(event));
    for (H2Event& event : client.take_events()) at_client.push_back(std::move(event));
  }
};

template <class T>
std::vector<T> all_of(const std::vector<H2Event>& events) {
  std::vector<T> found;
  for (const H2Event& event : events) {
    if (const T* one = std::get_if<T>(&event)) found.push_back(*one);
  }
  return found;
}

std::string body_of(const std::vector<H2Event>& events) {
  std::string body;
  for (const H2Data& data : all_of<H2Data>(events)) body += data.bytes;
  return body;
}

TEST(H2Session, ARequestAndItsAnswerWithTrailers) {
  for (const std::size_t cut : {1, 7, 1 << 20}) {
    Pair pair;
    pair.cut = cut;
    const H2Stream stream = *pair.client.request(post, H2Session::Body::follows);
    pair.client.send(stream, "ping");
    pair.client.finish(stream);
    pair.settle();

    const auto requests = all_of<H2Headers>(pair.at_server);
    ASSERT_THAT(requests, SizeIs(1));
    EXPECT_EQ(*find_field(requests[0].fields, ":path"), "/");
    EXPECT_FALSE(requests[0].trailers);
    EXPECT_EQ(body_of(pair.at_server), "ping");
    EXPECT_THAT(all_of<H2End>(pair.at_server), SizeIs(1));

    ASSERT_TRUE(pair.server.respond(stream, ok, H2Session::Body::follows).ok());
    pair.server.send(stream, "pong");
    pair.server.finish(stream, {{"grpc-status", "0"}});
    pair.settle();
    const auto answers = all_of<H2Headers>(pair.at_client);
    ASSERT_THAT(answers, SizeIs(2));
    EXPECT_FALSE(answers[0].trailers);
    EXPECT_TRUE(answers[1].trailers);
    EXPECT_EQ(answers[1].fields, (H2Fields{{"grpc-status", "0"}}));
    EXPECT_EQ(body_of(pair.at_client), "pong");
    ASSERT_THAT(all_of<H2Closed>(pair.at_client), SizeIs(1));
    EXPECT_EQ(all_of<H2Closed>(pair.at_client)[0].error, H2Error::none);
    EXPECT_EQ(pair.client.open_streams(), 0);
    EXPECT_EQ(pair.server.open_streams(), 0);
  }
}

TEST(H2Session, FlowControlHoldsBackUntilTheReaderIsDone) {
  Pair pair({.stream_window = 100});
  const H2Stream stream = *pair.client.request(post, H2Session::Body::follows);
  pair.settle();
  pair.client.send(stream, std::string(250, 'x'));
  pair.settle();
  EXPECT_EQ(body_of(pair.at_server).size(), 100);
  EXPECT_EQ(pair.client.queued(stream), 150);
  pair.server.consumed(stream, 100);
  pair.settle();
  EXPECT_EQ(body_of(pair.at_server).size(), 200);
  pair.server.consumed(stream, 100);
  pair.settle();
  EXPECT_EQ(body_of(pair.at_server).size(), 250);
  EXPECT_EQ(pair.client.queued(stream), 0);
}

TEST(H2Session, TheRoomOfALargeMessageIsGivenBackOnceItIsSent) {
  Pair pair;
  const H2Stream stream = *pair.client.request(post, H2Session::Body::follows);
  for (int piece = 0; piece < 8; ++piece) pair.client.send(stream, std::string(100'000, 'x'));
  EXPECT_GE(pair.client.room(stream), 800'000U);
  pair.settle();
  EXPECT_EQ(body_of(pair.at_server).size(), 800'000U);
  EXPECT_LE(pair.client.room(stream), 16'384U);
}

TEST(H2Session, AResetIsSeenAsOne) {
  Pair pair;
  const H2Stream stream = *pair.client.request(get, H2Session::Body::none);
  pair.settle();
  pair.server.reset(stream, H2Error::refused_stream);
  pair.settle();
  const auto closed = all_of<H2Closed>(pair.at_client);
  ASSERT_THAT(closed, SizeIs(1));
  EXPECT_EQ(closed[0].error, H2Error::refused_stream);
  EXPECT_TRUE(closed[0].by_peer);
  EXPECT_FALSE(pair.server.respond(stream, ok, H2Session::Body::none).ok());
  pair.server.send(stream, "too late");
  pair.settle();
  EXPECT_EQ(pair.server.queued(stream), 0);
}

TEST(H2Session, GoingAwayServesWhatIsThereAndRefusesWhatIsNew) {
  Pair pair;
  const H2Stream before = *pair.client.request(get, H2Session::Body::none);
  pair.settle();
  pair.server.go_away(H2Error::none, "closing time");
  pair.settle();
  const auto away = all_of<H2GoAway>(pair.at_client);
  ASSERT_THAT(away, SizeIs(1));
  EXPECT_EQ(away[0].last, before);
  EXPECT_EQ(away[0].debug, "closing time");

  ASSERT_TRUE(pair.server.respond(before, ok, H2Session::Body::none).ok());
  const Result<H2Stream> after = pair.client.request(get, H2Session::Body::none);
  pair.settle();
  std::vector<std::pair<H2Stream, H2Error>> closed;
  for (const H2Closed& one : all_of<H2Closed>(pair.at_client)) {
    closed.emplace_back(one.stream, one.error);
  }
  ASSERT_TRUE(after.ok()) << "the refusal comes as an event";
  EXPECT_THAT(closed, UnorderedElementsAre(std::pair(before, H2Error::none),
                                           std::pair(*after, H2Error::refused_stream)));
  EXPECT_EQ(pair.client.open_streams(), 0);
  EXPECT_TRUE(pair.server.finished());
}

TEST(H2Session, TooLargeHeadersEndTheirStreamOnly) {
  Pair pair({.max_header_bytes = 300});
  H2Fields large = get;
  large.push_back({"x-large", std::string(400, 'x')});
  ASSERT_TRUE(pair.client.request(large, H2Session::Body::none).ok());
  const H2Stream small = *pair.client.request(get, H2Session::Body::none);
  pair.settle();
  const auto requests = all_of<H2Headers>(pair.at_server);
  ASSERT_THAT(requests, SizeIs(1));
  EXPECT_EQ(requests[0].stream, small);
}

TEST(H2Session, StreamsOverThePeersLimitWaitTheirTurn) {
  Pair pair({.max_concurrent_streams = 1});
  pair.settle();
  const H2Stream first = *pair.client.request(get, H2Session::Body::none);
  const H2Stream second = *pair.client.request(get, H2Session::Body::none);
  pair.settle();
  EXPECT_THAT(all_of<H2Headers>(pair.at_server), SizeIs(1));
  ASSERT_TRUE(pair.server.respond(first, ok, H2Session::Body::none).ok());
  pair.settle();
  const auto requests = all_of<H2Headers>(pair.at_server);
  ASSERT_THAT(requests, SizeIs(2));
  EXPECT_EQ(requests[1].stream, second);
}

TEST(H2Session, APingComesBack) {
  Pair pair;
  pair.client.ping(0x1122334455667788);
  pair.settle();
  const auto pongs = all_of<H2Pong>(pair.at_client);
  ASSERT_THAT(pongs, SizeIs(1));
  EXPECT_EQ(pongs[0].payload, 0x1122334455667788);
}

TEST(H2Session, WhatIsNoHttp2IsAFault) {
  H2Session server(H2Session::Role::server);
  const Result<> received = server.receive("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  ASSERT_FALSE(received.ok());
  EXPECT_EQ(received.fault().kind, FaultKind::invalid);
}

TEST(H2Session, ABrokenFrameIsAnsweredByAGoAway) {
  Pair pair;
  pair.settle();
  // DATA on stream 0 (RFC 9113 §6.1: PROTOCOL_ERROR).
  ASSERT_TRUE(pair.server.receive(std::string("\0\0\1\0\0\0\0\0\0x", 10)).ok());
  pair.settle();
  const auto away = all_of<H2GoAway>(pair.at_client);
  ASSERT_THAT(away, SizeIs(1));
  EXPECT_EQ(away[0].error, H2Error::protocol);
  EXPECT_TRUE(pair.server.finished());
}

}  // namespace
}  // namespace fairlead::http
