// What a mesh's sidecar answers by itself, whatever its control plane says: the listeners of its
// bootstrap file, and the cluster behind them. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/address.h"
#include "config/cluster.h"
#include "config/listener.h"

namespace fairlead::config {

struct SidecarPorts {
  SocketAddress admin{IpAddress::v4({127, 0, 0, 1}), 15000};
  std::uint16_t metrics = 15090;  // GET /stats/prometheus, on every address; 0: none
  std::uint16_t health = 15021;   // GET /healthz/ready, on every address; 0: none
};

inline constexpr const char* sidecar_admin_cluster = "prometheus_stats";  // as Istio names it

[[nodiscard]] Cluster cluster_at(std::string name, LbEndpoint endpoint);
// Of that one endpoint, whose host is looked up where it has one.

[[nodiscard]] std::vector<Listener> sidecar_listeners(const SidecarPorts& ports,
                                                      const std::vector<IpAddress>& addresses);
// On every address of the families that the pod has; without any, of IPv4. Each leads one path to
// the cluster sidecar_admin_cluster, and nothing else.

}  // namespace fairlead::config
