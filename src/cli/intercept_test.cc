// `fairlead intercept` as people call it: what it refuses, what it reads, what it prints. Each test
// acts in a network namespace of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "cli/test_program.h"

namespace fairlead::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class InterceptCommandTest : public testing::Test {
 protected:
  InterceptCommandTest() : name_("fairlead-cli-" + std::to_string(::getpid())) {
    EXPECT_EQ(std::system(("ip netns add " + name_).c_str()), 0);
    EXPECT_EQ(std::system(("ip -n " + name_ + " link set lo up").c_str()), 0);
  }
  ~InterceptCommandTest() override { EXPECT_EQ(std::system(("ip netns del " + name_).c_str()), 0); }
  // With `variables` in its environment: "ENVOY_PORT=abc".
  Ran intercept(const std::string& words, const std::string& variables = "") {
    return run_program("intercept " + words,
                       "exec ip netns exec " + name_ + " env " + variables + " ");
  }
  std::string name_;
};

TEST_F(InterceptCommandTest, ApplySaysWhatIsCaptured) {
  EXPECT_THAT(intercept("apply").said,
              StartsWith("capture in force: outbound TCP to port 15001, inbound to port 15006; "));
  EXPECT_THAT(intercept("apply -b ''").said,
              StartsWith("capture in force: outbound TCP to port 15001, nothing inbound; "));
  EXPECT_THAT(intercept("apply -i '' -b 80 -c 'eth*' --dual-stack=F").said,
              StartsWith("capture in force: inbound TCP to port 15006, nothing outbound, IPv4 "
                         "alone, not by eth*; "));
  EXPECT_THAT(intercept("apply -i '' -b ''").said,
              StartsWith("rules in force, by which nothing is captured, as was asked; "));
}

TEST_F(InterceptCommandTest, AnEmptyNamespaceIsWrongUseAndAMissingOneFailsAlsoDry) {
  for (const char* action : {"apply", "show", "check", "remove", "apply --dry-run"}) {
    const Ran ran = intercept(std::string(action) + " --netns ''");
    EXPECT_EQ(ran.status, 2) << action;
    EXPECT_THAT(ran.said, HasSubstr("--netns is empty")) << action;
  }
  EXPECT_EQ(intercept("apply --dry-run --netns nosuch").status, 1);
}

TEST_F(InterceptCommandTest, VariablesAreReadByApplyAlone) {
  EXPECT_EQ(intercept("apply").status, 0);
  for (const char* variables : {"ENVOY_PORT=abc", "ENVOY_USER=nosuch"}) {
    EXPECT_EQ(intercept("apply", variables).status, 2) << variables;
    EXPECT_EQ(intercept("show", variables).status, 0) << variables;
    EXPECT_EQ(intercept("check", variables).status, 0) << variables;
    EXPECT_EQ(intercept("remove", variables).status, 0) << variables;
    EXPECT_EQ(intercept("apply --cleanup-only", variables).status, 0) << variables;
    EXPECT_EQ(intercept("apply").status, 0);
  }
  EXPECT_EQ(intercept("apply -u 1337", "ENVOY_USER=nosuch").status, 0);
}

TEST_F(InterceptCommandTest, AnEmptyVariableCountsAsUnset) {
  const Ran ran = intercept("apply", "ENVOY_PORT= ISTIO_SERVICE_CIDR= PROXY_UID= DUAL_STACK=");
  EXPECT_EQ(ran.status, 0);
  EXPECT_EQ(ran.said, intercept("apply").said);
}

TEST_F(InterceptCommandTest, CleaningUpDryPrintsTheRemoval) {
  const Ran ran = intercept("apply --cleanup-only --dry-run");
  EXPECT_THAT(ran.said,
              AllOf(HasSubstr("delete table inet fairlead-capture\n"),
                    HasSubstr("delete table ip fairlead-capture\n"), Not(HasSubstr("redirect"))));
}

TEST_F(InterceptCommandTest, WhoMayNotReadIsToldSoInOneSentence) {
  const Ran ran =
      run_program("intercept show", "setpriv --reuid 65534 --regid 65534 --clear-groups ");
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.said, StartsWith("fairlead intercept: reading the kernel's rules takes "));
  EXPECT_EQ(std::count(ran.said.begin(), ran.said.end(), '\n'), 1) << ran.said;
}

TEST_F(InterceptCommandTest, ADormantTableIsSaidInOneSentence) {
  EXPECT_EQ(intercept("apply").status, 0);
  const std::string nft = "ip netns exec " + name_ + " nft ";
  EXPECT_EQ(std::system((nft + "'add table inet fairlead-capture { flags dormant; }'").c_str()), 0);
  for (const char* action : {"check", "show", "show --iptables"}) {
    const Ran ran = intercept(action);
    EXPECT_EQ(ran.status, 1) << action;
    EXPECT_THAT(ran.said, StartsWith("fairlead intercept: capture is switched off: the table inet "
                                     "fairlead-capture is dormant"));
    EXPECT_EQ(std::count(ran.said.begin(), ran.said.end(), '\n'), 1) << ran.said;
  }
}

TEST_F(InterceptCommandTest, AUserBesideTheMarkIsSaidToHaveNoEffect) {
  EXPECT_THAT(intercept("apply -u 7 --exemption mark").said,
              HasSubstr("--proxy-uid has no effect with --exemption mark"));
  EXPECT_THAT(intercept("apply --exemption mark").said, Not(HasSubstr("no effect")));
}

}  // namespace
}  // namespace fairlead::cli
