// Whether what was chosen is closed: it came with a protection that is not enforced here. Asked
// after matching, so that nothing goes on to the next chain, route or endpoint. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/lifetime.h"
#include "config/cluster.h"
#include "config/listener.h"
#include "proxy/decide/match.h"

namespace fairlead::proxy {

[[nodiscard]] std::string_view why_closed(
    const config::HttpConnectionManager& manager LIFETIMEBOUND, const Rule& rule LIFETIMEBOUND);
// A request that `rule` takes. Empty: it may pass. Else the field that is not enforced.

[[nodiscard]] std::string_view why_closed(const config::Cluster& cluster LIFETIMEBOUND,
                                          const config::LbEndpoint* endpoint LIFETIMEBOUND);
// A request or connection to that endpoint; null: an address that is none of its endpoints.

[[nodiscard]] bool may_be_closed(const config::Cluster& cluster,
                                 const config::ClusterLoadAssignment* endpoints);
// False: why_closed() is empty for each of `endpoints`, and for null.

[[nodiscard]] std::string closed_details(std::string_view why);
// "protection_not_enforced{transport_socket:_envoy.transport_sockets.tls}": one word, as the
// details of responses are.

}  // namespace fairlead::proxy
