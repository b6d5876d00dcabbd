#include "http/io/grpc.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "http/io/client.h"
#include "net/memory_stream.h"

namespace fairlead::http {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

struct Service {
  explicit Service(net::Loop& on) : loop(on) {}
  net::Loop& loop;
  std::size_t sent = 0;       // bytes, of /Flood
  std::string why_cancelled;  // of /Wait

  Task<GrpcStatus> answer(GrpcCallHandle& call) {
    if (call.method() == "/test/Echo") co_return co_await echo(call);
    if (call.method() == "/test/Flood") co_return co_await flood(call);
    if (call.method() == "/test/Wait") co_return co_await wait(call);
    co_return grpc_unimplemented(call.method());
  }
  static Task<GrpcStatus> echo(GrpcCallHandle& call) {
    while (true) {
      Result<std::optional<std::string>> message = co_await call.receive();
      if (!message.ok()) co_return status_of(message.fault());
      if (!*message) co_return GrpcStatus{GrpcCode::ok, "that was all"};
      if (Result<> sent = co_await call.send("echo " + **message); !sent.ok()) {
        co_return status_of(sent.fault());
      }
    }
  }
  Task<GrpcStatus> flood(GrpcCallHandle& call) {
    const std::string message(10'000, 'x');
    for (int i = 0; i < 10'000; ++i) {
      if (Result<> ok = co_await call.send(message); !ok.ok()) co_return status_of(ok.fault());
      sent += message.size();
    }
    co_return GrpcStatus{};
  }
  Task<GrpcStatus> wait(GrpcCallHandle& call) {
    if (Result<> greeted = co_await call.send("waiting"); !greeted.ok()) {
      co_return status_of(greeted.fault());
    }
    Result<std::optional<std::string>> message = co_await call.receive();
    if (!message.ok()) {
      why_cancelled = message.fault().message;
    } else {
      why_cancelled = (co_await loop.sleep(hours(1))).ok() ? "not at all" : "while asleep";
    }
    co_return GrpcStatus{GrpcCode::ok, "nobody hears this"};
  }
};

class Grpc : public testing::Test {
 protected:
  Grpc() : Grpc(GrpcConnectionOptions{}) {}
  explicit Grpc(const GrpcConnectionOptions& options)
      : service(loop),
        server(
            loop, [this](GrpcCallHandle& call) { return service.answer(call); }, options),
        address(*server.listen(*SocketAddress::parse("127.0.0.1:0"))) {}
  ~Grpc() override {
    // A client's end closes its connection.
    loop.run(server.close());
  }

  static GrpcSession::Request request(const std::string& method,
                                      std::optional<Duration> timeout = {}) {
    return {.method = "/test/" + method, .authority = "test", .timeout = timeout};
  }

