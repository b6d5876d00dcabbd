#include "base/task.h"

#include <array>
#include <cstdlib>
#include <new>

#include "base/memory.h"

namespace fairlead {
namespace {

// Frames are kept by size in steps of 64 bytes. Under a sanitizer every frame is fresh, so that a
// use after its end is seen.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kKeepFrames = false;
#else
constexpr bool kKeepFrames = true;
#endif
#else
constexpr bool kKeepFrames = true;
#endif
constexpr std::size_t kStep = 64;
constexpr std::size_t kSizes = 32;       // up to 2 KiB; greater ones are not kept
constexpr std::size_t kMostKept = 1024;  // of one size

struct FreeFrame {
  FreeFrame* next;
};

struct Frames {
  struct Size {
    FreeFrame* first = nullptr;
    std::size_t count = 0;
  };
  std::array<Size, kSizes> sizes;

  Frames() = default;
  Frames(const Frames&) = delete;
  Frames& operator=(const Frames&) = delete;
  ~Frames() {
    for (Size& size : sizes) {
      while (size.first != nullptr) {
        FreeFrame* next = size.first->next;
        ::operator delete(size.first);
        size.first = next;
      }
      size.count = kMostKept;  // frames that die later are not kept
    }
  }
};

thread_local Frames frames;

struct ReadyList {
  Waiter* first = nullptr;
  Waiter* last = nullptr;
  std::size_t count = 0;
};
thread_local ReadyList ready;

}  // namespace

void* take_frame(std::size_t size) {
  const std::size_t index = (size + kStep - 1) / kStep - 1;
  if (!kKeepFrames || index >= kSizes) return ::operator new(size);
  Frames::Size& kept = frames.sizes[index];
  if (kept.first == nullptr) return ::operator new((index + 1) * kStep);
  FreeFrame* frame = kept.first;
  kept.first = frame->next;
  --kept.count;
  return frame;
}

void give_frame(void* frame, std::size_t size) noexcept {
  const std::size_t index = (size + kStep - 1) / kStep - 1;
  if (!kKeepFrames || index >= kSizes || frames.sizes[index].count >= kMostKept) {
    ::operator delete(frame);
    return;
  }
  Frames::Size& kept = frames.sizes[index];
  kept.first = new (frame) FreeFrame{kept.first};
  ++kept.count;
}

void give_back_frames(std::size_t keep) {
  for (Frames::Size& size : frames.sizes) {
    while (size.first != nullptr && size.count > keep) {
      FreeFrame* const frame = size.first;
      size.first = frame->next;
      --size.count;
      ::operator delete(frame);
    }
  }
}

std::size_t kept_frames() {
  std::size_t all = 0;
  for (const Frames::Size& size : frames.sizes) all += size.first != nullptr ? size.count : 0;
  return all;
}

Waiter::~Waiter() {
  unlink();
}

bool Waiter::park(std::coroutine_handle<> coroutine, Cancel* cancel) {
  if (cancel != nullptr) {
    if (cancel->is_cancelled()) {
      was_cancelled_ = true;
      return false;
    }
    hook(*cancel);
  }
  coroutine_ = coroutine;
  parked_ = true;
  return true;
}

void Waiter::wake() {
  if (!parked_ || listed_) return;
  unhook();
  listed_ = true;
  previous_ = ready.last;
  next_ = nullptr;
  if (ready.last != nullptr) {
    ready.last->next_ = this;
  } else {
    ready.first = this;
  }
  ready.last = this;
  ++ready.count;
}

void Waiter::resume() {
  if (!parked_) return;
  unhook();
  unlink();
  parked_ = false;
  coroutine_.resume();
}

void Waiter::cancelled() {
  was_cancelled_ = true;
  leave();
  wake();
}

void Waiter::unlink() {
  if (!listed_) return;
  listed_ = false;
  --ready.count;
  (previous_ != nullptr ? previous_->next_ : ready.first) = next_;
  (next_ != nullptr ? next_->previous_ : ready.last) = previous_;
}

bool run_ready() {
  if (ready.first == nullptr) return false;
  // Those woken by these wait for the next call: events and timers get their turn.
  for (std::size_t left = ready.count; left != 0 && ready.first != nullptr; --left) {
    ready.first->resume();
  }
  return true;
}

bool any_ready() {
  return ready.first != nullptr;
}

}  // namespace fairlead
