#include "registry/worlds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "net/loop.h"
#include "registry/test_folder.h"

namespace fairlead::registry {
namespace {

using testing::Folder;
using testing::names_of;
using testing::service;

// Runs the loop until `holds`, or for a time that no working machine needs.
Task<bool> until(net::Loop& loop, const std::function<bool()>& holds) {
  for (int i = 0; i < 3000; ++i) {
    if (holds()) co_return true;
    const Result<> slept = co_await loop.sleep(std::chrono::milliseconds(10));
    if (!slept) co_return false;
  }
  co_return false;
}

class Watched {
 public:
  explicit Watched(Paths paths) {
    auto made = Worlds::watch(loop_, std::move(paths), [this] { ++changes_; });
    if (!made) throw std::runtime_error(made.fault().describe());
    worlds_ = std::move(*made);
  }
  bool becomes(const std::string& names) {
    return loop_.run(until(loop_, [&] { return names_of(worlds_->world()) == names; }));
  }
  bool breaks(std::size_t files) {
    return loop_.run(until(loop_, [&] { return worlds_->broken().size() == files; }));
  }
  bool says(const std::string& text) {
    return loop_.run(until(loop_, [&] {
      const auto& broken = worlds_->broken();
      return !broken.empty() && broken.front().find(text) != std::string::npos;
    }));
  }
  Worlds& worlds() { return *worlds_; }
  void forget() { worlds_.reset(); }
  net::Loop& loop() { return loop_; }
  [[nodiscard]] int changes() const { return changes_; }

