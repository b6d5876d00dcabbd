#include "registry/facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "document/document.h"
#include "kube/read.h"

namespace fairlead::registry {
namespace {

kube::Objects objects_from(const std::string& manifest) {
  auto documents = document::parse(manifest, "shop.yaml");
  if (!documents) throw std::runtime_error(documents.fault().describe());
  auto reading = kube::read(*documents);
  if (!reading) throw std::runtime_error(reading.fault().describe());
  return std::move(reading->objects);
}

mesh::World world_from(const std::string& manifest) {
  return world_of(objects_from(manifest));
}

std::string words_of(const mesh::Endpoint& endpoint) {
  std::string words = endpoint.address.text();
  for (const mesh::EndpointPort& port : endpoint.ports) {
    words += " " + port.name + "=" + std::to_string(port.port);
  }
  if (endpoint.ready) words += " ready";
  if (endpoint.serving) words += " serving";
  if (endpoint.terminating) words += " terminating";
  return words;
}

std::string words_of(const mesh::Service& service) {
  std::string words;
  for (const mesh::Endpoint& endpoint : service.endpoints) words += words_of(endpoint) + "\n";
  return words;
}

constexpr const char* service = R"(
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec:
  clusterIP: 10.96.0.12
  clusterIPs: [10.96.0.12, "fd00:10:96::c"]
  selector: {app: reviews}
  ports:
  - {name: http, port: 9080, targetPort: web}
  - {name: metrics, port: 15014, appProtocol: TCP}
)";

constexpr const char* slice = R"(
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: reviews-1, namespace: shop, labels: {kubernetes.io/service-name: reviews}}
addressType: IPv4
ports: [{name: http, port: 9080}]
endpoints:
- addresses: [10.244.1.5]
- addresses: [10.244.1.6]
  conditions: {ready: false}
- addresses: [10.244.1.7]
  conditions: {ready: false, serving: true, terminating: true}
)";

TEST(Facts, AServiceKeepsItsNamesAddressesAndPlace) {
  const mesh::World world = world_from(service);
  ASSERT_EQ(world.services.size(), 1U);
  const mesh::Service& made = world.services[0];
  EXPECT_EQ(made.host, "reviews.shop.svc.cluster.local");
  EXPECT_EQ(made.kind, mesh::ServiceKind::cluster_ip);
  ASSERT_EQ(made.addresses.size(), 2U);
  EXPECT_EQ(made.addresses[1].text(), "fd00:10:96::c");
  EXPECT_EQ(made.selector.at("app"), "reviews");
  EXPECT_EQ(made.ports[0].protocol, mesh::Protocol::http);
  EXPECT_EQ(made.ports[0].target, "web");
  EXPECT_EQ(made.ports[1].protocol, mesh::Protocol::tcp);
  EXPECT_EQ(made.origin.describe(), "Service shop/reviews (shop.yaml:2)");
  EXPECT_EQ(world.namespaces, std::vector<std::string>{"shop"});
}

TEST(Facts, SlicesSayWhoIsReadyServingOrGoing) {
  const mesh::World world = world_from(std::string(service) + "---" + slice);
  EXPECT_EQ(words_of(world.services[0]),
            "10.244.1.5 http=9080 ready serving\n"
            "10.244.1.6 http=9080\n"
            "10.244.1.7 http=9080 serving terminating\n");
}

TEST(Facts, PortsOfOneAddressComeFromSeveralSlices) {
  const mesh::World world = world_from(std::string(service) + "---" + slice + R"(
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: reviews-2, namespace: shop, labels: {kubernetes.io/service-name: reviews}}
addressType: IPv4
ports: [{name: metrics, port: 15015}]
endpoints: [{addresses: [10.244.1.5]}]
)");
  EXPECT_EQ(words_of(world.services[0].endpoints[0]),
            "10.244.1.5 http=9080 metrics=15015 ready serving");
}

TEST(Facts, EndpointsCountWhereThereIsNoSlice) {
  const std::string endpoints = R"(
---
apiVersion: v1
kind: Endpoints
metadata: {name: reviews, namespace: shop}
subsets:
- addresses: [{ip: 192.0.2.1}]
  notReadyAddresses: [{ip: 192.0.2.2}]
  ports: [{name: http, port: 80}]
)";
  const mesh::World alone = world_from(service + endpoints);
  EXPECT_EQ(words_of(alone.services[0]), "192.0.2.1 http=80 ready serving\n192.0.2.2 http=80\n");
  const mesh::World both = world_from(std::string(service) + "---" + slice + endpoints);
  EXPECT_EQ(both.services[0].endpoints.size(), 3U);
  ASSERT_EQ(both.ignored.size(), 1U);
  EXPECT_EQ(both.ignored[0].origin.kind, "Endpoints");
  EXPECT_EQ(both.ignored[0].reason, "EndpointSlices of the same Service count instead");
}

