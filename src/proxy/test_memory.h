// For tests: one worker over streams in memory, on the test's own thread, with a clock that the
// test turns. Nothing sleeps, and nothing happens that the test did not ask for.
//
//   class MyTest : public MemoryProxyTest {};
//   TEST_F(MyTest, ...) {
//     start(manager_of({route_to("app")}), cluster_of("app", {endpoint(1)}));
//     MemoryPeer& client = connect();
//     client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
//     server(0).send(ok_with("hello"));           // the first connection that was made upstream
//     EXPECT_THAT(client.received(), ...);
//     pass(std::chrono::seconds(5));
//   }
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/loop.h"
#include "net/memory_stream.h"
#include "proxy/test_peers.h"
#include "proxy/worker.h"

namespace fairlead::proxy::testing {

// The far end of a connection of the proxy: a client or a server.
class MemoryPeer {
 public:
  MemoryPeer(net::Loop& loop, std::unique_ptr<net::MemoryStream> stream)
      : loop_(loop), stream_(std::move(stream)) {}

  // Then the proxy does what follows from it. False when not all of it was taken.
  bool send(std::string_view bytes) {
    const std::size_t taken = offer(bytes);
    settle();
    return taken == bytes.size();
  }
  // How many bytes of it were taken, before the proxy does anything.
  std::size_t offer(std::string_view bytes) {
    if (!stream_) return 0;
    const Result<std::size_t> written = stream_->write_now({&bytes, 1});
    return written.ok() ? *written : 0;
  }
  // What came since the last time.
  std::string received() {
    std::string all;
    if (!stream_) return all;
    char piece[4096];
    while (!ended_ && !reset_) {
      const Result<net::Taken> taken = stream_->read_now(piece);
      reset_ = !taken.ok();
      ended_ = taken.ok() && taken->end;
      if (reset_ || ended_) break;
      if (taken->bytes == 0) {
        settle();  // what waited for room goes on
        if (stream_->is_idle()) break;
      }
      all.append(piece, taken->bytes);
    }
    return all;
  }
  // The proxy has closed its direction, or all; looked at by received().
  [[nodiscard]] bool ended() {
    (void)received();
    return ended_;
  }
  [[nodiscard]] bool was_reset() {
    (void)received();
    return reset_;
  }
  void shutdown_write() {
    stream_->shutdown_write();
    settle();
  }
  void close() {
    stream_->close();
    settle();
  }
  void reset() {
    stream_->reset();
    settle();
  }
  [[nodiscard]] net::MemoryStream& stream() { return *stream_; }

 private:
  void settle() { EXPECT_TRUE(loop_.settle()) << "something makes no progress"; }
  net::Loop& loop_;
  std::unique_ptr<net::MemoryStream> stream_;
  bool ended_ = false;
  bool reset_ = false;
};

// Makes connections upstream in memory, as the test says.
class MemoryConnector final : public Connector {
 public:
  enum class Answer : std::uint8_t { accepted, refused, silence };
  Answer answer = Answer::accepted;
  std::vector<Answer> first;            // instead, for the first connections
  std::size_t capacity = 64 * 1024;     // of each direction
  std::size_t read_at_most = SIZE_MAX;  // by the proxy, at once
  std::vector<ConnectTarget> asked;     // every attempt
  std::vector<Instant> asked_at;
  std::vector<std::unique_ptr<MemoryPeer>> peers;  // of those that were accepted

  std::function<net::StreamPointer()> stream;  // instead of one whose far end is in `peers`

  Task<Result<net::StreamPointer>> connect(net::Loop& loop, ConnectTarget target) override {
    const Answer now = asked.size() < first.size() ? first[asked.size()] : answer;
    asked.push_back(target);
    asked_at.push_back(loop.now());
    if (now == Answer::refused) {
      co_return Fault{FaultKind::unreachable,
                      "connecting to " + target.address.text() + ": refused"};
    }
    if (now == Answer::silence) {
      Result<> slept = co_await loop.sleep(target.timeout);
      if (!slept.ok()) co_return slept.fault();
      co_return net::timed_out_after(target.timeout);
    }
    if (stream) co_return stream();
    auto [ours, theirs] = net::MemoryStream::pair(loop, capacity);
    const SocketAddress local{IpAddress::v4({127, 0, 0, 1}),
                              static_cast<std::uint16_t>(50000 + peers.size())};
    ours->set_addresses(local, target.address);
    ours->read_at_most(read_at_most);
    peers.push_back(std::make_unique<MemoryPeer>(loop, std::move(theirs)));
    co_return net::StreamPointer(std::move(ours));
  }
};

inline SocketAddress endpoint(int number) {
  return {IpAddress::v4({10, 0, 0, static_cast<std::uint8_t>(number)}), 8080};
}

class MemoryProxy {
 public:
  explicit MemoryProxy(std::uint64_t seed = 1)
      : worker(0, {}, stats, files, {.clock = &clock, .connector = &connector, .seed = seed}) {}
  ~MemoryProxy() {
    clients.clear();
    connector.peers.clear();
    worker.loop().run(worker.end());
  }
  MemoryProxy(const MemoryProxy&) = delete;
  MemoryProxy& operator=(const MemoryProxy&) = delete;

