// The road, in whole labs: by name, through kernel rules and proxies, between pods and to a VM, and
// `fairlead path --live` agreeing with it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <future>
#include <thread>

#include "lab/scenarios/lab_under_test.h"

namespace fairlead::lab {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

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

TEST_P(Road, FromManifestsAloneItIsThePredictionOfTheLab) {
  ASSERT_TRUE(lab.up(two_nodes(), {"--inject", "all"})) << lab.said();
  const nlohmann::json running =
      nlohmann::json::parse(lab.path("client", "http://far/", {"--json"}).out, nullptr, false);
  ASSERT_TRUE(running.is_object());
  EXPECT_EQ(running.value("verdict", ""), "arrives") << running.dump(1);
}

// A real Envoy in the place of every sidecar, told what to do by our control plane. FAIRLEAD_ENVOY
// names the program (`./dev test` fetches one); without it these are not among the tests.
class RealEnvoy : public testing::TestWithParam<std::string> {
 protected:
  RealEnvoy() : lab(everyone().front()) {}
  LabUnderTest lab;
};

std::vector<std::string> envoys() {
  const char* program = std::getenv("FAIRLEAD_ENVOY");
  if (program == nullptr || *program == '\0') return {};
  return {program};
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(RealEnvoy);
INSTANTIATE_TEST_SUITE_P(As, RealEnvoy, testing::ValuesIn(envoys()),
                         [](const auto&) { return "sidecar"; });

TEST_P(RealEnvoy, TakesTheRoad) {
  ASSERT_TRUE(lab.up(two_nodes(), {"--inject", "all", "--envoy", GetParam()})) << lab.said();
  for (const char* name : {"near", "far"}) {
    const std::string url = std::string("http://") + name + "/";
    const Ran ran = lab.exec("client", {"curl", "-sS", "--max-time", "10", url});
    EXPECT_THAT(ran.out, HasSubstr(std::string("\"service\":\"") + name + "\"")) << ran.error;
    const Ran path = lab.path("client", url, {"--live"});
    EXPECT_EQ(path.status, 0) << path.out << path.error;
  }
  const Ran server = lab.exec("client", {"curl", "-sS", "127.0.0.1:15000/server_info"});
  EXPECT_THAT(server.out, HasSubstr("\"state\": \"LIVE\"")) << "it is no Envoy";
  const Ran control = lab.run({"control", "status", "--name", lab.name()});
  EXPECT_THAT(control.out, AllOf(HasSubstr("current"), Not(HasSubstr("refused")))) << control.error;
}

TEST_P(RealEnvoy, LosesNothingInARollingRestart) {
  ASSERT_TRUE(lab.up(deployment("client", 1, "node1") + deployment("far", 3) + service("far"),
                     {"--inject", "all", "--envoy", GetParam()}))
      << lab.said();
  std::future<Load> under =
      std::async(std::launch::async, [this] { return load(lab, "client", "http://far/", 8); });
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  EXPECT_EQ(lab.lab("restart", {"far"}).status, 0);
  const Load over = under.get();
  EXPECT_GT(over.sent, 200) << over.losses;
  EXPECT_EQ(over.lost, 0) << over.losses;
}

}  // namespace
}  // namespace fairlead::lab
