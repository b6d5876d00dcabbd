// Walks an imaginary packet through a ruleset, as the kernel would walk a real one. Pure: the same
// rules that are committed say here what they do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "nft/ruleset.h"

namespace fairlead::nft {

// The first packet of a connection: the only one that NAT rules see.
struct Packet {
  Hook hook = Hook::output;
  SocketAddress source;
  SocketAddress destination;
  std::uint32_t l4proto = tcp;
  std::string in_interface;          // "" where the hook has none (output)
  std::string out_interface;         // "" where the hook has none (prerouting, input)
  std::optional<std::uint32_t> uid;  // of the sending socket; absent for what came from outside
  std::optional<std::uint32_t> gid;
  std::uint32_t mark = 0;
  bool destination_is_local = false;  // an address of this network namespace
};

// One rule that the packet was held against.
struct Step {
  std::string table;
  std::string chain;
  std::size_t rule = 0;  // 1-based place in the chain; 0: the end of a base chain, its policy
  std::string text;      // as nft writes it, without counters
  std::string comment;
  bool matched = false;
  std::string refused_by;  // not matched: the first expression that did not hold, as nft writes it
  std::string verdict;     // matched: "return", "jump outbound", "redirect to :15001", "" = went on
};

enum class Fate : std::uint8_t { accepted, dropped, rejected, redirected, translated, masqueraded };

[[nodiscard]] const char* name_of(Fate fate);

// A possible new destination. Its share is weight / (sum of all weights).
struct Target {
  SocketAddress address;
  std::uint32_t weight = 1;
  bool operator==(const Target&) const = default;
};

struct Trace {
  std::vector<Step> steps;  // in the order of the kernel
  Fate fate = Fate::accepted;
  std::uint16_t port = 0;       // redirected: to this port of this machine
  std::vector<Target> targets;  // translated: each address once, in order; chosen at random
  std::uint32_t missed = 0;     // translated: the weight of the slots for which the map has nothing
  std::size_t decided_by = 0;   // index into `steps` of the rule behind the fate
  bool decided = false;         // false: no rule took it, it was accepted by policy alone

  [[nodiscard]] std::string outcome() const;
  // "redirected to port 15001", "sent to 10.244.1.2:9080 (1/2) or 10.244.2.3:9080 (1/2)"
};

[[nodiscard]] Trace trace(const Ruleset& ruleset, const Packet& packet);
// The base chains of `packet.hook`, lowest priority first (equal ones in the order of the tables).
// The walk ends with the first fate that a rule decides: chains that would see the packet after its
// translation are not walked. A connection inside one namespace (by way of lo) meets output alone:
// the kernel asks the prerouting NAT chains only where output was never passed.

}  // namespace fairlead::nft
