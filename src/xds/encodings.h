// Messages to proxies, and the resources in them, each encoded once, however many proxies hear of
// it and in however many worlds it stays the same.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/lifetime.h"
#include "config/snapshot.h"

namespace fairlead::xds {

using SharedBytes = std::shared_ptr<const std::string>;

// Its bytes are those of its parts, one behind the other.
struct Message {
  std::string head;
  std::vector<SharedBytes> resources;  // messages to others hold the very same

  [[nodiscard]] std::vector<std::string_view> parts() const LIFETIMEBOUND;
  [[nodiscard]] std::string bytes() const;
};

using Messages = std::vector<Message>;

class Encodings {
 public:
  template <class T>
  [[nodiscard]] SharedBytes of(const std::shared_ptr<const T>& resource) {
    // A DiscoveryResponse that holds this resource and nothing else: such messages one behind the
    // other are one message with all of them (protobuf.dev, "Encoding").
    const auto found = known_.find(resource.get());
    return found != known_.end() ? found->second.bytes
                                 : remember(resource, response_with(*resource));
  }

  [[nodiscard]] std::size_t size() const { return known_.size(); }

 private:
  // Values never change, so neither do their bytes: an encoding is right for as long as it is
  // there.
  struct Encoding {
    std::shared_ptr<const void> value;  // held, so that its address names nothing else
    SharedBytes bytes;
  };
  static std::string response_with(const config::Cluster& cluster);
  static std::string response_with(const config::ClusterLoadAssignment& endpoints);
  static std::string response_with(const config::Listener& listener);
  static std::string response_with(const config::RouteConfiguration& routes);
  SharedBytes remember(std::shared_ptr<const void> value, std::string bytes);
  void forget_unused();

  std::unordered_map<const void*, Encoding> known_;
  std::size_t most_ = 64;  // before those are looked for whose values nobody else holds
};

}  // namespace fairlead::xds
