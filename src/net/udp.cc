#include "net/udp.h"

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace fairlead::net {
namespace {

constexpr std::size_t kControlBytes = 64;  // one pktinfo of either family
static_assert(kControlBytes >= CMSG_SPACE(sizeof(in6_pktinfo)));

Result<Descriptor> udp_socket(const SocketAddress& for_address) {
  const int family = for_address.ip.is_v4() ? AF_INET : AF_INET6;
  Descriptor made(::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP));
  if (!made) return from_errno(errno, "making a socket");
  return made;
}

Result<> ask_for_destinations(int descriptor, bool v4) {
  if (v4) return set_option(descriptor, SOL_IP, IP_PKTINFO, 1, "IP_PKTINFO");
  if (Result<> set = set_option(descriptor, SOL_IPV6, IPV6_V6ONLY, 1, "IPV6_V6ONLY"); !set.ok()) {
    return set;
  }
  return set_option(descriptor, SOL_IPV6, IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO");
}

IpAddress v4_of(const in_addr& address) {
  std::array<std::uint8_t, 4> bytes{};
  std::memcpy(bytes.data(), &address, bytes.size());
  return IpAddress::v4(bytes);
}

IpAddress v6_of(const in6_addr& address) {
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), &address, bytes.size());
  return IpAddress::v6(bytes);
}

std::optional<IpAddress> destination_in(msghdr& message) {
  for (cmsghdr* one = CMSG_FIRSTHDR(&message); one != nullptr; one = CMSG_NXTHDR(&message, one)) {
    if (one->cmsg_level == SOL_IP && one->cmsg_type == IP_PKTINFO) {
      in_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(one), sizeof(info));
      return v4_of(info.ipi_addr);
    }
    if (one->cmsg_level == SOL_IPV6 && one->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(one), sizeof(info));
      return v6_of(info.ipi6_addr);
    }
  }
  return {};
}

// A message that is to leave from `from`.
void set_source(msghdr& message, std::span<char> control, const IpAddress& from) {
  message.msg_control = control.data();
  const auto put = [&](int level, int type, const auto& info) {
    message.msg_controllen = CMSG_SPACE(sizeof(info));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(sizeof(info));
    std::memcpy(CMSG_DATA(header), &info, sizeof(info));
  };
  if (from.is_v4()) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, from.bytes().data(), 4);
    put(SOL_IP, IP_PKTINFO, info);
  } else {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, from.bytes().data(), 16);
    put(SOL_IPV6, IPV6_PKTINFO, info);
  }
}

}  // namespace

Result<std::unique_ptr<UdpSocket>> UdpSocket::bind(Loop& loop, const SocketAddress& address,
                                                   bool reuse_port) {
  const auto failed = [&](Fault fault) {
    fault.message = "cannot listen on " + address.text() + " (UDP): " + fault.message;
    return fault;
  };
  Result<Descriptor> made = udp_socket(address);
  if (!made.ok()) return failed(made.fault());
  if (Result<> asked = ask_for_destinations(made->get(), address.ip.is_v4()); !asked.ok()) {
    return failed(asked.fault());
  }
  if (reuse_port) {
    if (Result<> set = set_option(made->get(), SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT");
        !set.ok()) {
      return failed(set.fault());
    }
  }
  const RawAddress raw = raw_address(address);
  if (::bind(made->get(), raw.get(), raw.length) != 0) return failed(from_errno(errno, "binding"));
  std::unique_ptr<UdpSocket> socket(new UdpSocket(loop, made->release()));
  RawAddress own;
  ::getsockname(socket->descriptor(), own.get(), &own.length);
  socket->local_ = from_raw(own);
  if (Result<> watched = socket->watch(EPOLLIN); !watched.ok()) return failed(watched.fault());
  return socket;
}

Result<std::unique_ptr<UdpSocket>> UdpSocket::connect(Loop& loop, const SocketAddress& to) {
  Result<Descriptor> made = udp_socket(to);
  if (!made.ok()) return made.fault();
  const RawAddress raw = raw_address(to);
  if (::connect(made->get(), raw.get(), raw.length) != 0) {
    return from_errno(errno, "connecting to " + to.text() + " (UDP)");
  }
  std::unique_ptr<UdpSocket> socket(new UdpSocket(loop, made->release()));
  RawAddress own;
  ::getsockname(socket->descriptor(), own.get(), &own.length);
  socket->local_ = from_raw(own);
  socket->peer_ = to;
  socket->connected_ = true;
  if (Result<> watched = socket->watch(EPOLLIN); !watched.ok()) return watched.fault();
  return socket;
}

void UdpSocket::ready(std::uint32_t) {
  readable_.set();
}

Result<std::optional<Datagram>> UdpSocket::receive_now(std::span<char> into) {
  if (descriptor() < 0) return Fault{FaultKind::closed, "the socket was closed here"};
  RawAddress from;
  iovec vector{into.data(), into.size()};
  alignas(cmsghdr) std::array<char, kControlBytes> control;
  msghdr message{};
  message.msg_name = from.get();
  message.msg_namelen = from.length;
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t count = 0;
  do {
    count = ::recvmsg(descriptor(), &message, MSG_DONTWAIT);
  } while (count < 0 && errno == EINTR);
  if (count < 0) {
    if (errno != EAGAIN && errno != EWOULDBLOCK) return from_errno(errno, "receiving");
    readable_.clear();
    return std::optional<Datagram>{};
  }
  Datagram datagram{.bytes = static_cast<std::size_t>(count),
                    .from = connected_ ? peer_ : from_raw(from),
                    .to = local_,
                    .truncated = (message.msg_flags & MSG_TRUNC) != 0};
  if (const std::optional<IpAddress> to = destination_in(message)) datagram.to.ip = *to;
  return std::optional(datagram);
}

Result<> UdpSocket::send_now(std::string_view bytes, const SocketAddress& to,
                             const std::optional<IpAddress>& from) {
  if (descriptor() < 0) return Fault{FaultKind::closed, "the socket was closed here"};
  RawAddress raw = raw_address(to);
  iovec vector{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) std::array<char, kControlBytes> control{};
  msghdr message{};
  if (!connected_) {
    message.msg_name = raw.get();
    message.msg_namelen = raw.length;
  }
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  if (from && !from->is_unspecified()) set_source(message, control, *from);
  ssize_t count = 0;
  do {
    count = ::sendmsg(descriptor(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (count < 0 && errno == EINTR);
  if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS) {
    return from_errno(errno, "sending to " + to.text());
  }
  return done();
}

void UdpSocket::close() {
  close_descriptor();
  readable_.close();
}

}  // namespace fairlead::net
