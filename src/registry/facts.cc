#include "registry/facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "base/capture_words.h"
#include "registry/policies.h"

namespace fairlead::registry {
namespace {

constexpr std::string_view zone_label = "topology.kubernetes.io/zone";
constexpr std::string_view proxy_container = "istio-proxy";
constexpr std::string_view mirroring_controller = "endpointslicemirroring-controller.k8s.io";

mesh::Transport transport_of(kube::Protocol protocol) {
  switch (protocol) {
    case kube::Protocol::tcp:
      return mesh::Transport::tcp;
    case kube::Protocol::udp:
      return mesh::Transport::udp;
    case kube::Protocol::sctp:
      return mesh::Transport::sctp;
  }
  return mesh::Transport::tcp;
}

std::string lower(std::string_view text) {
  std::string lowered(text);
  std::transform(lowered.begin(), lowered.end(), lowered.begin(), [](char letter) {
    return static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  });
  return lowered;
}

std::optional<mesh::Protocol> protocol_named(std::string_view name) {
  struct Known {
    std::string_view name;
    mesh::Protocol protocol;
  };
  static constexpr std::array known{
      Known{"http", mesh::Protocol::http},   Known{"kubernetes.io/ws", mesh::Protocol::http},
      Known{"http2", mesh::Protocol::http2}, Known{"kubernetes.io/h2c", mesh::Protocol::http2},
      Known{"grpc", mesh::Protocol::grpc},   Known{"grpc-web", mesh::Protocol::grpc},
      Known{"tls", mesh::Protocol::tls},     Known{"https", mesh::Protocol::tls},
      Known{"tcp", mesh::Protocol::tcp},     Known{"kubernetes.io/wss", mesh::Protocol::tls},
      Known{"mongo", mesh::Protocol::tcp},   Known{"mysql", mesh::Protocol::tcp},
      Known{"redis", mesh::Protocol::tcp},
  };
  const std::string wanted = lower(name);
  for (const Known& each : known) {
    if (each.name == wanted) return each.protocol;
  }
  return std::nullopt;
}

std::string text_of(const kube::PortReference& port) {
  return port.number != 0 ? std::to_string(port.number) : port.name;
}

std::string find_or_empty(const kube::StringMap& map, std::string_view key) {
  const auto found = map.find(std::string(key));
  return found == map.end() ? std::string() : found->second;
}

mesh::Sidecar sidecar_named(const std::string& name) {
  if (name == "fairlead") return mesh::Sidecar::fairlead;
  if (name == "envoy") return mesh::Sidecar::envoy;
  return mesh::Sidecar::none;
}

bool injected_here(const kube::StringMap& annotations) {
  return sidecar_named(find_or_empty(annotations, proxy_annotation)) != mesh::Sidecar::none;
}

bool by_address(const mesh::Endpoint& left, const mesh::Endpoint& right) {
  return left.address < right.address;
}

// ── the making of a world ───────────────────────────────────────────────────────────────────────

class Maker {
 public:
  // `previous` may be null; else all but `changes` of it stands.
  Maker(const kube::Objects& objects, const mesh::World* previous, const Changes& changes)
      : objects_(objects),
        plain_manifests_(objects.nodes.empty()),
        previous_(changes.everything ? nullptr : previous),
        changes_(changes) {
    for (const kube::ServiceEntry& entry : objects.service_entries) {
      entry_hosts_.insert(entry.hosts.begin(), entry.hosts.end());
    }
    for (const kube::Endpoints& endpoints : objects.endpoints) {
      endpoints_.try_emplace({endpoints.metadata.name_space, endpoints.metadata.name}, &endpoints);
    }
    for (const kube::EndpointSlice& slice : objects.endpoint_slices) {
      slices_[{slice.metadata.name_space,
               find_or_empty(slice.metadata.labels, kube::service_name_label)}]
          .push_back(&slice);
    }
  }

  mesh::World make() {
    add_namespaces();
    add_nodes();
    add_pods();
    add_virtual_machines();
    add_services();
    add_service_entries();
    list_what_nobody_runs();
    world_.policies = policies_of(objects_);
    sort();
    world_.services = joined_with_known();
    tell_contested_ports();
    world_.workloads = std::move(workloads_);
    world_.ended = std::move(ended_);
    return std::move(world_);
  }

 private:
  void ignore(const kube::Metadata& metadata, std::string field, std::string reason) {
    world_.ignored.push_back(
        {.origin = metadata.origin, .field = std::move(field), .reason = std::move(reason)});
  }

  // What another object has: the loser is named, with who has it.
  void lose(const kube::Metadata& loser, std::string field, std::string reason) {
    world_.contested.push_back(
        {.origin = loser.origin, .field = std::move(field), .reason = std::move(reason)});
    world_.ignored.push_back(world_.contested.back());
  }

  // What an entry says of its ports, and under which names its host has them.
  struct EntryPorts {
    std::vector<mesh::ServicePort> ports;
    std::map<std::string, std::string> names;  // where they differ
  };

  void add_namespaces();
  void add_nodes();
  void add_pods();
  void add_virtual_machines();
  void add_services();
  void add_service_entries();
  void list_what_nobody_runs();
  void sort();

