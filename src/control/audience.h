// Who is at the other end of a discovery stream: Istio's node ids and metadata read into an
// Audience. Pure.
#pragma once

#include "control/compile/compile.h"
#include "mesh/world.h"
#include "xds/resource.h"

namespace fairlead::control {

[[nodiscard]] Audience audience_of(const xds::Node& node);
// From the metadata NAMESPACE and INSTANCE_IPS, and where they are missing from an id of Istio's
// form, "TYPE~IP~POD.NAMESPACE~NAMESPACE.svc.DOMAIN". Any other id is a client in the namespace
// "default" that serves nothing.

}  // namespace fairlead::control
