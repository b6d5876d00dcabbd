// The road, in whole labs: by name, through kernel rules and proxies, between pods and to a VM, and
// `fairlead path --live` agreeing with it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <regex>
#include <thread>

#include "lab/scenarios/lab_under_test.h"

namespace fairlead::lab {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class Road : public testing::TestWithParam<Who> {
 protected:
  Road() : lab(GetParam()) {}

  void expect_answer(const std::string& from, const std::string& url, const std::string& answer) {
    const Ran ran = lab.exec(from, {"curl", "-sS", "--max-time", "10", url});
    EXPECT_EQ(ran.status, 0) << ran.error;
    EXPECT_THAT(ran.out, HasSubstr(answer));
  }

  void expect_agreement(const std::string& from, const std::string& url) {
    const Ran ran = lab.path(from, url, {"--live"});
    EXPECT_EQ(ran.status, 0) << ran.out << ran.error;
    EXPECT_THAT(ran.out, AllOf(HasSubstr("as predicted"), Not(HasSubstr("✗"))));
  }

  LabUnderTest lab;
};

INSTANTIATE_TEST_SUITE_P(As, Road, testing::ValuesIn(everyone()),
                         [](const auto& one) { return name_of(one.param); });

std::string two_nodes() {
  return deployment("client", 1, "node1") + deployment("near", 1, "node1") + service("near") +
         deployment("far", 1, "node2") + service("far");
}

TEST_P(Road, WithoutSidecars) {
  ASSERT_TRUE(lab.up(two_nodes())) << lab.said();
  expect_answer("client", "http://near/", "\"service\":\"near\"");
  expect_answer("client", "http://far.default.svc.cluster.local/", "\"service\":\"far\"");
  expect_agreement("client", "http://near/");
  expect_agreement("client", "http://far/");
  const Ran nobody = lab.path("client", "http://nobody/", {"--live"});
  EXPECT_EQ(nobody.status, 3) << nobody.out;
}

TEST_P(Road, WithSidecars) {
  ASSERT_TRUE(lab.up(two_nodes(), {"--inject", "all"})) << lab.said();
  expect_answer("client", "http://near/", "\"service\":\"near\"");
  expect_answer("client", "http://far/", "\"peer\":\"127.0.0.6:");
  expect_agreement("client", "http://near/");
  expect_agreement("client", "http://far/");
  // The curl of Istio 0.7.1's days, from the sidecar.
  const Ran registry =
      lab.exec("client", {"curl", "-sS", "istio-pilot:8080/v1/registration/"}, "istio-proxy");
  EXPECT_THAT(registry.out, HasSubstr("\"service-key\": \"far.default.svc.cluster.local|http\""))
      << registry.error;
  const nlohmann::json status = lab.status();
  EXPECT_THAT(status.dump(), AllOf(HasSubstr("istio-init"), HasSubstr("istio-proxy")));
}

TEST_P(Road, ToAVirtualMachine) {
  const std::string machine = R"(---
apiVersion: v1
kind: Service
metadata: {name: stock}
spec: {selector: {app: stock}, ports: [{name: http, port: 80, targetPort: 9080}]}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata:
  name: stock-vm
  annotations:
    fairlead/vm: "true"
    fairlead/command: fairlead sample-app --service stock --pod stock-vm --port 9080
spec: {address: 10.200.0.2, labels: {app: stock}, ports: {http: 9080}}
)";
  ASSERT_TRUE(lab.up(deployment("client", 1, "node2") + machine, {"--inject", "all"}))
      << lab.said();
  expect_answer("client", "http://stock/", "\"pod\":\"stock-vm\"");
  expect_agreement("client", "http://stock/");
}

TEST_P(Road, OverIPv6) {
  const std::string six = "ipFamilies: [IPv6]\n  ipFamilyPolicy: SingleStack";
  ASSERT_TRUE(
      lab.up(deployment("client", 1, "node1") + deployment("far", 1, "node2") + service("far", six),
             {"--inject", "all"}))
      << lab.said();
  expect_answer("client", "http://far/", "\"service\":\"far\"");
  const Ran resolved = lab.exec("client", {"getent", "ahosts", "far"});
  EXPECT_THAT(resolved.out, HasSubstr("fd00:10:96:")) << resolved.error;
  expect_agreement("client", "http://far/");
}

