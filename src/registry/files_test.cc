#include "registry/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>
#include <string>
#include <utility>

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

  folder.write("a.yaml", service("a") + "---\n" + service("more"));
  EXPECT_TRUE(sources.refresh());
  EXPECT_EQ(names_of(sources.world()), "a b c more ");
  EXPECT_TRUE(sources.broken().empty());

  folder.remove("b.yaml");
  EXPECT_FALSE(sources.refresh());
  EXPECT_TRUE(sources.refresh({.now = Instant{} + loss_wait}));
  EXPECT_EQ(names_of(sources.world()), "a more ");
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
  folder.write("b.yaml", service("b") + "---\n" + service("d"));
  ASSERT_TRUE(sources.refresh());
  EXPECT_EQ(names_of(sources.world()), "a b d ");
  EXPECT_EQ(sources.world()->services.items()[0], first->services.items()[0]);
}

// ── Losses ──────────────────────────────────────────────────────────────────────────────────────

const std::string three =
    "# what a shop needs\n"
    "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n"
    "---\n" +
    service("first") +
    "---\n# the second\n"
    "apiVersion: v1\nkind: Service\nmetadata:\n  name: second\n"
    "spec:\n  ports:\n  - name: http\n    port: 8080\n  - name: admin\n    port: 9090\n"
    "---\n" +
    service("third") + "# the end\n";

// A file that a test edits, and the time.
class Edited {
 public:
  explicit Edited(const std::string& text, std::string name = "shop.yaml")
      : name_(std::move(name)) {
    folder_.write(name_, text);
    folder_.write("other.yaml", service("other"));
    look();
  }
  void write(const std::string& text) { folder_.write(name_, text); }
  bool look() { return sources_.refresh({.now = clock_.now()}); }
  bool look_after(Duration time) {
    clock_.advance(time);
    return look();
  }
  [[nodiscard]] std::string names() const { return names_of(sources_.world()); }
  [[nodiscard]] std::string broken() const {
    return sources_.broken().empty() ? "" : sources_.broken().front();
  }
  std::string removed() {
    std::string all;
    for (const Origin& each : sources_.take_removed()) all += each.name + ' ';
    return all;
  }
  Sources& sources() { return sources_; }
  [[nodiscard]] const Folder& folder() const { return folder_; }
  ManualClock& clock() { return clock_; }

 private:
  Folder folder_;
  std::string name_;
  ManualClock clock_;
  Sources sources_{{folder_.path()}};
};

TEST(Losses, AnObjectThatIsGoneFromAFileIsGoneAfterASecond) {
  Edited edited(service("a") + "---\n" + service("b"));
  edited.write(service("a") + "---\n" + service("c"));
  EXPECT_FALSE(edited.look());
  EXPECT_EQ(edited.names(), "a b other ");
  EXPECT_EQ(edited.sources().until_due(edited.clock().now()), loss_wait);
  EXPECT_FALSE(edited.look_after(loss_wait / 2));
  EXPECT_EQ(edited.sources().until_due(edited.clock().now()), loss_wait / 2);
  EXPECT_EQ(edited.removed(), "");
  EXPECT_TRUE(edited.look_after(loss_wait / 2));
  EXPECT_EQ(edited.names(), "a c other ");
  EXPECT_EQ(edited.removed(), "b ");
  EXPECT_EQ(edited.removed(), "");
  EXPECT_EQ(edited.sources().until_due(edited.clock().now()), Duration::max());
}

TEST(Losses, EachNewVersionIsWaitedForAnew) {
  Edited edited(service("a") + "---\n" + service("b"));
  edited.write(service("a"));
  edited.look();
  edited.write(service("a") + "# and this is why\n");
  EXPECT_FALSE(edited.look_after(loss_wait));
  EXPECT_FALSE(edited.look_after(loss_wait / 2));
  EXPECT_EQ(edited.names(), "a b other ");
  EXPECT_TRUE(edited.look_after(loss_wait / 2));
  EXPECT_EQ(edited.names(), "a other ");
}

TEST(Losses, AFileThatIsWrittenAgainMeanwhileIsNotUnchanged) {
  Edited edited(service("a") + "---\n" + service("b"));
  edited.write(service("a"));
  edited.look();
  edited.clock().advance(loss_wait);
  const auto written = [](const std::string& path) { return path.ends_with("shop.yaml"); };
  EXPECT_FALSE(edited.sources().refresh({.now = edited.clock().now(), .being_written = written}));
  EXPECT_FALSE(edited.look_after(loss_wait / 2));
  EXPECT_EQ(edited.names(), "a b other ");
  EXPECT_TRUE(edited.look_after(loss_wait / 2));
  EXPECT_EQ(edited.names(), "a other ");
}

