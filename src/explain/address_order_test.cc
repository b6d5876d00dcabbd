#include "explain/address_order.h"

#include <gtest/gtest.h>

#include <string>

namespace fairlead::explain {
namespace {

std::vector<IpAddress> addresses(const std::vector<const char*>& texts) {
  std::vector<IpAddress> all;
  for (const char* text : texts) all.push_back(*IpAddress::parse(text));
  return all;
}

std::string order(AddressPolicy policy, const std::vector<const char*>& found,
                  const std::vector<const char*>& own) {
  std::string text;
  for (const Family family : families_in_order(policy, addresses(found), addresses(own))) {
    text += family == Family::v4 ? '4' : '6';
  }
  return text;
}

struct Case {
  std::vector<const char*> found;
  std::vector<const char*> own;
  const char* glibc;
  const char* rfc6724;
};

TEST(AddressOrder, IsThatOfTheTables) {
  const std::vector<const char*> pod{"10.244.1.2", "fd00:10:244:1::2"};
  const std::vector<Case> cases{
      {{"10.96.0.12", "fd00:10:96::c"}, pod, "64", "46"},
      {{"fd00:10:96::c", "10.96.0.12"}, pod, "64", "46"},
      {{"10.96.0.12"}, pod, "4", "4"},
      {{"fd00:10:96::c"}, pod, "6", "6"},
      {{}, pod, "", ""},
      // Without an address of its own of that family, it comes last.
      {{"10.96.0.12", "fd00:10:96::c"}, {"10.244.1.2"}, "46", "46"},
      {{"10.96.0.12", "fd00:10:96::c"}, {"fd00:10:244:1::2"}, "64", "64"},
      // A unique local source and a global destination have other labels.
      {{"192.0.2.1", "2a00::1"}, pod, "46", "46"},
      {{"192.0.2.1", "2a00::1"}, {"192.0.2.9", "2a00::9"}, "64", "64"},
      {{"127.0.0.1", "::1"}, pod, "64", "64"},
  };
  for (const Case& each : cases) {
    const std::string name = each.found.empty() ? "nothing" : each.found.front();
    EXPECT_EQ(order(AddressPolicy::glibc, each.found, each.own), each.glibc) << name;
    EXPECT_EQ(order(AddressPolicy::rfc6724, each.found, each.own), each.rfc6724) << name;
  }
}

}  // namespace
}  // namespace fairlead::explain
