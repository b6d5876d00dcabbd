#include "net/tcp.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

#include "net/descriptors.h"
#include "nft/test_namespace.h"

namespace fairlead::net {
namespace {

using nft::testing::TestNamespace;

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
  stream.shutdown_write();
  co_return done();
}

Task<> serve_echo(TcpListener& listener) {
  Result<TcpStreamPointer> stream = co_await listener.accept();
  if (stream.ok()) static_cast<void>(co_await echo(**stream));
}

Task<Result<>> write_and_shut(Stream& stream, const std::string& bytes) {
  Result<> written = co_await stream.write_all(bytes);
  stream.shutdown_write();
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

// ── connecting ──────────────────────────────────────────────────────────────────────────────────

TEST(Tcp, NobodyListensIsUnreachableAndMayBeTriedElsewhere) {
  Loop loop;
  const auto got = loop.run(round_trip(loop, address("127.0.0.1:1"), "x"));
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.fault().kind, FaultKind::unreachable);
  EXPECT_EQ(got.fault().side, Side::upstream);
  EXPECT_EQ(got.fault().retry, Retry::elsewhere);
  EXPECT_EQ(got.fault().message, "connecting to 127.0.0.1:1: Connection refused");
}

TEST(Tcp, AConnectThatNobodyAnswersTimesOut) {
  Loop loop;
  // A listener whose queue is full lets further clients wait.
  const TestNamespace pod;
  auto listener =
      pod.in([&] { return TcpListener::listen(loop, address("127.0.0.1:7000"), {.backlog = 1}); });
  ASSERT_TRUE(listener.ok());
  std::vector<Result<TcpStreamPointer>> waiting;
  FaultKind kind = FaultKind::internal;
  pod.in([&] {
    for (int i = 0; i < 10 && kind == FaultKind::internal; ++i) {
      waiting.push_back(loop.run(
          connect(loop, address("127.0.0.1:7000"), {.timeout = std::chrono::milliseconds(200)})));
      if (!waiting.back().ok()) kind = waiting.back().fault().kind;
    }
  });
  EXPECT_EQ(kind, FaultKind::timed_out);
  ASSERT_FALSE(waiting.back().ok());
  EXPECT_EQ(waiting.back().fault().message, "connecting to 127.0.0.1:7000: timed out after 200 ms");
}

struct Ends {
  TcpStreamPointer client;
  TcpStreamPointer server;
};

Task<Result<Ends>> two_ends(Loop& loop, TcpListener& listener, ConnectOptions options) {
  auto pair = co_await both(connect(loop, listener.local(), options), listener.accept());
  if (!pair.first.ok()) co_return pair.first.fault();
  if (!pair.second.ok()) co_return pair.second.fault();
  co_return Ends{std::move(*pair.first), std::move(*pair.second)};
}

Ends connected(Loop& loop, ConnectOptions options = {}, const char* where = "127.0.0.1:0") {
  auto listener = TcpListener::listen(loop, address(where));
  EXPECT_TRUE(listener.ok());
  auto ends = loop.run(two_ends(loop, **listener, options));
  EXPECT_TRUE(ends.ok()) << ends.fault().describe();
  return std::move(*ends);
}

TEST(Tcp, BothEndsKnowTheAddressPair) {
  Loop loop;
  const Ends ends = connected(loop, {.source = *IpAddress::parse("127.0.0.6")});
  EXPECT_EQ(ends.server->peer().ip.text(), "127.0.0.6");
  EXPECT_EQ(ends.server->peer(), ends.client->local());
  EXPECT_EQ(ends.server->local(), ends.client->peer());
  EXPECT_NE(ends.client->local().port, 0);
  // Nothing was redirected.
  EXPECT_FALSE(original_destination(*ends.server).ok());
}

TEST(Tcp, ADualStackListenerTakesBothAndTellsIpv4AsIpv4) {
  Loop loop;
  auto listener = TcpListener::listen(loop, address("[::]:0"), {.only_v6 = false});
  ASSERT_TRUE(listener.ok());
  for (const char* ip : {"127.0.0.1", "::1"}) {
    loop.start(serve_echo(**listener));
    const auto got =
        loop.run(round_trip(loop, {*IpAddress::parse(ip), (*listener)->local().port}, "hello"));
    ASSERT_TRUE(got.ok()) << got.fault().describe();
    EXPECT_EQ(*got, "hello");
  }
  auto ends = both(connect(loop, {*IpAddress::parse("127.0.0.1"), (*listener)->local().port}),
                   (*listener)->accept());
  const auto pair = loop.run(
      [](auto& joined) -> Task<std::pair<Result<TcpStreamPointer>, Result<TcpStreamPointer>>> {
        co_return co_await joined;
      }(ends));
  ASSERT_TRUE(pair.second.ok());
  EXPECT_TRUE((*pair.second)->peer().ip.is_v4());
}

// ── ends ────────────────────────────────────────────────────────────────────────────────────────

Task<Result<>> until_readable(Stream& stream) {
  co_return co_await stream.readable();
}

TEST(Tcp, AHalfCloseIsAnEndAndTheOtherHalfGoesOn) {
  Loop loop;
  Ends ends = connected(loop);
  ends.client->shutdown_write();
  auto all = loop.run(read_to_end(*ends.server));
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(*all, "");
  ASSERT_TRUE(loop.run(write_and_shut(*ends.server, "still here")).ok());
  all = loop.run(read_to_end(*ends.client));
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(*all, "still here");
}

TEST(Tcp, AResetIsNoEnd) {
  Loop loop;
  Ends ends = connected(loop);
  ends.client->reset();
  const auto all = loop.run(read_to_end(*ends.server));
  ASSERT_FALSE(all.ok());
  EXPECT_EQ(all.fault().kind, FaultKind::closed);
}

TEST(Tcp, ClosingHereWakesWhoeverWaits) {
  Loop loop;
  Ends ends = connected(loop);
  Timer closing(loop, [&] { ends.client->close(); });
  closing.arm(std::chrono::milliseconds(5));
  const auto all = loop.run(read_to_end(*ends.client));
  ASSERT_FALSE(all.ok());
  EXPECT_EQ(all.fault().message, "the stream was closed here");
}

TEST(Tcp, AnIdleConnectionKnowsThatItIsNoMore) {
  Loop loop;
  Ends ends = connected(loop);
  EXPECT_TRUE(ends.client->is_idle());
  ends.server->close();
  ASSERT_TRUE(loop.run(until_readable(*ends.client)).ok());
  EXPECT_FALSE(ends.client->is_idle());
}

struct Notices final : Stream::Notice {
  void on_readable(Stream& stream) override {
    ++count;
    gone = &stream;
    owned.reset();
  }
  int count = 0;
  Stream* gone = nullptr;
  StreamPointer owned;
};

TEST(Tcp, ANoticeTellsOfAnIdleConnectionAndMayDestroyIt) {
  Loop loop;
  Ends ends = connected(loop);
  Notices notices;
  Stream* const idle = ends.client.get();
  notices.owned = std::move(ends.client);
  notices.owned->notify(&notices);
  ends.server->close();
  Timer stop(loop, [&] { loop.stop(); });
  for (int turns = 0; turns < 2000 && notices.count == 0; ++turns) {
    stop.arm(std::chrono::milliseconds(5));
    loop.run();
  }
  EXPECT_EQ(notices.count, 1);
  EXPECT_EQ(notices.gone, idle);
}

TEST(Tcp, ADestroyedStreamGetsNoEventOfTheSameBatch) {
  // Each stream's reader destroys the other one; both have an event in the batch.
  Loop loop;
  for (int i = 0; i < 50; ++i) {
    Ends one = connected(loop);
    Ends two = connected(loop);
    int woken = 0;
    const auto reader = [](Stream& own, TcpStreamPointer& other, int& count) -> Task<> {
      if (!(co_await own.readable()).ok()) co_return;
      ++count;
      other.reset();
    };
    Cancel cancel;
    loop.start(reader(*one.server, two.server, woken), &cancel);
    loop.start(reader(*two.server, one.server, woken), &cancel);
    one.client->close();
    two.client->close();
    Timer stop(loop, [&] { loop.stop(); });
    for (int turns = 0; turns < 2000 && woken == 0; ++turns) {
      stop.arm(std::chrono::milliseconds(2));
      loop.run();
    }
    EXPECT_EQ(woken, 1);
    cancel.cancel();
    stop.arm(std::chrono::milliseconds(1));
    loop.run();
  }
}

// ── listening ───────────────────────────────────────────────────────────────────────────────────

TEST(Tcp, AnAddressInUseIsNamed) {
  Loop loop;
  auto first = TcpListener::listen(loop, address("127.0.0.1:0"));
  ASSERT_TRUE(first.ok());
  const auto second = TcpListener::listen(loop, (*first)->local());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.fault().message, "cannot listen on " + (*first)->local().text() +
                                        ": the kernel says: Address already in use");
}

