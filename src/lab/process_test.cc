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

TEST_F(ProcessTest, WhatAContainerLeavesBehindIsEndedAndNothingElse) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const Descriptor from(ends[0]);
  Descriptor to(ends[1]);
  // The leader ends, what it started in a session of its own stays.
  const Launched first = run({"sh", "-c", "setsid sleep 1000 >/dev/null & echo $!"}, to.number());
  to.close();
  EXPECT_EQ(wait(first.pid), 0);
  char text[32] = {};
  ASSERT_GT(::read(from.number(), text, sizeof text - 1), 0);
  const pid_t left = std::atoi(text);
  ASSERT_FALSE(is_dead(left));

  const Launched other = run({"sleep", "1000"});
  const Report report = report_of(first);
  EXPECT_EQ(report.trouble, "");
  kill_all_in(report.mounts);
  for (int tries = 0; tries < 1000 && !is_dead(left); ++tries) ::usleep(1000);
  EXPECT_TRUE(is_dead(left));
  EXPECT_FALSE(is_dead(other.pid));
  kill_group(other.pid, SIGTERM);
  EXPECT_EQ(WTERMSIG(wait(other.pid)), SIGTERM);
}

TEST_F(ProcessTest, ANamespaceThatIsGoneIsNotTakenForTheNextOne) {
  // The kernel gives its number to the next one: whoever goes by the number ends a stranger.
  for (int i = 0; i < 20; ++i) {
    const Launched first = run({"true"});
    EXPECT_EQ(wait(first.pid), 0);
    const Launched next = run({"sleep", "1000"});
    const Report own = report_of(first);
    for (int tries = 0; tries < 1000 && !report_of(next).mounts.valid(); ++tries) ::usleep(1000);
    kill_all_in(own.mounts);
    kill_group(next.pid, SIGTERM);
    EXPECT_EQ(WTERMSIG(wait(next.pid)), SIGTERM);
  }
}

TEST_F(ProcessTest, AProgramThatIsNotThereIsTrouble) {
  const Launched launched = run({"no-such-program"});
  EXPECT_EQ(WEXITSTATUS(wait(launched.pid)), 127);
  EXPECT_THAT(report_of(launched).trouble, HasSubstr("no-such-program"));
}

TEST_F(ProcessTest, AProgramThatCannotBeRunIsAnotherTrouble) {
  const Launched launched = run({"/etc"});
  EXPECT_EQ(WEXITSTATUS(wait(launched.pid)), 126);
  EXPECT_THAT(report_of(launched).trouble, HasSubstr("cannot run /etc: it is a folder"));
}

TEST_F(ProcessTest, AWorkingDirectoryThatIsNotThereIsMadeInItsOwnRoot) {
  for (const std::string folder : {"/app/of/an/image", "/usr/share/no-such-folder/deep"}) {
    const Launched launched =
        run({"sh", "-c", "test \"$PWD\" = " + folder + " && test -x /usr/bin/env"}, -1, folder);
    EXPECT_EQ(wait(launched.pid), 0) << report_of(launched).trouble;
    EXPECT_FALSE(std::filesystem::exists(folder)) << "nothing of this machine is changed";
  }
  const Launched launched = run({"true"}, -1, "/etc/hostname");
  EXPECT_NE(wait(launched.pid), 0);
  EXPECT_THAT(report_of(launched).trouble, HasSubstr("/etc/hostname"));
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
