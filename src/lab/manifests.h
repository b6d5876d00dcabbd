// The files that a person wrote: read whole, and again when they change, the last good version
// kept.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "kube/objects.h"
#include "kube/read.h"

namespace fairlead::lab {

[[nodiscard]] Result<std::vector<std::string>> files_of(const std::vector<std::string>& paths);
// Files as given; of folders every *.yaml, *.yml and *.json, by name, without inner folders.
// Fault: missing.

[[nodiscard]] Result<kube::Reading> read_manifests(const std::vector<std::string>& paths);
// All of them as one. Fault: file, line, field and what was expected there.

}  // namespace fairlead::lab
