// Faults under load: what dies, restarts or changes, while eight clients send safe requests through
// their sidecar. None is lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <future>
#include <thread>

#include "lab/scenarios/lab_under_test.h"

namespace fairlead::lab {
namespace {

using testing::HasSubstr;

class Faults : public testing::Test {
 protected:
  Faults() : lab(everyone().front()) {}

  static std::string shop(int replicas) {
    return deployment("client", 1, "node1") + deployment("web", replicas) + service("web");
  }

  // Load for some seconds, with something happening in the midst of it. The app takes a moment for
  // each request, so that some are always in it.
  void expect_nothing_lost(int seconds, const std::function<void()>& happens,
                           const std::string& url = "http://web/?delay=20ms") {
    std::future<Load> load_over = std::async(
        std::launch::async, [this, seconds, url] { return load(lab, "client", url, seconds); });
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    happens();
    const Load load = load_over.get();
    EXPECT_GT(load.sent, 200) << load.losses;
    EXPECT_EQ(load.lost, 0) << "of " << load.sent << ":\n" << load.losses;
  }

  // The first pod of a Deployment.
  std::string one_pod(const std::string& of = "web") {
    const nlohmann::json status = lab.status();
    for (const nlohmann::json& pod : status.value("pods", nlohmann::json::array())) {
      const std::string name = pod.value("name", "");
      if (name.find(of + "-") != std::string::npos) return name;
    }
    ADD_FAILURE() << "no pod of " << of << " in " << status.dump(1);
    return "";
  }

  LabUnderTest lab;
};

TEST_F(Faults, ARollingRestart) {
  ASSERT_TRUE(lab.up(shop(3), {"--inject", "all"})) << lab.said();
  expect_nothing_lost(8, [&] { EXPECT_EQ(lab.lab("restart", {"web"}).status, 0); });
}

TEST_F(Faults, RollingRestartsAllAlongTheWay) {
  ASSERT_TRUE(lab.up(shop(2) + deployment("front", 2) + service("front"), {"--inject", "all"}))
      << lab.said();
  expect_nothing_lost(
      10,
      [&] {
        EXPECT_EQ(lab.lab("restart", {"front"}).status, 0);
        EXPECT_EQ(lab.lab("restart", {"web"}).status, 0);
      },
      "http://front/?call=http://web/");
}

TEST_F(Faults, TheAppIsKilled) {
  ASSERT_TRUE(lab.up(shop(3), {"--inject", "all"})) << lab.said();
  expect_nothing_lost(6, [&] { EXPECT_EQ(lab.lab("kill", {one_pod(), "-c", "app"}).status, 0); });
}

TEST_F(Faults, AppAndProxyAreKilled) {
  ASSERT_TRUE(lab.up(shop(3), {"--inject", "all"})) << lab.said();
  expect_nothing_lost(6, [&] {
    EXPECT_EQ(lab.lab("kill", {one_pod(), "-c", "app", "-c", "istio-proxy"}).status, 0);
  });
}

TEST_F(Faults, AWholePodIsKilled) {
  ASSERT_TRUE(lab.up(shop(3), {"--inject", "all"})) << lab.said();
  expect_nothing_lost(6, [&] { EXPECT_EQ(lab.lab("kill", {one_pod()}).status, 0); });
}

TEST_F(Faults, ControlIsKilledAndComesBack) {
  ASSERT_TRUE(lab.up(shop(2), {"--inject", "all"})) << lab.said();
  expect_nothing_lost(8, [&] {
    EXPECT_EQ(lab.lab("kill", {"control"}).status, 0);
    lab.write_manifest(shop(2) + deployment("late", 1) + service("late"));
    EXPECT_TRUE(lab.wait_for({"curl", "-sS", "http://late/"}, "client", "\"service\":\"late\""));
  });
}

TEST_F(Faults, WithoutControlProxiesStartFromTheirLastGoodConfiguration) {
  const std::string before = shop(2) + deployment("solo", 1) + service("solo");
  ASSERT_TRUE(lab.up(before, {"--inject", "all"})) << lab.said();
  expect_nothing_lost(8, [&] {
    EXPECT_EQ(lab.lab("kill", {"--hold", "control"}).status, 0);
    EXPECT_EQ(lab.lab("kill", {one_pod("solo"), "-c", "istio-proxy"}).status, 0);
    EXPECT_EQ(lab.lab("kill", {one_pod(), "-c", "istio-proxy"}).status, 0);
    EXPECT_TRUE(lab.wait_for({"curl", "-sS", "http://solo/"}, "client", "\"service\":\"solo\""));
    EXPECT_FALSE(lab.status()["control"].value("running", true));
    lab.write_manifest(before + deployment("late", 1) + service("late"));
    EXPECT_EQ(lab.lab("restart", {"control"}).status, 0);
    EXPECT_TRUE(lab.wait_for({"curl", "-sS", "http://late/"}, "client", "\"service\":\"late\""));
  });
}

TEST_F(Faults, TheConfigurationChanges) {
  ASSERT_TRUE(lab.up(shop(2), {"--inject", "all"})) << lab.said();
  expect_nothing_lost(9, [&] {
    for (const int replicas : {4, 1, 3}) {
      lab.write_manifest(shop(replicas) + service("more" + std::to_string(replicas)));
      std::this_thread::sleep_for(std::chrono::milliseconds(2000));
    }
  });
}

}  // namespace
}  // namespace fairlead::lab
