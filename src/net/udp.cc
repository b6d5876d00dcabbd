#include "net/udp.h"

#include <linux/sock_diag.h>
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
  if (!made.valid()) return from_errno(errno, "making a socket");
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

Result<Descriptor> UdpSocket::open(const SocketAddress& address, bool reuse_port) {
  const auto failed = [&](Fault fault) {
    fault.message = "cannot listen on " + address.text() + " (UDP): " + fault.message;
    return fault;
  };
  Result<Descriptor> made = udp_socket(address);
  if (!made.ok()) return failed(made.fault());
  if (Result<> set = take_one_family(made->number(), address.ip.is_v4()); !set.ok()) {
    return failed(set.fault());
  }
  if (Result<> asked = ask_for_destinations(made->number(), address.ip); !asked.ok()) {
    return failed(asked.fault());
  }
  if (reuse_port) {
    if (Result<> set = set_option(made->number(), SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT");
        !set.ok()) {
      return failed(set.fault());
    }
  }
  const RawAddress raw = raw_address(address);
  if (::bind(made->number(), raw.get(), raw.length) != 0)
    return failed(from_errno(errno, "binding"));
  return made;
}

Result<std::unique_ptr<UdpSocket>> UdpSocket::adopt(Loop& loop, Descriptor bound) {
  if (Result<> set = set_non_blocking(bound.number()); !set.ok()) return set.fault();
  std::unique_ptr<UdpSocket> socket(new UdpSocket(loop, bound.release()));
  socket->local_ = own_address(socket->descriptor());
  if (Result<> watched = socket->watch(EPOLLIN); !watched.ok()) return watched.fault();
  return socket;
}

Result<std::unique_ptr<UdpSocket>> UdpSocket::bind(Loop& loop, const SocketAddress& address,
                                                   bool reuse_port) {
  Result<Descriptor> opened = open(address, reuse_port);
  if (!opened.ok()) return std::move(opened).fault();
  return adopt(loop, std::move(*opened));
}

Result<std::unique_ptr<UdpSocket>> UdpSocket::connect(Loop& loop, const SocketAddress& to) {
  Result<Descriptor> made = udp_socket(to);
  if (!made.ok()) return made.fault();
  const RawAddress raw = raw_address(to);
  if (::connect(made->number(), raw.get(), raw.length) != 0) {
    return from_errno(errno, "connecting to " + to.text() + " (UDP)");
  }
  std::unique_ptr<UdpSocket> socket(new UdpSocket(loop, made->release()));
  socket->local_ = own_address(socket->descriptor());
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

struct Exchanges::Room {
  // What one message and its answer need beside their bytes.
  struct Place {
    RawAddress from;
    iovec vector{};
    iovec answer{};
    alignas(cmsghdr) std::array<char, kControlBytes> control{};
    alignas(cmsghdr) std::array<char, kControlBytes> answer_control{};
  };

  Room(std::size_t most, std::size_t each, std::size_t each_answer)
      : bytes_each(each),
        bytes_each_answer(each_answer),
        bytes(most * each),
        answer_bytes(most * each_answer),
        places(most),
        messages(most),
        answers(most) {
    for (std::size_t i = 0; i < most; ++i) {
      Place& place = places[i];
      place.vector = {.iov_base = bytes.data() + i * each, .iov_len = each};
      msghdr& header = messages[i].msg_hdr;
      header.msg_name = place.from.get();
      header.msg_iov = &place.vector;
      header.msg_iovlen = 1;
      header.msg_control = place.control.data();
    }
  }

  std::size_t bytes_each;
  std::size_t bytes_each_answer;
  std::vector<char> bytes;
  std::vector<char> answer_bytes;
  std::vector<Place> places;
  std::vector<mmsghdr> messages;
  std::vector<mmsghdr> answers;
  std::size_t came = 0;
  std::size_t answered = 0;
};

Exchanges::Exchanges(std::size_t most, std::size_t bytes_each, std::size_t bytes_each_answer)
    : room_(std::make_unique<Room>(most, bytes_each, bytes_each_answer)) {}
Exchanges::Exchanges(Exchanges&&) noexcept = default;
Exchanges& Exchanges::operator=(Exchanges&&) noexcept = default;
Exchanges::~Exchanges() = default;

std::size_t Exchanges::most() const {
  return room_->messages.size();
}

std::size_t Exchanges::size() const {
  return room_->came;
}

std::string_view Exchanges::bytes(std::size_t which) const {
  return {room_->bytes.data() + which * room_->bytes_each, room_->messages[which].msg_len};
}

std::span<char> Exchanges::answer_room(std::size_t which) {
  const std::size_t each = room_->bytes_each_answer;
  return std::span(room_->answer_bytes).subspan(which * each, each);
}

void Exchanges::answer(std::size_t which, std::size_t bytes) {
  Room::Place& place = room_->places[which];
  msghdr& question = room_->messages[which].msg_hdr;
  msghdr& header = room_->answers[room_->answered++].msg_hdr;
  place.answer = {.iov_base = answer_room(which).data(), .iov_len = bytes};
  header = {};
  header.msg_name = question.msg_name;
  header.msg_namelen = question.msg_namelen;
  header.msg_iov = &place.answer;
  header.msg_iovlen = 1;
  const std::optional<IpAddress> asked = destination_in(question);
  if (asked && !asked->is_unspecified()) set_source(header, place.answer_control, *asked);
}

Result<> UdpSocket::receive_now(Exchanges& into) {
  Exchanges::Room& room = *into.room_;
  room.came = room.answered = 0;
  if (descriptor() < 0) return Fault{FaultKind::closed, "the socket was closed here"};
  for (mmsghdr& message : room.messages) {
    // The kernel writes these over.
    message.msg_hdr.msg_namelen = sizeof(sockaddr_storage);
    message.msg_hdr.msg_controllen = local_.ip.is_unspecified() ? kControlBytes : 0;
  }
  int count = 0;
  do {
    count = ::recvmmsg(descriptor(), room.messages.data(),
                       static_cast<unsigned>(room.messages.size()), MSG_DONTWAIT, nullptr);
  } while (count < 0 && errno == EINTR);
  if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK) return from_errno(errno, "receiving");
  room.came = static_cast<std::size_t>(std::max(count, 0));
  if (room.came < room.messages.size()) readable_.clear();
  return done();
}

void UdpSocket::answer_now(Exchanges& all) {
  Exchanges::Room& room = *all.room_;
  for (std::size_t sent = 0; sent < room.answered && descriptor() >= 0;) {
    const int taken =
        ::sendmmsg(descriptor(), room.answers.data() + sent,
                   static_cast<unsigned>(room.answered - sent), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (taken < 0 && errno == EINTR) continue;
    // The first of them cannot be sent; the others may go elsewhere.
    sent += taken > 0 ? static_cast<std::size_t>(taken) : 1;
  }
  room.answered = 0;
}

std::uint64_t UdpSocket::dropped() const {
  std::array<std::uint32_t, SK_MEMINFO_VARS> memory{};
  socklen_t size = sizeof memory;
  if (::getsockopt(descriptor(), SOL_SOCKET, SO_MEMINFO, memory.data(), &size) != 0) return 0;
  return memory[SK_MEMINFO_DROPS];
}

void UdpSocket::close() {
  close_descriptor();
  readable_.close();
}

}  // namespace fairlead::net
