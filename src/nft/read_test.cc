#include "nft/read.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace fairlead::nft {
namespace {

using testing::ElementsAre;

std::string listing_with_map(const std::string& type, const std::string& data) {
  return R"({"nftables": [{"map": {"family": "inet", "name": "endpoints", "table": "t", "type": )" +
         type + R"(, "map": )" + data +
         R"(, "elem": [[{"concat": ["10.96.0.12", "tcp", 9080, 1]},
                        {"concat": ["10.244.1.2", 8080]}]]}}]})";
}

// nft 1.0 names types where nft 1.1 gives the expressions of a "typeof".
TEST(ReadListing, UnderstandsBothWaysToTellATypeof) {
  const Result<Table> old =
      read_listing(listing_with_map(R"(["ipv4_addr", "inet_proto", "inet_service", "integer"])",
                                    R"(["ipv4_addr", "inet_service"])"),
                   TableFamily::inet, "t");
  ASSERT_TRUE(old.ok()) << old.fault().describe();
  const Result<Table> with_expressions =
      read_listing(listing_with_map(
                       R"({"typeof": {"concat": [{"payload": {"protocol": "ip", "field": "saddr"}},
                                    {"meta": {"key": "l4proto"}},
                                    {"payload": {"protocol": "th", "field": "dport"}},
                                    {"numgen": {"mode": "random", "mod": 2, "offset": 0}}]}})",
                       R"({"typeof": {"concat": [{"payload": {"protocol": "ip", "field": "daddr"}},
                                    {"payload": {"protocol": "tcp", "field": "dport"}}]}})"),
                   TableFamily::inet, "t");
  ASSERT_TRUE(with_expressions.ok()) << with_expressions.fault().describe();
  EXPECT_THAT(old->maps.at(0).key,
              ElementsAre(Field::ip_daddr, Field::l4proto, Field::tcp_dport, Field::slot));
  EXPECT_EQ(*old, *with_expressions);
}

TEST(ReadListing, RefusesWhatItHasNoWordFor) {
  for (const char* type : {R"({"typeof": {"rt": {"key": "mtu"}}})", R"("ether_addr")", "7",
                           R"({"of": "what"})", R"({"typeof": 7})", R"({"typeof": "mark"})"}) {
    const Result<Table> table =
        read_listing(listing_with_map(type, R"("mark")"), TableFamily::inet, "t");
    ASSERT_FALSE(table.ok()) << type;
    EXPECT_EQ(table.fault().kind, FaultKind::unsupported) << type;
  }
  EXPECT_FALSE(read_listing("{", TableFamily::inet, "t").ok());
}

}  // namespace
}  // namespace fairlead::nft
