#include "base/diagnostic.h"

#include <array>

namespace fairlead {
namespace {

constexpr std::array<std::string_view, 4> names{"protects", "decides", "observes", "tunes"};

}  // namespace

std::string Diagnostic::describe() const {
  std::string text;
  for (const std::string* part : {&resource, &field, &reason}) {
    if (part->empty()) continue;
    if (!text.empty()) text += ": ";
    text += *part;
  }
  if (origin.file.empty()) return text;
  text += " (" + origin.file;
  if (origin.line > 0) text += ':' + std::to_string(origin.line);
  return text + ')';
}

std::string_view name_of(Effect effect) {
  return names.at(static_cast<std::size_t>(effect));
}

std::optional<Effect> effect_from(std::string_view name) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names.at(i) == name) return static_cast<Effect>(i);
  }
  return std::nullopt;
}

}  // namespace fairlead
