#include "nft/render.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace fairlead::nft {
namespace {

std::string name_of(Field field, std::uint32_t slots) {
  switch (field) {
    case Field::ip_saddr:
      return "ip saddr";
    case Field::ip_daddr:
      return "ip daddr";
    case Field::ip6_saddr:
      return "ip6 saddr";
    case Field::ip6_daddr:
      return "ip6 daddr";
    case Field::l4proto:
      return "meta l4proto";
    case Field::sport:
      return "th sport";
    case Field::dport:
      return "th dport";
    case Field::tcp_dport:
      return "tcp dport";
    case Field::mark:
      return "meta mark";
    case Field::skuid:
      return "meta skuid";
    case Field::skgid:
      return "meta skgid";
    case Field::slot:
      return fmt::format("numgen random mod {}", slots);
  }
  return "";
}

template <class Range, class Write>
std::string join(const Range& range, const char* between, Write write) {
  std::string text;
  for (const auto& one : range) {
    if (!text.empty()) text += between;
    text += write(one);
  }
  return text;
}

std::string concatenation(const std::vector<Field>& fields, std::uint32_t slots) {
  return join(fields, " . ", [&](Field field) { return name_of(field, slots); });
}

const char* type_of(Field field) {
  switch (field) {
    case Field::ip_saddr:
    case Field::ip_daddr:
      return "ipv4_addr";
    case Field::ip6_saddr:
    case Field::ip6_daddr:
      return "ipv6_addr";
    case Field::l4proto:
      return "inet_proto";
    case Field::sport:
    case Field::dport:
    case Field::tcp_dport:
      return "inet_service";
    case Field::mark:
      return "mark";
    case Field::skuid:
      return "uid";
    case Field::skgid:
      return "gid";
    case Field::slot:
      return "";  // a plain number has no name as a type, see declared_key
  }
  return "";
}

bool has_slot(const std::vector<Field>& fields) {
  return std::find(fields.begin(), fields.end(), Field::slot) != fields.end();
}

// "type ..." where it can be said, else "typeof ...": nft 1.0.6 evaluates a typeof again, with the
// protocol of the rule that looks it up, and then finds a conflict where there is none. The modulus
// of a slot says only that the part is a number; its size is not looked at.
std::string declared_key(const std::vector<Field>& key) {
  if (has_slot(key)) return "typeof " + concatenation(key, 2);
  return "type " + join(key, " . ", [](Field field) { return std::string(type_of(field)); });
}

std::string declared_data(const Map& map) {
  if (map.data.empty()) return "verdict";
  if (has_slot(map.key)) return concatenation(map.data, 0);
  return join(map.data, " . ", [](Field field) { return std::string(type_of(field)); });
}

std::string comment_suffix(const std::string& comment) {
  return comment.empty() ? "" : " comment " + quoted(comment);
}

std::string write(const Match& match) {
  const std::string values =
      join(match.values, ", ", [&](const Value& value) { return render(value, match.field); });
  const std::string wanted = match.values.size() == 1 ? values : "{ " + values + " }";
  return fmt::format("{} {}{}", name_of(match.field, 0), match.negated ? "!= " : "", wanted);
}

std::string write(const Interface& interface) {
  return fmt::format("{} {}\"{}\"", interface.way == Interface::Way::in ? "iifname" : "oifname",
                     interface.negated ? "!= " : "", interface.name);
}

std::string write(const InSet& in) {
  return fmt::format("{} {}@{}", concatenation(in.key, 0), in.negated ? "!= " : "", in.set);
}

std::string write(const LocalDestination& local) {
  return local.negated ? "fib daddr type != local" : "fib daddr type local";
}

std::string write(const Count& count) {
  return count.counter.empty() ? "counter" : fmt::format("counter name \"{}\"", count.counter);
}

std::string write(const SetMark& set) {
  return fmt::format("meta mark set {} map @{}", concatenation(set.key, 0), set.map);
}

std::string write(const VerdictMap& lookup) {
  return fmt::format("{} vmap @{}", name_of(lookup.key, 0), lookup.map);
}

std::string write(const Verdict& verdict) {
  switch (verdict.kind) {
    case Verdict::Kind::accept:
      return "accept";
    case Verdict::Kind::drop:
      return "drop";
    case Verdict::Kind::return_:
      return "return";
    case Verdict::Kind::jump:
      return "jump " + verdict.chain;
    case Verdict::Kind::go_to:
      return "goto " + verdict.chain;
  }
  return "";
}

std::string write(const Redirect& redirect) {
  return fmt::format("redirect to :{}", redirect.port);
}

std::string write(const Dnat& dnat) {
  const bool v6 = !dnat.key.empty() &&
                  (dnat.key.front() == Field::ip6_daddr || dnat.key.front() == Field::ip6_saddr);
  return fmt::format("dnat {} to {} map @{}", v6 ? "ip6" : "ip",
                     concatenation(dnat.key, dnat.slots), dnat.map);
}

std::string write(const Masquerade&) {
  return "masquerade fully-random";  // two connections at one moment must not choose one port
}

std::string write(const RejectWithReset&) {
  return "reject with tcp reset";
}

template <class Elements, class Write>
void append_elements(std::string& out, const Elements& elements, Write write_one) {
  if (elements.empty()) return;
  out += "\t\telements = { ";
  bool first = true;
  for (const auto& [key, value] : elements) {
    if (!first) out += ",\n\t\t\t     ";
    first = false;
    out += write_one(key, value);
  }
  out += " }\n";
}

std::string lines_of(const std::string& declared) {
  // "{ a; b; }" with each part on a line of its own.
  std::string out;
  std::string part;
  bool in_quotes = false;
  for (std::size_t i = 2; i + 1 < declared.size(); ++i) {
    const char c = declared[i];
    if (c == '"') in_quotes = !in_quotes;
    if (c == ';' && !in_quotes) {
      out += "\t\t" + part + "\n";
      part.clear();
      ++i;  // the space behind it
    } else {
      part += c;
    }
  }
  return out;
}

void append(std::string& out, const Chain& chain) {
  fmt::format_to(std::back_inserter(out), "\tchain {} {{\n", chain.name);
  if (const auto* base = std::get_if<Base>(&chain.base)) {
    fmt::format_to(std::back_inserter(out), "\t\ttype {} hook {} priority {}; policy accept;\n",
                   base->type == ChainType::nat ? "nat" : "filter", name_of(base->hook),
                   base->priority);
  }
  if (!chain.comment.empty()) out += "\t\tcomment " + quoted(chain.comment) + "\n";
  for (const Rule& rule : chain.rules) out += "\t\t" + render(rule) + "\n";
  out += "\t}\n";
}

void append(std::string& out, const Table& table) {
  fmt::format_to(std::back_inserter(out), "table {} {} {{\n", name_of(table.family), table.name);
  if (!table.comment.empty()) out += "\tcomment " + quoted(table.comment) + "\n";
  for (const Counter& counter : table.counters) {
    fmt::format_to(std::back_inserter(out), "\tcounter {} {{\n", counter.name);
    if (!counter.comment.empty()) out += "\t\tcomment " + quoted(counter.comment) + "\n";
    out += "\t}\n";
  }
  for (const Set& set : table.sets) {
    fmt::format_to(std::back_inserter(out), "\tset {} {{\n{}", set.name,
                   lines_of(declaration(set)));
    append_elements(out, set.elements, [&](const Tuple& key, const std::string& comment) {
      return element(set, key, comment);
    });
    out += "\t}\n";
  }
  for (const Map& map : table.maps) {
    fmt::format_to(std::back_inserter(out), "\tmap {} {{\n{}", map.name,
                   lines_of(declaration(map)));
    append_elements(out, map.elements, [&](const Tuple& key, const Mapped& mapped) {
      return element(map, key, mapped);
    });
    out += "\t}\n";
  }
  for (const Chain& chain : table.chains) append(out, chain);
  out += "}\n";
}

std::string braced(const std::string& parts) {
  return parts.empty() ? "" : "{ " + parts + "}";
}

}  // namespace

