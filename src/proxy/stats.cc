#include "proxy/stats.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <tuple>

#include "base/json_text.h"

namespace fairlead::proxy {

// One line of the stats, summed over the workers.
struct Series {
  std::string scope;
  std::string tag;
  std::string name;      // as in Envoy's text: "upstream_rq_2xx"
  std::string family;    // as in Prometheus: "upstream_rq_xx"
  std::string label;     // a further label: envoy_response_code_class
  std::string labelled;  // its value
  bool counts_up = true;
  std::uint64_t value = 0;
  std::optional<std::array<std::uint64_t, Histogram::bounds.size() + 1>> buckets;

  [[nodiscard]] std::string text_name() const {
    return tag.empty() ? scope + "." + name : scope + "." + tag + "." + name;
  }
};

namespace {

// ── Which member is called what ──────────────────────────────────────────────────────────────────

template <class Block>
struct Member {
  const char* name;
  Count Block::* count;
};

#define MEMBER(block, name) \
  Member<block> {           \
    #name, &block::name     \
  }

const std::vector<Member<ListenerStats>> listener_members{
    MEMBER(ListenerStats, downstream_cx_total),   MEMBER(ListenerStats, downstream_cx_active),
    MEMBER(ListenerStats, downstream_cx_destroy), MEMBER(ListenerStats, downstream_pre_cx_timeout),
    MEMBER(ListenerStats, no_filter_chain_match), MEMBER(ListenerStats, protection_not_enforced),
};
const std::vector<Member<HttpStats>> http_members{
    MEMBER(HttpStats, downstream_cx_total),
    MEMBER(HttpStats, downstream_cx_active),
    MEMBER(HttpStats, downstream_cx_destroy),
    MEMBER(HttpStats, downstream_cx_idle_timeout),
    MEMBER(HttpStats, downstream_cx_drain_close),
    MEMBER(HttpStats, downstream_cx_protocol_error),
    MEMBER(HttpStats, downstream_cx_rx_bytes_total),
    MEMBER(HttpStats, downstream_cx_tx_bytes_total),
    MEMBER(HttpStats, downstream_cx_upgrades_total),
    MEMBER(HttpStats, downstream_rq_total),
    MEMBER(HttpStats, downstream_rq_active),
    MEMBER(HttpStats, downstream_rq_completed),
    MEMBER(HttpStats, downstream_rq_timeout),
    MEMBER(HttpStats, downstream_rq_header_timeout),
    MEMBER(HttpStats, downstream_rq_idle_timeout),
    MEMBER(HttpStats, downstream_rq_rx_reset),
    MEMBER(HttpStats, downstream_rq_too_large),
    MEMBER(HttpStats, downstream_rq_ws_on_non_ws_route),
    MEMBER(HttpStats, no_route),
    MEMBER(HttpStats, no_cluster),
    MEMBER(HttpStats, protection_not_enforced),
    MEMBER(HttpStats, rq_direct_response),
    MEMBER(HttpStats, rq_redirect),
};
const std::vector<Member<TcpStats>> tcp_members{
    MEMBER(TcpStats, downstream_cx_total),
    MEMBER(TcpStats, downstream_cx_no_route),
    MEMBER(TcpStats, downstream_cx_rx_bytes_total),
    MEMBER(TcpStats, downstream_cx_tx_bytes_total),
    MEMBER(TcpStats, idle_timeout),
    MEMBER(TcpStats, max_downstream_connection_duration),
};
const std::vector<Member<ClusterStats>> cluster_members{
    MEMBER(ClusterStats, upstream_cx_total),
    MEMBER(ClusterStats, upstream_cx_active),
    MEMBER(ClusterStats, upstream_cx_http1_total),
    MEMBER(ClusterStats, upstream_cx_connect_fail),
    MEMBER(ClusterStats, upstream_cx_connect_timeout),
    MEMBER(ClusterStats, upstream_cx_connect_attempts_exceeded),
    MEMBER(ClusterStats, upstream_cx_idle_timeout),
    MEMBER(ClusterStats, upstream_cx_max_requests),
    MEMBER(ClusterStats, upstream_cx_none_healthy),
    MEMBER(ClusterStats, upstream_cx_overflow),
    MEMBER(ClusterStats, upstream_cx_protocol_error),
    MEMBER(ClusterStats, upstream_cx_destroy),
    MEMBER(ClusterStats, upstream_cx_destroy_local_with_active_rq),
    MEMBER(ClusterStats, upstream_cx_destroy_remote_with_active_rq),
    MEMBER(ClusterStats, upstream_cx_rx_bytes_total),
    MEMBER(ClusterStats, upstream_cx_tx_bytes_total),
    MEMBER(ClusterStats, upstream_rq_total),
    MEMBER(ClusterStats, upstream_rq_active),
    MEMBER(ClusterStats, upstream_rq_completed),
    MEMBER(ClusterStats, upstream_rq_timeout),
    MEMBER(ClusterStats, upstream_rq_per_try_timeout),
    MEMBER(ClusterStats, upstream_rq_cancelled),
    MEMBER(ClusterStats, upstream_rq_rx_reset),
    MEMBER(ClusterStats, upstream_rq_tx_reset),
    MEMBER(ClusterStats, upstream_rq_pending_total),
    MEMBER(ClusterStats, upstream_rq_pending_active),
    MEMBER(ClusterStats, upstream_rq_pending_overflow),
    MEMBER(ClusterStats, upstream_rq_pending_failure_eject),
    MEMBER(ClusterStats, upstream_rq_retry),
    MEMBER(ClusterStats, upstream_rq_retry_success),
    MEMBER(ClusterStats, upstream_rq_retry_overflow),
    MEMBER(ClusterStats, upstream_rq_retry_limit_exceeded),
    MEMBER(ClusterStats, retry_or_shadow_abandoned),
    MEMBER(ClusterStats, protection_not_enforced),
};
#undef MEMBER

// ── Gathering ────────────────────────────────────────────────────────────────────────────────────

std::string tag_text(std::string_view name) {
  std::string tag(name);
  std::replace(tag.begin(), tag.end(), ':', '_');  // as Envoy does
  return tag;
}

// Adds up what the workers have under one name.
class Sum {
 public:
  Sum(std::vector<Series>& all, std::string scope, std::string_view tag)
      : all_(all), scope_(std::move(scope)), tag_(tag_text(tag)) {}

