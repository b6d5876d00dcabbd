// What a capture table means as it stands in the kernel: what it takes, whom it exempts, and what
// it has lost of what capture_rules() makes. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nft/ruleset.h"

namespace fairlead::intercept {

enum class Direction : std::uint8_t { outbound, inbound };

[[nodiscard]] bool takes(const nft::Table& table, Direction direction);
// Whether a rule is there for it. That packets come as far as that rule is another question
// (trace).

[[nodiscard]] std::string describe_capture(const nft::Table& table);
// "outbound TCP to port 15001, inbound to port 15006"; "nothing inbound" where no rule is for it,
// "nothing" where none is for either.

[[nodiscard]] std::string describe_exemption(const nft::Table& table);
// "exempt are the connections of uid 1337 and of gid 1337", read from the rules themselves.

// Something that stands in the table of capture_rules() for whatever settings, and not in this one.
struct Gap {
  Direction direction = Direction::outbound;
  std::string what;  // "chain output does not lead to chain outbound: no connection ..."
};

[[nodiscard]] std::vector<Gap> gaps(const nft::Table& table);
// Empty: the table is whole, and takes what was asked for, be it nothing.

}  // namespace fairlead::intercept
