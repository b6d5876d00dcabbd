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

#include <string>
#include <vector>

#include "base/address.h"
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

[[nodiscard]] nft::Transaction change_of_rules(const mesh::World& before, const mesh::World& after,
                                               const Self& self);
// The same as the difference of their service_rules, at the cost of comparing the services and of
// what changed.

[[nodiscard]] std::string label_of(const mesh::Service& service, const mesh::ServicePort& port);
// "default/reviews:http" ("default/reviews:9080" when the port has no name): the comment of its
// elements.

}  // namespace fairlead::node
