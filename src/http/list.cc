#include "http/list.h"

#include <algorithm>
#include <string>

namespace fairlead::http {
namespace {

std::string_view trimmed(std::string_view text) {
  const std::size_t start = std::min(text.find_first_not_of(" \t"), text.size());
  const std::size_t end = text.find_last_not_of(" \t") + 1;
  return start < end ? text.substr(start, end - start) : std::string_view{};
}

}  // namespace

std::string_view next_element(std::string_view& list) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string_view element = trimmed(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
    if (!element.empty()) return element;
  }
  return {};
}

bool list_names(std::string_view list, std::string_view token) {
  for (std::string_view element = next_element(list); !element.empty();
       element = next_element(list)) {
    if (same_name(element, token)) return true;
  }
  return false;
}

bool list_names(const Fields& fields, FieldName name, std::string_view token) {
  return fields.has(name) && std::any_of(fields.begin(), fields.end(), [&](const Field& field) {
           return field.known == name && list_names(field.value, token);
         });
}

std::string_view whole_list(Fields& fields LIFETIMEBOUND, FieldName name) {
  const Field* const first = fields.find(name);
  if (!first) return {};
  const bool single = std::none_of(first + 1, fields.end(),
                                   [&](const Field& field) { return field.known == name; });
  if (single) return first->value;
  std::string joined;
  for (const Field* field = first; field != fields.end(); ++field) {
    if (field->known != name || field->value.empty()) continue;
    if (!joined.empty()) joined += ',';
    joined += field->value;
  }
  return fields.keep(joined);
}

}  // namespace fairlead::http
