// Pods as Kubernetes' users know them, in whole labs: names of headless services, probes, volumes
// that follow an edit, variables that name services, pods that have done their work.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "lab/scenarios/lab_under_test.h"

namespace fairlead::lab {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Pods : public testing::TestWithParam<Who> {
 protected:
  Pods() : lab(GetParam()) {}

  [[nodiscard]] nlohmann::json app_of(const std::string& pod) const {
    const nlohmann::json found = lab.pod(pod);
    return found.contains("containers") ? found["containers"].at(0) : nlohmann::json::object();
  }

  LabUnderTest lab;
};

INSTANTIATE_TEST_SUITE_P(As, Pods, testing::ValuesIn(everyone()),
                         [](const auto& one) { return name_of(one.param); });

// ── names ───────────────────────────────────────────────────────────────────────────────────────

TEST_P(Pods, OfAHeadlessServiceAreNames) {
  ASSERT_TRUE(lab.up(R"(
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 2
  serviceName: store
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers:
      - name: app
        image: fairlead/sample-app
        ports: [{name: http, containerPort: 9080}]
        readinessProbe: {exec: {command: [test, "!", -e, /tmp/unready]}, periodSeconds: 1, failureThreshold: 1}
---
apiVersion: v1
kind: Service
metadata: {name: store}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: http, port: 80, targetPort: 9080}]}
)")) << lab.said();
  const auto ask = [this](const std::string& name, const std::string& type, Words flags = {}) {
    Words words{"kdig", name, type};
    words.insert(words.end(), flags.begin(), flags.end());
    const Ran ran = lab.exec("db-0", words);
    EXPECT_EQ(ran.status, 0) << ran.error;
    return ran.out;
  };
  const std::string store = "store.default.svc.cluster.local";
  const std::string first = lab.pod("db-0")["addresses"].at(0);
  const std::string second = lab.pod("db-1")["addresses"].at(0);
  for (const Words& flags : {Words{}, Words{"+tcp"}}) {
    EXPECT_THAT(ask(store, "A", flags),
                AllOf(HasSubstr("status: NOERROR"), HasSubstr("A\t" + first + "\n"),
                      HasSubstr("A\t" + second + "\n")));
  }
  EXPECT_THAT(ask("db-1." + store, "A"), AllOf(HasSubstr("A\t" + second), Not(HasSubstr(first))));
  // Known, but without such a record; not known; not ours.
  EXPECT_THAT(ask("db-1." + store, "AAAA"),
              AllOf(HasSubstr("status: NOERROR"), HasSubstr("ANSWER: 0")));
  EXPECT_THAT(ask("db-2." + store, "A"), HasSubstr("status: NXDOMAIN"));
  EXPECT_THAT(ask("default.svc.cluster.local", "A"), HasSubstr("status: NOERROR"));
  EXPECT_THAT(ask("nobody.default.svc.cluster.local", "A"), HasSubstr("status: NXDOMAIN"));
  EXPECT_THAT(ask("example.com", "A"), AllOf(HasSubstr("status: NXDOMAIN"), HasSubstr("SOA")));
  // By the search path, as a program asks.
  EXPECT_THAT(lab.exec("db-0", {"getent", "ahosts", "db-1.store"}).out, HasSubstr(second));
  // What is not ready has no address, but for those who ask for all.
  EXPECT_EQ(lab.exec("db-1", {"touch", "/tmp/unready"}).status, 0);
  EXPECT_TRUE(comes_about([&] { return ask(store, "A").find(second) == std::string::npos; }));
  EXPECT_THAT(ask(store, "A"), HasSubstr(first));
}

// ── processes ───────────────────────────────────────────────────────────────────────────────────

