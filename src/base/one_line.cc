#include "base/one_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace fairlead {
namespace {

struct Character {
  std::uint32_t code = 0;
  std::size_t length = 0;  // in bytes; 0: this is no UTF-8 (RFC 3629)
};

constexpr bool is_continuation(unsigned char byte) {
  return (byte & 0xC0U) == 0x80U;
}

Character first_of(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return {first, 1};
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return {};
  std::uint32_t code = first & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (!is_continuation(byte)) return {};
    code = code << 6 | (byte & 0x3FU);
  }
  constexpr std::uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (code < smallest[length] || code > 0x10FFFF || is_surrogate) return {};
  return {code, length};
}

// C0, DEL and C1; U+2028 and U+2029 separate lines, U+200E, U+200F, U+202A to U+202E and U+2066 to
// U+2069 turn the direction (Unicode 15, 23.2).
bool is_plain(std::uint32_t code) {
  if (code < 0x20 || (code >= 0x7F && code < 0xA0)) return false;
  if (code < 0x200E || code > 0x2069) return code != 0x061C;
  return code != 0x200E && code != 0x200F && !(code >= 0x2028 && code <= 0x202E) && code < 0x2066;
}

// Of the beginning of `text` that needs no look at characters.
std::size_t plain_ascii(std::string_view text) {
  const auto found = std::find_if(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte >= 0x7F;
  });
  return static_cast<std::size_t>(found - text.begin());
}

void append_escape(std::string& out, std::string_view bytes, const Character& character) {
  if (bytes[0] == '\n') {
    out += "\\n";
  } else if (bytes[0] == '\r') {
    out += "\\r";
  } else if (bytes[0] == '\t') {
    out += "\\t";
  } else if (character.length > 1) {
    fmt::format_to(std::back_inserter(out), "\\u{{{:04x}}}", character.code);
  } else {
    fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(bytes[0]));
  }
}

// At most `most` bytes, without a character that is cut in two.
std::string_view beginning(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t end = most;
  for (int i = 0; i < 3 && end > 0 && is_continuation(static_cast<unsigned char>(text[end])); ++i) {
    --end;
  }
  return text.substr(0, end);
}

}  // namespace

bool is_one_line(std::string_view text) {
  while (true) {
    text.remove_prefix(plain_ascii(text));
    if (text.empty()) return true;
    const Character character = first_of(text);
    if (character.length == 0 || !is_plain(character.code)) return false;
    text.remove_prefix(character.length);
  }
}

std::string one_line(std::string_view text, std::size_t most) {
  std::string_view left = beginning(text, most);
  const std::size_t cut = text.size() - left.size();
  std::string out;
  out.reserve(left.size() + (cut > 0 ? 40 : 0));
  while (!left.empty()) {
    const std::size_t plain = plain_ascii(left);
    out += left.substr(0, plain);
    left.remove_prefix(plain);
    if (left.empty()) break;
    const Character character = first_of(left);
    const std::size_t length = std::max<std::size_t>(character.length, 1);
    if (character.length > 0 && is_plain(character.code)) {
      out += left.substr(0, length);
    } else {
      append_escape(out, left, character);
    }
    left.remove_prefix(length);
  }
  if (cut > 0) out += fmt::format("... ({} bytes more)", cut);
  return out;
}

}  // namespace fairlead
