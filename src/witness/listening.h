// The sockets of this network namespace that wait for TCP connections (sock_diag). Reads only.
#pragma once

#include <vector>

#include "base/result.h"
#include "explain/evidence.h"

namespace fairlead::witness {

[[nodiscard]] Result<std::vector<explain::ListeningSocket>> listening_sockets();
// Of both families, in no order. Takes no capability.

}  // namespace fairlead::witness
