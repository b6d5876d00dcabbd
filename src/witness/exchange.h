// The request of which evidence is gathered, and short questions to programs that speak HTTP.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "explain/evidence.h"
#include "witness/order.h"
#include "witness/socket.h"

namespace fairlead::witness {

// Names, as an app's resolver would ask for them: in turn, until one has addresses.
struct Resolved {
  std::vector<explain::NameAnswer> answers;  // to everything that was asked
  std::vector<IpAddress> addresses;          // of the name that was found
};
[[nodiscard]] Resolved resolve(const Request& request, const std::vector<std::string>& servers);

[[nodiscard]] std::vector<std::string> name_servers(const std::string& resolv_conf);
// Those of such a file's text.

struct Sent {
  explain::Exchange exchange;
  std::optional<Socket> open;  // still connected, so that the kernel still knows the connection
};
[[nodiscard]] Sent send(const Request& request, const std::vector<SocketAddress>& to);
// To the first that takes the connection, as clients do; at most 8 are tried. HTTP: until the
// answer is whole. TCP: takes what the server says within a second and a half, which is longer than
// a proxy waits for the first bytes. The connection stays open. `to` is not empty.

[[nodiscard]] Result<std::string> fetch(Socket socket, const std::string& host,
                                        const std::string& path, Deadline deadline);
// The body of GET `path`. Fault: also for a status other than 200.

}  // namespace fairlead::witness
