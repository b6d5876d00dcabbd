#include "node/plan/services.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "nft/render.h"

namespace fairlead::node {
namespace {

using mesh::Service;
using mesh::ServicePort;
using nft::Field;
using nft::Tuple;

bool is_ours(const Service& service) {
  return service.kind == mesh::ServiceKind::cluster_ip;
}

bool is_ours(const ServicePort& port) {
  return port.transport == mesh::Transport::tcp;
}

// Calls take(SocketAddress, Endpoint) for each endpoint that new connections may reach. Endpoints
// are sorted by address, so the same one twice stands side by side.
template <class Take>
void for_each_backend(const Service& service, const ServicePort& port, Family family, Take take) {
  const auto each = [&](auto usable) {
    bool any = false;
    SocketAddress last;
    for (const mesh::Endpoint& endpoint : service.endpoints) {
      if (endpoint.address.family() != family || !usable(endpoint)) continue;
      const mesh::EndpointPort* target = mesh::port_of(endpoint, port);
      if (target == nullptr) continue;
      const SocketAddress address{endpoint.address, target->port};
      if (any && address == last) continue;
      take(address, endpoint);
      last = address;
      any = true;
    }
    return any;
  };
  if (each([](const mesh::Endpoint& endpoint) { return endpoint.ready; })) return;
  each([](const mesh::Endpoint& endpoint) { return endpoint.serving && endpoint.terminating; });
}

std::uint32_t count_backends(const Service& service, const ServicePort& port, Family family) {
  std::uint32_t count = 0;
  for_each_backend(service, port, family,
                   [&](const SocketAddress&, const mesh::Endpoint&) { ++count; });
  return count;
}

bool is_dns_of(const Self& self, const SocketAddress& address) {
  return std::find(self.dns.begin(), self.dns.end(), address) != self.dns.end();
}

// An address on which this node listens itself: ports of its own must not be refused there.
bool answers_on(const Self& self, const IpAddress& address) {
  return std::any_of(self.dns.begin(), self.dns.end(),
                     [&](const SocketAddress& dns) { return dns.ip == address; });
}

// Calls act(service, port, address, family) for each port that gets rules.
template <class Act>
void for_each_front(const Service& service, const Self& self, Act act) {
  if (!is_ours(service)) return;
  for (const IpAddress& address : service.addresses) {
    for (const ServicePort& port : service.ports) {
      const SocketAddress front{address, port.port};
      if (is_ours(port) && !is_dns_of(self, front)) act(port, front);
    }
  }
}

// ── the sets and maps ───────────────────────────────────────────────────────────────────────────

// The half of the table that belongs to one family.
struct Half {
  nft::Set connections;
  nft::Set refused;
  nft::Set addresses;
  nft::Set hairpin;
  nft::Map services;
  nft::Map endpoints;
};

Half empty_half(Family family) {
  const bool v4 = family == Family::v4;
  const char* digit = v4 ? "4" : "6";
  const Field to = v4 ? Field::ip_daddr : Field::ip6_daddr;
  const Field from = v4 ? Field::ip_saddr : Field::ip6_saddr;
  const std::vector<Field> front{to, Field::l4proto, Field::dport};
  const auto named = [&](const char* name) { return fmt::format("{}{}", name, digit); };
  return {
      .connections = {.name = named("connections"), .key = front, .counted = true},
      .refused = {.name = named("refused"), .key = front, .counted = true},
      .addresses = {.name = named("addresses"), .key = {to}},
      .hairpin = {.name = named("hairpin"), .key = {from, to}},
      .services = {.name = named("services"), .key = front, .data = {Field::mark}},
      .endpoints = {.name = named("endpoints"),
                    .key = {to, Field::l4proto, Field::tcp_dport, Field::slot},
                    .data = {to, Field::tcp_dport}},
  };
}

std::string comment_of(const std::string& label, const mesh::Endpoint& endpoint) {
  if (endpoint.workload.empty()) return label;
  const std::size_t slash = endpoint.workload.find('/');
  return fmt::format("{} {}", label, endpoint.workload.substr(slash + 1));
}

void add_port(Half& half, const Service& service, const ServicePort& port,
              const SocketAddress& front) {
  const Tuple key{front.ip, nft::tcp, std::uint32_t{front.port}};
  const std::string label = label_of(service, port);
  // Somebody before has this address and port.
  if (half.connections.elements.contains(key) || half.refused.elements.contains(key)) return;
  std::uint32_t slots = 0;
  for_each_backend(service, port, front.ip.family(),
                   [&](const SocketAddress& to, const mesh::Endpoint& endpoint) {
                     const Tuple place{front.ip, nft::tcp, std::uint32_t{front.port}, slots++};
                     half.endpoints.elements[place] = {.data = Tuple{to.ip, std::uint32_t{to.port}},
                                                       .comment = comment_of(label, endpoint)};
                   });
  if (slots == 0) {
    half.refused.elements[key] = label;
    return;
  }
  half.connections.elements[key] = label;
  half.services.elements[key] = {.data = Tuple{slots}, .comment = label};
}

struct Halves {
  Half v4 = empty_half(Family::v4);
  Half v6 = empty_half(Family::v6);

