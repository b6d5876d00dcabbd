// Bytes as a course of the talk between both sides: worlds come and are refused, messages wait, are
// lost, said twice or made up, streams break, time passes, the client starts anew from its disk.
// What must hold: no snapshot lacks what it names while the client is told to wait for ever, but
// for clusters of new routes, and once the talk is honest again it ends, in agreement.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

#include "xds/encode.h"
#include "xds/session.h"
#include "xds/test_world.h"
#include "xds/wire.h"

namespace {

using namespace fairlead;       // NOLINT: a fuzzer is one file
using namespace fairlead::xds;  // NOLINT
using namespace test;           // NOLINT

constexpr int most_messages = 1000;  // a talk that needs more does not end
constexpr int last_version = 1'000'000;

void must(bool holds) {
  if (!holds) std::abort();
}

// Zeros behind its end.
class Input {
 public:
  explicit Input(std::string_view bytes) : bytes_(bytes) {}
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  std::uint8_t byte() {
    if (bytes_.empty()) return 0;
    const auto first = static_cast<std::uint8_t>(bytes_.front());
    bytes_.remove_prefix(1);
    return first;
  }
  std::string text() {
    const std::string_view taken = bytes_.substr(0, byte());
    bytes_.remove_prefix(std::min(bytes_.size(), taken.size()));
    return std::string(taken);
  }

 private:
  std::string_view bytes_;
};

constexpr std::array services{"a", "b", "c", "d"};

World world_in(Input& input, int version) {
  World world(std::to_string(version));
  for (const char* name : services) {
    const std::uint8_t what = input.byte();
    if (what % 3 != 0) world.service(name, what / 3 % 3, what % 3 == 1);
  }
  return world;
}

// ── What no client takes ─────────────────────────────────────────────────────────────────────────

template <class T>
void put(config::Named<T>& into, const std::string& name, const T& value) {
  into.put(name, std::make_shared<const T>(value));
}

void spoil_clusters(config::Snapshot& world) {
  put(world.clusters, impossible().name, impossible());
}

void spoil_listeners(config::Snapshot& world) {
  put(world.listeners, "chainless", config::Listener{.name = "chainless"});
}

void spoil_routes(config::Snapshot& world) {
  if (world.routes.empty()) return;
  config::RouteConfiguration routes = *world.routes.begin()->second;
  routes.virtual_hosts.push_back(routes.virtual_hosts.front());  // a domain that is there twice
  put(world.routes, routes.name, routes);
}

// Changes what clients take: a cluster without endpoints, and one that has to be warmed again.
void change_clusters(config::Snapshot& world) {
  put(world.clusters, "without-endpoints",
      config::Cluster{.name = "without-endpoints", .type = config::ClusterType::eds});
  const auto there = world.clusters.get(cluster_name("a"));
  if (!there) return;
  config::Cluster changed = *there;
  changed.balance = config::BalancePolicy::random;
  put(world.clusters, changed.name, changed);
}

void alter(config::Snapshot& world, std::uint8_t how) {
  if ((how & 1) != 0) spoil_clusters(world);
  if ((how & 2) != 0) spoil_listeners(world);
  if ((how & 4) != 0) spoil_routes(world);
  if ((how & 8) != 0) change_clusters(world);
  if (how == 0) return;
  world.versions = {world.world, world.world, world.world, world.world};
}

// ── What nobody should say ───────────────────────────────────────────────────────────────────────

ResourceType type_in(Input& input) {
  return all_resource_types.at(input.byte() % all_resource_types.size());
}

std::string request_in(Input& input) {
  wire::discovery::DiscoveryRequest made;
  made.set_type_url(std::string(type_url(type_in(input))));
  const std::uint8_t what = input.byte();
  if ((what & 1) != 0) made.mutable_node()->set_id("n");
  if ((what & 2) != 0) made.mutable_error_detail()->set_message("no");
  if ((what & 4) != 0) made.add_resource_names("*");
  made.set_response_nonce(what < 128 ? std::to_string(what / 8) : "");
  const std::uint8_t names = input.byte();
  for (std::size_t i = 0; i < services.size(); ++i) {
    if ((names >> i & 1) != 0) made.add_resource_names(services.at(i));
    if ((names >> i & 16) != 0) made.add_resource_names(cluster_name(services.at(i)));
  }
  return made.SerializeAsString();
}

// What closes a part of such a resource, as bytes to put behind its own.
std::string closing(const config::Cluster&) {
  wire::cluster::Cluster made;
  made.mutable_transport_socket()->set_name("tls");
  return made.SerializeAsString();
}
std::string closing(const config::Listener&) {
  wire::listener::Listener made;
  made.add_listener_filters()->mutable_typed_config()->set_type_url("type.googleapis.com/x.Y");
  return made.SerializeAsString();
}
std::string closing(const config::RouteConfiguration&) {
  wire::route::RouteConfiguration made;
  (*made.mutable_typed_per_filter_config())["x"].set_type_url("type.googleapis.com/x.Y");
  return made.SerializeAsString();
}
std::string closing(const config::ClusterLoadAssignment&) {
  return {};
}

template <class T>
void add_all(wire::discovery::DiscoveryResponse& into, const config::Named<T>& table, bool closes) {
  for (const auto& [name, value] : table) {
    wire::Any& any = *into.add_resources();
    any.set_type_url(into.type_url());
    any.set_value(encode(*value) + (closes ? closing(*value) : std::string()));
  }
}

// Resources of any type, said to be of any type.
std::string response_in(Input& input) {
  wire::discovery::DiscoveryResponse made;
  made.set_type_url(std::string(type_url(type_in(input))));
  made.set_version_info(std::to_string(input.byte()));
  made.set_nonce(std::to_string(input.byte()));
  config::Snapshot world = *world_in(input, 0).done();
  const std::uint8_t what = input.byte();
  alter(world, what & 15);
  const bool closes = input.byte() % 2 != 0;
  if ((what & 16) != 0) add_all(made, world.clusters, closes);
  if ((what & 32) != 0) add_all(made, world.endpoints, closes);
  if ((what & 64) != 0) add_all(made, world.listeners, closes);
  if ((what & 128) != 0) add_all(made, world.routes, closes);
  return made.SerializeAsString();
}

// ── The talk ─────────────────────────────────────────────────────────────────────────────────────

using Wire = std::deque<std::string>;

class Talk {
 public:
  explicit Talk(std::uint8_t how)
      : options_{.strict = (how & 1) != 0,
                 .warming_limit = config::Milliseconds{(how & 2) != 0 ? 15000 : 0}},
        client_(dynamic_bootstrap(), options_) {
    connect();
  }

