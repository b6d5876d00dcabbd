#include "proxy/admin_dump.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json_text.h"
#include "proxy/decide/text_match.h"

namespace fairlead::proxy {
namespace {

using Json = nlohmann::ordered_json;

// The lists of envoy.admin.v3: in which section each stands, and what its members are.
struct List {
  std::string_view name;
  std::string_view section;
  std::string_view member;
};
constexpr std::array lists{
    List{"static_clusters", "ClustersConfigDump", "StaticCluster"},
    List{"dynamic_active_clusters", "ClustersConfigDump", "DynamicCluster"},
    List{"dynamic_warming_clusters", "ClustersConfigDump", "DynamicCluster"},
    List{"static_listeners", "ListenersConfigDump", "StaticListener"},
    List{"dynamic_listeners", "ListenersConfigDump", "DynamicListener"},
    List{"static_route_configs", "RoutesConfigDump", "StaticRouteConfig"},
    List{"dynamic_route_configs", "RoutesConfigDump", "DynamicRouteConfig"},
    List{"static_endpoint_configs", "EndpointsConfigDump", "StaticEndpointConfig"},
    List{"dynamic_endpoint_configs", "EndpointsConfigDump", "DynamicEndpointConfig"},
};

const List* list_called(std::string_view name) {
  const auto found =
      std::find_if(lists.begin(), lists.end(), [&](const List& list) { return list.name == name; });
  return found == lists.end() ? nullptr : &*found;
}

std::string type_of(std::string_view section) {
  return fmt::format("type.googleapis.com/envoy.admin.v3.{}", section);
}

std::string name_of(const Json& member) {
  for (const char* resource : {"cluster", "listener", "route_config"}) {
    if (member.contains(resource)) return text_at(member[resource], "name");
  }
  if (member.contains("endpoint_config")) return text_at(member["endpoint_config"], "cluster_name");
  return text_at(member, "name");
}

// ── By name ──────────────────────────────────────────────────────────────────────────────────────

void keep_names(Json& section, const re2::RE2& pattern) {
  for (const List& list : lists) {
    const auto members = section.find(list.name);
    if (members == section.end()) continue;
    Json kept = Json::array();
    for (Json& member : *members) {
      if (matches_whole(pattern, name_of(member))) kept.push_back(std::move(member));
    }
    if (kept.empty()) {
      section.erase(members);
    } else {
      *members = std::move(kept);
    }
  }
}

// ── The members of a list ────────────────────────────────────────────────────────────────────────

Json members_of(Json& configs, const List& list) {
  Json members = Json::array();
  for (Json& section : configs) {
    const auto found = section.find(list.name);
    if (found == section.end()) continue;
    for (Json& member : *found) {
      Json typed{{"@type", fmt::format("{}.{}", type_of(list.section), list.member)}};
      typed.update(member);
      members.push_back(std::move(typed));
    }
  }
  return members;
}

Result<Json> resource_in(Json& configs, const std::string& name) {
  if (const List* const list = list_called(name)) return members_of(configs, *list);
  for (const Json& section : configs) {
    if (!section.contains(name)) continue;
    return invalid(
        fmt::format("{0} is not a repeated field. Use ?mask={0} to get only this field", name));
  }
  return missing(fmt::format("{} not found in config dump", name));
}

// ── Masks ────────────────────────────────────────────────────────────────────────────────────────

std::vector<std::string> paths_of(std::string_view mask) {
  std::vector<std::string> paths;
  while (true) {
    const std::size_t comma = mask.find(',');
    paths.emplace_back(mask.substr(0, comma));
    if (comma == std::string_view::npos) return paths;
    mask.remove_prefix(comma + 1);
  }
}

// Copies what the path leads to; false when there is nothing. It does not lead through a list.
bool copy_path(const Json& from, std::string_view path, Json& into) {
  const std::string name(path.substr(0, path.find('.')));
  const auto found = from.find(name);
  if (found == from.end()) return false;
  if (name.size() == path.size()) {
    into[name] = *found;
    return true;
  }
  if (!found->is_object()) return false;
  Json& inside = into[name];
  if (found->contains("@type")) inside["@type"] = (*found)["@type"];
  return copy_path(*found, path.substr(name.size() + 1), inside);
}

// A list that is empty is not in the dump, but a path may lead there.
bool is_empty_list_of(const Json& config, std::string_view path) {
  const List* const list = list_called(path);
  return list != nullptr && type_of(list->section) == text_at(config, "@type");
}

// Sections to which no path leads are left out, members of a list are all kept.
Result<Json> masked(const Json& configs, const DumpQuery& query) {
  const std::vector<std::string> paths = paths_of(query.mask);
  std::vector<bool> leads(paths.size(), configs.empty());
  Json kept = Json::array();
  for (const Json& config : configs) {
    Json part{{"@type", text_at(config, "@type")}};
    bool any = !query.resource.empty();
    for (std::size_t at = 0; at < paths.size(); ++at) {
      if (!copy_path(config, paths[at], part) && !is_empty_list_of(config, paths[at])) continue;
      leads[at] = any = true;
    }
    if (any) kept.push_back(std::move(part));
  }
  const auto nowhere = std::find(leads.begin(), leads.end(), false);
  if (nowhere == leads.end()) return kept;
  const auto position = static_cast<std::size_t>(nowhere - leads.begin());
  return invalid(
      fmt::format("the path '{}' of the mask leads to nothing that is set", paths[position]));
}

}  // namespace

Result<std::string> part_of_dump(const std::string& dump, const DumpQuery& query) {
  Json whole = parse_ordered_json(dump);
  if (!whole.is_object() || !whole.contains("configs")) return invalid("there is no dump");
  Json configs = std::move(whole["configs"]);
  if (!query.name_regex.empty()) {
    Result<Pattern> pattern = compiled(query.name_regex);
    if (!pattern) return std::move(pattern).fault().during("reading name_regex");
    for (Json& section : configs) keep_names(section, **pattern);
  }
  if (!query.resource.empty()) {
    Result<Json> members = resource_in(configs, query.resource);
    if (!members) return std::move(members).fault();
    configs = std::move(members).value();
  }
  if (!query.mask.empty()) {
    Result<Json> part = masked(configs, query);
    if (!part) return std::move(part).fault();
    configs = std::move(part).value();
  }
  if (configs.empty()) return std::string("{}\n");
  return json_text(Json{{"configs", std::move(configs)}}, 1) + "\n";
}

}  // namespace fairlead::proxy
