// Kubernetes' objects as values: what of them fairlead honours, each with the place that it came
// from. Field names are Kubernetes' own, spelled our way. What a manifest may hold beyond these
// fields is listed as ignored by read.h, never dropped in silence.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/address.h"
#include "base/lifetime.h"
#include "base/origin.h"

namespace fairlead::kube {

using StringMap = std::map<std::string, std::string>;

// ── what all objects have ───────────────────────────────────────────────────────────────────────

struct OwnerReference {
  std::string api_version;
  std::string kind;
  std::string name;
  std::string uid;
  bool controller = false;
  bool operator==(const OwnerReference&) const = default;
};

struct Metadata {
  std::string name_space;  // "default" when a namespaced object names none; empty for the others
  std::string name;
  StringMap labels;
  StringMap annotations;  // without fairlead/origin, which is `origin`
  std::vector<OwnerReference> owners;
  std::string uid;
  std::string resource_version;
  std::string creation_time;  // RFC 3339, as written
  std::string deletion_time;  // not empty: it is going away
  Origin origin;              // the line of its document (or item of a List) that a person wrote
  bool operator==(const Metadata&) const = default;

  [[nodiscard]] std::string full_name() const {
    return name_space.empty() ? name : name_space + '/' + name;
  }
};

[[nodiscard]] const OwnerReference* controller_of(const Metadata& metadata LIFETIMEBOUND);
// The owner that manages the object; null when there is none.

struct SelectorRequirement {
  enum class Operator : std::uint8_t { in, not_in, exists, does_not_exist };
  std::string key;
  Operator operation = Operator::in;
  std::vector<std::string> values;
  bool operator==(const SelectorRequirement&) const = default;
};

struct LabelSelector {
  StringMap match_labels;
  std::vector<SelectorRequirement> match_expressions;
  bool operator==(const LabelSelector&) const = default;

