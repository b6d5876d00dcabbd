#include "net/socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "net/descriptors.h"
#include "net/pause.h"

namespace fairlead::net {
namespace {

constexpr std::uint32_t kRead = EPOLLIN | EPOLLRDHUP;

Fault socket_fault(int error, const char* what) {
  Fault fault = from_errno(error, what);
  if (error == EPIPE || error == ECONNRESET) fault.kind = FaultKind::closed;
  return fault;
}

Fault closed_here() {
  return Fault{FaultKind::closed, "the stream was closed here"};
}

constexpr std::size_t kMostPieces = 16;  // in one system call
constexpr int kSendFlags = MSG_DONTWAIT | MSG_NOSIGNAL;

ssize_t send_pieces(int descriptor, std::span<const std::string_view> pieces) {
  std::array<iovec, kMostPieces> vectors;
  const std::size_t count = std::min(pieces.size(), kMostPieces);
  for (std::size_t i = 0; i < count; ++i) {
    vectors[i] = {const_cast<char*>(pieces[i].data()), pieces[i].size()};
  }
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = count;
  return ::sendmsg(descriptor, &message, kSendFlags);
}

}  // namespace

Result<> SocketStream::register_now() {
  // On TCP asking for writability once is free. On a unix socket each read of the peer would raise
  // an event: there it is asked for after a short write only.
  return watch(kind_ == Kind::tcp ? kRead | EPOLLOUT : kRead);
}

void SocketStream::want_write() {
  if (kind_ == Kind::local && descriptor() >= 0) {
    // A refusal shows as an error of the next write.
    (void)watch(kRead | EPOLLOUT);
  }
}

void SocketStream::ready(std::uint32_t events) {
  const bool reader = (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  const bool writer = (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
  if ((events & (EPOLLRDHUP | EPOLLHUP)) != 0) hung_up_ = true;
  if ((events & EPOLLERR) != 0) failed_ = true;
  if (reader) set_may_read(true);
  if (writer) {
    set_may_write(true);
    if (kind_ == Kind::local) (void)watch(kRead);
  }
  woken(reader, writer, Wake::now);
}

Result<Taken> SocketStream::read_now(std::span<char> into) {
  if (descriptor() < 0) return closed_here();
  if (ended()) return Taken{0, true};
  if (!may_read() || into.empty()) return Taken{};
  ssize_t count = 0;
  do {
    count = ::recv(descriptor(), into.data(), into.size(), MSG_DONTWAIT);
  } while (count < 0 && errno == EINTR);
  if (count > 0) {
    const auto bytes = static_cast<std::size_t>(count);
    // A short read took all there was: what comes later raises a new event. Unless the end is
    // there already, whose event has come.
    if (bytes < into.size() && !hung_up_ && !failed_) set_may_read(false);
    return Taken{bytes, false};
  }
  if (count == 0) {
    set_ended();
    return Taken{0, true};
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK) {
    set_may_read(false);
    return Taken{};
  }
  set_ended();
  return socket_fault(errno, "reading");
}

Result<std::size_t> SocketStream::write_now(std::span<const std::string_view> pieces) {
  if (descriptor() < 0) return closed_here();
  std::size_t wanted = 0;
  for (const std::string_view piece : pieces.first(std::min(pieces.size(), kMostPieces))) {
    wanted += piece.size();
  }
  if (wanted == 0) return std::size_t{0};
  ssize_t written = 0;
  do {
    written = pieces.size() == 1 ? ::send(descriptor(), pieces[0].data(), wanted, kSendFlags)
                                 : send_pieces(descriptor(), pieces);
  } while (written < 0 && errno == EINTR);
  if (written >= 0) {
    set_may_write(static_cast<std::size_t>(written) == wanted);
    return static_cast<std::size_t>(written);
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
    set_may_write(false);
    return std::size_t{0};
  }
  return socket_fault(errno, "writing");
}

void SocketStream::shutdown_write() {
  if (descriptor() >= 0) ::shutdown(descriptor(), SHUT_WR);
}

void SocketStream::close() {
  if (descriptor() < 0) return;
  close_descriptor();
  set_ended();
  set_may_read(true);
  set_may_write(true);
  woken(true, true, Wake::soon);
}

void SocketStream::reset() {
  if (descriptor() < 0) return;
  const linger at_once{1, 0};
  ::setsockopt(descriptor(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  close();
}

void ListenerSource::ready(std::uint32_t) {
  readiness_.set();
}

void ListenerSource::close_listener() {
  close_descriptor();
  readiness_.close();
}

bool SocketStream::peer_has_left() const {
  pollfd asked{.fd = descriptor(), .events = 0, .revents = 0};
  return ::poll(&asked, 1, 0) > 0 && (asked.revents & (POLLHUP | POLLERR)) != 0;
}

namespace {

// accept(2): errors of one connection that is gone already. The next may be well.
bool concerns_one_connection(int error) {
  switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case EPERM:
      return true;
    default:
      return false;
  }
}

bool out_of_something(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

Task<Result<Descriptor>> ListenerSource::accept_next() {
  constexpr Duration kMoment = std::chrono::milliseconds(50);
  while (true) {
    if (readiness_.is_closed()) co_return Fault{FaultKind::closed, "the listener is closed"};
    if (may_use_ == Descriptors::without_reserve && !may_accept()) {
      if (Result<> slept = co_await loop().sleep(kMoment); !slept.ok()) co_return slept.fault();
      continue;
    }
    Descriptor accepted(::accept4(descriptor(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    const int error = errno;
    if (accepted.valid()) {
      exhausted_ = false;
      // Those that were taken have their turn before more are.
      constexpr std::uint32_t kMostInARow = 64;
      if (++in_a_row_ % kMostInARow == 0) {
        if (Result<> paused = co_await Pause(); !paused.ok()) co_return paused.fault();
      }
      if (may_use_ == Descriptors::without_reserve) descriptor_accepted(accepted.number());
      co_return accepted;
    }
    if (concerns_one_connection(error)) continue;
    if (out_of_something(error)) {
      exhausted_ = true;
      if (Result<> slept = co_await loop().sleep(kMoment); !slept.ok()) co_return slept.fault();
      continue;
    }
    if (error != EAGAIN && error != EWOULDBLOCK) co_return from_errno(error, "accepting");
    exhausted_ = false;
    readiness_.clear();
    in_a_row_ = 0;
    if (Result<> woken = co_await readiness_.wait(); !woken.ok()) co_return woken.fault();
  }
}

RawAddress raw_address(const SocketAddress& address) {
  RawAddress raw;
  if (address.ip.is_v4()) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(raw.storage);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(address.port);
    std::memcpy(&v4.sin_addr, address.ip.bytes().data(), 4);
    raw.length = sizeof(sockaddr_in);
  } else {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(raw.storage);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(address.port);
    std::memcpy(&v6.sin6_addr, address.ip.bytes().data(), 16);
    raw.length = sizeof(sockaddr_in6);
  }
  return raw;
}

RawAddress raw_mapped(const SocketAddress& address) {
  if (!address.ip.is_v4()) return raw_address(address);
  RawAddress raw;
  auto& v6 = reinterpret_cast<sockaddr_in6&>(raw.storage);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(address.port);
  std::array<std::uint8_t, 16> bytes{};
  bytes[10] = bytes[11] = 0xff;
  std::copy_n(address.ip.bytes().begin(), 4, bytes.begin() + 12);
  std::memcpy(&v6.sin6_addr, bytes.data(), 16);
  raw.length = sizeof(sockaddr_in6);
  return raw;
}

SocketAddress from_raw(const RawAddress& raw) {
  if (raw.storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(raw.storage);
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &v4.sin_addr, 4);
    return {IpAddress::v4(bytes), ntohs(v4.sin_port)};
  }
  if (raw.storage.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(raw.storage);
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), &v6.sin6_addr, 16);
    return {IpAddress::v6(bytes), ntohs(v6.sin6_port)};
  }
  return {};
}

SocketAddress own_address(int descriptor) {
  RawAddress raw;
  if (::getsockname(descriptor, raw.get(), &raw.length) != 0) return {};
  return from_raw(raw);
}

Result<> set_non_blocking(int descriptor) {
  const int flags = ::fcntl(descriptor, F_GETFL);
  if (flags < 0) return from_errno(errno, "adopting a socket");
  if ((flags & O_NONBLOCK) == 0) ::fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
  return done();
}

Result<> set_option(int descriptor, int level, int name, int value, const char* what) {
  if (::setsockopt(descriptor, level, name, &value, sizeof(value)) != 0) {
    return from_errno(errno, what);
  }
  return done();
}

}  // namespace fairlead::net
