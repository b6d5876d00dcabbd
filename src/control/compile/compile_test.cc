#include "control/compile/compile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <variant>
#include <vector>

namespace fairlead::control {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsSupersetOf;
using ::testing::Key;
using ::testing::Not;
using ::testing::SizeIs;

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

SocketAddress at(const char* text) {
  return *SocketAddress::parse(text);
}

mesh::Endpoint endpoint(const char* address, std::uint16_t port, const char* workload = "") {
  mesh::Endpoint made;
  made.address = ip(address);
  made.ports = {{.name = "", .port = port, .proxied = true}};
  made.workload = workload;
  made.origin = {.kind = "Pod", .name_space = "default", .name = workload};
  return made;
}

mesh::Service service(const char* name_space, const char* name, std::uint16_t port,
                      mesh::Protocol protocol, std::vector<const char*> addresses = {}) {
  mesh::Service made;
  made.name_space = name_space;
  made.name = name;
  made.host = std::string(name) + "." + name_space + ".svc.cluster.local";
  made.ports = {{.port = port, .protocol = protocol}};
  for (const char* address : addresses) made.addresses.push_back(ip(address));
  if (addresses.empty()) made.kind = mesh::ServiceKind::headless;
  made.origin = {
      .kind = "Service", .name_space = name_space, .name = name, .file = "shop.yaml", .line = 7};
  return made;
}

mesh::World shop() {
  mesh::World world;
  world.version = "42";
  mesh::Service details = service("default", "details", 9080, mesh::Protocol::http, {"10.96.0.11"});
  details.endpoints = {endpoint("10.244.1.2", 9080, "default/details-v1")};
  mesh::Service reviews =
      service("default", "reviews", 9080, mesh::Protocol::http, {"10.96.0.12", "fd96::c"});
  reviews.endpoints = {endpoint("10.244.1.3", 9080, "default/reviews-v1"),
                       endpoint("10.244.2.3", 9080, "default/reviews-v2")};
  world.namespaces = {"default", "other"};
  world.services = {details, reviews};
  return world;
}

const Audience productpage{.name_space = "default", .addresses = {ip("10.244.1.9")}};

const config::HttpConnectionManager& http_of(const config::FilterChain& chain) {
  return std::get<config::HttpConnectionManager>(chain.filter);
}

const std::string& tcp_cluster_of(const config::FilterChain& chain) {
  return std::get<config::TcpProxy>(chain.filter).clusters.at(0).cluster;
}

std::vector<SocketAddress> addresses_of(const config::ClusterLoadAssignment& endpoints) {
  std::vector<SocketAddress> addresses;
  for (const auto& locality : endpoints.localities) {
    for (const auto& endpoint : locality.endpoints) addresses.push_back(endpoint.address);
  }
  return addresses;
}

TEST(Compile, CaptureListenersAreIstiods) {
  const config::Snapshot snapshot = compile(shop(), productpage);

  const config::Listener& out = *snapshot.listeners.at("virtualOutbound");
  EXPECT_EQ(out.address, at("0.0.0.0:15001"));
  EXPECT_TRUE(out.bind_to_port);
  EXPECT_TRUE(out.use_original_dst);
  ASSERT_THAT(out.filter_chains, SizeIs(2));
  EXPECT_EQ(out.filter_chains[0].match.destination_port, 15001);
  EXPECT_EQ(tcp_cluster_of(out.filter_chains[0]), "BlackHoleCluster");
  EXPECT_EQ(tcp_cluster_of(out.filter_chains[1]), "PassthroughCluster");

  const config::Listener& in = *snapshot.listeners.at("virtualInbound");
  EXPECT_EQ(in.address, at("0.0.0.0:15006"));
  EXPECT_TRUE(in.original_dst_filter);
  EXPECT_FALSE(in.use_original_dst);
  EXPECT_THAT(snapshot.clusters, IsSupersetOf({Key("PassthroughCluster"), Key("BlackHoleCluster"),
                                               Key("InboundPassthroughCluster")}));
  const config::Cluster& delivery = *snapshot.clusters.at("InboundPassthroughCluster");
  EXPECT_EQ(delivery.source_v4, ip("127.0.0.6"));
  EXPECT_EQ(delivery.source_v6, ip("::6"));
}

TEST(Compile, DeclaredHttpIsRoutedByAuthorityWithinItsPort) {
  const config::Snapshot snapshot = compile(shop(), productpage);

  const config::Listener& listener = *snapshot.listeners.at("0.0.0.0_9080");
  EXPECT_FALSE(listener.bind_to_port);
  EXPECT_EQ(http_of(listener.filter_chains.at(0)).route_config_name, "9080");
  EXPECT_EQ(tcp_cluster_of(*listener.default_filter_chain), "PassthroughCluster");

  const config::RouteConfiguration& routes = *snapshot.routes.at("9080");
  EXPECT_TRUE(routes.ignore_port_in_host_matching);
  ASSERT_THAT(routes.virtual_hosts, SizeIs(3));
  const config::VirtualHost& reviews = routes.virtual_hosts[1];
  EXPECT_EQ(reviews.name, "reviews.default.svc.cluster.local:9080");
  EXPECT_THAT(
      reviews.domains,
      ElementsAre("reviews.default.svc.cluster.local", "reviews.default.svc.cluster.local.",
                  "reviews", "reviews.default.svc", "reviews.default", "10.96.0.12", "[fd96::c]"));
  EXPECT_EQ(reviews.routes.at(0).forward.clusters.at(0).cluster,
            "outbound|9080||reviews.default.svc.cluster.local");
  EXPECT_EQ(reviews.routes.at(0).forward.timeout, config::Milliseconds(0));
  EXPECT_EQ(reviews.origin.describe(), "Service default/reviews (shop.yaml:7)");
  EXPECT_EQ(routes.virtual_hosts.back().name, "allow_any");
  EXPECT_EQ(routes.virtual_hosts.back().routes.at(0).forward.clusters.at(0).cluster,
            "PassthroughCluster");
}

TEST(Compile, ShortNamesAreTheClientsNamespaces) {
  const config::Snapshot snapshot = compile(shop(), {.name_space = "other"});
  EXPECT_THAT(snapshot.routes.at("9080")->virtual_hosts.at(1).domains,
              ElementsAre("reviews.default.svc.cluster.local", "reviews.default.svc.cluster.local.",
                          "reviews.default.svc", "reviews.default", "10.96.0.12", "[fd96::c]"));
}

// An Envoy tries again only what it is told: what our proxy does of its own accord, in Envoy's
// words.
TEST(Compile, AnEnvoyIsToldWhatIsSafeToTryAgain) {
  Audience envoy = productpage;
  envoy.envoy = true;
  const config::Snapshot snapshot = compile(shop(), envoy);
  const std::vector<config::Route>& routes = snapshot.routes.at("9080")->virtual_hosts.at(0).routes;
  ASSERT_EQ(routes.size(), 2U);
  EXPECT_EQ(routes[0].name, "safe");
  EXPECT_EQ(routes[0].headers.at(0).name, ":method");
  EXPECT_THAT(routes[0].forward.retry->retry_on, Contains("reset"));
  EXPECT_EQ(routes[1].name, "default");
  EXPECT_TRUE(routes[1].headers.empty());
  EXPECT_THAT(routes[1].forward.retry->retry_on, Not(Contains("reset")));
  for (const config::Route& route : routes) {
    EXPECT_THAT(route.forward.retry->retry_on, Contains("retriable-headers"));
    EXPECT_EQ(route.forward.retry->retriable_headers.at(0).name, "x-fairlead-undelivered");
    EXPECT_THAT(route.response_headers_to_remove, ElementsAre("x-fairlead-undelivered"));
  }
  EXPECT_EQ(compile(shop(), productpage).routes.at("9080")->virtual_hosts.at(0).routes.size(), 1U);
}

// Where an endpoint has no proxy its app could say the mark. Our proxy tells endpoints apart.
TEST(Compile, TheMarkIsBelievedWhereAProxySetsIt) {
  Audience envoy = productpage;
  envoy.envoy = true;
  mesh::World world = shop();
  const std::string cluster = "outbound|9080||reviews.default.svc.cluster.local";
  Compiler compiler;
  compiler.use(std::make_shared<const mesh::World>(world));
  const auto believed = [&] {
    const auto& route =
        compiler.snapshot_for(envoy)->routes.at("9080")->virtual_hosts.at(1).routes.at(1);
    EXPECT_THAT(route.response_headers_to_remove, ElementsAre("x-fairlead-undelivered"));
    return !route.forward.retry->retriable_headers.empty();
  };
  const auto proxied = [&] {
    std::vector<bool> all;
    const config::SnapshotPointer snapshot = compiler.snapshot_for(productpage);
    for (const auto& locality : snapshot->endpoints.at(cluster)->localities) {
      for (const config::LbEndpoint& endpoint : locality.endpoints) all.push_back(endpoint.proxied);
    }
    return all;
  };
  EXPECT_TRUE(believed());
  EXPECT_THAT(proxied(), ::testing::Each(true));
  mesh::Service details = *world.services.begin();
  mesh::Service reviews = *std::next(world.services.begin());
  ASSERT_EQ(reviews.name, "reviews");
  reviews.endpoints.front().ports.front().proxied = false;
  world.services = {details, reviews};
  compiler.use(std::make_shared<const mesh::World>(world));
  EXPECT_FALSE(believed());
  EXPECT_THAT(proxied(), Contains(false));
}

// An Envoy passes on what its app says, our proxy takes the mark off of its own accord.
TEST(Compile, AnEnvoyIsToldToTakeTheMarkOffItsAppsAnswers) {
  const auto removed = [](bool envoy) {
    Audience audience = productpage;
    audience.envoy = envoy;
    std::vector<std::vector<std::string>> all;
    const config::Snapshot snapshot = compile(shop(), audience);
    for (const config::FilterChain& chain :
         snapshot.listeners.at("virtualInbound")->filter_chains) {
      const auto* http = std::get_if<config::HttpConnectionManager>(&chain.filter);
      if (!http) continue;
      for (const config::VirtualHost& host : http->routes->virtual_hosts) {
        for (const config::Route& route : host.routes) {
          all.push_back(route.response_headers_to_remove);
        }
      }
    }
    EXPECT_FALSE(all.empty());
    return all;
  };
  EXPECT_THAT(removed(true), ::testing::Each(ElementsAre("x-fairlead-undelivered")));
  EXPECT_THAT(removed(false), ::testing::Each(::testing::IsEmpty()));
}

TEST(Compiler, AnEnvoyAndOurProxyShareAllButTheirRoutes) {
  Audience envoy = productpage;
  envoy.envoy = true;
  Compiler compiler;
  compiler.use(std::make_shared<const mesh::World>(shop()));
  const config::SnapshotPointer ours = compiler.snapshot_for(productpage);
  const config::SnapshotPointer theirs = compiler.snapshot_for(envoy);
  EXPECT_NE(ours, theirs);
  const std::string cluster = "outbound|9080||reviews.default.svc.cluster.local";
  EXPECT_EQ(ours->listeners.at("0.0.0.0_9080"), theirs->listeners.at("0.0.0.0_9080"));
  EXPECT_EQ(ours->clusters.at(cluster), theirs->clusters.at(cluster));
  EXPECT_NE(ours->routes.at("9080"), theirs->routes.at("9080"));
}

TEST(Compile, NoDomainStandsInTwoVirtualHosts) {
  mesh::World world = shop();
  mesh::Service entry = service("default", "entry", 9080, mesh::Protocol::http, {"10.96.9.9"});
  entry.kind = mesh::ServiceKind::external;
  entry.host = "reviews.default";
  world.services.push_back(entry);
  const config::Snapshot snapshot = compile(world, productpage);
  std::multiset<std::string> domains;
  for (const auto& host : snapshot.routes.at("9080")->virtual_hosts) {
    domains.insert(host.domains.begin(), host.domains.end());
  }
  EXPECT_EQ(domains.count("reviews.default"), 1);
  EXPECT_EQ(domains.size(), (std::set<std::string>(domains.begin(), domains.end()).size()));
}

TEST(Compile, ServicesThatShareAPortNumberDoNotShareAFate) {
  mesh::World world = shop();
  world.services.push_back(service("default", "db", 9080, mesh::Protocol::tcp, {"10.96.0.50"}));
  world.services.push_back(
      service("default", "mystery", 9080, mesh::Protocol::undeclared, {"10.96.0.51"}));
  const config::Snapshot snapshot = compile(world, productpage);

  const config::Listener& db = *snapshot.listeners.at("10.96.0.50_9080");
  EXPECT_FALSE(db.http_inspector);
  ASSERT_THAT(db.filter_chains, SizeIs(1));
  EXPECT_EQ(tcp_cluster_of(db.filter_chains[0]), "outbound|9080||db.default.svc.cluster.local");

  const config::Listener& mystery = *snapshot.listeners.at("10.96.0.51_9080");
  EXPECT_TRUE(mystery.http_inspector);
  EXPECT_TRUE(mystery.continue_on_listener_filters_timeout);
  EXPECT_THAT(mystery.filter_chains.at(0).match.application_protocols,
              ElementsAre("http/1.0", "http/1.1"));
  EXPECT_EQ(http_of(mystery.filter_chains.at(0)).route_config_name,
            "mystery.default.svc.cluster.local:9080");
  EXPECT_EQ(tcp_cluster_of(*mystery.default_filter_chain),
            "outbound|9080||mystery.default.svc.cluster.local");
  const config::RouteConfiguration& own =
      *snapshot.routes.at("mystery.default.svc.cluster.local:9080");
  EXPECT_THAT(own.virtual_hosts.at(0).domains, ElementsAre("*"));

  EXPECT_THAT(snapshot.routes.at("9080")->virtual_hosts, SizeIs(3))
      << "neither joins the HTTP port";
}

TEST(Compile, PortsWhoseServersSpeakFirstAreNotGuessed) {
  mesh::World world;
  world.services = {service("default", "db", 3306, mesh::Protocol::undeclared, {"10.96.0.50"})};
  const config::Snapshot snapshot = compile(world, productpage);
  EXPECT_FALSE(snapshot.listeners.at("10.96.0.50_3306")->http_inspector);
}

TEST(Compile, HeadlessPodsAreDestinationsOfTheirOwn) {
  mesh::World world;
  mesh::Service db = service("default", "db", 5432, mesh::Protocol::tcp);
  db.endpoints = {endpoint("10.244.1.7", 5433), endpoint("fd44:1::7", 5433)};
  mesh::Service web = service("default", "web", 80, mesh::Protocol::http);
  web.endpoints = {endpoint("10.244.1.8", 8080)};
  world.services = {db, web};
  const config::Snapshot snapshot = compile(world, productpage);

  EXPECT_THAT(snapshot.listeners, IsSupersetOf({Key("10.244.1.7_5433"), Key("fd44:1::7_5433"),
                                                Key("10.244.1.8_8080"), Key("0.0.0.0_80")}));
  const config::Cluster& cluster =
      *snapshot.clusters.at("outbound|5432||db.default.svc.cluster.local");
  EXPECT_EQ(cluster.type, config::ClusterType::original_dst);
  EXPECT_EQ(cluster.balance, config::BalancePolicy::cluster_provided);
  EXPECT_TRUE(snapshot.endpoints.empty());
  EXPECT_THAT(snapshot.routes.at("80")->virtual_hosts.at(0).domains,
              IsSupersetOf({"*.web", "*.web.default", "*.web.default.svc",
                            "*.web.default.svc.cluster.local", "*.web.default.svc.cluster.local."}))
      << "however a pod's name is written";
}

TEST(Compile, EndpointsAreTheReadyOnesByZone) {
  mesh::World world = shop();
  world.services.edit(1, [](mesh::Service& reviews) {
    reviews.endpoints[0].zone = "a";
    reviews.endpoints[1].zone = "b";
    reviews.endpoints[1].ready = false;
  });
  const std::string name = "outbound|9080||reviews.default.svc.cluster.local";
  const config::Snapshot snapshot = compile(world, productpage);
  const auto& endpoints = *snapshot.endpoints.at(name);
  EXPECT_THAT(addresses_of(endpoints), ElementsAre(at("10.244.1.3:9080")));
  EXPECT_EQ(endpoints.localities.at(0).zone, "a");
  EXPECT_EQ(endpoints.localities.at(0).endpoints.at(0).workload, "default/reviews-v1");
  EXPECT_EQ(snapshot.clusters.at(name)->type, config::ClusterType::eds);
  EXPECT_EQ(snapshot.clusters.at(name)->eds_service_name, name);
}

TEST(Compile, EndpointsThatAreGoingAwayServeWhenThereIsNoOther) {
  mesh::World world = shop();
  world.services.edit(1, [](mesh::Service& reviews) {
    for (mesh::Endpoint& one : reviews.endpoints) {
      one.ready = false;
      one.terminating = true;
    }
    reviews.endpoints[1].serving = false;
  });
  const config::Snapshot snapshot = compile(world, productpage);
  EXPECT_THAT(
      addresses_of(*snapshot.endpoints.at("outbound|9080||reviews.default.svc.cluster.local")),
      ElementsAre(at("10.244.1.3:9080")));
}

TEST(Compile, AWorkloadWithTwoFamiliesIsOneEndpoint) {
  mesh::World world = shop();
  world.services.edit(1, [](mesh::Service& reviews) {
    reviews.endpoints.push_back(endpoint("fd44:1::3", 9080, "default/reviews-v1"));
    reviews.endpoints.push_back(endpoint("fd44:1::4", 9080, "default/reviews-v6"));
  });
  const config::Snapshot snapshot = compile(world, productpage);
  EXPECT_THAT(
      addresses_of(*snapshot.endpoints.at("outbound|9080||reviews.default.svc.cluster.local")),
      ElementsAre(at("10.244.1.3:9080"), at("10.244.2.3:9080"), at("[fd44:1::4]:9080")));
}

TEST(Compile, InboundPortsAreWhatServicesDeclare) {
  mesh::World world = shop();
  mesh::Service db = service("default", "reviews-db", 3307, mesh::Protocol::tcp, {"10.96.0.60"});
  db.endpoints = {endpoint("10.244.1.3", 3306, "default/reviews-v1")};
  world.services.push_back(db);
  const Audience reviews{.name_space = "default", .addresses = {ip("10.244.1.3")}};
  const config::Snapshot snapshot = compile(world, reviews);

  EXPECT_THAT(snapshot.clusters, IsSupersetOf({Key("inbound|9080||"), Key("inbound|3306||")}));
  const config::Cluster& delivery = *snapshot.clusters.at("inbound|9080||");
  EXPECT_EQ(delivery.type, config::ClusterType::original_dst);
  EXPECT_EQ(delivery.source_v4, ip("127.0.0.6"));

  const config::Listener& in = *snapshot.listeners.at("virtualInbound");
  EXPECT_THAT(in.uninspected_ports, ElementsAre(3306, 15006)) << "declared TCP is not sniffed";
  ASSERT_THAT(in.filter_chains, SizeIs(6));
  EXPECT_EQ(in.filter_chains[4].name, "0.0.0.0_9080");
  const config::HttpConnectionManager& http = http_of(in.filter_chains[4]);
  EXPECT_EQ(http.routes->name, "inbound|9080||");
  EXPECT_EQ(http.routes->virtual_hosts.at(0).name, "inbound|http|9080");
  EXPECT_EQ(in.filter_chains[4].origin.name, "reviews");

  EXPECT_THAT(compile(world, productpage).clusters, Not(Contains(Key("inbound|9080||"))));
}

TEST(Compile, WhoDeclaresTcpWaitsForNobodysHttp) {
  mesh::World world = shop();
  mesh::Service first = service("default", "a-http", 80, mesh::Protocol::http, {"10.96.0.61"});
  mesh::Service second = service("default", "b-tcp", 81, mesh::Protocol::tcp, {"10.96.0.62"});
  for (mesh::Service* each : {&first, &second}) {
    each->endpoints = {endpoint("10.244.1.3", 3400, "default/reviews-v1")};
    world.services.push_back(*each);
  }
  const Audience reviews{.name_space = "default", .addresses = {ip("10.244.1.3")}};
  const config::Snapshot snapshot = compile(world, reviews);
  EXPECT_THAT(snapshot.listeners.at("virtualInbound")->uninspected_ports, Contains(3400));
}

TEST(Compile, IPv6AudiencesListenInBothFamilies) {
  const Audience dual{.name_space = "default", .addresses = {ip("10.244.1.9"), ip("fd44:1::9")}};
  const config::Snapshot snapshot = compile(shop(), dual);
  for (const char* name : {"virtualOutbound", "virtualInbound", "0.0.0.0_9080"}) {
    ASSERT_THAT(snapshot.listeners.at(name)->additional_addresses, SizeIs(1)) << name;
    EXPECT_TRUE(snapshot.listeners.at(name)->additional_addresses[0].ip.is_unspecified());
  }
  EXPECT_TRUE(
      compile(shop(), productpage).listeners.at("virtualOutbound")->additional_addresses.empty());
}

TEST(Compile, UnchangedPartsAreSharedAndKeepTheirVersion) {
  mesh::World world = shop();
  const config::Snapshot first = compile(world, productpage);
  EXPECT_EQ(first.versions, (config::Versions{"42", "42", "42", "42"}));

  world.version = "43";
  world.services.edit(1, [](mesh::Service& reviews) { reviews.endpoints.pop_back(); });
  const config::Snapshot second = compile(world, productpage, &first);
  EXPECT_EQ(second.world, "43");
  EXPECT_EQ(second.number, first.number + 1);
  EXPECT_EQ(second.versions, (config::Versions{"42", "42", "42", "43"}));
  EXPECT_EQ(first.listeners, second.listeners);
  EXPECT_EQ(first.endpoints.at("outbound|9080||details.default.svc.cluster.local"),
            second.endpoints.at("outbound|9080||details.default.svc.cluster.local"));
  EXPECT_NE(first.endpoints.at("outbound|9080||reviews.default.svc.cluster.local"),
            second.endpoints.at("outbound|9080||reviews.default.svc.cluster.local"));
}

template <class T>
bool same_values(const config::Named<T>& left, const config::Named<T>& right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](const auto& one, const auto& other) {
                      return one.first == other.first && *one.second == *other.second;
                    });
}

