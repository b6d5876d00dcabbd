// A path is never surer than its facts: what it takes as certain, what it puts under a condition,
// and what it says cannot be known.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "explain/endpoints.h"
#include "explain/path.h"
#include "explain/render.h"
#include "explain/test_shop.h"

namespace fairlead::explain {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::path_in;
using testing::pod;
using testing::shop;
using testing::slice;
using testing::stages_of;
using testing::world_from;

const Hop& last_hop(const Path& path) {
  if (!path.branches.empty() && !path.branches.front().hops.empty()) {
    return path.branches.front().hops.back();
  }
  return path.hops.back();
}

std::string first_line(const Path& path) {
  const std::string text = render(path, {.width = 300});
  return text.substr(0, text.find('\n'));
}

std::string service(const std::string& name, const std::string& addresses, const std::string& app,
                    const std::string& port) {
  return "apiVersion: v1\nkind: Service\nmetadata: {name: " + name + "}\nspec:\n  clusterIPs: [" +
         addresses + "]\n  selector: {app: " + app + "}\n  ports: [" + port + "]\n---\n";
}

std::string slice_of(const std::string& service, const std::string& family, const std::string& port,
                     const std::string& endpoints) {
  std::string text = slice(service, port, endpoints);
  text.replace(text.find("-1,"), 2, family == "IPv6" ? "-6" : "-4");
  text.replace(text.find("addressType: IPv4"), 17, "addressType: " + family);
  return text;
}

// ── who listens ─────────────────────────────────────────────────────────────────────────────────

TEST(Certainty, WhereNoContainerDeclaresThePortItIsACondition) {
  const auto world =
      world_from(shop() + "---\n" + service("undeclared", "10.96.0.40", "outsider", "{port: 80}") +
                 slice("undeclared", "{port: 80}", "{addresses: [10.244.1.8]}"));
  const Path path = path_in(world, "loner", "http://undeclared/");
  EXPECT_TRUE(path.arrives());
  EXPECT_EQ(path.condition(), "something listens on port 80");
  EXPECT_EQ(first_line(path), "arrives at default/outsider, if something listens on port 80");
}

Path path_with(const mesh::WorldPointer& world, const std::string& from, const std::string& to,
               const std::string& place, std::vector<ListeningSocket> sockets) {
  Model model(world);
  model.put_listening(place, std::move(sockets));
  return explain(model, {.from = *find_caller(*world, from), .to = *parse_target(to)});
}

SocketAddress at(const char* text) {
  return *SocketAddress::parse(text);
}

TEST(Certainty, WhereSomebodyHasLookedItIsCertain) {
  const auto world = world_from(shop());
  const auto listening = [&](const char* to, std::vector<ListeningSocket> sockets) {
    return path_with(world, "outsider", to, "default/loner", std::move(sockets));
  };
  const Path heard =
      listening("http://plain:8000/", {{.address = at("[::]:8000"), .both_families = true}});
  EXPECT_TRUE(heard.arrives());
  EXPECT_EQ(heard.condition(), "");
  // Declared or not.
  EXPECT_EQ(listening("http://plain:8000/", {}).failure,
            "nothing listens on port 8000 of default/loner");
  EXPECT_EQ(listening("http://10.244.1.7:9080/", {}).failure,
            "nothing listens on port 9080 of default/loner");
  EXPECT_EQ(listening("http://10.244.1.7:9080/", {}).met.ending, Ending::refused);
  EXPECT_EQ(listening("http://10.244.1.7:9080/", {{.address = at("127.0.0.1:9080")}}).failure,
            "nothing listens on 10.244.1.7:9080 of default/loner, only on 127.0.0.1:9080");
  EXPECT_FALSE(listening("http://plain:8000/", {{.address = at("[::]:8000")}}).arrives())
      << "a socket of IPv6 alone";
}

TEST(Certainty, OfANodeItsOwnSocketsTell) {
  const auto world = world_from(shop());
  EXPECT_THAT(places_to_look_at(path_in(world, "outsider", "http://172.30.0.2/")),
              ElementsAre("node2"));
  EXPECT_EQ(path_with(world, "outsider", "http://172.30.0.2/", "node2", {}).failure,
            "nothing listens on port 80 of node2");
  EXPECT_TRUE(
      path_with(world, "outsider", "http://172.30.0.2/", "node2", {{.address = at("0.0.0.0:80")}})
          .arrives());
}

TEST(Certainty, TheEndsAreThePlacesToLookAt) {
  const auto world = world_from(shop());
  EXPECT_THAT(places_to_look_at(path_in(world, "productpage", "http://reviews:9080/")),
              ElementsAre("default/reviews-v1", "default/reviews-v2"));
  EXPECT_THAT(places_to_look_at(path_in(world, "outsider", "http://10.244.1.5:15021/")),
              ElementsAre());
  EXPECT_THAT(places_to_look_at(path_in(world, "outsider", "http://nobody/")), ElementsAre());
}

TEST(Certainty, AnAppThatDoesNotListenIsAnAnswerOfItsProxy) {
  const auto world = world_from(shop());
  Model model(world);
  for (const char* place : {"default/reviews-v1", "default/reviews-v2"}) {
    model.put_listening(place, {{.address = at("0.0.0.0:15006")}});
  }
  const Path path = explain(model, {.from = *find_caller(*world, "outsider"),
                                    .to = *parse_target("http://reviews:9080/")});
  EXPECT_EQ(path.failure, "nothing listens on port 9080 of default/reviews-v1");
  EXPECT_EQ(path.met.ending, Ending::answered);
}

// ── who it is ───────────────────────────────────────────────────────────────────────────────────

TEST(Certainty, PodsThatShareTheirNodesAddressAreToldApartByPort) {
  const auto host = [](const std::string& name, const std::string& port) {
    std::string text = pod(name, name, "node1", "172.30.0.1", false);
    text.replace(text.find("containerPort: 9080"), 19, "containerPort: " + port);
    text.replace(text.find("spec:\n"), 6, "spec:\n  hostNetwork: true\n");
    return text;
  };
  const auto world = world_from(
      shop() + "---\n" + host("h1", "23001") + host("h2", "23002") +
      service("h2", "10.96.0.41", "h2", "{port: 80, targetPort: 23002}") +
      slice("h2", "{port: 23002}", "{addresses: [172.30.0.1], targetRef: {kind: Pod, name: h2}}") +
      service("h3", "10.96.0.42", "h2", "{port: 80, targetPort: 23003}") +
      slice("h3", "{port: 23003}", "{addresses: [172.30.0.1], targetRef: {kind: Pod, name: h2}}"));
  EXPECT_EQ(path_in(world, "outsider", "http://h2/").branches.front().workload, "default/h2");
  EXPECT_EQ(path_in(world, "outsider", "http://h3/").branches.front().workload, "default/h2")
      << "as its endpoint says, though nobody declares the port";
  EXPECT_EQ(path_in(world, "outsider", "tcp://172.30.0.1:23001").branches.front().workload,
            "default/h1");
  for (const char* from : {"h1", "node1"}) {
    EXPECT_EQ(path_in(world, from, "http://localhost:23002/").branches.front().workload,
              "default/h2")
        << from;
  }
  const Path other = path_in(world, "outsider", "tcp://172.30.0.1:22");
  EXPECT_EQ(other.branches.front().workload, "");
  EXPECT_EQ(other.condition(), "something listens on port 22");
}

// The caller's own listeners take what it dials, whoever has the address.
TEST(Certainty, PortsOfTheCallersOwnProxyAreAnsweredByIt) {
  const auto world = world_from(shop());
  for (const char* to :
       {"http://10.244.1.7:15021/healthz/ready", "http://10.244.1.5:15090/stats/prometheus"}) {
    const Path path = path_in(world, "productpage", to);
    EXPECT_TRUE(path.arrives()) << to << path.failure;
    EXPECT_EQ(path.branches.front().workload, "default/productpage") << to;
    EXPECT_EQ(last_hop(path).place, "default/productpage, its proxy") << to;
  }
  const Path other = path_in(world, "productpage", "http://10.244.1.7:15021/");
  EXPECT_THAT(other.failure, HasSubstr("404 NR: no route of health takes"));
  EXPECT_EQ(other.met, (Met{.ending = Ending::answered, .status = 404, .flag = "NR"}));
  bool named = false;
  for (const Hop& hop : other.hops) named = named || hop.name == "health";
  EXPECT_TRUE(named) << "by which of its listeners";
}

TEST(Certainty, AnAppThatRunsAsTheProxysUserIsNotCaptured) {
  for (const char* word : {"runAsUser: 1337", "runAsGroup: 1337"}) {
    std::string manifests = shop();
    const std::size_t spec = manifests.find("spec:\n", manifests.find("name: productpage"));
    manifests.insert(spec + 6, std::string("  securityContext: {") + word + "}\n");
    const Path path = path_in(world_from(manifests), "productpage", "http://plain:8000/");
    EXPECT_EQ(stages_of(path), "from name capture kernel app > default/loner") << word;
    EXPECT_THAT(path.hops[2].details, ElementsAre(HasSubstr("capture takes that for the proxy")))
        << word;
  }
  // A container's own user stands above its pod's.
  std::string manifests = shop();
  const std::size_t spec = manifests.find("spec:\n", manifests.find("name: productpage"));
  manifests.insert(spec + 6, "  securityContext: {runAsUser: 1337}\n");
  manifests.insert(manifests.find("image: x", spec), "securityContext: {runAsUser: 0}, ");
  EXPECT_THAT(stages_of(path_in(world_from(manifests), "productpage", "http://plain:8000/")),
              HasSubstr("listener"));
}

// ── names ───────────────────────────────────────────────────────────────────────────────────────

Path path_of_node(const mesh::WorldPointer& world, const char* resolv_conf, bool in_a_lab) {
  Call call{.from = *find_caller(*world, "node1"),
            .to = *parse_target("http://plain.default.svc.cluster.local:8000/")};
  if (resolv_conf != nullptr) call.node_resolver = read_resolver_settings(resolv_conf);
  if (in_a_lab) call.within = {*nft::parse_prefix("10.0.0.0/8")};
  Model model(world);
  return explain(model, call);
}

TEST(Certainty, AProcessOnANodeAsksWhomItsOwnResolvConfNames) {
  const auto world = world_from(shop());
  EXPECT_THAT(path_of_node(world, "nameserver 192.0.2.53\n", true).failure,
              HasSubstr("a process on node1 asks 192.0.2.53, as its /etc/resolv.conf says, and not "
                        "the cluster's DNS"));
  EXPECT_EQ(path_of_node(world, "nameserver 127.0.0.53\n", true).met.ending, Ending::no_address);
  EXPECT_THAT(path_of_node(world, "nameserver 192.0.2.53\n", false).unknown,
              HasSubstr("asks 192.0.2.53"));
  EXPECT_THAT(path_of_node(world, nullptr, false).unknown,
              HasSubstr("its resolv.conf is not known"));
  const Path cluster = path_of_node(world, "nameserver 10.96.0.10\n", true);
  EXPECT_EQ(stages_of(cluster), "from name kernel app > default/loner");
}

TEST(Certainty, ResolvConfAsGlibcReadsIt) {
  const ResolverSettings settings = read_resolver_settings(
      "# nobody\nsearch a.example b.example\nnameserver 10.0.0.1\nnameserver fd00::1 # two\n"
      "options edns0 ndots:3\n");
  EXPECT_THAT(settings.search, ElementsAre("a.example", "b.example"));
  ASSERT_EQ(settings.servers.size(), 2U);
  EXPECT_EQ(settings.servers[1].text(), "fd00::1");
  EXPECT_EQ(settings.ndots, 3);
  const ResolverSettings none = read_resolver_settings("");
  ASSERT_EQ(none.servers.size(), 1U);
  EXPECT_EQ(none.servers[0].text(), "127.0.0.1");
  EXPECT_EQ(none.ndots, 1);
}

// Two pods of both families, and a VM that has IPv4 alone.
std::string both_families() {
  const auto both = [](const std::string& name, const std::string& v4, const std::string& v6) {
    std::string text = pod(name, name, "node1", v4, false);
    const std::string list = "podIPs: [{ip: " + v4 + "}]";
    text.replace(text.find(list), list.size(), "podIPs: [{ip: " + v4 + "}, {ip: \"" + v6 + "\"}]");
    return text;
  };
  return std::string(testing::nodes) + both("a", "10.244.1.20", "fd00:10:244:1::20") +
         both("b", "10.244.1.21", "fd00:10:244:1::21") +
         service("b", "10.96.0.50, \"fd00:10:96::50\"", "b", "{port: 80, targetPort: 9080}") +
         slice_of("b", "IPv4", "{port: 9080}", "{addresses: [10.244.1.21]}") +
         slice_of("b", "IPv6", "{port: 9080}", "{addresses: [\"fd00:10:244:1::21\"]}") +
         service("v", "10.96.0.51, \"fd00:10:96::51\"", "vm", "{port: 80, targetPort: 9080}") +
         service("six", "\"fd00:10:96::52\"", "vm", "{port: 80, targetPort: 9080}") +
         R"(apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: vm}
spec: {address: 10.200.0.2, labels: {app: vm}, ports: {"": 9080}}
)";
}

