#include "control/publish.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <set>

#include "control/test_shop.h"
#include "xds/session.h"

namespace fairlead::control {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::shop;
using testing::sidecar;
using ::testing::SizeIs;

constexpr Instant start{std::chrono::hours(1)};

// A proxy joined to a publisher without a wire between them.
class Proxy {
 public:
  Proxy(Publisher& publisher, const std::string& pod)
      : publisher_(publisher), id(publisher.opened("10.244.1.2:40000")), client_(sidecar(pod), {}) {
    take(client_.connected(start));
    settle();
  }
  ~Proxy() { publisher_.closed(id); }
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  void get(const xds::Messages& messages) {
    for (const xds::Message& message : messages) arrived_.push_back(message.bytes());
    settle();
  }
  std::set<std::string> types_got;  // since it was last cleared
  config::SnapshotPointer snapshot;

 private:
  void take(xds::ClientStep step) {
    for (std::string& message : step.send) to_send_.push_back(std::move(message));
    if (step.snapshot) snapshot = step.snapshot;
  }
  void settle() {
    while (!to_send_.empty() || !arrived_.empty()) {
      if (!to_send_.empty()) {
        const std::string message = to_send_.front();
        to_send_.pop_front();
        auto answers = publisher_.received(id, message);
        ASSERT_TRUE(answers.ok()) << answers.fault().describe();
        for (const xds::Message& answer : *answers) arrived_.push_back(answer.bytes());
        continue;
      }
      const std::string message = arrived_.front();
      arrived_.pop_front();
      types_got.insert(testing::bytes_of(message, 4));
      auto step = client_.received(message, start);
      ASSERT_TRUE(step.ok()) << step.fault().describe();
      take(std::move(*step));
    }
  }

  Publisher& publisher_;

 public:
  const Publisher::Proxy id;

