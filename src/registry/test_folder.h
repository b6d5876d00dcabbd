// For tests: a folder of manifests, and worlds as one line.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include "mesh/world.h"

namespace fairlead::registry::testing {

class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "fairlead-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = pattern;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ + '/' + name) << text;
    return path_ + '/' + name;
  }
  void remove(const std::string& name) const { std::filesystem::remove(path_ + '/' + name); }
  void rename(const std::string& from, const std::string& to) const {
    std::filesystem::rename(path_ + '/' + from, path_ + '/' + to);
  }
  void make(const std::string& name) const {
    std::filesystem::create_directory(path_ + '/' + name);
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline std::string service(const std::string& name) {
  return "apiVersion: v1\nkind: Service\nmetadata: {name: " + name +
         "}\nspec: {ports: [{port: 80}]}\n";
}

inline std::string names_of(const mesh::WorldPointer& world) {
  if (!world) return "no world";
  std::string names;
  for (const mesh::Service& each : world->services) names += each.name + ' ';
  return names;
}

}  // namespace fairlead::registry::testing
