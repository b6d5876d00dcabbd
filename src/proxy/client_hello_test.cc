#include "proxy/client_hello.h"

#include <gtest/gtest.h>

#include <string>

#include "proxy/test_client_hello.h"

namespace fairlead::proxy {
namespace {

using namespace testing;
using Protocols = std::vector<std::string>;

TEST(ClientHello, TellsTheNameAndTheProtocols) {
  const HelloRead read = read_client_hello(client_hello("Shop.Example", {"h2", "http/1.1"}));
  EXPECT_EQ(read.state, HelloState::complete);
  EXPECT_EQ(read.hello.server_name, "shop.example");
  EXPECT_EQ(read.hello.protocols, (Protocols{"h2", "http/1.1"}));
  const HelloRead none = read_client_hello(client_hello(""));
  EXPECT_EQ(none.state, HelloState::complete);
  EXPECT_EQ(none.hello, ClientHello{});
}

TEST(ClientHello, NeedNotHaveExtensions) {
  std::string body = "\x03\x01" + std::string(32, 'r') + with_length(1, "") +
                     with_length(2, "\x13\x01") + with_length(1, std::string(1, '\0'));
  const HelloRead read = read_client_hello(records_of("\x01" + with_length(3, body)));
  EXPECT_EQ(read.state, HelloState::complete);
  EXPECT_EQ(read.hello, ClientHello{});
}

// Whatever the records, and however many bytes have come.
TEST(ClientHello, IsIncompleteUntilItsLastByte) {
  const std::string message =
      hello_message(server_name_extension("shop") + protocols_extension({"h2"}));
  for (const std::size_t record : {1, 2, 3, 5, 60, 16384}) {
    const std::string bytes = records_of(message, record);
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      ASSERT_EQ(read_client_hello(std::string_view(bytes).substr(0, length)).state,
                HelloState::incomplete)
          << record << " " << length;
    }
    for (const char* after : {"", "\x16", "GET / HTTP/1.1\r\n"}) {
      const HelloRead read = read_client_hello(bytes + after);
      EXPECT_EQ(read.state, HelloState::complete) << record;
      EXPECT_EQ(read.hello.server_name, "shop");
      EXPECT_EQ(read.hello.protocols, Protocols{"h2"});
    }
  }
}

TEST(ClientHello, IsBoundInSize) {
  const auto with_padding = [](std::size_t size) {
    return records_of(
        hello_message(server_name_extension("shop") + extension(21, std::string(size, '\0'))));
  };
  EXPECT_EQ(read_client_hello(with_padding(16000)).state, HelloState::complete);
  const std::string longer = with_padding(17000);
  EXPECT_EQ(read_client_hello(longer).state, HelloState::too_long);
  EXPECT_EQ(read_client_hello(longer.substr(0, 20)).state, HelloState::too_long);  // it says so
  // Nothing is incomplete for ever, however small the records.
  for (const std::size_t record : {1, 2, 7}) {
    const std::string slow =
        records_of(hello_message(extension(21, std::string(15000, '\0'))), record);
    EXPECT_EQ(read_client_hello(slow).state, HelloState::too_long) << record;
    EXPECT_EQ(read_client_hello(slow.substr(0, longest_client_hello)).state, HelloState::too_long);
    EXPECT_EQ(read_client_hello(slow.substr(0, longest_client_hello - 1)).state,
              HelloState::incomplete);
  }
}

TEST(ClientHello, WhatIsNoneIsBroken) {
  const auto state = [](std::string_view bytes) { return read_client_hello(bytes).state; };
  EXPECT_EQ(state("GET / HTTP/1.1"), HelloState::broken);
  EXPECT_EQ(state(std::string_view("\x16\x02", 2)), HelloState::broken);
  EXPECT_EQ(state(std::string_view("\x16\x03\x05", 3)), HelloState::broken);
  EXPECT_EQ(state(std::string_view("\x16\x03\x01\x00\x00", 5)), HelloState::broken);
  EXPECT_EQ(state(std::string_view("\x16\x03\x01\x40\x01", 5)), HelloState::broken);
  EXPECT_EQ(state(std::string_view("\x16\x03\x01\x00\x05\x02", 6)), HelloState::broken);
  // Another kind of record in the middle of the message.
  std::string alert = records_of(hello_message(""), 10);
  alert[15] = 21;
  EXPECT_EQ(state(alert), HelloState::broken);
  // Lengths that do not add up.
  std::string message = hello_message(server_name_extension("shop"));
  for (const std::size_t at : {message.size() - 5, message.size() - 8, message.size() - 10}) {
    std::string wrong = message;
    ++wrong[at];
    EXPECT_EQ(state(records_of(wrong)), HelloState::broken) << at;
  }
  EXPECT_EQ(
      state(records_of(hello_message(server_name_extension("a") + server_name_extension("b")))),
      HelloState::broken);
  EXPECT_EQ(state(records_of(hello_message(protocols_extension({"h2", ""})))), HelloState::broken);
  for (const std::string& name : {std::string(256, 'a'), std::string("a b"), std::string("a\n"),
                                  std::string("a\0b", 3), std::string("b\xc3\xbc")}) {
    EXPECT_EQ(state(records_of(hello_message(server_name_extension(name)))), HelloState::broken);
  }
  EXPECT_EQ(state(records_of(hello_message(server_name_extension("")))), HelloState::broken);
}

}  // namespace
}  // namespace fairlead::proxy
