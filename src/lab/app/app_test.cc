#include "lab/app/app.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <nlohmann/json.hpp>
#include <string>

#include "http/io/client.h"

namespace fairlead::lab::app {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

const SocketAddress any_port{IpAddress::v4({127, 0, 0, 1}), 0};

// Two apps on one loop: `front`, which is asked, and `back`, which it may call.
struct Shop {
  net::Loop loop;
  SeededRandom random{1};
  App front{loop, {.service = "front", .version = "v1", .pod = "front-v1-a"}, random};
  App back{loop, {.service = "back", .version = "v2", .pod = "back-v2-b"}, random};
  SocketAddress front_at = front.listen_http(any_port).value();
  SocketAddress back_at = back.listen_http(any_port).value();
  ~Shop() { loop.run(close()); }

  Task<Nothing> close() {
    co_await front.close();
    co_await back.close();
    co_return Nothing{};
  }
  Result<http::Answer> ask(std::string path,
                           std::vector<std::pair<std::string, std::string>> fields = {},
                           std::string method = "GET", std::string body = {}) {
    return loop.run(http::fetch(loop, front_at,
                                {.method = std::move(method),
                                 .path = std::move(path),
                                 .authority = "front",
                                 .fields = std::move(fields),
                                 .body = std::move(body)},
                                {.limits = {}, .connect = {}}));
  }
};

TEST(App, SaysWhoItIsAndWhatCame) {
  Shop shop;
  const http::Answer answer =
      shop.ask("/a?b=c", {{"X-One", "1"}, {"x-one", "2"}}, "POST", "hello").value();
  EXPECT_EQ(answer.head.status, 200);
  EXPECT_EQ(answer.head.fields.value("x-sample-pod"), "front-v1-a");
  const Json said = Json::parse(answer.body);
  EXPECT_EQ(said["service"], "front");
  EXPECT_EQ(said["version"], "v1");
  EXPECT_EQ(said["pod"], "front-v1-a");
  EXPECT_EQ(said["method"], "POST");
  EXPECT_EQ(said["path"], "/a?b=c");
  EXPECT_EQ(said["headers"]["x-one"], "1, 2");
  EXPECT_EQ(said["body_bytes"], 5);
  EXPECT_EQ(said["local"], shop.front_at.text());
}

TEST(App, CallsOnAndPassesTheTraceOn) {
  Shop shop;
  const std::string back = shop.back_at.text();
  const http::Answer answer =
      shop.ask("/?call=http%3A%2F%2F" + back + "%2Fx", {{"X-Request-Id", "r1"}, {"x-mine", "no"}})
          .value();
  EXPECT_EQ(answer.head.status, 200);
  const Json call = Json::parse(answer.body)["calls"][0];
  EXPECT_EQ(call["status"], 200);
  EXPECT_EQ(call["peer"], back);
  EXPECT_EQ(call["answer"]["pod"], "back-v2-b");
  EXPECT_EQ(call["answer"]["path"], "/x");
  EXPECT_EQ(call["answer"]["headers"]["x-request-id"], "r1");
  EXPECT_FALSE(call["answer"]["headers"].contains("x-mine"));
}

TEST(App, AChainGoesThroughEach) {
  Shop shop;
  const Json said = Json::parse(shop.ask("/?chain=" + shop.back_at.text() +
                                         ",localhost:" + std::to_string(shop.front_at.port))
                                    .value()
                                    .body);
  EXPECT_EQ(said["calls"][0]["answer"]["pod"], "back-v2-b");
  EXPECT_EQ(said["calls"][0]["answer"]["calls"][0]["answer"]["pod"], "front-v1-a");
}

TEST(App, ACallThatFailsIsToldAndFailsTheAnswer) {
  Shop shop;
  const http::Answer refused = shop.ask("/?call=127.0.0.1:1").value();
  EXPECT_EQ(refused.head.status, 502);
  EXPECT_THAT(Json::parse(refused.body)["calls"][0]["error"], HasSubstr("refused"));
  const http::Answer unknown = shop.ask("/?call=no-such-name.invalid").value();
  EXPECT_EQ(unknown.head.status, 502);
  EXPECT_THAT(Json::parse(unknown.body)["calls"][0]["error"], HasSubstr("no-such-name.invalid"));
  const http::Answer failed = shop.ask("/?call=" + shop.back_at.text() + "%2F%3Ffail%3D1").value();
  EXPECT_EQ(failed.head.status, 502);
  EXPECT_EQ(Json::parse(failed.body)["calls"][0]["status"], 500);
}

TEST(App, FailsIsSlowAndAnswersSoManyBytes) {
  Shop shop;
  EXPECT_EQ(shop.ask("/?status=404").value().head.status, 404);
  EXPECT_EQ(shop.ask("/?fail=1&status=503").value().head.status, 503);
  int failures = 0;
  for (int i = 0; i < 200; ++i)
    failures += shop.ask("/?fail=0.5").value().head.status == 500 ? 1 : 0;
  EXPECT_NEAR(failures, 100, 40);
  const Instant before = std::chrono::steady_clock::now();
  EXPECT_EQ(shop.ask("/?delay=60ms").value().head.status, 200);
  EXPECT_GE(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(60));
  const http::Answer large = shop.ask("/?bytes=200000").value();
  EXPECT_EQ(large.body.size(), 200000U);
  EXPECT_EQ(large.head.body, http::BodyFraming::sized(200000));
  const http::Answer chunked = shop.ask("/?bytes=200000&chunked=1").value();
  EXPECT_EQ(chunked.body, large.body);
  EXPECT_EQ(chunked.head.body.kind, http::BodyFraming::Kind::chunked);
  EXPECT_EQ(Json::parse(shop.ask("/?chunked=1").value().body)["service"], "front");
  EXPECT_EQ(shop.ask("/?bytes=0").value().body, "");
}

TEST(App, WhatIsUnclearIs400AndProbesAreOk) {
  Shop shop;
  const http::Answer unclear = shop.ask("/?delay=soon").value();
  EXPECT_EQ(unclear.head.status, 400);
  EXPECT_THAT(unclear.body, HasSubstr("delay"));
  EXPECT_EQ(shop.ask("/healthz?fail=1").value().body, "ok\n");
}

Task<Result<std::string>> talk(net::Loop& loop, SocketAddress to) {
  Result<net::StreamPointer> stream = co_await http::open(loop, to);
  if (!stream) co_return std::move(stream).fault();
  if (Result<> sent = co_await (*stream)->write_all(std::string_view("any bytes")); !sent) {
    co_return std::move(sent).fault();
  }
  (*stream)->shutdown_write();
  std::string came;
  std::array<char, 64> buffer{};
  for (;;) {
    if (Result<> ready = co_await (*stream)->readable(); !ready) co_return std::move(ready).fault();
    const Result<net::Taken> taken = (*stream)->read_now(buffer);
    if (!taken) co_return taken.fault();
    came.append(buffer.data(), taken->bytes);
    if (taken->end) co_return came;
  }
}

TEST(App, SendsTcpBack) {
  Shop shop;
  const SocketAddress at = shop.front.listen_tcp(any_port).value();
  EXPECT_EQ(shop.loop.run(talk(shop.loop, at)).value(), "any bytes");
}

Task<Result<http::Answer>> ask_and_close(Shop& shop, App& app) {
  // The request is being answered when the app is told to end.
  const auto ask = [](Shop& within) {
    return http::fetch(within.loop, within.front_at,
                       {.path = "/?delay=600ms", .authority = {}, .fields = {}, .body = {}},
                       {.limits = {}, .connect = {}});
  };
  const auto close = [](Shop& within, App& closing) -> Task<Nothing> {
    static_cast<void>(co_await within.loop.sleep(std::chrono::milliseconds(200)));
    co_await closing.close();
    co_return Nothing{};
  };
  auto ended = co_await both(ask(shop), close(shop, app));
  co_return std::move(ended.first);
}

TEST(App, LetsRequestsInFlightEnd) {
  Shop shop;
  const Result<http::Answer> answer = shop.loop.run(ask_and_close(shop, shop.front));
  ASSERT_TRUE(answer.ok()) << answer.fault().describe();
  EXPECT_EQ(answer->head.status, 200);
  EXPECT_FALSE(shop.ask("/").ok());
}

}  // namespace
}  // namespace fairlead::lab::app
