#include "proxy/forward.h"

#include <algorithm>
#include <utility>

#include "net/pause.h"
#include "proxy/http_connection.h"
#include "proxy/tunnel.h"

namespace fairlead::proxy {
namespace {

using http::H1Event;

constexpr std::uint32_t most_in_a_row = 16;
constexpr Duration linger_time = std::chrono::seconds(1);
constexpr std::size_t linger_bytes = std::size_t{1024} * 1024;

}  // namespace

void Alarm::set(HttpConnection& connection, net::Loop& loop, Duration after) {
  connection_ = &connection;
  loop.arm(*this, after);
}

void Alarm::expired() {
  connection_->on_timer(kind_);
}

HttpConnection::HttpConnection(Worker& worker, Accepted accepted, ChainPointer chain,
                               SnapshotTablePointer table)
    : Connection(worker, std::move(accepted), std::move(chain), std::move(table)) {
  stats().downstream_cx_total.add();
  stats().downstream_cx_active.add();
}

HttpConnection::~HttpConnection() {
  stats().downstream_cx_active.subtract();
  stats().downstream_cx_destroy.add();
  if (x_) x_->soiled = true;
  rest();
}

bool HttpConnection::must_end() const {
  return ending_ || chain_->draining || worker_.draining();
}

void HttpConnection::drain() {
  ending_ = true;
  if (!idle_) return;
  stats().downstream_cx_drain_close.add();
  stream_->close();
}

void HttpConnection::abort() {
  ending_ = true;
  if (x_) interrupt();
  stream_->reset();
}

void HttpConnection::take_exchange() {
  x_ = worker_.take_exchange();
  const http::Limits& limits = chain_->limits;
  if (x_->limits.head_bytes == limits.head_bytes && x_->limits.fields == limits.fields) return;
  x_->parser = http::H1RequestParser(chain_->limits);
  x_->limits = chain_->limits;
}

void HttpConnection::rest() {
  input_ = {};
  in_.release();
  if (x_) worker_.give_exchange(std::move(x_));
}

void HttpConnection::watch_idleness() {
  idle_ = true;
  idle_since_ = now();
  watch_stillness(manager().idle_timeout);
}

// One alarm for the connection and for its requests. It is set when none is due so soon, and set
// again when it rings: a busy connection does not touch it.
void HttpConnection::watch_stillness(Duration limit) {
  if (limit <= Duration::zero()) return;
  if (still_.pending() && still_by_ <= now() + limit) return;
  still_by_ = now() + limit;
  still_.set(*this, worker_.loop(), limit);
}

Duration HttpConnection::stillness_left() const {
  if (idle_) return idle_since_ + manager().idle_timeout - now();
  const RequestState& s = x_->state;
  Instant last = s.progress;
  for (const Carried* way : s.tunnel) last = way ? std::max(last, way->last) : last;
  return last + *s.timeouts.idle - now();
}

void HttpConnection::on_timer(Alarm::Kind kind) {
  switch (kind) {
    case Alarm::Kind::stillness: {
      const bool limited =
          idle_ ? manager().idle_timeout.count() > 0 : x_ && state().timeouts.idle.has_value();
      if (!limited) return;
      if (const Duration left = stillness_left(); left > Duration::zero()) {
        return watch_stillness(left);
      }
      if (idle_) {
        stats().downstream_cx_idle_timeout.add();
        stream_->close();
        return;
      }
      state().idle_over = true;
      stats().downstream_rq_idle_timeout.add();
      break;
    }
    case Alarm::Kind::head:
      if (head_limit(manager()).as_idle) {
        stats().downstream_rq_idle_timeout.add();
        refuse(408, "the head of the request did not come in time", "stream_idle_timeout",
               Flag::stream_idle_timeout);
      } else {
        stats().downstream_rq_header_timeout.add();
        refuse(408, "the head of the request did not come in time", "request_header_timeout",
               Flag::none);
      }
      stream_->close();
      return;
    case Alarm::Kind::whole:
      state().whole_over = true;
      break;
    case Alarm::Kind::attempt:
      state().attempt_over = true;
      state().cluster->stats().upstream_rq_per_try_timeout.add();
      break;
    case Alarm::Kind::request:
      stats().downstream_rq_timeout.add();
      if (!state().table) {  // its head is not there yet
        refuse(408, "the request did not come in time", "request_overall_timeout", Flag::none);
        stream_->close();
        return;
      }
      state().request_over = true;
      break;
  }
  interrupt();
  if (!state().response_started) return;
  state().flags |= state().idle_over ? Flag::stream_idle_timeout : Flag::upstream_request_timeout;
  state().details = state().idle_over ? "stream_idle_timeout" : "response_timeout";
  stream_->notify(nullptr);  // it is we who end it
  stream_->close();
}

bool HttpConnection::begin_with(const std::string& first_bytes) {
  if (first_bytes.empty()) return false;
  take_exchange();
  in_ = worker_.buffers().take();
  const std::size_t count = first_bytes.copy(in_.span().data(), in_.size());
  input_ = in_.first(count);
  stats().downstream_cx_rx_bytes_total.add(count);
  return true;
}

// From its first byte on.
void HttpConnection::limit_head() {
  if (x_->head.pending()) return;
  x_->head.set(*this, worker_.loop(), head_limit(manager()).time);
  limit_request();
}

// One limit for head and body together.
void HttpConnection::limit_request() {
  const Duration given = manager().request_timeout;
  if (given <= Duration::zero() || x_->request.pending()) return;
  x_->request.set(*this, worker_.loop(), given);
}

Task<> HttpConnection::run(std::string first_bytes) {
  (void)begin_with(first_bytes);
  std::uint32_t in_a_row = 0;  // requests
  while (true) {
    if (input_.empty()) {
      if (stream_->is_idle()) {
        if (!x_ || x_->parser.between_messages()) {
          rest();
          if (served_ && must_end()) break;
          watch_idleness();
        }
      }
      const Result<> ready = co_await stream_->readable();
      idle_ = false;
      if (!ready.ok()) break;
      if (!x_) take_exchange();
      if (!in_) in_ = worker_.buffers().take();
      const Result<net::Taken> taken = stream_->read_now(in_.span());
      if (!taken.ok() || taken->end) break;
      if (taken->bytes == 0) continue;
      stats().downstream_cx_rx_bytes_total.add(taken->bytes);
      input_ = in_.first(taken->bytes);
    }
    const H1Event event = x_->parser.next(input_);
    if (event == H1Event::more) {
      if (!x_->parser.between_messages()) limit_head();
      continue;
    }
    x_->head.cancel();
    if (event == H1Event::failed) {
      const http::H1Error& error = x_->parser.error();
      stats().downstream_cx_protocol_error.add();
      if (error.status == 431 || error.status == 413) stats().downstream_rq_too_large.add();
      refuse(error.status, error.why, "http1.codec_error", Flag::downstream_protocol_error);
      co_await linger();
      break;
    }
    if (co_await handle() == Then::close) break;
    // Requests that came together may all be answered without a wait.
    if (input_.empty()) {
      in_a_row = 0;
    } else if (++in_a_row % most_in_a_row == 0) {
      if (!(co_await net::Pause()).ok()) break;
    }
  }
}

Task<Result<>> HttpConnection::read_on() {
  std::size_t left = linger_bytes;
  while (true) {
    Result<> ready = co_await stream_->readable();
    if (!ready.ok()) co_return ready;
    if (!in_) in_ = worker_.buffers().take();
    const Result<net::Taken> taken = stream_->read_now(in_.span());
    if (!taken.ok() || taken->end || taken->bytes > left) co_return done();
    left -= taken->bytes;
  }
}

// Closing with bytes unread would reset the connection, and the peer might lose the response.
Task<> HttpConnection::linger() {
  input_ = {};
  stream_->shutdown_write();
  (void)co_await net::within(worker_.loop(), linger_time, read_on());
}

Task<> forward_http(Worker& worker, Accepted accepted, ChainPointer chain,
                    SnapshotTablePointer table, std::string first_bytes) {
  HttpConnection connection(worker, std::move(accepted), std::move(chain), std::move(table));
  co_await connection.run(std::move(first_bytes));
}

}  // namespace fairlead::proxy
