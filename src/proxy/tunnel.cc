#include "proxy/tunnel.h"

#include <algorithm>
#include <array>

#include "base/release.h"
#include "proxy/worker.h"

namespace fairlead::proxy {
namespace {

constexpr std::uint32_t usual_attempts = 3;
// On different endpoints, where the configuration asks for fewer: nothing was sent yet, so nothing
// can happen twice.

}  // namespace

Task<Nothing> carry(net::Stream& from, net::Stream& to, Buffers& buffers, Carried& carried) {
  Buffer buffer;
  bool many = false;  // the last read filled its buffer
  while (true) {
    if (from.is_idle()) buffer.release();
    const Result<> ready = co_await from.readable();
    if (!ready.ok()) break;
    if (!buffer || (many && buffer.size() == Buffers::small)) {
      buffer = many ? buffers.take_large() : buffers.take();
    }
    const Result<net::Taken> taken = from.read_now(buffer.span());
    if (!taken.ok()) {
      carried.reading_failed = taken.fault().kind != FaultKind::closed;  // not by ourselves
      break;
    }
    if (taken->end) {
      to.shutdown_write();
      co_return Nothing();
    }
    if (taken->bytes == 0) continue;
    many = taken->bytes == buffer.size();
    carried.last = from.loop().now();
    const Result<> written = co_await to.write_all(buffer.first(taken->bytes));
    if (!written.ok()) {
      carried.writing_failed = true;
      break;
    }
    carried.bytes += taken->bytes;
  }
  from.reset();
  to.reset();
  co_return Nothing();
}

namespace {

class TcpConnection final : public Connection, private net::WheelEntry {
 public:
  TcpConnection(Worker& worker, Accepted accepted, ChainPointer chain, SnapshotTablePointer table);
  ~TcpConnection() override;

  [[nodiscard]] Task<> run(std::string first_bytes);
  void drain() override {}
  void abort() override;

 private:
  [[nodiscard]] Task<bool> connect();
  [[nodiscard]] Host* find_host();
  [[nodiscard]] bool refused(std::string_view why);
  void watch_idleness(Duration after);
  void expired() override;
  void finish();
  void write_log(Duration took);
  void fill(Record& record);
  void record_beginning();
  void record_end(Duration took);

  const config::TcpProxy& config() { return *chain_->tcp; }

