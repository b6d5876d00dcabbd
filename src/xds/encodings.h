// Resources as a response carries them, each encoded once, however many proxies hear of it and in
// however many worlds it stays the same.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/lifetime.h"
#include "config/snapshot.h"

namespace fairlead::xds {

class Encodings {
 public:
  template <class T>
  [[nodiscard]] const std::string& of(const std::shared_ptr<const T>& resource) LIFETIMEBOUND {
    // A DiscoveryResponse that holds this resource and nothing else: such messages one behind the
    // other are one message with all of them (protobuf.dev, "Encoding", last one wins). Good until
    // the next call.
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
    std::string bytes;
  };
  static std::string response_with(const config::Cluster& cluster);
  static std::string response_with(const config::ClusterLoadAssignment& endpoints);
  static std::string response_with(const config::Listener& listener);
  static std::string response_with(const config::RouteConfiguration& routes);
  const std::string& remember(std::shared_ptr<const void> value, std::string bytes) LIFETIMEBOUND;
  void forget_unused();

  std::unordered_map<const void*, Encoding> known_;
  std::size_t most_ = 64;  // before those are looked for whose values nobody else holds
};

}  // namespace fairlead::xds
