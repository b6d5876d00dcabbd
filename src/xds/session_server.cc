#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "xds/encode_parts.h"
#include "xds/references.h"
#include "xds/session.h"
#include "xds/text.h"

namespace fairlead::xds {
namespace {

// Names of which only membership is ever asked: eight bytes each, whatever their length, since a
// thousand proxies may each name a thousand clusters. That two names have one digest is a chance of
// one in 2^64 a pair.
class NameDigests {
 public:
  NameDigests() = default;
  template <class List>
  explicit NameDigests(const List& names) {
    digests_.reserve(static_cast<std::size_t>(names.size()));
    for (const std::string& name : names) digests_.push_back(digest(name));
    std::sort(digests_.begin(), digests_.end());
    digests_.erase(std::unique(digests_.begin(), digests_.end()), digests_.end());
  }

  [[nodiscard]] bool contains(std::string_view name) const {
    return std::binary_search(digests_.begin(), digests_.end(), digest(name));
  }
  bool erase(std::string_view name) {
    const auto found = std::lower_bound(digests_.begin(), digests_.end(), digest(name));
    if (found == digests_.end() || *found != digest(name)) return false;
    digests_.erase(found);
    return true;
  }
  [[nodiscard]] std::size_t size() const { return digests_.size(); }
  [[nodiscard]] bool empty() const { return digests_.empty(); }
  bool operator==(const NameDigests&) const = default;

 private:
  static std::uint64_t digest(std::string_view name) { return std::hash<std::string_view>()(name); }
  std::vector<std::uint64_t> digests_;
};

// One type on one stream.
struct Subscription {
  bool subscribed = false;
  bool everything = false;  // as opposed to names
  bool named = false;       // names were given: from then on an empty list means none
  bool again = false;       // asked once more for what it has
  bool waits_for_answer = false;
  NameDigests names;
  std::string nonce;  // of the last response; empty: none yet
  std::string sent;   // its version
  std::string acknowledged;
  std::string refusal;

