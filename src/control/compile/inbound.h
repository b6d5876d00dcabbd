// The server's half of a proxy's configuration: from a captured connection to the app. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "control/compile/parts.h"
#include "mesh/world.h"

namespace fairlead::control {

// A port of a workload that a service leads to.
struct InboundPort {
  std::uint16_t port = 0;          // the workload's own
  std::uint16_t service_port = 0;  // the service's
  Treatment treatment = Treatment::guessed;
  std::string host;  // the service's
  Origin origin;
  bool operator==(const InboundPort&) const = default;
};
[[nodiscard]] bool operator<(const InboundPort& left, const InboundPort& right);
// Some order, for looking up.

using InboundPorts = std::vector<InboundPort>;  // sorted by port, one each

// All workloads' ports, by address.
class InboundIndex {
 public:
  void use(const mesh::World& world, const mesh::World* previous = nullptr);
  // From now on the ports are those of `world`. With `previous`, of which they were until now, only
  // services that are not the very same are looked at.
  [[nodiscard]] InboundPorts ports_of(const std::vector<IpAddress>& addresses) const;
  // When services disagree about a port, TCP wins over HTTP, what declares something over what does
  // not, and then the first in the world's order.

 private:
  struct Lead {
    const mesh::Endpoint* endpoint;
    const mesh::Service* service;
    std::uint16_t service_port;  // its place in the service's list
    std::uint16_t port;
  };
  static bool goes_before(const Lead& left, const Lead& right);
  static void add_leads(const mesh::Service& service, std::vector<Lead>& leads);

  std::vector<Lead> leads_;  // by the endpoint's address; for one address in the world's order
};
// Holds pointers into the world: good as long as it.

[[nodiscard]] config::Listener inbound_listener(const InboundPorts& ports, bool ipv6,
                                                bool envoy = false);
// `envoy`: for a real one, which is told to take off the app's answers what only a proxy may say;
// our proxy does so of its own accord.
[[nodiscard]] Gathered<config::Cluster> inbound_clusters(
    const InboundPorts& ports, const Resources<config::Cluster>* previous = nullptr);
// With InboundPassthroughCluster.

}  // namespace fairlead::control
