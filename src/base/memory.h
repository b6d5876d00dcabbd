// The process's memory, and when to give back what a burst has left. The allocator keeps freed
// pages for the next burst, which may never come.
#pragma once

#include <cstddef>
#include <optional>

#include "base/clock.h"

namespace fairlead {

struct MemoryLook {
  Instant at;
  Duration cpu{};            // that the process has used so far
  std::size_t resident = 0;  // bytes
};
[[nodiscard]] MemoryLook look_at_memory(Instant now);

// Decides, from one look to the next, whether the allocator's free pages are to be returned. Pure.
class MemoryTrim {
 public:
  static constexpr std::size_t worth = 1024 * 1024;  // bytes that came since the last time

  [[nodiscard]] bool is_due(const MemoryLook& look);
  // When the process has been calm since the last look (less than a quarter of one CPU), and more
  // is resident than after the last time: what did not go then does not go now.
  void done(std::size_t resident) { after_ = resident; }
  // It was tried, and so much is left.

 private:
  std::optional<MemoryLook> last_;
  std::size_t after_ = 0;
};

void give_back_frames(std::size_t keep);
// Of what take_frame() (task.h) keeps on this thread, all but `keep` of each size.
[[nodiscard]] std::size_t kept_frames();  // on this thread

void return_free_memory();
// Takes about a millisecond for ten megabytes, during which other threads may wait to allocate.

}  // namespace fairlead
