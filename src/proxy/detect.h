// What a connection speaks, told by its first bytes. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/client_hello.h"

namespace fairlead::proxy {

enum class Speech : std::uint8_t {
  undecided,  // more bytes are needed
  http10,
  http11,
  http2,  // the preface of RFC 9113 §3.4
  tls,    // a ClientHello
  other,
};

inline constexpr std::size_t detection_limit = 8192;
// So many bytes are always decided. A request line that is longer is taken for HTTP/1.1 when all of
// it could be one.

[[nodiscard]] Speech detect(std::string_view first_bytes);
// Never `undecided` for `detection_limit` bytes or more, so that whoever reads until this decides
// ends. HTTP/1 is told by a whole request line: token, target, "HTTP/1.x". A protocol whose first
// line merely begins with a word (SMTP, Redis, IRC) is `other` as soon as a byte says so.

// What a connection's first bytes tell whoever inspects them.
struct Inspection {
  Speech speech = Speech::undecided;
  ClientHello hello;      // of TLS, where it is asked for
  bool too_long = false;  // a ClientHello that is not read: the connection must not go on
};
inline constexpr std::size_t inspection_limit = std::max(detection_limit, longest_client_hello);

[[nodiscard]] Inspection inspect(std::string_view first_bytes, bool with_hello);
// detect(), and with `with_hello` TLS is known when its ClientHello is there whole, so that nothing
// is chosen without the name in it. What begins like TLS and has no good ClientHello is `other`, as
// for Envoy. Never `undecided` for inspection_limit bytes or more.

[[nodiscard]] std::string_view application_protocol(Speech speech);
// Envoy's word for filter chains: "http/1.0", "http/1.1", "h2c"; empty for the rest.

}  // namespace fairlead::proxy