  [[nodiscard]] bool wants(const std::string& name) const {
    return everything || names.contains(name);
  }
};

// What a proxy was told, or should be. As a rule that is all of a snapshot: hundreds of proxies
// with a thousand clusters each share it.
template <class T>
using Table = config::Named<T>;

template <class T>
using News = std::map<std::string, std::shared_ptr<const T>>;

template <class T>
bool same(const std::shared_ptr<const T>& left, const std::shared_ptr<const T>& right) {
  return left == right || (left && right && *left == *right);
}

Node node_from(const wire::core::Node& message) {
  return {.id = message.id(),
          .cluster = message.cluster(),
          .region = message.locality().region(),
          .zone = message.locality().zone(),
          .sub_zone = message.locality().sub_zone(),
          .metadata = write_message(message.metadata()),
          .user_agent_name = message.user_agent_name(),
          .user_agent_version = message.user_agent_version()};
}

// A reason is for people, and is kept for as long as the stream lives.
std::string shortened(const std::string& reason) {
  if (reason.size() <= AdsServer::longest_refusal) return reason;
  return fmt::format("{}... ({} bytes more)", reason.substr(0, AdsServer::longest_refusal),
                     reason.size() - AdsServer::longest_refusal);
}

// What a stream makes us keep has a bound.
Result<> check_size(const wire::discovery::DiscoveryRequest& request) {
  if (request.has_node() && request.node().ByteSizeLong() > AdsServer::largest_node) {
    return invalid(fmt::format("node: at most {} bytes are expected, these are {}",
                               AdsServer::largest_node, request.node().ByteSizeLong()));
  }
  const auto names = static_cast<std::size_t>(request.resource_names_size());
  if (names > AdsServer::most_names) {
    return invalid(
        fmt::format("resource_names: at most {} names are expected, these are {}; "
                    "without names everything is sent",
                    AdsServer::most_names, names));
  }
  return done();
}

using MissingEndpoints = News<config::ClusterLoadAssignment>;

MissingEndpoints missing_endpoints_of(const config::Snapshot& snapshot) {
  MissingEndpoints missing_endpoints;
  for (const auto& [name, cluster] : snapshot.clusters) {
    if (cluster->type != config::ClusterType::eds) continue;
    const std::string& eds_name = eds_name_of(*cluster);
    if (snapshot.endpoints.contains(eds_name)) continue;
    missing_endpoints[eds_name] = std::make_shared<const config::ClusterLoadAssignment>(
        config::ClusterLoadAssignment{.cluster_name = eds_name});
  }
  return missing_endpoints;
}

// Whether a cluster may be without endpoints in `now`, given that none was in `before`.
bool may_miss_endpoints(const config::Snapshot& before, const config::Snapshot& now) {
  const auto lost = [](const auto* /*old*/, const auto* fresh) { return fresh == nullptr; };
  const auto missing_endpoints = [&](const auto* /*old*/, const auto* fresh) {
    return fresh != nullptr && fresh->second->type == config::ClusterType::eds &&
           !now.endpoints.contains(eds_name_of(*fresh->second));
  };
  return Table<config::ClusterLoadAssignment>::any_difference(before.endpoints, now.endpoints,
                                                              lost) ||
         Table<config::Cluster>::any_difference(before.clusters, now.clusters, missing_endpoints);
}

template <class T>
void forget(Table<T>& told, const Subscription& subscription) {
  if (subscription.everything) return;
  told.remove_if([&](const auto& entry) { return !subscription.wants(entry.first); });
}

// Whether `subscription` wants all of `table`, given that it wants all of `told`.
template <class T>
bool wants_all(const Subscription& subscription, const Table<T>& table, const Table<T>& told) {
  return subscription.everything ||
         !Table<T>::any_difference(told, table, [&](auto* old, auto* now) {
           return old == nullptr && !subscription.wants(now->first);
         });
}

// What `subscription` wants of `wanted`, and of `kept` what is not there any more.
template <class T>
Table<T> wanted_by(const Subscription& subscription, const Table<T>& wanted, const Table<T>& kept) {
  Table<T> made = wanted;
  if (!kept.empty()) {
    Table<T>::any_difference(wanted, kept, [&](const auto* there, const auto* old) {
      if (there == nullptr) made.add(old->first, old->second);
      return false;
    });
  }
  forget(made, subscription);
  return made;
}

// Whether `told` is `now`, which wanted_by() made of `wanted`. Of what is kept alone no value is
// asked.
template <class T>
bool stands_as(const Table<T>& told, const Table<T>& now, const Table<T>& wanted) {
  return !Table<T>::any_difference(told, now, [&](const auto* old, const auto* fresh) {
    if (old == nullptr || fresh == nullptr) return true;
    return !same(old->second, fresh->second) && wanted.contains(fresh->first);
  });
}

}  // namespace

struct AdsServer::State {
  std::shared_ptr<Encodings> encodings;
  std::optional<Node> node;
  std::array<Subscription, 4> subscriptions;
  config::SnapshotPointer target;
  // What the proxy was last told, type by type.
  struct Sent {
    Table<config::Listener> listeners;
    Table<config::RouteConfiguration> routes;
    Table<config::Cluster> clusters;
    Table<config::ClusterLoadAssignment> endpoints;
  };
  // Of routes and endpoints the proxy wants all that it was told: see forget_unwanted().
  Sent sent;
  Table<config::Cluster> held;  // the clusters that it last acknowledged
  MissingEndpoints missing_endpoints;
  // For clusters of `target` that have no endpoints there: a cluster has some, if only none.
  std::set<std::string> fresh_endpoints;
  // Of clusters that changed or came: a real Envoy warms such a cluster again, and waits for its
  // endpoints. It may have had them before, with a cluster that went away.
  mutable std::optional<bool> endpoints_asked_for;
  mutable std::optional<bool> routes_asked_for;
  std::uint64_t last_nonce = 0;
  std::string acknowledged_world;

  Subscription& subscription(ResourceType type) {
    return subscriptions.at(static_cast<std::size_t>(type));
  }
  [[nodiscard]] const Subscription& subscription(ResourceType type) const {
    return subscriptions.at(static_cast<std::size_t>(type));
  }

  void take_request(ResourceType type, const wire::discovery::DiscoveryRequest& request);
  void take_names(ResourceType type, const wire::discovery::DiscoveryRequest& request);
  void forget_unwanted(ResourceType type);

  void advance(Messages& out);
  [[nodiscard]] bool send_clusters(Messages& out, bool keep_old);
  [[nodiscard]] bool endpoints_stand(Messages& out);
  [[nodiscard]] bool listeners_stand(Messages& out);
  [[nodiscard]] bool routes_stand(Messages& out);
  template <class T>
  [[nodiscard]] bool send_table(Messages& out, ResourceType type, Table<T>& told,
                                const Table<T>& wanted, const Table<T>& kept);
  template <class T>
  [[nodiscard]] bool some_stand(Messages& out, ResourceType type, Table<T>& told,
                                const Table<T>& wanted, const News<T>& news, bool is_whole);
  template <class Resources>
  void send(Messages& out, ResourceType type, const Resources& resources);
  void note_changed(const Table<config::Cluster>& before, const Table<config::Cluster>& now);
  void note_changed(const Table<config::Listener>& /*before*/,
                    const Table<config::Listener>& /*now*/) {}
  void rebase(Table<config::Cluster>& told, const Table<config::Cluster>& now);
  static void rebase(Table<config::Listener>& told, const Table<config::Listener>& now) {
    told = now;
  }

