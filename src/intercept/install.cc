#include "intercept/install.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>

#include "base/descriptor.h"
#include "intercept/record.h"
#include "nft/render.h"

namespace fairlead::intercept {
namespace {

using nft::TableFamily;

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

// ── what stands there ───────────────────────────────────────────────────────────────────────────

Result<bool> stands(nft::Kernel& kernel, TableFamily family) {
  return nft::exists(kernel, family, table_name);
}

// Also where the rest of the table cannot be read.
std::string remedy_for(nft::Kernel& kernel, TableFamily family) {
  const Result<nft::Set> record = nft::read_set(kernel, family, table_name, record_name);
  return remedy(record ? &*record : nullptr);
}

Result<> check_awake(nft::Kernel& kernel, TableFamily family) {
  const Result<bool> dormant = nft::is_dormant(kernel, family, table_name);
  if (!dormant) return dormant.fault();
  if (!*dormant) return done();
  return unsupported(
      fmt::format("capture is switched off: the table {} {} is dormant, and no rule of it in force "
                  "(put it back, in this network namespace, with: {})",
                  nft::name_of(family), table_name, remedy_for(kernel, family)));
}

Result<nft::Table> read_table(nft::Kernel& kernel, TableFamily family) {
  Result<nft::Table> table = nft::read(kernel, family, table_name);
  if (table || table.fault().kind != FaultKind::unsupported) return table;
  return unsupported(fmt::format("{} (put the table back, in this network namespace, with: {})",
                                 table.fault().message, remedy_for(kernel, family)));
}

// Fault: missing, also when somebody takes the table away meanwhile.
Result<Installed> installed(nft::Kernel& kernel, TableFamily family) {
  if (Result<> awake = check_awake(kernel, family); !awake) return std::move(awake).fault();
  Result<nft::Table> table = read_table(kernel, family);
  if (!table) return std::move(table).fault();
  Result<std::vector<nft::Reading>> readings = nft::counters(kernel, family, table_name);
  if (!readings) return std::move(readings).fault();
  return Installed{.table = *std::move(table), .readings = *std::move(readings)};
}

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

Result<> may(const std::string& request) {
  if (nft::may_change_rules()) return done();
  return Fault{.kind = FaultKind::denied,
               .message = fmt::format(
                   "{} takes CAP_NET_ADMIN over this network namespace, which this process does "
                   "not have (run as root, or in user and network namespaces of your own)",
                   request)};
}

Result<> apply(nft::Kernel& kernel, const Settings& settings) {
  if (Result<> sound = check(settings); !sound) return sound;
  const Result<bool> had_both_families = stands(kernel, TableFamily::inet);
  if (!had_both_families) return had_both_families.fault();
  nft::Transaction transaction = removal();
  nft::Transaction build = nft::difference({}, capture_rules(settings));
  transaction.commands.insert(transaction.commands.end(), build.commands.begin(),
                              build.commands.end());
  if (Result<> committed = kernel.commit(transaction); !committed) return committed;
  if (settings.dual_stack) return change_handover_address(true);
  return *had_both_families ? change_handover_address(false) : done();
}

nft::Transaction removal() {
  return nft::removal(either_table());
}

Result<bool> remove(nft::Kernel& kernel) {
  const Result<bool> both_families = stands(kernel, TableFamily::inet);
  if (!both_families) return both_families.fault();
  const Result<bool> v4_alone = stands(kernel, TableFamily::ip);
  if (!v4_alone) return v4_alone.fault();
  if (Result<> removed = kernel.commit(removal()); !removed) return std::move(removed).fault();
  if (*both_families) {
    if (Result<> cleared = change_handover_address(false); !cleared) {
      return std::move(cleared).fault();
    }
  }
  return *both_families || *v4_alone;
}

Result<std::optional<Installed>> installed(nft::Kernel& kernel) {
  for (const TableFamily family : {TableFamily::inet, TableFamily::ip}) {
    Result<Installed> found = installed(kernel, family);
    if (found) return std::optional<Installed>(*std::move(found));
    if (found.fault().kind != FaultKind::missing) return std::move(found).fault();
  }
  return std::optional<Installed>();
}

}  // namespace fairlead::intercept
