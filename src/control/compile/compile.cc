#include "control/compile/compile.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "control/compile/inbound.h"
#include "control/compile/outbound.h"

namespace fairlead::control {
namespace {

bool has_ipv6(const Audience& audience) {
  return std::any_of(audience.addresses.begin(), audience.addresses.end(),
                     [](const IpAddress& address) { return !address.is_v4(); });
}

RouteReader reader_of(const Audience& audience) {
  return {.name_space = audience.name_space, .envoy = audience.envoy};
}

template <class T>
const std::string& version_of(const Resources<T>& now, const Resources<T>* before,
                              const std::string& before_version, const std::string& world) {
  // Equal values are equal pointers, since place() shares them.
  return before && *before == now ? before_version : world;
}

void number_and_date(config::Snapshot& made, const mesh::World& world,
                     const config::Snapshot* previous) {
  static const config::Versions none;
  const config::Versions& before = previous ? previous->versions : none;
  made.number = previous ? previous->number + 1 : 1;
  made.world = world.version;
  made.versions.listeners = version_of(made.listeners, previous ? &previous->listeners : nullptr,
                                       before.listeners, world.version);
  made.versions.routes =
      version_of(made.routes, previous ? &previous->routes : nullptr, before.routes, world.version);
  made.versions.clusters = version_of(made.clusters, previous ? &previous->clusters : nullptr,
                                      before.clusters, world.version);
  made.versions.endpoints = version_of(made.endpoints, previous ? &previous->endpoints : nullptr,
                                       before.endpoints, world.version);
}

// What a snapshot is put together from. These are shared between audiences,
struct Common {
  Destinations destinations;
  Resources<config::Listener> listeners;
  Resources<config::RouteConfiguration> routes;
};

// and this is of one alone.
struct Own {
  Gathered<config::Listener> listeners;
  Gathered<config::Cluster> clusters;
};

Own own_of(const InboundPorts& ports, bool ipv6, bool envoy, const config::Snapshot* previous) {
  Own own;
  place(own.listeners, previous ? &previous->listeners : nullptr, std::string(virtual_inbound),
        inbound_listener(ports, ipv6, envoy));
  own.clusters = inbound_clusters(ports, previous ? &previous->clusters : nullptr);
  return own;
}

template <class T>
Resources<T> both(Resources<T> common, const Gathered<T>& own) {
  for (const auto& [name, value] : own) common.add(name, value);
  return common;
}

config::Snapshot join(const mesh::World& world, const Common& common, const Own& own,
                      const config::Snapshot* previous) {
  config::Snapshot made;
  made.listeners = both(common.listeners, own.listeners);
  made.routes = common.routes;
  made.clusters = both(common.destinations.clusters, own.clusters);
  made.endpoints = common.destinations.endpoints;
  number_and_date(made, world, previous);
  return made;
}

}  // namespace

Audience audience_of(const mesh::Workload& workload) {
  return {.name_space = workload.name_space,
          .addresses = workload.addresses,
          .envoy = workload.sidecar == mesh::Sidecar::envoy};
}

config::Snapshot compile(const mesh::World& world, const Audience& audience,
                         const config::Snapshot* previous) {
  std::optional<Destinations> before;
  if (previous) before = Destinations{previous->clusters, previous->endpoints};
  const bool ipv6 = has_ipv6(audience);
  const Common common{
      .destinations = destinations_of(world, before ? &*before : nullptr),
      .listeners = outbound_listeners(world, ipv6, previous ? &previous->listeners : nullptr),
      .routes =
          outbound_routes(world, reader_of(audience), previous ? &previous->routes : nullptr)};
  InboundIndex inbound;
  inbound.use(world);
  return join(world, common,
              own_of(inbound.ports_of(audience.addresses), ipv6, audience.envoy, previous),
              previous);
}

// ── Many audiences ───────────────────────────────────────────────────────────────────────────────

namespace {

// Something made of a world, and remade of the next one when somebody asks.
template <class T>
struct Remembered {
  T value;
  const mesh::World* world = nullptr;  // only compared
};

// What makes two audiences different.
struct Shape {
  RouteReader reader;
  bool ipv6 = false;
  InboundPorts inbound;
  bool operator<(const Shape& other) const {
    return std::tie(reader, ipv6, inbound) < std::tie(other.reader, other.ipv6, other.inbound);
  }
};

struct Compiled {
  Own own;
  config::SnapshotPointer snapshot;
  const mesh::World* world = nullptr;
};

bool same_proxied(const mesh::Service& left, const mesh::Service& right) {
  return std::all_of(left.ports.begin(), left.ports.end(), [&](const mesh::ServicePort& port) {
    return all_proxied(left, port) == all_proxied(right, port);
  });
}

// Whether what listeners and routes are made of is the same: everything but the endpoints of
// services that have an address of their own, and of these only whether all have a proxy.
bool same_routing_inputs(const mesh::Service& left, const mesh::Service& right) {
  if (&left == &right) return true;
  const bool endpoints_matter = left.addresses.empty();
  return left.host == right.host && left.kind == right.kind && left.addresses == right.addresses &&
         left.ports == right.ports && left.mesh_external == right.mesh_external &&
         left.endpoints.empty() == right.endpoints.empty() && left.origin == right.origin &&
         (!endpoints_matter || left.endpoints == right.endpoints) && same_proxied(left, right);
}

bool same_faces(const mesh::World& left, const mesh::World& right) {
  return left.domain == right.domain &&
         std::equal(left.services.begin(), left.services.end(), right.services.begin(),
                    right.services.end(), same_routing_inputs);
}

}  // namespace

struct Compiler::State {
  mesh::WorldPointer world;
  InboundIndex inbound;
  Destinations destinations;
  std::map<bool, Remembered<Resources<config::Listener>>> listeners;  // by ipv6
  std::map<RouteReader, Remembered<Resources<config::RouteConfiguration>>> routes;
  std::map<Shape, Compiled> snapshots;

