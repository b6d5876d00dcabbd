#include "control/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace fairlead::control {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const xds::TypeStatus& type) {
  return {{"type", xds::short_name_of(type.type)},
          {"subscribed", type.subscribed},
          {"names", type.names},
          {"sent", type.sent},
          {"acknowledged", type.acknowledged},
          {"refusal", type.refusal}};
}

Json json_of(const ProxyStatus& proxy) {
  Json types = Json::array();
  for (const xds::TypeStatus& type : proxy.types) types.push_back(json_of(type));
  return {{"node", proxy.node},
          {"peer", proxy.peer},
          {"namespace", proxy.name_space},
          {"acknowledgedWorld", proxy.acknowledged_world},
          {"current", proxy.current},
          {"types", std::move(types)}};
}

Json json_of(const mesh::Ignored& ignored) {
  return {
      {"object", ignored.origin.describe()}, {"field", ignored.field}, {"reason", ignored.reason}};
}

// ── For people ───────────────────────────────────────────────────────────────────────────────────

std::string state_of(const Json& type) {
  const std::string acknowledged = type.value("acknowledged", "");
  if (!type.value("refusal", "").empty()) return "refused";
  if (!type.value("subscribed", false)) return "-";
  return acknowledged.empty() ? "waiting" : acknowledged;
}

void describe_proxy(std::string& text, const Json& proxy) {
  const std::string node = proxy.value("node", "");
  text += fmt::format("{:<9}", proxy.value("current", false) ? "current" : "BEHIND");
  for (const Json& type : proxy.value("types", Json::array())) {
    text += fmt::format(" {} {:<10}", type.value("type", "?"), state_of(type));
  }
  text += fmt::format(" {}\n", node.empty() ? proxy.value("peer", "?") : node);
  for (const Json& type : proxy.value("types", Json::array())) {
    const std::string refusal = type.value("refusal", "");
    if (!refusal.empty()) {
      text += fmt::format("          refused {} of world {}: {}\n", type.value("type", "?"),
                          type.value("sent", "?"), refusal);
    }
  }
}

std::string describe_proxies(const Json& proxies) {
  if (proxies.empty()) return "no proxy is connected\n";
  std::string text = fmt::format("{} {}, each with the world that it speaks of each type:\n",
                                 proxies.size(), proxies.size() == 1 ? "proxy" : "proxies");
  for (const Json& proxy : proxies) describe_proxy(text, proxy);
  return text;
}

std::string describe_ignored(const Json& ignored) {
  std::string text;
  for (const Json& one : ignored) {
    const std::string field = one.value("field", "");
    text += fmt::format("ignored: {}{}{}: {}\n", one.value("object", "?"),
                        field.empty() ? "" : ", ", field, one.value("reason", "?"));
  }
  return text;
}

}  // namespace

std::string status_json(const Status& status) {
  Json ignored = Json::array();
  for (const mesh::Ignored& one : status.ignored) ignored.push_back(json_of(one));
  Json proxies = Json::array();
  for (const ProxyStatus& proxy : status.proxies) proxies.push_back(json_of(proxy));
  const bool current = std::all_of(status.proxies.begin(), status.proxies.end(),
                                   [](const ProxyStatus& proxy) { return proxy.current; });
  const Json json{{"world", status.world},
                  {"current", current && !status.world.empty()},
                  {"broken", status.broken},
                  {"ignored", std::move(ignored)},
                  {"proxies", std::move(proxies)}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<std::string> describe_status(std::string_view text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return invalid("the answer is not control's status");
  try {
    const std::string world = json.value("world", "");
    std::string described =
        world.empty() ? "no world yet: nothing could be read\n" : fmt::format("world {}\n", world);
    for (const Json& broken : json.value("broken", Json::array())) {
      described +=
          fmt::format("broken, the last good version is in force: {}\n", broken.get<std::string>());
    }
    described += describe_proxies(json.value("proxies", Json::array()));
    described += describe_ignored(json.value("ignored", Json::array()));
    return described;
  } catch (const Json::exception& wrong) {
    return invalid(fmt::format("the answer is not control's status: {}", wrong.what()));
  }
}

}  // namespace fairlead::control
