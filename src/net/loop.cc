#include "net/loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <utility>
#include <vector>

#include "base/log.h"

namespace fairlead::net {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(1);

// Without these a loop cannot work at all, and no caller could do anything about it.
int need(int descriptor, const char* what) {
  if (descriptor >= 0) return descriptor;
  log::error(from_errno(errno, what).describe());
  std::abort();
}

}  // namespace

// ── sources ─────────────────────────────────────────────────────────────────────────────────────

Result<> Source::watch(std::uint32_t events) {
  epoll_event event{};
  event.events = events | EPOLLET;
  event.data.ptr = this;
  const int action = watched_ ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (::epoll_ctl(loop_.epoll_, action, descriptor_, &event) != 0) {
    return from_errno(errno, "watching a descriptor");
  }
  watched_ = true;
  return done();
}

void Source::close_descriptor() {
  if (descriptor_ < 0) return;
  if (watched_) {
    // Closing alone would not do: a child between fork and exec holds the same open file, and the
    // kernel would go on to report it.
    ::epoll_ctl(loop_.epoll_, EPOLL_CTL_DEL, descriptor_, nullptr);
    loop_.forget(*this);
    watched_ = false;
  }
  ::close(descriptor_);
  descriptor_ = -1;
}

TurnEnd::~TurnEnd() {
  if (at_ == nullptr) return;
  *at_ = next_;
  if (next_ != nullptr) next_->at_ = at_;
}

// ── detached tasks ──────────────────────────────────────────────────────────────────────────────

struct Loop::Root {
  struct promise_type : Promise, Detached {
    promise_type() = default;
    promise_type(const promise_type&) = delete;
    promise_type& operator=(const promise_type&) = delete;
    ~promise_type() {
      *at = next;
      if (next != nullptr) next->at = at;
    }
    Root get_return_object() { return Root{*this}; }
    [[nodiscard]] std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
  };

  // `hold` first: it leaves the gate after the task's frame is gone.
  static Root run([[maybe_unused]] Gate::Hold hold, OwnedTask<void> task) { co_await task; }

  promise_type& promise;
};

void Loop::begin(OwnedTask<void> task, Cancel* cancel, Gate::Hold hold) {
  Root::promise_type& root = Root::run(std::move(hold), std::move(task)).promise;
  root.cancel = cancel;
  root.at = &detached_;
  root.next = detached_;
  if (root.next != nullptr) root.next->at = &root.next;
  detached_ = &root;
  std::coroutine_handle<Root::promise_type>::from_promise(root).resume();
}

void Loop::start(Task<> task, Cancel* cancel) {
  begin(std::move(task).release(), cancel, {});
}

bool Loop::start(Gate& gate, Task<> task) {
  Gate::Hold hold = gate.enter();
  if (!hold) return false;
  begin(std::move(task).release(), &gate.cancel(), std::move(hold));
  return true;
}

Task<> Loop::hand_over(OwnedTask<void> task, bool& ended) {
  co_await task;
  ended = true;
}

// ── work from other threads ─────────────────────────────────────────────────────────────────────

