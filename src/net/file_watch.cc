#include "net/file_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <utility>

namespace fairlead::net {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kChanges = IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE |
                                   IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF;

// The folder to watch for `path`: itself when it is one, else the nearest one above that exists.
std::string folder_for(const std::string& path) {
  std::error_code error;
  fs::path at = fs::absolute(path, error);
  while (!fs::is_directory(at, error) && at.has_relative_path()) at = at.parent_path();
  return at.string();
}

// Where a link leads: the folder of what would be written there.
void add_target(const fs::path& path, std::set<std::string>& folders) {
  std::error_code error;
  const fs::path target = fs::canonical(path, error);
  if (error) return;
  folders.insert(fs::is_directory(target, error) ? target.string() : target.parent_path().string());
}

void add_folders(const std::string& path, std::set<std::string>& folders) {
  std::error_code error;
  folders.insert(folder_for(path));
  if (fs::is_symlink(path, error)) add_target(path, folders);
  for (fs::directory_iterator at(path, error); !error && at != fs::directory_iterator();
       at.increment(error)) {
    std::error_code none;
    if (at->is_symlink(none) && !fs::is_directory(at->path(), none)) {
      add_target(at->path(), folders);
    }
  }
}

}  // namespace

Result<std::unique_ptr<FileWatch>> FileWatch::make(Loop& loop) {
  const int descriptor = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (descriptor < 0) return from_errno(errno, "watching files (inotify)");
  std::unique_ptr<FileWatch> made(new FileWatch(loop, descriptor));
  if (Result<> watched = made->watch(EPOLLIN); !watched.ok()) return watched.fault();
  return made;
}

void FileWatch::add(const std::string& path) {
  if (std::find(paths_.begin(), paths_.end(), path) != paths_.end()) return;
  paths_.push_back(path);
  watch_paths();
}

void FileWatch::clear() {
  paths_.clear();
  watch_paths();
}

void FileWatch::watch_paths() {
  std::set<std::string> wanted;
  for (const std::string& path : paths_) add_folders(path, wanted);
  for (auto at = watched_.begin(); at != watched_.end();) {
    if (wanted.contains(at->first)) {
      ++at;
      continue;
    }
    ::inotify_rm_watch(descriptor(), at->second);
    at = watched_.erase(at);
  }
  for (const std::string& folder : wanted) {
    // Again also for those that are watched: the folder may be another one of the same name.
    const int number = ::inotify_add_watch(descriptor(), folder.c_str(), kChanges | IN_ONLYDIR);
    if (number >= 0) {
      const auto known = watched_.find(folder);
      if (known != watched_.end() && known->second != number) {
        ::inotify_rm_watch(descriptor(), known->second);
      }
      watched_[folder] = number;
    }
  }
}

void FileWatch::ready(std::uint32_t) {
  readiness_.set();
}

bool FileWatch::drain() {
  bool any = false;
  while (true) {
    alignas(inotify_event) std::array<char, 4096> events;
    const ssize_t count = ::read(descriptor(), events.data(), events.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    // IN_IGNORED alone is the answer to our own forgetting.
    for (ssize_t at = 0; at < count;) {
      inotify_event event{};
      std::memcpy(&event, events.data() + at, sizeof(event));
      if ((event.mask & IN_IGNORED) == 0) any = true;
      at += static_cast<ssize_t>(sizeof(event) + event.len);
    }
  }
  readiness_.clear();
  return any;
}

Task<Result<>> FileWatch::changed(Duration settle) {
  while (!drain()) {
    if (Result<> woken = co_await readiness_.wait(); !woken.ok()) co_return woken;
  }
  constexpr int kMostRounds = 10;
  for (int round = 0; round < kMostRounds; ++round) {
    if (Result<> slept = co_await loop().sleep(settle); !slept.ok()) co_return slept;
    if (!drain()) break;
  }
  watch_paths();
  co_return done();
}

}  // namespace fairlead::net
