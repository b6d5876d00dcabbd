#include "proxy/decide/timeouts.h"

namespace fairlead::proxy {
namespace {

std::optional<Duration> unless_zero(config::Milliseconds time) {
  if (time.count() == 0) return {};
  return time;
}

}  // namespace

Timeouts timeouts_of(const config::RouteAction& action,
                     const config::HttpConnectionManager& manager) {
  constexpr config::Milliseconds unsaid{15000};
  return {.whole = unless_zero(action.timeout.value_or(unsaid)),
          .attempt = action.retry ? unless_zero(action.retry->per_try_timeout) : std::nullopt,
          .idle = unless_zero(action.idle_timeout.value_or(manager.stream_idle_timeout))};
}

HeadLimit head_limit(const config::HttpConnectionManager& manager) {
  constexpr config::Milliseconds unsaid{60000};
  const config::Milliseconds head =
      manager.request_headers_timeout.count() > 0 ? manager.request_headers_timeout : unsaid;
  const config::Milliseconds idle = manager.stream_idle_timeout;
  if (idle.count() > 0 && idle < head) return {.time = idle, .as_idle = true};
  return {.time = head};
}

}  // namespace fairlead::proxy
