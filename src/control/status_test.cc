#include "control/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

namespace fairlead::control {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Status one_refused() {
  Status status{.world = "42", .broken = {"shop.yaml:7: spec.ports: expected a list"}};
  status.ignored.push_back({{.kind = "Service", .name_space = "default", .name = "reviews"},
                            "spec.sessionAffinity",
                            "not built yet"});
  ProxyStatus good{.node = "sidecar~10.244.1.2~reviews.default~default.svc.cluster.local",
                   .acknowledged_world = "42",
                   .current = true};
  ProxyStatus bad{.node = "router-b", .acknowledged_world = "41"};
  for (std::size_t i = 0; i < 4; ++i) {
    const xds::TypeStatus spoken{
        .type = xds::all_resource_types[i], .subscribed = true, .sent = "42", .acknowledged = "42"};
    good.types[i] = bad.types[i] = spoken;
  }
  bad.types[2].acknowledged = "41";
  bad.types[2].refusal = "Listener 10.96.0.1_80: address: expected a port";
  status.proxies = {good, bad};
  return status;
}

TEST(Status, JsonTellsEachProxyAndWhyItRefused) {
  const auto json = nlohmann::json::parse(status_json(one_refused()));
  EXPECT_EQ(json["world"], "42");
  EXPECT_EQ(json["current"], false);
  EXPECT_EQ(json["proxies"][0]["current"], true);
  EXPECT_EQ(json["proxies"][1]["types"][2]["type"], "LDS");
  EXPECT_EQ(json["proxies"][1]["types"][2]["acknowledged"], "41");
  EXPECT_THAT(json["proxies"][1]["types"][2]["refusal"], HasSubstr("expected a port"));
  EXPECT_EQ(json["ignored"][0]["object"], "Service default/reviews");
}

TEST(Status, PeopleSeeWhoIsBehindAndWhy) {
  const std::string text = *describe_status(status_json(one_refused()));
  EXPECT_THAT(text, HasSubstr("world 42\n"));
  EXPECT_THAT(text, HasSubstr("broken, the last good version is in force: shop.yaml:7"));
  EXPECT_THAT(text, HasSubstr("STATE    CDS  EDS  LDS      RDS  PROXY\n"));
  EXPECT_THAT(text, HasSubstr("current  42   42   42       42   reviews.default 10.244.1.2\n"));
  EXPECT_THAT(text, HasSubstr("BEHIND   42   42   refused  42   router-b\n"));
  EXPECT_THAT(text, HasSubstr("router-b refused LDS of world 42: Listener 10.96.0.1_80"));
  EXPECT_THAT(text, HasSubstr("ignored: Service default/reviews, spec.sessionAffinity"));
}

TEST(Status, NoLineIsWiderThanATerminal) {
  Status status = one_refused();
  std::string& refusal = status.proxies[1].types[2].refusal;
  for (int i = 0; i < 20; ++i) refusal += " and something else";
  status.ignored[0].reason = refusal;
  status.broken[0] += refusal;
  std::istringstream lines(*describe_status(status_json(status)));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) EXPECT_LE(line.size(), 100U) << line;
  EXPECT_GT(count, 12);
}

TEST(Status, WhatAProxySaysBeginsNoLine) {
  Status status = one_refused();
  status.proxies[1].node = "router\nBEHIND   42   42   42       42   forged";
  status.proxies[1].types[2].refusal = "no\nignored: all\x1b[2J";
  const std::string text = *describe_status(status_json(status));
  EXPECT_THAT(text, Not(HasSubstr("\nBEHIND   42   42   42       42   forged")));
  EXPECT_THAT(text, HasSubstr("router\\nBEHIND"));
  EXPECT_THAT(text, HasSubstr("no\\nignored: all\\x1b[2J"));
}

TEST(Status, WhatClientsWereDeniedIsSaid) {
  Status status = one_refused();
  EXPECT_THAT(*describe_status(status_json(status)), Not(HasSubstr("connections")));
  status.load.discovery = {{.total = 4096, .per_client = 2048}, {.held = 7, .refused = 3}};
  status.load.streams_given_up = 1;
  status.load.answers_put_off = 2;
  status.load.descriptors = {.paused = true, .pauses = 5};
  const std::string text = *describe_status(status_json(status));
  EXPECT_THAT(text, HasSubstr("discovery: 7 connections of at most 4096 are open; 3 were refused"));
  EXPECT_THAT(text, HasSubstr("1 discovery stream ended, whose proxies took nothing"));
  EXPECT_THAT(text, HasSubstr("2 requests put off"));
  EXPECT_THAT(text, HasSubstr("wait for descriptors (ulimit -n) 5 times, and wait now"));
}

TEST(Status, NothingYetIsSaidInWords) {
  const std::string text = *describe_status(status_json({}));
  EXPECT_THAT(text, HasSubstr("no world yet"));
  EXPECT_THAT(text, HasSubstr("no proxy is connected"));
  EXPECT_THAT(text, Not(HasSubstr("broken")));
}

TEST(Status, WhatIsNotAStatusIsAFault) {
  for (const char* wrong :
       {"", "[]", "nonsense", R"({"world":7})", R"({"proxies":[1]})", R"({"broken":[{}]})"}) {
    EXPECT_FALSE(describe_status(wrong).ok()) << wrong;
  }
}

TEST(Status, PoliciesThatAreNotEnforcedAreInTheFirstLine) {
  Status status{.world = "7", .not_enforced = {"NetworkPolicy shop/closed"}};
  const Result<std::string> text = describe_status(status_json(status));
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(text->substr(0, text->find('\n')),
            "world 7, but 1 policy is not enforced: NetworkPolicy shop/closed");
}

}  // namespace
}  // namespace fairlead::control
