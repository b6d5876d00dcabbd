// For tests: a pod and its peer as network namespaces joined by a wire, and connections whose
// landing place can be seen. Nothing here touches the namespace that the test began in.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netfilter_ipv4.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/descriptor.h"

namespace fairlead::nft::testing {

inline void demand(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what + ": " + std::strerror(errno));
}

// A network namespace of the test's own, with lo up. It ends with the last socket in it.
class TestNamespace {
 public:
  TestNamespace() {
    const Descriptor before = current();
    demand(::unshare(CLONE_NEWNET) == 0,
           "this test makes network namespaces, which takes root (or `unshare -Urn`)");
    here_ = current();
    std::ofstream("/proc/sys/net/ipv6/conf/all/accept_dad") << 0;
    std::ofstream("/proc/sys/net/ipv6/conf/default/accept_dad") << 0;
    shell("ip link set lo up");
    demand(::setns(before.number(), CLONE_NEWNET) == 0, "going back");
  }

  // Calls `act` with this thread inside.
  template <class Act>
  auto in(Act act) const {
    const Descriptor before = current();
    demand(::setns(here_.number(), CLONE_NEWNET) == 0, "entering a namespace");
    struct Back {
      const Descriptor& to;
      ~Back() { static_cast<void>(::setns(to.number(), CLONE_NEWNET)); }
    } back{before};
    return act();
  }

  void run(const std::string& command) const {
    in([&] { shell(command); });
  }

  [[nodiscard]] std::string path() const {
    return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(here_.number());
  }

 private:
  static Descriptor current() {
    Descriptor descriptor(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    demand(descriptor.number() >= 0, "opening this thread's network namespace");
    return descriptor;
  }

  static void shell(const std::string& command) {
    if (std::system(command.c_str()) != 0) throw std::runtime_error("this failed: " + command);
  }

  Descriptor here_;
};

inline sockaddr_storage to_system(const SocketAddress& address) {
  sockaddr_storage storage{};
  if (address.ip.is_v4()) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(address.port);
    std::memcpy(&v4->sin_addr, address.ip.bytes().data(), 4);
  } else {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(address.port);
    std::memcpy(&v6->sin6_addr, address.ip.bytes().data(), 16);
  }
  return storage;
}

inline socklen_t size_of(const sockaddr_storage& storage) {
  return storage.ss_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
}

inline SocketAddress from_system(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &v4->sin_addr, 4);
    return {IpAddress::v4(bytes), ntohs(v4->sin_port)};
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), &v6->sin6_addr, 16);
  return {IpAddress::v6(bytes), ntohs(v6->sin6_port)};
}

// Who connects: the owner and the mark of the socket, and the source if it is bound.
struct Caller {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t mark = 0;
  std::optional<IpAddress> source;
};

struct Landing {
  std::string place;  // "pod:15001", or "refused", "unreachable", "silence"
  SocketAddress
      original;        // what was dialled, by SO_ORIGINAL_DST; unset when nothing was translated
  SocketAddress peer;  // whom the listener sees
};

