#include <fmt/format.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <set>

#include "xds/decode_parts.h"

namespace fairlead::xds {
namespace {

using config::StringMatch;

bool has_unknown(const wire::Message& message) {
  return !message.GetReflection()->GetUnknownFields(message).empty();
}

// ── Matching ─────────────────────────────────────────────────────────────────────────────────────

Result<StringMatch> read(const wire::matcher::StringMatcher& matcher, const Place& place) {
  using Message = wire::matcher::StringMatcher;
  StringMatch made{.ignore_case = matcher.ignore_case()};
  switch (matcher.match_pattern_case()) {
    case Message::kExact:
      made.value = matcher.exact();
      return made;
    case Message::kPrefix:
      made.kind = StringMatch::Kind::prefix;
      made.value = matcher.prefix();
      break;
    case Message::kSuffix:
      made.kind = StringMatch::Kind::suffix;
      made.value = matcher.suffix();
      break;
    case Message::kContains:
      made.kind = StringMatch::Kind::contains;
      made.value = matcher.contains();
      break;
    case Message::kSafeRegex:
      made.kind = StringMatch::Kind::regex;
      made.value = matcher.safe_regex().regex();
      if (Result<> sound = check_pattern(made.value, place.in("safe_regex").in("regex")); !sound) {
        return std::move(sound).fault();
      }
      break;
    case Message::MATCH_PATTERN_NOT_SET:
      return place.refused("expected exact, prefix, suffix, contains or safe_regex");
  }
  if (made.value.empty()) return place.refused("is empty, and would match everything");
  return made;
}

Result<config::RegexRewrite> read(const wire::matcher::RegexMatchAndSubstitute& rewrite,
                                  const Place& place) {
  if (rewrite.pattern().regex().empty()) return place.in("pattern").in("regex").refused("is empty");
  Result<> line = check_line(rewrite.substitution(), place.in("substitution"));
  if (!line.ok()) return std::move(line).fault();
  Result<> sound = check_pattern(rewrite.pattern().regex(), place.in("pattern").in("regex"));
  if (!sound.ok()) return std::move(sound).fault();
  return config::RegexRewrite{.pattern = rewrite.pattern().regex(),
                              .substitution = rewrite.substitution()};
}

StringMatch match_of(StringMatch::Kind kind, std::string value) {
  return {.kind = kind, .value = std::move(value)};
}

Result<config::HeaderMatch> read(const wire::route::HeaderMatcher& header, const Place& place) {
  using Message = wire::route::HeaderMatcher;
  config::HeaderMatch made{.name = lower(header.name()),
                           .invert = header.invert_match(),
                           .missing_is_empty = header.treat_missing_header_as_empty()};
  if (made.name.empty()) return place.in("name").refused("is needed");
  switch (header.header_match_specifier_case()) {
    case Message::kExactMatch:
      if (!header.exact_match().empty()) {  // an empty one asks for presence, as in Envoy
        made.value = match_of(StringMatch::Kind::exact, header.exact_match());
      }
      break;
    case Message::kPrefixMatch:
      made.value = match_of(StringMatch::Kind::prefix, header.prefix_match());
      break;
    case Message::kSuffixMatch:
      made.value = match_of(StringMatch::Kind::suffix, header.suffix_match());
      break;
    case Message::kContainsMatch:
      made.value = match_of(StringMatch::Kind::contains, header.contains_match());
      break;
    case Message::kSafeRegexMatch:
      made.value = match_of(StringMatch::Kind::regex, header.safe_regex_match().regex());
      if (Result<> sound = check_pattern(header.safe_regex_match().regex(),
                                         place.in("safe_regex_match").in("regex"));
          !sound) {
        return std::move(sound).fault();
      }
      break;
    case Message::kStringMatch: {
      Result<StringMatch> match = read(header.string_match(), place.in("string_match"));
      if (!match.ok()) return std::move(match).fault();
      made.value = std::move(match).value();
      break;
    }
    case Message::kRangeMatch:
      made.range = {.start = header.range_match().start(), .end = header.range_match().end()};
      break;
    case Message::kPresentMatch:
      if (!header.present_match()) made.invert = !made.invert;
      break;
    case Message::HEADER_MATCH_SPECIFIER_NOT_SET:
      break;  // presence is asked
  }
  return made;
}

Result<config::QueryParameterMatch> read(const wire::route::QueryParameterMatcher& parameter,
                                         const Place& place) {
  using Message = wire::route::QueryParameterMatcher;
  config::QueryParameterMatch made{.name = parameter.name()};
  if (made.name.empty()) return place.in("name").refused("is needed");
  switch (parameter.query_parameter_match_specifier_case()) {
    case Message::kStringMatch: {
      Result<StringMatch> match = read(parameter.string_match(), place.in("string_match"));
      if (!match.ok()) return std::move(match).fault();
      made.value = std::move(match).value();
      break;
    }
    case Message::kPresentMatch:
      made.present = parameter.present_match();
      break;
    case Message::QUERY_PARAMETER_MATCH_SPECIFIER_NOT_SET:
      break;  // presence is asked
  }
  return made;
}

Result<config::PathMatch> read_path(const wire::route::RouteMatch& match, const Place& place) {
  using Message = wire::route::RouteMatch;
  using Kind = config::PathMatch::Kind;
  config::PathMatch made{.case_sensitive =
                             !match.has_case_sensitive() || match.case_sensitive().value()};
  switch (match.path_specifier_case()) {
    case Message::kPrefix:
      made.value = match.prefix();
      return made;
    case Message::kPath:
      made.kind = Kind::exact;
      made.value = match.path();
      return made;
    case Message::kSafeRegex:
      made.kind = Kind::regex;
      made.value = match.safe_regex().regex();
      if (made.value.empty()) return place.in("safe_regex").refused("is empty");
      if (Result<> sound = check_pattern(made.value, place.in("safe_regex").in("regex")); !sound) {
        return std::move(sound).fault();
      }
      return made;
    case Message::kPathSeparatedPrefix:
      made.kind = Kind::path_separated_prefix;
      made.value = match.path_separated_prefix();
      if (!made.value.starts_with('/') || made.value.ends_with('/') ||
          made.value.find_first_of("?#") != std::string::npos) {
        return place.in("path_separated_prefix").refused("expected a path without a final slash");
      }
      return made;
    case Message::PATH_SPECIFIER_NOT_SET:
      break;
  }
  return place.refused("expected prefix, path, safe_regex or path_separated_prefix");
}

Result<> read_match(config::Route& made, const wire::route::RouteMatch& match, const Place& place) {
  return all(
      {read_each(made.headers, match.headers(), place, "headers", read),
       read_each(made.query_parameters, match.query_parameters(), place, "query_parameters", read),
       take(made.path, read_path(match, place))});
}

// ── What is done ─────────────────────────────────────────────────────────────────────────────────

std::vector<std::string> words_of(std::string_view list) {
  std::vector<std::string> words;
  while (!list.empty()) {
    std::string_view word = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), word.size() + 1));
    while (word.starts_with(' ')) word.remove_prefix(1);
    while (word.ends_with(' ')) word.remove_suffix(1);
    if (!word.empty()) words.emplace_back(word);
  }
  return words;
}

