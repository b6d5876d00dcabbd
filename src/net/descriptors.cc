#include "net/descriptors.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <limits>
#include <mutex>
#include <utility>

#include "base/bounded_rate.h"
#include "base/log.h"

namespace fairlead::net {
namespace {

struct Shared {
  std::atomic<bool> paused{false};
  std::atomic<std::uint64_t> pauses{0};
  std::mutex mutex;  // of what follows
  BoundedRate rate{std::chrono::seconds(10)};
  bool said = false;  // that it is paused
};

Shared& shared() {
  static Shared the;
  return the;
}

// The process's limit; it may be changed from outside (prlimit).
int limit_now() {
  rlimit limit{};
  constexpr auto most = static_cast<rlim_t>(std::numeric_limits<int>::max());
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::numeric_limits<int>::max();
  return static_cast<int>(std::min(limit.rlim_cur, most));
}

bool is_reserved(int descriptor, int limit) {
  return descriptor >= limit - descriptor_reserve(limit);
}

void tell_paused(int limit) {
  const std::lock_guard lock(shared().mutex);
  const auto held_back = shared().rate.pass(std::chrono::steady_clock::now());
  shared().said = held_back.has_value();
  if (!held_back) return;
  log::warning(fmt::format(
      "new connections wait: of the {} descriptors of this process (ulimit -n) only {} are left, "
      "which are kept for connections upstream, operators and logs{}",
      limit, descriptor_reserve(limit),
      *held_back == 0 ? "" : fmt::format("; this was so {} more times", *held_back)));
}

void tell_resumed() {
  const std::lock_guard lock(shared().mutex);
  if (std::exchange(shared().said, false)) {
    log::info("new connections are taken again: descriptors are free");
  }
}

}  // namespace

int descriptor_reserve(int limit) {
  return std::min(std::clamp(limit / 4, 16, 4096), limit / 2);
}

DescriptorState descriptor_state() {
  return {.paused = !may_accept(), .pauses = shared().pauses.load(std::memory_order_relaxed)};
}

bool may_accept() {
  if (!shared().paused.load(std::memory_order_relaxed)) return true;
  const int next = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
  if (next < 0 && (errno == EMFILE || errno == ENFILE)) return false;
  if (next >= 0) ::close(next);
  if (next >= 0 && is_reserved(next, limit_now())) return false;
  if (shared().paused.exchange(false)) tell_resumed();
  return true;
}

void descriptor_accepted(int descriptor) {
  const int limit = limit_now();
  if (!is_reserved(descriptor, limit) || shared().paused.exchange(true)) return;
  shared().pauses.fetch_add(1, std::memory_order_relaxed);
  tell_paused(limit);
}

}  // namespace fairlead::net
