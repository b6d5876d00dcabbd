// What Kubernetes' controllers would do: Deployments keep ReplicaSets, and ReplicaSets,
// StatefulSets and DaemonSets keep pods. Pure: what is wanted and what there is go in, the next
// step comes out. Call it again after each step, and whenever a pod became ready or is gone; once
// it has nothing to say, everything is as wanted. The same input gives the same answer but for the
// random ends of new names.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/lifetime.h"
#include "base/result.h"
#include "kube/objects.h"
#include "kube/read.h"

namespace fairlead::kube {

struct Removal {
  std::string name_space;
  std::string name;
  std::string reason;  // "Deployment default/web wants 2", for people
  bool operator==(const Removal&) const = default;
};

// A controller that cannot go on until the manifests change.
struct Hindrance {
  std::string who;  // "StatefulSet default/db"
  std::string why;  // after it: "cannot make its pod db-0: …"
  bool operator==(const Hindrance&) const = default;
};

struct Step {
  std::vector<ReplicaSet> replica_sets;  // all there should be now, those of Deployments included
  std::vector<ControllerRevision> revisions;  // one for each StatefulSet, likewise
  std::vector<Pod> create;                    // of DaemonSets with a node, all others without
  std::vector<Removal> remove;                // to be stopped in order, with their grace
  std::vector<Hindrance> hindered;            // none of them keeps it from being settled
  [[nodiscard]] bool settled() const { return create.empty() && remove.empty(); }
};

[[nodiscard]] Step next_step(const Objects& wanted, const Objects& current, Random& random);
// `wanted`: the manifests. `current`: nodes, replica_sets, revisions and pods as they are, the
// terminating ones too; nothing else of it is looked at. A created pod has name, labels, owner,
// uid, its template's spec, and as origin the object that a person wrote. It says Pending. Pods
// that nobody wants any more go; pods of a changed template are replaced in Kubernetes' order:
// Deployments by maxSurge and maxUnavailable, StatefulSets from the last ordinal down to the
// partition, one at a time, DaemonSets by maxUnavailable. Below its partition a StatefulSet goes on
// with the template that all of its pods had last. A Pod of the manifests itself is replaced when
// its spec changes (Kubernetes would refuse that). Pods that are over (Succeeded, Failed) are
// replaced, but for Pods of the manifests themselves: those have run. What would have
// a name that another has already waits, and is named in `hindered`.

[[nodiscard]] std::vector<Ignored> left_to_controllers(const Objects& manifests);
// Pods and ReplicaSets of the manifests that next_step takes no notice of, with the reason: their
// controller is in the manifests too, and makes its own. So a dump of a cluster means what the
// cluster was made from. Those count too that a controller would adopt as its own: a Pod named as a
// StatefulSet's, a ReplicaSet that a Deployment selects.

[[nodiscard]] std::string template_hash(const PodTemplate& pods);
// Up to 10 letters and digits, as pod-template-hash. Of the honoured fields alone: an edit of an
// ignored field replaces no pod.

[[nodiscard]] std::string random_suffix(Random& random, std::size_t length = 5);
// Letters and digits that can make no word, as Kubernetes ends generated names.

// Who is behind a pod, for people: the Deployment rather than its ReplicaSet.
struct WorkloadName {
  std::string kind;
  std::string name;
  bool operator==(const WorkloadName&) const = default;
};
[[nodiscard]] WorkloadName workload_of(const Metadata& pod);
// {"Pod", its name} when nobody is.

[[nodiscard]] std::vector<std::string> node_names(const Objects& manifests, int count);
// node1 to nodeCOUNT, and after them, sorted, every other node that a Node of the manifests or the
// nodeName of a pod or of a template names: all of them exist.

// ── where a pod goes ────────────────────────────────────────────────────────────────────────────

[[nodiscard]] Result<std::string> choose_node(const Pod& pod, const std::vector<Node>& nodes,
                                              const std::vector<Pod>& pods);
// Its nodeName; else among the schedulable nodes that nodeSelector picks, the one with the fewest
// pods of the same workload, then the fewest at all, then the first: so pods go round. `pods` are
// those that there are. Fault: missing, saying which node or label is not there.

// ── a pod's status ──────────────────────────────────────────────────────────────────────────────

void settle_status(Pod& pod);
// Phase and conditions (PodScheduled, Initialized, ContainersReady, Ready) from what the statuses
// of its containers say. Containers without a status wait.

void mark_unplaced(Pod& pod, const Fault& why);
// Of a pod that no node takes: it is pending, and says why.

void mark_running(Pod& pod);
// Statuses of a pod whose containers all run and are ready, and whose init containers succeeded.

}  // namespace fairlead::kube
