#include "intercept/check.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <linux/netfilter_ipv4.h>
#include <net/if.h>
#include <poll.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

#include "base/address.h"
#include "base/descriptor.h"
#include "base/result.h"
#include "intercept/meaning.h"
#include "intercept/record.h"
#include "intercept/rule_parts.h"
#include "intercept/rules.h"
#include "nft/trace.h"

namespace fairlead::intercept {
namespace {

using nft::TableFamily;

// ── connections for `check` ─────────────────────────────────────────────────────────────────────

// Whose connection it is to be: the owner of the socket, or its mark.
struct Caller {
  std::string name;  // "the app", "the proxy"
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t mark = 0;
};

sockaddr_storage to_system(const SocketAddress& address) {
  sockaddr_storage storage{};
  if (address.ip.is_v4()) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(address.port);
    std::memcpy(&v4->sin_addr, address.ip.bytes().data(), sizeof v4->sin_addr);
  } else {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(address.port);
    std::memcpy(&v6->sin6_addr, address.ip.bytes().data(), sizeof v6->sin6_addr);
  }
  return storage;
}

socklen_t size_of(const sockaddr_storage& storage) {
  return storage.ss_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
}

const sockaddr* pointer_to(const sockaddr_storage& storage LIFETIMEBOUND) {
  return reinterpret_cast<const sockaddr*>(&storage);
}

SocketAddress from_system(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &v4->sin_addr, bytes.size());
    return {IpAddress::v4(bytes), ntohs(v4->sin_port)};
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), &v6->sin6_addr, bytes.size());
  return {IpAddress::v6(bytes), ntohs(v6->sin6_port)};
}

int family_of(const IpAddress& ip) {
  return ip.is_v4() ? AF_INET : AF_INET6;
}

constexpr int stream = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

// A listener on the proxy's port for as long as the probe takes; -1 when the port is in use.
int listen_on(const SocketAddress& address) {
  const int socket = ::socket(family_of(address.ip), stream, 0);
  if (socket < 0) return -1;
  const int on = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!address.ip.is_v4()) ::setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  const sockaddr_storage local = to_system(address);
  if (::bind(socket, pointer_to(local), size_of(local)) == 0 && ::listen(socket, 8) == 0) {
    return socket;
  }
  ::close(socket);
  return -1;
}

// The user and group of what the calling thread opens, for as long as it lives. The system does not
// say whether it let us: only asking it who we are now does.
class ActingAs {
 public:
  explicit ActingAs(const Caller& caller) : uid_(uid_now()), gid_(gid_now()) {
    ::setfsgid(caller.gid);
    ::setfsuid(caller.uid);
  }
  ActingAs(const ActingAs&) = delete;
  ActingAs& operator=(const ActingAs&) = delete;
  ~ActingAs() {
    ::setfsuid(uid_);
    ::setfsgid(gid_);
  }

  static std::uint32_t uid_now() { return static_cast<std::uint32_t>(::setfsuid(nobody)); }
  static std::uint32_t gid_now() { return static_cast<std::uint32_t>(::setfsgid(nobody)); }

 private:
  static constexpr std::uint32_t nobody = 0xffffffff;  // changes nothing
  std::uint32_t uid_;
  std::uint32_t gid_;
};

Fault may_not(std::string what, const char* capability) {
  return {.kind = FaultKind::denied,
          .message = fmt::format("this process may not {} (it lacks {})", what, capability)};
}

// The rules look at the credentials that the socket was made with.
Result<int> socket_of(const Caller& caller, const IpAddress& to) {
  const ActingAs acting(caller);
  if (ActingAs::uid_now() != caller.uid) {
    return may_not(fmt::format("act as user {}", caller.uid), "CAP_SETUID");
  }
  if (ActingAs::gid_now() != caller.gid) {
    return may_not(fmt::format("act as group {}", caller.gid), "CAP_SETGID");
  }
  const int socket = ::socket(family_of(to), stream, 0);
  if (socket < 0) return from_errno(errno, "no socket");
  if (caller.mark != 0 &&
      ::setsockopt(socket, SOL_SOCKET, SO_MARK, &caller.mark, sizeof caller.mark) != 0) {
    ::close(socket);
    return may_not(fmt::format("put the mark {:#x} on a socket", caller.mark), "CAP_NET_ADMIN");
  }
  // Ended by a reset: neither side keeps anything, and a proxy knows at once that nothing comes.
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  return socket;
}

