#include "witness/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <variant>

namespace fairlead::witness {
namespace {

using Clock = std::chrono::steady_clock;

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

Address address_of(const SocketAddress& to) {
  Address made;
  if (to.ip.is_v4()) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(to.port);
    std::memcpy(&in.sin_addr, to.ip.bytes().data(), 4);
    std::memcpy(&made.storage, &in, sizeof in);
    made.size = sizeof in;
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(to.port);
    std::memcpy(&in.sin6_addr, to.ip.bytes().data(), 16);
    std::memcpy(&made.storage, &in, sizeof in);
    made.size = sizeof in;
  }
  return made;
}

SocketAddress address_from(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &storage, sizeof in);
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &in.sin_addr, 4);
    return {IpAddress::v4(bytes), ntohs(in.sin_port)};
  }
  sockaddr_in6 in{};
  std::memcpy(&in, &storage, sizeof in);
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), &in.sin6_addr, 16);
  return {IpAddress::v6(bytes), ntohs(in.sin6_port)};
}

// This thread as somebody else, as far as new files and sockets go.
class As {
 public:
  explicit As(const std::optional<Owner>& owner) {
    if (!owner) return;
    gid_ = ::setfsgid(owner->gid);
    uid_ = ::setfsuid(owner->uid);
    changed_ = true;
  }
  As(const As&) = delete;
  As& operator=(const As&) = delete;
  ~As() {
    if (!changed_) return;
    ::setfsuid(static_cast<uid_t>(uid_));
    ::setfsgid(static_cast<gid_t>(gid_));
  }

 private:
  int uid_ = 0;
  int gid_ = 0;
  bool changed_ = false;
};

}  // namespace

Socket& Socket::operator=(Socket&& other) noexcept {
  if (this != &other) {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = std::exchange(other.descriptor_, -1);
  }
  return *this;
}

Socket::~Socket() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<> Socket::wait(short events, Deadline deadline) const {
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd poll{.fd = descriptor_, .events = events, .revents = 0};
    const int ready = ::poll(&poll, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
    if (ready > 0) return done();
    if (ready == 0) return Fault{FaultKind::timed_out, "no answer in time"};
    if (errno != EINTR) return from_errno(errno, "waiting");
  }
}

Result<> Socket::connect(const void* address, std::size_t size, Deadline deadline,
                         int* failed) const {
  const int begun =
      ::connect(descriptor_, static_cast<const sockaddr*>(address), static_cast<socklen_t>(size));
  if (begun == 0) return done();
  if (errno != EINPROGRESS) {
    if (failed != nullptr) *failed = errno;
    return from_errno(errno, "connecting");
  }
  if (Result<> writable = wait(POLLOUT, deadline); !writable) {
    return std::move(writable).fault().during("connecting");
  }
  int error = 0;
  socklen_t length = sizeof error;
  ::getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &error, &length);
  if (failed != nullptr) *failed = error;
  if (error != 0) return from_errno(error, "connecting");
  return done();
}

Result<Socket> Socket::connect_tcp(const SocketAddress& to, Deadline deadline,
                                   const std::optional<Owner>& owner, int* error) {
  const As as(owner);
  const int family = to.ip.is_v4() ? AF_INET : AF_INET6;
  Socket made(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (made.descriptor_ < 0) return from_errno(errno, "making a socket");
  const Address address = address_of(to);
  if (Result<> connected = made.connect(&address.storage, address.size, deadline, error);
      !connected) {
    return std::move(connected).fault();
  }
  return made;
}

Result<Socket> Socket::connect_udp(const SocketAddress& to) {
  const int family = to.ip.is_v4() ? AF_INET : AF_INET6;
  Socket made(::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (made.descriptor_ < 0) return from_errno(errno, "making a socket");
  const Address address = address_of(to);
  Result<> connected = made.connect(&address.storage, address.size, Clock::now());
  if (!connected) return std::move(connected).fault();
  return made;
}

Result<Socket> Socket::connect_unix(const std::string& path, Deadline deadline) {
  Socket made(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (made.descriptor_ < 0) return from_errno(errno, "making a socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return invalid("the path is too long: " + path);
  std::memcpy(static_cast<char*>(address.sun_path), path.c_str(), path.size() + 1);
  Result<> connected = made.connect(&address, sizeof address, deadline);
  if (!connected) return std::move(connected).fault().during("speaking to " + path);
  return made;
}

Result<> Socket::send_all(std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return from_errno(errno, "sending");
    if (Result<> writable = wait(POLLOUT, deadline); !writable) {
      return std::move(writable).fault().during("sending");
    }
  }
  return done();
}

Result<std::size_t> Socket::receive(std::span<char> into, Deadline deadline) {
  while (true) {
    const ssize_t got = ::recv(descriptor_, into.data(), into.size(), 0);
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return from_errno(errno, "receiving");
    if (Result<> readable = wait(POLLIN, deadline); !readable) {
      return std::move(readable).fault().during("receiving");
    }
  }
}

SocketAddress Socket::local() const {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
  return address_from(storage);
}

}  // namespace fairlead::witness
