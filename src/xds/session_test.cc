// Both sides of the talk against each other, with whatever can come between them.
#include "xds/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "xds/encode.h"
#include "xds/test_world.h"
#include "xds/wire.h"

namespace fairlead::xds {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using wire::discovery::DiscoveryRequest;
using wire::discovery::DiscoveryResponse;

constexpr Instant start{std::chrono::hours(1)};

// ── The wire between them ────────────────────────────────────────────────────────────────────────

class Talk {
 public:
  explicit Talk(ClientOptions options = {}) : client(dynamic_bootstrap(), options) {}

  AdsClient client;
  AdsServer server;
  std::deque<std::string> up;    // on their way to the server
  std::deque<std::string> down;  // to the client
  config::SnapshotPointer target;
  config::SnapshotPointer snapshot;
  std::vector<config::SnapshotPointer> snapshots;
  std::vector<std::string> log;  // "CDS 42 2" for a response of 2 resources, "CDS ACK", "CDS NACK"
  Instant now = start;

  void connect() {
    server = AdsServer();
    up.clear();
    down.clear();
    take(client.connected(now));
    if (target) answer(server.publish(target));
  }
  void publish(config::SnapshotPointer next) {
    target = std::move(next);
    answer(server.publish(target));
  }
  void step_up() {
    const std::string message = std::move(up.front());
    up.pop_front();
    note_request(message);
    auto answers = server.received(message);
    ASSERT_TRUE(answers.ok()) << answers.fault().describe();
    answer(*answers);
  }
  void step_down() {
    const std::string message = std::move(down.front());
    down.pop_front();
    note_response(message);
    auto step = client.received(message, now);
    ASSERT_TRUE(step.ok()) << step.fault().describe();
    take(std::move(*step));
  }
  void run() {
    while (!up.empty() || !down.empty()) {
      if (!up.empty()) step_up();
      if (!down.empty()) step_down();
      if (testing::Test::HasFatalFailure()) return;
    }
  }
  void take(ClientStep step) {
    std::move(step.send.begin(), step.send.end(), std::back_inserter(up));
    if (!step.snapshot) return;
    snapshot = step.snapshot;
    snapshots.push_back(snapshot);
  }

