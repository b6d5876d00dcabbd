#include "xds/bootstrap.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "xds/dump.h"

namespace fairlead::xds {
namespace {

using testing::Contains;
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

const StaticRules unknown_too{.allow_unknown = true};

std::string refusal(const std::string& text, const StaticRules& rules = {}) {
  const Result<Bootstrap> bootstrap = read_bootstrap(text, "envoy.yaml", rules);
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
              HasSubstr("http_filters[0].typed_config.rules: not honoured, and it protects"));
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
  EXPECT_EQ(
      refusal("static_resources:\n  clusters:\n  - name: a\n    type: STRICT_DNS\n"
              "    lb_polcy: RANDOM\n"),
      "envoy.yaml:5: static_resources.clusters[0].lb_polcy: Envoy has no such field; near it: "
      "lb_policy");
  EXPECT_EQ(refusal("static_resources:\n  clusters:\n  - name: a\n    lb_policy: FASTEST\n"),
            "envoy.yaml:4: static_resources.clusters[0].lb_policy: expected one of ROUND_ROBIN, "
            "LEAST_REQUEST, RING_HASH, RANDOM, MAGLEV, CLUSTER_PROVIDED, "
            "LOAD_BALANCING_POLICY_CONFIG, found the string \"FASTEST\"");
  EXPECT_EQ(refusal("static_resources:\n  clusters:\n  - name: a\n    connect_timeout: 0s\n"),
            "envoy.yaml:4: static_resources.clusters[0].connect_timeout: expected more than 0s");
  EXPECT_EQ(refusal("static_resources:\n  clusters:\n  - {name: a}\n  - {name: a}\n"),
            "envoy.yaml:4: static_resources.clusters[1].name: is there twice");
  const std::string chain =
      "    filter_chains: [{filters: [{name: tcp, typed_config: {'@type': "
      "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: t, "
      "cluster: a}}]}]\n";
  const std::string address =
      "    address: {socket_address: {address: 127.0.0.1, port_value: 80}}\n";
  EXPECT_EQ(refusal("static_resources:\n  clusters: [{name: a}]\n  listeners:\n  - name: l\n" +
                    address + chain + "  - name: m\n" + address + chain),
            "envoy.yaml:8: static_resources.listeners[1].address: the address 127.0.0.1:80 is that "
            "of the listener l too");
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

// HTTP/1.1 would be spoken to it. Control is asked in HTTP/2, and others are not asked at all.
TEST(Bootstrap, HttpRoutesToHttp2AreRefused) {
  const auto with_route_to = [](const std::string& cluster) {
    return refusal(
        "static_resources:\n  clusters:\n  - {name: one, http2_protocol_options: {}}\n"
        "  - {name: two}\n  listeners:\n  - name: l\n"
        "    address: {socket_address: {address: 127.0.0.1, port_value: 80}}\n"
        "    filter_chains: [{filters: [{name: h, typed_config: {'@type': type.googleapis.com/"
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, "
        "stat_prefix: s, route_config: {virtual_hosts: [{name: v, domains: ['*'], routes: [{match: "
        "{prefix: /}, route: {cluster: " +
        cluster +
        "}}]}]}, http_filters: [{name: r, typed_config: {'@type': type.googleapis.com/"
        "envoy.extensions.filters.http.router.v3.Router}}]}}]}]\n");
  };
  EXPECT_THAT(with_route_to("one"),
              HasSubstr("static_resources.clusters[0].http2_protocol_options: "
                        "not honoured, and it decides: HTTP/2: HTTP/1.1 is spoken"));
  EXPECT_EQ(with_route_to("two"), "");
}

TEST(Bootstrap, WhatIsNoFieldOfEnvoysIsRefusedAnywhere) {
  EXPECT_EQ(refusal("static_resource: {}\n"),
            "envoy.yaml:1: static_resource: Envoy has no such field; near it: static_resources, "
            "dynamic_resources");
  EXPECT_EQ(refusal("admin:\n  adress: {}\n"),
            "envoy.yaml:2: admin.adress: Envoy has no such field; near it: address");
  // Also inside what is not read.
  EXPECT_EQ(refusal("static_resources: {clusters: [{name: a, track_cluster_stats: {timeout_budget: "
                    "true}}]}\n"),
            "envoy.yaml:1: static_resources.clusters[0].track_cluster_stats.timeout_budget: Envoy "
            "has no such field; near it: timeout_budgets");
  const Result<Bootstrap> listed =
      read_bootstrap("static_resource: {}\n", "envoy.yaml", unknown_too);
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
              HasSubstr("retry_on: not honoured, and it decides: the word \"conect-failure\""));
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
  const Result<Bootstrap> made = read_bootstrap(
      text, "envoy.yaml", {.accepted = {"grpc", "runtime_fraction", "connect_matcher", "routes"}});
  ASSERT_TRUE(made.ok()) << made.fault().describe();
  const auto& filter = made->listeners.at(0).filter_chains.at(0).filter;
  const auto* manager = std::get_if<config::HttpConnectionManager>(&filter);
  ASSERT_TRUE(manager != nullptr && manager->routes);
  const std::vector<config::Route>& routes = manager->routes->virtual_hosts.at(0).routes;
  ASSERT_EQ(routes.size(), 1U);
  EXPECT_EQ(routes[0].direct.status, 200U);
}

// ── What is put up with ──────────────────────────────────────────────────────────────────────────

std::vector<std::string> described(const std::vector<Diagnostic>& list) {
  std::vector<std::string> lines;
  for (const Diagnostic& each : list) {
    lines.push_back(fmt::format("{}: {}", name_of(each.effect), each.describe()));
  }
  return lines;
}

TEST(Bootstrap, WhatDecidesIsPutUpWithWhereItIsNamed) {
  const std::string text =
      "stats_flush_interval: 5s\n"
      "static_resources:\n"
      "  clusters:\n"
      "  - name: a\n"
      "    outlierDetection: {consecutive_5xx: 3}\n"
      "    lbPolicy: MAGLEV\n";
  EXPECT_EQ(refusal(text),
            "envoy.yaml:5: static_resources.clusters[0].outlier_detection: not honoured, and it "
            "decides; --accept-unhonoured outlier_detection goes on without it (and 1 more: --mode "
            "validate lists all)");
  // Envoy's flag is for fields that Envoy does not have.
  EXPECT_NE(refusal(text, unknown_too), "");
  EXPECT_NE(refusal(text, {.accepted = {"lb_policy"}}), "");
  const Result<Bootstrap> made =
      read_bootstrap(text, "envoy.yaml",
                     {.accepted = {"static_resources.clusters.outlier_detection", "lb_policy"}});
  ASSERT_TRUE(made.ok()) << made.fault().describe();
  EXPECT_THAT(
      described(made->unhonoured),
      ElementsAre(
          "observes: Bootstrap: stats_flush_interval (envoy.yaml:1)",
          "decides: Bootstrap: static_resources.clusters[0].outlier_detection (envoy.yaml:5)",
          "decides: Bootstrap: static_resources.clusters[0].lb_policy: MAGLEV: balanced by least "
          "request (envoy.yaml:6)"));
}

TEST(Bootstrap, WhatProtectsIsRefusedWhateverTheRules) {
  const StaticRules all{.allow_unknown = true,
                        .accepted = {"transport_socket", "overload_manager", "secrets",
                                     "static_resources.clusters[0].transport_socket",
                                     "max_active_downstream_connections", "http_filters"}};
  const std::string tls =
      "{name: tls, typed_config: {'@type': "
      "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext}}";
  EXPECT_EQ(
      refusal("static_resources:\n  clusters:\n  - name: a\n    transport_socket: " + tls, all),
      "envoy.yaml:4: static_resources.clusters[0].transport_socket: not honoured, and it "
      "protects: tls");
  EXPECT_THAT(refusal("static_resources: {secrets: [{name: a}]}", all), HasSubstr("protects"));
  EXPECT_THAT(refusal("admin: {allow_paths: [{exact: /stats}]}", all), HasSubstr("protects"));
}

TEST(Bootstrap, EveryFindingIsToldAtOnce) {
  const Result<Examination> made = examine_bootstrap({{.text = R"(
stats_flush_interval: 5s
static_resource: {}
static_resources:
  clusters:
  - name: a
    connect_timeout: soon
    lb_policy: FASTEST
    conect_timeout: 1s
    outlier_detection: {}
  - {name: 5, typ: STATIC}
)",
                                                       .source = "envoy.yaml"}});
  ASSERT_TRUE(made.ok()) << made.fault().describe();
  std::vector<std::string> told;
  for (const Diagnostic& one : made->errors) {
    told.push_back(fmt::format("{}: {}", one.origin.line, one.field));
  }
  EXPECT_THAT(
      told,
      ElementsAre("3: static_resource", "7: static_resources.clusters[0].connect_timeout",
                  "8: static_resources.clusters[0].lb_policy",
                  "9: static_resources.clusters[0].conect_timeout",
                  "10: static_resources.clusters[0].outlier_detection",
                  "11: static_resources.clusters[1].name", "11: static_resources.clusters[1].typ"));
  EXPECT_THAT(described(made->bootstrap.unhonoured),
              ElementsAre("observes: Bootstrap: stats_flush_interval (envoy.yaml:2)"));
}

