#include "explain/path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "explain/render.h"
#include "explain/test_shop.h"

namespace fairlead::explain {
namespace {

using testing::path_in;
using testing::pod;
using testing::shop;
using testing::slice;
using testing::stages_of;
using testing::world_from;

const Hop* hop_at(const Path& path, Stage stage) {
  for (const Hop& hop : path.hops) {
    if (hop.stage == stage) return &hop;
  }
  for (const Branch& branch : path.branches) {
    for (const Hop& hop : branch.hops) {
      if (hop.stage == stage) return &hop;
    }
  }
  return nullptr;
}

// ── questions ───────────────────────────────────────────────────────────────────────────────────

TEST(Question, TargetsInAllTheirForms) {
  struct Case {
    const char* text;
    Target wanted;
  };
  const std::vector<Case> cases{
      {"http://reviews:9080/reviews/0?a=b#c",
       {.scheme = Scheme::http, .host = "reviews", .port = 9080, .path = "/reviews/0?a=b"}},
      {"http://reviews", {.scheme = Scheme::http, .host = "reviews"}},
      {"http://reviews:/", {.scheme = Scheme::http, .host = "reviews"}},
      {"http:9080", {.host = "http", .port = 9080}},
      {"http://reviews?x", {.scheme = Scheme::http, .host = "reviews", .path = "/?x"}},
      {"tcp://10.96.0.12:9080", {.scheme = Scheme::tcp, .host = "10.96.0.12", .port = 9080}},
      {"reviews:9080", {.host = "reviews", .port = 9080}},
      {"reviews.default", {.host = "reviews.default"}},
      {"http://[fd00::1]:80/", {.scheme = Scheme::http, .host = "fd00::1"}},
      {"fd00::1", {.host = "fd00::1"}},
      {"HTTP://Reviews:9080", {.scheme = Scheme::http, .host = "Reviews", .port = 9080}},
  };
  for (const Case& each : cases) {
    const Result<Target> target = parse_target(each.text);
    ASSERT_TRUE(target.ok()) << each.text << ": " << target.fault().describe();
    EXPECT_EQ(*target, each.wanted) << each.text;
  }
}

TEST(Question, TargetsThatAreNone) {
  const auto refusal = [](const char* text) {
    const Result<Target> target = parse_target(text);
    return target.ok() ? std::string("accepted") : target.fault().message;
  };
  EXPECT_EQ(refusal("ftp://reviews"),
            "'ftp://reviews': only http:// and tcp:// are known, not ftp://");
  EXPECT_EQ(refusal("http://reviews:0/"), "'http://reviews:0/': '0' is no port from 1 to 65535");
  EXPECT_EQ(refusal("http://:80/"), "'http://:80/' names no host");
  EXPECT_EQ(refusal("tcp://reviews"),
            "'tcp://reviews': tcp:// takes a port, as in tcp://reviews:9080");
  EXPECT_EQ(refusal("http://[fd00::1/"),
            "'http://[fd00::1/': the bracket of the address is never closed");
  EXPECT_EQ(refusal("tcp://reviews:1/path"), "'tcp://reviews:1/path': tcp:// has no path");
  EXPECT_EQ(refusal("https://reviews/"),
            "'https://reviews/': TLS is not spoken; tcp://HOST:443 shows the way of the connection "
            "that carries it");
  EXPECT_EQ(refusal("http://me:secret@reviews/"),
            "'http://me:secret@reviews/': a user and a password are not taken from the URL; -H "
            "'Authorization: ...' sends them");
  EXPECT_EQ(refusal("http://reviews:9080:9080/"),
            "'http://reviews:9080:9080/': there is more than one colon in 'reviews:9080:9080'; an "
            "IPv6 address stands in brackets, as in [fd00::1]:80");
  EXPECT_EQ(refusal("http://fd00::1:80/"),
            "'http://fd00::1:80/': there is more than one colon in 'fd00::1:80'; an IPv6 address "
            "stands in brackets, as in [fd00::1]:80");
  EXPECT_EQ(refusal("http:/reviews"),
            "'http:/reviews': two slashes follow a scheme, as in http://reviews:9080");
  EXPECT_EQ(refusal("http:reviews"),
            "'http:reviews': two slashes follow a scheme, as in http://reviews:9080");
  for (const std::string host : {"010.0.0.1", "127.1", "0x7f.1", "2130706433"}) {
    EXPECT_EQ(refusal(("http://" + host + ":80/").c_str()),
              "'http://" + host + ":80/': '" + host +
                  "' is an address in an old form, which programs read in different ways; four "
                  "numbers from 0 to 255 are clear");
  }
  EXPECT_EQ(refusal("http://reviews/a b"),
            "'http://reviews/a b': a URL has no spaces; %20 stands for one");
}

TEST(Question, CallersByAllTheirNames) {
  const auto world = world_from(shop());
  const auto found = [&](const char* text) {
    const Result<Caller> caller = find_caller(*world, text);
    return caller.ok() ? caller->name() : caller.fault().message;
  };
  EXPECT_EQ(found("productpage"), "default/productpage");
  EXPECT_EQ(found("default/productpage"), "default/productpage");
  EXPECT_EQ(found("reviews"), "default/reviews-v1");
  EXPECT_EQ(found("ratings-vm"), "default/ratings-vm");
  EXPECT_EQ(found("node2"), "node2");
  EXPECT_EQ(found("produktpage"),
            "there is no pod, workload, VM or node 'produktpage'; near it: productpage");
  EXPECT_EQ(found("shop/productpage"),
            "there is no pod, workload, VM or node 'shop/productpage'; in another namespace there "
            "is default/productpage");
  EXPECT_EQ(found("default/"), "'default/': NAMESPACE/NAME is expected, or a name alone");
  EXPECT_EQ(found("/reviews"), "'/reviews': NAMESPACE/NAME is expected, or a name alone");
  EXPECT_EQ(find_caller(*world, "reviews")->siblings, 2U);
}

std::string owned_pod(const std::string& name, const std::string& kind, const std::string& owner) {
  return R"(---
apiVersion: v1
kind: Pod
metadata:
  name: )" +
         name + R"(
  labels: {pod-template-hash: 5d8f6}
  ownerReferences: [{apiVersion: apps/v1, kind: )" +
         kind + ", name: " + owner +
         R"(, uid: a, controller: true}]
spec: {nodeName: node1, containers: [{name: app, image: x}]}
)";
}

TEST(Question, ACallerOfAKindIsOfThatKind) {
  const auto world =
      world_from(shop() + "---\n" + pod("web", "web", "node1", "10.244.1.20", false) +
                 owned_pod("web-5d8f6-abcde", "ReplicaSet", "web-5d8f6") +
                 owned_pod("web-0", "StatefulSet", "web"));
  const auto found = [&](const char* kind, const char* text) {
    const Result<Caller> caller = find_caller(*world, text, kind);
    return caller.ok() ? caller->name() : caller.fault().message;
  };
  EXPECT_EQ(found("", "web"), "default/web");
  EXPECT_EQ(found("Pod", "web"), "default/web");
  EXPECT_EQ(found("Deployment", "web"), "default/web-5d8f6-abcde");
  EXPECT_EQ(found("ReplicaSet", "web-5d8f6"), "default/web-5d8f6-abcde");
  EXPECT_EQ(found("StatefulSet", "default/web"), "default/web-0");
  EXPECT_EQ(found("Service", "reviews"), "default/reviews-v1");
  EXPECT_EQ(found("VM", "ratings-vm"), "default/ratings-vm");
  EXPECT_EQ(found("Node", "node2"), "node2");
  EXPECT_EQ(found("Service", "web"),
            "there is no pod or VM of a Service 'web'; there are: each, empty, plain, ratings, "
            "reviews");
  EXPECT_EQ(found("Deployment", "wbe"),
            "there is no pod or VM of a Deployment 'wbe'; near it: web");
  EXPECT_EQ(found("Deployment", "shop/web"),
            "there is no pod or VM of a Deployment 'shop/web'; in another namespace there is "
            "default/web-5d8f6-abcde");
  EXPECT_EQ(found("Deployment", "reviews"),
            "there is no pod or VM of a Deployment 'reviews'; there are: web");
  EXPECT_EQ(found("DaemonSet", "web"),
            "there is no pod or VM of a DaemonSet 'web'; there are none");
  EXPECT_THAT(found("Pod", "ratings-vm"), ::testing::StartsWith("there is no Pod 'ratings-vm'; "));
  EXPECT_EQ(found("VM", "web"), "there is no VM 'web'; there are: ratings-vm");
  EXPECT_EQ(found("Node", "productpage"),
            "there is no Node 'productpage'; there are: node1, node2");
}

// ── with sidecars ───────────────────────────────────────────────────────────────────────────────

std::string policy(const std::string& kind, const std::string& name, const std::string& spec) {
  const std::string group = kind == "NetworkPolicy" ? "networking.k8s.io" : "security.istio.io";
  return "---\napiVersion: " + group + "/v1\nkind: " + kind + "\nmetadata: {name: " + name +
         "}\nspec: " + spec + "\n";
}

TEST(Path, PoliciesThatWouldJudgeItAreInItsFirstLine) {
  const auto world = world_from(
      shop() + policy("AuthorizationPolicy", "deny-all", "{}") +
      policy("AuthorizationPolicy", "others", "{selector: {matchLabels: {app: loner}}}") +
      policy("NetworkPolicy", "out",
             "{podSelector: {matchLabels: {app: productpage}}, policyTypes: [Egress]}"));
  const Path path = path_in(world, "productpage", "http://reviews:9080/");
  ASSERT_EQ(path.not_enforced.size(), 2U);
  const std::string text = render(path, Style{.width = 300});
  EXPECT_THAT(text.substr(0, text.find('\n')),
              ::testing::EndsWith(", but 2 policies that would judge this are not enforced: "
                                  "AuthorizationPolicy default/deny-all, NetworkPolicy "
                                  "default/out"));
  EXPECT_THAT(render_json(path), ::testing::HasSubstr("\"name\": \"deny-all\""));
  EXPECT_EQ(path_in(world, "loner", "http://reviews:9080/").not_enforced.size(), 1U);
  EXPECT_TRUE(path_in(world, "loner", "http://nobody/").not_enforced.empty()) << "it ends before";
}

TEST(Path, ThroughBothProxiesToEveryEndpointThatIsReady) {
  const Path path = path_in(world_from(shop()), "productpage", "http://reviews:9080/reviews/0");
  EXPECT_TRUE(path.arrives()) << path.failure;
  EXPECT_EQ(stages_of(path),
            "from name capture listener chain route cluster endpoint "
            "> default/reviews-v1 capture listener chain route cluster delivery app "
            "> default/reviews-v2 capture listener chain route cluster delivery app");
  const Hop* endpoint = hop_at(path, Stage::endpoint);
  ASSERT_EQ(endpoint->choices.size(), 2U);
  EXPECT_DOUBLE_EQ(endpoint->choices[0].share, 0.5);
  ASSERT_EQ(endpoint->refused.size(), 1U);
  EXPECT_EQ(endpoint->refused[0].name, "default/reviews-v3");
  EXPECT_EQ(endpoint->refused[0].why, "not ready");
}

TEST(Path, EveryHopNamesAnObjectOrARuleAndItsWorld) {
  const Path path = path_in(world_from(shop()), "productpage", "http://reviews:9080/");
  const auto check = [](const Hop& hop) {
    EXPECT_TRUE(hop.origin.known() || !hop.rules.empty()) << name_of(hop.stage);
    EXPECT_EQ(hop.world, "42") << name_of(hop.stage);
    EXPECT_FALSE(hop.says.empty()) << name_of(hop.stage);
  };
  for (const Hop& hop : path.hops) check(hop);
  for (const Branch& branch : path.branches) {
    for (const Hop& hop : branch.hops) check(hop);
  }
}

TEST(Path, DeclaredTcpTakesNoRoute) {
  const Path path = path_in(world_from(shop()), "productpage", "ratings:7000");
  EXPECT_EQ(path.scheme, "tcp");
  EXPECT_EQ(stages_of(path),
            "from name capture listener chain cluster endpoint app > default/ratings-vm");
}

TEST(Path, AnUpgradePassesOrIsIgnoredAsTheProxyDoesIt) {
  const auto route = [](const std::string& protocols) {
    const mesh::WorldPointer world = world_from(shop());
    Result<Caller> caller = find_caller(*world, "productpage");
    Result<Target> target = parse_target("http://reviews:9080/");
    if (!caller || !target) throw std::runtime_error("the question is not understood");
    Model model(world);
    const Path path =
        explain(model, {.from = *caller,
                        .to = *target,
                        .headers = {{"Connection", "upgrade"}, {"Upgrade", protocols}}});
    EXPECT_TRUE(path.arrives()) << path.failure;
    const Hop* hop = hop_at(path, Stage::route);
    return hop && hop->details.size() == 1 ? hop->details[0] : "";
  };
  EXPECT_EQ(route("TLS/1.2"),
            "the upgrade to 'TLS/1.2' is not configured: the request goes on without it");
  EXPECT_EQ(route("foo/1, websocket"),
            "the upgrade to 'websocket' is passed on; the app may switch to it");
}

TEST(Path, AnAddressOutsideIsPassedOn) {
  const Path path = path_in(world_from(shop()), "productpage", "http://192.0.2.1:8000/");
  EXPECT_FALSE(path.arrives());
  EXPECT_EQ(path.failure, "");
  EXPECT_EQ(path.unknown,
            "whether 192.0.2.1:8000 answers: it is outside of all that is known here");
  EXPECT_EQ(hop_at(path, Stage::cluster)->name, "PassthroughCluster");
  EXPECT_EQ(stages_of(path),
            "from name capture listener chain cluster endpoint app > 192.0.2.1:8000");
}

TEST(Path, WhatTheAnnotationsExcludeGoesPastTheProxy) {
  const auto world = world_from(shop("traffic.sidecar.istio.io/excludeOutboundPorts: \"9080\""));
  const Path path = path_in(world, "productpage", "http://reviews:9080/");
  EXPECT_EQ(stages_of(path),
            "from name capture kernel "
            "> default/reviews-v1 capture listener chain route cluster delivery app "
            "> default/reviews-v2 capture listener chain route cluster delivery app");
  EXPECT_EQ(hop_at(path, Stage::capture)->says, "not taken: it goes past the proxy");
}

TEST(Path, AHeadlessNameGivesTheEndpointsThemselves) {
  const Path path = path_in(world_from(shop()), "productpage", "http://each:9080/");
  EXPECT_TRUE(path.arrives()) << path.failure;
  ASSERT_EQ(path.branches.size(), 2U);
  EXPECT_DOUBLE_EQ(path.branches[0].share, 0.5);
  EXPECT_EQ(hop_at(path, Stage::name)->choices.size(), 2U);
}

// A headless service whose port is another than its pods', and a name of one of them.
std::string store() {
  return R"(---
apiVersion: v1
kind: Service
metadata: {name: store}
spec: {clusterIP: None, selector: {app: reviews}, ports: [{name: http, port: 80, targetPort: 9080}]}
---
)" + slice("store", "{name: http, port: 9080}",
           "{addresses: [10.244.1.5], hostname: store-0}, {addresses: [10.244.2.5]}");
}