 private:
  void answer(const Messages& messages) {
    for (const Message& message : messages) down.push_back(message.bytes());
  }
  void note_request(const std::string& message) {
    DiscoveryRequest request;
    ASSERT_TRUE(request.ParseFromString(message));
    const std::string type(short_name_of(*resource_type_from(request.type_url())));
    if (request.has_error_detail()) {
      log.push_back(type + " NACK");
    } else {
      log.push_back(type + (request.response_nonce().empty() ? " ?" : " ACK"));
    }
  }
  void note_response(const std::string& message) {
    DiscoveryResponse response;
    ASSERT_TRUE(response.ParseFromString(message));
    const std::string type(short_name_of(*resource_type_from(response.type_url())));
    log.push_back(type + " " + response.version_info() + " " +
                  std::to_string(response.resources_size()));
  }
};

TEST(Session, StartsFromNothingInTheOrderOfMakeBeforeBreak) {
  Talk talk;
  talk.target = World("1").service("a", 1, true).service("b", 2, false).done();
  talk.connect();
  talk.run();
  ASSERT_TRUE(talk.snapshot);
  EXPECT_TRUE(equal(*talk.snapshot, *talk.target));
  EXPECT_THAT(talk.log,
              ElementsAre("CDS ?", "CDS 1 2", "LDS ?", "CDS ACK", "EDS ?", "EDS 1 2", "EDS ACK",
                          "LDS 1 2", "LDS ACK", "RDS ?", "RDS 1 1", "RDS ACK"));
  EXPECT_EQ(talk.snapshots.size(), 1U) << "only when everything is there";
  EXPECT_TRUE(talk.server.settled());
  EXPECT_EQ(talk.server.acknowledged_world(), "1");
  EXPECT_EQ(talk.snapshot->world, "1");
  EXPECT_THAT(talk.client.waiting_for(), IsEmpty());
  EXPECT_EQ(talk.server.node()->id, dynamic_bootstrap().node.id);
}

TEST(Session, OnlyWhatChangedIsPushed) {
  Talk talk;
  talk.target = World("1").service("a", 1, true).service("b", 2, false).done();
  talk.connect();
  talk.run();
  talk.log.clear();
  talk.publish(World("2").service("a", 1, true).service("b", 3, false).after(*talk.target));
  talk.run();
  EXPECT_THAT(talk.log, ElementsAre("EDS 2 1", "EDS ACK"));
  EXPECT_TRUE(equal(*talk.snapshot, *talk.target));
  EXPECT_EQ(talk.server.acknowledged_world(), "2");
  EXPECT_EQ(talk.snapshot->versions.endpoints, "2");
  EXPECT_EQ(talk.snapshot->versions.clusters, "1");
  talk.log.clear();
  talk.publish(World("3").service("a", 1, true).service("b", 3, false).after(*talk.target));
  EXPECT_THAT(talk.down, IsEmpty());
  EXPECT_EQ(talk.server.acknowledged_world(), "3") << "nothing to hear is heard at once";
}

TEST(Session, AClusterThatGoesAwayGoesLast) {
  Talk talk;
  talk.target = World("1").service("a", 1, true).service("b", 2, false).done();
  talk.connect();
  talk.run();
  talk.log.clear();
  talk.publish(World("2").service("b", 2, false).service("c", 3, true).after(*talk.target));
  talk.run();
  EXPECT_THAT(talk.log, ElementsAre("CDS 2 3", "CDS ACK", "EDS ACK", "EDS 2 1", "EDS ACK",
                                    "LDS 2 2", "LDS ACK", "RDS ACK", "RDS 2 1", "RDS ACK",
                                    "CDS 2 2", "CDS ACK", "EDS ACK"));
  EXPECT_TRUE(equal(*talk.snapshot, *talk.target));
  EXPECT_EQ(talk.server.acknowledged_world(), "2");
  for (const auto& snapshot : talk.snapshots) EXPECT_THAT(dangling(*snapshot), IsEmpty());
}

TEST(Session, AChangedClusterHasItsEndpointsSentAgain) {
  Talk talk;
  talk.target = World("1").service("a", 1, false).done();
  talk.connect();
  talk.run();
  talk.log.clear();
  config::Cluster changed = *talk.target->clusters.at(cluster_name("a"));
  changed.balance = config::BalancePolicy::random;
  talk.publish(World("2").service("a", 1, false).cluster(changed).after(*talk.target));
  talk.run();
  EXPECT_THAT(talk.log, ElementsAre("CDS 2 1", "CDS ACK", "EDS 1 1", "EDS ACK"));
}

TEST(Session, AClusterWithoutEndpointsIsToldThatItHasNone) {
  Talk talk;
  talk.target = World("1")
                    .service("a", 1, false)
                    .cluster({.name = "without-endpoints", .type = config::ClusterType::eds})
                    .done();
  talk.connect();
  talk.run();
  ASSERT_TRUE(talk.snapshot);
  EXPECT_THAT(talk.snapshot->endpoints.at("without-endpoints")->localities, IsEmpty());
  EXPECT_TRUE(talk.server.settled());
}

// ── Refusals ─────────────────────────────────────────────────────────────────────────────────────

TEST(Session, WhatIsRefusedStaysAsItWasAndTheOthersAreTaken) {
  Talk talk;
  talk.target = World("1").service("a", 1, true).done();
  talk.connect();
  talk.run();
  talk.log.clear();
  talk.publish(World("2")
                   .service("a", 1, true)
                   .service("b", 2, true)
                   .cluster(impossible())
                   .after(*talk.target));
  talk.run();
  EXPECT_THAT(talk.log, testing::IsSupersetOf({"CDS 2 3", "CDS NACK"}));
  EXPECT_TRUE(talk.snapshot->clusters.contains(cluster_name("b")));
  EXPECT_FALSE(talk.snapshot->clusters.contains("impossible"));
  EXPECT_TRUE(equal(talk.snapshot->listeners, World("1").service("a", 1, true).done()->listeners))
      << "the server holds back what points at clusters that were refused";
  EXPECT_FALSE(talk.server.settled());
  EXPECT_EQ(talk.server.acknowledged_world(), "1");
  const TypeStatus clusters = talk.server.status()[0];
  EXPECT_EQ(clusters.sent, "2");
  EXPECT_EQ(clusters.acknowledged, "1");
  EXPECT_THAT(clusters.refusal, HasSubstr("Cluster impossible: connect_timeout: "));
  EXPECT_EQ(talk.client.refusal(ResourceType::cluster), clusters.refusal);
  EXPECT_EQ(talk.client.counts(ResourceType::cluster).refused, 1U);

  talk.publish(World("3").service("a", 1, true).service("b", 2, true).after(*talk.target));
  talk.run();
  EXPECT_TRUE(equal(*talk.snapshot, *talk.target));
  EXPECT_TRUE(talk.server.settled());
  EXPECT_THAT(talk.server.status()[0].refusal, IsEmpty());
  EXPECT_THAT(talk.client.refusal(ResourceType::cluster), IsEmpty());
}

TEST(Session, EndpointsGoThroughWhileClustersAreRefused) {
  Talk talk;
  talk.target = World("1").service("a", 1, true).done();
  talk.connect();
  talk.run();
  talk.publish(World("2").service("a", 7, true).cluster(impossible()).after(*talk.target));
  talk.run();
  EXPECT_EQ(talk.snapshot->endpoints.at(cluster_name("a"))->localities[0].endpoints[0],
            endpoint(7));
}

TEST(Session, ARefusedListenerKeepsTheClustersThatItMayUse) {
  Talk talk;
  talk.target = World("1").service("a", 1, false).done();
  talk.connect();
  talk.run();
  config::Snapshot broken = *World("2").service("b", 2, false).done();
  config::Listener listener = *broken.listeners.at("listener-b");
  listener.filter_chains.clear();
  broken.listeners.put("listener-b", std::make_shared<const config::Listener>(listener));
  talk.publish(std::make_shared<const config::Snapshot>(broken));
  talk.run();
  EXPECT_THAT(talk.server.status()[2].refusal, HasSubstr("Listener listener-b: filter_chains"));
  EXPECT_TRUE(talk.snapshot->clusters.contains(cluster_name("a")));
  EXPECT_FALSE(talk.snapshot->listeners.contains("listener-a")) << "control took it away";
  EXPECT_FALSE(talk.snapshot->listeners.contains("listener-b")) << "it never was there";
  for (const auto& snapshot : talk.snapshots) EXPECT_THAT(dangling(*snapshot), IsEmpty());
}

std::string response(std::string_view type, const std::vector<std::string>& resources,
                     const std::string& nonce = "n") {
  DiscoveryResponse made;
  made.set_type_url(std::string(type));
  made.set_version_info("v");
  made.set_nonce(nonce);
  for (const std::string& bytes : resources) {
    made.add_resources()->set_type_url(made.type_url());
    made.mutable_resources()->rbegin()->set_value(bytes);
  }
  return made.SerializeAsString();
}

DiscoveryRequest request_in(const ClientStep& step) {
  DiscoveryRequest request;
  EXPECT_EQ(step.send.size(), 1U);
  if (!step.send.empty()) EXPECT_TRUE(request.ParseFromString(step.send.front()));
  return request;
}

TEST(SessionClient, RefusesAResourceThatIsThereTwiceAndOneOfAnotherType) {
  AdsClient client(dynamic_bootstrap(), {});
  static_cast<void>(client.connected(start));
  const std::string bytes = encode(config::Cluster{.name = "a"});
  const auto twice =
      client.received(response(type_url(ResourceType::cluster), {bytes, bytes}, "7"), start);
  ASSERT_TRUE(twice.ok());
  const DiscoveryRequest nack = request_in(*twice);
  EXPECT_EQ(nack.response_nonce(), "7");
  EXPECT_EQ(nack.version_info(), "") << "nothing was accepted yet";
  EXPECT_EQ(nack.error_detail().code(), 3);
  EXPECT_EQ(nack.error_detail().message(), "a is there twice");

  DiscoveryResponse mixed;
  mixed.set_type_url(std::string(type_url(ResourceType::cluster)));
  mixed.add_resources()->set_type_url("type.googleapis.com/some.Other");
  const auto other = client.received(mixed.SerializeAsString(), start);
  ASSERT_TRUE(other.ok());
  EXPECT_THAT(request_in(*other).error_detail().message(), HasSubstr("some.Other"));
}

TEST(SessionClient, NamesEveryBadResource) {
  AdsClient client(dynamic_bootstrap(), {});
  static_cast<void>(client.connected(start));
  const auto step = client.received(
      response(type_url(ResourceType::cluster), {"\xff\xff", encode(impossible())}), start);
  ASSERT_TRUE(step.ok());
  EXPECT_THAT(request_in(*step).error_detail().message(),
              testing::AllOf(HasSubstr("no such message"), HasSubstr("impossible")));
}

// Which of two would take a connection is chance.
TEST(SessionClient, TwoListenersOnOneAddressAreRefused) {
  config::Listener one;
  one.name = "one";
  one.address = {IpAddress::v4({127, 0, 0, 1}), 8080};
  config::TcpProxy tcp{.stat_prefix = "tcp"};
  tcp.clusters.push_back({.cluster = "a"});
  config::FilterChain chain;
  chain.filter = tcp;
  one.filter_chains.push_back(chain);
  config::Listener two = one;
  two.name = "two";
  const auto refusal = [&](const config::Listener& left, const config::Listener& right) {
    AdsClient client(dynamic_bootstrap(), {});
    static_cast<void>(client.connected(start));
    const auto step = client.received(
        response(type_url(ResourceType::listener), {encode(left), encode(right)}), start);
    EXPECT_TRUE(step.ok());
    return step.ok() ? request_in(*step).error_detail().message() : "";
  };
  EXPECT_EQ(refusal(one, two),
            "Listener two: the address 127.0.0.1:8080 is that of the listener one too");
  two.address.port = 8081;
  EXPECT_EQ(refusal(one, two), "");
  two.additional_addresses = {one.address};
  EXPECT_THAT(refusal(one, two), HasSubstr("is that of the listener one too"));
  two.additional_addresses.clear();
  two.address = {IpAddress(), 8080};  // another address: 0.0.0.0
  EXPECT_EQ(refusal(one, two), "");
  one.address.port = two.address.port = 0;  // any that is free
  two.address.ip = one.address.ip;
  EXPECT_EQ(refusal(one, two), "");
}

TEST(SessionClient, StrictRefusesWhatIsNotHonoured) {
  wire::cluster::Cluster cluster;
  cluster.set_name("a");
  cluster.GetReflection()->MutableUnknownFields(&cluster)->AddLengthDelimited(28, "other");
  const std::string message =
      response(type_url(ResourceType::cluster), {cluster.SerializeAsString()});
  AdsClient lenient(dynamic_bootstrap(), {});
  static_cast<void>(lenient.connected(start));
  EXPECT_FALSE(request_in(*lenient.received(message, start)).has_error_detail());
  EXPECT_EQ(lenient.counts(ResourceType::cluster).unhonoured, 1U);
  AdsClient strict(dynamic_bootstrap(), {.strict = true});
  static_cast<void>(strict.connected(start));
  EXPECT_EQ(request_in(*strict.received(message, start)).error_detail().message(),
            "Cluster a: alt_stat_name: is not honoured");
}

TEST(SessionClient, IgnoresWhatItDidNotAskFor) {
  AdsClient client(dynamic_bootstrap(), {});
  static_cast<void>(client.connected(start));
  const config::RouteConfiguration routes{.name = "never asked for"};
  ASSERT_TRUE(client.received(response(type_url(ResourceType::cluster), {}), start).ok());
  ASSERT_TRUE(
      client.received(response(type_url(ResourceType::route), {encode(routes)}), start).ok());
  const auto last = client.received(response(type_url(ResourceType::listener), {}), start);
  ASSERT_TRUE(last.ok());
  ASSERT_TRUE(last->snapshot);
  EXPECT_THAT(last->snapshot->routes, IsEmpty());
  const auto other = client.received(response("type.googleapis.com/some.Other", {}), start);
  ASSERT_TRUE(other.ok());
  EXPECT_THAT(other->send, IsEmpty());
  EXPECT_FALSE(client.received("\xff\xff", start).ok());
}

TEST(SessionClient, TheNodeGoesWithTheFirstRequestOfEachStream) {
  Bootstrap bootstrap = dynamic_bootstrap();
  bootstrap.discovery->node_on_first_message_only = true;
  AdsClient client(bootstrap, {});
  for (int stream = 0; stream < 2; ++stream) {
    const ClientStep step = client.connected(start);
    ASSERT_EQ(step.send.size(), 2U);
    DiscoveryRequest first;
    DiscoveryRequest second;
    ASSERT_TRUE(first.ParseFromString(step.send[0]) && second.ParseFromString(step.send[1]));
    EXPECT_EQ(first.node().id(), bootstrap.node.id);
    EXPECT_EQ(first.node().metadata().fields().at("NAMESPACE").string_value(), "default");
    EXPECT_FALSE(second.has_node());
  }
}

// ── Warming ──────────────────────────────────────────────────────────────────────────────────────

TEST(SessionClient, WaitsForWhatIsNamedAndNoLongerThanSaid) {
  AdsClient client(dynamic_bootstrap(), {.warming_limit = std::chrono::seconds(15)});
  const auto world = World("1").service("a", 1, true).done();
  static_cast<void>(client.connected(start));
  ASSERT_TRUE(client.received(response(type_url(ResourceType::cluster), {}), start).ok());
  EXPECT_THAT(client.waiting_for(), ElementsAre("listeners"));
  EXPECT_FALSE(client.deadline()) << "for the first listeners it waits as long as it takes";
  ASSERT_TRUE(client
                  .received(response(type_url(ResourceType::listener),
                                     {encode(*world->listeners.at("listener-a"))}),
                            start)
                  .ok());
  EXPECT_THAT(client.waiting_for(), ElementsAre("routes a"));
  ASSERT_TRUE(client.deadline());
  EXPECT_FALSE(client.elapsed(start).snapshot);
  const Instant late = start + std::chrono::seconds(15);
  const ClientStep step = client.elapsed(late);
  ASSERT_TRUE(step.snapshot);
  EXPECT_THAT(dangling(*step.snapshot), ElementsAre("routes a"));

  // What was given up is not waited for again; what is new is.
  const auto routes = client.received(
      response(type_url(ResourceType::route), {encode(*world->routes.at("a"))}), late);
  ASSERT_TRUE(routes.ok());
  ASSERT_TRUE(routes->snapshot) << "a cluster of new routes is not waited for: 503 until it comes";
  EXPECT_THAT(dangling(*routes->snapshot), ElementsAre("cluster " + cluster_name("a")));
  EXPECT_THAT(client.waiting_for(), ElementsAre("cluster " + cluster_name("a")));
}

TEST(SessionClient, EndpointsOfWhatIsInForceAreUsedWhileOtherThingsAreWaitedFor) {
  Talk talk;
  talk.target = World("1").service("a", 1, false).done();
  talk.connect();
  talk.run();
  const auto next = World("2").service("a", 9, false).service("b", 2, false).done();
  ASSERT_TRUE(talk.client
                  .received(response(type_url(ResourceType::cluster),
                                     {encode(*next->clusters.at(cluster_name("a"))),
                                      encode(*next->clusters.at(cluster_name("b")))}),
                            talk.now)
                  .ok());
  const auto step = talk.client.received(
      response(type_url(ResourceType::endpoint), {encode(*next->endpoints.at(cluster_name("a")))}),
      talk.now);
  ASSERT_TRUE(step.ok());
  ASSERT_TRUE(step->snapshot);
  EXPECT_EQ(step->snapshot->endpoints.at(cluster_name("a"))->localities[0].endpoints[0],
            endpoint(9));
  EXPECT_FALSE(step->snapshot->clusters.contains(cluster_name("b")));
  EXPECT_THAT(talk.client.waiting_for(), ElementsAre("endpoints " + cluster_name("b")));
}

TEST(SessionClient, StaticResourcesStandAboveThoseThatCome) {
  Bootstrap bootstrap = dynamic_bootstrap();
  bootstrap.clusters.push_back({.name = "a", .max_retries = 77});
  AdsClient client(bootstrap, {});
  static_cast<void>(client.connected(start));
  ASSERT_TRUE(client.received(response(type_url(ResourceType::listener), {}), start).ok());
  const auto step = client.received(
      response(type_url(ResourceType::cluster), {encode(config::Cluster{.name = "a"})}), start);
  ASSERT_TRUE(step.ok() && step->snapshot);
  EXPECT_EQ(step->snapshot->clusters.at("a")->max_retries, 77U);
}

// ── Again ────────────────────────────────────────────────────────────────────────────────────────

TEST(Session, AReconnectedClientKeepsWhatItHasAndSaysSo) {
  Talk talk;
  talk.target = World("1").service("a", 1, true).done();
  talk.connect();
  talk.run();
  const std::size_t before = talk.snapshots.size();
  talk.log.clear();
  talk.connect();
  DiscoveryRequest first;
  ASSERT_TRUE(first.ParseFromString(talk.up.front()));
  EXPECT_EQ(first.version_info(), "1");
  EXPECT_EQ(first.response_nonce(), "");
  talk.run();
  EXPECT_EQ(talk.snapshots.size(), before) << "nothing changed, so nothing is new";
  EXPECT_TRUE(talk.server.settled());
  EXPECT_EQ(talk.server.acknowledged_world(), "1");
}

TEST(Session, ALastGoodConfigurationStartsAClientBeforeItsServerIsThere) {
  Talk talk;
  talk.target = World("1").service("a", 1, true).service("b", 2, false).done();
  talk.connect();
  talk.run();
  const std::string bytes = talk.client.last_good();

  Talk again;
  auto restored = again.client.restore(bytes, start);
  ASSERT_TRUE(restored.ok()) << restored.fault().describe();
  ASSERT_TRUE(restored->snapshot);
  EXPECT_TRUE(equal(*restored->snapshot, *talk.target));
  EXPECT_EQ(restored->snapshot->world, "1");
  again.take(std::move(*restored));
  again.target = World("2").service("a", 1, true).after(*talk.target);
  again.connect();
  again.run();
  EXPECT_TRUE(equal(*again.snapshot, *again.target));
  for (const auto& snapshot : again.snapshots) EXPECT_THAT(dangling(*snapshot), IsEmpty());

  for (const std::size_t cut : {std::size_t{1}, bytes.size() / 2, bytes.size() - 1}) {
    AdsClient damaged(dynamic_bootstrap(), {});
    EXPECT_FALSE(damaged.restore(bytes.substr(0, cut), start).ok());
    EXPECT_EQ(damaged.waiting_for().size(), 2U) << "as if nothing had been there";
  }
}

// Everything that can happen to a stream, in any order: messages wait while others overtake them in
// the other direction, worlds change under way, streams break. In the end both sides agree, and at
// no moment did the proxy get anything that points at what is not there.
TEST(Session, AnyScheduleEndsInAgreement) {
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(seed);
    SeededRandom random(seed);
    Talk talk;
    int version = 0;
    const auto next_world = [&] {
      World world(std::to_string(++version));
      for (const char* name : {"a", "b", "c", "d"}) {
        if (random.below(3) == 0) continue;
        world.service(name, static_cast<std::uint8_t>(random.below(3)), random.below(3) != 0);
      }
      return talk.target ? world.after(*talk.target) : world.done();
    };
    talk.connect();
    for (int step = 0; step < 60; ++step) {
      const std::uint64_t what = random.below(20);
      if (what == 0) {
        talk.connect();
      } else if (what < 3) {
        talk.publish(next_world());
      } else if (what < 12 && !talk.up.empty()) {
        talk.step_up();
      } else if (!talk.down.empty()) {
        talk.step_down();
      }
      ASSERT_FALSE(HasFatalFailure());
    }
    if (!talk.target) talk.publish(next_world());
    talk.run();
    ASSERT_TRUE(talk.snapshot);
    EXPECT_TRUE(equal(*talk.snapshot, *talk.target));
    EXPECT_TRUE(talk.server.settled());
    EXPECT_EQ(talk.server.acknowledged_world(), talk.target->world);
    EXPECT_FALSE(talk.client.deadline());
    for (const auto& snapshot : talk.snapshots) ASSERT_THAT(dangling(*snapshot), IsEmpty());
    for (std::size_t i = 1; i < talk.snapshots.size(); ++i) {
      EXPECT_LT(talk.snapshots[i - 1]->number, talk.snapshots[i]->number);
    }
  }
}

