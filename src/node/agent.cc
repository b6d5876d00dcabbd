#include "node/agent.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "base/lines.h"
#include "base/log.h"
#include "node/plan/names.h"
#include "node/services_view.h"

namespace fairlead::node {
namespace {

constexpr Duration watch_interval = std::chrono::seconds(1);

dns::Zone empty_zone() {
  const Result<dns::Name> domain = dns::Name::parse("cluster.local");
  return dns::Zone(domain ? *domain : dns::Name());
}

double milliseconds_since(Instant start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

}  // namespace

std::string to_json(const Status& status) {
  const nlohmann::ordered_json json{{"node", status.node},
                                    {"world", status.world},
                                    {"applied", status.applied},
                                    {"error", status.error},
                                    {"broken", status.broken},
                                    {"services", status.services},
                                    {"changes", status.changes},
                                    {"restored", status.restored},
                                    {"last_change_ms", status.last_change_ms},
                                    {"dns",
                                     {{"addresses", status.dns},
                                      {"udp", status.queries.udp},
                                      {"tcp", status.queries.tcp},
                                      {"denied", status.queries.denied},
                                      {"truncated", status.queries.truncated},
                                      {"failed", status.queries.failed},
                                      {"lost", status.queries.lost},
                                      {"dropped", status.queries.dropped},
                                      {"connections", status.queries.connections},
                                      {"refused", status.queries.refused},
                                      {"evicted", status.queries.evicted}}},
                                    {"accepting_paused", status.descriptors.paused},
                                    {"accepting_pauses", status.descriptors.pauses}};
  return json_text(json) + "\n";
}

Agent::Agent(net::Loop& loop, AgentOptions options)
    : loop_(loop),
      options_(std::move(options)),
      chance_(seed_from_system()),
      zone_(empty_zone()),
      dns_(loop, zone_, chance_),
      server_(loop, [this](http::Request& request) { return answer(request); }) {}

Result<std::unique_ptr<Agent>> Agent::start(net::Loop& loop, AgentOptions options) {
  std::unique_ptr<Agent> agent(new Agent(loop, std::move(options)));
  if (Result<> opened = agent->open(); !opened) return std::move(opened).fault();
  return agent;
}

Result<> Agent::open() {
  if (options_.rules) {
    Result<KernelRules> rules = KernelRules::open(options_.self);
    if (!rules) return std::move(rules).fault();
    rules_.emplace(std::move(*rules));
  }
  if (Result<> opened = open_status(); !opened) return opened;
  if (Result<> opened = open_dns(); !opened) return opened;
  loop_.start(gate_, keep_watch());
  return done();
}

Result<> Agent::open_status() {
  Descriptor passed = take_socket(options_.sockets, status_socket);
  if (!passed.valid()) {
    return options_.status_socket.empty() ? done() : server_.listen_unix(options_.status_socket);
  }
  Result<std::unique_ptr<net::UnixListener>> listener =
      net::UnixListener::adopt(loop_, std::move(passed));
  if (!listener) return std::move(listener).fault();
  server_.acceptor().adopt(std::move(*listener));
  return done();
}

Result<> Agent::open_dns() {
  if (options_.sockets.empty()) {
    Result<Sockets> opened = open_dns_sockets(options_.self.dns);
    if (!opened) return std::move(opened).fault();
    options_.sockets = std::move(*opened);
  }
  const Descriptor memory = take_socket(options_.sockets, tally_memory);
  if (memory.valid()) {
    Result<Tally> tally = Tally::over(memory);
    if (!tally) return std::move(tally).fault();
    dns_.count_in(std::move(*tally));
  }
  for (const SocketAddress& address : options_.self.dns) {
    Descriptor udp = take_socket(options_.sockets, dns_udp_socket, address);
    Descriptor tcp = take_socket(options_.sockets, dns_tcp_socket, address);
    if (!udp.valid() || !tcp.valid()) {
      return missing(fmt::format(
          "none of the sockets that were passed on is called {} and bound to {}: expected one each "
          "of {} and {}",
          udp.valid() ? dns_tcp_socket : dns_udp_socket, address.text(), dns_udp_socket,
          dns_tcp_socket));
    }
    if (Result<> adopted = dns_.adopt(std::move(udp), std::move(tcp)); !adopted) return adopted;
  }
  options_.sockets.clear();
  return done();
}

void Agent::set_world(const mesh::WorldPointer& world) {
  const bool first = world_ == nullptr || world_->domain != world->domain;
  if (first) {
    zone_ = zone_of(*world);
    zone_.set_closed(options_.closed);
    std::vector<IpAddress> servers;
    servers.reserve(options_.self.dns.size());
    for (const SocketAddress& address : options_.self.dns) servers.push_back(address.ip);
    zone_.set_servers(std::move(servers));
  } else {
    update(zone_, *world_, *world);
    zone_.set_serial(zone_.serial() + 1);
  }
  const bool begins = world_ == nullptr;
  world_ = world;
  apply_rules();
  if (begins) dns_.serve();
}

void Agent::set_broken(std::vector<std::string> broken) {
  broken_ = std::move(broken);
}

void Agent::apply_rules() {
  const Instant start = std::chrono::steady_clock::now();
  if (rules_) {
    if (Result<> applied = rules_->apply(world_); !applied) {
      const std::string error = applied.fault().describe();
      if (error != error_) log::error(error);
      error_ = error;  // tried again by keep_watch
      return;
    }
  }
  error_.clear();
  applied_ = world_;
  ++changes_;
  last_change_ms_ = milliseconds_since(start);
  log::info(fmt::format("world {} applied in {:.1f} ms: {}", world_->version, last_change_ms_,
                        counted(zone_.size(), "service")));
}

Task<> Agent::keep_watch() {
  while (true) {
    if (Result<> slept = co_await loop_.sleep(watch_interval); !slept) co_return;
    if (!rules_ || world_ == nullptr) continue;
    if (applied_ != world_) {
      apply_rules();
      continue;
    }
    const Result<bool> restored = rules_->restore();
    if (!restored) {
      error_ = restored.fault().describe();
      log::error(error_);
    } else if (*restored) {
      ++restored_;
      error_.clear();
      log::warning("somebody changed our table in the kernel: it is again as it should be");
    }
  }
}

Status Agent::status() const {
  Status status{.node = options_.self.node,
                .world = world_ == nullptr ? "" : world_->version,
                .applied = applied_ == nullptr ? "" : applied_->version,
                .error = error_,
                .broken = broken_,
                .services = zone_.size(),
                .changes = changes_,
                .restored = restored_,
                .last_change_ms = last_change_ms_,
                .queries = dns_.counts(),
                .descriptors = net::descriptor_state()};
  for (const SocketAddress& address : dns_.addresses()) status.dns.push_back(address.text());
  return status;
}

Task<http::Response> Agent::answer(http::Request& request) {
  if (request.path() == "/status") co_return http::Response::json(to_json(status()));
  if (request.path() == "/ready") {
    const bool ready = applied_ != nullptr;
    co_return http::Response::text(ready ? 200 : 503, ready ? "ready\n" : "no world yet\n");
  }
  if (request.path() == "/services" && rules_) {
    Result<std::string> shown = show_services(rules_->kernel());
    if (!shown) co_return http::Response::text(500, shown.fault().describe() + "\n");
    co_return http::Response::text(200, std::move(*shown));
  }
  co_return http::Response::text(404, "there are /status, /ready and /services\n");
}

Task<> Agent::close() {
  co_await gate_.close();
  co_await dns_.close();
  co_await server_.close();
}

}  // namespace fairlead::node
