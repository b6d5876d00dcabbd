#include "xds/encodings.h"

#include <utility>

#include "xds/encode.h"
#include "xds/encode_parts.h"
#include "xds/resource.h"

namespace fairlead::xds {
namespace {

std::string response_of(ResourceType type, std::string value) {
  wire::discovery::DiscoveryResponse response;
  wire::Any& any = *response.add_resources();
  any.set_type_url(std::string(type_url(type)));
  any.set_value(std::move(value));
  return bytes_of(response);
}

}  // namespace

std::vector<std::string_view> Message::parts() const {
  std::vector<std::string_view> all{head};
  all.reserve(1 + resources.size());
  for (const SharedBytes& resource : resources) all.emplace_back(*resource);
  return all;
}

std::string Message::bytes() const {
  std::string all;
  for (const std::string_view part : parts()) all += part;
  return all;
}

std::string Encodings::response_with(const config::Cluster& cluster) {
  return response_of(ResourceType::cluster, encode(cluster));
}

std::string Encodings::response_with(const config::ClusterLoadAssignment& endpoints) {
  return response_of(ResourceType::endpoint, encode(endpoints));
}

std::string Encodings::response_with(const config::Listener& listener) {
  return response_of(ResourceType::listener, encode(listener));
}

std::string Encodings::response_with(const config::RouteConfiguration& routes) {
  return response_of(ResourceType::route, encode(routes));
}

SharedBytes Encodings::remember(std::shared_ptr<const void> value, std::string bytes) {
  if (known_.size() >= most_) forget_unused();
  auto shared = std::make_shared<const std::string>(std::move(bytes));
  const void* const address = value.get();
  known_.emplace(address, Encoding{std::move(value), shared});
  return shared;
}

// Whoever asks holds the value that it asks for, so that one stays.
void Encodings::forget_unused() {
  std::erase_if(known_, [](const auto& entry) { return entry.second.value.use_count() == 1; });
  most_ = known_.size() + known_.size() / 4 + 64;
}

}  // namespace fairlead::xds
