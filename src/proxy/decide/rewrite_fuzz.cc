// Any path. What must hold of the normal form: it is its own normal form, no segment of it is a dot
// segment, its query is untouched; and a route is found or not whether or not the reasons are
// asked.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "proxy/decide/match.h"
#include "proxy/decide/rewrite.h"

namespace {

using namespace fairlead;         // NOLINT: a fuzzer is one file
using namespace fairlead::proxy;  // NOLINT

void must(bool holds) {
  if (!holds) std::abort();
}

config::Route route(config::PathMatch::Kind kind, std::string value) {
  config::Route made;
  made.name = value;
  made.path = {kind, std::move(value)};
  made.forward.prefix_rewrite = "/new";
  return made;
}

const RouteTable& table() {
  static const auto made = [] {
    using Kind = config::PathMatch::Kind;
    auto routes = std::make_shared<config::RouteConfiguration>();
    config::VirtualHost host;
    host.domains = {"*"};
    host.routes = {route(Kind::exact, "/a"), route(Kind::path_separated_prefix, "/b"),
                   route(Kind::regex, "/c[0-9]+"), route(Kind::prefix, "/d/")};
    routes->virtual_hosts = {host};
    return RouteTable::make(std::move(routes)).value();
  }();
  return *made;
}

void check_segments(std::string_view path) {
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view segment = path.substr(0, path.find('/'));
    must(segment != "." && segment != "..");
    must(segment.find('\\') == std::string_view::npos);
    path.remove_prefix(segment.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text = "/" + std::string(reinterpret_cast<const char*>(data), size);
  http::RequestHead head;
  head.path = text;
  head.authority = "host";
  if (!normalise_path(head)) return 0;
  const std::string once(head.path);
  must(normalise_path(head).ok());
  must(head.path == once);
  must(once.starts_with('/'));
  check_segments(head.path_without_query());
  const std::size_t query = text.find('?');
  if (query != std::string::npos) must(once.ends_with(text.substr(query)));

  Refusals refused;
  const Rule* const rule = match(table(), head);
  must(rule == match(table(), head, &refused));
  if (!rule) {
    must(refused.size() == 4);
    return 0;
  }
  rewrite_request(*rule, head);
  must(head.path.starts_with("/new"));
  return 0;
}
