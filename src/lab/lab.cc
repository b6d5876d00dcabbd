#include "lab/lab.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>

#include "kube/write.h"
#include "lab/manifests.h"
#include "lab/probe.h"
#include "net/tcp.h"
#include "net/unix.h"

namespace fairlead::lab {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration look_again = milliseconds(10);
constexpr Duration ask_limit = seconds(2);
constexpr Duration acknowledge_limit = seconds(3);
constexpr Duration grace_on_down = seconds(10);  // whatever longer grace a pod asks for
constexpr int last_pod_number = 250;

std::string key_of(const kube::Metadata& metadata) {
  return metadata.name_space + "/" + metadata.name;
}

kube::Node object_of(const Node& node) {
  kube::Node object;
  object.metadata.name = node.name;
  object.metadata.labels = {{"kubernetes.io/hostname", node.name}};
  object.metadata.origin = {.kind = "Node", .name = node.name};
  object.pod_cidrs = pod_ranges(node.number);
  for (const std::string& address : node.machine.addresses.texts()) {
    object.addresses.push_back({.type = "InternalIP", .address = address});
  }
  object.addresses.push_back({.type = "Hostname", .address = node.name});
  object.conditions = {{.type = "Ready", .status = "True"}};
  return object;
}

Task<Result<Progress>> ask_agent(net::Loop& loop, std::string socket) {
  Result<net::UnixStreamPointer> stream = net::connect_unix(loop, socket);
  if (!stream) co_return std::move(stream).fault();
  const Result<HttpAnswer> answer = co_await ask_http(**stream, "node", "/status");
  if (!answer) co_return answer.fault();
  const json value = json::parse(answer->body, nullptr, false);
  if (!value.is_object()) co_return invalid("the node's status is no JSON object");
  co_return Progress{.world = value.value("world", ""),
                     .applied = value.value("applied", ""),
                     .error = value.value("error", ""),
                     .answered = true};
}

Task<Result<Progress>> ask_control(net::Loop& loop, const Machine& machine) {
  Result<net::StreamPointer> stream =
      co_await connect_inside(loop, machine.network, {machine.addresses.v4, 8080});
  if (!stream) co_return std::move(stream).fault();
  const Result<HttpAnswer> answer =
      co_await ask_http(**stream, machine.addresses.v4.text() + ":8080", "/fairlead/status");
  if (!answer) co_return answer.fault();
  const json value = json::parse(answer->body, nullptr, false);
  if (!value.is_object()) co_return invalid("control's status is no JSON object");
  const bool current = value.value("current", false);
  Progress progress{.world = value.value("world", ""), .answered = true};
  progress.applied = current ? progress.world : "";
  for (const json& broken : value.value("broken", json::array())) {
    if (broken.is_string()) progress.error = broken.get<std::string>();
  }
  co_return progress;
}

std::uint64_t number_of(const std::string& world) {
  return std::strtoull(world.c_str(), nullptr, 10);
}

}  // namespace

Lab::Lab(net::Loop& loop, Children& children, Options options, Places places,
         std::function<void(std::string)> tell)
    : loop_(loop),
      children_(children),
      options_(std::move(options)),
      places_(std::move(places)),
      tell_(std::move(tell)),
      surroundings_{loop_, children_, places_, images_, objects_, [this](std::string line) {
                      if (told_.insert(line).second) tell_(std::move(line));
                    }} {}

Lab::~Lab() = default;

// ── building ────────────────────────────────────────────────────────────────────────────────────

Result<> Lab::build_machines() {
  Result<Fabric> fabric = Fabric::make();
  if (!fabric) return std::move(fabric).fault();
  fabric_ = std::move(*fabric);
  nodes_.reserve(static_cast<std::size_t>(options_.nodes));
  for (int number = 1; number <= options_.nodes; ++number) {
    const std::string name = fmt::format("node{}", number);
    Result<Machine> machine = fabric_->add_node(number, name);
    if (!machine) return std::move(machine).fault();
    nodes_.push_back({.number = number, .name = name, .machine = std::move(*machine)});
  }
  if (!options_.mesh) return done();
  Result<Machine> control = fabric_->add_control();
  if (!control) return std::move(control).fault();
  control_.emplace(std::move(*control));
  return done();
}

void Lab::start_agents() {
  if (!options_.mesh) return;
  const auto changed = [this] { touch(); };
  control_agent_ = std::make_unique<Daemon>(
      loop_, children_, *control_,
      std::vector<std::string>{"control", "--files", places_.objects(), "--http-address",
                               "0.0.0.0:8080", "--grpc-address", "0.0.0.0:15010"},
      places_.log_of("control"), changed);
  control_agent_->start();
  for (Node& node : nodes_) {
    node.agent = std::make_unique<Daemon>(
        loop_, children_, node.machine,
        std::vector<std::string>{"node", "--name", node.name, "--files", places_.objects(),
                                 "--dns-address", fmt::format("{}:53", dns_address),
                                 "--status-socket", places_.node_socket(node.name)},
        places_.log_of("node-" + node.name), changed);
    node.agent->start();
  }
}

