#include "node/hold.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <ctime>
#include <optional>

#include "base/clock.h"
#include "base/log.h"
#include "base/restart_pause.h"

namespace fairlead::node {
namespace {

constexpr Duration end_limit = std::chrono::seconds(3);
constexpr int cannot_be_run = 126;

// Waited for, never handled.
sigset_t signals_waited_for() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
  return set;
}

[[noreturn]] void become_agent(const Sockets& sockets, const std::vector<std::string>& words,
                               pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // two agents must not read from the same sockets
  if (::getppid() != parent) ::_exit(cannot_be_run);
  std::vector<int> numbers;
  std::vector<std::string> names;
  for (const net::Passed& one : sockets) {
    numbers.push_back(one.descriptor.number());
    names.push_back(one.name);
  }
  if (Result<> placed = net::put_in_place(numbers); !placed) {
    log::error(placed.fault().describe());
    ::_exit(cannot_be_run);
  }
  for (const std::string& variable : net::passing_variables(names, ::getpid())) {
    const std::size_t equals = variable.find('=');
    ::setenv(variable.substr(0, equals).c_str(), variable.c_str() + equals + 1, 1);
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  ::execv("/proc/self/exe", arguments.data());
  log::error(from_errno(errno, "running the agent").describe());
  ::_exit(cannot_be_run);
}

class Holder {
 public:
  Holder(const Sockets& sockets, const std::vector<std::string>& words)
      : sockets_(sockets), words_(words), signals_(signals_waited_for()) {
    ::sigprocmask(SIG_BLOCK, &signals_, nullptr);
  }

  int run() {
    RestartPause pause;
    while (true) {
      began_ = now();
      if (!start()) return 1;
      const int status = until_over();
      if (stopping_) return exit_code(status);
      const Duration ran = now() - began_;
      const Duration wait = pause.after(ran);
      const bool well = wait == Duration::zero();
      if (!well && !ever_well_ && WIFEXITED(status)) return exit_code(status);
      ever_well_ = ever_well_ || well;
      log::warning("the agent ended: it is started again, and its sockets stay open");
      rest(wait);
      if (stopping_) return exit_code(status);
    }
  }

 private:
  static Instant now() { return std::chrono::steady_clock::now(); }

  static int exit_code(int status) {
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

  bool start() {
    const pid_t parent = ::getpid();
    agent_ = ::fork();
    if (agent_ == 0) become_agent(sockets_, words_, parent);
    if (agent_ < 0) log::error(from_errno(errno, "making a process").describe());
    return agent_ > 0;
  }

  // The next of those signals; none when so much time has passed.
  std::optional<int> next_signal(std::optional<Duration> patience) {
    if (!patience) {
      const int signal = ::sigwaitinfo(&signals_, nullptr);
      return signal > 0 ? std::optional(signal) : std::nullopt;
    }
    const auto left = std::max<Duration>(*patience, Duration::zero());
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(left);
    const timespec time{
        .tv_sec = whole.count(),
        .tv_nsec = static_cast<long>(
            std::chrono::duration_cast<std::chrono::nanoseconds>(left - whole).count())};
    const int signal = ::sigtimedwait(&signals_, nullptr, &time);
    return signal > 0 ? std::optional(signal) : std::nullopt;
  }

  void take(int signal) {
    if (signal == SIGCHLD) return;
    if (signal != SIGHUP && !stopping_) {
      stopping_ = true;
      deadline_ = now() + end_limit;
    }
    if (agent_ > 0) ::kill(agent_, signal == SIGINT ? SIGTERM : signal);
  }

  // Until the agent has ended: its wait status.
  int until_over() {
    while (true) {
      int status = 0;
      pid_t ended = 0;
      while ((ended = ::waitpid(-1, &status, WNOHANG)) > 0) {
        if (ended != agent_) continue;
        agent_ = 0;
        return status;
      }
      const std::optional<Duration> patience =
          stopping_ ? std::optional(deadline_ - now()) : std::nullopt;
      const std::optional<int> signal = next_signal(patience);
      if (signal) take(*signal);
      if (stopping_ && now() >= deadline_) ::kill(agent_, SIGKILL);
    }
  }

  void rest(Duration pause) {
    const Instant until = now() + pause;
    while (!stopping_ && now() < until) {
      if (const std::optional<int> signal = next_signal(until - now())) take(*signal);
    }
  }

  const Sockets& sockets_;
  const std::vector<std::string>& words_;
  sigset_t signals_;
  pid_t agent_ = 0;
  Instant began_;
  Instant deadline_;
  bool ever_well_ = false;
  bool stopping_ = false;
};

}  // namespace

int hold(const Sockets& sockets, const std::vector<std::string>& words) {
  return Holder(sockets, words).run();
}

}  // namespace fairlead::node