  void step(Input& input);
  void come_to_an_end(config::Snapshot last);

 private:
  void connect();
  void restart();
  void publish(config::Snapshot world);
  void up_one();
  void down_one();
  void pass_all();
  void pass_some(std::uint8_t count);
  void disturb(Wire& wire, Input& input);
  void take(ClientStep step);
  void answer(const Messages& messages);

  ClientOptions options_;
  AdsClient client_;
  AdsServer server_;
  Wire up_;    // on their way to the server
  Wire down_;  // to the client
  config::SnapshotPointer target_;
  config::SnapshotPointer snapshot_;
  Instant now_{std::chrono::hours(1)};
  int version_ = 0;
};

void Talk::connect() {
  server_ = AdsServer();
  up_.clear();
  down_.clear();
  take(client_.connected(now_));
  if (target_) answer(server_.publish(target_));
}

// What is on disk is what the client took itself: it takes it again.
void Talk::restart() {
  const std::string disk = client_.last_good();
  client_ = AdsClient(dynamic_bootstrap(), options_);
  Result<ClientStep> restored = client_.restore(disk, now_);
  must(restored.ok());
  take(std::move(*restored));
  connect();
}

void Talk::publish(config::Snapshot world) {
  target_ = std::make_shared<const config::Snapshot>(std::move(world));
  answer(server_.publish(target_));
}

void Talk::up_one() {
  if (up_.empty()) return;
  const std::string message = std::move(up_.front());
  up_.pop_front();
  const Result<Messages> answers = server_.received(message);
  if (!answers.ok()) return connect();
  answer(*answers);
}

void Talk::down_one() {
  if (down_.empty()) return;
  const std::string message = std::move(down_.front());
  down_.pop_front();
  Result<ClientStep> step = client_.received(message, now_);
  if (!step.ok()) return connect();
  take(std::move(*step));
}

void Talk::pass_some(std::uint8_t count) {
  for (; count != 0; --count) {
    up_one();
    down_one();
  }
}

void Talk::pass_all() {
  int messages = 0;
  while (!up_.empty() || !down_.empty()) {
    must(messages++ < most_messages);
    up_one();
    down_one();
  }
}

void Talk::disturb(Wire& wire, Input& input) {
  if (wire.empty()) return;
  std::string& first = wire.front();
  switch (input.byte() % 4) {
    case 0:
      wire.pop_front();
      break;
    case 1:
      wire.push_back(first);
      break;
    case 2:
      if (!first.empty()) first[input.byte() % first.size()] ^= static_cast<char>(input.byte());
      break;
    default:
      first.resize(std::min<std::size_t>(first.size(), input.byte()));
      break;
  }
}

void Talk::step(Input& input) {
  switch (input.byte() % 16) {
    case 0:
      return connect();
    case 1:
      return restart();
    case 2: {
      config::Snapshot world = *world_in(input, ++version_).done();
      alter(world, input.byte() & 15);
      return publish(std::move(world));
    }
    case 3: {  // as control does it: a type that did not change keeps its version
      World world = world_in(input, ++version_);
      return publish(target_ ? *world.after(*target_) : *world.done());
    }
    case 4:
      now_ += std::chrono::seconds(input.byte());
      return take(client_.elapsed(now_));
    case 5:
      return disturb(up_, input);
    case 6:
      return disturb(down_, input);
    case 7:
      return up_.push_front(request_in(input));
    case 8:
      return down_.push_front(response_in(input));
    case 9:
      return up_.push_front(input.text());
    case 10:
      return down_.push_front(input.text());
    case 11:
      return up_one();
    case 12:
      return down_one();
    case 13:
      return pass_some(input.byte() % 8);
    case 14:
      static_cast<void>(client_.restore(input.text(), now_));
      return connect();
    default:
      return pass_all();
  }
}

// Whatever was said before: on a new stream both come to the same.
void Talk::come_to_an_end(config::Snapshot last) {
  connect();
  publish(std::move(last));
  pass_all();
  must(snapshot_ && equal(*snapshot_, *target_));
  must(server_.settled() && server_.acknowledged_world() == target_->world);
  must(client_.waiting_for().empty() && !client_.deadline());
}

void Talk::take(ClientStep step) {
  std::move(step.send.begin(), step.send.end(), std::back_inserter(up_));
  if (!step.snapshot) return;
  for (const std::string& lacked : dangling(*step.snapshot)) {
    must(options_.warming_limit.count() != 0 || lacked.starts_with("cluster "));
  }
  snapshot_ = step.snapshot;
}

void Talk::answer(const Messages& messages) {
  for (const Message& message : messages) down_.push_back(message.bytes());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input({reinterpret_cast<const char*>(data), size});
  Talk talk(input.byte());
  config::Snapshot last = *world_in(input, last_version).done();
  while (!input.empty()) talk.step(input);
  talk.come_to_an_end(std::move(last));
  return 0;
}
