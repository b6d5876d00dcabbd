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

// On every listener: no TLS is ended here, so no certificate was seen.
TEST(Arrival, IdentitiesFromOutsideAreTakenOff) {
  for (const config::HttpConnectionManager& manager : {edge(), config::HttpConnectionManager{}}) {
    const std::string left =
        received(with({{"x-forwarded-client-cert", "URI=spiffe://td/ns/admin/sa/admin"},
                       {"a", "1"},
                       {"X-Forwarded-Client-Cert", "By=spiffe://td/ns/a/sa/b"},
                       {"X-Envoy-Peer-Metadata", "Cg=="},
                       {"x-envoy-peer-metadata-id", "sidecar~10.0.0.1"},
                       {"x-fairlead-undelivered", "app"},
                       {"X-Fairlead-Else", "1"},
                       {"x-fairlead", "2"}}),
                 manager);
    EXPECT_EQ(left.substr(0, left.find(", x-forwarded")), "a: 1, x-fairlead: 2");
  }
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

// A list may stand on several lines (RFC 9110 §5.3).
TEST(Arrival, AListOnSeveralLinesIsOneList) {
  EXPECT_EQ(received(with({{"x-forwarded-for", "1.1.1.1"},
                           {"a", "1"},
                           {"X-Forwarded-For", "2.2.2.2, 3.3.3.3"},
                           {"X-Forwarded-For", ""},
                           {"TE", "deflate"},
                           {"TE", "trailers"}}),
                     edge()),
            "x-forwarded-for: 1.1.1.1,2.2.2.2, 3.3.3.3,9.9.9.9, a: 1, te: trailers, "
            "x-forwarded-proto: http, x-request-id: new-id");
  EXPECT_EQ(received(with({{"Connection", "x-a"},
                           {"X-A", "1"},
                           {"Connection", "x-b"},
                           {"X-B", "2"},
                           {"X-C", "3"}})),
            "X-C: 3, x-forwarded-proto: http, x-request-id: new-id");
}

TEST(Arrival, OfAnUpgradePassesWhatIsConfigured) {
  const auto passed = [](std::string_view asked, std::vector<std::string> configured,
                         std::string_view method = "GET") {
    http::RequestHead head = with({{"Connection", "Upgrade"}, {"Upgrade", asked}});
    head.method = method;
    head.upgrade = asked;
    config::HttpConnectionManager manager;
    manager.upgrades = std::move(configured);
    manager.generate_request_id = false;
    receive(head, manager, {});
    EXPECT_EQ(head.fields.value("upgrade"), head.upgrade);
    EXPECT_EQ(head.fields.has("connection"), !head.upgrade.empty());
    return std::string(head.upgrade);
  };
  EXPECT_EQ(passed("WebSocket", {"websocket"}), "WebSocket");
  EXPECT_EQ(passed("websocket", {}), "");
  EXPECT_EQ(passed("TLS/1.2", {"websocket"}), "");
  EXPECT_EQ(passed("foo/1, websocket", {"websocket"}), "websocket");
  EXPECT_EQ(passed("b,websocket ,, a", {"a", "websocket", "b"}), "b, websocket, a");
  EXPECT_EQ(passed("h2c, websocket", {"websocket", "h2c"}), "websocket");
  EXPECT_EQ(passed("h2c", {"h2c"}), "");
  EXPECT_EQ(passed("websocket", {"websocket", "CONNECT"}, "CONNECT"), "");
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
