#include "proxy/source/source.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "base/gate.h"
#include "base/json_text.h"
#include "base/log.h"
#include "http/io/grpc.h"
#include "net/loop.h"
#include "net/resolve.h"
#include "net/tcp.h"
#include "net/unix.h"
#include "proxy/source/addresses.h"
#include "proxy/source/closed_parts.h"
#include "proxy/source/last_good.h"
#include "xds/dump.h"

namespace fairlead::proxy {
namespace {

constexpr Duration between_saves = std::chrono::milliseconds(250);  // so that a burst is two writes
constexpr std::size_t largest_response = std::size_t{256} << 20U;

http::GrpcConnectionOptions connection_options() {
  http::GrpcConnectionOptions options;
  options.session.max_message = largest_response;
  options.session.max_waiting = largest_response;
  return options;
}

std::string where(const config::LbEndpoint& endpoint) {
  if (!endpoint.unix_path.empty()) return "unix:" + endpoint.unix_path;
  if (!endpoint.host.empty()) return fmt::format("{}:{}", endpoint.host, endpoint.address.port);
  return endpoint.address.text();
}

std::vector<config::LbEndpoint> control_endpoints(const xds::Bootstrap& bootstrap) {
  std::vector<config::LbEndpoint> endpoints;
  if (!bootstrap.discovery) return endpoints;
  for (const config::Cluster& cluster : bootstrap.clusters) {
    if (cluster.name != bootstrap.discovery->cluster) continue;
    for (const config::LocalityEndpoints& locality : cluster.endpoints.localities) {
      endpoints.insert(endpoints.end(), locality.endpoints.begin(), locality.endpoints.end());
    }
  }
  return endpoints;
}

// "Listener a: filter_chains[3].x" and the same of another listener are one complaint.
std::string sort_of(const config::Unhonoured& field) {
  std::string sort = field.resource.substr(0, field.resource.find(' ')) + ": ";
  bool inside = false;
  for (const char c : field.field + ": " + field.reason) {
    if (c == ']') inside = false;
    if (!inside) sort += c;
    if (c == '[') inside = true;
  }
  return sort;
}

}  // namespace

struct Source::State {
  State(net::Loop& on, SourceOptions with, Take give)
      : loop(on),
        options(std::move(with)),
        take(std::move(give)),
        client(options.bootstrap, options.client),
        warming(loop, [this] { warming_ended(); }),
        saving(loop, [this] { save(); }) {}

  net::Loop& loop;
  SourceOptions options;
  Take take;
  xds::AdsClient client;
  SystemClock clock;
  SeededRandom chance{seed_from_system()};

  config::SnapshotPointer source;  // as it came: names in it are still names
  config::SnapshotPointer given;   // as the proxy has it
  WallTime given_at;
  std::uint64_t number = 0;
  bool heard = false;      // control or disk gave a snapshot
  bool from_disk = false;  // and it was the disk
  bool unsaved = false;
  std::set<std::string> complained;
  std::array<std::string, 4> refusals_told;

  AddressTable addresses;
  Addresser addresser;
  bool resolving = false;

  bool connected = false;
  bool spoke = false;  // the last stream brought something
  std::uint64_t attempts = 0;
  std::string control;
  std::string trouble;

  net::Timer warming;  // of the client's patience
  net::Timer saving;
  Gate gate;

  void start_from_disk();
  void use(config::SnapshotPointer snapshot, bool disk);
  void give();
  void apply(const xds::ClientStep& step);
  void arm_warming();
  void warming_ended();
  void complain(const config::Snapshot& snapshot);
  void complain_of_refusals();
  void save();

