// The client's half of a proxy's configuration: from a dialled address to an endpoint. Pure.
#pragma once

#include <compare>
#include <string>

#include "control/compile/parts.h"
#include "mesh/world.h"

namespace fairlead::control {

// What all proxies of a world have in common.
struct Destinations {
  Resources<config::Cluster> clusters;
  Resources<config::ClusterLoadAssignment> endpoints;
};

[[nodiscard]] Destinations destinations_of(const mesh::World& world,
                                           const Destinations* previous = nullptr,
                                           const mesh::World* previous_world = nullptr);
// With `previous_world`, of which `previous` was made, only services that changed are made anew.

[[nodiscard]] Resources<config::Listener> outbound_listeners(
    const mesh::World& world, bool ipv6, const Resources<config::Listener>* previous = nullptr);
// `ipv6`: the workload has an IPv6 address, so wildcard listeners take both families.

[[nodiscard]] bool all_proxied(const mesh::Service& service, const mesh::ServicePort& port);
// Whether a proxy stands before each endpoint of this port, so that x-fairlead-undelivered is not
// an app's own.

// What makes one proxy's routes differ from another's.
struct RouteReader {
  std::string name_space;  // in which short names are understood
  bool envoy = false;
  auto operator<=>(const RouteReader&) const = default;
};

[[nodiscard]] Resources<config::RouteConfiguration> outbound_routes(
    const mesh::World& world, const RouteReader& reader,
    const Resources<config::RouteConfiguration>* previous = nullptr);

}  // namespace fairlead::control
