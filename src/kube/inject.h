// Which pods get a sidecar, by Istio's rules and our own label, and what that adds. Pure.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "kube/objects.h"

namespace fairlead::kube {

inline constexpr const char* init_container_name = "istio-init";
inline constexpr const char* proxy_container_name = "istio-proxy";
inline constexpr std::int64_t proxy_user = 1337;  // uid and gid
inline constexpr const char* injected_annotation = "sidecar.istio.io/status";
inline constexpr const char* proxy_kind_annotation = "fairlead/proxy";  // "fairlead" or "envoy"

struct InjectSettings {
  bool all = false;                  // --inject all
  std::set<std::string> namespaces;  // --inject NAMESPACE
  std::string default_proxy = "fairlead";
  std::string image = "fairlead";
  std::vector<std::string> capture_command{"fairlead", "intercept", "apply"};
  // Flags for the pod's traffic.sidecar.istio.io/* annotations follow.
  std::vector<std::string> proxy_command{"fairlead", "proxy", "-c",
                                         "/etc/istio/proxy/envoy-rev.json"};
  std::vector<std::string> envoy_command{"envoy", "-c", "/etc/istio/proxy/envoy-rev.json"};
  // For a pod annotated fairlead/proxy: envoy.
};

struct InjectDecision {
  bool inject = false;
  std::string reason;  // "namespace shop has istio-injection=enabled", for people
  bool operator==(const InjectDecision&) const = default;
};

[[nodiscard]] InjectDecision should_inject(const Pod& pod, const Namespace* name_space,
                                           const InjectSettings& settings = {});
// In this order: never with hostNetwork, in system namespaces, or twice; never where the namespace
// says istio-injection=disabled or fairlead/inject=false; then the pod's own word (labels
// fairlead/inject and sidecar.istio.io/inject, then the annotation sidecar.istio.io/inject); then
// istio-injection=enabled or fairlead/inject=true on the namespace; then --inject; else not. That
// is Istio's order: a namespace that refuses is asked before the pod, and --inject, as Istio's
// enableNamespacesByDefault, is for namespaces that say nothing. As there, the annotation can only
// refuse: by itself it brings no sidecar. `name_space` may be null.

[[nodiscard]] Result<> inject(Pod& pod, const InjectSettings& settings = {});
// Adds the init container istio-init before all others and the container istio-proxy before the
// apps, with readiness of its own and user 1337, and notes that in the annotations. Fault: invalid,
// an annotation that names no proxy.

}  // namespace fairlead::kube
