#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/copy_text.h"
#include "base/lines.h"
#include "base/origin.h"
#include "base/program_pages.h"
#include "base/release.h"
#include "base/result.h"
#include "base/split.h"

namespace fairlead {
namespace {

TEST(Origin, SurvivesAnAnnotation) {
  const Origin origin{"Service", "default", "reviews", "dir/a|b:c.yaml", 24};
  EXPECT_EQ(Origin::decode(origin.encode()), origin);
  EXPECT_EQ(origin.describe(), "Service default/reviews (dir/a|b:c.yaml:24)");
  EXPECT_FALSE(Origin::decode("nonsense").known());
}

TEST(IpAddress, ParsesAndPrintsBothFamilies) {
  for (const char* text : {"10.96.0.12", "127.0.0.6", "::6", "fd44:1::11"}) {
    const auto parsed = IpAddress::parse(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(parsed->text(), text);
  }
  EXPECT_FALSE(IpAddress::parse("10.96.0"));
  EXPECT_FALSE(IpAddress::parse("[::1]"));
}

TEST(IpAddress, UnmapsVersionFourInSix) {
  EXPECT_EQ(IpAddress::parse("::ffff:10.0.0.1")->text(), "10.0.0.1");
}

TEST(IpAddress, MatchesPrefixes) {
  const IpAddress prefix = *IpAddress::parse("10.244.0.0");
  EXPECT_TRUE(IpAddress::parse("10.244.7.9")->within(prefix, 16));
  EXPECT_FALSE(IpAddress::parse("10.245.7.9")->within(prefix, 16));
  EXPECT_TRUE(IpAddress::parse("10.245.7.9")->within(prefix, 15));
  EXPECT_TRUE(IpAddress::parse("1.2.3.4")->within(prefix, 0));
  EXPECT_FALSE(IpAddress::parse("::1")->within(prefix, 0));
}

TEST(SocketAddress, ReadsBracketsForVersionSix) {
  EXPECT_EQ(SocketAddress::parse("[::1]:80")->text(), "[::1]:80");
  EXPECT_EQ(SocketAddress::parse("10.0.0.1:15001")->port, 15001);
  for (const char* wrong : {"::1:80", "10.0.0.1", "10.0.0.1:", "10.0.0.1:70000", "a:80"}) {
    EXPECT_FALSE(SocketAddress::parse(wrong)) << wrong;
  }
}

TEST(Fault, TellsItsTrail) {
  const Fault fault = from_errno(ECONNREFUSED, "connect 10.0.0.1:80").during("asking control");
  EXPECT_EQ(fault.kind, FaultKind::unreachable);
  EXPECT_EQ(fault.describe(), "connect 10.0.0.1:80: Connection refused (while asking control)");
}

TEST(CopyText, CopiesExactlyWhatIsThere) {
  std::string text;
  for (std::size_t size = 0; size < 80; ++size) {
    std::string into(size + 2, '#');
    char* const end = copy_text(into.data() + 1, text);
    EXPECT_EQ(into, "#" + text + "#");
    EXPECT_EQ(end, into.data() + 1 + size);
    text += static_cast<char>('0' + size);
  }
}

// In a process that has more to do: nothing that is needed is gone.
TEST(Release, LeavesNoRoomBehind) {
  std::string text(100'000, 'x');
  release(text);
  EXPECT_TRUE(text.empty());
  EXPECT_LT(text.capacity(), 100U);
}

TEST(ProgramPages, ComeBackWhenTheyAreTouched) {
  const std::string before = SocketAddress::parse("10.0.0.1:80")->text();
  give_back_program_pages();
  EXPECT_EQ(SocketAddress::parse("10.0.0.1:80")->text(), before);
  EXPECT_EQ(from_errno(ECONNREFUSED, "connect").describe(), "connect: Connection refused");
}

TEST(Split, KeepsEmptyParts) {
  using Parts = std::vector<std::string_view>;
  EXPECT_EQ(split("", ','), Parts{""});
  EXPECT_EQ(split("a", ','), Parts{"a"});
  EXPECT_EQ(split(",a,,b,", ','), (Parts{"", "a", "", "b", ""}));
}

TEST(Lines, BreakAtBlanksAndHang) {
  EXPECT_EQ(wrap("", 10), std::vector<std::string>{""});
  EXPECT_EQ(wrap("one two three", 8), (std::vector<std::string>{"one two", "three"}));
  EXPECT_EQ(wrap("one two", 7), std::vector<std::string>{"one two"});
  EXPECT_EQ(wrap("a word-of-fifteen b", 5),
            (std::vector<std::string>{"a", "word-of-fifteen", "b"}));
  EXPECT_EQ(columns_of("→ ✗"), 3U);
  EXPECT_EQ(hanging("one two three four", 9, 2), "one two\n  three\n  four\n");
  EXPECT_EQ(hanging("one", 9), "one\n");
  EXPECT_EQ(counted(0, "pod") + counted(1, "pod") + counted(2, "pod"), "0 pods1 pod2 pods");
}

TEST(SeededRandom, RepeatsItselfAndStaysBelow) {
  SeededRandom one(7);
  SeededRandom two(7);
  for (int i = 0; i < 100; ++i) {
    const auto value = one.below(3);
    EXPECT_LT(value, 3U);
    EXPECT_EQ(value, two.below(3));
  }
}

}  // namespace
}  // namespace fairlead
