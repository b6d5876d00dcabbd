// The whole mesh at one moment: immutable once made, named by its source's own version, so that two
// programs reading one source name it alike.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/lifetime.h"
#include "base/origin.h"
#include "mesh/list.h"
#include "mesh/policy.h"
#include "mesh/service.h"
#include "mesh/workload.h"

namespace fairlead::mesh {

// A kind or field that was given and is not honoured; never dropped in silence.
struct Ignored {
  Origin origin;
  std::string field;  // "spec.sessionAffinity"; empty when the whole object is ignored
  std::string reason;
  bool operator==(const Ignored&) const = default;
};

struct World {
  std::string version;  // "42" in a lab, a short digest for plain files
  std::string domain = "cluster.local";
  std::vector<std::string> namespaces;  // sorted
  List<Service> services;               // sorted by namespace, name
  List<Workload> workloads;             // sorted by namespace, name; all of them run
  List<Workload> ended;                 // pods that run no more; for those who ask after them
  std::vector<Node> nodes;              // sorted by name
  std::vector<Ignored> ignored;
  std::vector<Ignored> contested;  // those of `ignored` that lost to another object
  std::vector<Policy> policies;    // none is enforced; sorted by namespace, kind, name

  bool operator==(const World&) const = default;
};

using WorldPointer = std::shared_ptr<const World>;

struct ByName {
  // The order of services and of workloads.
  template <class Thing>
  bool operator()(const Thing& left, const Thing& right) const {
    const int by_namespace = left.name_space.compare(right.name_space);
    return by_namespace != 0 ? by_namespace < 0 : left.name < right.name;
  }
};

void share(World& world, const World& previous);
// Services and workloads that are the same in `previous` become the very same. Whoever follows
// worlds then finds what changed at the cost of comparing pointers.

// Each returns null when there is none; good as long as `world`.
[[nodiscard]] const Service* find_service(const World& world LIFETIMEBOUND,
                                          std::string_view name_space, std::string_view name);
[[nodiscard]] const Service* find_service_by_host(const World& world LIFETIMEBOUND,
                                                  std::string_view host);
[[nodiscard]] const Service* find_service_by_address(const World& world LIFETIMEBOUND,
                                                     const IpAddress& address);
// The service that owns `address` as a cluster IP (not an endpoint's address).
[[nodiscard]] const Workload* find_workload(const World& world LIFETIMEBOUND,
                                            std::string_view name_space, std::string_view name);
[[nodiscard]] const Workload* find_workload_by_address(const World& world LIFETIMEBOUND,
                                                       const IpAddress& address);
[[nodiscard]] std::vector<std::string> unenforced_policies(const World& world);
// The names of those that would judge any call between its workloads.
[[nodiscard]] const Node* find_node(const World& world LIFETIMEBOUND, std::string_view name);

}  // namespace fairlead::mesh
