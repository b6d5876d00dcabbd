#include "kube/write.h"

#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "kube/read.h"

namespace fairlead::kube {
namespace {

using Json = nlohmann::ordered_json;

// ── small parts ─────────────────────────────────────────────────────────────────────────────────

void put(Json& into, const char* name, const std::string& text) {
  if (!text.empty()) into[name] = text;
}

void put(Json& into, const char* name, const StringMap& map) {
  if (!map.empty()) into[name] = map;
}

void put(Json& into, const char* name, const std::vector<std::string>& list) {
  if (!list.empty()) into[name] = list;
}

void put_if(Json& into, const char* name, bool value) {
  if (value) into[name] = true;
}

template <class Value>
void put(Json& into, const char* name, const std::optional<Value>& value) {
  if (value) into[name] = *value;
}

template <class Item, class Function>
void put_list(Json& into, const char* name, const std::vector<Item>& items, Function each) {
  if (items.empty()) return;
  Json list = Json::array();
  for (const Item& item : items) list.push_back(each(item));
  into[name] = std::move(list);
}

void put_object(Json& into, const char* name, Json object) {
  if (!object.empty()) into[name] = std::move(object);
}

const char* name_of(Protocol protocol) {
  switch (protocol) {
    case Protocol::tcp:
      return "TCP";
    case Protocol::udp:
      return "UDP";
    case Protocol::sctp:
      return "SCTP";
  }
  return "TCP";
}

const char* name_of(Family family) {
  return family == Family::v4 ? "IPv4" : "IPv6";
}

Json json_of(const PortReference& port) {
  if (port.number != 0) return port.number;
  return port.name;
}

Json json_of(const Share& share) {
  if (share.percent) return std::to_string(share.amount) + "%";
  return share.amount;
}

std::string base64(const std::string& bytes) {
  constexpr const char* alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      bits <<= 8U;
      if (at + i < bytes.size()) bits |= static_cast<unsigned char>(bytes[at + i]);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      const bool padding = at + i > bytes.size();
      text += padding ? '=' : alphabet[(bits >> (18U - 6U * i)) & 0x3FU];
    }
  }
  return text;
}

Json data_of(const StringMap& bytes) {
  Json data = Json::object();
  for (const auto& [key, value] : bytes) data[key] = base64(value);
  return data;
}

Json owner_of(const OwnerReference& owner) {
  Json json;
  put(json, "apiVersion", owner.api_version);
  json["kind"] = owner.kind;
  json["name"] = owner.name;
  put(json, "uid", owner.uid);
  put_if(json, "controller", owner.controller);
  return json;
}

Json metadata_of(const Metadata& metadata) {
  Json json;
  json["name"] = metadata.name;
  put(json, "namespace", metadata.name_space);
  put(json, "uid", metadata.uid);
  put(json, "resourceVersion", metadata.resource_version);
  put(json, "creationTimestamp", metadata.creation_time);
  put(json, "deletionTimestamp", metadata.deletion_time);
  put(json, "labels", metadata.labels);
  StringMap annotations = metadata.annotations;
  if (metadata.origin.known()) annotations[origin_annotation] = metadata.origin.encode();
  put(json, "annotations", annotations);
  put_list(json, "ownerReferences", metadata.owners, owner_of);
  return json;
}

Json condition_of(const Condition& condition) {
  Json json;
  json["type"] = condition.type;
  json["status"] = condition.status;
  put(json, "reason", condition.reason);
  put(json, "message", condition.message);
  return json;
}

Json selector_of(const LabelSelector& selector) {
  using Operator = SelectorRequirement::Operator;
  Json json = Json::object();
  put(json, "matchLabels", selector.match_labels);
  put_list(json, "matchExpressions", selector.match_expressions,
           [](const SelectorRequirement& requirement) {
             Json one;
             one["key"] = requirement.key;
             switch (requirement.operation) {
               case Operator::in:
                 one["operator"] = "In";
                 break;
               case Operator::not_in:
                 one["operator"] = "NotIn";
                 break;
               case Operator::exists:
                 one["operator"] = "Exists";
                 break;
               case Operator::does_not_exist:
                 one["operator"] = "DoesNotExist";
                 break;
             }
             put(one, "values", requirement.values);
             return one;
           });
  return json;
}