  Series& add(const std::string& name, std::uint64_t value) {
    const auto [place, fresh] = places_.try_emplace(name, all_.size());
    if (fresh) all_.push_back({.scope = scope_, .tag = tag_, .name = name, .family = name});
    Series& series = all_[place->second];
    series.value += value;
    series.counts_up = !name.ends_with("_active");
    return series;
  }
  void add(const std::string& name, const Histogram& histogram) {
    Series& series = add(name, histogram.microseconds.value());
    if (!series.buckets) series.buckets.emplace();
    for (std::size_t at = 0; at < histogram.buckets.size(); ++at) {
      (*series.buckets)[at] += histogram.buckets[at].value();
    }
  }
  void add_classes(const std::string& stem, const std::array<Count, 5>& classes) {
    for (std::size_t at = 0; at < classes.size(); ++at) {
      const std::string digit = std::to_string(at + 1);
      Series& series = add(stem + "_" + digit + "xx", classes[at].value());
      series.family = stem + "_xx";
      series.label = "envoy_response_code_class";
      series.labelled = digit;
    }
  }
  void add_codes(const std::string& stem, const CodeCounts& codes) {
    for (std::size_t at = 0; at < CodeCounts::size && codes.code(at) != 0; ++at) {
      const std::string code = std::to_string(codes.code(at));
      Series& series = add(stem + "_" + code, codes.count(at));
      series.family = stem;
      series.label = "envoy_response_code";
      series.labelled = code;
    }
  }
  template <class Block>
  void add_members(const std::vector<Member<Block>>& members, const Block& block) {
    for (const Member<Block>& member : members) add(member.name, (block.*member.count).value());
  }

