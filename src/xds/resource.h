// The four kinds of resources that fairlead speaks over xDS, and the bytes they travel as.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/snapshot.h"

namespace fairlead::xds {

enum class ResourceType : std::uint8_t { cluster, endpoint, listener, route };
// In the order of make before break: a cluster is there before what points at it.

inline constexpr std::array all_resource_types = {ResourceType::cluster, ResourceType::endpoint,
                                                  ResourceType::listener, ResourceType::route};

[[nodiscard]] std::string_view type_url(ResourceType type);
// "type.googleapis.com/envoy.config.cluster.v3.Cluster"; static.
[[nodiscard]] std::optional<ResourceType> resource_type_from(std::string_view type_url);
// Absent for types that we do not speak.
[[nodiscard]] std::string_view short_name_of(ResourceType type);
// "CDS", "EDS", "LDS", "RDS"; static.

// Who a proxy says it is (envoy.config.core.v3.Node).
struct Node {
  std::string
      id;  // Istio's form: "sidecar~10.244.1.2~reviews-v1.default~default.svc.cluster.local"
  std::string cluster;  // "reviews-v1.default"
  std::string region;
  std::string zone;
  std::string sub_zone;
  std::string metadata = "{}";  // a JSON object
  std::string user_agent_name;
  std::string user_agent_version;
  bool operator==(const Node&) const = default;
};

// A protection that a resource asks for and that is not enforced: it closes a part of it.
struct Protection {
  std::string part;    // the filter chain or virtual host, by its name; empty: the whole resource
  config::Closed why;  // "filter_chains[0].transport_socket: envoy.transport_sockets.tls"
  bool operator==(const Protection&) const = default;
};
using Protections = std::vector<Protection>;

// A resource with everything in it that came and is not honoured.
template <class T>
struct Decoded {
  T value;
  std::vector<config::Unhonoured> unhonoured;
  Protections protections;  // of these, those by which a part of `value` is closed
};

// What can be told of a resource that is refused.
struct Rejected {
  std::string name;         // empty: the bytes are no such message
  Protections protections;  // that are not enforced; as far as it could be read
};

}  // namespace fairlead::xds