TEST(Facts, IstiosRulesOfProtocols) {
  using kube::Protocol;
  struct Case {
    const char* name;
    const char* app_protocol;
    mesh::Protocol wanted;
  };
  const std::vector<Case> cases{
      {"http", "", mesh::Protocol::http},
      {"http-web", "", mesh::Protocol::http},
      {"HTTP-web", "", mesh::Protocol::http},
      {"httpweb", "", mesh::Protocol::undeclared},
      {"web", "", mesh::Protocol::undeclared},
      {"", "", mesh::Protocol::undeclared},
      {"http2", "", mesh::Protocol::http2},
      {"grpc-web", "", mesh::Protocol::grpc},
      {"grpc-web-x", "", mesh::Protocol::grpc},
      {"https-admin", "", mesh::Protocol::tls},
      {"mongo", "", mesh::Protocol::tcp},
      {"http", "tcp", mesh::Protocol::tcp},
      {"http", "kubernetes.io/h2c", mesh::Protocol::http2},
      {"http", "example.com/own", mesh::Protocol::undeclared},
      {"udp-x", "", mesh::Protocol::undeclared},
  };
  for (const Case& each : cases) {
    EXPECT_EQ(protocol_of(Protocol::tcp, each.name, each.app_protocol), each.wanted)
        << each.name << " " << each.app_protocol;
  }
  EXPECT_EQ(protocol_of(Protocol::udp, "http", ""), mesh::Protocol::udp);
}

constexpr const char* pods = R"(
---
apiVersion: v1
kind: Node
metadata: {name: node1, labels: {topology.kubernetes.io/zone: east}}
spec: {podCIDRs: [10.244.1.0/24]}
status: {addresses: [{type: InternalIP, address: 172.30.0.1}, {type: Hostname, address: node1}]}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: reviews-v1-5d8f6
  namespace: shop
  ownerReferences:
  - {apiVersion: apps/v1, kind: Deployment, name: reviews-v1, uid: a, controller: true}
spec:
  selector: {matchLabels: {app: reviews}}
  template: {metadata: {labels: {app: reviews}}, spec: {containers: [{name: reviews, image: x}]}}
---
apiVersion: v1
kind: Pod
metadata:
  name: reviews-v1-5d8f6-abcde
  namespace: shop
  labels: {app: reviews, pod-template-hash: 5d8f6}
  annotations:
    fairlead/proxy: fairlead
    traffic.sidecar.istio.io/excludeOutboundPorts: "3306"
  ownerReferences:
  - {apiVersion: apps/v1, kind: ReplicaSet, name: reviews-v1-5d8f6, uid: b, controller: true}
spec:
  nodeName: node1
  serviceAccountName: reviews
  initContainers: [{name: istio-init, image: x}]
  containers:
  - {name: reviews, image: x, ports: [{name: web, containerPort: 9080}]}
  - {name: istio-proxy, image: x}
status:
  phase: Running
  conditions: [{type: Ready, status: "True"}]
  podIP: 10.244.1.5
  podIPs: [{ip: 10.244.1.5}, {ip: "fd00:10:244:1::5"}]
)";

using Owners = std::vector<mesh::Owner>;

TEST(Facts, APodKnowsItsOwnersSidecarAndCapture) {
  const mesh::World world = world_from(std::string(service) + pods);
  ASSERT_EQ(world.workloads.size(), 1U);
  const mesh::Workload& pod = world.workloads[0];
  EXPECT_EQ(pod.owners, (Owners{{"ReplicaSet", "reviews-v1-5d8f6"}, {"Deployment", "reviews-v1"}}));
  EXPECT_EQ(pod.sidecar, mesh::Sidecar::fairlead);
  EXPECT_EQ(pod.capture.at("excludeOutboundPorts"), "3306");
  EXPECT_EQ(pod.addresses.size(), 2U);
  EXPECT_EQ(pod.node, "node1");
  EXPECT_TRUE(pod.ready);
  EXPECT_EQ(pod.containers, (std::vector<std::string>{"reviews", "istio-proxy"}));
  EXPECT_EQ(pod.init_containers, std::vector<std::string>{"istio-init"});
  EXPECT_TRUE(world.ignored.empty());
  ASSERT_EQ(world.nodes.size(), 1U);
  EXPECT_EQ(world.nodes[0].addresses.size(), 1U);
}

