// What an unquoted word of YAML is, as Kubernetes takes it.
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "document/tree.h"

namespace fairlead::document {
namespace {

// YAML 1.1's words in the three ways of writing them, as Go's yaml.v2 knows them.
constexpr std::array<std::string_view, 11> words_for_true = {
    "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"};
constexpr std::array<std::string_view, 11> words_for_false = {
    "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"};
constexpr std::array<std::string_view, 5> words_for_null = {"", "~", "null", "Null", "NULL"};
constexpr std::array<std::string_view, 6> words_for_infinity = {".inf",  ".Inf",  ".INF",
                                                                "+.inf", "+.Inf", "+.INF"};
constexpr std::array<std::string_view, 3> words_for_minus_infinity = {"-.inf", "-.Inf", "-.INF"};
constexpr std::array<std::string_view, 3> words_for_nan = {".nan", ".NaN", ".NAN"};

template <std::size_t count>
bool one_of(const std::array<std::string_view, count>& words, std::string_view text) {
  for (const std::string_view word : words) {
    if (word == text) return true;
  }
  return false;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool starts_like_a_number(std::string_view text) {
  if (text.empty()) return false;
  return is_digit(text[0]) || text[0] == '-' || text[0] == '+' || text[0] == '.';
}

std::string without_underscores(std::string_view text) {
  std::string plain;
  for (const char c : text) {
    if (c != '_') plain += c;
  }
  return plain;
}

struct Digits {
  bool negative = false;
  int base = 10;
  std::string_view digits;
};

Digits split_integer(std::string_view text) {
  Digits split;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    split.negative = text[0] == '-';
    text.remove_prefix(1);
  }
  if (text.size() > 1 && text[0] == '0') {
    const char mark = text[1];
    split.base = mark == 'x' || mark == 'X' ? 16 : mark == 'b' || mark == 'B' ? 2 : 8;
    text.remove_prefix(is_digit(mark) ? 1 : 2);
    if (split.base == 8 && !is_digit(mark) && mark != 'o' && mark != 'O') text = {};
  }
  split.digits = text;
  return split;
}

// The magnitude, when `text` is an integer that fits 64 bits without a sign.
std::optional<std::uint64_t> magnitude_of(const Digits& split) {
  std::uint64_t value = 0;
  const char* const end = split.digits.data() + split.digits.size();
  const char* const start = split.digits.data();
  const auto [stop, error] = std::from_chars(start, end, value, split.base);
  if (split.digits.empty() || error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

// [-+]? ( .digits | digits [. digits] ) ( [eE] [-+]? digits )?
bool is_float(std::string_view text) {
  std::size_t at = 0;
  const auto digits = [&] {
    const std::size_t start = at;
    while (at < text.size() && is_digit(text[at])) ++at;
    return at - start;
  };
  const auto skip = [&](std::string_view any) {
    if (at < text.size() && any.find(text[at]) != std::string_view::npos) {
      ++at;
      return true;
    }
    return false;
  };
  skip("+-");
  const std::size_t whole = digits();
  std::size_t part = 0;
  if (skip(".")) part = digits();
  if (whole + part == 0) return false;
  if (skip("eE")) {
    skip("+-");
    if (digits() == 0) return false;
  }
  return at == text.size();
}

}  // namespace

std::optional<bool> boolean_of(std::string_view text) {
  if (one_of(words_for_true, text)) return true;
  if (one_of(words_for_false, text)) return false;
  return std::nullopt;
}

std::optional<std::int64_t> integer_of(std::string_view text) {
  if (!starts_like_a_number(text)) return std::nullopt;
  const std::string plain = without_underscores(text);
  const Digits split = split_integer(plain);
  const std::optional<std::uint64_t> magnitude = magnitude_of(split);
  constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (!magnitude || *magnitude > most + (split.negative ? 1 : 0)) return std::nullopt;
  if (!split.negative) return static_cast<std::int64_t>(*magnitude);
  return static_cast<std::int64_t>(0 - *magnitude);
}

std::optional<double> number_of(std::string_view text) {
  if (one_of(words_for_infinity, text)) return std::numeric_limits<double>::infinity();
  if (one_of(words_for_minus_infinity, text)) return -std::numeric_limits<double>::infinity();
  if (one_of(words_for_nan, text)) return std::numeric_limits<double>::quiet_NaN();
  if (!starts_like_a_number(text)) return std::nullopt;
  const std::string plain = without_underscores(text);
  const Digits split = split_integer(plain);
  if (const auto magnitude = magnitude_of(split)) {
    const auto value = static_cast<double>(*magnitude);
    return split.negative ? -value : value;
  }
  if (!is_float(plain)) return std::nullopt;
  const char* start = plain.data();
  if (*start == '+') ++start;
  double value = 0;
  const auto [stop, error] = std::from_chars(start, plain.data() + plain.size(), value);
  if (error != std::errc{} || stop != plain.data() + plain.size()) return std::nullopt;
  return value;
}

Kind kind_of_plain(std::string_view text) {
  if (one_of(words_for_null, text)) return Kind::null;
  if (boolean_of(text)) return Kind::boolean;
  if (starts_like_a_number(text)) {
    const std::string plain = without_underscores(text);
    if (magnitude_of(split_integer(plain))) return Kind::integer;
    if (number_of(text)) return Kind::number;
  }
  return Kind::text;
}

}  // namespace fairlead::document