const char* name_of(TableFamily family) {
  switch (family) {
    case TableFamily::ip:
      return "ip";
    case TableFamily::ip6:
      return "ip6";
    case TableFamily::inet:
      return "inet";
  }
  return "";
}

const char* name_of(Hook hook) {
  switch (hook) {
    case Hook::prerouting:
      return "prerouting";
    case Hook::input:
      return "input";
    case Hook::forward:
      return "forward";
    case Hook::output:
      return "output";
    case Hook::postrouting:
      return "postrouting";
  }
  return "";
}

std::string render(const Prefix& prefix) {
  const int whole = prefix.address.is_v4() ? 32 : 128;
  if (prefix.length == whole) return prefix.address.text();
  return fmt::format("{}/{}", prefix.address.text(), prefix.length);
}

std::string render(const Value& value, Field field) {
  if (const auto* address = std::get_if<IpAddress>(&value)) return address->text();
  if (const auto* prefix = std::get_if<Prefix>(&value)) return render(*prefix);
  const std::uint32_t number = std::get<std::uint32_t>(value);
  if (field == Field::l4proto && number == tcp) return "tcp";
  if (field == Field::l4proto && number == udp) return "udp";
  if (field == Field::mark) return fmt::format("0x{:08x}", number);
  return std::to_string(number);
}