// What retries are made for: a word that is not among these says nothing to us.
constexpr std::array<std::string_view, 15> retry_words{"5xx",
                                                       "cancelled",
                                                       "connect-failure",
                                                       "deadline-exceeded",
                                                       "envoy-ratelimited",
                                                       "gateway-error",
                                                       "internal",
                                                       "refused-stream",
                                                       "reset",
                                                       "reset-before-request",
                                                       "resource-exhausted",
                                                       "retriable-4xx",
                                                       "retriable-headers",
                                                       "retriable-status-codes",
                                                       "unavailable"};

void note_unknown_words(const std::vector<std::string>& words, const Place& place) {
  for (const std::string& word : words) {
    if (std::find(retry_words.begin(), retry_words.end(), word) == retry_words.end()) {
      place.note(fmt::format("the word \"{}\"", word));
    }
  }
}

// Envoy's: a base is needed, and a cap that is not said is ten times the base.
Result<> read_back_off(config::RetryPolicy& made,
                       const wire::route::RetryPolicy::RetryBackOff& from, const Place& place) {
  Result<> base =
      take(made.back_off_base, read_duration(from.base_interval(), place.in("base_interval")));
  if (!base.ok()) return base;
  if (made.back_off_base.count() == 0) {
    return place.in("base_interval").refused("expected at least 1 ms");
  }
  made.back_off_cap = 10 * made.back_off_base;
  if (!from.has_max_interval()) return done();
  Result<> cap =
      take(made.back_off_cap, read_duration(from.max_interval(), place.in("max_interval")));
  if (!cap.ok()) return cap;
  if (made.back_off_cap < made.back_off_base) {
    return place.in("max_interval").refused("expected at least base_interval");
  }
  return done();
}

