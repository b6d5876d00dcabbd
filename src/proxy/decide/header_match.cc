#include "proxy/decide/header_match.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <string_view>
#include <utility>

#include "http/validate.h"
#include "proxy/decide/arrival.h"

namespace fairlead::proxy {
namespace {

using config::HeaderMatch;

// As Envoy reads it: with a sign or without, white space around it.
std::optional<std::int64_t> integer(std::string_view text) {
  constexpr std::string_view space = " \t\n\v\f\r";
  const std::size_t start = text.find_first_not_of(space);
  if (start == std::string_view::npos) return {};
  text = text.substr(start, text.find_last_not_of(space) + 1 - start);
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

bool is_within(const config::Int64Range& range, std::string_view text) {
  const std::optional<std::int64_t> value = integer(text);
  return value && *value >= range.start && *value < range.end;
}

// Absent for what HTTP/1.1 has not.
std::optional<std::string_view> pseudo_field(const http::RequestHead& head, std::string_view name) {
  if (name == ":method") return head.method;
  if (name == ":path") return head.path;
  if (name == ":authority") return head.authority;
  if (name == ":scheme") return scheme_of(head);
  return {};
}

bool value_matches(const HeaderRule& rule, std::string_view value) {
  if (rule.value) return matches(*rule.value, value);
  return !rule.match->range || is_within(*rule.match->range, value);
}

// What was seen of the values of one name.
struct Seen {
  const HeaderRule& rule;
  bool present = false;
  bool any = false;

  void look_at(std::string_view value) {
    present = true;
    any = any || value_matches(rule, value);
  }

  void look_at(const http::Fields& fields) {
    for (const http::Field& field : fields) {
      if (field.known == rule.known && http::same_name(field.name, rule.match->name)) {
        look_at(field.value);
      }
    }
  }

  [[nodiscard]] bool verdict() {
    const HeaderMatch& match = *rule.match;
    if (!present && match.missing_is_empty) look_at("");
    if (!match.value && !match.range) return present != match.invert;
    return present && any != match.invert;
  }
};

std::string demand_of(const HeaderMatch& match) {
  if (match.value) return demand(*match.value, match.invert);
  return fmt::format("must {}be an integer from {} up to and without {}",
                     match.invert ? "not " : "", match.range->start, match.range->end);
}

}  // namespace

Result<HeaderRule> header_rule(const HeaderMatch& match LIFETIMEBOUND) {
  HeaderRule rule{.match = &match, .known = http::field_name(match.name), .value = {}};
  if (!match.value) return rule;
  Result<StringRule> value = string_rule(*match.value);
  if (!value) return std::move(value).fault();
  rule.value = std::move(value).value();
  return rule;
}

bool matches(const HeaderRule& rule, const http::RequestHead& head) {
  Seen seen{rule};
  if (rule.match->name.starts_with(':')) {
    if (const auto value = pseudo_field(head, rule.match->name)) seen.look_at(*value);
  } else if (rule.known == http::FieldName::host) {
    seen.look_at(head.authority);
  } else {
    seen.look_at(head.fields);
  }
  return seen.verdict();
}

bool matches(const HeaderRule& rule, const http::ResponseHead& head) {
  Seen seen{rule};
  if (rule.match->name == ":status") {
    seen.look_at(fmt::format_int(head.status).c_str());
  } else {
    seen.look_at(head.fields);
  }
  return seen.verdict();
}

std::string why_not(const HeaderRule& rule, const http::RequestHead& head) {
  const HeaderMatch& match = *rule.match;
  if (!match.value && !match.range) {
    return fmt::format("the header {} is {}", match.name, match.invert ? "there" : "not there");
  }
  if (const auto value = pseudo_field(head, match.name)) {
    return fmt::format("{} is {}, and {}", match.name, *value, demand_of(match));
  }
  const http::Field* field = head.fields.find(match.name);
  if (!field)
    return fmt::format("the header {} is not there, and {}", match.name, demand_of(match));
  return fmt::format("the header {} is {}, and {}", match.name, http::printable(field->value),
                     demand_of(match));
}

}  // namespace fairlead::proxy