TEST(Losses, AFileThatIsBackInTimeWasNeverGone) {
  Edited edited(service("a"));
  const mesh::WorldPointer before = edited.sources().world();
  edited.folder().rename("shop.yaml", "away");
  EXPECT_FALSE(edited.look());
  EXPECT_EQ(edited.broken(), "");
  EXPECT_EQ(edited.sources().until_due(edited.clock().now()), loss_wait);
  edited.folder().rename("away", "shop.yaml");
  EXPECT_FALSE(edited.look_after(loss_wait * 3 / 10));
  EXPECT_FALSE(edited.look_after(loss_wait * 10));
  EXPECT_EQ(edited.sources().world(), before);
  EXPECT_EQ(edited.removed(), "");
}

TEST(Losses, AFileThatStaysAwayIsGone) {
  Edited edited(service("a"));
  edited.folder().remove("shop.yaml");
  EXPECT_FALSE(edited.look());
  EXPECT_TRUE(edited.look_after(loss_wait));
  EXPECT_EQ(edited.names(), "other ");
  EXPECT_EQ(edited.removed(), "a ");
  EXPECT_EQ(edited.broken(), "");
}

TEST(Losses, AnObjectThatMovesToAnotherFileIsNeitherGoneNorThereTwice) {
  Edited edited(service("a") + "---\n" + service("b"));
  edited.folder().write("other.yaml", service("other") + "---\n" + service("b"));
  edited.write(service("a"));
  EXPECT_FALSE(edited.look());
  EXPECT_EQ(edited.names(), "a b other ");
  EXPECT_TRUE(edited.look_after(loss_wait)) << "its origin is another one";
  EXPECT_EQ(edited.names(), "a b other ");
  EXPECT_EQ(edited.broken(), "");
  EXPECT_EQ(edited.removed(), "");
}

TEST(Losses, WhatHoldsNoObjectOrIsNoFileIsBrokenForAsLongAsItLasts) {
  for (const char* text :
       {"", "\n\n", "# to be continued\n", "---\n", "--- # nothing\n...\n",
        "apiVersion: v1\nkind: List\n", "kind: List\napiVersion: v1\nitems:\n"}) {
    SCOPED_TRACE(text);
    Edited edited(service("a"));
    edited.write(text);
    EXPECT_TRUE(edited.look());
    edited.look_after(cut_wait * 10);
    EXPECT_EQ(edited.names(), "a other ");
    EXPECT_NE(edited.broken().find("shop.yaml: it holds no object"), std::string::npos)
        << edited.broken();
    EXPECT_EQ(edited.removed(), "");
    edited.write(service("a") + "---\n" + service("b"));
    EXPECT_TRUE(edited.look());
    EXPECT_EQ(edited.names(), "a b other ");
    EXPECT_EQ(edited.broken(), "");
  }
  Edited edited(service("a"));
  edited.folder().remove("shop.yaml");
  edited.folder().make("shop.yaml");
  EXPECT_TRUE(edited.look());
  edited.look_after(cut_wait * 10);
  EXPECT_EQ(edited.names(), "a other ");
  EXPECT_NE(edited.broken().find("shop.yaml: a file was expected here"), std::string::npos);
  edited.folder().remove("shop.yaml");
  edited.look();
  edited.look_after(loss_wait);
  EXPECT_EQ(edited.names(), "other ");
  EXPECT_EQ(edited.broken(), "");
}

TEST(Losses, AListThatSaysThatItIsEmptyIsBelieved) {
  Edited edited(service("a"));
  edited.write("apiVersion: v1\nkind: List\nitems: []\n");
  EXPECT_FALSE(edited.look());
  EXPECT_TRUE(edited.look_after(loss_wait));
  EXPECT_EQ(edited.names(), "other ");
}

