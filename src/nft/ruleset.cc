#include "nft/ruleset.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "nft/named.h"
#include "nft/render.h"

namespace fairlead::nft {
namespace {

IpAddress cut(const IpAddress& address, int length) {
  auto bytes = address.bytes();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int kept = std::clamp(length - static_cast<int>(i) * 8, 0, 8);
    bytes[i] &= static_cast<std::uint8_t>(0xff00 >> kept);
  }
  if (address.is_v4()) return IpAddress::v4({bytes[0], bytes[1], bytes[2], bytes[3]});
  return IpAddress::v6(bytes);
}

bool fits(const Value& value, Field field) {
  const auto family_fits = [&](Family family) {
    if (field == Field::ip_saddr || field == Field::ip_daddr) return family == Family::v4;
    if (field == Field::ip6_saddr || field == Field::ip6_daddr) return family == Family::v6;
    return false;
  };
  if (const auto* address = std::get_if<IpAddress>(&value)) return family_fits(address->family());
  if (const auto* prefix = std::get_if<Prefix>(&value)) {
    return family_fits(prefix->address.family()) && prefix->length >= 0 &&
           prefix->length <= (prefix->address.is_v4() ? 32 : 128);
  }
  const std::uint32_t number = std::get<std::uint32_t>(value);
  switch (field) {
    case Field::l4proto:
      return number <= 0xff;
    case Field::sport:
    case Field::dport:
    case Field::tcp_dport:
      return number <= 0xffff;
    case Field::mark:
    case Field::skuid:
    case Field::skgid:
    case Field::slot:
      return true;
    default:
      return false;
  }
}

bool fits(const Tuple& tuple, const std::vector<Field>& fields) {
  return std::equal(tuple.begin(), tuple.end(), fields.begin(), fields.end(),
                    [](const Value& value, Field field) { return fits(value, field); });
}

// Goes through one table and keeps the first thing that is wrong.
class Inspection {
 public:
  explicit Inspection(const Table& table) : table_(table) {}

  Result<> run() {
    for (const Set& set : table_.sets) inspect(set);
    for (const Map& map : table_.maps) inspect(map);
    for (const Chain& chain : table_.chains) {
      for (std::size_t i = 0; i < chain.rules.size(); ++i) {
        place_ = fmt::format("rule {} of chain {}", i + 1, chain.name);
        for (const Expression& expression : chain.rules[i].expressions) inspect(expression);
      }
      std::set<std::string> above;
      descend(chain, above);
    }
    if (wrong_.empty()) return done();
    return invalid(fmt::format("table {}: {}", table_.name, wrong_));
  }

 private:
  void complain(std::string message) {
    if (wrong_.empty()) wrong_ = std::move(message);
  }

  void inspect(const Set& set) {
    for (const auto& [key, comment] : set.elements) {
      if (!fits(key, set.key)) {
        complain(fmt::format("set {}: {} is not of its key's kind", set.name, render(key)));
      }
    }
  }

  void inspect(const Map& map) {
    const auto has = [&](const std::vector<Field>& fields, Field field) {
      return std::count(fields.begin(), fields.end(), field) > 0;
    };
    if (has(map.key, Field::slot) && (has(map.key, Field::dport) || has(map.data, Field::dport))) {
      complain(
          fmt::format("map {}: a map with slots belongs to one transport: use tcp_dport, nft "
                      "1.0.6 cannot look up any other",
                      map.name));
    }
    for (const auto& [key, mapped] : map.elements) {
      if (!fits(key, map.key)) {
        complain(fmt::format("map {}: {} is not of its key's kind", map.name, render(key)));
      }
      if (const auto* verdict = std::get_if<Verdict>(&mapped.data)) {
        place_ = fmt::format("map {}", map.name);
        inspect(*verdict);
        if (!map.data.empty()) complain(fmt::format("map {} holds no verdicts", map.name));
      } else if (!fits(std::get<Tuple>(mapped.data), map.data)) {
        complain(fmt::format("map {}: the data of {} is not of its kind", map.name, render(key)));
      }
    }
  }

