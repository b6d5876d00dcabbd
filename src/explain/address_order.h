// Which family of addresses a client takes first of a name that has both. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "base/address.h"

namespace fairlead::explain {

// Whose table of RFC 6724, section 2.1.
enum class AddressPolicy : std::uint8_t {
  glibc,    // getaddrinfo of glibc, and so curl, Python and most programs on Linux: unique local
            // IPv6 addresses (fc00::/7) count as any other
  rfc6724,  // musl, Go; Java prefers IPv4 by itself: unique local ones come after IPv4
};

[[nodiscard]] std::vector<Family> families_in_order(AddressPolicy policy,
                                                    const std::vector<IpAddress>& found,
                                                    const std::vector<IpAddress>& own);
// The families of `found`, the first to be tried first, for a client that has the addresses `own`
// (rules 1, 5 and 6: a usable source, labels that match, precedence).

}  // namespace fairlead::explain
