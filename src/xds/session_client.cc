#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "base/one_line.h"
#include "xds/bootstrap_wire.h"
#include "xds/decode.h"
#include "xds/encode.h"
#include "xds/encode_parts.h"
#include "xds/listener_addresses.h"
#include "xds/references.h"
#include "xds/session.h"

namespace fairlead::xds {
namespace {

constexpr std::string_view cluster_mark = "cluster ";  // of one that is waited for

constexpr std::string_view closing_type = "fairlead/closed";
// On disk, beside resources: what a refused version closed in one of them.

// A resource as it was accepted.
template <class T>
struct Held {
  std::shared_ptr<const T> value;
  std::uint64_t digest = 0;  // of the bytes that it came as
  std::vector<config::Unhonoured> unhonoured;
  Protections protections;  // that came with it and are not enforced
  Protections closing;      // of a later version that was refused: `value` is closed by them
  std::string bytes;        // as it came, where `value` does not hold all of it; else empty
};

template <class T>
using Holding = std::map<std::string, Held<T>>;

// One type of resources.
struct Subscription {
  std::string version;   // the last that was accepted whole
  std::string in_force;  // the last of which something was taken
  std::string nonce;     // of the last response on this stream
  Names names;           // asked for; none: all
  bool known = false;    // a response was accepted, on whatever stream, or came from disk
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

Result<Decoded<config::Cluster>> decode(std::string_view bytes, Rejected& rejected,
                                        const config::Cluster*) {
  return decode_cluster(bytes, &rejected);
}
Result<Decoded<config::ClusterLoadAssignment>> decode(std::string_view bytes, Rejected& rejected,
                                                      const config::ClusterLoadAssignment*) {
  return decode_cluster_load_assignment(bytes, &rejected);
}
Result<Decoded<config::Listener>> decode(std::string_view bytes, Rejected& rejected,
                                         const config::Listener*) {
  return decode_listener(bytes, &rejected);
}
Result<Decoded<config::RouteConfiguration>> decode(std::string_view bytes, Rejected& rejected,
                                                   const config::RouteConfiguration*) {
  return decode_route_configuration(bytes, &rejected);
}

// What a response came to.
struct Taken {
  std::string wrong;   // for the NACK; empty: all of it is good
  bool any = false;    // some of it was taken, or it says that there is nothing
  bool lacks = false;  // some of it was not taken
};

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

  [[nodiscard]] Taken accept(ResourceType type, const wire::discovery::DiscoveryResponse& response,
                             bool from_disk);
  [[nodiscard]] Result<> restore_closings_of(ResourceType type,
                                             const wire::discovery::DiscoveryResponse& from);
  template <class T>
  void count_unhonoured(ResourceType type, const Holding<T>& held);

  void settle(ClientStep& step, ResourceType changed, Instant now);
  void find_used_clusters();
  void find_lacking();
  [[nodiscard]] bool blocks(const std::string& lacked) const;
  template <class Named>
  [[nodiscard]] bool has_its_clusters(const Named& value) const;
  void keep_what_waits(config::Snapshot& snapshot) const;
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
    for (const auto& [name, held] : before) {
      if (held.closing.empty()) by_digest_[held.digest] = &held;
    }
  }

  [[nodiscard]] Result<Held<T>> read(const std::string& bytes, Rejected& rejected) const {
    const std::uint64_t digest = XXH3_64bits(bytes.data(), bytes.size());
    const auto known = by_digest_.find(digest);
    if (known != by_digest_.end()) return *known->second;
    Result<Decoded<T>> decoded = decode(bytes, rejected, static_cast<const T*>(nullptr));
    if (!decoded.ok()) return std::move(decoded).fault();
    const auto old = before_.find(name_of(decoded->value));
    const bool unchanged = old != before_.end() && *old->second.value == decoded->value;
    Held<T> held{.value = unchanged ? old->second.value
                                    : std::make_shared<const T>(std::move(decoded->value)),
                 .digest = digest,
                 .unhonoured = std::move(decoded->unhonoured),
                 .protections = std::move(decoded->protections)};
    if (!held.unhonoured.empty()) held.bytes = bytes;
    return held;
  }

