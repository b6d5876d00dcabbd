// One HTTP/1.1 request and its answer, for programs that ask each other: probes, witnesses, status.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "http/limits.h"
#include "http/message.h"
#include "net/loop.h"
#include "net/tcp.h"
#include "net/unix.h"

namespace fairlead::http {

// Where a server listens.
struct Endpoint {
  std::variant<SocketAddress, std::string> at;  // or the path of a unix socket

  Endpoint(SocketAddress address) : at(address) {}  // NOLINT: implicit
  explicit Endpoint(std::string path) : at(std::move(path)) {}
  static Result<Endpoint> parse(std::string_view text);
  // "127.0.0.1:80", "http://[::1]:80", "unix:/run/x.sock".
  [[nodiscard]] std::string text() const;
};

struct Ask {
  std::string method = "GET";
  std::string path = "/";  // with the query
  std::string authority;   // of the Host field; empty: the endpoint's address
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;
};

struct Answer {
  ResponseHead head;  // owns its bytes
  std::string body;
  SocketAddress local;  // the address pair that it went over
  SocketAddress peer;
};

struct ClientOptions {
  Duration timeout = std::chrono::seconds(10);  // for all of it
  std::size_t max_body = 64 * 1024 * 1024;
  Limits limits;
  net::ConnectOptions connect;
};

[[nodiscard]] Task<Result<net::StreamPointer>> open(net::Loop& loop, Endpoint to,
                                                    net::ConnectOptions options = {});

[[nodiscard]] Task<Result<Answer>> fetch(net::Loop& loop, Endpoint to, Ask ask,
                                         ClientOptions options = {});
// On a connection of its own, which is closed afterwards. A fault: no connection, no HTTP, no
// answer in time. Any status is an answer.

// A connection for several requests, one after the other; bodies may be streamed.
class ClientConnection {
 public:
  explicit ClientConnection(net::StreamPointer stream, const Limits& limits = {});
  ~ClientConnection();
  ClientConnection(ClientConnection&&) noexcept;

  [[nodiscard]] Task<Result<>> send(const Ask& ask);
  // Head and body at once. The next is head().
  [[nodiscard]] Task<Result<>> begin(const Ask& ask, BodyFraming body);
  // The head alone; `ask.body` is not looked at. Then write() and finish().
  [[nodiscard]] Task<Result<>> write(std::string_view bytes);
  [[nodiscard]] Task<Result<>> finish();
  [[nodiscard]] Task<Result<const ResponseHead*>> head();
  // The answer's head, interim ones skipped. Good until the next request.
  [[nodiscard]] Task<Result<std::string_view>> piece();
  // The next piece of its body; empty at the end. Good until the next call.
  [[nodiscard]] Task<Result<std::string>> body(std::size_t limit = 64 * 1024 * 1024);
  [[nodiscard]] bool reusable() const;
  // The last answer has ended, and both sides would go on.
  [[nodiscard]] net::Stream& stream() const LIFETIMEBOUND;
  [[nodiscard]] std::string early() const;
  // After an answer 101: bytes of the tunnel that have been read already.

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fairlead::http
