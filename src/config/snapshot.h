// All of a proxy's configuration at one moment: immutable, numbered, shared between workers.
// Successive snapshots share the parts that did not change.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/diagnostic.h"
#include "config/cluster.h"
#include "config/listener.h"
#include "config/named.h"
#include "config/route.h"

namespace fairlead::config {

// Which world each type last changed in, for this proxy; the xDS version_info.
struct Versions {
  std::string listeners;
  std::string routes;
  std::string clusters;
  std::string endpoints;
  bool operator==(const Versions&) const = default;
};

using Unhonoured = Diagnostic;
// A field that came and is not honoured, and what its absence weakens.

struct Snapshot {
  std::uint64_t number = 0;  // counts up in this process
  Versions versions;
  std::string world;  // the newest of the versions' worlds; "static" for a bootstrap alone
  Named<Listener> listeners;
  Named<RouteConfiguration> routes;
  Named<Cluster> clusters;
  Named<ClusterLoadAssignment> endpoints;  // by EDS service name
  std::vector<Unhonoured> unhonoured;
};

using SnapshotPointer = std::shared_ptr<const Snapshot>;

}  // namespace fairlead::config
