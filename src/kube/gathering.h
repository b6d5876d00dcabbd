// Objects of documents that come one after the other.
#pragma once

#include <memory>
#include <vector>

#include "base/lifetime.h"
#include "document/document.h"
#include "kube/read.h"

namespace fairlead::kube {

// As read() does it, document by document: each may go once it was added.
class Gathering {
 public:
  Gathering();
  ~Gathering();
  Gathering(const Gathering&) = delete;
  Gathering& operator=(const Gathering&) = delete;

  void add(const document::Document& document);
  [[nodiscard]] const std::vector<Fault>& faults() const LIFETIMEBOUND;
  // Of all so far, as faults_of() gives them.
  [[nodiscard]] Reading take();
  // What was read; once.

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fairlead::kube
