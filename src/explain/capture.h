// A workload's capture rules from what its annotations ask for. Pure.
#pragma once

#include "base/result.h"
#include "intercept/rules.h"
#include "mesh/world.h"

namespace fairlead::explain {

[[nodiscard]] Result<intercept::Settings> capture_settings(const mesh::Workload& workload);
// Istio's defaults, changed by the annotations traffic.sidecar.istio.io/*. Fault: which annotation,
// and what was expected of it.

}  // namespace fairlead::explain
