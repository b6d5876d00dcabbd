// Names in clusters made into addresses: the part of it that only computes.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/address.h"
#include "config/snapshot.h"

namespace fairlead::proxy {

using AddressTable = std::map<std::string, std::vector<IpAddress>>;  // by host name

[[nodiscard]] std::set<std::string> hosts_in(const config::Snapshot& snapshot);
// The names that its clusters want resolved.

[[nodiscard]] config::Cluster with_addresses(const config::Cluster& cluster,
                                             const AddressTable& table);
// An endpoint with a name becomes one for each address of it; none while it has none.

// Does so for whole snapshots; a cluster whose addresses did not change is the same pointer.
class Addresser {
 public:
  void apply(config::Snapshot& snapshot, const AddressTable& table);

 private:
  struct Made {
    std::shared_ptr<const config::Cluster> from;
    std::shared_ptr<const config::Cluster> value;
  };
  std::map<std::string, Made> made_;
};

}  // namespace fairlead::proxy