  [[nodiscard]] bool is_known(const mesh::Service& service) const;
  [[nodiscard]] const mesh::Service* known(const kube::Service& given) const;
  mesh::List<mesh::Service> joined_with_known();
  void list_ignored(const mesh::Service& service, const kube::Service& given);
  void add_slices(mesh::Service& service, const kube::Service& given);
  void add_endpoints(mesh::Service& service, const kube::Service& given);
  void add_selected_machines(mesh::Service& service, const kube::StringMap& selector);
  void add_slice_endpoint(mesh::Service& service, const kube::EndpointSlice& slice,
                          const kube::SliceEndpoint& endpoint);
  void add_subset(mesh::Service& service, const kube::Endpoints& endpoints,
                  const kube::EndpointSubset& subset);
  void add_entry_host(const kube::ServiceEntry& entry, const std::string& host);
  std::vector<mesh::ServicePort> ports_of(const kube::ServiceEntry& entry);
  void merge_ports(mesh::Service& service, const kube::ServiceEntry& entry, EntryPorts& own);
  bool is_of_another_service(const kube::ServiceEntry& entry, const std::string& host);
  const kube::Service* service_with(const IpAddress& address);
  void add_entry_endpoints(mesh::Service& service, const kube::ServiceEntry& entry,
                           const EntryPorts& own);
  static mesh::Endpoint named_for(const EntryPorts& own, mesh::Endpoint endpoint);
  void tell_contested_ports();
  void add_selected_pods(mesh::Service& service, const kube::ServiceEntry& entry,
                         const EntryPorts& own);
  void add_entry_endpoint(mesh::Service& service, const kube::WorkloadEntrySpec& spec,
                          const Origin& origin, const std::string& workload, const EntryPorts& own);
  std::vector<IpAddress> addresses_of(const kube::ServiceEntry& entry);
  void describe(mesh::Endpoint& endpoint, const std::string& name_space,
                const std::optional<kube::ObjectReference>& target, const Origin& fallback);
  void mark_proxied(mesh::Endpoint& endpoint) const;
  void place(mesh::Service& service, mesh::Endpoint endpoint);

  const mesh::Workload* workload_named(const std::string& full_name) const {
    const auto found = by_name_.find(full_name);
    return found == by_name_.end() ? nullptr : &workloads_[found->second];
  }
  const mesh::Workload* workload_at(const IpAddress& address) const {
    const auto found = by_address_.find(address);
    return found == by_address_.end() ? nullptr : &workloads_[found->second];
  }
  void add_workload(mesh::Workload workload);
  std::string zone_of_node(const std::string& node) const {
    const mesh::Node* found = mesh::find_node(world_, node);
    return found ? found->zone : std::string();
  }

  const std::vector<const kube::EndpointSlice*>& slices_of(const kube::Service& service) const {
    static const std::vector<const kube::EndpointSlice*> none;
    const auto found = slices_.find({service.metadata.name_space, service.metadata.name});
    return found == slices_.end() ? none : found->second;
  }

  bool has_slices(const kube::Service& service) const { return !slices_of(service).empty(); }
  // Kubernetes copies Endpoints made by hand into slices: then nothing is lost.
  bool is_mirrored(const kube::Service& service) const {
    const auto& slices = slices_of(service);
    return std::any_of(slices.begin(), slices.end(), [](const kube::EndpointSlice* slice) {
      return find_or_empty(slice->metadata.labels, kube::slice_manager_label) ==
             mirroring_controller;
    });
  }
  const kube::Endpoints* endpoints_of(const kube::Service& service) const {
    const auto found = endpoints_.find({service.metadata.name_space, service.metadata.name});
    return found == endpoints_.end() ? nullptr : found->second;
  }

