// Envoy's bootstrap file, YAML or JSON, as a value. Pure: the caller reads the file.
#pragma once

#include <cstdint>
#include <map>
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

// What a mesh's sidecar starts with: who it is, where its control plane is, what it answers by
// itself.
struct SidecarBootstrap {
  std::string pod;         // "reviews-v1-7d4f", or a VM's name
  std::string name_space;  // "default"
  std::string service_account = "default";
  std::string cluster;                        // empty: "POD.NAMESPACE"
  std::vector<IpAddress> addresses;           // of the pod; the first names it
  std::map<std::string, std::string> labels;  // of the pod
  std::string region;                         // of its node; empty: not known
  std::string zone;
  std::string control_host;  // an address or a name; empty: no control plane
  std::uint16_t control_port = 15010;
  SocketAddress admin{IpAddress::v4({127, 0, 0, 1}), 15000};
  std::uint16_t metrics_port = 15090;  // GET /stats/prometheus, on every address; 0: none
  std::uint16_t health_port = 15021;   // GET /healthz/ready, on every address; 0: none
};

[[nodiscard]] std::string sidecar_id(const SidecarBootstrap& sidecar);
// "sidecar~10.244.1.2~reviews-v1-7d4f.default~default.svc.cluster.local"

[[nodiscard]] std::string write_bootstrap(const SidecarBootstrap& sidecar);
// The bootstrap file, JSON: the same for a real Envoy and for us.

[[nodiscard]] std::string write_bootstrap(const Bootstrap& bootstrap);
// Any bootstrap as such a file; read_bootstrap gives the same value back.

}  // namespace fairlead::xds