// ── pods ────────────────────────────────────────────────────────────────────────────────────────

Json variable_of(const EnvironmentVariable& variable) {
  Json json;
  json["name"] = variable.name;
  if (const auto* text = std::get_if<std::string>(&variable.value)) {
    json["value"] = *text;
  } else if (const auto* field = std::get_if<FieldReference>(&variable.value)) {
    json["valueFrom"]["fieldRef"]["fieldPath"] = field->path;
  } else if (const auto* reference = std::get_if<KeyReference>(&variable.value)) {
    const bool secret = reference->source == KeyReference::Source::secret;
    Json& key = json["valueFrom"][secret ? "secretKeyRef" : "configMapKeyRef"];
    key["name"] = reference->name;
    key["key"] = reference->key;
    put_if(key, "optional", reference->optional);
  }
  return json;
}

Json environment_source_of(const EnvironmentSource& source) {
  Json json;
  put(json, "prefix", source.prefix);
  const bool secret = source.source == KeyReference::Source::secret;
  Json& reference = json[secret ? "secretRef" : "configMapRef"];
  reference["name"] = source.name;
  put_if(reference, "optional", source.optional);
  return json;
}

Json action_of(const HttpAction& action) {
  Json json;
  json["path"] = action.path;
  json["port"] = json_of(action.port);
  put(json, "host", action.host);
  if (action.https) json["scheme"] = "HTTPS";
  put_list(json, "httpHeaders", action.headers, [](const auto& header) {
    Json one;
    one["name"] = header.first;
    one["value"] = header.second;
    return one;
  });
  return json;
}

Json action_of(const TcpAction& action) {
  Json json;
  json["port"] = json_of(action.port);
  put(json, "host", action.host);
  return json;
}

template <class Variant>
void put_action(Json& json, const Variant& action) {
  if (const auto* http = std::get_if<HttpAction>(&action)) json["httpGet"] = action_of(*http);
  if (const auto* tcp = std::get_if<TcpAction>(&action)) json["tcpSocket"] = action_of(*tcp);
  if (const auto* exec = std::get_if<ExecAction>(&action)) json["exec"]["command"] = exec->command;
}

void put_probe(Json& into, const char* name, const std::optional<Probe>& probe) {
  if (!probe) return;
  Json json;
  put_action(json, probe->action);
  json["initialDelaySeconds"] = probe->initial_delay_seconds;
  json["periodSeconds"] = probe->period_seconds;
  json["timeoutSeconds"] = probe->timeout_seconds;
  json["successThreshold"] = probe->success_threshold;
  json["failureThreshold"] = probe->failure_threshold;
  into[name] = std::move(json);
}

void put_hook(Json& into, const char* name, const std::optional<Hook>& hook) {
  if (!hook) return;
  Json json;
  put_action(json, *hook);
  if (const auto* sleep = std::get_if<SleepAction>(&*hook)) {
    json["sleep"]["seconds"] = sleep->seconds;
  }
  into["lifecycle"][name] = std::move(json);
}

Json security_of(const SecurityContext& security) {
  Json json = Json::object();
  put(json, "runAsUser", security.run_as_user);
  put(json, "runAsGroup", security.run_as_group);
  if (security.privileged) json["privileged"] = true;
  Json capabilities = Json::object();
  if (!security.add_capabilities.empty()) capabilities["add"] = security.add_capabilities;
  if (!security.drop_capabilities.empty()) capabilities["drop"] = security.drop_capabilities;
  put_object(json, "capabilities", std::move(capabilities));
  return json;
}

Json container_port_of(const ContainerPort& port) {
  Json json;
  put(json, "name", port.name);
  json["containerPort"] = port.port;
  json["protocol"] = name_of(port.protocol);
  return json;
}

Json mount_of(const VolumeMount& mount) {
  Json json;
  json["name"] = mount.name;
  json["mountPath"] = mount.path;
  put(json, "subPath", mount.sub_path);
  put_if(json, "readOnly", mount.read_only);
  return json;
}

