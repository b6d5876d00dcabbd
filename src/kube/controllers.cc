#include "kube/controllers.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "kube/naming.h"
#include "kube/write.h"

namespace fairlead::kube {
namespace {

constexpr const char* revision_label = "controller-revision-hash";
constexpr const char* bare_hash_annotation = "fairlead/template-hash";
// On a pod that a manifest asks for itself: what its spec was.

bool is_active(const Pod& pod) {
  return !is_terminating(pod) && !is_over(pod);
}

std::string label_of(const Metadata& metadata, const char* name) {
  const auto found = metadata.labels.find(name);
  return found == metadata.labels.end() ? "" : found->second;
}

OwnerReference owned_by(const char* kind, const Metadata& owner) {
  return {"apps/v1", kind, owner.name, owner.uid, true};
}

std::string title(const char* kind, const Metadata& metadata) {
  return fmt::format("{} {}", kind, metadata.full_name());
}

// Whom a controller would stop first: true when `a` goes before `b`.
bool goes_before(const Pod& a, const Pod& b) {
  const auto rank = [](const Pod& pod) {
    return std::tuple(!pod.spec.node_name.empty(), pod.status.phase != PodPhase::pending,
                      is_ready(pod));
  };
  if (rank(a) != rank(b)) return rank(a) < rank(b);
  if (a.metadata.creation_time != b.metadata.creation_time) {
    return a.metadata.creation_time > b.metadata.creation_time;  // the younger first
  }
  return a.metadata.name > b.metadata.name;
}

// ── what is left to controllers ──

const Metadata* find_controller(const Objects& objects LIFETIMEBOUND, const std::string& kind,
                                const std::string& name_space, const std::string& name) {
  const auto in = [&](const auto& list) -> const Metadata* {
    const auto* found = find(list, name_space, name);
    return found == nullptr ? nullptr : &found->metadata;
  };
  if (kind == "Deployment") return in(objects.deployments);
  if (kind == "ReplicaSet") return in(objects.replica_sets);
  if (kind == "StatefulSet") return in(objects.stateful_sets);
  if (kind == "DaemonSet") return in(objects.daemon_sets);
  return nullptr;
}

// "db-0" is a pod of "db"; empty when the name has no such end.
std::string set_of_member(const std::string& pod) {
  const std::size_t dash = pod.rfind('-');
  if (dash == std::string::npos || dash + 1 == pod.size()) return "";
  const bool number = pod.find_first_not_of("0123456789", dash + 1) == std::string::npos;
  return number ? pod.substr(0, dash) : "";
}

// Who would take it as its own though it names no controller; empty when nobody does.
std::string adopter_of(const Pod& pod, const Objects& manifests) {
  const std::string name = set_of_member(pod.metadata.name);
  const StatefulSet* set = find(manifests.stateful_sets, pod.metadata.name_space, name);
  const bool adopts = set != nullptr && set->selector.matches(pod.metadata.labels);
  return adopts ? title("StatefulSet", set->metadata) : "";
}

std::string adopter_of(const ReplicaSet& set, const Objects& manifests) {
  for (const Deployment& one : manifests.deployments) {
    const bool adopts = one.metadata.name_space == set.metadata.name_space &&
                        one.selector.matches(set.metadata.labels);
    if (adopts) return title("Deployment", one.metadata);
  }
  return "";
}

// Who in the manifests makes its own in the place of this Pod or ReplicaSet of theirs; empty when
// nobody does. A pod of a dump may come with its Deployment, without the ReplicaSet between them.
template <class Object>
std::string keeper_of(const Object& object, const Objects& manifests) {
  const OwnerReference* owner = controller_of(object.metadata);
  if (owner == nullptr) return adopter_of(object, manifests);
  for (const auto& [kind, name] :
       {WorkloadName{owner->kind, owner->name}, workload_of(object.metadata)}) {
    const Metadata* found = find_controller(manifests, kind, object.metadata.name_space, name);
    if (found != nullptr) return title(kind.c_str(), *found);
  }
  return "";
}

template <class Object>
void list_left(const std::vector<Object>& objects, const Objects& manifests,
               std::vector<Ignored>& left) {
  for (const Object& object : objects) {
    const std::string keeper = keeper_of(object, manifests);
    if (keeper.empty()) continue;
    left.push_back(
        {object.metadata.origin, "", fmt::format("it is left to {}, which makes its own", keeper)});
  }
}

class Planner {
 public:
  Planner(const Objects& wanted, const Objects& current, Random& random)
      : wanted_(wanted), current_(current), random_(random) {
    for (const Pod& pod : current.pods) {
      names_.emplace(pod.metadata.name_space, pod.metadata.name);
      if (const OwnerReference* owner = controller_of(pod.metadata)) {
        owned_[{pod.metadata.name_space, owner->kind, owner->name}].push_back(&pod);
      }
    }
    for (const Pod& pod : wanted.pods) {
      if (!keeper_of(pod, wanted).empty()) continue;
      alone_.push_back(&pod);
      names_.emplace(pod.metadata.name_space, pod.metadata.name);
    }
  }

