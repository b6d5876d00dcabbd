// A snapshot made ready for the data path, once, for all workers: addresses indexed, routes
// compiled, endpoints chosen. Immutable.
#pragma once

#include <memory>
#include <string_view>

#include "base/address.h"
#include "base/lifetime.h"
#include "base/result.h"
#include "config/snapshot.h"
#include "proxy/decide/balance.h"
#include "proxy/decide/match.h"

namespace fairlead::proxy {

struct ClusterTable {
  std::shared_ptr<const config::Cluster> cluster;  // never null
  std::shared_ptr<const EndpointSet> endpoints;
  // Null: original_dst has none of its own, those of EDS did not come yet, or strict_dns names
  // hosts: then whoever resolved them makes the set.
};

class SnapshotTable;
using SnapshotTablePointer = std::shared_ptr<const SnapshotTable>;

class SnapshotTable {
 public:
  static Result<SnapshotTablePointer> make(config::SnapshotPointer snapshot,
                                           const SnapshotTable* previous = nullptr);
  // Parts that did not change are taken from `previous`, pointer for pointer: an EndpointSet that
  // is the same pointer has the same numbers. A fault names what cannot be made ready (a pattern).
  ~SnapshotTable();
  SnapshotTable(const SnapshotTable&) = delete;
  SnapshotTable& operator=(const SnapshotTable&) = delete;

  [[nodiscard]] const config::Snapshot& snapshot() const LIFETIMEBOUND;
  [[nodiscard]] const config::Listener* listener_for(const config::Listener& accepted LIFETIMEBOUND,
                                                     const SocketAddress& dialled) const
      LIFETIMEBOUND;
  // As the free function of filter_chain.h.
  [[nodiscard]] const RouteTable* routes(const config::HttpConnectionManager& manager) const
      LIFETIMEBOUND;
  // Its own, or those that it names; null when these did not come (404 NR).
  [[nodiscard]] const ClusterTable* cluster(std::string_view name) const LIFETIMEBOUND;
  // Null: 503 NC.

 private:
  SnapshotTable();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fairlead::proxy
