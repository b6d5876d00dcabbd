#include "node/plan/services.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_set>

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
void add_hairpins(Halves& halves, const Service& service, const Self& self) {
  if (!is_ours(service)) return;
  for (const mesh::Endpoint& endpoint : service.endpoints) {
    const bool unknown = endpoint.node.empty() && endpoint.workload.empty();
    if (unknown || endpoint.node == self.node) halves.add_hairpin(endpoint.address);
  }
}

void add_hairpins(Halves& halves, const std::vector<mesh::Workload>& workloads, const Self& self) {
  for (const mesh::Workload& workload : workloads) {
    if (workload.kind != mesh::WorkloadKind::pod || workload.node != self.node) continue;
    for (const IpAddress& address : workload.addresses) halves.add_hairpin(address);
  }
}

// ── the chains ──────────────────────────────────────────────────────────────────────────────────

using Counts = std::set<std::uint32_t>;

void count(Counts& counts, const Service& service, const Self& self) {
  for_each_front(service, self, [&](const ServicePort& port, const SocketAddress& front) {
    const std::uint32_t backends = count_backends(service, port, front.ip.family());
    if (backends > 0) counts.insert(backends);
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
  for (const std::uint32_t endpoints : counts) {
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

bool same_endpoint(const mesh::Endpoint& a, const mesh::Endpoint& b) {
  return a.address == b.address && a.ready == b.ready && a.serving == b.serving &&
         a.terminating == b.terminating && a.ports == b.ports && a.workload == b.workload &&
         a.node == b.node;
}

bool same_port(const ServicePort& a, const ServicePort& b) {
  return a.port == b.port && a.transport == b.transport && a.name == b.name;
}

bool same_rules(const Service& a, const Service& b) {
  if (!is_ours(a) && !is_ours(b)) return true;
  return a.kind == b.kind && a.addresses == b.addresses &&
         std::equal(a.ports.begin(), a.ports.end(), b.ports.begin(), b.ports.end(), same_port) &&
         std::equal(a.endpoints.begin(), a.endpoints.end(), b.endpoints.begin(), b.endpoints.end(),
                    same_endpoint);
}

// Services side by side, by namespace and name: each pair, or one of them where the other world
// has none.
template <class Act>
void for_each_pair(const mesh::World& before, const mesh::World& after, Act act) {
  constexpr const Service* nobody = nullptr;
  const auto order = [](const Service& a, const Service& b) {
    const int by_namespace = a.name_space.compare(b.name_space);
    return by_namespace != 0 ? by_namespace : a.name.compare(b.name);
  };
  auto old = before.services.begin();
  auto now = after.services.begin();
  while (old != before.services.end() && now != after.services.end()) {
    const int which = order(*old, *now);
    act(which <= 0 ? &*old : nobody, which >= 0 ? &*now : nobody);
    if (which <= 0) ++old;
    if (which >= 0) ++now;
  }
  for (; old != before.services.end(); ++old) act(&*old, nobody);
  for (; now != after.services.end(); ++now) act(nobody, &*now);
}

// What two worlds differ in: changed services, and those that share an address with them, since
// what one gives up the other may get.
class Change {
 public:
  Change(const mesh::World& before, const mesh::World& after, const Self& self) : self_(self) {
    for_each_pair(before, after, [&](const Service* old, const Service* now) { meet(old, now); });
    counts_before_.insert(counts_unchanged_.begin(), counts_unchanged_.end());
    counts_after_.insert(counts_unchanged_.begin(), counts_unchanged_.end());
    add_hairpins(halves_before_, before.workloads, self_);
    add_hairpins(halves_after_, after.workloads, self_);
    if (touched_.empty()) return;
    for (const Service& service : before.services) {
      if (is_touched(service)) halves_before_.add(service, self_);
    }
    for (const Service& service : after.services) {
      if (is_touched(service)) halves_after_.add(service, self_);
    }
  }

  nft::Transaction transaction() && {
    return nft::difference(table_of(std::move(halves_before_), counts_before_, self_),
                           table_of(std::move(halves_after_), counts_after_, self_));
  }

 private:
  // Null: it is not there in that world.
  void meet(const Service* old, const Service* now) {
    if (old != nullptr && now != nullptr && same_rules(*old, *now)) {
      count(counts_unchanged_, *now, self_);
      add_hairpins(halves_before_, *now, self_);
      add_hairpins(halves_after_, *now, self_);
      return;
    }
    if (old != nullptr) note(*old, counts_before_, halves_before_);
    if (now != nullptr) note(*now, counts_after_, halves_after_);
  }

  void note(const Service& service, Counts& counts, Halves& halves) {
    count(counts, service, self_);
    add_hairpins(halves, service, self_);
    if (is_ours(service)) touched_.insert(service.addresses.begin(), service.addresses.end());
  }

  [[nodiscard]] bool is_touched(const Service& service) const {
    return is_ours(service) &&
           std::any_of(service.addresses.begin(), service.addresses.end(),
                       [&](const IpAddress& address) { return touched_.contains(address); });
  }

  const Self& self_;
  std::unordered_set<IpAddress> touched_;
  Counts counts_unchanged_;
  Counts counts_before_;
  Counts counts_after_;
  Halves halves_before_;
  Halves halves_after_;
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
  for (const Service& service : world.services) {
    halves.add(service, self);
    count(counts, service, self);
    add_hairpins(halves, service, self);
  }
  add_hairpins(halves, world.workloads, self);
  return table_of(std::move(halves), counts, self);
}

nft::Transaction change_of_rules(const mesh::World& before, const mesh::World& after,
                                 const Self& self) {
  return Change(before, after, self).transaction();
}

}  // namespace fairlead::node
