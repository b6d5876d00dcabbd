#include "kube/controllers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>

#include "kube/inject.h"
#include "kube/read.h"
#include "kube/services.h"
#include "kube/settle.h"
#include "kube/write.h"

namespace fairlead::kube {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

Objects objects_in(const std::string& text) {
  Result<std::vector<document::Document>> documents = document::parse(text, "a.yaml");
  EXPECT_TRUE(documents.ok()) << (documents.ok() ? "" : documents.fault().describe());
  if (!documents.ok()) return {};
  Result<Reading> reading = read(*documents);
  EXPECT_TRUE(reading.ok()) << (reading.ok() ? "" : reading.fault().describe());
  return reading.ok() ? std::move(reading->objects) : Objects{};
}

std::string deployment(const std::string& name, int replicas, const std::string& version = "v1") {
  return "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: " + name +
         "}\nspec:\n  replicas: " + std::to_string(replicas) +
         "\n  selector: {matchLabels: {app: " + name +
         "}}\n  template:\n    metadata: {labels: {app: " + name + ", version: " + version +
         "}}\n    spec: {containers: [{name: app, image: x, ports: [{name: http, containerPort: "
         "9080}]}]}\n";
}

const char* const two_nodes =
    "---\napiVersion: v1\nkind: Node\nmetadata: {name: node1, labels: {disk: fast, "
    "topology.kubernetes.io/zone: a}}\nspec: {podCIDRs: [10.244.1.0/24]}\n"
    "---\napiVersion: v1\nkind: Node\nmetadata: {name: node2}\nspec: {podCIDRs: "
    "[10.244.2.0/24]}\n";

// A cluster in which a pod is ready as soon as it was made, one step after the other.
class Cluster {
 public:
  explicit Cluster(const std::string& manifests) { wanted = objects_in(manifests); }

  // One step of the controllers; false when there was nothing to do.
  bool step() {
    const Step next = next_step(wanted, now, random);
    now.replica_sets = next.replica_sets;
    now.revisions = next.revisions;
    hindered = next.hindered;
    for (const Removal& removal : next.remove) {
      reasons.push_back(removal.reason);
      std::erase_if(now.pods, [&](const Pod& pod) { return pod.metadata.name == removal.name; });
    }
    for (const Pod& pod : next.create) {
      now.pods.push_back(pod);
      mark_running(now.pods.back());
      settle_status(now.pods.back());
    }
    least = std::min(least, static_cast<int>(now.pods.size()));
    most = std::max(most, static_cast<int>(now.pods.size()));
    return !next.settled();
  }

  void settle() {
    for (int steps = 0; step(); ++steps) ASSERT_LT(steps, 100) << "never at rest";
  }

  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const Pod& pod : now.pods) names.push_back(pod.metadata.name);
    std::sort(names.begin(), names.end());
    return names;
  }

  Objects wanted;
  Objects now;
  SeededRandom random{7};
  std::vector<std::string> reasons;
  std::vector<Hindrance> hindered;
  int least = 0;
  int most = 0;
};

TEST(Controllers, ADeploymentKeepsItsPodsThroughAReplicaSet) {
  Cluster cluster(deployment("web", 3));
  cluster.settle();
  ASSERT_THAT(cluster.now.pods, SizeIs(3));
  ASSERT_THAT(cluster.now.replica_sets, SizeIs(1));
  const Pod& pod = cluster.now.pods[0];
  EXPECT_THAT(pod.metadata.name, StartsWith(cluster.now.replica_sets[0].metadata.name + "-"));
  EXPECT_EQ(pod.metadata.labels.at(template_hash_label),
            template_hash(cluster.wanted.deployments[0].pod_template));
  EXPECT_EQ(pod.metadata.origin, cluster.wanted.deployments[0].metadata.origin);
  EXPECT_EQ(workload_of(pod.metadata), (WorkloadName{"Deployment", "web"}));
  EXPECT_TRUE(is_ready(pod));

  const std::vector<std::string> before = cluster.names();
  cluster.settle();
  EXPECT_EQ(cluster.names(), before) << "what is as wanted is left alone";
}

TEST(Controllers, ScalingDownTakesAwayAndUpAdds) {
  Cluster cluster(deployment("web", 4));
  cluster.settle();
  const std::vector<std::string> before = cluster.names();
  cluster.wanted.deployments[0].replicas = 2;
  cluster.settle();
  EXPECT_THAT(cluster.now.pods, SizeIs(2));
  EXPECT_THAT(cluster.reasons, testing::Each(HasSubstr("Deployment default/web wants 2")));
  for (const std::string& name : cluster.names()) EXPECT_THAT(before, testing::Contains(name));
  cluster.wanted.deployments[0].replicas = 5;
  cluster.settle();
  EXPECT_THAT(cluster.now.pods, SizeIs(5));
}

