// TCP: connections, listeners, and where a captured connection was going.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "net/socket.h"

namespace fairlead::net {

class TcpStream;
using TcpStreamPointer = std::unique_ptr<TcpStream>;

struct ConnectOptions {
  std::optional<IpAddress> source;    // deliver from 127.0.0.6; the port is chosen by the kernel
  std::optional<std::uint32_t> mark;  // SO_MARK: needs CAP_NET_ADMIN
  bool transparent = false;           // `source` need not be ours: IP_TRANSPARENT
  Duration timeout = std::chrono::seconds(10);
};

class TcpStream final : public SocketStream {
 public:
  static Result<TcpStreamPointer> adopt(Loop& loop, Descriptor connected);
  // Makes it non-blocking; TCP_NODELAY is set.

 private:
  friend Task<Result<TcpStreamPointer>> connect(Loop& loop, SocketAddress to,
                                                ConnectOptions options);
  [[nodiscard]] Task<Result<>> finish_connect();
  TcpStream(Loop& loop, int descriptor) : SocketStream(loop, descriptor, Kind::tcp) {}
};

[[nodiscard]] Task<Result<TcpStreamPointer>> connect(Loop& loop, SocketAddress to,
                                                     ConnectOptions options = {});
// Faults: `unreachable` (refused, no route), `timed_out`, `denied`; side upstream.

struct ListenOptions {
  bool reuse_port = false;    // several listeners on one address share what comes
  bool only_v6 = true;        // a listener on [::] takes IPv4 too when false
  bool transparent = false;   // for TPROXY
  bool free_bind = false;     // the address need not exist yet
  bool uses_reserve = false;  // also takes connections when only reserved descriptors are left
  int backlog = 4096;
};

class TcpListener final : public ListenerSource {
 public:
  static Result<std::unique_ptr<TcpListener>> listen(Loop& loop, const SocketAddress& address,
                                                     const ListenOptions& options = {});
  // A fault names the address, and says so when it is in use. Port 0: the kernel chooses, see
  // local().
  [[nodiscard]] static Result<Descriptor> open(const SocketAddress& address,
                                               const ListenOptions& options = {});
  // The same without a loop: to be held, or passed on.
  static Result<std::unique_ptr<TcpListener>> adopt(Loop& loop, Descriptor listening,
                                                    bool uses_reserve = false);
  // What open() gave, here or in another process. Makes it non-blocking.

  [[nodiscard]] Task<Result<TcpStreamPointer>> accept();
  // The next connection. When descriptors run out it waits a moment and goes on: a fault means that
  // the listener is closed, or the wait was cancelled. One waits at a time.

  void close() { close_listener(); }
  // Connections that the kernel has queued are reset. A waiting accept() ends with `closed`.
  [[nodiscard]] const SocketAddress& local() const LIFETIMEBOUND { return local_; }

 private:
  TcpListener(Loop& loop, int descriptor, Descriptors may_use)
      : ListenerSource(loop, descriptor, may_use) {}
  SocketAddress local_;
};

[[nodiscard]] Result<SocketAddress> original_destination(const TcpStream& stream);
// Where the client was going before REDIRECT; a fault `missing` when nothing was redirected.

}  // namespace fairlead::net
