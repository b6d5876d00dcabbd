#include "nft/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "nft/render.h"

namespace fairlead::nft {
namespace {

// The packet as one walk sees it: its mark may change on the way.
class Walk {
 public:
  explicit Walk(const Packet& packet) : packet_(packet), mark_(packet.mark) {}

  // False when the fate is decided.
  bool through(const Table& table, const Chain& base) {
    table_ = &table;
    const Step at{.table = table.name, .chain = base.name};
    switch (go_through(base)) {
      case Course::decided:
        return false;
      case Course::accepted:
        return true;
      case Course::returned:
        trace_.steps.push_back(at);
        trace_.steps.back().text = "policy accept";
        trace_.steps.back().matched = true;
        trace_.steps.back().verdict = "accept";
        return true;
    }
    return true;
  }

  Trace finish() && { return std::move(trace_); }

 private:
  // Where a chain left the packet.
  enum class Course { returned, accepted, decided };
  // What one expression did.
  enum class Effect { holds, refuses, returns, accepts, decides };

  Course go_through(const Chain& chain) {
    constexpr int deepest = 16;  // the kernel refuses deeper calls
    if (depth_ == deepest) return Course::returned;
    ++depth_;
    Course course = Course::returned;
    for (std::size_t i = 0; i < chain.rules.size(); ++i) {
      bool leaves = false;
      course = apply(chain, i, leaves);
      if (course != Course::returned || leaves) break;
    }
    --depth_;
    return course;
  }

  Course apply(const Chain& chain, std::size_t index, bool& leaves) {
    // `leaves`: the rule ended this chain (return, goto) without deciding.
    const Rule& rule = chain.rules[index];
    const std::size_t step = trace_.steps.size();
    trace_.steps.push_back({.table = table_->name,
                            .chain = chain.name,
                            .rule = index + 1,
                            .text = text_of(rule),
                            .comment = rule.comment,
                            .matched = true});
    for (const Expression& expression : rule.expressions) {
      called_ = {};
      const Effect effect = std::visit([&](const auto& one) { return meet(one); }, expression);
      if (effect == Effect::holds && called_.chain.empty()) continue;
      if (effect == Effect::refuses) {
        trace_.steps[step].matched = false;
        trace_.steps[step].refused_by = render(expression);
        return Course::returned;
      }
      trace_.steps[step].verdict = verdict_text(expression);
      if (effect == Effect::decides) return decide(step, Course::decided);
      if (effect == Effect::accepts) return decide(step, Course::accepted);
      leaves = effect == Effect::returns || called_.kind == Verdict::Kind::go_to;
      if (effect == Effect::returns) return Course::returned;
      const Chain* next = table_->chain(called_.chain);
      return next == nullptr ? Course::returned : go_through(*next);
    }
    return Course::returned;
  }

  Course decide(std::size_t step, Course course) {
    trace_.decided = true;
    trace_.decided_by = step;
    return course;
  }

  // Without the rule's own counter, which says nothing about where the packet goes.
  static std::string text_of(const Rule& rule) {
    Rule shown;
    for (const Expression& expression : rule.expressions) {
      if (!std::holds_alternative<Count>(expression)) shown.expressions.push_back(expression);
    }
    return render(shown);
  }

  std::string verdict_text(const Expression& expression) const {
    if (std::holds_alternative<VerdictMap>(expression)) return render(called_);
    if (trace_.fate == Fate::translated) return trace_.outcome();
    return render(expression);
  }

  // ── the packet's fields ───────────────────────────────────────────────────────────────────────

  [[nodiscard]] std::optional<Value> value_of(Field field) const {
    const bool v4 = packet_.destination.ip.is_v4();
    const bool has_ports = packet_.l4proto == tcp || packet_.l4proto == udp;
    switch (field) {
      case Field::ip_saddr:
        return v4 ? std::optional<Value>(packet_.source.ip) : std::nullopt;
      case Field::ip_daddr:
        return v4 ? std::optional<Value>(packet_.destination.ip) : std::nullopt;
      case Field::ip6_saddr:
        return v4 ? std::nullopt : std::optional<Value>(packet_.source.ip);
      case Field::ip6_daddr:
        return v4 ? std::nullopt : std::optional<Value>(packet_.destination.ip);
      case Field::l4proto:
        return packet_.l4proto;
      case Field::sport:
        return number(has_ports, packet_.source.port);
      case Field::dport:
        return number(has_ports, packet_.destination.port);
      case Field::tcp_dport:
        return number(packet_.l4proto == tcp, packet_.destination.port);
      case Field::mark:
        return mark_;
      case Field::skuid:
        return number(packet_.uid.has_value(), packet_.uid.value_or(0));
      case Field::skgid:
        return number(packet_.gid.has_value(), packet_.gid.value_or(0));
      case Field::slot:
        return std::nullopt;
    }
    return std::nullopt;
  }

