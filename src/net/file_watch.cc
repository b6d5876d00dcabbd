#include "net/file_watch.h"

#include <fmt/format.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <filesystem>

namespace fairlead::net {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t other_entry =
    IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF;
constexpr std::uint32_t any_change = other_entry | IN_CLOSE_WRITE | IN_MODIFY;
constexpr Duration look_again = std::chrono::seconds(2);      // where the kernel tells nothing
constexpr Duration longest_write = std::chrono::seconds(10);  // of a file that nobody closes
constexpr int most_links = 40;                                // on one way: the kernel's own limit

struct Folder {
  std::set<std::string> names;  // of its entries; empty: all are meant
  bool passed = true;           // only folders further down are looked for in it
};
using Folders = std::map<std::string, Folder>;

Folder& add_entry(const fs::path& folder, const fs::path& name, Folders& folders) {
  const auto [at, is_new] = folders.try_emplace(folder.string());
  if (is_new || !at->second.names.empty()) at->second.names.insert(name.string());
  return at->second;
}

void push_front(std::deque<fs::path>& parts, const fs::path& path) {
  parts.insert(parts.begin(), path.begin(), path.end());
}

// Where it shows that `path` leads elsewhere: each folder and link on the way, and its end. Of a
// folder all entries count.
void add_way(const fs::path& path, Folders& folders) {
  std::error_code error;
  std::deque<fs::path> parts;
  push_front(parts, fs::absolute(path, error).relative_path());
  fs::path at = "/";
  for (int links = 0; !parts.empty() && links <= most_links;) {
    const fs::path part = parts.front();
    parts.pop_front();
    if (part == ".." || part == "." || part.empty()) {
      if (part == "..") at = at.parent_path();
      continue;
    }
    const fs::path next = at / part;
    const fs::file_status status = fs::symlink_status(next, error);
    if (fs::is_directory(status)) {
      add_entry(at, part, folders);
      at = next;
      continue;
    }
    add_entry(at, part, folders).passed = false;
    if (!fs::is_symlink(status)) return;  // a file, or nothing yet
    ++links;
    const fs::path target = fs::read_symlink(next, error);
    if (target.is_absolute()) at = "/";
    push_front(parts, target.relative_path());
  }
  folders[at.string()] = {.names = {}, .passed = false};
}

void add_path(const std::string& path, Folders& folders) {
  add_way(path, folders);
  std::error_code error;
  for (fs::directory_iterator at(path, error); !error && at != fs::directory_iterator();
       at.increment(error)) {
    std::error_code none;
    if (at->is_symlink(none) && !fs::is_directory(at->path(), none)) add_way(at->path(), folders);
  }
}

// The kernel's number for it. One that is only passed may be closed to us: no more than a change
// far above goes unseen then. What is written into its files is nothing to us (it may be /tmp).
int watch_folder(int descriptor, const std::string& path, bool passed) {
  const std::uint32_t what = passed ? other_entry : any_change;
  return ::inotify_add_watch(descriptor, path.c_str(), what | IN_ONLYDIR);
}

std::string why_not_watched(const std::string& path, int error) {
  if (error != ENOSPC) return from_errno(error, "watching " + path).describe();
  return fmt::format("{} cannot be watched: fs.inotify.max_user_watches is reached", path);
}

}  // namespace

Result<std::unique_ptr<FileWatch>> FileWatch::make(Loop& loop) {
  const int descriptor = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (descriptor < 0) return from_errno(errno, "watching files (inotify)");
  std::unique_ptr<FileWatch> made(new FileWatch(loop, descriptor));
  if (Result<> watched = made->watch(EPOLLIN); !watched.ok()) return watched.fault();
  return made;
}

bool FileWatch::add(const std::string& path) {
  if (std::find(paths_.begin(), paths_.end(), path) != paths_.end()) return false;
  paths_.push_back(path);
  watch_paths();
  return true;
}

