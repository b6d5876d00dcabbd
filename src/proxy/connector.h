// How connections upstream are made: over sockets, and in tests in memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/address.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "net/loop.h"
#include "net/stream.h"

namespace fairlead::proxy {

// Where a connection is to lead.
struct ConnectTarget {
  SocketAddress address;
  std::string unix_path;            // not empty: there, instead of to `address`
  std::optional<IpAddress> source;  // bound to it; the port is chosen by the system
  Duration timeout = std::chrono::seconds(5);
};

class Connector {
 public:
  virtual ~Connector() = default;
  [[nodiscard]] virtual Task<Result<net::StreamPointer>> connect(net::Loop& loop,
                                                                 ConnectTarget target) = 0;
  // Faults: `unreachable` (refused, no route), `timed_out`, `cancelled`.
};

class SocketConnector final : public Connector {
 public:
  explicit SocketConnector(std::optional<std::uint32_t> mark) : mark_(mark) {}
  // SO_MARK of the connections, where the user does not tell them from the application's.
  [[nodiscard]] Task<Result<net::StreamPointer>> connect(net::Loop& loop,
                                                         ConnectTarget target) override;

 private:
  std::optional<std::uint32_t> mark_;
};

}  // namespace fairlead::proxy
