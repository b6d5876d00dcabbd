// For tests: a small shop on two nodes, with and without sidecars, and calls in it.
//
//   node1  productpage (sidecar)   reviews-v1 (sidecar)   loner (no sidecar)   outsider (no
//   sidecar) node2                          reviews-v2 (sidecar)   reviews-v3 (not ready) vm
//   ratings-vm 10.200.0.2
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "document/document.h"
#include "explain/path.h"
#include "kube/read.h"
#include "mesh/world.h"
#include "registry/facts.h"

namespace fairlead::explain::testing {

inline constexpr const char* nodes = R"(apiVersion: v1
kind: Node
metadata: {name: node1}
spec: {podCIDRs: [10.244.1.0/24, "fd00:10:244:1::/64"]}
status: {addresses: [{type: InternalIP, address: 172.30.0.1}]}
---
apiVersion: v1
kind: Node
metadata: {name: node2}
spec: {podCIDRs: [10.244.2.0/24, "fd00:10:244:2::/64"]}
status: {addresses: [{type: InternalIP, address: 172.30.0.2}]}
---
)";

inline constexpr const char* services = R"(apiVersion: v1
kind: Service
metadata: {name: reviews}
spec:
  clusterIP: 10.96.0.12
  clusterIPs: [10.96.0.12]
  selector: {app: reviews}
  ports: [{name: http, port: 9080}]
---
apiVersion: v1
kind: Service
metadata: {name: empty}
spec:
  clusterIP: 10.96.0.13
  clusterIPs: [10.96.0.13]
  selector: {app: nobody}
  ports: [{name: http, port: 9081}]
---
apiVersion: v1
kind: Service
metadata: {name: ratings}
spec:
  clusterIP: 10.96.0.14
  clusterIPs: [10.96.0.14]
  selector: {app: ratings}
  ports: [{name: tcp, port: 7000}]
---
apiVersion: v1
kind: Service
metadata: {name: plain}
spec:
  clusterIP: 10.96.0.15
  clusterIPs: [10.96.0.15]
  selector: {app: loner}
  ports: [{port: 8000}]
---
apiVersion: v1
kind: Service
metadata: {name: each}
spec: {clusterIP: None, selector: {app: reviews}, ports: [{name: http, port: 9080}]}
---
)";

inline std::string pod(const std::string& name, const std::string& app, const std::string& node,
                       const std::string& address, bool sidecar, bool ready = true,
                       const std::string& annotation = "") {
  std::string text =
      "apiVersion: v1\nkind: Pod\nmetadata:\n  name: " + name + "\n  labels: {app: " + app + "}\n";
  std::string annotations = sidecar ? "fairlead/proxy: fairlead" : "";
  if (!annotation.empty()) annotations += (annotations.empty() ? "" : ", ") + annotation;
  text += "  annotations: {" + annotations + "}\n";
  text += "spec:\n  nodeName: " + node + "\n  containers:\n";
  text += "  - {name: app, image: x, ports: [{name: web, containerPort: 9080}]}\n";
  if (sidecar) text += "  - {name: istio-proxy, image: x}\n";
  text += "status:\n  podIP: " + address + "\n  podIPs: [{ip: " + address + "}]\n";
  text += "  conditions: [{type: Ready, status: \"" + std::string(ready ? "True" : "False") +
          "\"}]\n---\n";
  return text;
}

inline std::string slice(const std::string& service, const std::string& port,
                         const std::string& endpoints) {
  return "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: " + service +
         "-1, labels: {kubernetes.io/service-name: " + service + "}}\naddressType: IPv4\nports: [" +
         port + "]\nendpoints: [" + endpoints + "]\n---\n";
}

inline std::string shop(const std::string& productpage_annotation = "") {
  return std::string(nodes) + services +
         pod("productpage", "productpage", "node1", "10.244.1.3", true, true,
             productpage_annotation) +
         pod("reviews-v1", "reviews", "node1", "10.244.1.5", true) +
         pod("reviews-v2", "reviews", "node2", "10.244.2.5", true) +
         pod("reviews-v3", "reviews", "node2", "10.244.2.6", true, false) +
         pod("loner", "loner", "node1", "10.244.1.7", false) +
         pod("outsider", "outsider", "node1", "10.244.1.8", false) +
         slice("reviews", "{name: http, port: 9080}",
               "{addresses: [10.244.1.5]}, {addresses: [10.244.2.5]}, "
               "{addresses: [10.244.2.6], conditions: {ready: false}}") +
         slice("each", "{name: http, port: 9080}",
               "{addresses: [10.244.1.5]}, {addresses: [10.244.2.5]}") +
         slice("plain", "{port: 8000}", "{addresses: [10.244.1.7]}") +
         R"(apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: ratings-vm}
spec: {address: 10.200.0.2, labels: {app: ratings}, ports: {tcp: 7000}}
)";
}

inline mesh::WorldPointer world_from(const std::string& manifests) {
  auto documents = document::parse(manifests, "shop.yaml");
  if (!documents) throw std::runtime_error(documents.fault().describe());
  auto reading = kube::read(*documents);
  if (!reading) throw std::runtime_error(reading.fault().describe());
  mesh::World world = registry::world_of(reading->objects);
  world.version = "42";
  return std::make_shared<const mesh::World>(std::move(world));
}

inline Path path_in(const mesh::WorldPointer& world, const std::string& from,
                    const std::string& to) {
  Result<Caller> caller = find_caller(*world, from);
  if (!caller) throw std::runtime_error(caller.fault().describe());
  Result<Target> target = parse_target(to);
  if (!target) throw std::runtime_error(target.fault().describe());
  Model model(world);
  return explain(model, {.from = *caller, .to = *target});
}

// A path as one line: "name capture listener ... > workload 1/2: capture app | ...".
inline std::string stages_of(const Path& path) {
  std::string words;
  for (const Hop& hop : path.hops) words += std::string(name_of(hop.stage)) + ' ';
  for (const Branch& branch : path.branches) {
    words += "> " + (branch.workload.empty() ? branch.address : branch.workload) + ' ';
    for (const Hop& hop : branch.hops) words += std::string(name_of(hop.stage)) + ' ';
  }
  if (!words.empty()) words.pop_back();
  return words;
}

}  // namespace fairlead::explain::testing
