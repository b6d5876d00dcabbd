#include "net/unix.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace fairlead::net {
namespace {

Result<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return invalid("the path of a unix socket has 1 to " +
                   std::to_string(sizeof(address.sun_path) - 1) + " bytes: \"" + path + "\"");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Result<Descriptor> unix_socket() {
  Descriptor made(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!made.valid()) return from_errno(errno, "making a unix socket");
  return made;
}

Result<Descriptor> connected_to(const std::string& path) {
  Result<sockaddr_un> address = unix_address(path);
  if (!address.ok()) return address.fault();
  Result<Descriptor> made = unix_socket();
  if (!made.ok()) return made;
  if (::connect(made->number(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) !=
      0) {
    Fault fault = from_errno(errno, "connecting to unix:" + path);
    fault.side = Side::upstream;
    return fault;
  }
  return made;
}

// Bound and listening, the file as `mode` says. Of a socket file that nobody listens on nothing
// stays.
Result<Descriptor> listening_on(const std::string& path, unsigned mode) {
  Result<sockaddr_un> address = unix_address(path);
  if (!address.ok()) return address.fault();
  Result<Descriptor> made = unix_socket();
  if (!made.ok()) return made;
  struct stat file{};
  if (::lstat(path.c_str(), &file) == 0 && S_ISSOCK(file.st_mode)) {
    const Result<Descriptor> there = connected_to(path);
    if (there.ok()) return Fault{FaultKind::denied, "another process listens there"};
    if (there.fault().kind == FaultKind::unreachable) ::unlink(path.c_str());
  }
  if (::bind(made->number(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) != 0) {
    return from_errno(errno, "binding");
  }
  if (::chmod(path.c_str(), mode) != 0) return from_errno(errno, "setting its mode");
  if (::listen(made->number(), SOMAXCONN) != 0) return from_errno(errno, "listening");
  return made;
}

}  // namespace

Result<UnixStreamPointer> UnixStream::adopt(Loop& loop, Descriptor connected, std::string path) {
  UnixStreamPointer stream(new UnixStream(loop, connected.release(), std::move(path)));
  if (Result<> watched = stream->register_now(); !watched.ok()) return watched.fault();
  return stream;
}

Result<UnixStreamPointer> connect_unix(Loop& loop, const std::string& path) {
  Result<Descriptor> connected = connected_to(path);
  if (!connected.ok()) return connected.fault();
  return UnixStream::adopt(loop, std::move(*connected), path);
}

Result<Descriptor> UnixListener::open(const std::string& path, unsigned mode) {
  Result<Descriptor> listening = listening_on(path, mode);
  if (listening.ok()) return listening;
  Fault fault = std::move(listening).fault();
  fault.message = "cannot listen on unix:" + path + ": " + fault.message;
  return fault;
}

Result<std::unique_ptr<UnixListener>> UnixListener::listen(Loop& loop, const std::string& path,
                                                           unsigned mode) {
  Result<Descriptor> listening = open(path, mode);
  if (!listening.ok()) return std::move(listening).fault();
  std::unique_ptr<UnixListener> listener(new UnixListener(loop, listening->release(), path));
  listener->owns_file_ = true;
  if (Result<> watched = listener->watch(EPOLLIN); !watched.ok()) return watched.fault();
  return listener;
}

Result<std::unique_ptr<UnixListener>> UnixListener::adopt(Loop& loop, Descriptor listening) {
  if (Result<> set = set_non_blocking(listening.number()); !set.ok()) return set.fault();
  sockaddr_un bound{};
  socklen_t size = sizeof bound - 1;  // so that the path ends with a zero
  if (::getsockname(listening.number(), reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
    return from_errno(errno, "adopting a listener");
  }
  std::unique_ptr<UnixListener> listener(
      new UnixListener(loop, listening.release(), bound.sun_path));
  if (Result<> watched = listener->watch(EPOLLIN); !watched.ok()) return watched.fault();
  return listener;
}

UnixListener::~UnixListener() {
  close();
}

void UnixListener::close() {
  if (descriptor() < 0) return;
  if (owns_file_) ::unlink(path_.c_str());
  close_listener();
}

Task<Result<UnixStreamPointer>> UnixListener::accept() {
  Result<Descriptor> accepted = co_await accept_next();
  if (!accepted.ok()) co_return accepted.fault();
  co_return UnixStream::adopt(loop(), std::move(*accepted), path_);
}

}  // namespace fairlead::net
