#include "xds/bootstrap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "xds/dump.h"

namespace fairlead::xds {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

SidecarBootstrap reviews() {
  SidecarBootstrap sidecar;
  sidecar.pod = "reviews-v1";
  sidecar.name_space = "default";
  sidecar.service_account = "bookinfo-reviews";
  sidecar.addresses = {ip("10.244.1.2"), ip("fd00:10:244:1::2")};
  sidecar.labels = {{"app", "reviews"}, {"version", "v1"}};
  sidecar.zone = "one";
  sidecar.control_host = "10.96.0.15";
  return sidecar;
}

std::string refusal(const std::string& text,
                    UnknownStaticFields unknown = UnknownStaticFields::reject) {
  const Result<Bootstrap> bootstrap = read_bootstrap(text, "envoy.yaml", unknown);
  return bootstrap.ok() ? "" : bootstrap.fault().describe();
}

// A static bootstrap as people write them.
constexpr const char* by_hand = R"(
node: {id: here, cluster: hand, metadata: {NAMESPACE: default, LABELS: {app: a}}}
admin:
  address: {socket_address: {address: 127.0.0.1, port_value: 9901}}
static_resources:
  listeners:
  - name: web
    address: {socket_address: {address: 0.0.0.0, port_value: 8080}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          codec_type: AUTO
          access_log:
          - name: envoy.access_loggers.stdout
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
              log_format: {text_format_source: {inline_string: "%RESPONSE_CODE%\n"}}
          route_config:
            name: local
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {prefix: /}
                route: {cluster: app, timeout: 1.5s}
          http_filters:
          - name: envoy.filters.http.rbac
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC}
          - name: envoy.filters.http.fault
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault}
          - name: envoy.filters.http.cors
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors}
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: app
    type: STRICT_DNS
    connect_timeout: 0.25s
    lb_policy: ROUND_ROBIN
    load_assignment:
      cluster_name: app
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: app.example, port_value: 80}}}
        - endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: 81}}}
)";

TEST(Bootstrap, ReadsWhatPeopleWriteByHand) {
  const Result<Bootstrap> made = read_bootstrap(by_hand, "envoy.yaml");
  ASSERT_TRUE(made.ok()) << made.fault().describe();
  EXPECT_EQ(made->node.id, "here");
  EXPECT_EQ(nlohmann::json::parse(made->node.metadata)["LABELS"]["app"], "a");
  EXPECT_EQ(made->admin->text(), "127.0.0.1:9901");
  EXPECT_FALSE(made->discovery);
  EXPECT_THAT(made->unhonoured, IsEmpty());
  ASSERT_THAT(made->clusters, SizeIs(1));
  const config::Cluster& cluster = made->clusters[0];
  EXPECT_EQ(cluster.connect_timeout, std::chrono::milliseconds(250));
  EXPECT_EQ(cluster.endpoints.localities[0].endpoints[0].host, "app.example");
  EXPECT_EQ(cluster.endpoints.localities[0].endpoints[1].address.text(), "10.0.0.1:81");
  ASSERT_THAT(made->listeners, SizeIs(1));
  const auto& http =
      std::get<config::HttpConnectionManager>(made->listeners[0].filter_chains[0].filter);
  EXPECT_THAT(http.access_logs,
              ElementsAre(config::AccessLog{.path = "/dev/stdout", .format = "%RESPONSE_CODE%\n"}));
  EXPECT_EQ(http.routes->virtual_hosts[0].routes[0].forward.timeout, config::Milliseconds(1500));
  const config::Snapshot snapshot = snapshot_of(*made);
  EXPECT_EQ(snapshot.world, "static");
  EXPECT_TRUE(snapshot.listeners.contains("web") && snapshot.clusters.contains("app"));
}

TEST(Bootstrap, AFilterThatWouldDoSomethingIsRefusedByItsField) {
  std::string text = by_hand;
  const std::string_view filter = "http.rbac.v3.RBAC";
  text.insert(text.find(filter) + filter.size(), ", rules: {action: DENY}");
  const Result<Bootstrap> made = read_bootstrap(text, "envoy.yaml");
  ASSERT_FALSE(made.ok());
  EXPECT_THAT(made.fault().describe(),
              HasSubstr("http_filters[0].typed_config.rules: unknown field: fairlead does not"));
}

