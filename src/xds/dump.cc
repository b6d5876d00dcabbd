#include "xds/dump.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "base/json_text.h"
#include "xds/bootstrap_wire.h"
#include "xds/encode_parts.h"
#include "xds/text.h"

namespace fairlead::xds {
namespace {

using Json = nlohmann::ordered_json;

std::string time_text(WallTime time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(time - seconds);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)), rest.count());
}

Json json_of(const wire::Message& message) {
  return parse_ordered_json(write_message(message));
}

template <class Message, class Value>
Json resource_of(const Value& value) {
  Message message;
  write(value, message);
  Json json{{"@type", "type.googleapis.com/" + message.GetTypeName()}};
  json.update(json_of(message));
  return json;
}

Json cluster_json(const config::Cluster& cluster) {
  return resource_of<wire::cluster::Cluster>(cluster);
}
Json listener_json(const config::Listener& listener) {
  return resource_of<wire::listener::Listener>(listener);
}
Json routes_json(const config::RouteConfiguration& routes) {
  return resource_of<wire::route::RouteConfiguration>(routes);
}
Json endpoints_json(const config::ClusterLoadAssignment& endpoints) {
  return resource_of<wire::endpoint::ClusterLoadAssignment>(endpoints);
}

// What goes into each of the dumps.
class Dump {
 public:
  Dump(const Bootstrap& bootstrap, const config::Snapshot& snapshot, WallTime last_updated)
      : bootstrap_(bootstrap), snapshot_(snapshot), time_(time_text(last_updated)) {
    for (const config::Cluster& cluster : bootstrap.clusters) fixed_clusters_.insert(cluster.name);
    for (const config::Listener& listener : bootstrap.listeners) {
      fixed_listeners_.insert(listener.name);
    }
  }

  [[nodiscard]] Json bootstrap() const;
  [[nodiscard]] Json clusters() const;
  [[nodiscard]] Json listeners() const;
  [[nodiscard]] Json routes() const;
  [[nodiscard]] Json endpoints() const;

 private:
  const Bootstrap& bootstrap_;
  const config::Snapshot& snapshot_;
  std::string time_;
  std::set<std::string> fixed_clusters_;
  std::set<std::string> fixed_listeners_;

  static Json section(const char* name) {
    return {{"@type", fmt::format("type.googleapis.com/envoy.admin.v3.{}", name)}};
  }
  [[nodiscard]] Json fixed(const char* key, Json resource) const {
    return {{key, std::move(resource)}, {"last_updated", time_}};
  }
  [[nodiscard]] Json dynamic(const char* key, Json resource, const std::string& version) const {
    return {{"version_info", version}, {key, std::move(resource)}, {"last_updated", time_}};
  }
  void add_inline_routes(Json& list, const config::FilterChain& chain) const;
};

Json Dump::bootstrap() const {
  wire::boot::Bootstrap message;
  write(bootstrap_, message);
  Json json = section("BootstrapConfigDump");
  json["bootstrap"] = json_of(message);
  json["last_updated"] = time_;
  return json;
}

Json Dump::clusters() const {
  Json json = section("ClustersConfigDump");
  json["version_info"] = snapshot_.versions.clusters;
  for (const auto& [name, cluster] : snapshot_.clusters) {
    if (fixed_clusters_.contains(name)) {
      json["static_clusters"].push_back(fixed("cluster", cluster_json(*cluster)));
    } else {
      json["dynamic_active_clusters"].push_back(
          dynamic("cluster", cluster_json(*cluster), snapshot_.versions.clusters));
    }
  }
  return json;
}

Json Dump::listeners() const {
  Json json = section("ListenersConfigDump");
  json["version_info"] = snapshot_.versions.listeners;
  for (const auto& [name, listener] : snapshot_.listeners) {
    if (fixed_listeners_.contains(name)) {
      json["static_listeners"].push_back(fixed("listener", listener_json(*listener)));
      continue;
    }
    json["dynamic_listeners"].push_back(
        {{"name", name},
         {"active_state",
          dynamic("listener", listener_json(*listener), snapshot_.versions.listeners)}});
  }
  return json;
}

void Dump::add_inline_routes(Json& list, const config::FilterChain& chain) const {
  const auto* http = std::get_if<config::HttpConnectionManager>(&chain.filter);
  if (http == nullptr || !http->routes) return;
  list.push_back(fixed("route_config", routes_json(*http->routes)));
}

Json Dump::routes() const {
  Json json = section("RoutesConfigDump");
  Json inline_routes = Json::array();
  for (const auto& [name, listener] : snapshot_.listeners) {
    for (const config::FilterChain& chain : listener->filter_chains) {
      add_inline_routes(inline_routes, chain);
    }
    if (listener->default_filter_chain) {
      add_inline_routes(inline_routes, *listener->default_filter_chain);
    }
  }
  if (!inline_routes.empty()) json["static_route_configs"] = std::move(inline_routes);
  for (const auto& [name, routes] : snapshot_.routes) {
    json["dynamic_route_configs"].push_back(
        dynamic("route_config", routes_json(*routes), snapshot_.versions.routes));
  }
  return json;
}

Json Dump::endpoints() const {
  Json json = section("EndpointsConfigDump");
  for (const auto& [name, cluster] : snapshot_.clusters) {
    if (cluster->endpoints == config::ClusterLoadAssignment{}) continue;
    json["static_endpoint_configs"].push_back(
        fixed("endpoint_config", endpoints_json(cluster->endpoints)));
  }
  for (const auto& [name, endpoints] : snapshot_.endpoints) {
    json["dynamic_endpoint_configs"].push_back(
        dynamic("endpoint_config", endpoints_json(*endpoints), snapshot_.versions.endpoints));
  }
  return json;
}

}  // namespace

std::string config_dump(const Bootstrap& bootstrap, const config::Snapshot& snapshot,
                        WallTime last_updated) {
  const Dump dump(bootstrap, snapshot, last_updated);
  const Json json{{"configs", Json::array({dump.bootstrap(), dump.clusters(), dump.endpoints(),
                                           dump.listeners(), dump.routes()})}};
  return json_text(json, 1) + '\n';
}

}  // namespace fairlead::xds
