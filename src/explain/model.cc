#include "explain/model.h"

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "config/sidecar.h"
#include "control/compile/compile.h"
#include "dns/zone.h"
#include "explain/capture.h"
#include "node/plan/names.h"
#include "node/plan/services.h"

namespace fairlead::explain {
namespace {

// What control sends, and beside it what the sidecar has of its own.
config::SnapshotPointer with_its_bootstrap(const config::SnapshotPointer& sent,
                                           const mesh::Workload& workload) {
  auto whole = std::make_shared<config::Snapshot>(*sent);
  const config::SidecarPorts ports;
  for (config::Listener& listener : config::sidecar_listeners(ports, workload.addresses)) {
    const std::string name = listener.name;
    whole->listeners.put(name, std::make_shared<const config::Listener>(std::move(listener)));
  }
  whole->clusters.put(config::sidecar_admin_cluster,
                      std::make_shared<const config::Cluster>(config::cluster_at(
                          config::sidecar_admin_cluster, {.address = ports.admin})));
  return whole;
}

std::string key_of(const mesh::Workload& workload) {
  return workload.name_space + '/' + workload.name;
}

}  // namespace

std::vector<SocketAddress> cluster_dns() {
  return {{IpAddress::v4({10, 96, 0, 10}), 53},
          {IpAddress::v6({0xfd, 0, 0, 0x10, 0, 0x96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0a}), 53}};
}

bool hears(const ListeningSocket& socket, const SocketAddress& dialled) {
  if (socket.address.port != dialled.port) return false;
  if (!socket.address.ip.is_unspecified()) return socket.address.ip == dialled.ip;
  return socket.address.ip.family() == dialled.ip.family() || socket.both_families;
}

struct Model::State {
  mesh::WorldPointer world;
  control::Compiler compiler;
  std::optional<dns::Zone> zone;
  bool closed = false;
  std::map<std::string, config::SnapshotPointer> snapshots;
  std::map<std::string, Result<nft::Ruleset>> captures;
  std::map<std::string, nft::Ruleset> node_rules;
  std::map<std::string, std::vector<ListeningSocket>> listening;
};

Model::Model(mesh::WorldPointer world) : state_(std::make_unique<State>()) {
  state_->world = std::move(world);
  state_->compiler.use(state_->world);
}
Model::~Model() = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;

const mesh::World& Model::world() const {
  return *state_->world;
}

void Model::put_snapshot(const mesh::Workload& workload, config::SnapshotPointer snapshot) {
  state_->snapshots.insert_or_assign(key_of(workload), std::move(snapshot));
}

void Model::put_capture(const mesh::Workload& workload, nft::Ruleset rules) {
  state_->captures.insert_or_assign(key_of(workload), Result<nft::Ruleset>(std::move(rules)));
}

void Model::put_node_rules(const mesh::Node& node, nft::Ruleset rules) {
  state_->node_rules.insert_or_assign(node.name, std::move(rules));
}

void Model::put_listening(const std::string& place, std::vector<ListeningSocket> sockets) {
  state_->listening.insert_or_assign(place, std::move(sockets));
}

const std::vector<ListeningSocket>* Model::listening_at(const std::string& place) const {
  const auto found = state_->listening.find(place);
  return found == state_->listening.end() ? nullptr : &found->second;
}

const config::Snapshot& Model::snapshot_of(const mesh::Workload& workload) {
  config::SnapshotPointer& snapshot = state_->snapshots[key_of(workload)];
  if (!snapshot) {
    snapshot =
        with_its_bootstrap(state_->compiler.snapshot_for(control::audience_of(workload)), workload);
  }
  return *snapshot;
}

Result<const nft::Ruleset*> Model::capture_of(const mesh::Workload& workload) {
  const std::string key = key_of(workload);
  auto found = state_->captures.find(key);
  if (found == state_->captures.end()) {
    Result<nft::Ruleset> made = nft::Ruleset{};
    if (workload.sidecar != mesh::Sidecar::none) {
      Result<intercept::Settings> settings = capture_settings(workload);
      made = settings ? Result<nft::Ruleset>(intercept::capture_rules(*settings))
                      : Result<nft::Ruleset>(std::move(settings).fault());
    }
    found = state_->captures.emplace(key, std::move(made)).first;
  }
  if (!found->second) return found->second.fault();
  return &*found->second;
}

const nft::Ruleset& Model::node_rules_of(const mesh::Node& node) {
  auto found = state_->node_rules.find(node.name);
  if (found == state_->node_rules.end()) {
    const node::Self self{.node = node.name, .dns = cluster_dns()};
    found = state_->node_rules.emplace(node.name, node::service_rules(*state_->world, self)).first;
  }
  return found->second;
}

void Model::close_zone(bool closed) {
  state_->closed = closed;
  if (state_->zone) state_->zone->set_closed(closed);
}

const dns::Zone& Model::zone() {
  if (!state_->zone) {
    state_->zone.emplace(node::zone_of(*state_->world));
    state_->zone->set_closed(state_->closed);
  }
  return *state_->zone;
}

}  // namespace fairlead::explain
