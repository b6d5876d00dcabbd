// The kinds that Kubernetes, Istio and the Gateway API have, by their API groups: so that one that
// fairlead does not read yet is told apart from a word that nobody knows.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fairlead::kube {

[[nodiscard]] std::vector<std::string> known_groups();
// "apps", "networking.istio.io", ...; the one of v1 is "".

[[nodiscard]] std::vector<std::string> kinds_of_group(std::string_view group);
// Empty when the group is not known.

}  // namespace fairlead::kube
