// How large a request's head may be. Pure.
#pragma once

#include <cstddef>

#include "config/listener.h"
#include "http/limits.h"

namespace fairlead::proxy {

[[nodiscard]] inline http::Limits limits_of(const config::HttpConnectionManager& manager) {
  return {.head_bytes = std::size_t{manager.max_request_headers_kb} * 1024,
          .fields = manager.max_headers_count};
}

}  // namespace fairlead::proxy
