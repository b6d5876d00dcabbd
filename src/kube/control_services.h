// The control plane as Services that nobody wrote down: a lab has them, and what is worked out from
// manifests alone has the same. Pure.
#pragma once

#include <vector>

#include "base/address.h"
#include "kube/objects.h"

namespace fairlead::kube {

void add_control_services(Objects& manifests, const std::vector<IpAddress>& control);
// fairlead-system/fairlead-control, and istio-system/istio-pilot as Istio 0.7.1 called it, with
// Endpoints at `control` and their namespaces. What the manifests say of the same names comes
// first.

}  // namespace fairlead::kube
