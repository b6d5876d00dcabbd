#include "explain/evidence.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
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
  [[nodiscard]] std::string text() const { return render(path, {.width = 400}, &judgement); }
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
                               .failing = Failing::refused,
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

// Somebody has taken the rules away: that the kernel tells.
TEST(Evidence, WhatWentPastAProxyDiffers) {
  Evidence evidence = seen_through_proxies();
  evidence.records.clear();
  evidence.asked = {"default/productpage"};
  evidence.connections[0].reply_source = at("10.96.0.12:9080");
  const Laid found = laid(evidence);
  EXPECT_NE(found.text().find("✗ it has no record of this request, which went past it: conntrack: "
                              "10.244.1.3:45000 to 10.96.0.12:9080, ESTABLISHED\n"),
            std::string::npos)
      << found.text();
  EXPECT_EQ(found.judgement.verdict, Verdict::differs);
  evidence = seen_through_proxies();
  evidence.records.pop_back();
  evidence.asked = {"default/productpage", "default/reviews-v2"};
  evidence.connections[2].reply_source = at("10.244.2.5:9080");
  EXPECT_NE(laid(evidence).text().find("✗ it has no record of this request, which went past it"),
            std::string::npos);
}

// A record that is missing never contradicts the kernel's own word.
TEST(Evidence, ARecordThatWasNotThereYetAccusesNobody) {
  Evidence evidence = seen_through_proxies();
  evidence.records.pop_back();
  evidence.asked = {"default/productpage"};
  EXPECT_EQ(laid(evidence).judgement.verdict, Verdict::agrees) << "nobody could be asked";
  evidence.asked = {"default/productpage", "default/reviews-v2"};
  for (const bool tracked : {true, false}) {
    if (!tracked) evidence.connections.pop_back();
    const Laid found = laid(evidence);
    EXPECT_EQ(found.judgement.difference, "");
    EXPECT_TRUE(found.judgement.arrived);
    EXPECT_EQ(found.judgement.verdict, Verdict::cannot_be_known);
    EXPECT_TRUE(found.text().starts_with(
        "arrived at default/reviews-v2; whether by the predicted way cannot be known: listener, "
        "default/reviews-v2, its proxy: its record of this request was not there yet"))
        << found.text();
  }
}

std::string verdict_in_json(const Laid& found) {
  const auto json = nlohmann::json::parse(render_json(found.path, nullptr, &found.judgement));
  return json["verdict"].get<std::string>() +
         ", predicted: " + json["predicted"].get<std::string>();
}

// Sent to a service that has no endpoint, from a pod with a sidecar.
Evidence refused_by_its_proxy() {
  Evidence evidence = seen_through_proxies();
  evidence.names[0] = {.server = "10.96.0.10:53",
                       .name = "empty.default.svc.cluster.local",
                       .type = "A",
                       .outcome = "NOERROR",
                       .addresses = {*IpAddress::parse("10.96.0.13")}};
  evidence.names.pop_back();
  evidence.exchange->peer = at("10.96.0.13:9081");
  evidence.exchange->status = 503;
  evidence.exchange->body = "nobody";
  evidence.exchange->headers.clear();
  evidence.exchange->connected = true;
  evidence.connections.clear();
  evidence.records.pop_back();
  evidence.records[0].listener = "0.0.0.0_9081";
  evidence.records[0].cluster = "outbound|9081||empty.default.svc.cluster.local";
  evidence.records[0].upstream_remote.reset();
  evidence.records[0].upstream_local.reset();
  evidence.records[0].flags = "UH";
  evidence.records[0].status = 503;
  return evidence;
}

TEST(Verdicts, AFailureIsAsPredictedOnlyForThePredictedReason) {
  Evidence evidence = refused_by_its_proxy();
  const Laid found = laid(evidence, "productpage", "http://empty:9081/");
  EXPECT_EQ(found.judgement.difference, "");
  EXPECT_EQ(verdict_in_json(found), "did not arrive, predicted: does not arrive");
  EXPECT_TRUE(
      found.text().starts_with("did not arrive, as predicted: Service default/empty has "
                               "no endpoint"))
      << found.text();

  evidence.records[0].flags = "UF";
  const Laid other = laid(evidence, "productpage", "http://empty:9081/");
  EXPECT_EQ(verdict_in_json(other), "differs, predicted: does not arrive");
  EXPECT_TRUE(other.text().starts_with(
      "did not arrive, as predicted, but for another reason: 503 UF: nobody; predicted was: "
      "Service default/empty has no endpoint"))
      << other.text();
  evidence = refused_by_its_proxy();
  evidence.exchange->status = 404;
  EXPECT_EQ(verdict_in_json(laid(evidence, "productpage", "http://empty:9081/")),
            "differs, predicted: does not arrive");
}

