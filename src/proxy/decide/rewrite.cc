#include "proxy/decide/rewrite.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>
#include <vector>

#include "http/validate.h"
#include "proxy/decide/arrival.h"

namespace fairlead::proxy {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_unreserved(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

bool may_need_work(std::string_view path) {
  for (std::size_t at = 0; at < path.size(); ++at) {
    if (path[at] == '%' || path[at] == '\\') return true;
    if (path[at] == '/' && at + 1 < path.size() && path[at + 1] == '.') return true;
  }
  return false;
}

Fault refused(std::string_view path, std::string_view why) {
  Fault fault = invalid(fmt::format("the path {} {}", http::printable(path), why));
  fault.side = Side::downstream;
  return fault;
}

Result<std::string> decoded(std::string_view path) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string made;
  made.reserve(path.size());
  for (std::size_t at = 0; at < path.size(); ++at) {
    if (path[at] == '\\') {
      made += '/';
      continue;
    }
    if (path[at] != '%') {
      made += path[at];
      continue;
    }
    const int high = at + 2 < path.size() ? hex_value(path[at + 1]) : -1;
    const int low = at + 2 < path.size() ? hex_value(path[at + 2]) : -1;
    if (high < 0 || low < 0) return refused(path, "has a '%' without two hexadecimal digits");
    const int value = high * 16 + low;
    if (value == 0) return refused(path, "has an escaped NUL");
    if (is_unreserved(static_cast<char>(value))) {
      made += static_cast<char>(value);
    } else {
      made += '%';
      made += digits[static_cast<std::size_t>(high)];
      made += digits[static_cast<std::size_t>(low)];
    }
    at += 2;
  }
  return made;
}

// RFC 3986 §5.2.4, but nothing climbs above the root.
Result<std::string> without_dots(const std::string& path) {
  std::vector<std::string_view> kept;
  std::string_view rest = std::string_view(path).substr(1);
  bool ends_in_slash = false;
  for (bool last = false; !last;) {
    const std::size_t slash = rest.find('/');
    last = slash == std::string_view::npos;
    const std::string_view segment = rest.substr(0, slash);
    if (!last) rest.remove_prefix(slash + 1);
    ends_in_slash = segment == "." || segment == "..";
    if (segment == ".") continue;
    if (segment != "..") {
      kept.push_back(segment);
    } else if (kept.empty()) {
      return refused(path, "climbs above the root");
    } else {
      kept.pop_back();
    }
  }
  std::string made;
  for (const std::string_view segment : kept) {
    made += '/';
    made += segment;
  }
  if (ends_in_slash || made.empty()) made += '/';
  return made;
}

void change_fields(http::Fields& fields, const std::vector<config::HeaderToAdd>& add,
                   const std::vector<std::string>& remove) {
  for (const std::string& name : remove) {
    if (!name.starts_with(':') && http::field_name(name) != http::FieldName::host) {
      fields.remove(name);
    }
  }
  for (const config::HeaderToAdd& header : add) {
    if (!header.append) fields.remove(header.name);
    fields.add(header.name, header.value);
  }
}

// What a client says in such a field is not the truth.
void tell_original(http::Fields& fields, std::string_view name, std::string_view original) {
  fields.remove(name);
  fields.add(name, original);
}

// The part of the path (without the query) that prefix_rewrite leaves.
std::string_view unmatched(const config::Route& route, std::string_view path) {
  const bool by_prefix = route.path.kind == config::PathMatch::Kind::prefix ||
                         route.path.kind == config::PathMatch::Kind::path_separated_prefix;
  return by_prefix ? path.substr(std::min(route.path.value.size(), path.size())) : "";
}

std::string substituted(const Rule& rule, const config::RegexRewrite& rewrite,
                        std::string_view path) {
  std::string made(path);
  re2::RE2::GlobalReplace(&made, *rule.rewritten, rewrite.substitution);
  return made;
}

std::string_view joined(http::Fields& fields LIFETIMEBOUND, std::string_view start,
                        std::string_view rest) {
  char* const text = fields.keep_space(start.size() + rest.size());
  if (!start.empty()) std::memcpy(text, start.data(), start.size());
  if (!rest.empty()) std::memcpy(text + start.size(), rest.data(), rest.size());
  return {text, start.size() + rest.size()};
}

void rewrite_path(const Rule& rule, http::RequestHead& head) {
  const config::RouteAction& action = rule.route->forward;
  const std::string_view before = head.path;
  const std::string_view path = head.path_without_query();
  const std::string_view query = before.substr(path.size());
  if (action.regex_rewrite) {
    head.path = joined(head.fields, substituted(rule, *action.regex_rewrite, path), query);
  } else if (!action.prefix_rewrite.empty()) {
    const std::size_t kept = unmatched(*rule.route, path).size() + query.size();
    head.path = joined(head.fields, action.prefix_rewrite, before.substr(before.size() - kept));
  } else {
    return;
  }
  tell_original(head.fields, "x-envoy-original-path", before);
}

// ── Redirects ────────────────────────────────────────────────────────────────────────────────────

// Of the request, less the port that another scheme or port makes wrong.
std::string_view authority_for(const config::RedirectAction& redirect, std::string_view authority,
                               std::string_view before, std::string_view after) {
  const std::string_view usual = before == "https" ? ":443" : ":80";
  const bool other_scheme = before != after && authority.ends_with(usual);
  return redirect.port != 0 || other_scheme ? without_port(authority) : authority;
}

std::string rewritten_path(const Rule& rule, std::string_view path) {
  const config::RedirectAction& redirect = rule.route->redirect;
  if (!redirect.path.empty()) return redirect.path;
  if (redirect.regex_rewrite) return substituted(rule, *redirect.regex_rewrite, path);
  if (redirect.prefix_rewrite.empty()) return std::string(path);
  return redirect.prefix_rewrite + std::string(unmatched(*rule.route, path));
}

std::string path_for(const Rule& rule, const http::RequestHead& head) {
  const config::RedirectAction& redirect = rule.route->redirect;
  if (redirect.path.find('?') != std::string::npos) return redirect.path;
  const std::string_view path = head.path_without_query();
  std::string made = rewritten_path(rule, path);
  made += head.path.substr(path.size());
  if (redirect.strip_query) made.resize(std::min(made.find('?'), made.size()));
  return made;
}

}  // namespace

