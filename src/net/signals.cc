#include "net/signals.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>

namespace fairlead::net {

Result<std::unique_ptr<Signals>> Signals::watch(Loop& loop, std::initializer_list<int> signals) {
  sigset_t set;
  sigset_t before;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  if (const int error = ::pthread_sigmask(SIG_BLOCK, &set, &before); error != 0) {
    return from_errno(error, "blocking signals");
  }
  const int descriptor = ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  if (descriptor < 0) return from_errno(errno, "signalfd");
  std::unique_ptr<Signals> watching(new Signals(loop, descriptor));
  for (const int signal : signals) {
    if (sigismember(&before, signal) == 0) watching->blocked_.push_back(signal);
  }
  if (Result<> watched = watching->Source::watch(EPOLLIN); !watched.ok()) return watched.fault();
  return watching;
}

Signals::~Signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : blocked_) sigaddset(&set, signal);
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void Signals::unblock() {
  sigset_t none;
  sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

void Signals::ready(std::uint32_t) {
  readiness_.set();
}

Task<Result<int>> Signals::next() {
  while (true) {
    signalfd_siginfo came{};
    const ssize_t count = ::read(descriptor(), &came, sizeof(came));
    if (count == static_cast<ssize_t>(sizeof(came))) co_return static_cast<int>(came.ssi_signo);
    if (count < 0 && errno != EAGAIN && errno != EINTR) co_return from_errno(errno, "signalfd");
    readiness_.clear();
    if (Result<> woken = co_await readiness_.wait(); !woken.ok()) co_return woken.fault();
  }
}

}  // namespace fairlead::net
