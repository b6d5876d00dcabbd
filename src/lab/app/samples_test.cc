// The samples are ordinary manifests: all of what they say is honoured.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <variant>

#include "document/document.h"
#include "kube/read.h"
#include "lab/app/request_spec.h"

namespace fairlead::lab::app {
namespace {

kube::Reading reading_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_FALSE(text.empty()) << path;
  return kube::read(document::parse(text, path.filename().string()).value()).value();
}

TEST(Samples, NothingInThemIsIgnored) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(FAIRLEAD_SOURCE "/samples")) {
    if (entry.path().extension() != ".yaml") continue;
    ++files;
    for (const kube::Ignored& ignored : reading_of(entry.path()).ignored) {
      ADD_FAILURE() << ignored.describe();
    }
  }
  EXPECT_GT(files, 0);
}

TEST(Samples, TheShopHasSevenWorkloadsAndCallsOnlyItsOwnServices) {
  const kube::Objects shop = reading_of(FAIRLEAD_SOURCE "/samples/shop.yaml").objects;
  ASSERT_EQ(shop.deployments.size(), 6U);
  ASSERT_EQ(shop.workload_entries.size(), 1U);
  std::set<std::string> services;
  for (const kube::Service& service : shop.services) services.insert(service.metadata.name);
  EXPECT_EQ(services.size(), 5U);
  for (const kube::Deployment& deployment : shop.deployments) {
    for (const kube::EnvironmentVariable& variable :
         deployment.pod_template.spec.containers[0].env) {
      if (variable.name != "APP_CALLS") continue;
      const AppSettings settings =
          settings_from([&](const char* name) -> std::optional<std::string> {
            if (name != variable.name) return {};
            return std::get<std::string>(variable.value);
          }).value();
      for (const std::string& call : settings.calls) {
        EXPECT_TRUE(services.contains(target_of(call).value().host)) << call;
      }
    }
  }
}

}  // namespace
}  // namespace fairlead::lab::app
