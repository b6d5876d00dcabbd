#include "control/publish.h"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

#include "base/log.h"
#include "control/audience.h"
#include "control/compile/compile.h"

namespace fairlead::control {
namespace {

using xds::Messages;

struct Stream {
  std::string peer;
  xds::AdsServer server;             // shares the publisher's encodings
  std::optional<Audience> audience;  // known once the node is
  std::array<std::string, 4> refusals;
};

void append(Messages& all, Messages more) {
  std::move(more.begin(), more.end(), std::back_inserter(all));
}

std::string name_of(const Stream& stream) {
  const auto& node = stream.server.node();
  return node && !node->id.empty() ? node->id : stream.peer;
}

// Says each refusal once, when it comes.
void log_refusals(Stream& stream) {
  const std::array<xds::TypeStatus, 4> types = stream.server.status();
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (types[i].refusal == stream.refusals[i]) continue;
    stream.refusals[i] = types[i].refusal;
    if (types[i].refusal.empty()) continue;
    log::warning(fmt::format("{} refused {} of world {}: {}", name_of(stream),
                             xds::short_name_of(types[i].type), types[i].sent, types[i].refusal));
  }
}

std::string mismatch_of(const Stream& stream, const mesh::WorldPointer& world) {
  const auto& node = stream.server.node();
  const Result<SocketAddress> peer = SocketAddress::parse(stream.peer);
  if (!world || !node || !stream.audience || !peer.ok()) return {};
  return mismatch_of(*node, *stream.audience, peer->ip, *world);
}

ProxyStatus status_of(const Stream& stream, const mesh::WorldPointer& world) {
  const auto& node = stream.server.node();
  return {.node = node ? node->id : std::string(),
          .peer = stream.peer,
          .name_space = stream.audience ? stream.audience->name_space : std::string(),
          .types = stream.server.status(),
          .acknowledged_world = stream.server.acknowledged_world(),
          .current = world && stream.server.settled() &&
                     stream.server.acknowledged_world() == world->version,
          .mismatch = mismatch_of(stream, world)};
}

}  // namespace

struct Publisher::State {
  Compiler compiler;
  std::shared_ptr<xds::Encodings> encodings = std::make_shared<xds::Encodings>();
  mesh::WorldPointer world;
  std::map<Proxy, Stream> streams;
  Proxy last = 0;

  Messages publish_to(Stream& stream) {
    if (!world || !stream.audience) return {};
    return stream.server.publish(compiler.snapshot_for(*stream.audience));
  }
};

Publisher::Publisher() : state_(std::make_unique<State>()) {}
Publisher::~Publisher() = default;

Publisher::Proxy Publisher::opened(std::string peer) {
  const Proxy proxy = ++state_->last;
  state_->streams.try_emplace(
      proxy, Stream{.peer = std::move(peer), .server = xds::AdsServer(state_->encodings)});
  return proxy;
}

Result<Messages> Publisher::received(Proxy proxy, std::string_view message) {
  const auto found = state_->streams.find(proxy);
  if (found == state_->streams.end()) return missing("this discovery stream has ended");
  Stream& stream = found->second;
  Result<Messages> answers = stream.server.received(message);
  if (!answers.ok()) return answers;
  if (!stream.audience && stream.server.node()) {
    stream.audience = audience_of(*stream.server.node());
    append(*answers, state_->publish_to(stream));
    const std::string mismatch = mismatch_of(stream, state_->world);
    if (!mismatch.empty()) log::warning(fmt::format("{} {}", name_of(stream), mismatch));
  }
  log_refusals(stream);
  return answers;
}

void Publisher::closed(Proxy proxy) {
  state_->streams.erase(proxy);
}

std::vector<Publisher::Push> Publisher::use(mesh::WorldPointer world) {
  state_->world = std::move(world);
  state_->compiler.use(state_->world);
  std::vector<Push> pushes;
  for (auto& [proxy, stream] : state_->streams) {
    Messages messages = state_->publish_to(stream);
    if (!messages.empty()) pushes.push_back({proxy, std::move(messages)});
  }
  return pushes;
}

const mesh::WorldPointer& Publisher::world() const {
  return state_->world;
}

Status Publisher::status() const {
  Status status;
  if (state_->world) {
    status.world = state_->world->version;
    status.ignored = state_->world->ignored;
    status.not_enforced = mesh::unenforced_policies(*state_->world);
  }
  for (const auto& [proxy, stream] : state_->streams) {
    status.proxies.push_back(status_of(stream, state_->world));
  }
  std::sort(status.proxies.begin(), status.proxies.end(),
            [](const ProxyStatus& left, const ProxyStatus& right) {
              return std::tie(left.node, left.peer) < std::tie(right.node, right.peer);
            });
  return status;
}

}  // namespace fairlead::control
