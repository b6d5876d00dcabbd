#include "proxy/admin_dump.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace fairlead::proxy {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr const char* dump = R"({"configs": [
  {"@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump",
   "bootstrap": {"node": {"id": "n"}, "admin": {"address": {"pipe": {"path": "/a"}}}},
   "last_updated": "then"},
  {"@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump", "version_info": "7",
   "dynamic_active_clusters": [
     {"version_info": "7", "cluster": {"@type": "c", "name": "shop", "connect_timeout": "1s"}},
     {"version_info": "7", "cluster": {"@type": "c", "name": "bank", "alt_stat_name": "b"}}]},
  {"@type": "type.googleapis.com/envoy.admin.v3.EndpointsConfigDump",
   "dynamic_endpoint_configs": [
     {"endpoint_config": {"@type": "e", "cluster_name": "shop", "endpoints": [{"priority": 1}]}}]},
  {"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump", "version_info": "7",
   "dynamic_listeners": [{"name": "shop", "active_state": {"listener": {"name": "shop"}}}]}
]})";

json part(const DumpQuery& query) {
  const Result<std::string> made = part_of_dump(dump, query);
  EXPECT_TRUE(made.ok()) << made.fault().describe();
  return json::parse(*made);
}

Fault fault(const DumpQuery& query) {
  const Result<std::string> made = part_of_dump(dump, query);
  return made.ok() ? Fault{} : made.fault();
}

TEST(AdminDump, AResourceIsItsMembers) {
  const json made = part({.resource = "dynamic_active_clusters"})["configs"];
  ASSERT_EQ(made.size(), 2U);
  EXPECT_EQ(made[0]["@type"],
            "type.googleapis.com/envoy.admin.v3.ClustersConfigDump.DynamicCluster");
  EXPECT_EQ(made[0]["cluster"]["name"], "shop");
  EXPECT_EQ(part({.resource = "static_listeners"}), json::object());
}

TEST(AdminDump, WhatIsNoResourceIsSaid) {
  EXPECT_EQ(fault({.resource = "nope"}).kind, FaultKind::missing);
  EXPECT_EQ(fault({.resource = "nope"}).message, "nope not found in config dump");
  EXPECT_EQ(fault({.resource = "bootstrap"}).kind, FaultKind::invalid);
  EXPECT_THAT(fault({.resource = "bootstrap"}).message, HasSubstr("Use ?mask=bootstrap"));
  EXPECT_EQ(fault({.resource = "configs"}).kind, FaultKind::missing);
}

TEST(AdminDump, NamesAreMatchedWhole) {
  EXPECT_EQ(part({.resource = "dynamic_active_clusters", .name_regex = "ban"}), json::object());
  const json banks = part({.resource = "dynamic_active_clusters", .name_regex = "ba.*"})["configs"];
  ASSERT_EQ(banks.size(), 1U);
  EXPECT_EQ(banks[0]["cluster"]["name"], "bank");
  const json all = part({.name_regex = "bank"})["configs"];
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(all[0]["bootstrap"]["node"]["id"], "n");
  EXPECT_EQ(all[1]["dynamic_active_clusters"].size(), 1U);
  EXPECT_FALSE(all[2].contains("dynamic_endpoint_configs"));
  EXPECT_FALSE(all[3].contains("dynamic_listeners"));
  EXPECT_EQ(part({.resource = "dynamic_listeners", .name_regex = "shop"})["configs"].size(), 1U);
  EXPECT_EQ(fault({.name_regex = "["}).kind, FaultKind::invalid);
  EXPECT_THAT(fault({.name_regex = "["}).describe(), HasSubstr("name_regex"));
}

TEST(AdminDump, AMaskKeepsWhatItsPathsLeadTo) {
  const json admin = part({.mask = "bootstrap.admin"})["configs"];
  ASSERT_EQ(admin.size(), 1U);
  EXPECT_EQ(admin[0], json::parse(R"({
    "@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump",
    "bootstrap": {"admin": {"address": {"pipe": {"path": "/a"}}}}})"));
  const json versions = part({.mask = "version_info"})["configs"];
  ASSERT_EQ(versions.size(), 2U);
  EXPECT_EQ(versions[1]["version_info"], "7");
  const json names =
      part({.resource = "dynamic_active_clusters", .mask = "cluster.name,version_info"})["configs"];
  ASSERT_EQ(names.size(), 2U);
  EXPECT_EQ(names[1], json::parse(R"({
    "@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump.DynamicCluster",
    "cluster": {"@type": "c", "name": "bank"}, "version_info": "7"})"));
  // A field that one of them has.
  const json some =
      part({.resource = "dynamic_active_clusters", .mask = "cluster.alt_stat_name"})["configs"];
  EXPECT_EQ(some[0]["cluster"], json::parse(R"({"@type": "c"})"));
  EXPECT_EQ(some[1]["cluster"]["alt_stat_name"], "b");
  // A list that is empty.
  const json none = part({.mask = "static_clusters"})["configs"];
  ASSERT_EQ(none.size(), 1U);
  EXPECT_EQ(none[0].size(), 1U);
}

TEST(AdminDump, APathThatLeadsNowhereIsSaid) {
  for (const char* mask : {"nope", "bootstrap.nope", "bootstrap.admin,nope", "bootstrap.", ".", ",",
                           "dynamic_active_clusters.cluster", "version_info.x"}) {
    EXPECT_EQ(fault({.mask = mask}).kind, FaultKind::invalid) << mask;
    EXPECT_THAT(fault({.mask = mask}).message, HasSubstr("of the mask leads to nothing")) << mask;
  }
  EXPECT_THAT(
      fault({.resource = "dynamic_endpoint_configs", .mask = "endpoint_config.endpoints.priority"})
          .message,
      HasSubstr("'endpoint_config.endpoints.priority'"));
}

}  // namespace
}  // namespace fairlead::proxy
