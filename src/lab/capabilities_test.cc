#include "lab/capabilities.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>

namespace fairlead::lab {
namespace {

using ::testing::HasSubstr;

bool has(Capabilities all, int number) {
  return (all >> static_cast<unsigned>(number) & 1U) != 0;
}

TEST(CapabilitiesOf, AContainerAreThoseOfContainerRuntimes) {
  const Capabilities all = *capabilities_of({});
  for (const int given :
       {CAP_CHOWN, CAP_KILL, CAP_NET_BIND_SERVICE, CAP_NET_RAW, CAP_AUDIT_WRITE}) {
    EXPECT_TRUE(has(all, given)) << given;
  }
  for (const int denied : {CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_SYS_PTRACE, CAP_SYS_MODULE,
                           CAP_DAC_READ_SEARCH, CAP_BPF}) {
    EXPECT_FALSE(has(all, denied)) << denied;
  }
}

TEST(CapabilitiesOf, AContainerFollowItsSecurityContext) {
  const Capabilities more = *capabilities_of(
      {.add_capabilities = {"NET_ADMIN", "CAP_SYS_TIME"}, .drop_capabilities = {"KILL"}});
  EXPECT_TRUE(has(more, CAP_NET_ADMIN));
  EXPECT_TRUE(has(more, CAP_SYS_TIME));
  EXPECT_FALSE(has(more, CAP_KILL));
  // What is added counts even when all is dropped.
  const Capabilities one =
      *capabilities_of({.add_capabilities = {"NET_BIND_SERVICE"}, .drop_capabilities = {"ALL"}});
  EXPECT_EQ(one, Capabilities{1} << CAP_NET_BIND_SERVICE);
  EXPECT_EQ(*capabilities_of({.privileged = true}), all_capabilities);
  EXPECT_EQ(*capabilities_of({.add_capabilities = {"ALL"}}), all_capabilities);
}

TEST(CapabilitiesOf, AWordThatIsNoneIsAFault) {
  const auto wrong = capabilities_of({.add_capabilities = {"NET_ADMINN"}});
  ASSERT_FALSE(wrong.ok());
  EXPECT_THAT(wrong.fault().describe(), HasSubstr("'NET_ADMINN' is no capability"));
  EXPECT_THAT(wrong.fault().describe(), HasSubstr("NET_ADMIN"));
}

}  // namespace
}  // namespace fairlead::lab
