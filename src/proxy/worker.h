// One thread of the proxy: its loop, listeners, connections, pools and counters. Shares nothing
// that changes with other workers. Everything here is called on the worker's own thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/gate.h"
#include "base/lifetime.h"
#include "net/loop.h"
#include "net/timer.h"
#include "proxy/buffers.h"
#include "proxy/connection.h"
#include "proxy/connector.h"
#include "proxy/decide/table.h"
#include "proxy/log_file.h"
#include "proxy/records.h"
#include "proxy/stats.h"
#include "proxy/upstream.h"

namespace fairlead::proxy {

struct WorkerOptions {
  std::optional<std::uint32_t> mark;  // of connections upstream, where the uid does not exempt us
  Duration log_flush = std::chrono::milliseconds(500);
  std::size_t records = 1024;
};

// What a worker has of the world around it. Tests put their own in place; all outlives the worker.
struct WorkerSurroundings {
  const Clock* clock = nullptr;       // null: the system's
  Connector* connector = nullptr;     // null: sockets
  std::optional<std::uint64_t> seed;  // of its random numbers; absent: from the system
};

struct Exchange;

class Worker {
 public:
  Worker(unsigned number, const WorkerOptions& options, Stats& stats, LogFiles& files,
         const WorkerSurroundings& around = {});
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  [[nodiscard]] net::Loop& loop() LIFETIMEBOUND { return loop_; }

  // ── Configuration ──
  [[nodiscard]] std::vector<std::string> apply(SnapshotTablePointer table);
  // The snapshot in force from now on. Listeners that are new are bound, those that are gone take
  // what the kernel has queued for them and close; connections of chains that are gone or changed
  // end as soon as nothing is on its way in them. Gives what could not be done, for people.
  [[nodiscard]] const SnapshotTablePointer& table() const LIFETIMEBOUND { return table_; }
  [[nodiscard]] std::vector<SocketAddress> addresses() const;
  // Where it listens.
  bool accept(const std::string& listener, Accepted accepted);
  // A connection to the listener of this name, whoever took it from the network. False, and the
  // connection is reset, when there is no such listener.

  // ── Ending ──
  void begin_drain();
  // Responses say that their connection ends.
  void stop_listening(bool inbound_only);
  // What is queued is taken, and then no more.
  void stop_accepting();
  // The same for all listeners, and idle connections are closed.
  [[nodiscard]] Task<> end();
  // Everything still open is cut off.
  [[nodiscard]] bool draining() const { return draining_; }
  [[nodiscard]] std::size_t open_connections() const { return connections_.size(); }
  [[nodiscard]] std::uint64_t open_connections_seen() const {
    return open_seen_.load(std::memory_order_relaxed);
  }
  // The same, from any thread.

  // ── What connections need ──
  [[nodiscard]] Gate& gate() LIFETIMEBOUND { return gate_; }
  [[nodiscard]] Buffers& buffers() LIFETIMEBOUND { return buffers_; }
  [[nodiscard]] Random& random() LIFETIMEBOUND { return random_; }
  [[nodiscard]] Records& records() LIFETIMEBOUND { return records_; }
  [[nodiscard]] Cluster* cluster(std::string_view name) LIFETIMEBOUND;
  // Null when the snapshot in force has none of this name.
  [[nodiscard]] bool leads_to_ourselves(const SocketAddress& target, const IpAddress& own) const;
  // Whether connecting there would end at one of this proxy's own listeners. `own` is an address of
  // this machine.
  [[nodiscard]] WallTime wall();
  // The time of day at loop().now(), without asking the system each time.
  [[nodiscard]] std::string_view date() LIFETIMEBOUND;
  // As the Date field has it; good until the next call.
  [[nodiscard]] std::uint64_t next_connection_id() { return ++last_connection_id_; }
  [[nodiscard]] std::unique_ptr<Exchange> take_exchange();
  void give_exchange(std::unique_ptr<Exchange> exchange);
  void log(const Chain& chain, const LogEntry& entry);
  void log(const std::vector<LogTarget>& targets, const LogEntry& entry);
  void opened(Connection& connection);
  void closed(Connection& connection);

 private:
  struct Slot;  // a listener of the configuration, with its sockets
  struct Socket;

  void update_listeners(std::vector<std::string>& troubles);
  void bind(Slot& slot, std::vector<std::string>& troubles);
  void drain_sockets(Slot& slot);
  void retire_chains();
  [[nodiscard]] Task<> accept_on(std::shared_ptr<Slot> slot, std::shared_ptr<Socket> socket);
  [[nodiscard]] Task<> handle_accepted(std::shared_ptr<const config::Listener> listener,
                                       Accepted accepted);
  [[nodiscard]] ChainPointer chain_of(const std::shared_ptr<const config::Listener>& listener,
                                      const config::FilterChain& chain);
  [[nodiscard]] std::vector<LogTarget> targets_of(const std::vector<config::AccessLog>& logs);
  [[nodiscard]] Task<Result<Nothing>> read_first(net::Stream& stream, std::string& bytes,
                                                 bool with_hello);
  void refuse(const config::Listener& listener, const Accepted& accepted, std::string_view details);
  void refuse_closed(const Chain& chain, const Accepted& accepted);
  void flush_logs();

  net::Loop loop_;
  unsigned number_;
  WorkerOptions options_;
  Stats& stats_;
  LogFiles& files_;
  SeededRandom random_;
  Buffers buffers_;
  Records records_;
  WallTime wall_at_;
  Instant wall_asked_;
  std::int64_t date_second_ = -1;
  std::string date_;
  std::uint64_t last_connection_id_ = 0;
  bool draining_ = false;
  bool accepting_ = true;
  std::atomic<std::uint64_t> open_seen_{0};

  SnapshotTablePointer table_;
  std::map<std::string, std::unique_ptr<LogBuffer>> log_buffers_;
  net::Timer flush_timer_;
  std::map<std::string, std::shared_ptr<const LogFormat>> formats_;
  std::unordered_map<const config::FilterChain*, ChainPointer> chains_;
  std::map<std::string, std::shared_ptr<Slot>> slots_;
  std::vector<std::unique_ptr<Exchange>> exchanges_;
  SocketConnector sockets_;
  UpstreamContext upstream_;
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const {
      return std::hash<std::string_view>{}(name);
    }
  };
  std::unordered_map<std::string, std::unique_ptr<Cluster>, NameHash, std::equal_to<>> clusters_;
  std::vector<std::unique_ptr<Cluster>> retired_clusters_;
  Connections connections_;
  Gate gate_;
};

}  // namespace fairlead::proxy
