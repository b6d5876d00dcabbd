// Names that somebody may have meant. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace fairlead::explain {

[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);
// Letters to add, take away, change or swap with their neighbour.

[[nodiscard]] std::vector<std::string> near_names(std::string_view wanted,
                                                  std::vector<std::string> names,
                                                  std::size_t most = 3);
// The nearest first; those that begin alike or differ in a third of their letters at most.

[[nodiscard]] std::string did_you_mean(std::string_view wanted, std::vector<std::string> names);
// "; near it: reviews, reviews-v1", or "; there are: a, b, c", or "" when there is nothing to say.

}  // namespace fairlead::explain