  Step plan() {
    for (const Deployment& deployment : wanted_.deployments) keep(deployment);
    for (const ReplicaSet& set : wanted_.replica_sets) {
      if (keeper_of(set, wanted_).empty()) keep_alone(set);
    }
    for (const StatefulSet& set : wanted_.stateful_sets) keep(set);
    for (const DaemonSet& set : wanted_.daemon_sets) keep(set);
    for (const Pod* pod : alone_) keep(*pod);
    for (const Pod& pod : current_.pods) {
      if (kept_.count(&pod) == 0) remove(pod, "nothing asks for it any more");
    }
    return std::move(step_);
  }

 private:
  using Pods = std::vector<const Pod*>;

  Pods pods_of(const char* kind, const Metadata& owner) {
    const auto found = owned_.find({owner.name_space, kind, owner.name});
    if (found == owned_.end()) return {};
    for (const Pod* pod : found->second) kept_.insert(pod);
    return found->second;
  }

  void remove(const Pod& pod, const std::string& reason) {
    if (is_terminating(pod)) return;
    step_.remove.push_back({pod.metadata.name_space, pod.metadata.name, reason});
  }

  std::string free_name(const Metadata& owner) {
    while (true) {
      std::string name = with_suffix(owner.name, random_suffix(random_));
      if (names_.emplace(owner.name_space, name).second) return name;
    }
  }

  Pod& create(const PodTemplate& pods, const char* kind, const Metadata& owner, std::string name) {
    Pod pod;
    pod.metadata.name_space = owner.name_space;
    pod.metadata.name = std::move(name);
    pod.metadata.labels = pods.labels;
    pod.metadata.annotations = pods.annotations;
    pod.metadata.owners = {owned_by(kind, owner)};
    pod.metadata.uid = random_uid(random_);
    pod.metadata.origin = owner.origin;
    pod.spec = pods.spec;
    return step_.create.emplace_back(std::move(pod));
  }

  // ── Deployments ──

  struct Held {
    ReplicaSet set;
    Pods pods;  // the terminating ones too
    [[nodiscard]] int available() const {
      return static_cast<int>(std::count_if(pods.begin(), pods.end(), [](const Pod* pod) {
        return is_active(*pod) && is_ready(*pod);
      }));
    }
  };

  void keep(const Deployment& deployment) {
    const std::string hash = template_hash(deployment.pod_template);
    std::vector<Held> old;
    Held now;
    for (const ReplicaSet& set : current_.replica_sets) {
      const OwnerReference* owner = controller_of(set.metadata);
      if (owner == nullptr || owner->kind != "Deployment" ||
          owner->name != deployment.metadata.name ||
          set.metadata.name_space != deployment.metadata.name_space) {
        continue;
      }
      const bool same = label_of(set.metadata, template_hash_label) == hash;
      Held& held = same ? now : old.emplace_back();
      held.set = set;
      held.pods = pods_of("ReplicaSet", set.metadata);
    }
    shape(now.set, deployment, hash);
    scale(deployment, now, old);
    fill(now, title("Deployment", deployment.metadata));
    for (Held& held : old) {
      fill(held, title("Deployment", deployment.metadata));
      if (held.set.replicas > 0 || !held.pods.empty()) step_.replica_sets.push_back(held.set);
    }
    step_.replica_sets.push_back(std::move(now.set));
  }

  // The ReplicaSet of the present template, whether it was there or not.
  void shape(ReplicaSet& set, const Deployment& deployment, const std::string& hash) {
    const bool fresh = set.metadata.name.empty();
    if (fresh) {
      set.replicas = 0;
      set.metadata.name = with_suffix(deployment.metadata.name, hash);
      set.metadata.name_space = deployment.metadata.name_space;
      set.metadata.uid = random_uid(random_);
    }
    set.metadata.owners = {owned_by("Deployment", deployment.metadata)};
    set.metadata.origin = deployment.metadata.origin;
    set.pod_template = deployment.pod_template;
    set.pod_template.labels[template_hash_label] = hash;
    set.metadata.labels = set.pod_template.labels;
    set.selector = deployment.selector;
    set.selector.match_labels[template_hash_label] = hash;
  }