struct Loop::Posted final : Source {
  explicit Posted(Loop& loop)
      : Source(loop, need(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd")) {
    if (auto watched = watch(EPOLLIN); !watched) need(-1, "epoll_ctl");
  }
  ~Posted() = default;

  void add(std::function<void()> work) {
    const std::lock_guard lock(mutex);
    const bool first = waiting.empty();
    waiting.push_back(std::move(work));
    if (first) ::eventfd_write(descriptor(), 1);
  }

  void ready(std::uint32_t) override {
    eventfd_t count = 0;
    ::eventfd_read(descriptor(), &count);
    std::vector<std::function<void()>> work;
    {
      const std::lock_guard lock(mutex);
      work.swap(waiting);
    }
    for (auto& one : work) one();
  }

  std::mutex mutex;
  std::vector<std::function<void()>> waiting;
};

void Loop::post(std::function<void()> work) {
  posted_->add(std::move(work));
}

// ── turning ─────────────────────────────────────────────────────────────────────────────────────

Loop::Loop() : Loop(system_clock()) {}

Loop::Loop(const Clock& clock)
    : clock_(clock),
      epoll_(need(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      began_(clock.now()),
      now_(began_),
      posted_(std::make_unique<Posted>(*this)) {}

Loop::~Loop() {
  while (detached_ != nullptr) {
    auto& root = static_cast<Root::promise_type&>(*detached_);
    std::coroutine_handle<Root::promise_type>::from_promise(root).destroy();
  }
  posted_.reset();
  ::close(epoll_);
}

void Loop::stop() {
  post([this] { stopped_ = true; });
}

void Loop::run() {
  while (!stopped_) turn();
  stopped_ = false;
}

void Loop::turn_until(const bool& ended) {
  while (!ended) turn();
}

bool Loop::settle(int most_turns) {
  for (int turns = 0; turns < most_turns; ++turns) {
    if (!turn_within(0) && !any_ready() && turn_ends_ == nullptr) return true;
  }
  return false;
}

bool Loop::turn_within(int milliseconds) {
  const bool outer = std::exchange(turning_, true);
  if (outer) {
    log::error("a loop was run from inside itself");
    std::abort();
  }
  const int count = ::epoll_wait(epoll_, events_.data(), kBatch, milliseconds);
  now_ = clock_.now();
  if (count > 0) dispatch(count);
  wheel_.advance(whole_ticks(now_));
  // Last, so that whoever waits for the end of a task never sleeps once more after it.
  run_ready();
  end_turn();
  turning_ = false;
  return count > 0;
}

void Loop::dispatch(int count) {
  event_count_ = count;
  for (event_at_ = 0; event_at_ < event_count_;) {
    const epoll_event event = events_[static_cast<std::size_t>(event_at_++)];
    if (event.data.ptr != nullptr) static_cast<Source*>(event.data.ptr)->ready(event.events);
  }
  event_count_ = 0;
}

void Loop::forget(const Source& source) {
  for (int at = event_at_; at < event_count_; ++at) {
    epoll_event& event = events_[static_cast<std::size_t>(at)];
    if (event.data.ptr == &source) event.data.ptr = nullptr;
  }
}

void Loop::at_turn_end(TurnEnd& what) {
  if (what.at_ != nullptr) return;
  what.next_ = turn_ends_;
  what.at_ = &turn_ends_;
  if (turn_ends_ != nullptr) turn_ends_->at_ = &what.next_;
  turn_ends_ = &what;
}

void Loop::end_turn() {
  if (turn_ends_ == nullptr) return;
  // Those that ask again during this go into the next round.
  TurnEnd* round = std::exchange(turn_ends_, nullptr);
  round->at_ = &round;
  while (round != nullptr) {
    TurnEnd* one = round;
    round = one->next_;
    if (round != nullptr) round->at_ = &round;
    one->at_ = nullptr;
    one->next_ = nullptr;
    one->turn_ended();
  }
}

// ── time ────────────────────────────────────────────────────────────────────────────────────────

std::uint64_t Loop::whole_ticks(Instant time) const {
  return static_cast<std::uint64_t>((time - began_) / kTick);
}

void Loop::arm(WheelEntry& entry, Duration after) {
  if (!turning_) now_ = clock_.now();
  constexpr Duration kLongest = std::chrono::hours(24 * 365);
  after = std::clamp(after, Duration::zero(), kLongest);
  wheel_.set(entry, whole_ticks(now_ + after + kTick - Duration(1)));
}

std::optional<Instant> Loop::next_timer() const {
  const std::optional<std::uint64_t> tick = wheel_.next();
  if (!tick) return {};
  return began_ + *tick * kTick;
}

int Loop::milliseconds_to_sleep() const {
  if (any_ready() || turn_ends_ != nullptr) return 0;
  const std::optional<std::uint64_t> tick = wheel_.next();
  if (!tick) return -1;
  const Duration left = began_ + *tick * kTick - clock_.now();
  if (left <= Duration::zero()) return 0;
  constexpr Duration kLongest = std::chrono::hours(1);
  return static_cast<int>((std::min(left, kLongest) + kTick - Duration(1)) / kTick);
}

Fault timed_out_after(Duration time) {
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  return Fault{FaultKind::timed_out, "timed out after " + std::to_string(milliseconds) + " ms"};
}

}  // namespace fairlead::net