 private:
  const Holding<T>& before_;
  std::unordered_map<std::uint64_t, const Held<T>*> by_digest_;
};

// ── What a refused version closes in the one before it ───────────────────────────────────────────

namespace {

void close_part(config::Closed& part, const config::Closed& why) {
  if (part.empty()) part = why;
}

void close_parts(config::Cluster& value, const Protection& by) {
  close_part(value.closed, by.why);
}

void close_parts(config::ClusterLoadAssignment& value, const Protection& by) {
  for (config::LocalityEndpoints& locality : value.localities) {
    for (config::LbEndpoint& endpoint : locality.endpoints) close_part(endpoint.closed, by.why);
  }
}

void close_parts(config::Listener& value, const Protection& by) {
  bool found = false;
  for (config::FilterChain& chain : value.filter_chains) {
    if (by.part.empty() || chain.name != by.part) continue;
    close_part(chain.closed, by.why);
    found = true;
  }
  config::FilterChain* spare = value.default_filter_chain ? &*value.default_filter_chain : nullptr;
  if (spare && !by.part.empty() && spare->name == by.part) {
    close_part(spare->closed, by.why);
    found = true;
  }
  if (found) return;
  // A chain that the old version does not have would have taken connections from any of these.
  for (config::FilterChain& chain : value.filter_chains) close_part(chain.closed, by.why);
  if (spare) close_part(spare->closed, by.why);
}

void close_parts(config::RouteConfiguration& value, const Protection& by) {
  bool found = false;
  for (config::VirtualHost& host : value.virtual_hosts) {
    if (by.part.empty() || host.name != by.part) continue;
    close_part(host.closed, by.why);
    found = true;
  }
  if (!found) close_part(value.closed, by.why);
}

// "filter_chains[0].x" and "filter_chains[1].x" are the same protection.
std::string without_positions(std::string_view why) {
  std::string made;
  bool inside = false;
  for (const char c : why) {
    if (c == '[') inside = true;
    if (!inside) made += c;
    if (c == ']') inside = false;
  }
  return made;
}

bool has_protection(const Protections& all, const Protection& one) {
  return std::any_of(all.begin(), all.end(), [&](const Protection& each) {
    return each.part == one.part && without_positions(each.why) == without_positions(one.why);
  });
}

// `held` stays in force in place of a version with these, and closes where it lacks one of them.
template <class T>
void close_by(Held<T>& held, const Protections& protections) {
  Protections missing;
  for (const Protection& one : protections) {
    if (!has_protection(held.protections, one) && !has_protection(held.closing, one))
      missing.push_back(one);
  }
  if (missing.empty()) return;
  if (held.bytes.empty()) held.bytes = encode(*held.value);
  T closed = *held.value;
  for (const Protection& one : missing) close_parts(closed, one);
  held.value = std::make_shared<const T>(std::move(closed));
  held.closing.insert(held.closing.end(), missing.begin(), missing.end());
}

}  // namespace

// ── One by one ───────────────────────────────────────────────────────────────────────────────────

// The resources of one response, each by itself.
template <class T>
class Judgement {
 public:
  Judgement(const Holding<T>& before, bool strict, const config::Snapshot& fixed)
      : before_(before), reader_(before), strict_(strict) {
    if constexpr (std::is_same_v<T, config::Listener>) {
      for (const auto& [name, listener] : fixed.listeners) (void)addresses_.add(*listener);
    }
  }