  static std::optional<Value> number(bool present, std::uint32_t value) {
    return present ? std::optional<Value>(value) : std::nullopt;
  }

  // The key's values; empty when the packet lacks one of them. A slot is left for the caller.
  [[nodiscard]] Tuple key_of(const std::vector<Field>& fields) const {
    Tuple key;
    for (const Field field : fields) {
      if (field == Field::slot) {
        key.emplace_back(std::uint32_t{0});
        continue;
      }
      std::optional<Value> value = value_of(field);
      if (!value) return {};
      key.push_back(*std::move(value));
    }
    return key;
  }

  static bool equals(const Value& wanted, const Value& actual) {
    const auto* prefix = std::get_if<Prefix>(&wanted);
    const auto* address = std::get_if<IpAddress>(&actual);
    if (prefix == nullptr || address == nullptr) return wanted == actual;
    return address->within(prefix->address, prefix->length);
  }

  static bool holds(const Set& set, const Tuple& key) {
    if (!set.ranges) return set.elements.contains(key);
    return std::any_of(set.elements.begin(), set.elements.end(), [&](const auto& element) {
      return std::equal(element.first.begin(), element.first.end(), key.begin(), key.end(), equals);
    });
  }

  // Null when the packet lacks a field of the key, or the map has no such element.
  [[nodiscard]] const Mapped* look_up(const std::string& name, const Tuple& key) const {
    const Map* map = table_->map(name);
    if (map == nullptr || key.empty()) return nullptr;
    const auto found = map->elements.find(key);
    return found == map->elements.end() ? nullptr : &found->second;
  }

  static Effect effect_of(bool holds) { return holds ? Effect::holds : Effect::refuses; }

  // ── expressions ───────────────────────────────────────────────────────────────────────────────

  Effect meet(const Match& match) {
    const std::optional<Value> actual = value_of(match.field);
    if (!actual) return Effect::refuses;  // negated or not: there is nothing to compare
    const bool any = std::any_of(match.values.begin(), match.values.end(),
                                 [&](const Value& wanted) { return equals(wanted, *actual); });
    return effect_of(any != match.negated);
  }

  // A name that ends in * stands for all that begin so.
  static bool names(const std::string& wanted, const std::string& actual) {
    if (!wanted.ends_with('*')) return actual == wanted;
    return actual.starts_with(wanted.substr(0, wanted.size() - 1));
  }

  Effect meet(const Interface& interface) {
    const std::string& name =
        interface.way == Interface::Way::in ? packet_.in_interface : packet_.out_interface;
    return effect_of(names(interface.name, name) != interface.negated);
  }

  Effect meet(const InSet& in) {
    const Set* set = table_->set(in.set);
    const Tuple key = key_of(in.key);
    if (set == nullptr || key.empty()) return Effect::refuses;
    return effect_of(holds(*set, key) != in.negated);
  }

  Effect meet(const LocalDestination& local) {
    return effect_of(packet_.destination_is_local != local.negated);
  }

  Effect meet(const Count&) { return Effect::holds; }

  Effect meet(const SetMark& set) {
    const Mapped* found = look_up(set.map, key_of(set.key));
    const auto* data = found == nullptr ? nullptr : std::get_if<Tuple>(&found->data);
    if (data == nullptr || data->empty()) return Effect::refuses;
    const auto* mark = std::get_if<std::uint32_t>(&data->front());
    if (mark != nullptr) mark_ = *mark;
    return effect_of(mark != nullptr);
  }

  Effect meet(const VerdictMap& lookup) {
    const Mapped* found = look_up(lookup.map, key_of({lookup.key}));
    const auto* verdict = found == nullptr ? nullptr : std::get_if<Verdict>(&found->data);
    return verdict == nullptr ? Effect::refuses : meet(*verdict);
  }

  Effect meet(const Verdict& verdict) {
    called_ = verdict;
    switch (verdict.kind) {
      case Verdict::Kind::accept:
        return Effect::accepts;
      case Verdict::Kind::drop:
        trace_.fate = Fate::dropped;
        return Effect::decides;
      case Verdict::Kind::return_:
        return Effect::returns;
      case Verdict::Kind::jump:
      case Verdict::Kind::go_to:
        return Effect::holds;
    }
    return Effect::refuses;
  }