  static void scale(const Deployment& deployment, Held& now, std::vector<Held>& old) {
    if (deployment.recreate) return scale_at_once(deployment, now, old);
    const bool rolling =
        std::any_of(old.begin(), old.end(), [](const Held& each) { return each.set.replicas > 0; });
    if (!rolling || now.set.replicas > deployment.replicas) {
      now.set.replicas = deployment.replicas;
    }
    if (rolling) scale_in_turn(deployment, now, old);
  }

  static void scale_at_once(const Deployment& deployment, Held& now, std::vector<Held>& old) {
    bool gone = true;
    for (Held& each : old) {
      each.set.replicas = 0;
      gone = gone && each.pods.empty();
    }
    if (gone) now.set.replicas = deployment.replicas;
  }

  static void scale_in_turn(const Deployment& deployment, Held& now, std::vector<Held>& old) {
    const int surge = deployment.max_surge.of(deployment.replicas, true);
    int spare = deployment.max_unavailable.of(deployment.replicas, false);
    if (surge == 0 && spare == 0) spare = 1;
    int total = now.set.replicas;
    for (const Held& each : old) total += each.set.replicas;
    const int room = std::max(0, deployment.replicas + surge - total);
    const int added = std::min(room, deployment.replicas - now.set.replicas);
    now.set.replicas += added;
    total += added;

    // Old pods that serve nobody go first, then ready ones as far as new ones took their place.
    const int least = std::max(0, deployment.replicas - spare);
    int may_go = total - least - (now.set.replicas - now.available());
    int available = now.available();
    for (Held& each : old) {
      const int idle = std::max(0, each.set.replicas - each.available());
      const int go = std::clamp(may_go, 0, idle);
      each.set.replicas -= go;
      may_go -= go;
      available += each.available();
    }
    int surplus = available - least;
    for (Held& each : old) {
      const int go = std::clamp(surplus, 0, each.set.replicas);
      each.set.replicas -= go;
      surplus -= go;
    }
  }

  // ── ReplicaSets ──

  void keep_alone(const ReplicaSet& set) {
    if (find(step_.replica_sets, set.metadata.name_space, set.metadata.name) != nullptr) {
      step_.hindered.push_back({title("ReplicaSet", set.metadata),
                                "cannot be kept: a Deployment's ReplicaSet has its name"});
      return;
    }
    Held held{set, pods_of("ReplicaSet", set.metadata)};
    if (const ReplicaSet* before =
            find(current_.replica_sets, set.metadata.name_space, set.metadata.name)) {
      held.set.metadata.uid = before->metadata.uid;
    }
    if (held.set.metadata.uid.empty()) held.set.metadata.uid = random_uid(random_);
    fill(held, title("ReplicaSet", set.metadata));
    step_.replica_sets.push_back(std::move(held.set));
  }

  void fill(Held& held, const std::string& who) {
    Pods active;
    for (const Pod* pod : held.pods) {
      if (is_over(*pod)) {
        remove(*pod, "it is over, and " + who + " keeps pods that run");
      } else if (is_active(*pod)) {
        active.push_back(pod);
      }
    }
    std::sort(active.begin(), active.end(),
              [](const Pod* a, const Pod* b) { return goes_before(*a, *b); });
    const auto wanted = static_cast<std::size_t>(held.set.replicas);
    for (std::size_t i = 0; i + wanted < active.size(); ++i) {
      remove(*active[i],
             fmt::format("{} wants {} of {}", who, held.set.replicas, held.set.metadata.name));
    }
    for (std::size_t i = active.size(); i < wanted; ++i) {
      create(held.set.pod_template, "ReplicaSet", held.set.metadata, free_name(held.set.metadata));
    }
  }

  // ── StatefulSets ──

  void keep(const StatefulSet& set) {
    const std::string revision = with_suffix(set.metadata.name, template_hash(set.pod_template));
    std::map<int, const Pod*> pods;
    for (const Pod* pod : pods_of("StatefulSet", set.metadata)) {
      pods[ordinal_of(set.metadata, pod->metadata.name)] = pod;
    }
    step_.revisions.push_back(current_revision(set, revision, pods));
    bool steady = fill(set, revision, pods);
    if (steady) steady = shrink(set, pods);
    if (steady && !set.on_delete) renew(set, revision, pods);
  }

  static int ordinal_of(const Metadata& set, const std::string& name) {
    const std::string digits = name.substr(std::min(name.size(), set.name.size() + 1));
    int ordinal = 0;
    for (const char c : digits) {
      if (c < '0' || c > '9' || ordinal > 1'000'000) return INT32_MAX;
      ordinal = ordinal * 10 + (c - '0');
    }
    return digits.empty() ? INT32_MAX : ordinal;
  }

