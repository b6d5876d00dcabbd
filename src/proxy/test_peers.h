// For tests: a client and servers that are plain blocking sockets, and a proxy between them on real
// ones.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/address.h"
#include "config/snapshot.h"
#include "net/loop.h"
#include "proxy/admin.h"
#include "proxy/proxy.h"

namespace fairlead::proxy::testing {

constexpr int patience_ms = 20000;  // the machine may be loaded; nothing is expected to be slow

// A connected socket. Reads end with what came so far when nothing comes for `patience_ms`.
class Wire {
 public:
  explicit Wire(int descriptor) : descriptor_(descriptor) {}
  Wire(Wire&& other) noexcept
      : descriptor_(other.descriptor_.exchange(-1)), unread_(std::move(other.unread_)) {}
  Wire& operator=(Wire&& other) noexcept {
    close();
    descriptor_ = other.descriptor_.exchange(-1);
    unread_ = std::move(other.unread_);
    return *this;
  }
  ~Wire() { close(); }

  static Wire to(const SocketAddress& address) {
    const int made = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in raw{};
    raw.sin_family = AF_INET;
    raw.sin_port = htons(address.port);
    std::memcpy(&raw.sin_addr, address.ip.bytes().data(), 4);
    if (::connect(made, reinterpret_cast<sockaddr*>(&raw), sizeof(raw)) != 0) {
      ::close(made);
      return Wire(-1);
    }
    return Wire(made);
  }

  [[nodiscard]] bool open() const { return descriptor_ >= 0; }
  bool send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t count = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }
  void shutdown_write() const { ::shutdown(descriptor_, SHUT_WR); }
  void close() {
    if (const int open = descriptor_.exchange(-1); open >= 0) ::close(open);
  }
  void end() const {  // from another thread: whoever reads meets the end
    if (const int open = descriptor_; open >= 0) ::shutdown(open, SHUT_RDWR);
  }
  void reset() {
    const linger at_once{1, 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close();
  }

  // The last more() met an end that is no reset.
  [[nodiscard]] bool ended_orderly() const { return orderly_; }

  // More bytes; false at the end, at an error, and when none come.
  bool more() {
    pollfd wait{descriptor_, POLLIN, 0};
    if (::poll(&wait, 1, patience_ms) <= 0) return false;
    std::string piece(65536, '\0');
    const ssize_t count = ::recv(descriptor_, piece.data(), piece.size(), 0);
    orderly_ = count == 0;
    if (count <= 0) return false;
    unread_.append(piece, 0, static_cast<std::size_t>(count));
    return true;
  }
  std::string until(std::string_view mark) {
    std::size_t from = 0;
    while (true) {
      const std::size_t found = unread_.find(mark, from);
      if (found != std::string::npos) return take(found + mark.size());
      from = unread_.size() < mark.size() ? 0 : unread_.size() - mark.size();
      if (!more()) return take(unread_.size());
    }
  }
  std::string exactly(std::size_t count) {
    while (unread_.size() < count && more()) {
    }
    return take(std::min(count, unread_.size()));
  }
  std::string all() {
    while (more()) {
    }
    return take(unread_.size());
  }
  // A message with Content-Length, chunks, or neither: head and body as they came.
  std::string message(bool body = true) {
    std::string text = until("\r\n\r\n");
    if (!body) return text;
    std::string lower = text;
    for (char& byte : lower) byte = static_cast<char>(std::tolower(byte));
    if (const std::size_t at = lower.find("\r\ncontent-length: "); at != std::string::npos) {
      return text + exactly(std::stoul(lower.substr(at + 18)));
    }
    if (lower.find("\r\ntransfer-encoding: chunked") != std::string::npos) {
      while (true) {
        const std::string line = until("\r\n");
        text += line;
        const std::size_t size = line.empty() ? 0 : std::stoul(line, nullptr, 16);
        if (size == 0) {
          while (true) {
            const std::string trailer = until("\r\n");
            text += trailer;
            if (trailer == "\r\n" || trailer.empty()) return text;
          }
        }
        text += exactly(size + 2);
      }
    }
    return text;
  }

 private:
  std::string take(std::size_t count) {
    std::string taken = unread_.substr(0, count);
    unread_.erase(0, count);
    return taken;
  }
  std::atomic<int> descriptor_;
  std::string unread_;
  bool orderly_ = false;
};

// A server of one's own behaviour: a thread a connection.
class Server {
 public:
  using Serve = std::function<void(Wire& wire, int connection)>;

