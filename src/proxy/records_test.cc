#include "proxy/records.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace fairlead::proxy {
namespace {

TEST(Records, KeepTheLastOnesInOrder) {
  Records records(3);
  for (const char* id : {"a", "b", "c", "d", "b"}) records.add().id = id;
  EXPECT_EQ(records.size(), 3U);
  EXPECT_EQ(records.added(), 5U);
  const std::vector<Record> last = records.last(2);
  ASSERT_EQ(last.size(), 2U);
  EXPECT_EQ(last[0].id.view(), "d");
  EXPECT_EQ(last[1].id.view(), "b");
  EXPECT_EQ(records.last(100).size(), 3U);
  EXPECT_EQ(records.with_id("b").size(), 1U);  // the first b is gone
  EXPECT_TRUE(records.with_id("a").empty());
}

TEST(Records, AreFoundByTheirNumberUntilLaterOnesTakeTheirPlace) {
  Records records(3);
  EXPECT_EQ(records.numbered(0), nullptr);
  for (const char* id : {"a", "b", "c"}) records.add().id = id;
  ASSERT_NE(records.numbered(0), nullptr);
  EXPECT_EQ(records.numbered(0)->id.view(), "a");
  EXPECT_EQ(records.numbered(3), nullptr) << "nobody has added it yet";
  records.add().id = "d";
  EXPECT_EQ(records.numbered(0), nullptr);
  EXPECT_EQ(records.numbered(1)->id.view(), "b");
  EXPECT_EQ(records.numbered(3)->id.view(), "d");
}

TEST(Records, SayThatAConnectionIsOpen) {
  Records records;
  records.add().open = true;
  records.add();
  const auto json = nlohmann::json::parse(records_json(records.last(2)))["records"];
  EXPECT_EQ(json[0]["open"], true);
  EXPECT_FALSE(json[1].contains("open"));
}

TEST(Records, LongTextsAreCut) {
  ShortText<4> text("abcdef");
  EXPECT_EQ(text.view(), "abcd");
  text = "";
  EXPECT_EQ(text.view(), "");
}

TEST(Records, TellTheWayAsJson) {
  Records records;
  Record& record = records.add();
  record.id = "id-1";
  record.path = "/\xff";
  record.direction = config::Direction::outbound;
  record.downstream_remote = *SocketAddress::parse("10.244.1.2:40000");
  record.original_destination = *SocketAddress::parse("10.96.0.12:9080");
  record.upstream_remote = *SocketAddress::parse("10.244.2.2:9080");
  record.cluster = "outbound|9080||reviews";
  record.workload = "default/reviews-v1";
  record.pooled = std::chrono::milliseconds(1500);
  record.attempts = 1;
  record.status = 200;
  record.duration = std::chrono::microseconds(1234);
  const auto json = nlohmann::json::parse(records_json(records.last(1)))["records"][0];
  EXPECT_EQ(json["id"], "id-1");
  EXPECT_EQ(json["direction"], "outbound");
  EXPECT_EQ(json["originalDestination"], "10.96.0.12:9080");
  EXPECT_EQ(json["endpoint"], "10.244.2.2:9080");
  EXPECT_EQ(json["workload"], "default/reviews-v1");
  EXPECT_EQ(json["pooledMilliseconds"], 1500);
  EXPECT_EQ(json["microseconds"], 1234);
  EXPECT_EQ(json["flags"], "-");
  EXPECT_FALSE(json.contains("upstreamLocal"));
}

}  // namespace
}  // namespace fairlead::proxy
