// Text that peers and files wrote, made safe to stand in a line of a log or a report. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fairlead {

[[nodiscard]] bool is_one_line(std::string_view text);
// No control character, no separator of lines, nothing that turns the direction of writing, and
// UTF-8 throughout: a terminal shows it as one line, in the order in which it is written.

[[nodiscard]] std::string one_line(std::string_view text, std::size_t most = std::string::npos);
// `text`, with what is_one_line() refuses written as \n, \r, \t, \xNN for a byte or \u{NNNN} for a
// character. A backslash stays as it is. Beyond `most` bytes of `text` it is cut, and says how many
// bytes are left out.

}  // namespace fairlead