TEST(Facts, APodThatHasEndedIsKeptApart) {
  for (const char* phase : {"Succeeded", "Failed"}) {
    std::string ended = pods;
    ended.replace(ended.find("phase: Running"), 14, std::string("phase: ") + phase);
    const mesh::World world = world_from(std::string(service) + "---" + slice + ended);
    EXPECT_TRUE(world.workloads.empty());
    ASSERT_EQ(world.ended.size(), 1U);
    EXPECT_EQ(world.ended[0].ended, phase);
    EXPECT_EQ(world.ended[0].owners.back().name, "reviews-v1");
    EXPECT_EQ(world.ended[0].addresses.size(), 2U);
  }
}

TEST(Facts, AnOwnerIsFoundWithoutItsReplicaSet) {
  kube::Objects objects = objects_from(std::string(service) + pods);
  objects.replica_sets.clear();
  const mesh::Owner set{"ReplicaSet", "reviews-v1-5d8f6"};
  EXPECT_EQ(owners_of(objects.pods[0], objects), (Owners{set, {"Deployment", "reviews-v1"}}));
  objects.pods[0].metadata.labels.clear();
  EXPECT_EQ(owners_of(objects.pods[0], objects), Owners{set});
  objects.pods[0].metadata.owners.clear();
  EXPECT_EQ(owners_of(objects.pods[0], objects), Owners{});
}

TEST(Facts, AnEndpointKnowsThePodBehindIt) {
  const mesh::World world = world_from(std::string(service) + "---" + slice + pods);
  const mesh::Endpoint& endpoint = world.services[0].endpoints[0];
  EXPECT_EQ(endpoint.workload, "shop/reviews-v1-5d8f6-abcde");
  EXPECT_EQ(endpoint.zone, "east");
  EXPECT_EQ(endpoint.service_account, "reviews");
  EXPECT_EQ(endpoint.labels.at("app"), "reviews");
  EXPECT_EQ(world.services[0].endpoints[1].workload, "");
}

// A proxy that control configures stands before a port unless its pod's capture leaves the port
// out.
TEST(Facts, AnEndpointsPortKnowsWhetherAProxyTakesIt) {
  const auto proxied = [](const std::string& annotation) {
    std::string of = pods;
    of.replace(of.find("fairlead/proxy: fairlead"), 24, annotation);
    const mesh::World world = world_from(std::string(service) + "---" + slice + of);
    const mesh::Endpoint& stranger = world.services[0].endpoints[1];
    for (const mesh::EndpointPort& port : stranger.ports) EXPECT_FALSE(port.proxied);
    return world.services[0].endpoints[0].ports.at(0).proxied;
  };
  EXPECT_TRUE(proxied("fairlead/proxy: fairlead"));
  EXPECT_TRUE(proxied("fairlead/proxy: envoy"));
  EXPECT_FALSE(proxied("other: annotation"));  // an Envoy that something else configures
  EXPECT_FALSE(proxied(
      "fairlead/proxy: fairlead\n    traffic.sidecar.istio.io/includeInboundPorts: \"81\""));
  EXPECT_FALSE(
      proxied("fairlead/proxy: fairlead\n    traffic.sidecar.istio.io/includeInboundPorts: \"\""));
}

TEST(Facts, ASidecarThatNobodyNamedIsAnEnvoy) {
  kube::Objects objects = objects_from(std::string(service) + pods);
  objects.pods[0].metadata.annotations.clear();
  EXPECT_EQ(sidecar_of(objects.pods[0]), mesh::Sidecar::envoy);
  objects.pods[0].spec.containers.pop_back();
  EXPECT_EQ(sidecar_of(objects.pods[0]), mesh::Sidecar::none);
}

TEST(Facts, PlainManifestsNameWhatNobodyRuns) {
  const mesh::World world = world_from(std::string(service) + R"(
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews-v1, namespace: shop}
spec:
  selector: {matchLabels: {app: reviews}}
  template: {metadata: {labels: {app: reviews}}, spec: {containers: [{name: reviews, image: x}]}}
)");
  std::vector<std::string> ignored;
  ignored.reserve(world.ignored.size());
  for (const mesh::Ignored& each : world.ignored) {
    ignored.push_back(each.origin.describe() + ": " + each.field + ": " + each.reason);
  }
  EXPECT_EQ(ignored,
            (std::vector<std::string>{
                "Service shop/reviews (shop.yaml:2): spec.selector: pods are not run from files, "
                "and no EndpointSlice or Endpoints of this Service is given",
                "Deployment shop/reviews-v1 (shop.yaml:14): : pods are not run from files: it "
                "takes a lab"}));
}

