#include "proxy/decide/match.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <map>
#include <unordered_map>
#include <utility>

#include "proxy/decide/query_match.h"

namespace fairlead::proxy {
namespace {

using config::PathMatch;

// ── What is matched ──────────────────────────────────────────────────────────────────────────────

struct ReadyRoute {
  Rule rule;
  Pattern path;  // of a regex
  std::vector<HeaderRule> headers;
  std::vector<QueryRule> query_parameters;
};

struct ReadyHost {
  const config::VirtualHost* host = nullptr;
  std::vector<ReadyRoute> routes;
};

struct Hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};
using HostsByName = std::unordered_map<std::string, std::size_t, Hash, std::equal_to<>>;
using HostsByLength = std::map<std::size_t, HostsByName, std::greater<>>;  // longest first

bool path_matches(const ReadyRoute& ready, std::string_view path) {
  const PathMatch& match = ready.rule.route->path;
  switch (match.kind) {
    case PathMatch::Kind::prefix:
      return begins(path, match.value, match.case_sensitive);
    case PathMatch::Kind::exact:
      return equal(path, match.value, match.case_sensitive);
    case PathMatch::Kind::regex:
      return matches_whole(*ready.path, path);
    case PathMatch::Kind::path_separated_prefix:
      return begins(path, match.value, match.case_sensitive) &&
             (path.size() == match.value.size() || path[match.value.size()] == '/');
  }
  return false;
}

const HeaderRule* failing_header(const ReadyRoute& ready, const http::RequestHead& head) {
  const auto fails = std::find_if(ready.headers.begin(), ready.headers.end(),
                                  [&](const HeaderRule& rule) { return !matches(rule, head); });
  return fails == ready.headers.end() ? nullptr : &*fails;
}

const QueryRule* failing_parameter(const ReadyRoute& ready, const http::RequestHead& head) {
  const auto& rules = ready.query_parameters;
  const auto fails = std::find_if(rules.begin(), rules.end(),
                                  [&](const QueryRule& rule) { return !matches(rule, head); });
  return fails == rules.end() ? nullptr : &*fails;
}

bool accepts(const ReadyRoute& ready, const http::RequestHead& head) {
  return path_matches(ready, head.path_without_query()) && !failing_header(ready, head) &&
         !failing_parameter(ready, head);
}

// ── Why not ──────────────────────────────────────────────────────────────────────────────────────

std::string why_path(const PathMatch& match, std::string_view path) {
  switch (match.kind) {
    case PathMatch::Kind::prefix:
      return fmt::format("the path {} does not begin with {}", path, match.value);
    case PathMatch::Kind::exact:
      return fmt::format("the path {} is not {}", path, match.value);
    case PathMatch::Kind::regex:
      return fmt::format("the path {} does not match the pattern {}", path, match.value);
    case PathMatch::Kind::path_separated_prefix:
      return fmt::format("the path {} is neither {} nor below it", path, match.value);
  }
  return {};
}

std::string why_not(const ReadyRoute& ready, const http::RequestHead& head) {
  const std::string_view path = head.path_without_query();
  if (!path_matches(ready, path)) return why_path(ready.rule.route->path, path);
  if (const HeaderRule* const header = failing_header(ready, head)) return why_not(*header, head);
  const QueryRule* const parameter = failing_parameter(ready, head);
  return parameter ? why_not(*parameter, head) : std::string();
}

std::string name_of(const config::Route& route, std::size_t position) {
  return route.name.empty() ? fmt::format("route {}", position + 1) : "route " + route.name;
}

// ── Making ready ─────────────────────────────────────────────────────────────────────────────────

std::string place_of(const config::VirtualHost& host, std::size_t position) {
  return fmt::format("virtual host {}, {}", host.name, name_of(host.routes[position], position));
}

bool changes_request(const config::Route& route) {
  return !route.forward.prefix_rewrite.empty() || route.forward.regex_rewrite ||
         !route.forward.host_rewrite.empty() || !route.request_headers_to_add.empty() ||
         !route.request_headers_to_remove.empty();
}

Result<Pattern> rewritten_pattern(const config::RegexRewrite& rewrite) {
  Result<Pattern> pattern = compiled(rewrite.pattern);
  if (!pattern) return pattern;
  std::string why;
  if ((*pattern)->CheckRewriteString(rewrite.substitution, &why)) return pattern;
  return invalid(fmt::format("the substitution {} is refused: {}", rewrite.substitution, why));
}

const std::optional<config::RegexRewrite>& regex_rewrite_of(const config::Route& route) {
  return route.kind == config::Route::Kind::redirect ? route.redirect.regex_rewrite
                                                     : route.forward.regex_rewrite;
}

const config::Closed* closed_among(std::initializer_list<const config::Closed*> parts) {
  for (const config::Closed* part : parts) {
    if (!part->empty()) return part;
  }
  return nullptr;
}

Result<ReadyRoute> ready_route(const config::RouteConfiguration& routes,
                               const config::VirtualHost& host, const config::Route& route) {
  ReadyRoute ready;
  ready.rule.host = &host;
  ready.rule.route = &route;
  ready.rule.closed = closed_among({&routes.closed, &host.closed, &route.closed});
  if (const auto& policy = route.forward.retry ? route.forward.retry : host.retry) {
    Result<RetryRules> rules = retry_rules(*policy);
    if (!rules.ok()) return std::move(rules).fault();
    ready.rule.retry = std::move(rules).value();
  }
  ready.rule.changes_request = changes_request(route);
  ready.rule.changes_response =
      !route.response_headers_to_add.empty() || !route.response_headers_to_remove.empty();
  if (route.path.kind == PathMatch::Kind::regex) {
    Result<Pattern> pattern = compiled(route.path.value, route.path.case_sensitive);
    if (!pattern.ok()) return std::move(pattern).fault();
    ready.path = std::move(pattern).value();
  }
  if (const auto& rewrite = regex_rewrite_of(route)) {
    Result<Pattern> pattern = rewritten_pattern(*rewrite);
    if (!pattern.ok()) return std::move(pattern).fault();
    ready.rule.rewritten = std::move(pattern).value();
  }
  for (const config::HeaderMatch& match : route.headers) {
    Result<HeaderRule> rule = header_rule(match);
    if (!rule.ok()) return std::move(rule).fault();
    ready.headers.push_back(std::move(rule).value());
  }
  for (const config::QueryParameterMatch& match : route.query_parameters) {
    Result<QueryRule> rule = query_rule(match);
    if (!rule.ok()) return std::move(rule).fault();
    ready.query_parameters.push_back(std::move(rule).value());
  }
  return ready;
}

}  // namespace

