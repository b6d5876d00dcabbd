#include "proxy/detect.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proxy/test_client_hello.h"

namespace fairlead::proxy {
namespace {

using namespace std::string_view_literals;

TEST(Detect, KnowsEachSpeechByItsFirstBytes) {
  EXPECT_EQ(detect("GET / HTTP/1.1\r\n"), Speech::http11);
  EXPECT_EQ(detect("GET / HTTP/1.0\r\n"), Speech::http10);
  EXPECT_EQ(detect("PURGE http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n"), Speech::http11);
  EXPECT_EQ(detect("OPTIONS * HTTP/1.1\n"), Speech::http11);
  EXPECT_EQ(detect("\r\nGET / HTTP/1.1\r\n"), Speech::http11);
  EXPECT_EQ(detect("GET / HTTP/1.2\r\n"), Speech::http11);
  EXPECT_EQ(detect("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Speech::http2);
  EXPECT_EQ(detect("\x16\x03\x01\x02\x00\x01"sv), Speech::tls);
}

TEST(Detect, TakesNothingElseForHttp) {
  EXPECT_EQ(detect("HELO mail.example.com\r\n"), Speech::other);
  EXPECT_EQ(detect("*1\r\n$4\r\nPING\r\n"), Speech::other);
  EXPECT_EQ(detect("GET /\r\n"), Speech::other);
  EXPECT_EQ(detect("GET  / HTTP/1.1\r\n"), Speech::other);
  EXPECT_EQ(detect("GET / HTTP/3.1\r\n"), Speech::other);
  EXPECT_EQ(detect("GET / HTTP/1.x\r\n"), Speech::other);
  EXPECT_EQ(detect("GET / HTTP/1.11\r\n"), Speech::other);
  EXPECT_EQ(detect("\r\n\r\nGET / HTTP/1.1\r\n"), Speech::other);
  EXPECT_EQ(detect("\rGET / HTTP/1.1\r\n"), Speech::other);
  EXPECT_EQ(detect("SSH-2.0-OpenSSH_9.2\r\n"), Speech::other);
  EXPECT_EQ(detect("\x16\x02"sv), Speech::other);
  EXPECT_EQ(detect("\x16\x03\x01\x02\x00\x02"sv), Speech::other);
  EXPECT_EQ(detect("\0\0\0"sv), Speech::other);
  EXPECT_EQ(detect(std::string(33, 'A')), Speech::other);
}

TEST(Detect, EveryBeginningOfADecidedTextIsUndecidedFirst) {
  for (const std::string_view text :
       {"GET / HTTP/1.1\r"sv, "\r\nGET / HTTP/1.1\r"sv, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"sv,
        "\x16\x03\x01\x02\x00\x01"sv}) {
    for (std::size_t length = 0; length < text.size(); ++length) {
      EXPECT_EQ(detect(text.substr(0, length)), Speech::undecided) << text << " " << length;
    }
    EXPECT_NE(detect(text), Speech::undecided);
  }
}

TEST(Detect, AnEndlessRequestLineIsHttpAfterALimit) {
  EXPECT_EQ(detect("GET /" + std::string(detection_limit - 6, 'a')), Speech::undecided);
  EXPECT_EQ(detect("GET /" + std::string(detection_limit - 5, 'a')), Speech::http11);
}

TEST(Detect, NothingIsUndecidedAtTheLimit) {
  // A cut at each byte around the limit, in the target, between it and the version, in the version.
  for (std::size_t target = detection_limit - 32; target < detection_limit + 8; ++target) {
    const std::string line = "GET /" + std::string(target, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n";
    for (std::size_t length = detection_limit; length <= line.size(); ++length) {
      EXPECT_EQ(detect(line.substr(0, length)), Speech::http11) << target << " " << length;
    }
  }
  for (const char byte : {'\0', ' ', '/', 'A', '\r', '\x16', '\xff'}) {
    EXPECT_NE(detect(std::string(detection_limit, byte)), Speech::undecided);
  }
}

TEST(Inspect, TlsIsKnownWithItsWholeHello) {
  const std::string hello = testing::client_hello("shop", {"h2"});
  for (std::size_t length = 0; length < hello.size(); ++length) {
    EXPECT_EQ(inspect(hello.substr(0, length), true).speech, Speech::undecided) << length;
  }
  const Inspection seen = inspect(hello, true);
  EXPECT_EQ(seen.speech, Speech::tls);
  EXPECT_EQ(seen.hello.server_name, "shop");
  EXPECT_EQ(seen.hello.protocols, std::vector<std::string>{"h2"});
  // Whoever does not want the hello does not wait for it.
  EXPECT_EQ(inspect(hello.substr(0, 6), false).speech, Speech::tls);
  EXPECT_EQ(inspect(hello, false).hello, ClientHello{});
}

TEST(Inspect, WhatBeginsLikeTlsAndIsNotIsAnotherProtocol) {
  std::string broken = testing::client_hello("shop");
  broken[5 + 4] = 9;  // the version in the message
  EXPECT_EQ(detect(broken), Speech::tls);
  EXPECT_EQ(inspect(broken, true).speech, Speech::other);
}

TEST(Inspect, IsDecidedAtItsLimit) {
  for (const std::size_t record : {1, 100, 16384}) {
    const std::string padding = testing::extension(21, std::string(15000, '\0'));
    const std::string bytes =
        testing::records_of(testing::hello_message(padding + padding), record);
    const Inspection seen = inspect(bytes.substr(0, inspection_limit), true);
    EXPECT_EQ(seen.speech, Speech::tls);
    EXPECT_TRUE(seen.too_long);
  }
  for (const char byte : {'\0', ' ', 'A', '\x16', '\xff'}) {
    EXPECT_NE(inspect(std::string(inspection_limit, byte), true).speech, Speech::undecided);
  }
}

}  // namespace
}  // namespace fairlead::proxy
