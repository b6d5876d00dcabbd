// TCP connections: bytes in both directions, to an endpoint of a cluster.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/task.h"
#include "proxy/buffers.h"
#include "proxy/connection.h"

namespace fairlead::proxy {

[[nodiscard]] Task<> forward_tcp(Worker& worker, Accepted accepted, ChainPointer chain,
                                 SnapshotTablePointer table, std::string first_bytes);
// Until the connection ends. `first_bytes` were read already and go first.

// What one direction of a tunnel came to.
struct Carried {
  std::uint64_t bytes = 0;
  bool reading_failed = false;
  bool writing_failed = false;
  Instant last;  // when bytes came last
};

[[nodiscard]] Task<Nothing> carry(net::Stream& from, net::Stream& to, Buffers& buffers,
                                  Carried& carried);
// Until `from` ends; that end is passed on to `to`, whose own direction goes on. A broken direction
// resets both. Large reads for bytes that keep coming; no buffer while none come.

}  // namespace fairlead::proxy
