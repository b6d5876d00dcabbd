// From a world to what a node's DNS says. Pure.
#pragma once

#include "dns/zone.h"
#include "mesh/world.h"

namespace fairlead::node {

[[nodiscard]] dns::Zone zone_of(const mesh::World& world);
// Ready to answer. A headless service tells its ready endpoints; a ServiceEntry's hosts have its
// addresses, else its ready endpoints' own.

void update(dns::Zone& zone, const mesh::World& before, const mesh::World& after);
// `zone` was that of `before` and becomes that of `after`; only what changed is touched. The domain
// must be the same.

}  // namespace fairlead::node
