#include "proxy/detect.h"

#include <gtest/gtest.h>

#include <string>

namespace fairlead::proxy {
namespace {

using namespace std::string_view_literals;

TEST(Detect, KnowsEachSpeechByItsFirstBytes) {
  EXPECT_EQ(detect("GET / HTTP/1.1\r\n"), Speech::http11);
  EXPECT_EQ(detect("GET / HTTP/1.0\r\n"), Speech::http10);
  EXPECT_EQ(detect("PURGE http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n"), Speech::http11);
  EXPECT_EQ(detect("OPTIONS * HTTP/1.1\n"), Speech::http11);
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
  EXPECT_EQ(detect("SSH-2.0-OpenSSH_9.2\r\n"), Speech::other);
  EXPECT_EQ(detect("\x16\x02"sv), Speech::other);
  EXPECT_EQ(detect("\x16\x03\x01\x02\x00\x02"sv), Speech::other);
  EXPECT_EQ(detect("\0\0\0"sv), Speech::other);
  EXPECT_EQ(detect(std::string(33, 'A')), Speech::other);
}

TEST(Detect, EveryBeginningOfADecidedTextIsUndecidedFirst) {
  for (const std::string_view text :
       {"GET / HTTP/1.1\r"sv, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"sv, "\x16\x03\x01\x02\x00\x01"sv}) {
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

}  // namespace
}  // namespace fairlead::proxy
