// The source against a control plane in the same loop, the disk, and names.
#include "proxy/source/source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "http/io/grpc.h"
#include "net/loop.h"
#include "proxy/source/addresses.h"
#include "proxy/source/last_good.h"

namespace fairlead::proxy {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// A folder of its own, gone afterwards.
class Folder {
 public:
  Folder() {
    std::string name = std::filesystem::temp_directory_path() / "fairlead-source-XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string file(const char* name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

config::SnapshotPointer world(const std::string& version) {
  config::Snapshot made{.world = version};
  made.clusters.put("a", std::make_shared<const config::Cluster>(config::Cluster{.name = "a"}));
  config::Listener listener{.name = "l", .bind_to_port = false};
  listener.filter_chains.push_back(
      {.filter = config::TcpProxy{.stat_prefix = version, .clusters = {{.cluster = "a"}}}});
  made.listeners.put("l", std::make_shared<const config::Listener>(listener));
  return std::make_shared<const config::Snapshot>(made);
}

// A control plane for one proxy at a time.
class Control {
 public:
  explicit Control(net::Loop& loop)
      : server_(loop, [this](http::GrpcCallHandle& call) { return serve(call); }) {}

  SocketAddress listen(const SocketAddress& at) { return *server_.listen(at); }
  [[nodiscard]] Task<> close() { return server_.close(); }
  config::SnapshotPointer target = world("1");
  int streams = 0;

 private:
  http::GrpcServer server_;

  Task<http::GrpcStatus> serve(http::GrpcCallHandle& call) {
    ++streams;
    xds::AdsServer session;
    static_cast<void>(session.publish(target));
    while (true) {
      Result<std::optional<std::string>> message = co_await call.receive();
      if (!message.ok()) co_return http::status_of(message.fault());
      if (!*message) co_return http::GrpcStatus{};
      auto answers = session.received(**message);
      if (!answers.ok()) co_return http::status_of(answers.fault());
      for (const xds::Message& answer : *answers) {
        if (Result<> sent = co_await call.send(answer.parts()); !sent.ok()) {
          co_return http::status_of(sent.fault());
        }
      }
    }
  }
};

xds::Bootstrap bootstrap_to(const SocketAddress& control) {
  xds::Bootstrap bootstrap;
  bootstrap.node.id = "n";
  config::Cluster cluster{.name = "xds-grpc", .http2 = true};
  cluster.endpoints.localities.push_back({.endpoints = {{.address = control}}});
  bootstrap.clusters.push_back(cluster);
  bootstrap.discovery = xds::AggregatedDiscovery{.cluster = "xds-grpc"};
  return bootstrap;
}

Task<> moment(net::Loop& loop) {
  static_cast<void>(co_await loop.sleep(std::chrono::milliseconds(5)));
}

class SourceTest : public testing::Test {
 protected:
  net::Loop loop;
  Control control{loop};
  SocketAddress address = control.listen(*SocketAddress::parse("127.0.0.1:0"));
  Folder folder;
  std::vector<config::SnapshotPointer> snapshots;

  SourceOptions options() {
    return {.bootstrap = bootstrap_to(address),
            .last_good_path = folder.file("last-good"),
            .first_wait = std::chrono::milliseconds(5),
            .longest_wait = std::chrono::milliseconds(20)};
  }
  Source::Take take() {
    return [this](config::SnapshotPointer snapshot) { snapshots.push_back(std::move(snapshot)); };
  }
  // While the loop runs; false once a long time has gone by.
  bool comes_true(const std::function<bool()>& expected) {
    for (int i = 0; i < 4000 && !expected(); ++i) loop.run(moment(loop));
    return expected();
  }
  bool in_force(const Source& source, const std::string& world) {
    return comes_true([&] { return source.status().world == world; });
  }
  ~SourceTest() override { loop.run(control.close()); }
};

TEST_F(SourceTest, BeginsWithTheBootstrapAndGoesOnWithControl) {
  Source source(loop, options(), take());
  source.start();
  ASSERT_THAT(snapshots, SizeIs(1));
  EXPECT_EQ(snapshots[0]->world, "static");
  EXPECT_FALSE(source.ready());
  ASSERT_TRUE(in_force(source, "1"));
  EXPECT_TRUE(source.ready());
  const SourceStatus status = source.status();
  EXPECT_TRUE(status.connected && status.dynamic && !status.from_disk);
  EXPECT_THAT(status.trouble, IsEmpty());
  EXPECT_EQ(status.control, address.text());
  EXPECT_TRUE(snapshots.back()->clusters.contains("a"));
  EXPECT_TRUE(snapshots.back()->clusters.contains("xds-grpc"));
  EXPECT_LT(snapshots.front()->number, snapshots.back()->number);
  EXPECT_EQ(nlohmann::json::parse(status_json(status))["types"][0]["version"], "1");
  EXPECT_THAT(source.config_dump(), HasSubstr("envoy.admin.v3.ClustersConfigDump"));
  loop.run(source.close());
}

TEST_F(SourceTest, ComesBackWhenControlDoes) {
  Source source(loop, options(), take());
  source.start();
  ASSERT_TRUE(in_force(source, "1"));
  loop.run(control.close());
  Control another(loop);
  another.target = world("2");
  another.listen(address);
  ASSERT_TRUE(in_force(source, "2"));
  EXPECT_TRUE(source.status().connected);
  EXPECT_GE(source.status().attempts, 2U);
  loop.run(source.close());
  loop.run(another.close());
}

TEST_F(SourceTest, StartsFromDiskWhenControlIsNotThere) {
  {
    Source source(loop, options(), take());
    source.start();
    ASSERT_TRUE(in_force(source, "1"));
    loop.run(source.close());
  }
  loop.run(control.close());
  snapshots.clear();
  Source source(loop, options(), take());
  source.start();
  ASSERT_THAT(snapshots, SizeIs(1));
  EXPECT_EQ(snapshots[0]->world, "1");
  EXPECT_TRUE(snapshots[0]->listeners.contains("l"));
  EXPECT_TRUE(source.ready());
  EXPECT_TRUE(source.status().from_disk);
  loop.run(source.close());
}

// As for one that is killed: nothing is left to the end.
TEST_F(SourceTest, WhatIsInForceIsOnDiskSoon) {
  Source source(loop, options(), take());
  source.start();
  ASSERT_TRUE(in_force(source, "1"));
  const Result<std::string> first = read_last_good(folder.file("last-good"));
  ASSERT_TRUE(first.ok()) << first.fault().describe();
  loop.run(control.close());
  Control another(loop);
  another.target = world("2");
  another.listen(address);
  ASSERT_TRUE(in_force(source, "2"));
  EXPECT_TRUE(comes_true([&] { return *read_last_good(folder.file("last-good")) != *first; }));
  loop.run(source.close());
  loop.run(another.close());
}

TEST_F(SourceTest, ADamagedFileIsIgnored) {
  std::ofstream(folder.file("last-good")) << "fairlead last good configuration 1 0\nrubbish";
  Source source(loop, options(), take());
  source.start();
  ASSERT_THAT(snapshots, SizeIs(1));
  EXPECT_EQ(snapshots[0]->world, "static");
  ASSERT_TRUE(in_force(source, "1"));
  loop.run(source.close());
}

TEST_F(SourceTest, NamesComeAsAddresses) {
  SourceOptions with = options();
  with.bootstrap.discovery.reset();
  config::Cluster cluster{.name = "named", .type = config::ClusterType::strict_dns};
  cluster.endpoints.localities.push_back(
      {.endpoints = {{.address = {.port = 7}, .host = "localhost"}}});
  with.bootstrap.clusters.push_back(cluster);
  Source source(loop, with, take());
  source.start();
  EXPECT_TRUE(source.ready());
  const auto endpoints = [this] {
    return snapshots.back()->clusters.at("named")->endpoints.localities[0].endpoints;
  };
  EXPECT_THAT(endpoints(), IsEmpty());
  ASSERT_TRUE(comes_true([&] { return !endpoints().empty(); }));
  EXPECT_TRUE(endpoints()[0].address.ip.is_loopback());
  EXPECT_EQ(endpoints()[0].address.port, 7);
  EXPECT_THAT(endpoints()[0].host, IsEmpty());
  loop.run(source.close());
}

TEST(LastGood, IsReadAsItWasWrittenOrNotAtAll) {
  const Folder folder;
  const std::string path = folder.file("x");
  EXPECT_EQ(read_last_good(path).fault().kind, FaultKind::missing);
  const std::string content("a\nb\0c", 5);
  ASSERT_TRUE(write_last_good(path, content).ok());
  EXPECT_EQ(*read_last_good(path), content);
  const auto size = std::filesystem::file_size(path);
  for (std::uintmax_t cut = 0; cut < size; ++cut) {
    std::filesystem::resize_file(path, cut);
    EXPECT_EQ(read_last_good(path).fault().kind, FaultKind::invalid) << cut;
    ASSERT_TRUE(write_last_good(path, content).ok());
  }
  EXPECT_FALSE(write_last_good(folder.file("no/such/folder"), "").ok());
}

TEST(Addresses, AClusterWhoseAddressesDidNotChangeIsTheSamePointer) {
  config::Cluster cluster{.name = "a", .type = config::ClusterType::strict_dns};
  cluster.endpoints.localities.push_back({.endpoints = {{.address = {.port = 7}, .host = "h"}}});
  config::Snapshot snapshot;
  snapshot.clusters.put("a", std::make_shared<const config::Cluster>(cluster));
  AddressTable table{{"h", {IpAddress::v4({10, 0, 0, 1}), IpAddress::v4({10, 0, 0, 2})}}};
  Addresser addresser;
  config::Snapshot first = snapshot;
  addresser.apply(first, table);
  EXPECT_THAT(first.clusters.at("a")->endpoints.localities[0].endpoints, SizeIs(2));
  config::Snapshot second = snapshot;
  addresser.apply(second, table);
  EXPECT_EQ(first.clusters.at("a"), second.clusters.at("a"));
  table["h"].pop_back();
  config::Snapshot third = snapshot;
  addresser.apply(third, table);
  EXPECT_THAT(third.clusters.at("a")->endpoints.localities[0].endpoints, SizeIs(1));
}

}  // namespace
}  // namespace fairlead::proxy
