#include <gtest/gtest.h>

#include <string>

#include "registry/files.h"
#include "registry/test_folder.h"

namespace fairlead::registry {
namespace {

constexpr const char* manifests = R"(apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {selector: {app: reviews}, ports: [{name: http, port: 9080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews-v1, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: reviews}}
  template:
    metadata: {labels: {app: reviews}}
    spec: {containers: [{name: reviews, image: x, ports: [{containerPort: 9080}]}]}
)";

TEST(Running, ManifestsBecomeAWorldAsIfAllOfThemRan) {
  const testing::Folder folder;
  folder.write("shop.yaml", manifests);
  const auto world = read_world_as_if_running({folder.path()});
  ASSERT_TRUE(world.ok()) << world.fault().describe();
  const auto plain = read_world({folder.path()});
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ((*world)->version, (*plain)->version);
  EXPECT_TRUE((*plain)->workloads.empty());
  EXPECT_FALSE((*plain)->ignored.empty());

  EXPECT_EQ((*world)->nodes.size(), 2U);
  ASSERT_EQ((*world)->workloads.size(), 2U);
  for (const mesh::Workload& pod : (*world)->workloads) {
    EXPECT_EQ(pod.owners.back().name, "reviews-v1");
    EXPECT_TRUE(pod.ready);
    EXPECT_EQ(pod.sidecar, mesh::Sidecar::fairlead);
    EXPECT_FALSE(pod.addresses.empty());
    EXPECT_EQ(pod.origin.kind, "Deployment");
    EXPECT_EQ(pod.origin.line, 10);
  }
  ASSERT_EQ((*world)->services.size(), 1U);
  EXPECT_FALSE((*world)->services[0].addresses.empty());
  EXPECT_EQ((*world)->services[0].endpoints.size(), 2U);
  EXPECT_TRUE((*world)->ignored.empty());
}

TEST(Running, WhatAControllerMakesItselfIsListed) {
  const testing::Folder folder;
  folder.write("a.yaml", R"(apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db}}, spec: {containers: [{name: c, image: x}]}}
---
apiVersion: v1
kind: Pod
metadata: {name: db-0, labels: {app: db}}
spec: {containers: [{name: c, image: x}]}
)");
  const auto world = read_world_as_if_running({folder.path()});
  ASSERT_TRUE(world.ok()) << world.fault().describe();
  ASSERT_EQ((*world)->ignored.size(), 1U);
  EXPECT_EQ((*world)->ignored.front().origin.name, "db-0");
}

TEST(Running, TheSameFilesGiveTheSameWorld) {
  const testing::Folder folder;
  folder.write("shop.yaml", manifests);
  const auto one = read_world_as_if_running({folder.path()});
  const auto two = read_world_as_if_running({folder.path()});
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_EQ(**one, **two);
}

}  // namespace
}  // namespace fairlead::registry
