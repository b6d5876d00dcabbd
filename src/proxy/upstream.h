// One worker's side of the clusters: their endpoints ("hosts"), pooled connections, who is asked
// next, and the limits. Touched by the worker's thread alone.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/lifetime.h"
#include "base/result.h"
#include "base/task.h"
#include "net/loop.h"
#include "net/stream.h"
#include "proxy/connector.h"
#include "proxy/decide/closed.h"
#include "proxy/decide/table.h"
#include "proxy/stats.h"

namespace fairlead::proxy {

class Cluster;
class Host;

// A connection to a host. In the pool it watches for its peer's end by itself.
class UpstreamConnection final : private net::Stream::Notice, private net::WheelEntry {
 public:
  UpstreamConnection(Host& host, net::StreamPointer stream, Instant made);
  ~UpstreamConnection();

  [[nodiscard]] net::Stream& stream() LIFETIMEBOUND { return *stream_; }
  [[nodiscard]] Host& host() const { return host_; }
  [[nodiscard]] Instant made() const { return made_; }
  [[nodiscard]] std::string_view local_text() const LIFETIMEBOUND { return local_text_; }
  [[nodiscard]] std::uint32_t uses() const { return uses_; }

 private:
  friend class Cluster;
  void on_readable(net::Stream& stream) override;
  void expired() override;

  Host& host_;
  net::StreamPointer stream_;
  Instant made_;
  std::string local_text_;
  std::uint32_t uses_ = 0;  // requests begun on it
};

using UpstreamPointer = std::unique_ptr<UpstreamConnection>;

// What a host is called once it may be gone.
struct HostName {
  SocketAddress address;
  std::string unix_path;
  bool operator==(const HostName&) const = default;
};

// An address of a cluster.
class Host {
 public:
  Host(Cluster& cluster, const SocketAddress& address, std::string unix_path);

  [[nodiscard]] Cluster& cluster() const { return cluster_; }
  [[nodiscard]] const SocketAddress& address() const LIFETIMEBOUND { return address_; }
  [[nodiscard]] std::string_view text() const LIFETIMEBOUND { return text_; }
  // "10.0.0.1:80", or the path of a unix socket.
  [[nodiscard]] HostName name() const { return {address_, unix_path_}; }
  [[nodiscard]] bool proxied() const { return proxied_; }
  // As control said last: also of one that has left the endpoints since.
  [[nodiscard]] std::uint32_t active() const { return active_; }
  [[nodiscard]] std::size_t idle() const { return idle_.size(); }

 private:
  friend class Cluster;
  friend class UpstreamConnection;
  class Turn;
  void wake_next();

  Cluster& cluster_;
  SocketAddress address_;
  std::string unix_path_;
  std::string text_;
  std::optional<std::size_t> number_;  // in the endpoint set in force; absent: no longer there
  bool proxied_ = false;               // its x-fairlead-undelivered is a proxy's
  std::uint32_t active_ = 0;           // requests and TCP connections in flight
  std::uint32_t connections_ = 0;      // idle, in use, and being made
  Turn* waiting_ = nullptr;            // who waits for one of them, the first first
  std::vector<UpstreamPointer> idle_;  // the last one back is the first one out
};

// Someone counts on this host: it stays while held, and counts as loaded.
class HostHold {
 public:
  HostHold() = default;
  explicit HostHold(Host& host);
  HostHold(HostHold&& other) noexcept : host_(std::exchange(other.host_, nullptr)) {}
  HostHold& operator=(HostHold&& other) noexcept;
  ~HostHold() { release(); }
  [[nodiscard]] Host* get() const { return host_; }
  explicit operator bool() const { return host_ != nullptr; }
  Host* operator->() const { return host_; }
  Host& operator*() const { return *host_; }
  void release();

 private:
  Host* host_ = nullptr;
};

struct UpstreamContext {
  net::Loop& loop;
  Stats& stats;
  Random& random;
  Connector& connector;
  unsigned worker = 0;
};

class Cluster {
 public:
  Cluster(UpstreamContext& context, std::shared_ptr<const config::Cluster> cluster);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  void update(const ClusterTable& table);
  // Of a newer snapshot. Idle connections to endpoints that went away are closed; requests in
  // flight to them go on.
  void retire();
  // The cluster is gone from the configuration: nothing is kept for a next request.
  [[nodiscard]] bool unused() const { return holds_ == 0; }

