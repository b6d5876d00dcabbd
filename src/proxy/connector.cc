#include "proxy/connector.h"

#include <utility>

#include "net/tcp.h"
#include "net/unix.h"

namespace fairlead::proxy {

Task<Result<net::StreamPointer>> SocketConnector::connect(net::Loop& loop, ConnectTarget target) {
  if (!target.unix_path.empty()) {
    Result<net::UnixStreamPointer> made = net::connect_unix(loop, target.unix_path);
    if (!made.ok()) co_return std::move(made).fault();
    co_return net::StreamPointer(std::move(*made));
  }
  const net::ConnectOptions options{
      .source = target.source, .mark = mark_, .timeout = target.timeout};
  Result<net::TcpStreamPointer> made = co_await net::connect(loop, target.address, options);
  if (!made.ok()) co_return std::move(made).fault();
  co_return net::StreamPointer(std::move(*made));
}

}  // namespace fairlead::proxy
