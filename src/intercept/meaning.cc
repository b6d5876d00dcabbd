#include "intercept/meaning.h"

#include <fmt/format.h>

#include <algorithm>

#include "intercept/rule_parts.h"

namespace fairlead::intercept {
namespace {

using nft::Base;
using nft::Chain;
using nft::Field;
using nft::Hook;
using nft::Interface;
using nft::Match;
using nft::Rule;
using nft::Table;
using nft::Verdict;

// How a direction goes through the table: the kernel's call, the choice, the redirection.
struct Way {
  Direction direction;
  Hook hook;
  const char* called;
  const char* choosing;
  const char* redirecting;
  const char* whose;
};

constexpr Way outbound{.direction = Direction::outbound,
                       .hook = Hook::output,
                       .called = "output",
                       .choosing = "outbound",
                       .redirecting = "redirect-outbound",
                       .whose = "that the pod opens"};
constexpr Way inbound{.direction = Direction::inbound,
                      .hook = Hook::prerouting,
                      .called = "prerouting",
                      .choosing = "inbound",
                      .redirecting = "redirect-inbound",
                      .whose = "that comes to the pod"};

const Way& way_of(Direction direction) {
  return direction == Direction::outbound ? outbound : inbound;
}

template <class Condition>
bool any_rule(const Chain* chain, Condition condition) {
  return chain != nullptr && std::any_of(chain->rules.begin(), chain->rules.end(), condition);
}

bool leads_on(const Chain* chain, const char* to) {
  return any_rule(chain, [&](const Rule& rule) { return leads_to(rule, to); });
}

// 0: no rule of the chain redirects.
std::uint16_t port_of(const Chain* chain) {
  if (chain == nullptr) return 0;
  for (const Rule& rule : chain->rules) {
    if (const auto* redirect = find<nft::Redirect>(rule)) return redirect->port;
  }
  return 0;
}

// Decides every TCP connection that comes as far as it.
bool is_last_word(const Rule& rule) {
  const auto* verdict = find<Verdict>(rule);
  if (verdict == nullptr || find<Interface>(rule) != nullptr) return false;
  const bool of_ours =
      verdict->kind == Verdict::Kind::return_ || verdict->kind == Verdict::Kind::jump;
  return of_ours && std::all_of(rule.expressions.begin(), rule.expressions.end(),
                                [](const nft::Expression& one) {
                                  const auto* match = std::get_if<Match>(&one);
                                  return match == nullptr ||
                                         (match->field == Field::l4proto && !match->negated);
                                });
}

bool is_called(const Chain& chain, Hook hook) {
  const auto* base = std::get_if<Base>(&chain.base);
  return base != nullptr && base->hook == hook;
}

// Where the way is broken, in the order in which a packet would go; empty: nowhere.
std::string break_of(const Table& table, const Way& way) {
  const Chain* called = table.chain(way.called);
  const std::string none = fmt::format("no connection {} is captured", way.whose);
  if (called == nullptr || !is_called(*called, way.hook)) {
    return fmt::format("there is no chain {} that the kernel calls: {}", way.called, none);
  }
  if (!leads_on(called, way.choosing)) {
    return fmt::format("chain {} does not lead to chain {}: {}", way.called, way.choosing, none);
  }
  if (!any_rule(table.chain(way.choosing), is_last_word)) {
    return fmt::format(
        "chain {} lacks its last rule: a connection {} and that no other rule decides is not "
        "captured",
        way.choosing, way.whose);
  }
  if (port_of(table.chain(way.redirecting)) == 0) {
    return fmt::format("chain {} redirects to no port: {}", way.redirecting, none);
  }
  return "";
}

// A rule that lets the connections of an owner or with a mark go, wherever they go.
const Match* exemption_in(const Rule& rule) {
  const auto* verdict = find<Verdict>(rule);
  const Match* match = match_on(rule, {Field::skuid, Field::skgid, Field::mark});
  const bool exempts = verdict != nullptr && verdict->kind == Verdict::Kind::return_ &&
                       match != nullptr && !match->negated && find<Interface>(rule) == nullptr;
  return exempts ? match : nullptr;
}

std::vector<std::string> exempt_owners(const Table& table) {
  std::vector<std::string> ways;
  for (const Chain& chain : table.chains) {
    for (const Rule& rule : chain.rules) {
      const Match* match = exemption_in(rule);
      if (match == nullptr) continue;
      const char* kind = match->field == Field::skuid ? "uid" : "gid";
      for (const nft::Value& value : match->values) {
        const std::uint32_t number = std::get<std::uint32_t>(value);
        ways.push_back(match->field == Field::mark ? fmt::format("mark {:#x}", number)
                                                   : fmt::format("{} {}", kind, number));
      }
    }
  }
  return ways;
}

std::vector<std::string> excluded_interfaces(const Table& table) {
  std::vector<std::string> names;
  const Chain* chain = table.chain(outbound.called);
  if (chain == nullptr) return names;
  for (const Rule& rule : chain->rules) {
    const auto* interface = find<Interface>(rule);
    const auto* verdict = find<Verdict>(rule);
    const bool excludes = interface != nullptr && !interface->negated && verdict != nullptr &&
                          verdict->kind == Verdict::Kind::return_;
    if (excludes) names.push_back(interface->name);
  }
  return names;
}

std::string ports_taken_to(const Table& table) {
  const bool in = takes(table, Direction::inbound);
  const std::uint16_t in_port = port_of(table.chain(inbound.redirecting));
  if (!takes(table, Direction::outbound)) {
    return fmt::format("inbound TCP to port {}, nothing outbound", in_port);
  }
  const std::uint16_t out_port = port_of(table.chain(outbound.redirecting));
  return fmt::format("outbound TCP to port {}, {}", out_port,
                     in ? fmt::format("inbound to port {}", in_port) : "nothing inbound");
}

}  // namespace

bool takes(const Table& table, Direction direction) {
  const Way& way = way_of(direction);
  return leads_on(table.chain(way.choosing), way.redirecting);
}

std::string describe_capture(const Table& table) {
  if (!takes(table, Direction::outbound) && !takes(table, Direction::inbound)) return "nothing";
  std::string text = ports_taken_to(table);
  if (table.family == nft::TableFamily::ip) text += ", IPv4 alone";
  for (const std::string& name : excluded_interfaces(table)) text += ", not by " + name;
  return text;
}

std::string describe_exemption(const Table& table) {
  const std::vector<std::string> ways = exempt_owners(table);
  if (ways.empty()) return "no connection is exempt";
  std::string text = "exempt are the connections of ";
  for (std::size_t i = 0; i < ways.size(); ++i) text += (i > 0 ? " and of " : "") + ways[i];
  return text;
}

std::vector<Gap> gaps(const Table& table) {
  std::vector<Gap> all;
  for (const Way& way : {outbound, inbound}) {
    std::string broken = break_of(table, way);
    if (!broken.empty()) all.push_back({.direction = way.direction, .what = std::move(broken)});
  }
  if (takes(table, Direction::outbound) && exempt_owners(table).empty()) {
    all.push_back({.direction = Direction::outbound,
                   .what = "no rule exempts the proxy: its own connections are taken back to it, "
                           "for ever"});
  }
  return all;
}

}  // namespace fairlead::intercept
