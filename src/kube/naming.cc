#include "kube/naming.h"

#include <fmt/format.h>
#include <xxhash.h>

#include "kube/controllers.h"

namespace fairlead::kube {
namespace {

// No vowels, and nothing that looks like one.
constexpr std::string_view safe_letters = "bcdfghjklmnpqrstvwxz2456789";

}  // namespace

std::uint64_t hash_of(std::string_view text) {
  return XXH64(text.data(), text.size(), 0);
}

std::string safe_word(std::uint64_t number, std::size_t length) {
  std::string word;
  for (std::size_t i = 0; i < length; ++i) {
    word += safe_letters[number % safe_letters.size()];
    number /= safe_letters.size();
  }
  return word;
}

std::string hash_word(std::string_view text) {
  std::string word;
  for (const char digit : std::to_string(XXH32(text.data(), text.size(), 0))) {
    word += safe_letters[static_cast<unsigned char>(digit) % safe_letters.size()];
  }
  return word;
}

std::string with_suffix(std::string_view base, std::string_view suffix) {
  constexpr std::size_t most = 63;
  base = base.substr(0, most - 1 - suffix.size());
  return fmt::format("{}-{}", base, suffix);
}

std::string random_uid(Random& random) {
  const std::uint64_t high = random.next();
  const std::uint64_t low = random.next();
  return fmt::format("{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}", high >> 32U, (high >> 16U) & 0xFFFFU,
                     high & 0xFFFU, 0x8000U | ((low >> 48U) & 0x3FFFU), low & 0xFFFFFFFFFFFFU);
}

std::string random_suffix(Random& random, std::size_t length) {
  std::string word;
  for (std::size_t i = 0; i < length; ++i) word += safe_letters[random.below(safe_letters.size())];
  return word;
}

}  // namespace fairlead::kube