// All anew: a folder may be another one of the same name, and has its number wherever it went.
void FileWatch::watch_paths() {
  Folders wanted;
  for (const std::string& path : paths_) add_path(path, wanted);
  const std::map<std::string, Watched> before = std::exchange(watched_, {});
  trouble_.clear();
  for (auto& [path, folder] : wanted) {
    const int number = watch_folder(descriptor(), path, folder.passed);
    if (number >= 0) {
      watched_[path] = {.number = number, .names = std::move(folder.names)};
    } else if (!folder.passed) {
      trouble_ = why_not_watched(path, errno);
    }
  }
  std::set<int> used;
  for (const auto& [folder, watched] : watched_) used.insert(watched.number);
  for (const auto& [folder, watched] : before) {
    if (used.insert(watched.number).second) ::inotify_rm_watch(descriptor(), watched.number);
  }
}

void FileWatch::ready(std::uint32_t) {
  readiness_.set();
}

void FileWatch::ring() {
  rang_ = true;
  readiness_.set();
}

// Whether it concerns what is watched.
bool FileWatch::hear(int number, std::uint32_t mask, const std::string& name) {
  if ((mask & IN_IGNORED) != 0) return false;  // the answer to our own forgetting
  if ((mask & IN_Q_OVERFLOW) != 0) {
    unfinished_.clear();
    return true;
  }
  bool known = false;
  bool meant = false;
  for (const auto& [folder, watched] : watched_) {
    if (watched.number != number) continue;
    known = true;
    meant = meant || name.empty() || watched.names.empty() || watched.names.contains(name);
  }
  if (known && !meant) return false;
  if ((mask & IN_MODIFY) != 0) {
    unfinished_[{number, name}] = loop().now();
  } else if ((mask & (IN_CLOSE_WRITE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)) != 0) {
    unfinished_.erase({number, name});
  }
  return true;
}

bool FileWatch::drain() {
  bool any = false;
  while (true) {
    alignas(inotify_event) std::array<char, 4096> events;
    const ssize_t count = ::read(descriptor(), events.data(), events.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    for (ssize_t at = 0; at < count;) {
      inotify_event event{};
      std::memcpy(&event, events.data() + at, sizeof(event));
      const char* const name = events.data() + at + sizeof(event);
      const std::string text(name, event.len == 0 ? 0 : ::strnlen(name, event.len));
      any = hear(event.wd, event.mask, text) || any;
      at += static_cast<ssize_t>(sizeof(event) + event.len);
    }
  }
  readiness_.clear();
  return any;
}

void FileWatch::give_up_unfinished() {
  std::erase_if(unfinished_,
                [this](const auto& each) { return loop().now() - each.second >= longest_write; });
}

Duration FileWatch::until_next_look(Duration longest) const {
  Duration wait = trouble_.empty() ? longest : std::min(longest, look_again);
  for (const auto& [file, written] : unfinished_) {
    wait = std::min(wait, std::max(written + longest_write - loop().now(), Duration{}));
  }
  return wait;
}

bool FileWatch::being_written(const std::string& path) const {
  return !unfinished_.empty() && being_written_now()(path);
}

FileWatch::BeingWritten FileWatch::being_written_now() const {
  std::set<fs::path> files;
  for (const auto& [folder, watched] : watched_) {
    for (const auto& [file, written] : unfinished_) {
      if (file.first == watched.number) files.insert(fs::path(folder) / file.second);
    }
  }
  return [files = std::move(files)](const std::string& path) {
    std::error_code error;
    return !files.empty() && files.contains(fs::canonical(path, error));
  };
}

Task<Result<>> FileWatch::changed(Duration settle, Duration longest) {
  rang_ = false;
  if (const Duration wait = until_next_look(longest); wait != Duration::max()) alarm_.arm(wait);
  while (!drain() && !rang_) {
    if (Result<> woken = co_await readiness_.wait(); !woken.ok()) co_return woken;
  }
  alarm_.stop();
  give_up_unfinished();
  constexpr int kMostRounds = 10;
  for (int round = 0; round < kMostRounds; ++round) {
    if (Result<> slept = co_await loop().sleep(settle); !slept.ok()) co_return slept;
    if (!drain()) break;
  }
  watch_paths();
  co_return done();
}

}  // namespace fairlead::net
