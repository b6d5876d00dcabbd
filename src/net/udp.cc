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

Result<> take_one_family(int descriptor, bool v4) {
  if (v4) return done();
  return set_option(descriptor, SOL_IPV6, IPV6_V6ONLY, 1, "IPV6_V6ONLY");
}

// Which address was asked is a question only where any is; it costs the kernel a look-up a message.
Result<> ask_for_destinations(int descriptor, const IpAddress& bound) {
  if (!bound.is_unspecified()) return done();
  if (bound.is_v4()) return set_option(descriptor, SOL_IP, IP_PKTINFO, 1, "IP_PKTINFO");
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
  if (Result<> set = take_one_family(made->get(), address.ip.is_v4()); !set.ok()) {
    return failed(set.fault());
  }
  if (Result<> asked = ask_for_destinations(made->get(), address.ip); !asked.ok()) {
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
  if (from && !from->is_unspecified() && local_.ip.is_unspecified()) {
    set_source(message, control, *from);
  }
  ssize_t count = 0;
  do {
    count = ::sendmsg(descriptor(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (count < 0 && errno == EINTR);
  if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS) {
    return from_errno(errno, "sending to " + to.text());
  }
  return done();
}

// ── many at once ────────────────────────────────────────────────────────────────────────────────

struct Datagrams::Room {
  // What one message needs beside its bytes.
  struct Place {
    RawAddress from;
    iovec vector{};
    alignas(cmsghdr) std::array<char, kControlBytes> control{};
  };

  Room(std::size_t most, std::size_t each)
      : bytes_each(each), bytes(most * each), places(most), messages(most) {
    for (std::size_t i = 0; i < most; ++i) {
      Place& place = places[i];
      place.vector = {.iov_base = bytes.data() + i * each, .iov_len = each};
      messages[i].msg_hdr.msg_name = place.from.get();
      messages[i].msg_hdr.msg_iov = &place.vector;
      messages[i].msg_hdr.msg_iovlen = 1;
      messages[i].msg_hdr.msg_control = place.control.data();
    }
  }

  std::size_t bytes_each;
  std::vector<char> bytes;
  std::vector<Place> places;
  std::vector<mmsghdr> messages;
};

Datagrams::Datagrams(std::size_t most, std::size_t bytes_each)
    : room_(std::make_unique<Room>(most, bytes_each)) {
  all_.reserve(most);
}
Datagrams::Datagrams(Datagrams&&) noexcept = default;
Datagrams& Datagrams::operator=(Datagrams&&) noexcept = default;
Datagrams::~Datagrams() = default;

std::string_view Datagrams::bytes(std::size_t which) const {
  return {room_->bytes.data() + which * room_->bytes_each, all_[which].bytes};
}

std::size_t Datagrams::most() const {
  return room_->messages.size();
}

Result<> UdpSocket::receive_now(Datagrams& into) {
  into.all_.clear();
  if (descriptor() < 0) return Fault{FaultKind::closed, "the socket was closed here"};
  std::vector<mmsghdr>& messages = into.room_->messages;
  for (mmsghdr& message : messages) {
    // The kernel writes these over.
    message.msg_hdr.msg_namelen = sizeof(sockaddr_storage);
    message.msg_hdr.msg_controllen = local_.ip.is_unspecified() ? kControlBytes : 0;
  }
  int count = 0;
  do {
    count = ::recvmmsg(descriptor(), messages.data(), static_cast<unsigned>(messages.size()),
                       MSG_DONTWAIT, nullptr);
  } while (count < 0 && errno == EINTR);
  if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK) return from_errno(errno, "receiving");
  const auto came = static_cast<std::size_t>(std::max(count, 0));
  if (came < messages.size()) readable_.clear();
  for (std::size_t i = 0; i < came; ++i) {
    msghdr& header = messages[i].msg_hdr;
    RawAddress& from = into.room_->places[i].from;
    from.length = header.msg_namelen;
    Datagram datagram{.bytes = messages[i].msg_len,
                      .from = connected_ ? peer_ : from_raw(from),
                      .to = local_,
                      .truncated = (header.msg_flags & MSG_TRUNC) != 0};
    if (const std::optional<IpAddress> to = destination_in(header)) datagram.to.ip = *to;
    into.all_.push_back(datagram);
  }
  return done();
}

void UdpSocket::send_now(const std::vector<Outgoing>& all) {
  if (all.size() == 1) {
    static_cast<void>(send_now(all[0].bytes, all[0].to, all[0].from));
    return;
  }
  constexpr std::size_t together = 32;
  std::array<Datagrams::Room::Place, together> places;
  std::array<mmsghdr, together> messages;
  for (std::size_t begin = 0; begin < all.size() && descriptor() >= 0; begin += together) {
    const std::size_t count = std::min(together, all.size() - begin);
    for (std::size_t i = 0; i < count; ++i) {
      const Outgoing& one = all[begin + i];
      Datagrams::Room::Place& place = places[i];
      place.vector = {.iov_base = const_cast<char*>(one.bytes.data()), .iov_len = one.bytes.size()};
      messages[i] = {};
      msghdr& header = messages[i].msg_hdr;
      header.msg_iov = &place.vector;
      header.msg_iovlen = 1;
      if (!connected_) {
        place.from = raw_address(one.to);
        header.msg_name = place.from.get();
        header.msg_namelen = place.from.length;
      }
      if (one.from && !one.from->is_unspecified() && local_.ip.is_unspecified()) {
        set_source(header, place.control, *one.from);
      }
    }
    for (std::size_t sent = 0; sent < count;) {
      const int taken =
          ::sendmmsg(descriptor(), messages.data() + sent, static_cast<unsigned>(count - sent),
                     MSG_DONTWAIT | MSG_NOSIGNAL);
      if (taken < 0 && errno == EINTR) continue;
      // The first of them cannot be sent; the others may go elsewhere.
      sent += taken > 0 ? static_cast<std::size_t>(taken) : 1;
    }
  }
}

void UdpSocket::close() {
  close_descriptor();
  readable_.close();
}

}  // namespace fairlead::net