  void forget_unused();
  const Resources<config::Listener>& listeners_for(bool ipv6);
  const Resources<config::RouteConfiguration>& routes_for(const RouteReader& reader);
};

void Compiler::State::forget_unused() {
  const auto unused = [this](const auto& entry) { return entry.second.world != world.get(); };
  std::erase_if(listeners, unused);
  std::erase_if(routes, unused);
  std::erase_if(snapshots, unused);
}

const Resources<config::Listener>& Compiler::State::listeners_for(bool ipv6) {
  Remembered<Resources<config::Listener>>& made = listeners[ipv6];
  if (made.world != world.get()) {
    made.value = outbound_listeners(*world, ipv6, &made.value);
    made.world = world.get();
  }
  return made.value;
}

const Resources<config::RouteConfiguration>& Compiler::State::routes_for(
    const RouteReader& reader) {
  Remembered<Resources<config::RouteConfiguration>>& made = routes[reader];
  if (made.world != world.get()) {
    made.value = outbound_routes(*world, reader, &made.value);
    made.world = world.get();
  }
  return made.value;
}

Compiler::Compiler() : state_(std::make_unique<State>()) {}
Compiler::~Compiler() = default;
Compiler::Compiler(Compiler&&) noexcept = default;
Compiler& Compiler::operator=(Compiler&&) noexcept = default;

void Compiler::use(mesh::WorldPointer world) {
  State& state = *state_;
  if (state.world == world) return;
  state.forget_unused();
  const mesh::WorldPointer before = std::exchange(state.world, std::move(world));
  state.destinations = destinations_of(*state.world, &state.destinations, before.get());
  state.inbound.use(*state.world, before.get());
  if (before && same_faces(*before, *state.world)) {
    for (auto& [ipv6, made] : state.listeners) made.world = state.world.get();
    for (auto& [reader, made] : state.routes) made.world = state.world.get();
  }
}

config::SnapshotPointer Compiler::snapshot_for(const Audience& audience) {
  State& state = *state_;
  Shape shape{.reader = reader_of(audience),
              .ipv6 = has_ipv6(audience),
              .inbound = state.inbound.ports_of(audience.addresses)};
  const auto [found, fresh] = state.snapshots.try_emplace(std::move(shape));
  auto& [of, compiled] = *found;
  if (fresh) compiled.own = own_of(of.inbound, of.ipv6, of.reader.envoy, nullptr);
  if (compiled.world != state.world.get()) {
    const Common common{.destinations = state.destinations,
                        .listeners = state.listeners_for(of.ipv6),
                        .routes = state.routes_for(of.reader)};
    compiled.snapshot = std::make_shared<const config::Snapshot>(
        join(*state.world, common, compiled.own, compiled.snapshot.get()));
    compiled.world = state.world.get();
  }
  return compiled.snapshot;
}

}  // namespace fairlead::control
