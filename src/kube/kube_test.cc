#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "kube/fields.h"
#include "kube/read.h"
#include "kube/write.h"

namespace fairlead::kube {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::vector<document::Document> documents(const std::string& text, const std::string& file) {
  Result<std::vector<document::Document>> read = document::parse(text, file);
  EXPECT_TRUE(read.ok()) << (read.ok() ? "" : read.fault().describe());
  return read.ok() ? std::move(read).value() : std::vector<document::Document>{};
}

Result<Reading> read_text(const std::string& text, const std::string& file = "a.yaml") {
  return read(documents(text, file));
}

std::string refusal(const std::string& text) {
  const Result<Reading> reading = read_text(text);
  return reading.ok() ? "read" : reading.fault().message;
}

std::string content(const std::string& name) {
  std::ifstream file(FAIRLEAD_SOURCE "/src/kube/test_data/" + name);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> ignored(const Reading& reading) {
  std::vector<std::string> all;
  for (const Ignored& one : reading.ignored) all.push_back(one.describe());
  return all;
}

// A Pod's spec on lines 4 and on, to be broken in one place.
std::string pod_with(const std::string& spec) {
  return "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n" + spec;
}

std::string service_with(const std::string& spec) {
  return "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n" + spec;
}

// ── reading ─────────────────────────────────────────────────────────────────────────────────────

TEST(KubeRead, AShopAsPeopleBringItReadsAndNamesWhatItIgnores) {
  const Result<Reading> reading = read_text(content("bookshop.yaml"), "bookshop.yaml");
  ASSERT_TRUE(reading.ok()) << reading.fault().describe();
  const Objects& objects = reading->objects;
  ASSERT_EQ(objects.services.size(), 2U);
  ASSERT_EQ(objects.deployments.size(), 2U);
  EXPECT_EQ(objects.service_accounts.size(), 2U);
  const Deployment& opinions = objects.deployments[1];
  EXPECT_EQ(opinions.metadata.origin.describe(),
            "Deployment default/opinions-v2 (bookshop.yaml:70)");
  EXPECT_EQ(opinions.replicas, 2);
  EXPECT_EQ(opinions.pod_template.spec.service_account, "shop-opinions");
  EXPECT_EQ(opinions.pod_template.spec.containers[0].security.run_as_user, 1001);
  EXPECT_EQ(objects.services[0].ports[0].name, "http");
  EXPECT_THAT(
      ignored(*reading),
      ElementsAre("Deployment default/catalogue-v1 (bookshop.yaml:47): "
                  "spec.template.spec.containers[0].imagePullPolicy: images are not pulled",
                  "Deployment default/opinions-v2 (bookshop.yaml:94): "
                  "spec.template.spec.securityContext.fsGroup: the lab is no sandbox",
                  "Deployment default/opinions-v2 (bookshop.yaml:98): "
                  "spec.template.spec.containers[0].imagePullPolicy: images are not pulled",
                  "Deployment default/opinions-v2 (bookshop.yaml:110): "
                  "spec.template.spec.containers[0].securityContext.runAsNonRoot: the lab is no "
                  "sandbox"));
}

TEST(KubeRead, WhatIsWrittenReadsBackEqual) {
  Result<Reading> first = read_text(content("everything.yaml"), "everything.yaml");
  ASSERT_TRUE(first.ok()) << first.fault().describe();
  first->objects.resource_version = "42";
  const std::string written = write(first->objects);
  const Result<Reading> second = read_text(written, "objects.json");
  ASSERT_TRUE(second.ok()) << second.fault().describe();
  EXPECT_EQ(second->objects, first->objects);
  EXPECT_THAT(ignored(*second), ElementsAre());
  EXPECT_EQ(write(second->objects), written);
  EXPECT_EQ(second->objects.pods[0].metadata.origin.describe(),
            "Pod shop/full (everything.yaml:31)");
  EXPECT_EQ(second->objects.secrets[0].data.at("plain"), "pl\u00e4in");
  EXPECT_EQ(second->objects.config_maps[0].binary_data.at("logo"), std::string("\0\1\2\xff", 4));
  // Nothing may be equal for being left out on both sides.
  const Objects& objects = first->objects;
  EXPECT_EQ(objects.pods[0].spec.containers[0].env.size(), 6U);
  EXPECT_EQ(objects.pods[0].spec.volumes.size(), 5U);
  EXPECT_TRUE(objects.pods[0].spec.init_containers[1].sidecar);
  EXPECT_EQ(objects.stateful_sets[0].partition, 2);
  EXPECT_EQ(objects.services[0].cluster_ips.size(), 2U);
  EXPECT_EQ(objects.endpoint_slices[0].endpoints[0].terminating, true);
  EXPECT_EQ(objects.service_entries[0].endpoints[0].ports.at("https"), 9443);
}

TEST(KubeRead, TheListIsOneItemALineOfOrdinaryJson) {
  Objects objects;
  objects.resource_version = "7";
  objects.namespaces.push_back({{"", "shop", {}, {}, {}, "", "", "", "", {}}});
  EXPECT_EQ(write(objects),
            "{\"kind\":\"List\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"7\"},"
            "\"items\":[\n{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":"
            "\"shop\"}}\n]}\n");
  EXPECT_EQ(write(Objects{}),
            "{\"kind\":\"List\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[]}\n");
}

TEST(KubeRead, ListsAreUnfoldedAndTypedListsLendTheirKind) {
  const Result<Reading> reading = read_text(R"(
apiVersion: v1
kind: List
metadata: {resourceVersion: "9", continue: x}
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: a}}
- kind: List
  apiVersion: v1
  items: [{apiVersion: v1, kind: Namespace, metadata: {name: b}}]
---
apiVersion: v1
kind: ConfigMapList
items:
- metadata: {name: c}
  data: {x: "1"}
)");
  ASSERT_TRUE(reading.ok()) << reading.fault().describe();
  EXPECT_EQ(reading->objects.namespaces.size(), 2U);
  ASSERT_EQ(reading->objects.config_maps.size(), 1U);
  EXPECT_EQ(reading->objects.config_maps[0].metadata.origin.line, 14);
  EXPECT_EQ(reading->objects.resource_version, "9");
  EXPECT_THAT(
      ignored(*reading),
      ElementsAre("List (a.yaml:4): metadata.continue: a part of a list is read as a whole"));
}

