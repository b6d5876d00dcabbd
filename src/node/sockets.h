// The sockets of a node's agent. They may outlive it: who holds them passes them on to the next
// one, and what comes in between waits in the kernel.
#pragma once

#include <string>
#include <vector>

#include "base/address.h"
#include "base/descriptor.h"
#include "base/result.h"
#include "net/passed.h"

namespace fairlead::node {

inline constexpr const char* dns_udp_socket = "dns-udp";
inline constexpr const char* dns_tcp_socket = "dns-tcp";
inline constexpr const char* status_socket = "status";
inline constexpr const char* tally_memory = "tally";

using Sockets = std::vector<net::Passed>;

[[nodiscard]] Result<Sockets> open_dns_sockets(const std::vector<SocketAddress>& addresses);
// In the network namespace of the calling thread: two for each address, whose queues hold a second
// of many queries, and the memory that counts them.

[[nodiscard]] Result<Sockets> open_sockets(const std::vector<SocketAddress>& addresses,
                                           const std::string& status_path);
// The same and the status socket, unless its path is empty: all that an agent needs.

[[nodiscard]] Descriptor take_socket(Sockets& from, const std::string& name,
                                     const SocketAddress& address);
// Out of the list: the one of that name that is bound there; port 0: to any port. Not valid: there
// is none.
[[nodiscard]] Descriptor take_socket(Sockets& from, const std::string& name);

}  // namespace fairlead::node