TEST(Controllers, AChangedTemplateRollsWithoutGoingBelowWhatIsAllowed) {
  Cluster cluster(deployment("web", 4));
  cluster.settle();
  const std::vector<std::string> before = cluster.names();
  cluster.wanted = objects_in(deployment("web", 4, "v2"));
  cluster.least = cluster.most = 4;
  cluster.settle();
  EXPECT_THAT(cluster.now.pods, SizeIs(4));
  for (const Pod& pod : cluster.now.pods) EXPECT_EQ(pod.metadata.labels.at("version"), "v2");
  EXPECT_GE(cluster.least, 3) << "25 % unavailable of 4, rounded down";
  EXPECT_LE(cluster.most, 5) << "25 % surge of 4, rounded up";
  for (const std::string& name : cluster.names()) {
    EXPECT_THAT(before, testing::Not(testing::Contains(name)));
  }
}

TEST(Controllers, AnIgnoredFieldReplacesNothing) {
  Cluster cluster(deployment("web", 1));
  cluster.settle();
  const auto before = cluster.names();
  std::string edited = deployment("web", 1);
  edited.replace(edited.find("image: x"), 8, "image: x, imagePullPolicy: Always");
  cluster.wanted = objects_in(edited);
  cluster.settle();
  EXPECT_EQ(cluster.names(), before);
}

TEST(Controllers, WhatNobodyWantsAnyMoreGoes) {
  Cluster cluster(deployment("web", 2));
  cluster.settle();
  cluster.wanted.deployments.clear();
  cluster.settle();
  EXPECT_THAT(cluster.now.pods, IsEmpty());
}

TEST(Controllers, AStatefulSetGoesInOrder) {
  Cluster cluster(R"(
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 3
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: app, image: x}]}
)");
  EXPECT_TRUE(cluster.step());
  EXPECT_THAT(cluster.names(), ElementsAre("db-0"));
  EXPECT_TRUE(cluster.step());
  EXPECT_THAT(cluster.names(), ElementsAre("db-0", "db-1"));
  cluster.settle();
  EXPECT_THAT(cluster.names(), ElementsAre("db-0", "db-1", "db-2"));
  EXPECT_EQ(cluster.now.pods[1].spec.subdomain, "db");
  cluster.wanted.stateful_sets[0].replicas = 1;
  cluster.settle();
  EXPECT_THAT(cluster.names(), ElementsAre("db-0"));
}

TEST(Controllers, BelowItsPartitionAStatefulSetKeepsTheOldTemplateAlsoForAPodThatDied) {
  Cluster cluster(R"(
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 3
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: app, image: old}]}
)");
  cluster.settle();
  StatefulSet& set = cluster.wanted.stateful_sets[0];
  const auto images = [&] {
    std::map<std::string, std::string> by_name;
    for (const Pod& pod : cluster.now.pods) {
      by_name[pod.metadata.name] = pod.spec.containers[0].image;
    }
    return by_name;
  };
  const auto die = [&](const std::string& name) {
    std::erase_if(cluster.now.pods, [&](const Pod& pod) { return pod.metadata.name == name; });
    cluster.settle();
  };
  using Images = std::map<std::string, std::string>;
  set.partition = 2;
  set.pod_template.spec.containers[0].image = "new";
  cluster.settle();
  EXPECT_EQ(images(), (Images{{"db-0", "old"}, {"db-1", "old"}, {"db-2", "new"}}));
  const std::string before = cluster.now.pods[0].metadata.labels.at("controller-revision-hash");
  for (const char* name : {"db-0", "db-1", "db-2"}) die(name);
  EXPECT_EQ(images(), (Images{{"db-0", "old"}, {"db-1", "old"}, {"db-2", "new"}}));
  for (const Pod& pod : cluster.now.pods) {
    const bool same = pod.metadata.labels.at("controller-revision-hash") == before;
    EXPECT_EQ(same, pod.metadata.name != "db-2") << pod.metadata.name;
  }
  set.partition = 0;
  cluster.settle();
  EXPECT_EQ(images(), (Images{{"db-0", "new"}, {"db-1", "new"}, {"db-2", "new"}}));
  set.partition = 3;  // all have the new one, so that is what they keep
  die("db-1");
  EXPECT_EQ(images().at("db-1"), "new");
}

