// A lab as its user meets it: broken manifests, edits, two at once, and an end that leaves nothing.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "lab/scenarios/lab_under_test.h"

namespace fairlead::lab {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class Labs : public testing::TestWithParam<Who> {};

INSTANTIATE_TEST_SUITE_P(As, Labs, testing::ValuesIn(everyone()),
                         [](const auto& one) { return name_of(one.param); });

std::string client_and(const std::string& name) {
  return deployment("client", 1) + deployment(name, 1) + service(name);
}

TEST_P(Labs, ABrokenManifestIsRefusedWithItsPlace) {
  LabUnderTest lab(GetParam());
  std::string broken = client_and("web");
  broken.replace(broken.find("replicas: 1"), 11, "replicas: many");
  const Ran ran = lab.try_up(broken);
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.error, AllOf(HasSubstr(lab.manifest_path() + ":6"), HasSubstr("spec.replicas"),
                               HasSubstr("many")));
}

TEST_P(Labs, AFileWithoutAnyObjectIsListed) {
  LabUnderTest lab(GetParam());
  const std::string empty = lab.manifest_path() + ".empty.yaml";
  std::ofstream(empty) << "# nothing yet\n";
  const std::string line = "file " + empty + ": it holds no object";
  const Ran ran = lab.try_up(client_and("web"), {empty});
  EXPECT_EQ(ran.status, 0) << ran.error;
  EXPECT_THAT(ran.out, HasSubstr("not honoured: " + line));
  EXPECT_THAT(lab.status()["ignored"].dump(), HasSubstr(line));
  std::ofstream(empty) << service("late");
  EXPECT_TRUE(
      lab.wait_for_status([](const nlohmann::json& now) { return now["ignored"].empty(); }));
}

TEST_P(Labs, EditsAreAppliedLiveAndABrokenOneKeepsTheLastGood) {
  LabUnderTest lab(GetParam());
  ASSERT_TRUE(lab.up(client_and("web"))) << lab.said();
  lab.write_manifest(client_and("web") + service("other", "externalName: x\n  type: Nonsense"));
  std::this_thread::sleep_for(std::chrono::seconds(1));
  EXPECT_THAT(lab.exec("client", {"curl", "-sS", "http://web/"}).out,
              HasSubstr("\"service\":\"web\""));
  EXPECT_THAT(lab.lab("status").out, HasSubstr("Nonsense"));
  lab.write_manifest(client_and("web") + deployment("late", 1) + service("late"));
  EXPECT_TRUE(lab.wait_for({"curl", "-sS", "http://late/"}, "client", "\"service\":\"late\""));
}

TEST_P(Labs, WhatAFileLosesCountsWhenItLastsAndAnEmptyOneNever) {
  LabUnderTest lab(GetParam());
  ASSERT_TRUE(lab.up(client_and("web") + deployment("extra", 1))) << lab.said();
  lab.write_manifest("");
  EXPECT_TRUE(lab.wait_for_status([](const nlohmann::json& now) { return now["broken"] != ""; }));
  EXPECT_THAT(lab.lab("status").out, HasSubstr("it holds no object"));
  EXPECT_EQ(lab.status()["pods"].size(), 3U);
  lab.write_manifest(client_and("web"));
  EXPECT_TRUE(lab.wait_for_status([](const nlohmann::json& now) {
    return now["broken"] == "" && now["pods"].size() == 2 && now["missing"] == "";
  })) << lab.status();
  std::ifstream log(lab.state() + "/logs/lab.log");
  const std::string said((std::istreambuf_iterator<char>(log)), std::istreambuf_iterator<char>());
  EXPECT_THAT(said, HasSubstr("no file has this object any more: Deployment default/extra"));
}

