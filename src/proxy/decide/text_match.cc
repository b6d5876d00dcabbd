#include "proxy/decide/text_match.h"

#include <re2/stringpiece.h>

#include <algorithm>

#include "http/fields.h"

namespace fairlead::proxy {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

}  // namespace

std::string lowered(std::string_view text) {
  std::string made(text);
  std::transform(made.begin(), made.end(), made.begin(), lower);
  return made;
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

std::shared_ptr<const re2::RE2> compiled(const std::string& pattern, bool with_case) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_case_sensitive(with_case);
  return std::make_shared<const re2::RE2>(pattern, options);
}

// By way of the library's own view of text, which is not std's in every distribution.
bool matches_whole(const re2::RE2& pattern, std::string_view text) {
  return re2::RE2::FullMatch(re2::StringPiece(text.data(), text.size()), pattern);
}

}  // namespace fairlead::proxy
