// Services and endpoints as operators see them: no Kubernetes, no Envoy.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/origin.h"

namespace fairlead::mesh {

enum class Transport : std::uint8_t { tcp, udp, sctp };

// What the operator declared the port to carry (appProtocol, or the port name's prefix).
enum class Protocol : std::uint8_t { undeclared, http, http2, grpc, tls, tcp, udp };

[[nodiscard]] const char* name_of(Transport transport);  // "tcp"
[[nodiscard]] const char* name_of(Protocol protocol);    // "http"

struct ServicePort {
  std::string name;  // may be empty when the service has one port
  std::uint16_t port = 0;
  Transport transport = Transport::tcp;
  Protocol protocol = Protocol::undeclared;
  std::string target;  // targetPort as written: a number, a name, or empty for the same as `port`
  bool operator==(const ServicePort&) const = default;
};

struct EndpointPort {
  std::string name;  // the service port's name
  std::uint16_t port = 0;
  Transport transport = Transport::tcp;
  bool proxied = false;  // a proxy that control configures takes what comes from outside
  bool operator==(const EndpointPort&) const = default;
};

struct Endpoint {
  IpAddress address;
  std::vector<EndpointPort> ports;
  bool ready = true;    // may get new traffic
  bool serving = true;  // its app answers, even when it is going away
  bool terminating = false;
  std::string workload;  // "namespace/name" of its pod or VM; empty when nobody knows
  std::string node;      // the node's name; empty for a VM
  std::string zone;
  std::string hostname;  // a DNS label of its own under a headless service, or empty
  std::string service_account;
  std::map<std::string, std::string> labels;
  std::uint32_t weight = 1;
  Origin origin;
  bool operator==(const Endpoint&) const = default;
};

// How the service's name leads to endpoints.
enum class ServiceKind : std::uint8_t {
  cluster_ip,     // a virtual address that the node translates
  headless,       // the name gives the endpoints' own addresses
  external_name,  // an alias in DNS, nothing else
  external,       // a ServiceEntry: hosts that no Kubernetes Service holds
};

struct Service {
  std::string name_space;
  std::string name;
  std::string host;  // fully qualified, no final dot: "reviews.default.svc.cluster.local"
  ServiceKind kind = ServiceKind::cluster_ip;
  std::vector<IpAddress> addresses;  // cluster IPs, at most one a family
  std::string alias;                 // external_name's target
  std::vector<ServicePort> ports;    // sorted by number, then transport
  std::vector<Endpoint> endpoints;   // sorted by address; ready or not
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> selector;  // empty: endpoints are given by hand
  bool mesh_external = false;  // MESH_EXTERNAL of a ServiceEntry: no sidecar on the far side
  Origin origin;
  bool operator==(const Service&) const = default;
};

[[nodiscard]] const EndpointPort* port_of(const Endpoint& endpoint, const ServicePort& port);
// The endpoint's port behind the service's; null when this endpoint does not offer it.
// Good as long as `endpoint`.

}  // namespace fairlead::mesh