TEST(Controllers, ADaemonSetHasAPodOnEachNodeThatItSelects) {
  Cluster cluster(R"(
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: app, image: x}]}
)");
  cluster.now.nodes = objects_in(two_nodes).nodes;
  cluster.settle();
  ASSERT_THAT(cluster.now.pods, SizeIs(2));
  EXPECT_NE(cluster.now.pods[0].spec.node_name, cluster.now.pods[1].spec.node_name);
  cluster.wanted.daemon_sets[0].pod_template.spec.node_selector = {{"disk", "fast"}};
  cluster.settle();
  ASSERT_THAT(cluster.now.pods, SizeIs(1));
  EXPECT_EQ(cluster.now.pods[0].spec.node_name, "node1");
}

TEST(Controllers, ABarePodIsMadeOnceAndReplacedWhenItsManifestChanges) {
  const std::string pod =
      "apiVersion: v1\nkind: Pod\nmetadata: {name: one}\nspec: {containers: [{name: a, image: x}]}";
  Cluster cluster(pod);
  cluster.settle();
  ASSERT_THAT(cluster.names(), ElementsAre("one"));
  const std::string uid = cluster.now.pods[0].metadata.uid;
  cluster.settle();
  EXPECT_EQ(cluster.now.pods[0].metadata.uid, uid);
  cluster.wanted.pods[0].spec.containers[0].args = {"more"};
  cluster.settle();
  ASSERT_THAT(cluster.names(), ElementsAre("one"));
  EXPECT_NE(cluster.now.pods[0].metadata.uid, uid);
}

TEST(Schedule, PodsGoRoundAndSelectorsAreKept) {
  const std::vector<Node> nodes = objects_in(two_nodes).nodes;
  Pod pod;
  pod.metadata.name = "a";
  std::vector<Pod> pods;
  for (const char* expected : {"node1", "node2", "node1"}) {
    const Result<std::string> node = choose_node(pod, nodes, pods);
    ASSERT_TRUE(node.ok());
    EXPECT_EQ(*node, expected);
    pods.push_back(pod);
    pods.back().spec.node_name = *node;
  }
  pod.spec.node_selector = {{"disk", "fast"}};
  EXPECT_EQ(*choose_node(pod, nodes, pods), "node1");
  pod.spec.node_selector = {{"disk", "slow"}};
  EXPECT_THAT(choose_node(pod, nodes, pods).fault().message, HasSubstr("slow"));
}

std::string service(const std::string& name, const std::string& more = "") {
  return "---\napiVersion: v1\nkind: Service\nmetadata: {name: " + name +
         "}\nspec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]" +
         more + "}\n";
}

TEST(ClusterIps, FollowFromTheNameAndStay) {
  Objects first = objects_in(service("a") + service("b"));
  ASSERT_TRUE(allocate_cluster_ips(first.services).ok());
  Objects again = objects_in(service("b") + service("c") + service("a"));
  ASSERT_TRUE(allocate_cluster_ips(again.services, first.services).ok());
  EXPECT_EQ(find(first.services, "default", "a")->cluster_ips,
            find(again.services, "default", "a")->cluster_ips);
  EXPECT_TRUE(first.services[0].cluster_ips.at(0).within(default_ranges().v4, 16));
  EXPECT_NE(first.services[0].cluster_ips, first.services[1].cluster_ips);
}

TEST(ClusterIps, TheAddressOfDnsIsItsOwn) {
  Service service;
  service.metadata = {
      .name_space = "default", .name = "web", .origin = {.file = "a.yaml", .line = 3}};
  service.cluster_ips = {*IpAddress::parse("10.96.0.10")};
  std::vector<Service> services{service};
  const Result<> given = allocate_cluster_ips(services);
  ASSERT_FALSE(given.ok());
  EXPECT_EQ(given.fault().message,
            "a.yaml:3: spec.clusterIP: 10.96.0.10 is where the cluster's DNS answers");
  services.front().metadata.name_space = "kube-system";
  services.front().metadata.name = "kube-dns";
  EXPECT_TRUE(allocate_cluster_ips(services).ok()) << "it is the DNS itself";
}

TEST(ClusterIps, TwoFamiliesAreAskedForAndAddressesTakenTwiceRefused) {
  Objects both = objects_in(service("a", ", ipFamilyPolicy: RequireDualStack"));
  ASSERT_TRUE(allocate_cluster_ips(both.services).ok());
  ASSERT_THAT(both.services[0].cluster_ips, SizeIs(2));
  EXPECT_FALSE(both.services[0].cluster_ips[1].is_v4());
  Objects twice =
      objects_in(service("a", ", clusterIP: 10.96.0.77") + service("b", ", clusterIP: 10.96.0.77"));
  const Result<> refused = allocate_cluster_ips(twice.services);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.fault().message,
              testing::AllOf(HasSubstr("10.96.0.77"), HasSubstr("a.yaml")));
}