TEST(Verdicts, AFailureWithoutProxiesIsToldByHowTheConnectionEnds) {
  Evidence evidence;
  evidence.exchange = Exchange{.error = "connecting: Connection refused (10.96.0.13:9081)",
                               .failing = Failing::refused,
                               .peer = at("10.96.0.13:9081")};
  const auto verdict = [&](const char* to) {
    return verdict_in_json(laid(evidence, "outsider", to));
  };
  EXPECT_EQ(verdict("http://empty:9081/"), "did not arrive, predicted: does not arrive");
  EXPECT_EQ(verdict("http://nobody/"), "differs, predicted: does not arrive")
      << "nothing was to be sent";
  evidence.exchange->failing = Failing::timed_out;
  EXPECT_EQ(verdict("http://empty:9081/"), "differs, predicted: does not arrive");
  EXPECT_EQ(verdict("http://10.244.1.99/"), "did not arrive, predicted: does not arrive");
  EXPECT_EQ(verdict("http://10.244.1.7:9080/"), "differs, predicted: arrives");
  EXPECT_EQ(verdict("http://10.244.1.7:9999/"), "did not arrive, predicted: arrives")
      << "its condition does not hold";
  EXPECT_EQ(verdict("http://192.0.2.1/"), "did not arrive, predicted: cannot be known");
}

TEST(Verdicts, ANameThatWasNotFoundIsNoRefusal) {
  Evidence evidence;
  evidence.names = {{.server = "10.96.0.10:53",
                     .name = "empty.default.svc.cluster.local",
                     .type = "A",
                     .outcome = "NXDOMAIN"}};
  EXPECT_EQ(verdict_in_json(laid(evidence, "outsider", "http://empty:9081/")),
            "differs, predicted: does not arrive");
  evidence.names[0].name = "nobody.default.svc.cluster.local";
  EXPECT_EQ(verdict_in_json(laid(evidence, "outsider", "http://nobody/")),
            "did not arrive, predicted: does not arrive");
}

TEST(Verdicts, AnAppThatDoesNotSpeakHttpWasReached) {
  Evidence evidence;
  evidence.exchange = Exchange{.error = "no HTTP/1.1 came back: it is no status line",
                               .failing = Failing::not_http,
                               .connected = true,
                               .local = at("10.244.1.8:45000"),
                               .peer = at("10.244.1.7:9080")};
  const Laid found = laid(evidence, "outsider", "http://10.244.1.7:9080/");
  EXPECT_EQ(verdict_in_json(found), "agrees, predicted: arrives");
  EXPECT_TRUE(found.text().starts_with(
      "arrived at default/loner, as predicted: the app does not speak HTTP\n"))
      << found.text();
  // Behind proxies theirs is the answer, and the record says why.
  Evidence far = seen_through_proxies();
  far.exchange->status = 502;
  far.records[1].flags = "UPE";
  const Laid behind = laid(far);
  EXPECT_TRUE(behind.judgement.arrived);
  EXPECT_EQ(behind.judgement.remark, "the app does not speak HTTP");
}

TEST(Verdicts, AProxyThatHoldsAConnectionHasNotArrived) {
  Evidence evidence;
  evidence.exchange =
      Exchange{.connected = true, .local = at("10.244.1.3:45000"), .peer = at("10.96.0.14:7000")};
  evidence.asked = {"default/productpage"};
  const Laid found = laid(evidence, "productpage", "tcp://ratings:7000");
  EXPECT_FALSE(found.judgement.arrived);
  EXPECT_EQ(found.judgement.verdict, Verdict::cannot_be_known);
  EXPECT_TRUE(found.text().starts_with("cannot be known: ")) << found.text();
}

TEST(Verdicts, OfANameWithBothFamiliesTheOneThatWasDialledIsLeft) {
  const auto world = world_from(shop());
  Path path = path_in(world, "outsider", "http://plain:8000/");
  path.branches.push_back(path.branches.front());
  path.branches[0].family = Family::v6;
  path.branches[1].family = Family::v4;
  Evidence evidence;
  evidence.exchange = Exchange{.connected = true,
                               .local = at("10.244.1.8:45000"),
                               .peer = at("10.96.0.15:8000"),
                               .status = 200};
  static_cast<void>(lay_beside(path, evidence, *world));
  ASSERT_EQ(path.branches.size(), 1U);
  EXPECT_EQ(path.branches[0].family, Family::v4);
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
  evidence.exchange->failing = Failing::timed_out;
  evidence.exchange->connected = true;
  evidence.exchange->tried = {"Connection refused ([fd00::1]:80)"};
  evidence.listening = {{.where = "default/productpage",
                         .sockets = {{.address = at("[::]:80"), .both_families = true}}}};
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
