#include "proxy/log_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/log.h"

namespace fairlead::proxy {

struct LogFiles::File {
  std::string path;
  int descriptor = -1;
  bool own = false;       // ours to close
  bool troubled = false;  // said so already
  std::string waiting;    // under the mutex
};

namespace {

constexpr std::chrono::seconds patience{1};
constexpr int how_opened = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY;

bool is_standard(const std::string& path) {
  return path == "/dev/stdout" || path == "/dev/stderr";
}

void tell_trouble(LogFiles::File& file, const char* what);

}  // namespace

LogFiles::LogFiles() : thread_([this] { run(); }) {}

LogFiles::~LogFiles() {
  flush();
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  // A write that blocks for ever (a pipe that nobody reads) must not keep the process.
  std::unique_lock lock(mutex_);
  const bool idle = idle_.wait_for(lock, patience, [this] { return !busy_; });
  lock.unlock();
  if (!idle) {
    for (const auto& [path, file] : files_) {
      if (file->descriptor >= 0) ::fcntl(file->descriptor, F_SETFL, O_NONBLOCK | O_APPEND);
    }
  }
  thread_.join();
  for (const auto& [path, file] : files_) {
    if (file->own && file->descriptor >= 0) ::close(file->descriptor);
  }
}

LogFiles::File& LogFiles::open(const std::string& path) LIFETIMEBOUND {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<File>& file = files_[path];
  if (!file) {
    file = std::make_unique<File>();
    file->path = path;
  }
  return *file;
}

void LogFiles::write(File& file, std::string lines) {
  {
    const std::lock_guard lock(mutex_);
    if (file.waiting.size() + lines.size() > most_waiting) {
      dropped_ += lines.size();
      return;
    }
    if (file.waiting.empty()) {
      file.waiting = std::move(lines);
    } else {
      file.waiting += lines;
    }
  }
  wake_.notify_one();
}

void LogFiles::reopen() {
  {
    const std::lock_guard lock(mutex_);
    reopen_ = true;
  }
  wake_.notify_one();
}

void LogFiles::flush() {
  std::unique_lock lock(mutex_);
  idle_.wait_for(lock, patience, [this] {
    if (busy_) return false;
    for (const auto& [path, file] : files_) {
      if (!file->waiting.empty()) return false;
    }
    return true;
  });
}

std::uint64_t LogFiles::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

void LogFiles::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    File* next = nullptr;
    for (const auto& [path, file] : files_) {
      if (!file->waiting.empty()) next = file.get();
    }
    if (reopen_) {
      reopen_ = false;
      for (const auto& [path, file] : files_) {
        if (file->own) ::close(std::exchange(file->descriptor, -1));
      }
      continue;
    }
    if (next == nullptr) {
      if (stop_) return;
      wake_.wait(lock);
      continue;
    }
    const std::string lines = std::exchange(next->waiting, {});
    busy_ = true;
    lock.unlock();
    write_one(*next, lines);
    lock.lock();
    busy_ = false;
    idle_.notify_all();
  }
}

Result<> LogFiles::can_open(const std::string& path) {
  if (is_standard(path)) return done();
  const int opened = ::open(path.c_str(), how_opened | O_NONBLOCK, 0644);
  if (opened >= 0) ::close(opened);
  if (opened >= 0 || errno == ENXIO) return done();
  return from_errno(errno, "opening the access log " + path);
}

void LogFiles::open_now(File& file) {
  if (is_standard(file.path)) {
    file.descriptor = file.path == "/dev/stdout" ? STDOUT_FILENO : STDERR_FILENO;
    return;
  }
  file.descriptor = ::open(file.path.c_str(), how_opened, 0644);
  file.own = file.descriptor >= 0;
  if (file.descriptor < 0) tell_trouble(file, "opening");
}

void LogFiles::write_one(File& file, const std::string& lines) {
  if (file.descriptor < 0) open_now(file);
  std::size_t written = 0;
  while (file.descriptor >= 0 && written < lines.size()) {
    const ssize_t count = ::write(file.descriptor, lines.data() + written, lines.size() - written);
    if (count > 0) {
      written += static_cast<std::size_t>(count);
      file.troubled = false;
    } else if (count < 0 && errno != EINTR) {
      tell_trouble(file, "writing");
      break;
    }
  }
  if (written == lines.size()) return;
  const std::lock_guard lock(mutex_);
  dropped_ += lines.size() - written;
}

namespace {

void tell_trouble(LogFiles::File& file, const char* what) {
  if (file.troubled) return;
  file.troubled = true;
  log::error("access log: " + std::string(what) + " " + file.path + ": " + std::strerror(errno) +
             "; its lines are lost until that works");
}

}  // namespace

void LogBuffer::flush() {
  if (text_.empty()) return;
  files_.write(file_, std::move(text_));
  text_ = std::string();
}

}  // namespace fairlead::proxy
