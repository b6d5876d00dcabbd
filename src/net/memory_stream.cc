#include "net/memory_stream.h"

#include <algorithm>

namespace fairlead::net {
namespace {

Fault closed_end() {
  return Fault{FaultKind::closed, "the stream was closed here"};
}
Fault reset_by_peer() {
  return Fault{FaultKind::closed, "the peer reset the connection"};
}

}  // namespace

std::pair<std::unique_ptr<MemoryStream>, std::unique_ptr<MemoryStream>> MemoryStream::pair(
    Loop& loop, std::size_t capacity) {
  std::unique_ptr<MemoryStream> one(new MemoryStream(loop, capacity));
  std::unique_ptr<MemoryStream> two(new MemoryStream(loop, capacity));
  one->other_ = two.get();
  two->other_ = one.get();
  return {std::move(one), std::move(two)};
}

MemoryStream::~MemoryStream() {
  close();
}

void MemoryStream::told(bool reader, bool writer) {
  if (reader) set_may_read(true);
  if (writer) set_may_write(true);
  woken(reader, writer, Wake::soon);
}

Result<Taken> MemoryStream::read_now(std::span<char> into) {
  if (closed_) return closed_end();
  if (was_reset_) return reset_by_peer();
  const std::size_t there = incoming_.size() - read_;
  const std::size_t count = std::min({there, into.size(), at_most_});
  std::copy_n(incoming_.data() + read_, count, into.data());
  read_ += count;
  if (read_ == incoming_.size()) {
    incoming_.clear();
    read_ = 0;
    if (!incoming_ended_) set_may_read(false);
  }
  if (count != 0 && other_ != nullptr) other_->told(false, true);
  const bool at_end = count == 0 && there == 0 && incoming_ended_;
  if (at_end) set_ended();
  return Taken{count, at_end};
}

Result<std::size_t> MemoryStream::write_now(std::span<const std::string_view> pieces) {
  if (closed_ || shut_) return closed_end();
  if (was_reset_) return reset_by_peer();
  if (other_ == nullptr) {
    was_reset_ = true;  // as a system answers to bytes for a connection that it no longer has
    set_may_read(true);
    return Fault{FaultKind::closed, "the peer closed the connection"};
  }
  const std::size_t waiting = other_->incoming_.size() - other_->read_;
  std::size_t room = capacity_ - std::min(capacity_, waiting);
  std::size_t written = 0;
  std::size_t wanted = 0;
  for (const std::string_view piece : pieces) {
    wanted += piece.size();
    const std::string_view part = piece.substr(0, room);
    other_->incoming_.append(part);
    room -= part.size();
    written += part.size();
  }
  set_may_write(written == wanted);
  if (written != 0) other_->told(true, false);
  return written;
}

void MemoryStream::shutdown_write() {
  if (shut_ || closed_) return;
  shut_ = true;
  if (other_ == nullptr) return;
  other_->incoming_ended_ = true;
  other_->told(true, false);
}

void MemoryStream::close() {
  if (closed_) return;
  shutdown_write();
  closed_ = true;
  if (other_ != nullptr) {
    other_->other_ = nullptr;
    other_->told(false, true);
    other_ = nullptr;
  }
  told(true, true);
}

void MemoryStream::reset() {
  if (closed_) return;
  if (other_ != nullptr) {
    other_->was_reset_ = true;
    other_->told(true, true);
  }
  close();
}

}  // namespace fairlead::net
