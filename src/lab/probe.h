// Asks a container whether it is well, from inside its pod's network namespace: through capture a
// dead port answers. Also the small HTTP requests that the lab makes of control and of nodes.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "base/task.h"
#include "kube/objects.h"
#include "lab/namespace.h"
#include "net/loop.h"
#include "net/stream.h"

namespace fairlead::lab {

struct HttpAnswer {
  int status = 0;
  std::string body;
};

[[nodiscard]] Task<Result<HttpAnswer>> ask_http(
    net::Stream& stream, std::string host, std::string path,
    std::vector<std::pair<std::string, std::string>> headers = {});
// One GET, the connection closed afterwards.

[[nodiscard]] Task<Result<net::StreamPointer>> connect_inside(net::Loop& loop,
                                                              const NetworkNamespace& network,
                                                              SocketAddress to);
// Waits as long as the kernel does: wrap it in net::within.

[[nodiscard]] Task<Result<>> probe_tcp(net::Loop& loop, const NetworkNamespace& network,
                                       SocketAddress to);
[[nodiscard]] Task<Result<>> probe_http(net::Loop& loop, const NetworkNamespace& network,
                                        SocketAddress to, kube::HttpAction action);
// Well from 200 to 399, as with Kubernetes.

[[nodiscard]] Result<std::uint16_t> port_of(const kube::PortReference& port,
                                            const kube::Container& container);
// By number, or by the name of a port of the container.

}  // namespace fairlead::lab
