// A stream of bytes in both directions: all that http asks of a connection. TCP, unix sockets, TLS
// and, for tests, memory.
//
//   while (true) {
//     if (Result<> ready = co_await stream.readable(); !ready.ok()) co_return ready.fault();
//     Result<Taken> taken = stream.read_now(buffer);        // never waits
//     if (!taken.ok()) co_return taken.fault();
//     if (taken->end) break;
//     if (taken->bytes == 0) continue;                      // nothing there after all
//     Result<> written = co_await stream.write_all({&buffer[0], taken->bytes});
//     ...
//   }
//
// Take the buffer when readable, give it back once written: an idle connection holds none. Write
// head and body in one write_all(). One reader and one writer at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/address.h"
#include "base/lifetime.h"
#include "base/result.h"
#include "base/task.h"

namespace fairlead::net {

class Loop;

struct Taken {
  std::size_t bytes = 0;  // 0: nothing there now, wait for readable()
  bool end = false;       // the peer sends nothing more
};

class Stream {
 public:
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  virtual ~Stream();
  // Who still waits gets a fault `closed`, and must not touch the stream again.

  class Readable;
  class Writable;
  class WriteAll;

  [[nodiscard]] Readable readable();
  // co_await gives Result<>, ok as soon as read_now() may have something to say: bytes, the end or
  // an error; at once when it has already, but for a pause now and then, in which others have their
  // turn: whoever awaits it before each read_now() starves nobody. A fault only when cancelled.
  [[nodiscard]] virtual Result<Taken> read_now(std::span<char> into) = 0;
  // Never waits. Leaves off at a short read: what comes later is told by readable().

  [[nodiscard]] WriteAll write_all(std::string_view bytes);
  [[nodiscard]] WriteAll write_all(std::span<const std::string_view> pieces);
  // co_await gives Result<>. Writes at once as much as goes, and waits for the rest. Bytes and
  // pieces stay good until then. After a fault nobody knows how much was written.
  [[nodiscard]] Writable writable();
  // As readable(): ok when write_now() may take something.
  [[nodiscard]] virtual Result<std::size_t> write_now(std::span<const std::string_view> pieces) = 0;
  // How many bytes were taken, in order; fewer than given: wait for writable().

  virtual void shutdown_write() = 0;
  // Nothing more is written; the peer reads the end. Reading goes on.
  virtual void close() = 0;
  // Both directions, orderly. Waiters wake with a fault `closed`. Harmless when closed already.
  virtual void reset() = 0;
  // The same, and the peer is told that it was no orderly end.

  [[nodiscard]] bool is_idle() const { return !may_read_ && !ended_; }
  // Nothing has come since the last read_now() that found nothing more: an idle connection that may
  // be used again. One that is not quiet was closed by its peer, or spoken on out of turn.
  class Notice {
   public:
    virtual void on_readable(Stream& stream) = 0;  // may close the stream, and destroy it
   protected:
    ~Notice() = default;
  };
  void notify(Notice* receiver);
  // Instead of a waiting reader: told once when the stream is no longer quiet. Null stops it. For
  // pools, which hold idle connections without a frame for each.

  [[nodiscard]] virtual bool peer_has_left() const = 0;
  // The peer was seen to have reset it: nobody reads what is written any more. A peer that closed
  // both ways looks like one that has said all, until something is written to it. May ask the
  // system: not for each byte.

  [[nodiscard]] const SocketAddress& local() const LIFETIMEBOUND { return local_; }
  [[nodiscard]] const SocketAddress& peer() const LIFETIMEBOUND { return peer_; }
  // 0.0.0.0:0 on what has none.
  [[nodiscard]] virtual std::string peer_name() const { return peer_.text(); }
  [[nodiscard]] virtual Loop& loop() const = 0;

 protected:
  Stream() = default;

  void set_may_read(bool may) { may_read_ = may; }
  void set_ended() { ended_ = true; }
  [[nodiscard]] bool may_read() const { return may_read_; }
  [[nodiscard]] bool ended() const { return ended_; }
  void set_may_write(bool may) { may_write_ = may; }
  [[nodiscard]] bool may_write() const { return may_write_; }
  [[nodiscard]] bool has_writer() const { return writer_ != nullptr; }
  virtual void want_write() {}
  // Somebody waits to write; told again after each attempt that did not write all.

  enum class Wake : std::uint8_t { now, soon };
  void woken(bool reader, bool writer, Wake how);
  // After may_read or may_write changed. With Wake::now the stream may be gone afterwards.

