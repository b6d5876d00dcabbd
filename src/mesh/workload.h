// What runs: pods and virtual machines, and the nodes below them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/origin.h"
#include "mesh/service.h"

namespace fairlead::mesh {

enum class WorkloadKind : std::uint8_t { pod, vm };
enum class Sidecar : std::uint8_t { none, fairlead, envoy };

struct ContainerPort {
  std::string name;
  std::uint16_t port = 0;
  Transport transport = Transport::tcp;
  bool operator==(const ContainerPort&) const = default;
};

// A Deployment, a StatefulSet, … that keeps pods.
struct Owner {
  std::string kind;
  std::string name;
  bool operator==(const Owner&) const = default;
};

// As whom a program runs: what the kernel's rules see as the owner of a connection.
struct RunsAs {
  std::uint32_t user = 0;
  std::uint32_t group = 0;
  bool operator==(const RunsAs&) const = default;
};

struct Workload {
  WorkloadKind kind = WorkloadKind::pod;
  std::string name_space;
  std::string name;                  // the pod's own name, or the VM's
  std::vector<Owner> owners;         // the nearest first: ReplicaSet web-5d8f6, Deployment web
  std::vector<IpAddress> addresses;  // at most one a family
  std::string host_name;             // its own, in its hosts file; empty: as `name`
  std::string node;                  // empty for a VM
  std::string service_account;
  std::map<std::string, std::string> labels;
  std::vector<ContainerPort> ports;
  std::vector<std::string> containers;  // names, in order; init_containers the same
  std::vector<std::string> init_containers;
  RunsAs runs_as;  // of the first container that is no proxy
  Sidecar sidecar = Sidecar::none;
  bool injected_here = false;  // by fairlead, so control configures its sidecar
  std::map<std::string, std::string> capture;
  // The annotations traffic.sidecar.istio.io/* as written: "includeOutboundIPRanges" to its value.
  bool ready = false;
  bool terminating = false;
  std::string ended;  // "Succeeded" or "Failed": it runs no more; else empty
  Origin origin;
  bool operator==(const Workload&) const = default;
};

[[nodiscard]] bool proxy_takes(const Workload& workload, std::uint16_t port);
// Whether a sidecar that control configures takes what comes to this port from outside. False when
// its annotations cannot be understood: then nothing that a proxy says is believed.

struct Node {
  std::string name;
  std::vector<IpAddress> addresses;
  std::vector<std::string> pod_ranges;  // CIDR text, as in spec.podCIDRs
  std::string zone;
  Origin origin;
  bool operator==(const Node&) const = default;
};

}  // namespace fairlead::mesh