Json container_of(const Container& container) {
  Json json;
  json["name"] = container.name;
  json["image"] = container.image;
  if (container.sidecar) json["restartPolicy"] = "Always";
  put(json, "command", container.command);
  put(json, "args", container.args);
  put(json, "workingDir", container.working_dir);
  put_list(json, "ports", container.ports, container_port_of);
  put_list(json, "envFrom", container.env_from, environment_source_of);
  put_list(json, "env", container.env, variable_of);
  put_list(json, "volumeMounts", container.volume_mounts, mount_of);
  put_probe(json, "startupProbe", container.startup_probe);
  put_probe(json, "livenessProbe", container.liveness_probe);
  put_probe(json, "readinessProbe", container.readiness_probe);
  put_hook(json, "postStart", container.post_start);
  put_hook(json, "preStop", container.pre_stop);
  put_object(json, "securityContext", security_of(container.security));
  return json;
}

Json keyed_volume_of(const KeyedVolume& volume) {
  Json json;
  json[volume.source == KeyReference::Source::secret ? "secretName" : "name"] = volume.name;
  put_list(json, "items", volume.items, [](const KeyToPath& item) {
    Json one;
    one["key"] = item.key;
    one["path"] = item.path;
    put(one, "mode", item.mode);
    return one;
  });
  put(json, "defaultMode", volume.default_mode);
  put_if(json, "optional", volume.optional);
  return json;
}

Json downward_volume_of(const DownwardVolume& volume) {
  Json json = Json::object();
  put_list(json, "items", volume.items, [](const KeyToPath& item) {
    Json one;
    one["path"] = item.path;
    one["fieldRef"]["fieldPath"] = item.key;
    put(one, "mode", item.mode);
    return one;
  });
  put(json, "defaultMode", volume.default_mode);
  return json;
}

Json volume_of(const Volume& volume) {
  Json json;
  json["name"] = volume.name;
  if (const auto* empty = std::get_if<EmptyDirectory>(&volume.source)) {
    json["emptyDir"] = Json::object();
    if (empty->memory) json["emptyDir"]["medium"] = "Memory";
  } else if (const auto* keyed = std::get_if<KeyedVolume>(&volume.source)) {
    const bool secret = keyed->source == KeyReference::Source::secret;
    json[secret ? "secret" : "configMap"] = keyed_volume_of(*keyed);
  } else if (const auto* downward = std::get_if<DownwardVolume>(&volume.source)) {
    json["downwardAPI"] = downward_volume_of(*downward);
  } else if (const auto* other = std::get_if<OtherVolume>(&volume.source)) {
    json[other->kind] = Json::object();
  }
  return json;
}

Json pod_spec_of(const PodSpec& spec) {
  Json json;
  put_list(json, "initContainers", spec.init_containers, container_of);
  put_list(json, "containers", spec.containers, container_of);
  put_list(json, "volumes", spec.volumes, volume_of);
  switch (spec.restart_policy) {
    case RestartPolicy::always:
      json["restartPolicy"] = "Always";
      break;
    case RestartPolicy::on_failure:
      json["restartPolicy"] = "OnFailure";
      break;
    case RestartPolicy::never:
      json["restartPolicy"] = "Never";
      break;
  }
  json["terminationGracePeriodSeconds"] = spec.termination_grace_seconds;
  put(json, "nodeName", spec.node_name);
  put(json, "nodeSelector", spec.node_selector);
  json["serviceAccountName"] = spec.service_account;
  put_if(json, "hostNetwork", spec.host_network);
  put(json, "hostname", spec.hostname);
  put(json, "subdomain", spec.subdomain);
  if (!spec.service_links) json["enableServiceLinks"] = false;
  put_object(json, "securityContext", security_of(spec.security));
  return json;
}

Json template_of(const PodTemplate& pods) {
  Json json;
  Json metadata = Json::object();
  put(metadata, "labels", pods.labels);
  put(metadata, "annotations", pods.annotations);
  json["metadata"] = std::move(metadata);
  json["spec"] = pod_spec_of(pods.spec);
  return json;
}

