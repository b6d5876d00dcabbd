#include "lab/paths.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>

namespace fairlead::lab {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Folder : public testing::Test {
 protected:
  Folder() { fs::create_directories(path); }
  ~Folder() override { fs::remove_all(path); }
  const std::string path = testing::TempDir() + "fairlead-paths-" + std::to_string(::getpid());
};

// No file may be longer than so many bytes: as a disk that is full in the middle of one.
class Scarce {
 public:
  explicit Scarce(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit less{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &less);
  }
  ~Scarce() { ::setrlimit(RLIMIT_FSIZE, &before_); }
  Scarce(const Scarce&) = delete;
  Scarce& operator=(const Scarce&) = delete;

 private:
  rlimit before_{};
};

TEST_F(Folder, KeepsTheOldFileWhenTheNewOneDoesNotFit) {
  std::signal(SIGXFSZ, SIG_IGN);
  const std::string file = path + "/objects.json";
  ASSERT_TRUE(write_file(file, "old").ok());
  const Result<> written = [&] {
    const Scarce disk(10);
    return write_file(file, std::string(100, 'x'));
  }();
  ASSERT_FALSE(written.ok());
  EXPECT_THAT(written.fault().describe(), HasSubstr("writing " + file));
  EXPECT_EQ(*read_file(file), "old");
  EXPECT_FALSE(fs::exists(file + ".new")) << "nothing half written stays";
}

TEST_F(Folder, OfTheRuntimeDirectoryIsTheBaseWhenItCanBeMade) {
  if (::geteuid() == 0) {
    EXPECT_EQ(base_directories(), std::vector<std::string>{"/run/fairlead"});
    return;
  }
  const User user{.uid = ::geteuid(), .runtime_directory = path};
  const Result<Base> base = base_directory(user);
  ASSERT_TRUE(base.ok());
  EXPECT_EQ(base->path, path + "/fairlead");
  EXPECT_EQ(base->instead_of, "");
  EXPECT_EQ(base_directories(user).front(), base->path);
}

TEST_F(Folder, OfALabIsGoneInOneStepAndWhatThatLeftIsCleared) {
  const Paths paths{.base = path, .name = "one"};
  const std::string left = path + "/.going-two";  // of a program that was ended meanwhile
  fs::create_directories(paths.logs());
  fs::create_directories(left + "/logs");
  remove_directory(paths);
  EXPECT_FALSE(fs::exists(paths.directory()));
  EXPECT_TRUE(fs::exists(left));
  const Result<std::vector<Found>> labs = living_labs({path});
  ASSERT_TRUE(labs.ok());
  EXPECT_TRUE(labs->empty());
  EXPECT_TRUE(fs::is_empty(path));
}

TEST_F(Folder, OfALabThatIsComingUpIsNotTakenForALeftOverOne) {
  std::atomic<bool> done = false;
  std::thread looking([&] {
    while (!done) EXPECT_TRUE(living_labs({path}).ok());
  });
  const Paths paths{.base = path, .name = "one"};
  for (int times = 0; times < 300; ++times) {
    const Result<Descriptor> lock = claim(paths);
    EXPECT_TRUE(lock.ok()) << lock.fault().describe();
    EXPECT_TRUE(write_file(paths.record(), "{}").ok());
    remove_directory(paths);
  }
  done = true;
  looking.join();
}

TEST(Command, NamesALabThatHasAnotherNameThanUsual) {
  EXPECT_EQ((Paths{.name = "lab"}).command("logs"), "fairlead lab logs");
  EXPECT_EQ((Paths{.name = "two"}).command("logs"), "fairlead lab logs --name two");
}

}  // namespace
}  // namespace fairlead::lab
