#include "intercept/rules.h"

#include <fmt/format.h>

#include <algorithm>

#include "intercept/record.h"

namespace fairlead::intercept {
namespace {

using nft::Base;
using nft::Chain;
using nft::Count;
using nft::Expression;
using nft::Field;
using nft::Hook;
using nft::Interface;
using nft::Match;
using nft::Redirect;
using nft::Rule;
using nft::Table;
using nft::TableFamily;
using nft::Value;
using nft::Verdict;

constexpr char to_outbound[] = "redirect-outbound";
constexpr char to_inbound[] = "redirect-inbound";

const nft::Prefix v6_loopback = nft::host(IpAddress::v6({0, 0, 0, 0, 0, 0, 0, 0,  //
                                                         0, 0, 0, 0, 0, 0, 0, 1}));
// From where the proxy hands connections to the app of its own pod.
const nft::Prefix v4_handover = nft::host(IpAddress::v4({127, 0, 0, 6}));
const nft::Prefix v6_handover = nft::host(IpAddress::v6({0, 0, 0, 0, 0, 0, 0, 0,  //
                                                         0, 0, 0, 0, 0, 0, 0, 6}));

// ── words for rules ─────────────────────────────────────────────────────────────────────────────

Verdict returns() {
  return {.kind = Verdict::Kind::return_};
}

Verdict jump(const char* chain) {
  return {.kind = Verdict::Kind::jump, .chain = chain};
}

Match is_tcp() {
  return {.field = Field::l4proto, .values = {nft::tcp}};
}

Match port(std::uint16_t number) {
  return {.field = Field::tcp_dport, .values = {std::uint32_t{number}}};
}

Match ports(const std::vector<std::uint16_t>& numbers) {
  Match match{.field = Field::tcp_dport};
  for (const std::uint16_t number : numbers) match.values.emplace_back(std::uint32_t{number});
  return match;
}

template <class Condition>
Condition except(Condition condition) {
  condition.negated = !condition.negated;
  return condition;
}

Interface leaves_by(std::string name) {
  return {.way = Interface::Way::out, .name = std::move(name)};
}

Interface comes_by(std::string name) {
  return {.way = Interface::Way::in, .name = std::move(name)};
}

// Counted, so that `show` can say how many connections each rule has decided.
Rule rule(std::vector<Expression> conditions, Expression what, std::string comment) {
  conditions.emplace_back(Count{});
  conditions.push_back(std::move(what));
  return {.expressions = std::move(conditions), .comment = std::move(comment)};
}

Chain base_chain(const char* name, Hook hook, std::string comment) {
  return {.name = name, .base = Base{.hook = hook}, .comment = std::move(comment)};
}

// ── the parts of the table ──────────────────────────────────────────────────────────────────────

// One way to know the proxy: its user, its group, or the mark on its sockets.
struct Identity {
  Match match;
  std::string name;  // "uid 1337"
};

std::vector<Identity> identities(const Settings& settings) {
  std::vector<Identity> all;
  if (settings.exemption == Exemption::mark) {
    all.push_back(
        {{.field = Field::mark, .values = {proxy_mark}}, fmt::format("mark {:#x}", proxy_mark)});
    return all;
  }
  for (const std::uint32_t uid : settings.proxy_uids) {
    all.push_back({{.field = Field::skuid, .values = {uid}}, fmt::format("uid {}", uid)});
  }
  for (const std::uint32_t gid : settings.proxy_gids) {
    all.push_back({{.field = Field::skgid, .values = {gid}}, fmt::format("gid {}", gid)});
  }
  return all;
}

class Capture {
 public:
  explicit Capture(const Settings& settings) : settings_(settings) {}

  nft::Ruleset build() {
    Table table{.family = settings_.dual_stack ? TableFamily::inet : TableFamily::ip,
                .name = table_name,
                .comment = "fairlead: takes TCP connections to the proxy"};
    table.sets.push_back(record_of(settings_));
    table.chains.push_back(
        redirect(to_outbound, settings_.outbound_port, "to the proxy, outbound"));
    table.chains.push_back(redirect(to_inbound, settings_.inbound_port, "to the proxy, inbound"));
    table.chains.push_back(inbound());
    table.chains.push_back(outbound());
    table.chains.push_back(prerouting());
    table.chains.push_back(output());
    return {.tables = {std::move(table)}};
  }

 private:
  static Chain redirect(const char* name, std::uint16_t port, const char* comment) {
    Chain chain{.name = name};
    chain.rules.push_back(rule({is_tcp()}, Redirect{port}, comment));
    return chain;
  }

  Chain prerouting() {
    Chain chain = base_chain("prerouting", Hook::prerouting, "connections that come to the pod");
    for (const std::string& name : settings_.interfaces_excluded) {
      chain.rules.push_back(rule({comes_by(name)}, returns(), "interface excluded"));
    }
    chain.rules.push_back(rule({is_tcp()}, jump("inbound"), "every TCP connection from outside"));
    return chain;
  }

