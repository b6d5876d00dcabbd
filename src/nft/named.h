// Finding by name in what a table holds: sets, maps, chains, counters. Of this room alone.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "base/lifetime.h"

namespace fairlead::nft {

template <class Named>
[[nodiscard]] const Named* find_named(const std::vector<Named>& all LIFETIMEBOUND,
                                      const std::string& name) {
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Named& one) { return one.name == name; });
  return found == all.end() ? nullptr : &*found;
}
// The first of that name; null when there is none. Good as long as `all` is not changed.

}  // namespace fairlead::nft
