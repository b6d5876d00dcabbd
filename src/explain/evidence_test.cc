#include "explain/evidence.h"

#include <gtest/gtest.h>

#include <string>

#include "explain/render.h"
#include "explain/test_shop.h"

namespace fairlead::explain {
namespace {

using testing::path_in;
using testing::shop;
using testing::world_from;

SocketAddress at(const char* text) {
  return *SocketAddress::parse(text);
}

// What is seen of GET http://reviews:9080/ from productpage when reviews-v2 is chosen.
Evidence seen_through_proxies() {
  Evidence evidence;
  evidence.names = {{.server = "10.96.0.10:53",
                     .name = "reviews.default.svc.cluster.local",
                     .type = "A",
                     .outcome = "NOERROR",
                     .addresses = {*IpAddress::parse("10.96.0.12")},
                     .microseconds = 300},
                    {.server = "10.96.0.10:53",
                     .name = "reviews.default.svc.cluster.local",
                     .type = "AAAA",
                     .outcome = "NODATA",
                     .microseconds = 200}};
  evidence.exchange = Exchange{.id = "7f3",
                               .local = at("10.244.1.3:45000"),
                               .peer = at("10.96.0.12:9080"),
                               .status = 200,
                               .headers = {{"x-envoy-upstream-service-time", "1"}},
                               .body = R"({"pod":"reviews-v2"})",
                               .microseconds = 3200};
  evidence.connections = {{.where = "default/productpage",
                           .source = at("10.244.1.3:45000"),
                           .destination = at("10.96.0.12:9080"),
                           .reply_source = at("127.0.0.1:15001"),
                           .reply_destination = at("10.244.1.3:45000"),
                           .state = "ESTABLISHED"},
                          {.where = "default/productpage",
                           .source = at("10.244.1.3:51000"),
                           .destination = at("10.244.2.5:9080"),
                           .reply_source = at("10.244.2.5:9080"),
                           .reply_destination = at("10.244.1.3:51000"),
                           .state = "ESTABLISHED",
                           .age_milliseconds = 12000},
                          {.where = "default/reviews-v2",
                           .source = at("10.244.1.3:51000"),
                           .destination = at("10.244.2.5:9080"),
                           .reply_source = at("10.244.2.5:15006"),
                           .reply_destination = at("10.244.1.3:51000"),
                           .state = "ESTABLISHED"}};
  const std::string cluster = "outbound|9080||reviews.default.svc.cluster.local";
  evidence.records = {{.proxy = "default/productpage",
                       .direction = "outbound",
                       .downstream_remote = at("10.244.1.3:45000"),
                       .original_destination = at("10.96.0.12:9080"),
                       .upstream_local = at("10.244.1.3:51000"),
                       .upstream_remote = at("10.244.2.5:9080"),
                       .listener = "0.0.0.0_9080",
                       .filter_chain = "http",
                       .route = "default",
                       .cluster = cluster,
                       .endpoint = "10.244.2.5:9080",
                       .attempts = 1,
                       .pooled_milliseconds = 12000,
                       .status = 200,
                       .world = "41"},
                      {.proxy = "default/reviews-v2",
                       .direction = "inbound",
                       .downstream_remote = at("10.244.1.3:51000"),
                       .original_destination = at("10.244.2.5:9080"),
                       .upstream_local = at("127.0.0.6:40123"),
                       .upstream_remote = at("10.244.2.5:9080"),
                       .listener = "virtualInbound",
                       .filter_chain = "0.0.0.0_9080",
                       .route = "default",
                       .cluster = "inbound|9080||",
                       .attempts = 1,
                       .status = 200,
                       .world = "42"}};
  evidence.counts = {{.where = "default/productpage",
                      .table = "fairlead-capture",
                      .place = "chain redirect-outbound",
                      .rule = 1,
                      .before = 4,
                      .after = 5}};
  return evidence;
}

struct Laid {
  Path path;
  Judgement judgement;
  [[nodiscard]] std::string text() const { return render(path, {.width = 140}, &judgement); }
};

Laid laid(const Evidence& evidence, const char* from = "productpage",
          const char* to = "http://reviews:9080/") {
  const auto world = world_from(shop());
  Laid made{.path = path_in(world, from, to)};
  made.judgement = lay_beside(made.path, evidence, *world);
  return made;
}

TEST(Evidence, AgreesWithTheMemberThatWasTaken) {
  const Laid found = laid(seen_through_proxies());
  EXPECT_EQ(found.judgement.difference, "");
  EXPECT_TRUE(found.judgement.arrived);
  EXPECT_GE(found.judgement.agrees, 12U);
  ASSERT_EQ(found.path.branches.size(), 1U);
  EXPECT_EQ(found.path.branches[0].workload, "default/reviews-v2");
  const std::string text = found.text();
  EXPECT_TRUE(text.starts_with("arrived at default/reviews-v2, as predicted (1/2)\n")) << text;
  for (const char* line :
       {"✓ 10.96.0.10:53 says 10.96.0.12 for A reviews.default.svc.cluster.local in 0.3 ms\n",
        "✓ conntrack: 10.244.1.3:45000 to 10.96.0.12:9080, turned to 127.0.0.1:15001, ESTAB",
        "· rule redirect-outbound 1 has counted 4, now 5\n", "✓ its record says: 0.0.0.0_9080\n",
        "· it speaks world 41\n", "✓ its record says 10.244.2.5:9080\n",
        "· the connection 10.244.1.3:51000 to 10.244.2.5:9080 is pooled, 12 s old\n",
        "✓ conntrack: 10.244.1.3:51000 to 10.244.2.5:9080, turned to 10.244.2.5:15006, ESTAB",
        "✓ from: 127.0.0.6\n", "✓ reviews-v2 says that it answered\n",
        "· answered 200 in 3.2 ms\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

TEST(Evidence, WhatDiffersStandsInTheFirstLine) {
  Evidence evidence = seen_through_proxies();
  evidence.records[0].cluster = "outbound|9080||ratings.default.svc.cluster.local";
  const Laid found = laid(evidence);
  EXPECT_TRUE(found.judgement.arrived);
  EXPECT_EQ(found.judgement.differs, 1U);
  EXPECT_TRUE(found.text().starts_with(
      "not as predicted: cluster, default/productpage, its proxy: its record says:"))
      << found.text();
}

TEST(Evidence, AnEndpointThatWasNotPredictedDiffers) {
  Evidence evidence = seen_through_proxies();
  evidence.records[0].upstream_remote = at("10.244.2.6:9080");
  const Laid found = laid(evidence);
  EXPECT_NE(found.judgement.difference.find("10.244.2.6:9080, who is not among the predicted"),
            std::string::npos)
      << found.judgement.difference;
}

TEST(Evidence, AnotherAddressThanPredictedDiffers) {
  Evidence evidence = seen_through_proxies();
  evidence.names[0].addresses = {*IpAddress::parse("10.96.0.99")};
  EXPECT_NE(laid(evidence).judgement.difference.find("says 10.96.0.99"), std::string::npos);
}

TEST(Evidence, SeenNotToArriveTellsWhy) {
  Evidence evidence = seen_through_proxies();
  evidence.exchange->status = 503;
  evidence.exchange->body = "no healthy upstream: nobody is ready\nmore";
  evidence.records[0].flags = "UH";
  evidence.records[0].status = 503;
  evidence.records[0].upstream_remote.reset();
  evidence.records[0].upstream_local.reset();
  evidence.records.pop_back();
  const Laid found = laid(evidence);
  EXPECT_FALSE(found.judgement.arrived);
  EXPECT_TRUE(found.text().starts_with(
      "did not arrive, though predicted to: 503 UH: no healthy upstream: nobody is ready\n"))
      << found.text();
}

TEST(Evidence, OfAProxysAnswerTheAppIsNotTheAuthor) {
  Evidence evidence = seen_through_proxies();
  evidence.exchange->status = 503;
  evidence.exchange->body = "no connection";
  evidence.records[1].flags = "UF";
  const std::string text = laid(evidence).text();
  EXPECT_NE(text.find("· a proxy answered in its place: 503, in "), std::string::npos) << text;
  EXPECT_EQ(text.find("· answered 503"), std::string::npos) << text;
}

TEST(Evidence, ARefusedConnectionTellsWhoseBranchItWas) {
  Evidence evidence;
  evidence.exchange = Exchange{.error = "connecting: Connection refused (10.244.2.5:9080)",
                               .peer = at("10.244.2.5:9080")};
  const Laid found = laid(evidence, "outsider", "http://each:9080/");
  ASSERT_EQ(found.path.branches.size(), 1U);
  EXPECT_EQ(found.path.branches[0].workload, "default/reviews-v2");
}

TEST(Evidence, ANodeTellsWhereTheProxysConnectionWentThatItTranslated) {
  Evidence evidence = seen_through_proxies();
  evidence.exchange->status = 0;
  evidence.records[0].upstream_remote = at("10.96.0.12:9080");
  evidence.records[1].downstream_remote = at("10.244.1.1:51000");
  const TrackedConnection by_node{.where = "node1",
                                  .source = at("10.244.1.3:51000"),
                                  .destination = at("10.96.0.12:9080"),
                                  .reply_source = at("10.244.2.5:9080"),
                                  .reply_destination = at("10.244.1.1:51000"),
                                  .state = "ESTABLISHED"};
  const TrackedConnection on_arrival{.where = "default/reviews-v2",
                                     .source = at("10.244.1.1:51000"),
                                     .destination = at("10.244.2.5:9080"),
                                     .reply_source = at("10.244.2.5:15006"),
                                     .reply_destination = at("10.244.1.1:51000"),
                                     .state = "ESTABLISHED"};
  evidence.connections.push_back(by_node);
  evidence.connections.push_back(on_arrival);
  const Laid found = laid(evidence, "productpage", "tcp://reviews:9080");
  ASSERT_EQ(found.path.branches.size(), 1U);
  EXPECT_EQ(found.path.branches[0].workload, "default/reviews-v2");
  EXPECT_NE(found.text().find("✓ conntrack: 10.244.1.1:51000 to 10.244.2.5:9080, turned to "
                              "10.244.2.5:15006, ESTABLISHED\n"),
            std::string::npos)
      << found.text();
}

TEST(Evidence, WhatAProxyRefusesWithoutARecordHasNotArrived) {
  Evidence evidence = seen_through_proxies();
  evidence.records.clear();
  evidence.exchange->status = 431;
  evidence.exchange->body = "too long";
  evidence.exchange->headers.clear();
  EXPECT_EQ(laid(evidence).judgement.cause, "431: too long");
  // The far proxy has a record that names nobody behind it.
  Evidence far = seen_through_proxies();
  far.exchange->status = 431;
  far.exchange->body = "too long";
  far.records[1].flags = "DPE";
  far.records[1].upstream_remote.reset();
  EXPECT_EQ(laid(far).judgement.cause, "431 DPE: too long");
  // With a record, it is one that leads nowhere.
  Evidence recorded = seen_through_proxies();
  recorded.exchange->status = 400;
  recorded.exchange->body = "no path";
  recorded.records.pop_back();
  recorded.records[0].flags = "-";
  recorded.records[0].upstream_remote.reset();
  recorded.records[0].upstream_local.reset();
  EXPECT_EQ(laid(recorded).judgement.cause, "400: no path");
  // An app's own answer tells how long the app took.
  evidence.exchange->headers = {{"X-Envoy-Upstream-Service-Time", "1"}};
  EXPECT_TRUE(laid(evidence).judgement.arrived);
}

// Somebody has taken the rules away.
TEST(Evidence, WhatWentPastAProxyDiffers) {
  Evidence evidence = seen_through_proxies();
  evidence.records.clear();
  EXPECT_EQ(laid(evidence).judgement.difference, "") << "nobody could be asked";
  evidence.asked = {"default/productpage"};
  EXPECT_EQ(
      laid(evidence).judgement.difference,
      "listener, default/productpage, its proxy: it has no record of this request, which went "
      "past it");
  evidence = seen_through_proxies();
  evidence.records.pop_back();
  evidence.asked = {"default/productpage", "default/reviews-v2"};
  EXPECT_EQ(laid(evidence).judgement.difference,
            "listener, default/reviews-v2, its proxy: it has no record of this request, which went "
            "past it");
}

TEST(Evidence, TheFarProxysTroubleCountsToo) {
  Evidence evidence = seen_through_proxies();
  evidence.exchange->status = 503;
  evidence.exchange->body = "fairlead: no connection to the app";
  evidence.records[1].flags = "UF";
  const Laid found = laid(evidence);
  EXPECT_FALSE(found.judgement.arrived);
  EXPECT_EQ(found.judgement.cause, "503 UF: fairlead: no connection to the app");
}

TEST(Evidence, ArrivingAgainstThePredictionDiffers) {
  Evidence evidence;
  evidence.exchange = Exchange{
      .id = "1", .local = at("10.244.1.8:45000"), .peer = at("10.96.0.13:9081"), .status = 200};
  const Laid found = laid(evidence, "outsider", "http://empty:9081/");
  EXPECT_TRUE(found.judgement.arrived);
  EXPECT_TRUE(found.judgement.difference.starts_with("it arrived, though predicted was:"));
}

TEST(Evidence, WithoutSidecarsTheNodeTellsWhoItWas) {
  Evidence evidence;
  evidence.exchange = Exchange{
      .id = "1", .local = at("10.244.1.8:45000"), .peer = at("10.96.0.12:9080"), .status = 200};
  evidence.connections = {{.where = "node1",
                           .source = at("10.244.1.8:45000"),
                           .destination = at("10.96.0.12:9080"),
                           .reply_source = at("10.244.1.5:9080"),
                           .reply_destination = at("10.244.1.8:45000"),
                           .state = "TIME_WAIT"}};
  evidence.worlds = {{.who = "node1", .world = "41"}};
  const Laid found = laid(evidence, "outsider");
  EXPECT_EQ(found.judgement.difference, "");
  ASSERT_EQ(found.path.branches.size(), 1U);
  EXPECT_EQ(found.path.branches[0].workload, "default/reviews-v1");
  EXPECT_NE(found.text().find("· it speaks world 41"), std::string::npos) << found.text();
}

TEST(Evidence, WhatCouldNotBeLookedAtIsSaid) {
  Evidence evidence = seen_through_proxies();
  evidence.connections.clear();
  evidence.records.clear();
  evidence.trouble = {"conntrack in default/productpage: Operation not permitted"};
  const Laid found = laid(evidence);
  EXPECT_TRUE(found.judgement.arrived);
  const std::string text = found.text();
  EXPECT_NE(text.find("? conntrack: no entry of this connection"), std::string::npos) << text;
  EXPECT_NE(text.find("? no record of this request at this proxy"), std::string::npos) << text;
  EXPECT_NE(text.find("note: not looked at: conntrack in default/productpage"), std::string::npos);
}

TEST(Evidence, AnEnvoysAccessLogTakesThePlaceOfRecords) {
  Evidence evidence = seen_through_proxies();
  for (ProxyRecord& record : evidence.records) {
    record.from_access_log = true;
    record.listener.clear();
    record.filter_chain.clear();
    record.world.clear();
    record.attempts = 0;
    record.pooled_milliseconds.reset();
  }
  const Laid found = laid(evidence);
  EXPECT_EQ(found.judgement.difference, "");
  EXPECT_TRUE(found.judgement.arrived);
  const std::string text = found.text();
  for (const char* line :
       {"· an Envoy, which keeps no records: its access log names neither listener nor filter",
        "✓ its access log says: outbound|9080||reviews.default.svc.cluster.local\n",
        "✓ its access log says 10.244.2.5:9080\n",
        "· the connection 10.244.1.3:51000 to 10.244.2.5:9080\n",
        "✓ its access log says it went to: 10.244.2.5:9080\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
  evidence.records[0].upstream_remote = at("10.244.2.99:9080");
  EXPECT_EQ(laid(evidence).judgement.difference,
            "endpoint, default/productpage, its proxy: its access log says 10.244.2.99:9080, who "
            "is not among the predicted");
}

TEST(Evidence, TravelsAsJson) {
  Evidence evidence = seen_through_proxies();
  evidence.records[0].from_access_log = true;
  evidence.worlds = {{.who = "node1", .world = "41", .error = "behind"}};
  evidence.asked = {"default/productpage"};
  evidence.trouble = {"something"};
  const auto back = evidence_from_json(evidence_json(evidence));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(*back, evidence);
  EXPECT_EQ(evidence_json(*evidence_from_json("{}")), evidence_json(Evidence{}));
  EXPECT_FALSE(evidence_from_json("[1]").ok());
  EXPECT_FALSE(evidence_from_json("{").ok());
  EXPECT_TRUE(evidence_from_json(R"({"names":[1,{"addresses":[2]}],"records":"x"})").ok());
}

}  // namespace
}  // namespace fairlead::explain