  Chain inbound() {
    Chain chain{.name = "inbound"};
    chain.rules.push_back(
        rule({port(settings_.tunnel_port)}, returns(), "tunnel port: has a listener of its own"));
    if (!settings_.inbound_ports.all) {
      if (!settings_.inbound_ports.list.empty()) {
        chain.rules.push_back(rule({ports(settings_.inbound_ports.list)}, jump(to_inbound),
                                   "inbound ports captured"));
      }
      chain.rules.push_back(rule({is_tcp()}, returns(), "all other inbound: not asked for"));
      return chain;
    }
    if (!settings_.inbound_ports_excluded.empty()) {
      chain.rules.push_back(
          rule({ports(settings_.inbound_ports_excluded)}, returns(),
               "inbound ports excluded: the proxy's own, for probes and metrics"));
    }
    chain.rules.push_back(rule({is_tcp()}, jump(to_inbound), "all other inbound"));
    return chain;
  }

  Chain output() {
    Chain chain = base_chain("output", Hook::output, "connections that the pod opens");
    for (const std::string& name : settings_.interfaces_excluded) {
      chain.rules.push_back(rule({leaves_by(name)}, returns(), "interface excluded"));
    }
    chain.rules.push_back(rule({is_tcp()}, jump("outbound"), "every TCP connection opened here"));
    return chain;
  }

  Chain outbound() {
    outbound_ = {.name = "outbound"};
    if (!settings_.outbound_ports_excluded.empty()) {
      say({ports(settings_.outbound_ports_excluded)}, returns(), "outbound ports excluded");
    }
    both({leaves_by("lo")}, nft::source(v4_handover), nft::source(v6_handover), returns(),
         "the proxy hands a connection to the app");
    for (const Identity& proxy : identities(settings_)) exempt(proxy);
    if (!settings_.owner_groups.all && settings_.owner_groups.list.empty()) {
      say({is_tcp()}, returns(), "all other outbound: no group's traffic is asked for");
      return std::move(outbound_);
    }
    choose_groups();
    both({}, nft::destination(settings_.loopback), nft::destination(v6_loopback), returns(),
         "loopback: the app to itself");
    for (const nft::Prefix& range : settings_.outbound_ranges_excluded) {
      family({nft::destination(range)}, range, returns(), "outbound range excluded");
    }
    if (!settings_.outbound_ports.empty()) {
      say({ports(settings_.outbound_ports)}, jump(to_outbound), "outbound ports captured");
    }
    choose_ranges();
    return std::move(outbound_);
  }

  void exempt(const Identity& proxy) {
    std::vector<Expression> own_call{leaves_by("lo"), except(port(settings_.tunnel_port)),
                                     proxy.match};
    both(own_call, except(nft::destination(settings_.loopback)),
         except(nft::destination(v6_loopback)), jump(to_inbound),
         fmt::format("the proxy ({}) calls its own pod: inbound from here", proxy.name));
    if (!captures_loopback()) {
      say({leaves_by("lo"), except(proxy.match)}, returns(),
          fmt::format("the app (not {}) calls its own pod: directly", proxy.name));
    }
    say({proxy.match}, returns(), fmt::format("the proxy ({}) goes out: no loop", proxy.name));
  }

  [[nodiscard]] bool captures_loopback() const {
    return std::any_of(settings_.outbound_ranges.list.begin(), settings_.outbound_ranges.list.end(),
                       [](const nft::Prefix& range) { return range.address.is_loopback(); });
  }

  void choose_groups() {
    if (!settings_.owner_groups.all) {
      Match match{.field = Field::skgid, .negated = true};
      for (const std::uint32_t gid : settings_.owner_groups.list) match.values.emplace_back(gid);
      say({match}, returns(), "owned by a group whose traffic is not captured");
    }
    if (!settings_.owner_groups_excluded.empty()) {
      Match match{.field = Field::skgid};
      for (const std::uint32_t gid : settings_.owner_groups_excluded)
        match.values.emplace_back(gid);
      say({match}, returns(), "owner group excluded");
    }
  }

  void choose_ranges() {
    if (settings_.outbound_ranges.all) {
      say({is_tcp()}, jump(to_outbound), "all other outbound");
      return;
    }
    for (const nft::Prefix& range : settings_.outbound_ranges.list) {
      family({nft::destination(range)}, range, jump(to_outbound), "outbound range captured");
    }
    say({is_tcp()}, returns(), "all other outbound: not asked for");
  }

  void say(std::vector<Expression> conditions, Expression what, std::string comment) {
    outbound_.rules.push_back(rule(std::move(conditions), std::move(what), std::move(comment)));
  }