TEST(KubeRead, AVolumeOfAnotherKindIsListedOnce) {
  const Result<Reading> reading = read_text(R"(apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  containers: [{name: c, image: x}]
  volumes:
  - name: kube-api-access
    projected: {sources: [{serviceAccountToken: {path: token}}]}
)");
  ASSERT_TRUE(reading.ok()) << reading.fault().describe();
  EXPECT_THAT(ignored(*reading),
              ElementsAre("Pod default/p (a.yaml:8): spec.volumes[0].projected: storage is not "
                          "provided; an empty folder stands in for it"));
}

TEST(KubeRead, WhatAServiceAsksForBeyondTcpInsideTheClusterIsListed) {
  const Result<Reading> reading = read_text(R"(apiVersion: v1
kind: Service
metadata: {name: s}
spec:
  type: LoadBalancer
  ports:
  - {name: dns, port: 53, protocol: UDP}
  - {name: dns-tcp, port: 53, protocol: TCP}
)");
  ASSERT_TRUE(reading.ok()) << reading.fault().describe();
  EXPECT_THAT(ignored(*reading),
              ElementsAre("Service default/s (a.yaml:5): spec.type: nothing outside the cluster's "
                          "own addresses is translated",
                          "Service default/s (a.yaml:7): spec.ports[0].protocol: TCP alone is "
                          "translated and forwarded; this port has a name and no more"));
}

