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

// What is put up with in a static file. A field that protects (base/diagnostic.h) and is not
// honoured is an error always; one that observes or tunes is listed.
struct StaticRules {
  bool allow_unknown = false;         // list fields that Envoy does not have either: its
                                      // --allow-unknown-static-fields, which Istio's agent passes
  std::vector<std::string> accepted;  // list these that decide: a field's name, or its path with
                                      // the positions in lists or without
};

// All that is to be told about a bootstrap.
struct Examination {
  Bootstrap bootstrap;             // of use only when there are no errors
  std::vector<Diagnostic> errors;  // in the order of their lines
};

// YAML or JSON. `source` names it in messages.
struct BootstrapText {
  std::string_view text;
  std::string source;
};

[[nodiscard]] Result<Examination> examine_bootstrap(const std::vector<BootstrapText>& texts,
                                                    const StaticRules& rules = {});
// Of several texts each is merged over those before it, as Envoy merges --config-yaml over
// --config-path: a value replaces, what is in a list is added. A fault: one is no document. What is
// not honoured and no error is the bootstrap's `unhonoured`.

[[nodiscard]] Result<Bootstrap> read_bootstrap(const std::vector<BootstrapText>& texts,
                                               const StaticRules& rules = {});
[[nodiscard]] Result<Bootstrap> read_bootstrap(std::string_view text, const std::string& source,
                                               const StaticRules& rules = {});
// The same; the first error, and how many more there are, is the fault: "FILE:LINE: FIELD: WHY".

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
