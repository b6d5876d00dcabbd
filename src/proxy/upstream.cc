#include "proxy/upstream.h"

#include <algorithm>
#include <limits>

namespace fairlead::proxy {
namespace {

constexpr std::uint32_t no_limit = std::numeric_limits<std::uint32_t>::max();

Fault too_many(const char* what, const std::string& cluster) {
  return {.kind = FaultKind::exhausted,
          .message = std::string(what) + " of cluster " + cluster + " are used up"};
}

}  // namespace

// ── Connections ──────────────────────────────────────────────────────────────────────────────────

UpstreamConnection::UpstreamConnection(Host& host, net::StreamPointer stream, Instant made)
    : host_(host), stream_(std::move(stream)), made_(made), local_text_(stream_->local().text()) {}

UpstreamConnection::~UpstreamConnection() {
  --host_.connections_;
  ClusterStats& stats = host_.cluster().stats();
  stats.upstream_cx_active.subtract();
  stats.upstream_cx_destroy.add();
}

void UpstreamConnection::on_readable(net::Stream& /*stream*/) {
  host_.cluster().lost_idle(*this);
}

void UpstreamConnection::expired() {
  host_.cluster().stats().upstream_cx_idle_timeout.add();
  host_.cluster().lost_idle(*this);
}

// ── Hosts ────────────────────────────────────────────────────────────────────────────────────────

Host::Host(Cluster& cluster, const SocketAddress& address, std::string unix_path)
    : cluster_(cluster),
      address_(address),
      unix_path_(std::move(unix_path)),
      text_(unix_path_.empty() ? address.text() : unix_path_) {}

HostHold::HostHold(Host& host) : host_(&host) {
  ++host.cluster().holds_;
  host.cluster().loaded(host, 1);
}

HostHold& HostHold::operator=(HostHold&& other) noexcept {
  if (this == &other) return *this;
  release();
  host_ = std::exchange(other.host_, nullptr);
  return *this;
}

void HostHold::release() {
  if (!host_) return;
  Host& host = *std::exchange(host_, nullptr);
  Cluster& cluster = host.cluster();
  --cluster.holds_;
  cluster.loaded(host, -1);
  cluster.drop_if_unused(host);
}

// Waits for a connection to come back.
class Host::Turn final : public Waiter {
 public:
  explicit Turn(Host& host) : host_(host) {
    Turn** end = &host.waiting_;
    while (*end) end = &(*end)->next_;
    *end = this;
  }
  ~Turn() override { leave(); }
  [[nodiscard]] bool await_ready() const { return false; }
  template <class P>
  bool await_suspend(std::coroutine_handle<P> coroutine) {
    return park(coroutine);
  }
  [[nodiscard]] Result<> await_resume() const {
    if (was_cancelled()) return cancelled_fault();
    return done();
  }
  Turn* next_ = nullptr;

