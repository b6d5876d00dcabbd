// What a lab refuses of manifests that can be read: `lab up` and `path --files` refuse the same,
// for the same reason.
#pragma once

#include "base/result.h"
#include "kube/objects.h"
#include "lab/fabric.h"

namespace fairlead::lab {

inline constexpr const char* vm_annotation = "fairlead/vm";

[[nodiscard]] Result<> check_manifests(const kube::Objects& manifests);
// Fault: a container's command that this machine does not have, a VM at an address that is none of
// a lab's VMs. Looks for programs on this machine's disk.

[[nodiscard]] Result<Addresses> addresses_of_vm(const kube::WorkloadEntry& entry);
// Where a lab's VM may be: the address that its manifest names, in the range that stands for the
// world outside the nodes.

}  // namespace fairlead::lab