  Effect meet(const Redirect& redirect) {
    if (packet_.l4proto != tcp && packet_.l4proto != udp) return Effect::refuses;
    trace_.fate = Fate::redirected;
    trace_.port = redirect.port;
    return Effect::decides;
  }

  Effect meet(const Dnat& dnat) {
    Tuple key = key_of(dnat.key);
    if (key.empty()) return Effect::refuses;
    const bool chooses = dnat.key.back() == Field::slot;
    for (std::uint32_t slot = 0; slot < std::max(dnat.slots, 1U); ++slot) {
      if (chooses) key.back() = slot;
      add_target(look_up(dnat.map, key));
    }
    if (trace_.targets.empty()) {
      trace_.missed = 0;
      return Effect::refuses;
    }
    trace_.fate = Fate::translated;
    return Effect::decides;
  }

  void add_target(const Mapped* found) {
    const auto* data = found == nullptr ? nullptr : std::get_if<Tuple>(&found->data);
    if (data == nullptr || data->size() != 2) {
      ++trace_.missed;
      return;
    }
    const auto* ip = std::get_if<IpAddress>(&data->front());
    const auto* port = std::get_if<std::uint32_t>(&data->back());
    if (ip == nullptr || port == nullptr) return;
    const SocketAddress address{*ip, static_cast<std::uint16_t>(*port)};
    const auto known = std::find_if(trace_.targets.begin(), trace_.targets.end(),
                                    [&](const Target& one) { return one.address == address; });
    if (known == trace_.targets.end()) {
      trace_.targets.push_back({.address = address});
    } else {
      ++known->weight;
    }
  }

  Effect meet(const Masquerade&) {
    trace_.fate = Fate::masqueraded;
    return Effect::decides;
  }

  Effect meet(const RejectWithReset&) {
    if (packet_.l4proto != tcp) return Effect::refuses;
    trace_.fate = Fate::rejected;
    return Effect::decides;
  }

  const Packet& packet_;
  std::uint32_t mark_;
  const Table* table_ = nullptr;
  Verdict called_;  // the verdict that the expression at hand gave
  int depth_ = 0;
  Trace trace_;
};

struct Entry {
  const Table* table;
  const Chain* chain;
};

bool sees(TableFamily family, const Packet& packet) {
  if (family == TableFamily::inet) return true;
  return (family == TableFamily::ip) == packet.destination.ip.is_v4();
}

// The base chains of the packet's hook by priority; equal ones stay in the order of the ruleset.
std::multimap<int, Entry> entries(const Ruleset& ruleset, const Packet& packet) {
  std::multimap<int, Entry> all;
  for (const Table& table : ruleset.tables) {
    if (!sees(table.family, packet)) continue;
    for (const Chain& chain : table.chains) {
      const auto* base = std::get_if<Base>(&chain.base);
      if (base == nullptr || base->hook != packet.hook) continue;
      all.emplace(base->priority, Entry{.table = &table, .chain = &chain});
    }
  }
  return all;
}

}  // namespace

const char* name_of(Fate fate) {
  switch (fate) {
    case Fate::accepted:
      return "accepted";
    case Fate::dropped:
      return "dropped";
    case Fate::rejected:
      return "rejected";
    case Fate::redirected:
      return "redirected";
    case Fate::translated:
      return "translated";
    case Fate::masqueraded:
      return "masqueraded";
  }
  return "";
}

std::string Trace::outcome() const {
  switch (fate) {
    case Fate::rejected:
      return "rejected with a TCP reset";
    case Fate::redirected:
      return fmt::format("redirected to port {}", port);
    case Fate::translated: {
      const std::uint32_t all = std::accumulate(
          targets.begin(), targets.end(), missed,
          [](std::uint32_t sum, const Target& target) { return sum + target.weight; });
      std::string text = "sent to ";
      for (std::size_t i = 0; i < targets.size(); ++i) {
        if (i > 0) text += i + 1 < targets.size() ? ", " : " or ";
        text += targets[i].address.text();
        if (targets[i].weight < all) text += fmt::format(" ({}/{})", targets[i].weight, all);
      }
      return text;
    }
    default:
      return name_of(fate);
  }
}

Trace trace(const Ruleset& ruleset, const Packet& packet) {
  Walk walk(packet);
  for (const auto& [priority, entry] : entries(ruleset, packet)) {
    if (!walk.through(*entry.table, *entry.chain)) break;
  }
  return std::move(walk).finish();
}

}  // namespace fairlead::nft
