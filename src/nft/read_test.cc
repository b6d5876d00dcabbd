#include "nft/read.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "nft/test_namespace.h"

namespace fairlead::nft {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;

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
    EXPECT_EQ(table.fault().message,
              "the table inet t holds what fairlead does not make: the map endpoints");
  }
  for (const char* text : {"", "{", "[]", "{}"}) {
    EXPECT_EQ(read_listing(text, TableFamily::inet, "t").fault().message,
              "nft's listing of the table t cannot be read");
  }
}

// ── from the kernel ─────────────────────────────────────────────────────────────────────────────

class Read : public ::testing::Test {
 protected:
  Read()
      : kernel_(space_.in([] {
          Result<Kernel> kernel = Kernel::open();
          if (!kernel) throw std::runtime_error(kernel.fault().describe());
          return std::move(*kernel);
        })) {
    commit("add table inet t");
    commit("add chain inet t other");
    commit("add chain inet t mine");
  }
  void commit(const std::string& command) {
    const Result<> committed = kernel_.commit({.commands = {command}});
    ASSERT_TRUE(committed.ok()) << command << ": " << committed.fault().describe();
  }
  Result<Table> read_it() { return read(kernel_, TableFamily::inet, "t"); }

  testing::TestNamespace space_;
  Kernel kernel_;
};

TEST_F(Read, NamesARuleOfSomebodyElseAsNftPrintsIt) {
  for (const char* rule :
       {"meta skuid 5 log prefix \"x\" accept", "tcp dport < 1024 accept", "meta skuid >= 5 return",
        "tcp dport 80-90 accept", "meta l4proto tcp redirect", "meta mark set 0x00000005",
        "tcp dport { 1-5, 9 } accept", "ct state new accept", "meta skuid 5 reject",
        "ip daddr 10.0.0.1 dnat ip to 10.0.0.2", "iifname { \"a\", \"b\" } accept",
        "numgen inc mod 2 vmap { 0 : accept }", "quota 10 mbytes accept"}) {
    commit("flush chain inet t mine");
    commit("add rule inet t mine tcp dport 22 counter return comment \"ours\"");
    ASSERT_TRUE(read_it().ok()) << read_it().fault().describe();
    commit(std::string("add rule inet t mine ") + rule);
    const Result<Table> table = read_it();
    ASSERT_FALSE(table.ok()) << rule;
    EXPECT_EQ(table.fault().kind, FaultKind::unsupported) << rule;
    EXPECT_EQ(table.fault().message,
              std::string("the table inet t holds what fairlead does not make: a rule in the chain "
                          "mine: ") +
                  rule);
    EXPECT_EQ(counters(kernel_, TableFamily::inet, "t")->size(), 1) << rule;
  }
}

TEST_F(Read, NamesASetAQuotaAndAChainOfSomebodyElse) {
  commit("add set inet t hardware { type ether_addr; }");
  EXPECT_THAT(read_it().fault().message, EndsWith("does not make: the set hardware"));
  commit("delete set inet t hardware");
  commit("add quota inet t month { over 5 mbytes; }");
  EXPECT_THAT(read_it().fault().message, EndsWith("does not make: the quota month"));
  commit("delete quota inet t month");
  commit("add chain inet t stern { type filter hook input priority 0; policy drop; }");
  EXPECT_THAT(read_it().fault().message, EndsWith("does not make: the chain stern"));
}

TEST_F(Read, ADormantTableIsSaidToBeSo) {
  commit("add set inet t ports { type inet_service; elements = { 1, 2 }; }");
  commit("add table inet t { flags dormant; }");
  const char* said = "the table inet t is dormant: its rules stand there, and none is in force";
  EXPECT_EQ(read_it().fault().message, said);
  EXPECT_EQ(counters(kernel_, TableFamily::inet, "t").fault().message, said);
  EXPECT_EQ(read_it().fault().kind, FaultKind::unsupported);
  commit("add table inet t");
  EXPECT_TRUE(read_it().ok());
}

TEST_F(Read, ATableThatIsNotThereIsMissing) {
  EXPECT_EQ(read(kernel_, TableFamily::ip, "t").fault().kind, FaultKind::missing);
  EXPECT_EQ(counters(kernel_, TableFamily::ip, "t").fault().kind, FaultKind::missing);
}

}  // namespace
}  // namespace fairlead::nft
