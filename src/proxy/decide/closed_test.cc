#include "proxy/decide/closed.h"

#include <gtest/gtest.h>

namespace fairlead::proxy {
namespace {

TEST(Closed, AFilterClosesWhatDoesNotDisableIt) {
  config::HttpConnectionManager manager;
  config::VirtualHost host;
  config::Route route;
  Rule rule{.host = &host, .route = &route};
  EXPECT_EQ(why_closed(manager, rule), "");
  manager.closed_filters = {{.name = "rbac", .why = "http_filters[0]: rbac"},
                            {.name = "jwt", .why = "http_filters[1]: jwt"}};
  EXPECT_EQ(why_closed(manager, rule), "http_filters[0]: rbac");
  route.disabled_filters = {"rbac"};
  EXPECT_EQ(why_closed(manager, rule), "http_filters[1]: jwt");
  host.disabled_filters = {"jwt"};
  EXPECT_EQ(why_closed(manager, rule), "");
  const config::Closed own = "routes[0].x";
  rule.closed = &own;
  EXPECT_EQ(why_closed(manager, rule), "routes[0].x");
  manager.closed = "path_with_escaped_slashes_action";
  EXPECT_EQ(why_closed(manager, rule), "path_with_escaped_slashes_action");
}

TEST(Closed, ARuleIsClosedByWhateverHoldsItsRoute) {
  const auto why = [](const config::RouteConfiguration& routes) {
    const auto table = RouteTable::make(std::make_shared<const config::RouteConfiguration>(routes));
    http::RequestHead head;
    head.method = "GET";
    head.authority = "a";
    head.path = "/x";
    const Rule* rule = match(**table, head);
    EXPECT_NE(rule, nullptr);
    return std::string(why_closed(config::HttpConnectionManager{}, *rule));
  };
  config::Route route;
  route.forward.clusters = {{.cluster = "c"}};
  config::RouteConfiguration routes{
      .name = "r", .virtual_hosts = {{.name = "h", .domains = {"*"}, .routes = {route, route}}}};
  EXPECT_EQ(why(routes), "");
  routes.virtual_hosts[0].routes[1].closed = "the one that is not matched";
  EXPECT_EQ(why(routes), "");
  routes.virtual_hosts[0].routes[0].closed = "route";
  EXPECT_EQ(why(routes), "route");
  routes.virtual_hosts[0].closed = "host";
  EXPECT_EQ(why(routes), "host");
  routes.closed = "routes";
  EXPECT_EQ(why(routes), "routes");
}

TEST(Closed, AnEndpointIsSpokenToAsTheFirstMatchOfItsLabelsSays) {
  config::Cluster cluster{.name = "c"};
  config::LbEndpoint plain;
  config::LbEndpoint mutual{.transport_socket_labels = {{"tlsMode", "istio"}, {"x", "y"}}};
  EXPECT_EQ(why_closed(cluster, &mutual), "");
  cluster.transport_socket_matches = {
      {.name = "tls", .labels = {{"tlsMode", "istio"}}, .closed = "matches[0]: tls"},
      {.name = "plain"}};
  cluster.transport_socket = "transport_socket: tls";
  EXPECT_EQ(why_closed(cluster, &mutual), "matches[0]: tls");
  EXPECT_EQ(why_closed(cluster, &plain), "");
  EXPECT_EQ(why_closed(cluster, nullptr), "");
  cluster.transport_socket_matches.pop_back();
  EXPECT_EQ(why_closed(cluster, &plain), "transport_socket: tls");
  EXPECT_EQ(why_closed(cluster, nullptr), "transport_socket: tls");
  mutual.transport_socket_labels["tlsMode"] = "other";
  EXPECT_EQ(why_closed(cluster, &mutual), "transport_socket: tls");
  plain.closed = "endpoint";
  EXPECT_EQ(why_closed(cluster, &plain), "endpoint");
  cluster.closed = "cluster";
  EXPECT_EQ(why_closed(cluster, &plain), "cluster");
}

TEST(Closed, WhatMayBeClosedIsNeverMissed) {
  config::Cluster cluster{.name = "c"};
  config::ClusterLoadAssignment endpoints{.localities = {{.endpoints = {{}, {}}}}};
  EXPECT_FALSE(may_be_closed(cluster, nullptr));
  EXPECT_FALSE(may_be_closed(cluster, &endpoints));
  endpoints.localities[0].endpoints[1].closed = "x";
  EXPECT_TRUE(may_be_closed(cluster, &endpoints));
  endpoints.localities[0].endpoints[1] = {.transport_socket_labels = {{"a", "b"}}};
  cluster.transport_socket_matches = {{.name = "m", .labels = {{"a", "b"}}, .closed = "m"}};
  EXPECT_TRUE(may_be_closed(cluster, &endpoints));
  EXPECT_FALSE(may_be_closed(cluster, nullptr));
  cluster.transport_socket = "tls";
  EXPECT_TRUE(may_be_closed(cluster, nullptr));
}

TEST(Closed, DetailsAreOneWord) {
  EXPECT_EQ(closed_details("transport_socket: tls"),
            "protection_not_enforced{transport_socket:_tls}");
}

}  // namespace
}  // namespace fairlead::proxy
