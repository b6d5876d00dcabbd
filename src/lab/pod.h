// Runs one pod, as a kubelet does: init containers in order, sidecars before what needs them, apps,
// probes, restarts, and an orderly end.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/gate.h"
#include "base/latest.h"
#include "base/result.h"
#include "base/task.h"
#include "kube/objects.h"
#include "lab/children.h"
#include "lab/container.h"
#include "lab/fabric.h"
#include "lab/paths.h"
#include "lab/process.h"
#include "net/loop.h"

namespace fairlead::lab {

inline constexpr const char* proxy_container = "istio-proxy";
inline constexpr const char* proxy_bootstrap = "/etc/istio/proxy/envoy-rev.json";
// Where the proxy's container finds its bootstrap file, as in Istio's.
inline constexpr const char* work_folder = "/run/fairlead-lab";  // the lab's own memory

// What a pod needs of the lab around it.
struct Surroundings {
  net::Loop& loop;
  Children& children;
  const Paths& paths;
  const Images& images;
  const kube::Objects& objects;           // the manifests: config maps, secrets
  std::function<void(std::string)> tell;  // a line for people
};

class PodRunner;

// One container of a pod, over all its restarts.
class ContainerRunner {
 public:
  ContainerRunner(PodRunner& pod, kube::Container spec, bool is_init);

  [[nodiscard]] const kube::Container& spec() const LIFETIMEBOUND { return spec_; }
  [[nodiscard]] const kube::ContainerStatus& status() const LIFETIMEBOUND { return status_; }
  [[nodiscard]] bool is_init() const { return is_init_; }
  [[nodiscard]] bool is_running() const { return child_ != nullptr && !child_->is_over(); }
  [[nodiscard]] pid_t pid() const { return is_running() ? child_->pid() : 0; }
  [[nodiscard]] bool has_begun() const {
    return begun_ || std::holds_alternative<kube::Running>(status_.state);
  }
  // Its process was there once.
  [[nodiscard]] Launch inside() const;
  // Whatever runs beside its process, as that one does: where, as whom, with its variables.
  [[nodiscard]] const std::string& unready() const LIFETIMEBOUND { return unready_; }
  // "readiness probe: it answered 503", when that has kept it from being ready for a while.
  [[nodiscard]] bool has_succeeded() const;  // it ended with 0 and is not started again
  [[nodiscard]] bool is_over() const;        // it ended, and its pod's policy starts it no more

  [[nodiscard]] Task<> run_once();
  // Until the process is over.
  [[nodiscard]] Task<> keep();
  // Starts it again as its pod's policy says, until then or until stop().
  [[nodiscard]] Task<> until_ready();
  // Or until stop().
  [[nodiscard]] Task<> stop(Duration grace);
  // Its preStop hook, SIGTERM to its first process, SIGKILL to all when the grace is over; returns
  // when nothing of it runs.
  void expect_no_grace() { graceless_ = true; }
  // stop() need not wait for a process that hears no SIGTERM.
  [[nodiscard]] Task<> pause_before_restart();
  void kill(int signal);
  // As a fault would: nothing is told beforehand, and it is started again by its policy.
  void try_again();
  // Now, if it waits because it could not even be started.

 private:
  [[nodiscard]] Result<> start();
  [[nodiscard]] bool should_restart() const;
  [[nodiscard]] Task<> watch_health();
  [[nodiscard]] Task<Result<>> watch_readiness();
  [[nodiscard]] Task<Result<>> watch_liveness();
  [[nodiscard]] Task<bool> wait_for_first(const kube::Probe& probe);
  [[nodiscard]] Task<> wait_for_ports();
  [[nodiscard]] Task<Result<>> probe(const kube::Probe& probe);
  [[nodiscard]] Task<Result<>> probe_and_note(const char* kind, const kube::Probe& probe);
  // Also keeps why it goes on failing.
  [[nodiscard]] Task<Result<>> run_hook(const kube::Hook& hook);
  [[nodiscard]] Task<Result<>> run_inside(std::vector<std::string> words);
  [[nodiscard]] Task<Result<>> until_hurried();
  [[nodiscard]] Task<> end_in_time(Duration grace);
  // SIGTERM, then SIGKILL.
  void set_ready(bool ready);
  void record_ending();
  void write_log(const std::string& line);
  [[nodiscard]] bool is_stopping() const { return stopping_.number() > 0; }

