#include "intercept/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <limits>
#include <string_view>
#include <vector>

#include "base/split.h"
#include "nft/render.h"

namespace fairlead::intercept {
namespace {

// What stands between the commas, without the spaces around it: those within are part of it, so
// that "80 81" is no port, least of all 8081.
std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  for (const std::string_view part : fairlead::split(list, ',')) {
    const std::size_t begin = part.find_first_not_of(' ');
    if (begin == std::string_view::npos) continue;
    parts.emplace_back(part.substr(begin, part.find_last_not_of(' ') + 1 - begin));
  }
  return parts;
}

Result<std::uint32_t> number(const std::string& text, std::uint32_t most, const char* what) {
  std::uint32_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end || value > most) {
    return invalid(fmt::format("'{}' is not {}", text, what));
  }
  return value;
}

Result<std::uint16_t> port(const std::string& text) {
  Result<std::uint32_t> value = number(text, 65535, "a port from 1 to 65535");
  if (!value) return std::move(value).fault();
  if (*value == 0) return invalid("'0' is not a port from 1 to 65535");
  return static_cast<std::uint16_t>(*value);
}

Result<std::uint32_t> owner(const std::string& text) {
  return number(text, std::numeric_limits<std::uint32_t>::max() - 1,
                "a user or group number (`id -u NAME` tells it)");
}

template <class T, class Parse>
Result<std::vector<T>> list_of(const std::string& text, Parse parse) {
  std::vector<T> all;
  for (const std::string& part : split(text)) {
    Result<T> one = parse(part);
    if (!one) return std::move(one).fault();
    all.push_back(*std::move(one));
  }
  return all;
}

template <class T>
Result<> store(Result<T> value, T& place) {
  if (!value) return std::move(value).fault();
  place = *std::move(value);
  return done();
}

// "*", or a list.
template <class Choice, class T, class Parse>
Result<> store_choice(const std::string& text, Choice& place, Parse parse) {
  if (text == "*") {
    place = {.all = true};
    return done();
  }
  Result<std::vector<T>> list = list_of<T>(text, parse);
  if (!list) return std::move(list).fault();
  place = {.all = false, .list = *std::move(list)};
  return done();
}

Result<> store_port(const std::string& text, std::uint16_t& place) {
  return store(port(text), place);
}

Result<> store_ports(const std::string& text, std::vector<std::uint16_t>& place) {
  return store(list_of<std::uint16_t>(text, port), place);
}

// The words that Go's strconv.ParseBool takes, as istio-iptables does; a bare switch is true.
Result<bool> boolean(const std::string& text) {
  for (const char* yes : {"", "1", "t", "T", "true", "TRUE", "True"}) {
    if (text == yes) return true;
  }
  for (const char* no : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (text == no) return false;
  }
  return invalid(fmt::format("'{}' is neither true nor false", text));
}

// For switches of istio-iptables that ask for what is always so here.
Result<> always(const std::string& text) {
  Result<bool> value = boolean(text);
  if (!value) return std::move(value).fault();
  return done();
}

Result<> never(const std::string& text, const char* why) {
  Result<bool> value = boolean(text);
  if (!value) return std::move(value).fault();
  if (*value) return unsupported(why);
  return done();
}

// ── the way back ────────────────────────────────────────────────────────────────────────────────

std::string text(std::uint32_t one) {
  return std::to_string(one);
}

std::string text(const nft::Prefix& one) {
  return nft::render(one);
}

std::string text(const std::string& one) {
  return one;
}

template <class T>
std::string text(const std::vector<T>& list) {
  std::string all;
  for (const T& one : list) all += (all.empty() ? "" : ",") + text(one);
  return all;
}

template <class Choice>
std::string text_of_choice(const Choice& choice) {
  return choice.all ? "*" : text(choice.list);
}

