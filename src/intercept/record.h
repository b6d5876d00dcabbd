// What a capture table says of itself, the settings that it was made with, and how its rules differ
// from what these settings make. Pure.
#pragma once

#include <string>
#include <vector>

#include "intercept/rules.h"
#include "nft/ruleset.h"

namespace fairlead::intercept {

inline constexpr char record_name[] = "settings";

[[nodiscard]] nft::Set record_of(const Settings& settings);
// A set that no rule looks at: its elements' comments, joined, are words_of(settings). Comments of
// tables and chains would do, but nft's JSON does not tell them; rules' comments go with the rules.

[[nodiscard]] Result<Settings> recorded(const nft::Set* record);
// The way back; null where the table has no such set. Fault: the table is of another version of
// fairlead.

[[nodiscard]] std::string remedy(const nft::Set* record);
// The command that puts the table back: "fairlead intercept apply --envoy-port=15101".

[[nodiscard]] std::vector<std::string> changes(const nft::Table& table, const Settings& settings);
// What somebody took out of the table since it was made with `settings`, put in or made another: a
// sentence each, with the chain and the rule. Comments may differ. Empty: it stands as
// capture_rules() makes it.

}  // namespace fairlead::intercept
