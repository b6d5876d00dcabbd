// What a person means by "web", "shop/web", "deploy/web" or "shop/deploy/web": pure.
#pragma once

#include <string>
#include <string_view>

#include "kube/objects.h"

namespace fairlead::lab {

struct Target {
  std::string name_space;  // empty: any
  std::string kind;        // "Pod", "Deployment", "Service", ...; empty: any
  std::string name;
  bool operator==(const Target&) const = default;
  [[nodiscard]] std::string describe() const;  // "Deployment shop/web", "'web'"
};

[[nodiscard]] Target target_of(std::string_view text);
// Kinds as kubectl's users write them: deploy, deployment, deployments, deployment.apps, sts, ds,
// rs, po, svc, and vm and node. Any other word before the name is its namespace, the last if there
// are more.

[[nodiscard]] bool is_meant(const Target& target, const kube::Metadata& object,
                            std::string_view kind);
// Whether the target is that object of that kind.

}  // namespace fairlead::lab