TEST(Bootstrap, AValueThatDoesNothingIsNoFinding) {
  const Result<Bootstrap> made = read_bootstrap(R"(
overload_manager:
  resource_monitors:
  - name: connections
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig
      max_active_downstream_connections: 2147483647
layered_runtime:
  layers:
  - {name: admin, admin_layer: {}}
  - {name: fixed, static_layer: {}}
static_resources:
  clusters:
  - name: a
    common_lb_config: {healthy_panic_threshold: {value: 0}}
    close_connections_on_host_health_failure: false
    health_checks: []
    http2_protocol_options: {max_concurrent_streams: 2147483647}
)",
                                                "envoy.yaml");
  ASSERT_TRUE(made.ok()) << made.fault().describe();
  EXPECT_THAT(described(made->unhonoured), IsEmpty());
}

TEST(Bootstrap, ALimitOfConnectionsIsNotPassedOver) {
  const std::string limited = R"(
overload_manager:
  resource_monitors:
  - name: connections
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig
      max_active_downstream_connections: 10
)";
  EXPECT_EQ(refusal(limited, unknown_too),
            "envoy.yaml:7: overload_manager.resource_monitors[0].typed_config."
            "max_active_downstream_connections: not honoured, and it protects: the limit of 10 "
            "connections is not kept");
  EXPECT_THAT(refusal("overload_manager: {actions: [{name: a}]}"), HasSubstr("protects"));
}