  void judge(const wire::Any& any, const std::string& type) {
    if (any.type_url() != type) {
      complain(fmt::format("a resource is of the type {}", any.type_url()));
      return keep_all();
    }
    Rejected rejected;
    Result<Held<T>> held = reader_.read(any.value(), rejected);
    if (!held.ok()) {
      complain(held.fault().describe());
      return rejected.name.empty() ? keep_all() : keep(rejected.name, rejected.protections);
    }
    const std::string name = name_of(*held->value);
    if (strict_ && !held->unhonoured.empty()) {
      complain(held->unhonoured.front().describe() + ": is not honoured");
      return keep(name, held->protections);
    }
    for (const Protection& one : held->protections) tell(*held, one);
    if (taken_.contains(name) || refused_.contains(name)) {
      complain(name + " is there twice");
      Protections both = held->protections;
      if (const auto other = taken_.find(name); other != taken_.end()) {
        both.insert(both.end(), other->second.protections.begin(), other->second.protections.end());
        taken_.erase(other);
      }
      return keep(name, both);
    }
    if constexpr (std::is_same_v<T, config::Listener>) {
      if (const Result<> alone = addresses_.add(*held->value); !alone.ok()) {
        complain("Listener " + name + ": " + alone.fault().message);
        return keep(name, held->protections);
      }
    }
    taken_.emplace(name, std::move(*held));
  }

  [[nodiscard]] const std::string& wrong() const { return wrong_; }
  [[nodiscard]] bool lacks() const { return keeps_all_ || !refused_.empty(); }
  [[nodiscard]] const Holding<T>& taken() const { return taken_; }
  // What is in force from now on: with `whole`, nothing but what came and what it could not
  // replace.
  [[nodiscard]] Holding<T> result(bool whole) {
    Holding<T> all = whole && !keeps_all_ ? Holding<T>() : before_;
    for (auto& [name, held] : kept_) all.insert_or_assign(name, std::move(held));
    for (auto& [name, held] : taken_) all.insert_or_assign(name, std::move(held));
    return all;
  }

 private:
  void complain(const std::string& what) {
    constexpr std::size_t enough = 2000;
    if (wrong_.size() < enough) wrong_ += (wrong_.empty() ? "" : "; ") + one_line(what);
  }
  void tell(const Held<T>& held, const Protection& one) {
    const std::string& resource = held.unhonoured.front().resource;
    complain(fmt::format("{}: {}: is not enforced, what it protects is closed", resource, one.why));
  }
  void keep_all() { keeps_all_ = true; }
  void keep(const std::string& name, const Protections& protections) {
    refused_.insert(name);
    const auto old = before_.find(name);
    if (old == before_.end()) return;
    Held<T>& held = kept_.try_emplace(name, old->second).first->second;
    close_by(held, protections);
  }

  const Holding<T>& before_;
  Reader<T> reader_;
  bool strict_;
  bool keeps_all_ = false;  // a resource without a name may be any of those before
  Names refused_;
  ListenerAddresses addresses_;
  std::string wrong_;
  Holding<T> taken_;
  Holding<T> kept_;
};

template <class T>
void AdsClient::State::count_unhonoured(ResourceType type, const Holding<T>& held) {
  for (const auto& [name, one] : held)
    subscription(type).counts.unhonoured += one.unhonoured.size();
}

// Clusters and listeners come as the whole set; of the others comes what is new.
Taken AdsClient::State::accept(ResourceType type,
                               const wire::discovery::DiscoveryResponse& response, bool from_disk) {
  Taken taken;
  const auto take = [&]<class T>(Holding<T>& holding, bool whole) {
    Judgement<T> judgement(holding, options.strict && !from_disk, fixed);
    for (const wire::Any& any : response.resources()) {
      if (from_disk && any.type_url() == closing_type) continue;
      judgement.judge(any, response.type_url());
    }
    count_unhonoured(type, judgement.taken());
    taken = {.wrong = judgement.wrong(),
             .any = !judgement.taken().empty() || !judgement.lacks(),
             .lacks = judgement.lacks()};
    holding = judgement.result(whole);
    if (whole || from_disk) return;
    std::erase_if(holding, [&](const auto& entry) {
      return !subscription(type).names.contains(entry.first);
    });
  };
  switch (type) {
    case ResourceType::cluster:
      take(clusters, true);
      break;
    case ResourceType::endpoint:
      take(endpoints, false);
      break;
    case ResourceType::listener:
      take(listeners, true);
      break;
    case ResourceType::route:
      take(routes, false);
      break;
  }
  if (taken.wrong.empty()) subscription(type).version = response.version_info();
  if (taken.any) {
    subscription(type).in_force = response.version_info();
    subscription(type).known = true;
    world = response.version_info();
  }
  return taken;
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
  const Taken taken = state.accept(*type, response, /*from_disk=*/false);
  ++(taken.wrong.empty() ? subscription.counts.accepted : subscription.counts.refused);
  subscription.refusal = taken.wrong;
  const Fault refusal = invalid(taken.wrong);
  state.ask(step, *type, taken.wrong.empty() ? nullptr : &refusal);
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
      lacking.insert(std::string(cluster_mark) + name);
    }
  }
  std::erase_if(waived, [this](const std::string& name) { return !lacking.contains(name); });
}

