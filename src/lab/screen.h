// A terminal that a person reads: its width, and one line on it that changes.
#pragma once

#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>

namespace fairlead::lab {

[[nodiscard]] std::size_t columns_of_terminal();
// Of standard output; 0 when that is no terminal: lines may be as long as they like.

[[nodiscard]] std::string cut(std::string_view text, std::size_t columns);
// At most so many columns of UTF-8 text, the last of them "…" when there is more; 0: all of it.

// Lines for people: on a terminal, what is being done is told in one line that changes.
class Screen {
 public:
  explicit Screen(bool terminal) : terminal_(terminal) {}

  void progress(const std::string& text);
  void say(const std::string& text, std::FILE* where = stdout);
  void clear();
  void fall_silent();

 private:
  bool terminal_;
  bool open_line_ = false;
  bool quiet_ = false;
};

}  // namespace fairlead::lab
