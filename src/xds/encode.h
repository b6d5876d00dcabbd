// Config values made into Envoy's resources, such that a real Envoy takes them and decode.h gives
// the same values back. Pure.
#pragma once

#include <string>

#include "config/snapshot.h"

namespace fairlead::xds {

[[nodiscard]] std::string encode(const config::Cluster& cluster);
[[nodiscard]] std::string encode(const config::ClusterLoadAssignment& endpoints);
[[nodiscard]] std::string encode(const config::Listener& listener);
[[nodiscard]] std::string encode(const config::RouteConfiguration& routes);
// The bytes of the message itself (what an Any holds as `value`); the same value gives the same
// bytes.

}  // namespace fairlead::xds