TEST(Bootstrap, RuntimeIsJudgedKeyByKey) {
  const auto with = [](const std::string& keys) {
    return "layered_runtime:\n  layers:\n  - name: a\n    static_layer:\n      " + keys + "\n";
  };
  EXPECT_EQ(refusal(with("overload.global_downstream_max_connections: 10")),
            "envoy.yaml:5: layered_runtime.layers[0].static_layer."
            "overload.global_downstream_max_connections: not honoured, and it protects");
  EXPECT_NE(refusal(with("overload: {global_downstream_max_connections: 10}")), "");
  EXPECT_EQ(refusal(with("overload.global_downstream_max_connections: 2147483647")), "");
  EXPECT_THAT(refusal(with("envoy.reloadable_features.no_such_check: false")),
              HasSubstr("protects"));
  EXPECT_THAT(refusal(with("my.own.fraction: {numerator: 5, denominator: HUNDRED}")),
              HasSubstr("decides"));
  EXPECT_EQ(refusal(with("re2.max_program_size.error_level: 100")), "");
}

TEST(Bootstrap, OneTextIsMergedOverAnother) {
  const Result<Bootstrap> made = read_bootstrap(
      {{.text = "node: {id: a, cluster: c}\nstatic_resources: {clusters: [{name: x}]}\n",
        .source = "envoy.yaml"},
       {.text = "node: {id: b}\nstatic_resources: {clusters: [{name: z}]}\n",
        .source = "--config-yaml"}});
  ASSERT_TRUE(made.ok()) << made.fault().describe();
  EXPECT_EQ(made->node.id, "b");
  EXPECT_EQ(made->node.cluster, "c");
  ASSERT_THAT(made->clusters, SizeIs(2));
  EXPECT_EQ(made->clusters[1].name, "z");
  const Result<Bootstrap> wrong =
      read_bootstrap({{.text = "node: {id: a}\n", .source = "envoy.yaml"},
                      {.text = "nod: {}\n", .source = "--config-yaml"}});
  ASSERT_FALSE(wrong.ok());
  EXPECT_THAT(wrong.fault().describe(),
              StartsWith("--config-yaml:1: nod: Envoy has no such field"));
}