constexpr std::array<Option, 24> all{{
    {"envoy-port", 'p', "ENVOY_PORT", "where outbound connections are taken (15001)", false,
     [](Settings& s, const std::string& v) { return store_port(v, s.outbound_port); },
     [](const Settings& s) { return text(s.outbound_port); }},
    {"inbound-capture-port", 'z', "INBOUND_CAPTURE_PORT",
     "where inbound connections are taken (15006)", false,
     [](Settings& s, const std::string& v) { return store_port(v, s.inbound_port); },
     [](const Settings& s) { return text(s.inbound_port); }},
    {"inbound-tunnel-port", 'e', "INBOUND_TUNNEL_PORT",
     "goes to its own listener, not captured (15008)", false,
     [](Settings& s, const std::string& v) { return store_port(v, s.tunnel_port); },
     [](const Settings& s) { return text(s.tunnel_port); }},
    {"proxy-uid", 'u', "PROXY_UID", "users whose connections are the proxy's (1337)", false,
     [](Settings& s, const std::string& v) {
       Result<> stored = store(list_of<std::uint32_t>(v, owner), s.proxy_uids);
       if (stored) s.proxy_gids = s.proxy_uids;
       return stored;
     },
     [](const Settings& s) { return text(s.proxy_uids); }},
    {"proxy-gid", 'g', "PROXY_GID", "groups whose connections are the proxy's (as proxy-uid)",
     false,
     [](Settings& s, const std::string& v) {
       return store(list_of<std::uint32_t>(v, owner), s.proxy_gids);
     },
     [](const Settings& s) { return text(s.proxy_gids); }},
    {"istio-inbound-interception-mode", 'm', "ISTIO_INBOUND_INTERCEPTION_MODE",
     "REDIRECT; TPROXY is not built", false,
     [](Settings&, const std::string& v) -> Result<> {
       if (v == "REDIRECT" || v.empty()) return done();
       if (v == "TPROXY") {
         return unsupported(
             "TPROXY is not built: only REDIRECT is. With REDIRECT the proxy learns "
             "the client's address from the connection, the app sees the proxy's");
       }
       return invalid(fmt::format("'{}' is no interception mode: REDIRECT is expected", v));
     }},
    {"istio-inbound-ports", 'b', "ISTIO_INBOUND_PORTS",
     "inbound ports to capture: *, a list, or \"\" for none (*)", false,
     [](Settings& s, const std::string& v) {
       return store_choice<Ports, std::uint16_t>(v, s.inbound_ports, port);
     },
     [](const Settings& s) { return text_of_choice(s.inbound_ports); }},
    {"istio-local-exclude-ports", 'd', "ISTIO_LOCAL_EXCLUDE_PORTS",
     "inbound ports not to capture, with -b * (15020,15021,15090)", false,
     [](Settings& s, const std::string& v) { return store_ports(v, s.inbound_ports_excluded); },
     [](const Settings& s) { return text(s.inbound_ports_excluded); }},
    {"istio-service-cidr", 'i', "ISTIO_SERVICE_CIDR",
     "outbound ranges to capture: *, a list, or \"\" for none (*)", false,
     [](Settings& s, const std::string& v) {
       return store_choice<Ranges, nft::Prefix>(v, s.outbound_ranges, nft::parse_prefix);
     },
     [](const Settings& s) { return text_of_choice(s.outbound_ranges); }},
    {"istio-service-exclude-cidr", 'x', "ISTIO_SERVICE_EXCLUDE_CIDR",
     "outbound ranges not to capture", false,
     [](Settings& s, const std::string& v) {
       return store(list_of<nft::Prefix>(v, nft::parse_prefix), s.outbound_ranges_excluded);
     },
     [](const Settings& s) { return text(s.outbound_ranges_excluded); }},
    {"istio-outbound-ports", 'q', "ISTIO_OUTBOUND_PORTS",
     "outbound ports to capture whatever the included range", false,
     [](Settings& s, const std::string& v) { return store_ports(v, s.outbound_ports); },
     [](const Settings& s) { return text(s.outbound_ports); }},
    {"istio-local-outbound-ports-exclude", 'o', "ISTIO_LOCAL_OUTBOUND_PORTS_EXCLUDE",
     "outbound ports not to capture", false,
     [](Settings& s, const std::string& v) { return store_ports(v, s.outbound_ports_excluded); },
     [](const Settings& s) { return text(s.outbound_ports_excluded); }},
    {"istio-exclude-interfaces", 'c', "ISTIO_EXCLUDE_INTERFACES",
     "network interfaces left alone, both directions; eth* are all that begin with eth", false,
     [](Settings& s, const std::string& v) -> Result<> {
       s.interfaces_excluded = split(v);
       for (std::string& name : s.interfaces_excluded) {
         if (name.ends_with('+')) name.back() = '*';  // as iptables writes it
       }
       return done();
     },
     [](const Settings& s) { return text(s.interfaces_excluded); }},
    {"istio-outbound-ipv4-loopback-cidr", 0, "ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR",
     "the app's own loopback range, /8 to /32 (127.0.0.1/32)", false,
     [](Settings& s, const std::string& v) { return store(nft::parse_prefix(v), s.loopback); },
     [](const Settings& s) { return text(s.loopback); }},
    {"istio-outbound-owner-groups", 0, "ISTIO_OUTBOUND_OWNER_GROUPS",
     "groups whose outbound traffic is captured: *, numbers, or \"\" for none (*)", false,
     [](Settings& s, const std::string& v) {
       return store_choice<Groups, std::uint32_t>(v, s.owner_groups, owner);
     },
     [](const Settings& s) { return text_of_choice(s.owner_groups); }},
    {"istio-outbound-owner-groups-exclude", 0, "ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE",
     "groups whose outbound traffic is not captured", false,
     [](Settings& s, const std::string& v) {
       return store(list_of<std::uint32_t>(v, owner), s.owner_groups_excluded);
     },
     [](const Settings& s) { return text(s.owner_groups_excluded); }},
    {"dual-stack", 0, "DUAL_STACK", "IPv6 too (true); --dual-stack=false leaves IPv6 alone", true,
     [](Settings& s, const std::string& v) { return store(boolean(v), s.dual_stack); },
     [](const Settings& s) { return std::string(s.dual_stack ? "true" : "false"); }},
    {"reconcile", 0, "RECONCILE", "always so: rules are replaced in one step", true,
     [](Settings&, const std::string& v) { return always(v); }},
    {"force-apply", 0, "FORCE_APPLY", "always so: rules are replaced in one step", true,
     [](Settings&, const std::string& v) { return always(v); }},
    {"native-nftables", 0, "NATIVE_NFTABLES", "always so", true,
     [](Settings&, const std::string& v) { return always(v); }},
    {"kube-virt-interfaces", 'k', "KUBE_VIRT_INTERFACES", "not built", false,
     [](Settings&, const std::string& v) -> Result<> {
       if (v.empty()) return done();
       return unsupported("virtual machines inside a pod (kube-virt-interfaces) are not built");
     }},
    {"redirect-dns", 0, "REDIRECT_DNS", "not built", true,
     [](Settings&, const std::string& v) {
       return never(v, "capture of DNS is not built: names are answered by the node");
     }},
    {"capture-all-dns", 0, "CAPTURE_ALL_DNS", "not built", true,
     [](Settings&, const std::string& v) {
       return never(v, "capture of DNS is not built: names are answered by the node");
     }},
    {"drop-invalid", 0, "DROP_INVALID", "not built", true,
     [](Settings&, const std::string& v) {
       return never(v, "dropping packets that conntrack calls invalid is not built");
     }},
}};

