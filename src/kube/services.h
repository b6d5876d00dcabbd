// What Kubernetes gives to Services: cluster IPs, and the EndpointSlices behind them. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "kube/objects.h"

namespace fairlead::kube {

struct ServiceRanges {
  IpAddress v4;
  int v4_length = 16;
  IpAddress v6;
  int v6_length = 112;
  std::vector<IpAddress> dns;  // where the cluster's DNS answers: no other Service may have these
};

[[nodiscard]] const ServiceRanges& default_ranges();
// 10.96.0.0/16 and fd00:10:96::/112, DNS at 10.96.0.10 and fd00:10:96::a; static.

[[nodiscard]] Result<> allocate_cluster_ips(std::vector<Service>& services,
                                            const std::vector<Service>& before = {},
                                            const ServiceRanges& ranges = default_ranges());
// Gives each Service that needs them its cluster IPs, families and family policy, as the API server
// would: no policy means one family, IPv4 unless ipFamilies or a given address say otherwise. A
// Service keeps what it had in `before`; a new one's address follows from its name, so that it is
// the same wherever and whenever it is worked out, and has the same number in both families. The
// first 256 addresses are left to those who ask for one by number. Fault: an address asked for
// twice or outside the ranges, with file, line and who has it.

[[nodiscard]] std::vector<EndpointSlice> endpoint_slices_of(const Objects& objects);
// For each Service with a selector: the pods that it selects, a family and a set of port numbers a
// slice, at most 100 endpoints each, sorted by name; an empty slice a family when there are none.
// For each Endpoints of a Service without selector: its mirror. Looks at services, pods, nodes (for
// zones) and endpoints. Names are stable: SERVICE-xxxxx.

enum class Elsewhere : std::uint8_t { pods_may_be, no_pods_are };
// Whether a service's pods may be in a cluster that these objects do not show.

void put_endpoint_slices(Objects& objects, Elsewhere elsewhere);
// Puts endpoint_slices_of(objects) in the place of what controllers wrote earlier, as in a dump of
// a cluster, for the services of these objects. With pods_may_be, a service without any pod here
// keeps its controller's slices. Slices written by hand stay in any case.

}  // namespace fairlead::kube
