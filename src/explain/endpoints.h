// Who of a service's endpoints gets nothing, and why, in words. Pure, and of this room alone.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/lifetime.h"
#include "explain/hop.h"
#include "mesh/world.h"

namespace fairlead::explain {

[[nodiscard]] std::vector<Refusal> left_out(const mesh::Service& service,
                                            const mesh::ServicePort& port,
                                            const std::vector<Choice>& taken,
                                            std::optional<Family> family = {});
// The endpoints (of that family, and those that have no address of it) that are not among `taken`.
// Another address of a workload that is taken is not left out.

[[nodiscard]] std::string why_nobody(const mesh::World& world, const mesh::Service& service,
                                     const mesh::ServicePort& port,
                                     std::optional<Family> family = {});
// "Service default/reviews has no endpoint that is ready: 2 are not ready". Of the service's
// address of that family.

[[nodiscard]] std::string why_no_port(const mesh::Service& service, std::uint16_t port);
// "Service default/reviews has no port 9081, only 9080 (http)".

[[nodiscard]] const mesh::Workload* workload_at(const mesh::World& world LIFETIMEBOUND,
                                                const SocketAddress& address);
// Pods with hostNetwork share their node's address: there it is the one that declares the port, or
// else is an endpoint with it. Null: nobody, or nobody knows which.

[[nodiscard]] std::vector<const mesh::Workload*> workloads_at(
    const mesh::World& world LIFETIMEBOUND, const IpAddress& address);
// All that have it.

[[nodiscard]] bool is_of_a_node(const mesh::World& world, const IpAddress& address);

[[nodiscard]] bool declares(const mesh::Workload& workload, std::uint16_t port);
// One of its containers, of TCP.

[[nodiscard]] bool offered_by_a_service(const mesh::World& world, const SocketAddress& at);
// It is an endpoint of one, with that port.

[[nodiscard]] std::string why_not_translated(const mesh::World& world, const SocketAddress& at,
                                             const Origin& asked);
// "Service default/db is headless: nobody turns its port 80 into the pod's own, 9080": where the
// port is that of a service without an address and the endpoint's is another; of `asked`, the
// object behind the name, when it is one. Else empty.

[[nodiscard]] const mesh::ServicePort* port_numbered(const mesh::Service& service,
                                                     std::uint16_t port);
// Of TCP; null when there is none. Good as long as `service`.

[[nodiscard]] std::string called(const mesh::Service& service);  // "Service default/reviews"
[[nodiscard]] std::string called(const mesh::Workload& workload);
// "Pod default/reviews-v1-5d8f6", "VM default/ratings-vm"

[[nodiscard]] std::string has_ended(const mesh::Workload& workload);
// "Pod default/job has ended (phase Succeeded)"

[[nodiscard]] std::string host_and_port(const std::string& host, std::uint16_t port);
// With brackets around an IPv6 address.

}  // namespace fairlead::explain
