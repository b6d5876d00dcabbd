#include "xds/listener_addresses.h"

#include <fmt/format.h>

#include <vector>

namespace fairlead::xds {

Result<> ListenerAddresses::add(const config::Listener& listener) {
  std::vector<SocketAddress> addresses{listener.address};
  addresses.insert(addresses.end(), listener.additional_addresses.begin(),
                   listener.additional_addresses.end());
  for (const SocketAddress& address : addresses) {
    if (address.port == 0 && listener.bind_to_port) continue;
    const auto taken = taken_.find(address.text());
    if (taken == taken_.end() || taken->second == listener.name) continue;
    return invalid(fmt::format("the address {} is that of the listener {} too", address.text(),
                               taken->second));
  }
  for (const SocketAddress& address : addresses) taken_.emplace(address.text(), listener.name);
  return done();
}

}  // namespace fairlead::xds
