// Datagrams, one by one or many with one system call. A socket bound to any address answers from
// the one that was asked.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/lifetime.h"
#include "net/socket.h"

namespace fairlead::net {

struct Datagram {
  std::size_t bytes = 0;  // in the caller's buffer
  SocketAddress from;
  SocketAddress to;        // the address that it was sent to, not the one that is bound
  bool truncated = false;  // the buffer was too small
};

// Room for datagrams that come together. Long-lived: it is filled again and again.
class Datagrams {
 public:
  explicit Datagrams(std::size_t most, std::size_t bytes_each);
  Datagrams(Datagrams&&) noexcept;
  Datagrams& operator=(Datagrams&&) noexcept;
  ~Datagrams();

  [[nodiscard]] const std::vector<Datagram>& all() const LIFETIMEBOUND { return all_; }
  [[nodiscard]] std::string_view bytes(std::size_t which) const LIFETIMEBOUND;
  [[nodiscard]] std::size_t most() const;

 private:
  friend class UdpSocket;
  struct Room;
  std::unique_ptr<Room> room_;
  std::vector<Datagram> all_;
};

struct Outgoing {
  std::string bytes;
  SocketAddress to;
  std::optional<IpAddress> from;
};

class UdpSocket final : private Source {
 public:
  static Result<std::unique_ptr<UdpSocket>> bind(Loop& loop, const SocketAddress& address,
                                                 bool reuse_port = false);
  // An IPv6 address takes IPv6 alone. Port 0: see local().
  static Result<std::unique_ptr<UdpSocket>> connect(Loop& loop, const SocketAddress& to);
  // Sends and receives with that peer alone, and hears its ICMP errors as faults of receive_now().

  [[nodiscard]] Readiness::Wait readable() { return readable_.wait(); }
  [[nodiscard]] Result<std::optional<Datagram>> receive_now(std::span<char> into);
  // Absent: none is there, wait for readable().
  [[nodiscard]] Result<> send_now(std::string_view bytes, const SocketAddress& to,
                                  const std::optional<IpAddress>& from = {});
  // Lost when the kernel has no room, as datagrams are. `to` is ignored when connected.

  [[nodiscard]] Result<> receive_now(Datagrams& into);
  // As many as are there and have room. Fewer than that: there are no more, readable() waits.
  void send_now(const std::vector<Outgoing>& all);
  // What cannot be sent is lost.

  void close();
  [[nodiscard]] const SocketAddress& local() const LIFETIMEBOUND { return local_; }
  using Source::descriptor;

 private:
  UdpSocket(Loop& loop, int descriptor) : Source(loop, descriptor) {}
  void ready(std::uint32_t events) override;
  Readiness readable_;
  SocketAddress local_;
  SocketAddress peer_;
  bool connected_ = false;
};

}  // namespace fairlead::net