 private:
  net::Loop loop_;
  std::unique_ptr<Worlds> worlds_;
  int changes_ = 0;
};

TEST(Worlds, TheFirstIsThereAtOnce) {
  const Folder folder;
  folder.write("a.yaml", service("a"));
  Watched watched({folder.path()});
  EXPECT_EQ(names_of(watched.worlds().world()), "a ");
  EXPECT_EQ(watched.changes(), 0);
}

TEST(Worlds, EditsInPlaceByRenameAndNewFilesAreSeen) {
  const Folder folder;
  const std::string a = folder.write("a.yaml", service("a"));
  Watched watched({folder.path()});
  folder.write("a.yaml", service("b"));
  EXPECT_TRUE(watched.becomes("b "));
  folder.write("a.yaml.new", service("c"));
  folder.rename("a.yaml.new", "a.yaml");
  EXPECT_TRUE(watched.becomes("c "));
  folder.write("d.yaml", service("d"));
  EXPECT_TRUE(watched.becomes("c d "));
  folder.remove("a.yaml");
  EXPECT_TRUE(watched.becomes("d "));
}

TEST(Worlds, OneFileIsFollowedThroughRenames) {
  const Folder folder;
  const std::string a = folder.write("objects.yaml", service("a"));
  Watched watched({a});
  for (const char* name : {"b", "c"}) {
    folder.write(".objects.yaml.tmp", service(name));
    folder.rename(".objects.yaml.tmp", "objects.yaml");
    EXPECT_TRUE(watched.becomes(std::string(name) + ' '));
  }
}

TEST(Worlds, FilesBehindLinksAreFollowed) {
  const Folder elsewhere;
  const std::string target = elsewhere.write("a.yaml", service("a"));
  const Folder folder;
  std::filesystem::create_symlink(target, folder.path() + "/link.yaml");
  for (const std::string& path : {folder.path(), folder.path() + "/link.yaml"}) {
    Watched watched({path});
    elsewhere.write("a.yaml", service("b"));
    EXPECT_TRUE(watched.becomes("b "));
    elsewhere.write("new", service("c"));
    elsewhere.rename("new", "a.yaml");
    EXPECT_TRUE(watched.becomes("c "));
  }
}

// As a kubelet changes the files of a ConfigMap: all at once, by another link of the same name.
TEST(Worlds, AFolderOfLinksThroughALinkIsFollowed) {
  const Folder folder;
  folder.make("..1");
  folder.write("..1/a.yaml", service("a"));
  std::filesystem::create_symlink("..1", folder.path() + "/..data");
  std::filesystem::create_symlink("..data/a.yaml", folder.path() + "/a.yaml");
  Watched watched({folder.path()});
  for (const char* name : {"b", "c"}) {
    folder.make(std::string("..") + name);
    folder.write(std::string("..") + name + "/a.yaml", service(name));
    std::filesystem::create_symlink(std::string("..") + name, folder.path() + "/..tmp");
    folder.rename("..tmp", "..data");
    EXPECT_TRUE(watched.becomes(std::string(name) + ' '));
  }
}

TEST(Worlds, ABrokenFileIsNamedAndItsLastGoodVersionKept) {
  const Folder folder;
  folder.write("a.yaml", service("a"));
  Watched watched({folder.path()});
  folder.write("a.yaml", "kind: [Service");
  EXPECT_TRUE(watched.breaks(1));
  EXPECT_NE(watched.worlds().broken()[0].find("a.yaml"), std::string::npos);
  EXPECT_EQ(names_of(watched.worlds().world()), "a ");
  folder.write("a.yaml", service("mended"));
  EXPECT_TRUE(watched.becomes("mended "));
  EXPECT_TRUE(watched.breaks(0));
}

TEST(Worlds, AFolderThatDoesNotExistYetIsWaitedFor) {
  const Folder folder;
  const std::string late = folder.path() + "/lab/objects.yaml";
  Watched watched({late});
  EXPECT_EQ(names_of(watched.worlds().world()), "no world");
  EXPECT_EQ(watched.worlds().broken().size(), 1U);
  folder.make("lab");
  folder.write("lab/objects.yaml", service("late"));
  EXPECT_TRUE(watched.becomes("late "));
}

TEST(Worlds, WhatIsTheSameTellsNobody) {
  const Folder folder;
  folder.write("a.yaml", service("a"));
  Watched watched({folder.path()});
  folder.write("a.yaml", service("a"));
  folder.write("marker.yaml", service("marker"));
  EXPECT_TRUE(watched.becomes("a marker "));
  const int changes = watched.changes();
  folder.write("a.yaml", service("a"));
  folder.write("notes.txt", "no manifest");
  folder.write("marker.yaml", service("second"));
  EXPECT_TRUE(watched.becomes("a second "));
  EXPECT_EQ(watched.changes(), changes + 1);
}

TEST(Worlds, AFileIsReadWhenItIsWholeAndAgain) {
  const Folder folder;
  folder.write("a.yaml", service("a"));
  folder.write("b.yaml", service("b"));
  Watched watched({folder.path()});
  std::ofstream writing(folder.path() + "/a.yaml");  // empty from now on, for who looks
  writing << "# to be continued\n" << std::flush;
  folder.write("c.yaml", service("c"));
  EXPECT_TRUE(watched.becomes("a b c "));
  writing << service("d") << std::flush;
  writing.close();
  EXPECT_TRUE(watched.becomes("b c d "));
}

TEST(Worlds, AFolderThatCannotBeReadKeepsItsFilesAndIsTriedAgain) {
  const Folder folder;
  folder.write("a.yaml", service("a"));
  const Folder other;
  other.write("b.yaml", service("b"));
  Watched watched({folder.path(), other.path()});
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  folder.write("c.yaml", service("c"));
  const rlimit none{0, before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &none);
  EXPECT_TRUE(watched.breaks(4));  // two folders, and what is in them
  EXPECT_EQ(names_of(watched.worlds().world()), "a b ");
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_TRUE(watched.becomes("a b c "));  // though nothing changed any more
  EXPECT_TRUE(watched.breaks(0));
}

TEST(Worlds, APipeOrAFolderInThePlaceOfAFileIsSaid) {
  const Folder folder;
  const std::string file = folder.path() + "/a.yaml";
  folder.write("a.yaml", service("a"));
  Watched watched({file});
  std::filesystem::remove(file);
  ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
  EXPECT_TRUE(watched.breaks(1));
  EXPECT_THAT(watched.worlds().broken().front(), ::testing::HasSubstr("not a pipe"));
  std::filesystem::remove(file);
  std::filesystem::create_directory(file);
  EXPECT_TRUE(watched.says("not a directory"));
  EXPECT_EQ(names_of(watched.worlds().world()), "a ");
}

// As git does between two branches.
TEST(Worlds, AFolderThatGoesKeepsItsFilesAndMayComeBack) {
  const Folder folder;
  const std::string inside = folder.path() + "/m";
  std::filesystem::create_directory(inside);
  folder.write("m/a.yaml", service("a"));
  Watched watched({inside});
  std::filesystem::remove_all(inside);
  EXPECT_TRUE(watched.says("No such file"));
  EXPECT_EQ(names_of(watched.worlds().world()), "a ");
  std::filesystem::create_directory(inside);
  folder.write("m/b.yaml", service("b"));
  EXPECT_TRUE(watched.becomes("b "));
  EXPECT_TRUE(watched.breaks(0));
}

TEST(Worlds, FoldersThatSwapNamesAreBothFollowed) {
  const Folder folder;
  for (const char* each : {"/a", "/b"}) std::filesystem::create_directory(folder.path() + each);
  folder.write("a/a.yaml", service("a"));
  folder.write("b/b.yaml", service("b"));
  Watched watched({folder.path() + "/a", folder.path() + "/b"});
  std::filesystem::rename(folder.path() + "/a", folder.path() + "/t");
  std::filesystem::rename(folder.path() + "/b", folder.path() + "/a");
  std::filesystem::rename(folder.path() + "/t", folder.path() + "/b");
  folder.write("b/c.yaml", service("c"));
  EXPECT_TRUE(watched.becomes("a b c "));
  folder.write("a/d.yaml", service("d"));
  EXPECT_TRUE(watched.becomes("a b c d "));
}

TEST(Worlds, InnerFoldersAreFollowedWhereThatIsAskedFor) {
  const Folder folder;
  Watched watched({std::vector<std::string>{folder.path()}, true});
  std::filesystem::create_directories(folder.path() + "/one/two");
  folder.write("one/two/a.yaml", service("a"));
  EXPECT_TRUE(watched.becomes("a "));
  folder.write("one/b.yaml", service("b"));
  EXPECT_TRUE(watched.becomes("a b "));
  std::filesystem::remove_all(folder.path() + "/one/two");
  EXPECT_TRUE(watched.becomes("b "));
  EXPECT_TRUE(watched.breaks(0));
}

// How often the loop turned until `holds`.
Task<int> turns_until(net::Loop& loop, std::function<bool()> holds, int most = 100'000) {
  int turns = 0;
  for (; !holds() && turns < most; ++turns) {
    if (!(co_await loop.sleep(std::chrono::milliseconds(1))).ok()) break;
  }
  co_return turns;
}

TEST(Worlds, TheLoopTurnsWhileFilesAreRead) {
  Folder folder;
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "---\n" + service("s" + std::to_string(i));
  folder.write("large.yaml", text);
  net::Loop loop;
  int changes = 0;
  auto worlds =
      Worlds::watch(loop, {folder.path()}, [&changes] { ++changes; }, Worlds::First::soon);
  ASSERT_TRUE(worlds.ok());
  EXPECT_EQ((*worlds)->world(), nullptr);
  EXPECT_GE(loop.run(turns_until(loop, [&] { return (*worlds)->world() != nullptr; })), 3);
  EXPECT_EQ(changes, 1);
  EXPECT_EQ((*worlds)->world()->services.size(), 2000U);
  // So does an edit; the newest wins.
  folder.write("large.yaml", text + "---\n" + service("one-more"));
  folder.write("large.yaml", text + "---\n" + service("another"));
  EXPECT_GE(loop.run(turns_until(loop, [&] { return changes > 1; })), 3);
  EXPECT_TRUE(loop.run(until(loop, [&] {
    return mesh::find_service(*(*worlds)->world(), "default", "another") != nullptr;
  })));
}

TEST(Worlds, TheEndComesWhileFilesAreRead) {
  Folder folder;
  std::string text;
  for (int i = 0; i < 500; ++i) text += "---\n" + service("s" + std::to_string(i));
  folder.write("large.yaml", text);
  net::Loop loop;
  int changes = 0;
  {
    auto worlds =
        Worlds::watch(loop, {folder.path()}, [&changes] { ++changes; }, Worlds::First::soon);
    ASSERT_TRUE(worlds.ok());
  }
  EXPECT_EQ(loop.run(turns_until(loop, [] { return false; }, 20)), 20);
  EXPECT_EQ(changes, 0);
}

TEST(Worlds, NobodyIsToldAfterTheEnd) {
  const Folder folder;
  folder.write("a.yaml", service("a"));
  Watched watched({folder.path()});
  watched.forget();
  folder.write("a.yaml", service("b"));
  watched.loop().run(until(watched.loop(), [left = 10]() mutable { return --left == 0; }));
  EXPECT_EQ(watched.changes(), 0);
}

}  // namespace
}  // namespace fairlead::registry
