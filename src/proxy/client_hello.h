// What a TLS client says in its first message: the name that it asks for (SNI, RFC 6066 §3) and the
// protocols that it speaks (ALPN, RFC 7301 §3.1). Read from RFC 8446 §4.1.2; nothing is decrypted.
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fairlead::proxy {

struct ClientHello {
  std::string server_name;             // lower case, visible ASCII; empty: none is asked for
  std::vector<std::string> protocols;  // the best first, as they came: "h2", "http/1.1"
  bool operator==(const ClientHello&) const = default;
};

inline constexpr std::size_t longest_client_hello = std::size_t{16} * 1024;
// With the headers of its records, in bytes: as Envoy's max_client_hello_size.

enum class HelloState : std::uint8_t {
  incomplete,  // it may become one: more bytes are needed
  complete,
  too_long,  // it would be longer than longest_client_hello
  broken,    // it is none
};

struct HelloRead {
  HelloState state = HelloState::incomplete;
  ClientHello hello;  // when complete
};

[[nodiscard]] HelloRead read_client_hello(std::string_view bytes);
// From a connection's first bytes; what follows the message is not looked at. The answer to more
// bytes of the same connection is the same once it is not `incomplete`, which it never is for
// longest_client_hello bytes.

}  // namespace fairlead::proxy
