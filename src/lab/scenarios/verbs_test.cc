// The verbs of `fairlead lab` at their edges: terminals, pipes and ports of the host, Ctrl-C, and
// a lab whose first process dies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "lab/scenarios/lab_under_test.h"

namespace fairlead::lab {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class Verbs : public testing::TestWithParam<Who> {
 protected:
  Verbs() : lab(GetParam()) {}

  [[nodiscard]] std::unique_ptr<Beside> beside(const std::string& verb, const Words& words,
                                               bool terminal = false) const {
    Words all{"lab", verb, "--name", lab.name()};
    all.insert(all.end(), words.begin(), words.end());
    return lab.start(all, terminal);
  }

  LabUnderTest lab;
};

INSTANTIATE_TEST_SUITE_P(As, Verbs, testing::ValuesIn(everyone()),
                         [](const auto& one) { return name_of(one.param); });

// ── forward ─────────────────────────────────────────────────────────────────────────────────────

TEST_P(Verbs, ForwardOpensAPortOfTheHostToAService) {
  ASSERT_TRUE(lab.up(deployment("web", 1) + service("web"), {"--inject", "all"})) << lab.said();
  const std::unique_ptr<Beside> forward = beside("forward", {"web", "80"});
  ASSERT_TRUE(forward->says("leads to web")) << forward->output();
  std::smatch address;
  ASSERT_TRUE(std::regex_search(forward->output(), address, std::regex("http://127.0.0.1:[0-9]+/")))
      << forward->output();
  for (int i = 0; i < 2; ++i) {
    const Ran asked = run_here({"curl", "-sS", "--max-time", "10", address.str()});
    EXPECT_THAT(asked.out, HasSubstr("\"service\":\"web\"")) << asked.error;
  }
  forward->signal(SIGINT);
  EXPECT_EQ(forward->wait(), 0) << forward->output();
}

TEST_P(Verbs, ForwardEndsWithItsLab) {
  ASSERT_TRUE(lab.up(deployment("web", 1) + service("web"))) << lab.said();
  const std::unique_ptr<Beside> forward = beside("forward", {"web"});
  ASSERT_TRUE(forward->says("leads to web")) << forward->output();
  EXPECT_EQ(lab.lab("down").status, 0);
  EXPECT_EQ(forward->wait(), 1);
  EXPECT_THAT(forward->output(),
              HasSubstr("fairlead lab forward: the lab " + lab.name() + " is down"));
}

TEST_P(Verbs, SayWhatIsWrongWithTheirUse) {
  const auto wrong = [this](const Words& words, const std::string& expected) {
    Words all{"lab"};
    all.insert(all.end(), words.begin(), words.end());
    const Ran ran = lab.run(all);
    EXPECT_EQ(ran.status, 2) << expected;
    EXPECT_THAT(ran.error, HasSubstr(expected));
  };
  wrong({}, "bring a lab up from manifests");
  wrong({"up"}, "fairlead lab up: say what, as in: fairlead lab up FILE");
  wrong({"logs"}, "fairlead lab logs: say what, as in: fairlead lab logs POD");
  wrong({"exec", "web", "ls", "-l"},
        "fairlead lab exec: it takes no 'ls -l' here: a command comes after --");
  wrong({"logs", "web", "--since", "1m"}, "fairlead lab logs: it takes no '--since 1m'");
  wrong({"logs", "web", "--tail", "x"}, "fairlead lab logs --help tells more");
  lab.write_manifest(deployment("web", 1));
  const Ran up = lab.run(
      {"lab", "--name", lab.name(), "up", "-d", "--inject", "defautl", lab.manifest_path()});
  EXPECT_EQ(up.status, 2);
  EXPECT_THAT(up.error, HasSubstr("have no namespace 'defautl'; near it: default"));
  EXPECT_EQ(lab.run({"lab", "--name", lab.name(), "up", "-d", lab.manifest_path()}).status, 0);
  EXPECT_THAT(lab.run({"lab", "ps", lab.name()}).out, HasSubstr("default/web"));
  EXPECT_THAT(lab.lab("logs", {"node9"}).error, HasSubstr("near it: node1"));
  EXPECT_THAT(lab.lab("kill", {"web", "--hold"}).error, HasSubstr("of pods none stays away"));
  EXPECT_THAT(lab.lab("kill", {"control", "-c", "app"}).error, HasSubstr("control has none"));
  const std::string more = lab.manifest_path() + ".more.yaml";
  std::ofstream(more) << "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\n";
  EXPECT_THAT(lab.lab("apply", {more}).error, HasSubstr("not honoured: Job j"));
  // From then on it is watched as the others are.
  std::ofstream(more) << service("late");
  EXPECT_TRUE(
      lab.wait_for_status([](const nlohmann::json& now) { return now["ignored"].empty(); }));
}

TEST_P(Verbs, ForwardToNothingNamesWhatIsNear) {
  ASSERT_TRUE(lab.up(deployment("web", 1) + service("web") + service("ratings"))) << lab.said();
  const Ran unknown = lab.lab("forward", {"webb"});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.error, AllOf(HasSubstr("no service 'webb'"), HasSubstr("web")));
  const Ran port = lab.lab("forward", {"web", "81"});
  EXPECT_EQ(port.status, 2);
  EXPECT_THAT(port.error, HasSubstr("no port 81; there are: 80"));
}

