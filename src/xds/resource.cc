#include "xds/resource.h"

#include <algorithm>

namespace fairlead::xds {
namespace {

struct Names {
  std::string_view type_url;
  std::string_view short_name;
};

constexpr std::array<Names, all_resource_types.size()> names{{
    {"type.googleapis.com/envoy.config.cluster.v3.Cluster", "CDS"},
    {"type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment", "EDS"},
    {"type.googleapis.com/envoy.config.listener.v3.Listener", "LDS"},
    {"type.googleapis.com/envoy.config.route.v3.RouteConfiguration", "RDS"},
}};  // in the order of ResourceType

const Names& names_of(ResourceType type) {
  return names.at(static_cast<std::size_t>(type));
}

}  // namespace

std::string_view type_url(ResourceType type) {
  return names_of(type).type_url;
}

std::optional<ResourceType> resource_type_from(std::string_view url) {
  const auto found =
      std::find_if(all_resource_types.begin(), all_resource_types.end(),
                   [&](ResourceType type) { return names_of(type).type_url == url; });
  if (found == all_resource_types.end()) return std::nullopt;
  return *found;
}

std::string_view short_name_of(ResourceType type) {
  return names_of(type).short_name;
}

}  // namespace fairlead::xds
