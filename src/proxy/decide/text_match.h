// Comparing text as Envoy's matchers do: with case or without, whole, from either end, by RE2's
// patterns. Pure.
#pragma once

#include <re2/re2.h>

#include <memory>
#include <string>
#include <string_view>

namespace fairlead::proxy {

[[nodiscard]] std::string lowered(std::string_view text);  // ASCII

[[nodiscard]] bool equal(std::string_view left, std::string_view right, bool with_case);
[[nodiscard]] bool begins(std::string_view text, std::string_view start, bool with_case);
[[nodiscard]] bool finishes(std::string_view text, std::string_view end, bool with_case);

[[nodiscard]] std::shared_ptr<const re2::RE2> compiled(const std::string& pattern, bool with_case);
// Never null; its ok() and error() say whether RE2 takes the pattern. Nothing is logged.

[[nodiscard]] bool matches_whole(const re2::RE2& pattern, std::string_view text);

}  // namespace fairlead::proxy