  // In force at once. Listeners are not bound: connections come from connect().
  void apply(std::shared_ptr<config::Snapshot> snapshot) {
    config::Snapshot unbound = *snapshot;
    for (const auto& [name, listener] : snapshot->listeners) {
      auto copy = std::make_shared<config::Listener>(*listener);
      copy->bind_to_port = false;
      unbound.listeners.put(name, std::move(copy));
    }
    Result<SnapshotTablePointer> made = SnapshotTable::make(
        std::make_shared<config::Snapshot>(std::move(unbound)), worker.table().get());
    ASSERT_TRUE(made.ok()) << made.fault().describe();
    EXPECT_TRUE(worker.apply(std::move(*made)).empty());
    settle();
  }
  MemoryPeer& connect(const std::string& listener = "front",
                      const SocketAddress& dialled = {IpAddress::v4({10, 96, 0, 1}), 80},
                      const SocketAddress& from = {IpAddress::v4({10, 0, 1, 1}), 40000}) {
    auto [ours, theirs] = net::MemoryStream::pair(worker.loop(), capacity);
    ours->set_addresses({IpAddress::v4({127, 0, 0, 1}), 15001}, from);
    ours->read_at_most(read_at_most);
    clients.push_back(std::make_unique<MemoryPeer>(worker.loop(), std::move(theirs)));
    EXPECT_TRUE(worker.accept(listener, {.stream = std::move(ours), .dialled = dialled}));
    settle();
    return *clients.back();
  }
  [[nodiscard]] MemoryPeer& server(std::size_t at) { return *connector.peers.at(at); }
  [[nodiscard]] std::size_t connections() const { return connector.peers.size(); }

  void settle() { EXPECT_TRUE(worker.loop().settle()) << "something makes no progress"; }
  // Time passes, and whatever is due happens when it is due.
  void pass(Duration time) {
    const Instant end = clock.now() + time;
    settle();
    while (true) {
      const std::optional<Instant> next = worker.loop().next_timer();
      if (!next || *next > end) break;
      clock.advance(std::max(*next - clock.now(), Duration::zero()));
      settle();
    }
    clock.advance(end - clock.now());
    settle();
  }
  [[nodiscard]] std::string counted(const std::string& pattern) const {
    return stats.text({}, {.used_only = true, .pattern = pattern});
  }
  [[nodiscard]] Record last_record() {
    const std::vector<Record> records = worker.records().last(1);
    EXPECT_FALSE(records.empty()) << "no record";
    return records.empty() ? Record() : records.back();
  }

  ManualClock clock;
  MemoryConnector connector;
  LogFiles files;
  Stats stats;
  Worker worker;
  std::vector<std::unique_ptr<MemoryPeer>> clients;
  std::size_t capacity = 64 * 1024;
  std::size_t read_at_most = SIZE_MAX;
};

class MemoryProxyTest : public ::testing::Test {
 protected:
  void start(config::HttpConnectionManager manager, config::Cluster cluster,
             config::Direction direction = config::Direction::outbound) {
    config::Listener listener = listener_of("front", std::move(manager));
    listener.direction = direction;
    proxy_.apply(snapshot_of({std::move(listener)}, {std::move(cluster)}));
  }
  void start_tcp(config::TcpProxy tcp, config::Cluster cluster) {
    proxy_.apply(snapshot_of({listener_of("front", std::move(tcp))}, {std::move(cluster)}));
  }
  MemoryPeer& connect() { return proxy_.connect(); }
  MemoryPeer& server(std::size_t at) { return proxy_.server(at); }
  void pass(Duration time) { proxy_.pass(time); }
  [[nodiscard]] Record last_record() { return proxy_.last_record(); }
  // "name: count" of one counter.
  [[nodiscard]] bool counted(const std::string& name, int count) {
    return proxy_.counted(name + "$").find(name + ": " + std::to_string(count) + "\n") !=
           std::string::npos;
  }

  MemoryProxy proxy_;
};

}  // namespace fairlead::proxy::testing
