#include "kube/groups.h"

#include <algorithm>
#include <array>
#include <sstream>

namespace fairlead::kube {
namespace {

struct Group {
  std::string_view name;
  const char* kinds;
};

constexpr std::array<Group, 33> groups{{
    {"",
     "Binding ComponentStatus ConfigMap Endpoints Event LimitRange List Namespace Node "
     "PersistentVolume PersistentVolumeClaim Pod PodTemplate ReplicationController "
     "ResourceQuota Secret Service ServiceAccount"},
    {"admissionregistration.k8s.io",
     "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding "
     "MutatingWebhookConfiguration ValidatingAdmissionPolicy "
     "ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration"},
    {"apiextensions.k8s.io", "CustomResourceDefinition"},
    {"apiregistration.k8s.io", "APIService"},
    {"apps", "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet"},
    {"authentication.k8s.io", "SelfSubjectReview TokenRequest TokenReview"},
    {"authorization.k8s.io",
     "LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview "
     "SubjectAccessReview"},
    {"autoscaling", "HorizontalPodAutoscaler Scale"},
    {"batch", "CronJob Job"},
    {"certificates.k8s.io", "CertificateSigningRequest ClusterTrustBundle PodCertificateRequest"},
    {"coordination.k8s.io", "Lease LeaseCandidate"},
    {"discovery.k8s.io", "EndpointSlice"},
    {"events.k8s.io", "Event"},
    {"extensions", "DaemonSet Deployment Ingress NetworkPolicy PodSecurityPolicy ReplicaSet"},
    {"flowcontrol.apiserver.k8s.io", "FlowSchema PriorityLevelConfiguration"},
    {"networking.k8s.io", "IPAddress Ingress IngressClass NetworkPolicy ServiceCIDR"},
    {"node.k8s.io", "RuntimeClass"},
    {"policy", "Eviction PodDisruptionBudget PodSecurityPolicy"},
    {"policy.networking.k8s.io",
     "AdminNetworkPolicy BaselineAdminNetworkPolicy ClusterNetworkPolicy"},
    {"rbac.authorization.k8s.io", "ClusterRole ClusterRoleBinding Role RoleBinding"},
    {"resource.k8s.io",
     "DeviceClass DeviceTaintRule ResourceClaim ResourceClaimTemplate ResourceSlice"},
    {"scheduling.k8s.io", "PriorityClass Workload"},
    {"storage.k8s.io",
     "CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment "
     "VolumeAttributesClass"},
    {"storagemigration.k8s.io", "StorageVersionMigration"},
    {"extensions.istio.io", "WasmPlugin"},
    {"install.istio.io", "IstioOperator"},
    {"networking.istio.io",
     "DestinationRule EnvoyFilter Gateway ProxyConfig ServiceEntry Sidecar "
     "VirtualService WorkloadEntry WorkloadGroup"},
    {"security.istio.io", "AuthorizationPolicy PeerAuthentication RequestAuthentication"},
    {"telemetry.istio.io", "Telemetry"},
    {"gateway.networking.k8s.io",
     "BackendLBPolicy BackendTLSPolicy GRPCRoute Gateway GatewayClass HTTPRoute "
     "ListenerSet ReferenceGrant TCPRoute TLSRoute UDPRoute"},
    {"gateway.networking.x-k8s.io", "XBackendTrafficPolicy XListenerSet XMesh"},
    {"kustomize.config.k8s.io", "Component Kustomization"},
    {"multicluster.x-k8s.io", "ServiceExport ServiceImport"},
}};

}  // namespace

std::vector<std::string> known_groups() {
  std::vector<std::string> names;
  names.reserve(groups.size());
  for (const Group& group : groups) names.emplace_back(group.name);
  return names;
}

std::vector<std::string> kinds_of_group(std::string_view group) {
  const auto found = std::find_if(groups.begin(), groups.end(),
                                  [&](const Group& each) { return each.name == group; });
  if (found == groups.end()) return {};
  std::istringstream words(found->kinds);
  std::vector<std::string> kinds;
  for (std::string word; words >> word;) kinds.push_back(word);
  return kinds;
}

}  // namespace fairlead::kube
