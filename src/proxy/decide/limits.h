// How large a message's head may be. Pure.
#pragma once

#include <cstddef>

#include "config/listener.h"
#include "http/limits.h"

namespace fairlead::proxy {

[[nodiscard]] inline http::Limits limits_of(const config::HttpConnectionManager& manager) {
  return {.head_bytes = std::size_t{manager.max_request_headers_kb} * 1024,
          .fields = manager.max_headers_count};
}

constexpr http::Limits response_limits{.head_bytes = std::size_t{80} * 1024};
// Envoy's, whatever a listener says of requests.

}  // namespace fairlead::proxy