  // A rule for the family of `prefix`, left out when that family is left alone.
  void family(std::vector<Expression> conditions, const nft::Prefix& prefix, Expression what,
              std::string comment) {
    if (!prefix.address.is_v4() && !settings_.dual_stack) return;
    say(std::move(conditions), std::move(what), std::move(comment));
  }

  // One rule a family: an address can be compared only with one of its own.
  void both(const std::vector<Expression>& conditions, const Match& v4, const Match& v6,
            const Expression& what, const std::string& comment) {
    for (const Match& address : {v4, v6}) {
      if (address.field == v6.field && !settings_.dual_stack) continue;
      std::vector<Expression> all = conditions;
      all.insert(all.begin(), address);
      say(std::move(all), what, comment);
    }
  }

  const Settings& settings_;
  Chain outbound_;
};

// ── what cannot be ──────────────────────────────────────────────────────────────────────────────

Result<> check_interface(const std::string& name) {
  if (name == "*") {
    return invalid(
        "'*' would leave every interface alone: name one (-c), or the beginning of some "
        "with * at its end, as eth*");
  }
  const bool sound = !name.empty() && name.size() <= 15 &&
                     name.find_first_of(" \t\n\"/\\") == std::string::npos &&
                     name.find('*') >= name.size() - 1;
  if (sound) return done();
  return invalid(fmt::format(
      "'{}' is not the name of an interface, nor the beginning of some with * at its end", name));
}

Result<> check_ports(const Settings& settings) {
  if (settings.outbound_port == 0) return invalid("the outbound port (-p) cannot be 0");
  if (settings.inbound_port == 0) return invalid("the inbound port (-z) cannot be 0");
  if (settings.outbound_port == settings.inbound_port) {
    return invalid(
        fmt::format("outbound (-p) and inbound (-z) cannot both be port {}: the proxy "
                    "tells the direction by the port",
                    settings.outbound_port));
  }
  for (const std::uint16_t taken : {settings.outbound_port, settings.inbound_port}) {
    if (settings.tunnel_port != taken) continue;
    return invalid(
        fmt::format("the tunnel port (-e) cannot be {}: there the proxy takes what is captured, "
                    "and who reaches it directly would be taken for that",
                    taken));
  }
  return done();
}

}  // namespace

Result<> check(const Settings& settings) {
  if (Result<> sound = check_ports(settings); !sound) return sound;
  if (settings.exemption == Exemption::owner && settings.proxy_uids.empty() &&
      settings.proxy_gids.empty()) {
    return invalid(
        "without a user (-u) or group (-g) of the proxy its own connections would be "
        "taken back to it, for ever");
  }
  if (!settings.loopback.address.is_v4() || settings.loopback.length < 8) {
    return invalid("the loopback range must be IPv4 and between /8 and /32");
  }
  for (const std::string& name : settings.interfaces_excluded) {
    if (Result<> sound = check_interface(name); !sound) return sound;
  }
  return done();
}

nft::Ruleset capture_rules(const Settings& settings) {
  return Capture(settings).build();
}

nft::Ruleset capture_rules_of_istio_0_7_1(const Settings& settings) {
  const nft::Prefix loopback = nft::host(IpAddress::v4({127, 0, 0, 1}));
  Chain redirect{.name = to_outbound};
  redirect.rules.push_back(
      rule({is_tcp()}, Redirect{settings.outbound_port}, "redirect-to-envoy-port"));

  Chain outbound{.name = "outbound"};
  outbound.rules.push_back(rule({leaves_by("lo"), except(nft::destination(loopback))},
                                jump(to_outbound), "redirect-implicit-loopback"));
  for (const std::uint32_t uid : settings.proxy_uids) {
    const Match proxy{.field = Field::skuid, .values = {uid}};
    outbound.rules.push_back(rule({proxy}, returns(), "bypass-envoy"));
  }
  outbound.rules.push_back(
      rule({nft::destination(loopback)}, returns(), "bypass-explicit-loopback"));
  for (const nft::Prefix& range : settings.outbound_ranges.list) {
    outbound.rules.push_back(
        rule({nft::destination(range)}, jump(to_outbound), "redirect-ip-range"));
  }
  outbound.rules.push_back(settings.outbound_ranges.all
                               ? rule({is_tcp()}, jump(to_outbound), "redirect-default-outbound")
                               : rule({is_tcp()}, returns(), "bypass-default-outbound"));

  Chain prerouting = base_chain("prerouting", Hook::prerouting, "");
  prerouting.rules.push_back(rule({is_tcp()}, jump(to_outbound), "install-istio-prerouting"));
  Chain output = base_chain("output", Hook::output, "");
  output.rules.push_back(rule({is_tcp()}, jump("outbound"), "install-istio-output"));

  Table table{.family = TableFamily::ip, .name = table_name};
  table.chains = {std::move(redirect), std::move(outbound), std::move(prerouting),
                  std::move(output)};
  return {.tables = {std::move(table)}};
}

}  // namespace fairlead::intercept