// A ServiceEntry of NAME.example.org.
std::string entry(const std::string& name, const std::string& port, const std::string& endpoints) {
  return R"(---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: )" +
         name + R"(}
spec:
  hosts: [)" +
         name + R"(.example.org]
  resolution: STATIC
  ports: [{name: http, protocol: HTTP, )" +
         port + R"(}]
  endpoints: [)" +
         endpoints + "]\n";
}

TEST(Path, NobodyTranslatesThePortOfAHeadlessService) {
  const auto world = world_from(shop() + store());
  const std::string why =
      "Service default/store is headless: nobody turns its port 80 into the pod's own, 9080";
  for (const char* from : {"outsider", "productpage"}) {
    const Path all = path_in(world, from, "http://store/");
    EXPECT_EQ(all.failure, why) << from;
    ASSERT_EQ(all.branches.size(), 2U) << from;
    EXPECT_EQ(all.branches[0].workload, "default/reviews-v1");
    EXPECT_EQ(path_in(world, from, "http://store-0.store/").failure, why) << from;
    EXPECT_EQ(path_in(world, from, "http://store:9080/").failure, "") << from;
    EXPECT_EQ(path_in(world, from, "http://each:9080/").failure, "") << from;
  }
  // Of an address, no service was asked.
  EXPECT_TRUE(path_in(world, "outsider", "http://10.244.1.5/").arrives());
}

// And not another service's name that leads to the same pods.
TEST(Path, ThePortIsThatOfTheServiceThatWasAsked) {
  const auto world =
      world_from(shop() + R"(---
apiVersion: v1
kind: Service
metadata: {name: another}
spec: {clusterIP: None, selector: {app: loner}, ports: [{name: http, port: 81, targetPort: 9080}]}
---
)" + slice("another", "{name: http, port: 9080}", "{addresses: [10.244.1.7]}") +
                 entry("pods", "number: 81, targetPort: 9090", "{address: 10.244.1.7}"));
  EXPECT_EQ(
      path_in(world, "outsider", "http://another:81/").failure,
      "Service default/another is headless: nobody turns its port 81 into the pod's own, 9080");
  EXPECT_EQ(
      path_in(world, "outsider", "http://pods.example.org:81/").failure,
      "ServiceEntry default/pods has no address of its own: nobody turns its port 81 into the "
      "pod's own, 9090");
}