TEST(Tcp, ListenersMayShareAPort) {
  Loop loop;
  auto first = TcpListener::listen(loop, address("127.0.0.1:0"), {.reuse_port = true});
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(TcpListener::listen(loop, (*first)->local(), {.reuse_port = true}).ok());
}

Task<Result<TcpStreamPointer>> accept_one(TcpListener& listener) {
  co_return co_await listener.accept();
}

TEST(Descriptors, SomeAreKept) {
  EXPECT_EQ(descriptor_reserve(64), 16);
  EXPECT_EQ(descriptor_reserve(1024), 256);
  EXPECT_EQ(descriptor_reserve(1 << 20), 4096);
  EXPECT_EQ(descriptor_reserve(20), 10);
}

// So many connections that nobody accepts.
std::vector<TcpStreamPointer> connect_often(Loop& loop, const SocketAddress& to, int count) {
  std::vector<TcpStreamPointer> clients;
  for (int i = 0; i < count; ++i) {
    auto client = loop.run(connect(loop, to));
    if (client.ok()) clients.push_back(std::move(*client));
  }
  return clients;
}

Task<> accept_all_from(TcpListener& listener, std::vector<TcpStreamPointer>& all) {
  while (true) {
    auto accepted = co_await listener.accept();
    if (!accepted.ok()) co_return;
    all.push_back(std::move(*accepted));
  }
}