  [[nodiscard]] bool matches(const StringMap& labels) const;
  [[nodiscard]] bool empty() const { return match_labels.empty() && match_expressions.empty(); }
};

[[nodiscard]] bool selects(const StringMap& selector, const StringMap& labels);
// Whether `labels` hold all of `selector`; an empty selector selects everything.

enum class Protocol : std::uint8_t { tcp, udp, sctp };

// A port by number or by the name of a container's port.
struct PortReference {
  std::uint16_t number = 0;  // 0: by name
  std::string name;
  bool operator==(const PortReference&) const = default;
  [[nodiscard]] bool given() const { return number != 0 || !name.empty(); }
};

// An amount or a share, as in maxSurge: 1 or 25%.
struct Share {
  int amount = 0;
  bool percent = false;
  bool operator==(const Share&) const = default;
  [[nodiscard]] int of(int total, bool round_up) const;
};

// ── pods ────────────────────────────────────────────────────────────────────────────────────────

struct FieldReference {
  std::string path;  // "metadata.name", "status.podIP", "metadata.labels['app']"
  bool operator==(const FieldReference&) const = default;
};

struct KeyReference {
  enum class Source : std::uint8_t { config_map, secret };
  Source source = Source::config_map;
  std::string name;
  std::string key;
  bool optional = false;
  bool operator==(const KeyReference&) const = default;
};

struct EnvironmentVariable {
  std::string name;
  std::variant<std::string, FieldReference, KeyReference> value;
  // Text may hold $(OTHER), which whoever starts the container replaces.
  bool operator==(const EnvironmentVariable&) const = default;
};

struct EnvironmentSource {
  KeyReference::Source source = KeyReference::Source::config_map;
  std::string name;
  std::string prefix;
  bool optional = false;
  bool operator==(const EnvironmentSource&) const = default;
};

struct ContainerPort {
  std::string name;
  std::uint16_t port = 0;
  Protocol protocol = Protocol::tcp;
  bool operator==(const ContainerPort&) const = default;
};

struct HttpAction {
  std::string path = "/";
  PortReference port;
  std::string host;    // empty: the pod's address
  bool https = false;  // scheme
  std::vector<std::pair<std::string, std::string>> headers;
  bool operator==(const HttpAction&) const = default;
};

struct TcpAction {
  PortReference port;
  std::string host;
  bool operator==(const TcpAction&) const = default;
};

struct ExecAction {
  std::vector<std::string> command;
  bool operator==(const ExecAction&) const = default;
};

struct SleepAction {
  int seconds = 0;
  bool operator==(const SleepAction&) const = default;
};

struct Probe {
  std::variant<HttpAction, TcpAction, ExecAction> action;
  int initial_delay_seconds = 0;
  int period_seconds = 10;
  int timeout_seconds = 1;
  int success_threshold = 1;
  int failure_threshold = 3;
  bool operator==(const Probe&) const = default;
};

using Hook = std::variant<ExecAction, HttpAction, TcpAction, SleepAction>;

struct SecurityContext {
  std::optional<std::int64_t> run_as_user;
  std::optional<std::int64_t> run_as_group;
  bool privileged = false;                    // of a container; so are the next two
  std::vector<std::string> add_capabilities;  // as written: NET_ADMIN, CAP_NET_ADMIN, ALL
  std::vector<std::string> drop_capabilities;
  bool operator==(const SecurityContext&) const = default;
};

struct VolumeMount {
  std::string name;
  std::string path;      // mountPath
  std::string sub_path;  // one file or folder of the volume
  bool read_only = false;
  bool operator==(const VolumeMount&) const = default;
};

struct Container {
  std::string name;
  std::string image;
  std::vector<std::string> command;
  std::vector<std::string> args;
  std::string working_dir;
  std::vector<EnvironmentVariable> env;
  std::vector<EnvironmentSource> env_from;
  std::vector<ContainerPort> ports;
  std::vector<VolumeMount> volume_mounts;
  std::optional<Probe> startup_probe;
  std::optional<Probe> readiness_probe;
  std::optional<Probe> liveness_probe;
  std::optional<Hook> post_start;
  std::optional<Hook> pre_stop;
  SecurityContext security;
  bool sidecar = false;  // an init container with restartPolicy: Always; runs as long as the pod
  bool operator==(const Container&) const = default;
};

// Which keys (or fields) of a source appear as which files.
struct KeyToPath {
  std::string key;  // of a downward API volume: the field's path
  std::string path;
  std::optional<int> mode;
  bool operator==(const KeyToPath&) const = default;
};

struct EmptyDirectory {
  bool memory = false;
  bool operator==(const EmptyDirectory&) const = default;
};

struct KeyedVolume {
  KeyReference::Source source = KeyReference::Source::config_map;
  std::string name;
  std::vector<KeyToPath> items;  // empty: every key as a file of its name
  std::optional<int> default_mode;
  bool optional = false;
  bool operator==(const KeyedVolume&) const = default;
};

struct DownwardVolume {
  std::vector<KeyToPath> items;
  std::optional<int> default_mode;
  bool operator==(const DownwardVolume&) const = default;
};

// A kind of volume that is not honoured (listed as ignored): an empty folder stands in for it.
struct OtherVolume {
  std::string kind;  // "hostPath", "persistentVolumeClaim", "projected"
  bool operator==(const OtherVolume&) const = default;
};

struct Volume {
  std::string name;
  std::variant<EmptyDirectory, KeyedVolume, DownwardVolume, OtherVolume> source;
  bool operator==(const Volume&) const = default;
};

enum class RestartPolicy : std::uint8_t { always, on_failure, never };

struct PodSpec {
  std::vector<Container> init_containers;
  std::vector<Container> containers;
  std::vector<Volume> volumes;
  RestartPolicy restart_policy = RestartPolicy::always;
  int termination_grace_seconds = 30;
  std::string node_name;
  StringMap node_selector;
  std::string service_account = "default";
  bool host_network = false;
  std::string hostname;       // empty: the pod's name
  std::string subdomain;      // of a headless service
  bool service_links = true;  // variables that name the services of its namespace
  SecurityContext security;
  bool operator==(const PodSpec&) const = default;
};

struct PodTemplate {
  StringMap labels;
  StringMap annotations;
  PodSpec spec;
  bool operator==(const PodTemplate&) const = default;
};

struct Waiting {
  std::string reason;  // "CrashLoopBackOff", "PodInitializing"
  std::string message;
  bool operator==(const Waiting&) const = default;
};

struct Running {
  std::string started_at;
  bool operator==(const Running&) const = default;
};

struct Terminated {
  int exit_code = 0;
  int signal = 0;
  std::string reason;  // "Completed", "Error"
  std::string started_at;
  std::string finished_at;
  bool operator==(const Terminated&) const = default;
};

struct ContainerStatus {
  std::string name;
  std::string image;
  bool ready = false;
  bool started = false;
  int restart_count = 0;
  std::variant<Waiting, Running, Terminated> state;
  bool operator==(const ContainerStatus&) const = default;
};

struct Condition {
  std::string type;    // "Ready", "ContainersReady", "PodScheduled", "Initialized"
  std::string status;  // "True", "False", "Unknown"
  std::string reason;
  std::string message;
  bool operator==(const Condition&) const = default;
};

enum class PodPhase : std::uint8_t { pending, running, succeeded, failed, unknown };

struct PodStatus {
  PodPhase phase = PodPhase::pending;
  std::vector<Condition> conditions;
  std::vector<IpAddress> pod_ips;  // the first is podIP
  std::vector<IpAddress> host_ips;
  std::string start_time;
  std::vector<ContainerStatus> init_containers;
  std::vector<ContainerStatus> containers;
  std::string message;
  std::string reason;
  bool operator==(const PodStatus&) const = default;
};

struct Pod {
  Metadata metadata;
  PodSpec spec;
  PodStatus status;
  bool operator==(const Pod&) const = default;
};

[[nodiscard]] bool is_ready(const Pod& pod);        // its condition Ready is True
[[nodiscard]] bool is_terminating(const Pod& pod);  // it has a deletion time
[[nodiscard]] bool is_over(const Pod& pod);         // succeeded or failed: it runs no more
[[nodiscard]] const Condition* find_condition(
    const std::vector<Condition>& conditions LIFETIMEBOUND, std::string_view type);
void set_condition(std::vector<Condition>& conditions, Condition condition);
// Replaces the one of that type, or adds it.

// ── controllers' objects ────────────────────────────────────────────────────────────────────────

struct Deployment {
  Metadata metadata;
  int replicas = 1;
  LabelSelector selector;
  PodTemplate pod_template;
  bool recreate = false;  // strategy: all old pods go before new ones come
  Share max_surge{25, true};
  Share max_unavailable{25, true};
  bool operator==(const Deployment&) const = default;
};

struct ReplicaSet {
  Metadata metadata;
  int replicas = 1;
  LabelSelector selector;
  PodTemplate pod_template;
  bool operator==(const ReplicaSet&) const = default;
};

struct StatefulSet {
  Metadata metadata;
  int replicas = 1;
  LabelSelector selector;
  PodTemplate pod_template;
  std::string service_name;
  bool parallel = false;   // podManagementPolicy
  bool on_delete = false;  // updateStrategy: a changed template waits until a pod is deleted
  int partition = 0;       // pods below this ordinal keep the old template
  bool operator==(const StatefulSet&) const = default;
};

// What a StatefulSet's pods were made of before its template changed.
struct ControllerRevision {
  Metadata metadata;  // owned by the set; named SET-HASH, as pods' controller-revision-hash
  PodTemplate pod_template;
  bool operator==(const ControllerRevision&) const = default;
};

struct DaemonSet {
  Metadata metadata;
  LabelSelector selector;
  PodTemplate pod_template;
  bool on_delete = false;
  Share max_unavailable{1, false};
  bool operator==(const DaemonSet&) const = default;
};

// ── services and endpoints ──────────────────────────────────────────────────────────────────────

enum class ServiceType : std::uint8_t { cluster_ip, node_port, load_balancer, external_name };
enum class IpFamilyPolicy : std::uint8_t { unset, single, prefer_dual, require_dual };

struct ServicePort {
  std::string name;
  std::uint16_t port = 0;
  Protocol protocol = Protocol::tcp;
  PortReference target;  // not given: the same as `port`
  std::string app_protocol;
  bool operator==(const ServicePort&) const = default;
};

struct Service {
  Metadata metadata;
  ServiceType type = ServiceType::cluster_ip;
  StringMap selector;  // empty: endpoints are given by hand
  bool headless = false;
  std::vector<IpAddress> cluster_ips;  // empty: none yet, headless, or an alias
  std::vector<Family> ip_families;
  IpFamilyPolicy ip_family_policy = IpFamilyPolicy::unset;
  std::vector<ServicePort> ports;
  std::string external_name;
  bool publish_not_ready_addresses = false;
  bool operator==(const Service&) const = default;
};

struct ObjectReference {
  std::string kind;
  std::string name_space;
  std::string name;
  std::string uid;
  bool operator==(const ObjectReference&) const = default;
};

struct EndpointPort {
  std::string name;
  std::uint16_t port = 0;  // 0 in a slice: any
  Protocol protocol = Protocol::tcp;
  std::string app_protocol;
  bool operator==(const EndpointPort&) const = default;
};

struct EndpointAddress {
  IpAddress ip;
  std::string hostname;
  std::string node_name;
  std::optional<ObjectReference> target;
  bool operator==(const EndpointAddress&) const = default;
};

struct EndpointSubset {
  std::vector<EndpointAddress> addresses;
  std::vector<EndpointAddress> not_ready_addresses;
  std::vector<EndpointPort> ports;
  bool operator==(const EndpointSubset&) const = default;
};

struct Endpoints {
  Metadata metadata;  // the name is the Service's
  std::vector<EndpointSubset> subsets;
  bool operator==(const Endpoints&) const = default;
};

struct SliceEndpoint {
  std::vector<IpAddress> addresses;
  std::optional<bool> ready;        // not said: true
  std::optional<bool> serving;      // not said: as ready
  std::optional<bool> terminating;  // not said: false
  std::string hostname;
  std::string node_name;
  std::string zone;
  std::optional<ObjectReference> target;
  bool operator==(const SliceEndpoint&) const = default;

