// How Kubernetes makes names that nobody chose. Inside this room only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace fairlead::kube {

[[nodiscard]] std::uint64_t hash_of(std::string_view text);
[[nodiscard]] std::string safe_word(std::uint64_t number, std::size_t length);
// `number` in the letters and digits that can make no word.
[[nodiscard]] std::string hash_word(std::string_view text);
// 8 to 10 of them: the decimal digits of a 32-bit hash, each put as a letter.
[[nodiscard]] std::string with_suffix(std::string_view base, std::string_view suffix);
// "BASE-SUFFIX", BASE cut so that the whole is a DNS label.
[[nodiscard]] std::string random_uid(Random& random);
// A version 4 UUID.

}  // namespace fairlead::kube
