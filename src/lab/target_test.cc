#include "lab/target.h"

#include <gtest/gtest.h>

namespace fairlead::lab {
namespace {

// As whoever finds nothing of the others takes it.
Target target_of(std::string_view text) {
  return meanings_of(text).back();
}

TEST(Target, IsReadAsKubectlsUsersWriteIt) {
  EXPECT_EQ(target_of("web"), (Target{.name = "web"}));
  EXPECT_EQ(target_of("shop/web"), (Target{.name_space = "shop", .name = "web"}));
  for (const char* word :
       {"deploy", "deployment", "deployments", "Deployment", "deployment.apps"}) {
    EXPECT_EQ(target_of(std::string(word) + "/web"), (Target{.kind = "Deployment", .name = "web"}))
        << word;
  }
  EXPECT_EQ(target_of("po/web-1").kind + target_of("sts/db").kind + target_of("svc/web").kind,
            "PodStatefulSetService");
  EXPECT_EQ(target_of("vm/stock").kind + target_of("node/node1").kind, "VMNode");
  EXPECT_EQ(target_of("shop/deploy/web"),
            (Target{.name_space = "shop", .kind = "Deployment", .name = "web"}));
  EXPECT_EQ(target_of("deploy/shop/web"), target_of("shop/deploy/web"));
  EXPECT_EQ(target_of("shop/bank/web").name_space, "bank") << "what is nearer counts";
  EXPECT_EQ(target_of("web/").name, "");
}

TEST(Target, IsFirstWhatNeedsNoKind) {
  EXPECT_EQ(meanings_of("web").size(), 1U);
  EXPECT_EQ(meanings_of("shop/web").size(), 1U);
  EXPECT_EQ(meanings_of("node/web"), (std::vector<Target>{{.name_space = "node", .name = "web"},
                                                          {.kind = "Node", .name = "web"}}));
  EXPECT_EQ(meanings_of("vm/pod/web"),
            (std::vector<Target>{{.name_space = "vm", .kind = "Pod", .name = "web"},
                                 {.name_space = "pod", .kind = "VM", .name = "web"}}));
}

TEST(Target, MeansObjectsOfItsKindAndNamespace) {
  const kube::Metadata web{.name_space = "shop", .name = "web"};
  EXPECT_TRUE(is_meant(target_of("web"), web, "Deployment"));
  EXPECT_TRUE(is_meant(target_of("deploy/web"), web, "Deployment"));
  EXPECT_FALSE(is_meant(target_of("sts/web"), web, "Deployment"));
  EXPECT_FALSE(is_meant(target_of("bank/web"), web, "Deployment"));
  EXPECT_EQ(target_of("shop/deploy/wbe").describe(), "Deployment shop/wbe");
}

}  // namespace
}  // namespace fairlead::lab
