// A worker whose loop does not turn: told, and no reason for the process to stay.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>

#include "proxy/test_peers.h"

namespace fairlead::proxy {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class StuckWorkerTest : public ::testing::Test {
 protected:
  StuckWorkerTest() {
    options_.worker_patience = std::chrono::milliseconds(100);
    proxy_ = std::make_unique<RunningProxy>(options_);
    EXPECT_TRUE(proxy_->apply(snapshot_of({}, {})).empty());
    admin_ = proxy_->serve_admin({});
  }
  ~StuckWorkerTest() override { release(); }

  void block() {
    proxy_->on_control([this](Proxy& proxy) {
      proxy.for_each_worker([until = released_.get_future().share()](Worker&) { until.wait(); });
      return 0;
    });
  }
  void release() {
    if (std::exchange(blocked_, false)) released_.set_value();
  }
  std::string get(const std::string& path) {
    Wire wire = Wire::to(admin_);
    EXPECT_TRUE(wire.send("GET " + path + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    return wire.all();
  }

  ProxyOptions options_;
  std::promise<void> released_;
  bool blocked_ = true;
  std::unique_ptr<RunningProxy> proxy_;
  SocketAddress admin_;
};

TEST_F(StuckWorkerTest, IsToldByReadyAndServerInfo) {
  EXPECT_THAT(get("/ready"), HasSubstr("LIVE\n"));
  block();
  ASSERT_TRUE(
      eventually([&] { return get("/ready").find("WORKERS_STUCK\n") != std::string::npos; }));
  EXPECT_THAT(get("/ready"), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(get("/server_info"), HasSubstr("\"state\": \"WORKERS_STUCK\""));
  EXPECT_THAT(get("/server_info"), HasSubstr("\"stuck_workers\": 1"));
  EXPECT_THAT(proxy_->stats("stuck_workers"), HasSubstr("server.stuck_workers: 1\n"));
  release();
  EXPECT_TRUE(eventually([&] { return get("/ready").find("LIVE\n") != std::string::npos; }));
}

Task<> stop_within(Proxy& proxy, Duration patience, std::promise<bool>& ended) {
  ended.set_value(co_await proxy.stop(patience));
}

TEST_F(StuckWorkerTest, DoesNotKeepTheProxyFromStopping) {
  block();
  std::promise<bool> ended;
  std::future<bool> all = ended.get_future();
  proxy_->start_task(
      [&ended](Proxy& proxy) { return stop_within(proxy, std::chrono::milliseconds(200), ended); });
  EXPECT_FALSE(all.get());
  release();
}

}  // namespace
}  // namespace fairlead::proxy
