// Where a pod goes, and what its status says.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "kube/controllers.h"

namespace fairlead::kube {
namespace {

std::string describe(const StringMap& labels) {
  std::string text;
  for (const auto& [key, value] : labels) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ", ", key, value);
  }
  return text;
}

Fault fits_none(const std::string& why) {
  return missing("it fits no node: " + why);
}

struct Load {
  int of_workload = 0;
  int all = 0;
  auto operator<=>(const Load&) const = default;
};

}  // namespace

std::vector<std::string> node_names(const Objects& manifests, int count) {
  std::vector<std::string> names;
  for (int number = 1; number <= count; ++number) names.push_back(fmt::format("node{}", number));
  std::set<std::string> named;
  for (const Node& node : manifests.nodes) named.insert(node.metadata.name);
  for (const Pod& pod : manifests.pods) named.insert(pod.spec.node_name);
  const auto add_templates = [&](const auto& owners) {
    for (const auto& owner : owners) named.insert(owner.pod_template.spec.node_name);
  };
  add_templates(manifests.deployments);
  add_templates(manifests.replica_sets);
  add_templates(manifests.stateful_sets);
  add_templates(manifests.daemon_sets);
  named.erase("");
  for (const std::string& name : names) named.erase(name);
  names.insert(names.end(), named.begin(), named.end());
  return names;
}

Result<std::string> choose_node(const Pod& pod, const std::vector<Node>& nodes,
                                const std::vector<Pod>& pods) {
  if (!pod.spec.node_name.empty()) {
    if (find(nodes, "", pod.spec.node_name) == nullptr) {
      return fits_none(fmt::format("there is no node {}", pod.spec.node_name));
    }
    return pod.spec.node_name;
  }
  const WorkloadName workload = workload_of(pod.metadata);
  std::map<std::string, Load> loads;
  for (const Pod& other : pods) {
    if (other.spec.node_name.empty() || is_over(other)) continue;
    Load& load = loads[other.spec.node_name];
    ++load.all;
    const bool same = other.metadata.name_space == pod.metadata.name_space &&
                      workload_of(other.metadata) == workload;
    if (same) ++load.of_workload;
  }
  const Node* best = nullptr;
  for (const Node& node : nodes) {
    if (node.unschedulable || !selects(pod.spec.node_selector, node.metadata.labels)) continue;
    if (best == nullptr || loads[node.metadata.name] < loads[best->metadata.name]) best = &node;
  }
  if (best != nullptr) return best->metadata.name;
  if (!pod.spec.node_selector.empty()) {
    return fits_none(
        fmt::format("none that takes pods has the labels {}", describe(pod.spec.node_selector)));
  }
  return fits_none("there is none that takes pods");
}

// ── status ──────────────────────────────────────────────────────────────────────────────────────

namespace {

const ContainerStatus* status_of(const std::vector<ContainerStatus>& statuses LIFETIMEBOUND,
                                 const std::string& name) {
  for (const ContainerStatus& status : statuses) {
    if (status.name == name) return &status;
  }
  return nullptr;
}

bool is_initialized(const Pod& pod) {
  return std::all_of(pod.spec.init_containers.begin(), pod.spec.init_containers.end(),
                     [&](const Container& container) {
                       const ContainerStatus* status =
                           status_of(pod.status.init_containers, container.name);
                       if (status == nullptr) return false;
                       if (container.sidecar) return status->started;
                       const auto* end = std::get_if<Terminated>(&status->state);
                       return end != nullptr && end->exit_code == 0;
                     });
}

bool has_failed_init(const Pod& pod) {
  return std::any_of(pod.status.init_containers.begin(), pod.status.init_containers.end(),
                     [](const ContainerStatus& status) {
                       const auto* end = std::get_if<Terminated>(&status.state);
                       return end != nullptr && end->exit_code != 0;
                     });
}

bool are_containers_ready(const Pod& pod) {
  const auto ready = [](const std::vector<ContainerStatus>& statuses, const Container& container) {
    const ContainerStatus* status = status_of(statuses, container.name);
    return status != nullptr && status->ready;
  };
  return std::all_of(pod.spec.containers.begin(), pod.spec.containers.end(),
                     [&](const Container& each) { return ready(pod.status.containers, each); }) &&
         std::all_of(pod.spec.init_containers.begin(), pod.spec.init_containers.end(),
                     [&](const Container& each) {
                       return !each.sidecar || ready(pod.status.init_containers, each);
                     });
}

// As the kubelet counts them.
PodPhase phase_of(const Pod& pod, bool initialized) {
  if (!initialized) {
    const bool lost = has_failed_init(pod) && pod.spec.restart_policy == RestartPolicy::never;
    return lost ? PodPhase::failed : PodPhase::pending;
  }
  int unknown = 0;
  int running = 0;
  int succeeded = 0;
  int failed = 0;
  for (const Container& container : pod.spec.containers) {
    const ContainerStatus* status = status_of(pod.status.containers, container.name);
    if (status == nullptr) {
      ++unknown;
    } else if (std::holds_alternative<Running>(status->state)) {
      ++running;
    } else if (const auto* end = std::get_if<Terminated>(&status->state)) {
      ++(end->exit_code == 0 ? succeeded : failed);
    } else {
      ++(status->restart_count > 0 ? running : unknown);  // waiting to be started again
    }
  }
  if (unknown > 0) return PodPhase::pending;
  if (running > 0 || pod.spec.restart_policy == RestartPolicy::always) return PodPhase::running;
  if (failed == 0) return PodPhase::succeeded;
  return pod.spec.restart_policy == RestartPolicy::never ? PodPhase::failed : PodPhase::running;
}

void put(Pod& pod, const char* type, bool holds, const char* reason) {
  set_condition(pod.status.conditions, {type, holds ? "True" : "False", holds ? "" : reason, ""});
}

}  // namespace

void settle_status(Pod& pod) {
  const bool initialized = is_initialized(pod);
  pod.status.phase = phase_of(pod, initialized);
  const bool over = is_over(pod);
  const bool ready = initialized && !over && are_containers_ready(pod);
  put(pod, "PodScheduled", !pod.spec.node_name.empty(), "Unschedulable");
  put(pod, "Initialized", initialized, "ContainersNotInitialized");
  put(pod, "ContainersReady", ready, over ? "PodCompleted" : "ContainersNotReady");
  put(pod, "Ready", ready, over ? "PodCompleted" : "ContainersNotReady");
}

void mark_unplaced(Pod& pod, const Fault& why) {
  pod.status = {.phase = PodPhase::pending, .message = why.describe()};
  pod.status.conditions = {{.type = "PodScheduled",
                            .status = "False",
                            .reason = "Unschedulable",
                            .message = pod.status.message}};
}

void mark_running(Pod& pod) {
  pod.status.init_containers.clear();
  pod.status.containers.clear();
  for (const Container& container : pod.spec.init_containers) {
    ContainerStatus status{container.name, container.image, true, container.sidecar, 0, {}};
    if (container.sidecar) {
      status.state = Running{};
    } else {
      status.state = Terminated{0, 0, "Completed", "", ""};
    }
    pod.status.init_containers.push_back(std::move(status));
  }
  for (const Container& container : pod.spec.containers) {
    pod.status.containers.push_back({container.name, container.image, true, true, 0, Running{}});
  }
  settle_status(pod);
}

}  // namespace fairlead::kube
