// For tests: worlds made by hand.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "mesh/world.h"

namespace fairlead::node::testing {

inline IpAddress ip(const std::string& text) {
  return *IpAddress::parse(text);
}

inline mesh::ServicePort port(const std::string& name, std::uint16_t number) {
  return {.name = name, .port = number};
}

inline mesh::Service service(const std::string& name, const std::vector<std::string>& addresses,
                             std::vector<mesh::ServicePort> ports) {
  mesh::Service made{.name_space = "default",
                     .name = name,
                     .host = name + ".default.svc.cluster.local",
                     .ports = std::move(ports),
                     .origin = {.kind = "Service", .name_space = "default", .name = name}};
  for (const std::string& address : addresses) made.addresses.push_back(ip(address));
  return made;
}

// One that offers every port of `service` under the number given here.
inline mesh::Endpoint& add_endpoint(mesh::Service& service, const std::string& address,
                                    std::uint16_t target, const std::string& node = "n1") {
  mesh::Endpoint endpoint{.address = ip(address), .workload = "default/" + address, .node = node};
  for (const mesh::ServicePort& one : service.ports) {
    endpoint.ports.push_back({one.name, target, one.transport});
  }
  const auto place =
      std::lower_bound(service.endpoints.begin(), service.endpoints.end(), endpoint,
                       [](const auto& a, const auto& b) { return a.address < b.address; });
  return *service.endpoints.insert(place, std::move(endpoint));
}

inline mesh::World world_of(std::vector<mesh::Service> services) {
  std::sort(services.begin(), services.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return {.version = "1", .namespaces = {"default"}, .services = std::move(services)};
}

}  // namespace fairlead::node::testing
