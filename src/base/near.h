// Names that somebody may have meant. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace fairlead {

[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);
// Letters to add, take away, change or swap with their neighbour.

[[nodiscard]] std::vector<std::string> near_names(std::string_view wanted,
                                                  std::vector<std::string> names,
                                                  std::size_t most = 3);
// The nearest first: those that differ in a third of the wanted letters at most, begin alike, or
// hold what is wanted.

[[nodiscard]] std::string did_you_mean(std::string_view wanted, std::vector<std::string> names);
// "; near it: reviews, reviews-v1", or when none is near "; there are: a, b, c" or "; there are
// none".

}  // namespace fairlead