bool same(const config::Snapshot& left, const config::Snapshot& right) {
  return same_values(left.listeners, right.listeners) && same_values(left.routes, right.routes) &&
         same_values(left.clusters, right.clusters) && same_values(left.endpoints, right.endpoints);
}

TEST(Compiler, GivesWhatCompileGivesThroughEveryKindOfChange) {
  std::vector<mesh::World> worlds{shop()};
  using Services = std::vector<mesh::Service>;
  const auto change = [&](auto edit) {
    mesh::World next = worlds.back();
    next.version = std::to_string(42 + worlds.size());
    Services services(next.services.begin(), next.services.end());
    edit(services);
    next.services = std::move(services);
    share(next, worlds.back());
    worlds.push_back(std::move(next));
  };
  change([](Services& services) { services[1].endpoints.pop_back(); });
  change([](Services& services) { services[1].endpoints.clear(); });
  change([](Services& services) { services[0].ports[0].protocol = mesh::Protocol::tcp; });
  change([](Services& services) {
    mesh::Service db = service("other", "db", 5432, mesh::Protocol::undeclared);
    db.endpoints = {endpoint("10.244.1.9", 5432)};
    services.push_back(db);
  });
  change([](Services& services) { services[2].endpoints[0].address = ip("10.244.1.3"); });
  change([](Services& services) { services.erase(services.begin()); });

  const std::vector<Audience> audiences{productpage,
                                        {.name_space = "other", .addresses = {ip("fd44:1::9")}},
                                        {.name_space = "default", .addresses = {ip("10.244.1.3")}}};
  Compiler compiler;
  for (const mesh::World& world : worlds) {
    compiler.use(std::make_shared<const mesh::World>(world));
    for (const Audience& audience : audiences) {
      const config::SnapshotPointer made = compiler.snapshot_for(audience);
      EXPECT_TRUE(same(*made, compile(world, audience))) << "world " << world.version;
      EXPECT_EQ(made->world, world.version);
    }
  }
}

