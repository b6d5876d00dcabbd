// A path told to people and to programs. Pure.
#pragma once

#include <cstddef>
#include <string>

#include "explain/evidence.h"
#include "explain/path.h"

namespace fairlead::explain {

struct Style {
  bool colour = false;
  std::size_t width = 100;  // columns; no line is longer unless a single word is
};

[[nodiscard]] std::string render(const Path& path, const Style& style,
                                 const Judgement* judgement = nullptr);
// The first line says it all: arrives and where, or not and why, or what was seen to differ.

[[nodiscard]] std::string render_json(const Path& path, const Evidence* evidence = nullptr,
                                      const Judgement* judgement = nullptr);
// docs/path-json.md describes it.

[[nodiscard]] std::string fraction(double share);  // "1/3", "all", "37 %"

}  // namespace fairlead::explain
