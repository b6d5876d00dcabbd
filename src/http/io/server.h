// A small HTTP/1.1 server for a program's own endpoints: admin ports, status sockets, registries,
// the sample app. Not the proxy's data path.
//
//   http::Server server(loop, [&](http::Request& request) { return self.answer(request); });
//   Result<SocketAddress> at = server.listen(*SocketAddress::parse("127.0.0.1:8080"));
//
//   Task<http::Response> Self::answer(http::Request& request) {
//     if (request.path() != "/ready") co_return http::Response::text(404, "no such path\n");
//     co_return http::Response::json("{}\n");
//   }
//
// The handler may be a lambda that captures, as long as it is no coroutine itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "http/io/acceptor.h"
#include "http/limits.h"
#include "http/message.h"
#include "net/stream.h"

namespace fairlead::http {

class ServerConnection;

struct ServerOptions {
  Limits limits;
  Duration head_timeout = std::chrono::seconds(10);  // from a request's first byte to its head
  Duration idle_timeout = std::chrono::seconds(60);  // between requests
  Duration body_timeout = std::chrono::seconds(30);  // between two pieces, either way
  std::size_t max_body = 16 * 1024 * 1024;           // that Request::body() takes
  std::size_t max_in_hand = 64 * 1024 * 1024;
  // Bytes of bodies of answers, over all connections of a Server, that their clients have not taken
  // yet. Beside them an answer is 503, unless it is the only one.
  PlaceLimits places;  // for connections
  std::string what;    // is served, for the log: "the admin port"
};

// A request being answered. Good until the handler returns its response, and while that is sent.
class Request {
 public:
  explicit Request(ServerConnection& connection) : connection_(connection) {}
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  [[nodiscard]] const RequestHead& head() const LIFETIMEBOUND;
  [[nodiscard]] std::string_view method() const { return head().method; }
  [[nodiscard]] std::string_view path() const { return head().path_without_query(); }
  // Percent-encoded as it came, without the query.
  [[nodiscard]] std::string_view query() const;  // without the '?', empty when there is none
  [[nodiscard]] std::optional<std::string> parameter(std::string_view name) const;
  // Of the query, decoded; the first of that name.
  [[nodiscard]] net::Stream& stream() const LIFETIMEBOUND;  // addresses of both ends

  [[nodiscard]] Task<Result<std::string>> body();
  // All of it. A fault `exhausted` when it is over the limit.
  [[nodiscard]] Task<Result<std::string_view>> piece();
  // The next piece of the body; empty at its end. Good until the next call.
  [[nodiscard]] const Fields& trailers() const LIFETIMEBOUND;  // after the end

 private:
  ServerConnection& connection_;
};

// Where a streamed response's body goes.
class BodyWriter {
 public:
  explicit BodyWriter(ServerConnection& connection) : connection_(connection) {}
  [[nodiscard]] Task<Result<>> write(std::string_view bytes);
  // Sent at once; waits while the client takes nothing. A fault: the client is gone.
  Fields& trailers() LIFETIMEBOUND { return trailers_; }
  // Sent after the last byte.

 private:
  ServerConnection& connection_;
  Fields trailers_;
};

struct Response {
  std::uint16_t status = 200;
  std::string content_type;  // empty: none is sent
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;
  bool close = false;  // the connection ends after this

  std::function<Task<Result<>>(BodyWriter& writer)> stream;
  // Instead of `body`: writes it piece by piece, chunked, or of `size` bytes when that is given. A
  // fault breaks the connection off, so that the client sees that something is missing.
  std::optional<std::uint64_t> size;

  std::function<Task<>(net::Stream& stream, std::string early)> tunnel;
  // With status 101: what the connection is used for afterwards. `early`: bytes that the client has
  // sent already. The connection ends when it returns. Add the Upgrade field.

  [[nodiscard]] static Response text(std::uint16_t status, std::string body);
  [[nodiscard]] static Response json(std::string body, std::uint16_t status = 200);
};

using Handler = std::function<Task<Response>(Request& request)>;

[[nodiscard]] Task<> serve(net::Stream& stream, const Handler& handler,
                           const ServerOptions& options = {}, Cancel* closing = nullptr);
// One connection, until its end. Once `closing` is cancelled it ends when idle.

// What connections of one server share.
struct ServerShared {
  std::size_t in_hand = 0;    // see ServerOptions::max_in_hand
  std::uint64_t put_off = 0;  // answers that were 503 for that
};

class Server {
 public:
  Server(net::Loop& loop, Handler handler, ServerOptions options = {});

  [[nodiscard]] Result<SocketAddress> listen(const SocketAddress& address,
                                             const net::ListenOptions& how = {}) {
    return acceptor_.listen(address, how);
  }
  [[nodiscard]] Result<> listen_unix(const std::string& path, unsigned mode = 0600) {
    return acceptor_.listen_unix(path, mode);
  }
  [[nodiscard]] Acceptor& acceptor() LIFETIMEBOUND { return acceptor_; }
  [[nodiscard]] const Acceptor& acceptor() const LIFETIMEBOUND { return acceptor_; }
  [[nodiscard]] const ServerShared& shared() const LIFETIMEBOUND { return shared_; }
  [[nodiscard]] Task<> close(Duration grace = std::chrono::seconds(1)) {
    return acceptor_.close(grace);
  }
  // Call it before the server dies, or end the loop first.

 private:
  Task<> serve_one(net::StreamPointer stream, Places::Place& place);
  Handler handler_;
  ServerOptions options_;
  ServerShared shared_;
  Acceptor acceptor_;
};

}  // namespace fairlead::http
