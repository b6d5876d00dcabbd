// The first process of a lab, inside its namespaces: reads the manifests, is scheduler, controllers
// and kubelet in small, writes the cluster's objects for control and nodes to read, and does what
// `fairlead lab ...` asks for.
#pragma once

#include <string>

namespace fairlead::lab {

[[nodiscard]] int run_inside(int channel, int options, const std::string& state_base);
// `channel` leads to the guardian: when it closes, everything ends at once. `options` holds them as
// JSON.

}  // namespace fairlead::lab