TEST(Losses, AProgramsAccountIsTakenAtOnce) {
  const auto list = [](const std::string& version, const std::string& items) {
    return "apiVersion: v1\nkind: List\nmetadata: {resourceVersion: \"" + version +
           "\"}\nitems: [" + items + "]\n";
  };
  const auto item = [](const std::string& name) {
    return "{apiVersion: v1, kind: Service, metadata: {name: " + name +
           "}, spec: {ports: [{port: 80}]}}";
  };
  Edited edited(list("1", item("a") + ", " + item("b")));
  edited.write(list("2", item("a")));
  EXPECT_TRUE(edited.look());
  EXPECT_EQ(edited.names(), "a other ");
  EXPECT_EQ(edited.removed(), "") << "it tells that itself";
}

TEST(Losses, DeletedLinesAtTheEndOfADocumentCountAfterALongerTime) {
  Edited edited(three);
  edited.write(three.substr(0, three.find("  - name: admin")));
  EXPECT_TRUE(edited.look());
  EXPECT_NE(edited.broken().find("shop.yaml:20: it ends within a document"), std::string::npos)
      << edited.broken();
  edited.look_after(loss_wait);
  EXPECT_EQ(edited.names(), "first other second third ");
  EXPECT_TRUE(edited.look_after(cut_wait - loss_wait));
  EXPECT_EQ(edited.names(), "first other second ");
  EXPECT_EQ(edited.removed(), "third ");
  EXPECT_EQ(edited.broken(), "");
}

// Wherever a file is cut off, either whole documents are left, whose loss waits, or it is broken.
TEST(Losses, AFileMayBeCutAnywhere) {
  std::set<std::size_t> whole;  // after which a document or its separator ends
  for (std::size_t at = three.find("---\n"); at != std::string::npos;
       at = three.find("---\n", at + 1)) {
    whole.insert({at, at + 4});
    if (three[at - 2] == '}') whole.insert(at - 1);  // of flow style it is seen that it is whole
  }
  whole.insert(three.find("# the second"));
  whole.insert(three.find("# the second") + std::string("# the second\n").size());
  whole.insert({three.find("# the end") - 1, three.find("# the end")});
  int held = 0;
  Edited edited(three);
  const std::string all = edited.names();
  for (std::size_t size = 0; size < three.size(); ++size) {
    SCOPED_TRACE(three.substr(0, size));
    edited.write(three.substr(0, size));
    edited.look();
    ASSERT_EQ(edited.names(), all);
    if (whole.contains(size)) {
      ++held;
      ASSERT_EQ(edited.broken(), "");
    } else {
      ASSERT_NE(edited.broken(), "");
      edited.look_after(loss_wait);
      ASSERT_EQ(edited.names(), all);
      ASSERT_NE(edited.broken(), "");
    }
    edited.write(three);
    edited.look();
    ASSERT_EQ(edited.names(), all);
    ASSERT_EQ(edited.broken(), "");
  }
  EXPECT_EQ(held, static_cast<int>(whole.size()));
}

TEST(Losses, AJsonFileMayBeCutAnywhere) {
  const std::string json =
      R"({"apiVersion": "v1", "kind": "List", "items": [)"
      R"({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}},)"
      R"({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "b"}, "spec": {"ports": [{"port": 80}]}}]})";
  Edited edited(json, "shop.json");
  for (std::size_t size = 0; size < json.size(); ++size) {
    SCOPED_TRACE(size);
    edited.write(json.substr(0, size));
    edited.look();
    edited.look_after(cut_wait);
    ASSERT_EQ(edited.names(), "a b other ");
    ASSERT_NE(edited.broken(), "");
  }
}

TEST(Losses, FilesThatSayNothingAreNoFirstWorld) {
  const Folder folder;
  folder.write("a.yaml", "# to be continued\n");
  Sources sources({folder.path()});
  sources.refresh();
  EXPECT_EQ(names_of(sources.world()), "no world");
  ASSERT_EQ(sources.broken().size(), 1U);
  EXPECT_EQ(sources.broken().front(), "there is no object in " + folder.path());
  folder.write("b.yaml", service("b"));
  EXPECT_TRUE(sources.refresh());
  EXPECT_EQ(names_of(sources.world()), "b ");
  EXPECT_TRUE(sources.broken().empty());
  ASSERT_EQ(sources.world()->ignored.size(), 1U);
  EXPECT_EQ(sources.world()->ignored.front().reason, "it holds no object");
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
    ManualClock clock;
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
      sources.refresh({.now = clock.now()});
      clock.advance(cut_wait);
      sources.refresh({.now = clock.now()});
      const auto anew = read_world({folder.path()});
      if (!anew.ok()) continue;                 // a file is broken, or an object is there twice
      if (!sources.broken().empty()) continue;  // a file holds no object any more
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
