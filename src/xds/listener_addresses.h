// No two listeners have one address: who takes a connection would be chance. Of this room alone.
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "config/listener.h"

namespace fairlead::xds {

class ListenerAddresses {
 public:
  [[nodiscard]] Result<> add(const config::Listener& listener);
  // Fault: invalid, when a listener of another name has one of its addresses; then none of them is
  // added. As in Envoy an address counts as it is written, so 0.0.0.0:80 stands beside
  // 127.0.0.1:80, and port 0 of a listener that binds is any free one.

 private:
  std::map<std::string, std::string> taken_;  // address to the listener's name
};

}  // namespace fairlead::xds