// Listeners whose place has a name, both families each.
class Listeners {
 public:
  void open(const std::string& name, const TestNamespace& where, std::uint16_t port) {
    where.in([&] {
      Descriptor socket(::socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      const sockaddr_storage any = to_system({IpAddress::v6({}), port});
      const int both = 0;
      const int again = 1;
      ::setsockopt(socket.number(), IPPROTO_IPV6, IPV6_V6ONLY, &both, sizeof both);
      ::setsockopt(socket.number(), SOL_SOCKET, SO_REUSEADDR, &again, sizeof again);
      demand(::bind(socket.number(), reinterpret_cast<const sockaddr*>(&any), size_of(any)) == 0 &&
                 ::listen(socket.number(), 128) == 0,
             "listening on port " + std::to_string(port));
      all_.push_back({name + ":" + std::to_string(port), std::move(socket)});
    });
  }

  [[nodiscard]] Landing connect(const TestNamespace& from, const Caller& caller,
                                const SocketAddress& to) const {
    return from.in([&] {
      ::setfsgid(caller.gid);
      ::setfsuid(caller.uid);
      const Descriptor socket(::socket(to.ip.is_v4() ? AF_INET : AF_INET6,
                                       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      ::setfsuid(0);
      ::setfsgid(0);
      return land(socket, caller, to);
    });
  }

 private:
  // Milliseconds. A busy machine may lose a packet: TCP sends it again after 1, 3 and 7 s.
  static constexpr int longest_wait = 10'000;

  struct Listener {
    std::string name;
    Descriptor socket;
  };

  Landing land(const Descriptor& socket, const Caller& caller, const SocketAddress& to) const {
    if (caller.mark != 0) {
      demand(
          ::setsockopt(socket.number(), SOL_SOCKET, SO_MARK, &caller.mark, sizeof caller.mark) == 0,
          "marking a socket");
    }
    if (caller.source) {
      const sockaddr_storage source = to_system({*caller.source, 0});
      demand(
          ::bind(socket.number(), reinterpret_cast<const sockaddr*>(&source), size_of(source)) == 0,
          "binding to " + caller.source->text());
    }
    const sockaddr_storage target = to_system(to);
    if (::connect(socket.number(), reinterpret_cast<const sockaddr*>(&target), size_of(target)) !=
            0 &&
        errno != EINPROGRESS) {
      return {.place = name_of(errno)};
    }
    pollfd waiting{.fd = socket.number(), .events = POLLOUT, .revents = 0};
    if (::poll(&waiting, 1, longest_wait) == 0) return {.place = "silence"};
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(socket.number(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return {.place = name_of(error)};
    return accept_anywhere();
  }

  [[nodiscard]] Landing accept_anywhere() const {
    std::vector<pollfd> waiting;
    waiting.reserve(all_.size());
    for (const Listener& one : all_) waiting.push_back({one.socket.number(), POLLIN, 0});
    ::poll(waiting.data(), waiting.size(), longest_wait);
    for (std::size_t i = 0; i < waiting.size(); ++i) {
      if (waiting[i].revents == 0) continue;
      sockaddr_storage peer{};
      socklen_t size = sizeof peer;
      const Descriptor accepted(
          ::accept4(waiting[i].fd, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC));
      return {.place = all_[i].name, .original = original(accepted), .peer = from_system(peer)};
    }
    return {.place = "connected, accepted by nobody"};
  }

  static SocketAddress original(const Descriptor& accepted) {
    sockaddr_storage address{};
    for (const int level : {SOL_IP, SOL_IPV6}) {
      socklen_t size = sizeof address;
      if (::getsockopt(accepted.number(), level, SO_ORIGINAL_DST, &address, &size) == 0) {
        return from_system(address);
      }
    }
    return {};
  }

  static std::string name_of(int error) {
    if (error == ECONNREFUSED || error == ECONNRESET) return "refused";
    if (error == ENETUNREACH || error == EHOSTUNREACH) return "unreachable";
    return std::strerror(error);
  }

  std::vector<Listener> all_;
};

// A pod (10.244.1.11, fd44:1::11 on eth0) with a wire to its peer (10.244.1.1, fd44:1::1), who also
// answers as anything in 10.96.0.0/16, 203.0.113.0/24, 10.244.2.0/24 and in fd96::/108,
// fd44:2::/64.
struct Wire {
  TestNamespace pod;
  TestNamespace peer;

  Wire() {
    pod.run("ip link add eth0 type veth peer name wire netns " + peer.path());
    peer.run("ip link set wire up");
    pod.run("ip link set eth0 up");
    peer.run("ip addr add 10.244.1.1/24 dev wire && ip addr add fd44:1::1/64 dev wire nodad");
    pod.run("ip addr add 10.244.1.11/24 dev eth0 && ip addr add fd44:1::11/64 dev eth0 nodad");
    pod.run("ip -6 addr add ::6/128 dev lo nodad");
    pod.run("ip route add default via 10.244.1.1 && ip -6 route add default via fd44:1::1");
    for (const char* range : {"10.96.0.0/16", "203.0.113.0/24", "10.244.2.0/24"}) {
      peer.run(std::string("ip route add local ") + range + " dev lo");
    }
    for (const char* range : {"fd96::/108", "fd44:2::/64"}) {
      peer.run(std::string("ip -6 route add local ") + range + " dev lo");
    }
  }
};

}  // namespace fairlead::nft::testing