// ── The server, and others' clients ──────────────────────────────────────────────────────────────

std::string request(ResourceType type, const std::vector<std::string>& names,
                    const std::string& nonce = "", bool node = true) {
  DiscoveryRequest made;
  if (node) made.mutable_node()->set_id("n");
  made.set_type_url(std::string(type_url(type)));
  made.set_response_nonce(nonce);
  for (const std::string& name : names) made.add_resource_names(name);
  return made.SerializeAsString();
}

DiscoveryResponse only(const Result<Messages>& answers) {
  DiscoveryResponse response;
  EXPECT_TRUE(answers.ok());
  EXPECT_EQ(answers->size(), 1U);
  if (!answers->empty()) EXPECT_TRUE(response.ParseFromString(answers->front().bytes()));
  return response;
}

TEST(SessionServer, WantsANodeFirstAndIgnoresTypesThatItDoesNotHave) {
  AdsServer server;
  EXPECT_FALSE(server.received("\xff\xff").ok());
  EXPECT_FALSE(server.received(request(ResourceType::cluster, {}, "", false)).ok());
  DiscoveryRequest other;
  other.mutable_node()->set_id("n");
  other.set_type_url("type.googleapis.com/istio.networking.nds.v1.NameTable");
  EXPECT_THAT(*server.received(other.SerializeAsString()), IsEmpty());
  EXPECT_EQ(server.node()->id, "n");
  EXPECT_TRUE(server.received(request(ResourceType::cluster, {}, "", false)).ok());
}

