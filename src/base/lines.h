// Text in lines of limited width, for people. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace fairlead {

[[nodiscard]] std::size_t columns_of(std::string_view text);
// How many columns UTF-8 text takes; what we write has no wide letters.

[[nodiscard]] std::vector<std::string> wrap(std::string_view text, std::size_t width);
// Broken at blanks; a word that is wider than a line has a line of its own. Control characters are
// escaped (one_line.h): what peers and files say begins no line.

[[nodiscard]] std::string hanging(std::string_view text, std::size_t width,
                                  std::size_t indentation = 2);
// The same as one text that ends each line; lines after the first begin with blanks.

[[nodiscard]] std::string counted(std::size_t number, std::string_view thing);
// "1 pod", "2 pods".

}  // namespace fairlead
