// The data plane's words for HTTP routes, in Envoy's model and with Envoy's names
// (envoy.config.route.v3), as plain values. What is not here is not honoured, and xds says so.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/origin.h"
#include "config/closed.h"

namespace fairlead::config {

using Milliseconds = std::chrono::milliseconds;

// Between two sidecars: the header of a 503 that may be tried elsewhere, since the app never got
// the request, or died with one that is safe to send again.
inline constexpr std::string_view undelivered_mark = "x-fairlead-undelivered";

struct StringMatch {
  enum class Kind : std::uint8_t { exact, prefix, suffix, contains, regex };
  Kind kind = Kind::exact;
  std::string value;
  bool ignore_case = false;
  bool operator==(const StringMatch&) const = default;
};

// From `start`, up to and without `end`.
struct Int64Range {
  std::int64_t start = 0;
  std::int64_t end = 0;
  bool operator==(const Int64Range&) const = default;
};

struct HeaderMatch {
  std::string name;  // lower case
  std::optional<StringMatch> value;
  std::optional<Int64Range> range;  // an integer in it, instead of `value`; neither: presence
  bool invert = false;
  bool missing_is_empty = false;  // one that is not there counts as an empty one
  bool operator==(const HeaderMatch&) const = default;
};

struct QueryParameterMatch {
  std::string name;
  std::optional<StringMatch> value;  // absent: presence is asked
  bool present = true;               // false: it must not be there
  bool operator==(const QueryParameterMatch&) const = default;
};

struct PathMatch {
  enum class Kind : std::uint8_t { prefix, exact, regex, path_separated_prefix };
  Kind kind = Kind::prefix;
  std::string value = "/";
  bool case_sensitive = true;
  bool operator==(const PathMatch&) const = default;
};

struct WeightedCluster {
  std::string cluster;
  std::uint32_t weight = 1;
  bool operator==(const WeightedCluster&) const = default;
};

struct RetryPolicy {
  std::vector<std::string>
      retry_on;  // Envoy's words: "connect-failure", "refused-stream", "5xx", ...
  std::uint32_t retries = 1;
  Milliseconds per_try_timeout{0};  // 0: none
  Milliseconds back_off_base{25};  // the longest wait before the first retry; doubled for each next
  Milliseconds back_off_cap{250};  // and never more; at least the base
  bool avoid_previous_hosts = false;
  std::vector<std::uint32_t> retriable_status_codes;
  std::vector<HeaderMatch>
      retriable_headers;  // of a response; any of them, with "retriable-headers"
  bool operator==(const RetryPolicy&) const = default;
};

struct HeaderToAdd {
  std::string name;
  std::string value;
  bool append = true;  // false: overwrite
  bool operator==(const HeaderToAdd&) const = default;
};

struct RegexRewrite {
  std::string pattern;
  std::string substitution;  // \1 is what the first group of the pattern matched
  bool operator==(const RegexRewrite&) const = default;
};

struct RouteAction {
  std::vector<WeightedCluster> clusters;  // at least one
  std::optional<Milliseconds> timeout;    // absent: Envoy's 15 s; 0: none
  std::optional<RetryPolicy> retry;
  std::optional<Milliseconds> idle_timeout;  // absent: the connection manager's; 0: none
  std::string prefix_rewrite;                // of the path that was matched; empty: none
  std::optional<RegexRewrite> regex_rewrite;
  std::string host_rewrite;
  bool operator==(const RouteAction&) const = default;
};

struct RedirectAction {
  std::string scheme;      // empty: the request's
  std::string host;        // empty: the request's
  std::uint32_t port = 0;  // 0: the request's, or none with `host`
  std::string path;        // the whole one; else one of the next two; else the request's
  std::string prefix_rewrite;
  std::optional<RegexRewrite> regex_rewrite;
  bool strip_query = false;  // the request's; a query in `path` stays
  std::uint32_t status = 301;
  bool operator==(const RedirectAction&) const = default;
};

struct DirectResponse {
  std::uint32_t status = 200;
  std::string body;
  bool operator==(const DirectResponse&) const = default;
};

struct Route {
  enum class Kind : std::uint8_t { forward, redirect, direct };
  std::string name;
  PathMatch path;
  std::vector<HeaderMatch> headers;
  std::vector<QueryParameterMatch> query_parameters;
  Kind kind = Kind::forward;
  RouteAction forward;
  RedirectAction redirect;
  DirectResponse direct;
  std::vector<HeaderToAdd> request_headers_to_add;
  std::vector<std::string> request_headers_to_remove;
  std::vector<HeaderToAdd> response_headers_to_add;
  std::vector<std::string> response_headers_to_remove;
  std::vector<std::string> disabled_filters;  // HTTP filters by name, off for this route
  Closed closed;
  Origin origin;
  bool operator==(const Route&) const = default;
};

struct VirtualHost {
  std::string name;
  std::vector<std::string> domains;  // exact, "*.suffix", "prefix.*", "*"
  std::vector<Route> routes;         // the first that matches wins
  std::optional<RetryPolicy> retry;  // for routes without their own
  std::vector<std::string> disabled_filters;
  Closed closed;
  Origin origin;
  bool operator==(const VirtualHost&) const = default;
};

struct RouteConfiguration {
  std::string name;
  std::vector<VirtualHost> virtual_hosts;
  bool ignore_port_in_host_matching = false;
  Closed closed;
  Origin origin;
  bool operator==(const RouteConfiguration&) const = default;
};

}  // namespace fairlead::config
