// HTTP/1.1 connections: one request after the other, each to the endpoint that its route leads to.
#pragma once

#include <memory>
#include <string>

#include "base/task.h"
#include "proxy/connection.h"

namespace fairlead::proxy {

[[nodiscard]] Task<> forward_http(Worker& worker, Accepted accepted, ChainPointer chain,
                                  SnapshotTablePointer table, std::string first_bytes);
// Until the connection ends. `first_bytes` were read already, to see what is spoken.

}  // namespace fairlead::proxy
