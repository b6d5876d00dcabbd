// gRPC over a stream: http/grpc_session.h joined to a connection and a loop. Unary calls and
// streaming in both directions; GOAWAY, keepalive and deadlines are seen to; a sender waits while
// the peer takes nothing.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "http/grpc_session.h"
#include "http/io/acceptor.h"
#include "net/loop.h"
#include "net/stream.h"

namespace fairlead::http {

struct GrpcConnectionOptions {
  GrpcOptions session;
  Duration keepalive = std::chrono::seconds(30);
  // A ping after so much silence; as much again without any answer, and the connection is lost.
  // 0: never.
  std::size_t max_queued = 256 * 1024;  // bytes of a call that wait to be sent, before send() waits
  PlaceLimits places;                   // server: for connections
  std::string what;                     // server: what is served, for the log
};

class GrpcConnection;

// One call, of either side. A handle: the call itself lives with its connection.
class GrpcCallHandle {
 public:
  struct State;
  explicit GrpcCallHandle(std::shared_ptr<State> state) : state_(std::move(state)) {}

  [[nodiscard]] Task<Result<std::optional<std::string>>> receive();
  // The next message; absent after the peer's last one. For a client the call has then ended, and
  // status() says how: also that the connection was lost. For a server a fault means that the
  // client gave the call up. One waits at a time.
  [[nodiscard]] Task<Result<>> send(std::string_view message);
  // Returns once the message is queued and not too much waits. A fault: the call has ended, or was
  // cancelled within the message, and is reset. One waits at a time, beside one that receives.
  [[nodiscard]] Task<Result<>> send(const std::vector<std::string_view>& parts);
  // One message, of which no more is copied than may wait.
  [[nodiscard]] bool ended() const;
  [[nodiscard]] const GrpcStatus& status() const;  // once ended

  void half_close();               // client: no more messages
  void cancel(GrpcStatus status);  // client
  void reset(H2Error error);
  // Server: ends the call at once, and throws away what its peer has not taken.

  [[nodiscard]] const std::string& method() const;     // "/package.Service/Method"
  [[nodiscard]] const H2Fields& metadata() const;      // server: of the request
  [[nodiscard]] const std::string& peer_name() const;  // of the connection

 private:
  std::shared_ptr<State> state_;
};

// ── server ──────────────────────────────────────────────────────────────────────────────────────

using GrpcHandler = std::function<Task<GrpcStatus>(GrpcCallHandle& call)>;
// Answers one call, of any method: it looks at call.method(). Cancelled when the client gives up.

[[nodiscard]] GrpcStatus grpc_unimplemented(std::string_view method);

class GrpcServer {
 public:
  GrpcServer(net::Loop& loop, GrpcHandler handler, GrpcConnectionOptions options = {});

  [[nodiscard]] Result<SocketAddress> listen(const SocketAddress& address,
                                             const net::ListenOptions& how = {}) {
    return acceptor_.listen(address, how);
  }
  [[nodiscard]] Acceptor& acceptor() LIFETIMEBOUND { return acceptor_; }
  [[nodiscard]] const Acceptor& acceptor() const LIFETIMEBOUND { return acceptor_; }
  [[nodiscard]] Task<> close(Duration grace = {}) { return acceptor_.close(grace); }
  // GOAWAY at once; calls get `grace` to end, then they end with UNAVAILABLE. Call it before the
  // server dies, or end the loop first.

 private:
  Task<> serve_one(net::StreamPointer stream, Places::Place& place);
  GrpcHandler handler_;
  GrpcConnectionOptions options_;
  Acceptor acceptor_;
};

// ── client ──────────────────────────────────────────────────────────────────────────────────────

// One connection to a server; any number of calls. Calls break off when it dies.
class GrpcChannel {
 public:
  explicit GrpcChannel(net::StreamPointer stream, const GrpcConnectionOptions& options = {});
  ~GrpcChannel();
  GrpcChannel(GrpcChannel&& other) noexcept;

  [[nodiscard]] Result<GrpcCallHandle> call(const GrpcSession::Request& request);
  // A fault when the connection takes no more calls: make a new one.
  [[nodiscard]] bool usable() const;

 private:
  std::shared_ptr<GrpcConnection> connection_;
};

}  // namespace fairlead::http
