// Kubernetes' and Istio's objects made into the mesh's own values. Pure.
#pragma once

#include <string>
#include <string_view>

#include "kube/objects.h"
#include "mesh/world.h"

namespace fairlead::registry {

[[nodiscard]] mesh::World world_of(const kube::Objects& objects);
// Without a version. Who runs pods is not asked: a pod is what it is said to be, with the addresses
// that its status has. Objects without any Node are plain manifests that nobody runs; then pods and
// their controllers are listed in `ignored`, and so is each Service whose endpoints nobody gave.

[[nodiscard]] mesh::Protocol protocol_of(kube::Protocol transport, std::string_view port_name,
                                         std::string_view app_protocol);
// Istio's rules: appProtocol, else the port's name up to its first dash ("http-web"), whatever the
// case. Anything else declares nothing.

[[nodiscard]] std::string owner_of(const kube::Pod& pod, const kube::Objects& objects);
// "productpage-v1": the Deployment behind a ReplicaSet's pod, else the controller's own name, else
// the pod's.

[[nodiscard]] mesh::Sidecar sidecar_of(const kube::Pod& pod);

inline constexpr const char* proxy_annotation = "fairlead/proxy";
// On a pod or WorkloadEntry: which proxy stands beside it, "fairlead" or "envoy".
inline constexpr const char* ready_annotation = "fairlead/ready";
// On a WorkloadEntry: "false" while its app does not answer, as readiness is for a pod.

}  // namespace fairlead::registry
