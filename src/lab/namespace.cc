#include "lab/namespace.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>

#include <cerrno>
#include <cstdlib>

#include "base/log.h"
#include "lab/netlink.h"

namespace fairlead::lab {
namespace {

Descriptor open_current() {
  return Descriptor(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
}

}  // namespace

NetworkNamespace::Visit::Visit(int target) : before_(open_current()) {
  if (!before_.valid() || ::setns(target, CLONE_NEWNET) != 0) {
    log::error("a network namespace of this lab cannot be entered");
    std::abort();
  }
}

NetworkNamespace::Visit::~Visit() {
  if (::setns(before_.number(), CLONE_NEWNET) != 0) std::abort();
}

Result<NetworkNamespace> NetworkNamespace::current() {
  Descriptor here = open_current();
  if (!here.valid()) return from_errno(errno, "opening this thread's network namespace");
  return NetworkNamespace(std::move(here));
}

Result<NetworkNamespace> NetworkNamespace::make() {
  const Descriptor before = open_current();
  if (!before.valid()) return from_errno(errno, "opening this thread's network namespace");
  if (::unshare(CLONE_NEWNET) != 0) return from_errno(errno, "making a network namespace");
  Descriptor here = open_current();
  Result<> prepared =
      here.valid() ? prepare_here(false) : from_errno(errno, "opening a new network namespace");
  if (::setns(before.number(), CLONE_NEWNET) != 0) std::abort();
  if (!prepared) return std::move(prepared).fault();
  return NetworkNamespace(std::move(here));
}

Result<> set_system_value(const std::string& name, const std::string& value) {
  const std::string path = "/proc/sys/" + name;
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (file.valid() && ::write(file.number(), value.data(), value.size()) >= 0) return done();
  return from_errno(errno, fmt::format("setting {} to {}", path, value));
}

Result<> prepare_here(bool forwards) {
  for (const char* which : {"all", "default"}) {
    const std::string folder = fmt::format("net/ipv6/conf/{}/", which);
    if (Result<> set = set_system_value(folder + "accept_dad", "0"); !set) return set;
    if (forwards) {
      if (Result<> set = set_system_value(folder + "forwarding", "1"); !set) return set;
    }
  }
  if (forwards) {
    if (Result<> set = set_system_value("net/ipv4/ip_forward", "1"); !set) return set;
  }
  Result<Netlink> netlink = Netlink::open();
  if (!netlink) return std::move(netlink).fault();
  return netlink->set_up("lo");
}

}  // namespace fairlead::lab