constexpr const char* machine = R"(
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: reviews-vm, namespace: shop, annotations: {fairlead/vm: "true"}}
spec: {address: 10.200.0.2, labels: {app: reviews}, ports: {http: 8080}, weight: 3}
)";

TEST(Facts, AServiceSelectsVirtualMachinesToo) {
  const mesh::World world = world_from(std::string(service) + machine);
  ASSERT_EQ(world.workloads.size(), 1U);
  EXPECT_EQ(world.workloads[0].kind, mesh::WorkloadKind::vm);
  EXPECT_EQ(words_of(world.services[0]), "10.200.0.2 http=8080 metrics=15014 ready serving\n");
  EXPECT_EQ(world.services[0].endpoints[0].weight, 3U);
  EXPECT_EQ(world.services[0].endpoints[0].workload, "shop/reviews-vm");
  EXPECT_TRUE(world.ignored.empty());
}

TEST(Facts, AMachinesLabelsAreThoseOfItsMetadataAboveThoseOfItsSpec) {
  std::string labelled = machine;
  const std::string annotations = "annotations: {fairlead/vm: \"true\"}";
  labelled.replace(labelled.find(annotations), annotations.size(),
                   "labels: {app: reviews, tier: front}");
  labelled.replace(labelled.find("labels: {app: reviews},"), 23, "labels: {app: other, at: home},");
  const mesh::World world = world_from(std::string(service) + labelled);
  EXPECT_EQ(words_of(world.services[0]), "10.200.0.2 http=8080 metrics=15014 ready serving\n");
  EXPECT_EQ(world.workloads[0].labels, (std::map<std::string, std::string>{
                                           {"app", "reviews"}, {"at", "home"}, {"tier", "front"}}));
}

TEST(Facts, AServiceEntryIsAServiceForEachHost) {
  const mesh::World world = world_from(R"(
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside, namespace: shop}
spec:
  hosts: [api.example.com, "*.example.org"]
  addresses: [192.0.2.10, 198.51.100.0/24]
  location: MESH_EXTERNAL
  resolution: DNS
  ports: [{number: 443, name: https, protocol: TLS}, {number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 203.0.113.5, ports: {https: 8443}}, {address: api.backend}]
)");
  ASSERT_EQ(world.services.size(), 1U);
  const mesh::Service& made = world.services[0];
  EXPECT_EQ(made.host, "api.example.com");
  EXPECT_EQ(made.kind, mesh::ServiceKind::external);
  EXPECT_TRUE(made.mesh_external);
  EXPECT_EQ(made.ports[0].port, 80);
  EXPECT_EQ(made.ports[1].protocol, mesh::Protocol::tls);
  EXPECT_EQ(words_of(made), "203.0.113.5 https=8443 http=80 ready serving\n");
  std::vector<std::string> fields;
  fields.reserve(world.ignored.size());
  for (const mesh::Ignored& each : world.ignored) fields.push_back(each.field);
  EXPECT_EQ(fields, (std::vector<std::string>{"spec.addresses", "spec.endpoints", "spec.hosts"}));
}

std::string entry(const std::string& full_name, const std::string& spec) {
  const std::size_t slash = full_name.find('/');
  return "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {namespace: " +
         full_name.substr(0, slash) + ", name: " + full_name.substr(slash + 1) +
         "}\nspec: " + spec + "\n";
}

std::string losers_of(const mesh::World& world) {
  std::string text;
  for (const mesh::Ignored& each : world.contested) {
    text += each.origin.name + ": " + each.field + ": " + each.reason + '\n';
    EXPECT_NE(std::find(world.ignored.begin(), world.ignored.end(), each), world.ignored.end());
  }
  return text;
}

