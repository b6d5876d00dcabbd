// Who is at the other end of a discovery stream: Istio's node ids and metadata read into an
// Audience. Pure.
#pragma once

#include <string>

#include "control/compile/compile.h"
#include "mesh/world.h"
#include "xds/resource.h"

namespace fairlead::control {

[[nodiscard]] Audience audience_of(const xds::Node& node);
// From the metadata NAMESPACE and INSTANCE_IPS, and where they are missing from an id of Istio's
// form, "TYPE~IP~POD.NAMESPACE~NAMESPACE.svc.DOMAIN". Any other id is a client in the namespace
// "default" that serves nothing.

[[nodiscard]] std::string mismatch_of(const xds::Node& node, const Audience& audience,
                                      const IpAddress& peer, const mesh::World& world);
// "asks for the configuration of shop/web, but connects from 10.9.9.9 (shop/other)": `peer`, where
// the stream comes from, is no address of the workload that the node's id or addresses name. Empty
// when it is, or when they name no workload of this world.

}  // namespace fairlead::control