  [[nodiscard]] const std::string& version_of(ResourceType type) const;
  [[nodiscard]] bool refused(ResourceType type) const {
    return !subscription(type).refusal.empty();
  }
  [[nodiscard]] bool endpoints_are_asked_for() const;
  [[nodiscard]] bool routes_are_asked_for() const;
  [[nodiscard]] bool is_named_in_full() const;
  [[nodiscard]] bool settled() const;
};

AdsServer::AdsServer(std::shared_ptr<Encodings> encodings)
    : state_(std::make_unique<State>(State{.encodings = std::move(encodings)})) {}
AdsServer::~AdsServer() = default;
AdsServer::AdsServer(AdsServer&&) noexcept = default;
AdsServer& AdsServer::operator=(AdsServer&&) noexcept = default;

// ── Requests ─────────────────────────────────────────────────────────────────────────────────────

// Names on a stream are always the whole list. For clusters and listeners none at all, from the
// start, means everything; so does "*".
void AdsServer::State::take_names(ResourceType type,
                                  const wire::discovery::DiscoveryRequest& request) {
  Subscription& subscription = this->subscription(type);
  NameDigests names(request.resource_names());
  const bool star = names.erase("*");
  if (star || !names.empty()) subscription.named = true;
  const bool may_mean_all = type == ResourceType::cluster || type == ResourceType::listener;
  const bool everything = star || (may_mean_all && !subscription.named);
  const bool unchanged = names == subscription.names && everything == subscription.everything;
  if (subscription.subscribed && unchanged && !subscription.waits_for_answer)
    subscription.again = true;
  if (unchanged) return;
  subscription.names = std::move(names);
  subscription.everything = everything;
  forget_unwanted(type);
  endpoints_asked_for.reset();
  routes_asked_for.reset();
}

// What was given up and is asked for again later is to be sent again.
void AdsServer::State::forget_unwanted(ResourceType type) {
  if (type == ResourceType::endpoint) forget(sent.endpoints, subscription(type));
  if (type == ResourceType::route) forget(sent.routes, subscription(type));
}

void AdsServer::State::take_request(ResourceType type,
                                    const wire::discovery::DiscoveryRequest& request) {
  Subscription& subscription = this->subscription(type);
  if (subscription.subscribed && request.response_nonce() != subscription.nonce)
    return;  // about an older response
  const bool answers = subscription.waits_for_answer && subscription.subscribed;
  take_names(type, request);
  if (answers) {
    subscription.waits_for_answer = false;
    if (request.has_error_detail()) {
      subscription.refusal = shortened(request.error_detail().message());
      if (subscription.refusal.empty()) subscription.refusal = "no reason given";
    } else {
      subscription.refusal.clear();
      subscription.acknowledged = subscription.sent;
      if (type == ResourceType::cluster) held = sent.clusters;
    }
  }
  subscription.subscribed = true;
}

Result<Messages> AdsServer::received(std::string_view message) {
  wire::discovery::DiscoveryRequest request;
  if (!parse(message, request)) {
    return invalid("the message is no DiscoveryRequest");
  }
  if (Result<> sized = check_size(request); !sized.ok()) return sized.fault();
  State& state = *state_;
  if (!state.node) {
    if (!request.has_node()) return invalid("the first DiscoveryRequest carries no node");
    state.node = node_from(request.node());
  }
  const std::optional<ResourceType> type = resource_type_from(request.type_url());
  if (!type) return Messages{};  // of a type that we do not have: never answered
  state.take_request(*type, request);
  Messages out;
  state.advance(out);
  return out;
}

Messages AdsServer::publish(config::SnapshotPointer snapshot) {
  State& state = *state_;
  const config::SnapshotPointer before = std::exchange(state.target, std::move(snapshot));
  const config::Snapshot& now = *state.target;
  const bool was_whole = before && state.missing_endpoints.empty();
  if (!was_whole || may_miss_endpoints(*before, now))
    state.missing_endpoints = missing_endpoints_of(now);
  if (!before || !(before->routes == now.routes)) state.routes_asked_for.reset();
  Messages out;
  state.advance(out);
  return out;
}

// ── Responses ────────────────────────────────────────────────────────────────────────────────────

const std::string& AdsServer::State::version_of(ResourceType type) const {
  const std::string* version = nullptr;
  switch (type) {
    case ResourceType::cluster:
      version = &target->versions.clusters;
      break;
    case ResourceType::endpoint:
      version = &target->versions.endpoints;
      break;
    case ResourceType::listener:
      version = &target->versions.listeners;
      break;
    case ResourceType::route:
      version = &target->versions.routes;
      break;
  }
  return version->empty() ? target->world : *version;
}

template <class Resources>
void AdsServer::State::send(Messages& out, ResourceType type, const Resources& resources) {
  Subscription& to = subscription(type);
  wire::discovery::DiscoveryResponse response;
  to.nonce = std::to_string(++last_nonce);
  to.sent = version_of(type);
  to.waits_for_answer = true;
  to.again = false;
  response.set_version_info(to.sent);
  response.set_nonce(to.nonce);
  response.set_type_url(std::string(type_url(type)));
  response.mutable_control_plane()->set_identifier("fairlead");
  Message& message = out.emplace_back(Message{.head = bytes_of(response)});
  for (const auto& [name, resource] : resources) {
    message.resources.push_back(encodings->of(resource));
  }
}

// A type of which a response is always the whole set. True when the proxy was told all and has
// answered. `kept` is what stays beside it for as long as something may point at it.
template <class T>
bool AdsServer::State::send_table(Messages& out, ResourceType type, Table<T>& told,
                                  const Table<T>& wanted, const Table<T>& kept) {
  Subscription& to = subscription(type);
  if (to.waits_for_answer) return false;
  if (!to.subscribed) return true;
  Table<T> now = wanted_by(to, wanted, kept);
  if (!to.nonce.empty() && !to.again && stands_as(told, now, wanted)) {
    // The same of a newer snapshot: the older one may go.
    if (now == wanted) rebase(told, now);
    return true;
  }
  note_changed(told, now);
  endpoints_asked_for.reset();
  routes_asked_for.reset();
  told = std::move(now);
  send(out, type, told);
  return false;
}

void AdsServer::State::rebase(Table<config::Cluster>& told, const Table<config::Cluster>& now) {
  if (held == told) held = now;
  told = now;
}

void AdsServer::State::note_changed(const Table<config::Cluster>& before,
                                    const Table<config::Cluster>& now) {
  Table<config::Cluster>::any_difference(before, now, [&](const auto* old, const auto* fresh) {
    if (fresh == nullptr || fresh->second->type != config::ClusterType::eds) return false;
    if (old != nullptr && same(old->second, fresh->second)) return false;
    fresh_endpoints.insert(eds_name_of(*fresh->second));
    return false;
  });
}

// A type of which a response says only what is new. `is_whole`: there is nothing to be told beside
// `wanted`.
template <class T>
bool AdsServer::State::some_stand(Messages& out, ResourceType type, Table<T>& told,
                                  const Table<T>& wanted, const News<T>& news, bool is_whole) {
  Subscription& to = subscription(type);
  to.again = false;
  const bool owes_an_answer = to.nonce.empty() && (to.everything || !to.names.empty());
  if (is_whole && wants_all(to, wanted, told)) {
    told = wanted;
  } else {
    for (const auto& [name, resource] : news) told.put(name, resource);
  }
  if (news.empty() && !owes_an_answer) return true;
  send(out, type, news);
  return false;
}

// What of `wanted` is news to `subscription`, which was told `told`.
template <class T>
News<T> news_for(const Subscription& subscription, const Table<T>& told, const Table<T>& wanted) {
  News<T> news;
  const Table<T> nothing;
  Table<T>::any_difference(subscription.again ? nothing : told, wanted,
                           [&](const auto* old, const auto* now) {
                             if (now == nullptr || !subscription.wants(now->first)) return false;
                             if (old == nullptr || !same(old->second, now->second)) {
                               news[now->first] = now->second;
                             }
                             return false;
                           });
  return news;
}

bool AdsServer::State::send_clusters(Messages& out, bool keep_old) {
  static const Table<config::Cluster> none;
  return send_table(out, ResourceType::cluster, sent.clusters, target->clusters,
                    keep_old ? held : none);
}

bool AdsServer::State::endpoints_stand(Messages& out) {
  const Subscription& to = subscription(ResourceType::endpoint);
  if (to.waits_for_answer) return false;
  if (!to.subscribed) return true;
  auto news = news_for(to, sent.endpoints, target->endpoints);
  for (const std::string& name : fresh_endpoints) {
    const auto now = target->endpoints.get(name);
    if (now && to.wants(name)) news[name] = now;
  }
  for (const auto& [name, none] : missing_endpoints) {
    const bool known = same(sent.endpoints.get(name), none);
    if (known && !to.again && !fresh_endpoints.contains(name)) continue;
    if (to.wants(name)) news[name] = none;
  }
  fresh_endpoints.clear();
  return some_stand(out, ResourceType::endpoint, sent.endpoints, target->endpoints, news,
                    missing_endpoints.empty());
}

bool AdsServer::State::listeners_stand(Messages& out) {
  return send_table(out, ResourceType::listener, sent.listeners, target->listeners, {});
}

bool AdsServer::State::routes_stand(Messages& out) {
  const Subscription& to = subscription(ResourceType::route);
  if (to.waits_for_answer) return false;
  if (!to.subscribed) return true;
  const auto news = news_for(to, sent.routes, target->routes);
  return some_stand(out, ResourceType::route, sent.routes, target->routes, news, true);
}

// Make before break: each type when the one before is answered, and what leads to new clusters when
// their endpoints were asked for. Endpoints alone do not wait: a real Envoy answers for clusters
// only when they are warm, and for that it needs their endpoints. What points at clusters that were
// refused is held back, and clusters that refused listeners or routes may still use stay.
void AdsServer::State::advance(Messages& out) {
  if (!target) return;
  const bool clusters = send_clusters(out, /*keep_old=*/true);
  const bool endpoints = endpoints_stand(out);
  if (!clusters || !endpoints || refused(ResourceType::cluster)) return;
  if (subscription(ResourceType::cluster).everything && !endpoints_are_asked_for()) return;
  if (!listeners_stand(out) || !routes_stand(out)) return;
  if (refused(ResourceType::listener) || refused(ResourceType::route)) return;
  if (subscription(ResourceType::listener).everything && !routes_are_asked_for()) return;
  if (!send_clusters(out, /*keep_old=*/false)) return;
  if (settled()) acknowledged_world = target->world;
}

// ── Status ───────────────────────────────────────────────────────────────────────────────────────

// A proxy that has clusters asks for their endpoints, and one that has listeners for their routes.
// Until it did, it has not got everything.
bool AdsServer::State::endpoints_are_asked_for() const {
  if (endpoints_asked_for) return *endpoints_asked_for;
  const Subscription& to = subscription(ResourceType::endpoint);
  endpoints_asked_for =
      std::all_of(sent.clusters.begin(), sent.clusters.end(), [&](const auto& entry) {
        const config::Cluster& cluster = *entry.second;
        return cluster.type != config::ClusterType::eds || to.wants(eds_name_of(cluster));
      });
  return *endpoints_asked_for;
}

bool AdsServer::State::routes_are_asked_for() const {
  if (routes_asked_for) return *routes_asked_for;
  std::set<std::string> names;
  for (const auto& [name, listener] : sent.listeners) add_route_names(*listener, names);
  routes_asked_for = std::all_of(names.begin(), names.end(), [this](const std::string& name) {
    return subscription(ResourceType::route).wants(name) || !target->routes.contains(name);
  });
  return *routes_asked_for;
}

bool AdsServer::State::is_named_in_full() const {
  return endpoints_are_asked_for() && routes_are_asked_for();
}

bool AdsServer::State::settled() const {
  if (!target) return false;
  const bool any =
      std::any_of(subscriptions.begin(), subscriptions.end(),
                  [](const Subscription& subscription) { return subscription.subscribed; });
  const bool quiet =
      std::all_of(subscriptions.begin(), subscriptions.end(), [](const Subscription& subscription) {
        return !subscription.waits_for_answer && subscription.refusal.empty();
      });
  return any && quiet && is_named_in_full();
}

const std::optional<Node>& AdsServer::node() const {
  return state_->node;
}

std::array<TypeStatus, 4> AdsServer::status() const {
  std::array<TypeStatus, 4> status;
  for (const ResourceType type : all_resource_types) {
    const Subscription& subscription = state_->subscription(type);
    status.at(static_cast<std::size_t>(type)) = {.type = type,
                                                 .subscribed = subscription.subscribed,
                                                 .names = subscription.names.size(),
                                                 .sent = subscription.sent,
                                                 .acknowledged = subscription.acknowledged,
                                                 .refusal = subscription.refusal};
  }
  return status;
}

const std::string& AdsServer::acknowledged_world() const {
  return state_->acknowledged_world;
}

bool AdsServer::settled() const {
  return state_->settled();
}

}  // namespace fairlead::xds
