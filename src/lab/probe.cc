#include "lab/probe.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "net/socket.h"
#include "net/tcp.h"

namespace fairlead::lab {
namespace {

constexpr std::size_t answer_limit = std::size_t{64} << 20U;
constexpr Duration look_again = std::chrono::milliseconds(2);

Result<HttpAnswer> read_answer(std::string_view text) {
  const std::size_t space = text.find(' ');
  HttpAnswer answer;
  if (!text.starts_with("HTTP/1.") || space == std::string_view::npos) {
    return Fault{.kind = FaultKind::closed, .message = "what answered does not speak HTTP"};
  }
  const std::string_view digits = text.substr(space + 1, 3);
  std::from_chars(digits.data(), digits.data() + digits.size(), answer.status);
  const std::size_t head_end = text.find("\r\n\r\n");
  if (head_end != std::string_view::npos) answer.body = text.substr(head_end + 4);
  return answer;
}

// Whether a connection being made has come about: true, not yet, or why not.
Result<bool> has_connected(int socket, const SocketAddress& to) {
  pollfd waiting{.fd = socket, .events = POLLOUT, .revents = 0};
  if (::poll(&waiting, 1, 0) <= 0) return false;
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return from_errno(error, "connecting to " + to.text());
  return true;
}

Result<Descriptor> begin_connecting(const SocketAddress& to) {
  Descriptor socket(
      ::socket(to.ip.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return from_errno(errno, "making a socket");
  const net::RawAddress raw = net::raw_address(to);
  if (::connect(socket.number(), raw.get(), raw.length) != 0 && errno != EINPROGRESS) {
    return from_errno(errno, "connecting to " + to.text());
  }
  return socket;
}

}  // namespace

Task<Result<HttpAnswer>> ask_http(net::Stream& stream, std::string host, std::string path,
                                  std::vector<std::pair<std::string, std::string>> headers) {
  std::string request = fmt::format(
      "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n"
      "User-Agent: fairlead-lab\r\n",
      path, host);
  for (const auto& [name, value] : headers) request += fmt::format("{}: {}\r\n", name, value);
  request += "\r\n";
  if (Result<> written = co_await stream.write_all(request); !written) {
    co_return std::move(written).fault();
  }
  std::string text;
  std::vector<char> part(16384);
  for (;;) {
    if (Result<> ready = co_await stream.readable(); !ready) co_return std::move(ready).fault();
    Result<net::Taken> taken = stream.read_now(part);
    if (!taken) co_return std::move(taken).fault();
    text.append(part.data(), taken->bytes);
    if (taken->end) break;
    if (text.size() > answer_limit) co_return invalid("the answer is too long");
  }
  co_return read_answer(text);
}

Task<Result<net::StreamPointer>> connect_inside(net::Loop& loop, const NetworkNamespace& network,
                                                SocketAddress to) {
  Result<Descriptor> socket = network.in([&] { return begin_connecting(to); });
  if (!socket) co_return std::move(socket).fault();
  for (;;) {
    const Result<bool> connected = has_connected(socket->number(), to);
    if (!connected) co_return connected.fault();
    if (*connected) break;
    if (Result<> slept = co_await loop.sleep(look_again); !slept) {
      co_return std::move(slept).fault();
    }
  }
  Result<net::TcpStreamPointer> stream = net::TcpStream::adopt(loop, std::move(*socket));
  if (!stream) co_return std::move(stream).fault();
  co_return net::StreamPointer(std::move(*stream));
}

Task<Result<>> probe_tcp(net::Loop& loop, const NetworkNamespace& network, SocketAddress to) {
  Result<net::StreamPointer> stream = co_await connect_inside(loop, network, to);
  if (!stream) co_return std::move(stream).fault();
  co_return done();
}

Task<Result<>> probe_http(net::Loop& loop, const NetworkNamespace& network, SocketAddress to,
                          kube::HttpAction action) {
  Result<net::StreamPointer> stream = co_await connect_inside(loop, network, to);
  if (!stream) co_return std::move(stream).fault();
  const std::string host = action.host.empty() ? to.text() : action.host;
  const Result<HttpAnswer> answer =
      co_await ask_http(**stream, host, action.path, std::move(action.headers));
  if (!answer) co_return answer.fault();
  if (answer->status >= 200 && answer->status < 400) co_return done();
  co_return Fault{.kind = FaultKind::denied,
                  .message = fmt::format("it answered {}", answer->status)};
}

Result<std::uint16_t> port_of(const kube::PortReference& port, const kube::Container& container) {
  if (port.number != 0) return port.number;
  for (const kube::ContainerPort& one : container.ports) {
    if (one.name == port.name) return one.port;
  }
  return missing(fmt::format("the container {} has no port named '{}'", container.name, port.name));
}

}  // namespace fairlead::lab
