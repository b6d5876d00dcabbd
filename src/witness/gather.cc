#include "witness/gather.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/json_text.h"
#include "nft/apply.h"
#include "nft/read.h"
#include "witness/conntrack.h"
#include "witness/exchange.h"
#include "witness/listening.h"

namespace fairlead::witness {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;
using std::chrono::milliseconds;

constexpr std::uint16_t admin_port = 15000;
constexpr milliseconds admin_patience{3000};
constexpr milliseconds record_patience{3000};  // a record is written after its request's answer
constexpr milliseconds record_pause{20};
constexpr milliseconds open_patience{500};
// A proxy that waits for a client's first bytes has no record yet. Then the connection is ended, so
// that it decides.

// ── records ─────────────────────────────────────────────────────────────────────────────────────

std::optional<SocketAddress> address_at(const Json& json, const char* key) {
  const Result<SocketAddress> address = SocketAddress::parse(text_at(json, key));
  return address ? std::optional(*address) : std::nullopt;
}

explain::ProxyRecord record_from(const Json& json, const std::string& proxy) {
  explain::ProxyRecord record{
      .proxy = proxy,
      .direction = text_at(json, "direction"),
      .downstream_remote = address_at(json, "downstreamRemote").value_or(SocketAddress{}),
      .downstream_local = address_at(json, "downstreamLocal").value_or(SocketAddress{}),
      .original_destination = address_at(json, "originalDestination").value_or(SocketAddress{}),
      .upstream_local = address_at(json, "upstreamLocal"),
      .upstream_remote = address_at(json, "upstreamRemote"),
      .listener = text_at(json, "listener"),
      .filter_chain = text_at(json, "filterChain"),
      .route = text_at(json, "route"),
      .cluster = text_at(json, "cluster"),
      .endpoint = text_at(json, "endpoint"),
      .attempts = static_cast<std::uint32_t>(number_at(json, "attempts")),
      .status = static_cast<int>(number_at(json, "status")),
      .flags = text_at(json, "flags"),
      .details = text_at(json, "details"),
      .microseconds = number_at(json, "microseconds"),
      .world = text_at(json, "world")};
  if (json.contains("pooledMilliseconds")) {
    record.pooled_milliseconds = number_at(json, "pooledMilliseconds");
  }
  return record;
}

Result<std::vector<explain::ProxyRecord>> ask_records(const Order& order) {
  const Deadline deadline = Clock::now() + admin_patience;
  const SocketAddress admin{IpAddress::v4({127, 0, 0, 1}), admin_port};
  Result<Socket> socket = Socket::connect_tcp(admin, deadline);
  if (!socket) return std::move(socket).fault();
  Result<std::string> body =
      fetch(std::move(*socket), admin.text(), "/fairlead/records?count=1024", deadline);
  if (!body) return std::move(body).fault();
  const auto wanted = [&](const explain::ProxyRecord& record, std::string_view id) {
    if (!order.id.empty() && id == order.id) return true;
    // What a proxy carries as TCP has no request id: it is known by its client's end.
    return std::find(order.sources.begin(), order.sources.end(), record.downstream_remote) !=
           order.sources.end();
  };
  return records_from_json(*body, order.where, wanted, order.since);
}

// A pod that calls itself: its proxy's connection comes back to it, and has a record of its own, by
// that connection's end. False: it is none of these, or known already.
bool follow_to_itself(const std::vector<explain::ProxyRecord>& records, Order& order) {
  for (const explain::ProxyRecord& record : records) {
    if (record.direction != "outbound" || !record.upstream_local || !record.upstream_remote)
      continue;
    const SocketAddress& end = *record.upstream_local;
    const bool known =
        std::find(order.sources.begin(), order.sources.end(), end) != order.sources.end();
    if (known || record.upstream_remote->ip != end.ip || end.ip.is_loopback()) continue;
    order.sources.push_back(end);
    return true;
  }
  return false;
}

bool is_there(const std::vector<explain::ProxyRecord>& records, std::string_view direction) {
  return std::any_of(records.begin(), records.end(),
                     [&](const auto& record) { return record.direction == direction; });
}

// Of a request when it has been answered, of what is carried as TCP while it is open, but for
// connections whose protocol is not decided: `open` is closed then.
void add_records(Order& order, std::optional<Socket>& open, explain::Evidence& evidence) {
  bool comes_back = false;
  const Deadline begun = Clock::now();
  const Deadline until = begun + record_patience;
  while (true) {
    if (Clock::now() - begun > open_patience) open.reset();
    Result<std::vector<explain::ProxyRecord>> records = ask_records(order);
    if (!records) {
      evidence.trouble.push_back(
          fmt::format("the records of {}'s proxy: {}", order.where, records.fault().describe()));
      return;
    }
    if (order.request && follow_to_itself(*records, order)) {
      comes_back = true;
      continue;
    }
    const bool sent = is_there(*records, "outbound") || is_there(*records, "unspecified");
    const bool received = is_there(*records, "inbound");
    const bool there = order.request ? sent && (received || !comes_back) : received;
    if (there || Clock::now() >= until) {
      evidence.asked.push_back(order.where);
      std::move(records->begin(), records->end(), std::back_inserter(evidence.records));
      return;
    }
    std::this_thread::sleep_for(record_pause);
  }
}

// ── the kernel ──────────────────────────────────────────────────────────────────────────────────

// Of both families, or of IPv4 alone, as capture without --dual-stack makes it.
Result<std::vector<nft::Reading>> readings_of(Result<nft::Kernel>& kernel,
                                              const std::string& table) {
  if (!kernel) return kernel.fault();
  auto readings = nft::counters(*kernel, nft::TableFamily::inet, table);
  if (readings || readings.fault().kind != FaultKind::missing) return readings;
  return nft::counters(*kernel, nft::TableFamily::ip, table);
}

std::vector<explain::Count> counts_of(const Order& order, explain::Evidence& evidence) {
  std::vector<explain::Count> counts;
  if (order.tables.empty()) return counts;
  Result<nft::Kernel> kernel = nft::Kernel::open();
  for (const std::string& table : order.tables) {
    const auto readings = readings_of(kernel, table);
    if (!readings) {
      evidence.trouble.push_back(fmt::format("the counters of {} in {}: {}", table, order.where,
                                             readings.fault().describe()));
      continue;
    }
    for (const nft::Reading& reading : *readings) {
      counts.push_back({.where = order.where,
                        .table = table,
                        .place = reading.place,
                        .rule = reading.rule,
                        .key = reading.key,
                        .before = reading.packets,
                        .after = reading.packets});
    }
  }
  return counts;
}

void add_counts(const std::vector<explain::Count>& before, std::vector<explain::Count> after,
                explain::Evidence& evidence) {
  for (explain::Count& count : after) {
    const auto earlier = std::find_if(before.begin(), before.end(), [&](const auto& each) {
      return each.table == count.table && each.place == count.place && each.rule == count.rule &&
             each.key == count.key;
    });
    if (earlier != before.end()) count.before = earlier->before;
    evidence.counts.push_back(std::move(count));
  }
}

void add_connections(const Order& order, explain::Evidence& evidence) {
  std::vector<SocketAddress> sources = order.sources;
  if (evidence.exchange) sources.push_back(evidence.exchange->local);
  for (const explain::ProxyRecord& record : evidence.records) {
    if (record.upstream_local) sources.push_back(*record.upstream_local);
    sources.push_back(record.downstream_remote);
  }
  Result<std::vector<explain::TrackedConnection>> all = tracked_connections();
  if (!all) {
    evidence.trouble.push_back(
        fmt::format("conntrack in {}: {}", order.where, all.fault().describe()));
    return;
  }
  for (explain::TrackedConnection& each : *all) {
    if (std::find(sources.begin(), sources.end(), each.source) == sources.end()) continue;
    each.where = order.where;
    evidence.connections.push_back(std::move(each));
  }
}

// ── the request ─────────────────────────────────────────────────────────────────────────────────

std::string resolv_conf() {
  std::string text;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen("/etc/resolv.conf", "re"),
                                                             &std::fclose);
  if (!file) return text;
  std::array<char, 4096> piece{};
  while (const std::size_t got = std::fread(piece.data(), 1, piece.size(), file.get())) {
    text.append(piece.data(), got);
  }
  return text;
}

