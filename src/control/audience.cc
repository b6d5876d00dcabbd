#include "control/audience.h"

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

}  // namespace fairlead::control