TEST_P(Verbs, TakeANameThatIsNotThereForWrongUse) {
  ASSERT_TRUE(lab.up(deployment("web", 1) + service("web") + R"(---
apiVersion: v1
kind: Pod
metadata: {name: job}
spec:
  restartPolicy: Never
  containers: [{name: app, image: x, command: ["true"]}]
)")) << lab.said();
  const auto ends = [this](int status, const std::string& verb, const Words& words) {
    const Ran ran = lab.lab(verb, words);
    EXPECT_EQ(ran.status, status) << verb << " " << words.front() << ": " << ran.error;
    EXPECT_THAT(ran.error, HasSubstr("fairlead lab " + verb + ": "));
  };
  for (const char* verb : {"logs", "kill", "restart", "forward"}) ends(2, verb, {"nobody"});
  for (const char* verb : {"logs", "kill"}) ends(2, verb, {"web", "-c", "nobody"});
  ends(2, "exec", {"nobody", "--", "true"});
  ends(2, "exec", {"web", "-c", "nobody", "--", "true"});
  ends(2, "forward", {"web", "81"});
  ends(2, "apply", {"/no/such.yaml"});
  ends(1, "exec", {"job", "--", "true"});
}

// ── names ───────────────────────────────────────────────────────────────────────────────────────

TEST_P(Verbs, TakeNamesAsKubectlsUsersWriteThem) {
  ASSERT_TRUE(lab.up(deployment("web", 2) + service("web") + service("front"))) << lab.said();
  const std::string pod = lab.status()["pods"].at(0)["name"];
  for (const Words& words :
       {Words{"deploy/web"}, Words{"deployment.apps/web"}, Words{"svc/web"}, Words{"pod/" + pod},
        Words{"default/deploy/web"}, Words{"-n", "default", "deploy/web"}}) {
    Words exec = words;
    exec.insert(exec.end(), {"--", "hostname"});
    const Ran ran = lab.lab("exec", exec);
    EXPECT_EQ(ran.out, pod + "\n") << words.back() << ": " << ran.error;
  }
  const Ran logs = lab.lab("logs", {"deploy/web", "--tail", "1"});
  EXPECT_THAT(logs.error, HasSubstr("deploy/web is 2 pods; this is default/" + pod));
  EXPECT_THAT(lab.lab("logs", {"deploy/wbe"}).error,
              HasSubstr("nothing here is called Deployment wbe; near it: web"));
  EXPECT_THAT(lab.lab("logs", {"-n", "defualt", "web"}).error,
              AllOf(HasSubstr("'defualt/web'"), HasSubstr("default/web")));
  EXPECT_THAT(lab.lab("logs", {"sts/web"}).error, HasSubstr("no pod here is of StatefulSet web"));
  EXPECT_THAT(lab.lab("forward", {"deploy/web"}).error, HasSubstr("Deployment web is none"));
  EXPECT_EQ(lab.lab("forward", {"svc/web", "70000"}).status, 2);
  EXPECT_EQ(lab.lab("restart", {"deploy/web"}).status, 0);
  EXPECT_EQ(lab.exec(pod, {"true"}).status, 2) << "it was replaced";
  // And the lab's own, with nothing before it.
  EXPECT_THAT(lab.run({"lab", "status", lab.name()}).out, HasSubstr("lab " + lab.name()));
  const Ran unknown = lab.run({"lab", "down", lab.name() + "x"});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.error, HasSubstr("near it: " + lab.name()));
  EXPECT_THAT(lab.run({"lab", "staus"}).error, HasSubstr("no command 'staus'; near it: status"));
  EXPECT_EQ(lab.run({"lab", "down", lab.name()}).out, "lab " + lab.name() + " is down\n");
}

