// Two ends of a connection in memory, for tests: what one writes the other reads.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "net/stream.h"

namespace fairlead::net {

class MemoryStream final : public Stream {
 public:
  static std::pair<std::unique_ptr<MemoryStream>, std::unique_ptr<MemoryStream>> pair(
      Loop& loop, std::size_t capacity = 64 * 1024);
  // `capacity`: bytes that wait to be read in each direction; a writer of more waits.
  ~MemoryStream() override;

  Result<Taken> read_now(std::span<char> into) override;
  Result<std::size_t> write_now(std::span<const std::string_view> pieces) override;
  void shutdown_write() override;
  void close() override;
  void reset() override;
  [[nodiscard]] bool peer_has_left() const override { return was_reset_; }
  [[nodiscard]] Loop& loop() const override { return loop_; }

  void set_addresses(const SocketAddress& local, const SocketAddress& peer) {
    local_ = local;
    peer_ = peer;
  }
  void read_at_most(std::size_t bytes) { at_most_ = bytes; }
  // Each read_now() gives no more than that: how a message is cut is the network's business.

 private:
  MemoryStream(Loop& loop, std::size_t capacity) : loop_(loop), capacity_(capacity) {}
  void told(bool reader, bool writer);

  Loop& loop_;
  std::size_t capacity_;
  std::size_t at_most_ = SIZE_MAX;
  MemoryStream* other_ = nullptr;
  std::string incoming_;
  std::size_t read_ = 0;  // of incoming_
  bool incoming_ended_ = false;
  bool was_reset_ = false;
  bool shut_ = false;
  bool closed_ = false;
};

}  // namespace fairlead::net