struct RouteTable::State {
  std::vector<ReadyHost> hosts;
  HostsByName exact;
  HostsByLength suffixes;  // ".example.com" of "*.example.com"
  HostsByLength prefixes;  // "reviews." of "reviews.*"
  std::optional<std::size_t> any;
  bool ignore_port = false;

  bool add_domain(std::string_view domain, std::size_t host) {
    const std::string text = lowered(domain);
    if (text == "*") {
      if (any) return false;
      any = host;
      return true;
    }
    if (text.starts_with('*')) {
      return suffixes[text.size() - 1].try_emplace(text.substr(1), host).second;
    }
    if (text.ends_with('*')) {
      return prefixes[text.size() - 1].try_emplace(text.substr(0, text.size() - 1), host).second;
    }
    return exact.try_emplace(text, host).second;
  }

  // `name` is in lower case. What a wildcard stands for is never empty.
  [[nodiscard]] const ReadyHost* find_lowered(std::string_view name) const {
    if (!exact.empty()) {
      const auto found = exact.find(name);
      if (found != exact.end()) return &hosts[found->second];
    }
    for (const auto& [size, by_name] : suffixes) {
      if (size >= name.size()) continue;
      const auto found = by_name.find(name.substr(name.size() - size));
      if (found != by_name.end()) return &hosts[found->second];
    }
    for (const auto& [size, by_name] : prefixes) {
      if (size >= name.size()) continue;
      const auto found = by_name.find(name.substr(0, size));
      if (found != by_name.end()) return &hosts[found->second];
    }
    return any ? &hosts[*any] : nullptr;
  }

  [[nodiscard]] const ReadyHost* find(std::string_view authority) const {
    const std::string_view name = ignore_port ? without_port(authority) : authority;
    const bool low =
        std::none_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
    return low ? find_lowered(name) : find_lowered(lowered(name));
  }
};

