// What a person means by "web", "shop/web", "deploy/web" or "shop/deploy/web": pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kube/objects.h"

namespace fairlead::lab {

struct Target {
  std::string name_space;  // empty: any
  std::string kind;        // "Pod", "Deployment", "Service", ...; empty: any
  std::string name;
  bool operator==(const Target&) const = default;
  [[nodiscard]] std::string describe() const;  // "Deployment shop/web", "'web'"
};

[[nodiscard]] std::vector<Target> meanings_of(std::string_view text);
// One at least. A word before the name is its namespace; it is also a kind if kubectl's users write
// one so: deploy, deployment, deployments, deployment.apps, sts, ds, rs, po, svc, and vm and node.
// As a namespace may be called like a kind, whoever asks takes the first meaning of which there is
// something: NAMESPACE/NAME before KIND/NAME, NAMESPACE/KIND/NAME before KIND/NAMESPACE/NAME.

[[nodiscard]] bool is_meant(const Target& target, const kube::Metadata& object,
                            std::string_view kind);
// Whether the target is that object of that kind.

}  // namespace fairlead::lab
