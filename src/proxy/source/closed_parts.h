// What of a snapshot is closed, for people: the admin port's /fairlead/source.
#pragma once

#include <string>
#include <vector>

#include "config/snapshot.h"

namespace fairlead::proxy {

[[nodiscard]] std::vector<std::string> closed_parts(const config::Snapshot& snapshot);
// "Listener l, filter chain tls: filter_chains[1].transport_socket: envoy.transport_sockets.tls"

}  // namespace fairlead::proxy
