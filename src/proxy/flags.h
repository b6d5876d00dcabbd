// Envoy's response flags: why an exchange ended as it did, in two letters for the access log.
#pragma once

#include <cstdint>
#include <string>

namespace fairlead::proxy {

enum class Flag : std::uint32_t {
  none = 0,
  no_healthy_upstream = 1U << 0,                // UH
  upstream_connection_failure = 1U << 1,        // UF
  upstream_overflow = 1U << 2,                  // UO
  no_route_found = 1U << 3,                     // NR: no route, or no filter chain
  upstream_retry_limit_exceeded = 1U << 4,      // URX
  no_cluster_found = 1U << 5,                   // NC
  downstream_connection_termination = 1U << 6,  // DC
  upstream_request_timeout = 1U << 7,           // UT
  upstream_remote_reset = 1U << 8,              // UR
  upstream_connection_termination = 1U << 9,    // UC
  duration_timeout = 1U << 10,                  // DT
  stream_idle_timeout = 1U << 11,               // SI
  downstream_protocol_error = 1U << 12,         // DPE
  upstream_protocol_error = 1U << 13,           // UPE
  local_reset = 1U << 14,                       // LR
  overload = 1U << 15,                          // OM
  protection_not_enforced = 1U << 16,           // PNE: ours, no flag of Envoy's
};

constexpr Flag operator|(Flag left, Flag right) {
  return static_cast<Flag>(static_cast<std::uint32_t>(left) | static_cast<std::uint32_t>(right));
}
constexpr Flag& operator|=(Flag& left, Flag right) {
  return left = left | right;
}
constexpr bool has(Flag flags, Flag one) {
  return (static_cast<std::uint32_t>(flags) & static_cast<std::uint32_t>(one)) != 0;
}

void append_short(std::string& out, Flag flags);
// "UF,URX"; "-" for none.
void append_long(std::string& out, Flag flags);
// "UpstreamConnectionFailure,UpstreamRetryLimitExceeded"; "-" for none.

}  // namespace fairlead::proxy
