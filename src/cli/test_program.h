// For tests: the program itself, run as people run it.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace fairlead::cli {

struct Ran {
  int status = -1;
  std::string said;  // on both streams
};

// A shell's line: `fairlead` is put before the words, and before that what is to run it.
inline Ran run_program(const std::string& words, const std::string& before = "") {
  const std::string line = before + FAIRLEAD_PROGRAM + " " + words + " 2>&1";
  std::FILE* pipe = ::popen(line.c_str(), "r");
  Ran ran;
  std::array<char, 4096> piece{};
  while (const std::size_t count = std::fread(piece.data(), 1, piece.size(), pipe)) {
    ran.said.append(piece.data(), count);
  }
  const int status = ::pclose(pipe);
  if (WIFEXITED(status)) ran.status = WEXITSTATUS(status);
  return ran;
}

// A folder of its own for each test.
class WithAFolder : public testing::Test {
 protected:
  WithAFolder() {
    std::string pattern = "/tmp/fairlead-cli-test-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~WithAFolder() override { std::filesystem::remove_all(folder_); }
  std::string write(const std::string& name, const std::string& text) {
    const std::string path = folder_ + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << text;
    return path;
  }
  std::string folder_;
};

}  // namespace fairlead::cli
