#include "proxy/decide/text_match.h"

#include <fmt/format.h>
#include <re2/stringpiece.h>

#include <algorithm>
#include <utility>

#include "http/fields.h"

namespace fairlead::proxy {
namespace {

using config::StringMatch;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

const char* verb_of(StringMatch::Kind kind) {
  switch (kind) {
    case StringMatch::Kind::exact:
      return "be";
    case StringMatch::Kind::prefix:
      return "begin with";
    case StringMatch::Kind::suffix:
      return "end with";
    case StringMatch::Kind::contains:
      return "contain";
    case StringMatch::Kind::regex:
      return "match the pattern";
  }
  return "be";
}

}  // namespace

std::string lowered(std::string_view text) {
  std::string made(text);
  std::transform(made.begin(), made.end(), made.begin(), lower);
  return made;
}

std::string_view without_port(std::string_view authority) {
  const std::size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos) return authority;
  if (authority.find(']', colon) != std::string_view::npos) return authority;  // inside an IPv6
  return authority.substr(0, colon);
}

bool equal(std::string_view left, std::string_view right, bool with_case) {
  return with_case ? left == right : http::same_name(left, right);
}

bool begins(std::string_view text, std::string_view start, bool with_case) {
  return text.size() >= start.size() && equal(text.substr(0, start.size()), start, with_case);
}

bool finishes(std::string_view text, std::string_view end, bool with_case) {
  return text.size() >= end.size() && equal(text.substr(text.size() - end.size()), end, with_case);
}

Result<Pattern> compiled(const std::string& pattern, bool with_case) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_case_sensitive(with_case);
  auto made = std::make_shared<const re2::RE2>(pattern, options);
  if (made->ok()) return Pattern(std::move(made));
  return invalid(fmt::format("the pattern {} is refused: {}", pattern, made->error()));
}

// By way of the library's own view of text, which is not std's in every distribution.
bool matches_whole(const re2::RE2& pattern, std::string_view text) {
  return re2::RE2::FullMatch(re2::StringPiece(text.data(), text.size()), pattern);
}

bool matches_within(const re2::RE2& pattern, std::string_view text) {
  return re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), pattern);
}

Result<StringRule> string_rule(const StringMatch& match LIFETIMEBOUND) {
  StringRule rule{.match = &match, .pattern = nullptr};
  if (match.kind != StringMatch::Kind::regex) return rule;
  Result<Pattern> pattern = compiled(match.value, !match.ignore_case);
  if (!pattern) return std::move(pattern).fault();
  rule.pattern = std::move(pattern).value();
  return rule;
}

bool matches(const StringRule& rule, std::string_view value) {
  const StringMatch& match = *rule.match;
  const bool with_case = !match.ignore_case;
  switch (match.kind) {
    case StringMatch::Kind::exact:
      return equal(value, match.value, with_case);
    case StringMatch::Kind::prefix:
      return begins(value, match.value, with_case);
    case StringMatch::Kind::suffix:
      return finishes(value, match.value, with_case);
    case StringMatch::Kind::contains:
      return with_case ? value.find(match.value) != std::string_view::npos
                       : lowered(value).find(lowered(match.value)) != std::string::npos;
    case StringMatch::Kind::regex:
      return matches_whole(*rule.pattern, value);
  }
  return false;
}

std::string demand(const StringMatch& match, bool inverted) {
  return fmt::format("must {}{} {}", inverted ? "not " : "", verb_of(match.kind),
                     match.value.empty() ? "empty" : match.value);
}

}  // namespace fairlead::proxy