Result<> Lab::build() {
  for (const std::string& line : options_.images) {
    if (Result<> added = images_.add(line); !added)
      return std::move(added).fault().during("reading --image");
  }
  if (!options_.image_file.empty()) {
    const Result<std::string> text = read_file(options_.image_file);
    if (!text) return text.fault();
    if (Result<> added = images_.add_file(*text, options_.image_file); !added) return added;
  }
  Result<kube::Reading> reading = read_manifests(options_.manifests);
  if (!reading) return std::move(reading).fault();
  if (Result<> sound = check_commands(reading->objects); !sound) return sound;
  manifests_ = std::move(reading->objects);
  ignored_ = std::move(reading->ignored);
  if (Result<> built = build_machines(); !built) return built;
  write_objects(wanted_objects());
  start_agents();
  reconcile();
  return done();
}

Result<> Lab::check_commands(const kube::Objects& objects) const {
  static_cast<void>(objects);
  return done();
}

// ── objects ─────────────────────────────────────────────────────────────────────────────────────

kube::Objects Lab::wanted_objects() const {
  kube::Objects objects = manifests_;
  objects.nodes.clear();
  for (const Node& node : nodes_) objects.nodes.push_back(object_of(node));
  objects.pods.clear();
  for (const auto& [name, running] : pods_) {
    if (running.is_vm) continue;
    kube::Pod pod = running.runner->pod();
    pod.status = running.runner->status();
    pod.status.host_ips = running.node->machine.addresses.all();
    objects.pods.push_back(std::move(pod));
  }
  return objects;
}

