// Coroutines. Task<T> is lazy, cannot be moved, and is awaited where it is made: references into
// the caller's frame stay good. A thread's tasks run on that thread alone.
//
//   Task<Result<int>> add(net::Stream& stream) {
//     const int one = co_await number(stream);     // runs now, on this stack of awaits
//     ...
//   }
//
// Never let a lambda that captures be a coroutine: its captures die before its frame does.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/cancel.h"

namespace fairlead {

template <class T = void>
class Task;

// ── waiting ─────────────────────────────────────────────────────────────────────────────────────

// Who waits at a leaf: the base of every awaiter that suspends until an event. Lives in the
// waiting coroutine's frame and costs no frame of its own. It may be destroyed while it waits
// (its coroutine is then destroyed too).
class Waiter : private CancelHook {
 public:
  Waiter() = default;
  virtual ~Waiter();

  template <class Promise>
  bool park(std::coroutine_handle<Promise> coroutine) {
    return park(coroutine, coroutine.promise().cancel);
  }
  bool park(std::coroutine_handle<> coroutine, Cancel* cancel);
  // For await_suspend. False when the coroutine is cancelled already: it must not be suspended.

  void wake();
  // Resumes the coroutine soon, on this thread, from run_ready(). Once until parked again.
  void resume();
  // Resumes the coroutine now. The waiter may be gone afterwards.

  [[nodiscard]] bool parked() const { return parked_; }
  [[nodiscard]] bool was_cancelled() const { return was_cancelled_; }

 protected:
  virtual void leave() {}
  // Cancelled while parked: whoever would have woken this waiter must forget it. Derived classes
  // call their own from their destructor too.

 private:
  friend bool run_ready();
  void cancelled() final;
  void unlink();

  std::coroutine_handle<> coroutine_;
  Waiter* previous_ = nullptr;  // in the thread's list of those ready to run
  Waiter* next_ = nullptr;
  bool listed_ = false;
  bool parked_ = false;
  bool was_cancelled_ = false;
};

bool run_ready();
// Resumes those woken on this thread so far. False when there were none. net::Loop does it; a test
// without a loop may.
[[nodiscard]] bool any_ready();

// ── frames and promises ─────────────────────────────────────────────────────────────────────────

[[nodiscard]] void* take_frame(std::size_t size);
void give_frame(void* frame, std::size_t size) noexcept;
// Memory for coroutine frames, kept by size for the next one on this thread.

struct Promise {
  std::coroutine_handle<> continuation;
  Cancel* cancel = nullptr;  // in force here; inherited by every task awaited from here

  static void* operator new(std::size_t size) { return take_frame(size); }
  static void operator delete(void* frame, std::size_t size) noexcept { give_frame(frame, size); }

  [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
  struct Return {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> done) const noexcept {
      return done.promise().continuation;
    }
    void await_resume() const noexcept {}
  };
  [[nodiscard]] Return final_suspend() const noexcept { return {}; }
  [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
};

template <class T>
struct TaskPromise : Promise {
  std::optional<T> value;
  Task<T> get_return_object();
  template <class U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
  T take() { return std::move(*value); }
};

template <>
struct TaskPromise<void> : Promise {
  Task<void> get_return_object();
  void return_void() const noexcept {}
  void take() const noexcept {}
};

// A task's frame, owned, for those that run tasks (loops, `under`, `both`): unlike a Task it can be
// moved, and whoever moves it answers for what the coroutine refers to.
template <class T>
class OwnedTask {
 public:
  using promise_type = TaskPromise<T>;
  explicit OwnedTask(std::coroutine_handle<promise_type> frame) : frame_(frame) {}
  OwnedTask(OwnedTask&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  OwnedTask& operator=(OwnedTask&&) = delete;
  ~OwnedTask() {
    if (frame_) frame_.destroy();
  }

  [[nodiscard]] std::coroutine_handle<promise_type> frame() const { return frame_; }
  [[nodiscard]] bool done() const { return frame_.done(); }
  T take() { return frame_.promise().take(); }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class P>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<P> parent) noexcept {
    frame_.promise().continuation = parent;
    frame_.promise().cancel = parent.promise().cancel;
    return frame_;
  }
  T await_resume() { return frame_.promise().take(); }

