#include "kube/settle.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "kube/control_services.h"
#include "kube/controllers.h"
#include "kube/services.h"

namespace fairlead::kube {
namespace {

constexpr std::uint64_t seed = 1;     // the same manifests give the same names
constexpr int most_steps = 10'000;    // of controllers; each makes at least one pod
constexpr int first_pod_address = 2;  // .1 is the node's end of the wire
constexpr int last_pod_address = 254;
constexpr int most_nodes = 254;  // each has a number in its pods' addresses

IpAddress address(const std::string& text) {
  return *IpAddress::parse(text);
}

Node make_node(int number, const std::string& name) {
  Node node;
  node.metadata.name = name;
  node.metadata.labels = {{"kubernetes.io/hostname", node.metadata.name}};
  node.metadata.origin = {.kind = "Node", .name = node.metadata.name};
  node.pod_cidrs = {fmt::format("10.244.{}.0/24", number),
                    fmt::format("fd00:10:244:{:x}::/64", number)};
  node.addresses = {{"InternalIP", fmt::format("172.30.0.{}", number)},
                    {"InternalIP", fmt::format("fd00:172:30::{:x}", number)},
                    {"Hostname", node.metadata.name}};
  return node;
}

// Those of a cluster that is no lab.
bool have_addresses(const std::vector<Node>& nodes) {
  return std::any_of(nodes.begin(), nodes.end(),
                     [](const Node& node) { return !node.addresses.empty(); });
}

// Brings a cluster to rest.
class Settling {
 public:
  Settling(const Objects& manifests, const ClusterSettings& settings)
      : manifests_(manifests), settings_(settings), objects_(manifests), random_(seed) {}

  Result<Objects> run() {
    if (!have_addresses(objects_.nodes) && !settings_.control.empty()) {
      add_control_services(objects_, settings_.control);
    }
    if (!have_addresses(objects_.nodes)) make_nodes();
    give_nodes_addresses();
    if (Result<> given = allocate_cluster_ips(objects_.services); !given) {
      return std::move(given).fault();
    }
    objects_.pods.clear();
    objects_.replica_sets.clear();
    note_addresses_in_use();
    if (Result<> made = make_pods(); !made) return std::move(made).fault();
    put_endpoint_slices(objects_, Elsewhere::pods_may_be);
    return std::move(objects_);
  }

 private:
  // As a lab does: a Node that is only a name with labels keeps its labels.
  void make_nodes() {
    std::vector<Node> nodes;
    for (const std::string& name : node_names(manifests_, settings_.nodes)) {
      Node made = make_node(static_cast<int>(nodes.size()) + 1, name);
      if (const Node* written = find(manifests_.nodes, "", name)) {
        made.metadata.origin = written->metadata.origin;
        made.metadata.labels = written->metadata.labels;
        made.metadata.labels["kubernetes.io/hostname"] = name;
        made.unschedulable = written->unschedulable;
        made.conditions = written->conditions;
      }
      nodes.push_back(std::move(made));
    }
    objects_.nodes = std::move(nodes);
  }

  // Of a cluster that is no lab, one may have none.
  void give_nodes_addresses() {
    int number = 0;
    for (Node& node : objects_.nodes) {
      ++number;
      if (node.addresses.empty()) {
        node.addresses = make_node(number, node.metadata.name).addresses;
      }
    }
  }

  void note_addresses_in_use() {
    for (const Pod& pod : manifests_.pods) {
      taken_.insert(pod.status.pod_ips.begin(), pod.status.pod_ips.end());
    }
  }

  Result<> make_pods() {
    for (int step = 0; step < most_steps; ++step) {
      Step next = next_step(manifests_, objects_, random_);
      objects_.replica_sets = std::move(next.replica_sets);
      objects_.revisions = std::move(next.revisions);
      if (next.create.empty() && next.remove.empty()) return done();
      for (const Removal& removal : next.remove) {
        std::erase_if(objects_.pods, [&](const Pod& pod) {
          return pod.metadata.name == removal.name && pod.metadata.name_space == removal.name_space;
        });
      }
      for (Pod& pod : next.create) {
        if (Result<> started = start(std::move(pod)); !started) return started;
      }
    }
    return Fault{FaultKind::internal, "the controllers do not come to rest"};
  }

  Result<> start(Pod pod) {
    Pod admitted = pod;
    if (const Result<> taken = admit(admitted); !taken) {
      mark_unplaced(pod, taken.fault());  // as in a cluster: the others run
      objects_.pods.push_back(std::move(pod));
      return done();
    }
    if (Result<> given = give_addresses(admitted); !given) return given;
    mark_running(admitted);
    settle_status(admitted);
    objects_.pods.push_back(std::move(admitted));
    return done();
  }

  // Node and sidecar.
  Result<> admit(Pod& pod) {
    Result<std::string> node = choose_node(pod, objects_.nodes, objects_.pods);
    if (!node) return std::move(node).fault();
    pod.spec.node_name = *node;
    const Namespace* around = nullptr;
    for (const Namespace& one : objects_.namespaces) {
      if (one.metadata.name == pod.metadata.name_space) around = &one;
    }
    if (!should_inject(pod, around, settings_.injection).inject) return done();
    return inject(pod, settings_.injection);
  }

  Result<> give_addresses(Pod& pod) {
    const Node* node = find(objects_.nodes, "", pod.spec.node_name);
    if (node == nullptr) return missing("there is no node " + pod.spec.node_name);
    for (const NodeAddress& one : node->addresses) {
      if (one.type != "InternalIP") continue;
      if (Result<IpAddress> ip = IpAddress::parse(one.address); ip) {
        pod.status.host_ips.push_back(*ip);
      }
    }
    if (pod.spec.host_network) {
      pod.status.pod_ips = pod.status.host_ips;
      return done();
    }
    const Pod* written = find(manifests_.pods, pod.metadata.name_space, pod.metadata.name);
    if (written != nullptr && !written->status.pod_ips.empty()) {
      pod.status.pod_ips = written->status.pod_ips;
      return done();
    }
    const auto number = static_cast<int>(node - objects_.nodes.data()) + 1;
    if (number > most_nodes) {
      return Fault{FaultKind::exhausted,
                   fmt::format("node {} is one more than the {} that have addresses for pods",
                               pod.spec.node_name, most_nodes)};
    }
    for (int last = first_pod_address; last <= last_pod_address; ++last) {
      const IpAddress v4 = address(fmt::format("10.244.{}.{}", number, last));
      const IpAddress v6 = address(fmt::format("fd00:10:244:{:x}::{:x}", number, last));
      if (taken_.contains(v4) || taken_.contains(v6)) continue;
      taken_.insert({v4, v6});
      pod.status.pod_ips = {v4, v6};
      return done();
    }
    return Fault{FaultKind::exhausted, fmt::format("node {} has no address left for pod {}",
                                                   pod.spec.node_name, pod.metadata.full_name())};
  }

  const Objects& manifests_;
  const ClusterSettings& settings_;
  Objects objects_;
  SeededRandom random_;
  std::set<IpAddress> taken_;
};

}  // namespace

Result<Objects> as_if_running(const Objects& manifests, const ClusterSettings& settings) {
  return Settling(manifests, settings).run();
}

}  // namespace fairlead::kube
