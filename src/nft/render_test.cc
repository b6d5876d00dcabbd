#include "nft/render.h"

#include <gtest/gtest.h>

#include "nft/test_rules.h"

namespace fairlead::nft {
namespace {

TEST(Render, WritesAServiceTableAsNftDoes) {
  const std::string text = render(testing::node_rules({.endpoints = 2}));
  EXPECT_NE(text.find("typeof ip daddr . meta l4proto . tcp dport . numgen random mod 2"
                      " : ip daddr . tcp dport\n"),
            std::string::npos);
  EXPECT_NE(
      text.find(
          "10.96.0.12 . tcp . 9080 . 1 comment \"Service default/reviews\" : 10.244.2.2 . 9080"),
      std::string::npos);
  EXPECT_NE(text.find("10.96.0.12 . tcp . 9080 counter comment \"Service default/reviews\""),
            std::string::npos);
  EXPECT_NE(text.find("dnat ip6 to ip6 daddr . meta l4proto . tcp dport . numgen random mod 2"
                      " map @endpoints6"),
            std::string::npos);
  EXPECT_NE(text.find("0x00000002 : goto n2"), std::string::npos);
}

TEST(Render, WritesEachExpression) {
  const IpAddress ten = IpAddress::v4({10, 0, 0, 0});
  const auto text = [](Expression expression) { return render(expression); };
  EXPECT_EQ(text(Match{Field::skuid, {1337U}}), "meta skuid 1337");
  EXPECT_EQ(text(Match{Field::skgid, {1U, 2U}, true}), "meta skgid != { 1, 2 }");
  EXPECT_EQ(text(Match{Field::mark, {0x539U}}), "meta mark 0x00000539");
  EXPECT_EQ(text(Match{Field::l4proto, {tcp, udp}}), "meta l4proto { tcp, udp }");
  EXPECT_EQ(text(destination({ten, 8})), "ip daddr 10.0.0.0/8");
  EXPECT_EQ(text(source(host(ten))), "ip saddr 10.0.0.0");
  EXPECT_EQ(text(Interface{Interface::Way::out, "lo", true}), "oifname != \"lo\"");
  EXPECT_EQ(text(InSet{{Field::ip_saddr, Field::ip_daddr}, "hairpin"}),
            "ip saddr . ip daddr @hairpin");
  EXPECT_EQ(text(LocalDestination{}), "fib daddr type local");
  EXPECT_EQ(text(Redirect{15001}), "redirect to :15001");
  EXPECT_EQ(text(RejectWithReset{}), "reject with tcp reset");
  EXPECT_EQ(text(Count{"reviews"}), "counter name \"reviews\"");
  EXPECT_EQ(text(Verdict{Verdict::Kind::jump, "outbound"}), "jump outbound");
}

TEST(Render, KeepsCommentsWithinWhatNftCanHold) {
  EXPECT_EQ(quoted("say \"hi\"\n"), "\"say 'hi' \"");
  const std::string euros = quoted(std::string(127, 'x') + "\u20ac");
  EXPECT_EQ(euros, '"' + std::string(127, 'x') + '"') << "no half character at the cut";
}

TEST(ParsePrefix, ClearsHostBitsAndRefusesNonsense) {
  EXPECT_EQ(render(*parse_prefix("10.1.2.3/8")), "10.0.0.0/8");
  EXPECT_EQ(render(*parse_prefix("fd00::1/8")), "fd00::/8");
  EXPECT_EQ(render(*parse_prefix("10.1.2.3")), "10.1.2.3");
  EXPECT_EQ(render(*parse_prefix("0.0.0.0/0")), "0.0.0.0/0");
  for (const char* wrong : {"", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "fd00::/129", "x/8"}) {
    EXPECT_FALSE(parse_prefix(wrong).ok()) << wrong;
  }
}

TEST(Check, FindsWhatTheKernelWouldRefuse) {
  EXPECT_TRUE(check(testing::node_rules({.endpoints = 3})).ok());
  const auto complaint = [](Ruleset ruleset, Expression extra) {
    ruleset.tables[0].chains[0].rules.push_back({.expressions = {std::move(extra)}});
    const Result<> result = check(ruleset);
    return result.ok() ? "" : result.fault().message;
  };
  const Ruleset sound = testing::node_rules({.endpoints = 1});
  EXPECT_NE(complaint(sound, Verdict{Verdict::Kind::jump, "nowhere"}).find("no chain: nowhere"),
            std::string::npos);
  EXPECT_NE(complaint(sound, InSet{{Field::ip_daddr}, "nothing"}).find("no set"),
            std::string::npos);
  EXPECT_NE(complaint(sound, Match{Field::ip6_daddr, {IpAddress{}}}).find("kind"),
            std::string::npos);
  EXPECT_NE(complaint(sound, Match{Field::tcp_dport, {70000U}}).find("kind"), std::string::npos);
  EXPECT_NE(complaint(sound, Verdict{Verdict::Kind::jump, sound.tables[0].chains[0].name})
                .find("calls itself"),
            std::string::npos);
}

}  // namespace
}  // namespace fairlead::nft