TEST(SessionServer, AnswersByNameAloneToWhoNamesThem) {
  AdsServer server;
  const auto world = World("1").service("a", 1, true).service("b", 2, true).done();
  EXPECT_THAT(server.publish(world), IsEmpty());
  const DiscoveryResponse listeners =
      only(server.received(request(ResourceType::listener, {"listener-b"})));
  ASSERT_EQ(listeners.resources_size(), 1);
  EXPECT_THAT(*server.received(request(ResourceType::listener, {"listener-b"}, listeners.nonce())),
              IsEmpty());
  const DiscoveryResponse clusters =
      only(server.received(request(ResourceType::cluster, {cluster_name("a")})));
  EXPECT_EQ(clusters.resources_size(), 1);
  // Once names were given, none at all means none.
  const DiscoveryResponse none =
      only(server.received(request(ResourceType::cluster, {}, clusters.nonce())));
  EXPECT_EQ(none.resources_size(), 0);
}

// As a real Envoy does when it runs already.
TEST(SessionServer, SendsEndpointsToWhoAnswersForItsClustersOnlyWhenTheyAreWarm) {
  AdsServer server;
  const auto before = World("1").service("a", 1, true).done();
  static_cast<void>(server.publish(before));
  const std::string first = only(server.received(request(ResourceType::cluster, {}))).nonce();
  EXPECT_THAT(*server.received(request(ResourceType::cluster, {}, first)), IsEmpty());
  std::vector<std::string> names{cluster_name("a")};
  const std::string endpoints =
      only(server.received(request(ResourceType::endpoint, names))).nonce();
  EXPECT_THAT(*server.received(request(ResourceType::endpoint, names, endpoints)), IsEmpty());

  const DiscoveryResponse clusters =
      only(server.publish(World("2").service("a", 1, true).service("b", 2, true).after(*before)));
  EXPECT_EQ(clusters.resources_size(), 2);
  names.push_back(cluster_name("b"));
  const DiscoveryResponse warm =
      only(server.received(request(ResourceType::endpoint, names, endpoints)));
  EXPECT_EQ(warm.resources_size(), 1) << "the clusters have not been answered for, and it waits";
  EXPECT_THAT(*server.received(request(ResourceType::endpoint, names, warm.nonce())), IsEmpty());
  EXPECT_FALSE(server.settled());
  EXPECT_THAT(*server.received(request(ResourceType::cluster, {}, clusters.nonce())), IsEmpty());
  EXPECT_TRUE(server.settled());
}