// Whether everything waits for it: endpoints and routes that were asked for are on their way.
// Whether a cluster that the whole set of clusters does not have is, nobody knows.
bool AdsClient::State::blocks(const std::string& lacked) const {
  return !lacked.starts_with(cluster_mark) && !waived.contains(lacked);
}

template <class Named>
bool AdsClient::State::has_its_clusters(const Named& value) const {
  Names names;
  add_cluster_names(value, names);
  return std::all_of(names.begin(), names.end(), [this](const std::string& name) {
    const std::string lacked = std::string(cluster_mark) + name;
    return !lacking.contains(lacked) || waived.contains(lacked);
  });
}

// What lacks a cluster waits alone: a listener is not there yet, or is still the old one; routes
// are still the old ones, where there are any. What these need is kept with them.
void AdsClient::State::keep_what_waits(config::Snapshot& snapshot) const {
  static const config::Snapshot nothing;
  const config::Snapshot& before = in_force ? *in_force : nothing;
  Names needed;
  for (const auto& [name, held] : listeners) {
    if (fixed.listeners.contains(name) || has_its_clusters(*held.value)) continue;
    if (const auto old = before.listeners.get(name)) {
      if (old != held.value) snapshot.versions.listeners = before.versions.listeners;
      snapshot.listeners.put(name, old);
      add_cluster_names(*old, needed);
    } else {
      snapshot.listeners.remove(name);
    }
  }
  for (const auto& [name, held] : routes) {
    if (fixed.routes.contains(name) || has_its_clusters(*held.value)) continue;
    if (const auto old = before.routes.get(name)) {
      if (old != held.value) snapshot.versions.routes = before.versions.routes;
      snapshot.routes.put(name, old);
      add_cluster_names(*old, needed);
    }
  }
  for (const auto& [name, listener] : snapshot.listeners) {
    Names named;
    add_route_names(*listener, named);
    for (const std::string& each : named) {
      if (const auto old = before.routes.get(each)) snapshot.routes.add(each, old);
    }
  }
  for (const std::string& name : needed) {
    const auto old = before.clusters.get(name);
    if (!old || snapshot.clusters.contains(name)) continue;
    snapshot.clusters.put(name, old);
    const std::string& endpoints_name = eds_name_of(*old);
    if (const auto known = before.endpoints.get(endpoints_name)) {
      snapshot.endpoints.add(endpoints_name, known);
    }
  }
}

void AdsClient::State::date(config::Snapshot& snapshot) const {
  snapshot.world = world;
  snapshot.versions = {
      .listeners = subscriptions[static_cast<std::size_t>(ResourceType::listener)].in_force,
      .routes = subscriptions[static_cast<std::size_t>(ResourceType::route)].in_force,
      .clusters = subscriptions[static_cast<std::size_t>(ResourceType::cluster)].in_force,
      .endpoints = subscriptions[static_cast<std::size_t>(ResourceType::endpoint)].in_force};
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
  snapshot.versions.endpoints = subscription(ResourceType::endpoint).in_force;
  use(step, std::move(snapshot));
}

