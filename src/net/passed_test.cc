#include "net/passed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace fairlead::net {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string why(const PassingVariables& variables) {
  const Result<std::vector<std::string>> names = passed_names(variables, 7);
  return names ? "" : names.fault().describe();
}

TEST(Passed, NamesAreReadAsSystemdWritesThem) {
  EXPECT_THAT(*passed_names({"2", "7", "udp:tcp"}, 7), ElementsAre("udp", "tcp"));
  EXPECT_THAT(*passed_names({"2", "7", nullptr}, 7), ElementsAre("unknown", "unknown"));
}

TEST(Passed, NothingIsTakenThatWasMeantForAnother) {
  EXPECT_THAT(*passed_names({}, 7), IsEmpty());
  EXPECT_THAT(*passed_names({"2", nullptr, nullptr}, 7), IsEmpty());
  EXPECT_THAT(*passed_names({"2", "8", "udp:tcp"}, 7), IsEmpty());
  EXPECT_THAT(*passed_names({"0", "7", ""}, 7), IsEmpty());
}

TEST(Passed, WhatDoesNotFitIsRefusedByName) {
  EXPECT_THAT(why({"two", "7", nullptr}), HasSubstr("LISTEN_FDS: expected a number"));
  EXPECT_THAT(why({"17", "7", nullptr}), HasSubstr("LISTEN_FDS: expected a number from 0 to 16"));
  EXPECT_THAT(why({"-1", "7", nullptr}), HasSubstr("LISTEN_FDS"));
  EXPECT_THAT(why({"1", "7x", nullptr}), HasSubstr("LISTEN_PID"));
  EXPECT_THAT(why({"2", "7", "one"}), HasSubstr("LISTEN_FDNAMES: expected 2 names"));
}

TEST(Passed, WhatOneWritesTheOtherReads) {
  const std::vector<std::string> variables = passing_variables({"udp", "tcp"}, 42);
  EXPECT_THAT(variables, ElementsAre("LISTEN_FDS=2", "LISTEN_PID=42", "LISTEN_FDNAMES=udp:tcp"));
}

// In a child: what this process has at 3 and 4 is the test program's.
TEST(Passed, DescriptorsArriveInOrder) {
  const pid_t child = ::fork();
  if (child == 0) {
    int ends[2];
    // Each already has the number that the other is to get.
    if (::pipe(ends) != 0) ::_exit(1);
    for (int& end : ends) end = ::fcntl(end, F_DUPFD, 100);
    if (::dup2(ends[0], 4) < 0 || ::dup2(ends[1], 3) < 0) ::_exit(1);
    const std::array<int, 2> passed{4, 3};
    if (!put_in_place(passed)) ::_exit(2);
    for (const std::string& one : passing_variables({"read", "write"}, ::getpid())) {
      const std::size_t equals = one.find('=');
      ::setenv(one.substr(0, equals).c_str(), one.substr(equals + 1).c_str(), 1);
    }
    Result<std::vector<Passed>> taken = take_passed();
    if (!taken || taken->size() != 2 || (*taken)[1].name != "write") ::_exit(3);
    char byte = 0;
    if (::write((*taken)[1].descriptor.number(), "x", 1) != 1) ::_exit(4);
    if (::read((*taken)[0].descriptor.number(), &byte, 1) != 1 || byte != 'x') ::_exit(5);
    const Result<std::vector<Passed>> again = take_passed();
    ::_exit(again && again->empty() ? 0 : 6);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace fairlead::net