 private:
  void leave() override {
    for (Turn** at = &host_.waiting_; *at; at = &(*at)->next_) {
      if (*at != this) continue;
      *at = next_;
      return;
    }
  }
  Host& host_;
};

void Host::wake_next() {
  if (!waiting_) return;
  Turn* next = waiting_;
  waiting_ = next->next_;
  next->next_ = nullptr;
  next->wake();
}

// ── Clusters ─────────────────────────────────────────────────────────────────────────────────────

Cluster::Cluster(UpstreamContext& context, std::shared_ptr<const config::Cluster> cluster)
    : context_(context),
      cluster_(std::move(cluster)),
      stats_(context.stats.cluster(context.worker, cluster_->name)),
      all_stats_(context.stats.cluster_of_all(cluster_->name)),
      balancer_(cluster_->balance, cluster_->least_request_choices) {}

Cluster::~Cluster() = default;

void Cluster::update(const ClusterTable& table) {
  if (cluster_->balance != table.cluster->balance ||
      cluster_->least_request_choices != table.cluster->least_request_choices) {
    balancer_ = Balancer(table.cluster->balance, table.cluster->least_request_choices);
  }
  const bool other_way = cluster_->source_v4 != table.cluster->source_v4 ||
                         cluster_->source_v6 != table.cluster->source_v6;
  if (made_ != table.cluster || endpoints_ != table.endpoints) {
    may_be_closed_ =
        may_be_closed(*table.cluster, table.endpoints ? &table.endpoints->made_of() : nullptr);
  }
  cluster_ = made_ = table.cluster;
  retired_ = false;
  if (endpoints_ == table.endpoints && !other_way) return;

  for (Host* host : by_number_) {
    if (host) host->number_.reset();
  }
  endpoints_ = table.endpoints;
  const std::size_t size = endpoints_ ? endpoints_->size() : 0;
  by_number_.assign(size, nullptr);
  load_.assign(size, 0);
  for (std::size_t number = 0; number < size; ++number) {
    const config::LbEndpoint& endpoint = endpoints_->endpoint(number);
    if (!endpoint.unix_path.empty()) continue;  // few: found again when asked for
    const auto known = hosts_.find(endpoint.address);
    if (known == hosts_.end()) continue;
    by_number_[number] = known->second.get();
    known->second->number_ = number;
    known->second->proxied_ = endpoint.proxied;
    load_[number] = known->second->active_;
  }
  if (cluster_->type == config::ClusterType::original_dst && !other_way) return;
  std::vector<Host*> gone;
  for (const auto& [address, host] : hosts_) {
    if (!host->number_) gone.push_back(host.get());
  }
  for (Host* host : gone) {
    forget_idle(*host);
    drop_if_unused(*host);
  }
}

void Cluster::retire() {
  retired_ = true;
  endpoints_.reset();
  by_number_.clear();
  load_.clear();
  std::vector<Host*> all;
  all.reserve(hosts_.size() + unix_hosts_.size());
  for (const auto& [address, host] : hosts_) all.push_back(host.get());
  for (const auto& [path, host] : unix_hosts_) all.push_back(host.get());
  for (Host* host : all) {
    host->number_.reset();
    forget_idle(*host);
    drop_if_unused(*host);
  }
}

Host& Cluster::make_host(const SocketAddress& address, const std::string& unix_path) {
  std::unique_ptr<Host>& host = unix_path.empty() ? hosts_[address] : unix_hosts_[unix_path];
  if (!host) host = std::make_unique<Host>(*this, address, unix_path);
  return *host;
}

const Host* Cluster::find(const HostName& name) const {
  if (!name.unix_path.empty()) {
    const auto found = unix_hosts_.find(name.unix_path);
    return found == unix_hosts_.end() ? nullptr : found->second.get();
  }
  const auto found = hosts_.find(name.address);
  return found == hosts_.end() ? nullptr : found->second.get();
}

Host* Cluster::pick(std::span<const HostName> avoid) {
  if (!endpoints_ || endpoints_->size() == 0) return nullptr;
  std::vector<std::size_t> numbers;
  for (const HostName& name : avoid) {
    const Host* host = find(name);
    if (host && host->number_) numbers.push_back(*host->number_);
  }
  const std::optional<std::size_t> number =
      balancer_.pick(*endpoints_, load_, context_.random, numbers);
  if (!number) return nullptr;
  Host*& host = by_number_[*number];
  if (!host) {
    const config::LbEndpoint& endpoint = endpoints_->endpoint(*number);
    host = &make_host(endpoint.address, endpoint.unix_path);
    host->number_ = *number;
    host->proxied_ = endpoint.proxied;
    load_[*number] = host->active_;
  }
  return host;
}

Host& Cluster::at(const SocketAddress& address) LIFETIMEBOUND {
  return make_host(address, {});
}

const config::LbEndpoint* Cluster::endpoint_of(const Host& host) const LIFETIMEBOUND {
  if (!endpoints_ || !host.number_) return nullptr;
  return &endpoints_->endpoint(*host.number_);
}

void Cluster::loaded(Host& host, int by) {
  host.active_ += static_cast<std::uint32_t>(by);
  if (host.number_) load_[*host.number_] = host.active_;
}

void Cluster::drop_if_unused(Host& host) {
  if (host.active_ != 0 || !host.idle_.empty() || (host.number_ && !retired_)) return;
  if (host.unix_path_.empty()) {
    hosts_.erase(SocketAddress(host.address_));
  } else {
    unix_hosts_.erase(std::string(host.unix_path_));
  }
}

void Cluster::forget_idle(Host& host) {
  host.idle_.clear();
}

void Cluster::lost_idle(UpstreamConnection& connection) {
  Host& host = connection.host();
  const auto found =
      std::find_if(host.idle_.begin(), host.idle_.end(),
                   [&](const UpstreamPointer& one) { return one.get() == &connection; });
  if (found == host.idle_.end()) return;
  host.idle_.erase(found);
  host.wake_next();
  drop_if_unused(host);
}

std::uint64_t Cluster::sum(Count ClusterStats::* member) const {
  std::uint64_t all = 0;
  for (const std::shared_ptr<const ClusterStats>& stats : all_stats_) {
    all += (stats.get()->*member).value();
  }
  return all;
}

bool Cluster::reached(Limit limit) const {
  switch (limit) {
    case Limit::connections:
      return cluster_->max_connections != no_limit &&
             sum(&ClusterStats::upstream_cx_active) >= cluster_->max_connections;
    case Limit::pending:
      return cluster_->max_pending_requests != no_limit &&
             sum(&ClusterStats::upstream_rq_pending_active) >= cluster_->max_pending_requests;
    case Limit::requests:
      return cluster_->max_requests != no_limit &&
             sum(&ClusterStats::upstream_rq_active) >= cluster_->max_requests;
    case Limit::retries:
      return retries_ >= cluster_->max_retries;
  }
  return false;
}

UpstreamPointer Cluster::take_idle(Host& host) {
  if (host.idle_.empty()) return nullptr;
  UpstreamPointer connection = std::move(host.idle_.back());
  host.idle_.pop_back();
  connection->stream_->notify(nullptr);
  connection->stop();
  ++connection->uses_;
  return connection;
}

Task<Result<UpstreamPointer>> Cluster::connect(Host& host) {
  if (reached(Limit::pending)) {
    stats_->upstream_rq_pending_overflow.add();
    co_return too_many("the waiting requests", cluster_->name);
  }
  stats_->upstream_rq_pending_total.add();
  stats_->upstream_rq_pending_active.add();
  while (reached(Limit::connections)) {
    if (UpstreamPointer back = take_idle(host)) {
      stats_->upstream_rq_pending_active.subtract();
      co_return back;
    }
    stats_->upstream_cx_overflow.add();
    if (host.connections_ == 0 || make_room(host)) break;
    Result<> turn = co_await Host::Turn(host);
    if (!turn) {
      stats_->upstream_rq_pending_active.subtract();
      host.wake_next();  // the turn may have been given to us already
      co_return std::move(turn).fault();
    }
  }
  stats_->upstream_cx_http1_total.add();
  Result<UpstreamPointer> made = co_await connect_now(host);
  stats_->upstream_rq_pending_active.subtract();
  if (!made) {
    if (made.fault().kind != FaultKind::cancelled) stats_->upstream_rq_pending_failure_eject.add();
    host.wake_next();
  }
  co_return made;
}

Task<Result<UpstreamPointer>> Cluster::connect_at_once(Host& host) {
  if (reached(Limit::connections)) {
    stats_->upstream_cx_overflow.add();
    co_return too_many("the connections", cluster_->name);
  }
  co_return co_await connect_now(host);
}

// By the end of a connection that idles for another host; false when that is not enough.
bool Cluster::make_room(const Host& host) {
  const auto other = std::find_if(hosts_.begin(), hosts_.end(), [&](const auto& entry) {
    return entry.second.get() != &host && !entry.second->idle_.empty();
  });
  if (other == hosts_.end()) return false;
  Host& idler = *other->second;
  idler.idle_.erase(idler.idle_.begin());
  drop_if_unused(idler);
  return !reached(Limit::connections);
}

Task<Result<UpstreamPointer>> Cluster::connect_now(Host& host) {
  stats_->upstream_cx_total.add();
  stats_->upstream_cx_active.add();
  ++host.connections_;
  const Instant began = context_.loop.now();
  Result<net::StreamPointer> stream = co_await context_.connector.connect(
      context_.loop,
      {.address = host.address_,
       .unix_path = host.unix_path_,
       .source = host.address_.ip.is_v4() ? cluster_->source_v4 : cluster_->source_v6,
       .timeout = cluster_->connect_timeout});
  if (!stream) {
    const FaultKind kind = stream.fault().kind;
    stats_->upstream_cx_active.subtract();
    --host.connections_;
    if (kind == FaultKind::timed_out) stats_->upstream_cx_connect_timeout.add();
    if (kind != FaultKind::cancelled) stats_->upstream_cx_connect_fail.add();
    co_return std::move(stream).fault();
  }
  stats_->upstream_cx_connect_ms.add(context_.loop.now() - began);
  auto connection =
      std::make_unique<UpstreamConnection>(host, std::move(*stream), context_.loop.now());
  ++connection->uses_;
  co_return connection;
}

void Cluster::give_back(UpstreamPointer connection) {
  Host& host = connection->host();
  const bool worn = cluster_->max_requests_per_connection != 0 &&
                    connection->uses_ >= cluster_->max_requests_per_connection;
  if (worn) stats_->upstream_cx_max_requests.add();
  const bool gone =
      retired_ || (!host.number_ && cluster_->type != config::ClusterType::original_dst);
  if (worn || gone || !connection->stream_->is_idle()) return discard(std::move(connection));
  connection->stream_->notify(connection.get());
  if (cluster_->idle_timeout.count() > 0) {
    context_.loop.arm(*connection, cluster_->idle_timeout);
  }
  host.idle_.push_back(std::move(connection));
  host.wake_next();
}

void Cluster::discard(UpstreamPointer connection) {
  Host& host = connection->host();
  connection->stream_->close();
  connection.reset();
  host.wake_next();
}

}  // namespace fairlead::proxy
