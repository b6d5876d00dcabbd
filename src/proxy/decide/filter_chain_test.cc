#include "proxy/decide/filter_chain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace fairlead::proxy {
namespace {

using ::testing::HasSubstr;

SocketAddress at(std::string_view text) {
  return SocketAddress::parse(text).value();
}

config::FilterChain chain(std::string name, config::FilterChainMatch match) {
  return {.name = std::move(name),
          .match = std::move(match),
          .filter = config::TcpProxy{},
          .origin = {}};
}

config::Prefix prefix(std::string_view address, int length) {
  return {IpAddress::parse(address).value(), length};
}

std::string chosen(const config::Listener& listener, const ConnectionFacts& facts) {
  const config::FilterChain* chain = choose_filter_chain(listener, facts);
  return chain ? chain->name : "none";
}

// What istiod sends as virtualInbound, in small.
config::Listener inbound() {
  config::Listener listener;
  listener.filter_chains = {
      chain("blackhole", {.destination_port = 15006}),
      chain("catchall-http", {.transport_protocol = "raw_buffer",
                              .application_protocols = {"http/1.0", "http/1.1"}}),
      chain("catchall", {.transport_protocol = "raw_buffer"}),
      chain("9080-http",
            {.destination_port = 9080, .application_protocols = {"http/1.0", "http/1.1"}}),
      chain("9080", {.destination_port = 9080}),
  };
  return listener;
}

TEST(FilterChain, ThePortComesFirst) {
  const ConnectionFacts http{.source = at("10.0.0.1:1"),
                             .destination = at("10.0.0.2:9080"),
                             .server_name = {},
                             .application_protocols = {"http/1.1"}};
  EXPECT_EQ(chosen(inbound(), http), "9080-http");
  ConnectionFacts raw = http;
  raw.application_protocols.clear();
  EXPECT_EQ(chosen(inbound(), raw), "9080");
  ConnectionFacts other = http;
  other.destination.port = 80;
  EXPECT_EQ(chosen(inbound(), other), "catchall-http");
  other.application_protocols.clear();
  EXPECT_EQ(chosen(inbound(), other), "catchall");
  other.destination.port = 15006;
  EXPECT_EQ(chosen(inbound(), other), "blackhole");
}

TEST(FilterChain, ItNeverGoesBack) {
  config::Listener listener;
  listener.filter_chains = {
      chain("port", {.destination_port = 80, .transport_protocol = "tls"}),
      chain("open", {}),
  };
  // "open" would take it, but "port" named the port and then wants TLS.
  EXPECT_EQ(chosen(listener,
                   {.source = at("1.1.1.1:1"), .destination = at("2.2.2.2:80"), .server_name = {}}),
            "none");
  listener.default_filter_chain = chain("default", {});
  EXPECT_EQ(chosen(listener,
                   {.source = at("1.1.1.1:1"), .destination = at("2.2.2.2:80"), .server_name = {}}),
            "default");
}

TEST(FilterChain, LongestPrefixClosestNameAndSource) {
  config::Listener listener;
  listener.filter_chains = {
      chain("wide", {.prefix_ranges = {prefix("10.0.0.0", 8)}}),
      chain("narrow", {.prefix_ranges = {prefix("192.168.0.0", 16), prefix("10.1.0.0", 16)}}),
      chain("v6", {.prefix_ranges = {prefix("fd00::", 8)}}),
      chain("exact", {.prefix_ranges = {prefix("11.0.0.0", 8)}, .server_names = {"a.b.c"}}),
      chain("star", {.prefix_ranges = {prefix("11.0.0.0", 8)}, .server_names = {"*.b.c"}}),
      chain("wider", {.prefix_ranges = {prefix("11.0.0.0", 8)}, .server_names = {"*.c"}}),
      chain("from", {.prefix_ranges = {prefix("12.0.0.0", 8)},
                     .source_prefix_ranges = {prefix("1.0.0.0", 8)}}),
      chain("from any", {.prefix_ranges = {prefix("12.0.0.0", 8)}}),
  };
  const auto to = [&](std::string_view address, std::string_view name = {}) {
    return chosen(listener,
                  {.source = at("1.1.1.1:1"), .destination = at(address), .server_name = name});
  };
  EXPECT_EQ(to("10.2.0.1:1"), "wide");
  EXPECT_EQ(to("10.1.0.1:1"), "narrow");
  EXPECT_EQ(to("[fd00::1]:1"), "v6");
  EXPECT_EQ(to("11.1.1.1:1", "a.b.c"), "exact");
  EXPECT_EQ(to("11.1.1.1:1", "x.b.c"), "star");
  EXPECT_EQ(to("11.1.1.1:1", "b.c"), "wider");
  EXPECT_EQ(to("11.1.1.1:1", "c"), "none");
  EXPECT_EQ(to("12.1.1.1:1"), "from");
  EXPECT_EQ(chosen(listener,
                   {.source = at("2.1.1.1:1"), .destination = at("12.1.1.1:1"), .server_name = {}}),
            "from any");
}

TEST(FilterChain, EveryOtherChainSaysWhyNot) {
  Refusals refused;
  const config::Listener listener = inbound();
  ASSERT_NE(choose_filter_chain(listener,
                                {.source = at("10.0.0.1:1"),
                                 .destination = at("10.0.0.2:9080"),
                                 .server_name = {},
                                 .application_protocols = {"http/1.1"}},
                                &refused),
            nullptr);
  ASSERT_EQ(refused.size(), 4U);
  EXPECT_EQ(refused[0].what, "filter chain blackhole");
  EXPECT_EQ(refused[0].why, "it takes the destination port 15006, and this is 9080");
  EXPECT_EQ(refused[2].why, "another chain matches the destination port 9080 more closely");
  EXPECT_EQ(refused[3].what, "filter chain 9080");
  EXPECT_THAT(refused[3].why, HasSubstr("application protocol http/1.1 more closely"));
}

TEST(FilterChain, TwoThatMatchTheSameAreAnError) {
  config::Listener listener = inbound();
  EXPECT_TRUE(check_filter_chains(listener).ok());
  listener.filter_chains.push_back(chain("again", {.destination_port = 9080}));
  const Result<> checked = check_filter_chains(listener);
  ASSERT_FALSE(checked.ok());
  EXPECT_THAT(checked.fault().message, HasSubstr("'9080' and 'again'"));
}

TEST(ListenerFor, ExactAddressThenAnyAddressThenTheOneThatAccepted) {
  config::Snapshot snapshot;
  const auto add = [&](const std::string& name, std::string_view address, bool captures = false) {
    config::Listener listener;
    listener.name = name;
    listener.address = at(address);
    listener.use_original_dst = captures;
    snapshot.listeners.put(name, std::make_shared<const config::Listener>(std::move(listener)));
  };
  add("virtualOutbound", "0.0.0.0:15001", true);
  add("exact", "10.96.0.1:80");
  add("any", "0.0.0.0:80");
  add("any6", "[::]:80");
  const config::Listener& accepted = *snapshot.listeners.at("virtualOutbound");
  EXPECT_EQ(listener_for(snapshot, accepted, at("10.96.0.1:80"))->name, "exact");
  EXPECT_EQ(listener_for(snapshot, accepted, at("10.96.0.2:80"))->name, "any");
  EXPECT_EQ(listener_for(snapshot, accepted, at("[fd00::1]:80"))->name, "any6");
  Refusals refused;
  EXPECT_EQ(listener_for(snapshot, accepted, at("10.96.0.2:81"), &refused)->name,
            "virtualOutbound");
  EXPECT_EQ(refused.size(), 2U);
  EXPECT_EQ(listener_for(snapshot, *snapshot.listeners.at("any"), at("10.96.0.1:80"))->name, "any");
}

}  // namespace
}  // namespace fairlead::proxy
