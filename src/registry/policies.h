// Kubernetes' and Istio's policies made into the mesh's own values. Pure.
#pragma once

#include <vector>

#include "kube/objects.h"
#include "mesh/policy.h"

namespace fairlead::registry {

[[nodiscard]] std::vector<mesh::Policy> policies_of(const kube::Objects& objects);
// Istio's root namespace, whose policies stand for the whole mesh, is istio-system, where its
// control plane is; fairlead's own stands beside it. A policy for a Service (targetRefs) becomes
// one for what the Service selects; one for a gateway judges no call between workloads.

}  // namespace fairlead::registry