  const kube::Objects& objects_;
  bool plain_manifests_;
  const mesh::World* previous_;
  const Changes& changes_;
  std::set<std::string> entry_hosts_;  // services that have endpoints of ServiceEntries too
  std::map<Changes::ServiceName, const kube::Endpoints*> endpoints_;
  std::map<std::pair<std::string, std::string>, std::vector<const kube::EndpointSlice*>> slices_;
  // By the namespace and name of their Service.
  mesh::World world_;
  std::vector<mesh::Service> services_;  // of the world, while they are gathered
  std::vector<mesh::Workload> workloads_;
  std::vector<mesh::Workload> ended_;
  std::map<std::string, std::size_t> by_name_;  // workloads, while they are not sorted yet
  std::map<IpAddress, std::size_t> by_address_;
  std::optional<std::map<IpAddress, const kube::Service*>> services_by_address_;  // when asked for
};

void Maker::add_namespaces() {
  std::set<std::string> names;
  for (const kube::Namespace& each : objects_.namespaces) names.insert(each.metadata.name);
  const auto add_all = [&](const auto& objects) {
    for (const auto& each : objects) names.insert(each.metadata.name_space);
  };
  add_all(objects_.services);
  add_all(objects_.pods);
  add_all(objects_.service_entries);
  add_all(objects_.workload_entries);
  world_.namespaces.assign(names.begin(), names.end());
}

void Maker::add_nodes() {
  for (const kube::Node& node : objects_.nodes) {
    mesh::Node made{.name = node.metadata.name,
                    .pod_ranges = node.pod_cidrs,
                    .zone = find_or_empty(node.metadata.labels, zone_label),
                    .origin = node.metadata.origin};
    for (const kube::NodeAddress& address : node.addresses) {
      const Result<IpAddress> ip = IpAddress::parse(address.address);
      if (address.type == "InternalIP" && ip) made.addresses.push_back(*ip);
    }
    world_.nodes.push_back(std::move(made));
  }
}

void Maker::add_workload(mesh::Workload workload) {
  const std::size_t place = workloads_.size();
  by_name_.try_emplace(workload.name_space + '/' + workload.name, place);
  for (const IpAddress& address : workload.addresses) by_address_.try_emplace(address, place);
  workloads_.push_back(std::move(workload));
}

// A container's own word stands above its pod's.
mesh::RunsAs runs_as(const kube::Pod& pod) {
  kube::SecurityContext security = pod.spec.security;
  for (const kube::Container& container : pod.spec.containers) {
    if (container.name == proxy_container) continue;
    if (container.security.run_as_user) security.run_as_user = container.security.run_as_user;
    if (container.security.run_as_group) security.run_as_group = container.security.run_as_group;
    break;
  }
  return {.user = static_cast<std::uint32_t>(security.run_as_user.value_or(0)),
          .group = static_cast<std::uint32_t>(security.run_as_group.value_or(0))};
}

mesh::Workload workload_of(const kube::Pod& pod, const kube::Objects& objects) {
  mesh::Workload made{.kind = mesh::WorkloadKind::pod,
                      .name_space = pod.metadata.name_space,
                      .name = pod.metadata.name,
                      .owners = owners_of(pod, objects),
                      .addresses = pod.status.pod_ips,
                      .host_name = pod.spec.hostname,
                      .node = pod.spec.node_name,
                      .service_account = pod.spec.service_account,
                      .labels = pod.metadata.labels,
                      .runs_as = runs_as(pod),
                      .sidecar = sidecar_of(pod),
                      .injected_here = injected_here(pod.metadata.annotations),
                      .ready = kube::is_ready(pod),
                      .terminating = kube::is_terminating(pod),
                      .origin = pod.metadata.origin};
  if (kube::is_over(pod)) {
    made.ended = pod.status.phase == kube::PodPhase::succeeded ? "Succeeded" : "Failed";
  }
  for (const kube::Container& container : pod.spec.init_containers) {
    made.init_containers.push_back(container.name);
  }
  for (const kube::Container& container : pod.spec.containers) {
    made.containers.push_back(container.name);
    for (const kube::ContainerPort& port : container.ports) {
      made.ports.push_back(
          {.name = port.name, .port = port.port, .transport = transport_of(port.protocol)});
    }
  }
  for (const auto& [name, value] : pod.metadata.annotations) {
    if (name.starts_with(capture_annotation_prefix))
      made.capture[name.substr(capture_annotation_prefix.size())] = value;
  }
  return made;
}

void Maker::add_pods() {
  for (const kube::Pod& pod : objects_.pods) {
    if (kube::is_over(pod)) {
      ended_.push_back(workload_of(pod, objects_));
      continue;
    }
    if (plain_manifests_ && pod.status.pod_ips.empty()) {
      ignore(pod.metadata, "", "pods are not run from files: it takes a lab");
      continue;
    }
    add_workload(workload_of(pod, objects_));
  }
}

// What selectors see: those of its metadata stand above those of its spec, as with Istio.
kube::StringMap labels_of(const kube::WorkloadEntry& entry) {
  kube::StringMap labels = entry.metadata.labels;
  labels.insert(entry.spec.labels.begin(), entry.spec.labels.end());
  return labels;
}

void Maker::add_virtual_machines() {
  for (const kube::WorkloadEntry& entry : objects_.workload_entries) {
    const Result<IpAddress> address = IpAddress::parse(entry.spec.address);
    if (!address) {
      ignore(entry.metadata, "spec.address",
             "only IP addresses are honoured, not \"" + entry.spec.address + '"');
      continue;
    }
    mesh::Workload made{
        .kind = mesh::WorkloadKind::vm,
        .name_space = entry.metadata.name_space,
        .name = entry.metadata.name,
        .addresses = {*address},
        .service_account = entry.spec.service_account,
        .labels = labels_of(entry),
        .sidecar = sidecar_named(find_or_empty(entry.metadata.annotations, proxy_annotation)),
        .injected_here = injected_here(entry.metadata.annotations),
        .ready = find_or_empty(entry.metadata.annotations, ready_annotation) != "false",
        .terminating = !entry.metadata.deletion_time.empty(),
        .origin = entry.metadata.origin};
    for (const auto& [name, port] : entry.spec.ports) {
      made.ports.push_back({.name = name, .port = port});
    }
    for (const auto& [name, value] : entry.metadata.annotations) {
      if (name.starts_with(capture_annotation_prefix)) {
        made.capture[name.substr(capture_annotation_prefix.size())] = value;
      }
    }
    add_workload(std::move(made));
  }
}

// ── Kubernetes' services ────────────────────────────────────────────────────────────────────────

mesh::ServiceKind kind_of(const kube::Service& service) {
  if (service.type == kube::ServiceType::external_name) return mesh::ServiceKind::external_name;
  return service.headless ? mesh::ServiceKind::headless : mesh::ServiceKind::cluster_ip;
}

mesh::Service service_of(const kube::Service& service, const std::string& domain) {
  mesh::Service made{
      .name_space = service.metadata.name_space,
      .name = service.metadata.name,
      .host = service.metadata.name + '.' + service.metadata.name_space + ".svc." + domain,
      .kind = kind_of(service),
      .addresses = service.cluster_ips,
      .alias = service.external_name,
      .labels = service.metadata.labels,
      .selector = service.selector,
      .origin = service.metadata.origin};
  for (const kube::ServicePort& port : service.ports) {
    made.ports.push_back({.name = port.name,
                          .port = port.port,
                          .transport = transport_of(port.protocol),
                          .protocol = protocol_of(port.protocol, port.name, port.app_protocol),
                          .target = text_of(port.target)});
  }
  return made;
}

void Maker::add_services() {
  for (const kube::Service& given : objects_.services) {
    if (const mesh::Service* service = known(given)) {
      list_ignored(*service, given);
      continue;
    }
    mesh::Service service = service_of(given, world_.domain);
    if (service.kind != mesh::ServiceKind::external_name) {
      add_slices(service, given);
      add_endpoints(service, given);
      add_selected_machines(service, given.selector);
    }
    list_ignored(service, given);
    services_.push_back(std::move(service));
  }
}

void Maker::list_ignored(const mesh::Service& service, const kube::Service& given) {
  if (service.kind == mesh::ServiceKind::external_name) return;
  const kube::Endpoints* endpoints = endpoints_of(given);
  if (endpoints && has_slices(given) && !is_mirrored(given)) {
    ignore(endpoints->metadata, "", "EndpointSlices of the same Service count instead");
  }
  if (plain_manifests_ && service.endpoints.empty() && !given.selector.empty()) {
    ignore(given.metadata, "spec.selector",
           "pods are not run from files, and no EndpointSlice or Endpoints of this Service is "
           "given");
  }
}

// A service that stands as it did. Those of ServiceEntries are always made anew.
bool Maker::is_known(const mesh::Service& service) const {
  return service.kind != mesh::ServiceKind::external && !entry_hosts_.contains(service.host) &&
         !changes_.services.contains({service.name_space, service.name});
}

const mesh::Service* Maker::known(const kube::Service& given) const {
  if (!previous_) return nullptr;
  const mesh::Service* service =
      mesh::find_service(*previous_, given.metadata.name_space, given.metadata.name);
  return service && is_known(*service) ? service : nullptr;
}

mesh::List<mesh::Service> Maker::joined_with_known() {
  using Items = std::vector<mesh::List<mesh::Service>::Item>;
  const auto before = [](const auto& left, const auto& right) {
    return mesh::ByName()(*left, *right);
  };
  const mesh::List<mesh::Service> made(std::move(services_));
  Items stays;
  if (previous_) {
    const Items& all = previous_->services.items();
    std::copy_if(all.begin(), all.end(), std::back_inserter(stays),
                 [this](const auto& service) { return is_known(*service); });
  }
  Items joined;
  joined.reserve(stays.size() + made.size());
  std::merge(stays.begin(), stays.end(), made.items().begin(), made.items().end(),
             std::back_inserter(joined), before);
  return mesh::List<mesh::Service>(std::move(joined));
}

void Maker::mark_proxied(mesh::Endpoint& endpoint) const {
  const mesh::Workload* workload = workload_named(endpoint.workload);
  if (!workload) return;
  const auto& own = workload->addresses;
  if (std::find(own.begin(), own.end(), endpoint.address) == own.end()) return;
  for (mesh::EndpointPort& port : endpoint.ports) {
    port.proxied = mesh::proxy_takes(*workload, port.port);
  }
}

// The same address may come from several slices, each with other ports.
void Maker::place(mesh::Service& service, mesh::Endpoint endpoint) {
  mark_proxied(endpoint);
  const auto same =
      std::find_if(service.endpoints.begin(), service.endpoints.end(),
                   [&](const mesh::Endpoint& other) { return other.address == endpoint.address; });
  if (same == service.endpoints.end()) {
    service.endpoints.push_back(std::move(endpoint));
    return;
  }
  for (mesh::EndpointPort& port : endpoint.ports) {
    if (std::find(same->ports.begin(), same->ports.end(), port) == same->ports.end()) {
      same->ports.push_back(std::move(port));
    }
  }
  same->ready = same->ready || endpoint.ready;
  same->serving = same->serving || endpoint.serving;
  same->terminating = same->terminating && endpoint.terminating;
}

// What is known of an endpoint from the workload behind it.
void Maker::describe(mesh::Endpoint& endpoint, const std::string& name_space,
                     const std::optional<kube::ObjectReference>& target, const Origin& fallback) {
  const mesh::Workload* workload = nullptr;
  if (target && target->kind == "Pod") {
    const std::string& of = target->name_space.empty() ? name_space : target->name_space;
    endpoint.workload = of + '/' + target->name;
    workload = workload_named(endpoint.workload);
  } else {
    workload = workload_at(endpoint.address);
  }
  endpoint.origin = fallback;
  if (!workload) return;
  endpoint.workload = workload->name_space + '/' + workload->name;
  endpoint.service_account = workload->service_account;
  endpoint.labels = workload->labels;
  endpoint.origin = workload->origin;
  if (endpoint.node.empty()) endpoint.node = workload->node;
}

void Maker::add_slice_endpoint(mesh::Service& service, const kube::EndpointSlice& slice,
                               const kube::SliceEndpoint& given) {
  for (const IpAddress& address : given.addresses) {
    mesh::Endpoint endpoint{.address = address,
                            .ready = given.is_ready(),
                            .serving = given.is_serving(),
                            .terminating = given.is_terminating(),
                            .node = given.node_name,
                            .zone = given.zone,
                            .hostname = given.hostname};
    for (const kube::EndpointPort& port : slice.ports) {
      endpoint.ports.push_back(
          {.name = port.name, .port = port.port, .transport = transport_of(port.protocol)});
    }
    describe(endpoint, service.name_space, given.target, slice.metadata.origin);
    if (endpoint.zone.empty()) endpoint.zone = zone_of_node(endpoint.node);
    place(service, std::move(endpoint));
  }
}

void Maker::add_slices(mesh::Service& service, const kube::Service& given) {
  for (const kube::EndpointSlice* slice : slices_of(given)) {
    for (const kube::SliceEndpoint& endpoint : slice->endpoints) {
      add_slice_endpoint(service, *slice, endpoint);
    }
  }
}

void Maker::add_subset(mesh::Service& service, const kube::Endpoints& endpoints,
                       const kube::EndpointSubset& subset) {
  const auto add = [&](const kube::EndpointAddress& given, bool ready) {
    mesh::Endpoint endpoint{.address = given.ip,
                            .ready = ready,
                            .serving = ready,
                            .node = given.node_name,
                            .hostname = given.hostname};
    for (const kube::EndpointPort& port : subset.ports) {
      endpoint.ports.push_back(
          {.name = port.name, .port = port.port, .transport = transport_of(port.protocol)});
    }
    describe(endpoint, service.name_space, given.target, endpoints.metadata.origin);
    endpoint.zone = zone_of_node(endpoint.node);
    place(service, std::move(endpoint));
  };
  for (const kube::EndpointAddress& address : subset.addresses) add(address, true);
  for (const kube::EndpointAddress& address : subset.not_ready_addresses) add(address, false);
}

void Maker::add_endpoints(mesh::Service& service, const kube::Service& given) {
  const kube::Endpoints* endpoints = endpoints_of(given);
  if (!endpoints || has_slices(given)) return;
  for (const kube::EndpointSubset& subset : endpoints->subsets) {
    add_subset(service, *endpoints, subset);
  }
}

// ── virtual machines behind a service ───────────────────────────────────────────────────────────

// The machine's own number for the service's port: by name, else by what the service says.
std::optional<std::uint16_t> port_of_machine(const mesh::Workload& machine,
                                             const mesh::ServicePort& port) {
  for (const mesh::ContainerPort& own : machine.ports) {
    if (!own.name.empty() && (own.name == port.name || own.name == port.target)) return own.port;
  }
  if (port.target.empty()) return port.port;
  const bool number = std::all_of(port.target.begin(), port.target.end(),
                                  [](unsigned char letter) { return std::isdigit(letter) != 0; });
  if (!number) return std::nullopt;
  return static_cast<std::uint16_t>(std::stoul(port.target));
}

mesh::Endpoint endpoint_at(const mesh::Workload& workload, const IpAddress& address,
                           const std::vector<mesh::ServicePort>& ports) {
  mesh::Endpoint endpoint{.address = address,
                          .ready = workload.ready && !workload.terminating,
                          .serving = workload.ready,
                          .terminating = workload.terminating,
                          .workload = workload.name_space + '/' + workload.name,
                          .node = workload.node,
                          .service_account = workload.service_account,
                          .labels = workload.labels,
                          .origin = workload.origin};
  for (const mesh::ServicePort& port : ports) {
    if (const auto number = port_of_machine(workload, port)) {
      endpoint.ports.push_back({.name = port.name, .port = *number, .transport = port.transport});
    }
  }
  return endpoint;
}

void Maker::add_selected_machines(mesh::Service& service, const kube::StringMap& selector) {
  if (selector.empty()) return;
  for (const kube::WorkloadEntry& entry : objects_.workload_entries) {
    if (entry.metadata.name_space != service.name_space ||
        !kube::selects(selector, labels_of(entry))) {
      continue;
    }
    const mesh::Workload* machine = workload_named(entry.metadata.full_name());
    if (!machine || machine->kind != mesh::WorkloadKind::vm) continue;
    mesh::Endpoint endpoint = endpoint_at(*machine, machine->addresses.front(), service.ports);
    endpoint.weight = std::max<std::uint32_t>(entry.spec.weight, 1);
    endpoint.zone = entry.spec.locality;
    place(service, std::move(endpoint));
  }
}

// ── Istio's service entries ─────────────────────────────────────────────────────────────────────

std::vector<IpAddress> Maker::addresses_of(const kube::ServiceEntry& entry) {
  std::vector<IpAddress> addresses;
  for (const std::string& text : entry.addresses) {
    std::string plain = text;
    for (const std::string_view whole : {"/32", "/128"}) {
      if (plain.ends_with(whole)) plain.resize(plain.size() - whole.size());
    }
    const Result<IpAddress> address = IpAddress::parse(plain);
    const bool second_of_family =
        address && std::any_of(addresses.begin(), addresses.end(), [&](const IpAddress& other) {
          return other.family() == address->family();
        });
    if (!address || second_of_family) {
      ignore(entry.metadata, "spec.addresses",
             '"' + text + "\": one address of each family is honoured, and no range");
      continue;
    }
    if (const kube::Service* owner = service_with(*address)) {
      lose(entry.metadata, "spec.addresses",
           fmt::format("{} is the address of {}, which keeps it", address->text(),
                       owner->metadata.origin.describe()));
      continue;
    }
    addresses.push_back(*address);
  }
  return addresses;
}

void Maker::add_service_entries() {
  for (const kube::ServiceEntry& entry : objects_.service_entries) {
    for (const std::string& host : entry.hosts) add_entry_host(entry, host);
  }
}

void Maker::add_entry_host(const kube::ServiceEntry& entry, const std::string& host) {
  if (host.starts_with('*')) {
    ignore(entry.metadata, "spec.hosts", '"' + host + "\": hosts with a wildcard are not honoured");
    return;
  }
  if (is_of_another_service(entry, host)) return;
  // An entry may give more endpoints to a host that is there already, as it may in Istio.
  const auto existing =
      std::find_if(services_.begin(), services_.end(),
                   [&](const mesh::Service& service) { return service.host == host; });
  if (existing != services_.end()) {
    if (existing->kind != mesh::ServiceKind::external) {
      return add_entry_endpoints(*existing, entry, {.ports = existing->ports, .names = {}});
    }
    EntryPorts own{.ports = ports_of(entry), .names = {}};
    merge_ports(*existing, entry, own);
    for (const IpAddress& address : addresses_of(entry)) {
      const auto& known = existing->addresses;
      if (std::find(known.begin(), known.end(), address) != known.end()) continue;
      lose(entry.metadata, "spec.addresses",
           fmt::format("{} has the addresses that {} gives it, and {} is none of them", host,
                       existing->origin.describe(), address.text()));
    }
    return add_entry_endpoints(*existing, entry, own);
  }
  mesh::Service service{.name_space = entry.metadata.name_space,
                        .name = host,
                        .host = host,
                        .kind = mesh::ServiceKind::external,
                        .addresses = addresses_of(entry),
                        .ports = ports_of(entry),
                        .labels = entry.metadata.labels,
                        .selector = entry.workload_selector,
                        .mesh_external = !entry.internal,
                        .origin = entry.metadata.origin};
  add_entry_endpoints(service, entry, {.ports = service.ports, .names = {}});
  services_.push_back(std::move(service));
}

std::vector<mesh::ServicePort> Maker::ports_of(const kube::ServiceEntry& entry) {
  std::vector<mesh::ServicePort> ports;
  for (const kube::EntryPort& port : entry.ports) {
    const std::optional<mesh::Protocol> protocol = protocol_named(port.protocol);
    if (!protocol) {
      ignore(entry.metadata, "spec.ports",
             '"' + port.protocol + "\" is no protocol that is known: nothing is declared");
    }
    ports.push_back(
        {.name = port.name,
         .port = port.number,
         .protocol = protocol.value_or(mesh::Protocol::undeclared),
         .target = port.target_port == 0 ? std::string() : std::to_string(port.target_port)});
  }
  return ports;
}

// The ports of both entries, as in Istio; a name stands for one number alone.
void Maker::merge_ports(mesh::Service& service, const kube::ServiceEntry& entry, EntryPorts& own) {
  for (mesh::ServicePort port : own.ports) {
    const auto same_number =
        std::find_if(service.ports.begin(), service.ports.end(),
                     [&](const mesh::ServicePort& other) { return other.port == port.port; });
    if (same_number != service.ports.end()) {
      own.names[port.name] = same_number->name;
      if (same_number->protocol == port.protocol) continue;
      lose(entry.metadata, "spec.ports",
           fmt::format("port {} of {} is {} by {}, which counts", port.port, service.host,
                       mesh::name_of(same_number->protocol), service.origin.describe()));
      continue;
    }
    const bool named =
        std::any_of(service.ports.begin(), service.ports.end(),
                    [&](const mesh::ServicePort& other) { return other.name == port.name; });
    if (named) {
      own.names[port.name] = fmt::format("{}-{}", port.name, port.port);
      port.name = own.names[port.name];
    }
    service.ports.push_back(std::move(port));
  }
}

// A host that a Kubernetes Service of another namespace has.
bool Maker::is_of_another_service(const kube::ServiceEntry& entry, const std::string& host) {
  const std::string ending = ".svc." + world_.domain;
  if (!host.ends_with(ending)) return false;
  const std::string_view name = std::string_view(host).substr(0, host.size() - ending.size());
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos || name.substr(dot + 1) == entry.metadata.name_space) {
    return false;
  }
  const kube::Service* owner =
      kube::find(objects_.services, name.substr(dot + 1), name.substr(0, dot));
  if (owner == nullptr) return false;
  lose(entry.metadata, "spec.hosts",
       fmt::format("{} is the host of {}, in another namespace, which keeps it", host,
                   owner->metadata.origin.describe()));
  return true;
}

const kube::Service* Maker::service_with(const IpAddress& address) {
  if (!services_by_address_) {
    services_by_address_.emplace();
    for (const kube::Service& service : objects_.services) {
      for (const IpAddress& ip : service.cluster_ips) services_by_address_->emplace(ip, &service);
    }
  }
  const auto found = services_by_address_->find(address);
  return found == services_by_address_->end() ? nullptr : found->second;
}

mesh::Endpoint Maker::named_for(const EntryPorts& own, mesh::Endpoint endpoint) {
  for (mesh::EndpointPort& port : endpoint.ports) {
    const auto other = own.names.find(port.name);
    if (other != own.names.end()) port.name = other->second;
  }
  return endpoint;
}

void Maker::add_entry_endpoint(mesh::Service& service, const kube::WorkloadEntrySpec& spec,
                               const Origin& origin, const std::string& workload,
                               const EntryPorts& own) {
  const Result<IpAddress> address = IpAddress::parse(spec.address);
  if (!address) {
    world_.ignored.push_back({.origin = origin,
                              .field = "spec.endpoints",
                              .reason = '"' + spec.address +
                                        "\": names are not resolved, only IP addresses are "
                                        "honoured"});
    return;
  }
  const mesh::Workload* known = workload.empty() ? workload_at(*address) : workload_named(workload);
  mesh::Workload stranger{.addresses = {*address}, .labels = spec.labels, .ready = true};
  for (const auto& [name, port] : spec.ports)
    stranger.ports.push_back({.name = name, .port = port});
  mesh::Endpoint endpoint =
      named_for(own, endpoint_at(known ? *known : stranger, *address, own.ports));
  if (!known) {
    endpoint.workload.clear();
    endpoint.origin = origin;
    endpoint.service_account = spec.service_account;
  }
  endpoint.weight = std::max<std::uint32_t>(spec.weight, 1);
  endpoint.zone = spec.locality;
  place(service, std::move(endpoint));
}

void Maker::add_selected_pods(mesh::Service& service, const kube::ServiceEntry& entry,
                              const EntryPorts& own) {
  for (const mesh::Workload& workload : workloads_) {
    if (workload.kind != mesh::WorkloadKind::pod ||
        workload.name_space != entry.metadata.name_space ||
        !kube::selects(entry.workload_selector, workload.labels)) {
      continue;
    }
    for (const IpAddress& address : workload.addresses) {
      mesh::Endpoint endpoint = named_for(own, endpoint_at(workload, address, own.ports));
      endpoint.zone = zone_of_node(workload.node);
      place(service, std::move(endpoint));
    }
  }
}

void Maker::add_entry_endpoints(mesh::Service& service, const kube::ServiceEntry& entry,
                                const EntryPorts& own) {
  for (const kube::WorkloadEntrySpec& spec : entry.endpoints) {
    add_entry_endpoint(service, spec, entry.metadata.origin, "", own);
  }
  if (!entry.workload_selector.empty()) {
    for (const kube::WorkloadEntry& machine : objects_.workload_entries) {
      if (machine.metadata.name_space == entry.metadata.name_space &&
          kube::selects(entry.workload_selector, labels_of(machine))) {
        add_entry_endpoint(service, machine.spec, machine.metadata.origin,
                           machine.metadata.full_name(), own);
      }
    }
    add_selected_pods(service, entry, own);
  }
  const bool by_name = entry.resolution == kube::Resolution::dns ||
                       entry.resolution == kube::Resolution::dns_round_robin;
  if (by_name && service.endpoints.empty()) {
    ignore(entry.metadata, "spec.resolution",
           "names are not resolved for the app: the connection goes to the address that it dials");
  }
}

// ── ports that services disagree about ──────────────────────────────────────────────────────────

bool is_http(mesh::Protocol protocol) {
  return protocol == mesh::Protocol::http;
}

bool is_tcp(mesh::Protocol protocol) {
  return protocol == mesh::Protocol::tcp || protocol == mesh::Protocol::tls;
}

// One port of a pod is taken for one protocol, whichever service it was called by.
void Maker::tell_contested_ports() {
  std::map<std::pair<IpAddress, std::uint16_t>, const mesh::Service*> as_tcp;
  const auto visit = [this](bool (*wanted)(mesh::Protocol), const auto& act) {
    for (const mesh::Service& service : world_.services) {
      for (const mesh::ServicePort& port : service.ports) {
        if (!wanted(port.protocol)) continue;
        for (const mesh::Endpoint& endpoint : service.endpoints) {
          const mesh::EndpointPort* own = mesh::port_of(endpoint, port);
          if (own != nullptr && !act(service, port, endpoint, own->port)) break;
        }
      }
    }
  };
  visit(is_tcp, [&](const auto& service, const auto&, const auto& endpoint, std::uint16_t port) {
    as_tcp.try_emplace({endpoint.address, port}, &service);
    return true;
  });
  if (as_tcp.empty()) return;
  visit(is_http, [&](const auto& service, const auto& port, const auto& endpoint,
                     std::uint16_t own) {
    const auto found = as_tcp.find({endpoint.address, own});
    if (found == as_tcp.end()) return true;
    world_.contested.push_back(
        {.origin = service.origin,
         .field = "spec.ports",
         .reason = fmt::format("port {} is declared {}, and {} declares port {} of the same pods "
                               "{}: there it is carried as TCP, and a server that speaks first is "
                               "waited for by who calls this service",
                               port.port, mesh::name_of(port.protocol),
                               found->second->origin.describe(), own, "tcp")});
    world_.ignored.push_back(world_.contested.back());
    return false;  // once for each port of a service
  });
}

// ── the end ─────────────────────────────────────────────────────────────────────────────────────

void Maker::list_what_nobody_runs() {
  if (!plain_manifests_) return;
  const auto list = [&](const auto& objects) {
    for (const auto& each : objects) {
      ignore(each.metadata, "", "pods are not run from files: it takes a lab");
    }
  };
  list(objects_.deployments);
  list(objects_.replica_sets);
  list(objects_.stateful_sets);
  list(objects_.daemon_sets);
}

void Maker::sort() {
  for (mesh::Service& service : services_) {
    std::sort(service.endpoints.begin(), service.endpoints.end(), by_address);
    std::sort(service.ports.begin(), service.ports.end(),
              [](const mesh::ServicePort& left, const mesh::ServicePort& right) {
                return std::tie(left.port, left.transport) < std::tie(right.port, right.transport);
              });
  }
  std::sort(services_.begin(), services_.end(), mesh::ByName());
  std::sort(workloads_.begin(), workloads_.end(), mesh::ByName());
  std::sort(ended_.begin(), ended_.end(), mesh::ByName());
  std::sort(world_.nodes.begin(), world_.nodes.end(),
            [](const mesh::Node& left, const mesh::Node& right) { return left.name < right.name; });
}

}  // namespace

