// Envoy's bootstrap file, YAML or JSON, as a value. Pure: the caller reads the file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "config/snapshot.h"
#include "xds/resource.h"

namespace fairlead::xds {

// Where dynamic resources come from: aggregated discovery over gRPC.
struct AggregatedDiscovery {
  std::string cluster;    // the static cluster that leads to the control plane
  bool clusters = true;   // cds_config says ads
  bool listeners = true;  // lds_config says ads
  bool node_on_first_message_only = false;
  bool operator==(const AggregatedDiscovery&) const = default;
};

struct Bootstrap {
  Node node;
  std::optional<SocketAddress> admin;
  std::vector<config::Listener> listeners;  // static_resources
  std::vector<config::Cluster> clusters;
  std::optional<AggregatedDiscovery> discovery;
  std::vector<config::Unhonoured> unhonoured;
};

enum class UnknownStaticFields : std::uint8_t { reject, list };
// Envoy's --allow-unknown-static-fields, which Istio's agent passes, is `list`.

[[nodiscard]] Result<Bootstrap> read_bootstrap(
    std::string_view text, const std::string& source,
    UnknownStaticFields unknown = UnknownStaticFields::reject);
// With `reject`, a field outside our subset in static_resources, node, admin or dynamic_resources
// is refused: "FILE:LINE: FIELD: unknown field ...". What shapes Envoy's own process and no traffic
// (stats, runtime, overload, watchdogs, extensions of the process) is listed either way.

[[nodiscard]] config::Snapshot snapshot_of(const Bootstrap& bootstrap);
// The static part alone: world "static", number 0. Inline routes and endpoints stay inside their
// listeners and clusters.

}  // namespace fairlead::xds