std::vector<SocketAddress> find_addresses(const Request& request, explain::Evidence& evidence) {
  std::vector<SocketAddress> found;
  if (request.names.empty()) {
    const std::vector<std::string> itself{request.host};
    for (const std::string& text : request.addresses.empty() ? itself : request.addresses) {
      const Result<IpAddress> address = IpAddress::parse(text);
      if (address) found.push_back({*address, request.port});
    }
    return found;
  }
  const std::vector<std::string> servers =
      request.servers.empty() ? name_servers(resolv_conf()) : request.servers;
  Resolved resolved = resolve(request, servers);
  evidence.names = std::move(resolved.answers);
  if (servers.empty()) evidence.trouble.emplace_back("names: /etc/resolv.conf names no server");
  for (const IpAddress& address : resolved.addresses) found.push_back({address, request.port});
  return found;
}

void add_listening(const Order& order, explain::Evidence& evidence) {
  Result<std::vector<explain::ListeningSocket>> sockets = listening_sockets();
  if (sockets) {
    evidence.listening.push_back({.where = order.where, .sockets = std::move(*sockets)});
  } else {
    evidence.trouble.push_back(
        fmt::format("the listening sockets in {}: {}", order.where, sockets.fault().describe()));
  }
}

}  // namespace

Result<std::vector<explain::ProxyRecord>> records_from_json(std::string_view text,
                                                            const std::string& proxy,
                                                            const Wanted& wanted,
                                                            std::uint64_t since) {
  const Json json = parse_json(text);
  const auto found = json.is_object() ? json.find("records") : json.end();
  if (!json.is_object() || found == json.end() || !found->is_array()) {
    return invalid("what the proxy says of its records is not what was expected");
  }
  std::vector<explain::ProxyRecord> records;
  for (const Json& each : *found) {
    if (number_at(each, "started") < since) continue;
    explain::ProxyRecord record = record_from(each, proxy);
    if (wanted(record, text_at(each, "id"))) records.push_back(std::move(record));
  }
  return records;
}

