#include "base/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace fairlead {

IpAddress IpAddress::v4(std::array<std::uint8_t, 4> bytes) {
  IpAddress address;
  std::copy(bytes.begin(), bytes.end(), address.bytes_.begin());
  return address;
}

IpAddress IpAddress::v6(std::array<std::uint8_t, 16> bytes) {
  static constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::equal(mapped.begin(), mapped.end(), bytes.begin())) {
    return v4({bytes[12], bytes[13], bytes[14], bytes[15]});
  }
  IpAddress address;
  address.family_ = Family::v6;
  address.bytes_ = bytes;
  return address;
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string terminated(text);
  std::array<std::uint8_t, 4> four{};
  if (inet_pton(AF_INET, terminated.c_str(), four.data()) == 1) return v4(four);
  std::array<std::uint8_t, 16> sixteen{};
  if (inet_pton(AF_INET6, terminated.c_str(), sixteen.data()) == 1) return v6(sixteen);
  return invalid("'" + terminated + "' is not an IPv4 or IPv6 address");
}

std::string IpAddress::text() const {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  inet_ntop(is_v4() ? AF_INET : AF_INET6, bytes_.data(), buffer.data(), buffer.size());
  return buffer.data();
}

bool IpAddress::is_loopback() const {
  if (is_v4()) return bytes_[0] == 127;
  return std::all_of(bytes_.begin(), bytes_.end() - 1, [](std::uint8_t b) { return b == 0; }) &&
         bytes_[15] == 1;
}

bool IpAddress::is_unspecified() const {
  return std::all_of(bytes_.begin(), bytes_.end(), [](std::uint8_t b) { return b == 0; });
}

bool IpAddress::within(const IpAddress& prefix, int length) const {
  if (family_ != prefix.family_) return false;
  for (int i = 0; i < length; i += 8) {
    const int bits = std::min(8, length - i);
    const int mask = 0xff00 >> bits & 0xff;
    const auto at = static_cast<std::size_t>(i / 8);
    if ((bytes_[at] & mask) != (prefix.bytes_[at] & mask)) return false;
  }
  return true;
}

Result<SocketAddress> SocketAddress::parse(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  const auto wrong = [&] {
    return invalid("'" + std::string(text) + "' is not ADDRESS:PORT ([ADDRESS]:PORT for IPv6)");
  };
  if (colon == std::string_view::npos) return wrong();
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return wrong();
  }
  SocketAddress address;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), address.port);
  if (error != std::errc{} || end != digits.data() + digits.size()) return wrong();
  Result<IpAddress> ip = IpAddress::parse(host);
  if (!ip) return wrong();
  address.ip = *ip;
  return address;
}

std::string SocketAddress::text() const {
  const std::string host = ip.is_v4() ? ip.text() : '[' + ip.text() + ']';
  return host + ':' + std::to_string(port);
}

}  // namespace fairlead

std::size_t std::hash<fairlead::IpAddress>::operator()(
    const fairlead::IpAddress& ip) const noexcept {
  std::uint64_t words[2];
  std::memcpy(words, ip.bytes().data(), sizeof words);
  // The multiplier is 2^64 divided by the golden ratio: it spreads neighbouring addresses.
  return (words[0] ^ words[1] * 3) * 0x9e3779b97f4a7c15U + static_cast<std::size_t>(ip.family());
}
