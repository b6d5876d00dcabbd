// JSON as text, whatever bytes its strings hold, and back. Compiled once: the library's templates
// cost each source that calls them a second.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace fairlead {

[[nodiscard]] std::string json_text(const nlohmann::json& value, int indent = -1);
[[nodiscard]] std::string json_text(const nlohmann::ordered_json& value, int indent = -1);
// What is no UTF-8 becomes U+FFFD, where dump() by itself would throw: names of files, words of a
// command line and peers' bytes need not be UTF-8. `indent`: -1 for one line.

[[nodiscard]] nlohmann::json parse_json(std::string_view text);
[[nodiscard]] nlohmann::ordered_json parse_ordered_json(std::string_view text);
// Of text that is no JSON: a value whose is_discarded() holds, and that is neither object nor array
// nor anything else.

[[nodiscard]] std::string text_at(const nlohmann::json& object, const char* key);
[[nodiscard]] std::string text_at(const nlohmann::ordered_json& object, const char* key);
[[nodiscard]] std::uint64_t number_at(const nlohmann::json& object, const char* key);
[[nodiscard]] std::uint64_t number_at(const nlohmann::ordered_json& object, const char* key);
// The member of that name; empty, or 0, when there is none or it is of another kind.

[[nodiscard]] bool fits_json(const std::string& text);
// Whether JSON can hold `text` as it is: it is UTF-8.

}  // namespace fairlead