TEST(EndpointSlices, FollowReadinessAndNamedPorts) {
  Cluster cluster(deployment("web", 2) + service("web"));
  cluster.settle();
  Objects objects = cluster.wanted;
  objects.pods = cluster.now.pods;
  objects.pods[0].status.pod_ips = {*IpAddress::parse("10.244.1.2"), *IpAddress::parse("fd00::2")};
  objects.pods[1].status.pod_ips = {*IpAddress::parse("10.244.2.2")};
  set_condition(objects.pods[1].status.conditions, {.type = "Ready", .status = "False"});
  const std::vector<EndpointSlice> slices = endpoint_slices_of(objects);
  ASSERT_THAT(slices, SizeIs(1));
  EXPECT_THAT(slices[0].metadata.name, StartsWith("web-"));
  EXPECT_EQ(slices[0].metadata.labels.at(service_name_label), "web");
  ASSERT_THAT(slices[0].ports, SizeIs(1));
  EXPECT_EQ(slices[0].ports[0].port, 9080);
  ASSERT_THAT(slices[0].endpoints, SizeIs(2));
  const auto ready = std::count_if(slices[0].endpoints.begin(), slices[0].endpoints.end(),
                                   [](const SliceEndpoint& one) { return one.is_ready(); });
  EXPECT_EQ(ready, 1);
  objects.pods[0].metadata.deletion_time = "2026-01-01T00:00:00Z";
  const std::vector<EndpointSlice> later = endpoint_slices_of(objects);
  for (const SliceEndpoint& one : later[0].endpoints) {
    EXPECT_FALSE(one.is_ready());
  }
}

Pod pod_in(const std::string& name_space, StringMap labels = {}, StringMap annotations = {}) {
  Pod pod;
  pod.metadata.name_space = name_space;
  pod.metadata.name = "one";
  pod.metadata.labels = std::move(labels);
  pod.metadata.annotations = std::move(annotations);
  pod.spec.containers.emplace_back().name = "app";
  return pod;
}

Namespace labelled(const char* label, const char* value) {
  Namespace one;
  one.metadata.name = "shop";
  if (label != nullptr) one.metadata.labels[label] = value;
  return one;
}

TEST(Injection, FollowsIstiosRulesAndOurLabel) {
  const Namespace enabled = labelled("istio-injection", "enabled");
  const Namespace disabled = labelled("istio-injection", "disabled");
  const Namespace ours = labelled("fairlead/inject", "true");
  const Namespace silent = labelled(nullptr, "");
  const auto decide = [](const Pod& pod, const Namespace& around, InjectSettings settings = {}) {
    return should_inject(pod, &around, settings).inject;
  };
  EXPECT_TRUE(decide(pod_in("shop"), enabled));
  EXPECT_TRUE(decide(pod_in("shop"), ours));
  EXPECT_FALSE(decide(pod_in("shop"), silent));
  EXPECT_FALSE(decide(pod_in("kube-system"), enabled));
  EXPECT_FALSE(decide(pod_in("shop", {{"sidecar.istio.io/inject", "false"}}), enabled));
  EXPECT_TRUE(decide(pod_in("shop", {{"sidecar.istio.io/inject", "true"}}), silent));
  EXPECT_TRUE(decide(pod_in("shop", {{"fairlead/inject", "yes"}}), silent));
  const Namespace refuses = labelled("fairlead/inject", "false");
  const InjectSettings all{.all = true, .namespaces = {"shop"}};
  EXPECT_TRUE(decide(pod_in("shop"), silent, all));
  EXPECT_FALSE(decide(pod_in("shop"), refuses, all)) << "--inject is for who says nothing";
  EXPECT_FALSE(decide(pod_in("shop", {{"fairlead/inject", "true"}}), refuses))
      << "as with istio-injection=disabled";
  EXPECT_FALSE(decide(pod_in("shop", {{"sidecar.istio.io/inject", "true"}}), disabled));
  EXPECT_FALSE(decide(pod_in("shop", {}, {{"sidecar.istio.io/inject", "false"}}), enabled));
  EXPECT_FALSE(decide(pod_in("shop", {}, {{"sidecar.istio.io/inject", "true"}}), silent));
  EXPECT_TRUE(decide(pod_in("shop"), silent, {.all = true}));
  EXPECT_TRUE(decide(pod_in("shop"), silent, {.namespaces = {"shop"}}));
  EXPECT_FALSE(decide(pod_in("other"), silent, {.namespaces = {"shop"}}));
  EXPECT_FALSE(decide(pod_in("shop"), disabled, {.all = true}));
  Pod host = pod_in("shop");
  host.spec.host_network = true;
  EXPECT_FALSE(decide(host, enabled));
}