  explicit Server(Serve serve) : serve_(std::move(serve)) {
    listening_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in raw{};
    raw.sin_family = AF_INET;
    raw.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listening_, reinterpret_cast<sockaddr*>(&raw), sizeof(raw)), 0);
    EXPECT_EQ(::listen(listening_, 128), 0);
    socklen_t size = sizeof(raw);
    ::getsockname(listening_, reinterpret_cast<sockaddr*>(&raw), &size);
    address_ = {IpAddress::v4({127, 0, 0, 1}), ntohs(raw.sin_port)};
    thread_ = std::thread([this] { run(); });
  }
  // Answers every request by a function of its text.
  static Serve answering(std::function<std::string(const std::string& request)> answer) {
    return [answer = std::move(answer)](Wire& wire, int) {
      while (true) {
        const std::string request = wire.message();
        if (request.empty() || !wire.send(answer(request))) return;
      }
    };
  }
  ~Server() { stop(); }

  void stop() {
    if (listening_ < 0) return;
    ::shutdown(listening_, SHUT_RDWR);
    thread_.join();
    ::close(std::exchange(listening_, -1));
    for (const std::shared_ptr<Wire>& wire : wires_) wire->end();
    for (std::thread& one : serving_) one.join();
  }
  [[nodiscard]] const SocketAddress& address() const { return address_; }
  [[nodiscard]] int connections() const { return connections_; }

 private:
  void run() {
    while (true) {
      const int accepted = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
      if (accepted < 0) return;
      const int number = connections_++;
      wires_.push_back(std::make_shared<Wire>(accepted));
      serving_.emplace_back([this, wire = wires_.back(), number] {
        serve_(*wire, number);
        wire->close();
      });
    }
  }
  Serve serve_;
  int listening_ = -1;
  SocketAddress address_;
  std::atomic<int> connections_{0};
  std::thread thread_;
  std::vector<std::shared_ptr<Wire>> wires_;  // touched by thread_ until it has ended
  std::vector<std::thread> serving_;
};

inline SocketAddress nobody_listens() {
  Server server([](Wire&, int) {});
  return server.address();
}

inline std::string ok_with(std::string_view body, std::string_view more_fields = "") {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         std::string(more_fields) + "\r\n" + std::string(body);
}

// ── Configuration in few words ───────────────────────────────────────────────────────────────────

inline config::Cluster cluster_of(std::string name, const std::vector<SocketAddress>& addresses) {
  config::Cluster cluster;
  cluster.name = std::move(name);
  cluster.connect_timeout = std::chrono::seconds(10);
  config::LocalityEndpoints locality;
  for (const SocketAddress& address : addresses) {
    config::LbEndpoint endpoint;
    endpoint.address = address;
    locality.endpoints.push_back(endpoint);
  }
  cluster.endpoints.cluster_name = cluster.name;
  cluster.endpoints.localities.push_back(locality);
  return cluster;
}

// With a proxy before each endpoint, as control says of pods with a sidecar.
inline config::Cluster proxied(config::Cluster cluster) {
  for (config::LocalityEndpoints& locality : cluster.endpoints.localities) {
    for (config::LbEndpoint& endpoint : locality.endpoints) endpoint.proxied = true;
  }
  return cluster;
}

inline config::Route route_to(const std::string& cluster) {
  config::Route route;
  route.name = "to-" + cluster;
  route.forward.clusters.push_back({.cluster = cluster});
  route.forward.timeout = config::Milliseconds{0};
  return route;
}

inline config::HttpConnectionManager manager_of(std::vector<config::Route> routes) {
  config::HttpConnectionManager manager;
  manager.stat_prefix = "test";
  config::VirtualHost host;
  host.name = "all";
  host.domains = {"*"};
  host.routes = std::move(routes);
  manager.routes.emplace();
  manager.routes->name = "inline";
  manager.routes->virtual_hosts.push_back(std::move(host));
  return manager;
}

template <class Filter>
config::Listener listener_of(std::string name, Filter filter) {
  config::Listener listener;
  listener.name = std::move(name);
  listener.address = {IpAddress::v4({127, 0, 0, 1}), 0};
  config::FilterChain chain;
  chain.name = listener.name + "-chain";
  chain.filter = std::move(filter);
  listener.filter_chains.push_back(std::move(chain));
  return listener;
}

inline std::shared_ptr<config::Snapshot> snapshot_of(std::vector<config::Listener> listeners,
                                                     std::vector<config::Cluster> clusters) {
  auto snapshot = std::make_shared<config::Snapshot>();
  snapshot->world = "test-1";
  for (config::Listener& listener : listeners) {
    const std::string name = listener.name;
    snapshot->listeners.put(name, std::make_shared<config::Listener>(std::move(listener)));
  }
  for (config::Cluster& cluster : clusters) {
    const std::string name = cluster.name;
    snapshot->clusters.put(name, std::make_shared<config::Cluster>(std::move(cluster)));
  }
  return snapshot;
}

// A proxy with its control loop on a thread of its own.
class RunningProxy {
 public:
  explicit RunningProxy(ProxyOptions options = {}) {
    std::promise<void> up;
    thread_ = std::thread([this, options, &up] {
      net::Loop loop;
      Proxy proxy(loop, options);
      loop_ = &loop;
      proxy_ = &proxy;
      up.set_value();
      loop.run();
      admin_.reset();
    });
    up.get_future().wait();
  }
  ~RunningProxy() {
    loop_->post([this] { loop_->start(end()); });
    thread_.join();
  }