Result<config::RetryPolicy> read(const wire::route::RetryPolicy& policy, const Place& place) {
  config::RetryPolicy made{.retry_on = words_of(policy.retry_on())};
  note_unknown_words(made.retry_on, place.in("retry_on"));
  if (policy.has_num_retries()) made.retries = policy.num_retries().value();
  if (policy.has_per_try_timeout()) {
    Result<> read = take(made.per_try_timeout,
                         read_duration(policy.per_try_timeout(), place.in("per_try_timeout")));
    if (!read.ok()) return std::move(read).fault();
  }
  if (policy.has_retry_back_off()) {
    Result<> read = read_back_off(made, policy.retry_back_off(), place.in("retry_back_off"));
    if (!read.ok()) return std::move(read).fault();
  }
  for (int i = 0; i < policy.retry_host_predicate_size(); ++i) {
    const auto& predicate = policy.retry_host_predicate(i);
    if (predicate.typed_config().Is<wire::PreviousHostsPredicate>()) {
      made.avoid_previous_hosts = true;
    } else {
      place.in("retry_host_predicate", i).note(predicate.name());
    }
  }
  // host_selection_retry_max_attempts is how hard Envoy looks for another host. We see them all.
  made.retriable_status_codes.assign(policy.retriable_status_codes().begin(),
                                     policy.retriable_status_codes().end());
  Result<> headers = read_each(made.retriable_headers, policy.retriable_headers(), place,
                               "retriable_headers", read);
  if (!headers.ok()) return std::move(headers).fault();
  return made;
}

Result<std::vector<config::WeightedCluster>> read(const wire::route::WeightedCluster& weighted,
                                                  const Place& place) {
  std::vector<config::WeightedCluster> made;
  std::uint64_t total = 0;
  for (int i = 0; i < weighted.clusters_size(); ++i) {
    const auto& cluster = weighted.clusters(i);
    if (cluster.name().empty()) return place.in("clusters", i).in("name").refused("is needed");
    made.push_back({.cluster = cluster.name(), .weight = cluster.weight().value()});
    total += cluster.weight().value();
  }
  if (total == 0) return place.in("clusters").refused("the weights add up to 0");
  if (total > std::numeric_limits<std::uint32_t>::max()) {
    return place.in("clusters").refused("the weights add up to more than 4294967295");
  }
  if (weighted.has_total_weight() && weighted.total_weight().value() != total) {
    return place.in("total_weight").refused(fmt::format("the weights add up to {}", total));
  }
  return made;
}

