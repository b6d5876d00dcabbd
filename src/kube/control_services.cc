#include "kube/control_services.h"

#include <utility>

namespace fairlead::kube {
namespace {

Service control_service(const char* name_space, const char* name) {
  Service service;
  service.metadata = {.name_space = name_space,
                      .name = name,
                      .origin = {.kind = "built-in", .name_space = name_space, .name = name}};
  service.ports = {{.name = "http-legacy-discovery", .port = 8080},
                   {.name = "grpc-xds", .port = 15010}};
  return service;
}

Endpoints endpoints_at(const std::vector<IpAddress>& control, const Service& service) {
  Endpoints endpoints;
  endpoints.metadata = service.metadata;
  EndpointSubset& subset = endpoints.subsets.emplace_back();
  for (const IpAddress& ip : control) subset.addresses.push_back({.ip = ip});
  for (const ServicePort& port : service.ports) {
    subset.ports.push_back({.name = port.name, .port = port.port});
  }
  return endpoints;
}

}  // namespace

void add_control_services(Objects& manifests, const std::vector<IpAddress>& control) {
  for (const auto& [name_space, name] : {std::pair{"fairlead-system", "fairlead-control"},
                                         std::pair{"istio-system", "istio-pilot"}}) {
    if (find(manifests.services, name_space, name) != nullptr) continue;
    const Service service = control_service(name_space, name);
    manifests.endpoints.push_back(endpoints_at(control, service));
    manifests.services.push_back(service);
    if (find(manifests.namespaces, "", name_space) == nullptr) {
      manifests.namespaces.emplace_back().metadata = {.name = name_space,
                                                      .origin = service.metadata.origin};
    }
  }
}

}  // namespace fairlead::kube
