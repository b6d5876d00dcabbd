#include "base/near.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace fairlead {
namespace {

constexpr std::size_t few = 8;  // so many names can be told at once

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + change});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

std::vector<std::string> near_names(std::string_view wanted, std::vector<std::string> names,
                                    std::size_t most) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::vector<std::pair<std::size_t, std::string>> near;
  for (std::string& name : names) {
    const bool shares_a_word =
        wanted.size() >= 3 && (name.find(wanted) != std::string::npos || wanted.starts_with(name));
    const std::size_t distance = edit_distance(wanted, name);
    const std::size_t limit = std::max<std::size_t>(1, wanted.size() / 3);
    if (shares_a_word || distance <= limit) {
      near.emplace_back(std::min(distance, shares_a_word ? limit : distance), std::move(name));
    }
  }
  std::sort(near.begin(), near.end());
  if (near.size() > most) near.resize(most);
  std::vector<std::string> nearest;
  nearest.reserve(near.size());
  for (auto& [distance, name] : near) nearest.push_back(std::move(name));
  return nearest;
}

std::string did_you_mean(std::string_view wanted, std::vector<std::string> names) {
  const std::vector<std::string> near = near_names(wanted, names);
  if (!near.empty()) return fmt::format("; near it: {}", fmt::join(near, ", "));
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  if (names.empty()) return "; there are none";
  const bool all = names.size() <= few;
  if (!all) names.resize(few);
  return fmt::format("; there are: {}{}", fmt::join(names, ", "), all ? "" : ", …");
}

}  // namespace fairlead
