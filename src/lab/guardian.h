// The part of a lab that stays outside of its namespaces: it starts the first process inside, shows
// what that tells, passes on the request to stop, and clears the state directory when all is over.
// Kill either of the two in any way, and the other follows.
#pragma once

#include "lab/options.h"

namespace fairlead::lab {

[[nodiscard]] int bring_up(const Options& options, bool detach);
// The exit status of `fairlead lab up`. Detached: returns when the lab is ready, or has failed.

}  // namespace fairlead::lab
