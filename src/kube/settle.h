// A cluster worked out from manifests alone, as if all of it were running: what `fairlead path
// --files` follows where there is no lab. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "kube/inject.h"
#include "kube/objects.h"

namespace fairlead::kube {

struct ClusterSettings {
  int nodes = 2;  // node1, node2, … and beside them every other that an object names
  InjectSettings injection;
  std::vector<IpAddress> control;  // where the control plane is in a lab; empty: nowhere
};

[[nodiscard]] Result<Objects> as_if_running(const Objects& manifests,
                                            const ClusterSettings& settings = {});
// The manifests, with nodes (unless theirs have addresses, of a cluster that is no lab),
// ReplicaSets, pods (placed, addressed, ready, with sidecars), cluster IPs and EndpointSlices added
// where they are missing. Pods keep the addresses that their manifests have; others get those of a
// fresh lab's ranges: 10.244.N.x and fd00:10:244:N::x. Slices that a cluster's controllers wrote
// are made anew where their pods are there. With a control plane, its Services too, unless the
// manifests' nodes have addresses, of a cluster that is no lab. The same manifests give the same
// objects, names included. A pod that fits no node stays pending, and says why. Fault: an address
// given twice, no address left.

}  // namespace fairlead::kube
