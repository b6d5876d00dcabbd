// From a world to what a node's kernel does with service addresses. Pure.
//
// Everything that belongs to one service is an element of a few flat maps; the chains are as many
// as there are different numbers of endpoints. So what a change costs depends on the change, not on
// how many services there are.
//
//   services4   address . tcp . port          -> how many endpoints (in the packet's mark)
//   endpoints4  address . tcp . port . slot   -> pod address . pod port, one drawn at random
//   connections4 address . tcp . port         counts connections, by service
//   refused4    address . tcp . port          services without an endpoint: connect() fails at once
//   addresses4  address                       all of them: a port that is no service's is refused
//   hairpin4    pod . pod                     a pod that reached itself: its source must be changed
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/address.h"
#include "base/lifetime.h"
#include "mesh/world.h"
#include "nft/diff.h"
#include "nft/ruleset.h"

namespace fairlead::node {

inline constexpr const char* services_table = "fairlead-services";  // family inet

struct Self {
  std::string node;                // this node's name
  std::vector<SocketAddress> dns;  // where it answers DNS itself: no rule may take these away
};

// An endpoint that new connections may reach.
struct Backend {
  SocketAddress address;
  const mesh::Endpoint* endpoint = nullptr;  // good as long as its world
};

[[nodiscard]] std::vector<Backend> backends(const mesh::Service& service,
                                            const mesh::ServicePort& port, Family family);
// The ready endpoints that offer the port; if there is none, those that still serve while they
// terminate. In the order of slots, each address once.

[[nodiscard]] nft::Ruleset service_rules(const mesh::World& world, const Self& self);
// TCP ports of services with cluster IPs. When two services claim one address and port, the first
// by namespace and name has it.

// The rules of one world, and the way to those of the next: the cost is that of what changed, when
// the worlds share what did not (mesh/list.h).
class ServicePlan {
 public:
  ServicePlan(mesh::WorldPointer world, Self self);

  [[nodiscard]] nft::Transaction change_to(mesh::WorldPointer world);
  // From now on the rules are those of `world`. The same as the difference of the two worlds'
  // service_rules.

  [[nodiscard]] const mesh::WorldPointer& world() const LIFETIMEBOUND { return world_; }

 private:
  using Users = std::unordered_map<IpAddress, std::uint32_t>;

  void meet(const mesh::Service& service);
  void part(const mesh::Service& service);
  nft::Ruleset rules_at(const std::unordered_set<IpAddress>& addresses,
                        const std::unordered_set<IpAddress>& hairpins) const;

  mesh::WorldPointer world_;
  Self self_;
  std::unordered_multimap<IpAddress, const mesh::Service*> claims_;  // of `world_`
  std::map<std::uint32_t, std::uint32_t>
      counts_;      // numbers of endpoints, and how many ports have it
  Users hairpins_;  // addresses, and how many say so
};

[[nodiscard]] std::string label_of(const mesh::Service& service, const mesh::ServicePort& port);
// "default/reviews:http" ("default/reviews:9080" when the port has no name): the comment of its
// elements.

}  // namespace fairlead::node
