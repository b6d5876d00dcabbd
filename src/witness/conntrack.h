// The connections that the kernel of this network namespace tracks (ctnetlink). Reads only.
#pragma once

#include <chrono>
#include <vector>

#include "base/result.h"
#include "explain/evidence.h"

namespace fairlead::witness {

[[nodiscard]] Result<std::vector<explain::TrackedConnection>> tracked_connections();
// All TCP connections, both families; `where` is left empty. The age is there where the kernel
// keeps times (net.netfilter.nf_conntrack_timestamp). Fault: denied without CAP_NET_ADMIN here.

}  // namespace fairlead::witness
