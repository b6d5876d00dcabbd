// `fairlead proxy` as people and pilot-agent call it: flags, refusals, exit status.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "cli/test_program.h"

namespace fairlead::cli {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

Ran run(const std::string& words) {
  return run_program("proxy " + words);
}

std::string listener(const std::string& name, const std::string& port, const std::string& filter) {
  return "{name: " + name + ", address: {socket_address: {address: 127.0.0.1, port_value: " + port +
         "}}, filter_chains: [{filters: [" + filter + "]}]}";
}

std::string bootstrap(const std::string& listeners) {
  return "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}\n"
         "static_resources: {listeners: [" +
         listeners + "]}\n";
}

const std::string direct =
    "{name: envoy.filters.network.http_connection_manager, typed_config: {\"@type\": "
    "type.googleapis.com/"
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, "
    "stat_prefix: web, route_config: {name: r, virtual_hosts: [{name: v, domains: ['*'], routes: "
    "[{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: hello}}}]}]}, "
    "http_filters: [{name: "
    "envoy.filters.http.router, typed_config: {\"@type\": "
    "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]}}";

using ProxyCommandTest = WithAFolder;

TEST_F(ProxyCommandTest, ValidateReadsTheConfigurationAndEnds) {
  const std::string good = write("good.yaml", bootstrap(listener("web", "0", direct)));
  Ran ran = run("--mode validate -c " + good);
  EXPECT_EQ(ran.status, 0) << ran.said;
  EXPECT_THAT(ran.said, HasSubstr("configuration '" + good + "' OK\n"));
  ran = run("--mode validate --config-yaml '{static_resources: {listeners: []}}'");
  EXPECT_EQ(ran.status, 0) << ran.said;
  EXPECT_THAT(ran.said, HasSubstr("configuration '--config-yaml' OK\n"));
}

TEST_F(ProxyCommandTest, AConfigurationThatCannotBeIsRefusedInWords) {
  const std::string missing = folder_ + "/missing.yaml";
  Ran ran = run("-c " + missing);
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.said, AllOf(HasSubstr("fairlead proxy: "), HasSubstr(missing),
                              HasSubstr("No such file or directory")));
  ran = run("-c " + folder_);
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.said, HasSubstr("Is a directory"));

  const std::string broken = write("broken.yaml", "static_resources:\n  listeners: [\n");
  ran = run("--mode validate -c " + broken);
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.said, HasSubstr(broken + ":"));

  std::string logging = direct;
  logging.insert(logging.find("stat_prefix"),
                 "access_log: [{name: f, typed_config: {\"@type\": "
                 "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: "
                 "/dev/null, log_format: {text_format_source: {inline_string: "
                 "'%RESPONSE_CDOE%'}}}}], ");
  const std::string misspelt = write("misspelt.yaml", bootstrap(listener("web", "0", logging)));
  ran = run("--mode validate -c " + misspelt);
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.said, AllOf(HasSubstr(misspelt + ": listener web: access log /dev/null: "),
                              HasSubstr("RESPONSE_CDOE")));

  const std::string place = folder_ + "/none/access.log";
  logging.replace(logging.find("/dev/null"), 9, place);
  logging.replace(logging.find("%RESPONSE_CDOE%"), 15, "%RESPONSE_CODE%");
  const std::string nowhere = write("nowhere.yaml", bootstrap(listener("web", "0", logging)));
  EXPECT_EQ(run("--mode validate -c " + nowhere).status, 0);  // another machine may have it
  ran = run("-c " + nowhere);
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.said, AllOf(HasSubstr("opening the access log " + place),
                              HasSubstr("No such file or directory"), HasSubstr("listener web")));

  const std::string wrong =
      write("wrong.yaml", bootstrap("\n" + listener("web", "123456", direct)));
  ran = run("--mode validate -c " + wrong);
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.said, AllOf(HasSubstr(wrong + ":"), HasSubstr("port_value")));

  const std::string unknown =
      write("unknown.yaml", bootstrap("{nonsense: 1, " + listener("web", "0", direct).substr(1)));
  ran = run("--mode validate -c " + unknown);
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.said, HasSubstr("nonsense"));
  ran = run("--mode validate --allow-unknown-static-fields -c " + unknown);
  EXPECT_EQ(ran.status, 0) << ran.said;
  EXPECT_THAT(ran.said, AllOf(HasSubstr("not honoured (unknown): "), HasSubstr("nonsense")));
}

TEST_F(ProxyCommandTest, WhatOnlyTheDataPathWouldFindOutIsFoundOut) {
  std::string pattern = direct;
  pattern.replace(pattern.find("prefix: /"), 9, "safe_regex: {regex: '('}");
  const Ran ran =
      run("--mode validate -c " + write("regex.yaml", bootstrap(listener("web", "0", pattern))));
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.said, HasSubstr("fairlead proxy: "));
}

TEST_F(ProxyCommandTest, WrongUseIsTwoAndSaysWhat) {
  const std::string good = write("good.yaml", bootstrap(listener("web", "0", direct)));
  for (const auto& [words, said] : std::initializer_list<std::pair<std::string, std::string>>{
           {"", "--config-path (-c) or --config-yaml is needed"},
           {"-c", "config-path"},
           {"-c " + good + " --concurrency many", "concurrency"},
           {"-c " + good + " --concurrency -1", "concurrency"},
           {"-c " + good + " --concurrency 100000", "concurrency"},
           {"-c " + good + " -l loud", "there is no level 'loud'"},
           {"-c " + good + " --mode guess", "mode"},
           {"-c " + good + " --drain-time-s soon", "drain-time-s"},
           {"-c " + good + " --mark blue", "neither auto, none nor a number"},
           {"-c " + good + " --no-such-flag", "--no-such-flag"},
           {"-c " + good + " stray", "stray"},
       }) {
    const Ran ran = run(words);
    EXPECT_EQ(ran.status, 2) << words << ": " << ran.said;
    EXPECT_THAT(ran.said, HasSubstr(said)) << words;
  }
}