TEST(Injection, AddsAVisibleInitContainerAndAProxyThatIsNotInjectedTwice) {
  Pod pod = pod_in("shop", {}, {{"traffic.sidecar.istio.io/excludeOutboundPorts", "3306"}});
  ASSERT_TRUE(inject(pod).ok());
  ASSERT_THAT(pod.spec.init_containers, SizeIs(1));
  EXPECT_EQ(pod.spec.init_containers[0].name, init_container_name);
  EXPECT_THAT(pod.spec.init_containers[0].command,
              testing::IsSupersetOf({"--istio-local-outbound-ports-exclude", "3306"}));
  ASSERT_THAT(pod.spec.containers, SizeIs(2));
  EXPECT_EQ(pod.spec.containers[0].name, proxy_container_name);
  EXPECT_EQ(pod.spec.containers[0].security.run_as_user, proxy_user);
  EXPECT_EQ(pod.metadata.annotations.at(proxy_kind_annotation), "fairlead");
  const Namespace enabled = labelled("istio-injection", "enabled");
  EXPECT_FALSE(should_inject(pod, &enabled).inject);

  Pod wrong = pod_in("shop", {}, {{"fairlead/proxy", "squid"}});
  const Result<> refused = inject(wrong);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.fault().message, HasSubstr("'squid' is no proxy"));
}

// ── manifests that hold what controllers made ───────────────────────────────────────────────────

std::string stateful_set(int replicas) {
  return "---\napiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: s}\nspec: {serviceName: s, "
         "replicas: " +
         std::to_string(replicas) +
         ", selector: {matchLabels: {app: s}}, template: {metadata: {labels: {app: s}}, spec: "
         "{containers: [{name: app, image: x}]}}}\n";
}

std::string bare_pod(const std::string& name, const std::string& more) {
  return "---\napiVersion: v1\nkind: Pod\nmetadata: {name: " + name + ", " + more +
         "}\nspec: {containers: [{name: app, image: x}]}\n";
}

std::string owned_by(const std::string& kind, const std::string& name) {
  return "ownerReferences: [{apiVersion: apps/v1, kind: " + kind + ", name: " + name +
         ", uid: u-1, controller: true}]";
}

std::vector<std::string> left_in(const Objects& manifests) {
  std::vector<std::string> left;
  for (const Ignored& one : left_to_controllers(manifests)) left.push_back(one.describe());
  return left;
}

TEST(Dumps, APodThatAStatefulSetOwnsOrWouldAdoptIsLeftToIt) {
  for (const std::string& more :
       {std::string("labels: {app: s}"), "labels: {app: s}, " + owned_by("StatefulSet", "s")}) {
    Cluster cluster(stateful_set(2) + bare_pod("s-0", more));
    cluster.settle();
    EXPECT_THAT(cluster.names(), ElementsAre("s-0", "s-1"));
    EXPECT_THAT(cluster.reasons, IsEmpty());
    EXPECT_THAT(cluster.hindered, IsEmpty());
    EXPECT_EQ(controller_of(cluster.now.pods[0].metadata)->kind, "StatefulSet");
    EXPECT_THAT(left_in(cluster.wanted),
                ElementsAre(testing::AllOf(
                    HasSubstr("Pod default/s-0"),
                    HasSubstr("it is left to StatefulSet default/s, which makes its own"))));
  }
}

TEST(Dumps, AStatefulSetWaitsWhileAnotherPodHasTheNameOfItsOwn) {
  Cluster cluster(stateful_set(2) + bare_pod("s-0", "labels: {app: other}"));
  cluster.settle();
  EXPECT_THAT(cluster.names(), ElementsAre("s-0"));
  EXPECT_THAT(left_in(cluster.wanted), IsEmpty());
  ASSERT_THAT(cluster.hindered, SizeIs(1));
  EXPECT_EQ(cluster.hindered[0].who, "StatefulSet default/s");
  EXPECT_THAT(cluster.hindered[0].why,
              testing::AllOf(StartsWith("cannot make its pod s-0: "), HasSubstr("has that name")));
  cluster.wanted.stateful_sets[0].parallel = true;
  cluster.settle();
  EXPECT_THAT(cluster.names(), ElementsAre("s-0", "s-1"));
  cluster.wanted.pods.clear();
  cluster.settle();
  EXPECT_THAT(cluster.hindered, IsEmpty());
  EXPECT_THAT(cluster.names(), ElementsAre("s-0", "s-1"));
  EXPECT_THAT(cluster.reasons, ElementsAre("nothing asks for it any more"));
}

