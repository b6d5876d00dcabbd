#include "control/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "base/lines.h"
#include "base/one_line.h"

namespace fairlead::control {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t width = 100;       // of what people read
constexpr std::size_t longest_id = 200;  // of a node that is shown

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
          {"mismatch", proxy.mismatch},
          {"types", std::move(types)}};
}

Json json_of(const PortStatus& port) {
  return {{"connections", port.places.held},
          {"most", port.limits.total},
          {"mostOfOneClient", port.limits.per_client},
          {"refused", port.places.refused},
          {"evicted", port.places.evicted}};
}

Json json_of(const Load& load) {
  return {
      {"discovery", json_of(load.discovery)},       {"http", json_of(load.http)},
      {"streamsGivenUp", load.streams_given_up},    {"answersPutOff", load.answers_put_off},
      {"acceptingPaused", load.descriptors.paused}, {"acceptingPauses", load.descriptors.pauses}};
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

// Istio's node ids are "sidecar~IP~POD.NAMESPACE~DOMAIN": the pod and its address say it all.
std::string who_is(const Json& proxy) {
  const std::string node = one_line(proxy.value("node", ""), longest_id);
  if (node.empty()) return proxy.value("peer", "?");
  const std::size_t ip = node.find('~');
  const std::size_t name = ip == std::string::npos ? ip : node.find('~', ip + 1);
  const std::size_t domain = name == std::string::npos ? name : node.find('~', name + 1);
  if (domain == std::string::npos) return node;
  return fmt::format("{} {}", node.substr(name + 1, domain - name - 1),
                     node.substr(ip + 1, name - ip - 1));
}

using Row = std::vector<std::string>;

std::string lines_of(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const Row& row : rows) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += fmt::format("{:<{}}{}", row[i], widths[i], i + 1 == row.size() ? "" : "  ");
    }
    text += line + "\n";
  }
  return text;
}

std::string describe_refusals(const Json& proxies) {
  std::string text;
  for (const Json& proxy : proxies) {
    for (const Json& type : proxy.value("types", Json::array())) {
      const std::string refusal = type.value("refusal", "");
      if (refusal.empty()) continue;
      text += hanging(fmt::format("{} refused {} of world {}: {}", who_is(proxy),
                                  type.value("type", "?"), type.value("sent", "?"), refusal),
                      width);
    }
  }
  return text;
}

std::string describe_mismatches(const Json& proxies) {
  std::string text;
  for (const Json& proxy : proxies) {
    const std::string mismatch = proxy.value("mismatch", "");
    if (!mismatch.empty()) text += hanging(fmt::format("{} {}", who_is(proxy), mismatch), width);
  }
  return text;
}

// What clients were denied: nothing as a rule.
std::string describe_port(const Json& port, std::string_view name) {
  const std::uint64_t refused = port.value("refused", std::uint64_t{0});
  const std::uint64_t evicted = port.value("evicted", std::uint64_t{0});
  if (refused + evicted == 0) return {};
  return hanging(fmt::format("{}: {} connections of at most {} are open; {} were refused, and {} "
                             "gave their place to others",
                             name, port.value("connections", 0),
                             port.value("most", std::uint64_t{0}), refused, evicted),
                 width);
}

std::string describe_load(const Json& load) {
  std::string text = describe_port(load.value("discovery", Json::object()), "discovery") +
                     describe_port(load.value("http", Json::object()), "registry and status");
  const auto count = [&](const char* name) { return load.value(name, std::uint64_t{0}); };
  if (count("streamsGivenUp") > 0) {
    text += hanging(fmt::format("{} ended, whose proxies took nothing",
                                counted(count("streamsGivenUp"), "discovery stream")),
                    width);
  }
  if (count("answersPutOff") > 0) {
    text += hanging(fmt::format("{} put off, as too many answers waited for their clients",
                                counted(count("answersPutOff"), "request")),
                    width);
  }
  if (count("acceptingPauses") > 0) {
    text += hanging(fmt::format("new connections had to wait for descriptors (ulimit -n) {}{}",
                                counted(count("acceptingPauses"), "time"),
                                load.value("acceptingPaused", false) ? ", and wait now" : ""),
                    width);
  }
  return text;
}

std::string describe_proxies(const Json& proxies) {
  if (proxies.empty()) return "no proxy is connected\n";
  Row head{"STATE"};
  for (const Json& type : proxies.front().value("types", Json::array())) {
    head.push_back(type.value("type", "?"));
  }
  head.emplace_back("PROXY");
  std::vector<Row> rows{std::move(head)};
  for (const Json& proxy : proxies) {
    Row& row = rows.emplace_back();
    row.emplace_back(proxy.value("current", false) ? "current" : "BEHIND");
    for (const Json& type : proxy.value("types", Json::array())) row.push_back(state_of(type));
    row.push_back(who_is(proxy));
    row.resize(rows.front().size());
  }
  return fmt::format("{} {}, each with the world that it speaks of each type:\n{}{}{}",
                     proxies.size(), proxies.size() == 1 ? "proxy" : "proxies", lines_of(rows),
                     describe_refusals(proxies), describe_mismatches(proxies));
}

std::string describe_ignored(const Json& ignored) {
  std::string text;
  for (const Json& one : ignored) {
    const std::string field = one.value("field", "");
    text += hanging(fmt::format("ignored: {}{}{}: {}", one.value("object", "?"),
                                field.empty() ? "" : ", ", field, one.value("reason", "?")),
                    width);
  }
  return text;
}

// Stands in the first line.
std::string describe_not_enforced(const Json& json) {
  const auto names = json.value("notEnforced", std::vector<std::string>());
  return names.empty() ? "" : ", but " + mesh::describe_unenforced(names);
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
                  {"notEnforced", status.not_enforced},
                  {"load", json_of(status.load)},
                  {"proxies", std::move(proxies)}};
  return json_text(json, 2) + "\n";
}

Result<std::string> describe_status(std::string_view text) {
  const Json json = parse_ordered_json(text);
  if (!json.is_object()) return invalid("the answer is not control's status");
  try {
    const std::string world = json.value("world", "");
    std::string described = world.empty()
                                ? "no world yet: nothing could be read\n"
                                : fmt::format("world {}{}\n", world, describe_not_enforced(json));
    for (const Json& broken : json.value("broken", Json::array())) {
      described +=
          hanging("broken, the last good version is in force: " + broken.get<std::string>(), width);
    }
    described += describe_proxies(json.value("proxies", Json::array()));
    described += describe_load(json.value("load", Json::object()));
    described += describe_ignored(json.value("ignored", Json::array()));
    return described;
  } catch (const Json::exception& wrong) {
    return invalid(fmt::format("the answer is not control's status: {}", wrong.what()));
  }
}

}  // namespace fairlead::control
