#include "registry/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "base/clock.h"
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

// ── Any edits ────────────────────────────────────────────────────────────────────────────────────

std::string address(SeededRandom& random) {
  return "10.244.0." + std::to_string(1 + random.below(6));
}

std::string object(SeededRandom& random) {
  const std::string name(1, static_cast<char>('a' + random.below(3)));
  const std::string unique = name + std::to_string(random.below(1000));
  switch (random.below(8)) {
    case 0:
      return "apiVersion: v1\nkind: Service\nmetadata: {name: " + name +
             "}\nspec: {selector: {app: " + name +
             "}, ports: [{port: " + std::to_string(80 + random.below(2)) + "}]}\n";
    case 1:
      return "apiVersion: v1\nkind: Service\nmetadata: {name: " + name +
             "}\nspec: {type: ExternalName, externalName: other.example}\n";
    case 2:
      return "apiVersion: v1\nkind: Endpoints\nmetadata: {name: " + name +
             "}\nsubsets: [{addresses: [{ip: " + address(random) + "}], ports: [{port: 80}]}]\n";
    case 3:
      return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + unique +
             ", labels: {app: x}}\nspec: {containers: [{name: c, image: i}]}\nstatus: {podIP: " +
             address(random) + "}\n";
    case 4:
      return "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " + unique +
             "}\nspec: {hosts: [" +
             (random.below(2) == 0 ? name + ".default.svc.cluster.local" : name) +
             "], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, endpoints: "
             "[{address: " +
             address(random) + "}]}\n";
    default:
      return "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\nmetadata: "
             "{name: " +
             unique + ", labels: {kubernetes.io/service-name: " + name +
             "}}\nports: [{port: 80}]\nendpoints: [{addresses: [" + address(random) +
             "], conditions: {ready: " + (random.below(2) == 0 ? "true" : "false") + "}}]\n";
  }
}

// Whatever was edited before, what is followed and what is read for the first time are one world.
TEST(Files, AWorldThatWasFollowedIsTheOneThatIsReadAnew) {
  int worlds = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    SeededRandom random(seed);
    const Folder folder;
    Sources sources({folder.path()});
    for (int edit = 0; edit < 25; ++edit) {
      const std::string file(1, static_cast<char>('p' + random.below(4)));
      if (random.below(6) == 0) {
        folder.remove(file + ".yaml");
      } else {
        std::string text = "# nothing\n";
        for (std::uint64_t i = random.below(4); i > 0; --i) text += "---\n" + object(random);
        if (random.below(8) == 0) text += "---\nkind: [";
        folder.write(file + ".yaml", text);
      }
      sources.refresh();
      const auto anew = read_world({folder.path()});
      if (!anew.ok()) continue;  // a file is broken, or an object is there twice
      ++worlds;
      ASSERT_EQ((*anew)->version, sources.world()->version);
      ASSERT_TRUE((*anew)->ignored == sources.world()->ignored);
      ASSERT_TRUE(**anew == *sources.world());
    }
  }
  EXPECT_GT(worlds, 200);
}

TEST(Files, ServicesThatDidNotChangeAreNotMadeAnew) {
  const Folder folder;
  folder.write("a.yaml", service("a"));
  folder.write("b.yaml", service("b"));
  Sources sources({folder.path()});
  ASSERT_TRUE(sources.refresh());
  Changes changes;
  changes.add(sources.objects(), sources.objects());
  EXPECT_TRUE(changes.services.empty());
  const mesh::World same = world_of({}, *sources.world(), changes);
  EXPECT_EQ(same.services.items(), sources.world()->services.items()) << "nobody looked at objects";
  changes.services.insert({"default", "a"});
  EXPECT_EQ(world_of({}, *sources.world(), changes).services.size(), 1U);
  changes.everything = true;
  EXPECT_TRUE(world_of({}, *sources.world(), changes).services.empty());
}

}  // namespace
}  // namespace fairlead::registry
