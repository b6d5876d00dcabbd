#include "proxy/admin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <string>

#include "base/log.h"
#include "proxy/test_peers.h"

namespace fairlead::proxy {
namespace {

using namespace testing;
using nlohmann::json;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class AdminTest : public ::testing::Test {
 protected:
  AdminTest() {
    AdminHooks hooks;
    hooks.config_dump = [] { return std::string(R"({"configs":[{"mine":1}]})"); };
    hooks.source = [] { return std::string(R"({"connected":true})"); };
    hooks.readings = [] {
      return std::vector<Reading>{{.scope = "listener_manager",
                                   .name = "lds.update_success",
                                   .value = 4,
                                   .counts_up = true}};
    };
    hooks.source_ready = [this] { return source_ready_.load(); };
    hooks.quit = [this] { quit_ = true; };
    hooks.version = "fairlead/test";
    hooks.arguments = {"-c", "here.yaml"};
    admin_ = proxy_.serve_admin(std::move(hooks));
  }

  std::string ask(const std::string& method, const std::string& path,
                  const std::string& fields = "") {
    Wire wire = Wire::to(admin_);
    EXPECT_TRUE(wire.send(method + " " + path + " HTTP/1.1\r\nHost: admin\r\n" + fields + "\r\n"));
    return wire.message();
  }
  std::string get(const std::string& path) { return ask("GET", path); }
  std::string post(const std::string& path) { return ask("POST", path); }
  static std::string body_of(const std::string& response) {
    const std::size_t end = response.find("\r\n\r\n");
    return end == std::string::npos ? "" : response.substr(end + 4);
  }
  json get_json(const std::string& path) {
    const std::string response = get(path);
    EXPECT_THAT(response, HasSubstr("application/json")) << path;
    json read = json::parse(body_of(response), nullptr, false);
    EXPECT_FALSE(read.is_discarded()) << path << ": " << response;
    return read;
  }

  // A listener, a cluster of two endpoints, and a request that went through.
  void serve_one() {
    config::Cluster cluster = cluster_of("outbound|80||app.shop", {app_.address()});
    config::LbEndpoint sick;
    sick.address = *SocketAddress::parse("10.9.9.9:81");
    sick.health = config::Health::unhealthy;
    cluster.endpoints.localities[0].zone = "z1";
    cluster.endpoints.localities[0].endpoints.push_back(sick);
    cluster.max_connections = 77;
    config::Listener listener =
        listener_of("front", manager_of({route_to("outbound|80||app.shop")}));
    listener.direction = config::Direction::inbound;
    ASSERT_TRUE(proxy_.apply(snapshot_of({std::move(listener)}, {std::move(cluster)})).empty());
    front_ = proxy_.address();
    Wire wire = Wire::to(front_);
    ASSERT_TRUE(wire.send("GET /one HTTP/1.1\r\nHost: a\r\nx-request-id: first\r\n\r\n"));
    ASSERT_THAT(wire.message(), StartsWith("HTTP/1.1 200 "));
    ASSERT_TRUE(eventually([&] { return !proxy_.records("first").empty(); }));
  }

  Server app_{Server::answering([](const std::string&) { return ok_with("yes"); })};
  std::atomic<bool> source_ready_{true};
  std::atomic<bool> quit_{false};
  RunningProxy proxy_;
  SocketAddress admin_;
  SocketAddress front_;
};

TEST_F(AdminTest, ReadySaysWhyNot) {
  std::string response = get("/ready");
  EXPECT_THAT(response, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(response, EndsWith("INITIALIZING\n"));
  serve_one();
  response = get("/ready");
  EXPECT_THAT(response, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(response, EndsWith("LIVE\n"));
  source_ready_ = false;
  EXPECT_THAT(get("/ready"), StartsWith("HTTP/1.1 503 "));
  source_ready_ = true;
  EXPECT_THAT(post("/healthcheck/fail"), StartsWith("HTTP/1.1 200 "));
  response = get("/ready");
  EXPECT_THAT(response, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(response, EndsWith("DRAINING\n"));
  EXPECT_THAT(post("/healthcheck/ok"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(get("/ready"), StartsWith("HTTP/1.1 200 "));
  proxy_.drain(std::chrono::milliseconds(1), std::chrono::milliseconds(1));
  ASSERT_TRUE(eventually([&] { return get("/ready").find("DRAINING\n") != std::string::npos; }));
  EXPECT_THAT(get("/ready"), StartsWith("HTTP/1.1 503 "));
}

TEST_F(AdminTest, NothingIsThereBeforeTheFirstConfigurationAndThatIsNoError) {
  EXPECT_EQ(body_of(get("/clusters")), "");
  EXPECT_EQ(body_of(get("/listeners")), "");
  EXPECT_EQ(get_json("/clusters?format=json"), json::object());
  EXPECT_EQ(get_json("/listeners?format=json"), json::object());
  EXPECT_EQ(get_json("/fairlead/records")["records"], json::array());
  EXPECT_EQ(get_json("/server_info")["state"], "INITIALIZING");
}

TEST_F(AdminTest, ClustersAndTheirEndpoints) {
  serve_one();
  const std::string text = body_of(get("/clusters"));
  EXPECT_THAT(text, HasSubstr("outbound|80||app.shop::default_priority::max_connections::77\n"));
  EXPECT_THAT(text, HasSubstr("outbound|80||app.shop::" + app_.address().text() +
                              "::health_flags::healthy\n"));
  EXPECT_THAT(text, HasSubstr("outbound|80||app.shop::10.9.9.9:81::health_flags::"
                              "/failed_eds_health\n"));
  EXPECT_THAT(text, HasSubstr("::zone::z1\n"));
  const json all = get_json("/clusters?format=json")["cluster_statuses"];
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0]["name"], "outbound|80||app.shop");
  ASSERT_EQ(all[0]["host_statuses"].size(), 2U);
  EXPECT_EQ(all[0]["host_statuses"][0]["health_status"]["eds_health_status"], "HEALTHY");
  EXPECT_EQ(all[0]["host_statuses"][1]["health_status"]["eds_health_status"], "UNHEALTHY");
  EXPECT_EQ(all[0]["host_statuses"][1]["address"]["socket_address"]["address"], "10.9.9.9");
  EXPECT_EQ(all[0]["host_statuses"][1]["address"]["socket_address"]["port_value"], 81);
}

TEST_F(AdminTest, Listeners) {
  serve_one();
  EXPECT_EQ(body_of(get("/listeners")), "front::127.0.0.1:0\n");
  const json all = get_json("/listeners?format=json")["listener_statuses"];
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0]["name"], "front");
  EXPECT_EQ(all[0]["local_address"]["socket_address"]["address"], "127.0.0.1");
}

TEST_F(AdminTest, RecordsByRequestId) {
  serve_one();
  const json records = get_json("/fairlead/records?id=first")["records"];
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0]["id"], "first");
  EXPECT_EQ(records[0]["direction"], "inbound");
  EXPECT_EQ(records[0]["path"], "/one");
  EXPECT_EQ(records[0]["status"], 200);
  EXPECT_EQ(records[0]["originalDestination"], front_.text());
  EXPECT_EQ(records[0]["downstreamLocal"], front_.text());
  EXPECT_EQ(records[0]["upstreamRemote"], app_.address().text());
  EXPECT_EQ(records[0]["world"], "test-1");
  EXPECT_EQ(get_json("/fairlead/records?id=second")["records"].size(), 0U);
  EXPECT_EQ(get_json("/fairlead/records")["records"].size(), 1U);
  EXPECT_EQ(get_json("/fairlead/records?count=0")["records"].size(), 0U);
  EXPECT_THAT(get("/fairlead/records?count=rubbish"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(get("/fairlead/records?count=-1"), StartsWith("HTTP/1.1 400 "));
}

TEST_F(AdminTest, WhatOthersKnowIsAskedOfThem) {
  EXPECT_EQ(get_json("/config_dump")["configs"][0]["mine"], 1);
  EXPECT_EQ(get_json("/fairlead/source")["connected"], true);
  const json info = get_json("/server_info");
  EXPECT_EQ(info["version"], "fairlead/test");
  EXPECT_EQ(info["command_line_options"]["arguments"][1], "here.yaml");
  EXPECT_THAT(body_of(get("/stats?filter=lds")),
              HasSubstr("listener_manager.lds.update_success: 4\n"));
  EXPECT_GT(std::stoull(get_json("/memory")["allocated"].get<std::string>()), 0U);
}

// The text format line by line, by its grammar: every family has its type said once and before its
// samples, no sample comes twice, histograms add up.
TEST_F(AdminTest, PrometheusCanReadTheStats) {
  serve_one();
  const std::string response = get("/stats/prometheus");
  EXPECT_THAT(response, HasSubstr("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  const std::regex type(R"(# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram))");
  const std::regex sample(
      R"re(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{([a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\["\\n])*"(,|(?=\})))*\})? (\d+(\.\d+)?))re");
  std::set<std::string> families;
  std::set<std::string> samples;
  std::string family;
  std::string kind;
  std::istringstream lines(body_of(response));
  for (std::string line; std::getline(lines, line);) {
    std::smatch parts;
    if (std::regex_match(line, parts, type)) {
      family = parts[1];
      kind = parts[2];
      EXPECT_TRUE(families.insert(family).second) << family << " is said twice";
      continue;
    }
    ASSERT_TRUE(std::regex_match(line, parts, sample)) << line;
    std::string name = parts[1];
    if (kind == "histogram") {
      EXPECT_THAT(name, StartsWith(family + "_"));
    } else {
      EXPECT_EQ(name, family);
    }
    EXPECT_TRUE(samples.insert(name + std::string(parts[2])).second) << line << " comes twice";
  }
  EXPECT_TRUE(families.contains("envoy_cluster_upstream_rq_total"));
  EXPECT_THAT(body_of(response), HasSubstr("envoy_cluster_upstream_rq_total{envoy_cluster_name="
                                           "\"outbound|80||app.shop\"} 1\n"));
  EXPECT_EQ(body_of(get("/stats?format=prometheus&filter=upstream_rq_total")),
            body_of(get("/stats/prometheus?filter=upstream_rq_total")));
}

TEST_F(AdminTest, StatsInThreeShapes) {
  serve_one();
  EXPECT_THAT(body_of(get("/stats?usedonly&filter=rq_total")),
              HasSubstr("cluster.outbound|80||app.shop.upstream_rq_total: 1\n"));
  const json stats = get_json("/stats?format=json&filter=upstream_rq_total$")["stats"];
  ASSERT_EQ(stats.size(), 1U);
  EXPECT_EQ(stats[0]["value"], 1);
}

TEST_F(AdminTest, WhatIsAskedForIsDoneOrRefusedInWords) {
  serve_one();
  for (const char* path : {"/clusters?format=xml", "/listeners?format=prometheus",
                           "/stats?format=html", "/stats/prometheus?format=json"}) {
    const std::string response = get(path);
    EXPECT_THAT(response, StartsWith("HTTP/1.1 400 ")) << path;
    EXPECT_THAT(response, HasSubstr("usage: /")) << path;
  }
  for (const char* path :
       {"/stats?type=Gauges", "/stats?histogram_buckets=detailed", "/clusters?filter=(",
        "/config_dump?mask=nothing", "/config_dump?name_regex=("}) {
    EXPECT_THAT(get(path), StartsWith("HTTP/1.1 400 ")) << path;
  }
  EXPECT_THAT(body_of(get("/stats?format=yaml")), HasSubstr("(text|json|prometheus)\n"));
  EXPECT_THAT(get("/config_dump?resource=nothing"), StartsWith("HTTP/1.1 404 "));
  EXPECT_EQ(get_json("/config_dump?mask=mine")["configs"][0]["mine"], 1);
  EXPECT_EQ(body_of(get("/clusters?format=text")), body_of(get("/clusters")));
  EXPECT_THAT(get("/stats?format=text&filter=lds"), HasSubstr("lds.update_success: 4\n"));
  EXPECT_EQ(body_of(get("/stats?format=&filter=lds")), body_of(get("/stats?filter=lds")));
}

TEST_F(AdminTest, ClustersByName) {
  serve_one();
  EXPECT_THAT(body_of(get("/clusters?filter=80.*app")), HasSubstr("::observability_name::"));
  EXPECT_EQ(body_of(get("/clusters?filter=other")), "");
  EXPECT_EQ(get_json("/clusters?format=json&filter=other")["cluster_statuses"].size(), 0U);
  const json all = get_json("/clusters?format=json&filter=app")["cluster_statuses"];
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0]["circuit_breakers"]["thresholds"][0]["max_connections"], 77);
}

TEST_F(AdminTest, NoPatternKeepsUsBusy) {
  serve_one();
  for (const char* path : {"/stats", "/stats/prometheus"}) {
    const std::string filter = std::string(path) + "?filter=";
    EXPECT_THAT(get(filter + "(((%5Cw)*)*)*!"), StartsWith("HTTP/1.1 200 "));
    const std::string wrong = get(filter + "(");
    EXPECT_THAT(wrong, StartsWith("HTTP/1.1 400 "));
    EXPECT_THAT(wrong, HasSubstr("regex: missing ): ("));
  }
}

TEST_F(AdminTest, LoggingTellsAndChangesTheLevel) {
  const std::string before = body_of(post("/logging"));
  EXPECT_THAT(before, StartsWith("active loggers:\n  fairlead: "));
  EXPECT_THAT(body_of(post("/logging?level=error")), HasSubstr("fairlead: error\n"));
  EXPECT_THAT(body_of(post("/logging")), HasSubstr("fairlead: error\n"));
  const std::string wrong = post("/logging?level=loud");
  EXPECT_THAT(wrong, StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(wrong, HasSubstr("usage: "));
  EXPECT_THAT(body_of(post("/logging")), HasSubstr("fairlead: error\n"));
  log::set_level(log::Level::info);
}

TEST_F(AdminTest, WhatChangesSomethingWantsPostAndNoWebPage) {
  for (const char* path : {"/logging?level=off", "/healthcheck/fail", "/healthcheck/ok",
                           "/drain_listeners", "/reopen_logs", "/quitquitquit"}) {
    const std::string response = get(path);
    EXPECT_THAT(response, StartsWith("HTTP/1.1 405 ")) << path;
    EXPECT_THAT(response, HasSubstr("POST required")) << path;
    EXPECT_THAT(ask("POST", path, "Origin: http://elsewhere\r\n"), StartsWith("HTTP/1.1 403 "));
  }
  EXPECT_FALSE(quit_);
  EXPECT_THAT(post("/quitquitquit"), HasSubstr("connection: close\r\n"));
  EXPECT_TRUE(quit_);
}

TEST_F(AdminTest, UnknownPathsAreToldWhatThereIs) {
  const std::string response = get("/nothing");
  EXPECT_THAT(response, StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(response, HasSubstr("/stats/prometheus"));
  const std::string help = body_of(get("/help"));
  EXPECT_EQ(help, body_of(get("/")));
  // What the help names is there.
  std::istringstream lines(help);
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    const std::string path = line.substr(2, line.find_first_of(" ,:", 2) - 2);
    EXPECT_THAT(get(path), Not(StartsWith("HTTP/1.1 404 "))) << path;
  }
}

TEST_F(AdminTest, ListenersDrain) {
  serve_one();
  EXPECT_THAT(post("/drain_listeners?graceful&skip_exit"), StartsWith("HTTP/1.1 200 "));
  Wire last = Wire::to(front_);
  ASSERT_TRUE(last.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_THAT(last.message(), HasSubstr("connection: close\r\n"));
  EXPECT_THAT(post("/drain_listeners?inboundonly"), StartsWith("HTTP/1.1 200 "));
  EXPECT_TRUE(eventually([&] { return !Wire::to(front_).open(); }));
}

TEST_F(AdminTest, LogsAreOpenedAnew) {
  EXPECT_THAT(post("/reopen_logs"), StartsWith("HTTP/1.1 200 "));
}

}  // namespace
}  // namespace fairlead::proxy