TEST_P(Road, ToThePodsOfAHeadlessServiceWhosePortNobodyTranslates) {
  ASSERT_TRUE(lab.up(deployment("client", 1, "node1") + R"(---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 2
  serviceName: store
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: app, image: fairlead/sample-app, ports: [{name: http, containerPort: 9080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: store}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: http, port: 80, targetPort: http}]}
)",
                     {"--inject", "all"}))
      << lab.said();
  expect_agreement("client", "http://store:9080/");
  expect_agreement("client", "http://db-1.store.default:9080/");
  for (const char* url : {"http://store/", "http://db-1.store/"}) {
    const Ran ran = lab.path("client", url, {"--live"});
    EXPECT_EQ(ran.status, 3) << ran.out << ran.error;
    EXPECT_THAT(ran.out,
                AllOf(StartsWith("did not arrive, as predicted: Service default/store is headless"),
                      HasSubstr("✓ its record says: outbound|80||store.default.svc.cluster.local"),
                      Not(HasSubstr("✗"))));
  }
}

TEST_P(Road, ThroughAProxyThatKnowsNoBetterAndTheNodesRules) {
  std::string itself = service("client");
  const std::string port = "{name: http, port: 80, targetPort: 9080}";
  itself.replace(itself.find(port), port.size(),
                 port + ", {name: tcp, port: 81, targetPort: 9080}");
  ASSERT_TRUE(lab.up(two_nodes() + itself, {"--inject", "all"})) << lab.said();
  expect_agreement("client", "tcp://far:80");
  // The node leads it back to where it came from, under another address.
  const Ran ran = lab.path("client", "tcp://client:80", {"--live"});
  EXPECT_EQ(ran.status, 0) << ran.out << ran.error;
  EXPECT_THAT(ran.out, AllOf(HasSubstr("as predicted"), HasSubstr("✓ its record says: inbound|"),
                             Not(HasSubstr("✗")), Not(HasSubstr("? "))));
  // By its id, the inbound half is known before the outbound one has ended.
  expect_agreement("client", "http://client:81/");
}

// The service web means another app from now on, and nobody tells the proxies.
void change_behind_the_proxies(LabUnderTest& lab) {
  const std::string pods =
      deployment("client", 1, "node1") + deployment("web", 1) + deployment("other", 1);
  std::string moved = service("web");
  moved.replace(moved.find("app: web"), 8, "app: other");
  EXPECT_EQ(lab.lab("kill", {"--hold", "control"}).status, 0);
  lab.write_manifest(pods + moved);
  EXPECT_TRUE(comes_about([&] {
    return lab.path("client", "http://web/").out.starts_with("arrives at default/other-");
  }));
}