void turn_for(Loop& loop, Duration time) {
  static_cast<void>(loop.run([](Loop& on, Duration how_long) -> Task<Result<>> {
    co_return co_await on.sleep(how_long);
  }(loop, time)));
}

TEST(Descriptors, AcceptingPausesAtTheReserveAndGoesOn) {
  Loop loop;
  auto listener = TcpListener::listen(loop, address("127.0.0.1:0"));
  auto operators = TcpListener::listen(loop, address("127.0.0.1:0"), {.uses_reserve = true});
  ASSERT_TRUE(listener.ok() && operators.ok());
  std::vector<TcpStreamPointer> clients = connect_often(loop, (*listener)->local(), 30);
  std::vector<TcpStreamPointer> more = connect_often(loop, (*operators)->local(), 3);
  ASSERT_EQ(clients.size(), 30U);
  const std::uint64_t pauses = descriptor_state().pauses;
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const Descriptor next(::dup(0));
  // Of what may be opened without the reserve, about ten are left.
  const auto limit = static_cast<rlim_t>((next.number() + 10) * 4 / 3);
  const rlimit few{limit, before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &few);
  std::vector<TcpStreamPointer> accepted;
  std::vector<TcpStreamPointer> by_operators;
  loop.start(accept_all_from(**listener, accepted));
  loop.start(accept_all_from(**operators, by_operators));
  turn_for(loop, std::chrono::milliseconds(200));

  EXPECT_TRUE(descriptor_state().paused);
  EXPECT_EQ(descriptor_state().pauses, pauses + 1);
  EXPECT_GT(accepted.size(), 0U);
  EXPECT_LE(accepted.size(), 12U);
  EXPECT_EQ(by_operators.size(), 3U) << "operators use the reserve";
  EXPECT_TRUE(loop.run(connect(loop, (*operators)->local())).ok()) << "so do connections upstream";

  const std::size_t taken = accepted.size();
  accepted.clear();
  turn_for(loop, std::chrono::milliseconds(300));
  EXPECT_FALSE(accepted.empty()) << "the others had their turn";
  accepted.clear();
  for (int i = 0; i < 100 && descriptor_state().paused; ++i) {
    turn_for(loop, std::chrono::milliseconds(20));
    accepted.clear();
  }
  EXPECT_FALSE(descriptor_state().paused);
  EXPECT_GT(taken, 0U);
  ::setrlimit(RLIMIT_NOFILE, &before);
  (*listener)->close();
  (*operators)->close();
  turn_for(loop, std::chrono::milliseconds(60));
}

TEST(Tcp, AListenerOutlivesALackOfDescriptors) {
  Loop loop;
  auto listener = TcpListener::listen(loop, address("127.0.0.1:0"));
  ASSERT_TRUE(listener.ok());
  auto client = loop.run(connect(loop, (*listener)->local()));
  ASSERT_TRUE(client.ok());
  std::vector<Descriptor> all;
  bool was_exhausted = false;
  Timer relief(loop, [&] {
    was_exhausted = (*listener)->out_of_descriptors();
    all.clear();
  });
  relief.arm(std::chrono::milliseconds(100));
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const rlimit few{64, before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &few);
  while (true) {
    Descriptor one(::dup(0));
    if (!one.valid()) break;
    all.push_back(std::move(one));
  }
  const auto accepted = loop.run(accept_one(**listener));
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_TRUE(was_exhausted);
  EXPECT_TRUE(accepted.ok());
}