RouteTable::RouteTable() = default;
RouteTable::~RouteTable() = default;

Result<std::shared_ptr<const RouteTable>> RouteTable::make(
    std::shared_ptr<const config::RouteConfiguration> routes) {
  auto state = std::make_unique<State>();
  state->ignore_port = routes->ignore_port_in_host_matching;
  for (const config::VirtualHost& host : routes->virtual_hosts) {
    for (const std::string& domain : host.domains) {
      if (state->add_domain(domain, state->hosts.size())) continue;
      return invalid(fmt::format("routes {}, virtual host {}: the domain {} stands twice",
                                 routes->name, host.name, domain));
    }
    ReadyHost ready{.host = &host, .routes = {}};
    ready.routes.reserve(host.routes.size());
    for (std::size_t at = 0; at < host.routes.size(); ++at) {
      Result<ReadyRoute> route = ready_route(*routes, host, host.routes[at]);
      if (!route.ok()) {
        return invalid(fmt::format("{}: {}", place_of(host, at), route.fault().message))
            .during("making the routes " + routes->name + " ready");
      }
      ready.routes.push_back(std::move(route).value());
    }
    state->hosts.push_back(std::move(ready));
  }
  std::shared_ptr<RouteTable> table(new RouteTable);
  table->routes_ = std::move(routes);
  table->state_ = std::move(state);
  return std::shared_ptr<const RouteTable>(std::move(table));
}

const Rule* match(const RouteTable& table LIFETIMEBOUND, const http::RequestHead& head,
                  Refusals* refused) {
  const RouteTable::State& state = table.state();
  const ReadyHost* const host = state.find(head.authority);
  if (refused) {
    for (const ReadyHost& other : state.hosts) {
      if (&other == host) continue;
      const bool wildcard = std::find(other.host->domains.begin(), other.host->domains.end(),
                                      "*") != other.host->domains.end();
      refused->push_back({"virtual host " + other.host->name,
                          wildcard ? "it is for hosts that no other names"
                                   : fmt::format("the host {} is none of its domains",
                                                 head.authority.empty() ? "''" : head.authority),
                          other.host->origin});
    }
  }
  if (!host) return nullptr;

  for (const ReadyRoute& ready : host->routes) {
    if (accepts(ready, head)) return &ready.rule;
    if (!refused) continue;
    const auto position = static_cast<std::size_t>(&ready - host->routes.data());
    const config::Route& route = *ready.rule.route;
    refused->push_back({name_of(route, position), why_not(ready, head), route.origin});
  }
  return nullptr;
}

const config::VirtualHost* match_host(const RouteTable& table LIFETIMEBOUND,
                                      std::string_view authority) {
  const ReadyHost* const host = table.state().find(authority);
  return host ? host->host : nullptr;
}

namespace {

std::uint64_t sum_of(const std::vector<config::WeightedCluster>& clusters) {
  std::uint64_t sum = 0;
  for (const config::WeightedCluster& cluster : clusters) sum += cluster.weight;
  return sum;
}

}  // namespace

const config::WeightedCluster& choose_cluster(
    const std::vector<config::WeightedCluster>& clusters LIFETIMEBOUND, Random& random) {
  if (clusters.size() == 1) return clusters.front();
  const std::uint64_t sum = sum_of(clusters);
  if (sum == 0) return clusters.front();
  std::uint64_t place = random.below(sum);
  for (const config::WeightedCluster& cluster : clusters) {
    if (place < cluster.weight) return cluster;
    place -= cluster.weight;
  }
  return clusters.back();
}

std::vector<ClusterShare> cluster_shares(
    const std::vector<config::WeightedCluster>& clusters LIFETIMEBOUND) {
  const std::uint64_t sum = sum_of(clusters);
  if (clusters.size() == 1 || sum == 0) return {{&clusters.front(), 1.0}};
  std::vector<ClusterShare> shares;
  for (const config::WeightedCluster& cluster : clusters) {
    if (cluster.weight == 0) continue;
    shares.push_back({&cluster, static_cast<double>(cluster.weight) / static_cast<double>(sum)});
  }
  return shares;
}

}  // namespace fairlead::proxy
