#include "explain/endpoints.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace fairlead::explain {
namespace {

constexpr std::string_view offers_none = "offers no port";
constexpr std::string_view has_no = "has no";
constexpr std::string_view names_none = "has no port of the name";

bool is_name(const std::string& target) {
  return target.find_first_not_of("0123456789") != std::string::npos;
}

std::string why_no_port_there(const mesh::ServicePort& port) {
  if (is_name(port.target)) return fmt::format("{} \"{}\"", names_none, port.target);
  return fmt::format("{} {}", offers_none,
                     port.name.empty() ? std::to_string(port.port) : '"' + port.name + '"');
}

// "bare/web-1 is not ready", "bare/web-1 offers no port 80".
std::string sentence(const Refusal& refusal) {
  const bool has_verb = refusal.why.starts_with(offers_none) || refusal.why.starts_with(has_no);
  return fmt::format("{} {}{}", refusal.name.empty() ? refusal.address : refusal.name,
                     has_verb ? "" : "is ", refusal.why);
}

const char* family_text(Family family) {
  return family == Family::v4 ? "IPv4" : "IPv6";
}

// Whether a workload is an endpoint by an address of that family.
bool has_family(const mesh::Service& service, const mesh::Endpoint& of, Family family) {
  if (of.address.family() == family) return true;
  return !of.workload.empty() &&
         std::any_of(service.endpoints.begin(), service.endpoints.end(), [&](const auto& each) {
           return each.workload == of.workload && each.address.family() == family;
         });
}

// That a connection to the service has: as said, else that of its one address.
std::optional<Family> family_of(const mesh::Service& service, std::optional<Family> said) {
  return said || service.addresses.size() != 1 ? said
                                               : std::optional(service.addresses.front().family());
}

std::string why_left_out(const mesh::Endpoint& endpoint, const mesh::ServicePort& port) {
  if (!mesh::port_of(endpoint, port)) return why_no_port_there(port);
  if (endpoint.terminating) {
    return endpoint.serving ? "going away, and others are ready" : "going away";
  }
  if (!endpoint.ready) return "not ready";
  return "not chosen";
}

std::string selector_text(const mesh::Service& service) {
  std::vector<std::string> parts;
  parts.reserve(service.selector.size());
  for (const auto& [key, value] : service.selector) parts.push_back(key + '=' + value);
  return fmt::format("{}", fmt::join(parts, ","));
}

// A pod that the service selects and that runs no more.
const mesh::Workload* ended_behind(const mesh::World& world, const mesh::Service& service) {
  for (const mesh::Workload& workload : world.ended) {
    const bool selected =
        std::all_of(service.selector.begin(), service.selector.end(), [&](const auto& wanted) {
          const auto found = workload.labels.find(wanted.first);
          return found != workload.labels.end() && found->second == wanted.second;
        });
    if (selected && workload.name_space == service.name_space) return &workload;
  }
  return nullptr;
}

}  // namespace

std::vector<Refusal> left_out(const mesh::Service& service, const mesh::ServicePort& port,
                              const std::vector<Choice>& taken, std::optional<Family> family) {
  std::set<std::string> addresses;
  std::set<std::string> told;  // workloads
  for (const Choice& choice : taken) {
    addresses.insert(choice.address);
    if (!choice.name.empty()) told.insert(choice.name);
  }
  const std::optional<Family> wanted = family_of(service, family);
  std::vector<Refusal> refused;
  for (const mesh::Endpoint& endpoint : service.endpoints) {
    const bool fits = !wanted || has_family(service, endpoint, *wanted);
    if (family && fits && endpoint.address.family() != *family) continue;
    const mesh::EndpointPort* target = mesh::port_of(endpoint, port);
    const std::string address =
        target ? SocketAddress{endpoint.address, target->port}.text() : endpoint.address.text();
    if (addresses.contains(address)) continue;
    if (!endpoint.workload.empty() && !told.insert(endpoint.workload).second) continue;
    const std::string why = fits ? why_left_out(endpoint, port)
                                 : fmt::format("{} {} address", has_no, family_text(*wanted));
    refused.push_back(
        {.name = endpoint.workload, .address = address, .why = why, .origin = endpoint.origin});
  }
  return refused;
}

std::string why_nobody(const mesh::World& world, const mesh::Service& service,
                       const mesh::ServicePort& port, std::optional<Family> family) {
  const std::vector<Refusal> refused = left_out(service, port, {}, family);
  if (refused.empty() && service.selector.empty()) {
    return fmt::format("{} has no endpoint: it has no selector, and nobody gives any",
                       called(service));
  }
  if (refused.empty()) {
    const mesh::Workload* ended = ended_behind(world, service);
    return ended != nullptr
               ? fmt::format("{} has no endpoint: {}", called(service), has_ended(*ended))
               : fmt::format("{} has no endpoint: no pod has the labels {}", called(service),
                             selector_text(service));
  }
  std::vector<std::string> reasons;
  for (const Refusal& each : refused) {
    reasons.push_back(sentence(each));
    if (reasons.size() == 2 && refused.size() > 3) break;
  }
  const std::size_t more = refused.size() - reasons.size();
  return fmt::format("{} has no endpoint that is ready: {}{}", called(service),
                     fmt::join(reasons, ", "),
                     more > 0 ? fmt::format(", and {} more", more) : std::string());
}

