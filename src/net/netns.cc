#include "net/netns.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

namespace fairlead::net {

Result<NetNamespace> NetNamespace::open(const std::string& path) {
  Descriptor opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!opened.valid()) return from_errno(errno, "opening the network namespace " + path);
  return NetNamespace(std::move(opened));
}

Result<NetNamespace> NetNamespace::current() {
  return open("/proc/thread-self/ns/net");
}

Result<NetNamespace> NetNamespace::of_process(pid_t pid) {
  return open("/proc/" + std::to_string(pid) + "/ns/net");
}

Result<> NetNamespace::call(const std::function<void()>& work) const {
  int error = 0;
  std::thread inside([&] {
    if (::setns(namespace_.number(), CLONE_NEWNET) != 0) {
      error = errno;
      return;
    }
    work();
  });
  inside.join();
  if (error != 0) return from_errno(error, "entering a network namespace");
  return done();
}

}  // namespace fairlead::net
