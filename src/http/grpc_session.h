// gRPC on one HTTP/2 connection without a socket: bytes in, calls and messages out. Each side of
// control's discovery service is this, joined to a stream by http/io/grpc.h. Knows nothing of time:
// the owner watches deadlines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "http/grpc_wire.h"
#include "http/h2_session.h"

namespace fairlead::http {

using GrpcCall = H2Stream;

struct GrpcOpened {  // server: a client calls
  GrpcCall call = 0;
  std::string method;               // "/package.Service/Method"
  H2Fields metadata;                // all of the request's fields
  std::optional<Duration> timeout;  // after which the client gives up; absent: never
};
struct GrpcMessage {
  GrpcCall call = 0;
  std::string bytes;  // give the message to taken() when done with it
};
struct GrpcHalfClosed {  // server: the client sends no more messages
  GrpcCall call = 0;
};
struct GrpcEnded {  // the last event of a call
  GrpcCall call = 0;
  GrpcStatus status;  // client: what the server said, or why there is no answer. Server: ok when
                      // finish() has reached the client, else why the call ended before
};
struct GrpcGoingAway {};  // client: open no more calls here

using GrpcEvent = std::variant<GrpcOpened, GrpcMessage, GrpcHalfClosed, GrpcEnded, GrpcGoingAway>;

// What many connections may hold together of messages that have not come whole yet. Not for several
// threads.
struct GrpcBudget {
  std::size_t limit = 64 * 1024 * 1024;  // bytes
  std::size_t used = 0;
};

struct GrpcOptions {
  std::size_t max_message = 4 * 1024 * 1024;  // bytes received in one message; gRPC's default
  std::size_t max_waiting = 1024 * 1024;      // bytes of messages not taken(); then the peer waits
  std::size_t max_unfinished = 8 * 1024 * 1024;
  // Server: bytes of messages that have not come whole yet, on one connection. The call that brings
  // more ends with RESOURCE_EXHAUSTED.
  std::shared_ptr<GrpcBudget> budget;
  // Server: the same for all connections that share it. Each connection has 64 KiB beside it, so
  // that ordinary messages pass whatever others hold. Null: no such limit.
  std::string user_agent = "fairlead-grpc/1";  // client
  H2Options http2;
};

class GrpcSession {
 public:
  using Role = H2Session::Role;
  explicit GrpcSession(Role role, const GrpcOptions& options = {});
  ~GrpcSession();
  GrpcSession(GrpcSession&&) noexcept;
  GrpcSession& operator=(GrpcSession&&) noexcept;

  [[nodiscard]] Result<> receive(std::string_view bytes);
  [[nodiscard]] std::vector<GrpcEvent> take_events();
  [[nodiscard]] std::string take_output(std::size_t limit = 256 * 1024);
  // As in H2Session.
  void lost(const Fault& why);
  // The connection is gone: every call ends with UNAVAILABLE, which take_events() gives.

  struct Request {
    std::string method;     // "/package.Service/Method"
    std::string authority;  // "fairlead-control.fairlead-system:15010"
    std::optional<Duration> timeout;
    H2Fields metadata;
  };
  [[nodiscard]] Result<GrpcCall> start(const Request& request);  // client
  void half_close(GrpcCall call);                                // client: no more messages
  void cancel(GrpcCall call, const GrpcStatus& status);
  // Client: give up. The call ends with `status`.

  void finish(GrpcCall call, const GrpcStatus& status);  // server: the answer's end
  void reset(GrpcCall call, H2Error error);
  // Server: ends the call at once, and throws away what flow control holds back of its answer.

  void send(GrpcCall call, std::string_view message);
  void begin_message(GrpcCall call, std::size_t size);
  void send_part(GrpcCall call, std::string_view bytes);
  // The same in parts, which are `size` bytes together.
  [[nodiscard]] std::size_t queued(GrpcCall call) const;
  // Bytes sent and held back by flow control.
  void taken(const GrpcMessage& message);
  // Messages that waited for that come now: take_events().

  void ping(std::uint64_t payload);
  [[nodiscard]] std::uint64_t pongs() const;  // answers to pings so far
  void go_away(std::string_view why);
  [[nodiscard]] bool finished() const;
  [[nodiscard]] std::size_t open_calls() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fairlead::http
