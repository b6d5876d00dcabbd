// How long a request may take. Pure.
#pragma once

#include <optional>

#include "base/clock.h"
#include "config/listener.h"
#include "config/route.h"

namespace fairlead::proxy {

struct Timeouts {
  std::optional<Duration> whole;    // from the request's end to the response's; with all retries
  std::optional<Duration> attempt;  // of one try, until the response's head
  std::optional<Duration> idle;     // without a byte in either direction
};

[[nodiscard]] Timeouts timeouts_of(const config::RouteAction& action,
                                   const config::HttpConnectionManager& manager);
// Envoy's: 15 s for a route that says nothing, none for one that says 0; an upgraded connection has
// no `whole`.

// How long a request's head may take, from its first byte on.
struct HeadLimit {
  Duration time{};
  bool as_idle = false;  // it is stream_idle_timeout that ends it: the flag is SI
};

[[nodiscard]] HeadLimit head_limit(const config::HttpConnectionManager& manager);
// The shorter of request_headers_timeout and stream_idle_timeout; of the former 60 s where it is
// not set, so that there is always one. Bytes of the head do not begin it anew, as in Envoy.

}  // namespace fairlead::proxy
