#include "control/audience.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_text.h"
#include "base/split.h"

namespace fairlead::control {
namespace {

std::string text_in(const nlohmann::json& metadata, const char* key) {
  if (!metadata.is_object()) return {};
  const auto found = metadata.find(key);
  return found != metadata.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::vector<IpAddress> addresses_in(std::string_view list) {
  std::vector<IpAddress> addresses;
  for (const std::string_view text : split(list, ',')) {
    if (const Result<IpAddress> address = IpAddress::parse(text)) addresses.push_back(*address);
  }
  return addresses;
}

}  // namespace

Audience audience_of(const xds::Node& node) {
  const auto metadata = parse_json(node.metadata);
  Audience audience{.name_space = text_in(metadata, "NAMESPACE"),
                    .addresses = addresses_in(text_in(metadata, "INSTANCE_IPS")),
                    .envoy = node.user_agent_name == "envoy"};
  const std::vector<std::string_view> parts = split(node.id, '~');
  if (parts.size() == 4) {
    if (audience.addresses.empty()) audience.addresses = addresses_in(parts[1]);
    if (audience.name_space.empty()) audience.name_space = parts[3].substr(0, parts[3].find('.'));
  }
  if (audience.name_space.empty()) audience.name_space = "default";
  return audience;
}

namespace {

// Whom a node says that it is: by its id, "TYPE~IP~POD.NAMESPACE~...", else by its addresses.
const mesh::Workload* claimed_by(const xds::Node& node, const Audience& audience,
                                 const mesh::World& world LIFETIMEBOUND) {
  const std::vector<std::string_view> parts = split(node.id, '~');
  const std::string_view name = parts.size() == 4 ? parts[2] : std::string_view();
  const std::size_t dot = name.rfind('.');
  if (dot != std::string_view::npos) {
    const auto* named = mesh::find_workload(world, name.substr(dot + 1), name.substr(0, dot));
    if (named != nullptr) return named;
  }
  for (const IpAddress& address : audience.addresses) {
    if (const auto* owner = mesh::find_workload_by_address(world, address)) return owner;
  }
  return nullptr;
}

bool has_address(const mesh::Workload& workload, const IpAddress& address) {
  return std::find(workload.addresses.begin(), workload.addresses.end(), address) !=
         workload.addresses.end();
}

std::string full_name(const mesh::Workload& workload) {
  return fmt::format("{}/{}", workload.name_space, workload.name);
}

// A workload to which an address that the node names belongs, and not the peer's.
const mesh::Workload* foreign_owner(const Audience& audience, const IpAddress& peer,
                                    const mesh::World& world LIFETIMEBOUND) {
  for (const IpAddress& address : audience.addresses) {
    const mesh::Workload* owner = mesh::find_workload_by_address(world, address);
    if (owner != nullptr && !has_address(*owner, peer)) return owner;
  }
  return nullptr;
}

}  // namespace

std::string mismatch_of(const xds::Node& node, const Audience& audience, const IpAddress& peer,
                        const mesh::World& world) {
  const mesh::Workload* claimed = claimed_by(node, audience, world);
  if (claimed == nullptr || has_address(*claimed, peer)) {
    claimed = foreign_owner(audience, peer, world);
  }
  if (claimed == nullptr) return {};
  const mesh::Workload* own = mesh::find_workload_by_address(world, peer);
  return fmt::format("asks for the configuration of {}, but connects from {}{}",
                     full_name(*claimed), peer.text(),
                     own != nullptr ? fmt::format(" ({})", full_name(*own)) : std::string());
}

}  // namespace fairlead::control