  void inspect(const Expression& expression) {
    std::visit([&](const auto& one) { inspect(one); }, expression);
  }
  void inspect(const Match& match) {
    if (match.values.empty()) complain(fmt::format("{} matches nothing", place_));
    for (const Value& value : match.values) {
      if (!fits(value, match.field)) {
        complain(fmt::format("{}: {} is not of its field's kind", place_, render({value})));
      }
    }
  }
  void inspect(const InSet& in) {
    const Set* set = table_.set(in.set);
    if (set == nullptr) return complain(fmt::format("{} names no set: {}", place_, in.set));
    if (set->key.size() != in.key.size()) misfit(in.set);
  }
  void inspect(const Count& count) {
    if (!count.counter.empty() && find_named(table_.counters, count.counter) == nullptr) {
      complain(fmt::format("{} names no counter: {}", place_, count.counter));
    }
  }
  void inspect(const SetMark& set_mark) { inspect_lookup(set_mark.key, set_mark.map, 1); }
  void inspect(const VerdictMap& lookup) { inspect_lookup({lookup.key}, lookup.map, 0); }
  void inspect(const Dnat& dnat) {
    inspect_lookup(dnat.key, dnat.map, 2);
    const bool chooses = std::count(dnat.key.begin(), dnat.key.end(), Field::slot) > 0;
    if (chooses != (dnat.slots > 0)) {
      complain(fmt::format("{}: slots without a slot in the key, or the reverse", place_));
    }
  }
  void inspect(const Verdict& verdict) {
    const bool calls = verdict.kind == Verdict::Kind::jump || verdict.kind == Verdict::Kind::go_to;
    if (calls && table_.chain(verdict.chain) == nullptr) {
      complain(fmt::format("{} names no chain: {}", place_, verdict.chain));
    }
  }
  void inspect(const Redirect& redirect) {
    if (redirect.port == 0) complain(fmt::format("{} redirects to port 0", place_));
  }
  void inspect(const Interface& interface) {
    if (interface.name.empty() || interface.name.size() > 15) {
      complain(fmt::format("{}: '{}' is no interface's name", place_, interface.name));
    }
  }
  void inspect(const LocalDestination&) {}
  void inspect(const Masquerade&) {}
  void inspect(const RejectWithReset&) {}

  void inspect_lookup(const std::vector<Field>& key, const std::string& name, std::size_t width) {
    const Map* map = table_.map(name);
    if (map == nullptr) return complain(fmt::format("{} names no map: {}", place_, name));
    if (map->key.size() != key.size() || map->data.size() != width) misfit(name);
  }
  void misfit(const std::string& name) {
    complain(fmt::format("{} looks up {} with a key or for data of another width", place_, name));
  }

  void descend(const Chain& chain, std::set<std::string>& above) {
    // No loops, and no deeper than the kernel's limit of calls.
    constexpr std::size_t deepest = 16;
    if (!above.insert(chain.name).second) {
      return complain(fmt::format("chain {} calls itself", chain.name));
    }
    if (above.size() > deepest) complain(fmt::format("chain {} is called too deep", chain.name));
    const auto follow = [&](const Verdict& verdict) {
      const Chain* next = verdict.chain.empty() ? nullptr : table_.chain(verdict.chain);
      if (next != nullptr && wrong_.empty()) descend(*next, above);
    };
    for (const Rule& rule : chain.rules) {
      for (const Expression& expression : rule.expressions) {
        if (const auto* verdict = std::get_if<Verdict>(&expression)) follow(*verdict);
        const auto* lookup = std::get_if<VerdictMap>(&expression);
        const Map* map = lookup == nullptr ? nullptr : table_.map(lookup->map);
        if (map == nullptr) continue;
        for (const auto& [key, mapped] : map->elements) {
          if (const auto* verdict = std::get_if<Verdict>(&mapped.data)) follow(*verdict);
        }
      }
    }
    above.erase(chain.name);
  }

  const Table& table_;
  std::string place_;
  std::string wrong_;
};

}  // namespace

const Set* Table::set(const std::string& wanted) const LIFETIMEBOUND {
  return find_named(sets, wanted);
}

const Map* Table::map(const std::string& wanted) const LIFETIMEBOUND {
  return find_named(maps, wanted);
}

const Chain* Table::chain(const std::string& wanted) const LIFETIMEBOUND {
  return find_named(chains, wanted);
}

const Table* Ruleset::table(const std::string& name) const LIFETIMEBOUND {
  return find_named(tables, name);
}

Match source(const Prefix& prefix) {
  const Field field = prefix.address.is_v4() ? Field::ip_saddr : Field::ip6_saddr;
  return {.field = field, .values = {prefix}};
}

Match destination(const Prefix& prefix) {
  const Field field = prefix.address.is_v4() ? Field::ip_daddr : Field::ip6_daddr;
  return {.field = field, .values = {prefix}};
}

Prefix host(const IpAddress& address) {
  return {.address = address, .length = address.is_v4() ? 32 : 128};
}

Result<Prefix> parse_prefix(const std::string& text) {
  const std::size_t slash = text.find('/');
  Result<IpAddress> address = IpAddress::parse(text.substr(0, slash));
  if (!address) return std::move(address).fault();
  if (slash == std::string::npos) return host(*address);
  const int most = address->is_v4() ? 32 : 128;
  int length = -1;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + slash + 1, end, length);
  if (error != std::errc{} || stop != end || length < 0 || length > most) {
    return invalid(
        fmt::format("'{}': after the slash a length from 0 to {} is expected", text, most));
  }
  return Prefix{.address = cut(*address, length), .length = length};
}

Result<> check(const Ruleset& ruleset) {
  for (const Table& table : ruleset.tables) {
    if (Result<> result = Inspection(table).run(); !result) return result;
  }
  return done();
}

}  // namespace fairlead::nft