void put_addresses(Json& into, const char* list, const char* single,
                   const std::vector<IpAddress>& addresses) {
  if (addresses.empty()) return;
  into[single] = addresses.front().text();
  put_list(into, list, addresses, [](const IpAddress& ip) {
    Json one;
    one["ip"] = ip.text();
    return one;
  });
}

Json state_of(const ContainerStatus& status) {
  Json json;
  if (const auto* waiting = std::get_if<Waiting>(&status.state)) {
    Json& one = json["waiting"] = Json::object();
    put(one, "reason", waiting->reason);
    put(one, "message", waiting->message);
  } else if (const auto* running = std::get_if<Running>(&status.state)) {
    Json& one = json["running"] = Json::object();
    put(one, "startedAt", running->started_at);
  } else if (const auto* terminated = std::get_if<Terminated>(&status.state)) {
    Json& one = json["terminated"] = Json::object();
    one["exitCode"] = terminated->exit_code;
    if (terminated->signal != 0) one["signal"] = terminated->signal;
    put(one, "reason", terminated->reason);
    put(one, "startedAt", terminated->started_at);
    put(one, "finishedAt", terminated->finished_at);
  }
  return json;
}

Json container_status_of(const ContainerStatus& status) {
  Json json;
  json["name"] = status.name;
  put(json, "image", status.image);
  json["ready"] = status.ready;
  json["started"] = status.started;
  json["restartCount"] = status.restart_count;
  json["state"] = state_of(status);
  return json;
}

const char* name_of(PodPhase phase) {
  switch (phase) {
    case PodPhase::pending:
      return "Pending";
    case PodPhase::running:
      return "Running";
    case PodPhase::succeeded:
      return "Succeeded";
    case PodPhase::failed:
      return "Failed";
    case PodPhase::unknown:
      return "Unknown";
  }
  return "Unknown";
}

Json pod_status_of(const PodStatus& status) {
  Json json;
  json["phase"] = name_of(status.phase);
  put_list(json, "conditions", status.conditions, condition_of);
  put(json, "message", status.message);
  put(json, "reason", status.reason);
  put_addresses(json, "hostIPs", "hostIP", status.host_ips);
  put_addresses(json, "podIPs", "podIP", status.pod_ips);
  put(json, "startTime", status.start_time);
  put_list(json, "initContainerStatuses", status.init_containers, container_status_of);
  put_list(json, "containerStatuses", status.containers, container_status_of);
  return json;
}

// ── services and endpoints ──────────────────────────────────────────────────────────────────────

Json service_port_of(const ServicePort& port) {
  Json json;
  put(json, "name", port.name);
  json["protocol"] = name_of(port.protocol);
  json["port"] = port.port;
  if (port.target.given()) json["targetPort"] = json_of(port.target);
  put(json, "appProtocol", port.app_protocol);
  return json;
}

const char* name_of(ServiceType type) {
  switch (type) {
    case ServiceType::cluster_ip:
      return "ClusterIP";
    case ServiceType::node_port:
      return "NodePort";
    case ServiceType::load_balancer:
      return "LoadBalancer";
    case ServiceType::external_name:
      return "ExternalName";
  }
  return "ClusterIP";
}

void put_cluster_ips(Json& into, const Service& service) {
  Json list = Json::array();
  if (service.headless) list.push_back("None");
  for (const IpAddress& ip : service.cluster_ips) list.push_back(ip.text());
  if (list.empty()) return;
  into["clusterIP"] = list[0];
  into["clusterIPs"] = std::move(list);
}

const char* name_of(IpFamilyPolicy policy) {
  switch (policy) {
    case IpFamilyPolicy::unset:
      return "";
    case IpFamilyPolicy::single:
      return "SingleStack";
    case IpFamilyPolicy::prefer_dual:
      return "PreferDualStack";
    case IpFamilyPolicy::require_dual:
      return "RequireDualStack";
  }
  return "";
}

