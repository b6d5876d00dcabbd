#include "proxy/decide/match.h"

#include <fmt/format.h>
#include <re2/re2.h>
#include <re2/stringpiece.h>

#include <algorithm>
#include <functional>
#include <map>
#include <unordered_map>
#include <utility>

#include "http/validate.h"

namespace fairlead::proxy {
namespace {

using config::HeaderMatch;
using config::PathMatch;
using config::StringMatch;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

std::string lowered(std::string_view text) {
  std::string made(text);
  std::transform(made.begin(), made.end(), made.begin(), lower);
  return made;
}

bool equal(std::string_view left, std::string_view right, bool with_case) {
  return with_case ? left == right : http::same_name(left, right);
}

bool begins(std::string_view text, std::string_view start, bool with_case) {
  return text.size() >= start.size() && equal(text.substr(0, start.size()), start, with_case);
}

bool finishes(std::string_view text, std::string_view end, bool with_case) {
  return text.size() >= end.size() && equal(text.substr(text.size() - end.size()), end, with_case);
}

// By way of the library's own view of text, which is not std's in every distribution.
bool matches_whole(const re2::RE2& pattern, std::string_view text) {
  return re2::RE2::FullMatch(re2::StringPiece(text.data(), text.size()), pattern);
}

std::unique_ptr<const re2::RE2> compiled(const std::string& pattern, bool with_case) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_case_sensitive(with_case);
  return std::make_unique<const re2::RE2>(pattern, options);
}

// ── What is matched ──────────────────────────────────────────────────────────────────────────────

struct ReadyHeader {
  const HeaderMatch* match = nullptr;
  http::FieldName known = http::FieldName::other;
  std::unique_ptr<const re2::RE2> pattern;  // of a regex
};

struct ReadyRoute {
  Rule rule;
  std::unique_ptr<const re2::RE2> path;  // of a regex
  std::vector<ReadyHeader> headers;
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

std::string_view without_port(std::string_view authority) {
  const std::size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos) return authority;
  if (authority.find(']', colon) != std::string_view::npos) return authority;  // inside an IPv6
  return authority.substr(0, colon);
}

bool value_matches(const StringMatch& match, const re2::RE2* pattern, std::string_view value) {
  const bool with_case = !match.ignore_case;
  switch (match.kind) {
    case StringMatch::Kind::exact:
      return equal(value, match.value, with_case);
    case StringMatch::Kind::prefix:
      return begins(value, match.value, with_case);
    case StringMatch::Kind::suffix:
      return finishes(value, match.value, with_case);
    case StringMatch::Kind::contains:
      return with_case ? value.find(match.value) != std::string_view::npos
                       : lowered(value).find(lowered(match.value)) != std::string::npos;
    case StringMatch::Kind::regex:
      return pattern && matches_whole(*pattern, value);
  }
  return false;
}

std::string_view pseudo_field(const http::RequestHead& head, std::string_view name) {
  if (name == ":method") return head.method;
  if (name == ":path") return head.path;
  if (name == ":authority") return head.authority;
  if (name == ":scheme") return head.scheme.empty() ? std::string_view("http") : head.scheme;
  return {};
}

// Envoy's: a value that is asked for is not found in a field that is not there, inverted or not.
// Each of repeated values counts for itself, so that none can hide behind another.
bool header_matches(const ReadyHeader& header, const http::RequestHead& head) {
  const HeaderMatch& match = *header.match;
  bool present = false;
  bool any = false;
  const auto look_at = [&](std::string_view value) {
    present = true;
    any = any || !match.value || value_matches(*match.value, header.pattern.get(), value);
  };
  if (match.name.starts_with(':')) {
    look_at(pseudo_field(head, match.name));
  } else if (header.known == http::FieldName::host) {
    look_at(head.authority);
  } else {
    for (const http::Field& field : head.fields) {
      if (field.known == header.known && http::same_name(field.name, match.name)) {
        look_at(field.value);
      }
    }
  }
  if (!match.value) return present != match.invert;
  return present && any != match.invert;
}

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

// ── Why not ──────────────────────────────────────────────────────────────────────────────────────

const char* verb_of(StringMatch::Kind kind) {
  switch (kind) {
    case StringMatch::Kind::exact:
      return "be";
    case StringMatch::Kind::prefix:
      return "begin with";
    case StringMatch::Kind::suffix:
      return "end with";
    case StringMatch::Kind::contains:
      return "contain";
    case StringMatch::Kind::regex:
      return "match the pattern";
  }
  return "be";
}

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

std::string why_header(const HeaderMatch& match, const http::RequestHead& head) {
  if (!match.value) {
    return fmt::format("the header {} is {}", match.name, match.invert ? "there" : "not there");
  }
  const std::string wanted = fmt::format("must {}{} {}", match.invert ? "not " : "",
                                         verb_of(match.value->kind), match.value->value);
  if (match.name.starts_with(':')) {
    return fmt::format("{} is {}, and {}", match.name, pseudo_field(head, match.name), wanted);
  }
  const http::Field* field = head.fields.find(match.name);
  if (!field) return fmt::format("the header {} is not there, and {}", match.name, wanted);
  return fmt::format("the header {} is {}, and {}", match.name, http::printable(field->value),
                     wanted);
}

std::string name_of(const config::Route& route, std::size_t position) {
  return route.name.empty() ? fmt::format("route {}", position + 1) : "route " + route.name;
}

// ── Making ready ─────────────────────────────────────────────────────────────────────────────────

Fault bad_pattern(const config::VirtualHost& host, std::size_t position, const std::string& pattern,
                  const std::string& why) {
  return invalid(fmt::format("virtual host {}, {}: the pattern {} is refused: {}", host.name,
                             name_of(host.routes[position], position), pattern, why));
}

bool changes_request(const config::Route& route) {
  return !route.forward.prefix_rewrite.empty() || !route.forward.host_rewrite.empty() ||
         !route.request_headers_to_add.empty() || !route.request_headers_to_remove.empty();
}

Result<ReadyRoute> ready_route(const config::VirtualHost& host, std::size_t position) {
  const config::Route& route = host.routes[position];
  ReadyRoute ready;
  ready.rule.host = &host;
  ready.rule.route = &route;
  if (route.forward.retry) {
    ready.rule.retry = retry_rules(*route.forward.retry);
  } else if (host.retry) {
    ready.rule.retry = retry_rules(*host.retry);
  }
  ready.rule.changes_request = changes_request(route);
  ready.rule.changes_response =
      !route.response_headers_to_add.empty() || !route.response_headers_to_remove.empty();
  if (route.path.kind == PathMatch::Kind::regex) {
    ready.path = compiled(route.path.value, route.path.case_sensitive);
    if (!ready.path->ok()) {
      return bad_pattern(host, position, route.path.value, ready.path->error());
    }
  }
  for (const HeaderMatch& match : route.headers) {
    ReadyHeader header{.match = &match, .known = http::field_name(match.name), .pattern = {}};
    if (match.value && match.value->kind == StringMatch::Kind::regex) {
      header.pattern = compiled(match.value->value, !match.value->ignore_case);
      if (!header.pattern->ok()) {
        return bad_pattern(host, position, match.value->value, header.pattern->error());
      }
    }
    ready.headers.push_back(std::move(header));
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
    if (const auto found = exact.find(name); found != exact.end()) return &hosts[found->second];
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
      Result<ReadyRoute> route = ready_route(host, at);
      if (!route)
        return std::move(route).fault().during("making the routes " + routes->name + " ready");
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

  const std::string_view path = head.path_without_query();
  for (const ReadyRoute& ready : host->routes) {
    const auto position = static_cast<std::size_t>(&ready - host->routes.data());
    const config::Route& route = *ready.rule.route;
    if (!path_matches(ready, path)) {
      if (refused) {
        refused->push_back({name_of(route, position), why_path(route.path, path), route.origin});
      }
      continue;
    }
    const auto fails =
        std::find_if(ready.headers.begin(), ready.headers.end(),
                     [&](const ReadyHeader& header) { return !header_matches(header, head); });
    if (fails == ready.headers.end()) return &ready.rule;
    if (refused) {
      refused->push_back({name_of(route, position), why_header(*fails->match, head), route.origin});
    }
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
