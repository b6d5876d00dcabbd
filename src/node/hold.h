// The parent that only holds an agent's sockets, where no supervisor does: as the first process of
// a container. What comes while the agent is killed and started again waits in the kernel.
#pragma once

#include <string>
#include <vector>

#include "node/sockets.h"

namespace fairlead::node {

[[nodiscard]] int hold(const Sockets& sockets, const std::vector<std::string>& words);
// Runs this very program with `words` as its arguments, passes it the sockets, and starts it again
// whenever it ends, as RestartPause says. SIGTERM, SIGINT and SIGHUP are passed on; after SIGTERM
// or SIGINT it returns when the agent has ended, 3 s later at most, with its exit status. An agent
// that ends with a status within its first moments, before any has run for longer, is not started
// again: its status is returned. Reaps whatever else became this process's child. Call it in a
// program of one thread.

}  // namespace fairlead::node