 private:
  xds::AdsClient client_;
  std::deque<std::string> to_send_;
  std::deque<std::string> arrived_;
};

std::vector<std::string> endpoints_of(const Proxy& proxy, const std::string& cluster) {
  std::vector<std::string> all;
  const auto found = proxy.snapshot->endpoints.find(cluster);
  if (found == proxy.snapshot->endpoints.end()) return all;
  for (const auto& locality : found->second->localities) {
    for (const auto& endpoint : locality.endpoints) all.push_back(endpoint.address.text());
  }
  return all;
}

const std::string reviews = "outbound|9080||reviews.default.svc.cluster.local";

TEST(Publisher, AProxyWaitsForTheFirstWorldAndThenHasAllOfIt) {
  Publisher publisher;
  Proxy proxy(publisher, "web");
  EXPECT_FALSE(proxy.snapshot);
  EXPECT_EQ(publisher.status().world, "");
  const auto pushes = publisher.use(shop("1", {"10.244.1.12"}));
  ASSERT_THAT(pushes, SizeIs(1));
  EXPECT_EQ(pushes[0].proxy, proxy.id);
  proxy.get(pushes[0].messages);
  ASSERT_TRUE(proxy.snapshot);
  EXPECT_EQ(proxy.snapshot->world, "1");
  EXPECT_THAT(endpoints_of(proxy, reviews), ElementsAre("10.244.1.12:9080"));
  const Status status = publisher.status();
  ASSERT_THAT(status.proxies, SizeIs(1));
  EXPECT_TRUE(status.proxies[0].current);
  EXPECT_EQ(status.proxies[0].acknowledged_world, "1");
  EXPECT_EQ(status.proxies[0].name_space, "default");
  EXPECT_EQ(status.proxies[0].node, "sidecar~10.244.1.2~web.default~default.svc.cluster.local");
}

TEST(Publisher, OnlyWhatChangedIsPushed) {
  Publisher publisher;
  static_cast<void>(publisher.use(shop("1", {"10.244.1.12"})));
  Proxy proxy(publisher, "web");
  ASSERT_TRUE(proxy.snapshot);
  proxy.types_got.clear();
  const auto pushes = publisher.use(shop("2", {"10.244.1.12", "10.244.2.12"}));
  ASSERT_THAT(pushes, SizeIs(1));
  EXPECT_FALSE(publisher.status().proxies[0].current);
  proxy.get(pushes[0].messages);
  EXPECT_THAT(proxy.types_got,
              ElementsAre("type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"));
  EXPECT_THAT(endpoints_of(proxy, reviews), ElementsAre("10.244.1.12:9080", "10.244.2.12:9080"));
  EXPECT_TRUE(publisher.status().proxies[0].current);
  EXPECT_EQ(publisher.status().proxies[0].acknowledged_world, "2");
  // The same world by another name: nothing to hear, and the proxy speaks it.
  EXPECT_THAT(publisher.use(shop("3", {"10.244.1.12", "10.244.2.12"})), IsEmpty());
  EXPECT_TRUE(publisher.status().proxies[0].current);
  EXPECT_EQ(publisher.status().proxies[0].acknowledged_world, "3");
}

TEST(Publisher, ARefusalIsKeptAndTheNextWorldIsTriedAgain) {
  Publisher publisher;
  static_cast<void>(publisher.use(shop("1", {"10.244.1.12"})));
  const Publisher::Proxy proxy = publisher.opened("10.244.1.9:1");
  const std::string clusters = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
  auto answers = publisher.received(proxy, testing::first_request(clusters, "router~1"));
  ASSERT_TRUE(answers.ok()) << answers.fault().describe();
  ASSERT_THAT(*answers, SizeIs(1));
  auto after =
      publisher.received(proxy, testing::refusal(answers->front().bytes(), "no such thing"));
  ASSERT_TRUE(after.ok());
  EXPECT_THAT(*after, IsEmpty());
  const ProxyStatus status = publisher.status().proxies.at(0);
  EXPECT_FALSE(status.current);
  EXPECT_EQ(status.types[0].refusal, "no such thing");
  EXPECT_EQ(status.acknowledged_world, "");
  EXPECT_THAT(*describe_status(status_json(publisher.status())),
              HasSubstr("refused CDS of world 1: no such thing"));
  // Another world, with another service.
  mesh::World more = *shop("2", {"10.244.1.12"});
  more.services.push_back(testing::service("web", "10.96.0.13", {"10.244.1.13"}));
  EXPECT_THAT(publisher.use(std::make_shared<const mesh::World>(more)), SizeIs(1));
}

TEST(Publisher, WhatIsNoRequestEndsTheStream) {
  Publisher publisher;
  const Publisher::Proxy proxy = publisher.opened("10.244.1.9:1");
  EXPECT_FALSE(publisher.received(proxy, "\xff\xff\xff").ok());
  publisher.closed(proxy);
  EXPECT_FALSE(publisher.received(proxy, "").ok());
  EXPECT_THAT(publisher.status().proxies, IsEmpty());
}

TEST(Publisher, ProxiesAreSortedAndGoWhenTheyClose) {
  Publisher publisher;
  static_cast<void>(publisher.use(shop("1", {"10.244.1.12"})));
  const Proxy one(publisher, "web");
  {
    const Proxy two(publisher, "app");
    const Status status = publisher.status();
    ASSERT_THAT(status.proxies, SizeIs(2));
    EXPECT_THAT(status.proxies[0].node, HasSubstr("app.default"));
    EXPECT_THAT(status.proxies[1].node, HasSubstr("web.default"));
  }
  EXPECT_THAT(publisher.status().proxies, SizeIs(1));
}

// A field of any length (protobuf.dev, "Encoding").
std::string long_field(int number, const std::string& text) {
  std::string made(1, static_cast<char>(number << 3 | 2));
  for (std::size_t size = text.size(); true; size >>= 7) {
    made += static_cast<char>((size & 0x7F) | (size >= 0x80 ? 0x80 : 0));
    if (size < 0x80) return made + text;
  }
}

TEST(Publisher, WhatAStreamMakesUsKeepHasABound) {
  const std::string cds(xds::type_url(xds::ResourceType::cluster));
  Publisher publisher;
  const Publisher::Proxy wordy = publisher.opened("10.0.0.1:1");
  const auto large = publisher.received(
      wordy, long_field(2, testing::text_field(1, "a") + long_field(3, std::string(300'000, 'x'))) +
                 testing::text_field(4, cds));
  ASSERT_FALSE(large.ok());
  EXPECT_THAT(large.fault().message, HasSubstr("node: at most 262144 bytes are expected"));

  std::string names = testing::first_request(cds, "b");
  for (std::size_t i = 0; i <= xds::AdsServer::most_names; ++i)
    names += testing::text_field(3, "n");
  const auto many = publisher.received(publisher.opened("10.0.0.1:2"), names);
  ASSERT_FALSE(many.ok());
  EXPECT_THAT(many.fault().message, HasSubstr("resource_names: at most 100000 names"));
}

TEST(Publisher, AReasonToRefuseIsCut) {
  const std::string cds(xds::type_url(xds::ResourceType::cluster));
  Publisher publisher;
  static_cast<void>(publisher.use(testing::shop("1", {"10.244.1.12"})));
  const Publisher::Proxy proxy = publisher.opened("10.0.0.1:1");
  const auto first = publisher.received(proxy, testing::first_request(cds, "a"));
  ASSERT_TRUE(first.ok() && !first->empty());
  const std::string response = first->front().bytes();
  const std::string why = "\x08\x0d" + long_field(2, std::string(1'000'000, 'w'));
  ASSERT_TRUE(publisher
                  .received(proxy, testing::text_field(4, testing::bytes_of(response, 4)) +
                                       testing::text_field(5, testing::bytes_of(response, 5)) +
                                       long_field(6, why))
                  .ok());
  const std::string kept = publisher.status().proxies.at(0).types.at(0).refusal;
  EXPECT_LT(kept.size(), 5000U);
  EXPECT_THAT(kept, HasSubstr("bytes more)"));
}

}  // namespace
}  // namespace fairlead::control