TEST(Path, APodOfAHeadlessServiceIsRoutedAsItsService) {
  const auto world = world_from(shop() + store());
  for (const char* host : {"store-0.store", "store-0.store.default", "store-0.store.default.svc",
                           "store-0.store.default.svc.cluster.local"}) {
    const Path path = path_in(world, "productpage", std::string("http://") + host + "/");
    EXPECT_EQ(hop_at(path, Stage::cluster)->name, "outbound|80||store.default.svc.cluster.local")
        << host;
  }
}

TEST(Path, APortThatNobodyDeclaresIsTakenWithACondition) {
  const auto world = world_from(shop());
  const auto condition = [&](const char* from, const char* to) {
    const Path path = path_in(world, from, to);
    EXPECT_TRUE(path.arrives()) << to << ": " << path.failure;
    return path.branches.empty() ? "no branch" : path.branches.front().condition;
  };
  EXPECT_EQ(condition("outsider", "http://reviews:9080/"), "");
  EXPECT_EQ(condition("outsider", "http://10.244.1.7:9080/"), "");
  EXPECT_EQ(condition("outsider", "http://10.244.1.7:9999/"), "something listens on port 9999");
  EXPECT_EQ(condition("productpage", "tcp://10.244.1.7:9999"), "something listens on port 9999");
  EXPECT_EQ(condition("outsider", "http://172.30.0.2/"), "something listens on port 80");
  EXPECT_EQ(condition("node1", "http://localhost/"), "something listens on port 80");
  EXPECT_EQ(condition("outsider", "tcp://10.96.0.10:53"), "");
}