Json service_spec_of(const Service& service) {
  Json json;
  json["type"] = name_of(service.type);
  put(json, "selector", service.selector);
  put_cluster_ips(json, service);
  put_list(json, "ipFamilies", service.ip_families, [](Family family) { return name_of(family); });
  put(json, "ipFamilyPolicy", std::string(name_of(service.ip_family_policy)));
  put_list(json, "ports", service.ports, service_port_of);
  put(json, "externalName", service.external_name);
  put_if(json, "publishNotReadyAddresses", service.publish_not_ready_addresses);
  return json;
}

void put_target(Json& into, const std::optional<ObjectReference>& target) {
  if (!target) return;
  Json json = Json::object();
  put(json, "kind", target->kind);
  put(json, "namespace", target->name_space);
  put(json, "name", target->name);
  put(json, "uid", target->uid);
  into["targetRef"] = std::move(json);
}

Json endpoint_port_of(const EndpointPort& port) {
  Json json;
  put(json, "name", port.name);
  if (port.port != 0) json["port"] = port.port;
  json["protocol"] = name_of(port.protocol);
  put(json, "appProtocol", port.app_protocol);
  return json;
}

Json endpoint_address_of(const EndpointAddress& address) {
  Json json;
  json["ip"] = address.ip.text();
  put(json, "hostname", address.hostname);
  put(json, "nodeName", address.node_name);
  put_target(json, address.target);
  return json;
}

Json slice_endpoint_of(const SliceEndpoint& endpoint) {
  Json json;
  put_list(json, "addresses", endpoint.addresses, [](const IpAddress& ip) { return ip.text(); });
  Json conditions = Json::object();
  put(conditions, "ready", endpoint.ready);
  put(conditions, "serving", endpoint.serving);
  put(conditions, "terminating", endpoint.terminating);
  put_object(json, "conditions", std::move(conditions));
  put(json, "hostname", endpoint.hostname);
  put(json, "nodeName", endpoint.node_name);
  put(json, "zone", endpoint.zone);
  put_target(json, endpoint.target);
  return json;
}

Json workload_of(const WorkloadEntrySpec& spec) {
  Json json;
  put(json, "address", spec.address);
  if (!spec.ports.empty()) json["ports"] = spec.ports;
  put(json, "labels", spec.labels);
  put(json, "locality", spec.locality);
  if (spec.weight != 1) json["weight"] = spec.weight;
  put(json, "serviceAccount", spec.service_account);
  return json;
}

const char* name_of(Resolution resolution) {
  switch (resolution) {
    case Resolution::none:
      return "NONE";
    case Resolution::fixed:
      return "STATIC";
    case Resolution::dns:
      return "DNS";
    case Resolution::dns_round_robin:
      return "DNS_ROUND_ROBIN";
  }
  return "NONE";
}

Json entry_port_of(const EntryPort& port) {
  Json json;
  json["number"] = port.number;
  json["name"] = port.name;
  put(json, "protocol", port.protocol);
  if (port.target_port != 0) json["targetPort"] = port.target_port;
  return json;
}

// ── whole objects: what stands beside kind and metadata ─────────────────────────────────────────

void put_rest(Json& /*json*/, const Namespace& /*object*/) {}
void put_rest(Json& /*json*/, const ServiceAccount& /*object*/) {}

void put_rest(Json& json, const Node& node) {
  Json spec = Json::object();
  if (!node.pod_cidrs.empty()) spec["podCIDR"] = node.pod_cidrs.front();
  put(spec, "podCIDRs", node.pod_cidrs);
  put_if(spec, "unschedulable", node.unschedulable);
  json["spec"] = std::move(spec);
  Json status = Json::object();
  put_list(status, "conditions", node.conditions, condition_of);
  put_list(status, "addresses", node.addresses, [](const NodeAddress& address) {
    Json one;
    one["type"] = address.type;
    one["address"] = address.address;
    return one;
  });
  put_object(json, "status", std::move(status));
}

void put_rest(Json& json, const Pod& pod) {
  json["spec"] = pod_spec_of(pod.spec);
  json["status"] = pod_status_of(pod.status);
}