TEST(Compiler, AudiencesOfOneShapeShareOneSnapshot) {
  Compiler compiler;
  compiler.use(std::make_shared<const mesh::World>(shop()));
  const auto first = compiler.snapshot_for(productpage);
  EXPECT_EQ(first, compiler.snapshot_for({.name_space = "default", .addresses = {ip("10.9.9.9")}}));
  EXPECT_NE(first, compiler.snapshot_for({.name_space = "other", .addresses = {ip("10.9.9.9")}}));
  EXPECT_NE(first,
            compiler.snapshot_for({.name_space = "default", .addresses = {ip("10.244.1.3")}}));
}

// A shop with so many services beside it that a table has many pieces.
mesh::World town() {
  mesh::World made = shop();
  std::vector<mesh::Service> services(made.services.begin(), made.services.end());
  for (int i = 100; i < 400; ++i) {
    mesh::Service more = service("default", ("more-" + std::to_string(i)).c_str(), 80,
                                 mesh::Protocol::http, {"10.96.1.1"});
    more.endpoints = {endpoint("10.250.1.1", 80)};
    services.push_back(std::move(more));
  }
  std::sort(services.begin(), services.end(), mesh::ByName());
  made.services = std::move(services);
  return made;
}

TEST(Compiler, ProxiesShareAllThatIsNotTheirOwn) {
  Compiler compiler;
  compiler.use(std::make_shared<const mesh::World>(town()));
  const auto one = compiler.snapshot_for(productpage);
  const auto other =
      compiler.snapshot_for({.name_space = "default", .addresses = {ip("10.244.1.3")}});
  ASSERT_NE(one, other);
  ASSERT_GT(one->clusters.size(), 300U);
  EXPECT_LE(one->clusters.entries_of_its_own(other->clusters), 64U);
  EXPECT_LE(one->listeners.entries_of_its_own(other->listeners), 64U);
  EXPECT_EQ(one->endpoints.entries_of_its_own(other->endpoints), 0U);
  const auto far = compiler.snapshot_for({.name_space = "other", .addresses = {ip("10.9.9.9")}});
  EXPECT_EQ(far->endpoints.entries_of_its_own(one->endpoints), 0U);
}

