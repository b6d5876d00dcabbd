#include "proxy/decide/query_match.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "http/validate.h"

namespace fairlead::proxy {
namespace {

// The value of the first parameter that is called so.
std::optional<std::string_view> parameter(const http::RequestHead& head, std::string_view name) {
  std::string_view rest = head.path.substr(head.path_without_query().size());
  while (!rest.empty()) {
    rest.remove_prefix(1);  // '?' or '&'
    const std::string_view one = rest.substr(0, rest.find('&'));
    rest.remove_prefix(one.size());
    const std::size_t equals = std::min(one.find('='), one.size());
    if (one.substr(0, equals) == name) return one.substr(std::min(equals + 1, one.size()));
  }
  return {};
}

}  // namespace

Result<QueryRule> query_rule(const config::QueryParameterMatch& match LIFETIMEBOUND) {
  QueryRule rule{.match = &match, .value = {}};
  if (!match.value) return rule;
  Result<StringRule> value = string_rule(*match.value);
  if (!value) return std::move(value).fault();
  rule.value = std::move(value).value();
  return rule;
}

bool matches(const QueryRule& rule, const http::RequestHead& head) {
  const std::optional<std::string_view> value = parameter(head, rule.match->name);
  if (!rule.value) return value.has_value() == rule.match->present;
  return value && matches(*rule.value, *value);
}

std::string why_not(const QueryRule& rule, const http::RequestHead& head) {
  const config::QueryParameterMatch& match = *rule.match;
  const std::optional<std::string_view> value = parameter(head, match.name);
  const std::string found = fmt::format("the query parameter {} is {}", match.name,
                                        !value        ? "not there"
                                        : match.value ? http::printable(*value)
                                                      : "there");
  return match.value ? fmt::format("{}, and {}", found, demand(*match.value)) : found;
}

}  // namespace fairlead::proxy
