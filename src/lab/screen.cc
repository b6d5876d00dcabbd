#include "lab/screen.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "base/lines.h"

namespace fairlead::lab {

std::size_t columns_of_terminal() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

std::string cut(std::string_view text, std::size_t columns) {
  if (columns == 0 || columns_of(text) <= columns) return std::string(text);
  std::size_t end = 0;
  for (std::size_t seen = 0; seen < columns; ++seen) {
    do {
      ++end;
    } while ((static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U);
  }
  std::string shorter(text.substr(0, end));
  while ((static_cast<unsigned char>(shorter.back()) & 0xC0U) == 0x80U) shorter.pop_back();
  shorter.pop_back();
  return shorter + "…";
}

void Screen::progress(const std::string& text) {
  if (quiet_ || !terminal_) return;
  const std::size_t columns = columns_of_terminal();
  // A line that is broken could not be taken back.
  std::fprintf(stdout, "\r\033[K%s", cut(text, columns > 1 ? columns - 1 : columns).c_str());
  std::fflush(stdout);
  open_line_ = true;
}

void Screen::say(const std::string& text, std::FILE* where) {
  if (quiet_) return;
  clear();
  std::fprintf(where, "%s\n", text.c_str());
  std::fflush(where);
}

void Screen::clear() {
  if (!open_line_) return;
  std::fputs("\r\033[K", stdout);
  std::fflush(stdout);
  open_line_ = false;
}

void Screen::fall_silent() {
  clear();
  std::fflush(stdout);
  quiet_ = true;
}

}  // namespace fairlead::lab