std::string two_apps() {
  return deployment("client", 1, "node1") + deployment("web", 1) + deployment("other", 1) +
         service("web");
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

TEST_P(Road, SaysWhatDiffersWhenSomebodysRuleTurnsRequestsAside) {
  ASSERT_TRUE(lab.up(two_apps() + service("other"))) << lab.said();
  expect_agreement("client", "http://web/");
  const std::string other = lab.exec("client", {"curl", "-sS", "http://other/"}).out;
  const std::string turned_to = nlohmann::json::parse(other, nullptr, false).value("local", "");
  const std::string address =
      first_line(lab.exec("client", {"sh", "-c", "getent ahostsv4 web | cut -d' ' -f1"}).out);
  ASSERT_THAT(turned_to, HasSubstr(":9080")) << other;
  const Ran rule =
      lab.exec("node1", {"nft",
                         "table ip aside { chain in { type nat hook prerouting priority -150; "
                         "ip daddr " +
                             address + " tcp dport 80 dnat to " + turned_to + "; }; }"});
  ASSERT_EQ(rule.status, 0) << rule.error;
  const Ran path = lab.path("client", "http://web/", {"--live"});
  EXPECT_EQ(path.status, 1) << path.out << path.error;
  EXPECT_THAT(first_line(path.out),
              AllOf(HasSubstr("not as predicted: kernel, node node1"), HasSubstr("conntrack")));
  EXPECT_THAT(path.out, AllOf(HasSubstr("turned to " + turned_to), HasSubstr("✗ other-"),
                              HasSubstr("says that it answered")));
}

TEST_P(Road, SaysWhatDiffersWhenAProxySpeaksAnOlderWorld) {
  ASSERT_TRUE(lab.up(two_apps(), {"--inject", "all"})) << lab.said();
  expect_agreement("client", "http://web/");
  change_behind_the_proxies(lab);
  const Ran path = lab.path("client", "http://web/", {"--live"});
  EXPECT_EQ(path.status, 1) << path.out << path.error;
  EXPECT_THAT(first_line(path.out), AllOf(HasSubstr("not as predicted: endpoint, default/client-"),
                                          HasSubstr("its record says")));
  EXPECT_THAT(path.out, AllOf(HasSubstr("who is not among the predicted"), HasSubstr("✗ web-")));
  EXPECT_EQ(lab.lab("restart", {"control"}).status, 0);
  EXPECT_TRUE(lab.wait_for({"curl", "-sS", "http://web/"}, "client", "\"service\":\"other\""));
}

// What becomes of it, and stage and sentence of each hop that all requests have in common.
std::vector<std::string> told_in(const std::string& text) {
  const nlohmann::json path = nlohmann::json::parse(text, nullptr, false);
  if (!path.is_object()) return {};
  std::vector<std::string> told{path.value("cause", "")};
  for (const nlohmann::json& hop : path.value("hops", nlohmann::json::array())) {
    told.push_back(hop.value("stage", "") + ": " + hop.value("says", ""));
  }
  return told;
}

// The random ends of pods' names differ, everything else is the same.
std::string without_pod_names(const std::string& text) {
  return std::regex_replace(text, std::regex("-[a-z0-9]{8,10}-[a-z0-9]{5}"), "-POD");
}

TEST_P(Road, FromManifestsAloneItIsThePredictionOfTheLab) {
  const Words urls{"http://near/",
                   "http://istio-pilot.istio-system:8080/",
                   "tcp://fairlead-control.fairlead-system:15010",
                   "tcp://172.30.1.1:9",
                   "tcp://10.96.0.1:443",
                   "tcp://10.96.0.10:53",
                   "tcp://192.0.2.1:80",
                   "tcp://[2001:db8::1]:80",
                   "http://nobody.istio-system/"};
  ASSERT_TRUE(lab.up(two_nodes(), {"--inject", "all"})) << lab.said();
  const auto told = [&](const std::string& url, const Words& flags) {
    Words words{"path", "client", url, "--json"};
    words.insert(words.end(), flags.begin(), flags.end());
    return told_in(without_pod_names(lab.run(words).out));
  };
  std::vector<std::vector<std::string>> running;
  for (const std::string& url : urls) running.push_back(told(url, {"--name", lab.name()}));
  EXPECT_GT(running.front().size(), 5U);
  // Whether somebody listens can be looked at in a lab alone.
  const std::string nobody_declares = "tcp://172.30.0.2:22";
  EXPECT_THAT(lab.path("client", nobody_declares).out,
              StartsWith("does not arrive: nothing listens on port 22 of node2"));
  // The same by the manifests' own word for sidecars, without a lab.
  lab.write_manifest(
      "apiVersion: v1\nkind: Namespace\nmetadata: {name: default, labels: "
      "{istio-injection: enabled}}\n" +
      two_nodes());
  for (std::size_t i = 0; i < urls.size(); ++i) {
    EXPECT_EQ(told(urls[i], {"--files", lab.manifest_path()}), running[i]) << urls[i];
  }
  EXPECT_THAT(lab.run({"path", "client", nobody_declares, "--files", lab.manifest_path()}).out,
              StartsWith("arrives at 172.30.0.2:22, if something listens on port 22"));
}

TEST_P(Road, IsPredictedAndWitnessedWhileTheCallersAppDoesNotRun) {
  const std::string broken = R"(---
apiVersion: v1
kind: Pod
metadata: {name: broken}
spec: {containers: [{name: app, image: x, command: [sh, -c, "sleep 0.2; exit 1"]}]}
)";
  static_cast<void>(lab.up(two_nodes() + broken));
  // After some quick ends it is left alone for seconds at a time.
  const auto backs_off = [this] {
    for (const nlohmann::json& pod : lab.status().value("pods", nlohmann::json::array())) {
      if (pod.value("name", "") != "broken") continue;
      const nlohmann::json& app = pod.at("containers").at(0);
      return app.value("restarts", 0) >= 4 &&
             app.dump().find("CrashLoopBackOff") != std::string::npos;
    }
    return false;
  };
  for (int tries = 0; tries < 100 && !backs_off(); ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  ASSERT_TRUE(backs_off()) << lab.status().dump(1);
  expect_agreement("broken", "http://near/");
}

// A real Envoy in the place of every sidecar, told what to do by our control plane. Its faults are
// beside those of our own proxies.
class RealEnvoy : public testing::TestWithParam<std::string> {
 protected:
  RealEnvoy() : lab(everyone().front()) {}
  LabUnderTest lab;
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(RealEnvoy);
INSTANTIATE_TEST_SUITE_P(As, RealEnvoy, testing::ValuesIn(real_envoys()),
                         [](const auto&) { return "sidecar"; });

TEST_P(RealEnvoy, TakesTheRoad) {
  ASSERT_TRUE(lab.up(two_nodes(), {"--inject", "all", "--envoy", GetParam()})) << lab.said();
  for (const char* name : {"near", "far"}) {
    const std::string url = std::string("http://") + name + "/";
    const Ran ran = lab.exec("client", {"curl", "-sS", "--max-time", "10", url});
    EXPECT_THAT(ran.out, HasSubstr(std::string("\"service\":\"") + name + "\"")) << ran.error;
    const Ran path = lab.path("client", url, {"--live"});
    EXPECT_EQ(path.status, 0) << path.out << path.error;
    EXPECT_THAT(path.out,
                AllOf(HasSubstr("✓ its access log says: outbound|80||"),
                      HasSubstr("✓ its access log says: inbound|9080||"), Not(HasSubstr("? "))));
  }
  const Ran server = lab.exec("client", {"curl", "-sS", "127.0.0.1:15000/server_info"});
  EXPECT_THAT(server.out, HasSubstr("\"state\": \"LIVE\"")) << "it is no Envoy";
  const Ran dump = lab.exec("client", {"curl", "-sS", "127.0.0.1:15000/config_dump"});
  EXPECT_THAT(dump.out, HasSubstr("\"connect-failure,refused-stream,unavailable,cancelled,"
                                  "retriable-status-codes,retriable-headers,reset\""))
      << "istiod's policy of retries, and what our own proxy does of its own accord";
  const Ran control = lab.run({"control", "status", "--name", lab.name()});
  EXPECT_THAT(control.out, AllOf(HasSubstr("current"), Not(HasSubstr("refused")))) << control.error;
}

// An Envoy keeps no records; its access log is the evidence.
TEST_P(RealEnvoy, TellsByItsAccessLogWhatDiffers) {
  ASSERT_TRUE(lab.up(two_apps(), {"--inject", "all", "--envoy", GetParam()})) << lab.said();
  change_behind_the_proxies(lab);
  const Ran path = lab.path("client", "http://web/", {"--live"});
  EXPECT_EQ(path.status, 1) << path.out << path.error;
  EXPECT_THAT(first_line(path.out), AllOf(HasSubstr("not as predicted: endpoint, default/client-"),
                                          HasSubstr("its access log")));
  EXPECT_THAT(path.out, HasSubstr("who is not among the predicted"));
}

}  // namespace
}  // namespace fairlead::lab