TEST_P(Verbs, FindWhatIsCalledLikeAKind) {
  const std::string pod = R"(---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: node, labels: {app: web}}
spec: {containers: [{name: app, image: fairlead/sample-app}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: node}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: node}
spec: {containers: [{name: app, image: x, command: [sh, -c, "while true; do sleep 1; done"]}]}
)";
  ASSERT_TRUE(lab.up(pod)) << lab.said();
  const Ran in_namespace = lab.exec("node/web", {"hostname"});
  EXPECT_EQ(in_namespace.out, "web\n") << in_namespace.error;
  EXPECT_EQ(lab.lab("exec", {"-n", "node", "svc/web", "--", "hostname"}).out, "web\n");
  EXPECT_THAT(lab.path("node/web", "http://web:80/").out, HasSubstr("node/web"));
  const std::unique_ptr<Beside> logs = beside("logs", {"-f", "-n", "node", "web"});
  EXPECT_TRUE(logs->says("sample app")) << logs->output();
  EXPECT_EQ(lab.lab("forward", {"node/web", "81"}).error,
            "fairlead lab forward: the service node/web has no port 81; there are: 80\n");
  EXPECT_EQ(lab.lab("kill", {"node", "-c", "app"}).status, 0);
  EXPECT_TRUE(lab.wait_for_status([](const nlohmann::json& now) {
    return now["pods"].dump().find("\"restarts\":1") != std::string::npos;
  }));
  const Ran machine = lab.exec("node/node1", {"ip", "-br", "address"});
  EXPECT_THAT(machine.out, HasSubstr("172.30.0.1")) << machine.error;
  const Ran unknown = lab.exec("node/nde1", {"true"});
  EXPECT_THAT(unknown.error, HasSubstr("nothing here is called Node nde1; near it: node1"));
}

// ── exec ────────────────────────────────────────────────────────────────────────────────────────

TEST_P(Verbs, ExecPrefersAPodThatIsReady) {
  const std::string web = deployment("web", 1) + service("web");
  ASSERT_TRUE(lab.up(web)) << lab.said();
  const std::string ready = lab.status()["pods"].at(0)["name"];
  lab.write_manifest(web + R"(---
apiVersion: v1
kind: Pod
metadata: {name: a-first, labels: {app: web}}
spec:
  initContainers: [{name: waits, image: any, command: [sleep, "1000"]}]
  containers: [{name: app, image: fairlead/sample-app}]
)");
  ASSERT_TRUE(lab.wait_for_status([](const nlohmann::json& now) {
    const nlohmann::json& first = now["pods"].at(0);
    return now["pods"].size() == 2 && first["name"] == "a-first";
  }));
  EXPECT_EQ(lab.exec("svc/web", {"hostname"}).out, ready + "\n");
  EXPECT_THAT(lab.exec("a-first", {"hostname"}).error, HasSubstr("does not run"));
}

TEST_P(Verbs, RefuseWhatIsNoText) {
  for (const Words& words : {Words{"up", "a\xff.yaml"}, Words{"exec", "web", "--", "\xff"}}) {
    const Ran ran = lab.lab(words.front(), Words(words.begin() + 1, words.end()));
    EXPECT_EQ(ran.status, 2) << ran.error;
    EXPECT_THAT(ran.error, HasSubstr("is not UTF-8"));
  }
}

