#include "registry/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "registry/sources.h"
#include "registry/test_folder.h"

namespace fairlead::registry {
namespace {

using testing::Folder;
using testing::names_of;
using testing::service;

TEST(Files, AFolderIsReadInTheOrderOfItsNames) {
  const Folder folder;
  folder.write("b.yaml", service("second"));
  folder.write("a.json", R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"first"},)"
                         R"("spec":{"ports":[{"port":80}]}})");
  folder.write("notes.txt", "not: [a manifest");
  folder.write(".hidden.yaml", "not: [a manifest");
  folder.make("more.yaml");
  ASSERT_EQ(::mkfifo((folder.path() + "/pipe.yaml").c_str(), 0600), 0);  // nobody writes into it
  const auto world = read_world({folder.path()});
  ASSERT_TRUE(world.ok()) << world.fault().describe();
  EXPECT_EQ(names_of(*world), "first second ");
}

TEST(Files, TheVersionIsADigestOfTheBytesOrTheListsOwn) {
  const Folder folder;
  const std::string a = folder.write("a.yaml", service("a"));
  const auto first = read_world({a});
  const auto again = read_world({folder.path()});
  folder.write("a.yaml", service("a") + "# a remark\n");
  const auto changed = read_world({a});
  ASSERT_TRUE(first.ok() && again.ok() && changed.ok());
  EXPECT_EQ((*first)->version.size(), 12U);
  EXPECT_EQ((*first)->version, (*again)->version);
  EXPECT_NE((*first)->version, (*changed)->version);
  const std::string list = folder.write(
      "list.json",
      R"({"apiVersion":"v1","kind":"List","metadata":{"resourceVersion":"42"},"items":[]})");
  const auto numbered = read_world({list});
  ASSERT_TRUE(numbered.ok()) << numbered.fault().describe();
  EXPECT_EQ((*numbered)->version, "42");
}

TEST(Files, WhatIsBrokenIsNamedWithItsLine) {
  const Folder folder;
  folder.write("a.yaml",
               "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"
               "spec:\n  ports:\n  - port: eighty\n");
  const auto world = read_world({folder.path()});
  ASSERT_FALSE(world.ok());
  EXPECT_NE(world.fault().message.find("a.yaml:6"), std::string::npos) << world.fault().message;
  EXPECT_NE(world.fault().message.find("spec.ports[0].port"), std::string::npos);
  const auto missing = read_world({folder.path() + "/nobody.yaml"});
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.fault().message.find("nobody.yaml: No such file"), std::string::npos);
}

TEST(Files, ABrokenFileKeepsItsLastGoodVersionWhileOthersGoOn) {
  const Folder folder;
  folder.write("a.yaml", service("a"));
  folder.write("b.yaml", service("b"));
  Sources sources({folder.path()});
  EXPECT_TRUE(sources.refresh());
  EXPECT_FALSE(sources.refresh());
  EXPECT_EQ(names_of(sources.world()), "a b ");

  folder.write("a.yaml", "kind: Service\nmetadata: {name");
  folder.write("b.yaml", service("b") + "---\n" + service("c"));
  EXPECT_TRUE(sources.refresh());
  EXPECT_EQ(names_of(sources.world()), "a b c ");
  ASSERT_EQ(sources.broken().size(), 1U);
  EXPECT_NE(sources.broken()[0].find("a.yaml"), std::string::npos);

  folder.write("a.yaml", service("renamed"));
  EXPECT_TRUE(sources.refresh());
  EXPECT_EQ(names_of(sources.world()), "b c renamed ");
  EXPECT_TRUE(sources.broken().empty());

  folder.remove("b.yaml");
  EXPECT_TRUE(sources.refresh());
  EXPECT_EQ(names_of(sources.world()), "renamed ");
}

TEST(Files, TheSameNameInTwoFilesKeepsTheWorldBefore) {
  const Folder folder;
  folder.write("a.yaml", service("a"));
  Sources sources({folder.path()});
  sources.refresh();
  folder.write("b.yaml", service("a"));
  EXPECT_TRUE(sources.refresh());
  EXPECT_EQ(names_of(sources.world()), "a ");
  ASSERT_EQ(sources.broken().size(), 1U);
  EXPECT_NE(sources.broken()[0].find("b.yaml"), std::string::npos) << sources.broken()[0];
}

TEST(Files, HalfOfTheFilesIsNoFirstWorld) {
  const Folder folder;
  folder.write("a.yaml", service("a"));
  const std::string late = folder.path() + "/late.yaml";
  Sources sources({folder.path() + "/a.yaml", late});
  EXPECT_TRUE(sources.refresh());
  EXPECT_EQ(names_of(sources.world()), "no world");
  ASSERT_EQ(sources.broken().size(), 1U);
  folder.write("late.yaml", service("late"));
  EXPECT_TRUE(sources.refresh());
  EXPECT_EQ(names_of(sources.world()), "a late ");
}

TEST(Files, WhatDidNotChangeIsTheVerySameInTheNextWorld) {
  const Folder folder;
  folder.write("a.yaml", service("a"));
  folder.write("b.yaml", service("b"));
  Sources sources({folder.path()});
  ASSERT_TRUE(sources.refresh());
  const mesh::WorldPointer first = sources.world();
  folder.write("b.yaml", service("c") + "---\n" + service("d"));
  ASSERT_TRUE(sources.refresh());
  EXPECT_EQ(names_of(sources.world()), "a c d ");
  EXPECT_EQ(sources.world()->services.items()[0], first->services.items()[0]);
}

}  // namespace
}  // namespace fairlead::registry
