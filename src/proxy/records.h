// The last requests and connections, each with the way it went: what /fairlead/records tells and
// `fairlead path --live` lays beside its prediction. One ring a worker, touched by its thread
// alone.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/copy_text.h"
#include "base/lifetime.h"
#include "config/listener.h"
#include "proxy/flags.h"

namespace fairlead::proxy {

// A short text in place: what is longer is cut.
template <std::size_t size>
class ShortText {
 public:
  ShortText() = default;
  explicit ShortText(std::string_view text) { *this = text; }
  ShortText& operator=(std::string_view text) {
    text = text.substr(0, size);
    length_ = static_cast<std::uint8_t>(text.size());
    copy_text(text_.data(), text);
    return *this;
  }
  void clear() { length_ = 0; }
  [[nodiscard]] std::string_view view() const LIFETIMEBOUND { return {text_.data(), length_}; }

 private:
  static_assert(size < 256);
  std::uint8_t length_ = 0;
  std::array<char, size> text_;  // NOLINT: only what length_ says is read
};

// Owns all of its texts: a record outlives the configuration by which it was made.
struct Record {
  ShortText<63> id;  // x-request-id; empty for TCP
  ShortText<15> method;
  ShortText<127> path;
  WallTime started;
  Duration duration{};
  config::Direction direction = config::Direction::unspecified;
  SocketAddress downstream_remote;
  SocketAddress downstream_local;      // of the accepted socket, before capture was undone
  SocketAddress original_destination;  // what the client dialled
  std::optional<SocketAddress> upstream_local;
  std::optional<SocketAddress> upstream_remote;
  ShortText<63> listener;
  ShortText<63> filter_chain;
  ShortText<127> virtual_host;
  ShortText<63> route;
  ShortText<159> cluster;
  ShortText<95> workload;          // of the endpoint, where its object is known
  ShortText<31> world;             // of the snapshot that decided
  std::optional<Duration> pooled;  // age of the connection upstream; absent: made for this one
  std::uint32_t attempts = 0;
  std::uint32_t status = 0;
  Flag flags = Flag::none;
  bool open = false;  // a connection that has not ended: its duration and bytes are not known yet
  ShortText<159> details;  // of a refusal that a flag does not tell in full
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;

  void clear();
  // As new, without touching the memory of its texts.
};

class Records {
 public:
  explicit Records(std::size_t limit = 2048) : limit_(limit) {}

  Record& add() LIFETIMEBOUND;
  // A blank one, in the place of the oldest when the ring is full. Good until the next add().
  [[nodiscard]] Record* numbered(std::uint64_t number) LIFETIMEBOUND;
  // The one that was added when added() was `number`; null when another has its place. Good until
  // the next add().

  [[nodiscard]] std::vector<Record> with_id(std::string_view id) const;
  [[nodiscard]] std::vector<Record> last(std::size_t count) const;
  // Copies, oldest first.

  [[nodiscard]] std::size_t size() const { return records_.size(); }
  [[nodiscard]] std::uint64_t added() const { return added_; }

 private:
  std::size_t limit_;
  std::uint64_t added_ = 0;
  std::vector<Record> records_;  // a place a record, in turns
};

[[nodiscard]] std::string records_json(const std::vector<Record>& records);
// {"records":[{"id","started","direction":"outbound","method","path","downstreamRemote",
//   "downstreamLocal","originalDestination","upstreamLocal","upstreamRemote","listener",
//   "filterChain","virtualHost","route","cluster","endpoint","workload","attempts",
//   "pooledMilliseconds","status","flags","open","details","bytesReceived","bytesSent",
//   "microseconds","world"}]}
// Addresses as "10.0.0.1:80", what is not there is left out; "open" is there for a connection that
// has not ended; `started` in microseconds since 1970.

}  // namespace fairlead::proxy
