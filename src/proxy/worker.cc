#include "proxy/worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "base/log.h"
#include "net/tcp.h"
#include "proxy/decide/closed.h"
#include "proxy/decide/filter_chain.h"
#include "proxy/decide/limits.h"
#include "proxy/detect.h"
#include "proxy/exchange.h"
#include "proxy/forward.h"
#include "proxy/tunnel.h"
#include "proxy/uuid.h"

namespace fairlead::proxy {
namespace {

constexpr std::size_t most_kept_exchanges = 64;
constexpr std::size_t most_kept_text = std::size_t{64} * 1024;
constexpr Duration queue_patience = std::chrono::milliseconds(20);
// A listening socket that is given up is read for so long after its last connection.

bool inspects(const config::Listener& listener, std::uint16_t port) {
  return (listener.http_inspector || listener.tls_inspector) &&
         !std::binary_search(listener.uninspected_ports.begin(), listener.uninspected_ports.end(),
                             port);
}

bool in_use(const Fault& fault) {
  return fault.message.find("in use") != std::string::npos;
}

// What was dialled: before capture, where the listener is one to which connections are redirected.
Accepted accepted_by(const config::Listener& listener, net::TcpStreamPointer stream) {
  SocketAddress dialled = stream->local();
  if (listener.use_original_dst || listener.original_dst_filter) {
    const Result<SocketAddress> original = net::original_destination(*stream);
    if (original.ok()) dialled = *original;
  }
  return {.stream = std::move(stream), .dialled = dialled};
}

const config::FilterChain* same_chain(const config::Listener& listener,
                                      const config::FilterChain& chain) {
  for (const config::FilterChain& one : listener.filter_chains) {
    if (one == chain) return &one;
  }
  if (listener.default_filter_chain && *listener.default_filter_chain == chain) {
    return &*listener.default_filter_chain;
  }
  return nullptr;
}

}  // namespace

struct Worker::Socket {
  std::unique_ptr<net::TcpListener> listener;
  SocketAddress wanted;
  std::uint64_t accepted = 0;
  std::uint64_t accepted_before = 0;  // when it was given up, or looked at last
  int looks_left = 5;                 // then it is closed, however busy it is
  std::optional<net::Timer> closing;
};

struct Worker::Slot {
  std::shared_ptr<const config::Listener> listener;
  std::vector<std::shared_ptr<Socket>> sockets;
};

Worker::Worker(unsigned number, const WorkerOptions& options, Stats& stats, LogFiles& files,
               const WorkerSurroundings& around)
    : loop_(around.clock ? *around.clock : system_clock()),
      number_(number),
      options_(options),
      stats_(stats),
      files_(files),
      random_(around.seed ? *around.seed : seed_from_system()),
      records_(options.records),
      flush_timer_(loop_, [this] { flush_logs(); }),
      sockets_(options.mark),
      upstream_{.loop = loop_,
                .stats = stats,
                .random = random_,
                .connector = around.connector ? *around.connector : sockets_,
                .worker = number} {}

Worker::~Worker() = default;

// ── Configuration ────────────────────────────────────────────────────────────────────────────────

std::vector<std::string> Worker::apply(SnapshotTablePointer table) {
  std::vector<std::string> troubles;
  table_ = std::move(table);
  for (auto at = clusters_.begin(); at != clusters_.end();) {
    if (const ClusterTable* known = table_->cluster(at->first)) {
      at->second->update(*known);
      ++at;
    } else {
      at->second->retire();
      retired_clusters_.push_back(std::move(at->second));
      at = clusters_.erase(at);
    }
  }
  std::erase_if(retired_clusters_,
                [](const std::unique_ptr<Cluster>& cluster) { return cluster->unused(); });
  update_listeners(troubles);
  retire_chains();
  return troubles;
}

void Worker::update_listeners(std::vector<std::string>& troubles) {
  const auto& wanted = table_->snapshot().listeners;
  for (auto at = slots_.begin(); at != slots_.end();) {
    if (wanted.contains(at->first)) {
      ++at;
      continue;
    }
    drain_sockets(*at->second);
    at = slots_.erase(at);
  }
  for (const auto& [name, listener] : wanted) {
    std::shared_ptr<Slot>& slot = slots_[name];
    if (!slot) slot = std::make_shared<Slot>();
    const bool moved =
        slot->listener && (slot->listener->address != listener->address ||
                           slot->listener->additional_addresses != listener->additional_addresses ||
                           slot->listener->bind_to_port != listener->bind_to_port);
    const bool fresh = !slot->listener;
    if (moved) {
      // The new sockets first, then the old ones: an address in both is never without one.
      Slot old = std::move(*slot);
      slot = std::make_shared<Slot>();
      slot->listener = listener;
      bind(*slot, troubles);
      drain_sockets(old);
      for (const std::shared_ptr<Socket>& socket : slot->sockets) {
        loop_.start(gate_, accept_on(slot, socket));
      }
      continue;
    }
    slot->listener = listener;
    if (!fresh) continue;
    bind(*slot, troubles);
    for (const std::shared_ptr<Socket>& socket : slot->sockets) {
      loop_.start(gate_, accept_on(slot, socket));
    }
  }
}

void Worker::bind(Slot& slot, std::vector<std::string>& troubles) {
  const config::Listener& listener = *slot.listener;
  if (!listener.bind_to_port || !accepting_) return;
  std::vector<SocketAddress> addresses{listener.address};
  addresses.insert(addresses.end(), listener.additional_addresses.begin(),
                   listener.additional_addresses.end());
  for (const SocketAddress& address : addresses) {
    Result<std::unique_ptr<net::TcpListener>> made =
        net::TcpListener::listen(loop_, address, {.reuse_port = true});
    if (!made.ok()) {
      std::string trouble = fmt::format("listener {}: {}", listener.name, made.fault().describe());
      // A further address may be of a family that this machine does not have.
      if (address != listener.address && !in_use(made.fault())) {
        log::debug(trouble);
      } else {
        troubles.push_back(std::move(trouble));
      }
      continue;
    }
    auto socket = std::make_shared<Socket>();
    socket->listener = std::move(*made);
    socket->wanted = address;
    slot.sockets.push_back(std::move(socket));
  }
}

void Worker::drain_sockets(Slot& slot) {
  for (const std::shared_ptr<Socket>& socket : slot.sockets) {
    socket->accepted_before = socket->accepted;
    // The timer is the socket's own, and the accepting coroutine holds the socket.
    Socket* const closing = socket.get();
    socket->closing.emplace(loop_, [closing] {
      if (closing->accepted == closing->accepted_before || --closing->looks_left == 0) {
        return closing->listener->close();
      }
      closing->accepted_before = closing->accepted;
      closing->closing->arm(queue_patience);
    });
    socket->closing->arm(queue_patience);
  }
  slot.sockets.clear();
}

void Worker::retire_chains() {
  const auto& wanted = table_->snapshot().listeners;
  bool any = false;
  for (auto at = chains_.begin(); at != chains_.end();) {
    Chain& chain = *at->second;
    const auto found = wanted.find(chain.listener->name);
    if (found != wanted.end() && found->second == chain.listener) {
      ++at;
      continue;
    }
    chain.draining = found == wanted.end() || !same_chain(*found->second, *chain.chain);
    any |= chain.draining;
    at = chains_.erase(at);
  }
  if (!any) return;
  connections_.for_each([](Connection& connection) {
    if (connection.chain().draining) connection.drain();
  });
}

std::vector<SocketAddress> Worker::addresses() const {
  std::vector<SocketAddress> all;
  for (const auto& [name, slot] : slots_) {
    for (const std::shared_ptr<Socket>& socket : slot->sockets) {
      all.push_back(socket->listener->local());
    }
  }
  return all;
}

// ── Ending ───────────────────────────────────────────────────────────────────────────────────────

void Worker::begin_drain() {
  draining_ = true;
}

void Worker::stop_listening(bool inbound_only) {
  for (const auto& [name, slot] : slots_) {
    if (inbound_only && slot->listener->direction != config::Direction::inbound) continue;
    drain_sockets(*slot);
  }
}

void Worker::stop_accepting() {
  accepting_ = false;
  stop_listening(false);
  connections_.for_each([](Connection& connection) { connection.drain(); });
}

Task<> Worker::end() {
  for (const auto& [name, slot] : slots_) {
    for (const std::shared_ptr<Socket>& socket : slot->sockets) socket->listener->close();
  }
  connections_.for_each([](Connection& connection) { connection.abort(); });
  co_await gate_.close();
  flush_logs();
}

// ── Accepting ────────────────────────────────────────────────────────────────────────────────────

Task<> Worker::accept_on(std::shared_ptr<Slot> slot, std::shared_ptr<Socket> socket) {
  while (true) {
    Result<net::TcpStreamPointer> accepted = co_await socket->listener->accept();
    if (!accepted.ok()) co_return;
    ++socket->accepted;
    loop_.start(
        gate_, handle_accepted(slot->listener, accepted_by(*slot->listener, std::move(*accepted))));
  }
}

bool Worker::accept(const std::string& listener, Accepted accepted) {
  const auto found = slots_.find(listener);
  if (found != slots_.end()) {
    loop_.start(gate_, handle_accepted(found->second->listener, std::move(accepted)));
    return true;
  }
  accepted.stream->reset();
  return false;
}

Task<Result<Nothing>> Worker::read_first(net::Stream& stream, std::string& bytes, bool with_hello) {
  static_assert(inspection_limit <= Buffers::small, "what is undecided leaves room in a buffer");
  Buffer buffer;
  while (inspect(bytes, with_hello).speech == Speech::undecided) {
    if (stream.is_idle()) buffer.release();
    Result<> ready = co_await stream.readable();
    if (!ready.ok()) co_return std::move(ready).fault();
    if (!buffer) buffer = buffers_.take();
    const std::size_t room = buffer.size() - bytes.size();
    const Result<net::Taken> taken = stream.read_now(buffer.span().first(room));
    if (!taken.ok()) co_return taken.fault();
    if (taken->end) break;
    bytes += buffer.first(taken->bytes);
  }
  co_return Nothing();
}

// From an accepted connection to the filter chain that takes it.
Task<> Worker::handle_accepted(std::shared_ptr<const config::Listener> listener,
                               Accepted accepted) {
  const SnapshotTablePointer table = table_;
  net::Stream& stream = *accepted.stream;
  const SocketAddress& dialled = accepted.dialled;
  if (listener->use_original_dst) {
    const config::Listener* other = table->listener_for(*listener, dialled);
    if (other && other != listener.get()) {
      const auto found = table->snapshot().listeners.find(other->name);
      if (found != table->snapshot().listeners.end()) listener = found->second;
    }
  }
  const std::shared_ptr<ListenerStats> stats = stats_.listener(number_, listener->address.text());
  stats->downstream_cx_total.add();

  std::string first_bytes;
  std::vector<std::string> protocols;
  ConnectionFacts facts{.source = stream.peer(), .destination = dialled};
  if (inspects(*listener, dialled.port)) {
    const Duration time = listener->listener_filters_timeout;
    Result<> read = done();
    if (time > Duration::zero()) {
      read = co_await net::within(loop_, time,
                                  read_first(stream, first_bytes, listener->tls_inspector));
    } else {
      read = co_await read_first(stream, first_bytes, listener->tls_inspector);
    }
    if (!read.ok()) {
      if (read.fault().kind != FaultKind::timed_out) co_return;
      stats->downstream_pre_cx_timeout.add();
      if (!listener->continue_on_listener_filters_timeout) co_return;
    }
    Inspection seen = inspect(first_bytes, listener->tls_inspector);
    accepted.server_name = std::move(seen.hello.server_name);
    protocols = std::move(seen.hello.protocols);
    if (seen.too_long) {
      refuse(*listener, accepted, "client_hello_too_long");
      co_return;
    }
    if (seen.speech == Speech::tls && listener->tls_inspector) facts.transport_protocol = "tls";
    facts.server_name = accepted.server_name;
    facts.application_protocols.assign(protocols.begin(), protocols.end());
    if (listener->http_inspector) {
      const std::string_view protocol = application_protocol(seen.speech);
      if (!protocol.empty()) facts.application_protocols.push_back(protocol);
    }
  }

  const config::FilterChain* chosen = choose_filter_chain(*listener, facts);
  if (!chosen) {
    stats->no_filter_chain_match.add();
    refuse(*listener, accepted, "filter_chain_not_found");
    co_return;
  }
  ChainPointer chain = chain_of(listener, *chosen);
  if (!chosen->closed.empty()) {
    stats->protection_not_enforced.add();
    refuse_closed(*chain, accepted);
    co_return;
  }
  facts = {};
  if (chain->http) {
    co_await forward_http(*this, std::move(accepted), std::move(chain), table,
                          std::move(first_bytes));
  } else {
    co_await forward_tcp(*this, std::move(accepted), std::move(chain), table,
                         std::move(first_bytes));
  }
}

void Worker::refuse(const config::Listener& listener, const Accepted& accepted,
                    std::string_view details) {
  const std::string remote = accepted.stream->peer().text();
  const std::string local = accepted.dialled.text();
  LogEntry entry;
  entry.started = wall();
  entry.flags = Flag::no_route_found;
  entry.response_details = details;
  entry.requested_server_name = accepted.server_name;
  entry.downstream_remote_address = remote;
  entry.downstream_local_address = local;
  entry.downstream_direct_local_address = local;
  log(targets_of(listener.access_logs), entry);
  Record& record = records_.add();
  record.started = entry.started;
  record.direction = listener.direction;
  record.downstream_remote = accepted.stream->peer();
  record.downstream_local = accepted.stream->local();
  record.original_destination = accepted.dialled;
  record.listener = listener.name;
  record.world = table_->snapshot().world;
  record.flags = Flag::no_route_found;
  accepted.stream->reset();
}

// No byte of such a connection may reach an app: it ends here, whatever it would have said.
void Worker::refuse_closed(const Chain& chain, const Accepted& accepted) {
  const std::string remote = accepted.stream->peer().text();
  const std::string local = accepted.dialled.text();
  const std::string details = closed_details(chain.chain->closed);
  LogEntry entry;
  entry.started = wall();
  entry.flags = Flag::protection_not_enforced;
  entry.response_details = details;
  entry.downstream_remote_address = remote;
  entry.downstream_local_address = local;
  entry.downstream_direct_local_address = local;
  entry.filter_chain = chain.chain->name;
  log(chain, entry);
  Record& record = records_.add();
  record.started = entry.started;
  record.direction = chain.listener->direction;
  record.downstream_remote = accepted.stream->peer();
  record.downstream_local = accepted.stream->local();
  record.original_destination = accepted.dialled;
  record.listener = chain.listener->name;
  record.filter_chain = chain.chain->name;
  record.world = table_->snapshot().world;
  record.flags = entry.flags;
  record.details = details;
  accepted.stream->reset();
}

ChainPointer Worker::chain_of(const std::shared_ptr<const config::Listener>& listener,
                              const config::FilterChain& chain) {
  ChainPointer& known = chains_[&chain];
  if (known) return known;
  known = std::make_shared<Chain>();
  Chain& made = *known;
  made.listener = listener;
  made.chain = &chain;
  made.http = std::get_if<config::HttpConnectionManager>(&chain.filter);
  made.tcp = std::get_if<config::TcpProxy>(&chain.filter);
  made.listener_stats = stats_.listener(number_, listener->address.text());
  if (made.http) {
    made.http_stats = stats_.http(number_, made.http->stat_prefix);
    made.logs = targets_of(made.http->access_logs);
    made.limits = limits_of(*made.http);
  } else {
    made.tcp_stats = stats_.tcp(number_, made.tcp->stat_prefix);
    made.logs = targets_of(made.tcp->access_logs);
  }
  return known;
}

// ── What connections need ────────────────────────────────────────────────────────────────────────

Cluster* Worker::cluster(std::string_view name) LIFETIMEBOUND {
  if (const auto found = clusters_.find(name); found != clusters_.end()) {
    return found->second.get();
  }
  const ClusterTable* table = table_->cluster(name);
  if (!table) return nullptr;
  auto made = std::make_unique<Cluster>(upstream_, table->cluster);
  made->update(*table);
  return clusters_.emplace(name, std::move(made)).first->second.get();
}

bool Worker::leads_to_ourselves(const SocketAddress& target, const IpAddress& own) const {
  for (const auto& [name, slot] : slots_) {
    for (const std::shared_ptr<Socket>& socket : slot->sockets) {
      const SocketAddress& mine = socket->listener->local();
      if (mine.port != target.port || mine.ip.family() != target.ip.family()) continue;
      if (mine.ip == target.ip) return true;
      if (mine.ip.is_unspecified() && (target.ip == own || target.ip.is_loopback())) return true;
    }
  }
  return false;
}

WallTime Worker::wall() {
  const Instant now = loop_.now();
  if (now - wall_asked_ > std::chrono::seconds(1)) {
    wall_at_ = loop_.clock().wall();
    wall_asked_ = now;
  }
  return wall_at_ + std::chrono::duration_cast<WallTime::duration>(now - wall_asked_);
}

std::string_view Worker::date() LIFETIMEBOUND {
  const auto since = wall().time_since_epoch();
  const std::int64_t second = std::chrono::duration_cast<std::chrono::seconds>(since).count();
  if (second == date_second_) return date_;
  constexpr std::array<const char*, 7> days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array<const char*, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                               "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm parts{};
  const auto stamp = static_cast<std::time_t>(second);
  ::gmtime_r(&stamp, &parts);
  date_ = fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT",
                      days[static_cast<std::size_t>(parts.tm_wday)], parts.tm_mday,
                      months[static_cast<std::size_t>(parts.tm_mon)], parts.tm_year + 1900,
                      parts.tm_hour, parts.tm_min, parts.tm_sec);
  date_second_ = second;
  return date_;
}

