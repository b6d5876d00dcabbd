// The control plane over real sockets, asked by our own discovery client.
#include "control/control.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "control/test_shop.h"
#include "http/io/client.h"
#include "xds/session.h"

namespace fairlead::control {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using testing::shop;

// A proxy's side: connects, and goes on until it is cancelled.
struct Client {
  explicit Client(const std::string& pod) : session(testing::sidecar(pod), {}) {}
  xds::AdsClient session;
  config::SnapshotPointer snapshot;
  http::GrpcStatus ended;
  bool over = false;
};

Task<Result<>> take(http::GrpcCallHandle& call, Client& client, xds::ClientStep step) {
  if (step.snapshot) client.snapshot = step.snapshot;
  for (const std::string& message : step.send) {
    if (Result<> sent = co_await call.send(message); !sent.ok()) co_return sent;
  }
  co_return done();
}

Task<Result<>> talk(net::Loop& loop, SocketAddress control, Client& client) {
  auto stream = co_await http::open(loop, control);
  if (!stream.ok()) co_return stream.fault();
  http::GrpcChannel channel(std::move(*stream));
  auto call = channel.call({.method = std::string(xds::ads_method), .authority = "control"});
  if (!call.ok()) co_return call.fault();
  Result<> sent = co_await take(*call, client, client.session.connected(loop.now()));
  while (sent.ok()) {
    auto message = co_await call->receive();
    if (!message.ok()) co_return message.fault();
    if (!*message) {
      client.ended = call->status();
      co_return done();
    }
    auto step = client.session.received(**message, loop.now());
    if (!step.ok()) co_return step.fault();
    sent = co_await take(*call, client, std::move(*step));
  }
  co_return sent;
}

Task<> run(net::Loop& loop, SocketAddress control, Client& client) {
  static_cast<void>(co_await talk(loop, control, client));
  client.over = true;
}

class ControlTest : public ::testing::Test {
 protected:
  void begin() {
    control = std::make_unique<Control>(loop);
    auto http_at = control->listen_http(*SocketAddress::parse("127.0.0.1:0"));
    auto grpc_at = control->listen_grpc(*SocketAddress::parse("127.0.0.1:0"));
    ASSERT_TRUE(http_at.ok());
    ASSERT_TRUE(grpc_at.ok());
    http_address = *http_at;
    grpc_address = *grpc_at;
  }
  void SetUp() override { begin(); }
  void end() {
    loop.run(control->close());
    control.reset();
  }
  void TearDown() override {
    loop.run([](Gate& gate) -> Task<> { co_await gate.close(); }(clients));
    if (control) end();
  }

  // Turns the loop until `holds`, or gives up after a long while.
  template <class Holds>
  bool until(Holds holds) {
    for (int i = 0; i < 4000; ++i) {
      if (holds()) return true;
      static_cast<void>(loop.run([](net::Loop& on) -> Task<Result<>> {
        co_return co_await on.sleep(milliseconds(5));
      }(loop)));
    }
    return false;
  }

  http::Answer get(const std::string& path) {
    auto answer = loop.run(http::fetch(loop, http_address, {.path = path}));
    EXPECT_TRUE(answer.ok()) << answer.fault().describe();
    return answer.ok() ? std::move(*answer) : http::Answer{};
  }

  Client& join(const std::string& pod) {
    Client& client = *known.emplace_back(std::make_unique<Client>(pod));
    loop.start(clients, run(loop, grpc_address, client));
    return client;
  }