mesh::World world_of(const kube::Objects& objects) {
  const Changes none;
  return Maker(objects, nullptr, none).make();
}

mesh::World world_of(const kube::Objects& objects, const mesh::World& previous,
                     const Changes& changes) {
  mesh::World world = Maker(objects, &previous, changes).make();
  share(world, previous);
  return world;
}

// ── what changed ────────────────────────────────────────────────────────────────────────────────

namespace {

using ServiceName = Changes::ServiceName;

ServiceName named(const kube::Metadata& metadata) {
  return {metadata.name_space, metadata.name};
}

ServiceName labelled(const kube::Metadata& metadata) {
  return {metadata.name_space, find_or_empty(metadata.labels, kube::service_name_label)};
}

template <class Object, class Of>
std::map<ServiceName, std::vector<const Object*>> by_service(const std::vector<Object>& objects,
                                                             Of of) {
  std::map<ServiceName, std::vector<const Object*>> made;
  for (const Object& object : objects) made[of(object.metadata)].push_back(&object);
  return made;
}

// Adds the services of which one list has other objects than the other, or in another order.
template <class Object, class Of>
void add_changed(std::set<ServiceName>& services, const std::vector<Object>& before,
                 const std::vector<Object>& now, Of of) {
  auto old = by_service(before, of);
  for (const auto& [service, objects] : by_service(now, of)) {
    const auto same = [](const Object* left, const Object* right) { return *left == *right; };
    const auto& known = old[service];
    if (!std::equal(known.begin(), known.end(), objects.begin(), objects.end(), same)) {
      services.insert(service);
    }
    old.erase(service);
  }
  for (const auto& [service, objects] : old) services.insert(service);
}

}  // namespace

