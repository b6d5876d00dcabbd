#include "http/grpc_wire.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace fairlead::http {
namespace {

using namespace std::chrono_literals;

TEST(GrpcWire, MessagesComeOutHoweverTheBytesAreCut) {
  const std::string bytes =
      frame_grpc("one") + frame_grpc("") + frame_grpc(std::string(70000, 'x'));
  for (const std::size_t cut : {1, 4, 6, 100000}) {
    GrpcDeframer deframer(1 << 20);
    std::vector<std::string> messages;
    for (std::size_t at = 0; at < bytes.size(); at += cut) {
      deframer.add(std::string_view(bytes).substr(at, cut));
      for (;;) {
        auto message = deframer.next();
        ASSERT_TRUE(message.ok());
        if (!*message) break;
        messages.push_back(std::move(**message));
      }
    }
    ASSERT_EQ(messages.size(), 3);
    EXPECT_EQ(messages[0], "one");
    EXPECT_EQ(messages[1], "");
    EXPECT_EQ(messages[2].size(), 70000);
    EXPECT_TRUE(deframer.between_messages());
  }
}

TEST(GrpcWire, TheRoomOfALargeMessageIsGivenBack) {
  GrpcDeframer deframer(1 << 20);
  deframer.add(frame_grpc(std::string(500'000, 'x')));
  ASSERT_TRUE(deframer.next().ok());
  EXPECT_LE(deframer.room(), 4096U);
}

TEST(GrpcWire, ALengthOverTheLimitIsRefusedBeforeItsBytesCome) {
  GrpcDeframer deframer(10);
  deframer.add(std::string("\0\0\0\0\x0b", 5));
  const auto message = deframer.next();
  ASSERT_FALSE(message.ok());
  EXPECT_EQ(status_of(message.fault()).code, GrpcCode::resource_exhausted);
}

TEST(GrpcWire, ACompressedMessageIsRefused) {
  GrpcDeframer deframer(10);
  deframer.add(std::string("\1\0\0\0\1x", 6));
  const auto message = deframer.next();
  ASSERT_FALSE(message.ok());
  EXPECT_EQ(status_of(message.fault()).code, GrpcCode::unimplemented);
}

TEST(GrpcWire, ABodyMayNotEndInsideAMessage) {
  GrpcDeframer deframer(10);
  deframer.add(std::string("\0\0\0\0\2x", 6));
  EXPECT_FALSE(deframer.next()->has_value());
  EXPECT_FALSE(deframer.between_messages());
}

TEST(GrpcWire, AStatusSurvivesTheTrip) {
  const GrpcStatus status{GrpcCode::invalid_argument, "100 % wrong:\n\xc3\xa9"};
  const H2Fields fields = grpc_trailers(status);
  EXPECT_EQ(*find_field(fields, "grpc-message"), "100 %25 wrong:%0A%C3%A9");
  EXPECT_EQ(grpc_status_in(fields), status);
  EXPECT_EQ(grpc_status_in({{"grpc-status", "0"}}), GrpcStatus{});
  EXPECT_EQ(grpc_status_in({{"grpc-status", "x"}})->code, GrpcCode::unknown);
  EXPECT_EQ(grpc_status_in({{"grpc-status", "99"}})->code, GrpcCode::unknown);
  EXPECT_EQ(grpc_status_in({{"content-type", "text/html"}}), std::nullopt);
  EXPECT_EQ(grpc_status_in({{"grpc-status", "2"}, {"grpc-message", "50%"}})->message, "50%");
}

TEST(GrpcWire, DeadlinesAreDigitsAndAUnit) {
  EXPECT_EQ(parse_grpc_timeout("100m"), 100ms);
  EXPECT_EQ(parse_grpc_timeout("5S"), 5s);
  EXPECT_EQ(parse_grpc_timeout("1n"), 1ns);
  EXPECT_EQ(parse_grpc_timeout("99999999H"), Duration(24h * 365)) << "no overflow";
  for (const char* wrong : {"", "m", "5", "5s", "-5S", "123456789S", "1 S", "1.5S"}) {
    EXPECT_EQ(parse_grpc_timeout(wrong), std::nullopt) << wrong;
  }
  EXPECT_EQ(format_grpc_timeout(5s), "5000000u");
  EXPECT_EQ(format_grpc_timeout(-1s), "0n");
  EXPECT_EQ(parse_grpc_timeout(format_grpc_timeout(10h)), Duration(10h));
}

}  // namespace
}  // namespace fairlead::http
