// A pod's volumes as folders of the lab's memory.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "kube/objects.h"
#include "lab/root.h"

namespace fairlead::lab {

[[nodiscard]] Result<> write_volumes(const std::string& folder, const kube::Pod& pod,
                                     const kube::Objects& objects);
// One folder a volume inside `folder`, which is made. Again to bring config maps and secrets up to
// date: all files of a volume change at once, by a link, as in Kubernetes. Fault: a map that is
// missing and not optional.

[[nodiscard]] std::vector<Bind> binds_of(const std::string& folder, const kube::Pod& pod,
                                         const kube::Container& container);
// The container's mounts of them.

}  // namespace fairlead::lab