std::unique_ptr<Exchange> Worker::take_exchange() {
  if (exchanges_.empty()) return std::make_unique<Exchange>();
  std::unique_ptr<Exchange> exchange = std::move(exchanges_.back());
  exchanges_.pop_back();
  return exchange;
}

void Worker::give_exchange(std::unique_ptr<Exchange> exchange) {
  exchange->head.cancel();
  if (exchange->soiled || exchanges_.size() >= most_kept_exchanges) return;
  if (exchange->out.capacity() + exchange->reply.capacity() > most_kept_text) return;
  exchange->from_upstream.release();
  exchanges_.push_back(std::move(exchange));
}

void Worker::opened(Connection& connection) {
  connections_.add(connection);
  connection.chain().listener_stats->downstream_cx_active.add();
  open_seen_.store(connections_.size(), std::memory_order_relaxed);
}

void Worker::closed(Connection& connection) {
  connections_.remove(connection);
  connection.chain().listener_stats->downstream_cx_active.subtract();
  connection.chain().listener_stats->downstream_cx_destroy.add();
  open_seen_.store(connections_.size(), std::memory_order_relaxed);
}

// ── Access logs ──────────────────────────────────────────────────────────────────────────────────

std::vector<LogTarget> Worker::targets_of(const std::vector<config::AccessLog>& logs) {
  std::vector<LogTarget> targets;
  for (const config::AccessLog& one : logs) {
    std::shared_ptr<const LogFormat>& format = formats_[one.format];
    if (!format) {
      Result<LogFormat> parsed = LogFormat::parse(one.format);
      if (!parsed.ok()) {
        log::warning(parsed.fault().describe() + "; the default format is used instead");
        parsed = LogFormat::parse({});
      }
      format = std::make_shared<const LogFormat>(std::move(*parsed));
    }
    std::unique_ptr<LogBuffer>& buffer = log_buffers_[one.path];
    if (!buffer) buffer = std::make_unique<LogBuffer>(files_, one.path);
    targets.push_back({.format = format, .buffer = buffer.get()});
  }
  return targets;
}

void Worker::log(const Chain& chain, const LogEntry& entry) {
  log(chain.logs, entry);
}

void Worker::log(const std::vector<LogTarget>& targets, const LogEntry& entry) {
  for (const LogTarget& target : targets) {
    if (target.format->wants_unique_id()) {
      std::array<char, 40> id{};
      LogEntry named = entry;
      named.unique_id = write_uuid(id, random_);
      target.format->render(named, target.buffer->text());
    } else {
      target.format->render(entry, target.buffer->text());
    }
    target.buffer->grown();
  }
  if (!targets.empty() && !flush_timer_.armed()) flush_timer_.arm(options_.log_flush);
}

void Worker::flush_logs() {
  for (const auto& [path, buffer] : log_buffers_) buffer->flush();
}

}  // namespace fairlead::proxy
