// The proxy as a whole: workers on their threads, and what the control thread does with them. All
// of it is called on the control thread, whose loop it is given.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/lifetime.h"
#include "base/result.h"
#include "base/task.h"
#include "config/snapshot.h"
#include "net/loop.h"
#include "proxy/decide/table.h"
#include "proxy/log_file.h"
#include "proxy/records.h"
#include "proxy/stats.h"
#include "proxy/worker.h"

namespace fairlead::proxy {

struct ProxyOptions {
  unsigned concurrency = 1;
  Duration worker_patience = std::chrono::seconds(5);
  // A worker whose loop has not turned for so long is stuck: it serves none of its connections.
  WorkerOptions worker;
};

class Proxy {
 public:
  enum class State : std::uint8_t {
    live = 0,
    draining = 1,
    pre_initializing = 2,
    initializing = 3
  };
  // Envoy's numbers, as server.state tells them.

  Proxy(net::Loop& control, const ProxyOptions& options);
  ~Proxy();  // stops what still runs, at once
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  using Applied = std::function<void(const std::vector<std::string>& troubles)>;
  [[nodiscard]] Result<> apply(config::SnapshotPointer snapshot, Applied applied = {});
  // Every worker gets it, made ready. `applied` is called on this loop once all speak it, with what
  // could not be done (an address in use). A fault says why the snapshot cannot be used at all (a
  // pattern, two equal filter chains): the one in force stays.
  [[nodiscard]] const config::Snapshot* snapshot() const;
  // In force; null before the first. Good until the next apply().

  [[nodiscard]] Task<> drain(Duration grace, Duration most);
  // New connections are taken for `grace` more, or less when none is open; then no more. Ends when
  // the last connection has, or after `most`.
  void begin_drain();
  // Responses say that their connection ends. Nothing else changes.
  void stop_listening(bool inbound_only);
  // Takes no more connections, and leaves those that are open to their end.
  [[nodiscard]] Task<bool> stop(Duration patience = std::chrono::seconds(5));
  // Cuts off what is still open and ends the workers' threads. False when a thread has not ended
  // within `patience`: then nothing can end it but the end of the process, and this object must
  // not be destroyed.

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool workers_started() const { return started_; }
  // All of them speak a snapshot.
  void fail_health_check(bool failing) { failing_ = failing; }
  [[nodiscard]] bool failing() const { return failing_; }
  [[nodiscard]] bool ready() const {
    return started_ && state_ == State::live && !failing_ && stuck_ == 0;
  }
  [[nodiscard]] unsigned stuck_workers() const { return stuck_; }
  // How many, at the last look; one a second, if options.worker_patience is not shorter.

  [[nodiscard]] Task<std::vector<Record>> records(std::string id, std::size_t count);
  // With this request id, or the last `count` of each worker when it is empty; oldest first.
  [[nodiscard]] Task<std::vector<SocketAddress>> addresses();
  // Where the first worker listens.
  [[nodiscard]] std::uint64_t open_connections() const;

  void for_each_worker(const std::function<void(Worker&)>& work);
  // Soon, on each worker's own thread.

  [[nodiscard]] const Stats& stats() const LIFETIMEBOUND { return stats_; }
  [[nodiscard]] std::vector<Reading> readings() const;
  // What is read rather than counted: server.*, listener_manager.*, cluster_manager.*, membership.
  [[nodiscard]] LogFiles& logs() LIFETIMEBOUND { return files_; }
  [[nodiscard]] unsigned concurrency() const { return static_cast<unsigned>(threads_.size()); }
  [[nodiscard]] Duration uptime() const { return control_.now() - began_; }

 private:
  struct Thread;
  template <class T>
  class Ask;
  [[nodiscard]] Task<> watch_workers();
  void look_at(Thread& thread, unsigned number);

  net::Loop& control_;
  LogFiles files_;
  Stats stats_;
  Instant began_;
  SnapshotTablePointer table_;
  std::uint64_t applying_ = 0;  // the newest snapshot that was handed out, counted from 1
  State state_ = State::initializing;
  bool started_ = false;
  bool failing_ = false;
  unsigned stuck_ = 0;
  Duration worker_patience_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::vector<std::unique_ptr<Thread>> threads_;
  Cancel watching_;
};

}  // namespace fairlead::proxy