TEST(Certainty, OfANameWithBothFamiliesWhoTakesWhichIsSaid) {
  const Path path = path_in(world_from(both_families()), "a", "http://b/");
  ASSERT_EQ(path.hops[1].stage, Stage::name);
  EXPECT_EQ(path.hops[1].says, "b is fd00:10:96::50 and 10.96.0.50");
  EXPECT_THAT(path.hops[1].details,
              ::testing::Contains("clients take IPv6 first, as glibc does; IPv4 first, as musl, Go "
                                  "and Java do"));
  ASSERT_EQ(path.branches.size(), 2U);
  EXPECT_EQ(path.branches[0].address, "[fd00:10:244:1::21]:9080");
  EXPECT_EQ(path.branches[0].client, "IPv6 first, as glibc does");
  EXPECT_EQ(path.branches[1].address, "10.244.1.21:9080");
  EXPECT_EQ(path.branches[1].client, "IPv4 first, as musl, Go and Java do");
  for (const Branch& branch : path.branches) EXPECT_DOUBLE_EQ(branch.share, 1);
  EXPECT_EQ(first_line(path), "arrives at default/b");
}

TEST(Certainty, WhoIsRefusedByOneFamilyGoesOnWithTheOther) {
  const Path path = path_in(world_from(both_families()), "a", "http://v/");
  EXPECT_TRUE(path.arrives()) << path.failure;
  ASSERT_EQ(path.branches.size(), 1U);
  EXPECT_EQ(path.branches[0].workload, "default/vm");
  EXPECT_EQ(path.branches[0].client, "") << "all clients come to the same end";
  EXPECT_THAT(path.notes,
              ::testing::Contains(HasSubstr("fd00:10:96::51 is refused, and the client goes on: "
                                            "Service default/v has no endpoint that is ready: "
                                            "default/vm has no IPv6 address")));
}

