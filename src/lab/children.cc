#include "lab/children.h"

#include <sys/wait.h>

#include <csignal>

#include "lab/process.h"

namespace fairlead::lab {

void Child::signal(int number) const {
  if (!is_over()) kill_group(pid_, number);
}

void Child::signal_alone(int number) const {
  if (!is_over()) ::kill(pid_, number);
}

ChildPointer Children::adopt(pid_t pid) {
  auto child = std::make_shared<Child>(pid);
  living_[pid] = child;
  return child;
}

void Children::reap() {
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return;
    const auto found = living_.find(pid);
    if (found == living_.end()) continue;  // an orphan of a container
    const ChildPointer child = found->second;
    living_.erase(found);
    child->ending_.set({.code = WIFEXITED(status) ? WEXITSTATUS(status) : 0,
                        .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0});
  }
}

}  // namespace fairlead::lab
