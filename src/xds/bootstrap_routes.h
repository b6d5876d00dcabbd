// Where the routes of a static listener lead. For this room alone.
#pragma once

#include <set>
#include <string>

#include "base/result.h"
#include "xds/place.h"
#include "xds/wire.h"

namespace fairlead::xds {

[[nodiscard]] Result<> check_route_clusters(const wire::listener::Listener& listener,
                                            const std::set<std::string>& clusters,
                                            const Place& place);
// Refuses, as Envoy does, an inline route to a cluster that is not among `clusters`, unless its
// configuration says validate_clusters: false. Routes that control sends may come before what they
// lead to.

}  // namespace fairlead::xds