TEST(Dumps, APodThatTakesTheNameOfAStatefulSetsPodReplacesItOnce) {
  Cluster cluster(stateful_set(1));
  cluster.settle();
  cluster.wanted = objects_in(stateful_set(1) + bare_pod("s-0", "labels: {app: other}"));
  cluster.settle();
  EXPECT_THAT(cluster.names(), ElementsAre("s-0"));
  EXPECT_EQ(controller_of(cluster.now.pods[0].metadata), nullptr);
  EXPECT_THAT(cluster.reasons, ElementsAre("its manifest has changed"));
  EXPECT_THAT(cluster.hindered, SizeIs(1));
}

TEST(Dumps, AReplicaSetOfADeploymentAndItsPodsAreLeftToTheDeployment) {
  const auto replica_set = [](const std::string& more) {
    return "---\napiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: web-abc, labels: {app: "
           "web}" +
           more +
           "}\nspec: {replicas: 2, selector: {matchLabels: {app: web}}, template: {metadata: "
           "{labels: {app: web}}, spec: {containers: [{name: app, image: x}]}}}\n";
  };
  const std::string pod =
      bare_pod("web-abc-1", "labels: {app: web}, " + owned_by("ReplicaSet", "web-abc"));
  for (const std::string& set :
       {replica_set(""), replica_set(", " + owned_by("Deployment", "web"))}) {
    Cluster cluster(deployment("web", 2) + set + pod);
    cluster.settle();
    EXPECT_THAT(cluster.now.pods, SizeIs(2));
    EXPECT_THAT(cluster.now.replica_sets, SizeIs(1));
    EXPECT_THAT(left_in(cluster.wanted),
                ElementsAre(HasSubstr("it is left to Deployment default/web"),
                            HasSubstr("it is left to ReplicaSet default/web-abc")));
    const Result<Objects> running = as_if_running(cluster.wanted);
    ASSERT_TRUE(running.ok());
    EXPECT_THAT(running->pods, SizeIs(2));
    EXPECT_THAT(running->replica_sets, SizeIs(1));
  }
  Cluster without_deployment(replica_set(", " + owned_by("Deployment", "web")) + pod);
  without_deployment.settle();
  EXPECT_THAT(without_deployment.now.pods, SizeIs(2));
  EXPECT_THAT(without_deployment.now.replica_sets, SizeIs(1));
}

TEST(Dumps, NoTwoReplicaSetsHaveOneName) {
  Cluster cluster(deployment("web", 1));
  cluster.settle();
  ReplicaSet other = cluster.now.replica_sets.at(0);
  other.metadata.owners.clear();
  other.metadata.labels.clear();
  cluster.wanted.replica_sets.push_back(other);
  cluster.settle();
  EXPECT_THAT(cluster.now.replica_sets, SizeIs(1));
  EXPECT_THAT(cluster.now.pods, SizeIs(1));
  ASSERT_THAT(cluster.hindered, SizeIs(1));
  EXPECT_EQ(cluster.hindered[0].who, "ReplicaSet " + other.metadata.full_name());
}

TEST(Dumps, APodComesWithoutTheReplicaSetOrWithoutAnyController) {
  const std::string pod = bare_pod("web-abc-1", "labels: {app: web, pod-template-hash: abc}, " +
                                                    owned_by("ReplicaSet", "web-abc"));
  Cluster with_deployment(deployment("web", 1) + pod);
  with_deployment.settle();
  EXPECT_THAT(with_deployment.names(), ElementsAre(testing::Not("web-abc-1")));
  EXPECT_THAT(left_in(with_deployment.wanted),
              ElementsAre(HasSubstr("it is left to Deployment default/web")));
  Cluster alone(pod);
  alone.settle();
  EXPECT_THAT(alone.names(), ElementsAre("web-abc-1")) << "nobody else makes it";
  EXPECT_THAT(left_in(alone.wanted), IsEmpty());
}

TEST(AsIfRunning, APodOfTheHostsNetworkHasItsNodesAddress) {
  std::string host = bare_pod("host", "labels: {app: web}");
  host.replace(host.find("spec: {"), 7, "spec: {hostNetwork: true, nodeName: node2, ");
  for (const std::string nodes : {"", two_nodes}) {
    const Result<Objects> running = as_if_running(objects_in(nodes + host));
    ASSERT_TRUE(running.ok());
    ASSERT_THAT(running->pods, SizeIs(1));
    ASSERT_THAT(running->pods[0].status.pod_ips, SizeIs(2));
    EXPECT_EQ(running->pods[0].status.pod_ips[0].text(), "172.30.0.2");
  }
}

