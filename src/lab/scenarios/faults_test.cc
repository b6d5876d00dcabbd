// Faults under load: what dies, restarts or changes, while eight clients send safe requests through
// their sidecar. None is lost: of our own proxies, with a real Envoy in the place of every sidecar,
// and with one beside the app and our proxy at the caller. What is in the caller's own proxy when
// that is killed ends with it.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <thread>

#include "lab/scenarios/lab_under_test.h"

namespace fairlead::lab {
namespace {

struct Setting {
  std::string name;
  Who who;
  std::string envoy;        // the program in the place of each sidecar; empty: our own
  bool ours_calls = false;  // but the caller's, which is our own
};

void PrintTo(const Setting& setting, std::ostream* out) {
  *out << setting.name;
}

std::vector<Setting> settings() {
  std::vector<Setting> all;
  for (const Who who : everyone()) all.push_back({.name = name_of(who), .who = who});
  for (const std::string& envoy : real_envoys()) {
    all.push_back({.name = "envoy", .who = everyone().front(), .envoy = envoy});
  }
  return all;
}

std::vector<Setting> settings_of_kills() {
  std::vector<Setting> all = settings();
  for (const std::string& envoy : real_envoys()) {
    all.push_back({.name = "envoy_beside_the_app",
                   .who = everyone().front(),
                   .envoy = envoy,
                   .ours_calls = true});
  }
  return all;
}

class Faults : public testing::TestWithParam<Setting> {
 protected:
  Faults() : lab(GetParam().who) {}

  static std::string shop(int replicas) {
    const std::string proxy =
        GetParam().ours_calls ? "annotations: {fairlead/proxy: fairlead}" : "";
    return deployment("client", 1, "node1", proxy) + deployment("web", replicas) + service("web");
  }

  [[nodiscard]] static bool real_envoy() { return !GetParam().envoy.empty(); }

  [[nodiscard]] bool up(const std::string& manifest) {
    Words flags{"--inject", "all"};
    if (real_envoy()) flags.insert(flags.end(), {"--envoy", GetParam().envoy});
    return lab.up(manifest, flags);
  }

  // The app takes a moment for each request, so that some are always in it.
  Load load_while(const std::function<void()>& happens,
                  const std::string& url = "http://web/?delay=20ms") {
    Load load = lab::load_while(lab, "client", url, [&] {
      happens();
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
    });
    EXPECT_GE(load.sent, 100) << load.losses;
    return load;
  }

