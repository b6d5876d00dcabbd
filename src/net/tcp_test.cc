#include "net/tcp.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "net/unix.h"

namespace fairlead::net {
namespace {

SocketAddress address(const std::string& text) {
  return *SocketAddress::parse(text);
}

Task<Result<std::string>> read_to_end(Stream& stream) {
  std::string all;
  std::array<char, 4096> buffer;
  while (true) {
    if (Result<> ready = co_await stream.readable(); !ready.ok()) co_return ready.fault();
    Result<Taken> taken = stream.read_now(buffer);
    if (!taken.ok()) co_return taken.fault();
    if (taken->end) co_return all;
    all.append(buffer.data(), taken->bytes);
  }
}

Task<Result<>> echo(Stream& stream) {
  std::array<char, 4096> buffer;
  while (true) {
    if (Result<> ready = co_await stream.readable(); !ready.ok()) co_return ready.fault();
    Result<Taken> taken = stream.read_now(buffer);
    if (!taken.ok()) co_return taken.fault();
    if (taken->end) break;
    if (taken->bytes == 0) continue;
    Result<> written = co_await stream.write_all({buffer.data(), taken->bytes});
    if (!written.ok()) co_return written;
  }
  stream.shut();
  co_return done();
}

Task<> serve_echo(TcpListener& listener) {
  Result<TcpStreamPointer> stream = co_await listener.accept();
  if (stream.ok()) static_cast<void>(co_await echo(**stream));
}

Task<Result<>> write_and_shut(Stream& stream, const std::string& bytes) {
  Result<> written = co_await stream.write_all(bytes);
  stream.shut();
  co_return written;
}

Task<Result<std::string>> round_trip(Loop& loop, SocketAddress to, const std::string& bytes,
                                     ConnectOptions options = {}) {
  Result<TcpStreamPointer> stream = co_await connect(loop, to, options);
  if (!stream.ok()) co_return stream.fault();
  auto ends = co_await both(write_and_shut(**stream, bytes), read_to_end(**stream));
  if (!ends.first.ok()) co_return ends.first.fault();
  co_return std::move(ends.second);
}

std::string some_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<char>(i * 7 + i / 251);
  return bytes;
}

class TcpFamilies : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Both, TcpFamilies, testing::Values("127.0.0.1:0", "[::1]:0"),
                         [](const auto& chosen) {
                           return std::string(chosen.param).starts_with("[") ? "v6" : "v4";
                         });

TEST_P(TcpFamilies, MegabytesAreEchoedWhileBothSidesWrite) {
  Loop loop;
  auto listener = TcpListener::listen(loop, address(GetParam()));
  ASSERT_TRUE(listener.ok()) << listener.fault().describe();
  loop.start(serve_echo(**listener));
  const std::string sent = some_bytes(5'000'000);
  const auto got = loop.run(round_trip(loop, (*listener)->local(), sent));
  ASSERT_TRUE(got.ok()) << got.fault().describe();
  EXPECT_TRUE(*got == sent);
}

}  // namespace
}  // namespace fairlead::net