TEST_P(Verbs, ExecTakesAPipeAndGivesTheStatus) {
  ASSERT_TRUE(lab.up(deployment("web", 1))) << lab.said();
  const Words exec{"lab", "exec", "--name", lab.name(), "web"};
  const auto with = [&](Words flags, const Words& words, const std::string& input) {
    Words all = exec;
    all.insert(all.end(), flags.begin(), flags.end());
    all.emplace_back("--");
    all.insert(all.end(), words.begin(), words.end());
    return lab.run(all, input);
  };
  const Ran cat = with({}, {"cat"}, "hi\n");
  EXPECT_EQ(cat.out, "hi\n") << cat.error;
  EXPECT_EQ(cat.status, 0);
  EXPECT_EQ(with({"-i"}, {"cat"}, "hi\n").out, "hi\n");
  EXPECT_EQ(with({"-it"}, {"cat"}, "hi\n").out, "hi\n") << "without a terminal there is none";
  EXPECT_EQ(with({}, {"sh", "-c", "read word; exit $word"}, "23\n").status, 23);
  EXPECT_EQ(with({}, {"sh", "-c", "kill -KILL $$"}, "").status, 128 + SIGKILL);
  const Ran nothing = with({}, {"no-such-program"}, "");
  EXPECT_EQ(nothing.status, 127);
  EXPECT_THAT(nothing.error, HasSubstr("no-such-program"));
}

TEST_P(Verbs, ExecGivesATerminalOfThisOnesSize) {
  ASSERT_TRUE(lab.up(deployment("web", 1))) << lab.said();
  const std::unique_ptr<Beside> shell = beside(
      "exec", {"-it", "web", "--", "sh", "-c", "tty; stty size; read word; stty size; exit $word"},
      true);
  EXPECT_TRUE(shell->says("40 132")) << shell->output();
  EXPECT_THAT(shell->output(), AllOf(HasSubstr("/dev/pts/"), Not(HasSubstr("not a tty"))));
  shell->resize(50, 99);
  shell->type("17\r");
  EXPECT_EQ(shell->wait(), 17) << shell->output();
  EXPECT_THAT(shell->output(), HasSubstr("50 99"));
}

TEST_P(Verbs, CtrlCOnATerminalEndsWhatRunsThere) {
  ASSERT_TRUE(lab.up(deployment("web", 1))) << lab.said();
  const std::unique_ptr<Beside> sed =
      beside("exec", {"-it", "web", "--", "sed", "-u", "s/hello/it runs/"}, true);
  sed->type("hello\r");
  ASSERT_TRUE(sed->says("it runs")) << sed->output();
  sed->type("\x03");
  EXPECT_EQ(sed->wait(), 128 + SIGINT) << sed->output();
}

// ── logs ────────────────────────────────────────────────────────────────────────────────────────

TEST_P(Verbs, FollowedLogsGoOverRestartsAndEndWithTheirPod) {
  ASSERT_TRUE(lab.up(deployment("web", 1) + R"(---
apiVersion: v1
kind: Pod
metadata: {name: job}
spec:
  restartPolicy: Never
  containers: [{name: app, image: x, command: [sh, -c, "echo begun; sleep 3; echo over"]}]
)")) << lab.said();
  const std::unique_ptr<Beside> job = beside("logs", {"-f", "job"});
  EXPECT_EQ(job->wait(), 0) << "its work is done";
  EXPECT_THAT(job->output(), AllOf(HasSubstr("begun"), HasSubstr("over")));
  const std::unique_ptr<Beside> web = beside("logs", {"-f", "deploy/web"});
  ASSERT_TRUE(web->says("answers as 'web'")) << web->output();
  EXPECT_EQ(lab.lab("kill", {"web", "-c", "app"}).status, 0);
  EXPECT_TRUE(lab.wait_for_status([](const nlohmann::json& now) {
    return now["missing"] == "" && now["pods"].dump().find("\"restarts\":1") != std::string::npos;
  }));
  EXPECT_EQ(lab.lab("restart", {"web"}).status, 0);
  EXPECT_EQ(web->wait(), 0) << "the pod is gone: " << web->output();
  const std::string& said = web->output();
  EXPECT_NE(said.find("answers as"), said.rfind("answers as")) << "started twice: " << said;
}

// ── the end ─────────────────────────────────────────────────────────────────────────────────────

std::string link_of(const fs::path& path) {
  std::error_code error;
  const fs::path target = fs::read_symlink(path, error);
  return error ? "" : target.string();
}

// The processes of a lab, each with the time at which it began, as numbers are used again; and the
// namespaces that they are in, beside those of the host.
struct Inside {
  std::map<std::string, std::string> processes;
  std::set<std::string> namespaces;
};

// Empty when there is none.
std::string start_of(const std::string& process) {
  std::ifstream file("/proc/" + process + "/stat");
  std::string text;
  std::getline(file, text);
  std::istringstream words(text.substr(std::min(text.size(), text.rfind(')') + 1)));
  std::string word;
  for (int field = 3; field <= 22; ++field) words >> word;
  return words ? word : "";
}

Inside inside_of(pid_t init) {
  Inside inside;
  const std::string own = link_of("/proc/" + std::to_string(init) + "/ns/pid_for_children");
  for (const fs::directory_entry& process : fs::directory_iterator("/proc")) {
    if (own.empty() || link_of(process.path() / "ns/pid") != own) continue;
    const std::string number = process.path().filename();
    inside.processes[number] = start_of(number);
    for (const char* kind : {"pid", "net", "mnt", "uts", "ipc", "user"}) {
      const std::string name = link_of(process.path() / "ns" / kind);
      if (name != link_of(fs::path("/proc/self/ns") / kind)) inside.namespaces.insert(name);
    }
  }
  return inside;
}

// Processes that go on, and namespaces that are mounted here. Those that have neither are gone;
// that another lab's process is in one of the same number says nothing.
std::set<std::string> still_there(const Inside& inside) {
  std::set<std::string> found;
  for (const auto& [process, start] : inside.processes) {
    if (!start.empty() && start_of(process) == start) found.insert(process);
  }
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    for (const std::string& name : inside.namespaces) {
      if (!name.empty() && line.find(name) != std::string::npos) found.insert(name);
    }
  }
  return found;
}