  Half& of(Family family) LIFETIMEBOUND { return family == Family::v4 ? v4 : v6; }

  void add(const Service& service, const Self& self) {
    for_each_front(service, self, [&](const ServicePort& port, const SocketAddress& front) {
      Half& half = of(front.ip.family());
      add_port(half, service, port, front);
      if (answers_on(self, front.ip)) return;
      half.addresses.elements.try_emplace({front.ip},
                                          fmt::format("{}/{}", service.name_space, service.name));
    });
  }

  void add_hairpin(const IpAddress& address) {
    of(address.family()).hairpin.elements.try_emplace({address, address});
  }
};

// Who may reach itself by way of this node: its pods, and endpoints of which nobody knows better.
template <class Act>
void for_each_hairpin(const Service& service, const Self& self, Act act) {
  if (!is_ours(service)) return;
  for (const mesh::Endpoint& endpoint : service.endpoints) {
    const bool unknown = endpoint.node.empty() && endpoint.workload.empty();
    if (unknown || endpoint.node == self.node) act(endpoint.address);
  }
}

// A machine is no node's own: it may reach services through any of them.
template <class Act>
void for_each_hairpin(const mesh::Workload& workload, const Self& self, Act act) {
  if (workload.kind == mesh::WorkloadKind::pod && workload.node != self.node) return;
  for (const IpAddress& address : workload.addresses) act(address);
}

// ── the chains ──────────────────────────────────────────────────────────────────────────────────

using Counts = std::map<std::uint32_t, std::uint32_t>;  // numbers of endpoints, and their ports

// Calls act(how many endpoints) for each port that has any.
template <class Act>
void for_each_count(const Service& service, const Self& self, Act act) {
  for_each_front(service, self, [&](const ServicePort& port, const SocketAddress& front) {
    const std::uint32_t backends = count_backends(service, port, front.ip.family());
    if (backends > 0) act(backends);
  });
}

const nft::Match tcp_only{.field = Field::l4proto, .values = {nft::tcp}};

std::string chain_for(std::uint32_t endpoints) {
  return fmt::format("one-of-{}", endpoints);
}

nft::Verdict jump(std::string chain) {
  return {.kind = nft::Verdict::Kind::jump, .chain = std::move(chain)};
}

nft::Chain pick(std::uint32_t endpoints, const Halves& halves) {
  nft::Chain chain{.name = chain_for(endpoints)};
  for (const Half* half : {&halves.v4, &halves.v6}) {
    const nft::Dnat dnat{
        .key = half->endpoints.key, .map = half->endpoints.name, .slots = endpoints};
    chain.rules.push_back({.expressions = {tcp_only, dnat}, .comment = "one endpoint at random"});
  }
  return chain;
}

nft::Chain services_chain(const Halves& halves) {
  nft::Chain chain{.name = "services", .comment = "where a new connection goes"};
  const auto both = [&](auto make) {
    for (const Half* half : {&halves.v4, &halves.v6}) chain.rules.push_back(make(*half));
  };
  const auto in = [](const nft::Set& set, bool negated = false) {
    return nft::InSet{.key = set.key, .set = set.name, .negated = negated};
  };
  both([&](const Half& half) {
    return nft::Rule{.expressions = {tcp_only, in(half.refused), nft::RejectWithReset{}},
                     .comment = "a service without endpoints"};
  });
  both([&](const Half& half) {
    return nft::Rule{.expressions = {tcp_only, in(half.addresses), in(half.connections, true),
                                     nft::Count{}, nft::RejectWithReset{}},
                     .comment = "a service's address, but no port of it"};
  });
  both([&](const Half& half) {
    return nft::Rule{.expressions = {in(half.connections)}, .comment = "count, by service"};
  });
  both([&](const Half& half) {
    return nft::Rule{
        .expressions = {nft::SetMark{.key = half.services.key, .map = half.services.name}},
        .comment = "how many endpoints it has"};
  });
  chain.rules.push_back({.expressions = {nft::VerdictMap{.key = Field::mark, .map = "counts"}}});
  return chain;
}

nft::Chain base_chain(nft::Hook hook, int priority, std::vector<nft::Rule> rules,
                      std::string comment) {
  return {.name = nft::name_of(hook),
          .rules = std::move(rules),
          .base = nft::Base{.type = nft::ChainType::nat, .hook = hook, .priority = priority},
          .comment = std::move(comment)};
}

void add_chains(nft::Table& table, const Counts& counts, const Halves& halves) {
  nft::Map to_chain{
      .name = "counts", .key = {Field::mark}, .comment = "which chain for how many endpoints"};
  for (const auto& [endpoints, ports] : counts) {
    to_chain.elements[{endpoints}] = {
        .data = nft::Verdict{nft::Verdict::Kind::go_to, chain_for(endpoints)}};
    table.chains.push_back(pick(endpoints, halves));
  }
  table.maps.push_back(std::move(to_chain));
  constexpr int destination = -100;
  constexpr int source = 100;
  const std::vector<nft::Rule> ask{{.expressions = {jump("services")}}};
  table.chains.push_back(services_chain(halves));
  table.chains.push_back(base_chain(nft::Hook::prerouting, destination, ask, "from pods"));
  table.chains.push_back(base_chain(nft::Hook::output, destination, ask, "from the node itself"));
  std::vector<nft::Rule> hairpins;
  for (const Half* half : {&halves.v4, &halves.v6}) {
    const nft::InSet in{.key = half->hairpin.key, .set = half->hairpin.name};
    hairpins.push_back(
        {.expressions = {in, nft::Count{}, nft::Masquerade{}},
         .comment = "a pod that its own service led back: the answer must come by here"});
  }
  table.chains.push_back(base_chain(nft::Hook::postrouting, source, std::move(hairpins), ""));
}

nft::Ruleset table_of(Halves halves, const Counts& counts, const Self& self) {
  nft::Table table{.name = services_table, .comment = "service addresses on node " + self.node};
  add_chains(table, counts, halves);
  for (Half* half : {&halves.v4, &halves.v6}) {
    table.sets.push_back(std::move(half->connections));
    table.sets.push_back(std::move(half->refused));
    table.sets.push_back(std::move(half->addresses));
    table.sets.push_back(std::move(half->hairpin));
    table.maps.push_back(std::move(half->services));
    table.maps.push_back(std::move(half->endpoints));
  }
  return {.tables = {std::move(table)}};
}

// ── what changed ────────────────────────────────────────────────────────────────────────────────

template <class Counted, class Key>
void count_down(Counted& counts, const Key& key) {
  const auto found = counts.find(key);
  if (found != counts.end() && --found->second == 0) counts.erase(found);
}

struct ByNameOfPointed {
  bool operator()(const Service* left, const Service* right) const {
    return mesh::ByName()(*left, *right);
  }
};

}  // namespace

std::vector<Backend> backends(const Service& service, const ServicePort& port, Family family) {
  std::vector<Backend> all;
  for_each_backend(service, port, family,
                   [&](const SocketAddress& address, const mesh::Endpoint& endpoint) {
                     all.push_back({.address = address, .endpoint = &endpoint});
                   });
  return all;
}

std::string label_of(const Service& service, const ServicePort& port) {
  const std::string last = port.name.empty() ? std::to_string(port.port) : port.name;
  return fmt::format("{}/{}:{}", service.name_space, service.name, last);
}

nft::Ruleset service_rules(const mesh::World& world, const Self& self) {
  Halves halves;
  Counts counts;
  const auto hairpin = [&](const IpAddress& address) { halves.add_hairpin(address); };
  for (const Service& service : world.services) {
    halves.add(service, self);
    for_each_count(service, self, [&](std::uint32_t endpoints) { ++counts[endpoints]; });
    for_each_hairpin(service, self, hairpin);
  }
  for (const mesh::Workload& workload : world.workloads) for_each_hairpin(workload, self, hairpin);
  return table_of(std::move(halves), counts, self);
}

ServicePlan::ServicePlan(mesh::WorldPointer world, Self self)
    : world_(std::move(world)), self_(std::move(self)) {
  for (const Service& service : world_->services) meet(service);
  for (const mesh::Workload& workload : world_->workloads) {
    for_each_hairpin(workload, self_, [&](const IpAddress& address) { ++hairpins_[address]; });
  }
}

void ServicePlan::meet(const Service& service) {
  for_each_count(service, self_, [&](std::uint32_t endpoints) { ++counts_[endpoints]; });
  for_each_hairpin(service, self_, [&](const IpAddress& address) { ++hairpins_[address]; });
  if (!is_ours(service)) return;
  for (const IpAddress& address : service.addresses) claims_.emplace(address, &service);
}

void ServicePlan::part(const Service& service) {
  for_each_count(service, self_, [&](std::uint32_t endpoints) { count_down(counts_, endpoints); });
  for_each_hairpin(service, self_,
                   [&](const IpAddress& address) { count_down(hairpins_, address); });
  if (!is_ours(service)) return;
  for (const IpAddress& address : service.addresses) {
    auto [claim, end] = claims_.equal_range(address);
    while (claim != end && claim->second != &service) ++claim;
    if (claim != end) claims_.erase(claim);
  }
}

// All chains, and of the elements those of services that claim one of `addresses`.
nft::Ruleset ServicePlan::rules_at(const std::unordered_set<IpAddress>& addresses,
                                   const std::unordered_set<IpAddress>& hairpins) const {
  std::set<const Service*, ByNameOfPointed> claimants;
  for (const IpAddress& address : addresses) {
    const auto [begin, end] = claims_.equal_range(address);
    for (auto claim = begin; claim != end; ++claim) claimants.insert(claim->second);
  }
  Halves halves;
  for (const Service* service : claimants) halves.add(*service, self_);
  for (const IpAddress& address : hairpins) {
    if (hairpins_.contains(address)) halves.add_hairpin(address);
  }
  return table_of(std::move(halves), counts_, self_);
}

nft::Transaction ServicePlan::change_to(mesh::WorldPointer world) {
  // Changed services, and those that share an address with them, since what one gives up the other
  // may get.
  std::unordered_set<IpAddress> touched;
  std::unordered_set<IpAddress> hairpins;
  const auto touch_hairpin = [&](const IpAddress& address) { hairpins.insert(address); };
  std::vector<const Service*> gone;
  std::vector<const Service*> come;
  const auto touch = [&](const Service* service, std::vector<const Service*>& list) {
    if (service == nullptr) return;
    list.push_back(service);
    for_each_hairpin(*service, self_, touch_hairpin);
    if (is_ours(*service)) touched.insert(service->addresses.begin(), service->addresses.end());
  };
  mesh::for_each_difference(world_->services, world->services, mesh::ByName(),
                            [&](const Service* old, const Service* now) {
                              touch(old, gone);
                              touch(now, come);
                            });
  std::vector<IpAddress> pods_gone;
  std::vector<IpAddress> pods_come;
  const auto pod = [&](const mesh::Workload* workload, std::vector<IpAddress>& list) {
    if (workload == nullptr) return;
    for_each_hairpin(*workload, self_, [&](const IpAddress& address) { list.push_back(address); });
  };
  mesh::for_each_difference(world_->workloads, world->workloads, mesh::ByName(),
                            [&](const mesh::Workload* old, const mesh::Workload* now) {
                              pod(old, pods_gone);
                              pod(now, pods_come);
                            });
  hairpins.insert(pods_gone.begin(), pods_gone.end());
  hairpins.insert(pods_come.begin(), pods_come.end());

  const nft::Ruleset before = rules_at(touched, hairpins);
  for (const Service* service : gone) part(*service);
  for (const Service* service : come) meet(*service);
  for (const IpAddress& address : pods_gone) count_down(hairpins_, address);
  for (const IpAddress& address : pods_come) ++hairpins_[address];
  world_ = std::move(world);
  return nft::difference(before, rules_at(touched, hairpins));
}

}  // namespace fairlead::node
