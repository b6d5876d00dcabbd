// The state of a running lab, and what is done to it. One loop, one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/gate.h"
#include "base/latest.h"
#include "base/result.h"
#include "base/task.h"
#include "kube/objects.h"
#include "kube/read.h"
#include "lab/children.h"
#include "lab/daemon.h"
#include "lab/fabric.h"
#include "lab/options.h"
#include "lab/paths.h"
#include "lab/pod.h"
#include "lab/target.h"
#include "net/loop.h"
#include "registry/manifest_files.h"

namespace fairlead::lab {

// What the agent of a node, or control, last said of itself.
struct Progress {
  std::string world;  // read
  std::string applied;
  std::string error;
  std::vector<std::string> ignored;  // by control, of what the lab itself honours
  bool answered = false;
};

inline constexpr int first_pod_number = 2;  // 1 is the node itself

struct Node {
  int number = 0;
  std::string name;
  Machine machine;
  std::unique_ptr<Daemon> agent;
  Progress progress;
  int next_pod = first_pod_number;
};

struct RunningPod {
  std::unique_ptr<PodRunner> runner;
  Node* node = nullptr;
  int number = 0;  // of its addresses on the node; 0: a VM's are its own, or it has the node's
  bool is_vm = false;
  std::string made_of;  // a VM: when its entry calls for something else it is made anew
  bool retiring = false;
};

// What keeps a lab from being ready.
struct Lack {
  std::string who;  // "pod default/web", "VM shop/stock", "node1"
  std::string why;  // "is not ready"
  std::string uid;  // of the pod
  bool operator==(const Lack&) const = default;
};

struct Lacks {
  std::vector<Lack> waiting;   // may be there in a moment
  std::vector<Lack> hopeless;  // only a change of the manifests helps
  std::size_t pods = 0;        // of how many
  [[nodiscard]] bool none() const { return waiting.empty() && hopeless.empty(); }
  [[nodiscard]] std::string describe() const;
  // A sentence; empty when nothing is lacking.
  [[nodiscard]] std::string names(bool with_hopeless) const;
  // Of those that wait, and of the others when asked for.
  bool operator==(const Lacks&) const = default;
};

class Lab {
 public:
  Lab(net::Loop& loop, Children& children, Options options, Paths paths,
      std::function<void(std::string)> tell);
  ~Lab();

  [[nodiscard]] Result<> build();
  // Namespaces, agents, control, and the pods that the manifests ask for: all begun, none waited
  // for. Fault: a manifest that is broken, a command that is missing.
  [[nodiscard]] Task<Result<Lacks>> until_settled(Duration patience,
                                                  std::function<void(const Lacks&)> look = {});
  // All pods ready, over or without hope, and everyone speaks the newest world; or the patience is
  // over: then someone is still waiting. `look` sees each step.
  [[nodiscard]] Lacks lacks() const;
  [[nodiscard]] Task<> take_down();

  // ── manifests ──
  [[nodiscard]] Result<> reread();
  // The manifests anew. Of a broken file the last good version stays in force while others go on;
  // when what they say together cannot be run, all stays. The fault is kept for broken().
  void set_being_written(registry::Look::BeingWritten being_written) {
    being_written_ = std::move(being_written);
  }
  // How reread() learns which of them somebody is writing.
  [[nodiscard]] Duration until_reread() const;
  // How long until reread() has more to do though no file changes; Duration::max(): never.
  [[nodiscard]] Task<> until_losses_count();
  // Until what files have lost is either there again or gone.
  [[nodiscard]] Result<> add_manifests(const std::vector<std::string>& paths, bool recursive);
  // The same with more of them, and what is inside folders when that is asked for; broken ones are
  // not added.
  void when_manifests_are_added(std::function<void()> act) { manifests_added_ = std::move(act); }
  [[nodiscard]] std::vector<std::string> manifests() const;
  // Files and folders, as they were named.
  [[nodiscard]] std::vector<std::string> folders_and_files() const;
  // The same, and the folders inside, as they are now, of those that were asked for with them.
  [[nodiscard]] std::vector<std::string> to_watch() const;
  // Those, and the folders that hold no manifests yet.
  [[nodiscard]] const std::string& broken() const LIFETIMEBOUND { return broken_; }
  [[nodiscard]] const std::string& unwritten() const LIFETIMEBOUND { return unwritten_; }
  // Why nobody hears of the newest world; mostly empty.
  [[nodiscard]] std::vector<std::string> not_honoured() const;
  // Of the manifests: by the lab, and by control as far as it has said so.
  [[nodiscard]] std::vector<std::string> not_enforced() const;
  // Names of policies that would judge calls between what runs.
  [[nodiscard]] const std::vector<Lack>& hindered() const LIFETIMEBOUND { return hindered_; }
  // Controllers and VMs that cannot make what they should.

  // ── what there is ──
  [[nodiscard]] const std::map<std::string, RunningPod>& pods() const LIFETIMEBOUND {
    return pods_;
  }
  [[nodiscard]] const std::map<std::string, kube::Pod>& unplaced() const LIFETIMEBOUND {
    return unplaced_;
  }
  // Those that fit no node, or whose node has no room: their status.message says it. They are tried
  // again whenever something changes.
  [[nodiscard]] std::vector<Node>& nodes() LIFETIMEBOUND { return nodes_; }
  [[nodiscard]] Daemon* control() LIFETIMEBOUND { return control_agent_.get(); }
  [[nodiscard]] const Machine& control_machine() const LIFETIMEBOUND { return *control_; }
  [[nodiscard]] const Progress& control_progress() const LIFETIMEBOUND { return progress_; }
  [[nodiscard]] const kube::Objects& objects() const LIFETIMEBOUND { return objects_; }
  [[nodiscard]] std::uint64_t generation() const { return generation_; }
  [[nodiscard]] const Options& options() const LIFETIMEBOUND { return options_; }
  [[nodiscard]] const Paths& paths() const LIFETIMEBOUND { return paths_; }
  [[nodiscard]] net::Loop& loop() const { return loop_; }
  [[nodiscard]] Children& children() const { return children_; }

