#include "proxy/proxy.h"

#include <fmt/format.h>
#include <sys/prctl.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <utility>

#include "base/log.h"
#include "net/descriptors.h"
#include "net/give_back.h"
#include "proxy/decide/filter_chain.h"

namespace fairlead::proxy {
namespace {

constexpr Duration look_again = std::chrono::milliseconds(20);
constexpr Duration end_pause = std::chrono::milliseconds(2);
constexpr Duration quiet_enough = std::chrono::milliseconds(200);
// With no connection open for so long, a drain does not wait for its grace to be over.

Task<> end_worker(Worker& worker) {
  co_await worker.end();
  worker.loop().stop();
}

std::uint64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  statm >> total >> resident;
  return resident * 4096;
}

Stats::Names names_of(const config::Snapshot& snapshot) {
  Stats::Names names;
  const auto add = [&](const config::FilterChain& chain) {
    if (const auto* http = std::get_if<config::HttpConnectionManager>(&chain.filter)) {
      names.http.insert(http->stat_prefix);
    } else {
      names.tcp.insert(std::get<config::TcpProxy>(chain.filter).stat_prefix);
    }
  };
  for (const auto& [name, listener] : snapshot.listeners) {
    names.listeners.insert(listener->address.text());
    for (const config::FilterChain& chain : listener->filter_chains) add(chain);
    if (listener->default_filter_chain) add(*listener->default_filter_chain);
  }
  for (const auto& [name, cluster] : snapshot.clusters) names.clusters.insert(name);
  return names;
}

}  // namespace

struct Proxy::Thread {
  Thread(unsigned number, const WorkerOptions& options, Stats& stats, LogFiles& files)
      : worker(number, options, stats, files),
        give_back(worker.loop()),
        thread([this, number] { run(number); }) {}

  // Whether its loop turns: it is asked, and what it answers is seen at the next look. One question
  // is on its way at most.
  std::uint64_t asked = 0;  // by the control thread
  Instant asked_at;
  bool stuck = false;
  std::atomic<std::uint64_t> answered{0};
  std::atomic<bool> ended{false};

  void run(unsigned number) {
    const std::string name = "worker:" + std::to_string(number);
    ::prctl(PR_SET_NAME, name.c_str());
    worker.loop().run();
    ended.store(true, std::memory_order_release);
  }

  Worker worker;
  net::GiveBack give_back;  // after a burst
  std::thread thread;
};

// co_await Ask<T>(control, worker, question): what the question gives on the worker's thread.
template <class T>
class Proxy::Ask final : public Waiter {
 public:
  Ask(net::Loop& control, Worker& worker, std::function<T(Worker&)> question)
      : control_(control), worker_(worker), question_(std::move(question)) {}
  ~Ask() override { leave(); }

  [[nodiscard]] bool await_ready() const { return false; }
  template <class P>
  bool await_suspend(std::coroutine_handle<P> coroutine) {
    if (!park(coroutine)) return false;
    shared_->waiter = this;
    worker_.loop().post([shared = shared_, question = std::move(question_), worker = &worker_,
                         control = &control_] {
      auto value = std::make_shared<T>(question(*worker));
      control->post([shared, value] {
        shared->value = std::move(*value);
        if (shared->waiter) std::exchange(shared->waiter, nullptr)->resume();
      });
    });
    return true;
  }
  T await_resume() { return std::move(shared_->value); }  // blank when cancelled

 private:
  struct Shared {  // touched on the control thread alone
    Ask* waiter = nullptr;
    T value{};
  };
  void leave() override { shared_->waiter = nullptr; }

