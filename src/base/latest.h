// A slot with the newest value. Readers wait for one that they have not seen; what came between is
// skipped. For one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/task.h"

namespace fairlead {

template <class T>
class Latest {
 public:
  Latest() = default;
  explicit Latest(T first) : value_(std::move(first)), number_(1) {}
  Latest(const Latest&) = delete;
  Latest& operator=(const Latest&) = delete;

  void set(T value) {
    value_ = std::move(value);
    ++number_;
    for (Changed* waiting : std::exchange(waiting_, {})) waiting->wake();
  }
  [[nodiscard]] const T& get() const LIFETIMEBOUND { return value_; }
  [[nodiscard]] std::uint64_t number() const { return number_; }
  // 0 while nothing was set; one more with each set().

  // co_await latest.after(seen): a Result<> once number() is greater than `seen`.
  class Changed final : public Waiter {
   public:
    Changed(Latest& latest, std::uint64_t seen) : latest_(latest), seen_(seen) {}
    ~Changed() override { leave(); }
    [[nodiscard]] bool await_ready() const { return latest_.number_ > seen_; }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> coroutine) {
      if (!park(coroutine)) return false;
      latest_.waiting_.push_back(this);
      return true;
    }
    [[nodiscard]] Result<> await_resume() const {
      if (was_cancelled()) return cancelled_fault();
      return done();
    }

   private:
    void leave() override { std::erase(latest_.waiting_, this); }
    Latest& latest_;
    std::uint64_t seen_;
  };
  [[nodiscard]] Changed after(std::uint64_t seen) { return Changed(*this, seen); }

 private:
  T value_{};
  std::uint64_t number_ = 0;
  std::vector<Changed*> waiting_;
};

}  // namespace fairlead
