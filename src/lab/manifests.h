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
// Files as given; of folders every *.yaml, *.yml and *.json, by name, without inner folders. Each
// once, however often it was named.
// Fault: missing.

[[nodiscard]] std::vector<std::string> with_inner_folders(const std::vector<std::string>& paths);
// Each folder followed by all those inside it, in order, that hold manifests; links are not
// followed. Without manifests of its own it stays away if some inside have any.

[[nodiscard]] std::string place_of(const std::string& path);
// The same for all names of one file or folder.

[[nodiscard]] std::string describe_inner_folders(const std::vector<std::string>& paths);
// "2 folders inside k8s are not read: -R reads them, too", or empty.

[[nodiscard]] Result<kube::Reading> read_manifests(const std::vector<std::string>& paths);
// All of them as one; a file without any object is among what is ignored. Fault: file, line, field
// and what was expected there.

[[nodiscard]] Result<> check_holds_any(const kube::Reading& manifests);
// Fault: missing, with the files, when none of them holds any object.

}  // namespace fairlead::lab
