// One thread's loop: readiness of descriptors (epoll, edge triggered), timers, work posted by other
// threads, and the coroutines that run on it. Nothing here is shared between threads but post() and
// stop().
//
//   net::Loop loop;
//   Result<> ended = loop.run(serve(loop));      // a Task<Result<>>; the loop runs until it ends
//
// Detached work: `loop.start(gate, task())`. It runs until its first wait at once, and is destroyed
// with the loop if it has not ended by then.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/clock.h"
#include "base/gate.h"
#include "base/lifetime.h"
#include "base/result.h"
#include "base/task.h"
#include "net/timer.h"

namespace fairlead::net {

class Loop;

// A descriptor registered with a loop. Owns the descriptor.
class Source {
 public:
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  [[nodiscard]] Loop& loop() const { return loop_; }
  [[nodiscard]] int descriptor() const { return descriptor_; }

 protected:
  Source(Loop& loop, int descriptor) : loop_(loop), descriptor_(descriptor) {}
  ~Source() { close_descriptor(); }

  [[nodiscard]] Result<> watch(std::uint32_t events);
  // EPOLL* bits; EPOLLET is added. Again to change them.
  void close_descriptor();
  // No event comes afterwards, not even one that the kernel has reported already.
  virtual void ready(std::uint32_t events) = 0;
  // May destroy the source.

 private:
  friend class Loop;
  Loop& loop_;
  int descriptor_;
  bool watched_ = false;
};

// Something to do once at the end of the loop's present turn, before it sleeps: writes that were
// collected go out here. Forgets itself when it dies.
class TurnEnd {
 public:
  TurnEnd() = default;
  TurnEnd(const TurnEnd&) = delete;
  TurnEnd& operator=(const TurnEnd&) = delete;

 protected:
  ~TurnEnd();
  virtual void turn_ended() = 0;
  // May destroy itself, and ask again.

 private:
  friend class Loop;
  TurnEnd** at_ = nullptr;
  TurnEnd* next_ = nullptr;
};

class Loop {
 public:
  Loop();
  explicit Loop(const Clock& clock);
  // `clock` outlives it. With one that stands still use settle(): run() would sleep by it.
  ~Loop();
  // All sources and timers of a loop die before it, or with its detached tasks.
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void run();
  // Until stop(). A stop() from before run() counts.
  void stop();  // from any thread

  template <class T>
  T run(Task<T> task);
  // Runs the loop until `task` has ended, whatever stop() says.

  bool settle(int most_turns = 10'000);
  // Turns without sleeping until nothing is left to be done at this time. False when something is
  // still left after so many turns: whoever is behind it makes no progress. For tests.
  [[nodiscard]] std::optional<Instant> next_timer() const;
  // No timer fires before that; absent when none is armed.

  void start(Task<> task, Cancel* cancel = nullptr);
  bool start(Gate& gate, Task<> task);
  // Detached. Inside `gate`, and under its cancel(); false, and the task never runs, when the gate
  // is shut.

  void post(std::function<void()> work);
  // Called on the loop's thread, soon; from any thread.

  [[nodiscard]] Instant now() const { return now_; }
  // When the present batch of events began. Costs nothing.
  [[nodiscard]] const Clock& clock() const LIFETIMEBOUND { return clock_; }

  class Sleep;
  [[nodiscard]] Sleep sleep(Duration time);
  // co_await gives Result<>: a fault only when cancelled.

  void arm(WheelEntry& entry, Duration after);  // after now()
  void at_turn_end(TurnEnd& what);

 private:
  friend class Source;
  struct Root;
  struct Posted;
  struct Detached {  // a detached task's link in the list of them
    Detached* next = nullptr;
    Detached** at = nullptr;
  };
  static constexpr int kBatch = 256;

  void turn() { (void)turn_within(milliseconds_to_sleep()); }
  bool turn_within(int milliseconds);
  void turn_until(const bool& ended);
  void dispatch(int count);
  void end_turn();
  void forget(const Source& source);
  [[nodiscard]] int milliseconds_to_sleep() const;
  [[nodiscard]] std::uint64_t whole_ticks(Instant time) const;
  void begin(OwnedTask<void> task, Cancel* cancel, Gate::Hold hold);
  template <class T>
  static Task<> hand_over(OwnedTask<T> task, std::optional<T>& value, bool& ended);
  static Task<> hand_over(OwnedTask<void> task, bool& ended);

  const Clock& clock_;
  int epoll_ = -1;
  std::array<epoll_event, kBatch> events_;
  int event_at_ = 0;
  int event_count_ = 0;
  Instant began_;
  Instant now_;
  Wheel wheel_;
  TurnEnd* turn_ends_ = nullptr;
  std::unique_ptr<Posted> posted_;
  Detached* detached_ = nullptr;
  bool stopped_ = false;
  bool turning_ = false;
};

class Loop::Sleep final : public Waiter, private WheelEntry {
 public:
  Sleep(Loop& loop, Duration time) : loop_(loop), time_(time) {}
  [[nodiscard]] bool await_ready() const { return false; }
  template <class P>
  bool await_suspend(std::coroutine_handle<P> coroutine) {
    if (!park(coroutine)) return false;
    loop_.arm(*this, time_);
    return true;
  }
  [[nodiscard]] Result<> await_resume() const {
    if (was_cancelled()) return cancelled_fault();
    return done();
  }