TEST(Compiler, OneChangedEndpointLeavesAllElseShared) {
  Compiler compiler;
  mesh::World world = town();
  compiler.use(std::make_shared<const mesh::World>(world));
  const auto before = compiler.snapshot_for(productpage);
  mesh::World next = world;
  next.version = "43";
  next.services.edit(
      200, [](mesh::Service& service) { service.endpoints[0].address = ip("10.251.0.1"); });
  compiler.use(std::make_shared<const mesh::World>(next));
  const auto after = compiler.snapshot_for(productpage);
  const auto changed = after->endpoints.entries_of_its_own(before->endpoints);
  EXPECT_GT(changed, 0U);
  EXPECT_LE(changed, 64U);
  EXPECT_LE(after->clusters.entries_of_its_own(before->clusters), 64U);
  EXPECT_EQ(after->routes.entries_of_its_own(before->routes), 0U);
  std::size_t differences = 0;
  config::Named<config::ClusterLoadAssignment>::any_difference(
      before->endpoints, after->endpoints, [&](const auto* /*old*/, const auto* /*now*/) {
        ++differences;
        return false;
      });
  EXPECT_EQ(differences, 1U);
  EXPECT_TRUE(before->clusters == after->clusters);
}

TEST(Compiler, AWorldThatChangesNothingKeepsEveryVersion) {
  Compiler compiler;
  mesh::World world = shop();
  compiler.use(std::make_shared<const mesh::World>(world));
  const auto first = compiler.snapshot_for(productpage);
  world.version = "43";
  compiler.use(std::make_shared<const mesh::World>(world));
  const auto second = compiler.snapshot_for(productpage);
  EXPECT_EQ(second->versions, first->versions);
  EXPECT_EQ(second->world, "43");
  EXPECT_EQ(second->listeners, first->listeners);
  EXPECT_EQ(second->clusters, first->clusters);
}

}  // namespace
}  // namespace fairlead::control
