#include "proxy/log_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace fairlead::proxy {
namespace {

class LogFileTest : public ::testing::Test {
 protected:
  LogFileTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "fairlead-log-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~LogFileTest() override { std::filesystem::remove_all(folder_); }

  static std::string read(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  std::string folder_;
};

TEST_F(LogFileTest, WhetherAFileCanBeOpenedIsKnownBefore) {
  const std::string path = folder_ + "/access.log";
  EXPECT_TRUE(LogFiles::can_open(path).ok());
  EXPECT_TRUE(std::filesystem::exists(path));
  EXPECT_TRUE(LogFiles::can_open("/dev/stdout").ok());
  const std::string pipe = folder_ + "/pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_TRUE(LogFiles::can_open(pipe).ok());  // and does not wait for its reader
  const Result<> nowhere = LogFiles::can_open(folder_ + "/no/such/folder");
  ASSERT_FALSE(nowhere.ok());
  EXPECT_NE(nowhere.fault().describe().find("opening the access log " + folder_),
            std::string::npos);
  EXPECT_FALSE(LogFiles::can_open(folder_).ok());
}

TEST_F(LogFileTest, LinesArriveInOrder) {
  const std::string path = folder_ + "/access.log";
  LogFiles files;
  LogBuffer buffer(files, path);
  buffer.text() += "one\n";
  buffer.flush();
  buffer.text() += "two\n";
  buffer.flush();
  files.flush();
  EXPECT_EQ(read(path), "one\ntwo\n");
}

TEST_F(LogFileTest, AFullBufferGoesByItself) {
  const std::string path = folder_ + "/access.log";
  LogFiles files;
  LogBuffer buffer(files, path);
  buffer.text() += std::string(LogBuffer::full, 'x');
  buffer.grown();
  EXPECT_TRUE(buffer.text().empty());
  files.flush();
  EXPECT_EQ(read(path).size(), LogBuffer::full);
}

TEST_F(LogFileTest, ReopenedAfterItWasMoved) {
  const std::string path = folder_ + "/access.log";
  LogFiles files;
  LogBuffer buffer(files, path);
  buffer.text() += "before\n";
  buffer.flush();
  files.flush();
  std::filesystem::rename(path, path + ".1");
  files.reopen();
  buffer.text() += "after\n";
  buffer.flush();
  files.flush();
  EXPECT_EQ(read(path + ".1"), "before\n");
  EXPECT_EQ(read(path), "after\n");
}

TEST_F(LogFileTest, AFullDiskCostsLinesAndNothingElse) {
  LogFiles files;
  LogBuffer buffer(files, "/dev/full");
  buffer.text() += "lost\n";
  buffer.flush();
  files.flush();
  EXPECT_EQ(files.dropped(), 5U);
  LogBuffer elsewhere(files, folder_ + "/no/such/folder");
  elsewhere.text() += "lost\n";
  elsewhere.flush();
  files.flush();
  EXPECT_EQ(files.dropped(), 10U);
}

TEST_F(LogFileTest, WhatIsLeftIsWrittenAtTheEnd) {
  const std::string path = folder_ + "/access.log";
  {
    LogFiles files;
    LogBuffer buffer(files, path);
    buffer.text() += "last\n";
  }
  EXPECT_EQ(read(path), "last\n");
}

}  // namespace
}  // namespace fairlead::proxy
