// `fairlead path --files` as people call it: what it says beside the path, and what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "cli/test_program.h"

namespace fairlead::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const std::string shop = R"(apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: shop}
spec: {containers: [{name: app, image: x}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: app, image: x, ports: [{containerPort: 9080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {sessionAffinity: ClientIP, selector: {app: web}, ports: [{name: http, port: 80, targetPort: 9080}]}
)";

class PathCommandTest : public WithAFolder {
 protected:
  Ran path(const std::string& flags) {
    return run_program("path client http://web/ --files " + folder_ + " " + flags);
  }
};

TEST_F(PathCommandTest, FieldsThatAreNotHonouredAreListed) {
  const std::string file = write("shop.yaml", shop);
  const std::string note = "not honoured: Service shop/web (" + file + ":18): spec.sessionAffinity";
  const Ran text = path("");
  EXPECT_EQ(text.status, 0);
  EXPECT_THAT(text.said, HasSubstr("note: not honoured: Service shop/web"));
  EXPECT_THAT(path("--json").said, HasSubstr(note));
}

TEST_F(PathCommandTest, FoldersInAFolderAreNotEnteredAndNamed) {
  write("shop.yaml", shop);
  EXPECT_THAT(path("").said, Not(HasSubstr("was not read")));
  write("more/web.yaml", shop);
  write(".git/config.yaml", shop);
  const Ran ran = path("--json");
  EXPECT_THAT(ran.said,
              AllOf(HasSubstr(folder_ + "/more is a folder in a folder, and was not read"),
                    Not(HasSubstr(".git"))));
}

TEST_F(PathCommandTest, FieldsThatCannotBeSentAreRefusedInWords) {
  write("shop.yaml", shop);
  const auto refused = [&](const std::string& header) {
    const Ran ran = path("-H " + header);
    EXPECT_EQ(ran.status, 2) << header;
    return ran.said;
  };
  EXPECT_THAT(refused("'no colon'"), HasSubstr("NAME: VALUE is expected"));
  EXPECT_THAT(refused("'a b: c'"), HasSubstr("'a b' is no name of a header field"));
  EXPECT_THAT(refused("'a: b\nc: d'"), HasSubstr("is no value of a header field"));
  EXPECT_THAT(refused("'Host: a b'"), HasSubstr("HOST or HOST:PORT is expected"));
  EXPECT_THAT(refused("'Content-Length: 5'"), HasSubstr("sent without a body"));
  EXPECT_THAT(refused("'X-Request-Id: mine'"), HasSubstr("gets one of its own"));
  EXPECT_EQ(path("-H 'x-user:  jo '").status, 0);
}

TEST_F(PathCommandTest, SidecarsInANamespaceThatIsNotThere) {
  write("shop.yaml", shop);
  const Ran ran = path("--inject shpo");
  EXPECT_EQ(ran.status, 2);
  EXPECT_EQ(ran.said,
            "fairlead path: --inject shpo: these files have no such namespace; near it: shop\n");
  EXPECT_THAT(path("--inject shop").said, HasSubstr("pod with a fairlead sidecar"));
  EXPECT_EQ(path("--inject all").status, 0);
}

}  // namespace
}  // namespace fairlead::cli
