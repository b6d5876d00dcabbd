#include "intercept/show.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <set>
#include <string_view>

#include "base/split.h"
#include "intercept/meaning.h"
#include "intercept/record.h"
#include "intercept/rule_parts.h"
#include "nft/render.h"

namespace fairlead::intercept {
namespace {

using nft::Base;
using nft::Chain;
using nft::Expression;
using nft::Field;
using nft::Hook;
using nft::Interface;
using nft::Match;
using nft::Rule;
using nft::Table;
using nft::Verdict;

struct Counts {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};

Counts counts_of(const std::vector<nft::Reading>& readings, const Chain& chain, std::size_t rule) {
  for (const nft::Reading& one : readings) {
    if (one.rule == rule && one.place == "chain " + chain.name) return {one.packets, one.bytes};
  }
  return {};
}

// ── in words ────────────────────────────────────────────────────────────────────────────────────

bool is_condition(const Expression& expression) {
  return std::holds_alternative<Match>(expression) ||
         std::holds_alternative<Interface>(expression) ||
         std::holds_alternative<nft::InSet>(expression) ||
         std::holds_alternative<nft::LocalDestination>(expression);
}

std::string conditions_of(const Rule& rule) {
  std::string text;
  for (const Expression& expression : rule.expressions) {
    if (!is_condition(expression)) continue;
    if (!text.empty()) text += ", ";
    text += nft::render(expression);
  }
  return text;
}

std::string consequence_of(const Expression& expression) {
  if (const auto* redirect = std::get_if<nft::Redirect>(&expression)) {
    return fmt::format("TAKEN to port {}", redirect->port);
  }
  const auto* verdict = std::get_if<Verdict>(&expression);
  if (verdict == nullptr) return nft::render(expression);
  if (verdict->kind == Verdict::Kind::return_) return "left alone";
  if (verdict->kind == Verdict::Kind::jump) return "see " + verdict->chain;
  return nft::render(*verdict);
}

std::string consequence_of(const Rule& rule) {
  std::string text;
  for (const Expression& expression : rule.expressions) {
    if (is_condition(expression) || std::holds_alternative<nft::Count>(expression)) continue;
    text += (text.empty() ? "" : ", ") + consequence_of(expression);
  }
  return text.empty() ? "goes on" : text;
}

void tell(const Table& table, const Chain& chain, const std::vector<nft::Reading>& readings,
          std::set<std::string>& told, std::string& out) {
  if (!told.insert(chain.name).second) return;
  out += fmt::format("\n{}:\n", chain.name);
  for (std::size_t i = 0; i < chain.rules.size(); ++i) {
    const Rule& rule = chain.rules[i];
    const Counts counts = counts_of(readings, chain, i + 1);
    out += fmt::format("  {:>2}  {:<24} {}  [{}]\n        {}\n", i + 1, consequence_of(rule),
                       rule.comment, counts.packets, conditions_of(rule));
  }
  if (!std::holds_alternative<Base>(chain.base)) {
    out += "      otherwise: back to where it was called\n";
  } else {
    out += "      otherwise: left alone\n";
  }
  for (const Rule& rule : chain.rules) {
    const auto* verdict = find<Verdict>(rule);
    const Chain* next = verdict == nullptr ? nullptr : table.chain(verdict->chain);
    if (next != nullptr) tell(table, *next, readings, told, out);
  }
}

// ── as iptables ─────────────────────────────────────────────────────────────────────────────────

std::string iptables_chain(const Table& table, const std::string& name) {
  const Chain* chain = table.chain(name);
  if (chain != nullptr) {
    if (const auto* base = std::get_if<Base>(&chain->base)) {
      return base->hook == Hook::output ? "OUTPUT" : "PREROUTING";
    }
  }
  if (name == "outbound") return "FAIRLEAD_OUTPUT";
  if (name == "redirect-outbound") return "FAIRLEAD_REDIRECT";
  if (name == "redirect-inbound") return "FAIRLEAD_IN_REDIRECT";
  std::string upper = "FAIRLEAD_" + name;
  for (char& c : upper) {
    c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return upper;
}

std::size_t references(const Table& table, const std::string& name) {
  std::size_t count = 0;
  for (const Chain& chain : table.chains) {
    for (const Rule& rule : chain.rules) {
      const auto* verdict = find<Verdict>(rule);
      if (verdict != nullptr && verdict->chain == name) ++count;
    }
  }
  return count;
}

bool belongs_to(const Rule& rule, Family family) {
  const Match* match = family == Family::v4 ? match_on(rule, {Field::ip6_saddr, Field::ip6_daddr})
                                            : match_on(rule, {Field::ip_saddr, Field::ip_daddr});
  return match == nullptr;
}

std::string address_column(const Rule& rule, Field v4, Field v6, Family family) {
  const Match* match = match_on(rule, {v4, v6});
  const std::string anywhere = family == Family::v4 ? "0.0.0.0/0" : "::/0";
  if (match == nullptr) return anywhere;
  return (match->negated ? "!" : "") + nft::render(match->values.front(), match->field);
}

std::string interface_column(const Rule& rule, Interface::Way way) {
  const auto* interface = find<Interface>(rule);
  if (interface == nullptr || interface->way != way) return "*";
  std::string name = interface->name;
  if (name.ends_with('*')) name.back() = '+';  // as iptables writes it
  return (interface->negated ? "!" : "") + name;
}

std::string ports_text(const Match& match) {
  std::string list;
  for (const nft::Value& value : match.values) {
    if (!list.empty()) list += ",";
    list += nft::render(value, match.field);
  }
  const char* negation = match.negated ? "!" : "";
  if (match.values.size() == 1) return fmt::format(" tcp dpt:{}{}", negation, list);
  return fmt::format(" multiport dports {}{}", negation, list);
}

std::string owner_text(const Match& match) {
  const char* kind = match.field == Field::skuid ? "UID" : "GID";
  std::string text;
  for (const nft::Value& value : match.values) {
    text += fmt::format(" {}owner {} match {}", match.negated ? "! " : "", kind,
                        nft::render(value, match.field));
  }
  return text;
}

std::string extra_columns(const Rule& rule) {
  std::string text;
  for (const Expression& expression : rule.expressions) {
    const auto* match = std::get_if<Match>(&expression);
    if (match == nullptr) continue;
    if (match->field == Field::tcp_dport) text += ports_text(*match);
    if (match->field == Field::skuid || match->field == Field::skgid) text += owner_text(*match);
    if (match->field == Field::mark) {
      text += fmt::format(" mark match {}{:#x}", match->negated ? "!" : "",
                          std::get<std::uint32_t>(match->values.front()));
    }
  }
  if (!rule.comment.empty()) text += " /* " + rule.comment + " */";
  if (const auto* redirect = find<nft::Redirect>(rule)) {
    text += fmt::format(" redir ports {}", redirect->port);
  }
  return text;
}

std::string target_of(const Table& table, const Rule& rule) {
  if (find<nft::Redirect>(rule) != nullptr) return "REDIRECT";
  const auto* verdict = find<Verdict>(rule);
  if (verdict == nullptr) return "";
  if (!verdict->chain.empty()) return iptables_chain(table, verdict->chain);
  if (verdict->kind == Verdict::Kind::drop) return "DROP";
  return verdict->kind == Verdict::Kind::return_ ? "RETURN" : "ACCEPT";
}

std::string iptables_rule(const Table& table, const Rule& rule, Counts counts, Family family) {
  const bool only_tcp = match_on(rule, {Field::l4proto, Field::tcp_dport}) != nullptr;
  return fmt::format(
      "{:>5} {:>5} {:<20} {:<4} {:<3} {:<6} {:<6} {:<20} {:<20}{}\n", counts.packets, counts.bytes,
      target_of(table, rule), only_tcp ? "tcp" : "all", family == Family::v4 ? "--" : "",
      interface_column(rule, Interface::Way::in), interface_column(rule, Interface::Way::out),
      address_column(rule, Field::ip_saddr, Field::ip6_saddr, family),
      address_column(rule, Field::ip_daddr, Field::ip6_daddr, family), extra_columns(rule));
}

std::string iptables_family(const Table& table, const std::vector<nft::Reading>& readings,
                            Family family) {
  std::string out;
  // Built-in chains first, as iptables lists them.
  std::vector<const Chain*> order;
  for (const bool base : {true, false}) {
    for (const Chain& chain : table.chains) {
      if (std::holds_alternative<Base>(chain.base) == base) order.push_back(&chain);
    }
  }
  for (const Chain* chain : order) {
    const std::string name = iptables_chain(table, chain->name);
    const std::string state = std::holds_alternative<Base>(chain->base)
                                  ? "policy ACCEPT"
                                  : fmt::format("{} references", references(table, chain->name));
    out += fmt::format("{}Chain {} ({})\n", out.empty() ? "" : "\n", name, state);
    out += fmt::format("{:>5} {:>5} {:<20} {:<4} {:<3} {:<6} {:<6} {:<20} {}\n", "pkts", "bytes",
                       "target", "prot", "opt", "in", "out", "source", "destination");
    for (std::size_t i = 0; i < chain->rules.size(); ++i) {
      if (!belongs_to(chain->rules[i], family)) continue;
      out += iptables_rule(table, chain->rules[i], counts_of(readings, *chain, i + 1), family);
    }
  }
  return out;
}

// What is not as it was put in, and how to put it back.
std::string doubts(const Table& table) {
  std::string text;
  for (const Gap& gap : gaps(table)) text += fmt::format("NOT WHOLE: {}\n", gap.what);
  const Result<Settings> settings = recorded(table.set(record_name));
  if (settings) {
    for (const std::string& change : changes(table, *settings)) {
      text += fmt::format("NOT AS PUT IN: {}\n", change);
    }
  } else {
    text += fmt::format("NOT KNOWN TO BE AS PUT IN: {}\n", settings.fault().message);
  }
  if (text.empty()) return "";
  return text + fmt::format("put it back, in this network namespace, with: {}\n",
                            remedy(table.set(record_name)));
}

}  // namespace

std::string show(const Table& table, const std::vector<nft::Reading>& readings) {
  std::string out = fmt::format("table {} {}; {}\n", nft::name_of(table.family), table.name,
                                describe_exemption(table));
  out += table.family == nft::TableFamily::inet ? "IPv4 and IPv6" : "IPv4 alone";
  out += "; rules are tried in order; [n] = connections that a rule has decided\n";
  out += doubts(table);
  std::set<std::string> told;
  for (const Hook hook : {Hook::output, Hook::prerouting}) {
    for (const Chain& chain : table.chains) {
      const auto* base = std::get_if<Base>(&chain.base);
      if (base == nullptr || base->hook != hook) continue;
      out += hook == Hook::output ? "\nA connection is opened in the pod"
                                  : "\nA connection comes to the pod";
      tell(table, chain, readings, told, out);
    }
  }
  return out;
}

std::string show_as_iptables(const Table& table, const std::vector<nft::Reading>& readings) {
  const std::string doubted = doubts(table);
  std::string out;
  for (const std::string_view line : split(doubted, '\n')) {
    if (!line.empty()) out += fmt::format("# {}\n", line);
  }
  out += "# iptables -t nat -L -v -n\n" + iptables_family(table, readings, Family::v4);
  if (table.family == nft::TableFamily::inet) {
    out +=
        "\n# the rules are the same, so the counts too are of IPv4 and IPv6 together, above and "
        "below\n# ip6tables -t nat -L -v -n\n" +
        iptables_family(table, readings, Family::v6);
  }
  return out;
}

}  // namespace fairlead::intercept