 private:
  std::coroutine_handle<promise_type> frame_;
};

template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = TaskPromise<T>;
  using value_type = T;
  explicit Task(std::coroutine_handle<promise_type> frame) : owned_(frame) {}
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  OwnedTask<T> operator co_await() && { return std::move(owned_); }
  OwnedTask<T> release() && { return std::move(owned_); }

 private:
  OwnedTask<T> owned_;
};

template <class T>
Task<T> TaskPromise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}
inline Task<void> TaskPromise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}

// ── combinations ────────────────────────────────────────────────────────────────────────────────

// co_await under(cancel, work()): `cancel` is in force in it instead of the caller's.
template <class T>
class Under {
 public:
  Under(Cancel& cancel, OwnedTask<T> task) : cancel_(&cancel), task_(std::move(task)) {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class P>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<P> parent) noexcept {
    const auto frame = task_.await_suspend(parent);
    task_.frame().promise().cancel = cancel_;
    return frame;
  }
  T await_resume() { return task_.take(); }

 private:
  Cancel* cancel_;
  OwnedTask<T> task_;
};

template <class T>
[[nodiscard]] Under<T> under(Cancel& cancel, Task<T> task) {
  return Under<T>(cancel, std::move(task).release());
}

// co_await both(read(), write()): runs the two side by side on this thread; a pair of their values
// when both have ended.
template <class A, class B>
class Both {
 public:
  Both(OwnedTask<A> first, OwnedTask<B> second)
      : first_(std::move(first)), second_(std::move(second)) {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class P>
  bool await_suspend(std::coroutine_handle<P> parent) {
    parent_ = parent;
    begin(first_, one_, parent.promise().cancel);
    begin(second_, two_, parent.promise().cancel);
    return --left_ != 0;
  }
  std::pair<A, B> await_resume() { return {first_.take(), second_.take()}; }

 private:
  // A coroutine of no size that counts down where a task ends.
  struct Join {
    struct promise_type {
      Both* owner = nullptr;
      static void* operator new(std::size_t size) { return take_frame(size); }
      static void operator delete(void* frame, std::size_t size) noexcept {
        give_frame(frame, size);
      }
      Join get_return_object() {
        return Join{std::coroutine_handle<promise_type>::from_promise(*this)};
      }
      [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
      struct Return {
        [[nodiscard]] bool await_ready() const noexcept { return false; }
        std::coroutine_handle<> await_suspend(
            std::coroutine_handle<promise_type> done) const noexcept {
          Both& owned_by = *done.promise().owner;
          return --owned_by.left_ == 0 ? owned_by.parent_ : std::noop_coroutine();
        }
        void await_resume() const noexcept {}
      };
      [[nodiscard]] Return final_suspend() const noexcept { return {}; }
      void return_void() const noexcept {}
      [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
    };
    explicit Join(std::coroutine_handle<promise_type> made) : frame(made) {}
    Join(Join&& other) noexcept : frame(std::exchange(other.frame, nullptr)) {}
    Join& operator=(Join&&) = delete;
    ~Join() {
      if (frame) frame.destroy();
    }
    std::coroutine_handle<promise_type> frame;
  };
  static Join join() { co_return; }

  template <class T>
  void begin(OwnedTask<T>& task, Join& at_end, Cancel* cancel) {
    at_end.frame.promise().owner = this;
    auto& promise = task.frame().promise();
    promise.continuation = at_end.frame;
    promise.cancel = cancel;
    task.frame().resume();
  }

  OwnedTask<A> first_;
  OwnedTask<B> second_;
  Join one_ = join();
  Join two_ = join();
  std::coroutine_handle<> parent_;
  int left_ = 3;  // the two, and the beginning itself
};

template <class A, class B>
[[nodiscard]] Both<A, B> both(Task<A> first, Task<B> second) {
  return Both<A, B>(std::move(first).release(), std::move(second).release());
}

// co_await cancellation_here(): the Cancel in force, or null.
class CancellationHere {
 public:
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class P>
  bool await_suspend(std::coroutine_handle<P> here) noexcept {
    cancel_ = here.promise().cancel;
    return false;
  }
  [[nodiscard]] Cancel* await_resume() const noexcept { return cancel_; }

 private:
  Cancel* cancel_ = nullptr;
};
[[nodiscard]] inline CancellationHere cancellation_here() {
  return {};
}

}  // namespace fairlead