Result<> read_clusters(config::RouteAction& made, const wire::route::RouteAction& action,
                       const Place& place) {
  switch (action.cluster_specifier_case()) {
    case wire::route::RouteAction::kCluster:
      if (action.cluster().empty()) return place.in("cluster").refused("is empty");
      made.clusters = {{.cluster = action.cluster()}};
      return done();
    case wire::route::RouteAction::kWeightedClusters:
      return take(made.clusters, read(action.weighted_clusters(), place.in("weighted_clusters")));
    case wire::route::RouteAction::CLUSTER_SPECIFIER_NOT_SET:
      break;
  }
  if (has_unknown(action)) {
    place.note("leads to no cluster that is honoured", Effect::protects);  // closes the route
    return done();
  }
  return place.refused("expected cluster or weighted_clusters");
}

Result<config::RouteAction> read(const wire::route::RouteAction& action, const Place& place) {
  config::RouteAction made{.prefix_rewrite = action.prefix_rewrite(),
                           .host_rewrite = action.host_rewrite_literal()};
  if (action.has_regex_rewrite() && !made.prefix_rewrite.empty()) {
    return place.in("regex_rewrite").refused("excludes prefix_rewrite");
  }
  const Result<> parts = all(
      {check_line(made.prefix_rewrite, place.in("prefix_rewrite")),
       check_line(made.host_rewrite, place.in("host_rewrite_literal")),
       read_clusters(made, action, place),
       action.has_timeout()
           ? take(made.timeout, read_duration(action.timeout(), place.in("timeout")))
           : done(),
       action.has_idle_timeout()
           ? take(made.idle_timeout, read_duration(action.idle_timeout(), place.in("idle_timeout")))
           : done(),
       action.has_regex_rewrite()
           ? take(made.regex_rewrite, read(action.regex_rewrite(), place.in("regex_rewrite")))
           : done(),
       action.has_retry_policy()
           ? take(made.retry, read(action.retry_policy(), place.in("retry_policy")))
           : done()});
  if (!parts.ok()) return parts.fault();
  return made;
}

Result<> read_path_rewrite(config::RedirectAction& made,
                           const wire::route::RedirectAction& redirect, const Place& place) {
  made.path = redirect.path_redirect();
  made.prefix_rewrite = redirect.prefix_rewrite();
  if (!redirect.has_regex_rewrite()) return done();
  return take(made.regex_rewrite, read(redirect.regex_rewrite(), place.in("regex_rewrite")));
}

Result<config::RedirectAction> read(const wire::route::RedirectAction& redirect,
                                    const Place& place) {
  constexpr std::array<std::uint32_t, 5> statuses{301, 302, 303, 307, 308};
  const auto code = static_cast<std::size_t>(redirect.response_code());
  if (code >= statuses.size()) {
    return place.in("response_code").refused(fmt::format("{} is none that we know", code));
  }
  if (redirect.port_redirect() > std::numeric_limits<std::uint16_t>::max()) {
    return place.in("port_redirect")
        .refused(fmt::format("{} is no port", redirect.port_redirect()));
  }
  config::RedirectAction made{
      .scheme = redirect.https_redirect() ? "https" : redirect.scheme_redirect(),
      .host = redirect.host_redirect(),
      .port = redirect.port_redirect(),
      .strip_query = redirect.strip_query(),
      .status = statuses.at(code)};
  const Result<> parts = all({read_path_rewrite(made, redirect, place),
                              check_line(made.scheme, place.in("scheme_redirect")),
                              check_line(made.host, place.in("host_redirect")),
                              check_line(made.path, place.in("path_redirect")),
                              check_line(made.prefix_rewrite, place.in("prefix_rewrite"))});
  if (!parts.ok()) return parts.fault();
  return made;
}

Result<config::DirectResponse> read(const wire::route::DirectResponseAction& direct,
                                    const Place& place) {
  config::DirectResponse made{.status = direct.status()};
  if (made.status < 200 || made.status > 599) {
    return place.in("status").refused(fmt::format("{} is no final status", made.status));
  }
  if (!direct.has_body()) return made;
  Result<> read = take(made.body, read_text(direct.body(), place.in("body")));
  if (!read.ok()) return std::move(read).fault();
  return made;
}

using HeaderOptions = google::protobuf::RepeatedPtrField<wire::core::HeaderValueOption>;

