// Capture rules told to people: in words, hop by hop, and in the form of `iptables -t nat -L`.
// Pure.
#pragma once

#include <string>
#include <vector>

#include "nft/read.h"
#include "nft/ruleset.h"

namespace fairlead::intercept {

[[nodiscard]] std::string show(const nft::Table& table, const std::vector<nft::Reading>& readings);
// From the kernel's call (a connection is opened, a connection comes) through every rule, in order,
// with how many connections each has decided.

[[nodiscard]] std::string show_as_iptables(const nft::Table& table,
                                           const std::vector<nft::Reading>& readings);
// As `iptables -t nat -L -v -n` would, then the same for ip6tables, with only the rules of each
// family. Chains that iptables lacks are named FAIRLEAD_*; what is not as it was put in is said
// first, in comments.

}  // namespace fairlead::intercept
