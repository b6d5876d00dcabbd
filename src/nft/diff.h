// What to tell the kernel so that it goes from one ruleset to another. Pure: text out.
#pragma once

#include <string>
#include <vector>

#include "nft/ruleset.h"

namespace fairlead::nft {

// Commands in nft's language. Committed together (apply.h) they are one step: every packet meets
// the rules of before or those of after.
struct Transaction {
  std::vector<std::string> commands;

  [[nodiscard]] bool empty() const { return commands.empty(); }
  [[nodiscard]] std::string text() const;  // a line each
};

[[nodiscard]] Transaction difference(const Ruleset& before, const Ruleset& after);
// Empty when they are the same. A changed element of a map or set is that element alone, so
// counters of others go on; a changed chain is flushed and filled anew; a table is replaced whole
// only when a hook, a key or the data of a map became another one. O(elements) to compare.

[[nodiscard]] Transaction replacement(const Ruleset& ruleset);
// Puts exactly these tables there, whatever stood under their names before. Rerunnable.

[[nodiscard]] Transaction removal(const Ruleset& ruleset);
// Leaves nothing of these tables, whether or not they are there.

void change_element(Transaction& transaction, const Table& table, const Map& map, const Tuple& key,
                    const Mapped* before, const Mapped* after);
void change_element(Transaction& transaction, const Table& table, const Set& set, const Tuple& key,
                    const std::string* before, const std::string* after);
// One element, for whoever already knows which one changed and need not compare whole rulesets.
// Null: not there. Only the names and fields of `table` and the map or set are looked at.

}  // namespace fairlead::nft