Result<> normalise_path(http::RequestHead& head) {
  const std::string_view path = head.path_without_query();
  if (!path.starts_with('/') || !may_need_work(path)) return done();
  Result<std::string> plain = decoded(path);
  if (!plain) return std::move(plain).fault();
  Result<std::string> resolved = without_dots(*plain);
  if (!resolved) return std::move(resolved).fault();
  if (*resolved == path) return done();
  *resolved += head.path.substr(path.size());
  head.path = head.fields.keep(*resolved);
  return done();
}

void rewrite_request(const Rule& rule, http::RequestHead& head) {
  if (!rule.changes_request) return;
  const config::Route& route = *rule.route;
  rewrite_path(rule, head);
  if (!route.forward.host_rewrite.empty()) {
    const std::string_view before = std::exchange(head.authority, route.forward.host_rewrite);
    tell_original(head.fields, "x-envoy-original-host", before);
  }
  change_fields(head.fields, route.request_headers_to_add, route.request_headers_to_remove);
}

void rewrite_response(const Rule& rule, http::ResponseHead& head) {
  if (!rule.changes_response) return;
  change_fields(head.fields, rule.route->response_headers_to_add,
                rule.route->response_headers_to_remove);
}

std::string redirect_location(const Rule& rule, const http::RequestHead& head) {
  const config::RedirectAction& redirect = rule.route->redirect;
  const std::string_view scheme = scheme_of(head);
  const std::string_view to = redirect.scheme.empty() ? scheme : redirect.scheme;
  const std::string_view authority =
      redirect.host.empty() ? authority_for(redirect, head.authority, scheme, to) : redirect.host;
  const std::string port = redirect.port == 0 ? "" : fmt::format(":{}", redirect.port);
  return fmt::format("{}://{}{}{}", to, authority, port, path_for(rule, head));
}

}  // namespace fairlead::proxy