TEST(Path, PortsOnWhichAProxyListensItself) {
  const auto world = world_from(shop());
  for (const char* to : {"http://10.244.1.5:15021/healthz/ready", "http://10.244.1.5:15090/"}) {
    const Path path = path_in(world, "outsider", to);
    EXPECT_EQ(path.failure, "") << to;
    EXPECT_EQ(hop_at(path, Stage::app)->place, "default/reviews-v1, its proxy");
    EXPECT_EQ(path.branches.front().condition, "");
  }
  const Path admin = path_in(world, "productpage", "http://localhost:15000/");
  EXPECT_EQ(hop_at(admin, Stage::app)->says, "the proxy itself answers on port 15000");
  EXPECT_EQ(path_in(world, "productpage", "http://127.0.0.1:15001/").failure,
            "port 15001 of default/productpage is its proxy's, for captured connections alone");
  EXPECT_EQ(path_in(world, "outsider", "http://10.244.1.5:15006/").failure,
            "port 15006 of default/reviews-v1 is its proxy's, for captured connections alone");
  // Without a sidecar they are ports like others.
  EXPECT_EQ(path_in(world, "outsider", "http://10.244.1.7:15021/").branches.front().condition,
            "something listens on port 15021");
}

TEST(Path, ItsOwnNamesAreInTheHostsFile) {
  const auto world = world_from(shop());
  for (const char* to : {"http://localhost:9080/", "http://LOCALHOST:9080/",
                         "http://outsider:9080/", "http://0.0.0.0:9080/"}) {
    const Path path = path_in(world, "outsider", to);
    EXPECT_EQ(path.failure, "") << to;
    EXPECT_EQ(stages_of(path), "from name capture app > default/outsider") << to;
  }
  EXPECT_EQ(path_in(world, "outsider", "http://localhost/").hops[1].says,
            "localhost is ::1 and 127.0.0.1");
  EXPECT_EQ(path_in(world, "node1", "http://localhost/").failure, "");
  EXPECT_FALSE(path_in(world, "outsider", "http://loner/").arrives());
}

