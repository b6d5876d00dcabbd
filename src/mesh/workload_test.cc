#include "mesh/workload.h"

#include <gtest/gtest.h>

namespace fairlead::mesh {
namespace {

bool taken(std::map<std::string, std::string> capture, std::uint16_t port,
           Sidecar sidecar = Sidecar::fairlead) {
  Workload workload;
  workload.sidecar = sidecar;
  workload.injected_here = true;
  workload.capture = std::move(capture);
  return proxy_takes(workload, port);
}

TEST(ProxyTakes, WhatTheAnnotationsSay) {
  EXPECT_TRUE(taken({}, 8080));
  EXPECT_TRUE(taken({}, 8080, Sidecar::envoy));
  EXPECT_FALSE(taken({}, 8080, Sidecar::none));
  EXPECT_FALSE(taken({}, 15021));
  EXPECT_TRUE(taken({{"includeInboundPorts", "*"}}, 8080));
  EXPECT_TRUE(taken({{"includeInboundPorts", "80, 8080"}}, 8080));
  EXPECT_FALSE(taken({{"includeInboundPorts", "80,18080"}}, 8080));
  EXPECT_FALSE(taken({{"includeInboundPorts", ""}}, 8080));
  EXPECT_FALSE(taken({{"excludeInboundPorts", "8080"}}, 8080));
  EXPECT_TRUE(taken({{"excludeInboundPorts", "80,"}}, 8080));
  EXPECT_FALSE(taken({{"excludeInboundPorts", "*"}}, 8080));
}

// One that something else configures does not take its app's marks off.
TEST(ProxyTakes, NothingThatIsNotConfiguredHere) {
  Workload workload;
  workload.sidecar = Sidecar::envoy;
  EXPECT_FALSE(proxy_takes(workload, 8080));
}

TEST(ProxyTakes, NothingWhereTheyCannotBeUnderstood) {
  EXPECT_FALSE(taken({{"includeInboundPorts", "8080,http"}}, 8080));
  EXPECT_FALSE(taken({{"excludeInboundPorts", "http"}}, 8080));
}

}  // namespace
}  // namespace fairlead::mesh