  net::Loop& control_;
  Worker& worker_;
  std::function<T(Worker&)> question_;
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

Proxy::Proxy(net::Loop& control, const ProxyOptions& options)
    : control_(control),
      stats_(options.concurrency),
      began_(control.now()),
      worker_patience_(options.worker_patience) {
  for (unsigned number = 0; number < options.concurrency; ++number) {
    threads_.push_back(std::make_unique<Thread>(number, options.worker, stats_, files_));
  }
  control_.start(watch_workers(), &watching_);
}

Proxy::~Proxy() {
  *alive_ = false;
  watching_.cancel();
  for (const std::unique_ptr<Thread>& thread : threads_) {
    if (!thread->thread.joinable()) continue;
    Worker& worker = thread->worker;
    worker.loop().post([&worker] { worker.loop().start(end_worker(worker)); });
    thread->thread.join();
  }
}

void Proxy::for_each_worker(const std::function<void(Worker&)>& work) {
  for (const std::unique_ptr<Thread>& thread : threads_) {
    if (!thread->thread.joinable()) continue;
    thread->worker.loop().post([work, &worker = thread->worker] { work(worker); });
  }
}

Task<> Proxy::watch_workers() {
  const Duration pause = std::min<Duration>(worker_patience_ / 2, std::chrono::seconds(1));
  while (true) {
    if (Result<> slept = co_await control_.sleep(pause); !slept.ok()) co_return;
    stuck_ = 0;
    for (unsigned number = 0; number < threads_.size(); ++number) {
      look_at(*threads_[number], number);
      if (threads_[number]->stuck) ++stuck_;
    }
  }
}

void Proxy::look_at(Thread& thread, unsigned number) {
  const Duration silent = control_.now() - thread.asked_at;
  if (thread.answered.load(std::memory_order_acquire) == thread.asked) {
    if (std::exchange(thread.stuck, false)) {
      log::warning(fmt::format("worker {} serves its connections again", number));
    }
    thread.asked_at = control_.now();
    thread.worker.loop().post([&thread, question = ++thread.asked] {
      thread.answered.store(question, std::memory_order_release);
    });
  } else if (!thread.stuck && silent >= worker_patience_) {
    thread.stuck = true;
    log::error(fmt::format(
        "worker {} has not turned its event loop for {} s: its connections are not served. This is "
        "a fault of fairlead; ending this process frees them",
        number, std::chrono::duration_cast<std::chrono::seconds>(silent).count()));
  }
}

Result<> Proxy::apply(config::SnapshotPointer snapshot, Applied applied) {
  for (const auto& [name, listener] : snapshot->listeners) {
    Result<> checked = check_filter_chains(*listener);
    if (!checked.ok()) return checked;
  }
  Result<SnapshotTablePointer> made = SnapshotTable::make(std::move(snapshot), table_.get());
  if (!made.ok()) return std::move(made).fault();
  table_ = std::move(*made);

  struct Progress {  // touched on the control thread alone
    std::size_t left;
    std::vector<std::string> troubles;
  };
  auto progress = std::make_shared<Progress>(Progress{threads_.size(), {}});
  ++applying_;
  for_each_worker([this, table = table_, progress, applied = std::move(applied), alive = alive_,
                   control = &control_](Worker& worker) {
    auto troubles = std::make_shared<std::vector<std::string>>(worker.apply(table));
    control->post([this, progress, troubles, applied, alive] {
      for (std::string& trouble : *troubles) {
        const auto known = std::find(progress->troubles.begin(), progress->troubles.end(), trouble);
        if (known == progress->troubles.end()) progress->troubles.push_back(std::move(trouble));
      }
      if (--progress->left != 0 || !*alive) return;
      stats_.keep(names_of(table_->snapshot()));
      started_ = true;
      if (state_ == State::initializing) state_ = State::live;
      if (applied) applied(progress->troubles);
    });
  });
  return done();
}

const config::Snapshot* Proxy::snapshot() const {
  return table_ ? &table_->snapshot() : nullptr;
}

std::uint64_t Proxy::open_connections() const {
  std::uint64_t all = 0;
  for (const std::unique_ptr<Thread>& thread : threads_) {
    all += thread->worker.open_connections_seen();
  }
  return all;
}

Task<> Proxy::drain(Duration grace, Duration most) {
  state_ = State::draining;
  begin_drain();
  const Instant began = control_.now();
  Instant busy = began;
  while (control_.now() - began < std::min(grace, most) && control_.now() - busy < quiet_enough) {
    if (open_connections() != 0) busy = control_.now();
    if (Result<> slept = co_await control_.sleep(look_again); !slept.ok()) co_return;
  }
  for_each_worker([](Worker& worker) { worker.stop_accepting(); });
  busy = control_.now();
  // What the kernel had queued is taken within the first moments.
  while (control_.now() - began < most && control_.now() - busy < 4 * look_again) {
    if (open_connections() != 0) busy = control_.now();
    if (Result<> slept = co_await control_.sleep(look_again); !slept.ok()) co_return;
  }
}

void Proxy::begin_drain() {
  for_each_worker([](Worker& worker) { worker.begin_drain(); });
}

void Proxy::stop_listening(bool inbound_only) {
  for_each_worker([inbound_only](Worker& worker) { worker.stop_listening(inbound_only); });
}

Task<bool> Proxy::stop(Duration patience) {
  for (const std::unique_ptr<Thread>& thread : threads_) {
    Worker& worker = thread->worker;
    worker.loop().post([&worker] { worker.loop().start(end_worker(worker)); });
  }
  watching_.cancel();
  const auto ended = [](const std::unique_ptr<Thread>& thread) {
    return thread->ended.load(std::memory_order_acquire);
  };
  const Instant until = control_.now() + patience;
  while (!std::all_of(threads_.begin(), threads_.end(), ended)) {
    const Result<> slept = co_await control_.sleep(end_pause);
    if (!slept.ok() || control_.now() >= until) {
      files_.flush();
      co_return false;
    }
  }
  for (const std::unique_ptr<Thread>& thread : threads_) thread->thread.join();
  files_.flush();
  co_return true;
}

Task<std::vector<Record>> Proxy::records(std::string id, std::size_t count) {
  std::vector<Record> all;
  for (const std::unique_ptr<Thread>& thread : threads_) {
    const std::vector<Record> some =
        co_await Ask<std::vector<Record>>(control_, thread->worker, [id, count](Worker& worker) {
          return id.empty() ? worker.records().last(count) : worker.records().with_id(id);
        });
    all.insert(all.end(), some.begin(), some.end());
  }
  std::sort(all.begin(), all.end(),
            [](const Record& left, const Record& right) { return left.started < right.started; });
  co_return all;
}

Task<std::vector<SocketAddress>> Proxy::addresses() {
  co_return co_await Ask<std::vector<SocketAddress>>(
      control_, threads_.front()->worker, [](Worker& worker) { return worker.addresses(); });
}

std::vector<Reading> Proxy::readings() const {
  std::vector<Reading> all;
  const auto read = [&](const char* scope, const char* name, std::uint64_t value) {
    all.push_back({.scope = scope, .name = name, .value = value});
  };
  read("server", "state", static_cast<std::uint64_t>(state_));
  read("server", "live", state_ == State::live ? 1 : 0);
  read("server", "concurrency", threads_.size());
  read("server", "stuck_workers", stuck_);
  read("server", "total_connections", open_connections());
  read("server", "memory_allocated", resident_bytes());
  read("server", "uptime",
       static_cast<std::uint64_t>(
           std::chrono::duration_cast<std::chrono::seconds>(uptime()).count()));
  const net::DescriptorState descriptors = net::descriptor_state();
  read("server", "accepting_paused", descriptors.paused ? 1 : 0);
  read("server", "accepting_pauses", descriptors.pauses);
  read("filesystem", "dropped_bytes", files_.dropped());
  read("listener_manager", "workers_started", started_ ? 1 : 0);
  if (!table_) return all;
  const config::Snapshot& now = table_->snapshot();
  read("listener_manager", "total_listeners_active", now.listeners.size());
  read("cluster_manager", "active_clusters", now.clusters.size());
  for (const auto& [name, cluster] : now.clusters) {
    const ClusterTable* table = table_->cluster(name);
    if (!table || !table->endpoints) continue;
    const std::size_t ready = table->endpoints->size();
    all.push_back({.scope = "cluster", .name = "membership_healthy", .tag = name, .value = ready});
    std::size_t total = 0;
    const std::string& service =
        cluster->eds_service_name.empty() ? cluster->name : cluster->eds_service_name;
    const auto found = now.endpoints.find(service);
    const config::ClusterLoadAssignment& endpoints =
        cluster->type == config::ClusterType::eds && found != now.endpoints.end()
            ? *found->second
            : cluster->endpoints;
    for (const config::LocalityEndpoints& locality : endpoints.localities) {
      total += locality.endpoints.size();
    }
    all.push_back({.scope = "cluster", .name = "membership_total", .tag = name, .value = total});
  }
  return all;
}

}  // namespace fairlead::proxy
