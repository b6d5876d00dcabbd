#include "node/dns_server.h"

#include <array>
#include <utility>

#include "base/log.h"
#include "dns/query.h"
#include "net/stream.h"
#include "net/tcp.h"

namespace fairlead::node {
namespace {

constexpr std::size_t bytes_of_a_query = 4096;  // with all that EDNS may add to one
constexpr std::size_t batches_in_a_row = 8;     // then others have their turn

std::span<const std::uint8_t> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// Exactly so many bytes. Fault: closed, when the peer ends before.
Task<Result<>> read_all(net::Stream& stream, std::span<char> into) {
  while (!into.empty()) {
    if (Result<> ready = co_await stream.readable(); !ready) co_return ready.fault();
    Result<net::Taken> taken = stream.read_now(into);
    if (!taken) co_return std::move(taken).fault();
    into = into.subspan(taken->bytes);
    if (taken->end && !into.empty()) {
      co_return Fault{.kind = FaultKind::closed, .message = "the client ended"};
    }
  }
  co_return done();
}

Task<Result<>> await_query(net::Stream& stream) {
  co_return co_await stream.readable();
}

Task<Result<>> write_whole(net::Stream& stream, std::string bytes) {
  co_return co_await stream.write_all(bytes);
}

}  // namespace

DnsServer::DnsServer(net::Loop& loop, const dns::Zone& zone, Random& chance, DnsLimits limits)
    : loop_(loop),
      responder_(zone, chance),
      tcp_room_(std::make_unique_for_overwrite<char[]>(dns::largest_message)),
      limits_(limits),
      acceptor_(
          loop,
          [this](net::StreamPointer stream, http::Places::Place& place) {
            return serve_tcp(std::move(stream), place);
          },
          {.total = limits.connections, .per_client = limits.of_one_client}, "DNS by TCP") {}

DnsCounts DnsServer::counts() const {
  DnsCounts counts = counts_;
  const http::PlaceCounts& places = acceptor_.places().counts();
  counts.connections = places.held;
  counts.refused = places.refused;
  counts.evicted = places.evicted;
  if (tally_) counts.lost = tally_->lost();
  for (const auto& socket : udp_) counts.dropped += socket->dropped();
  return counts;
}

Result<> DnsServer::adopt(Descriptor udp, Descriptor tcp) {
  Result<std::unique_ptr<net::UdpSocket>> socket = net::UdpSocket::adopt(loop_, std::move(udp));
  if (!socket) return std::move(socket).fault().during("opening DNS by UDP");
  addresses_.push_back((*socket)->local());
  udp_.push_back(std::move(*socket));
  tcp_.push_back(std::move(tcp));
  return done();
}

void DnsServer::serve() {
  for (const auto& socket : udp_) loop_.start(gate_, serve_udp(*socket));
  for (Descriptor& listening : std::exchange(tcp_, {})) {
    Result<std::unique_ptr<net::TcpListener>> listener =
        net::TcpListener::adopt(loop_, std::move(listening));
    if (listener) {
      acceptor_.adopt(std::move(*listener));
    } else {
      log::error(listener.fault().during("opening DNS by TCP").describe());
    }
  }
}

Task<> DnsServer::close() {
  co_await acceptor_.close();
  co_await gate_.close();
}

std::size_t DnsServer::respond(std::string_view query, dns::Carrier carrier, std::span<char> into) {
  ++(carrier == dns::Carrier::udp ? counts_.udp : counts_.tcp);
  const std::size_t size = responder_.respond(as_bytes(query), carrier, into);
  const std::optional<dns::Header> header = dns::read_header(as_bytes({into.data(), size}));
  if (header) {
    counts_.denied += header->code == dns::Code::no_such_name ? 1 : 0;
    counts_.failed += header->code == dns::Code::server_failure ? 1 : 0;
    counts_.truncated += header->truncated ? 1 : 0;
  }
  return size;
}

Task<> DnsServer::serve_udp(net::UdpSocket& socket) {
  net::Exchanges exchanges(datagrams_in_hand, bytes_of_a_query, dns::largest_udp);
  std::size_t in_a_row = 0;
  while (true) {
    if (Result<> ready = co_await socket.readable(); !ready) co_return;
    if (Result<> came = socket.receive_now(exchanges); !came) continue;
    // A fault: an ICMP error about an answer, nothing to do.
    if (tally_) tally_->taken(exchanges.size());
    for (std::size_t i = 0; i < exchanges.size(); ++i) {
      const std::size_t size =
          respond(exchanges.bytes(i), dns::Carrier::udp, exchanges.answer_room(i));
      if (size > 0) exchanges.answer(i, size);
    }
    // Lost when it cannot be sent; the client asks again.
    socket.answer_now(exchanges);
    if (tally_) tally_->answered(exchanges.size());
    const bool more = exchanges.size() == exchanges.most();
    in_a_row = more ? in_a_row + 1 : 0;
    if (in_a_row < batches_in_a_row) continue;
    in_a_row = 0;
    if (Result<> slept = co_await loop_.sleep(Duration(1)); !slept) co_return;
  }
}

Task<> DnsServer::serve_tcp(net::StreamPointer stream, http::Places::Place& place) {
  while (true) {
    // Nothing has been promised to who waits between two queries: it may be cut off at any time.
    place.set_idle(true);
    Result<> next = co_await net::within(loop_, limits_.idle, await_query(*stream));
    if (!next) co_return;
    place.set_idle(false);
    Result<> exchanged = co_await net::within(loop_, limits_.patience, exchange(*stream));
    if (!exchanged) co_return;
  }
}

Task<Result<>> DnsServer::exchange(net::Stream& stream) {
  std::array<char, 2> size{};
  if (Result<> read = co_await read_all(stream, size); !read) co_return read.fault();
  const std::size_t expected = static_cast<std::size_t>(static_cast<std::uint8_t>(size[0])) << 8 |
                               static_cast<std::uint8_t>(size[1]);
  if (expected > limits_.query) co_return invalid("a query is shorter than that");
  std::string query(expected, '\0');
  if (Result<> read = co_await read_all(stream, query); !read) co_return read.fault();
  const std::size_t taken =
      respond(query, dns::Carrier::tcp, {tcp_room_.get(), dns::largest_message});
  if (taken == 0) co_return invalid("this is no query");
  co_return co_await write_whole(stream, dns::framed({tcp_room_.get(), taken}));
}

}  // namespace fairlead::node
