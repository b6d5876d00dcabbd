// The heads of HTTP messages as values (RFC 9110), whichever protocol version carries them.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/fields.h"

namespace fairlead::http {

enum class Version : std::uint8_t { http10, http11, http2 };
[[nodiscard]] std::string_view name_of(Version version);
// "HTTP/1.0", "HTTP/1.1", "HTTP/2"

// How a message's body is delimited (RFC 9112 §6.3).
struct BodyFraming {
  enum class Kind : std::uint8_t {
    none,
    sized,        // so many bytes; may be 0
    chunked,      // until the last chunk; trailers may follow
    until_close,  // a response that ends with its connection
    tunnel,       // not HTTP any more: after 101, or 2xx to CONNECT
  };
  Kind kind = Kind::none;
  std::uint64_t size = 0;  // sized
  bool operator==(const BodyFraming&) const = default;

  [[nodiscard]] static BodyFraming none() { return {}; }
  [[nodiscard]] static BodyFraming sized(std::uint64_t size) { return {Kind::sized, size}; }
  [[nodiscard]] static BodyFraming chunked() { return {Kind::chunked, 0}; }
  [[nodiscard]] bool may_have_bytes() const {
    return kind != Kind::none && !(kind == Kind::sized && size == 0);
  }
};

// Views are of literals, of text kept by `fields` (fields.keep), or of bytes that whoever made the
// head says outlive it. A parser's head keeps all of its text in `fields`, so it may be moved out.
struct RequestHead {
  std::string_view method = "GET";
  std::string_view target;  // as received; a writer does not look at it
  std::string_view scheme;  // "http" or "https", lower case, when the target named it; else empty
  std::string_view authority;  // host or host:port, as received: of an absolute target, of CONNECT,
                               // else of Host; empty when none was named
  std::string_view path = "/";  // with the query; "*" for OPTIONS of the server; empty for CONNECT
  Version version = Version::http11;
  BodyFraming body;
  bool keep_alive = true;        // the client would use the connection again
  bool expect_continue = false;  // it waits for 100 before it sends the body
  std::string_view upgrade;      // what it asks to change to, the best first ("websocket",
                                 // "foo/1, websocket"); empty for nothing
  Fields fields;                 // all that came, Host and the hop's own fields too

  [[nodiscard]] bool is_head() const { return method == "HEAD"; }
  [[nodiscard]] bool is_connect() const { return method == "CONNECT"; }
  [[nodiscard]] std::string_view path_without_query() const {
    return path.substr(0, path.find('?'));
  }
  [[nodiscard]] RequestHead clone() const;
  // Owns all of its bytes.
};

struct ResponseHead {
  std::uint16_t status = 200;
  std::string_view reason;  // as received; empty: a writer puts the usual words
  Version version = Version::http11;
  BodyFraming body;
  bool body_omitted = false;  // to HEAD, or 304: `body` says what GET would bring; nothing comes
  bool keep_alive = true;     // the server would use the connection again
  std::string_view upgrade;   // with 101: what the connection became
  Fields fields;

  [[nodiscard]] bool interim() const { return status >= 100 && status < 200 && status != 101; }
  [[nodiscard]] ResponseHead clone() const;
};

[[nodiscard]] bool is_safe(std::string_view method);
// GET, HEAD, OPTIONS, TRACE (RFC 9110 §9.2.1): sending it again changes nothing.

[[nodiscard]] std::string_view reason_of(std::uint16_t status);
// "Not Found"; empty for a status without usual words.

}  // namespace fairlead::http
