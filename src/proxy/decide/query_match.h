// Whether the query of a request has the parameter that a rule asks for. Pure.
#pragma once

#include <optional>
#include <string>

#include "base/lifetime.h"
#include "base/result.h"
#include "config/route.h"
#include "http/message.h"
#include "proxy/decide/text_match.h"

namespace fairlead::proxy {

// A config::QueryParameterMatch made ready.
struct QueryRule {
  const config::QueryParameterMatch* match = nullptr;  // never null
  std::optional<StringRule> value;                     // of a match that asks for one
};

[[nodiscard]] Result<QueryRule> query_rule(const config::QueryParameterMatch& match LIFETIMEBOUND);
// Good as long as `match`. A fault tells the pattern that RE2 refuses.

[[nodiscard]] bool matches(const QueryRule& rule, const http::RequestHead& head);
// As Envoy: the first parameter of the name counts, escapes are compared as they came, and one
// without a '=' is empty.

[[nodiscard]] std::string why_not(const QueryRule& rule, const http::RequestHead& head);
// In words, when it does not match.

}  // namespace fairlead::proxy
