#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "xds/bootstrap_wire.h"
#include "xds/decode.h"
#include "xds/encode.h"
#include "xds/encode_parts.h"
#include "xds/listener_addresses.h"
#include "xds/references.h"
#include "xds/session.h"

namespace fairlead::xds {
namespace {

// A resource as it was accepted.
template <class T>
struct Held {
  std::shared_ptr<const T> value;
  std::uint64_t digest = 0;  // of the bytes that it came as
  std::vector<config::Unhonoured> unhonoured;
};

template <class T>
using Holding = std::map<std::string, Held<T>>;

// One type of resources.
struct Subscription {
  std::string version;  // the last that was accepted
  std::string nonce;    // of the last response on this stream
  Names names;          // asked for; none: all
  bool known = false;   // a response was accepted, on whatever stream, or came from disk
  AdsClient::Counts counts;
  std::string refusal;
};

const std::string& name_of(const config::Cluster& cluster) {
  return cluster.name;
}
const std::string& name_of(const config::ClusterLoadAssignment& endpoints) {
  return endpoints.cluster_name;
}
const std::string& name_of(const config::Listener& listener) {
  return listener.name;
}
const std::string& name_of(const config::RouteConfiguration& routes) {
  return routes.name;
}

Result<Decoded<config::Cluster>> decode(std::string_view bytes, const config::Cluster*) {
  return decode_cluster(bytes);
}
Result<Decoded<config::ClusterLoadAssignment>> decode(std::string_view bytes,
                                                      const config::ClusterLoadAssignment*) {
  return decode_cluster_load_assignment(bytes);
}
Result<Decoded<config::Listener>> decode(std::string_view bytes, const config::Listener*) {
  return decode_listener(bytes);
}
Result<Decoded<config::RouteConfiguration>> decode(std::string_view bytes,
                                                   const config::RouteConfiguration*) {
  return decode_route_configuration(bytes);
}

}  // namespace

struct AdsClient::State {
  State(const Bootstrap& bootstrap, ClientOptions with);

  ClientOptions options;
  wire::core::Node node;
  bool node_once = false;
  bool asks_clusters = false;
  bool asks_listeners = false;
  config::Snapshot fixed;  // the bootstrap's own resources
  std::array<Subscription, 4> subscriptions;
  Holding<config::Cluster> clusters;
  Holding<config::ClusterLoadAssignment> endpoints;
  Holding<config::Listener> listeners;
  Holding<config::RouteConfiguration> routes;

  bool streaming = false;
  bool introduced = false;  // this stream has seen our node
  std::string world;        // the version that was accepted last
  std::uint64_t next_number;
  config::SnapshotPointer in_force;
  Names used_clusters;              // by the accepted listeners and routes
  Names lacking;                    // what the accepted resources name and do not have
  Names waived;                     // of those, what was waited for long enough
  std::optional<Instant> deadline;  // of the wait

  Subscription& subscription(ResourceType type) {
    return subscriptions.at(static_cast<std::size_t>(type));
  }

  void ask(ClientStep& step, ResourceType type, const Fault* refusal = nullptr);
  void ask_for(ClientStep& step, ResourceType type, Names names);
  void follow_names(ClientStep& step);
  [[nodiscard]] Names wanted_endpoints() const;
  [[nodiscard]] Names wanted_routes() const;

  [[nodiscard]] Result<> accept(ResourceType type,
                                const wire::discovery::DiscoveryResponse& response, bool from_disk);
  template <class T>
  [[nodiscard]] Result<Holding<T>> decode_all(const wire::discovery::DiscoveryResponse& response,
                                              const Holding<T>& before, bool strict) const;
  template <class T>
  void count_unhonoured(ResourceType type, const Holding<T>& held);