TEST(KubeRead, UnknownKindsAndFieldsAreListedWithTheirPlace) {
  const Result<Reading> reading = read_text(R"(apiVersion: batch/v1
kind: Job
metadata: {name: j, namespace: x}
---
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: k}
---
apiVersion: v1
kind: Service
metadata: {name: s}
spec:
  ports: [{port: 80, nodePort: 30080}]
  sessionAffinity: ClientIP
  internalTrafficPolicy: Cluster
  externalIPs: []
  surprise: 1
extra: {a: b}
)");
  ASSERT_TRUE(reading.ok()) << reading.fault().describe();
  EXPECT_THAT(
      ignored(*reading),
      ElementsAre(
          "Job x/j (a.yaml:1): Job of batch/v1 is not supported yet",
          "Service k (a.yaml:5): Service is of a group that is not known, serving.knative.dev",
          "Service default/s (a.yaml:13): spec.ports[0].nodePort: nothing outside the "
          "cluster's own addresses is translated",
          "Service default/s (a.yaml:14): spec.sessionAffinity: each connection is balanced "
          "anew",
          "Service default/s (a.yaml:17): spec.surprise: no field of ServiceSpec that "
          "fairlead knows",
          "Service default/s (a.yaml:18): extra: no field of Service that fairlead knows"));
}

TEST(KubeRead, AWordThatNobodyKnowsIsNoKindThatIsToCome) {
  const auto of = [](const std::string& version, const std::string& kind) {
    const Result<Reading> reading =
        read_text("apiVersion: " + version + "\nkind: " + kind + "\nmetadata: {name: a}\n");
    return reading.ok() ? ignored(*reading).front() : reading.fault().message;
  };
  EXPECT_EQ(
      of("gateway.networking.k8s.io/v1", "HTTPRoute"),
      "HTTPRoute a (a.yaml:1): HTTPRoute of gateway.networking.k8s.io/v1 is not supported yet");
  EXPECT_EQ(
      of("cert-manager.io/v1", "Certificate"),
      "Certificate a (a.yaml:1): Certificate is of a group that is not known, cert-manager.io");
  EXPECT_EQ(of("v1", "Sevice"), "a.yaml:2: kind: v1 has no kind \"Sevice\"; near it: Service");
  EXPECT_EQ(of("networking.istio.io/v1", "VirtualServce"),
            "a.yaml:2: kind: networking.istio.io/v1 has no kind \"VirtualServce\"; near it: "
            "VirtualService");
  EXPECT_EQ(of("v1", "Job"), "a.yaml:2: kind: v1 has no kind \"Job\"; it is of batch");
  EXPECT_EQ(of("v1", "Deployment"),
            "a.yaml:2: kind: v1 has no kind \"Deployment\"; it is of apps/v1");
  EXPECT_EQ(of("app/v1", "Deployment"),
            "a.yaml:1: apiVersion: there is no API group \"app\"; near it: apps");
  EXPECT_EQ(of("extensions/v1beta1", "NetworkPolicy"),
            "a.yaml:1: apiVersion: expected networking.k8s.io/v1, found the string "
            "\"extensions/v1beta1\"");
}

TEST(KubeRead, APolicyIsListedWhenItCouldRefuseSomething) {
  const auto of = [](const std::string& kind, const std::string& spec) {
    const std::string group = kind == "NetworkPolicy" ? "networking.k8s.io" : "security.istio.io";
    const Result<Reading> reading = read_text("apiVersion: " + group + "/v1\nkind: " + kind +
                                              "\nmetadata: {name: a}\nspec: " + spec + "\n");
    if (!reading.ok()) return reading.fault().message;
    return reading->ignored.empty() ? std::string("nothing") : reading->ignored.front().reason;
  };
  EXPECT_EQ(of("AuthorizationPolicy", "{}"), "it is not enforced") << "it allows nothing";
  EXPECT_EQ(of("AuthorizationPolicy", "{action: DENY}"), "nothing");
  EXPECT_EQ(of("AuthorizationPolicy", "{action: DENY, rules: [{}]}"), "it is not enforced");
  EXPECT_EQ(of("AuthorizationPolicy", "{action: AUDIT, rules: [{}]}"), "nothing is audited");
  EXPECT_THAT(of("AuthorizationPolicy", "{action: PERMIT}"), HasSubstr("expected ALLOW or DENY"));
  EXPECT_EQ(of("PeerAuthentication", "{mtls: {mode: PERMISSIVE}}"), "nothing");
  EXPECT_EQ(of("PeerAuthentication", "{mtls: {mode: STRICT}}"), "it is not enforced");
  EXPECT_EQ(of("PeerAuthentication", "{portLevelMtls: {80: {mode: STRICT}}}"),
            "it is not enforced");
  EXPECT_THAT(of("PeerAuthentication", "{portLevelMtls: {http: {mode: STRICT}}}"),
              HasSubstr("a port from 1 to 65535"));
  EXPECT_EQ(of("RequestAuthentication", "{}"), "nothing");
  EXPECT_EQ(of("RequestAuthentication", "{jwtRules: [{issuer: a}]}"), "it is not enforced");
  EXPECT_EQ(of("NetworkPolicy", "{podSelector: {}}"), "it is not enforced");
  EXPECT_THAT(of("NetworkPolicy", "{podSelector: {}, policyTypes: [In]}"),
              HasSubstr("Ingress or Egress"));
}

