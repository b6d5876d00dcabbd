// Containers' processes in mount namespaces of their own. Nothing of this machine is changed.
#include "lab/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace fairlead::lab {
namespace {

using ::testing::HasSubstr;

class ProcessTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/fairlead-process-test-XXXXXX";
    ASSERT_NE(::mkdtemp(path), nullptr);
    scratch_ = path;
  }
  void TearDown() override { std::filesystem::remove(scratch_); }

  Launched run(std::vector<std::string> words, int output = -1, const std::string& folder = "/") {
    Result<Launched> launched = launch({.root = Root{.scratch = scratch_,
                                                     .programs = self_.parent_path(),
                                                     .working_directory = folder},
                                        .host_name = "here",
                                        .words = std::move(words),
                                        .working_directory = folder,
                                        .capabilities = usual_capabilities(),
                                        .streams = {-1, output, -1}});
    EXPECT_TRUE(launched.ok());
    return std::move(*launched);
  }

  static int wait(pid_t process) {
    int status = 0;
    EXPECT_EQ(::waitpid(process, &status, 0), process);
    return status;
  }

  std::string scratch_;
  std::filesystem::path self_ = std::filesystem::read_symlink("/proc/self/exe");
};

// Dead, or about to be buried by whoever inherited it.
bool is_dead(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/stat");
  std::string number;
  std::string name;
  std::string state;
  return !(status >> number >> name >> state) || state == "Z" || state == "X";
}

TEST_F(ProcessTest, WhatAContainerLeavesBehindEndsWithItsFirstProcessAndNothingElse) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const Descriptor from(ends[0]);
  Descriptor to(ends[1]);
  // The first process ends, what it started in a session of its own would stay; it holds the pipe.
  const Launched first = run({"sh", "-c", "setsid sleep 1000 & echo started"}, to.number());
  to.close();
  const Launched other = run({"sleep", "1000"});
  EXPECT_EQ(wait(first.pid), 0);
  EXPECT_EQ(trouble_of(first), "");
  std::string text;
  char part[64];
  for (ssize_t size = 0; (size = ::read(from.number(), part, sizeof part)) > 0;) {
    text.append(part, static_cast<std::size_t>(size));
  }
  EXPECT_EQ(text, "started\n") << "and then the pipe's end: nobody holds it any more";
  EXPECT_FALSE(is_dead(other.pid));
  kill_group(other.pid, SIGKILL);
  EXPECT_EQ(WTERMSIG(wait(other.pid)), SIGKILL);
}

TEST_F(ProcessTest, AContainerSeesItsOwnProcessesAlone) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const Descriptor from(ends[0]);
  Descriptor to(ends[1]);
  const Launched launched = run({"sh", "-c",
                                 "echo pid $$; cd /proc; echo $(echo [0-9]*); readlink "
                                 "/proc/1/root; kill -9 -1 2>/dev/null; true"},
                                to.number());
  to.close();
  EXPECT_EQ(wait(launched.pid), 0) << trouble_of(launched);
  char text[128] = {};
  ASSERT_GT(::read(from.number(), text, sizeof text - 1), 0);
  EXPECT_EQ(std::string(text).substr(0, 8), "pid 1\n1 ");
  EXPECT_THAT(text, ::testing::EndsWith("\n/\n"));
}

TEST_F(ProcessTest, AContainerChangesNoneOfTheKernelsSettings) {
  const Launched launched =
      run({"sh", "-c",
           "test ! -w /proc/sys/kernel/hostname && test ! -w /proc/sysrq-trigger && "
           "test ! -s /proc/keys && ! mount -t tmpfs none /tmp 2>/dev/null && "
           "! touch /sys/x 2>/dev/null"});
  EXPECT_EQ(wait(launched.pid), 0) << trouble_of(launched);
}

TEST_F(ProcessTest, TheFirstProcessOfAContainerGetsTheSignalsThatItHeeds) {
  const auto soon = [](const auto& holds) {
    for (int tries = 0; tries < 10'000 && !holds(); ++tries) ::usleep(1000);
    return holds();
  };
  const Launched deaf = run({"sleep", "1000"});
  const Launched hears = run({"sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.01; done"});
  ASSERT_TRUE(soon([&] { return heeds(hears.pid, SIGTERM); }));
  EXPECT_FALSE(heeds(deaf.pid, SIGTERM));
  ::kill(deaf.pid, SIGTERM);
  ::kill(hears.pid, SIGTERM);
  EXPECT_EQ(WEXITSTATUS(wait(hears.pid)), 7);
  EXPECT_FALSE(is_dead(deaf.pid));
  ::kill(deaf.pid, SIGKILL);
  EXPECT_EQ(WTERMSIG(wait(deaf.pid)), SIGKILL);
}

TEST_F(ProcessTest, AProgramThatIsNotThereIsTrouble) {
  const Launched launched = run({"no-such-program"});
  EXPECT_EQ(WEXITSTATUS(wait(launched.pid)), 127);
  EXPECT_THAT(trouble_of(launched), HasSubstr("no-such-program"));
}

TEST_F(ProcessTest, AProgramThatCannotBeRunIsAnotherTrouble) {
  const Launched launched = run({"/etc"});
  EXPECT_EQ(WEXITSTATUS(wait(launched.pid)), 126);
  EXPECT_THAT(trouble_of(launched), HasSubstr("cannot run /etc: it is a folder"));
}

TEST_F(ProcessTest, AWorkingDirectoryThatIsNotThereIsMadeInItsOwnRoot) {
  for (const std::string folder : {"/app/of/an/image", "/usr/share/no-such-folder/deep"}) {
    const Launched launched =
        run({"sh", "-c", "test \"$PWD\" = " + folder + " && test -x /usr/bin/env"}, -1, folder);
    EXPECT_EQ(wait(launched.pid), 0) << trouble_of(launched);
    EXPECT_FALSE(std::filesystem::exists(folder)) << "nothing of this machine is changed";
  }
  const Launched launched = run({"true"}, -1, "/etc/hostname");
  EXPECT_NE(wait(launched.pid), 0);
  EXPECT_THAT(trouble_of(launched), HasSubstr("/etc/hostname"));
}

TEST_F(ProcessTest, TheHostsFilesAreReadOnlyAndTmpIsItsOwn) {
  const std::string program = "/run/fairlead/bin/" + self_.filename().string();
  const Launched launched =
      run({"sh", "-c",
           "test ! -w /usr && test -w /tmp && touch /tmp/x /var/log/y && "
           "test \"$(ls -A /tmp)\" = x && test -x " +
               program + " && test ! -w " + program + " && test \"$(uname -n)\" = here"});
  EXPECT_EQ(wait(launched.pid), 0);
}

}  // namespace
}  // namespace fairlead::lab
