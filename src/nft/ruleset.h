// nftables rules as values: what the kernel is to do, without a kernel. Rendered (render.h),
// compared (diff.h), walked (trace.h) and committed (apply.h) from here. The vocabulary is closed
// on purpose: whatever can be said here can be explained.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "base/address.h"
#include "base/lifetime.h"
#include "base/result.h"

namespace fairlead::nft {

enum class TableFamily : std::uint8_t { ip, ip6, inet };
enum class ChainType : std::uint8_t { filter, nat };
enum class Hook : std::uint8_t { prerouting, input, forward, output, postrouting };

// What of a packet a rule may look at.
enum class Field : std::uint8_t {
  ip_saddr,
  ip_daddr,
  ip6_saddr,
  ip6_daddr,
  l4proto,    // IANA number; 6 = TCP
  sport,      // of TCP or UDP ("th sport")
  dport,      // of TCP or UDP ("th dport")
  tcp_dport,  // of TCP; says so without a match on l4proto beside it
  mark,       // the packet's mark
  skuid,      // who owns the sending socket; no packet from outside has an owner, nor a match
  skgid,
  slot,  // no field: a random number in [0, slots). In a key, the last part: which endpoint.
};

struct Prefix {
  IpAddress address;
  int length = 0;
  auto operator<=>(const Prefix&) const = default;
};

using Value = std::variant<std::uint32_t, IpAddress, Prefix>;
// A number serves l4proto, ports, marks, owners and slots.
using Tuple = std::vector<Value>;
// The parts of a key or of a map's data, in the order of its Fields. One part is the common case.

struct Verdict {
  enum class Kind : std::uint8_t { accept, drop, return_, jump, go_to };
  Kind kind = Kind::accept;
  std::string chain;  // jump and go_to: a chain of the same table
  auto operator<=>(const Verdict&) const = default;
};

struct Set {
  std::string name;
  std::vector<Field> key;
  bool counted = false;                   // each element counts the lookups that find it
  bool ranges = false;                    // elements may be Prefixes
  std::map<Tuple, std::string> elements;  // and the comment of each; may be empty
  std::string comment;
  bool operator==(const Set&) const = default;
};

struct Mapped {
  std::variant<Tuple, Verdict> data;
  std::string comment;
  bool operator==(const Mapped&) const = default;
};

// Data is a tuple of `data` fields, or, with `data` empty, a verdict. Keep verdicts to small maps:
// the kernel walks a map of verdicts whole at each change, a map of data never. A map with slots
// belongs to one transport: its ports are tcp_dport, and the rule that looks it up matches l4proto
// tcp first. nft 1.0.6 can declare the others ("th dport") but not add a rule for them later.
struct Map {
  std::string name;
  std::vector<Field> key;
  std::vector<Field> data;
  std::map<Tuple, Mapped> elements;
  std::string comment;
  bool operator==(const Map&) const = default;
};

// ── what must hold for a rule to go on ──────────────────────────────────────────────────────────

struct Match {
  Field field = Field::l4proto;
  std::vector<Value> values;  // any of them; never empty
  bool negated = false;       // none of them
  bool operator==(const Match&) const = default;
};

struct Interface {
  enum class Way : std::uint8_t { in, out };
  Way way = Way::out;
  std::string name;
  bool negated = false;
  bool operator==(const Interface&) const = default;
};

struct InSet {
  std::vector<Field> key;
  std::string set;
  bool negated = false;
  bool operator==(const InSet&) const = default;
};

struct LocalDestination {
  bool negated = false;
  // Whether the destination is an address of this network namespace ("fib daddr type local").
  bool operator==(const LocalDestination&) const = default;
};

// ── what a rule does ────────────────────────────────────────────────────────────────────────────

struct Count {
  std::string counter;  // a named counter of the table; empty: the rule's own
  bool operator==(const Count&) const = default;
};

struct SetMark {
  std::vector<Field> key;
  std::string map;  // key found: the mark becomes the data; not found: the rule ends here
  bool operator==(const SetMark&) const = default;
};

struct VerdictMap {
  Field key = Field::mark;
  std::string map;  // not found: the rule ends here
  bool operator==(const VerdictMap&) const = default;
};

struct Redirect {
  std::uint16_t port = 0;  // of this machine: loopback in output, the incoming interface's address
  bool operator==(const Redirect&) const = default;
};

struct Dnat {
  std::vector<Field> key;
  std::string map;          // data: address, port
  std::uint32_t slots = 0;  // when the key ends in `slot`: how many there are
  bool operator==(const Dnat&) const = default;
};

struct Masquerade {
  bool operator==(const Masquerade&) const = default;
};

struct RejectWithReset {
  // TCP only: a reset fails connect() at once, an ICMP error only after a second.
  bool operator==(const RejectWithReset&) const = default;
};

using Expression = std::variant<Match, Interface, InSet, LocalDestination, Count, SetMark,
                                VerdictMap, Verdict, Redirect, Dnat, Masquerade, RejectWithReset>;

struct Rule {
  std::vector<Expression> expressions;  // in order; the first that does not hold ends the rule
  std::string comment;                  // why it is there, for people; at most 128 bytes are kept
  bool operator==(const Rule&) const = default;
};

struct Base {
  ChainType type = ChainType::nat;
  Hook hook = Hook::output;
  int priority =
      -100;  // lower runs first; -100 is where destination NAT usually is, 100 source NAT
  bool operator==(const Base&) const = default;
};

struct Chain {
  std::string name;
  std::vector<Rule> rules;
  std::variant<std::monostate, Base> base;  // a base chain is called by the kernel; policy: accept
  std::string comment;
  bool operator==(const Chain&) const = default;
};

struct Counter {
  std::string name;
  std::string comment;
  bool operator==(const Counter&) const = default;
};

struct Table {
  TableFamily family = TableFamily::inet;
  std::string name;
  std::vector<Counter> counters;
  std::vector<Set> sets;
  std::vector<Map> maps;
  std::vector<Chain> chains;
  std::string comment;
  bool operator==(const Table&) const = default;

  [[nodiscard]] const Set* set(const std::string& wanted) const LIFETIMEBOUND;
  [[nodiscard]] const Map* map(const std::string& wanted) const LIFETIMEBOUND;
  [[nodiscard]] const Chain* chain(const std::string& wanted) const LIFETIMEBOUND;
  // Null when there is none of that name. Good as long as the table is not changed.
};

struct Ruleset {
  std::vector<Table> tables;
  bool operator==(const Ruleset&) const = default;

  [[nodiscard]] const Table* table(const std::string& name) const LIFETIMEBOUND;
};

inline constexpr std::uint32_t tcp = 6;
inline constexpr std::uint32_t udp = 17;

[[nodiscard]] Match source(const Prefix& prefix);
[[nodiscard]] Match destination(const Prefix& prefix);
[[nodiscard]] Prefix host(const IpAddress& address);
// ip or ip6 chosen by the address; `host` is the prefix of that one address.

[[nodiscard]] Result<Prefix> parse_prefix(const std::string& text);
// "10.0.0.0/8", "fd00::/8", or an address alone. Host bits are cleared.

[[nodiscard]] Result<> check(const Ruleset& ruleset);
// Whether it hangs together: every chain, set, map and counter that is named exists in its table,
// keys and data have the width and the kind of their fields, no chain calls itself. The kernel
// would refuse such a ruleset too, in fewer words. O(elements): for tests and for built-once
// tables.

}  // namespace fairlead::nft