TEST(Bootstrap, WritesOneThatReadsBackTheSame) {
  const std::string text = write_bootstrap(reviews());
  const Result<Bootstrap> made = read_bootstrap(text, "bootstrap.json");
  ASSERT_TRUE(made.ok()) << made.fault().describe() << text;
  EXPECT_EQ(made->node.id, "sidecar~10.244.1.2~reviews-v1.default~default.svc.cluster.local");
  EXPECT_EQ(made->node.cluster, "reviews-v1.default");
  EXPECT_EQ(made->node.zone, "one");
  const auto metadata = nlohmann::json::parse(made->node.metadata);
  EXPECT_EQ(metadata["INSTANCE_IPS"], "10.244.1.2,fd00:10:244:1::2");
  EXPECT_EQ(metadata["LABELS"]["version"], "v1");
  EXPECT_EQ(metadata["SERVICE_ACCOUNT"], "bookinfo-reviews");
  EXPECT_EQ(made->admin->text(), "127.0.0.1:15000");
  EXPECT_EQ(made->discovery,
            (AggregatedDiscovery{.cluster = "xds-grpc", .node_on_first_message_only = true}));
  ASSERT_THAT(made->listeners, SizeIs(2));
  EXPECT_EQ(made->listeners[0].address.text(), "0.0.0.0:15090");
  EXPECT_EQ(made->listeners[0].additional_addresses.at(0).text(), "[::]:15090");
  EXPECT_EQ(made->listeners[1].address.text(), "0.0.0.0:15021");
  ASSERT_THAT(made->clusters, SizeIs(2));
  EXPECT_TRUE(made->clusters[1].http2);
  EXPECT_EQ(write_bootstrap(*made), text);
}

TEST(Bootstrap, ANamedControlPlaneIsResolved) {
  SidecarBootstrap sidecar = reviews();
  sidecar.control_host = "fairlead-control.fairlead-system";
  const Result<Bootstrap> made = read_bootstrap(write_bootstrap(sidecar), "b.json");
  ASSERT_TRUE(made.ok()) << made.fault().describe();
  EXPECT_EQ(made->clusters[1].type, config::ClusterType::strict_dns);
  EXPECT_EQ(made->clusters[1].endpoints.localities[0].endpoints[0].host, sidecar.control_host);
  sidecar.control_host.clear();
  EXPECT_FALSE(read_bootstrap(write_bootstrap(sidecar), "b.json")->discovery);
}

TEST(Bootstrap, RefusesWithTheLineAndThePathOfTheField) {
  EXPECT_EQ(refusal("static_resources:\n  clusters:\n  - name: a\n    type: STRICT_DNS\n"
                    "    lb_polcy: RANDOM\n"),
            "envoy.yaml:5: static_resources.clusters[0].lb_polcy: unknown field: fairlead does not "
            "honour it");
  EXPECT_EQ(refusal("static_resources:\n  clusters:\n  - name: a\n    lb_policy: FASTEST\n"),
            "envoy.yaml:4: static_resources.clusters[0].lb_policy: expected one of ROUND_ROBIN, "
            "LEAST_REQUEST, RING_HASH, RANDOM, MAGLEV, CLUSTER_PROVIDED, "
            "LOAD_BALANCING_POLICY_CONFIG, found the string \"FASTEST\"");
  EXPECT_EQ(refusal("static_resources:\n  clusters:\n  - name: a\n    connect_timeout: 0s\n"),
            "envoy.yaml:4: static_resources.clusters[0].connect_timeout: expected more than 0s");
  EXPECT_EQ(refusal("static_resources:\n  clusters:\n  - {name: a}\n  - {name: a}\n"),
            "envoy.yaml:4: static_resources.clusters[1].name: is there twice");
  EXPECT_THAT(refusal("static_resources: {listeners: [{name: a, address: {socket_address: "
                      "{address: nowhere, port_value: 1}}}]}"),
              HasSubstr("listeners[0].address.socket_address.address: expected an IP address"));
  EXPECT_THAT(refusal("a: [\n"), StartsWith("envoy.yaml:"));
  EXPECT_THAT(refusal(""), HasSubstr("expected one document"));
  EXPECT_THAT(refusal("dynamic_resources:\n  cds_config: {ads: {}}\n"), HasSubstr("ads_config"));
  EXPECT_THAT(refusal("dynamic_resources:\n  cds_config: {ads: {}}\n  ads_config: {api_type: GRPC, "
                      "grpc_services: [{envoy_grpc: {cluster_name: x}}]}\n"),
              HasSubstr("\"x\" is no static cluster"));
}

TEST(Bootstrap, WhatIsNoFieldOfEnvoysIsRefusedAnywhere) {
  EXPECT_EQ(refusal("static_resource: {}\n"),
            "envoy.yaml:1: static_resource: unknown field: fairlead does not honour it");
  EXPECT_EQ(refusal("admin:\n  adress: {}\n"),
            "envoy.yaml:2: admin.adress: unknown field: fairlead does not honour it");
  // What shapes Envoy's process is listed.
  EXPECT_EQ(refusal("layered_runtime: {}\nstatsConfig: {}\nadmin: {access_log_path: /dev/null}\n"),
            "");
  const Result<Bootstrap> listed =
      read_bootstrap("static_resource: {}\n", "envoy.yaml", UnknownStaticFields::list);
  ASSERT_TRUE(listed.ok());
  EXPECT_THAT(listed->unhonoured, SizeIs(1));
}