Result<bool> read_append(const wire::core::HeaderValueOption& option, const Place& place) {
  if (option.has_append()) return option.append().value();
  switch (option.append_action()) {
    case wire::core::HeaderValueOption::APPEND_IF_EXISTS_OR_ADD:
      return true;
    case wire::core::HeaderValueOption::OVERWRITE_IF_EXISTS_OR_ADD:
      return false;
    case wire::core::HeaderValueOption::ADD_IF_ABSENT:
      place.in("append_action").note("ADD_IF_ABSENT: appended");
      return true;
    case wire::core::HeaderValueOption::OVERWRITE_IF_EXISTS:
      place.in("append_action").note("OVERWRITE_IF_EXISTS: added if absent");
      return false;
    default:
      break;
  }
  return place.in("append_action").refused("is none that we know");
}

// "%%" is a percent sign; any other one begins an operator, which stands for something of each
// request: absent.
std::optional<std::string> literal(std::string_view value) {
  std::string made;
  for (std::size_t at = 0; at < value.size(); ++at) {
    if (value[at] == '%' && !value.substr(++at).starts_with('%')) return {};
    made += value[at];
  }
  return made;
}

Result<std::vector<config::HeaderToAdd>> read(const HeaderOptions& options, const Place& place,
                                              const char* field) {
  std::vector<config::HeaderToAdd> made;
  for (int i = 0; i < options.size(); ++i) {
    const Place here = place.in(field, i);
    const Result<bool> append = read_append(options[i], here);
    if (!append.ok()) return append.fault();
    const Place header = here.in("header");
    const Result<> can_be = all({check_field_name(options[i].header().key(), header.in("key")),
                                 check_line(options[i].header().value(), header.in("value"))});
    if (!can_be.ok()) return can_be.fault();
    std::optional<std::string> value = literal(options[i].header().value());
    if (!value) {
      header.in("value").note("command operators: the header is not added");
      continue;
    }
    made.push_back({options[i].header().key(), std::move(*value), *append});
  }
  return made;
}

using Names = google::protobuf::RepeatedPtrField<std::string>;

std::vector<std::string> list_of(const Names& names) {
  return {names.begin(), names.end()};
}

Result<> read_names(std::vector<std::string>& into, const Names& names, const Place& place,
                    const char* field) {
  for (int i = 0; i < names.size(); ++i) {
    Result<> checked = check_field_name(names[i], place.in(field, i));
    if (!checked.ok()) return checked;
    into.push_back(names[i]);
  }
  return done();
}

// What a route, a virtual host or all routes change in the fields of a request or a response.
struct FieldEdits {
  std::vector<config::HeaderToAdd> request_add;
  std::vector<std::string> request_remove;
  std::vector<config::HeaderToAdd> response_add;
  std::vector<std::string> response_remove;
};

template <class Message>
Result<FieldEdits> read_edits(const Message& message, const Place& place) {
  FieldEdits made;
  const Result<> parts =
      all({read_names(made.request_remove, message.request_headers_to_remove(), place,
                      "request_headers_to_remove"),
           read_names(made.response_remove, message.response_headers_to_remove(), place,
                      "response_headers_to_remove"),
           take(made.request_add,
                read(message.request_headers_to_add(), place, "request_headers_to_add")),
           take(made.response_add,
                read(message.response_headers_to_add(), place, "response_headers_to_add"))});
  if (!parts.ok()) return parts.fault();
  return made;
}

// Adds what comes after: it removes what was added before it too.
void follow_with(std::vector<config::HeaderToAdd>& add, std::vector<std::string>& remove,
                 const std::vector<config::HeaderToAdd>& later_add,
                 const std::vector<std::string>& later_remove) {
  for (const std::string& name : later_remove) {
    std::erase_if(add,
                  [&](const config::HeaderToAdd& each) { return lower(each.name) == lower(name); });
    if (std::find(remove.begin(), remove.end(), name) == remove.end()) remove.push_back(name);
  }
  add.insert(add.end(), later_add.begin(), later_add.end());
}

