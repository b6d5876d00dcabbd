#include "proxy/decide/header_match.h"

#include <fmt/format.h>

#include <string_view>

#include "http/validate.h"
#include "proxy/decide/text_match.h"

namespace fairlead::proxy {
namespace {

using config::HeaderMatch;
using config::StringMatch;

bool value_matches(const StringMatch& match, const re2::RE2* pattern, std::string_view value) {
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
      return pattern && matches_whole(*pattern, value);
  }
  return false;
}

std::string_view pseudo_field(const http::RequestHead& head, std::string_view name) {
  if (name == ":method") return head.method;
  if (name == ":path") return head.path;
  if (name == ":authority") return head.authority;
  if (name == ":scheme") return head.scheme.empty() ? std::string_view("http") : head.scheme;
  return {};
}

// What was seen of the values of one name.
struct Seen {
  const HeaderRule& rule;
  bool present = false;
  bool any = false;

  void look_at(std::string_view value) {
    const auto& asked = rule.match->value;
    present = true;
    any = any || !asked || value_matches(*asked, rule.pattern.get(), value);
  }

  void look_at(const http::Fields& fields) {
    for (const http::Field& field : fields) {
      if (field.known == rule.known && http::same_name(field.name, rule.match->name)) {
        look_at(field.value);
      }
    }
  }

  [[nodiscard]] bool verdict() const {
    if (!rule.match->value) return present != rule.match->invert;
    return present && any != rule.match->invert;
  }
};

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

Result<HeaderRule> header_rule(const HeaderMatch& match LIFETIMEBOUND) {
  HeaderRule rule{.match = &match, .known = http::field_name(match.name), .pattern = {}};
  if (!match.value || match.value->kind != StringMatch::Kind::regex) return rule;
  rule.pattern = compiled(match.value->value, !match.value->ignore_case);
  if (rule.pattern->ok()) return rule;
  return invalid(
      fmt::format("the pattern {} is refused: {}", match.value->value, rule.pattern->error()));
}

bool matches(const HeaderRule& rule, const http::RequestHead& head) {
  Seen seen{rule};
  if (rule.match->name.starts_with(':')) {
    seen.look_at(pseudo_field(head, rule.match->name));
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
  if (!match.value) {
    return fmt::format("the header {} is {}", match.name, match.invert ? "there" : "not there");
  }
  const std::string wanted = fmt::format("must {}{} {}", match.invert ? "not " : "",
                                         verb_of(match.value->kind), match.value->value);
  if (match.name.starts_with(':')) {
    return fmt::format("{} is {}, and {}", match.name, pseudo_field(head, match.name), wanted);
  }
  const http::Field* field = head.fields.find(match.name);
  if (!field) return fmt::format("the header {} is not there, and {}", match.name, wanted);
  return fmt::format("the header {} is {}, and {}", match.name, http::printable(field->value),
                     wanted);
}

}  // namespace fairlead::proxy
