// The lab's network: every machine a namespace of its own, every wire a routed veth pair, no
// bridge.
//
//            control 172.30.1.1           the lab's own namespace routes between them
//                │
//   ─────────────┼──────────── underlay 172.30.255.254, fe80::1 on each wire
//       │                │
//     node1            node2              172.30.0.N, fd00:172:30::N; lo: 10.96.0.10, fd00:10:96::a
//   │   │   │          │   │
//  pod pod vm         pod pod             10.244.N.0/24, fd00:10:244:N::/64
//                                         VMs: 10.200.0.0/24, fd00:10:200::/64, behind node1
//
// A VM stands behind a node, as a gateway, so that it reaches service addresses; no node's pod
// range holds it. All addresses are single ones (/32, /128), all neighbours are reached by a route.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "lab/namespace.h"
#include "lab/netlink.h"

namespace fairlead::lab {

inline constexpr const char* dns_address = "10.96.0.10";
inline constexpr const char* dns_address6 = "fd00:10:96::a";

struct Addresses {
  IpAddress v4;
  IpAddress v6;
  bool operator==(const Addresses&) const = default;
  [[nodiscard]] std::vector<IpAddress> all() const { return {v4, v6}; }
  [[nodiscard]] std::vector<std::string> texts() const { return {v4.text(), v6.text()}; }
};

[[nodiscard]] Addresses node_addresses(int number);  // from 1
[[nodiscard]] std::vector<std::string> pod_ranges(int number);
[[nodiscard]] Addresses pod_addresses(int node, int number);  // number from 2: 1 is the gateway
[[nodiscard]] Addresses vm_addresses(int number);
[[nodiscard]] Addresses control_addresses();
[[nodiscard]] std::vector<std::string> all_ranges();
// Whatever a lab has is in these, and no way leads out of them.

// One namespace with its routing socket.
struct Machine {
  std::string name;
  Addresses addresses;
  NetworkNamespace network;
  Netlink netlink;
};

class Fabric {
 public:
  [[nodiscard]] static Result<Fabric> make();
  // In the calling thread's namespace, which becomes the underlay.

  [[nodiscard]] Result<Machine> add_node(int number, const std::string& name);
  [[nodiscard]] Result<Machine> add_control();
  [[nodiscard]] Result<Machine> add_pod(Machine& node, const std::string& name,
                                        const Addresses& addresses);
  // Also for a VM, which stands behind `node`: see route_to_vm.
  [[nodiscard]] Result<> route_to_vm(const Machine& node, const Addresses& addresses);
  [[nodiscard]] static Result<Machine> share(const Machine& node, const std::string& name);
  // The same namespace under another name: for a pod with hostNetwork. There is nothing to remove.
  [[nodiscard]] Result<> remove_pod(Machine& node, const Machine& pod);

 private:
  explicit Fabric(Netlink underlay) : underlay_(std::move(underlay)) {}
  Result<Machine> add_to_underlay(const std::string& name, const Addresses& addresses);

  Netlink underlay_;
};

}  // namespace fairlead::lab
