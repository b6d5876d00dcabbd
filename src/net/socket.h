// What TCP and unix sockets have in common.
#pragma once

#include <sys/socket.h>

#include <string>

#include "base/descriptor.h"
#include "net/loop.h"
#include "net/readiness.h"
#include "net/stream.h"

namespace fairlead::net {

class SocketStream : public Stream, protected Source {
 public:
  ~SocketStream() override = default;

  Result<Taken> read_now(std::span<char> into) override;
  Result<std::size_t> write_now(std::span<const std::string_view> pieces) override;
  void shutdown_write() override;
  void close() override;
  void reset() override;
  [[nodiscard]] bool peer_has_left() const override;
  [[nodiscard]] Loop& loop() const override { return Source::loop(); }
  using Source::descriptor;

 protected:
  enum class Kind : std::uint8_t { tcp, local };
  SocketStream(Loop& loop, int descriptor, Kind kind) : Source(loop, descriptor), kind_(kind) {}
  [[nodiscard]] Result<> register_now();

 private:
  void ready(std::uint32_t events) override;
  void want_write() override;
  Kind kind_;
  bool hung_up_ = false;  // the kernel said that the peer ended: read on until the end is seen
  bool failed_ = false;   // the kernel said that there is an error to fetch
};

// The kernel's form of an address.
struct RawAddress {
  sockaddr_storage storage{};
  socklen_t length = sizeof(sockaddr_storage);
  [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};
[[nodiscard]] RawAddress raw_address(const SocketAddress& address);
[[nodiscard]] RawAddress raw_mapped(const SocketAddress& address);
// An IPv4 address as a dual-stack IPv6 socket wants it: ::ffff:a.b.c.d.
[[nodiscard]] SocketAddress from_raw(const RawAddress& raw);
// 0.0.0.0:0 for what is no IP address.

// A listening socket.
class ListenerSource : protected Source {
 public:
  using Source::descriptor;
  [[nodiscard]] bool out_of_descriptors() const { return exhausted_; }
  // Whether the last attempt to take a connection found none left (EMFILE and its like).

 protected:
  enum class Descriptors : std::uint8_t { all, without_reserve };
  ListenerSource(Loop& loop, int descriptor, Descriptors may_use)
      : Source(loop, descriptor), may_use_(may_use) {}
  ~ListenerSource() = default;

  [[nodiscard]] Task<Result<Descriptor>> accept_next();
  // A wait that ends when descriptors run out, or are down to the reserve (descriptors.h), waits a
  // moment and tries again.
  void close_listener();

 private:
  void ready(std::uint32_t events) override;
  Readiness readiness_;
  Descriptors may_use_;
  bool exhausted_ = false;
  std::uint32_t in_a_row_ = 0;  // connections taken without a wait
};

[[nodiscard]] SocketAddress own_address(int descriptor);
// What it is bound to; 0.0.0.0:0 for what is no IP socket.
[[nodiscard]] Result<> set_non_blocking(int descriptor);

[[nodiscard]] Result<> set_option(int descriptor, int level, int name, int value, const char* what);

}  // namespace fairlead::net
