#include "net/give_back.h"

#include <mutex>
#include <utility>

#include "base/memory.h"
#include "base/task.h"

namespace fairlead::net {
namespace {

constexpr std::size_t frames_kept = 16;  // of a size

struct OfProcess {
  std::mutex mutex;
  MemoryTrim trim;
  Instant last;
};

void trim_process() {
  static OfProcess shared;
  const std::unique_lock lock(shared.mutex, std::try_to_lock);
  if (!lock) return;
  const Instant now = std::chrono::steady_clock::now();
  if (now - shared.last < GiveBack::between / 2) return;
  shared.last = now;
  if (!shared.trim.is_due(look_at_memory(now))) return;
  return_free_memory();
  shared.trim.done(look_at_memory(now).resident);
}

}  // namespace

GiveBack::GiveBack(Loop& loop, std::function<void()> shrink)
    : shrink_(std::move(shrink)), timer_(loop, [this] { now(); }) {
  timer_.arm(between);
}

void GiveBack::now() {
  if (shrink_) shrink_();
  give_back_frames(frames_kept);
  trim_process();
  timer_.arm(between);
}

}  // namespace fairlead::net