// Of the shape that Istio's agent writes.
TEST(Bootstrap, WhatIstiosAgentWritesIsTaken) {
  const Result<Bootstrap> made = read_bootstrap(R"(
application_log_config: {log_format: {text_format: "%l %v"}}
layered_runtime:
  layers:
  - name: global config
    static_layer:
      envoy.deprecated_features:envoy.config.listener.v3.Listener.hidden_envoy_deprecated_use_original_dst: true
      envoy.reloadable_features.fixed_heap_use_allocated: true
      envoy.reloadable_features.http_reject_path_with_fragment: false
      re2.max_program_size.error_level: "32768"
  - {name: admin, admin_layer: {}}
bootstrap_extensions:
- name: envoy.bootstrap.internal_listener
  typed_config:
    "@type": type.googleapis.com/udpa.type.v1.TypedStruct
    type_url: type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener
    value: {buffer_size_kb: 64}
stats_config: {use_all_default_tags: false, stats_tags: [{tag_name: a, regex: a.b}]}
admin:
  access_log:
  - name: envoy.access_loggers.file
    typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: /dev/null}
  profile_path: /var/lib/istio/data/envoy.prof
  address: {socket_address: {address: 127.0.0.1, port_value: 15000}}
dynamic_resources:
  lds_config: {ads: {}, initial_fetch_timeout: 0s, resource_api_version: V3}
  cds_config: {ads: {}, initial_fetch_timeout: 0s, resource_api_version: V3}
  ads_config:
    api_type: DELTA_GRPC
    set_node_on_first_message_only: true
    transport_api_version: V3
    grpc_services: [{envoy_grpc: {cluster_name: xds-grpc}}]
overload_manager:
  resource_monitors:
  - name: envoy.resource_monitors.global_downstream_max_connections
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig
      max_active_downstream_connections: 2147483647
deferred_stat_options: {enable_deferred_creation_stats: true}
static_resources:
  clusters:
  - name: xds-grpc
    alt_stat_name: xds-grpc;
    type: STATIC
    connect_timeout: 1s
    circuit_breakers:
      thresholds:
      - {priority: DEFAULT, max_connections: 100000, max_pending_requests: 100000, max_requests: 100000}
      - {priority: HIGH, max_connections: 100000, max_pending_requests: 100000, max_requests: 100000}
    upstream_connection_options: {tcp_keepalive: {keepalive_time: 300}}
    max_requests_per_connection: 1
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
    load_assignment:
      cluster_name: xds-grpc
      endpoints: [{lb_endpoints: [{endpoint: {address: {pipe: {path: ./etc/istio/proxy/XDS}}}}]}]
  - name: prometheus_stats
    type: STATIC
    connect_timeout: 0.250s
    load_assignment:
      cluster_name: prometheus_stats
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 15000}}}}]}]
  listeners:
  - name: 0.0.0.0_15090
    address: {socket_address: {protocol: TCP, address: 0.0.0.0, port_value: 15090}}
    ignore_global_conn_limit: true
    bypass_overload_manager: true
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          codec_type: AUTO
          stat_prefix: stats
          route_config:
            virtual_hosts: [{name: backend, domains: ["*"], routes: [{match: {prefix: /stats/prometheus}, route: {cluster: prometheus_stats}}]}]
          http_filters:
          - name: envoy.filters.http.compressor.gzip
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.compressor.v3.Compressor
              compressor_library:
                name: stats_gzip
                typed_config: {"@type": type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip}
              response_direction_config: {common_config: {content_type: [text/plain]}}
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
)",
                                                "bootstrap.yaml", unknown_too);
  ASSERT_TRUE(made.ok()) << made.fault().describe();
  for (const Diagnostic& one : made->unhonoured) {
    EXPECT_TRUE(one.effect == Effect::observes || one.effect == Effect::tunes) << one.describe();
    EXPECT_FALSE(one.unknown) << one.describe();
  }
  EXPECT_THAT(described(made->unhonoured),
              Contains(HasSubstr("tunes: Bootstrap: dynamic_resources.ads_config.api_type")));
}