  std::vector<std::unique_ptr<Client>> known;
  net::Loop loop;
  std::unique_ptr<Control> control;
  SocketAddress http_address;
  SocketAddress grpc_address;
  Gate clients;
};

TEST_F(ControlTest, NothingIsReadyBeforeTheFirstWorld) {
  EXPECT_EQ(get("/ready").head.status, 503);
  EXPECT_EQ(get("/v1/registration/").head.status, 503);
  control->use(nullptr, {"a.yaml:3:1: no list"});
  EXPECT_THAT(get("/ready").body, HasSubstr("a.yaml:3:1: no list"));
  EXPECT_THAT(get("/fairlead/status").body, HasSubstr("\"world\": \"\""));
  control->use(shop("1", {"10.244.1.12"}), {});
  EXPECT_EQ(get("/ready").body, "world 1\n");
}

TEST_F(ControlTest, TheRegistryIsAskedAsPilotWas) {
  control->use(shop("1", {"10.244.1.12"}), {});
  const http::Answer all = get("/v1/registration/");
  EXPECT_EQ(all.head.fields.value("content-type"), "application/json");
  EXPECT_THAT(all.body, HasSubstr("\"service-key\": \"reviews.default.svc.cluster.local|http\""));
  const http::Answer one = get("/v1/registration/reviews.default.svc.cluster.local%7Chttp");
  EXPECT_EQ(one.head.status, 200);
  EXPECT_THAT(one.body, HasSubstr("\"ip_address\": \"10.244.1.12\""));
  EXPECT_EQ(get("/v1/clusters/x").head.status, 404);
}

TEST_F(ControlTest, AProxyFollowsTheWorld) {
  Client& client = join("web");
  control->use(shop("1", {"10.244.1.12"}), {});
  ASSERT_TRUE(until([&] { return client.snapshot && client.snapshot->world == "1"; }));
  ASSERT_TRUE(until([&] { return control->status().proxies.at(0).current; }));
  control->use(shop("2", {"10.244.1.12", "10.244.2.12"}), {});
  ASSERT_TRUE(until([&] { return client.snapshot->world == "2"; }));
  ASSERT_TRUE(until([&] { return control->status().proxies.at(0).current; }));
  const http::Answer status = get("/fairlead/status");
  EXPECT_THAT(status.body, HasSubstr("\"acknowledgedWorld\": \"2\""));
  EXPECT_THAT(status.body, HasSubstr("\"peer\": \"127.0.0.1:"));
  EXPECT_THAT(*describe_status(status.body), HasSubstr("current"));
}

TEST_F(ControlTest, AProxyThatLeavesIsForgotten) {
  control->use(shop("1", {"10.244.1.12"}), {});
  Client& client = join("web");
  ASSERT_TRUE(until([&] { return client.snapshot != nullptr; }));
  EXPECT_EQ(control->status().proxies.size(), 1U);
  clients.cancel().cancel();
  EXPECT_TRUE(until([&] { return control->status().proxies.empty(); }));
}

TEST_F(ControlTest, AControlPlaneThatRestartsFindsItsProxiesWhereTheyWere) {
  control->use(shop("1", {"10.244.1.12"}), {});
  Client& client = join("web");
  ASSERT_TRUE(until([&] { return client.snapshot != nullptr; }));
  end();
  ASSERT_TRUE(until([&] { return client.over; }));
  EXPECT_EQ(client.ended.code, http::GrpcCode::unavailable);
  begin();
  control->use(shop("2", {"10.244.1.12", "10.244.1.13"}), {});
  client.over = false;
  loop.start(clients, run(loop, grpc_address, client));
  ASSERT_TRUE(until([&] { return client.snapshot->world == "2"; }));
  EXPECT_TRUE(until([&] { return control->status().proxies.at(0).current; }));
}

TEST_F(ControlTest, ManyProxiesHearOfOneChange) {
  control->use(shop("1", {"10.244.1.12"}), {});
  for (int i = 0; i < 50; ++i) join("web-" + std::to_string(i));
  const auto speak = [&](const char* world) {
    return until([&] {
      for (const auto& client : known) {
        if (!client->snapshot || client->snapshot->world != world) return false;
      }
      return true;
    });
  };
  ASSERT_TRUE(speak("1"));
  control->use(shop("2", {"10.244.2.12"}), {});
  EXPECT_TRUE(speak("2"));
}

Task<Result<http::GrpcStatus>> call_once(net::Loop& loop, SocketAddress to, std::string method,
                                         std::string message) {
  auto stream = co_await http::open(loop, to);
  if (!stream.ok()) co_return stream.fault();
  http::GrpcChannel channel(std::move(*stream));
  auto call = channel.call({.method = method, .authority = "control"});
  if (!call.ok()) co_return call.fault();
  static_cast<void>(co_await call->send(message));
  while (true) {
    auto answer = co_await call->receive();
    if (!answer.ok()) co_return answer.fault();
    if (!*answer) co_return call->status();
  }
}

TEST_F(ControlTest, WhatIsNotSpokenIsRefusedInWords) {
  auto status = loop.run(call_once(
      loop, grpc_address,
      "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources", ""));
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(status->code, http::GrpcCode::unimplemented);
  status = loop.run(call_once(loop, grpc_address, std::string(xds::ads_method), "\xff\xff\xff"));
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(status->code, http::GrpcCode::invalid_argument);
}

TEST_F(ControlTest, StatusIsOnAUnixSocketToo) {
  const std::string path =
      ::testing::TempDir() + "fairlead-control-" + std::to_string(::getpid()) + ".sock";
  ASSERT_TRUE(control->listen_status(path).ok());
  const auto answer =
      loop.run(http::fetch(loop, http::Endpoint(path), {.path = "/fairlead/status"}));
  ASSERT_TRUE(answer.ok()) << answer.fault().describe();
  EXPECT_THAT(answer->body, HasSubstr("\"proxies\""));
}

TEST_F(ControlTest, APortInUseIsNamed) {
  const auto again = control->listen_http(grpc_address);
  ASSERT_FALSE(again.ok());
  EXPECT_THAT(again.fault().message, HasSubstr("cannot listen on " + grpc_address.text()));
}

}  // namespace
}  // namespace fairlead::control
