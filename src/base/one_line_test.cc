#include "base/one_line.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>

#include "base/log.h"

namespace fairlead {
namespace {

using namespace std::string_literals;

TEST(OneLine, LeavesWhatIsOneLine) {
  for (const char* text : {"", "plain", "C:\\n is no newline", "Grüße, 世界 🚀", "a\xC2\xA0z"}) {
    EXPECT_TRUE(is_one_line(text)) << text;
    EXPECT_EQ(one_line(text), text);
  }
}

TEST(OneLine, EscapesWhatWouldBeginALineOrCommandATerminal) {
  const std::pair<std::string, std::string> cases[] = {
      {"a\nb\r\tc", "a\\nb\\r\\tc"},
      {"\x1b[2J"s, "\\x1b[2J"},
      {"a\0b"s, "a\\x00b"},
      {"\x7f", "\\x7f"},
      {"\xC2\x85", "\\u{0085}"},            // NEL, which is a line's end in C1
      {"\xC2\x9B", "\\u{009b}"},            // CSI
      {"\xE2\x80\xA8", "\\u{2028}"},        // a separator of lines
      {"\xE2\x80\xAE", "\\u{202e}"},        // writes backwards from here
      {"\xE2\x81\xA7", "\\u{2067}"},        // the same, isolated
      {"\xFF", "\\xff"},                    // no UTF-8
      {"\xC0\x8A", "\\xc0\\x8a"},           // a newline in a form that is too long
      {"\xED\xA0\x80", "\\xed\\xa0\\x80"},  // a surrogate
      {"\xE2\x80", "\\xe2\\x80"},           // cut off
  };
  for (const auto& [text, escaped] : cases) {
    EXPECT_FALSE(is_one_line(text)) << escaped;
    EXPECT_EQ(one_line(text), escaped);
    EXPECT_TRUE(is_one_line(one_line(text)));
  }
}

TEST(OneLine, EveryByteBetweenLettersGivesOneLine) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const std::string text{'a', static_cast<char>(first), static_cast<char>(second), 'b'};
      ASSERT_TRUE(is_one_line(one_line(text))) << first << " " << second;
      ASSERT_EQ(one_line(text) == text, is_one_line(text)) << first << " " << second;
    }
  }
}

TEST(OneLine, IsCutAtACharacterAndSaysSo) {
  EXPECT_EQ(one_line("abcdef", 6), "abcdef");
  EXPECT_EQ(one_line("abcdef", 4), "abcd... (2 bytes more)");
  EXPECT_EQ(one_line("ab\xE2\x82\xAC", 4), "ab... (3 bytes more)");
  EXPECT_TRUE(is_one_line(one_line("\x80\x80\x80\x80\x80\x80\x80\x80", 4)));
}

// What goes to standard error meanwhile.
template <class Work>
std::string written_by(const Work& work) {
  std::FILE* const file = std::tmpfile();
  const int before = ::dup(STDERR_FILENO);
  ::dup2(::fileno(file), STDERR_FILENO);
  work();
  std::fflush(stderr);
  ::dup2(before, STDERR_FILENO);
  ::close(before);
  std::string text;
  std::rewind(file);
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) text += static_cast<char>(c);
  std::fclose(file);
  return text;
}

TEST(Log, APeersNewlineForgesNoLine) {
  const std::string text = written_by([] {
    log::warning("web refused CDS: no\n2026-01-01T00:00:00.000Z error control: all is lost\x1b[2J");
  });
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  EXPECT_NE(text.find("no\\n2026-01-01T00:00:00.000Z error control: all is lost\\x1b[2J\n"),
            std::string::npos)
      << text;
}

}  // namespace
}  // namespace fairlead
