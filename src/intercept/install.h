// Puts capture rules into a pod's network namespace, takes them out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "intercept/rules.h"
#include "nft/apply.h"
#include "nft/diff.h"
#include "nft/read.h"

namespace fairlead::intercept {

[[nodiscard]] Result<> enter(const std::string& where);
// Moves the calling thread into the network namespace `where`: a pid, a path ("/proc/17/ns/net"),
// or the name of one that `ip netns` made. Fault: missing, or denied (it takes CAP_SYS_ADMIN).

[[nodiscard]] bool owners_exist(const Settings& settings);
// Whether every user and group that names the proxy exists in this user namespace. A rootless one
// may have a single user: then nobody can be 1337, and a rule that says so exempts nobody.

[[nodiscard]] Result<> may(const std::string& request);
// Whether this process may read and change the kernel's rules here. Fault: denied, naming `request`
// ("reading the kernel's rules") and what it takes.

[[nodiscard]] Result<> apply(nft::Kernel& kernel, const Settings& settings);
// In one transaction: whatever stood there before is replaced, and no packet meets neither. Also
// gives the loopback interface ::6, from where the proxy hands over IPv6 connections; where IPv6 is
// left alone now and was not before, takes it away.

[[nodiscard]] nft::Transaction removal();
// What `remove` tells the kernel.

[[nodiscard]] Result<bool> remove(nft::Kernel& kernel);
// Leaves no table, nor the ::6 that came with one; without a table ::6 is somebody else's. False:
// there was no table.

struct Installed {
  nft::Table table;
  std::vector<nft::Reading> readings;
};

[[nodiscard]] Result<std::optional<Installed>> installed(nft::Kernel& kernel);
// What is in force here; empty when nothing is. Fault: unsupported when the table is there but
// dormant, or holds what is not ours.

}  // namespace fairlead::intercept