  // Runs `work` on the control thread and gives what it gives.
  template <class Work>
  auto on_control(Work work) {
    std::promise<decltype(work(*proxy_))> done;
    loop_->post([&] { done.set_value(work(*proxy_)); });
    return done.get_future().get();
  }
  // The task that `begin` gives, on the control thread.
  template <class Begin>
  void start_task(Begin begin) {
    loop_->post([this, begin] { loop_->start(begin(*proxy_)); });
  }
  std::vector<std::string> apply(config::SnapshotPointer snapshot) {
    std::promise<std::vector<std::string>> done;
    loop_->post([&] {
      const Result<> applied = proxy_->apply(
          std::move(snapshot),
          [&](const std::vector<std::string>& troubles) { done.set_value(troubles); });
      if (!applied.ok()) done.set_value({applied.fault().describe()});
    });
    return done.get_future().get();
  }
  SocketAddress address(std::size_t at = 0) { return addresses().at(at); }
  std::vector<SocketAddress> addresses() {
    std::promise<std::vector<SocketAddress>> done;
    loop_->post([&] { loop_->start(ask_addresses(*proxy_, done)); });
    return done.get_future().get();
  }
  std::vector<Record> records(std::string id = "") {
    std::promise<std::vector<Record>> done;
    loop_->post([&] { loop_->start(ask_records(*proxy_, id, done)); });
    return done.get_future().get();
  }
  std::string stats(const std::string& pattern) {
    return on_control([&](Proxy& proxy) {
      return proxy.stats().text(proxy.readings(), {.used_only = true, .pattern = pattern});
    });
  }
  // An admin port, once.
  SocketAddress serve_admin(AdminHooks hooks) {
    return on_control([&](Proxy& proxy) {
      admin_ = std::make_unique<Admin>(*loop_, proxy, std::move(hooks));
      const Result<SocketAddress> at = admin_->listen({IpAddress::v4({127, 0, 0, 1}), 0});
      return at.ok() ? *at : SocketAddress();
    });
  }
  void drain(Duration grace, Duration most) {
    loop_->post([this, grace, most] { loop_->start(proxy_->drain(grace, most)); });
  }
  std::string log(const std::string& path) {
    on_control([](Proxy& proxy) {
      proxy.logs().flush();
      return 0;
    });
    std::string text;
    if (std::FILE* file = std::fopen(path.c_str(), "r")) {
      char piece[4096];
      while (const std::size_t count = std::fread(piece, 1, sizeof(piece), file)) {
        text.append(piece, count);
      }
      std::fclose(file);
    }
    return text;
  }

 private:
  Task<> end() {
    if (admin_) co_await admin_->close();
    co_await proxy_->stop();
    loop_->stop();
  }
  static Task<> ask_addresses(Proxy& proxy, std::promise<std::vector<SocketAddress>>& done) {
    done.set_value(co_await proxy.addresses());
  }
  static Task<> ask_records(Proxy& proxy, std::string id, std::promise<std::vector<Record>>& done) {
    done.set_value(co_await proxy.records(std::move(id), 1000));
  }
  net::Loop* loop_ = nullptr;
  Proxy* proxy_ = nullptr;
  std::unique_ptr<Admin> admin_;  // lives and dies on the control thread
  std::thread thread_;
};

// Waits until `true`; for what happens a moment after the bytes that a test can see.
template <class Condition>
bool eventually(Condition condition) {
  for (int tries = 0; tries < patience_ms / 10; ++tries) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

inline std::string echo(const std::string& request) {
  return ok_with(request);
}

// A proxy with one HTTP listener, and whoever asks it.
class ForwardTest : public ::testing::Test {
 protected:
  void start(const std::vector<SocketAddress>& endpoints) {
    start(manager_of({route_to("app")}), cluster_of("app", endpoints));
  }
  void start(config::HttpConnectionManager manager, config::Cluster cluster,
             config::Direction direction = config::Direction::outbound) {
    config::Listener listener = listener_of("front", std::move(manager));
    listener.direction = direction;
    EXPECT_TRUE(proxy_.apply(snapshot_of({std::move(listener)}, {std::move(cluster)})).empty());
    address_ = proxy_.address();
  }
  Wire client() { return Wire::to(address_); }
  std::string ask(std::string_view request) {
    Wire wire = client();
    EXPECT_TRUE(wire.send(request));
    return wire.message();
  }
  Record last_record() {
    std::vector<Record> records;
    EXPECT_TRUE(eventually([&] { return !(records = proxy_.records()).empty(); }));
    return records.empty() ? Record() : records.back();
  }

  RunningProxy proxy_;
  SocketAddress address_;
};

}  // namespace fairlead::proxy::testing
