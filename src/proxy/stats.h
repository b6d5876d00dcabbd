// What is counted, under Envoy's names. Each worker has blocks of its own and writes them alone;
// any thread may read them. Names come from the configuration, never from a client, so they are
// bounded by it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace fairlead::proxy {

// Written by one thread, read by any.
class Count {
 public:
  void add(std::uint64_t by = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  void subtract(std::uint64_t by = 1) { add(0 - by); }
  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// Milliseconds in Envoy's default buckets.
class Histogram {
 public:
  static constexpr std::array<double, 19> bounds{
      0.5,  1,    5,     10,    25,    50,     100,    250,     500,    1000,
      2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000};
  void add(Duration duration);

  std::array<Count, bounds.size() + 1> buckets;
  Count microseconds;  // the sum
};

// Responses by their code: the first dozen codes that were seen, which is all there are in
// practice.
class CodeCounts {
 public:
  static constexpr std::size_t size = 12;
  void add(std::uint32_t code);
  [[nodiscard]] std::uint32_t code(std::size_t place) const {  // 0: none there yet
    return codes_[place].load(std::memory_order_acquire);
  }
  [[nodiscard]] std::uint64_t count(std::size_t place) const { return counts_[place].value(); }

 private:
  std::array<std::atomic<std::uint32_t>, size> codes_{};
  std::array<Count, size> counts_;
};

struct ListenerStats {
  Count downstream_cx_total;
  Count downstream_cx_active;
  Count downstream_cx_destroy;
  Count downstream_pre_cx_timeout;  // silence while a first byte was awaited
  Count no_filter_chain_match;
  Count protection_not_enforced;  // connections that a closed filter chain took
};

struct HttpStats {
  Count downstream_cx_total;
  Count downstream_cx_active;
  Count downstream_cx_destroy;
  Count downstream_cx_idle_timeout;
  Count downstream_cx_drain_close;
  Count downstream_cx_protocol_error;
  Count downstream_cx_rx_bytes_total;
  Count downstream_cx_tx_bytes_total;
  Count downstream_cx_upgrades_total;
  Count downstream_rq_total;
  Count downstream_rq_active;
  Count downstream_rq_completed;
  std::array<Count, 5> downstream_rq_xx;  // 1xx … 5xx
  Count downstream_rq_timeout;
  Count downstream_rq_header_timeout;
  Count downstream_rq_idle_timeout;
  Count downstream_rq_rx_reset;
  Count downstream_rq_too_large;
  Count downstream_rq_ws_on_non_ws_route;
  Count no_route;
  Count no_cluster;
  Count protection_not_enforced;  // requests that a closed route took
  Count rq_direct_response;
  Count rq_redirect;
  Histogram downstream_rq_time;
};

struct TcpStats {
  Count downstream_cx_total;
  Count downstream_cx_no_route;
  Count downstream_cx_rx_bytes_total;
  Count downstream_cx_tx_bytes_total;
  Count idle_timeout;
  Count max_downstream_connection_duration;
};

struct ClusterStats {
  Count upstream_cx_total;
  Count upstream_cx_active;
  Count upstream_cx_http1_total;
  Count upstream_cx_connect_fail;
  Count upstream_cx_connect_timeout;
  Count upstream_cx_connect_attempts_exceeded;
  Count upstream_cx_idle_timeout;
  Count upstream_cx_max_requests;
  Count upstream_cx_none_healthy;
  Count upstream_cx_overflow;
  Count upstream_cx_protocol_error;
  Count upstream_cx_destroy;
  Count upstream_cx_destroy_local_with_active_rq;
  Count upstream_cx_destroy_remote_with_active_rq;
  Count upstream_cx_rx_bytes_total;
  Count upstream_cx_tx_bytes_total;
  Count upstream_rq_total;
  Count upstream_rq_active;
  Count upstream_rq_completed;
  std::array<Count, 5> upstream_rq_xx;
  CodeCounts upstream_rq_codes;
  Count upstream_rq_timeout;
  Count upstream_rq_per_try_timeout;
  Count upstream_rq_cancelled;
  Count upstream_rq_rx_reset;
  Count upstream_rq_tx_reset;
  Count upstream_rq_pending_total;
  Count upstream_rq_pending_active;
  Count upstream_rq_pending_overflow;
  Count upstream_rq_pending_failure_eject;
  Count upstream_rq_retry;
  Count upstream_rq_retry_success;
  Count upstream_rq_retry_overflow;
  Count upstream_rq_retry_limit_exceeded;
  Count retry_or_shadow_abandoned;
  Count protection_not_enforced;  // requests and connections that were not sent to it
  Histogram upstream_cx_connect_ms;
  Histogram upstream_rq_time;
};

// A value that is read, not counted, when the stats are told.
struct Reading {
  std::string scope;  // "server", "cluster"
  std::string name;   // "live", "membership_total"
  std::string tag;    // the cluster's name; empty for a scope that has one instance
  std::uint64_t value = 0;
  bool counts_up = false;
};

struct Series;

// Where all blocks are kept.
class Stats {
 public:
  explicit Stats(unsigned workers = 1) : workers_(workers) {}

  std::shared_ptr<ListenerStats> listener(unsigned worker, const std::string& address);
  std::shared_ptr<HttpStats> http(unsigned worker, const std::string& prefix);
  std::shared_ptr<TcpStats> tcp(unsigned worker, const std::string& prefix);
  std::shared_ptr<ClusterStats> cluster(unsigned worker, const std::string& name);
  // The worker's block of that name, made when it is asked for first. From any thread; not for
  // the path of a request.
  std::vector<std::shared_ptr<const ClusterStats>> cluster_of_all(const std::string& name);
  // Every worker's: limits of a cluster hold for all of them together.

  struct Names {
    std::unordered_set<std::string> listeners;  // addresses
    std::unordered_set<std::string> http;       // prefixes
    std::unordered_set<std::string> tcp;
    std::unordered_set<std::string> clusters;
  };
  void keep(const Names& names);
  // Forgets what is counted under other names, unless somebody holds it still.

  struct Filter {
    bool used_only = false;
    std::string pattern;  // a regular expression (RE2's) looked for in names; empty: all
  };
  [[nodiscard]] static Result<> check(const Filter& filter);
  // Whether its pattern is one. Whoever asks may send any: matching takes linear time.
  [[nodiscard]] std::string text(const std::vector<Reading>& readings, const Filter& filter) const;
  // Envoy's /stats: "cluster.a.upstream_rq_total: 3", a line each, sorted.
  [[nodiscard]] std::string json(const std::vector<Reading>& readings, const Filter& filter) const;
  // {"stats":[{"name","value"}]}
  [[nodiscard]] std::string prometheus(const std::vector<Reading>& readings,
                                       const Filter& filter) const;
  // Text format 0.0.4 with Envoy's tags: envoy_cluster_upstream_rq_total{envoy_cluster_name="a"} 3
  // Workers are summed up in all of them. A pattern that is no regular expression matches nothing.

 private:
  [[nodiscard]] std::vector<Series> gather(const std::vector<Reading>& readings,
                                           const Filter& filter) const;

  template <class Block>
  using Blocks = std::map<std::pair<std::string, unsigned>, std::shared_ptr<Block>>;
  template <class Block>
  std::shared_ptr<Block> find(Blocks<Block>& blocks, unsigned worker, const std::string& name);

  unsigned workers_;
  mutable std::mutex mutex_;
  Blocks<ListenerStats> listeners_;
  Blocks<HttpStats> http_;
  Blocks<TcpStats> tcp_;
  Blocks<ClusterStats> clusters_;
};

}  // namespace fairlead::proxy
