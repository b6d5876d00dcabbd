#include "base/json_text.h"

namespace fairlead {
namespace {

template <class Json>
std::string text_of(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

template <class Json>
std::string text_in(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->template get<std::string>()
                                                     : std::string();
}

template <class Json>
std::uint64_t number_in(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_unsigned() ? found->template get<std::uint64_t>()
                                                              : 0;
}

}  // namespace

std::string json_text(const nlohmann::json& value, int indent) {
  return text_of(value, indent);
}

std::string json_text(const nlohmann::ordered_json& value, int indent) {
  return text_of(value, indent);
}

nlohmann::json parse_json(std::string_view text) {
  return nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
}

nlohmann::ordered_json parse_ordered_json(std::string_view text) {
  return nlohmann::ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
}

std::string text_at(const nlohmann::json& object, const char* key) {
  return text_in(object, key);
}

std::string text_at(const nlohmann::ordered_json& object, const char* key) {
  return text_in(object, key);
}

std::uint64_t number_at(const nlohmann::json& object, const char* key) {
  return number_in(object, key);
}

std::uint64_t number_at(const nlohmann::ordered_json& object, const char* key) {
  return number_in(object, key);
}

bool fits_json(const std::string& text) {
  const nlohmann::json value(text);
  return json_text(value) == value.dump(-1, ' ', false, nlohmann::json::error_handler_t::ignore);
}

}  // namespace fairlead