TEST_F(ProxyCommandTest, TextIsMergedOverTheFile) {
  const std::string good = write("good.yaml", bootstrap(listener("web", "0", direct)));
  Ran ran = run("--mode validate -c " + good + " --config-yaml '{node: {id: a}}'");
  EXPECT_EQ(ran.status, 0) << ran.said;
  ran = run("--mode validate -c " + good + " --config-yaml '{nod: {id: a}}'");
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.said, HasSubstr("--config-yaml:1: nod: Envoy has no such field; near it: node"));
}

TEST_F(ProxyCommandTest, EveryFindingIsToldAlsoAsJson) {
  const std::string file =
      write("findings.yaml",
            "static_resources:\n  clusters:\n  - name: a\n    outlier_detection: {}\n"
            "    alt_stat_name: b\n    lb_polcy: RANDOM\nlayered_runtime: {layers: [{name: a, "
            "static_layer: {overload.global_downstream_max_connections: 5}}]}\n");
  Ran ran = run("--mode validate --json -c " + file);
  EXPECT_EQ(ran.status, 1);
  const auto told = nlohmann::json::parse(ran.said);
  EXPECT_EQ(told["ok"], false);
  std::vector<std::string> findings;
  for (const auto& one : told["findings"]) {
    EXPECT_EQ(one["file"], file);
    findings.push_back(one["verdict"].get<std::string>() + " " + one["class"].get<std::string>() +
                       " " + one["field"].get<std::string>() + " " + one["line"].dump());
  }
  EXPECT_THAT(findings, testing::UnorderedElementsAre(
                            "refused decides static_resources.clusters[0].outlier_detection 4",
                            "listed observes static_resources.clusters[0].alt_stat_name 5",
                            "refused unknown static_resources.clusters[0].lb_polcy 6",
                            "refused protects layered_runtime.layers[0].static_layer."
                            "overload.global_downstream_max_connections 7"));
  ran = run("--mode validate -c " + file);
  EXPECT_THAT(ran.said, AllOf(HasSubstr(file + ":4: "), HasSubstr(file + ":6: "),
                              HasSubstr("near it: lb_policy"), HasSubstr(file + ":7: "),
                              HasSubstr("not honoured (observes): ")));
  ran = run("--json -c " + file);
  EXPECT_EQ(ran.status, 2);
}

TEST_F(ProxyCommandTest, TheVersionAndTheLogsFile) {
  EXPECT_THAT(run("--version").said, HasSubstr("fairlead "));
  const std::string log = folder_ + "/program.log";
  const std::string file =
      write("listed.yaml", "static_resources: {clusters: [{name: a, alt_stat_name: b}]}\n");
  const Ran ran = run("--mode validate --log-path " + log + " -c " + file);
  EXPECT_EQ(ran.status, 0) << ran.said;
  EXPECT_THAT(ran.said, testing::Not(HasSubstr("alt_stat_name")));
  std::ifstream written(log);
  const std::string text{std::istreambuf_iterator<char>(written), {}};
  EXPECT_THAT(text, HasSubstr("alt_stat_name"));
  EXPECT_EQ(run("--log-path " + folder_ + " -c " + file).status, 1);
}

TEST_F(ProxyCommandTest, HelpNamesTheFlags) {
  const Ran ran = run("--help");
  EXPECT_EQ(ran.status, 0);
  for (const char* flag : {"--config-path", "--concurrency", "--log-level", "--drain-time-s",
                           "--service-node", "--mode", "--admin-address-path"}) {
    EXPECT_THAT(ran.said, HasSubstr(flag));
  }
}

// The words that Istio's pilot-agent starts its Envoy with.
TEST_F(ProxyCommandTest, PilotAgentsWordsAreTaken) {
  const Ran ran =
      run("-c " + write("good.yaml", bootstrap(listener("web", "0", direct))) +
          " --drain-time-s 45 --drain-strategy immediate --local-address-ip-version v4 "
          "--file-flush-interval-msec 1000 --disable-hot-restart --allow-unknown-static-fields "
          "-l warning --component-log-level misc:error --skip-deprecated-logs --concurrency 2 "
          "--log-format '%Y-%m-%d' --service-cluster a --service-node b --mode validate");
  EXPECT_EQ(ran.status, 0) << ran.said;
}

TEST_F(ProxyCommandTest, APortInUseEndsAProxyThatHasNothingElse) {
  const std::string log = folder_ + "/log";
  const std::string path = folder_ + "/admin";
  const std::string first = write("first.yaml", bootstrap(listener("web", "0", direct)));
  // The admin port of the first is the listener's of the second.
  const Ran ran =
      run("-c " + first + " --concurrency 1 --admin-address-path " + path + " >" + log +
          " 2>&1 & first=$!; "
          "for try in $(seq 400); do [ -s " +
          path +
          " ] && break; sleep 0.05; done; "
          "port=$(sed 's/.*://' " +
          path +
          "); sed \"s/port_value: 0}}, filter/port_value: "
          "$port}}, filter/\" " +
          first + " >" + folder_ + "/second.yaml; " + FAIRLEAD_PROGRAM + " proxy -c " + folder_ +
          "/second.yaml --concurrency 1 2>&1; status=$?; kill $first; wait $first; "
          "echo first ended with $?; exit $status");
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.said, AllOf(HasSubstr("listener web"), HasSubstr("ddress already in use"),
                              HasSubstr("first ended with 0")));  // SIGTERM is an ordinary end
}

}  // namespace
}  // namespace fairlead::cli