void Changes::add(const kube::Objects& before, const kube::Objects& now) {
  everything = everything || before.nodes != now.nodes || before.pods != now.pods ||
               before.replica_sets != now.replica_sets ||
               before.workload_entries != now.workload_entries ||
               before.service_entries != now.service_entries;
  if (everything) return;
  add_changed(services, before.services, now.services, &named);
  add_changed(services, before.endpoints, now.endpoints, &named);
  add_changed(services, before.endpoint_slices, now.endpoint_slices, &labelled);
}

mesh::Protocol protocol_of(kube::Protocol transport, std::string_view port_name,
                           std::string_view app_protocol) {
  if (transport == kube::Protocol::udp) return mesh::Protocol::udp;
  if (transport == kube::Protocol::sctp) return mesh::Protocol::undeclared;
  if (!app_protocol.empty()) {
    return protocol_named(app_protocol).value_or(mesh::Protocol::undeclared);
  }
  if (lower(port_name).starts_with("grpc-web")) return mesh::Protocol::grpc;
  const std::string_view prefix = port_name.substr(0, port_name.find('-'));
  return protocol_named(prefix).value_or(mesh::Protocol::undeclared);
}

std::vector<mesh::Owner> owners_of(const kube::Pod& pod, const kube::Objects& objects) {
  const kube::OwnerReference* controller = kube::controller_of(pod.metadata);
  if (!controller) return {};
  std::vector<mesh::Owner> owners{{.kind = controller->kind, .name = controller->name}};
  if (controller->kind != "ReplicaSet") return owners;
  const kube::ReplicaSet* set =
      kube::find(objects.replica_sets, pod.metadata.name_space, controller->name);
  if (const kube::OwnerReference* above = set ? kube::controller_of(set->metadata) : nullptr) {
    owners.push_back({.kind = above->kind, .name = above->name});
    return owners;
  }
  // The ReplicaSet is not at hand: a Deployment names it NAME-HASH and puts HASH on its pods.
  const std::string hash = find_or_empty(pod.metadata.labels, kube::template_hash_label);
  const std::string ending = '-' + hash;
  if (hash.empty() || !controller->name.ends_with(ending)) return owners;
  owners.push_back({.kind = "Deployment",
                    .name = controller->name.substr(0, controller->name.size() - ending.size())});
  return owners;
}

mesh::Sidecar sidecar_of(const kube::Pod& pod) {
  const mesh::Sidecar said =
      sidecar_named(find_or_empty(pod.metadata.annotations, proxy_annotation));
  const auto is_proxy = [](const kube::Container& container) {
    return container.name == proxy_container;
  };
  const bool there =
      std::any_of(pod.spec.containers.begin(), pod.spec.containers.end(), is_proxy) ||
      std::any_of(pod.spec.init_containers.begin(), pod.spec.init_containers.end(), is_proxy);
  if (!there) return mesh::Sidecar::none;
  return said == mesh::Sidecar::none ? mesh::Sidecar::envoy : said;
}

}  // namespace fairlead::registry
