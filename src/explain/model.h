// What a path is explained from: a world, and what programs make of it. Pure.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/lifetime.h"
#include "base/result.h"
#include "config/snapshot.h"
#include "dns/zone.h"
#include "mesh/world.h"
#include "nft/ruleset.h"

namespace fairlead::explain {

[[nodiscard]] std::vector<SocketAddress> cluster_dns();
// Where pods ask for names: one address a family, the same on every node.

// A socket that waits for TCP connections.
struct ListeningSocket {
  SocketAddress address;       // unspecified: on every address of its family
  bool both_families = false;  // of an unspecified IPv6 address: on every IPv4 address too
  bool operator==(const ListeningSocket&) const = default;
};

[[nodiscard]] bool hears(const ListeningSocket& socket, const SocketAddress& dialled);
// Whether a connection to there is its own.

// A world, and what programs would make of it. What was read from a running program or kernel may
// be put in the place of what would be made: then the path tells that instead.
class Model {
 public:
  explicit Model(mesh::WorldPointer world);
  ~Model();
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;

  [[nodiscard]] const mesh::World& world() const LIFETIMEBOUND;

  void put_snapshot(const mesh::Workload& workload, config::SnapshotPointer snapshot);
  void put_capture(const mesh::Workload& workload, nft::Ruleset rules);
  void put_node_rules(const mesh::Node& node, nft::Ruleset rules);
  void put_listening(const std::string& place, std::vector<ListeningSocket> sockets);
  // Of a pod or VM ("namespace/name") or a node (its name), where somebody has looked.

  [[nodiscard]] const std::vector<ListeningSocket>* listening_at(const std::string& place) const
      LIFETIMEBOUND;
  // As put; null where nobody has looked.

  // As put, else made once. Each good as long as *this.
  [[nodiscard]] const config::Snapshot& snapshot_of(const mesh::Workload& workload) LIFETIMEBOUND;
  // What is made has the listeners of a sidecar's bootstrap file beside those of control.
  [[nodiscard]] Result<const nft::Ruleset*> capture_of(const mesh::Workload& workload)
      LIFETIMEBOUND;
  // Empty without a sidecar. Fault: an annotation that cannot be understood.
  [[nodiscard]] const nft::Ruleset& node_rules_of(const mesh::Node& node) LIFETIMEBOUND;

  void close_zone(bool closed);
  // Whether nothing leads out of the cluster, so that its DNS denies what is outside.
  [[nodiscard]] const dns::Zone& zone() LIFETIMEBOUND;
  // What a node's DNS says.

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fairlead::explain
