// Whether a request that failed is tried again, and when. Pure.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/lifetime.h"
#include "base/result.h"
#include "config/route.h"
#include "http/message.h"
#include "proxy/decide/header_match.h"

namespace fairlead::proxy {

// A config::RetryPolicy made ready.
struct RetryRules {
  enum : std::uint32_t {
    connect_failure = 1U << 0,
    refused_stream = 1U << 1,
    reset = 1U << 2,
    reset_before_request = 1U << 3,
    server_error = 1U << 4,   // "5xx"
    gateway_error = 1U << 5,  // 502, 503, 504
    retriable_4xx = 1U << 6,  // 409
    status_codes = 1U << 7,   // `codes`
    grpc_cancelled = 1U << 8,
    grpc_deadline_exceeded = 1U << 9,
    grpc_internal = 1U << 10,
    grpc_resource_exhausted = 1U << 11,
    grpc_unavailable = 1U << 12,
    headers_match = 1U << 13,  // `headers`
    rate_limited = 1U << 14,
  };
  std::uint32_t on = 0;       // of the above
  std::uint32_t retries = 1;  // without a policy, one; for what is always safe
  Duration back_off_base = std::chrono::milliseconds(25);
  Duration back_off_cap = std::chrono::milliseconds(250);
  bool avoid_previous_hosts = false;
  std::vector<std::uint32_t> codes;
  std::vector<HeaderRule> headers;
};

[[nodiscard]] Result<RetryRules> retry_rules(const config::RetryPolicy& policy LIFETIMEBOUND);
// Words that are not Envoy's are passed over. Good as long as `policy`. A fault tells the pattern
// that RE2 refuses.

[[nodiscard]] bool asks_by_header(const RetryRules& rules, const http::ResponseHead& head);
// Whether "retriable-headers" is in force and one of them is there.

// How one attempt ended.
enum class Outcome : std::uint8_t {
  connect_failed,  // no connection: refused, unreachable, timed out while connecting
  refused,         // HTTP/2: the peer says that it did not look at it
  reset,           // the connection ended before the first byte of a response
  try_timed_out,   // the time of one attempt was up
  responded,       // a response head came
};

struct Attempt {
  Outcome outcome = Outcome::responded;
  bool connection_reused = false;  // it had carried a request before
  bool request_sent = false;       // at least one byte of the request was written
  std::uint16_t status = 0;        // responded
  bool undelivered = false;        // responded: 5xx with x-fairlead-undelivered
  bool rate_limited = false;       // responded: with x-envoy-ratelimited
  bool asked_by_header = false;    // responded: asks_by_header()
  int grpc_status = -1;            // responded: of the head; -1: none
};

struct RetrySituation {
  std::uint32_t retries_made = 0;      // of this request, so far
  std::uint32_t others_in_flight = 0;  // retries of other requests to the cluster
  std::uint32_t max_retries = 3;       // the cluster's budget
  bool safe_method = false;            // http::is_safe
  bool has_body = false;               // the request has one
  bool body_sent = false;              // some of it is gone and cannot be sent again
  bool response_started = false;       // downstream has bytes of a response
};

enum class Retry : std::uint8_t { yes, no, limit_reached, over_budget };
struct RetryVerdict {
  Retry retry = Retry::no;
  std::string_view why;  // static: "connection refused before the request was sent"
};

[[nodiscard]] RetryVerdict should_retry(const RetryRules& rules, const Attempt& attempt,
                                        const RetrySituation& situation);
// What is in `on`, as Envoy understands it; and, with or without a policy, what cannot happen
// twice: a connect failure; a 503 that the far fairlead proxy marks as never delivered; a reset
// before the first response byte of a safe request without body. `limit_reached` is Envoy's flag
// URX, `over_budget` UO.

[[nodiscard]] Duration back_off(const RetryRules& rules, std::uint32_t retry, Random& random);
// How long to wait before the retry of that number, from 1 on, as Envoy does it: anything below the
// base at random, below twice as much before the second, and so on, below the cap at most. So
// requests that failed together do not come back together.

}  // namespace fairlead::proxy