void AdsClient::State::settle(ClientStep& step, ResourceType changed, Instant now) {
  if (changed != ResourceType::endpoint) find_used_clusters();
  find_lacking();
  const bool waits = !std::includes(waived.begin(), waived.end(), lacking.begin(), lacking.end());
  const bool blocked = std::any_of(lacking.begin(), lacking.end(),
                                   [this](const std::string& each) { return blocks(each); });
  if (!waits) deadline.reset();
  if (heard_everything() && !blocked) {
    config::Snapshot snapshot = whole();
    if (waits) keep_what_waits(snapshot);
    use(step, std::move(snapshot));
  }
  if (waits && !deadline && options.warming_limit.count() > 0) {
    deadline = now + options.warming_limit;
  }
  if (blocked && changed == ResourceType::endpoint) use_new_endpoints(step);
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

namespace {

void set_string(wire::Struct& into, const char* key, const std::string& text) {
  (*into.mutable_fields())[key].set_string_value(text);
}

void write_closing(wire::Any& into, const std::string& name, const Protection& one) {
  wire::Struct fields;
  set_string(fields, "name", name);
  set_string(fields, "part", one.part);
  set_string(fields, "why", one.why);
  into.set_type_url(std::string(closing_type));
  into.set_value(bytes_of(fields));
}

template <class T>
Result<> restore_closings(Holding<T>& holding, const wire::discovery::DiscoveryResponse& from) {
  for (const wire::Any& any : from.resources()) {
    if (any.type_url() != closing_type) continue;
    wire::Struct fields;
    if (!parse(any.value(), fields)) return invalid("the last good configuration is damaged");
    const auto text = [&](const char* key) { return fields.fields().at(key).string_value(); };
    if (fields.fields_size() != 3 || !fields.fields().contains("name") ||
        !fields.fields().contains("part") || !fields.fields().contains("why")) {
      return invalid("the last good configuration is damaged");
    }
    const auto held = holding.find(text("name"));
    if (held != holding.end()) close_by(held->second, {{text("part"), text("why")}});
  }
  return done();
}

}  // namespace

// Each type as the response that would bring it, with its length in four bytes before it. What a
// resource says beyond what is honoured stays in it, so that it is judged again when it is read.
std::string AdsClient::last_good() const {
  const State& state = *state_;
  std::string bytes;
  const auto add = [&](ResourceType type, const auto& holding) {
    const Subscription& subscription = state.subscriptions.at(static_cast<std::size_t>(type));
    if (!subscription.known) return;
    wire::discovery::DiscoveryResponse response;
    response.set_version_info(subscription.in_force);
    response.set_type_url(std::string(type_url(type)));
    for (const auto& [name, held] : holding) {
      wire::Any& any = *response.add_resources();
      any.set_type_url(response.type_url());
      any.set_value(held.bytes.empty() ? encode(*held.value) : held.bytes);
      for (const Protection& one : held.closing)
        write_closing(*response.add_resources(), name, one);
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

Result<> AdsClient::State::restore_closings_of(ResourceType type,
                                               const wire::discovery::DiscoveryResponse& from) {
  switch (type) {
    case ResourceType::cluster:
      return restore_closings(clusters, from);
    case ResourceType::endpoint:
      return restore_closings(endpoints, from);
    case ResourceType::listener:
      return restore_closings(listeners, from);
    case ResourceType::route:
      return restore_closings(routes, from);
  }
  return done();
}

Result<ClientStep> AdsClient::restore(std::string_view last_good, Instant now) {
  const auto responses = responses_in(last_good);
  if (!responses.ok()) return responses.fault();
  State state = *state_;  // kept when anything is wrong
  for (const wire::discovery::DiscoveryResponse& response : *responses) {
    const std::optional<ResourceType> type = resource_type_from(response.type_url());
    if (!type) return invalid("the last good configuration holds an unknown type");
    const Taken taken = state.accept(*type, response, /*from_disk=*/true);
    if (taken.lacks) return invalid(taken.wrong);
    Result<> closed = state.restore_closings_of(*type, response);
    if (!closed.ok()) return std::move(closed).fault();
  }
  ClientStep step;
  if (responses->empty()) return step;
  state.follow_names(step);
  state.settle(step, ResourceType::cluster, now);
  *state_ = std::move(state);
  return step;
}

}  // namespace fairlead::xds