void put_rest(Json& json, const Deployment& deployment) {
  Json& spec = json["spec"];
  spec["replicas"] = deployment.replicas;
  spec["selector"] = selector_of(deployment.selector);
  spec["strategy"]["type"] = deployment.recreate ? "Recreate" : "RollingUpdate";
  if (!deployment.recreate) {
    spec["strategy"]["rollingUpdate"]["maxSurge"] = json_of(deployment.max_surge);
    spec["strategy"]["rollingUpdate"]["maxUnavailable"] = json_of(deployment.max_unavailable);
  }
  spec["template"] = template_of(deployment.pod_template);
}

void put_rest(Json& json, const ReplicaSet& set) {
  Json& spec = json["spec"];
  spec["replicas"] = set.replicas;
  spec["selector"] = selector_of(set.selector);
  spec["template"] = template_of(set.pod_template);
}

void put_rest(Json& json, const StatefulSet& set) {
  Json& spec = json["spec"];
  spec["replicas"] = set.replicas;
  spec["selector"] = selector_of(set.selector);
  put(spec, "serviceName", set.service_name);
  spec["podManagementPolicy"] = set.parallel ? "Parallel" : "OrderedReady";
  spec["updateStrategy"]["type"] = set.on_delete ? "OnDelete" : "RollingUpdate";
  if (set.partition != 0) spec["updateStrategy"]["rollingUpdate"]["partition"] = set.partition;
  spec["template"] = template_of(set.pod_template);
}

void put_rest(Json& json, const DaemonSet& set) {
  Json& spec = json["spec"];
  spec["selector"] = selector_of(set.selector);
  spec["updateStrategy"]["type"] = set.on_delete ? "OnDelete" : "RollingUpdate";
  spec["updateStrategy"]["rollingUpdate"]["maxUnavailable"] = json_of(set.max_unavailable);
  spec["template"] = template_of(set.pod_template);
}

void put_rest(Json& json, const Service& service) {
  json["spec"] = service_spec_of(service);
}

void put_rest(Json& json, const Endpoints& endpoints) {
  put_list(json, "subsets", endpoints.subsets, [](const EndpointSubset& subset) {
    Json one = Json::object();
    put_list(one, "addresses", subset.addresses, endpoint_address_of);
    put_list(one, "notReadyAddresses", subset.not_ready_addresses, endpoint_address_of);
    put_list(one, "ports", subset.ports, endpoint_port_of);
    return one;
  });
}

void put_rest(Json& json, const EndpointSlice& slice) {
  json["addressType"] = name_of(slice.family);
  json["endpoints"] = Json::array();
  put_list(json, "endpoints", slice.endpoints, slice_endpoint_of);
  put_list(json, "ports", slice.ports, endpoint_port_of);
}

void put_rest(Json& json, const ConfigMap& map) {
  put(json, "data", map.data);
  put_object(json, "binaryData", data_of(map.binary_data));
}

void put_rest(Json& json, const Secret& secret) {
  json["type"] = secret.type;
  put_object(json, "data", data_of(secret.data));
}

void put_rest(Json& json, const ServiceEntry& entry) {
  Json& spec = json["spec"];
  put(spec, "hosts", entry.hosts);
  put(spec, "addresses", entry.addresses);
  put_list(spec, "ports", entry.ports, entry_port_of);
  spec["location"] = entry.internal ? "MESH_INTERNAL" : "MESH_EXTERNAL";
  spec["resolution"] = name_of(entry.resolution);
  put_list(spec, "endpoints", entry.endpoints, workload_of);
  if (!entry.workload_selector.empty()) {
    spec["workloadSelector"]["labels"] = entry.workload_selector;
  }
}

void put_rest(Json& json, const WorkloadEntry& entry) {
  json["spec"] = workload_of(entry.spec);
}

const char* name_of(MutualTls mode) {
  switch (mode) {
    case MutualTls::unset:
      return "UNSET";
    case MutualTls::optional:
      return "PERMISSIVE";
    case MutualTls::required:
      return "STRICT";
  }
  return "UNSET";
}

