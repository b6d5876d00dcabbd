#include "net/stream.h"

#include <algorithm>
#include <array>

namespace fairlead::net {

Stream::~Stream() {
  if (reader_ != nullptr) {
    reader_->stream_ = nullptr;
    reader_->wake();
  }
  if (writer_ != nullptr) {
    writer_->stream_ = nullptr;
    writer_->wake();
  }
}

Fault Stream::destroyed_fault() {
  return Fault{FaultKind::closed, "the stream was closed here"};
}

void Stream::notify(Notice* receiver) {
  notice_ = receiver;
}

void Stream::woken(bool reader, bool writer, Wake how) {
  WriteWaiter* const writing = writer_;
  const bool writer_done = writer && writing != nullptr && writing->proceed();
  if (writer_done) {
    writer_ = nullptr;
  } else if (writer && writing != nullptr) {
    want_write();
  }
  Readable* const reading = reader ? std::exchange(reader_, nullptr) : nullptr;
  Notice* const notice = reader ? std::exchange(notice_, nullptr) : nullptr;
  // Whoever is resumed may destroy this stream, and with it the other waiter: that one is put on
  // the list of those that are ready, from which it removes itself when it dies.
  if (notice != nullptr) {
    if (writer_done) writing->wake();
    if (reading != nullptr) reading->wake();
    notice->came(*this);
    return;
  }
  if (writer_done && (reading != nullptr || how == Wake::soon)) {
    writing->wake();
  } else if (writer_done) {
    writing->resume();
    return;
  }
  if (reading == nullptr) return;
  if (how == Wake::now) {
    reading->resume();
  } else {
    reading->wake();
  }
}

bool Stream::WriteAll::proceed() {
  // The pieces as they came, until a short write makes the first one shorter.
  constexpr std::size_t kMost = 16;
  while (true) {
    while (!pieces_.empty() && skip_ == pieces_.front().size()) {
      pieces_ = pieces_.subspan(1);
      skip_ = 0;
    }
    if (pieces_.empty()) return true;
    std::array<std::string_view, kMost> rest;
    std::span<const std::string_view> next = pieces_;
    if (skip_ != 0 || next.size() > kMost) {
      const std::size_t count = std::min(next.size(), kMost);
      std::copy_n(pieces_.begin(), count, rest.begin());
      rest[0].remove_prefix(skip_);
      next = std::span(rest).first(count);
    }
    Result<std::size_t> written = stream_->write_now(next);
    if (!written.ok()) {
      result_ = std::move(written).fault();
      return true;
    }
    std::size_t left = *written;
    while (left != 0) {
      const std::size_t step = std::min(left, pieces_.front().size() - skip_);
      left -= step;
      skip_ += step;
      if (skip_ == pieces_.front().size()) {
        pieces_ = pieces_.subspan(1);
        skip_ = 0;
      }
    }
    if (!pieces_.empty() && !stream_->may_write()) return false;
  }
}

}  // namespace fairlead::net
