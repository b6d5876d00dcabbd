#include "control/audience.h"

#include <gtest/gtest.h>

namespace fairlead::control {
namespace {

TEST(Audience, MetadataSaysMoreThanTheId) {
  const Audience audience = audience_of(
      xds::Node{.id = "sidecar~10.244.1.2~reviews-v1.shop~shop.svc.cluster.local",
                .metadata = R"({"NAMESPACE":"shop2","INSTANCE_IPS":"10.244.1.2,fd44:1::2"})"});
  EXPECT_EQ(audience.name_space, "shop2");
  EXPECT_EQ(audience.addresses, (std::vector<IpAddress>{*IpAddress::parse("10.244.1.2"),
                                                        *IpAddress::parse("fd44:1::2")}));
}

TEST(Audience, AnIdOfIstiosFormIsEnough) {
  const Audience audience =
      audience_of(xds::Node{.id = "sidecar~10.244.1.2~reviews-v1.shop~shop.svc.cluster.local"});
  EXPECT_EQ(audience.name_space, "shop");
  EXPECT_EQ(audience.addresses, std::vector<IpAddress>{*IpAddress::parse("10.244.1.2")});
}

TEST(Audience, AnyOtherIdIsAClientInDefault) {
  for (const char* id : {"", "envoy", "~~~", "a~b~c~", "sidecar~not-an-address~x~"}) {
    for (const char* metadata : {"{}", "", "[1]", R"({"NAMESPACE":7,"INSTANCE_IPS":null})"}) {
      const Audience audience = audience_of(xds::Node{.id = id, .metadata = metadata});
      EXPECT_EQ(audience.name_space, "default") << id << " " << metadata;
      EXPECT_TRUE(audience.addresses.empty()) << id << " " << metadata;
    }
  }
}

TEST(Audience, AnEnvoyTellsItsName) {
  EXPECT_TRUE(audience_of(xds::Node{.user_agent_name = "envoy"}).envoy);
  EXPECT_FALSE(audience_of(xds::Node{.user_agent_name = "fairlead"}).envoy);
  EXPECT_FALSE(audience_of(xds::Node{.user_agent_name = "gRPC C-core Linux"}).envoy);
}

mesh::Workload workload(const char* name, const char* address) {
  mesh::Workload made;
  made.name_space = "shop";
  made.name = name;
  made.addresses = {*IpAddress::parse(address)};
  return made;
}

std::string mismatch(const std::string& id, const std::string& metadata, const char* peer) {
  mesh::World world;
  world.workloads = {workload("other", "10.244.1.3"), workload("web", "10.244.1.2")};
  const xds::Node node{.id = id, .metadata = metadata};
  return mismatch_of(node, audience_of(node), *IpAddress::parse(peer), world);
}

TEST(Mismatch, WhoAsksForAnothersConfigurationIsSaid) {
  const std::string web = "sidecar~10.244.1.2~web.shop~shop.svc.cluster.local";
  EXPECT_EQ(mismatch(web, "{}", "10.244.1.2"), "");
  EXPECT_EQ(mismatch(web, "{}", "10.9.9.9"),
            "asks for the configuration of shop/web, but connects from 10.9.9.9");
  EXPECT_EQ(mismatch(web, "{}", "10.244.1.3"),
            "asks for the configuration of shop/web, but connects from 10.244.1.3 (shop/other)");
  // Its own name with another's addresses, and the other way round.
  EXPECT_EQ(mismatch(web, R"({"INSTANCE_IPS":"10.244.1.3"})", "10.244.1.2"),
            "asks for the configuration of shop/other, but connects from 10.244.1.2 (shop/web)");
  EXPECT_EQ(mismatch("sidecar~10.244.1.3~web.shop~shop.svc.cluster.local", "{}", "10.244.1.3"),
            "asks for the configuration of shop/web, but connects from 10.244.1.3 (shop/other)");
  // No workload of this world.
  EXPECT_EQ(mismatch("sidecar~10.1.1.1~new.shop~shop.svc.cluster.local", "{}", "10.1.1.1"), "");
  EXPECT_EQ(mismatch("router", "{}", "10.1.1.1"), "");
}

}  // namespace
}  // namespace fairlead::control
