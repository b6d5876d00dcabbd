#include "intercept/install.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/netfilter_ipv4.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "nft/render.h"
#include "nft/trace.h"

namespace fairlead::intercept {
namespace {

using nft::TableFamily;

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  [[nodiscard]] int number() const { return number_; }
  [[nodiscard]] bool valid() const { return number_ >= 0; }

 private:
  int number_;
};

// Either table may stand there: which one depends on the settings of the last run.
nft::Ruleset either_table() {
  return {.tables = {{.family = TableFamily::inet, .name = table_name},
                     {.family = TableFamily::ip, .name = table_name}}};
}

// ── ::6 on lo ───────────────────────────────────────────────────────────────────────────────────

// As the kernel's struct in6_ifreq; <linux/ipv6.h> does not go together with <netinet/in.h>.
struct InterfaceAddress {
  in6_addr address{};
  std::uint32_t prefix_length = 128;
  int interface = 0;
};

Result<> change_handover_address(bool present) {
  const Descriptor socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return done();  // a kernel without IPv6 has nothing to hand over
  InterfaceAddress request;
  request.address.s6_addr[15] = 6;
  request.interface = static_cast<int>(::if_nametoindex("lo"));
  if (::ioctl(socket.number(), present ? SIOCSIFADDR : SIOCDIFADDR, &request) == 0) return done();
  const bool already = present ? errno == EEXIST : errno == EADDRNOTAVAIL || errno == ENODEV;
  if (already) return done();
  // IPv6 is off here (net.ipv6.conf.lo.disable_ipv6): no such connection comes to be handed over.
  if (present && errno == EACCES) return done();
  return from_errno(errno, present ? "giving the address ::6 to the interface lo"
                                   : "taking the address ::6 from the interface lo");
}

// ── who exists ──────────────────────────────────────────────────────────────────────────────────

bool is_mapped(const char* map_file, std::uint32_t id) {
  std::ifstream map(map_file);
  std::uint64_t inside = 0;
  std::uint64_t outside = 0;
  std::uint64_t count = 0;
  while (map >> inside >> outside >> count) {
    if (id >= inside && id < inside + count) return true;
  }
  return false;
}

bool all_mapped(const char* map_file, const std::vector<std::uint32_t>& ids) {
  return std::all_of(ids.begin(), ids.end(),
                     [&](std::uint32_t id) { return is_mapped(map_file, id); });
}

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

int socket_of(const Caller& caller, const IpAddress& to) {
  // The rules look at the credentials that the socket was made with.
  ::setfsgid(caller.gid);
  ::setfsuid(caller.uid);
  const int socket = ::socket(family_of(to), stream, 0);
  ::setfsuid(::geteuid());
  ::setfsgid(::getegid());
  if (socket >= 0 && caller.mark != 0) {
    ::setsockopt(socket, SOL_SOCKET, SO_MARK, &caller.mark, sizeof caller.mark);
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

class Prover {
 public:
  explicit Prover(const nft::Table& table) : rules_{.tables = {table}} {}

  std::vector<Probe> run() {
    const Caller app{.name = "the app",
                     .uid = not_exempt(nft::Field::skuid),
                     .gid = not_exempt(nft::Field::skgid)};
    const Caller proxy = exempt_caller();
    for (const bool v4 : {true, false}) {
      if (!v4 && rules_.tables[0].family != TableFamily::inet) continue;
      const SocketAddress outside = captured_destination(v4, app);
      probe(app, outside, "eth0");
      doubt_what_takes_nothing(v4, app, outside);
      probe(proxy, outside, "eth0");
      IpAddress own = own_address(outside);
      if (own.is_unspecified() && v4) own = IpAddress::v4({127, 0, 0, 6});  // there without a route
      if (!own.is_unspecified()) probe(proxy, {own, probe_port}, "lo");
      walk_inbound(v4);
    }
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

  [[nodiscard]] std::uint32_t not_exempt(nft::Field field) const {
    const std::vector<nft::Value> taken = mentioned(field);
    for (const std::uint32_t id : {0U, 65534U, 1U, 2U}) {
      if (std::find(taken.begin(), taken.end(), nft::Value(id)) == taken.end()) return id;
    }
    return 3;
  }

  [[nodiscard]] Caller exempt_caller() const {
    Caller proxy{.name = "the proxy"};
    const auto first = [&](nft::Field field) -> std::uint32_t {
      const std::vector<nft::Value> all = mentioned(field);
      return all.empty() ? 0 : std::get<std::uint32_t>(all.front());
    };
    proxy.mark = first(nft::Field::mark);
    proxy.uid = first(nft::Field::skuid);
    const bool known_by_group = proxy.mark == 0 && mentioned(nft::Field::skuid).empty();
    if (known_by_group) proxy.gid = first(nft::Field::skgid);
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
        if (predict(app, candidate, "eth0").fate == nft::Fate::redirected) return candidate;
      }
    }
    return {addresses.front(), probe_port};
  }

  [[nodiscard]] nft::Trace predict(const Caller& caller, const SocketAddress& to,
                                   const char* interface) const {
    return nft::trace(rules_, {.hook = nft::Hook::output,
                               .destination = to,
                               .out_interface = interface,
                               .uid = caller.uid,
                               .gid = caller.gid,
                               .mark = caller.mark});
  }

  void probe(const Caller& caller, const SocketAddress& to, const char* interface) {
    const nft::Trace said = predict(caller, to, interface);
    Probe result{.what = fmt::format("{} connects to {}", caller.name, to.text()),
                 .predicted = said.fate == nft::Fate::redirected ? said.outcome() : "not taken"};
    // Where nothing is to be taken, listen where it would be if the rules were not kept.
    const std::uint16_t port = said.fate == nft::Fate::redirected ? said.port : outbound_port();
    observe(caller, to, port, said.fate == nft::Fate::redirected, result);
    probes_.push_back(std::move(result));
  }

  // A table whose last word is that connections are taken, and that takes none: a rule before it
  // lets all of them go.
  void doubt_what_takes_nothing(bool v4, const Caller& app, const SocketAddress& outside) {
    if (!means_to_take(v4)) return;
    if (predict(app, outside, "eth0").fate == nft::Fate::redirected) return;
    probes_.push_back(
        {.what = fmt::format("the app connects to anywhere by {}", v4 ? "IPv4" : "IPv6"),
         .predicted = "no destination is taken, though a rule is there for it",
         .observed = "a rule before that one lets all go: fairlead intercept show",
         .outcome = Probe::Outcome::differs});
  }

  // Apart from loopback, where the proxy's own group is told from others.
  static bool takes_some_groups_alone(const nft::Chain& chain) {
    return std::any_of(chain.rules.begin(), chain.rules.end(), [](const nft::Rule& rule) {
      const auto* match = std::get_if<nft::Match>(&rule.expressions.front());
      return match != nullptr && match->field == nft::Field::skgid && match->negated;
    });
  }

  [[nodiscard]] bool means_to_take(bool v4) const {
    const nft::Chain* chain = rules_.tables[0].chain("outbound");
    if (chain == nullptr) return false;
    if (takes_some_groups_alone(*chain)) return false;
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

  [[nodiscard]] std::uint16_t outbound_port() const {
    const nft::Chain* chain = rules_.tables[0].chain("redirect-outbound");
    if (chain == nullptr || chain->rules.empty()) return 0;
    for (const nft::Expression& expression : chain->rules.front().expressions) {
      if (const auto* redirect = std::get_if<nft::Redirect>(&expression)) return redirect->port;
    }
    return 0;
  }

  static void observe(const Caller& caller, const SocketAddress& to, std::uint16_t port,
                      bool expected, Probe& result) {
    std::array<std::uint8_t, 16> one{};
    one[15] = 1;
    const IpAddress loopback = to.ip.is_v4() ? IpAddress::v4({127, 0, 0, 1}) : IpAddress::v6(one);
    const Descriptor listener(listen_on({loopback, port}));
    const Descriptor socket(socket_of(caller, to.ip));
    const sockaddr_storage target = to_system(to);
    const int status = ::connect(socket.number(), pointer_to(target), size_of(target));
    if (status != 0 && errno != EINPROGRESS) {
      // Without a route the connection ends before any rule is asked: nothing is lost, nor proved.
      const bool no_way = errno == ENETUNREACH || errno == EHOSTUNREACH || errno == EADDRNOTAVAIL;
      result.observed = fmt::format("could not be tried: {}", std::strerror(errno));
      result.outcome = no_way ? Probe::Outcome::untried : outcome(!expected);
      return;
    }
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

  // Some port that is captured, where any is.
  void walk_inbound(bool v4) {
    nft::Packet packet{.hook = nft::Hook::prerouting, .in_interface = "eth0"};
    packet.destination.ip = *IpAddress::parse(v4 ? "192.0.2.2" : "2001:db8::2");
    std::vector<nft::Value> ports = mentioned(nft::Field::tcp_dport);
    ports.insert(ports.begin(), std::uint32_t{8080});
    nft::Trace said;
    for (const nft::Value& port : ports) {
      packet.destination.port = static_cast<std::uint16_t>(std::get<std::uint32_t>(port));
      said = nft::trace(rules_, packet);
      if (said.fate == nft::Fate::redirected) break;
    }
    const bool taken = said.fate == nft::Fate::redirected;
    probes_.push_back(
        {.what =
             fmt::format("someone from outside connects to the pod by {}", v4 ? "IPv4" : "IPv6"),
         .predicted = taken ? fmt::format("port {} {}", packet.destination.port, said.outcome())
                            : "no port is taken",
         .observed = "not tried from inside; walked through the rules in force",
         .outcome =
             taken == captures_inbound() ? Probe::Outcome::untried : Probe::Outcome::differs});
  }

  [[nodiscard]] bool captures_inbound() const {
    const nft::Chain* chain = rules_.tables[0].chain("prerouting");
    if (chain == nullptr) return true;  // it should be there: not finding it is a finding
    return std::any_of(chain->rules.begin(), chain->rules.end(), [](const nft::Rule& rule) {
      const auto* verdict = std::get_if<nft::Verdict>(&rule.expressions.back());
      return verdict != nullptr && verdict->kind == nft::Verdict::Kind::jump;
    });
  }

  nft::Ruleset rules_;
  std::vector<Probe> probes_;
};

}  // namespace

Result<> enter(const std::string& where) {
  const bool is_pid = !where.empty() && where.find_first_not_of("0123456789") == std::string::npos;
  const bool is_path = where.find('/') != std::string::npos;
  const std::string path = is_pid    ? "/proc/" + where + "/ns/net"
                           : is_path ? where
                                     : "/run/netns/" + where;
  const Descriptor space(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!space.valid()) return from_errno(errno, "opening the network namespace " + path);
  if (::setns(space.number(), CLONE_NEWNET) == 0) return done();
  if (errno == EINVAL) return invalid(path + " is not a network namespace");
  return from_errno(errno, "entering the network namespace " + path);
}

bool owners_exist(const Settings& settings) {
  return all_mapped("/proc/self/uid_map", settings.proxy_uids) &&
         all_mapped("/proc/self/gid_map", settings.proxy_gids);
}

Result<> apply(nft::Kernel& kernel, const Settings& settings) {
  if (Result<> sound = check(settings); !sound) return sound;
  nft::Transaction transaction = nft::removal(either_table());
  nft::Transaction build = nft::difference({}, capture_rules(settings));
  transaction.commands.insert(transaction.commands.end(), build.commands.begin(),
                              build.commands.end());
  if (Result<> committed = kernel.commit(transaction); !committed) return committed;
  return settings.dual_stack ? change_handover_address(true) : done();
}

Result<bool> remove(nft::Kernel& kernel) {
  bool there = false;
  for (const nft::Table& table : either_table().tables) {
    Result<bool> found = nft::exists(kernel, table.family, table.name);
    if (!found) return std::move(found).fault();
    there = there || *found;
  }
  if (Result<> removed = kernel.commit(nft::removal(either_table())); !removed) {
    return std::move(removed).fault();
  }
  if (Result<> cleared = change_handover_address(false); !cleared) {
    return std::move(cleared).fault();
  }
  return there;
}

Result<std::optional<Installed>> installed(nft::Kernel& kernel) {
  for (const TableFamily family : {TableFamily::inet, TableFamily::ip}) {
    Result<bool> there = nft::exists(kernel, family, table_name);
    if (!there) return std::move(there).fault();
    if (!*there) continue;
    Result<nft::Table> table = nft::read(kernel, family, table_name);
    if (!table) return std::move(table).fault();
    Result<std::vector<nft::Reading>> readings = nft::counters(kernel, family, table_name);
    if (!readings) return std::move(readings).fault();
    return std::optional<Installed>(
        Installed{.table = *std::move(table), .readings = *std::move(readings)});
  }
  return std::optional<Installed>();
}

Result<std::vector<Probe>> check(const nft::Table& table) {
  return Prover(table).run();
}

}  // namespace fairlead::intercept