TEST(AsIfRunning, HasTheControlPlanesServicesAsALabHasThem) {
  const std::vector<IpAddress> control{*IpAddress::parse("172.30.1.1")};
  const auto running = [&](const std::string& manifests, const std::vector<IpAddress>& where) {
    return *as_if_running(objects_in(manifests), {.control = where});
  };
  const Objects cluster = running(service("web"), control);
  const Service* pilot = find(cluster.services, "istio-system", "istio-pilot");
  ASSERT_NE(pilot, nullptr);
  EXPECT_THAT(pilot->cluster_ips, SizeIs(1));
  EXPECT_NE(find(cluster.services, "fairlead-system", "fairlead-control"), nullptr);
  EXPECT_NE(find(cluster.namespaces, "", "fairlead-system"), nullptr);
  EXPECT_TRUE(std::any_of(
      cluster.endpoint_slices.begin(), cluster.endpoint_slices.end(), [](const auto& slice) {
        return slice.metadata.name_space == "istio-system" && slice.endpoints.size() == 1;
      }));

  const std::string own = R"(---
apiVersion: v1
kind: Service
metadata: {name: istio-pilot, namespace: istio-system}
spec: {ports: [{port: 1}]}
)";
  EXPECT_EQ(find(running(own, control).services, "istio-system", "istio-pilot")->ports[0].port, 1);
  EXPECT_THAT(running(service("web"), {}).services, SizeIs(1));
  const std::string foreign = R"(---
apiVersion: v1
kind: Node
metadata: {name: node1}
status: {addresses: [{type: InternalIP, address: 192.168.0.1}]}
)";
  EXPECT_THAT(running(service("web") + foreign, control).services, SizeIs(1))
      << "whose control plane is elsewhere";
}

TEST(AsIfRunning, HasEveryNodeThatAnObjectNames) {
  std::string far = bare_pod("far", "labels: {app: web}");
  far.replace(far.find("spec: {"), 7, "spec: {nodeName: node3, ");
  const std::string labelled = R"(---
apiVersion: v1
kind: Node
metadata: {name: big, labels: {disk: fast}}
)";
  const Objects manifests = objects_in(far + labelled);
  EXPECT_THAT(node_names(manifests, 2), ElementsAre("node1", "node2", "big", "node3"));
  EXPECT_THAT(node_names(manifests, 3), ElementsAre("node1", "node2", "node3", "big"));
  const Result<Objects> running = as_if_running(manifests);
  ASSERT_TRUE(running.ok());
  ASSERT_THAT(running->nodes, SizeIs(4));
  EXPECT_EQ(running->nodes[2].metadata.labels.at("disk"), "fast");
  EXPECT_EQ(running->nodes[3].addresses.front().address, "172.30.0.4");
  ASSERT_THAT(running->pods, SizeIs(1));
  EXPECT_EQ(running->pods[0].spec.node_name, "node3");
  EXPECT_EQ(running->pods[0].status.pod_ips[0].text(), "10.244.4.2");
}

TEST(AsIfRunning, LeavesAPodPendingThatFitsNoNode) {
  std::string far = bare_pod("far", "labels: {app: web}");
  far.replace(far.find("spec: {"), 7, "spec: {nodeSelector: {disk: fast}, ");
  const Result<Objects> running = as_if_running(objects_in(deployment("web", 2) + far));
  ASSERT_TRUE(running.ok());
  ASSERT_THAT(running->pods, SizeIs(3));
  for (const Pod& pod : running->pods) {
    const bool fits = pod.metadata.name != "far";
    EXPECT_EQ(is_ready(pod), fits);
    EXPECT_EQ(pod.status.pod_ips.empty(), !fits);
    if (!fits) EXPECT_THAT(pod.status.message, HasSubstr("has the labels disk=fast"));
  }
}

TEST(AsIfRunning, IsTheSameEachTimeAndReadsBackEqual) {
  const Objects manifests = objects_in(deployment("web", 3) + service("web"));
  const Result<Objects> one = as_if_running(manifests, {.nodes = 2, .injection = {.all = true}});
  const Result<Objects> two = as_if_running(manifests, {.nodes = 2, .injection = {.all = true}});
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_EQ(*one, *two);
  ASSERT_THAT(one->pods, SizeIs(3));
  EXPECT_THAT(one->nodes, SizeIs(2));
  for (const Pod& pod : one->pods) {
    EXPECT_TRUE(is_ready(pod));
    EXPECT_THAT(pod.status.pod_ips, SizeIs(2));
    EXPECT_EQ(pod.spec.containers[0].name, proxy_container_name);
  }
  ASSERT_THAT(one->endpoint_slices, SizeIs(1));
  EXPECT_THAT(one->endpoint_slices[0].endpoints, SizeIs(3));
  Objects back = objects_in(write(*one));
  EXPECT_EQ(back.pods, one->pods);
  EXPECT_EQ(back.endpoint_slices, one->endpoint_slices);
}

