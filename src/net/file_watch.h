// Tells when files may have changed (inotify). What changed is for the owner to read again.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/lifetime.h"
#include "net/loop.h"
#include "net/readiness.h"
#include "net/timer.h"

namespace fairlead::net {

class FileWatch final : private Source {
 public:
  static Result<std::unique_ptr<FileWatch>> make(Loop& loop);

  bool add(const std::string& path);
  // A file (written in place, replaced by rename, removed, made again: its folder is watched) or a
  // folder (its direct entries). Links are followed, all on the way and those to files in a folder:
  // it is seen when one of them leads elsewhere, or a folder above becomes another one. What does
  // not exist yet is waited for, from its nearest folder that does. False: it was added before.
  [[nodiscard]] Task<Result<>> changed(Duration settle = std::chrono::milliseconds(20),
                                       Duration longest = Duration::max());
  // Until something may have changed since the last call, and nothing more has come for `settle`
  // (or for ten times that, when changes do not end). It may be a false alarm: after `longest`, and
  // every two seconds while there is trouble().

  [[nodiscard]] bool being_written(const std::string& path) const;
  // Somebody has written to that file and still has it open: what it holds may be half of what it
  // will. changed() returns when it is closed; ten seconds after the last write it counts as whole.

  using BeingWritten = std::function<bool(const std::string& path)>;
  [[nodiscard]] BeingWritten being_written_now() const;
  // The same as a value, of this moment; from any thread.

  [[nodiscard]] Instant now() const { return loop().now(); }
  // Of the clock by which it waits.

  [[nodiscard]] const std::string& trouble() const LIFETIMEBOUND { return trouble_; }
  // Why a folder cannot be watched; empty: all are.

 private:
  struct Watched {
    int number = -1;              // the kernel's
    std::set<std::string> names;  // of its entries; empty: all are meant
  };

  FileWatch(Loop& loop, int descriptor)
      : Source(loop, descriptor), alarm_(loop, [this] { ring(); }) {}
  void ready(std::uint32_t events) override;
  void ring();
  [[nodiscard]] bool drain();
  [[nodiscard]] bool hear(int number, std::uint32_t mask, const std::string& name);
  void give_up_unfinished();
  [[nodiscard]] Duration until_next_look(Duration longest) const;
  void watch_paths();

  Readiness readiness_;
  Timer alarm_;
  bool rang_ = false;
  std::vector<std::string> paths_;
  std::map<std::string, Watched> watched_;                     // by folder
  std::map<std::pair<int, std::string>, Instant> unfinished_;  // when it was written to last
  std::string trouble_;
};

}  // namespace fairlead::net
