// Rulesets as nft's own text: what `nft -f` takes. Pure.
#pragma once

#include <string>

#include "nft/ruleset.h"

namespace fairlead::nft {

[[nodiscard]] std::string render(const Ruleset& ruleset);
// In the shape of `nft list ruleset`, with the counts left out. Loads with nft 1.0.6 and later, and
// so does what the kernel then lists.

[[nodiscard]] std::string render(const Rule& rule);              // one line, with its comment
[[nodiscard]] std::string render(const Expression& expression);  // "meta skuid 1337"
[[nodiscard]] std::string render(const Verdict& verdict);        // "jump outbound"
[[nodiscard]] std::string render(const Value& value, Field field);
// A number as its field is written: "tcp", "0x00000539", "9080".
[[nodiscard]] std::string render(const Tuple& tuple);
// For messages, where no field is at hand: numbers are decimal.
[[nodiscard]] std::string render(const Tuple& tuple, const std::vector<Field>& fields);
[[nodiscard]] std::string render(const Prefix& prefix);  // a host's prefix without its length

// The pieces of commands, for diff.h.
[[nodiscard]] const char* name_of(TableFamily family);
[[nodiscard]] const char* name_of(Hook hook);
[[nodiscard]] std::string declaration(const Set& set);      // "{ typeof ip daddr; counter; }"
[[nodiscard]] std::string declaration(const Map& map);      //
[[nodiscard]] std::string declaration(const Chain& chain);  // "" for a chain that is only called
[[nodiscard]] std::string element(const Set& set, const Tuple& key, const std::string& comment);
[[nodiscard]] std::string element(const Map& map, const Tuple& key, const Mapped& mapped);
[[nodiscard]] std::string quoted(const std::string& comment);
// In double quotes, what nft cannot hold in a comment replaced, cut to its 128 bytes.

}  // namespace fairlead::nft
