// Discovery over streams in memory: what a peer can make control hold.
#include "control/ads.h"

#include <gtest/gtest.h>

#include <string>

#include "control/test_shop.h"
#include "net/memory_stream.h"
#include "xds/resource.h"

namespace fairlead::control {
namespace {

using std::chrono::milliseconds;
using testing::shop;
using testing::text_field;

const std::string cds = std::string(xds::type_url(xds::ResourceType::cluster));

http::GrpcConnectionOptions small_queues() {
  http::GrpcConnectionOptions options;
  options.max_queued = 1000;
  options.session.max_waiting = 1000;
  options.session.http2.stream_window = 1000;
  return options;
}

class Discovery : public ::testing::Test {
 protected:
  void begin(DiscoveryLimits limits) {
    service = std::make_unique<DiscoveryService>(loop, publisher, limits);
    server = std::make_unique<http::GrpcServer>(
        loop, [this](http::GrpcCallHandle& call) { return service->answer(call); }, small_queues());
    static_cast<void>(publisher.use(shop("1", {"10.244.1.12"})));
  }
  void TearDown() override {
    loop.run(gate.close_all());
    loop.run(server->close());
  }

  http::GrpcChannel connect() {
    auto [client, at_server] = net::MemoryStream::pair(loop, 1000);
    server->acceptor().adopt(std::move(at_server));
    return http::GrpcChannel(std::move(client), small_queues());
  }

  void turn_for(Duration time) {
    static_cast<void>(loop.run([](net::Loop& on, Duration how_long) -> Task<Result<>> {
      co_return co_await on.sleep(how_long);
    }(loop, time)));
  }

  struct Work : Gate {
    Task<> close_all() { co_await close(); }
  };

  net::Loop loop;
  Publisher publisher;
  std::unique_ptr<DiscoveryService> service;
  std::unique_ptr<http::GrpcServer> server;
  Work gate;
};

// Asks for everything, and acknowledges nonces that it guesses, each twice: the second asks for the
// same again.
Task<> guess_nonces(http::GrpcCallHandle& call, int most, int& sent) {
  const std::string node = "sidecar~10.244.1.2~web.default~default.svc.cluster.local";
  if (!(co_await call.send(testing::first_request(cds, node))).ok()) co_return;
  for (sent = 1; sent < most; ++sent) {
    const std::string nonce = std::to_string(sent);
    const std::string request = text_field(1, "x") + text_field(4, cds) + text_field(5, nonce);
    if (!(co_await call.send(request)).ok()) co_return;
    if (!(co_await call.send(request)).ok()) co_return;
  }
}

TEST_F(Discovery, WhoDoesNotReadIsNotReadFrom) {
  begin({});
  http::GrpcChannel channel = connect();
  auto call = channel.call({.method = std::string(xds::ads_method), .authority = "control"});
  ASSERT_TRUE(call.ok());
  int sent = 0;
  loop.start(gate, guess_nonces(*call, 100'000, sent));
  turn_for(milliseconds(200));
  const int once = sent;
  EXPECT_LT(once, 2000) << "the client waits";
  EXPECT_LE(service->waiting(), 4U);
  // A world that changes meanwhile adds nothing for who has not answered.
  for (int i = 2; i < 50; ++i) {
    service->push(
        publisher.use(shop(std::to_string(i).c_str(), {"10.244.2." + std::to_string(i)})));
  }
  turn_for(milliseconds(50));
  EXPECT_EQ(sent, once);
  EXPECT_LE(service->waiting(), 8U);
}

TEST_F(Discovery, WhoDoesNotReadForLongIsGivenUp) {
  begin({.patience = milliseconds(100)});
  http::GrpcChannel channel = connect();
  auto call = channel.call({.method = std::string(xds::ads_method), .authority = "control"});
  ASSERT_TRUE(call.ok());
  int sent = 0;
  loop.start(gate, guess_nonces(*call, 100'000, sent));
  for (int i = 0; i < 1000 && service->given_up() == 0; ++i) turn_for(milliseconds(10));
  EXPECT_EQ(service->given_up(), 1U);
  turn_for(milliseconds(50));
  EXPECT_EQ(service->waiting(), 0U);
  EXPECT_TRUE(publisher.status().proxies.empty()) << "nothing of the stream is kept";
}

}  // namespace
}  // namespace fairlead::control
