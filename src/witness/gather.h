// Gathers evidence in the network namespace that this process is in.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "explain/evidence.h"
#include "witness/order.h"

namespace fairlead::witness {

[[nodiscard]] explain::Evidence gather(const Order& order);
// In this order: names, counters, the request, the proxy's records, conntrack, counters again. What
// cannot be looked at is told in `trouble` and stops nothing.

using Wanted = std::function<bool(const explain::ProxyRecord& record, std::string_view id)>;
[[nodiscard]] Result<std::vector<explain::ProxyRecord>> records_from_json(std::string_view json,
                                                                          const std::string& proxy,
                                                                          const Wanted& wanted,
                                                                          std::uint64_t since = 0);
// What a proxy's /fairlead/records says; `id` is the record's x-request-id. What began before
// `since` (as in Order) is left out.

[[nodiscard]] explain::Speaks node_status(const std::string& node, const std::string& socket);
// Asks a node's agent by its unix socket; works from anywhere.

}  // namespace fairlead::witness