void Lab::write_objects(kube::Objects objects) {
  objects.resource_version = objects_.resource_version;
  if (generation_ > 0 && objects == objects_) return;
  objects.resource_version = std::to_string(++generation_);
  objects_ = std::move(objects);
  if (Result<> written = write_file(places_.objects(), kube::write(objects_)); !written) {
    tell_(written.fault().describe());
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
  if (!going_down_) start_missing();
  write_objects(wanted_objects());
}

void Lab::start_missing() {
  for (const kube::Pod& pod : manifests_.pods) {
    if (!pods_.contains(key_of(pod.metadata))) start_pod(pod);
  }
  for (const kube::WorkloadEntry& entry : manifests_.workload_entries) {
    if (entry.metadata.annotations.contains("fairlead/vm") &&
        !pods_.contains(key_of(entry.metadata))) {
      start_vm(entry);
    }
  }
}

void Lab::start_pod(const kube::Pod& wanted) {
  kube::Pod pod = wanted;
  auto node = std::find_if(nodes_.begin(), nodes_.end(),
                           [&](const Node& one) { return one.name == pod.spec.node_name; });
  if (node == nodes_.end()) {
    node = std::min_element(nodes_.begin(), nodes_.end(),
                            [](const Node& a, const Node& b) { return a.next_pod < b.next_pod; });
    pod.spec.node_name = node->name;
  }
  if (pod.metadata.uid.empty())
    pod.metadata.uid = fmt::format("{}-{}", node->number, node->next_pod);
  const Addresses addresses = pod_addresses(node->number, node->next_pod++);
  if (node->next_pod > last_pod_number) node->next_pod = 2;
  Result<Machine> machine = fabric_->add_pod(node->machine, pod.metadata.name, addresses);
  if (!machine) {
    surroundings_.tell(machine.fault().describe());
    return;
  }
  pod.status.pod_ips = addresses.all();
  pod.status.host_ips = node->machine.addresses.all();
  const std::string key = key_of(pod.metadata);
  auto runner = std::make_unique<PodRunner>(surroundings_, std::move(pod), std::move(*machine),
                                            [this] { touch(); });
  runner->start();
  pods_.emplace(key, RunningPod{.runner = std::move(runner), .node = &*node});
}

void Lab::start_vm(const kube::WorkloadEntry& entry) {
  static_cast<void>(entry);
}

// ── progress ────────────────────────────────────────────────────────────────────────────────────

Task<> Lab::ask_progress() {
  if (!options_.mesh) co_return;
  for (Node& node : nodes_) {
    Result<Progress> progress =
        co_await net::within(loop_, ask_limit, ask_agent(loop_, places_.node_socket(node.name)));
    node.progress =
        progress ? std::move(*progress) : Progress{.error = progress.fault().describe()};
  }
  Result<Progress> progress = co_await net::within(loop_, ask_limit, ask_control(loop_, *control_));
  progress_ = progress ? std::move(*progress) : Progress{.error = progress.fault().describe()};
}

Task<> Lab::until_acknowledged(std::uint64_t generation, Duration patience) {
  const Instant began = loop_.now();
  while (options_.mesh && loop_.now() - began < patience) {
    co_await ask_progress();
    // An agent that does not run can tell nobody anything: it is not waited for.
    bool known = !control_agent_->is_running() || number_of(progress_.applied) >= generation;
    for (const Node& node : nodes_) {
      known =
          known && (!node.agent->is_running() || number_of(node.progress.applied) >= generation);
    }
    if (known) co_return;
    if (!(co_await loop_.sleep(look_again)).ok()) co_return;
  }
}

std::string Lab::whats_missing() const {
  std::vector<std::string> words;
  for (const auto& [name, running] : pods_) {
    const kube::PodStatus status = running.runner->status();
    const auto* ready = kube::find_condition(status.conditions, "Ready");
    const bool over = status.phase == kube::PodPhase::succeeded;
    if (!over && (ready == nullptr || ready->status != "True")) {
      words.push_back((running.is_vm ? "VM " : "pod ") + name);
    }
  }
  if (options_.mesh) {
    for (const Node& node : nodes_) {
      if (number_of(node.progress.applied) < generation_) words.push_back(node.name);
    }
    if (number_of(progress_.applied) < generation_) words.emplace_back("control");
  }
  if (words.empty()) return "";
  return fmt::format("not ready: {}", fmt::join(words, ", "));
}

Task<Result<>> Lab::until_settled(Duration patience) {
  const Instant began = loop_.now();
  for (;;) {
    co_await ask_progress();
    const std::string missing_ones = whats_missing();
    if (missing_ones.empty() && !dirty_) co_return done();
    if (loop_.now() - began >= patience) {
      co_return Fault{.kind = FaultKind::timed_out, .message = missing_ones};
    }
    if (Result<> slept = co_await loop_.sleep(look_again); !slept) co_return slept;
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
  reconcile();
  co_await until_acknowledged(generation_, acknowledge_limit);
  RunningPod& running = pods_.at(name);
  co_await running.runner->stop(grace);
  static_cast<void>(fabric_->remove_pod(running.node->machine, running.runner->machine()).ok());
  pods_.erase(name);
  touch();
}

Task<> Lab::take_down() {
  going_down_ = true;
  Gate pods;
  for (auto& [name, running] : pods_) {
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

std::vector<std::string> Lab::all_names() const {
  std::set<std::string> names;
  for (const auto& [key, running] : pods_) names.insert(running.runner->pod().metadata.name);
  for (const auto& [key, running] : pods_) {
    const auto* owner = kube::controller_of(running.runner->pod().metadata);
    if (owner != nullptr) names.insert(owner->name);
  }
  for (const kube::Deployment& deployment : objects_.deployments) {
    names.insert(deployment.metadata.name);
  }
  return {names.begin(), names.end()};
}

Result<std::vector<RunningPod*>> Lab::find_pods(const std::string& name) {
  const std::size_t slash = name.find('/');
  const std::string name_space = slash == std::string::npos ? "" : name.substr(0, slash);
  const std::string rest = slash == std::string::npos ? name : name.substr(slash + 1);
  std::vector<RunningPod*> exact;
  std::vector<RunningPod*> owned;
  for (auto& [key, running] : pods_) {
    const kube::Metadata& metadata = running.runner->pod().metadata;
    if (!name_space.empty() && metadata.name_space != name_space) continue;
    if (metadata.name == rest) exact.push_back(&running);
    const kube::OwnerReference* owner = kube::controller_of(metadata);
    if (owner == nullptr) continue;
    const kube::ReplicaSet* set =
        owner->kind == "ReplicaSet"
            ? kube::find(objects_.replica_sets, metadata.name_space, owner->name)
            : nullptr;
    const kube::OwnerReference* above =
        set == nullptr ? nullptr : kube::controller_of(set->metadata);
    if (owner->name == rest || (above != nullptr && above->name == rest)) {
      owned.push_back(&running);
    }
  }
  std::vector<RunningPod*>& found = exact.empty() ? owned : exact;
  if (found.empty()) {
    return missing(
        fmt::format("nothing here is called '{}'{}", name, near_ones(rest, all_names())));
  }
  // Those that stay before those that go.
  std::sort(found.begin(), found.end(), [](const RunningPod* a, const RunningPod* b) {
    if (a->retiring != b->retiring) return b->retiring;
    return a->runner->pod().metadata.full_name() < b->runner->pod().metadata.full_name();
  });
  return found;
}

Machine* Lab::find_machine(const std::string& name) {
  for (Node& node : nodes_) {
    if (node.name == name) return &node.machine;
  }
  return name == "control" && control_ ? &*control_ : nullptr;
}

// ── manifests, faults ───────────────────────────────────────────────────────────────────────────

Result<> Lab::reread() {
  Result<kube::Reading> reading = read_manifests(options_.manifests);
  Result<> sound = reading ? check_commands(reading->objects) : reading.fault();
  broken_ = sound ? "" : sound.fault().describe();
  if (!sound) return sound;
  manifests_ = std::move(reading->objects);
  ignored_ = std::move(reading->ignored);
  touch();
  return done();
}

Result<> Lab::add_manifests(const std::vector<std::string>& paths) {
  const std::vector<std::string> before = options_.manifests;
  for (const std::string& path : paths) {
    const auto known = std::find(before.begin(), before.end(), path);
    if (known == before.end()) options_.manifests.push_back(path);
  }
  const std::string was_broken = broken_;
  Result<> read = reread();
  if (!read) {
    options_.manifests = before;
    broken_ = was_broken;
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

Result<> Lab::restart_workload(const std::string& name) {
  return missing("no workload " + name);
}

}  // namespace fairlead::lab