TEST_P(Verbs, CtrlCLeavesNothing) {
  lab.write_manifest(deployment("client", 1) + deployment("web", 1) + service("web"));
  const std::unique_ptr<Beside> up = beside("up", {"--inject", "all", lab.manifest_path()}, true);
  ASSERT_TRUE(up->says("is ready")) << up->output();
  const Inside inside = inside_of(lab.record().value("init", 0));
  EXPECT_GT(inside.namespaces.size(), 6U) << "two nodes, control and two pods have a network each";
  up->type("\x03");
  EXPECT_EQ(up->wait(), 0) << up->output();
  EXPECT_THAT(still_there(inside), IsEmpty());
  EXPECT_FALSE(fs::exists(lab.state())) << lab.state();
}

TEST_P(Verbs, SignalledTwiceItEndsAtOnceAndLeavesNothing) {
  // Its pod takes its time to end.
  lab.write_manifest(R"(
apiVersion: v1
kind: Pod
metadata: {name: stubborn}
spec:
  containers:
  - {name: app, image: x, command: [sh, -c, "trap '' TERM; echo begun; while true; do sleep 1; done"]}
)");
  const std::unique_ptr<Beside> up = beside("up", {lab.manifest_path()});
  ASSERT_TRUE(up->says("is ready")) << up->output();
  const Inside inside = inside_of(lab.record().value("init", 0));
  EXPECT_FALSE(inside.processes.empty());
  up->signal(SIGINT);
  ASSERT_TRUE(up->says("once more: at once")) << up->output();
  up->signal(SIGINT);
  EXPECT_EQ(up->wait(), 1) << up->output();
  EXPECT_THAT(still_there(inside), IsEmpty());
  EXPECT_FALSE(fs::exists(lab.state())) << lab.state();
}

TEST_P(Verbs, WhenTheFirstProcessOfALabIsKilledNothingIsLeft) {
  ASSERT_TRUE(
      lab.up(deployment("client", 1) + deployment("web", 1) + service("web"), {"--inject", "all"}))
      << lab.said();
  const pid_t init = lab.record().value("init", 0);
  const pid_t guardian = lab.record().value("guardian", 0);
  ASSERT_GT(init, 0);
  const Inside inside = inside_of(init);
  EXPECT_GT(inside.namespaces.size(), 6U);
  ::kill(init, SIGKILL);
  EXPECT_TRUE(comes_about([&] { return ::kill(guardian, 0) != 0 && errno == ESRCH; }));
  EXPECT_TRUE(comes_about([&] { return still_there(inside).empty(); }));
  EXPECT_FALSE(fs::exists(lab.state())) << lab.state();
}

}  // namespace
}  // namespace fairlead::lab