  [[nodiscard]] bool is_ready() const { return ready.value_or(true); }
  [[nodiscard]] bool is_serving() const { return serving.value_or(is_ready()); }
  [[nodiscard]] bool is_terminating() const { return terminating.value_or(false); }
};

inline constexpr const char* service_name_label = "kubernetes.io/service-name";
inline constexpr const char* slice_manager_label = "endpointslice.kubernetes.io/managed-by";
inline constexpr const char* slice_controller = "endpointslice-controller.k8s.io";
inline constexpr const char* slice_mirror_controller = "endpointslicemirroring-controller.k8s.io";
inline constexpr const char* headless_label = "service.kubernetes.io/headless";
inline constexpr const char* template_hash_label = "pod-template-hash";

struct EndpointSlice {
  Metadata metadata;  // its Service is named by service_name_label
  Family family = Family::v4;
  std::vector<SliceEndpoint> endpoints;
  std::vector<EndpointPort> ports;
  bool operator==(const EndpointSlice&) const = default;
};

// ── the rest ────────────────────────────────────────────────────────────────────────────────────

struct Namespace {
  Metadata metadata;
  bool operator==(const Namespace&) const = default;
};

struct NodeAddress {
  std::string type;  // "InternalIP", "Hostname"
  std::string address;
  bool operator==(const NodeAddress&) const = default;
};

struct Node {
  Metadata metadata;
  std::vector<std::string> pod_cidrs;
  bool unschedulable = false;
  std::vector<NodeAddress> addresses;
  std::vector<Condition> conditions;
  bool operator==(const Node&) const = default;
};

struct ServiceAccount {
  Metadata metadata;
  bool operator==(const ServiceAccount&) const = default;
};

struct ConfigMap {
  Metadata metadata;
  StringMap data;         // text
  StringMap binary_data;  // bytes, decoded
  bool operator==(const ConfigMap&) const = default;
};

struct Secret {
  Metadata metadata;
  std::string type = "Opaque";
  StringMap data;  // bytes, decoded; stringData is in it too
  bool operator==(const Secret&) const = default;
};

// ── Istio's ─────────────────────────────────────────────────────────────────────────────────────

struct WorkloadEntrySpec {
  std::string address;  // an IP address, a host name, or unix:///path
  std::map<std::string, std::uint16_t> ports;
  StringMap labels;
  std::string locality;
  std::uint32_t weight = 1;
  std::string service_account;
  bool operator==(const WorkloadEntrySpec&) const = default;
};

struct WorkloadEntry {
  Metadata metadata;
  WorkloadEntrySpec spec;
  bool operator==(const WorkloadEntry&) const = default;
};

struct EntryPort {
  std::uint16_t number = 0;
  std::string name;
  std::string protocol;           // as written: "HTTP", "tcp"
  std::uint16_t target_port = 0;  // 0: the same as `number`
  bool operator==(const EntryPort&) const = default;
};

enum class Resolution : std::uint8_t { none, fixed, dns, dns_round_robin };  // fixed is STATIC

struct ServiceEntry {
  Metadata metadata;
  std::vector<std::string> hosts;
  std::vector<std::string> addresses;  // IP addresses or CIDRs
  std::vector<EntryPort> ports;
  bool internal = false;  // location MESH_INTERNAL
  Resolution resolution = Resolution::none;
  std::vector<WorkloadEntrySpec> endpoints;
  StringMap workload_selector;
  bool operator==(const ServiceEntry&) const = default;
};

// ── policies: read as far as it takes to say whom they would judge ──────────────────────────────

struct Policy {
  Metadata metadata;
  LabelSelector selector;             // of workloads; empty: all
  bool by_target = false;             // targetRefs are given, and the selector counts for nothing
  std::vector<std::string> services;  // Services among them, of its namespace
  bool operator==(const Policy&) const = default;
};

enum class MutualTls : std::uint8_t { unset, optional, required };  // optional: or disabled

struct PeerAuthentication : Policy {
  MutualTls mode = MutualTls::unset;
  std::map<std::uint16_t, MutualTls> ports;
  bool operator==(const PeerAuthentication&) const = default;
};

struct AuthorizationPolicy : Policy {
  std::string action = "ALLOW";
  bool has_rules = false;
  bool operator==(const AuthorizationPolicy&) const = default;