TEST(SessionServer, IgnoresAnswersToOlderResponsesAndAnswersWhoAsksAgain) {
  AdsServer server;
  const auto world = World("1").service("a", 1, true).done();
  static_cast<void>(server.publish(world));
  const std::vector<std::string> names{cluster_name("a")};
  const DiscoveryResponse first = only(server.received(request(ResourceType::endpoint, names)));
  EXPECT_THAT(*server.received(request(ResourceType::endpoint, names, "another")), IsEmpty());
  EXPECT_FALSE(server.settled());
  EXPECT_THAT(*server.received(request(ResourceType::endpoint, names, first.nonce())), IsEmpty());
  EXPECT_TRUE(server.settled());
  const DiscoveryResponse again =
      only(server.received(request(ResourceType::endpoint, names, first.nonce())));
  EXPECT_EQ(again.resources_size(), 1);
  EXPECT_NE(again.nonce(), first.nonce());
}

std::vector<std::string> values_of(const DiscoveryResponse& response) {
  std::vector<std::string> values;
  for (const auto& resource : response.resources()) values.push_back(resource.value());
  return values;
}

TEST(SessionServer, StreamsShareTheBytesOfWhatTheyAreBothToldAndOfNothingElse) {
  const auto encodings = std::make_shared<Encodings>();
  AdsServer one(encodings);
  AdsServer other(encodings);
  AdsServer alone;
  const auto world = World("1").service("a", 1, true).service("b", 2, true).done();
  const auto view = World("1").service("a", 1, true).service("b", 3, true).after(*world);
  static_cast<void>(one.publish(world));
  static_cast<void>(other.publish(view));
  static_cast<void>(alone.publish(view));
  const std::string ask = request(ResourceType::endpoint, {cluster_name("a"), cluster_name("b")});
  const DiscoveryResponse first = only(one.received(ask));
  EXPECT_EQ(encodings->size(), 2U);
  const DiscoveryResponse second = only(other.received(ask));
  EXPECT_EQ(encodings->size(), 3U) << "the endpoints of a are the same";
  EXPECT_EQ(first.resources(0).value(), second.resources(0).value());
  EXPECT_NE(first.resources(1).value(), second.resources(1).value());
  EXPECT_EQ(values_of(second), values_of(only(alone.received(ask))));
  EXPECT_EQ(second.type_url(), first.type_url());
  EXPECT_EQ(second.control_plane().identifier(), "fairlead");
}

TEST(SessionServer, BytesOfWhatNobodyHasAnyMoreAreForgotten) {
  const auto encodings = std::make_shared<Encodings>();
  AdsServer server(encodings);
  auto world = World("0").service("a", 0, true).done();
  static_cast<void>(server.publish(world));
  const std::vector<std::string> names{cluster_name("a")};
  DiscoveryResponse response = only(server.received(request(ResourceType::endpoint, names)));
  for (int version = 1; version < 1000; ++version) {
    const auto address = static_cast<std::uint8_t>(version % 250);
    world = World(std::to_string(version)).service("a", address, true).after(*world);
    static_cast<void>(server.received(request(ResourceType::endpoint, names, response.nonce())));
    response = only(server.publish(world));
    EXPECT_EQ(values_of(response).at(0), encode(*world->endpoints.at(cluster_name("a"))));
  }
  EXPECT_LT(encodings->size(), 100U);
}

}  // namespace
}  // namespace fairlead::xds
