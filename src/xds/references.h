// What resources name in each other. For this room alone.
#pragma once

#include <set>
#include <string>

#include "base/lifetime.h"
#include "config/snapshot.h"

namespace fairlead::xds {

using Names = std::set<std::string>;

[[nodiscard]] const std::string& eds_name_of(const config::Cluster& cluster LIFETIMEBOUND);
// Under which its endpoints come.
void add_route_names(const config::Listener& listener, Names& names);
// The route configurations that it asks for by RDS.
void add_cluster_names(const config::Listener& listener, Names& names);
// Those that its TCP filters and inline routes lead to.
void add_route_clusters(const config::Listener& listener, Names& names);
// Those that its inline routes lead to.
void add_cluster_names(const config::RouteConfiguration& routes, Names& names);

}  // namespace fairlead::xds
