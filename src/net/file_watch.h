// Tells when files may have changed (inotify). What changed is for the owner to read again.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/loop.h"
#include "net/readiness.h"

namespace fairlead::net {

class FileWatch final : private Source {
 public:
  static Result<std::unique_ptr<FileWatch>> make(Loop& loop);

  void add(const std::string& path);
  // A file (written in place, replaced by rename, removed, made again: its folder is watched) or a
  // folder (its direct entries). Of a link, and of links to files in a folder, the target as well.
  // What does not exist yet is waited for, from its nearest folder that does.
  void clear();
  // Forgets all paths.

  [[nodiscard]] Task<Result<>> changed(Duration settle = std::chrono::milliseconds(20));
  // Until something may have changed since the last call, and nothing more has come for `settle`
  // (or for ten times that, when changes do not end). It may be a false alarm.

 private:
  FileWatch(Loop& loop, int descriptor) : Source(loop, descriptor) {}
  void ready(std::uint32_t events) override;
  [[nodiscard]] bool drain();
  void watch_paths();

  Readiness readiness_;
  std::vector<std::string> paths_;
  std::map<std::string, int> watched_;  // folder or file -> the kernel's number
};

}  // namespace fairlead::net