constexpr char by_mark[] = "--exemption=mark";

// In quotes where the shell would read something into it, as into a star.
std::string for_shell(std::string_view word) {
  const bool plain = std::all_of(word.begin(), word.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("-_=,.:/").find(c) != std::string_view::npos;
  });
  if (plain) return std::string(word);
  std::string quoted;
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return "'" + quoted + "'";
}

Result<> take(std::string_view word, Settings& settings) {
  if (word == by_mark) {
    settings.exemption = Exemption::mark;
    return done();
  }
  for (const Option& option : all) {
    const std::string flag = fmt::format("--{}=", option.name);
    if (!word.starts_with(flag)) continue;
    return option.set(settings, std::string(word.substr(flag.size())));
  }
  return invalid(fmt::format("'{}' is no setting", word));
}

}  // namespace

std::span<const Option> options() {
  return all;
}

std::string words_of(const Settings& settings) {
  std::string words;
  Settings said;  // what a reader knows so far: one option may change another's default
  for (const Option& option : all) {
    if (option.value == nullptr || option.value(settings) == option.value(said)) continue;
    const std::string value = option.value(settings);
    words += fmt::format("--{}={} ", option.name, value);
    if (!option.set(said, value)) break;  // check(settings) refuses it, and so does the reader
  }
  if (settings.exemption == Exemption::mark) words += fmt::format("{} ", by_mark);
  return words;
}

std::string command_of(const Settings& settings) {
  std::string command = "fairlead intercept apply";
  const std::string words = words_of(settings);
  for (const std::string_view word : fairlead::split(words, ' ')) {
    if (!word.empty()) command += " " + for_shell(word);
  }
  return command;
}

Result<Settings> settings_from_words(const std::string& words) {
  Settings settings;
  for (const std::string_view word : fairlead::split(words, ' ')) {
    if (word.empty()) continue;
    if (Result<> taken = take(word, settings); !taken) return std::move(taken).fault();
  }
  return settings;
}

}  // namespace fairlead::intercept
