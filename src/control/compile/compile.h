// A world made into what one proxy should do, with istiod's names and shapes
// (istio.io "Debugging Envoy", and recorded from istiod 1.29). Pure: no socket, no clock, no
// chance.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/lifetime.h"
#include "config/snapshot.h"
#include "mesh/world.h"

namespace fairlead::control {

// Whom a snapshot is for.
struct Audience {
  std::string name_space;            // whose short names are understood: "reviews"
  std::vector<IpAddress> addresses;  // the workload's own, at most one a family; none: not known
  bool envoy = false;                // it does nothing that it is not told, where our proxy does
  bool operator==(const Audience&) const = default;
};

[[nodiscard]] Audience audience_of(const mesh::Workload& workload);

[[nodiscard]] config::Snapshot compile(const mesh::World& world, const Audience& audience,
                                       const config::Snapshot* previous = nullptr);
// Every value in it is shared with `previous` where it did not change, and a type's version is then
// the world in which it last did.
//
// Listeners: `virtualOutbound` and `virtualInbound`, which bind, and one that does not for each
// destination: `0.0.0.0_PORT` when a service declares HTTP on PORT, else `ADDRESS_PORT`. An exact
// address wins over 0.0.0.0, so services that share a port number never share a fate.
// Routes: `PORT` for declared HTTP, where the authority chooses the service, and `HOST:PORT` for
// a port that declares nothing, where the address has already chosen it. An Envoy gets two routes
// to each service, `safe` and `default`, which tell it to try again where our proxy does so of its
// own accord.
// Clusters: `outbound|PORT||HOST` and `inbound|PORT||`, `PassthroughCluster`,
// `InboundPassthroughCluster`, `BlackHoleCluster`.

// The same, for many audiences: what proxies have in common is made once and shared.
class Compiler {
 public:
  Compiler();
  ~Compiler();
  Compiler(Compiler&&) noexcept;
  Compiler& operator=(Compiler&&) noexcept;

  void use(mesh::WorldPointer world);
  // From now on snapshots are of this world. Forgets audiences that were not asked for since the
  // last call.

  [[nodiscard]] config::SnapshotPointer snapshot_for(const Audience& audience);
  // Audiences that differ in nothing that matters get the very same pointer. Only after use().

 private:
  struct State;
  std::unique_ptr<State> state_;
};

[[nodiscard]] std::vector<const mesh::Endpoint*> eligible_endpoints(
    const mesh::Service& service LIFETIMEBOUND);
// Those that get traffic: the ready ones; when there is none, those that are going away and still
// serve (as Kubernetes does for service IPs, KEP-1669). A workload with an address in each family
// is one endpoint, and the service's first family stands for it.

// The names that compile() gives, for whoever must find a thing by its name.
[[nodiscard]] std::string outbound_cluster(std::string_view host, std::uint16_t port);
[[nodiscard]] std::string inbound_cluster(std::uint16_t port);
// `port` of inbound_cluster is the workload's own, not the service's.

inline constexpr std::string_view passthrough_cluster = "PassthroughCluster";
inline constexpr std::string_view inbound_passthrough_cluster = "InboundPassthroughCluster";
inline constexpr std::string_view black_hole_cluster = "BlackHoleCluster";
inline constexpr std::string_view virtual_outbound = "virtualOutbound";
inline constexpr std::string_view virtual_inbound = "virtualInbound";
inline constexpr std::uint16_t outbound_capture_port = 15001;
inline constexpr std::uint16_t inbound_capture_port = 15006;

}  // namespace fairlead::control
