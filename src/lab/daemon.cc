#include "lab/daemon.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "base/restart_pause.h"
#include "lab/process.h"

namespace fairlead::lab {
namespace {

using std::chrono::seconds;

constexpr Duration end_limit = seconds(3);

Task<Result<>> wait_for_end(ChildPointer child) {
  co_return co_await child->ended();
}

std::vector<std::string> own_environment() {
  std::vector<std::string> all;
  for (char** one = environ; *one != nullptr; ++one) all.emplace_back(*one);
  return all;
}

}  // namespace

Daemon::Daemon(net::Loop& loop, Children& children, const Machine& machine,
               std::vector<std::string> words, std::string log, std::function<void()> changed)
    : loop_(loop),
      children_(children),
      machine_(machine),
      words_(std::move(words)),
      log_(std::move(log)),
      changed_(std::move(changed)) {}

void Daemon::start() {
  loop_.start(gate_, keep());
}

Result<> Daemon::launch_once() {
  const Descriptor log(::open(log_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644));
  if (!log.valid()) return from_errno(errno, "opening " + log_);
  Launch how{.network = &machine_.network,
             .words = {"fairlead"},
             .program = "/proc/self/exe",
             .environment = own_environment(),
             .working_directory = ".",
             .streams = {-1, log.number(), log.number()},
             .passed = passed_};
  how.words.insert(how.words.end(), words_.begin(), words_.end());
  Result<Launched> launched = launch(how);
  if (!launched) return std::move(launched).fault();
  child_ = children_.adopt(launched->pid);
  changed_();
  return done();
}

Task<Result<>> Daemon::until_stopping() {
  co_return co_await stopping_.after(0);
}

Task<> Daemon::keep() {
  RestartPause pause;
  while (stopping_.number() == 0) {
    const Instant began = loop_.now();
    if (Result<> launched = launch_once(); launched) {
      if (!(co_await child_->ended()).ok()) co_return;
      const Ending& ending = child_->ending();
      trouble_ = ending.signal != 0 ? fmt::format("ended by signal {}", ending.signal)
                                    : fmt::format("ended with status {}", ending.code);
    } else {
      trouble_ = launched.fault().describe();
    }
    if (stopping_.number() > 0) break;
    changed_();
    while (held_.get() && stopping_.number() == 0) {
      if (!(co_await held_.after(held_.number())).ok()) co_return;
    }
    const Duration rest = pause.after(loop_.now() - began);
    if (rest > Duration::zero()) {
      static_cast<void>((co_await net::within(loop_, rest, until_stopping())).ok());
    }
    ++restarts_;
  }
}

Task<> Daemon::stop() {
  stopping_.set(true);
  held_.set(false);
  if (is_running()) {
    const ChildPointer child = child_;
    child->signal(SIGTERM);
    child->signal(SIGCONT);
    if (!(co_await net::within(loop_, end_limit, wait_for_end(child))).ok()) {
      child->signal(SIGKILL);
    }
  }
  co_await gate_.empty();
}

void Daemon::kill(int signal, bool hold) {
  held_.set(hold);
  if (is_running()) child_->signal(signal);
}

void Daemon::resume() {
  held_.set(false);
}

}  // namespace fairlead::lab