TEST(Path, BehindEachAddressOfANameAreTheSameEndpoints) {
  const auto world = world_from(shop() + entry("partner", "number: 80, targetPort: 8080",
                                               "{address: 192.0.2.7}, {address: 192.0.2.8}"));
  const Path path = path_in(world, "productpage", "http://partner.example.org/");
  ASSERT_EQ(path.branches.size(), 2U);
  for (const Branch& branch : path.branches) EXPECT_DOUBLE_EQ(branch.share, 0.5);
}

TEST(Path, APodThatCallsItselfByItsAddress) {
  const Path path = path_in(world_from(shop()), "reviews-v1", "http://10.244.1.5:9080/");
  EXPECT_EQ(stages_of(path), "from name capture app > default/reviews-v1");
}

TEST(Path, APodThatCallsItsOwnServiceIsTakenInOverLoopback) {
  const Path path = path_in(world_from(shop()), "reviews-v1", "http://reviews:9080/");
  for (const Branch& branch : path.branches) {
    if (branch.workload != "default/reviews-v1") continue;
    ASSERT_EQ(branch.hops.front().stage, Stage::capture);
    EXPECT_EQ(branch.hops.front().to, "127.0.0.1:15006");
    return;
  }
  FAIL() << "it is one of its own endpoints";
}

