// The parts of a bootstrap that shape the process and no single listener or cluster: judged by what
// they say. For this room alone.
#pragma once

#include "xds/place.h"
#include "xds/wire.h"

namespace fairlead::xds {

void judge_process(const wire::boot::Bootstrap& message, const Place& place);
// Notes what would have an effect in Envoy and has none here: of layered_runtime key by key, of
// overload_manager limit by limit, of bootstrap_extensions by type.

}  // namespace fairlead::xds