 private:
  std::vector<Series>& all_;
  std::string scope_;
  std::string tag_;
  std::map<std::string, std::size_t> places_;
};

void add_block(Sum& sum, const ListenerStats& block) {
  sum.add_members(listener_members, block);
}
void add_block(Sum& sum, const HttpStats& block) {
  sum.add_members(http_members, block);
  sum.add_classes("downstream_rq", block.downstream_rq_xx);
  sum.add("downstream_rq_time", block.downstream_rq_time);
}
void add_block(Sum& sum, const TcpStats& block) {
  sum.add_members(tcp_members, block);
}
void add_block(Sum& sum, const ClusterStats& block) {
  sum.add_members(cluster_members, block);
  sum.add_classes("upstream_rq", block.upstream_rq_xx);
  sum.add_codes("upstream_rq", block.upstream_rq_codes);
  sum.add("upstream_cx_connect_ms", block.upstream_cx_connect_ms);
  sum.add("upstream_rq_time", block.upstream_rq_time);
}

template <class Blocks>
void add_blocks(std::vector<Series>& all, const std::string& scope, const Blocks& blocks) {
  // Blocks of one name stand together, a worker after the other.
  for (auto at = blocks.begin(); at != blocks.end();) {
    const std::string& name = at->first.first;
    Sum sum(all, scope, name);
    for (; at != blocks.end() && at->first.first == name; ++at) add_block(sum, *at->second);
  }
}

bool used(const Series& series) {
  return series.value != 0 ||
         (series.buckets && std::any_of(series.buckets->begin(), series.buckets->end(),
                                        [](std::uint64_t count) { return count != 0; }));
}

// ── Writing ──────────────────────────────────────────────────────────────────────────────────────

std::uint64_t samples(const Series& series) {
  std::uint64_t all = 0;
  for (const std::uint64_t count : *series.buckets) all += count;
  return all;
}

// Envoy tells quantiles here; ours are the bucket's upper bound.
std::string histogram_text(const Series& series) {
  const std::uint64_t all = samples(series);
  if (all == 0) return "No recorded values";
  std::string text;
  for (const auto& [name, share] : {std::pair("P0", 0.0),
                                    {"P25", 0.25},
                                    {"P50", 0.5},
                                    {"P75", 0.75},
                                    {"P90", 0.9},
                                    {"P95", 0.95},
                                    {"P99", 0.99},
                                    {"P100", 1.0}}) {
    std::uint64_t seen = 0;
    std::size_t at = 0;
    for (; at < Histogram::bounds.size(); ++at) {
      seen += (*series.buckets)[at];
      if (seen > 0 && static_cast<double>(seen) >= share * static_cast<double>(all)) break;
    }
    const double bound = Histogram::bounds[std::min(at, Histogram::bounds.size() - 1)];
    text += fmt::format("{}{}(nan,{})", text.empty() ? "" : " ", name, bound);
  }
  return text;
}

std::string escaped(std::string_view value) {
  std::string made;
  for (const char byte : value) {
    if (byte == '\n') {
      made += "\\n";
      continue;
    }
    if (byte == '\\' || byte == '"') made += '\\';
    made += byte;
  }
  return made;
}

std::string label_of(const std::string& scope) {
  if (scope == "cluster") return "envoy_cluster_name";
  if (scope == "http") return "envoy_http_conn_manager_prefix";
  if (scope == "listener") return "envoy_listener_address";
  if (scope == "tcp") return "envoy_tcp_prefix";
  return "envoy_" + scope;
}

std::string labels_of(const Series& series, const std::string& last = "") {
  std::string labels;
  const auto add = [&](const std::string& name, std::string_view value) {
    labels += fmt::format("{}{}=\"{}\"", labels.empty() ? "" : ",", name, escaped(value));
  };
  if (!series.label.empty()) add(series.label, series.labelled);
  if (!series.tag.empty()) add(label_of(series.scope), series.tag);
  if (!last.empty()) add("le", last);
  return labels.empty() ? "" : "{" + labels + "}";
}

std::string prometheus_name(const Series& series) {
  std::string name = "envoy_" + series.scope + "_" + series.family;
  for (char& byte : name) {
    if (byte == '.' || byte == '-') byte = '_';
  }
  return name;
}

void write_histogram(std::string& out, const std::string& name, const Series& series) {
  std::uint64_t seen = 0;
  for (std::size_t at = 0; at < Histogram::bounds.size(); ++at) {
    seen += (*series.buckets)[at];
    out += fmt::format("{}_bucket{} {}\n", name,
                       labels_of(series, fmt::format("{}", Histogram::bounds[at])), seen);
  }
  const std::uint64_t all = samples(series);
  out += fmt::format("{}_bucket{} {}\n", name, labels_of(series, "+Inf"), all);
  out += fmt::format("{}_sum{} {}\n", name, labels_of(series),
                     static_cast<double>(series.value) / 1000.0);
  out += fmt::format("{}_count{} {}\n", name, labels_of(series), all);
}

}  // namespace

void Histogram::add(Duration duration) {
  const auto spent = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  const double milliseconds = static_cast<double>(spent) / 1000.0;
  std::size_t at = 0;
  while (at < bounds.size() && milliseconds > bounds[at]) ++at;
  buckets[at].add();
  microseconds.add(spent > 0 ? static_cast<std::uint64_t>(spent) : 0);
}

void CodeCounts::add(std::uint32_t code) {
  for (std::size_t at = 0; at < size; ++at) {
    const std::uint32_t known = codes_[at].load(std::memory_order_relaxed);
    if (known == 0) codes_[at].store(code, std::memory_order_release);
    if (known != 0 && known != code) continue;
    counts_[at].add();
    return;
  }
}

template <class Block>
std::shared_ptr<Block> Stats::find(Blocks<Block>& blocks, unsigned worker,
                                   const std::string& name) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Block>& block = blocks[{name, worker}];
  if (!block) block = std::make_shared<Block>();
  return block;
}