TEST(Tcp, ClosingAListenerEndsItsAccept) {
  Loop loop;
  auto listener = TcpListener::listen(loop, address("127.0.0.1:0"));
  ASSERT_TRUE(listener.ok());
  Timer closing(loop, [&] { (*listener)->close(); });
  closing.arm(std::chrono::milliseconds(5));
  const auto accepted = loop.run(accept_one(**listener));
  ASSERT_FALSE(accepted.ok());
  EXPECT_EQ(accepted.fault().kind, FaultKind::closed);
}

// ── capture ─────────────────────────────────────────────────────────────────────────────────────

//   client ── connect 10.96.0.1:80 or [fd00:96::1]:80 ── nat output: redirect ──> listener :15001
TEST(Tcp, ACapturedConnectionTellsWhereItWasGoing) {
  Loop loop;
  const TestNamespace pod;
  pod.run("ip route add default dev lo && ip -6 route add default dev lo");
  pod.run("ip addr add 10.0.0.1/32 dev lo && ip addr add fd00::1/128 dev lo nodad");
  pod.run(
      "nft 'add table inet t; add chain inet t o { type nat hook output priority -100; };"
      " add rule inet t o tcp dport 80 redirect to :15001'");
  pod.in([&] {
    auto listener = TcpListener::listen(loop, address("[::]:15001"), {.only_v6 = false});
    ASSERT_TRUE(listener.ok());
    for (const char* to : {"10.96.0.1:80", "[fd00:96::1]:80"}) {
      const auto client = loop.run(connect(loop, address(to)));
      ASSERT_TRUE(client.ok()) << client.fault().describe();
      const auto accepted = loop.run(accept_one(**listener));
      ASSERT_TRUE(accepted.ok());
      const auto destination = original_destination(**accepted);
      ASSERT_TRUE(destination.ok()) << destination.fault().describe();
      EXPECT_EQ(destination->text(), to);
      EXPECT_EQ((*accepted)->local().port, 15001);
    }
  });
}

// ── many ────────────────────────────────────────────────────────────────────────────────────────

Task<> ping(Loop& loop, SocketAddress to, int rounds, int& done_count) {
  auto stream = co_await connect(loop, to);
  if (!stream.ok()) co_return;
  std::array<char, 64> buffer;
  for (int i = 0; i < rounds; ++i) {
    const std::string text = "ping " + std::to_string(i);
    const std::array<std::string_view, 2> pieces{"> ", text};
    if (!(co_await (*stream)->write_all(pieces)).ok()) co_return;
    std::string back;
    while (back.size() < text.size() + 2) {
      if (!(co_await (*stream)->readable()).ok()) co_return;
      const Result<Taken> taken = (*stream)->read_now(buffer);
      if (!taken.ok() || taken->end) co_return;
      back.append(buffer.data(), taken->bytes);
    }
    if (back != "> " + text) co_return;
  }
  ++done_count;
}

Task<> echo_all(Loop& loop, Gate& gate, TcpListener& listener) {
  const auto one = [](TcpStreamPointer stream) -> Task<> {
    static_cast<void>(co_await echo(*stream));
  };
  while (true) {
    auto stream = co_await listener.accept();
    if (!stream.ok()) co_return;
    loop.start(gate, one(std::move(*stream)));
  }
}

Task<> all_pings(Loop& loop, SocketAddress to, int& done_count) {
  Gate clients;
  for (int i = 0; i < 200; ++i) loop.start(clients, ping(loop, to, 50, done_count));
  co_await clients.empty();
}

TEST(Tcp, HundredsOfConnectionsTalkAtOnce) {
  Loop loop;
  Gate servers;
  auto listener = TcpListener::listen(loop, address("127.0.0.1:0"));
  ASSERT_TRUE(listener.ok());
  loop.start(servers, echo_all(loop, servers, **listener));
  int done_count = 0;
  loop.run(all_pings(loop, (*listener)->local(), done_count));
  EXPECT_EQ(done_count, 200);
  loop.run([](Gate& gate) -> Task<> { co_await gate.close(); }(servers));
}

}  // namespace
}  // namespace fairlead::net
