// New namespaces for a whole lab: mounts, network, processes, host name, and, for who is not root,
// users. Everything a lab does happens inside. When its first process ends, the kernel ends all the
// others, and network, rules and mounts go with them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace fairlead::lab {

struct Namespaces {
  pid_t init = 0;  // the first process inside; a child of the caller
  bool rootless = false;
};

[[nodiscard]] Result<Namespaces> start_inside(const std::vector<std::string>& words,
                                              std::span<const int> kept);
// Runs this very program with `words` as its arguments as the first process of new namespaces; the
// descriptors `kept` stay open in it. It dies with the caller's thread. Fault: denied with the
// cause and the way out; missing when newuidmap is not there.

[[nodiscard]] Result<> settle_inside(const std::string& host_name, const std::string& state_base,
                                     const std::string& work_folder, const std::string& envoy);
// For that first process: mounts of its own with a /proc of its own, a /run that holds what the
// host's does but is its own, with `state_base` visible as before, lo up, forwarding.
// `work_folder`, in /run, is made, with two folders in it: "root", empty, and "bin", which holds
// this very program as "fairlead" and that of the path `envoy`, if there is one, as "envoy". They
// are mounts of the lab's own: containers cannot bind what their mount namespace does not know. So
// they stay what they are when other files take their paths.

[[nodiscard]] Result<> open_up(const std::string& folder, std::span<const std::string> left_out);
// Lays a writable folder in memory over `folder` with all that was in it bound to its old name,
// but for the names in `left_out`. In the mount namespace of the caller.

// One line of /etc/subuid or /etc/subgid.
struct SubordinateRange {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  bool operator==(const SubordinateRange&) const = default;
};

[[nodiscard]] SubordinateRange find_range(const std::string& text, const std::string& user,
                                          std::uint32_t uid);
// The longest range of the user, by name or number; count 0 when there is none. Pure.

}  // namespace fairlead::lab