std::shared_ptr<ListenerStats> Stats::listener(unsigned worker, const std::string& address) {
  return find(listeners_, worker, address);
}
std::shared_ptr<HttpStats> Stats::http(unsigned worker, const std::string& prefix) {
  return find(http_, worker, prefix);
}
std::shared_ptr<TcpStats> Stats::tcp(unsigned worker, const std::string& prefix) {
  return find(tcp_, worker, prefix);
}
std::shared_ptr<ClusterStats> Stats::cluster(unsigned worker, const std::string& name) {
  return find(clusters_, worker, name);
}

std::vector<std::shared_ptr<const ClusterStats>> Stats::cluster_of_all(const std::string& name) {
  std::vector<std::shared_ptr<const ClusterStats>> all;
  all.reserve(workers_);
  for (unsigned worker = 0; worker < workers_; ++worker) all.push_back(cluster(worker, name));
  return all;
}

void Stats::keep(const Names& names) {
  const auto forget = [](auto& blocks, const std::unordered_set<std::string>& wanted) {
    // Who holds none now can only get it from find(), which waits.
    std::erase_if(blocks, [&](const auto& entry) {
      return entry.second.use_count() == 1 && !wanted.contains(entry.first.first);
    });
  };
  const std::lock_guard lock(mutex_);
  forget(listeners_, names.listeners);
  forget(http_, names.http);
  forget(tcp_, names.tcp);
  forget(clusters_, names.clusters);
}

std::vector<Series> Stats::gather(const std::vector<Reading>& readings,
                                  const Filter& filter) const {
  std::vector<Series> all;
  {
    const std::lock_guard lock(mutex_);
    add_blocks(all, "listener", listeners_);
    add_blocks(all, "http", http_);
    add_blocks(all, "tcp", tcp_);
    add_blocks(all, "cluster", clusters_);
  }
  for (const Reading& reading : readings) {
    all.push_back({.scope = reading.scope,
                   .tag = tag_text(reading.tag),
                   .name = reading.name,
                   .family = reading.name,
                   .counts_up = reading.counts_up,
                   .value = reading.value});
  }
  const re2::RE2 pattern(filter.pattern, re2::RE2::Quiet);
  if (!pattern.ok()) return {};
  std::erase_if(all, [&](const Series& series) {
    // What is read is told always: a zero is news there ("server.state: 0" is "live").
    if (filter.used_only && !used(series) && series.scope != "server") return true;
    return !filter.pattern.empty() && !re2::RE2::PartialMatch(series.text_name(), pattern);
  });
  return all;
}

Result<> Stats::check(const Filter& filter) {
  const re2::RE2 pattern(filter.pattern, re2::RE2::Quiet);
  if (!pattern.ok()) return invalid("Invalid re2 regex: " + pattern.error());
  return done();
}

std::string Stats::text(const std::vector<Reading>& readings, const Filter& filter) const {
  std::map<std::string, std::string> lines;
  std::map<std::string, std::string> histograms;
  for (const Series& series : gather(readings, filter)) {
    if (series.buckets) {
      histograms[series.text_name()] = histogram_text(series);
    } else {
      lines[series.text_name()] = std::to_string(series.value);
    }
  }
  std::string out;
  for (const auto& [name, value] : lines) out += name + ": " + value + "\n";
  for (const auto& [name, value] : histograms) out += name + ": " + value + "\n";
  return out;
}

std::string Stats::json(const std::vector<Reading>& readings, const Filter& filter) const {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const Series& series : gather(readings, filter)) {
    if (!series.buckets) all.push_back({{"name", series.text_name()}, {"value", series.value}});
  }
  return json_text(nlohmann::ordered_json{{"stats", all}});
}

std::string Stats::prometheus(const std::vector<Reading>& readings, const Filter& filter) const {
  std::vector<Series> all = gather(readings, filter);
  std::sort(all.begin(), all.end(), [](const Series& left, const Series& right) {
    return std::tie(left.scope, left.family, left.tag, left.name) <
           std::tie(right.scope, right.family, right.tag, right.name);
  });
  std::string out;
  std::string family;
  for (const Series& series : all) {
    const std::string name = prometheus_name(series);
    if (name != family) {
      const char* type = series.counts_up ? "counter" : "gauge";
      out += fmt::format("# TYPE {} {}\n", name, series.buckets ? "histogram" : type);
      family = name;
    }
    if (series.buckets) {
      write_histogram(out, name, series);
    } else {
      out += fmt::format("{}{} {}\n", name, labels_of(series), series.value);
    }
  }
  return out;
}

}  // namespace fairlead::proxy
