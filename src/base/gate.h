// Those who work inside are counted; whoever closes the gate cancels them and waits until the last
// has left. An object that starts detached work has one, and closes it before it dies.
#pragma once

#include <cstddef>

#include "base/task.h"

namespace fairlead {

class Gate {
 public:
  // Someone inside. Empty when moved from, or when the gate was shut.
  class Hold {
   public:
    Hold() = default;
    Hold(Hold&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Hold& operator=(Hold&& other) noexcept {
      if (this != &other) {
        leave();
        gate_ = std::exchange(other.gate_, nullptr);
      }
      return *this;
    }
    ~Hold() { leave(); }
    explicit operator bool() const { return gate_ != nullptr; }
    void leave();

   private:
    friend class Gate;
    explicit Hold(Gate* gate) : gate_(gate) {}
    Gate* gate_ = nullptr;
  };

  Gate() = default;
  explicit Gate(Cancel* parent) : cancel_(parent) {}
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  ~Gate();  // nobody is inside

  [[nodiscard]] Hold enter();
  void shut() { open_ = false; }
  // Nobody enters any more; those inside go on.
  [[nodiscard]] bool is_open() const { return open_; }
  [[nodiscard]] std::size_t inside() const { return inside_; }
  [[nodiscard]] Cancel& cancel() LIFETIMEBOUND { return cancel_; }
  // In force for those inside (net::Loop::start sees to it).

  // co_await gate.empty(): shuts it and waits for the last to leave. One waits at a time. Is not
  // itself cancelled.
  class Empty final : public Waiter {
   public:
    explicit Empty(Gate& gate) : gate_(gate) {}
    ~Empty() override { leave(); }
    [[nodiscard]] bool await_ready() const { return gate_.inside_ == 0; }
    void await_suspend(std::coroutine_handle<> coroutine) {
      gate_.closer_ = this;
      park(coroutine, nullptr);
    }
    void await_resume() const {}

   private:
    void leave() override {
      if (gate_.closer_ == this) gate_.closer_ = nullptr;
    }
    Gate& gate_;
  };
  [[nodiscard]] Empty empty() {
    shut();
    return Empty(*this);
  }
  [[nodiscard]] Empty close() {
    shut();
    cancel_.cancel();
    return Empty(*this);
  }
  // The same, with those inside cancelled.

 private:
  Cancel cancel_;
  std::size_t inside_ = 0;
  bool open_ = true;
  Empty* closer_ = nullptr;
};

}  // namespace fairlead