  [[nodiscard]] const config::Cluster& config() const LIFETIMEBOUND { return *cluster_; }
  [[nodiscard]] const std::shared_ptr<const config::Cluster>& config_pointer() const LIFETIMEBOUND {
    return cluster_;
  }
  [[nodiscard]] const EndpointSet* endpoints() const LIFETIMEBOUND { return endpoints_.get(); }
  [[nodiscard]] ClusterStats& stats() LIFETIMEBOUND { return *stats_; }

  [[nodiscard]] Host* pick(std::span<const HostName> avoid = {});
  // By the balancer; null when no endpoint is eligible. `avoid` are names, as whoever was tried may
  // have left the cluster since.
  [[nodiscard]] Host& at(const SocketAddress& address) LIFETIMEBOUND;
  // For original_dst: the host of this very address.
  [[nodiscard]] const config::LbEndpoint* endpoint_of(const Host& host) const LIFETIMEBOUND;
  // Null for original_dst and for what is no longer in the set.

  [[nodiscard]] std::string_view why_closed(const Host& host) const LIFETIMEBOUND {
    return may_be_closed_ ? proxy::why_closed(*cluster_, endpoint_of(host)) : std::string_view();
  }
  // Nothing may be sent to `host`: the protection that is not enforced. Empty: it is open.

  enum class Limit : std::uint8_t { connections, pending, requests, retries };
  [[nodiscard]] bool reached(Limit limit) const;
  // Over all workers. A limit may be passed by a few for a moment.

  [[nodiscard]] UpstreamPointer take_idle(Host& host);
  // Null when there is none.
  [[nodiscard]] Task<Result<UpstreamPointer>> connect(Host& host);
  // A new one. When the connections are used up it waits for one of this worker's to this host to
  // come back, among no more than max_pending_requests: a fault `exhausted` says that those are too
  // many (flag UO). What comes may then be a connection that was used before. A worker that has
  // none to this host makes one whatever the limit says, as Envoy does: what other workers have
  // does not come back here. `host` is held by the caller.
  [[nodiscard]] Task<Result<UpstreamPointer>> connect_at_once(Host& host);
  // The same for what will not come back to be used again: without waiting, and `exhausted` when
  // the connections are used up.
  void give_back(UpstreamPointer connection);
  // To be used again: nothing of a message is on its way in it.
  void discard(UpstreamPointer connection);

  void retry_begins() { ++retries_; }
  void retry_ends() { --retries_; }
  [[nodiscard]] std::uint32_t retries_in_flight() const { return retries_; }

 private:
  friend class UpstreamConnection;
  friend class HostHold;

  Host& host_of(const config::LbEndpoint& endpoint);
  [[nodiscard]] const Host* find(const HostName& name) const;
  Host& make_host(const SocketAddress& address, const std::string& unix_path);
  void forget_idle(Host& host);
  void lost_idle(UpstreamConnection& connection);
  void drop_if_unused(Host& host);
  [[nodiscard]] bool make_room(const Host& host);
  [[nodiscard]] std::uint64_t sum(Count ClusterStats::* member) const;
  [[nodiscard]] Task<Result<UpstreamPointer>> connect_now(Host& host);
  void loaded(Host& host, int by);

  UpstreamContext& context_;
  std::shared_ptr<const config::Cluster> cluster_;
  std::shared_ptr<const EndpointSet> endpoints_;
  std::shared_ptr<ClusterStats> stats_;
  std::vector<std::shared_ptr<const ClusterStats>> all_stats_;
  std::unordered_map<SocketAddress, std::unique_ptr<Host>> hosts_;
  std::unordered_map<std::string, std::unique_ptr<Host>> unix_hosts_;
  std::vector<Host*> by_number_;     // as in the endpoint set; null until asked for
  std::vector<std::uint32_t> load_;  // the same
  Balancer balancer_;
  std::uint32_t retries_ = 0;
  std::uint32_t holds_ = 0;
  bool retired_ = false;
  std::shared_ptr<const config::Cluster> made_;  // what update() took last
  bool may_be_closed_ = false;                   // some of it may be
};

}  // namespace fairlead::proxy
