// A socket that waits, with a deadline for everything. A witness does one thing after the other in
// a process of its own: it needs no loop.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/address.h"
#include "base/result.h"

namespace fairlead::witness {

using Deadline = std::chrono::steady_clock::time_point;

// Whose the socket is: what the kernel's rules see as its owner.
struct Owner {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};

class Socket {
 public:
  static Result<Socket> connect_tcp(const SocketAddress& to, Deadline deadline,
                                    const std::optional<Owner>& owner = {}, int* error = nullptr);
  // With an owner the socket is made as that user (file system ids), which takes CAP_SETUID.
  // `error` is told the errno of a connection that failed; 0: it was no such error.
  static Result<Socket> connect_udp(const SocketAddress& to);
  static Result<Socket> connect_unix(const std::string& path, Deadline deadline);

  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&& other) noexcept;
  ~Socket();

  [[nodiscard]] Result<> send_all(std::string_view bytes, Deadline deadline);
  [[nodiscard]] Result<std::size_t> receive(std::span<char> into, Deadline deadline);
  // 0 at the end. Fault: timed_out, closed (reset), unreachable.
  [[nodiscard]] SocketAddress local() const;

 private:
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  [[nodiscard]] Result<> wait(short events, Deadline deadline) const;
  [[nodiscard]] Result<> connect(const void* address, std::size_t size, Deadline deadline,
                                 int* failed = nullptr) const;

  int descriptor_ = -1;
};

}  // namespace fairlead::witness
