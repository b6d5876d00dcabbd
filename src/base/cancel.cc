#include "base/cancel.h"

namespace fairlead {

void CancelHook::hook(Cancel& under) {
  under_ = &under;
  previous_ = nullptr;
  next_ = under.first_;
  if (next_ != nullptr) next_->previous_ = this;
  under.first_ = this;
}

void CancelHook::unhook() {
  if (under_ == nullptr) return;
  if (previous_ != nullptr) {
    previous_->next_ = next_;
  } else {
    under_->first_ = next_;
  }
  if (next_ != nullptr) next_->previous_ = previous_;
  under_ = nullptr;
  previous_ = next_ = nullptr;
}

Cancel::~Cancel() {
  while (first_ != nullptr) first_->unhook();
}

void Cancel::inherit(Cancel* parent) {
  if (parent == nullptr) return;
  if (parent->is_cancelled()) {
    cancel();
  } else {
    hook(*parent);
  }
}

void Cancel::cancel() {
  if (cancelled_) return;
  cancelled_ = true;
  unhook();
  while (first_ != nullptr) {
    CancelHook* hook = first_;
    hook->unhook();
    hook->cancelled();
  }
}

Fault cancelled_fault() {
  return Fault{FaultKind::cancelled, "cancelled"};
}

}  // namespace fairlead