  PodRunner& pod_;
  kube::Container spec_;
  bool is_init_;
  kube::ContainerStatus status_;
  ChildPointer child_;
  Plan plan_;  // that child_ was started by; its words are the process's
  Launched launched_;
  Latest<bool> stopping_;
  Latest<bool> hurry_;  // what it pauses for may be over
  Latest<bool> readiness_;
  Instant started_;
  int quick_ends_ = 0;
  bool begun_ = false;
  bool graceless_ = false;
  std::optional<Instant> failing_since_;  // its probes, without a break
  std::string unready_;
};

class PodRunner {
 public:
  PodRunner(Surroundings& surroundings, kube::Pod pod, Machine machine,
            std::function<void()> changed);
  // `changed` is called, from the loop, whenever status() became another one.
  ~PodRunner();

  void start();
  [[nodiscard]] Task<> stop(Duration grace);
  // Apps first, then sidecars, the last started first. Nothing of the pod runs afterwards.
  void expect_no_grace();
  // As the lab goes down, which is no business of Kubernetes: see ContainerRunner.
  [[nodiscard]] kube::PodStatus status() const;
  [[nodiscard]] const kube::Pod& pod() const LIFETIMEBOUND { return pod_; }
  [[nodiscard]] kube::Pod& pod() LIFETIMEBOUND { return pod_; }
  [[nodiscard]] const Machine& machine() const LIFETIMEBOUND { return machine_; }
  [[nodiscard]] std::vector<std::unique_ptr<ContainerRunner>>& containers() LIFETIMEBOUND {
    return containers_;
  }
  [[nodiscard]] ContainerRunner* find(std::string_view container);
  // Null when there is none. An empty name: the first app.
  void refresh();
  // The objects have changed: its volumes are filled as they are now, and what could not begin is
  // tried again. What cannot be filled any more stays as it was, and that is said once.

 private:
  friend class ContainerRunner;
  [[nodiscard]] Task<> live();
  [[nodiscard]] Task<> prepare_until_it_can_begin();
  [[nodiscard]] Task<Result<>> until_hurried();
  [[nodiscard]] Task<bool> run_init(ContainerRunner& container);
  [[nodiscard]] Task<> run_apps();
  [[nodiscard]] Result<> prepare();
  [[nodiscard]] Result<> fill_volumes();
  [[nodiscard]] bool has_given_up(const ContainerRunner& container) const;
  void start_proxy_after_capture();
  [[nodiscard]] Duration grace() const;
  [[nodiscard]] std::string folder() const;
  [[nodiscard]] std::string bootstrap() const;  // of its proxy
  [[nodiscard]] Root root_of(const kube::Container& container) const;
  [[nodiscard]] bool is_sidecar(const ContainerRunner& container) const;

  Surroundings& surroundings_;
  kube::Pod pod_;
  Machine machine_;
  std::function<void()> changed_;
  std::vector<std::unique_ptr<ContainerRunner>> containers_;  // inits first, in order
  std::string trouble_;                                       // why it could not even begin
  std::string stale_;  // why the files of its volumes are not the newest
  std::string start_time_;
  Gate gate_;
  Latest<bool> hurry_;
  bool initialized_ = false;
  bool stopping_ = false;
};

[[nodiscard]] std::string time_text(WallTime time);
// RFC 3339, whole seconds, UTC.

}  // namespace fairlead::lab