// ── without ─────────────────────────────────────────────────────────────────────────────────────

TEST(Path, WithoutSidecarsTheNodesKernelChooses) {
  const Path path = path_in(world_from(shop()), "outsider", "http://plain:8000/");
  EXPECT_TRUE(path.arrives());
  EXPECT_EQ(stages_of(path), "from name capture kernel app > default/loner");
  const Hop* kernel = hop_at(path, Stage::kernel);
  EXPECT_EQ(kernel->place, "node node1");
  ASSERT_EQ(kernel->choices.size(), 1U);
  EXPECT_EQ(kernel->choices[0].address, "10.244.1.7:8000");
  EXPECT_FALSE(kernel->rules.empty());
}

TEST(Path, FromANodeAndFromAMachine) {
  const auto world = world_from(shop());
  EXPECT_EQ(stages_of(path_in(world, "node2", "http://10.96.0.15:8000/")),
            "from name kernel app > default/loner");
  EXPECT_EQ(stages_of(path_in(world, "ratings-vm", "http://plain:8000/")),
            "from name capture kernel app > default/loner");
}

// ── what does not arrive ────────────────────────────────────────────────────────────────────────

TEST(Failure, AnUnknownNameSaysWhatIsNear) {
  const Path path = path_in(world_from(shop()), "productpage", "http://review:9080/");
  EXPECT_FALSE(path.arrives());
  EXPECT_EQ(stages_of(path), "from name");
  EXPECT_EQ(path.failure,
            "NXDOMAIN: there is no service 'review' in namespace default; near it: reviews");
}

