// Comparing text as Envoy's matchers do: with case or without, whole, from either end, by RE2's
// patterns. Pure.
#pragma once

#include <re2/re2.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/lifetime.h"
#include "base/result.h"
#include "config/route.h"

namespace fairlead::proxy {

[[nodiscard]] std::string lowered(std::string_view text);  // ASCII
[[nodiscard]] std::string_view without_port(std::string_view authority);

[[nodiscard]] bool equal(std::string_view left, std::string_view right, bool with_case);
[[nodiscard]] bool begins(std::string_view text, std::string_view start, bool with_case);
[[nodiscard]] bool finishes(std::string_view text, std::string_view end, bool with_case);

using Pattern = std::shared_ptr<const re2::RE2>;

[[nodiscard]] Result<Pattern> compiled(const std::string& pattern, bool with_case = true);
// A fault tells why RE2 refuses it. Never null. Nothing is logged.

[[nodiscard]] bool matches_whole(const re2::RE2& pattern, std::string_view text);
[[nodiscard]] bool matches_within(const re2::RE2& pattern, std::string_view text);

// A config::StringMatch made ready.
struct StringRule {
  const config::StringMatch* match = nullptr;  // never null
  Pattern pattern;                             // of a regex
};

[[nodiscard]] Result<StringRule> string_rule(const config::StringMatch& match LIFETIMEBOUND);
// Good as long as `match`.
[[nodiscard]] bool matches(const StringRule& rule, std::string_view value);
[[nodiscard]] std::string demand(const config::StringMatch& match, bool inverted = false);
// In words: "must not begin with x".

}  // namespace fairlead::proxy
