// An accepted connection and what it goes by: its filter chain on this worker, its addresses, its
// place among the worker's connections.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/lifetime.h"
#include "config/listener.h"
#include "http/limits.h"
#include "net/stream.h"
#include "proxy/access_log.h"
#include "proxy/decide/table.h"
#include "proxy/log_file.h"
#include "proxy/stats.h"

namespace fairlead::proxy {

class Worker;

struct LogTarget {
  std::shared_ptr<const LogFormat> format;
  LogBuffer* buffer = nullptr;
};

// A filter chain, made ready for one worker.
struct Chain {
  std::shared_ptr<const config::Listener> listener;  // keeps `chain` alive
  const config::FilterChain* chain = nullptr;
  const config::HttpConnectionManager* http = nullptr;  // one of these two
  const config::TcpProxy* tcp = nullptr;
  std::shared_ptr<HttpStats> http_stats;
  std::shared_ptr<TcpStats> tcp_stats;
  std::shared_ptr<ListenerStats> listener_stats;
  std::vector<LogTarget> logs;
  http::Limits limits;
  bool draining = false;  // no longer part of the configuration: its connections end soon
};

using ChainPointer = std::shared_ptr<Chain>;

// What is known of a connection when it is accepted: all that the data path has of whoever accepted
// it. The peer is stream->peer().
struct Accepted {
  net::StreamPointer stream;
  SocketAddress dialled;  // before capture; the stream's own local address when nothing captured it
  std::string server_name{};  // that TLS asks for (SNI), where the listener looks; else empty
};

class Connection {
 public:
  Connection(Worker& worker, Accepted accepted, ChainPointer chain, SnapshotTablePointer table);
  virtual ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  virtual void drain() = 0;
  // Ends soon of itself: at once when it idles, else with what is on its way. May destroy it.
  virtual void abort() = 0;
  // Ends now. Does not destroy it at once.

  [[nodiscard]] const Chain& chain() const LIFETIMEBOUND { return *chain_; }
  [[nodiscard]] std::uint64_t id() const { return id_; }

 protected:
  Worker& worker_;
  net::StreamPointer stream_;
  SocketAddress dialled_;
  std::string server_name_;
  ChainPointer chain_;
  SnapshotTablePointer table_;  // in force when it was accepted
  std::string remote_text_;
  std::string dialled_text_;
  std::uint64_t id_;
  Instant accepted_at_;

 private:
  friend class Connections;
  Connection* previous_ = nullptr;
  Connection* next_ = nullptr;
};

// All connections of a worker.
class Connections {
 public:
  void add(Connection& connection);
  void remove(Connection& connection);
  template <class Visit>
  void for_each(Visit visit) {
    for (Connection* at = first_; at;) {
      Connection* next = at->next_;
      visit(*at);
      at = next;
    }
  }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  Connection* first_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace fairlead::proxy
