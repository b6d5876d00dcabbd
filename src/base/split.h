#pragma once

#include <string_view>
#include <vector>

#include "base/lifetime.h"

namespace fairlead {

[[nodiscard]] inline std::vector<std::string_view> split(std::string_view text LIFETIMEBOUND,
                                                         char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}
// What stands between the separators, empty parts too: one more than there are separators. Views of
// `text`.

}  // namespace fairlead
