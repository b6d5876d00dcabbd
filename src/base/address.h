// IP addresses and ports as values.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fairlead {

enum class Family : std::uint8_t { v4 = 4, v6 = 6 };

// An IPv4 or IPv6 address. A v4 address sits in the first four bytes, the rest being zero.
// A v4-mapped v6 address is turned into its v4 form by every way in.
class IpAddress {
 public:
  IpAddress() = default;  // 0.0.0.0
  static IpAddress v4(std::array<std::uint8_t, 4> bytes);
  static IpAddress v6(std::array<std::uint8_t, 16> bytes);
  static Result<IpAddress> parse(std::string_view text);
  // Dotted quad or RFC 4291 text, no brackets, no zone, no prefix length.

  [[nodiscard]] Family family() const { return family_; }
  [[nodiscard]] bool is_v4() const { return family_ == Family::v4; }
  [[nodiscard]] const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
  [[nodiscard]] std::string text() const;  // RFC 5952 form
  [[nodiscard]] bool is_loopback() const;  // 127.0.0.0/8, ::1
  [[nodiscard]] bool is_unspecified() const;
  [[nodiscard]] bool within(const IpAddress& prefix, int length) const;
  // Whether the first `length` bits are those of `prefix`; false across families.

  auto operator<=>(const IpAddress&) const = default;

 private:
  Family family_ = Family::v4;
  std::array<std::uint8_t, 16> bytes_{};
};

struct SocketAddress {
  IpAddress ip;
  std::uint16_t port = 0;

  static Result<SocketAddress> parse(std::string_view text);
  // "10.0.0.1:80" or "[fd00::1]:80".
  [[nodiscard]] std::string text() const;
  auto operator<=>(const SocketAddress&) const = default;
};

}  // namespace fairlead

template <>
struct std::hash<fairlead::IpAddress> {
  std::size_t operator()(const fairlead::IpAddress& ip) const noexcept;
};
template <>
struct std::hash<fairlead::SocketAddress> {
  std::size_t operator()(const fairlead::SocketAddress& address) const noexcept {
    return std::hash<fairlead::IpAddress>{}(address.ip) * 31 + address.port;
  }
};
