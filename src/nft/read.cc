#include "nft/read.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "base/json_text.h"
#include "base/split.h"
#include "nft/render.h"

namespace fairlead::nft {
namespace {

using Json = nlohmann::json;

std::string text_of(const Json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string key_text(const Json& key) {
  if (key.is_string()) return key.get<std::string>();
  if (!key.is_object() || !key.contains("concat")) return json_text(key);
  std::string text;
  for (const Json& part : key["concat"]) {
    if (!text.empty()) text += " . ";
    text += part.is_string() ? part.get<std::string>() : json_text(part);
  }
  return text;
}

Reading reading(const Json& counter, std::string place) {
  return {.place = std::move(place),
          .packets = counter.value("packets", std::uint64_t{0}),
          .bytes = counter.value("bytes", std::uint64_t{0})};
}

void read_set(const Json& set, std::vector<Reading>& all) {
  for (const Json& wrapped : set.value("elem", Json::array())) {
    const Json* element =
        wrapped.is_object() && wrapped.contains("elem") ? &wrapped["elem"] : nullptr;
    if (element == nullptr || !element->contains("counter")) continue;
    Reading one = reading((*element)["counter"], "set " + text_of(set, "name"));
    one.key = key_text(element->value("val", Json()));
    one.comment = text_of(*element, "comment");
    all.push_back(std::move(one));
  }
}

void read_rule(const Json& rule, std::size_t place, std::vector<Reading>& all) {
  for (const Json& expression : rule.value("expr", Json::array())) {
    if (!expression.is_object() || !expression.contains("counter")) continue;
    if (!expression["counter"].is_object()) continue;  // a reference to a named counter
    Reading one = reading(expression["counter"], "chain " + text_of(rule, "chain"));
    one.rule = place;
    one.comment = text_of(rule, "comment");
    all.push_back(std::move(one));
  }
}

std::vector<Reading> read_counters(const Json& listing) {
  std::vector<Reading> all;
  std::map<std::string, std::size_t> rules;  // seen so far, by chain
  for (const Json& item : listing.at("nftables")) {
    if (item.contains("set")) read_set(item["set"], all);
    if (item.contains("rule")) {
      read_rule(item["rule"], ++rules[text_of(item["rule"], "chain")], all);
    }
    if (item.contains("counter")) {
      all.push_back(reading(item["counter"], "counter " + text_of(item["counter"], "name")));
      all.back().comment = text_of(item["counter"], "comment");
    }
  }
  return all;
}

// ── from nft's JSON to values ───────────────────────────────────────────────────────────────────

// Thrown and caught within this file: a deep descent with one way out. For what this room has no
// word for.
struct Strange {};

[[noreturn]] void refuse() {
  throw Strange();
}

std::vector<std::string> words_of(const Json& one_or_many) {
  if (one_or_many.is_array()) return one_or_many.get<std::vector<std::string>>();
  const auto text = one_or_many.get<std::string>();  // "mark", or "ipv4_addr . inet_service"
  std::vector<std::string> words;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(" . ", begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = end + 3;
  }
  return words;
}

IpAddress address_of(const Json& text) {
  Result<IpAddress> address = IpAddress::parse(text.get<std::string>());
  if (!address) refuse();
  return *address;
}

Value value_of(const Json& value) {
  if (value.is_number_unsigned()) return value.get<std::uint32_t>();
  if (value.is_string() && value == "tcp") return tcp;
  if (value.is_string() && value == "udp") return udp;
  if (value.is_string()) return address_of(value);
  if (!value.is_object() || !value.contains("prefix")) refuse();
  const Json& prefix = value["prefix"];
  return Prefix{.address = address_of(prefix.at("addr")), .length = prefix.at("len").get<int>()};
}

Tuple tuple_of(const Json& value) {
  if (!value.is_object() || !value.contains("concat")) return {value_of(value)};
  Tuple tuple;
  for (const Json& part : value["concat"]) tuple.push_back(value_of(part));
  return tuple;
}

// A match says "ip daddr 10.0.0.1" where a value of ours is a prefix of that one address.
Value operand_of(const Json& value) {
  const Value plain = value_of(value);
  const auto* address = std::get_if<IpAddress>(&plain);
  return address == nullptr ? plain : Value(host(*address));
}

std::optional<Verdict> verdict_of(const Json& said) {
  const auto called = [&](const char* word) {
    return said.at(word).at("target").get<std::string>();
  };
  if (said.contains("accept")) return Verdict{Verdict::Kind::accept, ""};
  if (said.contains("drop")) return Verdict{Verdict::Kind::drop, ""};
  if (said.contains("return")) return Verdict{Verdict::Kind::return_, ""};
  if (said.contains("jump")) return Verdict{Verdict::Kind::jump, called("jump")};
  if (said.contains("goto")) return Verdict{Verdict::Kind::go_to, called("goto")};
  return std::nullopt;
}

struct Key {
  std::vector<Field> fields;
  std::uint32_t slots = 0;
};

void read_field(const Json& said, Key& key) {
  static const std::map<std::string, Field> known{
      {"ip saddr", Field::ip_saddr},   {"ip daddr", Field::ip_daddr},
      {"ip6 saddr", Field::ip6_saddr}, {"ip6 daddr", Field::ip6_daddr},
      {"th sport", Field::sport},      {"th dport", Field::dport},
      {"tcp dport", Field::tcp_dport}, {"meta l4proto", Field::l4proto},
      {"meta mark", Field::mark},      {"meta skuid", Field::skuid},
      {"meta skgid", Field::skgid}};
  std::string name;
  if (said.contains("payload")) {
    name = text_of(said["payload"], "protocol") + " " + text_of(said["payload"], "field");
  } else if (said.contains("meta")) {
    name = "meta " + text_of(said["meta"], "key");
  } else if (said.contains("numgen")) {
    if (text_of(said["numgen"], "mode") != "random") refuse();
    key.slots = said["numgen"].at("mod").get<std::uint32_t>();
    key.fields.push_back(Field::slot);
    return;
  }
  const auto found = known.find(name);
  if (found == known.end()) refuse();
  key.fields.push_back(found->second);
}

Key key_of(const Json& said) {
  Key key;
  if (said.contains("concat")) {
    for (const Json& part : said["concat"]) read_field(part, key);
  } else {
    read_field(said, key);
  }
  return key;
}

// What a field is without the place where it stands in a packet: a destination.
Field typed(Field field) {
  if (field == Field::ip_saddr) return Field::ip_daddr;
  if (field == Field::ip6_saddr) return Field::ip6_daddr;
  if (field == Field::sport || field == Field::dport) return Field::tcp_dport;
  return field;
}

// Of a set or map. One declared by "typeof" is listed by nft 1.0 with the names of its types, and
// by nft 1.1 with the expressions.
std::vector<Field> fields_of(const Json& types) {
  static const std::map<std::string, Field> known{
      {"ipv4_addr", Field::ip_daddr}, {"ipv6_addr", Field::ip6_daddr},
      {"inet_proto", Field::l4proto}, {"inet_service", Field::tcp_dport},
      {"mark", Field::mark},          {"uid", Field::skuid},
      {"gid", Field::skgid},          {"integer", Field::slot}};
  std::vector<Field> fields;
  if (types.is_object()) {
    fields = key_of(types.at("typeof")).fields;
    std::transform(fields.begin(), fields.end(), fields.begin(), typed);
    return fields;
  }
  for (const std::string& word : words_of(types)) {
    const auto found = known.find(word);
    if (found == known.end()) refuse();
    fields.push_back(found->second);
  }
  return fields;
}

std::string name_behind(const Json& reference) {
  const auto text = reference.get<std::string>();
  return text.starts_with("@") ? text.substr(1) : text;
}

Expression match_of(const Json& match) {
  const Json& left = match.at("left");
  const Json& right = match.at("right");
  const bool negated = match.at("op") == "!=";
  if (!negated && match["op"] != "==") refuse();
  if (left.contains("fib")) {
    if (right != "local") refuse();
    return LocalDestination{.negated = negated};
  }
  const std::string meta = left.contains("meta") ? text_of(left["meta"], "key") : "";
  if (meta == "iifname" || meta == "oifname") {
    return Interface{.way = meta == "iifname" ? Interface::Way::in : Interface::Way::out,
                     .name = right.get<std::string>(),
                     .negated = negated};
  }
  Key key = key_of(left);
  if (right.is_string() && right.get<std::string>().starts_with("@")) {
    return InSet{.key = std::move(key.fields), .set = name_behind(right), .negated = negated};
  }
  Match result{.field = key.fields.front(), .negated = negated};
  const bool several = right.is_object() && right.contains("set");
  for (const Json& value : several ? right["set"] : Json::array({right})) {
    result.values.push_back(operand_of(value));
  }
  return result;
}

Expression expression_of(const Json& said) {
  if (said.contains("match")) return match_of(said["match"]);
  if (const std::optional<Verdict> verdict = verdict_of(said)) return *verdict;
  if (said.contains("counter")) {
    return Count{.counter = said["counter"].is_string() ? said["counter"].get<std::string>() : ""};
  }
  if (said.contains("redirect")) {
    return Redirect{.port = said["redirect"].at("port").get<std::uint16_t>()};
  }
  if (said.contains("masquerade")) return Masquerade{};
  if (said.contains("reject")) {
    if (text_of(said["reject"], "type") != "tcp reset") refuse();
    return RejectWithReset{};
  }
  if (said.contains("mangle")) {
    const Json& map = said["mangle"].at("value").at("map");
    return SetMark{.key = key_of(map.at("key")).fields, .map = name_behind(map.at("data"))};
  }
  if (said.contains("vmap")) {
    return VerdictMap{.key = key_of(said["vmap"].at("key")).fields.front(),
                      .map = name_behind(said["vmap"].at("data"))};
  }
  if (said.contains("dnat")) {
    const Json& map = said["dnat"].at("addr").at("map");
    Key key = key_of(map.at("key"));
    return Dnat{
        .key = std::move(key.fields), .map = name_behind(map.at("data")), .slots = key.slots};
  }
  refuse();
}

Rule rule_of(const Json& said) {
  Rule rule{.comment = text_of(said, "comment")};
  for (const Json& expression : said.at("expr"))
    rule.expressions.push_back(expression_of(expression));
  return rule;
}

Chain chain_of(const Json& said) {
  Chain chain{.name = text_of(said, "name")};
  if (!said.contains("hook")) return chain;
  Base base{.type = said.at("type") == "nat" ? ChainType::nat : ChainType::filter,
            .priority = said.at("prio").get<int>()};
  bool known = false;
  for (const Hook hook :
       {Hook::prerouting, Hook::input, Hook::forward, Hook::output, Hook::postrouting}) {
    if (said.at("hook") != name_of(hook)) continue;
    base.hook = hook;
    known = true;
  }
  const std::string type = text_of(said, "type");
  if (!known || (type != "nat" && type != "filter") || text_of(said, "policy") != "accept") {
    refuse();
  }
  chain.base = base;
  return chain;
}

// The part of an element that is its key, and its comment.
std::pair<Tuple, std::string> keyed(const Json& element) {
  if (!element.is_object() || !element.contains("elem")) return {tuple_of(element), ""};
  return {tuple_of(element["elem"].at("val")), text_of(element["elem"], "comment")};
}

Set set_of(const Json& said) {
  Set set{.name = text_of(said, "name"),
          .key = fields_of(said.at("type")),
          .comment = text_of(said, "comment")};
  for (const Json& flag : said.value("flags", Json::array())) set.ranges |= flag == "interval";
  for (const Json& statement : said.value("stmt", Json::array())) {
    set.counted |= statement.contains("counter");
  }
  for (const Json& element : said.value("elem", Json::array())) {
    set.elements.insert(keyed(element));
  }
  return set;
}

Map map_of(const Json& said) {
  Map map{.name = text_of(said, "name"),
          .key = fields_of(said.at("type")),
          .comment = text_of(said, "comment")};
  if (said.at("map") != "verdict") map.data = fields_of(said["map"]);
  for (const Json& pair : said.value("elem", Json::array())) {
    auto [key, comment] = keyed(pair.at(0));
    Mapped mapped{.comment = std::move(comment)};
    if (map.data.empty()) {
      const std::optional<Verdict> verdict = verdict_of(pair.at(1));
      if (!verdict) refuse();
      mapped.data = *verdict;
    } else {
      mapped.data = tuple_of(pair.at(1));
    }
    map.elements.emplace(std::move(key), std::move(mapped));
  }
  return map;
}

void add(const Json& item, Table& table) {
  static const std::set<std::string, std::less<>> known{"metainfo", "table", "counter", "set",
                                                        "map",      "chain", "rule"};
  for (const auto& [kind, part] : item.items()) {
    if (!known.contains(kind)) refuse();
  }
  if (item.contains("counter")) {
    const Json& counter = item["counter"];
    table.counters.push_back({text_of(counter, "name"), text_of(counter, "comment")});
  }
  if (item.contains("set")) table.sets.push_back(set_of(item["set"]));
  if (item.contains("map")) table.maps.push_back(map_of(item["map"]));
  if (item.contains("chain")) table.chains.push_back(chain_of(item["chain"]));
  if (item.contains("rule")) {
    const std::string chain = text_of(item["rule"], "chain");
    const auto home = std::find_if(table.chains.begin(), table.chains.end(),
                                   [&](const Chain& one) { return one.name == chain; });
    if (home == table.chains.end()) refuse();
    home->rules.push_back(rule_of(item["rule"]));
  }
}

// How nft prints the part of a table that has this handle; empty where it cannot be asked.
using Print = std::function<std::string(std::uint64_t handle)>;

// "a rule in the chain outbound: meta skuid 5 log", "the set other"
std::string describe(const Json& item, const Print& print) {
  const std::string& kind = item.begin().key();
  const Json& part = item.begin().value();
  if (kind != "rule") return fmt::format("the {} {}", kind, text_of(part, "name"));
  const auto handle = part.find("handle");
  const bool numbered = handle != part.end() && handle->is_number_unsigned();
  const std::string printed = numbered ? print(handle->get<std::uint64_t>()) : "";
  return fmt::format("a rule in the chain {}{}{}", text_of(part, "chain"),
                     printed.empty() ? "" : ": ", printed);
}

Result<Table> table_of(const Json& listing, TableFamily family, const std::string& name,
                       const Print& print) {
  Table table{.family = family, .name = name};
  for (const Json& item : listing.at("nftables")) {
    const auto strange = [&] {
      return unsupported(fmt::format("the table {} {} holds what fairlead does not make: {}",
                                     name_of(family), name, describe(item, print)));
    };
    try {
      add(item, table);
    } catch (const Strange&) {
      return strange();
    } catch (const Json::exception&) {
      return strange();
    }
  }
  return table;
}

std::string list_command(TableFamily family, const std::string& table) {
  return fmt::format("list table {} {}", name_of(family), table);
}

// A part of a table has a number that no other part of it has; the table's own, which stands at the
// left, may be the same.
Print printing(Kernel& kernel, TableFamily family, const std::string& table) {
  return [&kernel, command = list_command(family, table)](std::uint64_t handle) -> std::string {
    const Result<std::string> listing = kernel.ask(command, Kernel::Form::handles);
    if (!listing) return "";
    const std::string ending = fmt::format(" # handle {}", handle);
    for (std::string_view line : split(*listing, '\n')) {
      if (!line.starts_with('\t') || !line.ends_with(ending)) continue;
      line.remove_suffix(ending.size());
      return std::string(line.substr(line.find_first_not_of('\t')));
    }
    return "";
  };
}

Fault unreadable(const std::string& table) {
  return unsupported(fmt::format("nft's listing of the table {} cannot be read", table));
}

Result<Json> parsed(std::string_view listing, const std::string& table) {
  Json json = Json::parse(listing, nullptr, false);
  if (json.is_object() && json.contains("nftables")) return json;
  return unreadable(table);
}

// As JSON. Not asked for when the table is dormant: see is_dormant.
Result<Json> listed(Kernel& kernel, TableFamily family, const std::string& table) {
  const Result<bool> dormant = is_dormant(kernel, family, table);
  if (!dormant) return dormant.fault();
  if (*dormant) {
    return unsupported(
        fmt::format("the table {} {} is dormant: its rules stand there, and none is in force",
                    name_of(family), table));
  }
  const Result<std::string> text = kernel.ask(list_command(family, table), Kernel::Form::json);
  if (!text) return text.fault();
  return parsed(*text, table);
}

}  // namespace

Result<bool> exists(Kernel& kernel, TableFamily family, const std::string& table) {
  Result<std::string> tables = kernel.ask("list tables");
  if (!tables) return std::move(tables).fault();
  return ("\n" + *tables).find(fmt::format("\ntable {} {}\n", name_of(family), table)) !=
         std::string::npos;
}

Result<bool> is_dormant(Kernel& kernel, TableFamily family, const std::string& table) {
  const Result<std::string> listing = kernel.ask(list_command(family, table), Kernel::Form::heads);
  if (!listing) return listing.fault();
  // Flags of sets stand further in.
  const std::string before = "\n\tflags ";
  const std::size_t flags = listing->find(before);
  if (flags == std::string::npos) return false;
  const std::size_t end = listing->find('\n', flags + before.size());
  return listing->substr(flags, end - flags).find("dormant") != std::string::npos;
}

Result<std::string> list(Kernel& kernel, TableFamily family, const std::string& table) {
  return kernel.ask(list_command(family, table));
}

Result<Table> read(Kernel& kernel, TableFamily family, const std::string& table) {
  const Result<Json> listing = listed(kernel, family, table);
  if (!listing) return listing.fault();
  return table_of(*listing, family, table, printing(kernel, family, table));
}

Result<Table> read_listing(std::string_view json, TableFamily family, const std::string& table) {
  const Result<Json> listing = parsed(json, table);
  if (!listing) return listing.fault();
  return table_of(*listing, family, table, [](std::uint64_t) { return std::string(); });
}

Result<Set> read_set(Kernel& kernel, TableFamily family, const std::string& table,
                     const std::string& set) {
  const Result<std::string> listing =
      kernel.ask(fmt::format("list set {} {} {}", name_of(family), table, set), Kernel::Form::json);
  if (!listing) return listing.fault();
  const Result<Table> around = read_listing(*listing, family, table);
  if (!around) return around.fault();
  if (around->sets.size() == 1) return around->sets.front();
  return missing(fmt::format("the table {} {} has no set {}", name_of(family), table, set));
}

Rule as_listed(Rule rule) {
  const Expression only_tcp = Match{.field = Field::l4proto, .values = {tcp}};
  Rule listed = rule;
  const auto said = std::find(listed.expressions.begin(), listed.expressions.end(), only_tcp);
  if (said == listed.expressions.end()) return rule;
  listed.expressions.erase(said);
  bool implied = false;
  const auto look_at = [&](Field& field) {
    if (field == Field::dport) field = Field::tcp_dport;
    implied |= field == Field::tcp_dport;
  };
  const auto look_at_all = [&](std::vector<Field>& key) {
    for (Field& field : key) look_at(field);
  };
  for (Expression& expression : listed.expressions) {
    if (auto* match = std::get_if<Match>(&expression)) look_at(match->field);
    if (auto* in = std::get_if<InSet>(&expression)) look_at_all(in->key);
    if (auto* mark = std::get_if<SetMark>(&expression)) look_at_all(mark->key);
    if (auto* dnat = std::get_if<Dnat>(&expression)) look_at_all(dnat->key);
  }
  return implied ? listed : rule;
}

Result<std::vector<Reading>> counters(Kernel& kernel, TableFamily family,
                                      const std::string& table) {
  const Result<Json> listing = listed(kernel, family, table);
  if (!listing) return listing.fault();
  try {
    return read_counters(*listing);
  } catch (const Json::exception&) {
    return unreadable(table);
  }
}

}  // namespace fairlead::nft
