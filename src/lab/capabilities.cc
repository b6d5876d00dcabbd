#include "lab/capabilities.h"

#include <fmt/format.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <string_view>
#include <vector>

#include "base/near.h"

namespace fairlead::lab {
namespace {

constexpr Capabilities bit(int number) {
  return Capabilities{1} << static_cast<unsigned>(number);
}

// In the order of the kernel's numbers.
constexpr std::array<std::string_view, 41> names{"CHOWN",
                                                 "DAC_OVERRIDE",
                                                 "DAC_READ_SEARCH",
                                                 "FOWNER",
                                                 "FSETID",
                                                 "KILL",
                                                 "SETGID",
                                                 "SETUID",
                                                 "SETPCAP",
                                                 "LINUX_IMMUTABLE",
                                                 "NET_BIND_SERVICE",
                                                 "NET_BROADCAST",
                                                 "NET_ADMIN",
                                                 "NET_RAW",
                                                 "IPC_LOCK",
                                                 "IPC_OWNER",
                                                 "SYS_MODULE",
                                                 "SYS_RAWIO",
                                                 "SYS_CHROOT",
                                                 "SYS_PTRACE",
                                                 "SYS_PACCT",
                                                 "SYS_ADMIN",
                                                 "SYS_BOOT",
                                                 "SYS_NICE",
                                                 "SYS_RESOURCE",
                                                 "SYS_TIME",
                                                 "SYS_TTY_CONFIG",
                                                 "MKNOD",
                                                 "LEASE",
                                                 "AUDIT_WRITE",
                                                 "AUDIT_CONTROL",
                                                 "SETFCAP",
                                                 "MAC_OVERRIDE",
                                                 "MAC_ADMIN",
                                                 "SYSLOG",
                                                 "WAKE_ALARM",
                                                 "BLOCK_SUSPEND",
                                                 "AUDIT_READ",
                                                 "PERFMON",
                                                 "BPF",
                                                 "CHECKPOINT_RESTORE"};

Result<Capabilities> named(std::string_view word) {
  if (word == "ALL") return all_capabilities;
  const std::string_view name = word.starts_with("CAP_") ? word.substr(4) : word;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return bit(static_cast<int>(i));
  }
  const std::vector<std::string> known(names.begin(), names.end());
  return invalid(fmt::format("securityContext.capabilities: '{}' is no capability{}", word,
                             did_you_mean(std::string(name), known)));
}

Result<Capabilities> all_named(const std::vector<std::string>& words) {
  Capabilities all = 0;
  for (const std::string& word : words) {
    const Result<Capabilities> one = named(word);
    if (!one) return one;
    all |= *one;
  }
  return all;
}

// What is inherited or ambient would survive exec() beside the bounding set.
Result<> inherit_none() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, 2> data{};
  if (::syscall(SYS_capget, &header, data.data()) != 0) {
    return from_errno(errno, "reading this process's capabilities");
  }
  for (__user_cap_data_struct& half : data) half.inheritable = 0;
  if (::syscall(SYS_capset, &header, data.data()) != 0) {
    return from_errno(errno, "giving up inheritable capabilities");
  }
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  return done();
}

}  // namespace

Capabilities usual_capabilities() {
  Capabilities all = 0;
  for (const int number : {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FSETID, CAP_FOWNER, CAP_MKNOD,
                           CAP_NET_RAW, CAP_SETGID, CAP_SETUID, CAP_SETFCAP, CAP_SETPCAP,
                           CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT, CAP_KILL, CAP_AUDIT_WRITE}) {
    all |= bit(number);
  }
  return all;
}

Result<Capabilities> capabilities_of(const kube::SecurityContext& security) {
  const Result<Capabilities> added = all_named(security.add_capabilities);
  if (!added) return added;
  const Result<Capabilities> dropped = all_named(security.drop_capabilities);
  if (!dropped) return dropped;
  if (security.privileged) return all_capabilities;
  return (usual_capabilities() & ~*dropped) | *added;
}

Result<> keep_capabilities(Capabilities kept) {
  if (kept == all_capabilities) return done();
  for (int number = 0; ::prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0; ++number) {
    if ((kept & bit(number)) != 0) continue;
    if (::prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0) {
      return from_errno(errno, fmt::format("giving up the capability {}", number));
    }
  }
  return inherit_none();
}

}  // namespace fairlead::lab
