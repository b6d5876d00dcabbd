#include "base/origin.h"

#include <array>
#include <charconv>

namespace fairlead {

std::string Origin::describe() const {
  std::string text = kind;
  if (!name.empty()) {
    text += ' ';
    if (!name_space.empty()) text += name_space + '/';
    text += name;
  }
  if (!file.empty()) {
    text += " (" + file;
    if (line > 0) text += ':' + std::to_string(line);
    text += ')';
  }
  return text;
}

std::string Origin::encode() const {
  return kind + '|' + name_space + '|' + name + '|' + file + ':' + std::to_string(line);
}

Origin Origin::decode(const std::string& text) {
  // The file comes last and may itself hold '|' or ':'; the line is what follows its last colon.
  std::array<std::string, 3> words;
  std::size_t start = 0;
  for (std::string& word : words) {
    const std::size_t bar = text.find('|', start);
    if (bar == std::string::npos) return {};
    word = text.substr(start, bar - start);
    start = bar + 1;
  }
  Origin origin{words[0], words[1], words[2], {}, 0};
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon < start) {
    origin.file = text.substr(start);
    return origin;
  }
  origin.file = text.substr(start, colon - start);
  std::from_chars(text.data() + colon + 1, text.data() + text.size(), origin.line);
  return origin;
}

}  // namespace fairlead
