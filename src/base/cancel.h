// Cancellation as a token that travels down the chain of awaits. Whoever waits for something that
// may take long hangs a hook on the token in force; cancel() fires them all. What was cancelled
// answers with a Fault of kind `cancelled`.
#pragma once

#include "base/result.h"

namespace fairlead {

class Cancel;

// What waits under a Cancel. Unhooks itself when it dies.
class CancelHook {
 public:
  CancelHook() = default;
  CancelHook(const CancelHook&) = delete;
  CancelHook& operator=(const CancelHook&) = delete;

 protected:
  ~CancelHook() { unhook(); }

  void hook(Cancel& under);
  // Not hooked anywhere, and `under` not cancelled.
  void unhook();
  virtual void cancelled() = 0;
  // Unhooked already. Resumes nobody and destroys nothing at once: it may only schedule.

 private:
  friend class Cancel;
  Cancel* under_ = nullptr;
  CancelHook* previous_ = nullptr;
  CancelHook* next_ = nullptr;
};

// Outlives all that runs under it. Once cancelled it stays so.
class Cancel final : private CancelHook {
 public:
  Cancel() = default;
  explicit Cancel(Cancel* parent) { inherit(parent); }
  ~Cancel();

  void inherit(Cancel* parent);
  // Cancelled from now on whenever `parent` is; null: nothing happens. Once only.
  void cancel();
  [[nodiscard]] bool is_cancelled() const { return cancelled_; }

 private:
  friend class CancelHook;
  void cancelled() override { cancel(); }

  CancelHook* first_ = nullptr;
  bool cancelled_ = false;
};

[[nodiscard]] Fault cancelled_fault();

}  // namespace fairlead