  SocketAddress local_;
  SocketAddress peer_;

 private:
  class WriteWaiter;
  static Fault destroyed_fault();
  bool may_read_ = false;
  bool may_write_ = true;
  bool ended_ = false;
  std::uint8_t in_a_row_ = 0;  // reads for which nobody had to wait
  static constexpr std::uint8_t most_in_a_row = 16;
  Readable* reader_ = nullptr;
  WriteWaiter* writer_ = nullptr;
  Notice* notice_ = nullptr;
};

using StreamPointer = std::unique_ptr<Stream>;

class Stream::Readable final : public Waiter {
 public:
  explicit Readable(Stream& stream) : stream_(&stream) {}
  ~Readable() override { leave(); }
  [[nodiscard]] bool await_ready() {
    return (stream_->may_read_ || stream_->ended_) && ++stream_->in_a_row_ < most_in_a_row;
  }
  template <class P>
  bool await_suspend(std::coroutine_handle<P> coroutine) {
    if (!park(coroutine)) return false;
    stream_->in_a_row_ = 0;
    stream_->reader_ = this;
    pausing_ = stream_->may_read_ || stream_->ended_;
    if (pausing_) wake();
    return true;
  }
  [[nodiscard]] Result<> await_resume() const {
    if (was_cancelled()) return cancelled_fault();
    if (stream_ == nullptr) return destroyed_fault();
    return done();
  }

 private:
  friend class Stream;
  void leave() override {
    if (stream_ == nullptr || !(parked() || pausing_)) return;
    if (stream_->reader_ == this) stream_->reader_ = nullptr;
  }
  Stream* stream_;        // null: it was destroyed meanwhile
  bool pausing_ = false;  // it waits for others, and is the stream's reader meanwhile
};

class Stream::WriteWaiter : public Waiter {
 public:
  explicit WriteWaiter(Stream& stream) : stream_(&stream) {}
  virtual bool proceed() = 0;
  // Writing may go on. True: the coroutine is to be resumed.

 protected:
  friend class Stream;
  ~WriteWaiter() override = default;
  template <class P>
  bool wait(std::coroutine_handle<P> coroutine) {
    if (!park(coroutine)) return false;
    stream_->writer_ = this;
    stream_->want_write();
    return true;
  }
  void leave() override {
    if (stream_ != nullptr && parked() && stream_->writer_ == this) stream_->writer_ = nullptr;
  }
  Stream* stream_;  // null: it was destroyed meanwhile
};

class Stream::Writable final : public WriteWaiter {
 public:
  explicit Writable(Stream& stream) : WriteWaiter(stream) {}
  ~Writable() override { leave(); }
  [[nodiscard]] bool await_ready() const { return stream_->may_write_; }
  template <class P>
  bool await_suspend(std::coroutine_handle<P> coroutine) {
    return wait(coroutine);
  }
  [[nodiscard]] Result<> await_resume() const {
    if (was_cancelled()) return cancelled_fault();
    if (stream_ == nullptr) return destroyed_fault();
    return done();
  }

 private:
  bool proceed() override { return true; }
};

class Stream::WriteAll final : public WriteWaiter {
 public:
  WriteAll(Stream& stream, std::string_view bytes)
      : WriteWaiter(stream), one_(bytes), pieces_(&one_, 1) {}
  WriteAll(Stream& stream, std::span<const std::string_view> pieces)
      : WriteWaiter(stream), pieces_(pieces) {}
  ~WriteAll() override { leave(); }

  [[nodiscard]] bool await_ready() { return proceed(); }
  template <class P>
  bool await_suspend(std::coroutine_handle<P> coroutine) {
    return wait(coroutine);
  }
  [[nodiscard]] Result<> await_resume() {
    if (was_cancelled()) return cancelled_fault();
    if (stream_ == nullptr) return destroyed_fault();
    return std::move(result_);
  }

 private:
  bool proceed() override;
  Result<std::size_t> write_some();
  std::string_view one_;
  std::span<const std::string_view> pieces_;
  std::size_t skip_ = 0;  // bytes of the first piece that are written
  Result<> result_ = done();
};

inline Stream::Readable Stream::readable() {
  return Readable(*this);
}
inline Stream::Writable Stream::writable() {
  return Writable(*this);
}
inline Stream::WriteAll Stream::write_all(std::string_view bytes) {
  return {*this, bytes};
}
inline Stream::WriteAll Stream::write_all(std::span<const std::string_view> pieces) {
  return {*this, pieces};
}

}  // namespace fairlead::net