TEST(KubeRead, EveryFieldTakenByAReaderIsInTheTable) {
  // Reading a manifest with all of them would end in an internal fault otherwise; and whatever the
  // table calls honoured occurs in that manifest's JSON.
  const std::string text = write(read_text(content("everything.yaml")).value().objects);
  for (const KnownField& field : known_fields()) {
    if (field.ignored != nullptr) continue;
    const std::string name = field.name;
    if (name == "stringData" || name == "serviceAccount") continue;  // written in another form
    if (name == "targetRef" || name == "group") continue;            // the same
    if (name == "provider" || name == "ingress" || name == "egress") continue;  // says not whom
    EXPECT_THAT(text, HasSubstr('"' + name + '"')) << field.type;
  }
}

TEST(KubeRead, TheTableNamesAFieldOnce) {
  std::set<std::pair<std::string, std::string>> seen;
  for (const KnownField& field : known_fields()) {
    EXPECT_TRUE(seen.emplace(field.type, field.name).second) << field.type << '.' << field.name;
    EXPECT_EQ(find_field(field.type, field.name)->ignored, field.ignored);
  }
  EXPECT_EQ(find_field("Service", "nothing"), nullptr);
}

// ── refusals ────────────────────────────────────────────────────────────────────────────────────

struct Broken {
  const char* name;
  std::string text;
  const char* message;
};

class KubeRefuses : public testing::TestWithParam<Broken> {};

TEST_P(KubeRefuses, WithFileLineFieldAndWhatWasExpected) {
  EXPECT_THAT(refusal(GetParam().text), HasSubstr(GetParam().message));
}

const char* const one_container = "  containers: [{name: c, image: i}]\n";