  // What its pods have until all of them have the new template.
  ControllerRevision current_revision(const StatefulSet& set, const std::string& revision,
                                      const std::map<int, const Pod*>& pods) const {
    const auto known = std::find_if(current_.revisions.begin(), current_.revisions.end(),
                                    [&](const ControllerRevision& one) {
                                      const OwnerReference* owner = controller_of(one.metadata);
                                      return owner != nullptr && owner->name == set.metadata.name &&
                                             one.metadata.name_space == set.metadata.name_space;
                                    });
    bool renewed = true;
    for (int ordinal = 0; ordinal < set.replicas; ++ordinal) {
      const auto found = pods.find(ordinal);
      renewed = renewed && found != pods.end() && is_active(*found->second) &&
                label_of(found->second->metadata, revision_label) == revision;
    }
    if (known != current_.revisions.end() && !renewed) return *known;
    return {.metadata = {.name_space = set.metadata.name_space,
                         .name = revision,
                         .owners = {owned_by("StatefulSet", set.metadata)},
                         .origin = set.metadata.origin},
            .pod_template = set.pod_template};
  }

  void create(const StatefulSet& set, std::string revision, int ordinal) {
    const std::string name = fmt::format("{}-{}", set.metadata.name, ordinal);
    if (!names_.emplace(set.metadata.name_space, name).second) return wait_for(name, set);
    const bool old = ordinal < set.partition && !set.on_delete;
    const ControllerRevision& before = step_.revisions.back();
    if (old) revision = before.metadata.name;
    Pod& pod =
        create(old ? before.pod_template : set.pod_template, "StatefulSet", set.metadata, name);
    pod.metadata.labels["statefulset.kubernetes.io/pod-name"] = name;
    pod.metadata.labels["apps.kubernetes.io/pod-index"] = std::to_string(ordinal);
    pod.metadata.labels[revision_label] = revision;
    pod.spec.hostname = name;
    pod.spec.subdomain = set.service_name;
  }

  // For a name that another pod has. One that is about to go needs no word.
  void wait_for(const std::string& name, const StatefulSet& set) {
    for (const Pod* pod : alone_) {
      if (pod->metadata.name != name || pod->metadata.name_space != set.metadata.name_space) {
        continue;
      }
      step_.hindered.push_back(
          {title("StatefulSet", set.metadata),
           fmt::format("cannot make its pod {}: {} has that name, and is not its own", name,
                       pod->metadata.origin.describe())});
    }
  }

  // Whether all of the wanted ordinals are there and ready (or need not wait for each other).
  bool fill(const StatefulSet& set, const std::string& revision,
            const std::map<int, const Pod*>& pods) {
    for (int ordinal = 0; ordinal < set.replicas; ++ordinal) {
      const auto found = pods.find(ordinal);
      if (found == pods.end()) {
        create(set, revision, ordinal);
        if (!set.parallel) return false;
        continue;
      }
      const Pod& pod = *found->second;
      if (is_over(pod)) remove(pod, "it is over, and a StatefulSet keeps pods that run");
      // A broken pod of an old template would hold up its own repair.
      const bool stale = label_of(pod.metadata, revision_label) != revision && !set.on_delete &&
                         ordinal >= set.partition;
      if (stale && is_active(pod) && !is_ready(pod)) remove(pod, "its template has changed");
      if (!set.parallel && (!is_active(pod) || !is_ready(pod))) return false;
    }
    return true;
  }

  bool shrink(const StatefulSet& set, const std::map<int, const Pod*>& pods) {
    for (auto each = pods.rbegin(); each != pods.rend() && each->first >= set.replicas; ++each) {
      remove(*each->second,
             fmt::format("{} wants {}", title("StatefulSet", set.metadata), set.replicas));
      if (!set.parallel) return false;
    }
    return true;
  }

  void renew(const StatefulSet& set, const std::string& revision,
             const std::map<int, const Pod*>& pods) {
    for (int ordinal = set.replicas - 1; ordinal >= set.partition; --ordinal) {
      const auto found = pods.find(ordinal);
      if (found == pods.end()) return;
      const Pod& pod = *found->second;
      if (label_of(pod.metadata, revision_label) != revision) {
        if (is_ready(pod) || !is_active(pod)) remove(pod, "its template has changed");
        return;
      }
      if (!is_active(pod) || !is_ready(pod)) return;
    }
  }

  // ── DaemonSets ──