// As on a full disk: what cannot be written is written when there is room again, without an edit.
TEST_P(Labs, TellTheirWorldAgainAfterItCouldNotBeWritten) {
  LabUnderTest lab(GetParam());
  ASSERT_TRUE(lab.up(client_and("web"))) << lab.said();
  const std::string obstacle = lab.state() + "/objects.json.new";
  std::filesystem::create_directory(obstacle);
  lab.write_manifest(client_and("web") + service("late", "externalName: x\n  type: ExternalName"));
  EXPECT_TRUE(
      lab.wait_for_status([](const nlohmann::json& now) { return now["unwritten"] != ""; }));
  EXPECT_THAT(lab.lab("status").out,
              AllOf(HasSubstr("nobody hears of what changes:"), HasSubstr("Is a directory")));
  EXPECT_THAT(lab.exec("client", {"curl", "-sS", "http://web/"}).out,
              HasSubstr("\"service\":\"web\""));
  std::filesystem::remove(obstacle);
  EXPECT_TRUE(lab.wait_for_status(
      [](const nlohmann::json& now) { return now["unwritten"] == "" && now["missing"] == ""; }));
}

TEST_P(Labs, KeepTheLastGoodVersionWhileAFileCannotBeRead) {
  LabUnderTest lab(GetParam());
  ASSERT_TRUE(lab.up(client_and("web"))) << lab.said();
  // Root may read what nobody may: for it the file goes away instead.
  const bool root = GetParam() == Who::root;
  const std::string away = lab.manifest_path() + ".away";
  root ? std::filesystem::rename(lab.manifest_path(), away)
       : std::filesystem::permissions(lab.manifest_path(), std::filesystem::perms::none);
  EXPECT_TRUE(lab.wait_for_status([](const nlohmann::json& now) { return now["broken"] != ""; }));
  EXPECT_THAT(lab.lab("status").out, AllOf(HasSubstr("the last good version is in force"),
                                           HasSubstr(root ? "No such file" : "Permission denied"),
                                           HasSubstr(lab.manifest_path())));
  EXPECT_EQ(lab.status()["pods"].size(), 2U);
  root ? std::filesystem::rename(away, lab.manifest_path())
       : std::filesystem::permissions(lab.manifest_path(), std::filesystem::perms(0644));
  EXPECT_TRUE(lab.wait_for_status([](const nlohmann::json& now) { return now["broken"] == ""; }));
}

TEST_P(Labs, TwoOfThemSideBySide) {
  LabUnderTest one(GetParam());
  LabUnderTest two(GetParam());
  ASSERT_TRUE(one.up(client_and("web"))) << one.said();
  ASSERT_TRUE(two.up(client_and("web"))) << two.said();
  for (const LabUnderTest* lab : {&one, &two}) {
    EXPECT_THAT(lab->exec("client", {"curl", "-sS", "http://web/"}).out,
                HasSubstr("\"service\":\"web\""));
  }
  EXPECT_EQ(one.lab("down").status, 0);
  EXPECT_THAT(two.exec("client", {"curl", "-sS", "http://web/"}).out,
              HasSubstr("\"service\":\"web\""));
}

bool is_alive(pid_t process) {
  return ::kill(process, 0) == 0 || errno == EPERM;
}