TEST_P(Pods, SeeTheirOwnProcessesAloneAndCannotEndTheLab) {
  ASSERT_TRUE(lab.up(R"(
apiVersion: v1
kind: Pod
metadata: {name: hears}
spec: {containers: [{name: app, image: x, ports: [{containerPort: 80}], securityContext: {runAsUser: 1000}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: deaf}
spec: {containers: [{name: app, image: x, command: [sleep, "1000"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: admin}
spec:
  containers:
  - {name: app, image: x, command: [sleep, "1000"], securityContext: {capabilities: {add: [NET_ADMIN], drop: [KILL]}}}
)")) << lab.said();  // user 1000 listens on port 80
  const auto in = [this](const std::string& pod, const std::string& script) {
    return lab.exec(pod, {"sh", "-c", script}).out;
  };
  EXPECT_EQ(in("deaf", "cat /proc/1/comm; readlink /proc/1/root"), "sleep\n/\n");
  EXPECT_EQ(in("deaf", "cat /proc/[0-9]*/comm | grep -c -e fairlead -e sample"), "0\n");
  // As containerd gives them; and as the manifest changes them.
  EXPECT_THAT(in("deaf", "grep CapEff /proc/self/status"), HasSubstr("00000000a80425fb"));
  EXPECT_THAT(in("admin", "grep CapEff /proc/self/status"), HasSubstr("00000000a80435db"));
  EXPECT_THAT(in("hears", "grep CapEff /proc/self/status"), HasSubstr("0000000000000000"));
  EXPECT_EQ(in("admin",
               "ip link add d0 type dummy 2>/dev/null; ip route add 192.0.2.0/24 dev lo && "
               "echo routed"),
            "routed\n");
  EXPECT_THAT(lab.exec("deaf", {"ip", "route", "add", "192.0.2.0/24", "dev", "lo"}).status, Not(0));
  EXPECT_EQ(lab.lab("exec", {"--privileged", "deaf", "--", "ip", "route", "add", "192.0.2.0/24",
                             "dev", "lo"})
                .status,
            0);
  EXPECT_EQ(in("deaf", "echo 1 > /proc/sys/net/ipv4/ip_forward || echo refused"), "refused\n");
  // Pid 1 without a handler ignores it, one with a handler ends and its container restarts.
  EXPECT_EQ(in("deaf", "kill -TERM 1 && kill -KILL 1; kill -KILL -1; true"), "");
  EXPECT_EQ(lab.exec("hears", {"sh", "-c", "kill -TERM 1"}).status, 0);
  EXPECT_TRUE(comes_about([&] { return app_of("hears").value("restarts", 0) == 1; }));
  EXPECT_EQ(app_of("deaf").value("restarts", -1), 0);
  EXPECT_EQ(app_of("deaf").value("state", ""), "running");
}

// ── those that never become ready ───────────────────────────────────────────────────────────────

std::string pod_that_runs(const std::string& name, const std::string& command,
                          const std::string& more = "") {
  return "---\napiVersion: v1\nkind: Pod\nmetadata: {name: " + name +
         "}\nspec:\n  restartPolicy: Never\n  " + more +
         "\n  containers:\n  - {name: app, image: x, command: [sh, -c, \"" + command + "\"]}\n";
}

// The wait ends when only they are left: long before its minute is over, and with a word on each.
TEST_P(Pods, ThatHaveFailedForGoodAreNotWaitedFor) {
  const Ran ran = lab.try_up(
      pod_that_runs("job", "exit 3") + pod_that_runs("well", "sleep 1000") +
      pod_that_runs("early", "true",
                    "initContainers: [{name: migrate, image: x, command: [sh, -c, exit 4]}]") +
      pod_that_runs("bare", "true", "volumes: [{name: v, configMap: {name: nowhere}}]"));
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(
      ran.out,
      AllOf(HasSubstr("the pod default/job has failed: its container app ended with 3; `fairlead "
                      "lab logs --name " +
                      lab.name() + " default/job -c app` tells more"),
            HasSubstr("the pod default/early has failed: its init container migrate ended with 4"),
            HasSubstr("the pod default/bare cannot start"), HasSubstr("nowhere"),
            HasSubstr("not ready: pod default/bare, pod default/early, pod default/job; "),
            Not(HasSubstr("after 6"))));
  EXPECT_THAT(lab.lab("logs", {"early"}).error,
              HasSubstr("has not begun: the init container migrate comes first"));
  // What is added waits for what it adds alone, and mends what lacked only that.
  lab.write_manifest(
      pod_that_runs("bare", "sleep 1000", "volumes: [{name: v, configMap: {name: nowhere}}]") +
      "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: nowhere}\n");
  const Ran applied = lab.lab("apply", {lab.manifest_path()});
  EXPECT_EQ(applied.status, 0) << applied.error;
  EXPECT_TRUE(lab.pod("bare").value("ready", false)) << lab.lab("status").out;
}

TEST_P(Pods, ThatLackAVariableStartAtOnceWhenItComes) {
  const std::string web = deployment("web", 1);
  std::string lacking = web;
  const std::string known = "{name: APP_NAME, value: web}";
  lacking.replace(lacking.find(known), known.size(),
                  "{name: APP_NAME, valueFrom: {configMapKeyRef: {name: settings, key: name}}}");
  const Ran ran = lab.try_up(lacking);
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.out, AllOf(HasSubstr("cannot start: its container app"), HasSubstr("settings"),
                             Not(HasSubstr("after 6"))));
  const nlohmann::json pod = lab.status()["pods"].at(0);
  EXPECT_EQ(pod.value("phase", ""), "Pending");
  EXPECT_EQ(pod["containers"].at(0).value("restarts", -1), 0)
      << "what never ran was not started again";
  lab.write_manifest(lacking +
                     "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n"
                     "data: {name: web}\n");
  const Ran applied = lab.lab("apply", {lab.manifest_path()});
  EXPECT_EQ(applied.status, 0) << applied.error;
  EXPECT_TRUE(lab.wait_for_status([](const nlohmann::json& now) { return now["missing"] == ""; }));
}

TEST_P(Pods, ThatFitNoNodeStayPendingUntilTheyFit) {
  std::string web = deployment("web", 2);
  const std::string grace = "terminationGracePeriodSeconds: 5\n";
  web.replace(web.find(grace), grace.size(), grace + "      nodeSelector: {disk: fast}\n");
  const Ran ran = lab.try_up(web);
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.out,
              HasSubstr("cannot start: it fits no node: none that takes pods has the labels "
                        "disk=fast"));
  EXPECT_EQ(lab.status()["pods"].size(), 2U) << "none is made again and again";
  EXPECT_THAT(lab.lab("status").out, AllOf(HasSubstr("no (Pending)"), HasSubstr("fits no node")));
  lab.write_manifest(deployment("web", 2, "node1"));
  EXPECT_TRUE(lab.wait_for_status(
      [](const nlohmann::json& now) { return now["missing"] == "" && now["pods"].size() == 2; }));
}

TEST_P(Pods, ThatCrashAreNamedWhileTheyAreWaitedFor) {
  lab.write_manifest(R"(
apiVersion: v1
kind: Pod
metadata: {name: weak}
spec: {containers: [{name: app, image: x, command: [sh, -c, exit 1]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: wrong}
spec: {containers: [{name: app, image: x, readinessProbe: {tcpSocket: {port: 81}}}]}
)");
  const std::unique_ptr<Beside> up =
      lab.start({"lab", "up", "--name", lab.name(), lab.manifest_path()}, true);
  EXPECT_TRUE(up->says("waiting for pod default/weak")) << up->output();
  EXPECT_TRUE(
      up->says("the pod default/weak is not ready: its container app crashes again and "
               "again; `fairlead lab logs --name " +
               lab.name() + " default/weak -c app` tells more"))
      << up->output();
  EXPECT_TRUE(
      up->says("the pod default/wrong is not ready: container app: readiness probe: connecting to"))
      << up->output();
  EXPECT_THAT(lab.pod("wrong").value("message", ""), HasSubstr(":81: Connection refused"));
  EXPECT_THAT(up->output(), Not(HasSubstr("is up")));
}

// ── names that are taken ────────────────────────────────────────────────────────────────────────

const char* const store = R"(
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: app, image: x, ports: [{containerPort: 9080}]}]}
)";

std::string plain_pod(const std::string& name, const std::string& app) {
  return "---\napiVersion: v1\nkind: Pod\nmetadata: {name: " + name + ", labels: {app: " + app +
         "}}\nspec: {containers: [{name: app, image: x, ports: [{containerPort: 9080}]}]}\n";
}

// As when it is built again while the lab runs.
TEST_P(Pods, StartAlsoWhenTheProgramOfTheirLabWasReplaced) {
  lab.renew_program();
  ASSERT_TRUE(lab.up(deployment("web", 1), {"--inject", "all"})) << lab.said();
  lab.renew_program();
  const Ran restarted = lab.lab("restart", {"deploy/web"});
  EXPECT_EQ(restarted.status, 0) << restarted.error;
  EXPECT_EQ(lab.lab("kill", {"web", "-c", "istio-proxy"}).status, 0);
  EXPECT_TRUE(lab.wait_for_status([](const nlohmann::json& now) {
    return now["missing"] == "" && now["pods"].dump().find("\"restarts\":1") != std::string::npos;
  })) << lab.lab("status").out;
  const Ran inside = lab.exec("web", {"fairlead", "version"});
  EXPECT_THAT(inside.out, HasSubstr("fairlead ")) << inside.error;
  EXPECT_NE(lab.exec("web", {"touch", "/run/fairlead/bin/more"}).status, 0)
      << "all pods have the folder in common";
}

TEST_P(Pods, WhoseNameIsTakenWaitAndSaySo) {
  const std::string vm =
      "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: stock, "
      "annotations: {fairlead/vm: \"true\", fairlead/command: sleep 1000}}\n"
      "spec: {address: 10.200.0.5}\n";
  const std::string entry =
      "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: wild}\nspec: "
      "{hosts: [\"*.wild.example\"], ports: [{number: 80, name: http, protocol: HTTP}]}\n";
  // As `kubectl get` gives what a controller has made.
  ASSERT_TRUE(lab.up(store + plain_pod("db-0", "db") + vm + entry)) << lab.said();
  EXPECT_THAT(lab.said(), AllOf(HasSubstr("it is left to StatefulSet default/db"),
                                HasSubstr("hosts with a wildcard are not honoured")));
  EXPECT_THAT(lab.lab("status").out, HasSubstr("hosts with a wildcard are not honoured"));
  EXPECT_EQ(lab.status()["pods"].size(), 2U);
  lab.write_manifest(store + plain_pod("db-0", "other") + vm + plain_pod("stock", "other"));
  EXPECT_TRUE(lab.wait_for_status([](const nlohmann::json& now) {
    const std::string lacking = now["missing"];
    return lacking.find("StatefulSet default/db cannot make its pod db-0") != std::string::npos &&
           lacking.find("pod default/stock cannot start: a VM has its name") != std::string::npos;
  }));
  lab.write_manifest(store + plain_pod("stock", "other"));
  EXPECT_TRUE(lab.wait_for_status(
      [](const nlohmann::json& now) { return now["missing"] == "" && now["pods"].size() == 2; }));
}

// As a pod that is not ready is none.
TEST_P(Pods, AMachineThatDoesNotRunIsNoEndpoint) {
  ASSERT_TRUE(lab.up(R"(
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata:
  name: stock
  annotations: {fairlead/vm: "true", fairlead/command: timeout 0.5 fairlead sample-app --port 9080}
spec: {address: 10.200.0.5, ports: {http: 9080}, labels: {app: stock}}
---
apiVersion: v1
kind: Service
metadata: {name: stock}
spec: {selector: {app: stock}, ports: [{name: http, port: 80, targetPort: 9080}]}
)" + plain_pod("client", "client")))
      << lab.said();
  // After some quick ends it is left alone for seconds at a time.
  EXPECT_TRUE(lab.wait_for_status([](const nlohmann::json& now) {
    for (const nlohmann::json& pod : now["pods"]) {
      if (pod["name"] != "stock") continue;
      const nlohmann::json& app = pod["containers"][0];
      return app["restarts"] >= 5 && app.dump().find("CrashLoopBackOff") != std::string::npos;
    }
    return false;
  }));
  const Ran asked = lab.run({"path", "client", "http://stock/", "--name", lab.name()});
  EXPECT_EQ(asked.status, 3) << asked.out;
  EXPECT_THAT(asked.out, HasSubstr("default/stock is not ready"));
}

TEST_P(Pods, AMachineIsMadeAnewWhenItsEntryCallsForAnother) {
  const auto machine = [](const std::string& address, const std::string& says, int weight) {
    return "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: stock, "
           "annotations: {fairlead/vm: \"true\", fairlead/command: fairlead sample-app --port 9080 "
           "--service " +
           says + "}}\nspec: {address: " + address + ", weight: " + std::to_string(weight) +
           ", ports: {http: 9080}}\n---\n" + plain_pod("client", "client");
  };
  const auto answers = [this](const std::string& address, const std::string& says) {
    return lab.wait_for({"curl", "-sS", "-m", "2", "http://" + address + ":9080/"}, "client",
                        "\"service\":\"" + says + "\"");
  };
  const auto container = [this] {
    const nlohmann::json status = lab.status();
    for (const nlohmann::json& pod : status.at("pods")) {
      if (pod["name"] == "stock") return pod["containers"][0].dump();
    }
    return std::string("none");
  };
  ASSERT_TRUE(lab.up(machine("10.200.0.5", "first", 1))) << lab.said();
  EXPECT_TRUE(answers("10.200.0.5", "first")) << lab.status().dump(1);
  lab.write_manifest(machine("10.200.0.5", "second", 1));
  EXPECT_TRUE(answers("10.200.0.5", "second")) << lab.status().dump(1);
  lab.write_manifest(machine("10.200.0.6", "second", 1));
  EXPECT_TRUE(answers("10.200.0.6", "second")) << lab.status().dump(1);
  // Who gets how much of the traffic is no matter of the machine.
  const std::string before = container();
  lab.write_manifest("# moved by a line\n" + machine("10.200.0.6", "second", 3) +
                     plain_pod("more", "more"));
  EXPECT_TRUE(lab.wait_for_status([](const nlohmann::json& now) {
    return now["pods"].size() == 3 && now["missing"] == "";
  })) << lab.status().dump(1);
  EXPECT_EQ(container(), before);
}

// ── where and as whom ───────────────────────────────────────────────────────────────────────────

TEST_P(Pods, RunProbesAndCommandsWhereAndAsTheirContainersDo) {
  ASSERT_TRUE(lab.up(R"(
apiVersion: v1
kind: Pod
metadata: {name: plain}
spec:
  securityContext: {runAsUser: 1000, runAsGroup: 1001}
  volumes: [{name: data, emptyDir: {}}]
  containers:
  - name: app
    image: fairlead/sample-app
    workingDir: /usr/share/no-such/app
    volumeMounts: [{name: data, mountPath: /data, subPath: of/app}]
    readinessProbe: {exec: {command: [sh, -c, echo $(id -u) $(id -g) $PWD >/data/probe]}}
)")) << lab.said();
  EXPECT_EQ(lab.exec("plain", {"cat", "/data/probe"}).out, "1000 1001 /usr/share/no-such/app\n");
  EXPECT_EQ(lab.exec("plain", {"sh", "-c", "echo $(id -u) $(id -g) $PWD"}).out,
            "1000 1001 /usr/share/no-such/app\n");
  EXPECT_EQ(lab.exec("plain", {"no-such-program"}).status, 127);
  EXPECT_EQ(lab.exec("plain", {"/etc"}).status, 126);
}

TEST_P(Pods, OfTheHostsNetworkAreAtTheirNodesAddress) {
  ASSERT_TRUE(lab.up(deployment("client", 1, "node1") + service("agent") + R"(
---
apiVersion: v1
kind: Node
metadata: {name: node2, labels: {disk: fast}}
---
apiVersion: v1
kind: Pod
metadata: {name: agent, labels: {app: agent}}
spec:
  hostNetwork: true
  nodeSelector: {disk: fast}
  containers: [{name: app, image: x, ports: [{containerPort: 9080}], readinessProbe: {tcpSocket: {port: 9080}}}]
)" + service("client")))
      << lab.said();
  EXPECT_EQ(lab.pod("agent")["addresses"].at(0), "172.30.0.2");
  EXPECT_THAT(lab.exec("client", {"curl", "-sS", "--max-time", "5", "http://agent/"}).out,
              HasSubstr("172.30.0.2:9080"));
  EXPECT_THAT(lab.exec("agent", {"curl", "-sS", "--max-time", "5", "http://client/"}).out,
              HasSubstr("\"peer\":\"172.30.0.2"));
  const Ran path = lab.path("agent", "http://client/");
  EXPECT_EQ(path.status, 0) << path.out;
}

// ── probes ──────────────────────────────────────────────────────────────────────────────────────

TEST_P(Pods, ThatAreNotReadyAreNoEndpoints) {
  std::string web = deployment("web", 1);
  const std::string probe = "httpGet: {path: /healthz, port: http}";
  web.replace(web.find(probe), probe.size(),
              "failureThreshold: 1, exec: {command: [test, \"!\", -e, /tmp/unready]}");
  ASSERT_TRUE(lab.up(deployment("client", 1) + web + service("web"))) << lab.said();
  const auto answers = [this] {
    return lab.exec("client", {"curl", "-sS", "--max-time", "5", "http://web/"}).status == 0;
  };
  EXPECT_TRUE(comes_about(answers));
  EXPECT_EQ(lab.exec("web", {"touch", "/tmp/unready"}).status, 0);
  EXPECT_TRUE(comes_about([&] { return !answers(); }));
  EXPECT_THAT(lab.lab("status").out, HasSubstr("no (Running)"));
  EXPECT_EQ(lab.exec("web", {"rm", "/tmp/unready"}).status, 0);
  EXPECT_TRUE(comes_about(answers));
  EXPECT_THAT(lab.lab("status").out, Not(HasSubstr("no (Running)")));
}

TEST_P(Pods, ThatAreNotAliveAreStartedAgainMoreAndMoreSlowly) {
  ASSERT_TRUE(lab.up(R"(
apiVersion: v1
kind: Pod
metadata: {name: weak}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: app
    image: x
    command: [sh, -c, "echo begun; exec sleep 1000"]
    livenessProbe: {exec: {command: [test, "!", -e, /data/sick]}, periodSeconds: 1, failureThreshold: 1}
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, emptyDir: {}}]
)")) << lab.said();
  EXPECT_EQ(lab.exec("weak", {"touch", "/data/sick"}).status, 0);
  EXPECT_TRUE(comes_about([&] {
    const std::string text = lab.lab("status").out;
    return app_of("weak").value("restarts", 0) >= 2 &&
           text.find("waiting: CrashLoopBackOff") != std::string::npos;
  })) << lab.status().dump(1);
  const std::string log = lab.lab("logs", {"weak"}).out;
  EXPECT_THAT(log, AllOf(HasSubstr("begun"), HasSubstr("its liveness probe went on failing")));
}

TEST_P(Pods, ThatCannotStartAreTriedAgainMoreAndMoreSlowlyUntilTheyCan) {
  const std::string client = deployment("client", 1);
  ASSERT_TRUE(lab.up(client)) << lab.said();
  const std::string needy = client + R"(---
apiVersion: v1
kind: Pod
metadata: {name: by-variables}
spec:
  containers:
  - {name: app, image: x, command: [sleep, "1000"], envFrom: [{configMapRef: {name: later}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: by-files}
spec:
  containers:
  - name: app
    image: x
    command: [sleep, "1000"]
    volumeMounts: [{name: later, mountPath: /later}]
  volumes: [{name: later, configMap: {name: later}}]
---
apiVersion: v1
kind: Pod
metadata: {name: hopeless}
spec:
  restartPolicy: Never
  initContainers: [{name: bad, image: x, command: ["false"]}]
  containers: [{name: app, image: x, command: [sleep, "1000"]}]
)";
  lab.write_manifest(needy);
  EXPECT_TRUE(comes_about([&] {
    const std::string status = lab.lab("status").out;
    return status.find("there is no ConfigMap default/later, which envFrom names") !=
               std::string::npos &&
           status.find("there is no ConfigMap default/later for a volume") != std::string::npos &&
           status.find("no (Failed)") != std::string::npos;
  })) << lab.lab("status").out;
  const std::string told = lab.lab("status").out;
  const std::size_t heading = told.find("POD ");
  EXPECT_LT(told.find('\n', heading) - heading, 80U) << "long reasons widen no column:\n" << told;
  lab.write_manifest(needy + R"(---
apiVersion: v1
kind: ConfigMap
metadata: {name: later}
data: {word: found}
)");
  for (const char* pod : {"by-variables", "by-files"}) {
    EXPECT_TRUE(comes_about([&] { return app_of(pod).value("state", "") == "running"; }))
        << lab.status().dump(1);
  }
  EXPECT_EQ(lab.exec("by-files", {"cat", "/later/word"}).out, "found");
}

// ── what they are told, and what is told of them ────────────────────────────────────────────────

TEST_P(Pods, KnowTheServicesOfTheirNamespaceByVariables) {
  const std::string quiet =
      R"(---
apiVersion: v1
kind: Pod
metadata: {name: quiet}
spec: {enableServiceLinks: false, containers: [{name: app, image: x, command: [sleep, "1000"]}]}
)";
  ASSERT_TRUE(lab.up(deployment("web", 1) + service("web") + quiet)) << lab.said();
  const std::string address = lab.exec("web", {"sh", "-c", "echo $WEB_SERVICE_HOST"}).out;
  EXPECT_THAT(address, HasSubstr("10.96.")) << "the first pods know the first services";
  const Ran asked = lab.exec(
      "web", {"sh", "-c", "curl -sS http://$WEB_SERVICE_HOST:$WEB_SERVICE_PORT_HTTP/; env"});
  EXPECT_THAT(asked.out, AllOf(HasSubstr("\"service\":\"web\""), HasSubstr("WEB_PORT=tcp://10.96."),
                               HasSubstr("WEB_PORT_80_TCP_PROTO=tcp\n")))
      << asked.error;
  EXPECT_THAT(lab.exec("quiet", {"env"}).out, Not(HasSubstr("WEB_")));
}

TEST_P(Pods, ThatHaveDoneTheirWorkAreKnownToPath) {
  const std::string job = R"(---
apiVersion: v1
kind: Pod
metadata: {name: job, labels: {app: job}}
spec:
  restartPolicy: Never
  containers: [{name: app, image: x, command: ["true"], ports: [{containerPort: 9080}]}]
)";
  ASSERT_TRUE(lab.up(deployment("web", 1) + service("web") + job + service("job"))) << lab.said();
  EXPECT_EQ(lab.pod("job").value("phase", ""), "Succeeded");
  const std::string ended = "Pod default/job has ended";  // its phase may be on the next line
  for (const Words& flags : {Words{}, Words{"--live"}}) {
    const Ran from = lab.path("job", "http://web/", flags);
    EXPECT_EQ(from.status, 3) << from.error;
    EXPECT_THAT(from.out, HasSubstr(ended));
    const Ran to = lab.path("web", "http://job/", flags);
    EXPECT_EQ(to.status, 3) << to.error;
    // The first line may be broken where the page ends.
    EXPECT_THAT(std::regex_replace(to.out, std::regex("\\s+"), " "),
                HasSubstr("Service default/job has no endpoint: " + ended));
  }
  const std::string address = lab.pod("job")["addresses"].at(0);
  const Ran to = lab.path("web", "http://" + address + ":9080/");
  EXPECT_EQ(to.status, 3) << to.error;
  EXPECT_THAT(to.out, HasSubstr(ended));
}

TEST_P(Pods, AreTheEndpointsWhateverSlicesADumpHolds) {
  const std::string dumped = R"(---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: web-abcde
  labels: {kubernetes.io/service-name: web, endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io}
addressType: IPv4
ports: [{name: http, port: 9080}]
endpoints: [{addresses: [10.244.77.7]}]
)";
  ASSERT_TRUE(lab.up(deployment("web", 2) + service("web") + dumped)) << lab.said();
  const Ran services = lab.run({"node", "services", "--name", lab.name(), "--node", "node1"});
  EXPECT_THAT(services.out, AllOf(HasSubstr("web"), Not(HasSubstr("10.244.77.7"))))
      << services.error;
  const Ran unknown = lab.run({"node", "services", "--name", lab.name(), "--node", "node9"});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.error, AllOf(HasSubstr("no node 'node9'"), HasSubstr("node1, node2")));
}

// ── edits ───────────────────────────────────────────────────────────────────────────────────────

TEST_P(Pods, SeeTheirMountedFilesChangeTogether) {
  const auto manifest = [](const std::string& data) {
    return R"(
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: )" + data +
           R"(
---
apiVersion: v1
kind: Pod
metadata: {name: reader}
spec:
  containers:
  - name: app
    image: x
    command: [sleep, "1000"]
    env: [{name: ONE, valueFrom: {configMapKeyRef: {name: settings, key: one}}}]
    volumeMounts:
    - {name: settings, mountPath: /data}
    - {name: settings, mountPath: /fixed, subPath: one}
  volumes: [{name: settings, configMap: {name: settings}}]
)";
  };
  ASSERT_TRUE(lab.up(manifest("{one: a, two: b, old: c}"))) << lab.said();
  const std::string look =
      "cd /data && ls | tr '\\n' ' ' && cat one two && echo -$ONE-$(cat /fixed)";
  EXPECT_EQ(lab.exec("reader", {"sh", "-c", look}).out, "old one two ab-a-a\n");
  // Whoever has the folder open sees one version whole.
  EXPECT_EQ(lab.exec("reader", {"readlink", "/data/one"}).out, "..data/one\n");
  lab.write_manifest(manifest("{one: A, two: B, new: C}"));
  EXPECT_TRUE(comes_about([&] { return lab.exec("reader", {"cat", "/data/one"}).out == "A"; }));
  EXPECT_EQ(lab.exec("reader", {"sh", "-c", look}).out, "new one two AB-a-a\n")
      << "files change together; the environment and a subPath stay as they were";
  EXPECT_EQ(app_of("reader").value("restarts", -1), 0);
}

TEST_P(Pods, AreAsTheLastGoodManifestSaysAndItsErrorGoesWithIt) {
  const std::string good = deployment("web", 1) + service("web");
  ASSERT_TRUE(lab.up(good)) << lab.said();
  lab.write_manifest(good + service("other", "type: Nonsense"));
  EXPECT_TRUE(comes_about(
      [&] { return lab.status().value("broken", "").find("Nonsense") != std::string::npos; }));
  EXPECT_THAT(lab.lab("status").out, AllOf(HasSubstr("the last good version is in force"),
                                           HasSubstr(lab.manifest_path() + ":")));
  lab.write_manifest(good + service("other"));
  EXPECT_TRUE(comes_about([&] { return lab.status().value("broken", "?").empty(); }));
  EXPECT_THAT(lab.lab("status").out, Not(HasSubstr("last good version")));
}

}  // namespace
}  // namespace fairlead::lab