  [[nodiscard]] bool can_refuse() const {
    return action != "AUDIT" && (has_rules || action == "ALLOW");
  }
  // One that denies without a rule denies nothing; one that allows without a rule allows nothing.
};

struct RequestAuthentication : Policy {
  bool has_rules = false;
  bool operator==(const RequestAuthentication&) const = default;
};

struct NetworkPolicy : Policy {
  bool ingress = true;
  bool egress = false;
  bool operator==(const NetworkPolicy&) const = default;
};

// ── all of them ─────────────────────────────────────────────────────────────────────────────────

struct Objects {
  std::string resource_version;  // of the List that held them; empty when there was none
  std::vector<Namespace> namespaces;
  std::vector<Node> nodes;
  std::vector<Pod> pods;
  std::vector<Deployment> deployments;
  std::vector<ReplicaSet> replica_sets;
  std::vector<ControllerRevision> revisions;  // of controllers alone: neither read nor written
  std::vector<StatefulSet> stateful_sets;
  std::vector<DaemonSet> daemon_sets;
  std::vector<Service> services;
  std::vector<Endpoints> endpoints;
  std::vector<EndpointSlice> endpoint_slices;
  std::vector<ServiceAccount> service_accounts;
  std::vector<ConfigMap> config_maps;
  std::vector<Secret> secrets;
  std::vector<ServiceEntry> service_entries;
  std::vector<WorkloadEntry> workload_entries;
  std::vector<PeerAuthentication> peer_authentications;
  std::vector<AuthorizationPolicy> authorization_policies;
  std::vector<RequestAuthentication> request_authentications;
  std::vector<NetworkPolicy> network_policies;
  bool operator==(const Objects&) const = default;
};

template <class Object>
[[nodiscard]] const Object* find(const std::vector<Object>& objects LIFETIMEBOUND,
                                 std::string_view name_space, std::string_view name) {
  // Null when there is none; good as long as `objects` is not changed.
  for (const Object& object : objects) {
    if (object.metadata.name == name && object.metadata.name_space == name_space) return &object;
  }
  return nullptr;
}

}  // namespace fairlead::kube
