// Whole connections through a worker, over streams in memory: however the bytes are cut, and
// however small the buffers between, the client gets the same, everything comes to rest, and once
// nobody moves any more nothing is held.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "http/h1_parser.h"
#include "proxy/test_memory.h"

namespace fairlead::proxy {
namespace {

using namespace testing;

// How one run goes.
struct Manner {
  std::size_t capacity = std::size_t{1} << 20;      // bytes on their way in each direction
  std::size_t read_at_most = std::size_t{1} << 20;  // by the proxy, at once
  std::size_t piece = std::size_t{1} << 20;         // at most, of what a peer sends at once
  std::uint64_t seed = 1;                           // of where it is cut
};

// Answers each request that has come whole with what it was, as often as it likes.
class EchoingServer {
 public:
  EchoingServer(MemoryPeer& peer, bool only_http) : peer_(peer), only_http_(only_http) {}
  // Whether anything happened.
  bool turn(const Manner& manner) {
    const std::string came = peer_.received();
    unread_ += came;
    std::string_view bytes = unread_;
    while (!failed_ && !bytes.empty()) {
      const http::H1Event event = parser_.next(bytes);
      if (event == http::H1Event::more) break;
      if (event == http::H1Event::failed) failed_ = true;
      if (event == http::H1Event::head) {
        told_ = std::string(parser_.head().method) + " " + std::string(parser_.head().path) + "|";
      }
      if (event == http::H1Event::data) told_ += parser_.data();
      if (event == http::H1Event::end) to_send_ += ok_with(told_);
    }
    unread_.erase(0, unread_.size() - bytes.size());
    if (failed_ && only_http_) ADD_FAILURE() << "what the proxy sent is no HTTP";
    const std::size_t taken = peer_.offer(std::string_view(to_send_).substr(0, manner.piece));
    to_send_.erase(0, taken);
    return taken != 0 || !came.empty();
  }

 private:
  MemoryPeer& peer_;
  bool only_http_;
  http::H1RequestParser parser_;
  std::string unread_;
  std::string told_;
  std::string to_send_;
  bool failed_ = false;
};

enum class Front : std::uint8_t { http, guessed, tcp };

config::Listener front(Front kind) {
  const config::Milliseconds limit{60'000};
  config::HttpConnectionManager manager = manager_of({route_to("app")});
  manager.generate_request_id = false;
  manager.idle_timeout = manager.stream_idle_timeout = limit;
  config::TcpProxy tcp;
  tcp.stat_prefix = "tcp";
  tcp.clusters.push_back({.cluster = "app"});
  tcp.idle_timeout = limit;
  if (kind == Front::tcp) return listener_of("front", tcp);
  config::Listener listener = listener_of("front", manager);
  if (kind == Front::http) return listener;
  listener.filter_chains[0].match.application_protocols = {"http/1.0", "http/1.1"};
  listener.default_filter_chain = listener_of("tcp", tcp).filter_chains[0];
  listener.http_inspector = true;
  listener.continue_on_listener_filters_timeout = true;
  return listener;
}

// What the client gets for `bytes`, to which every server answers when it has a request whole.
std::string answers(Front kind, std::string_view bytes, const Manner& manner) {
  MemoryProxy proxy;
  proxy.capacity = proxy.connector.capacity = manner.capacity;
  proxy.read_at_most = proxy.connector.read_at_most = manner.read_at_most;
  config::Cluster cluster = cluster_of("app", {endpoint(1)});
  cluster.idle_timeout = config::Milliseconds{60'000};
  proxy.apply(snapshot_of({front(kind)}, {std::move(cluster)}));
  MemoryPeer& client = proxy.connect();
  SeededRandom random(manner.seed);
  std::vector<EchoingServer> servers;
  std::string all;
  for (bool moved = true; moved;) {
    moved = false;
    const std::size_t most = 1 + static_cast<std::size_t>(random.below(manner.piece));
    const std::size_t taken = client.offer(bytes.substr(0, most));
    bytes.remove_prefix(taken);
    moved |= taken != 0;
    proxy.settle();
    while (servers.size() < proxy.connections())
      servers.emplace_back(proxy.server(servers.size()), kind == Front::http);
    if (kind != Front::tcp) {
      for (EchoingServer& server : servers) moved |= server.turn(manner);
    }
    proxy.settle();
    const std::string came = client.received();
    moved |= !came.empty();
    all += came;
  }
  proxy.pass(std::chrono::minutes(10));
  all += client.received();
  EXPECT_EQ(proxy.worker.open_connections(), 0U) << "a connection is held";
  EXPECT_TRUE(client.ended() || client.was_reset());
  return all;
}

// Peers that do anything at any time.
void at_random(Front kind, std::string_view bytes, SeededRandom& random) {
  MemoryProxy proxy;
  proxy.capacity = 1 + random.below(3000);
  proxy.connector.capacity = 1 + random.below(3000);
  proxy.read_at_most = 1 + random.below(3000);
  proxy.connector.answer =
      static_cast<MemoryConnector::Answer>(random.below(8) < 6 ? 0 : random.below(3));
  proxy.apply(snapshot_of({front(kind)}, {cluster_of("app", {endpoint(1), endpoint(2)})}));
  proxy.connect();
  while (!bytes.empty()) {
    const bool upstream = random.below(2) == 0 && proxy.connections() != 0;
    MemoryPeer& peer = upstream ? proxy.server(random.below(proxy.connections()))
                                : *proxy.clients[random.below(proxy.clients.size())];
    const std::string_view piece = bytes.substr(0, 1 + random.below(200));
    bytes.remove_prefix(piece.size());
    switch (random.below(16)) {
      case 0:
        peer.shutdown_write();
        break;
      case 1:
        peer.close();
        break;
      case 2:
        peer.reset();
        break;
      case 3:
        proxy.pass(std::chrono::milliseconds(random.below(30'000)));
        break;
      case 4:
        if (proxy.clients.size() < 4) proxy.connect();
        break;
      case 5:
        peer.send(ok_with(piece));
        break;
      case 6:
        (void)peer.received();
        break;
      default:
        peer.send(piece);
        break;
    }
  }
  proxy.pass(std::chrono::minutes(20));
  EXPECT_EQ(proxy.worker.open_connections(), 0U) << "a connection is held";
}

}  // namespace
}  // namespace fairlead::proxy

extern "C" int LLVMFuzzerInitialize(int* /*count*/, char*** /*arguments*/) {
  GTEST_FLAG_SET(break_on_failure, true);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fairlead::proxy;
  if (size < 9) return 0;
  std::uint64_t seed = 0;
  for (std::size_t at = 0; at < 8; ++at) seed = seed << 8 | data[at];
  const Front kind = static_cast<Front>(data[8] % 3);
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 9, size - 9);
  fairlead::SeededRandom random(seed);
  if (data[8] / 3 % 2 == 0) {
    at_random(kind, bytes, random);
    return 0;
  }
  const Manner whole;
  // An answer to what is no HTTP is written as far as it goes at once: there is room for one.
  const Manner cut{.capacity = 4096 + random.below(5000),
                   .read_at_most = 1 + random.below(500),
                   .piece = 1 + random.below(500),
                   .seed = seed};
  const std::string first = answers(kind, bytes, whole);
  const std::string second = answers(kind, bytes, cut);
  if (first != second) {
    ADD_FAILURE() << "whole:\n" << first << "\ncut:\n" << second;
  }
  return 0;
}