  void expect_nothing_lost(const std::function<void()>& happens,
                           const std::string& url = "http://web/?delay=20ms") {
    const Load load = load_while(happens, url);
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

  static int restarts_of(const nlohmann::json& pod, const std::string& container) {
    for (const nlohmann::json& one : pod.value("containers", nlohmann::json::array())) {
      if (one.value("name", "") == container) return one.value("restarts", 0);
    }
    return 0;
  }

  // That container was started again, and its pod takes requests.
  void expect_back(const std::string& name, const std::string& container) {
    const bool back = lab.wait_for_status([&](const nlohmann::json& status) {
      for (const nlohmann::json& pod : status.value("pods", nlohmann::json::array())) {
        if (pod.value("name", "") != name) continue;
        return pod.value("ready", false) && restarts_of(pod, container) > 0;
      }
      return false;
    });
    EXPECT_TRUE(back) << container << " of " << name << ": " << lab.status().dump(1);
  }

  // As many pods of web as wanted take requests, and control has told everyone.
  void expect_ready(int replicas) {
    const bool ready = lab.wait_for_status([&](const nlohmann::json& status) {
      int count = 0;
      for (const nlohmann::json& pod : status.value("pods", nlohmann::json::array())) {
        if (pod.value("name", "").starts_with("web-") && pod.value("ready", false)) ++count;
      }
      return count == replicas && status.at("control").value("current", false);
    });
    EXPECT_TRUE(ready) << lab.status().dump(1);
  }

  LabUnderTest lab;
};

INSTANTIATE_TEST_SUITE_P(As, Faults, testing::ValuesIn(settings()),
                         [](const auto& one) { return one.param.name; });

class FaultsThatKill : public Faults {};

INSTANTIATE_TEST_SUITE_P(As, FaultsThatKill, testing::ValuesIn(settings_of_kills()),
                         [](const auto& one) { return one.param.name; });

TEST_P(Faults, ARollingRestart) {
  ASSERT_TRUE(up(shop(3))) << lab.said();
  expect_nothing_lost([&] { EXPECT_EQ(lab.lab("restart", {"web"}).status, 0); });
}

TEST_P(Faults, RollingRestartsAllAlongTheWay) {
  ASSERT_TRUE(up(shop(2) + deployment("front", 2) + service("front"))) << lab.said();
  expect_nothing_lost(
      [&] {
        EXPECT_EQ(lab.lab("restart", {"front"}).status, 0);
        EXPECT_EQ(lab.lab("restart", {"web"}).status, 0);
      },
      "http://front/?call=http://web/");
}

TEST_P(FaultsThatKill, TheAppIsKilled) {
  ASSERT_TRUE(up(shop(3))) << lab.said();
  expect_nothing_lost([&] {
    const std::string pod = one_pod();
    EXPECT_EQ(lab.lab("kill", {pod, "-c", "app"}).status, 0);
    expect_back(pod, "app");
  });
}

TEST_P(FaultsThatKill, AppAndProxyAreKilled) {
  ASSERT_TRUE(up(shop(3))) << lab.said();
  expect_nothing_lost([&] {
    const std::string pod = one_pod();
    EXPECT_EQ(lab.lab("kill", {pod, "-c", "app", "-c", "istio-proxy"}).status, 0);
    expect_back(pod, "app");
    expect_back(pod, "istio-proxy");
  });
}

TEST_P(FaultsThatKill, AWholePodIsKilled) {
  ASSERT_TRUE(up(shop(3))) << lab.said();
  expect_nothing_lost([&] {
    const std::string pod = one_pod();
    EXPECT_EQ(lab.lab("kill", {pod}).status, 0);
    EXPECT_TRUE(lab.wait_for_status([&](const nlohmann::json& status) {
      return status.dump().find(pod) == std::string::npos;
    }));
    expect_ready(3);
  });
}

// What is on its way through the caller's own proxy ends with it, whoever sent it; but the proxy is
// started again, and from then on nothing is lost.
TEST_P(Faults, TheCallersOwnProxyIsKilled) {
  ASSERT_TRUE(up(shop(2))) << lab.said();
  const std::string client = one_pod("client");
  const Load load = load_while([&] {
    EXPECT_EQ(lab.lab("kill", {client, "-c", "istio-proxy"}).status, 0);
    expect_back(client, "istio-proxy");
    EXPECT_TRUE(lab.wait_for({"curl", "-sS", "http://web/"}, "client", "\"service\":\"web\""));
  });
  EXPECT_GT(load.lost, 0) << "nothing was on its way";
  EXPECT_LT(load.lost, load.sent) << load.losses;
  expect_nothing_lost([] {});
}

TEST_P(Faults, ControlIsKilledAndComesBack) {
  ASSERT_TRUE(up(shop(2))) << lab.said();
  expect_nothing_lost([&] {
    EXPECT_EQ(lab.lab("kill", {"control"}).status, 0);
    lab.write_manifest(shop(2) + deployment("late", 1) + service("late"));
    EXPECT_TRUE(lab.wait_for({"curl", "-sS", "http://late/"}, "client", "\"service\":\"late\""));
  });
}

TEST_P(Faults, WithoutControlRequestsGoOnUntilItIsBack) {
  ASSERT_TRUE(up(shop(2))) << lab.said();
  expect_nothing_lost([&] {
    EXPECT_EQ(lab.lab("kill", {"--hold", "control"}).status, 0);
    std::this_thread::sleep_for(std::chrono::seconds(1));
    EXPECT_FALSE(lab.status()["control"].value("running", true));
    lab.write_manifest(shop(2) + deployment("late", 1) + service("late"));
    EXPECT_EQ(lab.lab("restart", {"control"}).status, 0);
    EXPECT_TRUE(lab.wait_for({"curl", "-sS", "http://late/"}, "client", "\"service\":\"late\""));
  });
}

// An Envoy that starts without control has no configuration; ours have their last one on disk.
TEST_P(Faults, WithoutControlOurProxiesStartFromTheirLastGoodConfiguration) {
  const std::string before = shop(2) + deployment("solo", 1) + service("solo");
  ASSERT_TRUE(up(before)) << lab.said();
  const auto solo_starts_again = [&] {
    EXPECT_EQ(lab.lab("kill", {"--hold", "control"}).status, 0);
    EXPECT_EQ(lab.lab("kill", {one_pod("solo"), "-c", "istio-proxy"}).status, 0);
  };
  if (real_envoy()) {
    solo_starts_again();
    EXPECT_EQ(lab.lab("restart", {"control"}).status, 0);
    EXPECT_TRUE(lab.wait_for({"curl", "-sS", "http://solo/"}, "client", "\"service\":\"solo\""));
    return;
  }
  expect_nothing_lost([&] {
    solo_starts_again();
    EXPECT_EQ(lab.lab("kill", {one_pod(), "-c", "istio-proxy"}).status, 0);
    EXPECT_TRUE(lab.wait_for({"curl", "-sS", "http://solo/"}, "client", "\"service\":\"solo\""));
    EXPECT_FALSE(lab.status()["control"].value("running", true));
    lab.write_manifest(before + deployment("late", 1) + service("late"));
    EXPECT_EQ(lab.lab("restart", {"control"}).status, 0);
    EXPECT_TRUE(lab.wait_for({"curl", "-sS", "http://late/"}, "client", "\"service\":\"late\""));
  });
}

// Nine times in 14 s; each request of a client without a sidecar asks for the name anew, at that
// node. Its queries wait until the next agent is there.
TEST_P(Faults, TheAgentOfTheClientsNodeIsKilledAgainAndAgain) {
  const std::string plain = "annotations: {sidecar.istio.io/inject: \"false\"}";
  ASSERT_TRUE(up(deployment("client", 1, "node1", plain) + deployment("web", 2) + service("web")))
      << lab.said();
  constexpr int kills = 9;
  const Load load = lab::load_while(
      lab, "client", "http://web/",
      [&] {
        for (int i = 0; i < kills; ++i) {
          EXPECT_EQ(lab.lab("kill", {"node1"}).status, 0);
          std::this_thread::sleep_for(std::chrono::milliseconds(1500));
        }
      },
      Connections::fresh);
  EXPECT_GE(load.sent, 100) << load.losses;
  EXPECT_EQ(load.lost, 0) << "of " << load.sent << ":\n" << load.losses;
  EXPECT_EQ(lab.status()["nodes"].at(0).value("restarts", 0), kills);
}

TEST_P(Faults, TheConfigurationChanges) {
  ASSERT_TRUE(up(shop(2))) << lab.said();
  expect_nothing_lost([&] {
    for (const int replicas : {4, 1, 3}) {
      lab.write_manifest(shop(replicas) + service("more" + std::to_string(replicas)));
      expect_ready(replicas);
    }
  });
}

}  // namespace
}  // namespace fairlead::lab