// A cluster, and a listener with `routes` as its route configuration.
std::string listening(const std::string& routes) {
  return R"(
static_resources:
  clusters: [{name: a}]
  listeners:
  - name: l
    address: {socket_address: {address: 127.0.0.1, port_value: 1}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: a
          http_filters:
          - name: router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          route_config:
)" + routes;
}

// With one route, whose action is `action`.
std::string routing(const std::string& action, const std::string& more = "") {
  return listening(
      "            name: r\n" + more +
      "            virtual_hosts: [{name: v, domains: ['*'], routes: [{match: {prefix: "
      "/},\n              route: " +
      action + "}]}]\n");
}

TEST(Bootstrap, ARouteToNoClusterIsRefused) {
  EXPECT_EQ(refusal(routing("{cluster: a}")), "");
  EXPECT_EQ(refusal(routing("{cluster: b}")),
            "envoy.yaml:19: static_resources.listeners[0].filter_chains[0].filters[0].typed_config."
            "route_config.virtual_hosts[0].routes[0].route.cluster: \"b\" is no static cluster");
  EXPECT_THAT(refusal(routing(
                  "{weighted_clusters: {clusters: [{name: a, weight: 1}, {name: c, weight: 1}]}}")),
              HasSubstr("route.weighted_clusters.clusters[1].name: \"c\" is no static cluster"));
  EXPECT_EQ(refusal(routing("{cluster: b}", "            validate_clusters: false\n")), "");
}

TEST(Bootstrap, ThatStaticRoutesAreValidatedMayBeSaid) {
  const std::string said = "            validate_clusters: true\n";
  EXPECT_EQ(refusal(routing("{cluster: a}", said)), "");
  EXPECT_THAT(refusal(routing("{cluster: b}", said)), HasSubstr("\"b\" is no static cluster"));
}

TEST(Bootstrap, AWordThatIsNoReasonToRetryIsRefused) {
  EXPECT_EQ(refusal(routing("{cluster: a, retry_policy: {retry_on: 'envoy-ratelimited, 5xx'}}")),
            "");
  EXPECT_THAT(refusal(routing("{cluster: a, retry_policy: {retry_on: '5xx,conect-failure'}}")),
              HasSubstr("retry_on: not honoured: the word \"conect-failure\""));
}

TEST(Bootstrap, AFilterThatWeDoNotKnowIsNamedByItsType) {
  std::string text = routing("{cluster: a}");
  const std::string_view type = "HttpConnectionManager";
  text.replace(text.find(type), type.size(), "HttpConection");
  EXPECT_THAT(refusal(text), HasSubstr("as the last filter, found type.googleapis.com/envoy.ext"));
}

TEST(Bootstrap, ARouteWithAConditionBeyondUsIsLeftOut) {
  const std::string text = listening(R"(
            virtual_hosts:
            - name: h
              domains: ["*"]
              routes:
              - {match: {prefix: /, grpc: {}}, direct_response: {status: 403}}
              - {match: {prefix: /, runtime_fraction: {}}, direct_response: {status: 404}}
              - {match: {connect_matcher: {}}, direct_response: {status: 405}}
              - {match: {prefix: /}, direct_response: {status: 200}}
)");
  const Result<Bootstrap> made = read_bootstrap(text, "envoy.yaml", UnknownStaticFields::list);
  ASSERT_TRUE(made.ok()) << made.fault().describe();
  const auto& filter = made->listeners.at(0).filter_chains.at(0).filter;
  const auto* manager = std::get_if<config::HttpConnectionManager>(&filter);
  ASSERT_TRUE(manager != nullptr && manager->routes);
  const std::vector<config::Route>& routes = manager->routes->virtual_hosts.at(0).routes;
  ASSERT_EQ(routes.size(), 1U);
  EXPECT_EQ(routes[0].direct.status, 200U);
}

