// Sends the request of a path from where its caller runs in a lab, and gathers what can be seen of
// it: in the caller's pod, on its node, and in the pod that answered.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "explain/evidence.h"
#include "explain/path.h"
#include "lab/paths.h"
#include "mesh/world.h"

namespace fairlead::cli {

[[nodiscard]] std::vector<explain::LookedAt> look_at_listening(const lab::Found& lab,
                                                               const explain::Path& path,
                                                               std::vector<std::string>& trouble);
// The listening sockets at the ends of the path, of the first 16 places. What could not be looked
// at is told in `trouble`.

[[nodiscard]] Result<explain::Evidence> gather_evidence(const lab::Found& lab,
                                                        const explain::Call& call,
                                                        const explain::Path& path,
                                                        const mesh::World& world);
// Fault: the request could not be sent at all. What else could not be looked at is in `trouble`.

}  // namespace fairlead::cli
