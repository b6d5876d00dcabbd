// One peer that always has something to do does not keep the others from their turn.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "proxy/test_memory.h"

namespace fairlead::proxy {
namespace {

using namespace testing;

// A peer that has the next bytes as soon as the last are taken, for ever, or none at all; it takes
// all that comes.
class Endless final : public net::Stream {
 public:
  Endless(net::Loop& loop, std::string bytes) : loop_(loop), bytes_(std::move(bytes)) {
    set_may_read(!bytes_.empty());
  }
  Result<net::Taken> read_now(std::span<char> into) override {
    if (closed_) return Fault{FaultKind::closed, "closed here"};
    ++reads_;
    std::size_t count = 0;
    while (!bytes_.empty() && count < into.size()) {
      into[count++] = bytes_[at_];
      at_ = (at_ + 1) % bytes_.size();
    }
    return net::Taken{count, false};
  }
  Result<std::size_t> write_now(std::span<const std::string_view> pieces) override {
    if (closed_) return Fault{FaultKind::closed, "closed here"};
    std::size_t all = 0;
    for (const std::string_view piece : pieces) all += piece.size();
    return all;
  }
  void shutdown_write() override {}
  void close() override {
    closed_ = true;
    set_ended();
    woken(true, true, Wake::soon);
  }
  void reset() override { close(); }
  [[nodiscard]] bool peer_has_left() const override { return false; }
  [[nodiscard]] net::Loop& loop() const override { return loop_; }
  [[nodiscard]] std::uint64_t reads() const { return reads_; }

 private:
  net::Loop& loop_;
  std::string bytes_;
  std::size_t at_ = 0;
  std::uint64_t reads_ = 0;
  bool closed_ = false;
};

class FairnessTest : public MemoryProxyTest {
 protected:
  // A client that never ends, and beside it one that wants an answer: each turn of the loop is
  // bounded, and the answer comes within a few.
  void expect_others_are_served(config::Listener listener, const std::string& bytes) {
    config::Route direct = route_to("app");
    direct.kind = config::Route::Kind::direct;
    direct.direct.body = "hello";
    proxy_.apply(snapshot_of({std::move(listener), listener_of("other", manager_of({direct}))},
                             {cluster_of("app", {endpoint(1)})}));
    net::Loop& loop = proxy_.worker.loop();
    auto stream = std::make_unique<Endless>(loop, bytes);
    Endless* const endless = stream.get();
    EXPECT_TRUE(proxy_.worker.accept("front", {.stream = std::move(stream), .dialled = {}}));
    EXPECT_FALSE(loop.settle(3));
    EXPECT_GT(endless->reads(), 0U);
    EXPECT_LT(endless->reads(), 500U);
    auto [ours, theirs] = net::MemoryStream::pair(loop);
    EXPECT_TRUE(proxy_.worker.accept("other", {.stream = std::move(ours), .dialled = {}}));
    const std::string_view get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    ASSERT_TRUE(theirs->write_now({&get, 1}).ok());
    EXPECT_FALSE(loop.settle(10));
    std::string answer(1000, '\0');
    const Result<net::Taken> taken = theirs->read_now(answer);
    ASSERT_TRUE(taken.ok());
    EXPECT_THAT(answer, ::testing::HasSubstr("hello"));
    endless->close();
    theirs->close();
    proxy_.settle();
  }
};

TEST_F(FairnessTest, RequestsWithoutEndThatAreAnsweredHere) {
  config::Route direct = route_to("app");
  direct.kind = config::Route::Kind::direct;
  expect_others_are_served(listener_of("front", manager_of({direct})),
                           "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

TEST_F(FairnessTest, BytesWithoutEndInBothDirections) {
  proxy_.connector.stream = [this] {
    return std::make_unique<Endless>(proxy_.worker.loop(), "some bytes ");
  };
  config::TcpProxy tcp;
  tcp.stat_prefix = "tcp";
  tcp.clusters.push_back({.cluster = "app"});
  expect_others_are_served(listener_of("front", tcp), "other bytes ");
}

TEST_F(FairnessTest, AResponseWithoutEnd) {
  proxy_.connector.stream = [this] {
    return std::make_unique<Endless>(proxy_.worker.loop(),
                                     "HTTP/1.1 200 OK\r\n\r\nsome bytes, and never an end");
  };
  expect_others_are_served(listener_of("front", manager_of({route_to("app")})),
                           "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

TEST_F(FairnessTest, ARequestWithoutEnd) {
  proxy_.connector.stream = [this] { return std::make_unique<Endless>(proxy_.worker.loop(), ""); };
  expect_others_are_served(listener_of("front", manager_of({route_to("app")})),
                           "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000\r\n\r\n");
}

}  // namespace
}  // namespace fairlead::proxy
