// A bootstrap as Envoy's message. For this room alone.
#pragma once

#include "xds/bootstrap.h"
#include "xds/wire.h"

namespace fairlead::xds {

void write(const Node& node, wire::core::Node& into);
void write(const Bootstrap& bootstrap, wire::boot::Bootstrap& into);

}  // namespace fairlead::xds
