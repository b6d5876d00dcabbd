#include "http/h1_writer.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "http/h1_parser.h"
#include "http/test_transcript.h"

namespace fairlead::http {
namespace {

std::string passed_on(std::string_view raw, const H1WriteOptions& options = {}) {
  H1RequestParser parser;
  EXPECT_EQ(parser.next(raw), H1Event::head) << parser.error().why;
  std::string out;
  H1WriteOptions used = options;
  used.body = parser.head().body;
  write_request(out, parser.head(), used);
  return out;
}

std::string answered(std::string_view raw, const H1ResponseParser::Asked& asked = {},
                     const H1WriteOptions& options = {}) {
  H1ResponseParser parser;
  parser.expect(asked);
  const H1Event event = parser.next(raw);
  EXPECT_TRUE(event == H1Event::head || event == H1Event::interim) << parser.error().why;
  std::string out;
  H1WriteOptions used = options;
  used.body = parser.head().body;
  write_response(out, parser.head(), used);
  return out;
}

TEST(WriteRequest, HostFirstThenFieldsAsTheyCame) {
  EXPECT_EQ(passed_on("GET /a?b HTTP/1.1\r\nAccept: */*\r\nHost:  reviews:9080 \r\nX-A:1\r\n\r\n"),
            "GET /a?b HTTP/1.1\r\nhost: reviews:9080\r\nAccept: */*\r\nX-A: 1\r\n\r\n");
}

TEST(WriteRequest, AnAbsoluteTargetBecomesHostAndPath) {
  EXPECT_EQ(passed_on("GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n"),
            "GET /x HTTP/1.1\r\nhost: b\r\n\r\n");
  EXPECT_EQ(passed_on("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
            "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n");
  EXPECT_EQ(passed_on("CONNECT b:1 HTTP/1.1\r\nHost: x\r\n\r\n"),
            "CONNECT b:1 HTTP/1.1\r\nhost: b:1\r\n\r\n");
  EXPECT_EQ(passed_on("GET / HTTP/1.0\r\n\r\n"), "GET / HTTP/1.1\r\nhost: \r\n\r\n");
}

TEST(WriteRequest, WhatBelongsToOneHopStaysThere) {
  EXPECT_EQ(passed_on("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Mine\r\n"
                      "Keep-Alive: timeout=5\r\nX-Mine: 1\r\nX-Mine-Too: 2\r\nTE: gzip\r\n"
                      "Proxy-Connection: close\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
                      "Trailer: T\r\nx-mine: 3\r\n\r\n"),
            "GET / HTTP/1.1\r\nhost: a\r\nX-Mine-Too: 2\r\n\r\n");
  EXPECT_EQ(passed_on("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers, deflate\r\n\r\n"),
            "GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te\r\n\r\n");
}

TEST(WriteRequest, FramingIsOfThisHop) {
  EXPECT_EQ(passed_on("POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 003\r\n\r\nabc"),
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n");
  EXPECT_EQ(passed_on("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nTrailer: T\r\n"
                      "\r\n"),
            "POST / HTTP/1.1\r\nhost: a\r\nTrailer: T\r\ntransfer-encoding: chunked\r\n\r\n");
  EXPECT_EQ(passed_on("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n"
                      "\r\nx",
                      {.persist = Persist::close}),
            "PUT / HTTP/1.1\r\nhost: a\r\nExpect: 100-continue\r\ncontent-length: 1\r\n"
            "connection: close\r\n\r\n");
}

TEST(WriteRequest, AnUpgradePassesOrNot) {
  const std::string_view asked =
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nS-K: x\r\n\r\n";
  EXPECT_EQ(passed_on(asked),
            "GET / HTTP/1.1\r\nhost: a\r\nS-K: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            "\r\n");
  EXPECT_EQ(passed_on(asked, {.pass_upgrade = false}),
            "GET / HTTP/1.1\r\nhost: a\r\nS-K: x\r\n\r\n");
}

TEST(WriteResponse, StatusFieldsFraming) {
  EXPECT_EQ(answered("HTTP/1.0 200 Fine\r\nServer: x\r\nContent-Length: 2\r\nConnection: close\r\n"
                     "\r\nhi"),
            "HTTP/1.1 200 Fine\r\nServer: x\r\ncontent-length: 2\r\n\r\n");
  EXPECT_EQ(answered("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n"),
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\n\r\n"), "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", {}, {.peer = Version::http10}),
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n");
}

TEST(WriteResponse, StatusesWithoutABody) {
  EXPECT_EQ(answered("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
            "HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_EQ(answered("HTTP/1.1 100 Continue\r\nX: y\r\n\r\n"),
            "HTTP/1.1 100 Continue\r\nX: y\r\n\r\n");
  EXPECT_EQ(answered("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"),
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n");
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\n\r\n", {.head = true}), "HTTP/1.1 200 OK\r\n\r\n");
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", {.head = true}),
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n");
  ResponseHead made;
  made.status = 404;
  std::string out;
  write_response(out, made, {});
  EXPECT_EQ(out, "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
}

TEST(WriteResponse, ATunnelsBeginning) {
  EXPECT_EQ(
      answered("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
               "Connection: Upgrade\r\n\r\n",
               {.upgrade = "websocket"}),
      "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n");
  EXPECT_EQ(answered("HTTP/1.1 200 Go\r\n\r\n", {.connect = true}), "HTTP/1.1 200 Go\r\n\r\n");
}

TEST(WriteChunks, TheyParseAgain) {
  std::string out = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  write_chunk(out, "hello");
  write_chunk(out, "");
  write_chunk_start(out, 0x1ab);
  out += std::string(0x1ab, 'x') + "\r\n";
  Fields trailers;
  trailers.add("X-Sum", "7");
  trailers.add("Content-Length", "9");
  write_last_chunk(out, &trailers);
  const std::string transcript = test::transcribe_requests({std::string_view(out)});
  EXPECT_NE(transcript.find("data 'helloxxx"), std::string::npos) << transcript;
  EXPECT_TRUE(transcript.ends_with("end X-Sum='7'\n")) << transcript;
}

TEST(Fields, NamesWithoutCaseInOrderAndRepeated) {
  Fields fields;
  fields.add("A", "1");
  fields.add_copy(std::string("Content-Length"), std::string("2"));
  fields.add("a", "3");
  EXPECT_EQ(fields.value("a"), "1");
  EXPECT_EQ(fields.value(FieldName::content_length), "2");
  fields.set_copy("A", "4");
  EXPECT_EQ(fields.size(), 2U);
  EXPECT_EQ(fields.value("a"), "4");
  EXPECT_EQ(fields.remove("CONTENT-length"), 1U);
  EXPECT_EQ(fields.find("content-length"), nullptr);
  const Fields copy = fields.clone();
  fields.clear();
  fields.add_copy("B", "overwritten");
  EXPECT_EQ(copy.value("A"), "4");
}

TEST(Fields, SeveralKnownNamesGoAtOnce) {
  Fields fields;
  EXPECT_EQ(fields.remove(FieldName::date | FieldName::server), 0U);
  fields.add("Date", "1");
  fields.add("x", "2");
  fields.add("date", "3");
  EXPECT_TRUE(fields.has(FieldName::server | FieldName::date));
  EXPECT_FALSE(fields.has(FieldName::server));
  EXPECT_EQ(fields.remove(FieldName::date | FieldName::server), 2U);
  EXPECT_FALSE(fields.has(FieldName::date));
  EXPECT_EQ(fields.size(), 1U);
  fields.add("DATE", "4");
  EXPECT_EQ(fields.clone().value(FieldName::date), "4");
  fields.clear();
  EXPECT_FALSE(fields.has(FieldName::date));
}

TEST(Fields, EachKnownNameIsFound) {
  for (const std::string_view name : {"connection",
                                      "content-length",
                                      "expect",
                                      "host",
                                      "http2-settings",
                                      "keep-alive",
                                      "proxy-connection",
                                      "te",
                                      "trailer",
                                      "transfer-encoding",
                                      "upgrade",
                                      "user-agent",
                                      "x-envoy-original-path",
                                      "x-envoy-peer-metadata",
                                      "x-envoy-peer-metadata-id",
                                      "x-envoy-upstream-service-time",
                                      "x-fairlead-undelivered",
                                      "x-forwarded-client-cert",
                                      "x-forwarded-for",
                                      "x-forwarded-proto",
                                      "x-request-id",
                                      "server",
                                      "date",
                                      "grpc-status"}) {
    EXPECT_NE(field_name(name), FieldName::other) << name;
    std::string other(name);
    other.back() = '_';
    EXPECT_EQ(field_name(other), FieldName::other) << other;
  }
}

TEST(Heads, ACloneOwnsItsText) {
  RequestHead copy;
  {
    H1RequestParser parser;
    std::string text = "GET http://h/p HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n";
    std::string_view bytes = text;
    ASSERT_EQ(parser.next(bytes), H1Event::head);
    copy = parser.head().clone();
  }
  EXPECT_EQ(copy.path, "/p");
  EXPECT_EQ(copy.authority, "h");
  EXPECT_EQ(copy.scheme, "http");
  EXPECT_EQ(copy.fields.value("a"), "b");
}

}  // namespace
}  // namespace fairlead::http
