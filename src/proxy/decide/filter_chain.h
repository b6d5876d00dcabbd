// Which listener and which of its filter chains takes a connection. Pure.
#pragma once

#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/lifetime.h"
#include "base/result.h"
#include "config/listener.h"
#include "config/snapshot.h"
#include "proxy/decide/refusal.h"

namespace fairlead::proxy {

// What is known of a connection before its first byte is forwarded.
struct ConnectionFacts {
  SocketAddress source;
  SocketAddress destination;                            // as dialled, before capture
  std::string_view server_name;                         // SNI; empty when there is none
  std::string_view transport_protocol = "raw_buffer";   // or "tls"
  std::vector<std::string_view> application_protocols;  // "http/1.1" as inspected, or ALPN's
};

[[nodiscard]] const config::FilterChain* choose_filter_chain(
    const config::Listener& listener LIFETIMEBOUND, const ConnectionFacts& facts,
    Refusals* refused = nullptr);
// Envoy's order, one criterion after the other and never back: destination port, destination
// address (longest prefix), server name (exact, then longest wildcard), transport protocol,
// application protocol, source address. Who names the value itself beats who leaves it open. Then
// the default chain, then none (null): the connection is closed with the flag NR.

[[nodiscard]] Result<> check_filter_chains(const config::Listener& listener);
// A fault when two chains match exactly the same, as Envoy refuses it.

[[nodiscard]] const config::Listener* listener_for(const config::Snapshot& snapshot LIFETIMEBOUND,
                                                   const config::Listener& accepted LIFETIMEBOUND,
                                                   const SocketAddress& dialled,
                                                   Refusals* refused = nullptr);
// Where a captured connection is handed to: with use_original_dst, the listener of exactly this
// address, else that of any address of this family with this port, else `accepted` itself. The
// data path asks SnapshotTable, which answers the same from an index.

}  // namespace fairlead::proxy
