// Whether a source has something to do, and who waits for that: for all sources that are no
// streams. Edge triggered: set when the kernel says so, cleared when it was found to be drained.
#pragma once

#include <utility>

#include "base/result.h"
#include "base/task.h"

namespace fairlead::net {

class Readiness {
 public:
  Readiness() = default;
  Readiness(const Readiness&) = delete;
  Readiness& operator=(const Readiness&) = delete;

  [[nodiscard]] bool is_set() const { return set_; }
  void clear() { set_ = false; }
  void set();
  // Resumes the waiter now: the owner may be gone afterwards.
  void set_soon();
  // Resumes the waiter later in this turn: what is set until then is one wake-up.
  void close();
  // From now on waiting is a fault, `closed`.
  [[nodiscard]] bool is_closed() const { return closed_; }

  // co_await gives Result<>. One waits at a time.
  class Wait final : public Waiter {
   public:
    explicit Wait(Readiness& readiness) : readiness_(readiness) {}
    ~Wait() override { leave(); }
    [[nodiscard]] bool await_ready() const { return readiness_.set_ || readiness_.closed_; }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> coroutine) {
      if (!park(coroutine)) return false;
      readiness_.waiting_ = this;
      return true;
    }
    [[nodiscard]] Result<> await_resume() const;

   private:
    friend class Readiness;
    void leave() override {
      if (parked() && readiness_.waiting_ == this) readiness_.waiting_ = nullptr;
    }
    Readiness& readiness_;
  };
  [[nodiscard]] Wait wait() { return Wait(*this); }

 private:
  bool set_ = false;
  bool closed_ = false;
  Wait* waiting_ = nullptr;
};

}  // namespace fairlead::net