// As Envoy does them: the most specific first, the others after it.
void follow_with(config::Route& route, const FieldEdits& later) {
  follow_with(route.request_headers_to_add, route.request_headers_to_remove, later.request_add,
              later.request_remove);
  follow_with(route.response_headers_to_add, route.response_headers_to_remove, later.response_add,
              later.response_remove);
}

Result<> read_headers(config::Route& made, const wire::route::Route& route, const Place& place) {
  const Result<FieldEdits> edits = read_edits(route, place);
  if (!edits.ok()) return edits.fault();
  follow_with(made, *edits);
  return done();
}

// ── Settings of filters ──────────────────────────────────────────────────────────────────────────

using FilterSettings = google::protobuf::Map<std::string, wire::Any>;

// Filters whose settings for a route are one of `disabled` or what to ask of each request.
constexpr std::array<std::string_view, 2> with_disabled{
    "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
    "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig"};
constexpr std::string_view disabled_alone = "\x08\x01";  // their field 1, true, and nothing else

// Whether the filter does nothing with such settings.
bool is_turned_off(const wire::Any& any) {
  wire::route::FilterConfig general;
  if (any.UnpackTo(&general)) {
    return general.disabled() || (general.has_config() && is_turned_off(general.config()));
  }
  wire::RBACPerRoute rbac;
  if (any.UnpackTo(&rbac)) {
    Report report;
    const Place place(report);
    place.note_unknown(rbac);
    return place.claim().empty();  // no rules: nothing is refused
  }
  const bool known =
      std::find(with_disabled.begin(), with_disabled.end(), any.type_url()) != with_disabled.end();
  return known && any.value() == disabled_alone;
}

// note_unknown() has noted what each would do.
void read_filter_settings(std::vector<std::string>& disabled, const FilterSettings& settings,
                          const Place& place) {
  const Place here = place.in("typed_per_filter_config");
  for (const auto& [name, any] : settings) {
    if (!is_turned_off(any)) continue;
    disabled.push_back(name);
    here.in(name).take_back_note();
  }
  std::sort(disabled.begin(), disabled.end());
}

Result<> read_action(config::Route& made, const wire::route::Route& route, const Place& place) {
  switch (route.action_case()) {
    case wire::route::Route::kRoute:
      return take(made.forward, read(route.route(), place.in("route")));
    case wire::route::Route::kRedirect:
      made.kind = config::Route::Kind::redirect;
      return take(made.redirect, read(route.redirect(), place.in("redirect")));
    case wire::route::Route::kDirectResponse:
      made.kind = config::Route::Kind::direct;
      return take(made.direct, read(route.direct_response(), place.in("direct_response")));
    case wire::route::Route::ACTION_NOT_SET:
      break;
  }
  if (has_unknown(route)) {
    made.closed = place.close("an action that is not honoured");
    return done();
  }
  return place.refused("expected route, redirect or direct_response");
}

// Whether a route matches by something outside our subset. Such a route cannot be had; what it
// would have taken goes on to the next. Without one of its conditions it would take what it must
// not.
bool is_beyond_us(const Place& place) {
  return place.in("match").has_notes_below();
}

Result<config::Route> read(const wire::route::Route& route, const Place& place) {
  config::Route made{.name = route.name(), .origin = origin_in(route.metadata())};
  note_metadata(route.metadata(), place);
  const Result<> parts = all({read_match(made, route.match(), place.in("match")),
                              read_action(made, route, place), read_headers(made, route, place)});
  if (!parts.ok()) return parts.fault();
  read_filter_settings(made.disabled_filters, route.typed_per_filter_config(), place);
  close_unless_closed(made.closed, route.metadata(), place);
  return made;
}

// ── Virtual hosts ────────────────────────────────────────────────────────────────────────────────

