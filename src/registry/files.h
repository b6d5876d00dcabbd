// The world as files tell it: Kubernetes' and Istio's manifests, or what a lab has written down.
// Reads when asked; worlds.h goes on reading.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "kube/settle.h"
#include "mesh/world.h"

namespace fairlead::registry {

// Files, and directories, of which every *.yaml, *.yml and *.json is taken, in the order of their
// names.
struct Paths {
  Paths() = default;
  Paths(std::initializer_list<std::string> paths) : named(paths) {}  // NOLINT: a list
  Paths(std::vector<std::string> paths, bool inner = false)          // NOLINT: the same
      : named(std::move(paths)), inner_directories(inner) {}
  std::vector<std::string> named;
  bool inner_directories = false;  // those of directories are taken too, however deep
  std::vector<std::string> trees;  // those of `named` of which that holds in any case
};

[[nodiscard]] std::vector<std::string> directories_within(const std::string& directory);
// Itself and all inside it, sorted. Links to directories are not followed.

[[nodiscard]] Result<mesh::WorldPointer> read_world(const Paths& paths);
// What the files say and no more: Services, Endpoints, EndpointSlices, Pods and Nodes that have
// addresses, ServiceEntries, WorkloadEntries. The rest is in World::ignored. The version is the
// resourceVersion of a List that has one (a lab's generation), else a short digest of the bytes
// that were read, in order: two programs that read the same files name their worlds alike.
// Fault: which file, line and field, and what was expected there.

[[nodiscard]] Result<mesh::WorldPointer> read_world_as_if_running(
    const Paths& paths, const kube::ClusterSettings& settings = {});
// The same, with everything that a cluster would add: pods placed and addressed, sidecars, cluster
// IPs, EndpointSlices. What a lab wrote down has all of that already, and stays as it is.

}  // namespace fairlead::registry
