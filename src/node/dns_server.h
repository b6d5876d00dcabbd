// The node's DNS on its sockets: UDP and TCP on each address. What it says is dns/respond.h's.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/gate.h"
#include "base/result.h"
#include "dns/respond.h"
#include "dns/zone.h"
#include "http/io/acceptor.h"
#include "net/loop.h"
#include "net/udp.h"
#include "node/tally.h"

namespace fairlead::node {

inline constexpr std::size_t datagrams_in_hand = 32;  // read with one system call, then answered

struct DnsLimits {
  std::size_t connections = 256;   // by TCP at once: see http/io/places.h
  std::size_t of_one_client = 64;  // of them
  std::size_t query = 4096;        // bytes of one by TCP; a longer one ends its connection
  Duration idle = std::chrono::seconds(10);     // between two queries of a connection
  Duration patience = std::chrono::seconds(5);  // for a query to be whole, an answer to be taken
};

struct DnsCounts {
  std::uint64_t udp = 0;  // queries
  std::uint64_t tcp = 0;
  std::uint64_t denied = 0;     // NXDOMAIN
  std::uint64_t truncated = 0;  // told to come back by TCP
  std::uint64_t failed = 0;     // SERVFAIL
  std::uint64_t lost = 0;       // in the hands of agents that were killed
  std::uint64_t dropped = 0;    // by the kernel: nobody read for long
  std::size_t connections = 0;  // by TCP, open now
  std::uint64_t refused = 0;    // connections by TCP that found no place
  std::uint64_t evicted = 0;    // that gave their place to others
};

class DnsServer {
 public:
  DnsServer(net::Loop& loop, const dns::Zone& zone LIFETIMEBOUND, Random& chance LIFETIMEBOUND,
            DnsLimits limits = {});
  // `zone` is read at each query; it may change between two turns of the loop.
  void count_in(Tally tally) { tally_.emplace(std::move(tally)); }
  // Also what is read and answered by UDP; before serve().

  [[nodiscard]] Result<> adopt(Descriptor udp, Descriptor tcp);
  // Sockets bound to one address. Nothing is read from them before serve().
  void serve();
  // From now on all that were adopted are answered. Once.
  [[nodiscard]] const std::vector<SocketAddress>& addresses() const LIFETIMEBOUND {
    return addresses_;
  }
  [[nodiscard]] DnsCounts counts() const;
  [[nodiscard]] std::size_t connections() const { return acceptor_.places().counts().held; }

  [[nodiscard]] Task<> close();
  // Call it before the server dies, or end the loop first.

 private:
  Task<> serve_udp(net::UdpSocket& socket);
  Task<> serve_tcp(net::StreamPointer stream, http::Places::Place& place);
  Task<Result<>> exchange(net::Stream& stream);
  std::size_t respond(std::string_view query, dns::Carrier carrier, std::span<char> into);

  net::Loop& loop_;
  dns::Responder responder_;
  std::unique_ptr<char[]> tcp_room_;  // for an answer, until it is framed
  DnsLimits limits_;
  DnsCounts counts_;
  std::optional<Tally> tally_;
  std::vector<SocketAddress> addresses_;
  std::vector<std::unique_ptr<net::UdpSocket>> udp_;
  std::vector<Descriptor> tcp_;  // until serve()
  Gate gate_;
  http::Acceptor acceptor_;
};

}  // namespace fairlead::node