bool ends_soon(pid_t process) {
  for (int i = 0; i < 200 && is_alive(process); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return !is_alive(process);
}

TEST_P(Labs, KilledWithoutAWordItLeavesNothing) {
  LabUnderTest lab(GetParam());
  ASSERT_TRUE(lab.up(client_and("web"), {"--inject", "all"})) << lab.said();
  const Ran list = lab.run({"lab", "list", "--json"});
  pid_t guardian = 0;
  pid_t init = 0;
  const nlohmann::json labs = nlohmann::json::parse(list.out, nullptr, false);
  for (const nlohmann::json& one : labs) {
    if (one.value("name", "") != lab.name()) continue;
    guardian = one.value("guardian", 0);
    init = one.value("init", 0);
  }
  ASSERT_GT(guardian, 0) << list.out;
  ASSERT_GT(init, 0);
  ::kill(guardian, SIGKILL);
  EXPECT_TRUE(ends_soon(init)) << "the lab outlives its guardian";
  EXPECT_THAT(lab.run({"lab", "list"}).out, testing::Not(HasSubstr(lab.name())));
  ASSERT_TRUE(lab.up(client_and("web"))) << "the name is free again: " << lab.said();
}

// A lab is found by whoever brought it up, whatever XDG_RUNTIME_DIR is then.
TEST_P(Labs, WithoutAUsableRuntimeDirectoryAreInTmpAndSaySo) {
  if (GetParam() == Who::root) return;  // whose labs are in /run
  LabUnderTest lab(GetParam());
  lab.write_manifest(deployment("web", 1));
  const std::string there = std::filesystem::path(lab.manifest_path()).parent_path();
  const std::string runtime = there + "/none";
  const std::string variable = "XDG_RUNTIME_DIR=" + runtime;
  const Words words{"lab", "up", "-d", "--name", lab.name(), lab.manifest_path()};
  const Ran up = lab.run_with(variable, words);
  EXPECT_EQ(up.status, 0) << up.error;
  EXPECT_THAT(up.error, AllOf(HasSubstr("the state directory " + runtime +
                                        "/fairlead cannot be made: No such file or directory: the "
                                        "lab's files are in /tmp/fairlead-"),
                              HasSubstr("instead")));
  EXPECT_THAT(lab.run({"lab", "list"}).out, HasSubstr(lab.name()));
  EXPECT_THAT(lab.run_with(variable, {"lab", "list"}).out, HasSubstr(lab.name()));
  // A place that can be used since: the lab is where it was, and its name is taken.
  EXPECT_EQ(lab.run_with("XDG_RUNTIME_DIR=" + there, {"lab", "status", lab.name()}).status, 0);
  EXPECT_THAT(lab.run_with("XDG_RUNTIME_DIR=" + there, words).error, HasSubstr("is up already"));
  EXPECT_EQ(lab.run_with(variable, {"lab", "down", lab.name()}).status, 0);
}

TEST_P(Labs, ReadFoldersAsKubectlDoes) {
  LabUnderTest lab(GetParam());
  const std::filesystem::path folder = std::filesystem::path(lab.manifest_path()).parent_path();
  const std::filesystem::path top = folder / "k8s";
  std::filesystem::create_directories(top / "overlays" / "prod");
  std::ofstream(top / "web.yaml") << deployment("web", 1);
  std::ofstream(top / "overlays" / "prod" / "late.yaml") << deployment("late", 1);
  const Ran up = lab.run({"lab", "up", "-d", "--name", lab.name(), "-f", top});
  EXPECT_EQ(up.status, 0) << up.error;
  EXPECT_THAT(up.error, HasSubstr("1 folder inside " + top.string() +
                                  ": not read; -R reads what is inside folders, too"));
  EXPECT_EQ(lab.status()["pods"].size(), 1U);
  const Ran applied = lab.lab("apply", {"-R", top});
  EXPECT_EQ(applied.status, 0) << applied.error;
  EXPECT_THAT(applied.error, testing::Not(HasSubstr("not read")));
  EXPECT_EQ(lab.status()["pods"].size(), 2U);
}

TEST_P(Labs, FollowFoldersThatAreMadeLater) {
  LabUnderTest lab(GetParam());
  const std::filesystem::path top =
      std::filesystem::path(lab.manifest_path()).parent_path() / "k8s";
  std::filesystem::create_directories(top);
  std::ofstream(top / "web.yaml") << deployment("web", 1);
  const Ran up = lab.run({"lab", "up", "-d", "--name", lab.name(), "-R", top});
  EXPECT_EQ(up.status, 0) << up.error;
  const auto becomes = [&lab](std::size_t pods) {
    return lab.wait_for_status([pods](const nlohmann::json& now) {
      return now["pods"].size() == pods && now["broken"] == "" && now["missing"] == "";
    });
  };
  std::filesystem::create_directories(top / "overlays" / "prod");
  std::ofstream(top / "overlays" / "prod" / "late.yaml") << deployment("late", 1);
  EXPECT_TRUE(becomes(2)) << lab.status();
  std::ofstream(top / "overlays" / "prod" / "late.yaml") << deployment("late", 2);
  EXPECT_TRUE(becomes(3)) << lab.status();
  std::filesystem::rename(top / "overlays", top / "kept");
  std::ofstream(top / "kept" / "more.yaml") << deployment("more", 1);
  EXPECT_TRUE(becomes(4)) << lab.status();
  std::filesystem::remove_all(top / "kept");
  EXPECT_TRUE(becomes(1)) << lab.status();
  EXPECT_EQ(lab.status()["manifests"], nlohmann::json::array({top.string()}));
}

TEST_P(Labs, AFileThatIsNamedTwiceIsReadOnce) {
  LabUnderTest lab(GetParam());
  ASSERT_TRUE(lab.up(client_and("web"))) << lab.said();
  const std::filesystem::path file = lab.manifest_path();
  const Ran again = lab.lab("apply", {file});
  EXPECT_EQ(again.status, 0) << again.error;
  const Ran folder = lab.lab("apply", {file.parent_path()});
  EXPECT_EQ(folder.status, 0) << folder.error;
  // Relative to where it is typed, wherever the lab was brought up.
  const Ran relative = lab.run_with("--chdir=" + file.parent_path().string(),
                                    {"lab", "apply", "--name", lab.name(), file.filename()});
  EXPECT_EQ(relative.status, 0) << relative.error;
  EXPECT_EQ(lab.status()["pods"].size(), 2U);
}

TEST_P(Labs, DownTakesTheStateWithIt) {
  LabUnderTest lab(GetParam());
  ASSERT_TRUE(lab.up(client_and("web"))) << lab.said();
  EXPECT_TRUE(std::filesystem::exists(lab.state())) << lab.state();
  EXPECT_EQ(lab.lab("down").status, 0);
  EXPECT_FALSE(std::filesystem::exists(lab.state()));
}

TEST_P(Labs, OfATestThatCrashesGoDown) {
  const LabUnderTest own(GetParam());  // to ask with
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const pid_t test = ::fork();
  if (test == 0) {
    LabUnderTest lab(GetParam());
    const bool up = lab.up(client_and("web"));
    static_cast<void>(up && ::write(ends[1], lab.name().data(), lab.name().size()) < 0);
    ::kill(::getpid(), SIGKILL);
  }
  ::close(ends[1]);
  std::array<char, 64> name{};
  EXPECT_GT(::read(ends[0], name.data(), name.size() - 1), 0) << "it came up";
  ::close(ends[0]);
  ::waitpid(test, nullptr, 0);
  EXPECT_TRUE(comes_about([&] {
    return own.run({"lab", "list"}).out.find(name.data()) == std::string::npos &&
           !std::filesystem::exists("/tmp/fairlead-scenario-" + std::string(name.data()));
  }));
}

TEST_P(Labs, ExecGivesTheStatusAndNamesNearOnes) {
  LabUnderTest lab(GetParam());
  ASSERT_TRUE(lab.up(client_and("web"))) << lab.said();
  EXPECT_EQ(lab.exec("client", {"sh", "-c", "exit 7"}).status, 7);
  const Ran unknown = lab.exec("cleint", {"true"});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.error, HasSubstr("client"));
  EXPECT_EQ(
      lab.exec("client", {"sh", "-c", "echo $HOSTNAME > /tmp/of-its-own; cat /tmp/of-its-own"})
          .status,
      0);
  EXPECT_FALSE(std::filesystem::exists("/tmp/of-its-own")) << "a container's /tmp is its own";
  EXPECT_THAT(lab.lab("logs", {"web"}).out, HasSubstr("sample app"));
}