std::string why_no_port(const mesh::Service& service, std::uint16_t port) {
  std::vector<std::string> ports;
  for (const mesh::ServicePort& each : service.ports) {
    const std::string transport =
        each.transport == mesh::Transport::tcp ? "" : std::string(" ") + name_of(each.transport);
    ports.push_back(each.name.empty() ? fmt::format("{}{}", each.port, transport)
                                      : fmt::format("{} ({}){}", each.port, each.name, transport));
  }
  if (ports.empty()) return fmt::format("{} has no port {}", called(service), port);
  return fmt::format("{} has no port {}, only {}", called(service), port, fmt::join(ports, ", "));
}

std::vector<const mesh::Workload*> workloads_at(const mesh::World& world LIFETIMEBOUND,
                                                const IpAddress& address) {
  std::vector<const mesh::Workload*> found;
  for (const mesh::Workload& workload : world.workloads) {
    const auto& own = workload.addresses;
    if (std::find(own.begin(), own.end(), address) != own.end()) found.push_back(&workload);
  }
  return found;
}

bool is_of_a_node(const mesh::World& world, const IpAddress& address) {
  return std::any_of(world.nodes.begin(), world.nodes.end(), [&](const mesh::Node& node) {
    return std::find(node.addresses.begin(), node.addresses.end(), address) != node.addresses.end();
  });
}

bool declares(const mesh::Workload& workload, std::uint16_t port) {
  return std::any_of(workload.ports.begin(), workload.ports.end(), [&](const auto& each) {
    return each.port == port && each.transport == mesh::Transport::tcp;
  });
}

namespace {

bool offers(const mesh::Endpoint& endpoint, const SocketAddress& at) {
  return endpoint.address == at.ip &&
         std::any_of(endpoint.ports.begin(), endpoint.ports.end(), [&](const auto& each) {
           return each.port == at.port && each.transport == mesh::Transport::tcp;
         });
}

// Behind a service that names it.
const mesh::Workload* endpoint_at(const mesh::World& world,
                                  const std::vector<const mesh::Workload*>& among,
                                  const SocketAddress& at) {
  for (const mesh::Service& service : world.services) {
    for (const mesh::Endpoint& endpoint : service.endpoints) {
      if (endpoint.workload.empty() || !offers(endpoint, at)) continue;
      for (const mesh::Workload* each : among) {
        if (each->name_space + '/' + each->name == endpoint.workload) return each;
      }
    }
  }
  return nullptr;
}

}  // namespace

const mesh::Workload* workload_at(const mesh::World& world LIFETIMEBOUND,
                                  const SocketAddress& address) {
  const std::vector<const mesh::Workload*> sharers = workloads_at(world, address.ip);
  if (sharers.empty()) return nullptr;
  const bool alone = sharers.size() == 1 && !is_of_a_node(world, address.ip);
  if (alone) return sharers.front();
  for (const mesh::Workload* each : sharers) {
    if (declares(*each, address.port)) return each;
  }
  return endpoint_at(world, sharers, address);
}

bool offered_by_a_service(const mesh::World& world, const SocketAddress& at) {
  for (const mesh::Service& service : world.services) {
    for (const mesh::Endpoint& endpoint : service.endpoints) {
      if (offers(endpoint, at)) return true;
    }
  }
  return false;
}

namespace {

// As such a service's endpoint; empty: nobody says of it that its port is another one.
std::string why_not_translated_for(const mesh::Service& service, const SocketAddress& at) {
  const mesh::ServicePort* port = port_numbered(service, at.port);
  if (port == nullptr) return {};
  for (const mesh::Endpoint& endpoint : service.endpoints) {
    const mesh::EndpointPort* own =
        endpoint.address == at.ip ? mesh::port_of(endpoint, *port) : nullptr;
    if (own == nullptr) continue;
    return fmt::format(
        "{} {}: nobody turns its port {} into the pod's own, {}", called(service),
        service.kind == mesh::ServiceKind::headless ? "is headless" : "has no address of its own",
        at.port, own->port);
  }
  return {};
}

}  // namespace

std::string why_not_translated(const mesh::World& world, const SocketAddress& at,
                               const Origin& asked) {
  if (offered_by_a_service(world, at)) return {};
  std::string of_another;
  for (const mesh::Service& service : world.services) {
    const bool is_asked = asked.known() && service.origin == asked;
    if (!is_asked && service.kind != mesh::ServiceKind::headless) continue;
    std::string why = why_not_translated_for(service, at);
    if (is_asked) return why;
    if (of_another.empty()) of_another = std::move(why);
  }
  return of_another;
}

const mesh::ServicePort* port_numbered(const mesh::Service& service, std::uint16_t port) {
  const auto found =
      std::find_if(service.ports.begin(), service.ports.end(), [&](const mesh::ServicePort& each) {
        return each.port == port && each.transport == mesh::Transport::tcp;
      });
  return found == service.ports.end() ? nullptr : &*found;
}

std::string called(const mesh::Service& service) {
  const bool entry = service.kind == mesh::ServiceKind::external;
  const std::string& name = entry && service.origin.known() ? service.origin.name : service.name;
  return fmt::format("{} {}/{}", entry ? "ServiceEntry" : "Service", service.name_space, name);
}

std::string called(const mesh::Workload& workload) {
  const char* kind = workload.kind == mesh::WorkloadKind::vm ? "VM" : "Pod";
  return fmt::format("{} {}/{}", kind, workload.name_space, workload.name);
}

std::string has_ended(const mesh::Workload& workload) {
  return fmt::format("{} has ended (phase {})", called(workload), workload.ended);
}

std::string host_and_port(const std::string& host, std::uint16_t port) {
  const bool v6 = host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

}  // namespace fairlead::explain
