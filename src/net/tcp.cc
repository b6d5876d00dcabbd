#include "net/tcp.h"

#include <netinet/in.h>
// after <netinet/in.h>, which it would define anew
#include <linux/netfilter_ipv4.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>

namespace fairlead::net {
namespace {

SocketAddress peer_address(int descriptor) {
  RawAddress raw;
  if (::getpeername(descriptor, raw.get(), &raw.length) != 0) return {};
  return from_raw(raw);
}

Result<Descriptor> tcp_socket(const SocketAddress& for_address) {
  const int family = for_address.ip.is_v4() ? AF_INET : AF_INET6;
  Descriptor made(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!made.valid()) return from_errno(errno, "making a socket");
  return made;
}

Result<> make_transparent(int descriptor, bool v4) {
  return v4 ? set_option(descriptor, SOL_IP, IP_TRANSPARENT, 1, "IP_TRANSPARENT")
            : set_option(descriptor, SOL_IPV6, IPV6_TRANSPARENT, 1, "IPV6_TRANSPARENT");
}

Result<> prepare(int descriptor, const SocketAddress& to, const ConnectOptions& options) {
  if (options.mark) {
    if (Result<> set =
            set_option(descriptor, SOL_SOCKET, SO_MARK, static_cast<int>(*options.mark), "SO_MARK");
        !set.ok()) {
      return set;
    }
  }
  if (options.transparent) {
    if (Result<> set = make_transparent(descriptor, to.ip.is_v4()); !set.ok()) return set;
  }
  if (!options.source) return done();
  // The kernel chooses the port at connect(), when it knows both ends: many more are to be had.
  if (Result<> set =
          set_option(descriptor, SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1, "IP_BIND_ADDRESS_NO_PORT");
      !set.ok()) {
    return set;
  }
  const RawAddress from = raw_address({*options.source, 0});
  if (::bind(descriptor, from.get(), from.length) != 0) {
    return from_errno(errno, "binding to " + options.source->text());
  }
  return done();
}

Fault connect_fault(int error, const SocketAddress& to) {
  Fault fault = from_errno(error, "connecting to " + to.text());
  fault.side = Side::upstream;
  if (fault.kind == FaultKind::unreachable || fault.kind == FaultKind::timed_out ||
      fault.kind == FaultKind::closed) {
    fault.retry = Retry::elsewhere;
  }
  return fault;
}

int pending_error(int descriptor) {
  int error = 0;
  socklen_t length = sizeof(error);
  if (::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return errno;
  return error;
}

}  // namespace

Result<TcpStreamPointer> TcpStream::adopt(Loop& loop, Descriptor connected) {
  if (Result<> set = set_non_blocking(connected.number()); !set.ok()) return set.fault();
  if (Result<> set = set_option(connected.number(), IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
      !set.ok()) {
    return set.fault();
  }
  TcpStreamPointer stream(new TcpStream(loop, connected.release()));
  stream->local_ = own_address(stream->descriptor());
  stream->peer_ = peer_address(stream->descriptor());
  if (Result<> watched = stream->register_now(); !watched.ok()) return watched.fault();
  return stream;
}

Task<Result<>> TcpStream::finish_connect() {
  set_may_write(false);
  if (Result<> ended = co_await writable(); !ended.ok()) co_return ended;
  if (const int error = pending_error(descriptor()); error != 0) {
    co_return connect_fault(error, peer_);
  }
  local_ = own_address(descriptor());
  co_return done();
}

Task<Result<TcpStreamPointer>> connect(Loop& loop, SocketAddress to, ConnectOptions options) {
  Result<Descriptor> made = tcp_socket(to);
  if (!made.ok()) co_return made.fault();
  const int descriptor = made->number();
  if (Result<> prepared = prepare(descriptor, to, options); !prepared.ok()) {
    co_return std::move(prepared).fault().during("connecting to " + to.text());
  }
  const RawAddress address = raw_address(to);
  const bool at_once = ::connect(descriptor, address.get(), address.length) == 0;
  if (!at_once && errno != EINPROGRESS) co_return connect_fault(errno, to);
  Result<TcpStreamPointer> stream = TcpStream::adopt(loop, std::move(*made));
  if (!stream.ok() || at_once) co_return stream;
  TcpStream& connecting = **stream;
  connecting.peer_ = to;
  if (Result<> ended = co_await within(loop, options.timeout, connecting.finish_connect());
      !ended.ok()) {
    Fault fault = std::move(ended).fault();
    if (fault.kind != FaultKind::timed_out) co_return fault;
    fault.message = "connecting to " + to.text() + ": " + fault.message;
    fault.side = Side::upstream;
    fault.retry = Retry::elsewhere;
    co_return fault;
  }
  co_return stream;
}

Result<Descriptor> TcpListener::open(const SocketAddress& address, const ListenOptions& options) {
  const auto prepared = [&](int descriptor) -> Result<> {
    const bool v4 = address.ip.is_v4();
    const auto on = [&](int level, int name, int value, const char* what) {
      return set_option(descriptor, level, name, value, what);
    };
    if (Result<> set = on(SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR"); !set.ok()) return set;
    if (options.reuse_port) {
      if (Result<> set = on(SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT"); !set.ok()) return set;
    }
    if (!v4) {
      const int only = options.only_v6 ? 1 : 0;
      if (Result<> set = on(SOL_IPV6, IPV6_V6ONLY, only, "IPV6_V6ONLY"); !set.ok()) return set;
    }
    if (options.free_bind) {
      if (Result<> set = on(SOL_IP, IP_FREEBIND, 1, "IP_FREEBIND"); !set.ok()) return set;
    }
    if (options.transparent) {
      if (Result<> set = make_transparent(descriptor, v4); !set.ok()) return set;
    }
    const RawAddress raw = raw_address(address);
    if (::bind(descriptor, raw.get(), raw.length) != 0 ||
        ::listen(descriptor, options.backlog) != 0) {
      return from_errno(errno, "the kernel says");
    }
    return done();
  };
  Result<Descriptor> made = tcp_socket(address);
  if (!made.ok()) return made.fault();
  if (Result<> ready = prepared(made->number()); !ready.ok()) {
    Fault fault = std::move(ready).fault();
    fault.message = "cannot listen on " + address.text() + ": " + fault.message;
    return fault;
  }
  return made;
}

Result<std::unique_ptr<TcpListener>> TcpListener::listen(Loop& loop, const SocketAddress& address,
                                                         const ListenOptions& options) {
  Result<Descriptor> opened = open(address, options);
  if (!opened.ok()) return std::move(opened).fault();
  return adopt(loop, std::move(*opened), options.uses_reserve);
}

Result<std::unique_ptr<TcpListener>> TcpListener::adopt(Loop& loop, Descriptor listening,
                                                        bool uses_reserve) {
  if (Result<> set = set_non_blocking(listening.number()); !set.ok()) return set.fault();
  const Descriptors may_use = uses_reserve ? Descriptors::all : Descriptors::without_reserve;
  std::unique_ptr<TcpListener> listener(new TcpListener(loop, listening.release(), may_use));
  listener->local_ = own_address(listener->descriptor());
  if (Result<> watched = listener->watch(EPOLLIN); !watched.ok()) return watched.fault();
  return listener;
}

Task<Result<TcpStreamPointer>> TcpListener::accept() {
  while (true) {
    Result<Descriptor> accepted = co_await accept_next();
    if (!accepted.ok()) co_return accepted.fault();
    Result<TcpStreamPointer> stream = TcpStream::adopt(loop(), std::move(*accepted));
    if (stream.ok()) co_return stream;
    // The client is gone already. The next may be there.
  }
}

Result<SocketAddress> original_destination(const TcpStream& stream) {
  // A dual-stack listener gets IPv4 clients too, and those are asked about as IPv4.
  const bool v4 = stream.peer().ip.is_v4();
  RawAddress raw;
  if (::getsockopt(stream.descriptor(), v4 ? SOL_IP : SOL_IPV6, SO_ORIGINAL_DST, raw.get(),
                   &raw.length) != 0) {
    return from_errno(errno, "asking for the original destination");
  }
  return from_raw(raw);
}

}  // namespace fairlead::net
