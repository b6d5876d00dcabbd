// The world as files tell it: Kubernetes' and Istio's manifests, or what a lab has written down.
// Reads when asked; worlds.h goes on reading.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "mesh/world.h"

namespace fairlead::registry {

using Paths = std::vector<std::string>;
// Files, and directories, of which every *.yaml, *.yml and *.json is taken, in the order of their
// names, without their inner directories.

[[nodiscard]] Result<mesh::WorldPointer> read_world(const Paths& paths);
// What the files say and no more: Services, Endpoints, EndpointSlices, Pods and Nodes that have
// addresses, ServiceEntries, WorkloadEntries. The rest is in World::ignored. The version is the
// resourceVersion of a List that has one (a lab's generation), else a short digest of the bytes
// that were read, in order: two programs that read the same files name their worlds alike.
// Fault: which file, line and field, and what was expected there.

}  // namespace fairlead::registry
