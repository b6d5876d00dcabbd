#include "proxy/uuid.h"

#include <cstdint>
#include <cstring>

namespace fairlead::proxy {
namespace {

// Eight lower-case hexadecimal digits, the highest first in memory.
std::uint64_t hexadecimal(std::uint32_t word) {
  // Each byte of `digits` gets one digit's value, then its letter.
  std::uint64_t digits = __builtin_bswap32(word);
  digits = (digits | digits << 16) & 0x0000ffff0000ffff;
  digits = (digits | digits << 8) & 0x00ff00ff00ff00ff;
  digits = (digits >> 4 | digits << 8) & 0x0f0f0f0f0f0f0f0f;
  const std::uint64_t letters = (digits + 0x0606060606060606) >> 4 & 0x0101010101010101;
  return digits + 0x3030303030303030 + letters * ('a' - '0' - 10);
}

}  // namespace

std::string_view write_uuid(std::array<char, 40>& into LIFETIMEBOUND, Random& random) {
  const std::uint64_t high = (random.next() & ~0xf000ULL) | 0x4000ULL;
  const std::uint64_t low = (random.next() & ~(0xcULL << 60)) | (0x8ULL << 60);
  const std::array<std::uint64_t, 4> text{hexadecimal(high >> 32), hexadecimal(high & 0xffffffff),
                                          hexadecimal(low >> 32), hexadecimal(low & 0xffffffff)};
  const char* const digits = reinterpret_cast<const char*>(text.data());
  into[8] = into[13] = into[18] = into[23] = '-';
  std::memcpy(&into[0], digits, 8);
  std::memcpy(&into[9], digits + 8, 4);
  std::memcpy(&into[14], digits + 12, 4);
  std::memcpy(&into[19], digits + 16, 4);
  std::memcpy(&into[24], digits + 20, 12);
  return {into.data(), 36};
}

}  // namespace fairlead::proxy
