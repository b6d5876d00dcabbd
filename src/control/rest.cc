#include "control/rest.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/json_text.h"
#include "base/split.h"
#include "control/compile/compile.h"
#include "http/validate.h"

namespace fairlead::control {
namespace {

using Json = nlohmann::ordered_json;
using Labels = std::map<std::string, std::string>;

constexpr std::string_view registration = "/v1/registration";

std::string indented(const Json& json) {
  // Go's MarshalIndent(value, " ", " "): every line but the first starts with one space more.
  std::string text;
  for (const char c : json_text(json, 1)) {
    text.push_back(c);
    if (c == '\n') text.push_back(' ');
  }
  return text;
}

// ── Service keys: HOST[|PORT,PORT[|LABELS;LABELS]] ───────────────────────────────────────────────

struct ServiceKey {
  std::string host;
  std::set<std::string> ports;
  std::vector<Labels> labels;  // any of them; none: no condition
};

Labels parse_labels(std::string_view text) {
  Labels labels;
  for (const std::string_view pair : split(text, ',')) {
    const std::size_t equals = pair.find('=');
    labels[std::string(pair.substr(0, equals))] =
        equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
  }
  return labels;
}

ServiceKey parse_service_key(std::string_view text) {
  const std::vector<std::string_view> parts = split(text, '|');
  ServiceKey key{.host = std::string(parts[0]), .ports = {""}};
  if (parts.size() > 1) {
    const std::vector<std::string_view> names = split(parts[1], ',');
    key.ports = {names.begin(), names.end()};
  }
  if (parts.size() > 2 && !parts[2].empty()) {
    for (const std::string_view labels : split(parts[2], ';')) {
      key.labels.push_back(parse_labels(labels));
    }
  }
  return key;
}

bool fulfils(const mesh::Endpoint& endpoint, const std::vector<Labels>& wanted) {
  const auto has_all = [&](const Labels& labels) {
    return std::all_of(labels.begin(), labels.end(), [&](const auto& label) {
      const auto found = endpoint.labels.find(label.first);
      return found != endpoint.labels.end() && found->second == label.second;
    });
  };
  return wanted.empty() || std::any_of(wanted.begin(), wanted.end(), has_all);
}

// ── Answers ──────────────────────────────────────────────────────────────────────────────────────

Json host_of(const mesh::Endpoint& endpoint, std::uint16_t port) {
  Json host{{"ip_address", endpoint.address.text()}, {"port", port}};
  if (!endpoint.zone.empty()) host["tags"] = {{"az", endpoint.zone}};
  return host;
}

Json hosts_of(const mesh::Service& service, const mesh::ServicePort& port,
              const std::vector<Labels>& labels) {
  Json hosts = Json::array();
  for (const mesh::Endpoint* endpoint : eligible_endpoints(service)) {
    const mesh::EndpointPort* target = mesh::port_of(*endpoint, port);
    if (target && fulfils(*endpoint, labels)) hosts.push_back(host_of(*endpoint, target->port));
  }
  return hosts;
}

bool is_external(const mesh::Service& service) {
  return service.mesh_external || service.kind == mesh::ServiceKind::external_name;
}

RestAnswer all_services(const mesh::World& world) {
  std::map<std::string, Json> by_key;
  for (const mesh::Service& service : world.services) {
    if (is_external(service)) continue;
    for (const mesh::ServicePort& port : service.ports) {
      by_key.try_emplace(service_key(service, port), hosts_of(service, port, {}));
    }
  }
  Json all = Json::array();
  for (auto& [key, hosts] : by_key) {
    all.push_back({{"service-key", key}, {"hosts", std::move(hosts)}});
  }
  return {.body = indented(all)};
}

RestAnswer one_service(const mesh::World& world, std::string_view text) {
  const ServiceKey key = parse_service_key(text);
  Json hosts = Json::array();
  if (const mesh::Service* service = mesh::find_service_by_host(world, key.host)) {
    for (const mesh::ServicePort& port : service->ports) {
      if (!key.ports.contains(port.name)) continue;
      for (Json& host : hosts_of(*service, port, key.labels)) hosts.push_back(std::move(host));
    }
  }
  return {.body = indented({{"hosts", std::move(hosts)}})};
}

RestAnswer plain(int status, std::string text) {
  return {.status = status, .content_type = "text/plain", .body = std::move(text) + "\n"};
}

RestAnswer not_found(std::string_view path) {
  constexpr std::array gone{"/v1/clusters", "/v1/listeners", "/v1/routes", "/v1/az",
                            "/cache_stats"};
  const bool of_pilot =
      std::any_of(gone.begin(), gone.end(), [&](const char* one) { return path.starts_with(one); });
  if (of_pilot) {
    return plain(404, fmt::format("404: {} was Pilot's v1 API for Envoy's v1 configuration, which "
                                  "fairlead does not serve: proxies ask by xDS v3 (gRPC) instead",
                                  path));
  }
  return plain(404, fmt::format("404: there is no {}. There are /v1/registration/, "
                                "/v1/registration/SERVICE_KEY and /fairlead/status",
                                path));
}

}  // namespace

std::string service_key(const mesh::Service& service, const mesh::ServicePort& port) {
  return port.name.empty() ? service.host : service.host + "|" + port.name;
}

RestAnswer answer_rest(const mesh::World& world, std::string_view method, std::string_view target) {
  const std::string path = http::percent_decoded(target.substr(0, target.find('?')));
  std::string_view rest = path;
  if (!rest.starts_with(registration)) return not_found(path);
  rest.remove_prefix(registration.size());
  if (!rest.empty() && rest[0] != '/') return not_found(path);
  if (method != "GET") return plain(405, "405: the registry is only read: GET");
  if (rest.empty() || rest == "/") return all_services(world);
  return one_service(world, rest.substr(1));
}

}  // namespace fairlead::control
