// One thread beside a loop: work that would hold the loop up is done there, one piece after the
// other. Values go in with the work and come out with it; nothing else is shared.
//
//   auto job = std::make_shared<Job>(...);              // what goes in, and comes out
//   if (!(co_await background.run([job] { job->work(); })).ok()) co_return;
//   use(job->result);                                   // on the loop's thread again
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/loop.h"

namespace fairlead::net {

class Background {
 public:
  explicit Background(Loop& loop, const std::string& name = "background");
  // `name`: of the thread, at most 15 bytes. It starts with the first work.
  ~Background();
  // Waits for the work in hand; what has not begun is dropped, and whoever waits for it is
  // cancelled. Before its loop.
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  [[nodiscard]] Task<Result<>> run(std::function<void()> work);
  // Returns when it is done. When cancelled it returns at once, and the work is done all the same:
  // what it touches must be its own.

 private:
  struct Shared;
  std::unique_ptr<Shared> shared_;
};

}  // namespace fairlead::net