  void settle(ClientStep& step, ResourceType changed, Instant now);
  void find_used_clusters();
  void find_lacking();
  void use(ClientStep& step, config::Snapshot snapshot);
  [[nodiscard]] bool heard_everything() const;
  [[nodiscard]] config::Snapshot whole() const;
  void date(config::Snapshot& snapshot) const;
  void use_new_endpoints(ClientStep& step);
};

AdsClient::State::State(const Bootstrap& bootstrap, ClientOptions with)
    : options(with), fixed(snapshot_of(bootstrap)), next_number(with.first_number) {
  write(bootstrap.node, node);
  if (!bootstrap.discovery) return;
  node_once = bootstrap.discovery->node_on_first_message_only;
  asks_clusters = bootstrap.discovery->clusters;
  asks_listeners = bootstrap.discovery->listeners;
  subscription(ResourceType::endpoint).names = wanted_endpoints();
  subscription(ResourceType::route).names = wanted_routes();
}

AdsClient::AdsClient(const Bootstrap& bootstrap, ClientOptions options)
    : state_(std::make_unique<State>(bootstrap, options)) {}
AdsClient::~AdsClient() = default;
AdsClient::AdsClient(AdsClient&&) noexcept = default;
AdsClient& AdsClient::operator=(AdsClient&&) noexcept = default;

// ── Requests ─────────────────────────────────────────────────────────────────────────────────────

// A request is at once the answer to the last response of its type: with `refusal` a NACK.
void AdsClient::State::ask(ClientStep& step, ResourceType type, const Fault* refusal) {
  const Subscription& from = subscription(type);
  wire::discovery::DiscoveryRequest request;
  if (!introduced || !node_once) *request.mutable_node() = node;
  introduced = true;
  request.set_version_info(from.version);
  request.set_response_nonce(from.nonce);
  request.set_type_url(std::string(type_url(type)));
  for (const std::string& name : from.names) request.add_resource_names(name);
  if (refusal != nullptr) {
    request.mutable_error_detail()->set_code(3);  // INVALID_ARGUMENT
    request.mutable_error_detail()->set_message(refusal->describe());
  }
  step.send.push_back(bytes_of(request));
}

void AdsClient::State::ask_for(ClientStep& step, ResourceType type, Names names) {
  Subscription& from = subscription(type);
  if (from.names == names) return;
  from.names = std::move(names);
  if (streaming) ask(step, type);
}

Names AdsClient::State::wanted_endpoints() const {
  Names names;
  for (const auto& [name, cluster] : fixed.clusters) {
    if (cluster->type == config::ClusterType::eds) names.insert(eds_name_of(*cluster));
  }
  for (const auto& [name, held] : clusters) {
    if (held.value->type == config::ClusterType::eds) names.insert(eds_name_of(*held.value));
  }
  return names;
}

Names AdsClient::State::wanted_routes() const {
  Names names;
  for (const auto& [name, listener] : fixed.listeners) add_route_names(*listener, names);
  for (const auto& [name, held] : listeners) add_route_names(*held.value, names);
  return names;
}

// Asks for the endpoints and routes that what is accepted names, and drops the others.
void AdsClient::State::follow_names(ClientStep& step) {
  ask_for(step, ResourceType::endpoint, wanted_endpoints());
  ask_for(step, ResourceType::route, wanted_routes());
  std::erase_if(endpoints, [this](const auto& entry) {
    return !subscription(ResourceType::endpoint).names.contains(entry.first);
  });
  std::erase_if(routes, [this](const auto& entry) {
    return !subscription(ResourceType::route).names.contains(entry.first);
  });
}

ClientStep AdsClient::connected(Instant /*now*/) {
  State& state = *state_;
  state.streaming = true;
  state.introduced = false;
  for (Subscription& subscription : state.subscriptions) subscription.nonce.clear();
  ClientStep step;
  if (state.asks_clusters) state.ask(step, ResourceType::cluster);
  if (!state.subscription(ResourceType::endpoint).names.empty())
    state.ask(step, ResourceType::endpoint);
  if (state.asks_listeners) state.ask(step, ResourceType::listener);
  if (!state.subscription(ResourceType::route).names.empty()) state.ask(step, ResourceType::route);
  return step;
}

// ── Responses ────────────────────────────────────────────────────────────────────────────────────

// Decodes resources; what is known by its bytes already, or equal to what is known, is shared.
template <class T>
class Reader {
 public:
  explicit Reader(const Holding<T>& before) : before_(before) {
    for (const auto& [name, held] : before) by_digest_[held.digest] = &held;
  }

  [[nodiscard]] Result<Held<T>> read(const std::string& bytes) const {
    const std::uint64_t digest = XXH3_64bits(bytes.data(), bytes.size());
    const auto known = by_digest_.find(digest);
    if (known != by_digest_.end()) return *known->second;
    Result<Decoded<T>> decoded = decode(bytes, static_cast<const T*>(nullptr));
    if (!decoded.ok()) return std::move(decoded).fault();
    const auto old = before_.find(name_of(decoded->value));
    const bool unchanged = old != before_.end() && *old->second.value == decoded->value;
    return Held<T>{.value = unchanged ? old->second.value
                                      : std::make_shared<const T>(std::move(decoded->value)),
                   .digest = digest,
                   .unhonoured = std::move(decoded->unhonoured)};
  }

