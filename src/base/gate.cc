#include "base/gate.h"

#include "base/log.h"

namespace fairlead {

Gate::~Gate() {
  if (inside_ == 0) return;
  log::error("a gate was destroyed with work still inside");
  std::terminate();
}

Gate::Hold Gate::enter() {
  if (!open_) return {};
  ++inside_;
  return Hold(this);
}

void Gate::Hold::leave() {
  if (gate_ == nullptr) return;
  Gate& gate = *std::exchange(gate_, nullptr);
  if (--gate.inside_ == 0 && gate.closer_ != nullptr) {
    std::exchange(gate.closer_, nullptr)->wake();
  }
}

}  // namespace fairlead
