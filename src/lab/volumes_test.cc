#include "lab/volumes.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

namespace fairlead::lab {
namespace {

namespace fs = std::filesystem;

TEST(Volumes, WhatASubPathMakesIsOpenToWhoeverRunsThere) {
  const std::string folder = testing::TempDir() + "fairlead-volumes-" + std::to_string(::getpid());
  kube::Pod pod;
  pod.spec.volumes = {{.name = "data"}};
  kube::Container container;
  container.volume_mounts = {{.name = "data", .path = "/data", .sub_path = "a/b"}};
  const mode_t before = ::umask(022);
  EXPECT_TRUE(write_volumes(folder, pod, {}).ok());
  const std::vector<Bind> binds = binds_of(folder, pod, container);
  ::umask(before);
  ASSERT_EQ(binds.size(), 1U);
  EXPECT_EQ(binds[0].source, folder + "/data/a/b");
  for (const char* made : {"/data", "/data/a", "/data/a/b"}) {
    EXPECT_EQ(fs::status(folder + made).permissions(), fs::perms::all) << made;
  }
  fs::remove_all(folder);
}

}  // namespace
}  // namespace fairlead::lab
