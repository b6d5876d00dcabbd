// Datagrams, one by one or many with one system call. A socket bound to any address answers from
// the one that was asked.
#pragma once

#include <cstddef>
#include <cstdint>
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

// Room for datagrams that come together, and for an answer to each. Long-lived: it is filled again
// and again.
class Exchanges {
 public:
  Exchanges(std::size_t most, std::size_t bytes_each, std::size_t bytes_each_answer);
  Exchanges(Exchanges&&) noexcept;
  Exchanges& operator=(Exchanges&&) noexcept;
  ~Exchanges();

  [[nodiscard]] std::size_t most() const;
  [[nodiscard]] std::size_t size() const;  // how many came
  [[nodiscard]] std::string_view bytes(std::size_t which) const LIFETIMEBOUND;
  [[nodiscard]] std::span<char> answer_room(std::size_t which) LIFETIMEBOUND;
  void answer(std::size_t which, std::size_t bytes);
  // Once at most: so many bytes of that room are to go where it came from.

 private:
  friend class UdpSocket;
  struct Room;
  std::unique_ptr<Room> room_;
};

class UdpSocket final : private Source {
 public:
  static Result<std::unique_ptr<UdpSocket>> bind(Loop& loop, const SocketAddress& address,
                                                 bool reuse_port = false);
  // An IPv6 address takes IPv6 alone. Port 0: see local().
  [[nodiscard]] static Result<Descriptor> open(const SocketAddress& address,
                                               bool reuse_port = false);
  // The same without a loop: to be held, or passed on.
  static Result<std::unique_ptr<UdpSocket>> adopt(Loop& loop, Descriptor bound);
  // What open() gave, here or in another process. Makes it non-blocking.
  static Result<std::unique_ptr<UdpSocket>> connect(Loop& loop, const SocketAddress& to);
  // Sends and receives with that peer alone, and hears its ICMP errors as faults of receive_now().

  [[nodiscard]] Readiness::Wait readable() { return readable_.wait(); }
  [[nodiscard]] Result<std::optional<Datagram>> receive_now(std::span<char> into);
  // Absent: none is there, wait for readable().
  [[nodiscard]] Result<> send_now(std::string_view bytes, const SocketAddress& to,
                                  const std::optional<IpAddress>& from = {});
  // Lost when the kernel has no room, as datagrams are. `to` is ignored when connected.

  [[nodiscard]] Result<> receive_now(Exchanges& into);
  // As many as are there and have room. Fewer than that: there are no more, readable() waits.
  void answer_now(Exchanges& all);
  // Each leaves from the address that was asked. What cannot be sent is lost.

  void close();
  [[nodiscard]] const SocketAddress& local() const LIFETIMEBOUND { return local_; }
  [[nodiscard]] std::uint64_t dropped() const;
  // What came and found no room in the kernel's queue, since the socket was made.
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
