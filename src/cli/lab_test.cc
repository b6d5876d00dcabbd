// `fairlead lab` as people call it: what its verbs take, without any lab.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "cli/test_program.h"

namespace fairlead::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(LabCommandTest, LabVerbsTakeTheirContainerAnywhere) {
  for (const char* words :
       {"logs -c app web --tail 1", "logs --tail 1 -c app web", "logs web -c app -f",
        "logs -f -c app web -n shop", "logs -c app -n shop web", "logs --container=app web -f",
        "exec -c app web -i -- ls", "exec -i web -c app -- ls", "exec -c app -it web -- ls -c x y",
        "kill -c app -c proxy web --hold", "kill -c app web -c proxy -s TERM",
        "kill -s TERM -c app web", "kill web -c app --hold"}) {
    const Ran ran = run_program(std::string("lab --name fairlead-no-such-lab ") + words);
    EXPECT_THAT(ran.said, HasSubstr("no lab is called 'fairlead-no-such-lab'")) << words;
  }
  for (const char* words : {"logs -c app -c proxy web", "logs -c app", "kill -c app", "exec web -c",
                            "logs -c app web more", "kill web more -c app"}) {
    const Ran ran = run_program(std::string("lab --name fairlead-no-such-lab ") + words);
    EXPECT_EQ(ran.status, 2) << words;
    EXPECT_THAT(ran.said, Not(HasSubstr("no lab is called"))) << words;
  }
}

TEST(LabCommandTest, LabVerbsWithoutTheirLabAreWrongUse) {
  for (const char* words : {"down", "status", "apply x.yaml", "exec web -- ls", "logs web",
                            "kill web", "restart web", "forward web"}) {
    const Ran ran = run_program(std::string("lab --name fairlead-no-such-lab ") + words);
    EXPECT_EQ(ran.status, 2) << words << ": " << ran.said;
  }
}

TEST(LabCommandTest, LabVerbsRefuseValuesThatMakeNoSense) {
  const auto refused = [](const std::string& words, const char* expected) {
    const Ran ran = run_program("lab " + words);
    EXPECT_EQ(ran.status, 2) << words;
    EXPECT_THAT(ran.said, HasSubstr(expected)) << words;
  };
  for (const char* words : {"down --name ''", "--name '' down", "down ''", "up --name '' x.yaml"}) {
    refused(words, "a lab's name was expected, and this is empty");
  }
  refused("kill web -s 99", "'99' is no signal");
  refused("kill web -s 0", "'0' is no signal");
  refused("logs web --tail -5", "--tail");
  refused("forward web 99999", "'99999' is no port: expected PORT or LOCAL:PORT, from 1 to 65535");
  refused("forward web --local-port 99999", "'99999' is no port: expected 1 to 65535, or 0 for a");
  refused("up x.yaml --image foo", "fairlead lab up: expected IMAGE=COMMAND, found 'foo'");
  refused("up x.yaml --image foo=", "expected a command after 'foo='");
  refused("up x.yaml --images /no/such", "/no/such");
}

TEST(LabCommandTest, LabUpTakesItsImagesAnywhere) {
  const Ran ran = run_program("lab up --image a=b /no/such.yaml -d");
  EXPECT_EQ(ran.status, 2);
  EXPECT_THAT(ran.said, HasSubstr("there is no file /no/such.yaml"));
}

using LabCommandWithFiles = WithAFolder;

TEST_F(LabCommandWithFiles, UpRefusesManifestsWithoutAnyObject) {
  const std::string empty = write("k8s/empty.yaml", "");
  const std::string comments = write("k8s/comments.yaml", "# later\n---\n# much later\n");
  for (const std::string& named : {empty + " " + comments, folder_ + "/k8s"}) {
    const Ran ran = run_program("lab up --name fairlead-no-such-lab -d " + named);
    EXPECT_EQ(ran.status, 2);
    EXPECT_THAT(ran.said, AllOf(HasSubstr("fairlead lab up: there is no object in "),
                                HasSubstr(empty), HasSubstr(comments)));
  }
}

}  // namespace
}  // namespace fairlead::cli
