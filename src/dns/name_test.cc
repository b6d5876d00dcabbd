#include "dns/name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::dns {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Name name(std::string_view text) {
  Result<Name> parsed = Name::parse(text);
  EXPECT_TRUE(parsed.ok()) << text;
  return parsed ? *parsed : Name();
}

TEST(Name, KeepsItsCaseAndComparesWithoutIt) {
  EXPECT_EQ(name("ReViews.default").text(), "ReViews.default");
  EXPECT_EQ(name("ReViews.default"), name("reviews.DEFAULT."));
  EXPECT_EQ(Folding()(name("ReViews.Default").wire()), Folding()(name("reviews.default").wire()));
  EXPECT_FALSE(name("reviews.default") == name("review.sdefault"));
}

TEST(Name, ReadsAndWritesStrangeLabels) {
  EXPECT_THAT(name("a\\.b.c").labels(), ElementsAre("a.b", "c"));
  EXPECT_EQ(name("a\\.b.c").text(), "a\\.b.c");
  EXPECT_EQ(name("\\000\\255.c").text(), "\\000\\255.c");
  EXPECT_EQ(name(".").text(), ".");
}

TEST(Name, RefusesWhatCannotTravel) {
  for (const std::string& text :
       {std::string(), std::string("a..b"), std::string(".a"), std::string(64, 'x'),
        std::string("a\\"), std::string("a\\25"), std::string("a\\256")}) {
    EXPECT_FALSE(Name::parse(text).ok()) << text;
  }
  std::string longest;
  for (int i = 0; i < 126; ++i) longest += "a.";
  EXPECT_TRUE(Name::parse(longest + "a").ok());
  EXPECT_FALSE(Name::parse(longest + "aa").ok());
  EXPECT_FALSE(Name::from_wire(std::string("\x03"
                                           "ab",
                                           3))
                   .ok());
  EXPECT_FALSE(Name::from_wire(std::string("\x01"
                                           "a\0\0",
                                           4))
                   .ok());
}

TEST(Name, LiesWithinAZoneByWholeLabels) {
  const Name zone = name("cluster.local");
  EXPECT_TRUE(name("a.CLUSTER.local").within(zone));
  EXPECT_TRUE(zone.within(zone));
  EXPECT_TRUE(zone.within(Name()));
  EXPECT_FALSE(name("acluster.local").within(zone));
  EXPECT_FALSE(name("local").within(zone));
  // The bytes of the zone's wire form, but inside of a label.
  EXPECT_FALSE(name("a\\007cluster.local").within(zone));
  EXPECT_EQ(*name("ns.dns").under(zone), name("ns.dns.cluster.local"));
}

TEST(Name, SpellsAddressesBackwards) {
  const auto both_ways = [](const char* address, const char* reverse) {
    EXPECT_EQ(reverse_name(*IpAddress::parse(address)).text(), reverse);
    EXPECT_EQ(address_behind(name(reverse))->text(), address);
  };
  both_ways("10.96.0.12", "12.0.96.10.in-addr.arpa");
  both_ways("fd00:10:96::a",
            "a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.1.0.0.0.0.d.f.ip6.arpa");
  for (const char* wrong :
       {"0.96.10.in-addr.arpa", "1.12.0.96.10.in-addr.arpa", "012.0.96.10.in-addr.arpa",
        "256.0.96.10.in-addr.arpa", "a.0.0.ip6.arpa", "12.0.96.10.in-addr.example"}) {
    const Result<IpAddress> address = address_behind(name(wrong));
    ASSERT_FALSE(address.ok()) << wrong;
    EXPECT_THAT(address.fault().message, HasSubstr(wrong));
  }
}

}  // namespace
}  // namespace fairlead::dns