std::string pod_with_address(const std::string& name, const std::string& address) {
  return "---\napiVersion: v1\nkind: Pod\nmetadata: {name: " + name +
         ", labels: {app: web}}\nspec: {containers: [{name: app, image: x}]}\nstatus: {podIP: " +
         address + ", podIPs: [{ip: " + address + "}]}\n";
}

std::string written_slice(const std::string& name, const std::string& manager) {
  return "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: " + name +
         ", labels: {kubernetes.io/service-name: web, endpointslice.kubernetes.io/managed-by: " +
         manager +
         "}}\naddressType: IPv4\nendpoints: [{addresses: [10.244.9.9]}]\nports: [{port: 80}]\n";
}

std::vector<std::string> slice_names(const Objects& objects) {
  std::vector<std::string> names;
  for (const EndpointSlice& slice : objects.endpoint_slices) names.push_back(slice.metadata.name);
  return names;
}

TEST(AsIfRunning, KeepsTheAddressesThatPodsWereWrittenWith) {
  const Objects manifests =
      objects_in(service("web") + pod_with_address("one", "10.244.1.2") + deployment("web", 3));
  const Result<Objects> running = as_if_running(manifests, {.nodes = 1});
  ASSERT_TRUE(running.ok());
  std::vector<std::string> addresses;
  for (const Pod& pod : running->pods) {
    addresses.push_back(pod.status.pod_ips.front().text());
    if (pod.metadata.name == "one") EXPECT_EQ(addresses.back(), "10.244.1.2");
  }
  EXPECT_THAT(addresses, testing::UnorderedElementsAre("10.244.1.2", "10.244.1.3", "10.244.1.4",
                                                       "10.244.1.5"));
}

TEST(AsIfRunning, MakesControllersSlicesAnewOnlyWhereTheirPodsAreThere) {
  const std::string slices =
      written_slice("old", slice_controller) + written_slice("own", "somebody");
  const Result<Objects> with_pods =
      as_if_running(objects_in(service("web") + deployment("web", 1) + slices));
  ASSERT_TRUE(with_pods.ok());
  EXPECT_THAT(slice_names(*with_pods), testing::Not(testing::Contains("old")));
  EXPECT_THAT(slice_names(*with_pods), testing::Contains("own"));
  EXPECT_THAT(with_pods->endpoint_slices, SizeIs(2));
  const Result<Objects> without = as_if_running(objects_in(service("web") + slices));
  ASSERT_TRUE(without.ok());
  EXPECT_THAT(slice_names(*without), testing::IsSupersetOf({"old", "own"}));
}

TEST(Slices, OfADumpGiveWayEvenToNoEndpointsWhereNoPodsAreElsewhere) {
  Objects objects = objects_in(service("web") + written_slice("old", slice_controller) +
                               written_slice("own", "somebody"));
  Objects elsewhere = objects;
  put_endpoint_slices(objects, Elsewhere::no_pods_are);
  EXPECT_THAT(slice_names(objects), testing::Not(testing::Contains("old")));
  EXPECT_THAT(slice_names(objects), testing::Contains("own"));
  EXPECT_THAT(objects.endpoint_slices, SizeIs(2)) << "and one that says: nobody";
  const Objects once = objects;
  put_endpoint_slices(objects, Elsewhere::no_pods_are);
  EXPECT_THAT(objects.endpoint_slices, testing::UnorderedElementsAreArray(once.endpoint_slices));
  put_endpoint_slices(elsewhere, Elsewhere::pods_may_be);
  EXPECT_THAT(slice_names(elsewhere), testing::IsSupersetOf({"old", "own"}));
}

TEST(AsIfRunning, SaysSoWhenNodesHaveNoAddressesForPods) {
  const auto settled = [](int pods, int nodes) {
    return as_if_running(objects_in(deployment("web", pods)), {.nodes = nodes});
  };
  EXPECT_TRUE(settled(253, 1).ok());
  for (const Result<Objects>& full : {settled(254, 1), settled(255, 255)}) {
    ASSERT_FALSE(full.ok());
    EXPECT_EQ(full.fault().kind, FaultKind::exhausted);
  }
}

}  // namespace
}  // namespace fairlead::kube