// ── What Envoy's reader takes
// ────────────────────────────────────────────────────────────────────

TEST(Bootstrap, IsReadAsLenientlyAsEnvoyReadsIt) {
  const Result<Bootstrap> made = read_bootstrap(R"(
!ignore addresses:
- &admin {address: 127.0.0.1, port_value: '9901'}
admin: {address: {socket_address: *admin}}
static_resources:
  clusters:
    name: app
    connect_timeout: {seconds: 60, nanos: 500000000}
    type: strict_dns
    lb_policy: Least_Request
  listeners:
    name: l
    address: {socket_address: {protocol: tcp, address: 127.0.0.1, port_value: 1}}
    use_original_dst: 'true'
    filter_chains:
      filters:
        name: tcp
        typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: a, cluster: app}
)",
                                                "envoy.yaml");
  ASSERT_TRUE(made.ok()) << made.fault().describe();
  EXPECT_EQ(made->admin->text(), "127.0.0.1:9901");
  ASSERT_THAT(made->clusters, SizeIs(1));
  EXPECT_EQ(made->clusters[0].connect_timeout, std::chrono::milliseconds(60500));
  EXPECT_EQ(made->clusters[0].type, config::ClusterType::strict_dns);
  ASSERT_THAT(made->listeners, SizeIs(1));
  EXPECT_TRUE(made->listeners[0].use_original_dst);
  EXPECT_THAT(refusal("static_resources: {clusters: {name: a, connect_timeout: {second: 1}}}"),
              HasSubstr("a duration has seconds and nanos"));
  EXPECT_THAT(refusal("!other a: {}\n"), HasSubstr("the tag !other"));
}

TEST(Bootstrap, WhatEnvoysSchemaRequiresIsRequired) {
  std::string text = routing("{cluster: a}");
  text.erase(text.find("          stat_prefix: a\n"), 25);
  EXPECT_THAT(refusal(text), HasSubstr("typed_config.stat_prefix: is needed"));
}

TEST(Bootstrap, APatternThatIsNoneIsRefusedByItsLine) {
  EXPECT_EQ(
      refusal(listening(R"(
            virtual_hosts:
            - name: h
              domains: ["*"]
              routes:
              - match:
                  safe_regex:
                    regex: (
                direct_response: {status: 200}
)")),
      "envoy.yaml:24: static_resources.listeners[0].filter_chains[0].filters[0].typed_config."
      "route_config.virtual_hosts[0].routes[0].match.safe_regex.regex: RE2 refuses the pattern "
      "(: missing ): (");
}

// ── The config dump
// ──────────────────────────────────────────────────────────────────────────────

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