explain::Speaks node_status(const std::string& node, const std::string& socket_path) {
  explain::Speaks speaks{.who = node};
  const Deadline deadline = Clock::now() + admin_patience;
  Result<Socket> socket = Socket::connect_unix(socket_path, deadline);
  Result<std::string> body = socket ? fetch(std::move(*socket), "node", "/status", deadline)
                                    : Result<std::string>(std::move(socket).fault());
  if (!body) {
    speaks.error = body.fault().describe();
    return speaks;
  }
  const Json json = parse_json(*body);
  if (json.is_object()) {
    speaks.world = text_at(json, "applied");
    speaks.error = text_at(json, "error");
  }
  return speaks;
}

explain::Evidence gather(const Order& order) {
  explain::Evidence evidence;
  const std::vector<explain::Count> before = counts_of(order, evidence);
  Order look = order;
  std::optional<Socket> open;  // until all has been looked at
  if (order.request) {
    const std::vector<SocketAddress> addresses = find_addresses(*order.request, evidence);
    if (!addresses.empty()) {
      Sent sent = send(*order.request, addresses);
      evidence.exchange = std::move(sent.exchange);
      open = std::move(sent.open);
      look.sources.push_back(evidence.exchange->local);
    }
  }
  if (order.proxy && (!order.request || evidence.exchange)) {
    add_records(look, open, evidence);
  }
  if (order.listening) add_listening(order, evidence);
  add_connections(look, evidence);
  std::vector<std::string> trouble = evidence.trouble;
  add_counts(before, counts_of(order, evidence), evidence);
  evidence.trouble = std::move(trouble);  // what failed twice is said once
  return evidence;
}

}  // namespace fairlead::witness
