// What `fairlead lab status` tells: as JSON, and as text for people.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

#include "kube/objects.h"
#include "lab/lab.h"

namespace fairlead::lab {

[[nodiscard]] nlohmann::json status_of(Lab& lab);
// {"name","rootless","world","manifests":[],"broken","unwritten","ignored":[],"missing",
//  "control":{"running","restarts","world","current","error"},
//  "nodes":[{"name","addresses":[],"running","restarts","applied","current","error"}],
//  "pods":[{"namespace","name","kind":"Pod"|"VM","node","addresses":[],"ready","phase",
//           "terminating","message","origin",
//           "containers":[{"name","kind":"init"|"sidecar"|"app","image","state","ready",
//                          "restarts"}]}]}

[[nodiscard]] std::string describe_status(const nlohmann::json& status, std::size_t columns = 0);
// The same as aligned text; with the first address of each alone when that fits `columns` (0: any)
// and all of them do not. Pure.

[[nodiscard]] std::string describe_state(
    const std::variant<kube::Waiting, kube::Running, kube::Terminated>& state);
// "running", "waiting: CrashLoopBackOff", "ended: 1 (Error)".

[[nodiscard]] std::string table(const std::vector<std::vector<std::string>>& rows);
// Each column as wide as its widest cell.

}  // namespace fairlead::lab