bool wait_for(int descriptor, short events, int milliseconds) {
  pollfd waiting{.fd = descriptor, .events = events, .revents = 0};
  return ::poll(&waiting, 1, milliseconds) > 0;
}

std::string original_destination(int accepted) {
  sockaddr_storage address{};
  for (const int level : {SOL_IP, SOL_IPV6}) {
    socklen_t size = sizeof address;
    if (::getsockopt(accepted, level, SO_ORIGINAL_DST, &address, &size) == 0) {
      return from_system(address).text();
    }
  }
  return "";
}

// ── interfaces ──────────────────────────────────────────────────────────────────────────────────

// None has this name, so no rule about one applies.
constexpr char some_interface[] = "(any)";

// Calls `look` with each address of each interface that is up, until it says true.
template <class Look>
void look_at_interfaces(Look look) {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return;
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if ((one->ifa_flags & IFF_UP) != 0 && look(*one)) break;
  }
  ::freeifaddrs(all);
}

bool has_address(const ifaddrs& interface, const IpAddress& ip) {
  if (interface.ifa_addr == nullptr || interface.ifa_addr->sa_family != family_of(ip)) return false;
  sockaddr_storage address{};
  std::memcpy(&address, interface.ifa_addr,
              ip.is_v4() ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
  return from_system(address).ip == ip;
}

std::string interface_with(const IpAddress& ip) {
  std::string name = some_interface;
  look_at_interfaces([&](const ifaddrs& one) {
    if (!has_address(one, ip)) return false;
    name = one.ifa_name;
    return true;
  });
  return name;
}

// Those by which someone from outside may come.
std::set<std::string> outer_interfaces() {
  std::set<std::string> names;
  look_at_interfaces([&](const ifaddrs& one) {
    if ((one.ifa_flags & IFF_LOOPBACK) == 0) names.insert(one.ifa_name);
    return false;
  });
  return names;
}

// ── the proof ───────────────────────────────────────────────────────────────────────────────────

class Prover {
 public:
  explicit Prover(const nft::Table& table) : rules_{.tables = {table}} {}

  std::vector<Probe> run() {
    const Caller app = ordinary_caller();
    const Caller proxy = exempt_caller();
    for (const bool v4 : {true, false}) {
      if (!v4 && rules_.tables[0].family != TableFamily::inet) continue;
      const SocketAddress outside = captured_destination(v4, app);
      IpAddress own = own_address(outside);
      const std::string interface = own.is_unspecified() ? some_interface : interface_with(own);
      probe(app, outside, interface);
      doubt_what_takes_nothing(v4, app, outside);
      probe(proxy, outside, interface);
      if (own.is_unspecified() && v4) own = IpAddress::v4({127, 0, 0, 6});  // there without a route
      if (!own.is_unspecified()) probe(proxy, {own, probe_port}, "lo");
      walk_inbound(v4);
    }
    name_what_is_missing();
    name_what_changed();
    return std::move(probes_);
  }

 private:
  static constexpr std::uint16_t probe_port = 15002;  // Istio's own port for such probes

  // The values that the rules compare `field` with.
  [[nodiscard]] std::vector<nft::Value> mentioned(nft::Field field) const {
    std::vector<nft::Value> all;
    for (const nft::Chain& chain : rules_.tables[0].chains) {
      for (const nft::Rule& rule : chain.rules) {
        for (const nft::Expression& expression : rule.expressions) {
          const auto* match = std::get_if<nft::Match>(&expression);
          if (match == nullptr || match->field != field) continue;
          all.insert(all.end(), match->values.begin(), match->values.end());
        }
      }
    }
    return all;
  }

  // Whoever we are, if the rules do not name us.
  [[nodiscard]] std::uint32_t not_named(nft::Field field, std::uint32_t us) const {
    const std::vector<nft::Value> named = mentioned(field);
    for (const std::uint32_t id : {us, 0U, 65534U, 1U, 2U}) {
      if (std::find(named.begin(), named.end(), nft::Value(id)) == named.end()) return id;
    }
    return 3;
  }

  [[nodiscard]] Caller ordinary_caller() const {
    Caller app{.name = "the app",
               .uid = not_named(nft::Field::skuid, ActingAs::uid_now()),
               .gid = not_named(nft::Field::skgid, ActingAs::gid_now())};
    const nft::Match* alone = groups_taken_alone();
    if (alone != nullptr) app.gid = std::get<std::uint32_t>(alone->values.front());
    return app;
  }

  [[nodiscard]] Caller exempt_caller() const {
    Caller proxy{.name = "the proxy", .uid = ActingAs::uid_now(), .gid = ActingAs::gid_now()};
    const auto first = [&](nft::Field field, std::uint32_t otherwise) -> std::uint32_t {
      const std::vector<nft::Value> all = mentioned(field);
      return all.empty() ? otherwise : std::get<std::uint32_t>(all.front());
    };
    proxy.mark = first(nft::Field::mark, 0);
    if (proxy.mark != 0) return proxy;
    const bool known_by_group = mentioned(nft::Field::skuid).empty();
    proxy.uid = first(nft::Field::skuid, proxy.uid);
    if (known_by_group) proxy.gid = first(nft::Field::skgid, proxy.gid);
    return proxy;
  }

  // The pod's own address: from where it would reach `outside`. Unspecified when it has no route.
  static IpAddress own_address(const SocketAddress& outside) {
    const Descriptor socket(::socket(family_of(outside.ip), SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const sockaddr_storage target = to_system(outside);
    sockaddr_storage local{};
    socklen_t size = sizeof local;
    const bool routed =
        ::connect(socket.number(), pointer_to(target), size_of(target)) == 0 &&  // sends nothing
        ::getsockname(socket.number(), reinterpret_cast<sockaddr*>(&local), &size) == 0;
    return routed ? from_system(local).ip : IpAddress();
  }

  // A destination that the rules would take from the app; where they take none, a documentation
  // address (RFC 5737, RFC 3849), of which they then say so.
  [[nodiscard]] SocketAddress captured_destination(bool v4, const Caller& app) const {
    std::vector<IpAddress> addresses{*IpAddress::parse(v4 ? "192.0.2.1" : "2001:db8::1")};
    for (const nft::Value& value : mentioned(v4 ? nft::Field::ip_daddr : nft::Field::ip6_daddr)) {
      const auto* prefix = std::get_if<nft::Prefix>(&value);
      if (prefix != nullptr && !prefix->address.is_loopback()) addresses.push_back(prefix->address);
    }
    std::vector<std::uint16_t> ports{probe_port};
    for (const nft::Value& value : mentioned(nft::Field::tcp_dport)) {
      ports.push_back(static_cast<std::uint16_t>(std::get<std::uint32_t>(value)));
    }
    for (const IpAddress& address : addresses) {
      for (const std::uint16_t port : ports) {
        const SocketAddress candidate{address, port};
        if (is_taken(app, candidate, some_interface)) return candidate;
      }
    }
    return {addresses.front(), probe_port};
  }

  [[nodiscard]] nft::Trace predict(const Caller& caller, const SocketAddress& to,
                                   const std::string& interface) const {
    return nft::trace(rules_, {.hook = nft::Hook::output,
                               .destination = to,
                               .out_interface = interface,
                               .uid = caller.uid,
                               .gid = caller.gid,
                               .mark = caller.mark});
  }

  [[nodiscard]] bool is_taken(const Caller& caller, const SocketAddress& to,
                              const std::string& interface) const {
    return predict(caller, to, interface).fate == nft::Fate::redirected;
  }

  void probe(const Caller& caller, const SocketAddress& to, const std::string& interface) {
    const nft::Trace said = predict(caller, to, interface);
    const bool taken = said.fate == nft::Fate::redirected;
    Probe result{.what = fmt::format("{} connects to {}", caller.name, to.text()),
                 .predicted = taken ? said.outcome() : "not taken"};
    if (!taken && is_taken(caller, to, some_interface)) {
      result.predicted += fmt::format(": it leaves by {}, which is excluded", interface);
    }
    // Where nothing is to be taken, listen where it would be if the rules were not kept.
    observe(caller, to, taken ? said.port : outbound_port(), taken, result);
    probes_.push_back(std::move(result));
  }

  // A table that has all its rules, one of which takes connections, and that takes none: a rule
  // before that one lets all of them go.
  void doubt_what_takes_nothing(bool v4, const Caller& app, const SocketAddress& outside) {
    if (!means_to_take(v4) || !gaps(rules_.tables[0]).empty()) return;
    if (is_taken(app, outside, some_interface)) return;
    probes_.push_back(
        {.what = fmt::format("the app connects to anywhere by {}", v4 ? "IPv4" : "IPv6"),
         .predicted = "no destination is taken, though a rule is there for it",
         .observed = "a rule before that one lets all go: fairlead intercept show",
         .outcome = Probe::Outcome::differs});
  }

  // The groups whose traffic alone is taken; null where there is no such choice. Apart from
  // loopback, where the proxy's own group is told from others.
  [[nodiscard]] const nft::Match* groups_taken_alone() const {
    const nft::Chain* chain = rules_.tables[0].chain("outbound");
    if (chain == nullptr) return nullptr;
    for (const nft::Rule& rule : chain->rules) {
      const auto* match =
          rule.expressions.empty() ? nullptr : std::get_if<nft::Match>(&rule.expressions.front());
      if (match != nullptr && match->field == nft::Field::skgid && match->negated) return match;
    }
    return nullptr;
  }

  [[nodiscard]] bool means_to_take(bool v4) const {
    const nft::Chain* chain = rules_.tables[0].chain("outbound");
    if (chain == nullptr) return false;
    if (groups_taken_alone() != nullptr) return false;
    const nft::Field other_family = v4 ? nft::Field::ip6_daddr : nft::Field::ip_daddr;
    return std::any_of(chain->rules.begin(), chain->rules.end(), [&](const nft::Rule& rule) {
      bool takes = false;
      for (const nft::Expression& expression : rule.expressions) {
        const auto* match = std::get_if<nft::Match>(&expression);
        if (match != nullptr && match->field == other_family) return false;
        const auto* verdict = std::get_if<nft::Verdict>(&expression);
        takes = takes || (verdict != nullptr && verdict->chain == "redirect-outbound");
      }
      return takes;
    });
  }

  // The usual one where the rules name none.
  [[nodiscard]] std::uint16_t outbound_port() const {
    const nft::Chain* chain = rules_.tables[0].chain("redirect-outbound");
    if (chain != nullptr) {
      for (const nft::Rule& rule : chain->rules) {
        if (const auto* redirect = find<nft::Redirect>(rule)) return redirect->port;
      }
    }
    return Settings{}.outbound_port;
  }

  static void leave_untried(std::string obstacle, Probe& result) {
    result.outcome = Probe::Outcome::untried;
    result.observed = "could not be tried: " + obstacle;
    result.obstacle = std::move(obstacle);
  }

  // Without a route the connection ends before any rule is asked: nothing is lost, nor proved.
  static void see_refusal(int error, bool expected, Probe& result) {
    if (error == ENETUNREACH || error == EHOSTUNREACH || error == EADDRNOTAVAIL) {
      leave_untried(std::strerror(error), result);
      return;
    }
    result.observed = fmt::format("not connected: {}", std::strerror(error));
    result.outcome = outcome(!expected);
  }

  static void observe(const Caller& caller, const SocketAddress& to, std::uint16_t port,
                      bool expected, Probe& result) {
    std::array<std::uint8_t, 16> one{};
    one[15] = 1;
    const IpAddress loopback = to.ip.is_v4() ? IpAddress::v4({127, 0, 0, 1}) : IpAddress::v6(one);
    const Descriptor listener(listen_on({loopback, port}));
    const Result<int> made = socket_of(caller, to.ip);
    if (!made) return leave_untried(made.fault().message, result);
    const Descriptor socket(*made);
    const sockaddr_storage target = to_system(to);
    const int status = ::connect(socket.number(), pointer_to(target), size_of(target));
    if (status != 0 && errno != EINPROGRESS) return see_refusal(errno, expected, result);
    if (listener.valid()) {
      see_listener(listener.number(), to, port, expected, result);
    } else {
      see_connection(socket.number(), port, expected, result);
    }
  }

  static Probe::Outcome outcome(bool agrees) {
    return agrees ? Probe::Outcome::agrees : Probe::Outcome::differs;
  }

  // Milliseconds. A connection that is taken arrives in well under one, unless the machine is busy.
  static int patience(bool expected) { return expected ? 500 : 100; }

  static void see_listener(int listener, const SocketAddress& to, std::uint16_t port, bool expected,
                           Probe& result) {
    if (!wait_for(listener, POLLIN, patience(expected))) {
      result.observed = fmt::format("port {} saw nothing", port);
      result.outcome = outcome(!expected);
      return;
    }
    const Descriptor accepted(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    const std::string learned = original_destination(accepted.number());
    result.observed = fmt::format("taken to port {}, which learned {}", port,
                                  learned.empty() ? "no original destination" : learned);
    result.outcome = outcome(expected && learned == to.text());
  }

  static void see_connection(int socket, std::uint16_t port, bool expected, Probe& result) {
    int error = ETIMEDOUT;
    socklen_t size = sizeof error;
    if (wait_for(socket, POLLOUT, patience(expected))) {
      ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size);
    }
    result.observed = error == 0 ? fmt::format("answered; a proxy listens on port {}", port)
                                 : std::string("not answered: ") + std::strerror(error);
    result.outcome = outcome((error == 0) == expected);
  }

  [[nodiscard]] nft::Trace walk_to(bool v4, std::uint16_t port,
                                   const std::string& interface) const {
    const char* address = v4 ? "192.0.2.2" : "2001:db8::2";
    return nft::trace(rules_, {.hook = nft::Hook::prerouting,
                               .destination = {*IpAddress::parse(address), port},
                               .in_interface = interface});
  }

  // Some port that is captured, where any is.
  [[nodiscard]] std::uint16_t captured_port(bool v4) const {
    constexpr std::uint16_t usual = 8080;
    std::vector<nft::Value> ports = mentioned(nft::Field::tcp_dport);
    ports.insert(ports.begin(), std::uint32_t{usual});
    for (const nft::Value& value : ports) {
      const auto port = static_cast<std::uint16_t>(std::get<std::uint32_t>(value));
      if (walk_to(v4, port, some_interface).fate == nft::Fate::redirected) return port;
    }
    return usual;
  }

  // ", but not by the excluded eth0, eth1"
  [[nodiscard]] std::string but_not_by(bool v4, std::uint16_t port) const {
    std::string text;
    for (const std::string& interface : outer_interfaces()) {
      if (walk_to(v4, port, interface).fate == nft::Fate::redirected) continue;
      text += (text.empty() ? ", but not by the excluded " : ", ") + interface;
    }
    return text;
  }

  void walk_inbound(bool v4) {
    const std::uint16_t port = captured_port(v4);
    const nft::Trace said = walk_to(v4, port, some_interface);
    const bool taken = said.fate == nft::Fate::redirected;
    const bool meant = takes(rules_.tables[0], Direction::inbound);
    probes_.push_back(
        {.what =
             fmt::format("someone from outside connects to the pod by {}", v4 ? "IPv4" : "IPv6"),
         .predicted = taken
                          ? fmt::format("port {} {}{}", port, said.outcome(), but_not_by(v4, port))
                          : "no port is taken",
         .observed = "not tried from inside; walked through the rules in force",
         .outcome = taken == meant ? Probe::Outcome::walked : Probe::Outcome::differs});
  }

  void name_what_is_missing() {
    for (Gap& gap : gaps(rules_.tables[0])) {
      const bool outbound = gap.direction == Direction::outbound;
      probes_.push_back({.what = outbound ? "the rules for what the pod opens are there"
                                          : "the rules for what comes to the pod are there",
                         .predicted = std::move(gap.what),
                         .observed = put_it_back(),
                         .outcome = Probe::Outcome::altered});
    }
  }

  void name_what_changed() {
    const Result<Settings> settings = recorded(rules_.tables[0].set(record_name));
    if (!settings) return doubt_the_rules("not known: " + settings.fault().message);
    for (std::string& change : changes(rules_.tables[0], *settings)) {
      doubt_the_rules(std::move(change));
    }
  }

  void doubt_the_rules(std::string why) {
    probes_.push_back({.what = "the rules are those that were put in",
                       .predicted = std::move(why),
                       .observed = put_it_back(),
                       .outcome = Probe::Outcome::altered});
  }

  [[nodiscard]] std::string put_it_back() const {
    return fmt::format("put it back, in this network namespace, with: {}",
                       remedy(rules_.tables[0].set(record_name)));
  }

  nft::Ruleset rules_;
  std::vector<Probe> probes_;
};

// ── the judgement ───────────────────────────────────────────────────────────────────────────────

std::ptrdiff_t count(const std::vector<Probe>& probes, Probe::Outcome outcome) {
  return std::count_if(probes.begin(), probes.end(),
                       [&](const Probe& probe) { return probe.outcome == outcome; });
}

// Each once.
std::string obstacles(const std::vector<Probe>& probes) {
  std::set<std::string> told;
  std::string text;
  for (const Probe& probe : probes) {
    if (probe.outcome != Probe::Outcome::untried || !told.insert(probe.obstacle).second) continue;
    text += (text.empty() ? "" : "; ") + probe.obstacle;
  }
  return text;
}

std::string text_of(const std::vector<Probe>& probes, const nft::Table& table) {
  const std::ptrdiff_t agreeing = count(probes, Probe::Outcome::agrees);
  const std::ptrdiff_t untried = count(probes, Probe::Outcome::untried);
  if (count(probes, Probe::Outcome::altered) > 0) {
    const Result<Settings> settings = recorded(table.set(record_name));
    if (!settings && gaps(table).empty()) {
      return fmt::format("it is not known whether capture is in force as it was put in: {}",
                         settings.fault().message);
    }
    return "capture is not in force as it was put in, though its table is there: rules are "
           "missing, or others than were put in";
  }
  if (count(probes, Probe::Outcome::differs) > 0) return "capture does not do what its rules say";
  if (agreeing == 0) {
    return fmt::format("nothing could be proved: no connection could be tried ({})",
                       obstacles(probes));
  }
  const std::string taken = describe_capture(table);
  const std::string works =
      taken == "nothing" ? "nothing is captured, as was asked" : "capture works: " + taken;
  if (untried == 0) return works;
  return fmt::format("{}, as far as it could be tried: {} of {} connections (the others: {})",
                     works, agreeing, agreeing + untried, obstacles(probes));
}

}  // namespace

std::vector<Probe> check(const nft::Table& table) {
  return Prover(table).run();
}

Judgement judge(const std::vector<Probe>& probes, const nft::Table& table) {
  const bool contradicted =
      count(probes, Probe::Outcome::differs) > 0 || count(probes, Probe::Outcome::altered) > 0;
  return {.proved = !contradicted && count(probes, Probe::Outcome::agrees) > 0,
          .text = fmt::format("{}; {}", text_of(probes, table), describe_exemption(table))};
}

}  // namespace fairlead::intercept