TEST(Bootstrap, ListsWhatItIsToldToPutUpWith) {
  const std::string text =
      "stats_flush_interval: 5s\n"
      "static_resources:\n"
      "  clusters:\n"
      "  - name: a\n"
      "    outlierDetection: {consecutive_5xx: 3}\n"
      "    lbPolicy: MAGLEV\n";
  EXPECT_EQ(refusal(text).substr(0, 13), "envoy.yaml:5:");
  const Result<Bootstrap> made = read_bootstrap(text, "envoy.yaml", UnknownStaticFields::list);
  ASSERT_TRUE(made.ok()) << made.fault().describe();
  std::vector<std::string> fields;
  for (const config::Unhonoured& each : made->unhonoured) fields.push_back(each.describe());
  EXPECT_THAT(
      fields,
      ElementsAre("Bootstrap: stats_flush_interval (envoy.yaml:1)",
                  "Bootstrap: static_resources.clusters[0].outlierDetection (envoy.yaml:5)",
                  "Bootstrap: static_resources.clusters[0].lb_policy: MAGLEV: balanced by least "
                  "request (envoy.yaml:6)"));
  // What shapes Envoy's own process alone is put up with always.
  EXPECT_EQ(refusal("stats_flush_interval: 5s\nadmin: {access_log_path: /dev/null}\n"), "");
}

// ── The config dump ──────────────────────────────────────────────────────────────────────────────

TEST(Dump, HasEnvoysShapeAndTheOrigins) {
  Bootstrap bootstrap = *read_bootstrap(by_hand, "envoy.yaml");
  config::Snapshot snapshot = snapshot_of(bootstrap);
  const Origin origin{
      .kind = "Service", .name_space = "default", .name = "a", .file = "a.yaml", .line = 7};
  snapshot.versions = {.listeners = "41", .routes = "40", .clusters = "42", .endpoints = "43"};
  snapshot.clusters.put("b", std::make_shared<const config::Cluster>(config::Cluster{
                                 .name = "b", .type = config::ClusterType::eds, .origin = origin}));
  snapshot.endpoints.put("b",
                         std::make_shared<const config::ClusterLoadAssignment>(
                             config::ClusterLoadAssignment{.cluster_name = "b", .origin = origin}));
  snapshot.routes.put("r", std::make_shared<const config::RouteConfiguration>(
                               config::RouteConfiguration{.name = "r", .origin = origin}));
  config::Listener listener{.name = "l", .origin = origin};
  listener.filter_chains.push_back({.filter = config::TcpProxy{.clusters = {{.cluster = "b"}}}});
  snapshot.listeners.put("l", std::make_shared<const config::Listener>(listener));

  const auto dump = nlohmann::json::parse(
      config_dump(bootstrap, snapshot, WallTime(std::chrono::milliseconds(1'700'000'000'250))));
  std::map<std::string, nlohmann::json> configs;
  for (const auto& config : dump["configs"]) configs[config["@type"]] = config;
  const std::string admin = "type.googleapis.com/envoy.admin.v3.";
  const auto& boot = configs[admin + "BootstrapConfigDump"];
  EXPECT_EQ(boot["bootstrap"]["node"]["id"], "here");
  EXPECT_EQ(boot["last_updated"], "2023-11-14T22:13:20.250Z");

  const auto& clusters = configs[admin + "ClustersConfigDump"];
  EXPECT_EQ(clusters["version_info"], "42");
  EXPECT_EQ(clusters["static_clusters"][0]["cluster"]["name"], "app");
  const auto& cluster = clusters["dynamic_active_clusters"][0];
  EXPECT_EQ(cluster["version_info"], "42");
  EXPECT_EQ(cluster["cluster"]["@type"], "type.googleapis.com/envoy.config.cluster.v3.Cluster");
  EXPECT_EQ(cluster["cluster"]["metadata"]["filter_metadata"]["fairlead"]["origin"],
            "Service|default|a|a.yaml:7");

  const auto& listeners = configs[admin + "ListenersConfigDump"];
  EXPECT_EQ(listeners["static_listeners"][0]["listener"]["name"], "web");
  EXPECT_EQ(listeners["dynamic_listeners"][0]["name"], "l");
  EXPECT_EQ(listeners["dynamic_listeners"][0]["active_state"]["version_info"], "41");
  EXPECT_EQ(listeners["dynamic_listeners"][0]["active_state"]["listener"]["filter_chains"][0]
                     ["filters"][0]["typed_config"]["cluster"],
            "b");
  const auto& routes = configs[admin + "RoutesConfigDump"];
  EXPECT_EQ(routes["static_route_configs"][0]["route_config"]["name"], "local");
  EXPECT_EQ(routes["dynamic_route_configs"][0]["route_config"]["name"], "r");
  const auto& endpoints = configs[admin + "EndpointsConfigDump"];
  EXPECT_EQ(endpoints["static_endpoint_configs"][0]["endpoint_config"]["cluster_name"], "app");
  EXPECT_EQ(endpoints["dynamic_endpoint_configs"][0]["endpoint_config"]["cluster_name"], "b");
}

}  // namespace
}  // namespace fairlead::xds
