#include "base/lines.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/one_line.h"

namespace fairlead {
namespace {

// The words that go into the next line, the first in any case; takes them away from `text`.
std::string next_line(std::string_view& text, std::size_t width) {
  std::string line;
  bool first = true;
  while (!text.empty()) {
    const std::size_t space = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, space);
    if (!first && columns_of(line) + 1 + columns_of(word) > width) return line;
    if (!first) line += ' ';
    first = false;
    line += word;
    text.remove_prefix(std::min(space + 1, text.size()));
  }
  return line;
}

}  // namespace

std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char letter) {
    return (static_cast<unsigned char>(letter) & 0xC0U) != 0x80U;
  }));
}

std::vector<std::string> wrap(std::string_view given, std::size_t width) {
  const std::string paragraph = one_line(given);
  std::string_view text = paragraph;
  std::vector<std::string> lines;
  do {
    lines.push_back(next_line(text, width));
  } while (!text.empty());
  return lines;
}

std::string hanging(std::string_view given, std::size_t width, std::size_t indentation) {
  const std::string paragraph = one_line(given);
  std::string_view text = paragraph;
  std::string all = next_line(text, width) + '\n';
  while (!text.empty()) {
    all += std::string(indentation, ' ') + next_line(text, width - indentation) + '\n';
  }
  return all;
}

std::string counted(std::size_t number, std::string_view thing) {
  return fmt::format("{} {}{}", number, thing, number == 1 ? "" : "s");
}

}  // namespace fairlead
