// Texts of a few bytes into room that was made before.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace fairlead {

// Copies `text` to `to`, which has room for it, and gives the place behind it. As memcpy, but
// inline for up to 32 bytes, as most texts of a message are: calling out costs more than copying.
inline char* copy_text(char* to, std::string_view text) {
  const char* const from = text.data();
  const std::size_t size = text.size();
  // Two pieces of one size, which overlap unless they just meet.
  const auto two_of = [&]<class Piece>(Piece first, Piece last) {
    const std::size_t second = size - sizeof(Piece);
    std::memcpy(&first, from, sizeof(Piece));
    std::memcpy(&last, from + second, sizeof(Piece));
    std::memcpy(to, &first, sizeof(Piece));
    std::memcpy(to + second, &last, sizeof(Piece));
  };
  struct Sixteen {
    std::uint64_t low, high;
  };
  if (size > 32) {
    std::memcpy(to, from, size);
  } else if (size >= 16) {
    two_of(Sixteen{}, Sixteen{});
  } else if (size >= 8) {
    two_of(std::uint64_t{}, std::uint64_t{});
  } else if (size >= 4) {
    two_of(std::uint32_t{}, std::uint32_t{});
  } else if (size >= 2) {
    two_of(std::uint16_t{}, std::uint16_t{});
  } else if (size == 1) {
    *to = *from;
  }
  return to + size;
}

}  // namespace fairlead
