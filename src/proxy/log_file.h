// Access logs on their way to files. Workers gather whole lines and hand them over; one thread
// writes. A disk that is full or a pipe that nobody reads costs lines, never traffic.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/lifetime.h"
#include "base/result.h"

namespace fairlead::proxy {

class LogFiles {
 public:
  static constexpr std::size_t most_waiting = std::size_t{16} * 1024 * 1024;  // bytes a file

  LogFiles();
  ~LogFiles();  // writes what is left, if that takes no longer than a second
  LogFiles(const LogFiles&) = delete;
  LogFiles& operator=(const LogFiles&) = delete;
  // Everything here may be called from any thread, and never waits for a disk.

  struct File;
  File& open(const std::string& path) LIFETIMEBOUND;
  // Appends to it, and makes it when it is not there. "/dev/stdout" and "/dev/stderr" are the
  // process's own. The same path gives the same file. A file that cannot be opened is said in the
  // program's log, and tried again with each reopen() and each second.

  [[nodiscard]] static Result<> can_open(const std::string& path);
  // Opens it for appending, and makes it when it is not there; a pipe that nobody reads yet is
  // good. For whoever would rather not start than lose lines. Fault: denied or missing, with the
  // reason.

  void write(File& file, std::string lines);
  // Lines are dropped, and counted, when `most_waiting` bytes of this file wait already.
  void reopen();
  // After the files were moved away.
  void flush();
  // Waits until what was handed over is written, or a second has passed.

  [[nodiscard]] std::uint64_t dropped() const;  // bytes, in all files

 private:
  void run();
  void write_one(File& file, const std::string& lines);
  static void open_now(File& file);

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  std::map<std::string, std::unique_ptr<File>> files_;
  bool reopen_ = false;
  bool stop_ = false;
  bool busy_ = false;
  std::uint64_t dropped_ = 0;
  std::thread thread_;
};

// What one worker has gathered for one file.
class LogBuffer {
 public:
  static constexpr std::size_t full = std::size_t{64} * 1024;
  static constexpr std::size_t slack = std::size_t{4} * 1024;  // for the line that makes it full

  LogBuffer(LogFiles& files, const std::string& path) : files_(files), file_(files.open(path)) {}
  ~LogBuffer() { flush(); }
  LogBuffer(const LogBuffer&) = delete;
  LogBuffer& operator=(const LogBuffer&) = delete;

  [[nodiscard]] std::string& text() LIFETIMEBOUND {
    if (text_.capacity() < full) text_.reserve(full + slack);
    return text_;
  }
  // To append whole lines to; then call grown().
  void grown() {
    if (text_.size() >= full) flush();
  }
  void flush();

 private:
  LogFiles& files_;
  LogFiles::File& file_;
  std::string text_;
};

}  // namespace fairlead::proxy
