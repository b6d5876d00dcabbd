#include "http/io/acceptor.h"

#include <fmt/format.h>

#include <utility>

#include "base/log.h"

namespace fairlead::http {

Result<SocketAddress> Acceptor::listen(const SocketAddress& address,
                                       const net::ListenOptions& options) {
  Result<std::unique_ptr<net::TcpListener>> listener =
      net::TcpListener::listen(loop_, address, options);
  if (!listener.ok()) return listener.fault();
  const SocketAddress at = (*listener)->local();
  adopt(std::move(*listener));
  return at;
}

Result<> Acceptor::listen_unix(const std::string& path, unsigned mode) {
  Result<std::unique_ptr<net::UnixListener>> listener =
      net::UnixListener::listen(loop_, path, mode);
  if (!listener.ok()) return listener.fault();
  adopt(std::move(*listener));
  return done();
}

void Acceptor::adopt(std::unique_ptr<net::UnixListener> listener) {
  loop_.start(gate_, accept_all(std::move(listener)));
}

void Acceptor::adopt(std::unique_ptr<net::TcpListener> listener) {
  loop_.start(gate_, accept_all(std::move(listener)));
}

void Acceptor::adopt(net::StreamPointer stream) {
  loop_.start(gate_, serve_in_place(std::move(stream)));
}

Task<> Acceptor::serve_in_place(net::StreamPointer stream) {
  const IpAddress client = stream->peer().ip;
  Places::Place place(places_, client);
  if (!place.is_admitted()) {
    tell_refused(client);
    stream->reset();
    co_return;
  }
  place.ended().inherit(co_await cancellation_here());
  co_await under(place.ended(), serve_(std::move(stream), place));
}

void Acceptor::tell_refused(const IpAddress& client) {
  const std::optional<std::uint64_t> held_back = refusals_said_.pass(loop_.now());
  if (!held_back) return;
  log::warning(fmt::format(
      "{}: a connection from {} is refused, which has {} already; {} of {} connections are open{}",
      what_.empty() ? "a listener" : what_, client.text(), places_.held_by(client),
      places_.counts().held, places_.limits().total,
      *held_back == 0
          ? ""
          : fmt::format("; {} more were refused since the last such line", *held_back)));
}

template <class Listener>
Task<> Acceptor::accept_all(std::unique_ptr<Listener> listener) {
  ++listeners_;
  while (true) {
    auto accepted = co_await under(closing_, listener->accept());
    if (accepted.ok()) {
      adopt(net::StreamPointer(std::move(*accepted)));
      continue;
    }
    if (accepted.fault().kind != FaultKind::cancelled) {
      log::error("a listener has stopped: " + accepted.fault().describe());
    }
    break;
  }
  --listeners_;
}

Task<> Acceptor::close(Duration grace) {
  closing_.cancel();
  net::Timer over(loop_, [this] { gate_.cancel().cancel(); });
  if (grace > Duration::zero()) {
    over.arm(grace);
  } else {
    gate_.cancel().cancel();
  }
  co_await gate_.empty();
}

}  // namespace fairlead::http