 private:
  const Holding<T>& before_;
  std::unordered_map<std::uint64_t, const Held<T>*> by_digest_;
};

// All resources of a response, or all that is wrong with them.
template <class T>
Result<Holding<T>> AdsClient::State::decode_all(const wire::discovery::DiscoveryResponse& response,
                                                const Holding<T>& before, bool strict) const {
  const Reader<T> reader(before);
  Holding<T> all;
  ListenerAddresses addresses;
  if constexpr (std::is_same_v<T, config::Listener>) {
    for (const auto& [name, listener] : fixed.listeners) (void)addresses.add(*listener);
  }
  std::string wrong;
  const auto complain = [&](const std::string& what) {
    if (wrong.size() < 2000) wrong += (wrong.empty() ? "" : "; ") + what;
  };
  for (const wire::Any& any : response.resources()) {
    if (any.type_url() != response.type_url()) {
      complain(fmt::format("a resource is of the type {}", any.type_url()));
      continue;
    }
    Result<Held<T>> held = reader.read(any.value());
    if (!held.ok()) {
      complain(held.fault().describe());
      continue;
    }
    if (strict && !held->unhonoured.empty()) {
      const config::Unhonoured& first = held->unhonoured.front();
      complain(first.describe() + ": is not honoured");
    }
    const std::string name = name_of(*held->value);
    if constexpr (std::is_same_v<T, config::Listener>) {
      if (const Result<> alone = addresses.add(*held->value); !alone.ok()) {
        complain("Listener " + name + ": " + alone.fault().message);
        continue;
      }
    }
    if (!all.emplace(name, std::move(*held)).second) complain(name + " is there twice");
  }
  if (!wrong.empty()) return invalid(std::move(wrong));
  return all;
}

template <class T>
void AdsClient::State::count_unhonoured(ResourceType type, const Holding<T>& held) {
  for (const auto& [name, one] : held)
    subscription(type).counts.unhonoured += one.unhonoured.size();
}

// Clusters and listeners come as the whole set; of the others comes what is new.
Result<> AdsClient::State::accept(ResourceType type,
                                  const wire::discovery::DiscoveryResponse& response,
                                  bool from_disk) {
  const auto take = [&](auto& holding, bool whole) -> Result<> {
    auto all = decode_all(response, holding, options.strict && !from_disk);
    if (!all.ok()) return std::move(all).fault();
    count_unhonoured(type, *all);
    if (whole) {
      holding = std::move(*all);
      return done();
    }
    for (auto& [name, held] : *all) {
      if (from_disk || subscription(type).names.contains(name)) holding[name] = std::move(held);
    }
    return done();
  };
  Result<> taken = done();
  switch (type) {
    case ResourceType::cluster:
      taken = take(clusters, true);
      break;
    case ResourceType::endpoint:
      taken = take(endpoints, false);
      break;
    case ResourceType::listener:
      taken = take(listeners, true);
      break;
    case ResourceType::route:
      taken = take(routes, false);
      break;
  }
  if (!taken.ok()) return taken;
  subscription(type).version = response.version_info();
  subscription(type).known = true;
  world = response.version_info();
  return done();
}

Result<ClientStep> AdsClient::received(std::string_view message, Instant now) {
  wire::discovery::DiscoveryResponse response;
  if (!parse(message, response)) {
    return invalid("the message is no DiscoveryResponse");
  }
  ClientStep step;
  const std::optional<ResourceType> type = resource_type_from(response.type_url());
  if (!type) return step;  // never asked for
  State& state = *state_;
  Subscription& subscription = state.subscription(*type);
  subscription.nonce = response.nonce();
  const Result<> accepted = state.accept(*type, response, /*from_disk=*/false);
  if (!accepted.ok()) {
    ++subscription.counts.refused;
    subscription.refusal = accepted.fault().describe();
    state.ask(step, *type, &accepted.fault());
    return step;
  }
  ++subscription.counts.accepted;
  subscription.refusal.clear();
  state.ask(step, *type);
  state.follow_names(step);
  state.settle(step, *type, now);
  return step;
}

// ── Snapshots ────────────────────────────────────────────────────────────────────────────────────

bool AdsClient::State::heard_everything() const {
  const auto known = [this](ResourceType type) {
    return subscriptions.at(static_cast<std::size_t>(type)).known;
  };
  return (!asks_clusters || known(ResourceType::cluster)) &&
         (!asks_listeners || known(ResourceType::listener));
}

void AdsClient::State::find_used_clusters() {
  used_clusters.clear();
  for (const auto& [name, listener] : fixed.listeners) add_cluster_names(*listener, used_clusters);
  for (const auto& [name, held] : listeners) add_cluster_names(*held.value, used_clusters);
  for (const auto& [name, held] : routes) add_cluster_names(*held.value, used_clusters);
}

// Everything that is named and is not there.
void AdsClient::State::find_lacking() {
  lacking.clear();
  for (const std::string& name : subscription(ResourceType::endpoint).names) {
    if (!endpoints.contains(name)) lacking.insert("endpoints " + name);
  }
  for (const std::string& name : subscription(ResourceType::route).names) {
    if (!routes.contains(name)) lacking.insert("routes " + name);
  }
  for (const std::string& name : used_clusters) {
    if (!clusters.contains(name) && !fixed.clusters.contains(name)) {
      lacking.insert("cluster " + name);
    }
  }
  std::erase_if(waived, [this](const std::string& name) { return !lacking.contains(name); });
}

void AdsClient::State::date(config::Snapshot& snapshot) const {
  snapshot.world = world;
  snapshot.versions = {
      .listeners = subscriptions[static_cast<std::size_t>(ResourceType::listener)].version,
      .routes = subscriptions[static_cast<std::size_t>(ResourceType::route)].version,
      .clusters = subscriptions[static_cast<std::size_t>(ResourceType::cluster)].version,
      .endpoints = subscriptions[static_cast<std::size_t>(ResourceType::endpoint)].version};
}

template <class T>
std::map<std::string, std::shared_ptr<const T>> map_of(const config::Named<T>& table) {
  return {table.begin(), table.end()};
}

// The bootstrap's own resources stand above what comes by their names.
config::Snapshot AdsClient::State::whole() const {
  config::Snapshot snapshot = fixed;
  date(snapshot);
  const auto add = [&](auto& into, const auto& holding) {
    auto made = map_of(into);
    for (const auto& [name, held] : holding) {
      made.emplace(name, held.value);
      snapshot.unhonoured.insert(snapshot.unhonoured.end(), held.unhonoured.begin(),
                                 held.unhonoured.end());
    }
    into.become(made);
  };
  add(snapshot.clusters, clusters);
  add(snapshot.endpoints, endpoints);
  add(snapshot.listeners, listeners);
  add(snapshot.routes, routes);
  return snapshot;
}

bool same_content(const config::Snapshot& left, const config::Snapshot& right) {
  // Equal values are equal pointers: Reader shares them.
  return left.world == right.world && left.versions == right.versions &&
         left.listeners == right.listeners && left.routes == right.routes &&
         left.clusters == right.clusters && left.endpoints == right.endpoints;
}

void AdsClient::State::use(ClientStep& step, config::Snapshot snapshot) {
  if (in_force && same_content(*in_force, snapshot)) return;
  snapshot.number = next_number++;
  in_force = std::make_shared<const config::Snapshot>(std::move(snapshot));
  step.snapshot = in_force;
}

// While other things are on their way, endpoints of what is in force are news all the same.
void AdsClient::State::use_new_endpoints(ClientStep& step) {
  if (!in_force) return;
  config::Snapshot snapshot = *in_force;
  bool changed = false;
  for (const auto& [name, value] : in_force->endpoints) {
    const auto now = endpoints.find(name);
    if (now == endpoints.end() || now->second.value == value) continue;
    snapshot.endpoints.put(name, now->second.value);
    changed = true;
  }
  if (!changed) return;
  snapshot.versions.endpoints = subscription(ResourceType::endpoint).version;
  use(step, std::move(snapshot));
}

void AdsClient::State::settle(ClientStep& step, ResourceType changed, Instant now) {
  if (changed != ResourceType::endpoint) find_used_clusters();
  find_lacking();
  const bool waits = !std::includes(waived.begin(), waived.end(), lacking.begin(), lacking.end());
  if (heard_everything() && !waits) {
    deadline.reset();
    use(step, whole());
    return;
  }
  if (waits && !deadline && options.warming_limit.count() > 0) {
    deadline = now + options.warming_limit;
  }
  if (changed == ResourceType::endpoint) use_new_endpoints(step);
}

ClientStep AdsClient::elapsed(Instant now) {
  State& state = *state_;
  ClientStep step;
  if (!state.deadline || now < *state.deadline) return step;
  state.deadline.reset();
  state.waived = state.lacking;
  if (state.heard_everything()) state.use(step, state.whole());
  return step;
}

std::optional<Instant> AdsClient::deadline() const {
  return state_->deadline;
}

std::vector<std::string> AdsClient::waiting_for() const {
  const State& state = *state_;
  std::vector<std::string> waiting;
  const auto unknown = [&](bool asks, ResourceType type) {
    return asks && !state.subscriptions.at(static_cast<std::size_t>(type)).known;
  };
  if (unknown(state.asks_clusters, ResourceType::cluster)) waiting.emplace_back("clusters");
  if (unknown(state.asks_listeners, ResourceType::listener)) waiting.emplace_back("listeners");
  waiting.insert(waiting.end(), state.lacking.begin(), state.lacking.end());
  return waiting;
}

const AdsClient::Counts& AdsClient::counts(ResourceType type) const {
  return state_->subscription(type).counts;
}

const std::string& AdsClient::refusal(ResourceType type) const {
  return state_->subscription(type).refusal;
}

// ── On disk ──────────────────────────────────────────────────────────────────────────────────────

// Each type as the response that would bring it, with its length in four bytes before it.
std::string AdsClient::last_good() const {
  const State& state = *state_;
  std::string bytes;
  const auto add = [&](ResourceType type, const auto& holding) {
    const Subscription& subscription = state.subscriptions.at(static_cast<std::size_t>(type));
    if (!subscription.known) return;
    wire::discovery::DiscoveryResponse response;
    response.set_version_info(subscription.version);
    response.set_type_url(std::string(type_url(type)));
    for (const auto& [name, held] : holding) {
      wire::Any& any = *response.add_resources();
      any.set_type_url(response.type_url());
      any.set_value(encode(*held.value));
    }
    const std::string message = bytes_of(response);
    for (unsigned shift = 0; shift < 32; shift += 8) {
      bytes += static_cast<char>((message.size() >> shift) & 0xFFU);
    }
    bytes += message;
  };
  add(ResourceType::cluster, state.clusters);
  add(ResourceType::endpoint, state.endpoints);
  add(ResourceType::listener, state.listeners);
  add(ResourceType::route, state.routes);
  return bytes;
}

namespace {

Result<std::vector<wire::discovery::DiscoveryResponse>> responses_in(std::string_view bytes) {
  std::vector<wire::discovery::DiscoveryResponse> all;
  while (!bytes.empty()) {
    if (bytes.size() < 4) return invalid("the last good configuration is cut short");
    std::size_t size = 0;
    for (unsigned i = 0; i < 4; ++i) {
      size |= static_cast<std::size_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
    }
    bytes.remove_prefix(4);
    if (size > bytes.size()) return invalid("the last good configuration is cut short");
    wire::discovery::DiscoveryResponse& response = all.emplace_back();
    if (!parse(bytes.substr(0, size), response)) {
      return invalid("the last good configuration holds what is no DiscoveryResponse");
    }
    bytes.remove_prefix(size);
  }
  return all;
}

}  // namespace

Result<ClientStep> AdsClient::restore(std::string_view last_good, Instant now) {
  const auto responses = responses_in(last_good);
  if (!responses.ok()) return responses.fault();
  State state = *state_;  // kept when anything is wrong
  for (const wire::discovery::DiscoveryResponse& response : *responses) {
    const std::optional<ResourceType> type = resource_type_from(response.type_url());
    if (!type) return invalid("the last good configuration holds an unknown type");
    const Result<> accepted = state.accept(*type, response, /*from_disk=*/true);
    if (!accepted.ok()) return accepted.fault();
  }
  ClientStep step;
  if (responses->empty()) return step;
  state.follow_names(step);
  state.settle(step, ResourceType::cluster, now);
  *state_ = std::move(state);
  return step;
}

}  // namespace fairlead::xds
