#include "xds/wire.h"

#include <google/protobuf/stubs/logging.h>

#include <limits>

namespace fairlead::xds {

bool parse(std::string_view bytes, wire::Message& into) {
  // The library would write a line to standard error for each byte that is no UTF-8. Whoever sent
  // it is told; the log is not theirs to fill.
  static google::protobuf::LogHandler* const silenced = google::protobuf::SetLogHandler(nullptr);
  static_cast<void>(silenced);
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) return false;
  return into.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto at = [&](std::size_t position) {
      return position < text.size() ? static_cast<unsigned char>(text[position]) : 0U;
    };
    const unsigned first = at(i);
    const std::size_t length = first < 0x80   ? 1
                               : first < 0xC2 ? 0
                               : first < 0xE0 ? 2
                               : first < 0xF0 ? 3
                               : first < 0xF5 ? 4
                                              : 0;
    if (length == 0) return false;
    for (std::size_t k = 1; k < length; ++k) {
      if ((at(i + k) & 0xC0U) != 0x80) return false;
    }
    const unsigned second = at(i + 1);
    if (first == 0xE0 && second < 0xA0) return false;  // longer than need be
    if (first == 0xED && second > 0x9F) return false;  // half of a surrogate pair
    if (first == 0xF0 && second < 0x90) return false;
    if (first == 0xF4 && second > 0x8F) return false;  // beyond Unicode
    i += length;
  }
  return true;
}

}  // namespace fairlead::xds
