// Listeners, and one coroutine a connection: what every server here is.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/bounded_rate.h"
#include "base/gate.h"
#include "http/io/places.h"
#include "net/loop.h"
#include "net/tcp.h"
#include "net/unix.h"

namespace fairlead::http {

class Acceptor {
 public:
  using Serve = std::function<Task<>(net::StreamPointer stream, Places::Place& place)>;
  // Says of its place when it is idle. Cancelled when the place goes to somebody else.

  Acceptor(net::Loop& loop, Serve serve, const PlaceLimits& limits = {}, std::string what = {})
      : loop_(loop),
        serve_(std::move(serve)),
        places_(limits),
        what_(std::move(what)),
        closing_(&gate_.cancel()) {}
  // `what`: what is served, for the log: "discovery". Call close() before it dies, or end the loop
  // first.

  [[nodiscard]] Result<SocketAddress> listen(const SocketAddress& address,
                                             const net::ListenOptions& options = {});
  // Serves what connects there; gives the address, with the port that the kernel chose for 0.
  [[nodiscard]] Result<> listen_unix(const std::string& path, unsigned mode = 0600);
  // Takes connections also when only reserved descriptors are left (net/descriptors.h).
  void adopt(std::unique_ptr<net::TcpListener> listener);
  void adopt(std::unique_ptr<net::UnixListener> listener);
  void adopt(net::StreamPointer stream);  // a connection that somebody else accepted

  [[nodiscard]] Cancel& closing() LIFETIMEBOUND { return closing_; }
  // Cancelled when close() begins: connections end once they are idle.
  [[nodiscard]] std::size_t connections() const { return gate_.inside() - listeners_; }
  [[nodiscard]] const Places& places() const LIFETIMEBOUND { return places_; }
  [[nodiscard]] net::Loop& loop() const { return loop_; }

  [[nodiscard]] Task<> close(Duration grace = {});
  // Listens no more; connections get `grace` to end, then they are cancelled. Returns when all are
  // gone.

 private:
  template <class Listener>
  Task<> accept_all(std::unique_ptr<Listener> listener);
  Task<> serve_in_place(net::StreamPointer stream);
  void tell_refused(const IpAddress& client);

  net::Loop& loop_;
  Serve serve_;
  Places places_;
  std::string what_;
  BoundedRate refusals_said_{std::chrono::seconds(10)};
  Gate gate_;
  Cancel closing_;
  std::size_t listeners_ = 0;
};

}  // namespace fairlead::http
