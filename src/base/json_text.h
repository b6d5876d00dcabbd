// JSON as text, whatever bytes its strings hold.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace fairlead {

// What is no UTF-8 becomes U+FFFD, where dump() by itself would throw: names of files, words of a
// command line and peers' bytes need not be UTF-8. `indent`: -1 for one line.
template <class Json>
[[nodiscard]] std::string json_text(const Json& value, int indent = -1) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

// Whether JSON can hold `text` as it is: it is UTF-8.
[[nodiscard]] inline bool fits_json(const std::string& text) {
  using Json = nlohmann::json;
  return json_text(Json(text)) == Json(text).dump(-1, ' ', false, Json::error_handler_t::ignore);
}

}  // namespace fairlead
