// Names to addresses, as the system does it (hosts file, search path, DNS): getaddrinfo on a thread
// of its own, so that the loop goes on. Not for a data path.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/address.h"
#include "net/loop.h"

namespace fairlead::net {

[[nodiscard]] Task<Result<std::vector<IpAddress>>> resolve(Loop& loop, std::string name);
// In the system's order of preference. An address resolves to itself at once. Faults: `missing` (no
// such name, or no address), `unreachable` (nobody answers). When cancelled the thread ends by
// itself later.

}  // namespace fairlead::net