  SnapshotTablePointer used_;
  WallTime started_;
  std::string_view cluster_name_;
  Cluster* cluster_ = nullptr;
  HostHold host_;
  UpstreamPointer up_;
  Cancel* connecting_ = nullptr;
  std::vector<HostName> tried_;
  std::optional<SocketAddress> upstream_local_;
  std::string upstream_local_text_;
  std::string failure_;
  std::string details_text_;  // of a refusal
  Carried there_;
  Carried back_;
  Flag flags_ = Flag::none;
  std::string_view details_;
  std::uint32_t attempts_ = 0;
  std::optional<std::uint64_t> record_;  // its number; absent before it is connected
};

TcpConnection::TcpConnection(Worker& worker, Accepted accepted, ChainPointer chain,
                             SnapshotTablePointer table)
    : Connection(worker, std::move(accepted), std::move(chain), std::move(table)),
      used_(worker.table()),
      started_(worker.wall()) {
  chain_->tcp_stats->downstream_cx_total.add();
}

TcpConnection::~TcpConnection() = default;

void TcpConnection::abort() {
  stream_->reset();
  if (up_) up_->stream().reset();
  if (connecting_) connecting_->cancel();
}

void TcpConnection::watch_idleness(Duration after) {
  worker_.loop().arm(*this, after);
}

void TcpConnection::expired() {
  const Instant last = std::max(there_.last, back_.last);
  const Duration left = last + config().idle_timeout - worker_.loop().now();
  if (left > Duration::zero()) return watch_idleness(left);
  chain_->tcp_stats->idle_timeout.add();
  details_ = "idle_timeout";
  stream_->close();
  up_->stream().close();
}

Host* TcpConnection::find_host() {
  if (cluster_->config().type != config::ClusterType::original_dst) return cluster_->pick(tried_);
  if (worker_.leads_to_ourselves(dialled_, stream_->local().ip)) {
    details_ = "loop_refused";
    return nullptr;
  }
  return &cluster_->at(dialled_);
}

// Whether what was chosen is closed.
bool TcpConnection::refused(std::string_view why) {
  if (why.empty()) return false;
  flags_ |= Flag::protection_not_enforced;
  details_text_ = closed_details(why);
  details_ = details_text_;
  cluster_->stats().protection_not_enforced.add();
  return true;
}

Task<bool> TcpConnection::connect() {
  const EndpointSet* endpoints = cluster_->endpoints();
  const auto others = static_cast<std::uint32_t>(
      std::min<std::size_t>(endpoints ? endpoints->size() : 1, usual_attempts));
  const std::uint32_t most = std::max({config().max_connect_attempts, others, 1U});
  while (true) {
    Host* host = find_host();
    if (!host) {
      flags_ |= Flag::no_healthy_upstream;
      cluster_->stats().upstream_cx_none_healthy.add();
      co_return false;
    }
    host_ = HostHold(*host);
    if (refused(cluster_->why_closed(*host))) co_return false;
    ++attempts_;
    Cancel cancel(co_await cancellation_here());
    connecting_ = &cancel;
    Result<UpstreamPointer> made = co_await under(cancel, cluster_->connect_at_once(*host));
    connecting_ = nullptr;
    if (made.ok()) {
      up_ = std::move(*made);
      co_return true;
    }
    failure_ = made.fault().message;
    if (made.fault().kind == FaultKind::cancelled) co_return false;
    if (made.fault().kind == FaultKind::exhausted) {
      flags_ |= Flag::upstream_overflow;
      co_return false;
    }
    if (attempts_ >= most) break;
    tried_.push_back(host->name());
  }
  flags_ |= Flag::upstream_connection_failure | Flag::upstream_retry_limit_exceeded;
  cluster_->stats().upstream_cx_connect_attempts_exceeded.add();
  co_return false;
}

Task<> TcpConnection::run(std::string first_bytes) {
  cluster_name_ = choose_cluster(config().clusters, worker_.random()).cluster;
  cluster_ = worker_.cluster(cluster_name_);
  if (!cluster_) {
    flags_ |= Flag::no_cluster_found;
    chain_->tcp_stats->downstream_cx_no_route.add();
  } else if (!refused(cluster_->config().closed) && co_await connect()) {
    net::Stream& up = up_->stream();
    upstream_local_ = up.local();
    upstream_local_text_ = up_->local_text();
    record_beginning();
    there_.last = back_.last = worker_.loop().now();
    if (config().idle_timeout.count() > 0) watch_idleness(config().idle_timeout);
    Result<> first = done();
    if (!first_bytes.empty()) {
      first = co_await up.write_all(first_bytes);
      there_.bytes += first_bytes.size();
      release(first_bytes);
    }
    if (first.ok()) {
      (void)co_await both(carry(*stream_, up, worker_.buffers(), there_),
                          carry(up, *stream_, worker_.buffers(), back_));
    }
    stop();
  }
  finish();
}

void TcpConnection::finish() {
  if (there_.reading_failed) flags_ |= Flag::downstream_connection_termination;
  if (back_.reading_failed) flags_ |= Flag::upstream_connection_termination;
  const Duration took = worker_.loop().now() - accepted_at_;
  chain_->tcp_stats->downstream_cx_rx_bytes_total.add(there_.bytes);
  chain_->tcp_stats->downstream_cx_tx_bytes_total.add(back_.bytes);
  if (cluster_) {
    cluster_->stats().upstream_cx_tx_bytes_total.add(there_.bytes);
    cluster_->stats().upstream_cx_rx_bytes_total.add(back_.bytes);
  }
  write_log(took);
  record_end(took);
  if (!cluster_ || !host_) return;
  if (up_) cluster_->discard(std::move(up_));
  host_.release();
}

void TcpConnection::write_log(Duration took) {
  if (chain_->logs.empty()) return;
  LogEntry entry;
  entry.started = started_;
  entry.duration = took;
  entry.flags = flags_;
  entry.response_details = details_;
  entry.upstream_failure = failure_;
  entry.bytes_received = there_.bytes;
  entry.bytes_sent = back_.bytes;
  if (host_) entry.upstream_host = host_->text();
  entry.upstream_cluster = cluster_name_;
  entry.upstream_local_address = upstream_local_text_;
  entry.downstream_remote_address = remote_text_;
  entry.downstream_local_address = dialled_text_;
  entry.downstream_direct_local_address = dialled_text_;
  entry.requested_server_name = server_name_;
  entry.filter_chain = chain_->chain->name;
  entry.attempts = attempts_;
  entry.connection_id = id_;
  worker_.log(*chain_, entry);
}

// All but how it ended.
void TcpConnection::fill(Record& record) {
  record.started = started_;
  record.direction = chain_->listener->direction;
  record.downstream_remote = stream_->peer();
  record.downstream_local = stream_->local();
  record.original_destination = dialled_;
  record.upstream_local = upstream_local_;
  record.listener = chain_->listener->name;
  record.filter_chain = chain_->chain->name;
  record.cluster = cluster_name_;
  record.world = used_->snapshot().world;
  record.attempts = attempts_;
  if (!cluster_ || !host_) return;
  record.upstream_remote = host_->address();
  if (const config::LbEndpoint* endpoint = cluster_->endpoint_of(*host_)) {
    record.workload = endpoint->workload;
  }
}

// A connection may stay for hours: who asks where it goes is told while it is open.
void TcpConnection::record_beginning() {
  record_ = worker_.records().added();
  Record& record = worker_.records().add();
  fill(record);
  record.open = true;
}

void TcpConnection::record_end(Duration took) {
  Record* record = record_ ? worker_.records().numbered(*record_) : nullptr;
  if (record == nullptr) {  // never connected, or later ones have taken its place
    record = &worker_.records().add();
    fill(*record);
  }
  record->open = false;
  record->duration = took;
  record->flags = flags_;
  record->details = details_text_;
  record->bytes_received = there_.bytes;
  record->bytes_sent = back_.bytes;
}

}  // namespace

Task<> forward_tcp(Worker& worker, Accepted accepted, ChainPointer chain,
                   SnapshotTablePointer table, std::string first_bytes) {
  TcpConnection connection(worker, std::move(accepted), std::move(chain), std::move(table));
  co_await connection.run(std::move(first_bytes));
}

}  // namespace fairlead::proxy