TEST(Facts, EntriesOfOneHostHaveThePortsOfBoth) {
  const mesh::World world =
      world_from(entry("shop/one",
                       "{hosts: [api.example.com], addresses: [192.0.2.10], resolution: STATIC, "
                       "ports: [{number: 8080, name: http, protocol: HTTP}], endpoints: [{address: "
                       "203.0.113.1}]}") +
                 entry("shop/two",
                       "{hosts: [api.example.com], addresses: [192.0.2.10], resolution: STATIC, "
                       "ports: [{number: 9090, name: http, protocol: HTTP, targetPort: 8081}, "
                       "{number: 8080, name: tcp, protocol: TCP}], "
                       "endpoints: [{address: 203.0.113.2, ports: {tcp: 7070}}]}"));
  ASSERT_EQ(world.services.size(), 1U);
  const mesh::Service& made = world.services[0];
  ASSERT_EQ(made.ports.size(), 2U);
  EXPECT_EQ(made.ports[0].port, 8080);
  EXPECT_EQ(made.ports[0].protocol, mesh::Protocol::http);
  EXPECT_EQ(made.ports[1].port, 9090);
  EXPECT_EQ(made.ports[1].name, "http-9090");
  EXPECT_EQ(words_of(made),
            "203.0.113.1 http=8080 ready serving\n"
            "203.0.113.2 http-9090=8081 http=7070 ready serving\n");
  EXPECT_THAT(losers_of(world),
              ::testing::StartsWith("two: spec.ports: port 8080 of api.example.com is http by "
                                    "ServiceEntry shop/one"));
}

TEST(Facts, AServiceKeepsItsHostAndAddressBeforeAnEntry) {
  const mesh::World world = world_from(
      "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\n"
      "spec: {clusterIP: 10.96.0.12, selector: {app: web}, ports: [{port: 80}]}\n" +
      entry("other/thief",
            "{hosts: [web.shop.svc.cluster.local], resolution: STATIC, "
            "ports: [{number: 80, name: http}], endpoints: [{address: 203.0.113.1}]}") +
      entry("other/squatter",
            "{hosts: [api.example.com], addresses: [10.96.0.12], resolution: STATIC, "
            "ports: [{number: 80, name: http}], endpoints: [{address: 203.0.113.2}]}") +
      entry("shop/more",
            "{hosts: [web.shop.svc.cluster.local], resolution: STATIC, "
            "ports: [{number: 80, name: http}], endpoints: [{address: 203.0.113.3}]}"));
  const mesh::Service* web = mesh::find_service_by_host(world, "web.shop.svc.cluster.local");
  ASSERT_NE(web, nullptr);
  ASSERT_EQ(web->endpoints.size(), 1U);
  EXPECT_EQ(web->endpoints[0].address.text(), "203.0.113.3") << "of its own namespace";
  EXPECT_TRUE(mesh::find_service_by_host(world, "api.example.com")->addresses.empty());
  EXPECT_THAT(losers_of(world),
              ::testing::AllOf(::testing::HasSubstr("thief: spec.hosts: web.shop.svc.cluster.local "
                                                    "is the host of Service shop/web"),
                               ::testing::HasSubstr("squatter: spec.addresses: 10.96.0.12 is the "
                                                    "address of Service shop/web")));
}

TEST(Facts, APortThatServicesDeclareDifferentlyIsTold) {
  const auto service_named = [](const std::string& name, const std::string& port) {
    return "---\napiVersion: v1\nkind: Service\nmetadata: {name: " + name +
           "}\nspec: {selector: {app: db}, ports: [{name: " + port +
           ", port: 5000}]}\n---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: "
           "{name: " +
           name + "-1, labels: {kubernetes.io/service-name: " + name +
           "}}\naddressType: IPv4\nports: [{name: " + port +
           ", port: 5432}]\nendpoints: [{addresses: [10.244.1.5]}, {addresses: [10.244.1.6]}]\n";
  };
  const mesh::World world = world_from(service_named("a", "http") + service_named("b", "tcp") +
                                       service_named("c", "tcp-sql") + service_named("d", "any"));
  EXPECT_THAT(losers_of(world),
              ::testing::StartsWith("a: spec.ports: port 5000 is declared http, and Service "
                                    "default/b"));
  EXPECT_EQ(world.contested.size(), 1U);
  EXPECT_TRUE(world_from(service_named("a", "http") + service_named("d", "any")).contested.empty());
}

TEST(Facts, AServiceEntrySelectsMachinesAndPods) {
  const mesh::World world = world_from(std::string(R"(
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews.example.com]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 9080}]
  workloadSelector: {labels: {app: reviews}}
)") + machine + pods);
  EXPECT_EQ(words_of(world.services[0]),
            "10.200.0.2 http=8080 ready serving\n"
            "10.244.1.5 http=9080 ready serving\n"
            "fd00:10:244:1::5 http=9080 ready serving\n");
}

}  // namespace
}  // namespace fairlead::registry
