#include "proxy/stats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::proxy {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class StatsTest : public ::testing::Test {
 protected:
  StatsTest() {
    const auto first_block = stats_.cluster(0, "outbound|80||a.b");
    const auto second_block = stats_.cluster(1, "outbound|80||a.b");
    ClusterStats& first = *first_block;
    ClusterStats& second = *second_block;
    first.upstream_rq_total.add(2);
    second.upstream_rq_total.add(3);
    first.upstream_rq_active.add();
    first.upstream_rq_xx[1].add(4);
    first.upstream_rq_codes.add(200);
    second.upstream_rq_codes.add(503);
    second.upstream_rq_codes.add(200);
    first.upstream_rq_time.add(std::chrono::microseconds(700));
    second.upstream_rq_time.add(std::chrono::milliseconds(30));
    stats_.http(0, "inbound_0.0.0.0_80;")->downstream_rq_total.add();
    stats_.listener(0, "[::]:80")->downstream_cx_total.add(7);
  }
  Stats stats_;
  std::vector<Reading> readings_{{"server", "state", "", 0, false},
                                 {"cluster", "membership_total", "a", 2, false}};
};

TEST_F(StatsTest, WorkersAreSummedUpUnderEnvoysNames) {
  const std::string text = stats_.text(readings_, {});
  EXPECT_THAT(text, HasSubstr("cluster.outbound|80||a.b.upstream_rq_total: 5\n"));
  EXPECT_THAT(text, HasSubstr("cluster.outbound|80||a.b.upstream_rq_2xx: 4\n"));
  EXPECT_THAT(text, HasSubstr("cluster.outbound|80||a.b.upstream_rq_200: 2\n"));
  EXPECT_THAT(text, HasSubstr("cluster.outbound|80||a.b.upstream_rq_503: 1\n"));
  EXPECT_THAT(text, HasSubstr("listener.[__]_80.downstream_cx_total: 7\n"));
  EXPECT_THAT(text, HasSubstr("server.state: 0\n"));
  EXPECT_THAT(text, HasSubstr("cluster.a.membership_total: 2\n"));
}

TEST_F(StatsTest, TheAgentsQuestionIsAnswered) {
  EXPECT_EQ(stats_.text(readings_, {.used_only = true, .pattern = "^(server\\.state|nothing)"}),
            "server.state: 0\n");
  EXPECT_THAT(stats_.text(readings_, {.used_only = true}), Not(HasSubstr("upstream_rq_retry")));
  EXPECT_EQ(stats_.text(readings_, {.pattern = "("}), "");
}

TEST_F(StatsTest, PrometheusHasEnvoysTags) {
  const std::string text = stats_.prometheus(readings_, {});
  EXPECT_THAT(text, HasSubstr("# TYPE envoy_cluster_upstream_rq_total counter\n"
                              "envoy_cluster_upstream_rq_total"
                              "{envoy_cluster_name=\"outbound|80||a.b\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE envoy_cluster_upstream_rq_active gauge\n"));
  EXPECT_THAT(text, HasSubstr("envoy_cluster_upstream_rq_xx{envoy_response_code_class=\"2\","
                              "envoy_cluster_name=\"outbound|80||a.b\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("envoy_cluster_upstream_rq{envoy_response_code=\"503\","
                              "envoy_cluster_name=\"outbound|80||a.b\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("envoy_cluster_upstream_rq_time_bucket"
                              "{envoy_cluster_name=\"outbound|80||a.b\",le=\"1\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("envoy_cluster_upstream_rq_time_sum"
                              "{envoy_cluster_name=\"outbound|80||a.b\"} 30.7\n"));
  EXPECT_THAT(text, HasSubstr("envoy_cluster_upstream_rq_time_count"
                              "{envoy_cluster_name=\"outbound|80||a.b\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("envoy_http_downstream_rq_total"
                              "{envoy_http_conn_manager_prefix=\"inbound_0.0.0.0_80;\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE envoy_server_state gauge\nenvoy_server_state 0\n"));
}

TEST_F(StatsTest, WhatIsGoneIsForgottenUnlessSomebodyHoldsIt) {
  const auto held = stats_.cluster(0, "held");
  held->upstream_rq_total.add();
  stats_.tcp(0, "wanted")->downstream_cx_total.add();
  stats_.tcp(0, "unwanted")->downstream_cx_total.add();
  stats_.keep({.listeners = {}, .http = {}, .tcp = {"wanted"}, .clusters = {"other"}});
  EXPECT_EQ(stats_.text({}, {.used_only = true}),
            "cluster.held.upstream_rq_total: 1\ntcp.wanted.downstream_cx_total: 1\n");
}

TEST_F(StatsTest, MoreCodesThanPlacesAreNotCountedOneByOne) {
  CodeCounts codes;
  for (std::uint32_t code = 200; code < 300; ++code) codes.add(code);
  codes.add(200);
  EXPECT_EQ(codes.count(0), 2U);
  EXPECT_EQ(codes.code(CodeCounts::size - 1), 200 + CodeCounts::size - 1);
}

}  // namespace
}  // namespace fairlead::proxy