 private:
  void expired() override { resume(); }
  void leave() override { stop(); }
  Loop& loop_;
  Duration time_;
};

inline Loop::Sleep Loop::sleep(Duration time) {
  return {*this, time};
}

// co_await within(loop, time, work()): work that gives a Result, cancelled when the time is over;
// its fault is then of kind `timed_out`. A cancellation from outside stays `cancelled`.
template <class T>
class Within final : private WheelEntry {
 public:
  Within(Loop& loop, Duration time, OwnedTask<Result<T>> task)
      : loop_(loop), time_(time), task_(std::move(task)) {}

  [[nodiscard]] bool await_ready() const { return false; }
  template <class P>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<P> parent);
  Result<T> await_resume();

 private:
  void expired() override {
    expired_ = true;
    cancel_.cancel();
  }
  Loop& loop_;
  Duration time_;
  Cancel cancel_;
  OwnedTask<Result<T>> task_;
  bool expired_ = false;
};

template <class T>
[[nodiscard]] Within<T> within(Loop& loop, Duration time, Task<Result<T>> task) {
  return Within<T>(loop, time, std::move(task).release());
}

[[nodiscard]] Fault timed_out_after(Duration time);

// ── definitions ─────────────────────────────────────────────────────────────────────────────────

template <class T>
Task<> Loop::hand_over(OwnedTask<T> task, std::optional<T>& value, bool& ended) {
  value.emplace(co_await task);
  ended = true;
}

template <class T>
T Loop::run(Task<T> task) {
  bool ended = false;
  if constexpr (std::is_void_v<T>) {
    start(hand_over(std::move(task).release(), ended));
    turn_until(ended);
  } else {
    std::optional<T> value;
    start(hand_over(std::move(task).release(), value, ended));
    turn_until(ended);
    return std::move(*value);
  }
}

template <class T>
template <class P>
std::coroutine_handle<> Within<T>::await_suspend(std::coroutine_handle<P> parent) {
  cancel_.inherit(parent.promise().cancel);
  const std::coroutine_handle<> frame = task_.await_suspend(parent);
  task_.frame().promise().cancel = &cancel_;
  loop_.arm(*this, time_);
  return frame;
}

template <class T>
Result<T> Within<T>::await_resume() {
  stop();
  Result<T> result = task_.take();
  if (!result.ok() && expired_ && result.fault().kind == FaultKind::cancelled) {
    return timed_out_after(time_);
  }
  return result;
}

}  // namespace fairlead::net
