// The lab's network, made for real in namespaces of this test's own, and packets sent through it.
#include "lab/fabric.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <cstdlib>
#include <string>

namespace fairlead::lab {
namespace {

// Everything below is made inside a namespace of the test's own: the underlay.
class FabricTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0)
        << "this test makes network namespaces, which takes root (or `unshare -Urn`)";
    ASSERT_TRUE(prepare_here(true).ok());
  }

  static bool reaches(const Machine& from, const IpAddress& to) {
    return from.network.in([&] {
      const std::string command = "ping -c 1 -W 5 " + to.text() + " >/dev/null 2>&1";
      return std::system(command.c_str()) == 0;
    });
  }
};

template <class T>
T demand(Result<T> result) {
  EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.fault().describe());
  return std::move(result).value();
}

TEST_F(FabricTest, PodsNodesVmsAndControlReachEachOtherInBothFamilies) {
  Fabric fabric = demand(Fabric::make());
  Machine one = demand(fabric.add_node(1, "node1"));
  Machine two = demand(fabric.add_node(2, "node2"));
  const Machine control = demand(fabric.add_control());
  const Machine a = demand(fabric.add_pod(one, "a", pod_addresses(1, 2)));
  const Machine b = demand(fabric.add_pod(one, "b", pod_addresses(1, 3)));
  const Machine c = demand(fabric.add_pod(two, "c", pod_addresses(2, 2)));
  const Machine vm = demand(fabric.add_pod(one, "vm", vm_addresses(5)));
  ASSERT_TRUE(fabric.route_to_vm(one, vm.addresses).ok());

  const Machine* all[] = {&one, &two, &control, &a, &b, &c, &vm};
  for (const Machine* from : all) {
    for (const Machine* to : all) {
      for (const IpAddress& address : to->addresses.all()) {
        EXPECT_TRUE(reaches(*from, address)) << from->name << " to " << address.text();
      }
    }
  }
}

TEST_F(FabricTest, APodThatIsRemovedIsReachedNoMoreAndItsAddressIsFree) {
  Fabric fabric = demand(Fabric::make());
  Machine node = demand(fabric.add_node(1, "node1"));
  const Machine a = demand(fabric.add_pod(node, "a", pod_addresses(1, 2)));
  ASSERT_TRUE(reaches(node, a.addresses.v4));
  ASSERT_TRUE(fabric.remove_pod(node, a).ok());
  EXPECT_FALSE(a.network.in([] { return std::system("ip link show eth0 >/dev/null 2>&1") == 0; }));
  const Machine again = demand(fabric.add_pod(node, "again", pod_addresses(1, 2)));
  EXPECT_TRUE(reaches(node, again.addresses.v6));
}

TEST_F(FabricTest, AMachineWithoutAWireFaults) {
  Result<Netlink> netlink = Netlink::open();
  ASSERT_TRUE(netlink.ok());
  const Result<> up = netlink->set_up("nowhere");
  ASSERT_FALSE(up.ok());
  EXPECT_THAT(up.fault().describe(), ::testing::HasSubstr("nowhere"));
}

}  // namespace
}  // namespace fairlead::lab
