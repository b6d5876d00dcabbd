// Puts capture rules into a pod's network namespace, proves them by connecting, takes them out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "intercept/rules.h"
#include "nft/apply.h"
#include "nft/read.h"

namespace fairlead::intercept {

[[nodiscard]] Result<> enter(const std::string& where);
// Moves the calling thread into the network namespace `where`: a pid, a path ("/proc/17/ns/net"),
// or the name of one that `ip netns` made. Fault: missing, or denied (it takes CAP_SYS_ADMIN).

[[nodiscard]] bool owners_exist(const Settings& settings);
// Whether every user and group that names the proxy exists in this user namespace. A rootless one
// may have a single user: then nobody can be 1337, and a rule that says so exempts nobody.

[[nodiscard]] Result<> apply(nft::Kernel& kernel, const Settings& settings);
// In one transaction: whatever stood there before is replaced, and no packet meets neither. Also
// gives the loopback interface ::6, from where the proxy hands over IPv6 connections.

[[nodiscard]] Result<bool> remove(nft::Kernel& kernel);
// Leaves no table and no ::6. False: there was no table.

struct Installed {
  nft::Table table;
  std::vector<nft::Reading> readings;
};

[[nodiscard]] Result<std::optional<Installed>> installed(nft::Kernel& kernel);
// What is in force here; empty when nothing is.

// One connection, what the rules said about it beforehand, and what became of it.
struct Probe {
  enum class Outcome : std::uint8_t { agrees, differs, untried };
  std::string what;       // "the app connects to 192.0.2.1:15002"
  std::string predicted;  // "redirected to port 15001"
  std::string observed;   // "taken to port 15001, which learned 192.0.2.1:15002"
  Outcome outcome = Outcome::untried;
};

[[nodiscard]] Result<std::vector<Probe>> check(const nft::Table& table);
// Connects as the app and as the proxy, both families, and sees where the connections arrive. Where
// the proxy's port is free it listens there itself and asks for the original destination. Where a
// proxy runs, that proxy gets a connection which is closed before its first byte, and arriving at
// all is the proof: nobody else answers at a documentation address. Packets from outside cannot be
// made from inside: for prerouting the rules in force are walked instead, and the Probe says so.
// Capture is proved when some probes agree and none differs.

}  // namespace fairlead::intercept
