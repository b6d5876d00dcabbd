// A path told to people and to programs. Pure.
#pragma once

#include <string>

#include "explain/path.h"

namespace fairlead::explain {

struct Style {
  bool colour = false;
  std::size_t width = 100;  // columns; no line is longer unless a single word is
};

[[nodiscard]] std::string render(const Path& path, const Style& style);

[[nodiscard]] std::string render_json(const Path& path);
// docs/path-json.md describes it.

}  // namespace fairlead::explain
