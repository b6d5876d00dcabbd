#include "mesh/world.h"

#include <algorithm>

namespace fairlead::mesh {

const char* name_of(Transport transport) {
  switch (transport) {
    case Transport::tcp:
      return "tcp";
    case Transport::udp:
      return "udp";
    case Transport::sctp:
      return "sctp";
  }
  return "tcp";
}

const char* name_of(Protocol protocol) {
  switch (protocol) {
    case Protocol::undeclared:
      return "undeclared";
    case Protocol::http:
      return "http";
    case Protocol::http2:
      return "http2";
    case Protocol::grpc:
      return "grpc";
    case Protocol::tls:
      return "tls";
    case Protocol::tcp:
      return "tcp";
    case Protocol::udp:
      return "udp";
  }
  return "undeclared";
}

const EndpointPort* port_of(const Endpoint& endpoint, const ServicePort& port) {
  const auto found = std::find_if(
      endpoint.ports.begin(), endpoint.ports.end(), [&](const EndpointPort& candidate) {
        return candidate.name == port.name && candidate.transport == port.transport;
      });
  return found == endpoint.ports.end() ? nullptr : &*found;
}

namespace {

template <class List, class Matches>
auto* find_where(const List& list, Matches matches) {
  const auto found = std::find_if(list.begin(), list.end(), matches);
  return found == list.end() ? nullptr : &*found;
}

template <class Thing>
bool holds(const Thing& thing, const IpAddress& address) {
  return std::find(thing.addresses.begin(), thing.addresses.end(), address) !=
         thing.addresses.end();
}

template <class List>
auto* find_named(const List& list, std::string_view name_space, std::string_view name) {
  const auto found = std::lower_bound(
      list.begin(), list.end(), std::pair(name_space, name), [](const auto& item, const auto& key) {
        return std::pair<std::string_view, std::string_view>(item.name_space, item.name) < key;
      });
  const bool hit = found != list.end() && found->name_space == name_space && found->name == name;
  return hit ? &*found : nullptr;
}

}  // namespace

void share(World& world, const World& previous) {
  world.services.share(previous.services, ByName());
  world.workloads.share(previous.workloads, ByName());
}

const Service* find_service(const World& world LIFETIMEBOUND, std::string_view name_space,
                            std::string_view name) {
  return find_named(world.services, name_space, name);
}

const Service* find_service_by_host(const World& world LIFETIMEBOUND, std::string_view host) {
  return find_where(world.services, [&](const Service& service) { return service.host == host; });
}

const Service* find_service_by_address(const World& world LIFETIMEBOUND, const IpAddress& address) {
  return find_where(world.services,
                    [&](const Service& service) { return holds(service, address); });
}

const Workload* find_workload(const World& world LIFETIMEBOUND, std::string_view name_space,
                              std::string_view name) {
  return find_named(world.workloads, name_space, name);
}

const Workload* find_workload_by_address(const World& world LIFETIMEBOUND,
                                         const IpAddress& address) {
  return find_where(world.workloads,
                    [&](const Workload& workload) { return holds(workload, address); });
}

std::vector<std::string> unenforced_policies(const World& world) {
  std::vector<std::string> names;
  for (const Policy* policy : judging_anything(world.policies, world.workloads)) {
    names.push_back(name_of(*policy));
  }
  return names;
}

const Node* find_node(const World& world LIFETIMEBOUND, std::string_view name) {
  return find_where(world.nodes, [&](const Node& node) { return node.name == name; });
}

}  // namespace fairlead::mesh
