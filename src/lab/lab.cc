#include "lab/lab.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json_text.h"
#include "base/log.h"
#include "base/near.h"
#include "kube/control_services.h"
#include "kube/controllers.h"
#include "kube/inject.h"
#include "kube/services.h"
#include "kube/write.h"
#include "lab/check.h"
#include "lab/container.h"
#include "lab/manifests.h"
#include "lab/probe.h"
#include "lab/readiness.h"
#include "net/tcp.h"
#include "net/unix.h"
#include "node/sockets.h"
#include "registry/edit.h"
#include "registry/facts.h"
#include "registry/files.h"
#include "registry/policies.h"

namespace fairlead::lab {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration look_again = milliseconds(10);
constexpr Duration write_pause = seconds(1);
constexpr Duration retry_pause = seconds(2);  // of a file that cannot be read
constexpr Duration loss_look = milliseconds(20);
constexpr Duration ask_limit = seconds(2);
constexpr Duration acknowledge_limit = seconds(3);
constexpr Duration grace_on_down = seconds(10);  // whatever longer grace a pod asks for
constexpr int last_pod_number = 250;             // of the addresses of a node
constexpr std::size_t most_nodes = 254;          // each has a number in its addresses
constexpr const char* restarted_annotation = "kubectl.kubernetes.io/restartedAt";

std::vector<std::string> joined(std::vector<std::string> all,
                                const std::vector<std::string>& more) {
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

std::string key_of(const kube::Metadata& metadata) {
  return metadata.name_space + "/" + metadata.name;
}

kube::InjectSettings injection_of(const Options& options) {
  kube::InjectSettings settings;
  settings.all = options.inject_all;
  settings.namespaces = {options.inject.begin(), options.inject.end()};
  if (!options.envoy.empty()) settings.default_proxy = "envoy";
  settings.envoy_command = {"envoy",
                            "-c",
                            proxy_bootstrap,
                            "--disable-hot-restart",
                            "--concurrency",
                            "1",
                            "--file-flush-interval-msec",  // of its access log
                            "100",
                            "-l",
                            "warning"};
  settings.proxy_command = {"fairlead", "proxy", "-c", proxy_bootstrap, "--concurrency", "1"};
  return settings;
}

// A VM run as a pod is: one program, its ports, no sidecar.
kube::Pod pod_for_vm(const kube::WorkloadEntry& entry) {
  kube::Pod pod;
  pod.metadata = entry.metadata;
  for (const auto& [name, value] : entry.spec.labels) pod.metadata.labels[name] = value;
  pod.spec.service_account = entry.spec.service_account;
  kube::Container& container = pod.spec.containers.emplace_back();
  container.name = "app";
  container.image = "virtual-machine";
  for (const auto& [name, port] : entry.spec.ports) container.ports.push_back({name, port});
  return pod;
}

// All that shapes the machine. Its weight and locality are for those who balance.
std::string shape_of(const kube::WorkloadEntry& entry) {
  const kube::Pod pod = pod_for_vm(entry);
  return entry.spec.address + " " +
         kube::template_hash({pod.metadata.labels, pod.metadata.annotations, pod.spec});
}

Task<Result<Progress>> ask_agent(net::Loop& loop, std::string socket) {
  Result<net::UnixStreamPointer> stream = net::connect_unix(loop, socket);
  if (!stream) co_return std::move(stream).fault();
  const Result<HttpAnswer> answer = co_await ask_http(**stream, "node", "/status");
  if (!answer) co_return answer.fault();
  const json value = parse_json(answer->body);
  if (!value.is_object()) co_return invalid("the node's status is no JSON object");
  co_return Progress{.world = value.value("world", ""),
                     .applied = value.value("applied", ""),
                     .error = value.value("error", ""),
                     .answered = true};
}

// As kube::Ignored describes itself.
std::string describe_ignored(const json& ignored) {
  const std::string field = ignored.value("field", "");
  return fmt::format("{}: {}{}{}", ignored.value("object", ""), field, field.empty() ? "" : ": ",
                     ignored.value("reason", ""));
}

Task<Result<Progress>> ask_control(net::Loop& loop, const Machine& machine) {
  Result<net::StreamPointer> stream =
      co_await connect_inside(loop, machine.network, {machine.addresses.v4, 8080});
  if (!stream) co_return std::move(stream).fault();
  const Result<HttpAnswer> answer =
      co_await ask_http(**stream, machine.addresses.v4.text() + ":8080", "/fairlead/status");
  if (!answer) co_return answer.fault();
  const json value = parse_json(answer->body);
  if (!value.is_object()) co_return invalid("control's status is no JSON object");
  const bool current = value.value("current", false);
  Progress progress{.world = value.value("world", ""), .answered = true};
  progress.applied = current ? progress.world : "";
  for (const json& broken : value.value("broken", json::array())) {
    if (broken.is_string()) progress.error = broken.get<std::string>();
  }
  for (const json& one : value.value("ignored", json::array())) {
    if (one.is_object()) progress.ignored.push_back(describe_ignored(one));
  }
  co_return progress;
}

std::uint64_t number_of(const std::string& world) {
  return std::strtoull(world.c_str(), nullptr, 10);
}

}  // namespace

Lab::Lab(net::Loop& loop, Children& children, Options options, Paths paths,
         std::function<void(std::string)> tell)
    : loop_(loop),
      children_(children),
      options_(std::move(options)),
      paths_(std::move(paths)),
      tell_(std::move(tell)),
      surroundings_{loop_, children_, paths_, images_, manifests_, [this](std::string line) {
                      if (told_.insert(line).second) tell_(std::move(line));
                    }} {}

Lab::~Lab() = default;

// ── building ────────────────────────────────────────────────────────────────────────────────────

Result<> Lab::build_machines() {
  Result<Fabric> fabric = Fabric::make();
  if (!fabric) return std::move(fabric).fault();
  fabric_ = std::move(*fabric);
  nodes_.reserve(most_nodes);  // pods point to theirs
  if (Result<> built = build_nodes(); !built) return built;
  if (!options_.mesh) return done();
  Result<Machine> control = fabric_->add_control();
  if (!control) return std::move(control).fault();
  control_.emplace(std::move(*control));
  return done();
}

// Those that the manifests name and that are not there yet. None goes again.
Result<> Lab::build_nodes() {
  for (const std::string& name : kube::node_names(manifests_, options_.nodes)) {
    const bool there = std::any_of(nodes_.begin(), nodes_.end(),
                                   [&](const Node& node) { return node.name == name; });
    if (there) continue;
    if (nodes_.size() == most_nodes) {
      return Fault{.kind = FaultKind::exhausted,
                   .message = fmt::format("node {} is one more than the {} that have addresses",
                                          name, most_nodes)};
    }
    const int number = static_cast<int>(nodes_.size()) + 1;
    Result<Machine> machine = fabric_->add_node(number, name);
    if (!machine) return std::move(machine).fault();
    nodes_.push_back({.number = number, .name = name, .machine = std::move(*machine)});
  }
  return done();
}

Result<> Lab::start_agents() {
  if (!options_.mesh) return done();
  const auto changed = [this] { touch(); };
  control_agent_ = std::make_unique<Daemon>(
      loop_, children_, *control_,
      std::vector<std::string>{"control", "--files", paths_.objects(), "--http-address",
                               "[::]:8080", "--grpc-address", "[::]:15010", "--status-socket",
                               paths_.control_socket()},
      paths_.log_of("control"), changed);
  control_agent_->start();
  return start_node_agents();
}

Result<> Lab::start_node_agents() {
  if (!options_.mesh) return done();
  const auto changed = [this] { touch(); };
  const std::vector<SocketAddress> dns{{*IpAddress::parse(dns_address), 53},
                                       {*IpAddress::parse(dns_address6), 53}};
  for (Node& node : nodes_) {
    if (node.agent) continue;
    const std::string socket = paths_.node_socket(node.name);
    Result<node::Sockets> sockets =
        node.machine.network.in([&] { return node::open_sockets(dns, socket); });
    if (!sockets) return std::move(sockets).fault().during("starting the agent of " + node.name);
    node.agent = std::make_unique<Daemon>(
        loop_, children_, node.machine,
        std::vector<std::string>{"node", "--name", node.name, "--files", paths_.objects(),
                                 "--dns-address", dns[0].text(), "--dns-address", dns[1].text(),
                                 "--status-socket", socket, "--closed"},
        paths_.log_of("node-" + node.name), changed);
    node.agent->pass_on(std::move(*sockets));
    node.agent->start();
  }
  return done();
}

Result<> Lab::build() {
  Result<Images> images = images_of(options_);
  if (!images) return std::move(images).fault();
  images_ = std::move(*images);
  files_.set_paths(paths_of_manifests());
  files_.refresh({.now = loop_.now()});
  if (!files_.broken().empty()) return invalid(files_.broken().front());
  kube::Reading reading = read_files();
  if (Result<> sound = check(reading.objects); !sound) return sound;
  take(std::move(reading));
  if (Result<> built = build_machines(); !built) return built;
  reconcile();
  return start_agents();
}

void Lab::take(kube::Reading reading) {
  manifests_ = std::move(reading.objects);
  ignored_ = std::move(reading.ignored);
  for (kube::Ignored& one : passed_over(manifests_)) ignored_.push_back(std::move(one));
  for (const kube::Ignored& one : ignored_) {
    surroundings_.tell("not honoured: " + one.describe());
  }
  // check() has seen that this goes well.
  static_cast<void>(kube::allocate_cluster_ips(manifests_.services, objects_.services).ok());
}

Result<> Lab::check(const kube::Objects& manifests) const {
  std::vector<kube::Service> services = manifests.services;
  if (Result<> given = kube::allocate_cluster_ips(services, objects_.services); !given) {
    return given;
  }
  return check_manifests(manifests);
}

// What can be read, and is otherwise in a lab.
std::vector<kube::Ignored> Lab::passed_over(const kube::Objects& manifests) {
  std::vector<kube::Ignored> ignored = kube::left_to_controllers(manifests);
  for (const kube::Node& node : manifests.nodes) {
    if (!node.pod_cidrs.empty() || !node.addresses.empty()) {
      ignored.push_back({node.metadata.origin, "",
                         "its addresses are the lab's own; only labels and unschedulable count"});
    }
  }
  return ignored;
}

// ── objects ─────────────────────────────────────────────────────────────────────────────────────

// The manifests, with the restarts that were asked for: a template that says when is another one.
kube::Objects Lab::wanted() const {
  kube::Objects objects = manifests_;
  const auto mark = [this](const char* kind, auto& owners) {
    for (auto& owner : owners) {
      const auto when = restarted_.find(fmt::format("{} {}", kind, owner.metadata.full_name()));
      if (when != restarted_.end()) {
        owner.pod_template.annotations[restarted_annotation] = when->second;
      }
    }
  };
  mark("Deployment", objects.deployments);
  mark("StatefulSet", objects.stateful_sets);
  mark("DaemonSet", objects.daemon_sets);
  return objects;
}

kube::Node Lab::object_of(const Node& node) const {
  kube::Node object;
  object.metadata.name = node.name;
  object.metadata.origin = {.kind = "Node", .name = node.name};
  if (const kube::Node* written = kube::find(manifests_.nodes, "", node.name)) {
    object.metadata.labels = written->metadata.labels;
    object.unschedulable = written->unschedulable;
  }
  object.metadata.labels["kubernetes.io/hostname"] = node.name;
  object.pod_cidrs = pod_ranges(node.number);
  for (const std::string& address : node.machine.addresses.texts()) {
    object.addresses.push_back({.type = "InternalIP", .address = address});
  }
  object.addresses.push_back({.type = "Hostname", .address = node.name});
  object.conditions = {{.type = "Ready", .status = "True"}};
  return object;
}

// What runs, as the controllers see it.
kube::Objects Lab::running_objects() const {
  kube::Objects objects;
  for (const Node& node : nodes_) objects.nodes.push_back(object_of(node));
  objects.replica_sets = replica_sets_;
  objects.revisions = revisions_;
  for (const auto& [name, running] : pods_) {
    if (running.is_vm) continue;
    kube::Pod pod = running.runner->pod();
    pod.status = running.runner->status();
    pod.status.host_ips = running.node->machine.addresses.all();
    objects.pods.push_back(std::move(pod));
  }
  for (const auto& [name, pod] : unplaced_) objects.pods.push_back(pod);
  return objects;
}

bool Lab::is_ready_machine(const kube::WorkloadEntry& entry) const {
  const auto running = pods_.find(key_of(entry.metadata));
  if (running == pods_.end() || !running->second.is_vm || running->second.retiring) return false;
  return kube::is_ready(kube::Pod{.status = running->second.runner->status()});
}

kube::Objects Lab::present_objects() const {
  kube::Objects running = running_objects();
  kube::Objects objects = manifests_;
  objects.nodes = std::move(running.nodes);
  objects.replica_sets = std::move(running.replica_sets);
  objects.pods = std::move(running.pods);
  for (kube::WorkloadEntry& entry : objects.workload_entries) {
    auto& annotations = entry.metadata.annotations;
    if (!annotations.contains(vm_annotation) || is_ready_machine(entry)) continue;
    annotations[registry::ready_annotation] = "false";
  }
  kube::put_endpoint_slices(objects, kube::Elsewhere::no_pods_are);
  return objects;
}

void Lab::write_objects(kube::Objects objects) {
  objects.resource_version = objects_.resource_version;
  if (generation_ > 0 && objects == objects_ && unwritten_.empty()) return;
  objects.resource_version = std::to_string(++generation_);
  objects_ = std::move(objects);
  const Result<> written = write_file(paths_.objects(), kube::write(objects_));
  const bool was_written = unwritten_.empty();
  unwritten_ = written ? "" : written.fault().describe();
  if (unwritten_.empty()) return;
  surroundings_.tell("nobody hears of what changes, which is tried again: " + unwritten_);
  if (was_written && !going_down_) loop_.start(chores_, write_again());
}

// A disk that is full may have room again without a word.
Task<> Lab::write_again() {
  while (!unwritten_.empty()) {
    if (!(co_await loop_.sleep(write_pause)).ok()) co_return;
    write_objects(present_objects());
  }
}

void Lab::touch() {
  if (dirty_) return;
  dirty_ = true;
  loop_.post([this] {
    dirty_ = false;
    reconcile();
  });
}

void Lab::reconcile() {
  if (!going_down_) {
    place_again();
    follow_controllers();
    follow_virtual_machines();
    tell_of_failures();
  }
  write_objects(present_objects());
}

// Once for each, when it turns out: nobody has to wait to the end to hear of it.
void Lab::tell_of_failures() {
  for (const auto& [name, running] : pods_) {
    const Readiness readiness = readiness_of(running.runner->status());
    const bool worth = readiness.kind == Readiness::Kind::hopeless || !readiness.container.empty();
    if (!worth || running.retiring) continue;
    const std::string more = readiness.container.empty()
                                 ? ""
                                 : fmt::format("; `{} {} -c {}` tells more", paths_.command("logs"),
                                               name, readiness.container);
    surroundings_.tell(
        fmt::format("the {} {} {}{}", running.is_vm ? "VM" : "pod", name, readiness.why, more));
  }
  for (const auto& [name, pod] : unplaced_) {
    surroundings_.tell(fmt::format("the pod {} {}", name, readiness_of(pod.status).why));
  }
  for (const Lack& one : hindered_) surroundings_.tell(fmt::format("the {} {}", one.who, one.why));
}

void Lab::follow_controllers() {
  kube::Step step = kube::next_step(wanted(), running_objects(), random_);
  replica_sets_ = std::move(step.replica_sets);
  revisions_ = std::move(step.revisions);
  hindered_.clear();
  for (kube::Hindrance& one : step.hindered) {
    hindered_.push_back({.who = std::move(one.who), .why = std::move(one.why)});
  }
  for (kube::Pod& pod : step.create) place(std::move(pod));
  for (const kube::Removal& removal : step.remove) {
    const std::string key = removal.name_space + "/" + removal.name;
    if (unplaced_.erase(key) > 0) continue;
    const auto found = pods_.find(key);
    if (found == pods_.end() || found->second.is_vm) continue;
    begin_retiring(found->second,
                   seconds(found->second.runner->pod().spec.termination_grace_seconds));
  }
  // Each step may open the way for the next one.
  if (!step.settled()) touch();
}

void Lab::follow_virtual_machines() {
  std::set<std::string> wanted;
  for (const kube::WorkloadEntry& entry : manifests_.workload_entries) {
    if (!entry.metadata.annotations.contains(vm_annotation)) continue;
    const std::string key = key_of(entry.metadata);
    wanted.insert(key);
    const auto there = pods_.find(key);
    if (there == pods_.end()) {
      start_vm(entry);
    } else if (!there->second.is_vm) {
      hindered_.push_back({.who = "VM " + key, .why = "cannot start: a pod has its name"});
    } else if (there->second.made_of != shape_of(entry)) {
      begin_retiring(there->second, grace_on_down);
    }
  }
  for (auto& [name, running] : pods_) {
    if (running.is_vm && !wanted.contains(name)) begin_retiring(running, grace_on_down);
  }
}

// Node and sidecar.
Result<> Lab::admit(kube::Pod& pod) {
  const kube::Objects running = running_objects();
  Result<std::string> node = kube::choose_node(pod, running.nodes, running.pods);
  if (!node) return std::move(node).fault();
  pod.spec.node_name = *node;
  const kube::InjectSettings settings = injection_of(options_);
  const kube::Namespace* around = kube::find(manifests_.namespaces, "", pod.metadata.name_space);
  if (options_.mesh && kube::should_inject(pod, around, settings).inject) {
    return kube::inject(pod, settings);
  }
  return done();
}

// In turns, so that an address that was just given up is not at once another pod's.
std::optional<int> Lab::take_pod_number(Node& node) const {
  for (int tries = first_pod_number; tries <= last_pod_number; ++tries) {
    const int number = node.next_pod++;
    if (node.next_pod > last_pod_number) node.next_pod = first_pod_number;
    const bool taken = std::any_of(pods_.begin(), pods_.end(), [&](const auto& entry) {
      return entry.second.node == &node && entry.second.number == number;
    });
    if (!taken) return number;
  }
  return std::nullopt;
}

void Lab::place(kube::Pod pod) {
  const Result<> started = start_pod(pod);
  if (started) return;
  kube::mark_unplaced(pod, started.fault());
  const std::string key = key_of(pod.metadata);
  unplaced_.emplace(key, std::move(pod));
}

void Lab::place_again() {
  for (auto& [key, pod] : std::exchange(unplaced_, {})) {
    pod.status = {};
    place(std::move(pod));
  }
}

Result<Machine> Lab::wire_pod(Node& node, const std::string& key, int& number) {
  const std::optional<int> taken = take_pod_number(node);
  if (!taken) {
    return Fault{.kind = FaultKind::exhausted,
                 .message = node.name + " has no address left for it"};
  }
  number = *taken;
  return fabric_->add_pod(node.machine, key, pod_addresses(node.number, number));
}

Result<> Lab::start_pod(kube::Pod pod) {
  if (Result<> admitted = admit(pod); !admitted) return admitted;
  const auto node = std::find_if(nodes_.begin(), nodes_.end(),
                                 [&](const Node& one) { return one.name == pod.spec.node_name; });
  if (node == nodes_.end()) return missing("there is no node " + pod.spec.node_name);
  const std::string key = key_of(pod.metadata);
  if (const auto other = pods_.find(key); other != pods_.end()) {
    return invalid(fmt::format("a {} has its name", other->second.is_vm ? "VM" : "pod"));
  }
  int number = 0;
  Result<Machine> machine =
      pod.spec.host_network ? Fabric::share(node->machine, key) : wire_pod(*node, key, number);
  if (!machine) return std::move(machine).fault();
  pod.metadata.creation_time = time_text(SystemClock().wall());
  pod.status.pod_ips = machine->addresses.all();
  pod.status.host_ips = node->machine.addresses.all();
  auto runner = std::make_unique<PodRunner>(surroundings_, std::move(pod), std::move(*machine),
                                            [this] { touch(); });
  PodRunner& started = *runner;
  pods_.emplace(key, RunningPod{.runner = std::move(runner), .node = &*node, .number = number});
  started.start();
  return done();
}

void Lab::start_vm(const kube::WorkloadEntry& entry) {
  const Result<Addresses> addresses = addresses_of_vm(entry);
  if (!addresses) return;  // check() has refused it
  Node& gateway = nodes_.front();
  const std::string key = key_of(entry.metadata);
  Result<Machine> machine = fabric_->add_pod(gateway.machine, key, *addresses);
  Result<> routed = machine ? fabric_->route_to_vm(gateway.machine, *addresses) : done();
  if (!machine || !routed) {
    surroundings_.tell((!machine ? machine.fault() : routed.fault()).describe());
    return;
  }
  auto runner = std::make_unique<PodRunner>(surroundings_, pod_for_vm(entry), std::move(*machine),
                                            [this] { touch(); });
  PodRunner& started = *runner;
  pods_.emplace(key, RunningPod{.runner = std::move(runner),
                                .node = &gateway,
                                .is_vm = true,
                                .made_of = shape_of(entry)});
  started.start();
}

// ── progress ────────────────────────────────────────────────────────────────────────────────────

Task<> Lab::ask_progress() {
  if (!options_.mesh) co_return;
  for (Node& node : nodes_) {
    Result<Progress> progress =
        co_await net::within(loop_, ask_limit, ask_agent(loop_, paths_.node_socket(node.name)));
    node.progress =
        progress ? std::move(*progress) : Progress{.error = progress.fault().describe()};
  }
  Result<Progress> progress = co_await net::within(loop_, ask_limit, ask_control(loop_, *control_));
  progress_ = progress ? std::move(*progress) : Progress{.error = progress.fault().describe()};
  for (const std::string& one : progress_.ignored) surroundings_.tell("not honoured: " + one);
}

std::vector<std::string> Lab::not_honoured() const {
  std::vector<std::string> all;
  all.reserve(ignored_.size() + progress_.ignored.size());
  for (const kube::Ignored& one : ignored_) all.push_back(one.describe());
  all.insert(all.end(), progress_.ignored.begin(), progress_.ignored.end());
  return all;
}

std::vector<std::string> Lab::not_enforced() const {
  if (registry::policies_of(manifests_).empty()) return {};
  return mesh::unenforced_policies(registry::world_of(objects_));
}

Task<> Lab::until_acknowledged(std::uint64_t generation, Duration patience) {
  const Instant began = loop_.now();
  while (options_.mesh && loop_.now() - began < patience) {
    co_await ask_progress();
    // An agent that does not run can tell nobody anything: it is not waited for.
    bool known = !control_agent_->is_running() || number_of(progress_.applied) >= generation;
    for (const Node& node : nodes_) {
      known = known && (!node.agent || !node.agent->is_running() ||
                        number_of(node.progress.applied) >= generation);
    }
    if (known) co_return;
    if (!(co_await loop_.sleep(look_again)).ok()) co_return;
  }
}

std::string Lacks::describe() const {
  std::vector<std::string> words;
  for (const auto* list : {&hopeless, &waiting}) {
    for (const Lack& one : *list) words.push_back(fmt::format("{} {}", one.who, one.why));
  }
  return fmt::format("{}", fmt::join(words, ", "));
}

std::string Lacks::names(bool with_hopeless) const {
  std::vector<Lack> named = waiting;
  if (with_hopeless) named.insert(named.end(), hopeless.begin(), hopeless.end());
  std::vector<std::string> names;
  names.reserve(named.size());
  for (const Lack& one : named) names.push_back(one.who);
  return fmt::format("{}", fmt::join(names, ", "));
}

Lacks Lab::lacks() const {
  Lacks lacks{.pods = pods_.size() + unplaced_.size()};
  const auto add = [&lacks](std::string who, const std::string& uid,
                            const kube::PodStatus& status) {
    Readiness readiness = readiness_of(status);
    const Lack lack{.who = std::move(who), .why = std::move(readiness.why), .uid = uid};
    if (readiness.kind == Readiness::Kind::hopeless) lacks.hopeless.push_back(lack);
    if (readiness.kind == Readiness::Kind::waiting) lacks.waiting.push_back(lack);
  };
  for (const auto& [name, running] : pods_) {
    add((running.is_vm ? "VM " : "pod ") + name, running.runner->pod().metadata.uid,
        running.runner->status());
  }
  for (const auto& [name, pod] : unplaced_) add("pod " + name, pod.metadata.uid, pod.status);
  lacks.hopeless.insert(lacks.hopeless.end(), hindered_.begin(), hindered_.end());
  if (!options_.mesh) return lacks;
  const auto behind = [&](const std::string& who, const Progress& progress) {
    if (number_of(progress.applied) >= generation_) return;
    lacks.waiting.push_back(
        {.who = who, .why = progress.answered ? "is not up to date" : "does not answer"});
  };
  for (const Node& node : nodes_) behind(node.name, node.progress);
  behind("control", progress_);
  return lacks;
}

Task<Result<Lacks>> Lab::until_settled(Duration patience, std::function<void(const Lacks&)> look) {
  const Instant began = loop_.now();
  for (;;) {
    co_await ask_progress();
    Lacks left = lacks();
    if (look) look(left);
    if (left.waiting.empty() && !dirty_) co_return left;
    if (loop_.now() - began >= patience) co_return left;
    if (Result<> slept = co_await loop_.sleep(look_again); !slept) {
      co_return std::move(slept).fault();
    }
  }
}

// ── ends ────────────────────────────────────────────────────────────────────────────────────────

void Lab::begin_retiring(RunningPod& running, Duration grace) {
  if (running.retiring) return;
  running.retiring = true;
  running.runner->pod().metadata.deletion_time = time_text(SystemClock().wall());
  loop_.start(retiring_, retire(key_of(running.runner->pod().metadata), grace));
}

Task<> Lab::retire(std::string name, Duration grace) {
  // The endpoint goes out first; when everyone knows, the apps are told.
  touch();
  while (dirty_) {
    if (!(co_await loop_.sleep(milliseconds(1))).ok()) break;
  }
  co_await until_acknowledged(generation_, acknowledge_limit);
  RunningPod& running = pods_.at(name);
  co_await running.runner->stop(grace);
  if (running.number != 0 || running.is_vm) {
    static_cast<void>(fabric_->remove_pod(running.node->machine, running.runner->machine()).ok());
  }
  pods_.erase(name);
  touch();
}

Task<> Lab::take_down() {
  going_down_ = true;
  co_await chores_.close();
  Gate pods;
  for (auto& [name, running] : pods_) {
    running.runner->expect_no_grace();
    if (running.retiring) continue;
    const Duration grace = std::min<Duration>(
        grace_on_down, seconds(running.runner->pod().spec.termination_grace_seconds));
    loop_.start(pods, running.runner->stop(grace));
  }
  co_await pods.empty();
  co_await retiring_.empty();
  Gate agents;
  if (control_agent_) loop_.start(agents, control_agent_->stop());
  for (Node& node : nodes_) {
    if (node.agent) loop_.start(agents, node.agent->stop());
  }
  co_await agents.empty();
}

// ── names ───────────────────────────────────────────────────────────────────────────────────────

std::vector<std::string> Lab::all_names(bool full) const {
  std::set<std::string> names;
  const auto add = [&](const kube::Metadata& metadata, const std::string& name) {
    names.insert(full ? metadata.name_space + "/" + name : name);
  };
  for (const auto& [key, running] : pods_) {
    const kube::Metadata& pod = running.runner->pod().metadata;
    add(pod, pod.name);
    add(pod, kube::workload_of(pod).name);
  }
  for (const auto& [key, pod] : unplaced_) add(pod.metadata, kube::workload_of(pod.metadata).name);
  for (const kube::Deployment& one : manifests_.deployments) add(one.metadata, one.metadata.name);
  return {names.begin(), names.end()};
}

// As the pod itself, or as whoever is behind it.
bool Lab::owns(const Target& target, const kube::Metadata& pod) const {
  const kube::OwnerReference* owner = kube::controller_of(pod);
  if (owner == nullptr) return false;
  kube::Metadata above{.name_space = pod.name_space, .name = owner->name};
  if (is_meant(target, above, owner->kind)) return true;
  const kube::WorkloadName workload = kube::workload_of(pod);
  above.name = workload.name;
  return is_meant(target, above, workload.kind);
}

bool Lab::selects(const Target& target, const kube::Metadata& pod) const {
  return std::any_of(
      objects_.services.begin(), objects_.services.end(), [&](const kube::Service& service) {
        return service.metadata.name_space == pod.name_space &&
               is_meant(target, service.metadata, "Service") && !service.selector.empty() &&
               kube::selects(service.selector, pod.labels);
      });
}

Result<std::vector<RunningPod*>> Lab::find_pods(const Target& target) {
  std::vector<RunningPod*> exact;
  std::vector<RunningPod*> owned;
  for (auto& [key, running] : pods_) {
    const kube::Metadata& pod = running.runner->pod().metadata;
    if (is_meant(target, pod, running.is_vm ? "VM" : "Pod")) {
      exact.push_back(&running);
    } else if (owns(target, pod) || (target.kind == "Service" && selects(target, pod))) {
      owned.push_back(&running);
    }
  }
  std::vector<RunningPod*>& found = exact.empty() ? owned : exact;
  if (found.empty()) return nothing_of(target);
  // Those that stay before those that go.
  std::sort(found.begin(), found.end(), [](const RunningPod* a, const RunningPod* b) {
    if (a->retiring != b->retiring) return b->retiring;
    return a->runner->pod().metadata.full_name() < b->runner->pod().metadata.full_name();
  });
  return found;
}

// Why no pod was found.
Fault Lab::nothing_of(const Target& target) const {
  for (const auto& [key, pod] : unplaced_) {
    if (!is_meant(target, pod.metadata, "Pod") && !owns(target, pod.metadata)) continue;
    return Fault{.kind = FaultKind::unreachable,
                 .message = fmt::format("the pod {} {}", key, readiness_of(pod.status).why)};
  }
  const bool full = !target.name_space.empty();
  const std::string wanted = full ? target.name_space + "/" + target.name : target.name;
  const bool of_a_node = target.kind == "Node";
  std::vector<std::string> names = of_a_node ? std::vector<std::string>() : all_names(full);
  if (std::find(names.begin(), names.end(), wanted) != names.end()) {
    return missing(fmt::format("no pod here is of {}", target.describe()));
  }
  if (of_a_node || (!full && target.kind.empty())) {
    for (const Node& node : nodes_) names.push_back(node.name);
  }
  if (!full && target.kind.empty()) names.emplace_back("control");
  return missing(
      fmt::format("nothing here is called {}{}", target.describe(), did_you_mean(wanted, names)));
}

Machine* Lab::find_machine(const Target& target) {
  if (!target.name_space.empty()) return nullptr;
  for (Node& node : nodes_) {
    const bool meant = target.kind.empty() || target.kind == "Node";
    if (meant && node.name == target.name) return &node.machine;
  }
  const bool control = target.kind.empty() && target.name == "control";
  return control && control_ ? &*control_ : nullptr;
}

// ── manifests, faults ───────────────────────────────────────────────────────────────────────────

std::vector<std::string> Lab::manifests() const {
  return joined(options_.manifests, options_.trees);
}

std::vector<std::string> Lab::folders_and_files() const {
  return joined(options_.manifests, with_inner_folders(options_.trees));
}

std::vector<std::string> Lab::to_watch() const {
  std::vector<std::string> all = manifests();
  for (const std::string& tree : options_.trees) {
    all = joined(std::move(all), registry::directories_within(tree));
  }
  return all;
}

registry::Paths Lab::paths_of_manifests() const {
  registry::Paths paths(manifests());
  paths.trees = options_.trees;
  return paths;
}

// As their last good versions say, with what the lab adds.
kube::Reading Lab::read_files() {
  kube::Reading reading{files_.objects(), files_.ignored()};
  if (options_.mesh) kube::add_control_services(reading.objects, control_addresses().all());
  return reading;
}

Duration Lab::until_reread() const {
  const Duration again = files_.to_be_tried_again() ? retry_pause : Duration::max();
  return std::min(again, files_.until_due(loop_.now()));
}

Task<> Lab::until_losses_count() {
  while (files_.holds_back()) {
    const Duration due = std::max<Duration>(files_.until_due(loop_.now()), loss_look);
    if (!(co_await loop_.sleep(due)).ok()) co_return;
    static_cast<void>(reread().ok());  // the fault is in broken()
  }
}

Result<> Lab::reread() {
  files_.set_paths(paths_of_manifests());
  files_.refresh({.now = loop_.now(), .being_written = being_written_});
  return take_files();
}

Result<> Lab::take_files() {
  const std::vector<std::string>& broken = files_.broken();
  kube::Reading reading = read_files();
  Result<> sound = files_.unique() ? check(reading.objects) : done();
  if (sound && files_.unique()) {
    if (const auto removed = files_.take_removed(); !removed.empty()) {
      const std::string what_left = registry::describe_removed(removed);
      log::info(what_left);
      tell_(what_left);
    }
    take(std::move(reading));
    if (Result<> built = build_nodes(); !built) surroundings_.tell(built.fault().describe());
    reconcile();
    if (Result<> started = start_node_agents(); !started) {
      surroundings_.tell(started.fault().describe());
    }
    for (auto& [name, running] : pods_) running.runner->refresh();
  }
  if (sound && !broken.empty()) sound = invalid(fmt::format("{}", fmt::join(broken, "; ")));
  broken_ = sound ? "" : sound.fault().describe();
  return sound;
}

Result<> Lab::add_manifests(const std::vector<std::string>& paths, bool recursive) {
  std::vector<std::string>& named = recursive ? options_.trees : options_.manifests;
  const std::vector<std::string> before = named;
  for (const std::string& path : paths) {
    const bool known = std::any_of(named.begin(), named.end(), [&](const std::string& other) {
      return place_of(path) == place_of(other);
    });
    if (!known) named.push_back(path);
  }
  // Together with all others, so that nothing of them is in force when they do not fit.
  const Result<kube::Reading> all = read_manifests(folders_and_files());
  if (!all) {
    named = before;
    return all.fault();
  }
  Result<> read = reread();
  if (!read) {
    named = before;
    files_.set_paths(paths_of_manifests());
    files_.refresh({.now = loop_.now(), .being_written = being_written_});
    static_cast<void>(files_.take_removed());  // they were never in force
    static_cast<void>(take_files().ok());      // as before
  } else if (manifests_added_) {
    manifests_added_();
  }
  return read;
}

void Lab::kill_pod(RunningPod& running, int signal) {
  for (const auto& container : running.runner->containers()) container->kill(signal);
  if (signal == SIGKILL) begin_retiring(running, Duration::zero());
}

void Lab::restart_pod(RunningPod& running) {
  begin_retiring(running, seconds(running.runner->pod().spec.termination_grace_seconds));
}

Result<> Lab::restart_workload(const Target& target) {
  const auto mark = [&](const char* kind, const auto& owners) {
    bool found = false;
    for (const auto& owner : owners) {
      if (!is_meant(target, owner.metadata, kind)) continue;
      restarted_[fmt::format("{} {}", kind, owner.metadata.full_name())] =
          fmt::format("{} #{}", time_text(SystemClock().wall()), generation_);
      found = true;
    }
    return found;
  };
  const bool deployment = mark("Deployment", manifests_.deployments);
  const bool stateful = mark("StatefulSet", manifests_.stateful_sets);
  const bool daemon = mark("DaemonSet", manifests_.daemon_sets);
  if (!deployment && !stateful && !daemon) return missing("no workload is " + target.describe());
  touch();
  return done();
}

}  // namespace fairlead::lab