Result<> read_routes(config::VirtualHost& made, const wire::route::VirtualHost& host,
                     const Place& place) {
  for (int i = 0; i < host.routes_size(); ++i) {
    const Place here = place.in("routes", i);
    if (is_beyond_us(here)) {
      here.note("the whole route is left out");
      continue;
    }
    Result<config::Route> route = read(host.routes(i), here);
    if (!route.ok()) return std::move(route).fault();
    made.routes.push_back(std::move(route).value());
  }
  return done();
}

// What takes each request that did not come over TLS, before all other routes. Every request is
// from outside, so EXTERNAL_ONLY is the same as ALL.
config::Route route_to_tls(const config::VirtualHost& host) {
  config::Route made{.name = "require_tls", .kind = config::Route::Kind::redirect};
  made.path.value = "";
  made.headers.push_back({.name = "x-forwarded-proto",
                          .value = match_of(StringMatch::Kind::exact, "https"),
                          .invert = true});
  made.redirect = {.scheme = "https", .status = 301};
  made.origin = host.origin;
  return made;
}

Result<config::VirtualHost> read(const wire::route::VirtualHost& host, const Place& place) {
  config::VirtualHost made{.name = host.name(),
                           .domains = list_of(host.domains()),
                           .origin = origin_in(host.metadata())};
  note_metadata(host.metadata(), place);
  if (made.name.empty()) return place.in("name").refused("is needed");
  if (made.domains.empty()) return place.in("domains").refused("expected at least one");
  const Result<> parts =
      all({read_routes(made, host, place),
           host.has_retry_policy()
               ? take(made.retry, read(host.retry_policy(), place.in("retry_policy")))
               : done()});
  if (!parts.ok()) return parts.fault();
  if (host.require_tls() != wire::route::VirtualHost::NONE) {
    made.routes.insert(made.routes.begin(), route_to_tls(made));
  }
  const Result<FieldEdits> edits = read_edits(host, place);
  if (!edits.ok()) return edits.fault();
  for (config::Route& route : made.routes) follow_with(route, *edits);
  read_filter_settings(made.disabled_filters, host.typed_per_filter_config(), place);
  close_unless_closed(made.closed, host.metadata(), place);
  return made;
}

Result<> check_domains(const config::RouteConfiguration& made, const Place& place) {
  std::set<std::string> domains;
  for (std::size_t i = 0; i < made.virtual_hosts.size(); ++i) {
    for (const std::string& domain : made.virtual_hosts[i].domains) {
      if (domains.insert(lower(domain)).second) continue;
      return place.in("virtual_hosts", static_cast<int>(i))
          .in("domains")
          .refused(fmt::format("\"{}\" is there twice", domain));
    }
  }
  return done();
}

}  // namespace

Result<config::RouteConfiguration> read(const wire::route::RouteConfiguration& routes,
                                        const Place& place) {
  config::RouteConfiguration made{
      .name = routes.name(),
      .ignore_port_in_host_matching = routes.ignore_port_in_host_matching(),
      .origin = origin_in(routes.metadata())};
  note_metadata(routes.metadata(), place);
  if (routes.validate_clusters().value()) {
    place.in("validate_clusters").note("a route to a missing cluster answers 503");
  }
  Result<> read_part =
      read_each(made.virtual_hosts, routes.virtual_hosts(), place, "virtual_hosts", read);
  if (read_part.ok()) read_part = check_domains(made, place);
  const Result<FieldEdits> edits = read_edits(routes, place);
  if (!edits.ok()) return edits.fault();
  for (config::VirtualHost& host : made.virtual_hosts) {
    for (config::Route& route : host.routes) follow_with(route, *edits);
  }
  if (!read_part.ok()) return std::move(read_part).fault();
  std::vector<std::string> disabled;
  read_filter_settings(disabled, routes.typed_per_filter_config(), place);
  for (config::VirtualHost& host : made.virtual_hosts) {
    host.disabled_filters.insert(host.disabled_filters.end(), disabled.begin(), disabled.end());
  }
  close_unless_closed(made.closed, routes.metadata(), place);
  return made;
}

}  // namespace fairlead::xds
