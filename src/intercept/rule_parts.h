// The parts of one rule, for those who read a table. Pure.
#pragma once

#include <algorithm>
#include <initializer_list>

#include "base/lifetime.h"
#include "nft/ruleset.h"

namespace fairlead::intercept {

// The first part of that kind; null when the rule has none.
template <class T>
[[nodiscard]] const T* find(const nft::Rule& rule LIFETIMEBOUND) {
  for (const nft::Expression& expression : rule.expressions) {
    if (const T* found = std::get_if<T>(&expression)) return found;
  }
  return nullptr;
}

[[nodiscard]] inline const nft::Match* match_on(const nft::Rule& rule LIFETIMEBOUND,
                                                std::initializer_list<nft::Field> fields) {
  for (const nft::Expression& expression : rule.expressions) {
    const auto* match = std::get_if<nft::Match>(&expression);
    if (match == nullptr) continue;
    if (std::find(fields.begin(), fields.end(), match->field) != fields.end()) return match;
  }
  return nullptr;
}

[[nodiscard]] inline bool leads_to(const nft::Rule& rule, const char* chain) {
  const auto* verdict = find<nft::Verdict>(rule);
  return verdict != nullptr && verdict->chain == chain;
}

}  // namespace fairlead::intercept
