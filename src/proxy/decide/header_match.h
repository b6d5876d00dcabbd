// Whether a message has the header that a rule asks for. Pure.
#pragma once

#include <optional>
#include <string>

#include "base/lifetime.h"
#include "base/result.h"
#include "config/route.h"
#include "http/message.h"
#include "proxy/decide/text_match.h"

namespace fairlead::proxy {

// A config::HeaderMatch made ready.
struct HeaderRule {
  const config::HeaderMatch* match = nullptr;  // never null
  http::FieldName known = http::FieldName::other;
  std::optional<StringRule> value;  // of a match that asks for one
};

[[nodiscard]] Result<HeaderRule> header_rule(const config::HeaderMatch& match LIFETIMEBOUND);
// Good as long as `match`. A fault tells the pattern that RE2 refuses.

[[nodiscard]] bool matches(const HeaderRule& rule, const http::RequestHead& head);
[[nodiscard]] bool matches(const HeaderRule& rule, const http::ResponseHead& head);
// As Envoy: a value that is asked for is not found in a field that is not there, inverted or not,
// unless such a field counts as an empty one.
// Each of repeated values counts for itself, so that none can hide behind another. Names with a
// colon are HTTP/2's: ":method", ":path", ":authority" and ":scheme" of a request, ":status" of a
// response.

[[nodiscard]] std::string why_not(const HeaderRule& rule, const http::RequestHead& head);
// In words, when it does not match.

}  // namespace fairlead::proxy
