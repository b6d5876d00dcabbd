// Kubernetes' and Istio's objects made into the mesh's own values. Pure.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "kube/objects.h"
#include "mesh/world.h"

namespace fairlead::registry {

// Which of Kubernetes' services may be made of something else than before.
struct Changes {
  using ServiceName = std::pair<std::string, std::string>;  // namespace, name
  std::set<ServiceName> services;
  bool everything = false;

  void add(const kube::Objects& before, const kube::Objects& now);
  // That these of all objects became those.
};

[[nodiscard]] mesh::World world_of(const kube::Objects& objects);
[[nodiscard]] mesh::World world_of(const kube::Objects& objects, const mesh::World& previous,
                                   const Changes& changes);
// The same, made of what `previous` was made of and `changes` since then: what did not change is
// the very same as there.
// Without a version. Who runs pods is not asked: a pod is what it is said to be, with the addresses
// that its status has. Objects without any Node are plain manifests that nobody runs; then pods and
// their controllers are listed in `ignored`, and so is each Service whose endpoints nobody gave.

[[nodiscard]] mesh::Protocol protocol_of(kube::Protocol transport, std::string_view port_name,
                                         std::string_view app_protocol);
// Istio's rules: appProtocol, else the port's name up to its first dash ("http-web"), whatever the
// case. Anything else declares nothing.

[[nodiscard]] std::vector<mesh::Owner> owners_of(const kube::Pod& pod,
                                                 const kube::Objects& objects);
// Its controller, then the Deployment behind that when it is a ReplicaSet.

[[nodiscard]] mesh::Sidecar sidecar_of(const kube::Pod& pod);

inline constexpr const char* proxy_annotation = "fairlead/proxy";
// On a pod or WorkloadEntry: which proxy stands beside it, "fairlead" or "envoy".
inline constexpr const char* ready_annotation = "fairlead/ready";
// On a WorkloadEntry: "false" while its app does not answer, as readiness is for a pod.

}  // namespace fairlead::registry
