#include "registry/policies.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "document/document.h"
#include "kube/read.h"

namespace fairlead::registry {
namespace {

std::vector<mesh::Policy> policies_from(const std::string& text) {
  const auto documents = document::parse(text, "a.yaml");
  const auto reading = kube::read(*documents);
  EXPECT_TRUE(reading.ok()) << reading.fault().describe();
  return policies_of(reading->objects);
}

std::string policy(const std::string& kind, const std::string& full_name, const std::string& spec) {
  const std::size_t slash = full_name.find('/');
  const std::string group = kind == "NetworkPolicy" ? "networking.k8s.io" : "security.istio.io";
  return "apiVersion: " + group + "/v1\nkind: " + kind +
         "\nmetadata: {namespace: " + full_name.substr(0, slash) +
         ", name: " + full_name.substr(slash + 1) + "}\nspec: " + spec + "\n---\n";
}

std::string names_of(const std::vector<const mesh::Policy*>& policies) {
  std::string names;
  for (const mesh::Policy* each : policies) names += each->origin.name + ' ';
  return names;
}

const mesh::Workload web{.name_space = "shop", .name = "web-1", .labels = {{"app", "web"}}};
const mesh::Workload other{.name_space = "shop", .name = "other", .labels = {{"app", "other"}}};
const mesh::Workload away{.name_space = "away", .name = "web", .labels = {{"app", "web"}}};
const mesh::Workload machine{.kind = mesh::WorkloadKind::vm,
                             .name_space = "shop",
                             .name = "stock",
                             .labels = {{"app", "web"}}};

std::string judging(const std::vector<mesh::Policy>& policies, const mesh::Workload& callee,
                    std::uint16_t port = 80) {
  return names_of(mesh::judging_callee(policies, callee, port));
}

TEST(Policies, AnAuthorizationPolicyJudgesWhatItSelectsInItsNamespace) {
  const auto all = policies_from(
      policy("AuthorizationPolicy", "shop/all", "{}") +
      policy("AuthorizationPolicy", "shop/web", "{selector: {matchLabels: {app: web}}}") +
      policy("AuthorizationPolicy", "shop/denies-nothing", "{action: DENY}") +
      policy("AuthorizationPolicy", "shop/audits", "{action: AUDIT, rules: [{}]}"));
  EXPECT_EQ(judging(all, web), "all web ");
  EXPECT_EQ(judging(all, machine), "all web ");
  EXPECT_EQ(judging(all, other), "all ");
  EXPECT_EQ(judging(all, away), "");
}

TEST(Policies, TheRootNamespaceIsTheWholeMesh) {
  const auto all =
      policies_from(policy("AuthorizationPolicy", "istio-system/all", "{}") +
                    policy("RequestAuthentication", "istio-system/web",
                           "{selector: {matchLabels: {app: web}}, jwtRules: [{issuer: a}]}") +
                    policy("NetworkPolicy", "istio-system/closed", "{podSelector: {}}"));
  EXPECT_EQ(judging(all, web), "all web ");
  EXPECT_EQ(judging(all, away), "all web ");
  EXPECT_EQ(judging(all, other), "all ");
}

TEST(Policies, ATargetIsWhatTheServiceSelects) {
  const auto all = policies_from(
      "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\n"
      "spec: {selector: {app: web}, ports: [{port: 80}]}\n---\n" +
      policy("AuthorizationPolicy", "shop/service", "{targetRefs: [{kind: Service, name: web}]}") +
      policy("AuthorizationPolicy", "shop/gateway",
             "{targetRef: {kind: Gateway, group: gateway.networking.k8s.io, name: door}}"));
  EXPECT_EQ(judging(all, web), "service ");
  EXPECT_EQ(judging(all, other), "");
}

TEST(Policies, OfPeerAuthenticationsTheNearestCounts) {
  const auto all =
      policies_from(policy("PeerAuthentication", "istio-system/mesh", "{mtls: {mode: STRICT}}") +
                    policy("PeerAuthentication", "shop/default", "{mtls: {mode: PERMISSIVE}}") +
                    policy("PeerAuthentication", "shop/web",
                           "{selector: {matchLabels: {app: web}}, mtls: {mode: UNSET}, "
                           "portLevelMtls: {8080: {mode: STRICT}}}"));
  EXPECT_EQ(judging(all, away), "mesh ");
  EXPECT_EQ(judging(all, other), "");
  EXPECT_EQ(judging(all, web), "");
  EXPECT_EQ(judging(all, web, 8080), "web ");
  EXPECT_EQ(names_of(mesh::judging_anything(all, {web, other})), "web ");
  EXPECT_EQ(names_of(mesh::judging_anything(all, {away})), "mesh ");
}

TEST(Policies, ANetworkPolicyJudgesPodsThatAreCalledOrCall) {
  const auto all = policies_from(
      policy("NetworkPolicy", "shop/in", "{podSelector: {}}") +
      policy("NetworkPolicy", "shop/out", "{podSelector: {}, policyTypes: [Egress]}") +
      policy("NetworkPolicy", "shop/some",
             "{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [web]}]}, "
             "egress: []}"));
  EXPECT_EQ(judging(all, web), "in ");
  EXPECT_EQ(judging(all, other), "in some ");
  EXPECT_EQ(judging(all, machine), "");
  EXPECT_EQ(names_of(mesh::judging_caller(all, web)), "out ");
  EXPECT_EQ(names_of(mesh::judging_caller(all, other)), "out some ");
  EXPECT_EQ(names_of(mesh::judging_anything(all, {away})), "");
  EXPECT_EQ(mesh::judging_anything(all, {}).size(), 3U) << "nobody knows who runs";
}

TEST(Policies, AreToldInAShortSentence) {
  EXPECT_EQ(mesh::describe_unenforced({}), "");
  EXPECT_EQ(mesh::describe_unenforced({"NetworkPolicy a/b"}),
            "1 policy is not enforced: NetworkPolicy a/b");
  EXPECT_EQ(
      mesh::describe_unenforced({"a", "b", "c", "d", "e", "f", "g"}, " that would judge this"),
      "7 policies that would judge this are not enforced: a, b, c, d, e and 2 more");
}

}  // namespace
}  // namespace fairlead::registry
