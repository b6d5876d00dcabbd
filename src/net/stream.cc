#include "net/stream.h"

#include <algorithm>

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
  if (reading != nullptr) reading->pausing_ = false;
  Notice* const notice = reader ? std::exchange(notice_, nullptr) : nullptr;
  // Whoever is resumed may destroy this stream, and with it the other waiter: that one is put on
  // the list of those that are ready, from which it removes itself when it dies.
  if (notice != nullptr) {
    if (writer_done) writing->wake();
    if (reading != nullptr) reading->wake();
    notice->on_readable(*this);
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
  while (true) {
    while (!pieces_.empty() && skip_ == pieces_.front().size()) {
      pieces_ = pieces_.subspan(1);
      skip_ = 0;
    }
    if (pieces_.empty()) return true;
    Result<std::size_t> written = write_some();
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

// The pieces as they came; behind a short write, first the rest of the piece in which it ended.
Result<std::size_t> Stream::WriteAll::write_some() {
  if (skip_ == 0) return stream_->write_now(pieces_);
  const std::string_view rest = pieces_.front().substr(skip_);
  return stream_->write_now({&rest, 1});
}

}  // namespace fairlead::net