  [[nodiscard]] Task<> resolve_once();
  [[nodiscard]] Task<> keep_resolving();
  [[nodiscard]] Task<bool> resolve_all();
  [[nodiscard]] Task<> keep_talking();
  [[nodiscard]] Task<Fault> talk();
  [[nodiscard]] Task<Fault> converse(http::GrpcChannel& channel, std::string authority);
  [[nodiscard]] Task<Result<>> send_all(http::GrpcCallHandle& call,
                                        const std::vector<std::string>& messages);
  [[nodiscard]] Task<Result<net::StreamPointer>> connect();
  [[nodiscard]] Task<Result<net::StreamPointer>> connect_to(config::LbEndpoint endpoint);
};

// ── Snapshots ────────────────────────────────────────────────────────────────────────────────────

// Says what is not honoured once for each field, however many resources have it.
void Source::State::complain(const config::Snapshot& snapshot) {
  for (const config::Unhonoured& field : snapshot.unhonoured) {
    if (!complained.insert(sort_of(field)).second) continue;
    log::warning("not honoured: " + field.describe());
  }
}

// Each once, until it is another.
void Source::State::complain_of_refusals() {
  for (const xds::ResourceType type : xds::all_resource_types) {
    std::string& told = refusals_told.at(static_cast<std::size_t>(type));
    const std::string& refusal = client.refusal(type);
    if (told == refusal) continue;
    told = refusal;
    if (refusal.empty()) continue;
    log::warning(fmt::format("{}: refused: {}", xds::short_name_of(type), refusal));
  }
}

void Source::State::give() {
  config::Snapshot made = *source;
  addresser.apply(made, addresses);
  made.number = number++;
  given = std::make_shared<const config::Snapshot>(std::move(made));
  given_at = clock.wall();
  take(given);
}

void Source::State::use(config::SnapshotPointer snapshot, bool disk) {
  source = std::move(snapshot);
  from_disk = disk;
  complain(*source);
  give();
  const std::set<std::string> hosts = hosts_in(*source);
  const bool news = std::any_of(hosts.begin(), hosts.end(), [this](const std::string& host) {
    return !addresses.contains(host);
  });
  if (news) loop.start(gate, resolve_once());
  if (!hosts.empty() && !resolving) resolving = loop.start(gate, keep_resolving());
}

void Source::State::apply(const xds::ClientStep& step) {
  if (step.snapshot) {
    heard = true;
    unsaved = !options.last_good_path.empty();
    use(step.snapshot, /*disk=*/false);
    if (!saving.armed()) save();
  }
  arm_warming();
}

void Source::State::arm_warming() {
  const std::optional<Instant> deadline = client.deadline();
  if (!deadline) return warming.stop();
  warming.arm(std::max<Duration>(*deadline - loop.now(), Duration{}));
}

void Source::State::warming_ended() {
  const std::vector<std::string> lacking = client.waiting_for();
  const xds::ClientStep step = client.elapsed(loop.now());
  if (step.snapshot && !lacking.empty()) {
    log::warning(fmt::format("in use without {} (and {} more) of what it names", lacking.front(),
                             lacking.size() - 1));
  }
  apply(step);
}

// The first at once: a proxy that dies a moment after it was ready has what it starts from.
void Source::State::save() {
  if (!std::exchange(unsaved, false)) return;
  const Result<> written = write_last_good(options.last_good_path, client.last_good());
  if (!written.ok())
    log::warning("the last good configuration is not kept: " + written.fault().describe());
  saving.arm(between_saves);
}

void Source::State::start_from_disk() {
  if (options.last_good_path.empty() || !options.bootstrap.discovery) return;
  const Result<std::string> content = read_last_good(options.last_good_path);
  if (!content.ok()) {
    if (content.fault().kind == FaultKind::missing) return;
    return log::warning("the last good configuration is ignored: " + content.fault().describe());
  }
  const Result<xds::ClientStep> step = client.restore(*content, loop.now());
  if (!step.ok()) {
    return log::warning("the last good configuration is ignored: " + step.fault().describe());
  }
  if (!step->snapshot) return arm_warming();
  heard = true;
  log::info(
      fmt::format("starting from the last good configuration, world {}", step->snapshot->world));
  use(step->snapshot, /*disk=*/true);
}

// ── Names ────────────────────────────────────────────────────────────────────────────────────────

// True when an address changed. A name that cannot be resolved keeps the addresses that it had.
Task<bool> Source::State::resolve_all() {
  const std::set<std::string> hosts = hosts_in(*source);
  bool changed = false;
  for (const std::string& host : hosts) {
    Result<std::vector<IpAddress>> found = co_await net::resolve(loop, host);
    if (!found.ok()) continue;
    std::vector<IpAddress>& known = addresses[host];
    if (known == *found) continue;
    known = std::move(*found);
    changed = true;
  }
  co_return changed;
}

Task<> Source::State::resolve_once() {
  if (co_await resolve_all()) give();
}

Task<> Source::State::keep_resolving() {
  while ((co_await loop.sleep(options.resolve_every)).ok()) {
    if (co_await resolve_all()) give();
  }
}

// ── The control plane ────────────────────────────────────────────────────────────────────────────

Task<Result<net::StreamPointer>> Source::State::connect_to(config::LbEndpoint endpoint) {
  if (!endpoint.unix_path.empty()) {
    Result<net::UnixStreamPointer> stream = net::connect_unix(loop, endpoint.unix_path);
    if (!stream.ok()) co_return stream.fault();
    co_return net::StreamPointer(std::move(*stream));
  }
  std::vector<IpAddress> candidates{endpoint.address.ip};
  if (!endpoint.host.empty()) {
    Result<std::vector<IpAddress>> found = co_await net::resolve(loop, endpoint.host);
    if (!found.ok()) co_return found.fault();
    candidates = std::move(*found);
  }
  Fault last = missing(endpoint.host + " has no address");
  for (const IpAddress& ip : candidates) {
    Result<net::TcpStreamPointer> stream =
        co_await net::connect(loop, SocketAddress{ip, endpoint.address.port});
    if (stream.ok()) co_return net::StreamPointer(std::move(*stream));
    last = stream.fault();
  }
  co_return last;
}

Task<Result<net::StreamPointer>> Source::State::connect() {
  Fault last = missing("the control plane's cluster has no endpoints");
  for (const config::LbEndpoint& endpoint : control_endpoints(options.bootstrap)) {
    control = where(endpoint);
    Result<net::StreamPointer> stream = co_await connect_to(endpoint);
    if (stream.ok()) co_return stream;
    last = std::move(stream).fault();
  }
  co_return last;
}

Task<Result<>> Source::State::send_all(http::GrpcCallHandle& call,
                                       const std::vector<std::string>& messages) {
  for (const std::string& message : messages) {
    Result<> sent = co_await call.send(message);
    if (!sent.ok()) co_return sent;
  }
  co_return done();
}

// One stream, until it ends; gives why.
Task<Fault> Source::State::converse(http::GrpcChannel& channel, std::string authority) {
  Result<http::GrpcCallHandle> call =
      channel.call({.method = std::string(xds::ads_method), .authority = std::move(authority)});
  if (!call.ok()) co_return call.fault();
  xds::ClientStep step = client.connected(loop.now());
  for (;;) {
    Result<> sent = co_await send_all(*call, step.send);
    apply(step);
    if (!sent.ok()) co_return sent.fault();
    Result<std::optional<std::string>> message = co_await call->receive();
    if (!message.ok()) co_return message.fault();
    if (!*message) {
      co_return Fault{
          .kind = FaultKind::closed,
          .message = fmt::format("the stream ended: {} {}", http::name_of(call->status().code),
                                 call->status().message)};
    }
    connected = true;
    spoke = true;
    trouble.clear();
    Result<xds::ClientStep> next = client.received(**message, loop.now());
    if (!next.ok()) co_return next.fault();
    step = std::move(*next);
    complain_of_refusals();
  }
}

Task<Fault> Source::State::talk() {
  Result<net::StreamPointer> stream = co_await connect();
  if (!stream.ok()) co_return stream.fault();
  http::GrpcChannel channel(std::move(*stream), connection_options());
  log::info("discovery: talking to " + control);
  Fault why = co_await converse(channel, control);
  co_return why;
}

// Waits longer each time, and never quite the same, so that a thousand proxies do not come back at
// once.
Task<> Source::State::keep_talking() {
  Duration wait = options.first_wait;
  for (;;) {
    ++attempts;
    spoke = false;
    const Fault why = co_await talk();
    connected = false;
    if (why.kind == FaultKind::cancelled || !gate.is_open()) co_return;
    const std::string described = why.describe();
    if (described != trouble) log::warning(fmt::format("discovery: {}: {}", control, described));
    trouble = described;
    if (spoke) wait = options.first_wait;
    const Duration half = wait / 2;
    const Duration cut{
        static_cast<Duration::rep>(chance.below(static_cast<std::uint64_t>(half.count()) + 1))};
    if (!(co_await loop.sleep(half + cut)).ok()) co_return;
    wait = std::min(wait * 2, options.longest_wait);
  }
}

// ── The source ───────────────────────────────────────────────────────────────────────────────────

Source::Source(net::Loop& loop, SourceOptions options, Take take)
    : state_(std::make_unique<State>(loop, std::move(options), std::move(take))) {}

Source::~Source() = default;

void Source::start() {
  State& state = *state_;
  state.start_from_disk();
  if (!state.source) {
    state.use(std::make_shared<const config::Snapshot>(xds::snapshot_of(state.options.bootstrap)),
              /*disk=*/false);
  }
  if (state.options.bootstrap.discovery) state.loop.start(state.gate, state.keep_talking());
}

Task<> Source::close() {
  State& state = *state_;
  state.take = [](const config::SnapshotPointer&) {};
  state.warming.stop();
  state.save();
  state.saving.stop();
  co_await state.gate.close();
}

bool Source::ready() const {
  return state_->given && (state_->heard || !state_->options.bootstrap.discovery);
}

SourceStatus Source::status() const {
  const State& state = *state_;
  SourceStatus status{.dynamic = state.options.bootstrap.discovery.has_value(),
                      .connected = state.connected,
                      .from_disk = state.from_disk,
                      .attempts = state.attempts,
                      .control = state.control,
                      .trouble = state.trouble,
                      .world = state.given ? state.given->world : std::string(),
                      .waiting_for = state.client.waiting_for()};
  if (state.given) status.closed = closed_parts(*state.given);
  const config::Versions versions = state.given ? state.given->versions : config::Versions{};
  const std::array<const std::string*, 4> of_type{&versions.clusters, &versions.endpoints,
                                                  &versions.listeners, &versions.routes};
  for (const xds::ResourceType type : xds::all_resource_types) {
    const auto i = static_cast<std::size_t>(type);
    status.types.at(i) = {.type = type,
                          .version = *of_type.at(i),
                          .refusal = state.client.refusal(type),
                          .counts = state.client.counts(type)};
  }
  return status;
}

std::string Source::config_dump() const {
  static const config::Snapshot none;
  const State& state = *state_;
  return xds::config_dump(state.options.bootstrap, state.given ? *state.given : none,
                          state.given_at);
}

std::string status_json(const SourceStatus& status) {
  using Json = nlohmann::ordered_json;
  Json types = Json::array();
  for (const SourceType& type : status.types) {
    types.push_back({{"type", xds::short_name_of(type.type)},
                     {"version", type.version},
                     {"refusal", type.refusal},
                     {"accepted", type.counts.accepted},
                     {"refused", type.counts.refused},
                     {"unhonoured", type.counts.unhonoured}});
  }
  const Json json{{"dynamic", status.dynamic},
                  {"connected", status.connected},
                  {"fromDisk", status.from_disk},
                  {"attempts", status.attempts},
                  {"control", status.control},
                  {"trouble", status.trouble},
                  {"world", status.world},
                  {"types", std::move(types)},
                  {"waitingFor", status.waiting_for},
                  {"closed", status.closed}};
  return json_text(json);
}

}  // namespace fairlead::proxy
