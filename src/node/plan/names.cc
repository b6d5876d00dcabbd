#include "node/plan/names.h"

#include <algorithm>
#include <utility>

namespace fairlead::node {
namespace {

using mesh::Service;
using mesh::ServiceKind;

dns::Name domain_of(const mesh::World& world) {
  const Result<dns::Name> domain = dns::Name::parse(world.domain);
  return domain ? *domain : dns::Name();
}

dns::Endpoint endpoint_from(const mesh::Endpoint& endpoint) {
  dns::Endpoint told{.address = endpoint.address, .hostname = endpoint.hostname};
  for (const mesh::EndpointPort& port : endpoint.ports) {
    told.ports.push_back(
        {.name = port.name, .transport = name_of(port.transport), .port = port.port});
  }
  return told;
}

dns::Entry entry_from(const Service& service) {
  dns::Entry entry{
      .name_space = service.name_space, .name = service.name, .origin = service.origin};
  if (service.kind == ServiceKind::external_name) {
    entry.kind = dns::Entry::Kind::alias;
    // An address is no name that an alias could stand for.
    if (!IpAddress::parse(service.alias)) entry.alias = service.alias;
    return entry;
  }
  if (service.kind == ServiceKind::headless) {
    entry.kind = dns::Entry::Kind::endpoints;
    for (const mesh::Endpoint& endpoint : service.endpoints) {
      if (endpoint.ready) entry.endpoints.push_back(endpoint_from(endpoint));
    }
    return entry;
  }
  entry.addresses = service.addresses;
  for (const mesh::ServicePort& port : service.ports) {
    entry.ports.push_back(
        {.name = port.name, .transport = name_of(port.transport), .port = port.port});
  }
  return entry;
}

dns::Host host_from(const Service& service, const dns::Name& name) {
  dns::Host host{.name = name, .addresses = service.addresses, .origin = service.origin};
  if (!host.addresses.empty()) return host;
  for (const mesh::Endpoint& endpoint : service.endpoints) {
    const auto known = std::find(host.addresses.begin(), host.addresses.end(), endpoint.address);
    if (endpoint.ready && known == host.addresses.end()) {
      host.addresses.push_back(endpoint.address);
    }
  }
  return host;
}

void put(dns::Zone& zone, const Service& service) {
  if (service.kind != ServiceKind::external) return zone.put(entry_from(service));
  // "*.example.org" is for proxies to match, not for a resolver to ask.
  const Result<dns::Name> name = dns::Name::parse(service.host);
  if (name && !service.host.starts_with('*')) zone.put(host_from(service, *name));
}

void remove(dns::Zone& zone, const Service& service) {
  if (service.kind != ServiceKind::external) {
    return zone.remove(service.name_space, service.name);
  }
  if (const Result<dns::Name> name = dns::Name::parse(service.host); name) {
    zone.remove_host(*name);
  }
}

// Changed labels and weights of endpoints change no name, but telling so costs what a put costs.
bool same_names(const Service& a, const Service& b) {
  return a.kind == b.kind && a.host == b.host && a.addresses == b.addresses && a.alias == b.alias &&
         a.ports == b.ports && a.origin == b.origin &&
         (a.kind == ServiceKind::cluster_ip || a.endpoints == b.endpoints);
}

}  // namespace

dns::Zone zone_of(const mesh::World& world) {
  dns::Zone zone(domain_of(world));
  zone.set_namespaces(world.namespaces);
  for (const Service& service : world.services) put(zone, service);
  zone.set_synced();
  return zone;
}

void update(dns::Zone& zone, const mesh::World& before, const mesh::World& after) {
  if (before.namespaces != after.namespaces) zone.set_namespaces(after.namespaces);
  // First what goes, so that a host that moves from one object to another one is not lost.
  std::vector<const Service*> come;
  mesh::for_each_difference(before.services, after.services, mesh::ByName(),
                            [&](const Service* old, const Service* now) {
                              if (old != nullptr && now != nullptr && same_names(*old, *now))
                                return;
                              if (old != nullptr) remove(zone, *old);
                              if (now != nullptr) come.push_back(now);
                            });
  for (const Service* service : come) put(zone, *service);
}

}  // namespace fairlead::node