std::string render(const Tuple& tuple) {
  return join(tuple, " . ", [](const Value& value) { return render(value, Field::dport); });
}

std::string render(const Tuple& tuple, const std::vector<Field>& fields) {
  std::string text;
  for (std::size_t i = 0; i < tuple.size(); ++i) {
    if (i > 0) text += " . ";
    text += render(tuple[i], i < fields.size() ? fields[i] : Field::dport);
  }
  return text;
}

std::string render(const Expression& expression) {
  return std::visit([](const auto& one) { return write(one); }, expression);
}

std::string render(const Verdict& verdict) {
  return write(verdict);
}

std::string render(const Rule& rule) {
  return join(rule.expressions, " ", [](const Expression& one) { return render(one); }) +
         comment_suffix(rule.comment);
}

std::string render(const Ruleset& ruleset) {
  std::string out;
  for (const Table& table : ruleset.tables) append(out, table);
  return out;
}

std::string declaration(const Set& set) {
  std::string parts = declared_key(set.key) + "; ";
  if (set.ranges) parts += "flags interval; ";
  if (set.counted) parts += "counter; ";
  if (!set.comment.empty()) parts += "comment " + quoted(set.comment) + "; ";
  return braced(parts);
}

std::string declaration(const Map& map) {
  std::string parts = fmt::format("{} : {}; ", declared_key(map.key), declared_data(map));
  if (!map.comment.empty()) parts += "comment " + quoted(map.comment) + "; ";
  return braced(parts);
}

std::string declaration(const Chain& chain) {
  std::string parts;
  if (const auto* base = std::get_if<Base>(&chain.base)) {
    parts = fmt::format("type {} hook {} priority {}; policy accept; ",
                        base->type == ChainType::nat ? "nat" : "filter", name_of(base->hook),
                        base->priority);
  }
  if (!chain.comment.empty()) parts += "comment " + quoted(chain.comment) + "; ";
  return braced(parts);
}

std::string element(const Set& set, const Tuple& key, const std::string& comment) {
  return render(key, set.key) + (set.counted ? " counter" : "") + comment_suffix(comment);
}

std::string element(const Map& map, const Tuple& key, const Mapped& mapped) {
  const auto* verdict = std::get_if<Verdict>(&mapped.data);
  const std::string data =
      verdict != nullptr ? write(*verdict) : render(std::get<Tuple>(mapped.data), map.data);
  return render(key, map.key) + comment_suffix(mapped.comment) + " : " + data;
}

std::string quoted(const std::string& comment) {
  constexpr std::size_t most = 128;  // nft's limit, in bytes
  std::string text = "\"";
  for (const char c : comment.substr(0, most)) {
    const auto byte = static_cast<unsigned char>(c);
    text += c == '"' ? '\'' : (byte < 0x20 || byte == 0x7f) ? ' ' : c;
  }
  if (comment.size() > most) {
    // Not in the middle of a UTF-8 character.
    const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };
    std::size_t end = most;
    while (end > 0 && continues(comment[end])) --end;
    text.resize(1 + end);
  }
  return text + "\"";
}

}  // namespace fairlead::nft