  void keep(const DaemonSet& set) {
    const std::string revision = template_hash(set.pod_template);
    const std::string who = title("DaemonSet", set.metadata);
    std::map<std::string, Pods> by_node;
    for (const Pod* pod : pods_of("DaemonSet", set.metadata)) {
      if (is_over(*pod)) remove(*pod, "it is over, and " + who + " keeps pods that run");
      by_node[pod->spec.node_name].push_back(pod);
    }
    std::vector<const Pod*> settled;
    int nodes = 0;
    for (const Node& node : current_.nodes) {
      if (!belongs(set.pod_template.spec, node)) continue;
      ++nodes;
      Pods pods = by_node[node.metadata.name];
      by_node.erase(node.metadata.name);
      if (pods.empty()) {
        Pod& pod = create(set.pod_template, "DaemonSet", set.metadata, free_name(set.metadata));
        pod.metadata.labels[revision_label] = revision;
        pod.spec.node_name = node.metadata.name;
        continue;
      }
      std::sort(pods.begin(), pods.end(),
                [](const Pod* a, const Pod* b) { return goes_before(*b, *a); });
      for (std::size_t i = 1; i < pods.size(); ++i) {
        if (!is_over(*pods[i])) remove(*pods[i], who + " wants one pod a node");
      }
      if (is_active(*pods[0])) settled.push_back(pods[0]);
    }
    for (const auto& [node, pods] : by_node) {
      for (const Pod* pod : pods) {
        if (!is_over(*pod)) remove(*pod, fmt::format("{} wants no pod on {}", who, node));
      }
    }
    if (!set.on_delete) renew(set, revision, settled, nodes);
  }

  static bool belongs(const PodSpec& spec, const Node& node) {
    if (!spec.node_name.empty() && spec.node_name != node.metadata.name) return false;
    return selects(spec.node_selector, node.metadata.labels);
  }

  void renew(const DaemonSet& set, const std::string& revision, const Pods& pods, int nodes) {
    const auto ready = static_cast<int>(
        std::count_if(pods.begin(), pods.end(), [](const Pod* pod) { return is_ready(*pod); }));
    int may_go = std::max(1, set.max_unavailable.of(nodes, true)) - (nodes - ready);
    for (const Pod* pod : pods) {
      if (label_of(pod->metadata, revision_label) == revision) continue;
      if (is_ready(*pod) && may_go-- <= 0) continue;
      remove(*pod, "its template has changed");
    }
  }

  // ── Pods of the manifests ──

  void keep(const Pod& pod) {
    const std::string hash =
        template_hash({pod.metadata.labels, pod.metadata.annotations, pod.spec});
    const Pod* there = find(current_.pods, pod.metadata.name_space, pod.metadata.name);
    if (there != nullptr) {
      kept_.insert(there);
      const auto before = there->metadata.annotations.find(bare_hash_annotation);
      const bool same = before != there->metadata.annotations.end() && before->second == hash;
      if (!same) remove(*there, "its manifest has changed");
      return;
    }
    Pod made = pod;
    made.metadata.annotations[bare_hash_annotation] = hash;
    if (made.metadata.uid.empty()) made.metadata.uid = random_uid(random_);
    made.metadata.deletion_time.clear();
    made.status = {};
    step_.create.push_back(std::move(made));
  }

  const Objects& wanted_;
  const Objects& current_;
  Random& random_;
  Step step_;
  Pods alone_;  // of the manifests themselves, and kept by nobody else
  std::set<std::pair<std::string, std::string>> names_;
  std::map<std::tuple<std::string, std::string, std::string>, Pods> owned_;
  std::set<const Pod*> kept_;
};

}  // namespace

Step next_step(const Objects& wanted, const Objects& current, Random& random) {
  return Planner(wanted, current, random).plan();
}

std::vector<Ignored> left_to_controllers(const Objects& manifests) {
  std::vector<Ignored> left;
  list_left(manifests.replica_sets, manifests, left);
  list_left(manifests.pods, manifests, left);
  return left;
}

std::string template_hash(const PodTemplate& pods) {
  return hash_word(write(pods));
}

WorkloadName workload_of(const Metadata& pod) {
  const OwnerReference* owner = controller_of(pod);
  if (owner == nullptr) return {"Pod", pod.name};
  const std::string ending = '-' + label_of(pod, template_hash_label);
  if (owner->kind == "ReplicaSet" && ending.size() > 1 && owner->name.size() > ending.size() &&
      owner->name.compare(owner->name.size() - ending.size(), ending.size(), ending) == 0) {
    return {"Deployment", owner->name.substr(0, owner->name.size() - ending.size())};
  }
  return {owner->kind, owner->name};
}

}  // namespace fairlead::kube