INSTANTIATE_TEST_SUITE_P(
    Objects, KubeRefuses,
    testing::Values(
        Broken{"NoKind", "apiVersion: v1\n", "a.yaml:1: kind: expected the kind of an object"},
        Broken{"NoVersion", "kind: Service\n", "a.yaml:1: apiVersion: expected the version"},
        Broken{"NoObject", "- 1\n", "a.yaml:1: expected an object with apiVersion and kind"},
        Broken{"OldVersion", "apiVersion: extensions/v1beta1\nkind: Deployment\n",
               "a.yaml:1: apiVersion: expected apps/v1, found the string \"extensions/v1beta1\""},
        Broken{"NoName", "apiVersion: v1\nkind: Pod\nmetadata: {labels: {a: b}}\n",
               "a.yaml:3: metadata.name: expected a DNS name"},
        Broken{"NoMetadata", "apiVersion: v1\nkind: Pod\n",
               "a.yaml:1: metadata: expected an object with a name, found nothing"},
        Broken{"BadName", "apiVersion: v1\nkind: Service\nmetadata:\n  name: 1st\n",
               "a.yaml:4: metadata.name: expected a DNS label that starts with a letter"},
        Broken{"BadLabel",
               "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  labels:\n    a: -b\n",
               "a.yaml:6: metadata.labels.a: expected a label's value"},
        Broken{"NumberAsLabel",
               "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  labels:\n    v: 1.0\n",
               "a.yaml:6: metadata.labels.v: expected a string, found the number 1.0 (in quotes it "
               "is a string: \"1.0\")"},
        Broken{"NamespaceOfANode",
               "apiVersion: v1\nkind: Node\nmetadata: {name: a, namespace: b}\n",
               "a.yaml:3: metadata.namespace: this kind of object belongs to no namespace"},
        Broken{"Twice",
               "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\napiVersion: v1\n"
               "kind: Namespace\nmetadata: {name: a}\n",
               "a.yaml:5: metadata.name: Namespace a is given twice, first in a.yaml:1"},
        Broken{"BadBase64", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata:\n  k: a*==\n",
               "a.yaml:5: data.k: expected base64, found the string \"a*==\""},
        Broken{"BadKey", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  a/b: c\n",
               "a.yaml:5: data[\"a/b\"]: expected a key"},
        Broken{"UnquotedData",
               "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {on: yes}\n",
               "data.on: expected a string, found the boolean yes"}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Pods, KubeRefuses,
    testing::Values(
        Broken{"NoContainers", pod_with("  nodeName: a\n"),
               "a.yaml:5: spec.containers: expected a list of at least one container"},
        Broken{"NoImage", pod_with("  containers:\n  - name: c\n"),
               "a.yaml:6: spec.containers[0].image: expected a string that is not empty"},
        Broken{
            "BadPort",
            pod_with("  containers:\n  - name: c\n    image: i\n    ports:\n    - containerPort: "
                     "http\n"),
            "a.yaml:9: spec.containers[0].ports[0].containerPort: expected a port from 1 to "
            "65535, found the string \"http\""},
        Broken{"PortTooLarge",
               pod_with("  containers: [{name: c, image: i, ports: [{containerPort: 65536}]}]\n"),
               "expected a port from 1 to 65535, found the integer 65536"},
        Broken{"SameNames", pod_with("  containers: [{name: c, image: i}, {name: c, image: i}]\n"),
               "spec.containers[1].name: two containers are named \"c\""},
        Broken{"SameNameAsInit",
               pod_with(std::string("  initContainers: [{name: c, image: i}]\n") + one_container),
               "spec.containers[0].name: two containers are named \"c\""},
        Broken{"FileOutsideItsVolume",
               pod_with(std::string("  volumes: [{name: v, configMap: {name: m, items: [{key: k, "
                                    "path: a/../../b}]}}]\n") +
                        one_container),
               "spec.volumes[0].configMap.items[0].path: expected a relative path without '..'"},
        Broken{
            "FileInTheLinksPlace",
            pod_with(std::string("  volumes: [{name: v, secret: {secretName: m, items: [{key: k, "
                                 "path: ..data}]}}]\n") +
                     one_container),
            "spec.volumes[0].secret.items[0].path: expected a relative path without '..'"},
        Broken{"MountOfNothing",
               pod_with("  containers: [{name: c, image: i, volumeMounts: [{name: v, mountPath: "
                        "/v}]}]\n"),
               "spec.containers[0].volumeMounts[0].name: expected the name of one of the pod's "
               "volumes, found the string \"v\""},
        Broken{"BooleanAsEnvironment",
               pod_with("  containers: [{name: c, image: i, env: [{name: A, value: true}]}]\n"),
               "spec.containers[0].env[0].value: expected a string, found the boolean true"},
        Broken{"TwoValues",
               pod_with("  containers: [{name: c, image: i, env: [{name: A, value: x, valueFrom: "
                        "{fieldRef: {fieldPath: metadata.name}}}]}]\n"),
               "spec.containers[0].env[0].valueFrom: not both value and valueFrom"},
        Broken{"FieldNotServed",
               pod_with("  containers: [{name: c, image: i, env: [{name: A, valueFrom: {fieldRef: "
                        "{fieldPath: spec.containers}}}]}]\n"),
               "valueFrom.fieldRef.fieldPath: expected a field of the pod"},
        Broken{"TwoProbes",
               pod_with("  containers: [{name: c, image: i, livenessProbe: {tcpSocket: {port: 1}, "
                        "httpGet: {port: 1}}}]\n"),
               "spec.containers[0].livenessProbe: expected exactly one of"},
        Broken{"ProbeOfAnInit",
               pod_with(std::string("  initContainers: [{name: d, image: i, livenessProbe: "
                                    "{tcpSocket: {port: 1}}}]\n") +
                        one_container),
               "spec.initContainers[0]: an init container that ends has no probes"},
        Broken{"BadPolicy", pod_with(std::string("  restartPolicy: Sometimes\n") + one_container),
               "a.yaml:5: spec.restartPolicy: expected Always or OnFailure or Never, found the "
               "string \"Sometimes\""},
        Broken{"NegativeGrace",
               pod_with(std::string("  terminationGracePeriodSeconds: -1\n") + one_container),
               "spec.terminationGracePeriodSeconds: expected an integer from 0"},
        Broken{
            "UserAsText",
            pod_with(std::string("  securityContext: {runAsUser: root}\n") + one_container),
            "spec.securityContext.runAsUser: expected an integer from 0 to 2147483647, found the "
            "string \"root\""},
        Broken{"TwoSources",
               pod_with(
                   std::string("  volumes: [{name: v, emptyDir: {}, secret: {secretName: s}}]\n") +
                   one_container),
               "spec.volumes[0]: expected a name and one source"},
        Broken{"CommandAsText", pod_with("  containers: [{name: c, image: i, command: run}]\n"),
               "spec.containers[0].command: expected a list, found the string \"run\""}),
    [](const auto& info) { return info.param.name; });

std::string deployment_with(const std::string& selector, const std::string& labels,
                            const std::string& more = "") {
  return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  selector: " +
         selector + "\n  template:\n    metadata:\n      labels: " + labels +
         "\n    spec: {containers: [{name: c, image: i}]" + more + "}\n";
}

INSTANTIATE_TEST_SUITE_P(
    Controllers, KubeRefuses,
    testing::Values(
        Broken{"SelectorOfOthers", deployment_with("{matchLabels: {app: a}}", "{app: b}"),
               "a.yaml:8: spec.template.metadata.labels: expected labels that spec.selector picks, "
               "found {\"app\":\"b\"}"},
        Broken{"NoSelector", deployment_with("{}", "{app: b}"),
               "a.yaml:5: spec.selector: expected a selector"},
        Broken{"BadOperator",
               deployment_with("{matchExpressions: [{key: a, operator: Like, values: [b]}]}",
                               "{a: b}"),
               "spec.selector.matchExpressions[0].operator: expected In or NotIn or Exists or "
               "DoesNotExist, found the string \"Like\""},
        Broken{"PolicyOfATemplate",
               deployment_with("{matchLabels: {a: b}}", "{a: b}", ", restartPolicy: Never"),
               "spec.template.spec.restartPolicy: expected Always"},
        Broken{"NoSpec", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n",
               "a.yaml:1: spec: expected an object, found nothing"},
        Broken{"NegativeReplicas",
               "apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: d}\nspec: {replicas: -1}\n",
               "a.yaml:4: spec.replicas: expected an integer from 0"},
        Broken{"NothingMayChange",
               "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  strategy: "
               "{rollingUpdate: {maxSurge: 0, maxUnavailable: 0%}}\n  selector: {matchLabels: {a: "
               "b}}\n  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: "
               "i}]}}\n",
               "a.yaml:5: spec.strategy.rollingUpdate: maxSurge and maxUnavailable are both 0"},
        Broken{
            "BadShare",
            "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: d}\nspec:\n  updateStrategy: "
            "{rollingUpdate: {maxUnavailable: some}}\n  selector: {matchLabels: {a: b}}\n  "
            "template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}\n",
            "maxUnavailable: expected a count, or a share like 25%, found the string \"some\""}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Services, KubeRefuses,
    testing::Values(
        Broken{"NoPorts", service_with("  selector: {a: b}\n"),
               "a.yaml:5: spec.ports: expected a list of at least one port"},
        Broken{"NamelessPorts", service_with("  ports:\n  - port: 1\n    name: a\n  - port: 2\n"),
               "a.yaml:8: spec.ports[1].name: expected a name, since there are several ports"},
        Broken{"SamePorts", service_with("  ports: [{port: 1, name: a}, {port: 1, name: b}]\n"),
               "spec.ports[1].port: two ports are 1 of the same protocol"},
        Broken{"TargetPort", service_with("  ports: [{port: 1, targetPort: Not_A_Name}]\n"),
               "spec.ports[0].targetPort: expected a port from 1 to 65535, or a port's name"},
        Broken{"TargetTooLarge", service_with("  ports: [{port: 1, targetPort: 65536}]\n"),
               "spec.ports[0].targetPort: expected a port from 1 to 65535, or a port's name, found "
               "the integer 65536"},
        Broken{"BadProtocol", service_with("  ports: [{port: 1, protocol: tcp}]\n"),
               "spec.ports[0].protocol: expected TCP or UDP or SCTP, found the string \"tcp\""},
        Broken{"BadAddress", service_with("  clusterIP: 10.96.0.300\n  ports: [{port: 1}]\n"),
               "a.yaml:5: spec.clusterIP: expected an IP address or None, found the string "
               "\"10.96.0.300\""},
        Broken{"TwoFirsts",
               service_with(
                   "  clusterIP: 10.96.0.1\n  clusterIPs: [10.96.0.2]\n  ports: [{port: 1}]\n"),
               "spec.clusterIP: expected the first of clusterIPs, 10.96.0.2"},
        Broken{"SameFamily",
               service_with("  clusterIPs: [10.96.0.1, 10.96.0.2]\n  ports: [{port: 1}]\n"),
               "spec.clusterIPs: expected at most one address of each family"},
        Broken{"WrongFamily",
               service_with("  clusterIP: 10.96.0.1\n  ipFamilies: [IPv6]\n  ports: [{port: 1}]\n"),
               "spec.ipFamilies: 10.96.0.1 is not of family 1"},
        Broken{"NoExternalName", service_with("  type: ExternalName\n"),
               "spec.externalName: expected a DNS name"},
        Broken{"EndpointPort",
               "apiVersion: v1\nkind: Endpoints\nmetadata: {name: e}\nsubsets:\n- addresses: [{ip: "
               "10.0.0.1}]\n  ports: [{port: 0}]\n",
               "a.yaml:6: subsets[0].ports[0].port: expected a port"},
        Broken{"EndpointAddress",
               "apiVersion: v1\nkind: Endpoints\nmetadata: {name: e}\nsubsets:\n- addresses: [{ip: "
               "here}]\n",
               "subsets[0].addresses[0].ip: expected an IP address, found the string \"here\""},
        Broken{"SliceWithoutFamily",
               "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: e}\n",
               "a.yaml:1: addressType: expected IPv4 or IPv6, found nothing"},
        Broken{"SliceOfTheOtherFamily",
               "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: "
               "e}\naddressType: IPv4\nendpoints:\n- addresses: [\"::1\"]\n",
               "a.yaml:6: endpoints[0].addresses[0]: expected an IPv4 address"},
        Broken{"HostOfAnEntry",
               "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: e}\nspec: "
               "{hosts: [a_b]}\n",
               "spec.hosts[0]: expected a host name"},
        Broken{"NameAsStatic",
               "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: e}\nspec: "
               "{hosts: [a], resolution: STATIC, endpoints: [{address: b.example}]}\n",
               "spec.endpoints[0].address: expected an IP address, as resolution is STATIC"},
        Broken{
            "EntryWithoutAddress",
            "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: e}\nspec: "
            "{labels: {a: b}}\n",
            "a.yaml:4: spec.address: expected a string that is not empty"}),
    [](const auto& info) { return info.param.name; });

TEST(KubeRead, FilesReadAloneAndJoinedAreWhatIsReadTogether) {
  const std::string shop = content("bookshop.yaml");
  const std::string more =
      "apiVersion: v1\nkind: Service\nmetadata: {name: more, namespace: b}\n"
      "spec: {ports: [{port: 80}]}\n";
  std::vector<document::Document> all = documents(shop, "a.yaml");
  for (document::Document& one : documents(more, "b.yaml")) all.push_back(std::move(one));
  const Result<Reading> together = read(all);
  Reading first = *read_text(shop, "a.yaml");
  Reading second = *read_text(more, "b.yaml");
  const Objects alone = first.objects;
  {
    const Joined joined({&first, &second});
    EXPECT_TRUE(joined.objects() == together->objects);
    EXPECT_TRUE(joined.unique());
  }
  EXPECT_TRUE(first.objects == alone);
  EXPECT_EQ(second.objects.services.at(0).metadata.full_name(), "b/more");
  Reading again = second;
  EXPECT_FALSE(Joined({&second, &first, &again}).unique());
}

TEST(KubeRead, AllBrokenObjectsAreNamedAtOnce) {
  const std::vector<Fault> faults = faults_of(
      documents("kind: Pod\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: fine}\n"
                "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: _}\n",
                "a.yaml"));
  ASSERT_EQ(faults.size(), 2U);
  EXPECT_THAT(faults[0].message, HasSubstr("a.yaml:1: apiVersion"));
  EXPECT_THAT(faults[1].describe(), HasSubstr("(while reading Namespace _)"));
}

TEST(KubeRead, DefaultsAreKubernetesOwn) {
  const Result<Reading> reading = read_text(pod_with(
      "  containers:\n  - name: c\n    image: i\n    livenessProbe: {httpGet: {port: 80}}\n"));
  ASSERT_TRUE(reading.ok()) << reading.fault().describe();
  const Pod& pod = reading->objects.pods[0];
  EXPECT_EQ(pod.metadata.name_space, "default");
  EXPECT_EQ(pod.spec.service_account, "default");
  EXPECT_EQ(pod.spec.termination_grace_seconds, 30);
  EXPECT_EQ(pod.spec.restart_policy, RestartPolicy::always);
  const Probe& probe = *pod.spec.containers[0].liveness_probe;
  EXPECT_EQ(std::get<HttpAction>(probe.action).path, "/");
  EXPECT_EQ(probe.period_seconds, 10);
  EXPECT_EQ(probe.failure_threshold, 3);
}

TEST(KubeRead, AProbeByGrpcIsListedAndLeftOut) {
  const Result<Reading> reading = read_text(
      pod_with("  containers: [{name: c, image: i, livenessProbe: {grpc: {port: 80}}}]\n"));
  ASSERT_TRUE(reading.ok()) << reading.fault().describe();
  EXPECT_FALSE(reading->objects.pods[0].spec.containers[0].liveness_probe.has_value());
  EXPECT_THAT(ignored(*reading), ElementsAre(HasSubstr("livenessProbe.grpc: probes by gRPC")));
}

TEST(KubeRead, ATargetPortOfZeroIsNone) {
  const auto service = [](const std::string& port) {
    return document::parse(
        "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n"
        "  ports: [{port: 9, targetPort: " +
            port + "}]\n",
        "a.yaml");
  };
  const Result<Reading> none = read(*service("0"));
  ASSERT_TRUE(none.ok()) << none.fault().describe();
  EXPECT_EQ(none->objects.services[0].ports[0].target, PortReference{});
  EXPECT_FALSE(read(*service("-1")).ok());
  EXPECT_FALSE(read(*service("65536")).ok());
}

TEST(KubeRead, AFileOfKustomizeIsNamedAsSuch) {
  const auto parsed = document::parse("resources: [a.yaml]\n", "k8s/kustomization.yaml");
  const Result<Reading> reading = read(*parsed);
  ASSERT_TRUE(reading.ok()) << reading.fault().describe();
  ASSERT_EQ(reading->ignored.size(), 1U);
  EXPECT_THAT(reading->ignored[0].describe(), HasSubstr("kubectl kustomize"));
  const auto said = document::parse(
      "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n", "other.yaml");
  EXPECT_TRUE(read(*said).ok());
  EXPECT_FALSE(read(*document::parse("resources: [a.yaml]\n", "k8s/other.yaml")).ok());
}

}  // namespace
}  // namespace fairlead::kube
