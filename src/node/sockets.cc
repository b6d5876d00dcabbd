#include "node/sockets.h"

#include <sys/socket.h>

#include <utility>

#include "net/tcp.h"
#include "net/udp.h"
#include "net/unix.h"
#include "node/tally.h"

namespace fairlead::node {
namespace {

constexpr int queue_bytes = 4 << 20;  // some 5,000 queries

// More than the system's limit where this process may, else up to it.
void widen_queue(int socket) {
  if (::setsockopt(socket, SOL_SOCKET, SO_RCVBUFFORCE, &queue_bytes, sizeof queue_bytes) == 0) {
    return;
  }
  ::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &queue_bytes, sizeof queue_bytes);
}

template <class Holds>
Descriptor take_first(Sockets& from, Holds holds) {
  for (auto one = from.begin(); one != from.end(); ++one) {
    if (!holds(*one)) continue;
    Descriptor taken = std::move(one->descriptor);
    from.erase(one);
    return taken;
  }
  return Descriptor();
}

}  // namespace

Result<Sockets> open_dns_sockets(const std::vector<SocketAddress>& addresses) {
  Sockets sockets;
  for (const SocketAddress& address : addresses) {
    Result<Descriptor> udp = net::UdpSocket::open(address);
    if (!udp) return std::move(udp).fault().during("opening DNS by UDP");
    widen_queue(udp->number());
    const SocketAddress bound = net::own_address(udp->number());
    Result<Descriptor> tcp = net::TcpListener::open(bound);
    if (!tcp) return std::move(tcp).fault().during("opening DNS by TCP");
    sockets.push_back({dns_udp_socket, std::move(*udp)});
    sockets.push_back({dns_tcp_socket, std::move(*tcp)});
  }
  Result<Descriptor> tally = Tally::make();
  if (!tally) return std::move(tally).fault();
  sockets.push_back({tally_memory, std::move(*tally)});
  return sockets;
}

Result<Sockets> open_sockets(const std::vector<SocketAddress>& addresses,
                             const std::string& status_path) {
  Result<Sockets> sockets = open_dns_sockets(addresses);
  if (!sockets || status_path.empty()) return sockets;
  Result<Descriptor> status = net::UnixListener::open(status_path);
  if (!status) return std::move(status).fault();
  sockets->push_back({status_socket, std::move(*status)});
  return sockets;
}

Descriptor take_socket(Sockets& from, const std::string& name, const SocketAddress& address) {
  return take_first(from, [&](const net::Passed& one) {
    if (one.name != name) return false;
    const SocketAddress bound = net::own_address(one.descriptor.number());
    return bound.ip == address.ip && (address.port == 0 || bound.port == address.port);
  });
}

Descriptor take_socket(Sockets& from, const std::string& name) {
  return take_first(from, [&](const net::Passed& one) { return one.name == name; });
}

}  // namespace fairlead::node