  net::Loop loop;
  Service service;
  GrpcServer server;
  SocketAddress address;
};

Task<Result<GrpcChannel>> channel_to(net::Loop& loop, SocketAddress to,
                                     GrpcConnectionOptions options = {}) {
  auto stream = co_await open(loop, to);
  if (!stream.ok()) co_return stream.fault();
  co_return GrpcChannel(std::move(*stream), options);
}

Task<Result<std::string>> talk(net::Loop& loop, SocketAddress to, GrpcSession::Request request,
                               std::vector<std::string> messages) {
  auto channel = co_await channel_to(loop, to);
  if (!channel.ok()) co_return channel.fault();
  auto call = channel->call(request);
  if (!call.ok()) co_return call.fault();
  std::string log;
  for (const std::string& message : messages) {
    if (auto sent = co_await call->send(message); !sent.ok()) co_return sent.fault();
    auto answer = co_await call->receive();
    if (!answer.ok()) co_return answer.fault();
    log += answer->value_or("nothing") + "; ";
  }
  call->half_close();
  while (true) {
    auto answer = co_await call->receive();
    if (!answer.ok()) co_return answer.fault();
    if (!*answer) break;
    log += **answer + "; ";
  }
  co_return log + name_of(call->status().code) + " " + call->status().message;
}

TEST_F(Grpc, MessagesGoBothWaysAndTheStatusComesLast) {
  const auto log = loop.run(talk(loop, address, request("Echo"), {"one", "two", ""}));
  ASSERT_TRUE(log.ok()) << log.fault().describe();
  EXPECT_EQ(*log, "echo one; echo two; echo ; OK that was all");
}

TEST_F(Grpc, AMessageOfMegabytesArrivesWhole) {
  const std::string big(3'000'000, 'b');
  const auto log = loop.run(talk(loop, address, request("Echo"), {big}));
  ASSERT_TRUE(log.ok()) << log.fault().describe();
  EXPECT_TRUE(*log == "echo " + big + "; OK that was all");
}

TEST_F(Grpc, AnUnknownMethodIsSaidToBe) {
  const auto log = loop.run(talk(loop, address, request("Nothing"), {}));
  ASSERT_TRUE(log.ok()) << log.fault().describe();
  EXPECT_EQ(*log, "UNIMPLEMENTED there is no method /test/Nothing");
}

TEST_F(Grpc, ACallThatTakesTooLongEndsOnBothSides) {
  const auto log = loop.run(talk(loop, address, request("Wait", milliseconds(500)), {}));
  ASSERT_TRUE(log.ok()) << log.fault().describe();
  EXPECT_EQ(*log, "waiting; DEADLINE_EXCEEDED the call's time is over");
  EXPECT_EQ(service.why_cancelled, "while asleep");
}

Task<Result<std::size_t>> read_slowly(net::Loop& loop, SocketAddress to, const std::size_t& sent) {
  auto channel = co_await channel_to(loop, to);
  if (!channel.ok()) co_return channel.fault();
  auto call = channel->call({.method = "/test/Flood", .authority = "test"});
  if (!call.ok()) co_return call.fault();
  // Nobody takes anything: the sender must stop, well before its 100 MB.
  std::size_t before = 1;
  while (before != sent || sent == 0) {
    before = sent;
    if (auto slept = co_await loop.sleep(milliseconds(100)); !slept.ok()) co_return slept.fault();
  }
  const std::size_t held_back = sent;
  std::size_t got = 0;
  while (true) {
    auto message = co_await call->receive();
    if (!message.ok()) co_return message.fault();
    if (!*message) break;
    got += (*message)->size();
  }
  if (got != 100'000'000) co_return invalid("only " + std::to_string(got) + " bytes came");
  co_return held_back;
}

TEST_F(Grpc, ASenderWaitsForAReaderThatTakesNothing) {
  const auto held_back = loop.run(read_slowly(loop, address, service.sent));
  ASSERT_TRUE(held_back.ok()) << held_back.fault().describe();
  EXPECT_LT(*held_back, 20'000'000U);
}

Task<Result<>> leave_early(net::Loop& loop, SocketAddress to) {
  auto channel = co_await channel_to(loop, to);
  if (!channel.ok()) co_return channel.fault();
  auto call = channel->call({.method = "/test/Wait", .authority = "test"});
  if (!call.ok()) co_return call.fault();
  auto greeting = co_await call->receive();
  if (!greeting.ok()) co_return greeting.fault();
  co_return done();
}

Task<Result<>> until_heard(net::Loop& loop, const std::string& text) {
  while (text.empty()) {
    if (auto slept = co_await loop.sleep(milliseconds(5)); !slept.ok()) co_return slept;
  }
  co_return done();
}

TEST_F(Grpc, AHandlerLearnsThatItsClientHasGone) {
  ASSERT_TRUE(loop.run(leave_early(loop, address)).ok());
  ASSERT_TRUE(loop.run([](net::Loop& on, const std::string& text) -> Task<Result<>> {
                    co_return co_await net::within(on, std::chrono::seconds(20),
                                                   until_heard(on, text));
                  }(loop, service.why_cancelled))
                  .ok());
  EXPECT_NE(service.why_cancelled, "not at all");
}

Task<Result<std::string>> outlive(net::Loop& loop, SocketAddress to, GrpcServer& server) {
  auto channel = co_await channel_to(loop, to);
  if (!channel.ok()) co_return channel.fault();
  auto call = channel->call({.method = "/test/Wait", .authority = "test"});
  if (!call.ok()) co_return call.fault();
  auto greeting = co_await call->receive();
  if (!greeting.ok()) co_return greeting.fault();
  co_await server.close();
  auto nothing = co_await call->receive();
  if (!nothing.ok()) co_return nothing.fault();
  co_return name_of(call->status().code) + (" " + call->status().message) +
      (channel->usable() ? "; usable" : "; used up");
}

TEST_F(Grpc, AServerThatClosesTellsItsClients) {
  const auto log = loop.run(outlive(loop, address, server));
  ASSERT_TRUE(log.ok()) << log.fault().describe();
  EXPECT_EQ(*log, "UNAVAILABLE the server is shutting down; used up");
}

class GrpcKeepalive : public Grpc {
 protected:
  GrpcKeepalive() : Grpc({.keepalive = hours(1)}) {}
};

Task<Result<std::string>> silence(net::StreamPointer stream, Duration keepalive) {
  GrpcChannel channel(std::move(stream), {.keepalive = keepalive});
  auto call = channel.call({.method = "/test/Wait", .authority = "test"});
  if (!call.ok()) co_return call.fault();
  auto answer = co_await call->receive();
  if (!answer.ok()) co_return answer.fault();
  co_return name_of(call->status().code) + (" " + call->status().message);
}

TEST(GrpcClient, APeerThatAnswersNothingIsGivenUp) {
  net::Loop loop;
  auto [client, server] = net::MemoryStream::pair(loop);
  const auto log = loop.run(silence(std::move(client), milliseconds(20)));
  ASSERT_TRUE(log.ok()) << log.fault().describe();
  EXPECT_EQ(*log, "UNAVAILABLE the peer is silent, and answers no ping");
}

Task<Result<std::string>> patience(net::Loop& loop, SocketAddress to) {
  auto channel = co_await channel_to(loop, to, {.keepalive = milliseconds(500)});
  if (!channel.ok()) co_return channel.fault();
  auto call = channel->call({.method = "/test/Wait", .authority = "test"});
  if (!call.ok()) co_return call.fault();
  auto greeting = co_await call->receive();
  if (!greeting.ok()) co_return greeting.fault();
  if (auto slept = co_await loop.sleep(milliseconds(1800)); !slept.ok()) co_return slept.fault();
  co_return call->ended() ? "ended" : "open";
}

TEST_F(GrpcKeepalive, APeerThatAnswersPingsIsKept) {
  const auto log = loop.run(patience(loop, address));
  ASSERT_TRUE(log.ok()) << log.fault().describe();
  EXPECT_EQ(*log, "open");
}

// Writes until that has to wait for a second, and reads nothing.
Task<Result<>> write_for_ever(net::Stream& stream, std::string bytes, std::size_t& written) {
  while (true) {
    if (Result<> ok = co_await stream.write_all(bytes); !ok.ok()) co_return ok;
    written += bytes.size();
  }
}

TEST_F(Grpc, WhoSendsAndNeverReadsIsNotReadFromForEver) {
  auto [client, at_server] = net::MemoryStream::pair(loop, 64 * 1024);
  server.acceptor().adopt(std::move(at_server));
  // Frames that each want an answer: settings (RFC 9113 §6.5).
  const std::string settings("\0\0\0\x04\0\0\0\0\0", 9);
  std::string flood = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings;
  std::size_t written = 0;
  // A stream that is opened and given up: it is refused or reset, both of which want a frame.
  for (int i = 0; i < 1000; ++i) flood += settings;
  const Result<> ended = loop.run(
      [](net::Loop& on, net::Stream& to, std::string bytes, std::size_t& count) -> Task<Result<>> {
        co_return co_await net::within(on, std::chrono::seconds(1),
                                       write_for_ever(to, std::move(bytes), count));
      }(loop, *client, flood, written));
  ASSERT_FALSE(ended.ok());
  EXPECT_LT(written, 4'000'000U);
  client.reset();
}

TEST_F(Grpc, WhatIsNoHttp2IsClosed) {
  const auto answer = loop.run(fetch(loop, address, {}));
  ASSERT_FALSE(answer.ok());
}

}  // namespace
}  // namespace fairlead::http
