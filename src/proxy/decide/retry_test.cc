#include "proxy/decide/retry.h"

#include <gtest/gtest.h>

#include <string>

#include "proxy/decide/timeouts.h"

namespace fairlead::proxy {
namespace {

RetryRules on(std::vector<std::string> words, std::vector<std::uint32_t> codes = {}) {
  return *retry_rules(
      {.retry_on = std::move(words), .retries = 2, .retriable_status_codes = std::move(codes)});
}

Attempt responded(std::uint16_t status) {
  return {.outcome = Outcome::responded, .request_sent = true, .status = status};
}

const RetrySituation safe{.safe_method = true};
const RetrySituation post{.safe_method = false, .has_body = true};

bool retries(const RetryRules& rules, const Attempt& attempt,
             const RetrySituation& situation = post) {
  return should_retry(rules, attempt, situation).retry == Retry::yes;
}

TEST(Retry, WhatCannotHappenTwiceIsTriedAgainWithoutAPolicy) {
  const RetryRules none;
  EXPECT_TRUE(retries(none, {.outcome = Outcome::connect_failed}));
  EXPECT_TRUE(retries(none, {.outcome = Outcome::refused, .request_sent = true}));
  EXPECT_TRUE(retries(none, {.outcome = Outcome::reset, .request_sent = false}));
  EXPECT_TRUE(retries(none, {.outcome = Outcome::reset, .request_sent = true}, safe));
  Attempt undelivered = responded(503);
  undelivered.undelivered = true;
  EXPECT_TRUE(retries(none, undelivered));
}

TEST(Retry, WhatMayHappenTwiceIsNot) {
  const RetryRules none;
  EXPECT_FALSE(retries(none, {.outcome = Outcome::reset, .request_sent = true}, post));
  EXPECT_FALSE(retries(none, {.outcome = Outcome::reset, .request_sent = true},
                       {.safe_method = true, .has_body = true}));
  EXPECT_FALSE(retries(none, {.outcome = Outcome::try_timed_out, .request_sent = true}, safe));
  EXPECT_FALSE(retries(none, responded(503), safe));
  EXPECT_FALSE(retries(none, responded(200), safe));
}

TEST(Retry, EnvoysWords) {
  EXPECT_TRUE(retries(on({"5xx"}), responded(500)));
  EXPECT_FALSE(retries(on({"5xx"}), responded(499)));
  EXPECT_TRUE(retries(on({"5xx"}), {.outcome = Outcome::reset, .request_sent = true}));
  EXPECT_TRUE(retries(on({"gateway-error"}), responded(504)));
  EXPECT_FALSE(retries(on({"gateway-error"}), responded(500)));
  EXPECT_TRUE(retries(on({"retriable-4xx"}), responded(409)));
  EXPECT_FALSE(retries(on({"retriable-4xx"}), responded(404)));
  EXPECT_TRUE(retries(on({"retriable-status-codes"}, {418}), responded(418)));
  EXPECT_FALSE(retries(on({"5xx"}, {418}), responded(418)));
  EXPECT_TRUE(retries(on({"reset"}), {.outcome = Outcome::try_timed_out, .request_sent = true}));
  EXPECT_FALSE(
      retries(on({"reset-before-request"}), {.outcome = Outcome::reset, .request_sent = true}));
  Attempt unavailable = responded(200);
  unavailable.grpc_status = 14;
  EXPECT_TRUE(retries(on({"unavailable"}), unavailable));
  EXPECT_FALSE(retries(on({"cancelled"}), unavailable));
  EXPECT_EQ(on({"no-such-word"}).on, 0U);
}

TEST(Retry, LimitsAndWhatIsGone) {
  const RetryRules rules = on({"5xx"});
  EXPECT_EQ(should_retry(rules, responded(500), {.retries_made = 2}).retry, Retry::limit_reached);
  EXPECT_EQ(should_retry(rules, responded(500), {.retries_made = 1, .others_in_flight = 3}).retry,
            Retry::over_budget);
  EXPECT_EQ(should_retry(rules, responded(500), {.body_sent = true}).retry, Retry::no);
  EXPECT_EQ(should_retry(rules, responded(500), {.response_started = true}).retry, Retry::no);
  EXPECT_EQ(should_retry(rules, responded(200), {.retries_made = 2}).retry, Retry::no);
  const RetryRules never = *retry_rules({.retry_on = {"5xx"}, .retries = 0});
  EXPECT_EQ(should_retry(never, responded(500), {}).retry, Retry::limit_reached);
  EXPECT_FALSE(should_retry(rules, responded(500), {}).why.empty());
}

TEST(Retry, WhatIsRateLimitedOnlyWhenItIsAskedFor) {
  Attempt limited = responded(503);
  limited.rate_limited = true;
  EXPECT_FALSE(retries(on({"5xx"}), limited));
  EXPECT_TRUE(retries(on({"envoy-ratelimited"}), limited));
  EXPECT_FALSE(retries(on({"envoy-ratelimited"}), responded(429)));
}

TEST(Retry, HeadersOfAResponseCanAskForIt) {
  using Kind = config::StringMatch::Kind;
  config::RetryPolicy policy{
      .retry_on = {"retriable-headers"},
      .retriable_headers = {
          {.name = "x-again", .value = {}},
          {.name = "x-state", .value = config::StringMatch{.kind = Kind::regex, .value = "bus."}},
          {.name = ":status", .value = config::StringMatch{.kind = Kind::prefix, .value = "42"}}}};
  const RetryRules rules = *retry_rules(policy);
  const auto asks = [&](std::string_view name, std::string_view value, std::uint16_t status = 200) {
    http::ResponseHead head;
    head.status = status;
    head.fields.add(name, value);
    return asks_by_header(rules, head);
  };
  EXPECT_TRUE(asks("X-Again", ""));
  EXPECT_TRUE(asks("x-state", "busy"));
  EXPECT_FALSE(asks("x-state", "very busy"));
  EXPECT_TRUE(asks("x-other", "", 429));
  EXPECT_FALSE(asks("x-other", "", 142));

  policy.retry_on = {"5xx"};
  http::ResponseHead head;
  head.fields.add("x-again", "");
  EXPECT_FALSE(asks_by_header(*retry_rules(policy), head)) << "the word is what asks for it";

  Attempt asked = responded(200);
  asked.asked_by_header = true;
  EXPECT_TRUE(retries(rules, asked));
  policy.retriable_headers[0].value = config::StringMatch{.kind = Kind::regex, .value = "("};
  EXPECT_FALSE(retry_rules(policy).ok());
}

TEST(Timeouts, AsEnvoyCountsThem) {
  config::RouteAction action;
  config::HttpConnectionManager manager;
  EXPECT_EQ(timeouts_of(action, manager).whole, std::chrono::seconds(15));
  EXPECT_FALSE(timeouts_of(action, manager).attempt.has_value());
  EXPECT_EQ(timeouts_of(action, manager).idle, std::chrono::minutes(5));
  action.timeout = config::Milliseconds{0};
  action.retry = config::RetryPolicy{.retry_on = {}, .per_try_timeout = config::Milliseconds{250}};
  manager.stream_idle_timeout = config::Milliseconds{0};
  EXPECT_FALSE(timeouts_of(action, manager).whole.has_value());
  EXPECT_EQ(timeouts_of(action, manager).attempt, std::chrono::milliseconds(250));
  EXPECT_FALSE(timeouts_of(action, manager).idle.has_value());
  action.idle_timeout = config::Milliseconds{40};
  EXPECT_EQ(timeouts_of(action, manager).idle, std::chrono::milliseconds(40));
  manager.stream_idle_timeout = config::Milliseconds{100};
  action.idle_timeout = config::Milliseconds{0};
  EXPECT_FALSE(timeouts_of(action, manager).idle.has_value());
}

TEST(Retry, WaitsDoubleUpToTheCapAndAreSpread) {
  RetryRules rules;
  rules.back_off_base = std::chrono::milliseconds(25);
  rules.back_off_cap = std::chrono::milliseconds(250);
  const std::vector<int> most{25, 50, 100, 200, 250, 250, 250, 250, 250, 250, 250};
  for (std::uint32_t retry = 1; retry <= most.size(); ++retry) {
    SeededRandom random(retry);
    const Duration limit = std::chrono::milliseconds(most[retry - 1]);
    Duration least = limit;
    Duration longest{};
    for (int draw = 0; draw < 1000; ++draw) {
      const Duration time = back_off(rules, retry, random);
      least = std::min(least, time);
      longest = std::max(longest, time);
    }
    EXPECT_GE(least, Duration::zero());
    EXPECT_LT(least, limit / 10);
    EXPECT_LT(longest, limit);
    EXPECT_GT(longest, limit * 9 / 10);
  }
  SeededRandom random(1);
  EXPECT_LT(back_off(rules, 4000000000U, random), rules.back_off_cap);
}

TEST(Retry, TheWaitsOfAPolicyAreItsOwn) {
  const RetryRules rules = *retry_rules({.back_off_base = std::chrono::milliseconds(400),
                                         .back_off_cap = std::chrono::milliseconds(500)});
  SeededRandom random(1);
  Duration first{};
  Duration second{};
  for (int draw = 0; draw < 1000; ++draw) {
    first = std::max(first, back_off(rules, 1, random));
    second = std::max(second, back_off(rules, 2, random));
  }
  EXPECT_LT(first, std::chrono::milliseconds(400));
  EXPECT_GT(first, std::chrono::milliseconds(360));
  EXPECT_LT(second, std::chrono::milliseconds(500));
  EXPECT_GT(second, std::chrono::milliseconds(450));
}

}  // namespace
}  // namespace fairlead::proxy
