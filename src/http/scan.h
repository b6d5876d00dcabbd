// Finding the first byte that does not belong, quickly. Of this room alone.
#pragma once

#include <array>
#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace fairlead::http {

inline constexpr std::array<bool, 256> token_bytes = [] {
  std::array<bool, 256> allowed{};
  for (int c = '0'; c <= '9'; ++c) allowed[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) allowed[c] = true;
  for (int c = 'A'; c <= 'Z'; ++c) allowed[c] = true;
  for (const char c :
       {'!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~'}) {
    allowed[static_cast<unsigned char>(c)] = true;
  }
  return allowed;
}();

inline bool is_token_byte(char c) {
  return token_bytes[static_cast<unsigned char>(c)];
}

inline bool is_white(char c) {
  return c == ' ' || c == '\t';
}

inline bool is_target_byte(char c) {
  return c > 0x20 && c < 0x7f && c != '#';
}

inline bool is_value_byte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
}

#if defined(__SSE2__)
// As bits, which of 16 bytes are letters, digits or '-': all that most names are made of.
inline std::uint32_t plain_name_bytes(const char* at) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  const __m128i letter = _mm_sub_epi8(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
  const __m128i digit = _mm_sub_epi8(bytes, _mm_set1_epi8('0'));
  const __m128i plain =
      _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(25)), letter),
                                _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit)),
                   _mm_cmpeq_epi8(bytes, _mm_set1_epi8('-')));
  return static_cast<std::uint32_t>(_mm_movemask_epi8(plain));
}
#endif

inline const char* token_end(const char* at, const char* end) {
#if defined(__SSE2__)
  while (end - at >= 16) {
    const std::uint32_t others = ~plain_name_bytes(at) & 0xffffU;
    at += others == 0 ? 16 : __builtin_ctz(others);
    if (others == 0) continue;
    if (!is_token_byte(*at)) return at;
    ++at;
  }
#endif
  while (at < end && is_token_byte(*at)) ++at;
  return at;
}

inline const char* target_end(const char* at, const char* end) {
  while (at < end && is_target_byte(*at)) ++at;
  return at;
}

// The first byte that a field's value cannot have: a control byte other than tab.
inline const char* value_end(const char* at, const char* end) {
#if defined(__SSE2__)
  const __m128i highest_control = _mm_set1_epi8(0x1f);
  const __m128i tab = _mm_set1_epi8('\t');
  const __m128i del = _mm_set1_epi8(0x7f);
  while (end - at >= 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, highest_control), bytes);
    const __m128i bad = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), control),
                                     _mm_cmpeq_epi8(bytes, del));
    const auto mask = static_cast<std::uint32_t>(_mm_movemask_epi8(bad));
    if (mask != 0) return at + __builtin_ctz(mask);
    at += 16;
  }
#endif
  while (at < end && is_value_byte(*at)) ++at;
  return at;
}

}  // namespace fairlead::http
