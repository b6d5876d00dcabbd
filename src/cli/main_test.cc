// `fairlead` itself: help and version, and what they refuse.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "cli/test_program.h"

namespace fairlead::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// What it says to wrong use.
std::string refused(const std::string& words) {
  const Ran ran = run_program(words);
  EXPECT_EQ(ran.status, 2) << words;
  return ran.said;
}

TEST(MainCommandTest, HelpOfACommandIsThatCommandsHelp) {
  EXPECT_THAT(run_program("help").said, HasSubstr("usage: fairlead COMMAND"));
  for (const char* words : {"control", "control status", "lab up", "node"}) {
    const Ran ran = run_program(std::string("help ") + words);
    EXPECT_EQ(ran.status, 0) << words;
    EXPECT_EQ(ran.said, run_program(std::string(words) + " --help").said);
  }
}

TEST(MainCommandTest, HelpOfWhatIsNoCommandIsWrongUse) {
  EXPECT_THAT(refused("help contrl"), HasSubstr("there is no command 'contrl'"));
  EXPECT_EQ(refused("help control statsu"),
            "fairlead help: fairlead control has no command 'statsu'; near it: status\n");
  EXPECT_THAT(refused("help lab foo"), HasSubstr("fairlead lab has no command 'foo'"));
  EXPECT_EQ(refused("help lab up foo"),
            "fairlead help: fairlead lab up has no command 'foo'; there are none\n");
  EXPECT_EQ(refused("help path foo"),
            "fairlead help: fairlead path has no command 'foo'; there are none\n");
  EXPECT_THAT(refused("help version foo"), HasSubstr("takes no 'foo'"));
  EXPECT_EQ(run_program("help lab --help").said, run_program("lab --help").said);
}

TEST(MainCommandTest, ACommandThatAnotherDoesNotHaveIsNamed) {
  EXPECT_EQ(refused("intercept aply"),
            "fairlead intercept: there is no command 'aply'; near it: apply; "
            "fairlead intercept --help tells more\n");
  EXPECT_THAT(refused("intercept"), HasSubstr("its commands: apply, show, check, remove;"));
  EXPECT_THAT(refused("node srvices"), HasSubstr("no command 'srvices'; near it: services;"));
  EXPECT_THAT(refused("control statsu"), HasSubstr("no command 'statsu'; near it: status;"));
}

TEST(MainCommandTest, WhatACommandDoesNotTakeIsNamed) {
  EXPECT_EQ(refused("path a b c d"),
            "fairlead path: it takes no 'c d'; fairlead path --help tells more\n");
  EXPECT_EQ(
      refused("intercept check x"),
      "fairlead intercept check: it takes no 'x'; fairlead intercept check --help tells more\n");
  EXPECT_EQ(refused("sample-app --port 99999"),
            "fairlead sample-app: '--port = 99999' is no number that it takes; "
            "fairlead sample-app --help tells more\n");
  EXPECT_EQ(refused("path"), "fairlead path: FROM is required; fairlead path --help tells more\n");
}

TEST(MainCommandTest, VersionTakesNothing) {
  EXPECT_THAT(run_program("version").said, testing::MatchesRegex("fairlead [0-9.]+\n"));
  EXPECT_EQ(run_program("--version").said, run_program("version").said);
  const Ran help = run_program("version --help");
  EXPECT_EQ(help.status, 0);
  EXPECT_THAT(help.said, HasSubstr("usage: fairlead version"));
  EXPECT_EQ(run_program("help version").said, help.said);
  const Ran more = run_program("version x");
  EXPECT_EQ(more.status, 2);
  EXPECT_THAT(more.said, HasSubstr("takes no 'x'"));
}

TEST(MainCommandTest, HelpOfLabVerbsSaysWhatTheyTake) {
  EXPECT_THAT(run_program("help lab exec").said,
              HasSubstr("lab exec [OPTIONS] target -- COMMAND [ARGUMENT...]\n"));
  for (const char* verb : {"up", "apply"}) {
    const Ran ran = run_program(std::string("help lab ") + verb);
    EXPECT_THAT(ran.said, AllOf(HasSubstr("files PATH..."), HasSubstr("--filename PATH..."),
                                testing::Not(HasSubstr("REQUIRED"))));
  }
}

TEST(MainCommandTest, FilesThatAreNotThereAreWrongUse) {
  for (const char* words :
       {"control --files /nowhere/a.yaml", "node --name n --files /nowhere/a.yaml"}) {
    const Ran ran = run_program(words);
    EXPECT_EQ(ran.status, 2) << words;
    EXPECT_THAT(ran.said, HasSubstr("--files names /nowhere/a.yaml, which does not exist"));
  }
}

}  // namespace
}  // namespace fairlead::cli
