#include "proxy/decide/arrival.h"

#include <gtest/gtest.h>

#include <string>

namespace fairlead::proxy {
namespace {

http::RequestHead with(std::initializer_list<std::pair<std::string_view, std::string_view>> all) {
  http::RequestHead head;
  for (const auto& [name, value] : all) head.fields.add(name, value);
  return head;
}

// "name: value, …", in their order.
std::string received(http::RequestHead head, const config::HttpConnectionManager& manager = {}) {
  receive(head, manager,
          {.peer = "9.9.9.9", .id = needs_id(manager, head) ? "new-id" : std::string_view()});
  std::string all;
  for (const http::Field& field : head.fields) {
    all += all.empty() ? "" : ", ";
    all += std::string(field.name) + ": " + std::string(field.value);
  }
  return all;
}

config::HttpConnectionManager edge() {
  config::HttpConnectionManager manager;
  manager.use_remote_address = true;
  return manager;
}

TEST(Arrival, WhatIsNotThereIsPutOn) {
  EXPECT_EQ(received({}), "x-forwarded-proto: http, x-request-id: new-id");
  EXPECT_EQ(received(with({{"X-Request-Id", "a"}, {"x-forwarded-proto", "https"}})),
            "X-Request-Id: a, x-forwarded-proto: https");
  config::HttpConnectionManager without;
  without.generate_request_id = false;
  EXPECT_EQ(received({}, without), "x-forwarded-proto: http");
}

TEST(Arrival, AtTheEdgeNobodyIsBelieved) {
  EXPECT_EQ(received(with({{"x-request-id", "a"},
                           {"x-forwarded-proto", "https"},
                           {"x-forwarded-for", "1.1.1.1"},
                           {"x-envoy-external-address", "1.1.1.1"},
                           {"X-Envoy-Original-Path", "/other"},
                           {"x-envoy-downstream-service-cluster", "other"}}),
                     edge()),
            "x-request-id: new-id, x-forwarded-proto: http, x-forwarded-for: 1.1.1.1,9.9.9.9");
  config::HttpConnectionManager keeps = edge();
  keeps.preserve_external_request_id = true;
  EXPECT_EQ(received(with({{"x-request-id", "a"}}), keeps),
            "x-request-id: a, x-forwarded-for: 9.9.9.9, x-forwarded-proto: http");
}

// As Envoy 1.40 has it.
TEST(Arrival, WhatOnlyAProxyMaySetIsTakenOff) {
  EXPECT_EQ(received(with({{"x-envoy-internal", "true"},
                           {"X-Envoy-Retry-On", "5xx"},
                           {"x-envoy-upstream-rq-timeout-ms", "1"},
                           {"x-envoy-original-path", "/before"},
                           {"x-envoy-attempt-count", "1"},
                           {"x-else-internal", "1"},
                           {"x-request-id", "a"},
                           {"x-forwarded-proto", "http"}})),
            "x-envoy-original-path: /before, x-envoy-attempt-count: 1, x-else-internal: 1, "
            "x-request-id: a, x-forwarded-proto: http");
}

TEST(Arrival, WhatBelongsToTheHopIsTakenOff) {
  EXPECT_EQ(received(with({{"Connection", "keep-alive, x-foo"},
                           {"X-Foo", "1"},
                           {"Keep-Alive", "5"},
                           {"Proxy-Connection", "close"},
                           {"TE", "gzip, trailers"},
                           {"Transfer-Encoding", "chunked"},
                           {"a", "1"}})),
            "a: 1, te: trailers, x-forwarded-proto: http, x-request-id: new-id");
  // No client takes off what we put on.
  EXPECT_EQ(received(with({{"Connection", "x-forwarded-for, x-request-id"}}), edge()),
            "x-forwarded-for: 9.9.9.9, x-forwarded-proto: http, "
            "x-request-id: new-id");
}

TEST(Arrival, AnUpgradeIsStillSeen) {
  http::RequestHead head = with({{"Connection", "Upgrade"}, {"Upgrade", "websocket"}});
  head.upgrade = "websocket";
  EXPECT_EQ(received(std::move(head)),
            "Connection: Upgrade, Upgrade: websocket, x-forwarded-proto: http, "
            "x-request-id: new-id");
}

TEST(Arrival, Scheme) {
  EXPECT_EQ(scheme_of({}), "http");
  EXPECT_EQ(scheme_of(with({{"x-forwarded-proto", "HTTPS"}})), "https");
  EXPECT_EQ(scheme_of(with({{"x-forwarded-proto", "ftp"}})), "http");
  http::RequestHead absolute = with({{"x-forwarded-proto", "https"}});
  absolute.scheme = "http";
  EXPECT_EQ(scheme_of(absolute), "http");
  receive(absolute, edge(), {.peer = "9.9.9.9", .id = "new-id"});
  EXPECT_EQ(scheme_of(absolute), "http");
}

}  // namespace
}  // namespace fairlead::proxy
