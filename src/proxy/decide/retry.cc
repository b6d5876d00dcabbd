#include "proxy/decide/retry.h"

#include <algorithm>
#include <string>
#include <utility>

namespace fairlead::proxy {
namespace {

constexpr std::pair<std::string_view, std::uint32_t> words[] = {
    {"connect-failure", RetryRules::connect_failure},
    {"refused-stream", RetryRules::refused_stream},
    {"reset", RetryRules::reset},
    {"reset-before-request", RetryRules::reset_before_request},
    {"5xx", RetryRules::server_error},
    {"gateway-error", RetryRules::gateway_error},
    {"retriable-4xx", RetryRules::retriable_4xx},
    {"retriable-status-codes", RetryRules::status_codes},
    {"cancelled", RetryRules::grpc_cancelled},
    {"deadline-exceeded", RetryRules::grpc_deadline_exceeded},
    {"internal", RetryRules::grpc_internal},
    {"resource-exhausted", RetryRules::grpc_resource_exhausted},
    {"unavailable", RetryRules::grpc_unavailable},
    {"retriable-headers", RetryRules::headers_match},
    {"envoy-ratelimited", RetryRules::rate_limited},
};

std::uint32_t grpc_bit(int status) {
  switch (status) {
    case 1:
      return RetryRules::grpc_cancelled;
    case 4:
      return RetryRules::grpc_deadline_exceeded;
    case 8:
      return RetryRules::grpc_resource_exhausted;
    case 13:
      return RetryRules::grpc_internal;
    case 14:
      return RetryRules::grpc_unavailable;
    default:
      return 0;
  }
}

// Why trying again may help, and is allowed; empty when it is not.
std::string_view reason_after_response(const RetryRules& rules, const Attempt& attempt) {
  const std::uint32_t status = attempt.status;
  if (attempt.undelivered) return "the far proxy says that its app never got the request";
  if (attempt.rate_limited) {  // whatever else is asked for: another try would count as well
    const bool wanted = (rules.on & RetryRules::rate_limited) != 0;
    return wanted ? std::string_view("the far Envoy limits the rate") : std::string_view{};
  }
  if (attempt.grpc_status >= 0 && (rules.on & grpc_bit(attempt.grpc_status)) != 0) {
    return "the gRPC status is one to retry on";
  }
  if ((rules.on & RetryRules::server_error) != 0 && status >= 500) return "the status is 5xx";
  if ((rules.on & RetryRules::gateway_error) != 0 && status >= 502 && status <= 504) {
    return "the status is 502, 503 or 504";
  }
  if ((rules.on & RetryRules::retriable_4xx) != 0 && status == 409) return "the status is 409";
  if ((rules.on & RetryRules::status_codes) != 0 &&
      std::find(rules.codes.begin(), rules.codes.end(), status) != rules.codes.end()) {
    return "the status is one to retry on";
  }
  if (attempt.asked_by_header) return "the response has a header to retry on";
  return {};
}

std::string_view reason_after_reset(const RetryRules& rules, const Attempt& attempt,
                                    const RetrySituation& situation) {
  constexpr std::uint32_t any =
      RetryRules::reset | RetryRules::server_error | RetryRules::gateway_error;
  if (!attempt.request_sent) return "the connection ended before the request was sent";
  if (situation.safe_method && !situation.has_body) {
    return "the connection ended before the response began, and the request is safe to repeat";
  }
  if ((rules.on & any) != 0) return "the connection ended before the response began";
  return {};
}

std::string_view reason_to_retry(const RetryRules& rules, const Attempt& attempt,
                                 const RetrySituation& situation) {
  constexpr std::uint32_t slow =
      RetryRules::reset | RetryRules::server_error | RetryRules::gateway_error;
  switch (attempt.outcome) {
    case Outcome::connect_failed:
      return "no connection could be made";
    case Outcome::refused:
      return "the peer says that it did not look at the request";
    case Outcome::reset:
      return reason_after_reset(rules, attempt, situation);
    case Outcome::try_timed_out:
      return (rules.on & slow) != 0 ? "the time of one try was up" : std::string_view{};
    case Outcome::responded:
      return reason_after_response(rules, attempt);
  }
  return {};
}

}  // namespace

Result<RetryRules> retry_rules(const config::RetryPolicy& policy LIFETIMEBOUND) {
  RetryRules rules{.retries = policy.retries,
                   .back_off_base = policy.back_off_base,
                   .back_off_cap = policy.back_off_cap,
                   .avoid_previous_hosts = policy.avoid_previous_hosts,
                   .codes = policy.retriable_status_codes};
  for (const config::HeaderMatch& match : policy.retriable_headers) {
    Result<HeaderRule> rule = header_rule(match);
    if (!rule.ok()) return std::move(rule).fault();
    rules.headers.push_back(std::move(rule).value());
  }
  for (const std::string& asked : policy.retry_on) {
    for (const auto& [word, bit] : words) {
      if (asked == word) rules.on |= bit;
    }
  }
  return rules;
}

bool asks_by_header(const RetryRules& rules, const http::ResponseHead& head) {
  return (rules.on & RetryRules::headers_match) != 0 &&
         std::any_of(rules.headers.begin(), rules.headers.end(),
                     [&](const HeaderRule& rule) { return matches(rule, head); });
}

Duration back_off(const RetryRules& rules, std::uint32_t retry, Random& random) {
  Duration most = std::min(rules.back_off_base, rules.back_off_cap);
  for (std::uint32_t number = 1; number < retry && most < rules.back_off_cap; ++number) {
    most = std::min(2 * most, rules.back_off_cap);
  }
  return most <= Duration::zero()
             ? Duration::zero()
             : Duration(random.below(static_cast<std::uint64_t>(most.count())));
}

RetryVerdict should_retry(const RetryRules& rules, const Attempt& attempt,
                          const RetrySituation& situation) {
  if (situation.response_started) return {Retry::no, "the response has begun"};
  const std::string_view reason = reason_to_retry(rules, attempt, situation);
  if (reason.empty()) return {Retry::no, "nothing says that trying again is safe or wanted"};
  if (situation.body_sent) return {Retry::no, "some of the request's body cannot be sent again"};
  if (rules.retries == 0) {
    return {rules.on == 0 ? Retry::no : Retry::limit_reached, "the policy allows no retry"};
  }
  if (situation.retries_made >= rules.retries) {
    return {Retry::limit_reached, "every retry that the policy allows was made"};
  }
  if (situation.others_in_flight >= situation.max_retries) {
    return {Retry::over_budget, "too many retries of this cluster are in flight"};
  }
  return {Retry::yes, reason};
}

}  // namespace fairlead::proxy