  [[nodiscard]] Result<std::vector<RunningPod*>> find_pods(const Target& target);
  // Pods and VMs themselves, those of a Deployment, StatefulSet, ..., or those that a Service
  // selects. Fault: missing, naming those near it.
  [[nodiscard]] Machine* find_machine(const Target& target);
  // A node's or control's; null when it is neither.

  // ── faults and restarts ──
  void kill_pod(RunningPod& pod, int signal);
  // All its processes at once, without a word beforehand; the pod does not come back, though a
  // controller may make another.
  void restart_pod(RunningPod& pod);
  // An orderly end; its controller makes another.
  [[nodiscard]] Result<> restart_workload(const Target& target);
  // A Deployment, StatefulSet or DaemonSet, by a changed template: its pods are replaced one after
  // the other.
  void touch();
  // Something changed: the objects are worked out anew, soon.
  [[nodiscard]] Task<> ask_progress();
  // Of all agents, and control.
  [[nodiscard]] Task<> until_acknowledged(std::uint64_t generation, Duration patience);

 private:
  void reconcile();
  void follow_controllers();
  void follow_virtual_machines();
  [[nodiscard]] kube::Objects wanted() const;
  [[nodiscard]] kube::Objects running_objects() const;
  [[nodiscard]] std::optional<int> take_pod_number(Node& node) const;
  void place(kube::Pod pod);
  void place_again();
  [[nodiscard]] Result<> start_pod(kube::Pod pod);
  [[nodiscard]] Result<Machine> wire_pod(Node& node, const std::string& key, int& number);
  // A network of its own; `number` becomes that of its addresses.
  [[nodiscard]] Result<> admit(kube::Pod& pod);
  void start_vm(const kube::WorkloadEntry& entry);
  [[nodiscard]] kube::Node object_of(const Node& node) const;
  // With the labels that a Node of the manifests gives it.
  void begin_retiring(RunningPod& pod, Duration grace);
  [[nodiscard]] Task<> retire(std::string name, Duration grace);
  [[nodiscard]] kube::Objects present_objects() const;
  [[nodiscard]] bool is_ready_machine(const kube::WorkloadEntry& entry) const;
  void write_objects(kube::Objects objects);
  [[nodiscard]] Task<> write_again();
  void tell_of_failures();
  [[nodiscard]] std::vector<std::string> all_names(bool full) const;
  // Of what find_pods knows; in full: with namespaces.
  [[nodiscard]] bool owns(const Target& target, const kube::Metadata& pod) const;
  [[nodiscard]] bool selects(const Target& service, const kube::Metadata& pod) const;
  [[nodiscard]] Fault nothing_of(const Target& target) const;
  [[nodiscard]] Result<> build_machines();
  [[nodiscard]] Result<> build_nodes();
  [[nodiscard]] Result<> start_node_agents();
  [[nodiscard]] Result<> start_agents();
  [[nodiscard]] static std::vector<kube::Ignored> passed_over(const kube::Objects& manifests);
  void take(kube::Reading reading);
  // As what is in force, once check() has passed it; services get their addresses.
  [[nodiscard]] registry::Paths paths_of_manifests() const;
  [[nodiscard]] kube::Reading read_files();
  [[nodiscard]] Result<> take_files();
  [[nodiscard]] Result<> check(const kube::Objects& manifests) const;
  // What only the lab can refuse: addresses asked for twice, commands that this machine lacks.

  net::Loop& loop_;
  Children& children_;
  Options options_;
  Paths paths_;
  std::function<void(std::string)> tell_;
  Images images_;
  kube::Objects manifests_;  // the last good, with the lab's own services, and their addresses
  std::vector<kube::Ignored> ignored_;
  std::function<void()> manifests_added_;
  registry::ManifestFiles files_{registry::Paths()};
  registry::Look::BeingWritten being_written_;
  std::string broken_;
  kube::Objects objects_;  // what objects.json holds
  std::vector<kube::ReplicaSet> replica_sets_;
  std::vector<kube::ControllerRevision> revisions_;
  std::map<std::string, std::string> restarted_;  // "Deployment ns/name" -> when
  SeededRandom random_{seed_from_system()};
  std::uint64_t generation_ = 0;
  std::optional<Fabric> fabric_;
  std::vector<Node> nodes_;
  std::optional<Machine> control_;
  std::unique_ptr<Daemon> control_agent_;
  Progress progress_;
  Surroundings surroundings_;
  std::map<std::string, RunningPod> pods_;  // by "namespace/name"; a VM's too
  std::map<std::string, kube::Pod> unplaced_;
  std::vector<Lack> hindered_;
  std::set<std::string> told_;  // what was said once is not said again
  std::string unwritten_;       // why objects.json is not what objects_ is
  Gate retiring_;
  Gate chores_;
  bool dirty_ = false;
  bool going_down_ = false;
};

}  // namespace fairlead::lab
