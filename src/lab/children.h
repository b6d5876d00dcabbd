// The processes that a lab's first process answers for: its own, and, as it is pid 1, every orphan.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>

#include "base/latest.h"
#include "base/task.h"

namespace fairlead::lab {

struct Ending {
  int code = 0;
  int signal = 0;  // 0 when it ended by itself
  bool operator==(const Ending&) const = default;
};

// One process, known until the last holder lets go.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool is_over() const { return ending_.number() > 0; }
  [[nodiscard]] const Ending& ending() const { return ending_.get(); }
  [[nodiscard]] Latest<Ending>::Changed ended() { return ending_.after(0); }
  // co_await gives Result<>: a fault only when cancelled.
  void signal(int number) const;
  // To its process group. Nothing when it is over: its number may be another's by then.
  void signal_alone(int number) const;
  // The same to this process, and not to its group.

 private:
  friend class Children;
  pid_t pid_;
  Latest<Ending> ending_;
};

using ChildPointer = std::shared_ptr<Child>;

class Children {
 public:
  [[nodiscard]] ChildPointer adopt(pid_t pid);
  // Before the next reap().
  void reap();
  // Takes all that have ended; call it on SIGCHLD.
  [[nodiscard]] std::size_t count() const { return living_.size(); }

 private:
  std::map<pid_t, ChildPointer> living_;
};

}  // namespace fairlead::lab