// The proxies run as a user of their own, who need not be able to reach the program named.
TEST_P(Labs, AProxyProgramIsBroughtAlongFromWhereverItIs) {
  LabUnderTest lab(GetParam());
  const std::string folder = std::filesystem::path(lab.manifest_path()).parent_path();
  const std::string program = folder + "/stand-in";
  std::ofstream(program) << "#!/bin/sh\necho standing in, as $(id -u)\n"
                            "exec fairlead proxy \"$@\"\n";
  std::filesystem::permissions(program, std::filesystem::perms(0755));
  std::filesystem::permissions(folder, std::filesystem::perms(0700));
  const Ran absent = lab.try_up(client_and("web"), {"--inject", "all", "--envoy", folder + "/no"});
  EXPECT_EQ(absent.status, 2);
  EXPECT_THAT(absent.error, HasSubstr("there is no program " + folder + "/no on this host"));
  ASSERT_TRUE(lab.up(client_and("web"), {"--inject", "all", "--envoy", program})) << lab.said();
  EXPECT_THAT(lab.lab("logs", {"web", "-c", "istio-proxy"}).out, HasSubstr("standing in, as 1337"));
}

TEST_P(Labs, ConfigMapsSecretsAndInitContainers) {
  LabUnderTest lab(GetParam());
  ASSERT_TRUE(lab.up(R"(
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {greeting: hello, file.txt: from a map}
---
apiVersion: v1
kind: Secret
metadata: {name: secrets}
stringData: {password: open sesame}
---
apiVersion: v1
kind: Pod
metadata: {name: reader, labels: {app: reader}}
spec:
  initContainers:
  - {name: first, image: x, command: [sh, -c, "echo one >> /data/order"], volumeMounts: [{name: work, mountPath: /data}]}
  - {name: second, image: x, command: [sh, -c, "echo two >> /data/order"], volumeMounts: [{name: work, mountPath: /data}]}
  containers:
  - name: app
    image: x
    command: [sleep, "1000"]
    env:
    - {name: GREETING, valueFrom: {configMapKeyRef: {name: settings, key: greeting}}}
    - {name: PASSWORD, valueFrom: {secretKeyRef: {name: secrets, key: password}}}
    - {name: WHO, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    volumeMounts: [{name: work, mountPath: /data}, {name: settings, mountPath: /settings}]
  volumes:
  - {name: work, emptyDir: {}}
  - {name: settings, configMap: {name: settings}}
)")) << lab.said();
  const Ran ran = lab.exec("reader", {"sh", "-c",
                                      "echo $GREETING/$PASSWORD/$WHO; cat /data/order "
                                      "/settings/file.txt"});
  EXPECT_EQ(ran.out, "hello/open sesame/reader\none\ntwo\nfrom a map") << ran.error;
}

TEST_P(Labs, InitContainersSpeakThroughTheProxy) {
  LabUnderTest lab(GetParam());
  ASSERT_TRUE(lab.up(deployment("web", 1) + service("web") + R"(---
apiVersion: v1
kind: Pod
metadata: {name: late}
spec:
  initContainers:
  - {name: ask, image: x, command: [sh, -c, "until curl -sf http://web/ > /data/answer; do sleep 0.2; done"], volumeMounts: [{name: work, mountPath: /data}]}
  containers:
  - {name: app, image: x, command: [sleep, "1000"], volumeMounts: [{name: work, mountPath: /data}]}
  volumes: [{name: work, emptyDir: {}}]
)",
                     {"--inject", "all"}))
      << lab.said();
  EXPECT_THAT(lab.exec("late", {"cat", "/data/answer"}).out,
              AllOf(HasSubstr("\"service\":\"web\""), HasSubstr("x-request-id")));
}

}  // namespace
}  // namespace fairlead::lab