TEST(Certainty, WhereBothFamiliesAreRefusedTheNameIsStillWhatAllHaveInCommon) {
  const auto world = world_from(both_families());
  const Path path = path_with(world, "a", "http://b/", "default/b", {});
  EXPECT_EQ(path.failure, "nothing listens on port 9080 of default/b");
  ASSERT_EQ(path.branches.size(), 1U);
  EXPECT_EQ(path.branches[0].client, "");
  ASSERT_GE(path.hops.size(), 2U);
  EXPECT_EQ(path.hops[1].choices.size(), 2U);
}

TEST(Certainty, AnEndpointWithoutAnAddressOfTheFamilyIsSaidToHaveNone) {
  EXPECT_EQ(path_in(world_from(both_families()), "a", "http://six/").failure,
            "Service default/six has no endpoint that is ready: default/vm has no IPv6 address");
}

TEST(Certainty, OfSeveralAddressesTheClientPassesOverThoseThatRefuse) {
  const auto world = world_from(
      shop() + "---\n" +
      slice_of("each", "IPv4", "{name: http, port: 9080}", "{addresses: [10.244.1.99]}"));
  const Path path = path_in(world, "outsider", "http://each:9080/");
  EXPECT_TRUE(path.arrives());
  double sum = 0;
  for (const Branch& branch : path.branches) {
    EXPECT_EQ(branch.failure, "");
    sum += branch.share;
  }
  EXPECT_DOUBLE_EQ(sum, 1);
  EXPECT_THAT(path.notes,
              ::testing::Contains(HasSubstr("10.244.1.99 is refused, and the client goes on")));
}

}  // namespace
}  // namespace fairlead::explain
