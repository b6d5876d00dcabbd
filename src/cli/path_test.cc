// `fairlead path --files` as people call it: what it says beside the path, and what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
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
  Ran path_from(const std::string& from, const std::string& to = "http://web/") {
    return run_program("path " + from + " " + to + " --files " + folder_);
  }
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

const std::string deny_all = R"(---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny-all, namespace: shop}
)";

TEST_F(PathCommandTest, APolicyThatIsNotEnforcedIsAnErrorWhenThatIsAskedFor) {
  const std::string file = write("shop.yaml", shop + deny_all);
  const Ran plain = path("");
  EXPECT_EQ(plain.status, 0) << plain.said;
  EXPECT_THAT(plain.said, HasSubstr("1 policy that would judge this is not"));
  const Ran strict = path("--strict");
  EXPECT_EQ(strict.status, 4);
  EXPECT_THAT(strict.said, HasSubstr("AuthorizationPolicy shop/deny-all"));
  const Ran control = run_program("control --strict --files " + file);
  EXPECT_EQ(control.status, 4);
  const Ran lab = run_program("lab up --strict --name strict-test -f " + file);
  EXPECT_EQ(lab.status, 4);
  for (const Ran& ran : {control, lab}) {
    EXPECT_THAT(ran.said, HasSubstr("--strict: 1 policy is not enforced: AuthorizationPolicy "
                                    "shop/deny-all"));
  }
  write("shop.yaml", shop);
  EXPECT_EQ(path("--strict").status, 0);
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

TEST_F(PathCommandTest, WhatALabRefusesIsRefusedForTheSameReason) {
  write("shop.yaml", shop);
  const std::string file = write("own.yaml", R"(apiVersion: v1
kind: Pod
metadata: {name: own, namespace: shop}
spec: {containers: [{name: b, image: example/b:1, command: ["/no/such/program"]}]}
)");
  const Ran path = path_from("client");
  EXPECT_EQ(path.status, 2);
  const Ran lab = run_program("lab up --name refused-by-both " + folder_);
  EXPECT_NE(lab.status, 0);
  const std::string why = "Pod shop/own (" + file +
                          ":1): the container b (image example/b:1) runs "
                          "'/no/such/program', which this machine does not have";
  EXPECT_THAT(path.said, HasSubstr(why));
  EXPECT_THAT(lab.said, HasSubstr(why));
}

TEST_F(PathCommandTest, ManifestsAloneAreAsInALab) {
  write("shop.yaml", shop);
  const Ran outside = path_from("client", "tcp://8.8.8.8:53");
  EXPECT_EQ(outside.status, 3);
  EXPECT_THAT(outside.said,
              HasSubstr("8.8.8.8 is outside of the lab, from which no way leads out"));
  EXPECT_THAT(path_from("client", "http://10.96.0.1:443").said,
              HasSubstr("nobody has the address 10.96.0.1"));
  for (const char* url : {"http://istio-pilot.istio-system:8080/",
                          "http://fairlead-control.fairlead-system:15010/"}) {
    const Ran ran = path_from("client", url);
    EXPECT_EQ(ran.status, 0) << url;
    EXPECT_THAT(ran.said, HasSubstr("172.30.1.1:")) << url;
  }
}

TEST_F(PathCommandTest, WhatIsOutsideOfAClusterThatIsNoLabMayAnswer) {
  write("shop.yaml", shop);
  write("nodes.yaml", R"(apiVersion: v1
kind: Node
metadata: {name: node1}
status: {addresses: [{type: InternalIP, address: 192.168.0.1}]}
)");
  const Ran outside = path_from("client", "tcp://8.8.8.8:53");
  EXPECT_EQ(outside.status, 5);
  EXPECT_THAT(outside.said, HasSubstr("cannot be known: whether 8.8.8.8:53 answers"));
  EXPECT_THAT(path_from("client", "http://istio-pilot.istio-system:8080/").said,
              HasSubstr("there is no namespace 'istio-system'"));
}

constexpr const char* deployment = R"(apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, namespace: shop}
spec:
  selector: {matchLabels: {app: other}}
  template: {metadata: {labels: {app: other}}, spec: {containers: [{name: app, image: x}]}}
)";

TEST_F(PathCommandTest, AKindBeforeTheCallersNameIsHeeded) {
  write("shop.yaml", shop);
  write("web.yaml", std::regex_replace(deployment, std::regex("NAME"), "web"));
  write("store.yaml", std::regex_replace(deployment, std::regex("NAME"), "store"));
  for (const char* pod : {"web", "pod/web", "shop/po/web", "svc/web", "shop/services/web"}) {
    EXPECT_THAT(path_from(pod).said, HasSubstr("\nshop/web → ")) << pod;
  }
  for (const char* made : {"deploy/web", "shop/Deployment/web", "deployment.apps/shop/web"}) {
    EXPECT_THAT(path_from(made).said, HasSubstr("\nshop/web-")) << made;
  }
  EXPECT_EQ(path_from("deploy/store").status, 0);
  const Ran of_a_node = path_from("node/node1", "http://web.shop/");
  EXPECT_EQ(of_a_node.status, 3) << "whom this machine asks for names knows no service";
  EXPECT_THAT(of_a_node.said, HasSubstr("as its /etc/resolv.conf says"));
  const auto refused = [&](const std::string& from) {
    const Ran ran = path_from(from);
    EXPECT_EQ(ran.status, 2) << from;
    return ran.said;
  };
  EXPECT_THAT(refused("svc/store"),
              HasSubstr("there is no pod or VM of a Service 'store'; there "));
  EXPECT_THAT(refused("pod/store"), HasSubstr("there is no Pod 'store'; near it: store-"));
  EXPECT_THAT(refused("sts/web"), HasSubstr("there is no pod or VM of a StatefulSet 'web'"));
  EXPECT_THAT(refused("vm/web"), HasSubstr("there is no VM 'web'"));
  EXPECT_THAT(refused("node/web"), HasSubstr("there is no Node 'web'; there are: node1, node2"));
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
