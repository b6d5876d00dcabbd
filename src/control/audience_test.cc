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

}  // namespace
}  // namespace fairlead::control