TEST(Failure, OfANameThatIsThereTheReasonIsItsOwn) {
  const auto world = world_from(shop() + R"(---
apiVersion: v1
kind: Service
metadata: {name: away}
spec: {type: ExternalName, externalName: shop.example.com}
)");
  const auto cause = [&](const char* to) { return path_in(world, "outsider", to).failure; };
  EXPECT_EQ(cause("http://away"),
            "NODATA: away.default.svc.cluster.local stands for shop.example.com, of which nobody "
            "here knows an address");
  // The first name that is tried is the one that was meant, not "each" as a namespace.
  EXPECT_EQ(cause("http://reviews-v9.each:9080"),
            "NXDOMAIN: reviews-v9.each.default.svc.cluster.local: the service has no ready "
            "endpoint of that name");
  EXPECT_EQ(cause("http://example.com"),
            "NXDOMAIN: there is no namespace 'com', and nobody outside is asked for example.com");
}

TEST(Failure, WithinALabNoWayLeadsOut) {
  const auto world = world_from(shop());
  const auto cause = [&](const char* to) {
    Model model(world);
    return explain(model, {.from = *find_caller(*world, "outsider"),
                           .to = *parse_target(to),
                           .within = {*nft::parse_prefix("10.0.0.0/8")}})
        .failure;
  };
  EXPECT_EQ(cause("http://192.0.2.1/"),
            "192.0.2.1 is outside of the lab, from which no way leads out");
  EXPECT_EQ(cause("http://10.200.0.9/"), "nobody has the address 10.200.0.9");
  EXPECT_EQ(cause("tcp://10.96.0.10:53"), "");
  EXPECT_EQ(cause("http://10.96.0.10/"), "the name server 10.96.0.10 listens on port 53 alone");
  EXPECT_NE(path_in(world, "outsider", "http://192.0.2.1/").unknown, "");
}