Json whom_of(const Policy& policy) {
  Json spec = Json::object();
  if (!policy.selector.match_labels.empty()) {
    spec["selector"]["matchLabels"] = policy.selector.match_labels;
  }
  if (!policy.by_target) return spec;
  spec["targetRefs"] = Json::array();
  for (const std::string& service : policy.services) {
    spec["targetRefs"].push_back({{"kind", "Service"}, {"name", service}});
  }
  if (policy.services.empty()) {
    spec["targetRefs"].push_back({{"kind", "Gateway"}, {"name", "none"}});
  }
  return spec;
}

void put_rest(Json& json, const PeerAuthentication& policy) {
  Json& spec = json["spec"] = whom_of(policy);
  spec["mtls"]["mode"] = name_of(policy.mode);
  for (const auto& [port, mode] : policy.ports) {
    spec["portLevelMtls"][std::to_string(port)]["mode"] = name_of(mode);
  }
}

// Rules are counted alone: there are some, or none.
void put_rest(Json& json, const AuthorizationPolicy& policy) {
  Json& spec = json["spec"] = whom_of(policy);
  spec["action"] = policy.action;
  if (policy.has_rules) spec["rules"] = Json::array({Json::object()});
}

void put_rest(Json& json, const RequestAuthentication& policy) {
  Json& spec = json["spec"] = whom_of(policy);
  if (policy.has_rules) spec["jwtRules"] = Json::array({Json::object()});
}

void put_rest(Json& json, const NetworkPolicy& policy) {
  Json& spec = json["spec"];
  spec["podSelector"] = selector_of(policy.selector);
  spec["policyTypes"] = Json::array();
  if (policy.ingress) spec["policyTypes"].push_back("Ingress");
  if (policy.egress) spec["policyTypes"].push_back("Egress");
}

template <class Object>
void write_all(std::string& items, const char* version, const char* kind,
               const std::vector<Object>& objects) {
  for (const Object& object : objects) {
    Json json;
    json["apiVersion"] = version;
    json["kind"] = kind;
    json["metadata"] = metadata_of(object.metadata);
    put_rest(json, object);
    items += items.empty() ? "\n" : ",\n";
    items += json_text(json);
  }
}

}  // namespace

std::string write(const PodTemplate& pods) {
  return json_text(template_of(pods));
}

std::string write(const Objects& objects) {
  std::string items;
  write_all(items, "v1", "Namespace", objects.namespaces);
  write_all(items, "v1", "Node", objects.nodes);
  write_all(items, "v1", "ServiceAccount", objects.service_accounts);
  write_all(items, "v1", "ConfigMap", objects.config_maps);
  write_all(items, "v1", "Secret", objects.secrets);
  write_all(items, "v1", "Service", objects.services);
  write_all(items, "v1", "Endpoints", objects.endpoints);
  write_all(items, "discovery.k8s.io/v1", "EndpointSlice", objects.endpoint_slices);
  write_all(items, "apps/v1", "Deployment", objects.deployments);
  write_all(items, "apps/v1", "ReplicaSet", objects.replica_sets);
  write_all(items, "apps/v1", "StatefulSet", objects.stateful_sets);
  write_all(items, "apps/v1", "DaemonSet", objects.daemon_sets);
  write_all(items, "v1", "Pod", objects.pods);
  write_all(items, "networking.istio.io/v1", "ServiceEntry", objects.service_entries);
  write_all(items, "networking.istio.io/v1", "WorkloadEntry", objects.workload_entries);
  write_all(items, "security.istio.io/v1", "PeerAuthentication", objects.peer_authentications);
  write_all(items, "security.istio.io/v1", "AuthorizationPolicy", objects.authorization_policies);
  write_all(items, "security.istio.io/v1", "RequestAuthentication",
            objects.request_authentications);
  write_all(items, "networking.k8s.io/v1", "NetworkPolicy", objects.network_policies);
  Json metadata = Json::object();
  put(metadata, "resourceVersion", objects.resource_version);
  return R"({"kind":"List","apiVersion":"v1","metadata":)" + json_text(metadata) + ",\"items\":[" +
         items + (items.empty() ? "" : "\n") + "]}\n";
}

}  // namespace fairlead::kube
