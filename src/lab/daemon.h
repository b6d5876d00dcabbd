// A program of the lab's own that always runs: control, or a node's agent. It sees the host's files
// and has a network namespace of its machine.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/gate.h"
#include "base/latest.h"
#include "base/task.h"
#include "lab/children.h"
#include "lab/fabric.h"
#include "net/loop.h"
#include "net/passed.h"

namespace fairlead::lab {

class Daemon {
 public:
  Daemon(net::Loop& loop, Children& children, const Machine& machine,
         std::vector<std::string> words, std::string log, std::function<void()> changed);
  // `words` are the arguments of this very program. `changed`: it ended, or began anew.
  void pass_on(std::vector<net::Passed> sockets) { passed_ = std::move(sockets); }
  // Sockets that outlive it; before start().

  void start();
  [[nodiscard]] Task<> stop();
  // SIGTERM, and SIGKILL after a while; returns when it is over and will not run again.
  void kill(int signal, bool hold);
  // With `hold` it stays away until resume().
  void resume();

  [[nodiscard]] bool is_running() const { return child_ != nullptr && !child_->is_over(); }
  [[nodiscard]] bool is_held() const { return held_.get(); }
  [[nodiscard]] pid_t pid() const { return is_running() ? child_->pid() : 0; }
  [[nodiscard]] int restarts() const { return restarts_; }
  [[nodiscard]] const std::string& trouble() const LIFETIMEBOUND { return trouble_; }
  // How it last ended, when that was not asked for.

 private:
  [[nodiscard]] Task<> keep();
  [[nodiscard]] Result<> launch_once();
  [[nodiscard]] Task<Result<>> until_stopping();

  net::Loop& loop_;
  Children& children_;
  const Machine& machine_;
  std::vector<std::string> words_;
  std::string log_;
  std::vector<net::Passed> passed_;
  std::function<void()> changed_;
  ChildPointer child_;
  Latest<bool> stopping_;
  Latest<bool> held_{false};
  Gate gate_;
  int restarts_ = 0;
  std::string trouble_;
};

}  // namespace fairlead::lab
