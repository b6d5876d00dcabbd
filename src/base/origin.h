// Which object, and which line of which file, is behind a value. Every decision that `fairlead
// path` shows ends in one of these.
#pragma once

#include <string>

namespace fairlead {

struct Origin {
  std::string kind;        // "Service", "Deployment", "built-in" for what fairlead itself adds
  std::string name_space;  // empty for cluster-wide objects and static config
  std::string name;
  std::string file;  // empty when the object did not come from a file
  int line = 0;      // 1-based; 0 when not known

  bool operator==(const Origin&) const = default;

  [[nodiscard]] bool known() const { return !kind.empty(); }
  [[nodiscard]] std::string describe() const;
  // "Service default/reviews (bookinfo.yaml:24)"

  [[nodiscard]] std::string encode() const;
  [[nodiscard]] static Origin decode(const std::string& text);
  // One string to put in an annotation or in xDS metadata, and back:
  // "KIND|NAMESPACE|NAME|FILE:LINE". decode takes anything; what it cannot read stays empty.
};

}  // namespace fairlead
