// How a pod's TCP traffic is taken to its proxy: settings in, rules out. Pure: no kernel here.
// The settings are those of istio-iptables, and the order of the rules is its order.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "nft/ruleset.h"

namespace fairlead::intercept {

inline constexpr char table_name[] = "fairlead-capture";
inline constexpr std::uint32_t proxy_mark = 0x539;
// What the proxy puts on its sockets (SO_MARK) where it cannot have a user of its own.

// Which ports: every one, or those listed (none, when the list is empty).
struct Ports {
  bool all = false;
  std::vector<std::uint16_t> list;
  bool operator==(const Ports&) const = default;
};

struct Ranges {
  bool all = false;
  std::vector<nft::Prefix> list;
  bool operator==(const Ranges&) const = default;
};

struct Groups {
  bool all = false;
  std::vector<std::uint32_t> list;
  bool operator==(const Groups&) const = default;
};

// What tells the proxy's own connections from the app's.
enum class Exemption : std::uint8_t { owner, mark };

struct Settings {
  std::uint16_t outbound_port = 15001;  // -p: where outbound connections are taken
  std::uint16_t inbound_port = 15006;   // -z: where inbound connections are taken
  std::uint16_t tunnel_port = 15008;    // -e: goes to its listener without capture
  Exemption exemption = Exemption::owner;
  std::vector<std::uint32_t> proxy_uids{1337};  // -u; only with Exemption::owner
  std::vector<std::uint32_t> proxy_gids{1337};  // -g
  Ports inbound_ports{.all = true};             // -b: captured
  std::vector<std::uint16_t> inbound_ports_excluded{15020, 15021, 15090};  // -d
  Ranges outbound_ranges{.all = true};                                     // -i: captured
  std::vector<nft::Prefix> outbound_ranges_excluded;                       // -x
  std::vector<std::uint16_t> outbound_ports;           // -q: captured whatever the included range
  std::vector<std::uint16_t> outbound_ports_excluded;  // -o
  std::vector<std::string> interfaces_excluded;        // -c; a last * stands for any end
  Groups owner_groups{.all = true};  // ISTIO_OUTBOUND_OWNER_GROUPS: whose traffic is captured
  std::vector<std::uint32_t> owner_groups_excluded;         // ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE
  nft::Prefix loopback{IpAddress::v4({127, 0, 0, 1}), 32};  // never captured outbound
  bool dual_stack = true;                                   // false: IPv6 is left alone
  bool operator==(const Settings&) const = default;
};

[[nodiscard]] Result<> check(const Settings& settings);
// Names the setting that cannot be: a port of 0, two directions on one port, no exemption at all.

[[nodiscard]] nft::Ruleset capture_rules(const Settings& settings);
// One table. Outbound and inbound have a port each, so the proxy knows the direction. An app that
// calls its own pod reaches itself directly; the proxy that calls its own pod (its own service) is
// taken to the inbound side; what the proxy hands to the app comes from 127.0.0.6 or ::6 and
// passes. Whatever is asked for, the kernel's calls lead to the chains outbound and inbound, and
// each of these has a last word, so that a table that lost rules can be told (meaning.h). The table
// says which settings it was made with, so that any other change can be told too (record.h).

[[nodiscard]] nft::Ruleset capture_rules_of_istio_0_7_1(const Settings& settings);
// The order of Istio 0.7.1's prepare_proxy.sh: IPv4 alone, one port for both directions, no port
// excluded, an app that calls its own pod captured. For docs/differences.md and its test.

}  // namespace fairlead::intercept
