// One HTTP/2 connection (RFC 9113) without a socket, on nghttp2: bytes in, events out; what is to
// be written comes out as bytes. Knows nothing of time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/lifetime.h"
#include "base/result.h"

namespace fairlead::http {

using H2Stream = std::int32_t;  // positive; odd for streams that the client opened

struct H2Field {
  std::string name;  // lower case; pseudo fields (":path") first
  std::string value;
  bool operator==(const H2Field&) const = default;
};
using H2Fields = std::vector<H2Field>;

[[nodiscard]] const std::string* find_field(const H2Fields& fields LIFETIMEBOUND,
                                            std::string_view name);
// The first with this name; null when there is none.

// RFC 9113 §7.
enum class H2Error : std::uint32_t {
  none = 0,
  protocol = 1,
  internal = 2,
  flow_control = 3,
  refused_stream = 7,  // never looked at: safe to try again
  cancel = 8,
  enhance_your_calm = 11,
};
[[nodiscard]] std::string describe(H2Error error);  // any value, also unknown ones

// A request's or a response's fields, or, when `trailers`, those after the body. Responses of
// status 1xx come like any other: more follows.
struct H2Headers {
  H2Stream stream = 0;
  H2Fields fields;
  bool trailers = false;
};
struct H2Data {
  H2Stream stream = 0;
  std::string bytes;  // give its size to consumed() when done with it
};
struct H2End {  // the peer sends nothing more on this stream
  H2Stream stream = 0;
};
struct H2Closed {  // the stream is gone, in both directions; the last event of a stream
  H2Stream stream = 0;
  H2Error error = H2Error::none;
  bool by_peer = false;  // a RST_STREAM came
};
struct H2GoAway {  // the peer takes no new streams; those up to `last` still end
  H2Stream last = 0;
  H2Error error = H2Error::none;
  std::string debug;
};
struct H2Pong {  // the answer to a ping
  std::uint64_t payload = 0;
};
using H2Event = std::variant<H2Headers, H2Data, H2End, H2Closed, H2GoAway, H2Pong>;

struct H2Options {
  std::uint32_t max_concurrent_streams = 1024;  // that the peer may open
  std::uint32_t stream_window = 1024 * 1024;    // bytes in flight to us on one stream
  std::uint32_t connection_window = 4 * 1024 * 1024;
  std::uint32_t max_header_bytes = 64 * 1024;  // RFC 9113 §6.5.2's sum; more resets the stream
};

class H2Session {
 public:
  enum class Role : std::uint8_t { client, server };
  enum class Body : std::uint8_t { none, follows };

  explicit H2Session(Role role, const H2Options& options = {});
  ~H2Session();
  H2Session(H2Session&&) noexcept;
  H2Session& operator=(H2Session&&) noexcept;

  [[nodiscard]] Result<> receive(std::string_view bytes);
  // A fault means that this is no HTTP/2 at all. What breaks the protocol later is answered by a
  // GOAWAY that says why, and finished() is true once that is taken. Either way: write what
  // take_output() holds, and close.
  [[nodiscard]] std::vector<H2Event> take_events();
  // In the order of the wire.
  [[nodiscard]] std::string take_output(std::size_t limit = 256 * 1024);
  // Bytes to write now, empty when there are none; may exceed `limit` by a frame. Call again until
  // it is empty.

  [[nodiscard]] Result<H2Stream> request(const H2Fields& fields, Body body);
  // Client. A fault, `exhausted`, when the connection can open no more streams.
  [[nodiscard]] Result<> respond(H2Stream stream, const H2Fields& fields, Body body);
  // Server. A fault, `closed`, when the stream is gone.

  void send(H2Stream stream, std::string_view bytes);
  // Queued until flow control lets it go: see queued(). On a stream that is gone: nothing.
  void finish(H2Stream stream);
  void finish(H2Stream stream, const H2Fields& trailers);
  // Nothing more is sent on the stream once the queue is empty.
  void reset(H2Stream stream, H2Error error);

  [[nodiscard]] std::size_t queued(H2Stream stream) const;
  // Bytes sent on the stream that flow control holds back.
  [[nodiscard]] std::size_t room(H2Stream stream) const;
  // What is kept in memory for them: little, when nothing is queued.
  void consumed(H2Stream stream, std::size_t bytes);
  // The owner is done with so many bytes of H2Data: the peer may send as many again.

  void ping(std::uint64_t payload);
  void go_away(H2Error error, std::string_view why = {});
  // The peer's streams up to now are served to their end; no new ones.
  [[nodiscard]] bool finished() const;
  // Nothing is left to read or write: close.
  [[nodiscard]] std::size_t open_streams() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fairlead::http