// It is parsed by the proxy's own parser, with its limits.
TEST(Failure, ARequestThatTheProxyRefuses) {
  const auto world = world_from(shop());
  const auto cause = [&](const std::string& from, std::size_t size, int count) {
    Call call{.from = *find_caller(*world, from), .to = *parse_target("http://reviews:9080/")};
    call.headers.assign(count, {"x-a", std::string(size, 'a')});
    Model model(world);
    return explain(model, call).failure;
  };
  EXPECT_EQ(cause("productpage", 60'000, 1), "");
  EXPECT_EQ(cause("productpage", 62'000, 1), "431: the request's head is longer than 61440 bytes");
  EXPECT_EQ(cause("productpage", 1, 97), "");
  EXPECT_EQ(cause("productpage", 1, 98), "431: the request's head is made of more than 100 fields");
  EXPECT_EQ(cause("outsider", 62'000, 1), "431: the request's head is longer than 61440 bytes");
}

TEST(Failure, AServiceWithoutEndpoints) {
  const auto world = world_from(shop());
  const std::string why = "Service default/empty has no endpoint: no pod has the labels app=nobody";
  EXPECT_EQ(path_in(world, "productpage", "http://empty:9081/").failure, why);
  EXPECT_EQ(path_in(world, "outsider", "http://empty:9081/").failure, why);
}

TEST(Failure, APortThatTheServiceDoesNotHave) {
  const auto world = world_from(shop());
  const std::string why = "Service default/reviews has no port 9999, only 9080 (http)";
  EXPECT_EQ(path_in(world, "productpage", "http://reviews:9999/").failure, why);
  EXPECT_EQ(path_in(world, "outsider", "http://reviews:9999/").failure, why);
}

TEST(Failure, APortThatNoPodOffers) {
  const auto world = world_from(shop() + R"(---
apiVersion: v1
kind: Service
metadata: {name: typo}
spec:
  clusterIP: 10.96.0.16
  selector: {app: loner}
  ports: [{name: http, port: 80, targetPort: wbe}]
---
)" + slice("typo", "{name: other, port: 80}", "{addresses: [10.244.1.7]}"));
  EXPECT_EQ(path_in(world, "outsider", "http://typo/").failure,
            "Service default/typo has no endpoint that is ready: default/loner has no port of the "
            "name \"wbe\"");
}

TEST(Failure, AnAddressThatNoPodHas) {
  const Path path = path_in(world_from(shop()), "outsider", "http://10.244.1.99:9080/");
  EXPECT_EQ(path.failure, "no pod has the address 10.244.1.99");
}

// A pod whose work is done, and its service.
std::string job(const std::string& phase) {
  std::string pod = testing::pod("job-1", "job", "node2", "10.244.2.9", false, false);
  const std::string status = "status:\n";
  pod.insert(pod.find(status) + status.size(), "  phase: " + phase + "\n");
  return pod +
         "apiVersion: v1\nkind: Service\nmetadata: {name: job}\nspec: {clusterIP: 10.96.0.19, "
         "selector: {app: job}, ports: [{name: http, port: 9080}]}\n---\n";
}

TEST(Failure, APodThatHasEnded) {
  const auto world = world_from(job("Succeeded") + shop());
  const std::string ended = "Pod default/job-1 has ended (phase Succeeded)";
  for (const char* from : {"job-1", "default/job-1", "job"}) {
    const Path path = path_in(world, from, "http://reviews:9080/");
    EXPECT_EQ(stages_of(path), "from");
    EXPECT_EQ(path.failure, ended + ": it runs no more, and asks nobody");
  }
  EXPECT_EQ(path_in(world, "outsider", "http://10.244.2.9:9080/").failure,
            ended + ": it runs no more, and answers nobody");
  for (const char* from : {"outsider", "productpage"}) {
    EXPECT_EQ(path_in(world, from, "http://job:9080/").failure,
              "Service default/job has no endpoint: " + ended);
  }
  EXPECT_EQ(path_in(world_from(job("Failed") + shop()), "job", "http://job:9080/").failure,
            "Pod default/job-1 has ended (phase Failed): it runs no more, and asks nobody");
}

TEST(Failure, AnAnnotationThatCannotBeUnderstood) {
  const auto world = world_from(shop("traffic.sidecar.istio.io/excludeOutboundPorts: \"many\""));
  const Path path = path_in(world, "productpage", "http://reviews:9080/");
  EXPECT_NE(path.failure.find("excludeOutboundPorts"), std::string::npos) << path.failure;
}

// ── shares ──────────────────────────────────────────────────────────────────────────────────────

TEST(Shares, AsFractions) {
  EXPECT_EQ(fraction(1), "all");
  EXPECT_EQ(fraction(0.5), "1/2");
  EXPECT_EQ(fraction(1.0 / 3), "1/3");
  EXPECT_EQ(fraction(0.4), "2/5");
  EXPECT_EQ(fraction(0.1234567), "12 %");
  EXPECT_EQ(fraction(0.0012345), "0.12 %");
}

TEST(Shares, OfAllBranchesMakeOne) {
  const Path path = path_in(world_from(shop()), "outsider", "http://reviews:9080/");
  double sum = 0;
  for (const Branch& branch : path.branches) sum += branch.share;
  EXPECT_DOUBLE_EQ(sum, 1);
}

}  // namespace
}  // namespace fairlead::explain
