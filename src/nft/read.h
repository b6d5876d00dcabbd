// What stands in the kernel's tables now. Reads only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "nft/apply.h"
#include "nft/ruleset.h"

namespace fairlead::nft {

[[nodiscard]] Result<bool> exists(Kernel& kernel, TableFamily family, const std::string& table);

[[nodiscard]] Result<bool> is_dormant(Kernel& kernel, TableFamily family, const std::string& table);
// Whether the table is switched off whole: its rules stand there and none is in force. Of such a
// table nft 1.0.6 prints JSON that cannot be read, or reads wrongly. Cheap. Fault: missing.

[[nodiscard]] Result<std::string> list(Kernel& kernel, TableFamily family,
                                       const std::string& table);
// As `nft list table` prints it, counts included. Fault: missing when there is no such table.

[[nodiscard]] Result<Table> read(Kernel& kernel, TableFamily family, const std::string& table);
// The table as values, to be compared and traced. nft's listing gives neither the comments of
// tables and chains, nor which address the key of a set means: it reads as a destination. Fault:
// missing, or unsupported when the table is dormant or says something that this room has no word
// for: which then is named as nft prints it.

[[nodiscard]] Result<Table> read_listing(std::string_view json, TableFamily family,
                                         const std::string& table);
// The same from what `nft -j list table` printed. Pure.

[[nodiscard]] Result<Set> read_set(Kernel& kernel, TableFamily family, const std::string& table,
                                   const std::string& set);
// One set alone, also where the table about it cannot be read. Fault: missing, or unsupported.

[[nodiscard]] Rule as_listed(Rule rule);
// The words in which nft lists it: a match on TCP is not said where a port of TCP is, and the ports
// beside it become TCP's. Two rules are one when these are the same. Pure.

// How often something was met. In a NAT chain: connections, since only their first packet comes by.
struct Reading {
  std::string place;     // "set served4", "chain postrouting" (a rule's own), "counter reviews"
  std::size_t rule = 0;  // of a rule's own: its 1-based place in the chain
  std::string key;       // of a set's element: "10.96.0.12 . tcp . 9080"; else empty
  std::string comment;   // of the element or rule
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  bool operator==(const Reading&) const = default;
};

[[nodiscard]] Result<std::vector<Reading>> counters(Kernel& kernel, TableFamily family,
                                                    const std::string& table);
// Every counter of the table, also of rules that this room has no word for. Costs a listing of the
// whole table: for people and for evidence. Fault: missing, or unsupported when it is dormant.

}  // namespace fairlead::nft
