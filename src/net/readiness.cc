#include "net/readiness.h"

namespace fairlead::net {

void Readiness::set() {
  set_ = true;
  if (waiting_ != nullptr) std::exchange(waiting_, nullptr)->resume();
}

void Readiness::set_soon() {
  set_ = true;
  if (waiting_ != nullptr) std::exchange(waiting_, nullptr)->wake();
}

void Readiness::close() {
  closed_ = true;
  if (waiting_ != nullptr) std::exchange(waiting_, nullptr)->wake();
}

Result<> Readiness::Wait::await_resume() const {
  if (was_cancelled()) return cancelled_fault();
  if (readiness_.closed_) return Fault{FaultKind::closed, "closed here"};
  return done();
}

}  // namespace fairlead::net
