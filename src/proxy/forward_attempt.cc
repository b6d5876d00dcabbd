// Attempts: each is a connection to an endpoint, and the request sent on it.
#include <algorithm>
#include <array>
#include <utility>

#include "http/h1_writer.h"
#include "proxy/http_connection.h"

namespace fairlead::proxy {
namespace {

using http::BodyFraming;
using http::H1Event;

constexpr std::size_t most_kept_to_send_again = std::size_t{64} * 1024;  // of a request

}  // namespace

// One try: a connection, the request, and the response for as long as it lasts.
Task<Nothing> HttpConnection::attempt() {
  Exchange& x = *x_;
  RequestState& s = x.state;
  ++s.attempts;
  s.request_sent = s.cut_short = s.attempt_over = s.head_cut = s.reusable = false;
  s.pooled.reset();
  s.response_began.reset();
  s.response_status = 0;
  s.cluster->stats().upstream_rq_total.add();
  watch_client();
  limit_attempt();
  s.up = s.cluster->take_idle(*s.host);
  if (s.up) {
    s.pooled = now() - s.up->made();
  } else {
    if (interrupted() || !co_await connect()) {
      stream_->notify(nullptr);
      x.attempt.cancel();
      co_return Nothing();
    }
  }
  x.upstream_local_text = s.up->local_text();
  s.upstream_local = s.up->stream().local();
  x.answer.expect({.head = request().is_head(),
                   .connect = request().is_connect(),
                   .upgrade = request().upgrade});
  s.request_sent = true;
  s.sent = now();
  s.cluster->stats().upstream_cx_tx_bytes_total.add(x.out.size());
  // Whether it went well is seen in what comes back: a server may answer early and close.
  (void)co_await s.up->stream().write_all(x.out);
  if (s.complete) {
    co_await respond();
  } else {
    stream_->notify(nullptr);  // the upload reads on
    (void)co_await both(upload(), respond());
    if (s.cut_short) s.reusable = false;
  }
  stream_->notify(nullptr);
  x.attempt.cancel();
  x.from_upstream.release();
  co_return Nothing();
}

Task<bool> HttpConnection::connect() {
  RequestState& s = state();
  Cancel cancel(co_await cancellation_here());
  s.connecting = &cancel;
  Result<UpstreamPointer> made = co_await under(cancel, s.cluster->connect(*s.host));
  s.connecting = nullptr;
  if (made.ok()) {
    s.up = std::move(*made);
    if (s.up->uses() > 1) s.pooled = now() - s.up->made();
    co_return true;
  }
  if (interrupted()) co_return false;
  x_->failure_text = made.fault().message;
  if (made.fault().kind == FaultKind::exhausted) s.flags |= Flag::upstream_overflow;
  s.ended = made.fault().kind == FaultKind::cancelled ? Ended::client_gone : Ended::failed;
  s.failure = Outcome::connect_failed;
  s.connect_timed_out = made.fault().kind == FaultKind::timed_out;
  co_return false;
}

// Whether we were stopped from our own side, and how that ends the attempt.
bool HttpConnection::interrupted() {
  RequestState& s = state();
  if (s.client_gone) {
    s.ended = Ended::client_gone;
  } else if (s.bad_request) {
    s.ended = s.response_started ? Ended::broken : Ended::bad_request;
  } else if (s.whole_over || s.idle_over || s.request_over) {
    s.ended = s.response_started ? Ended::broken : Ended::timed_out;
  } else if (s.attempt_over) {
    s.ended = s.response_started ? Ended::broken : Ended::failed;
    s.failure = Outcome::try_timed_out;
  } else {
    return false;
  }
  return true;
}

// Whether a failed attempt is followed by another.
bool HttpConnection::earns_another(const Attempt& made) {
  RequestState& s = state();
  ClusterStats& stats = s.cluster->stats();
  const std::uint32_t own = s.retries > 0 ? 1 : 0;
  const RetrySituation situation{.retries_made = s.retries,
                                 .others_in_flight = s.cluster->retries_in_flight() - own,
                                 .max_retries = s.cluster->config().max_retries,
                                 .safe_method = http::is_safe(request().method),
                                 .has_body = request().body.may_have_bytes(),
                                 .body_sent = s.body_sent};
  const RetryVerdict verdict = should_retry(s.rule->retry, made, situation);
  if (verdict.retry == Retry::limit_reached) {
    s.flags |= Flag::upstream_retry_limit_exceeded;
    stats.upstream_rq_retry_limit_exceeded.add();
  }
  if (verdict.retry == Retry::over_budget) {
    s.flags |= Flag::upstream_overflow;
    stats.upstream_rq_retry_overflow.add();
  }
  return verdict.retry == Retry::yes;
}

bool HttpConnection::try_again() {
  Exchange& x = *x_;
  RequestState& s = x.state;
  ClusterStats& stats = s.cluster->stats();
  // Of a response, the verdict fell when it came.
  if (s.ended != Ended::retry) {
    if (has(s.flags, Flag::upstream_overflow)) return false;
    const Attempt made{.outcome = s.failure,
                       .connection_reused = s.pooled.has_value(),
                       .request_sent = s.request_sent};
    if (!earns_another(made)) return false;
  }
  if (s.retries++ == 0) s.cluster->retry_begins();
  stats.upstream_rq_retry.add();
  x.tried.push_back(s.host->name());
  leave_host();
  x.failure_text.clear();
  s.ended = Ended::failed;
  s.failure = Outcome::reset;
  s.attempt_over = false;
  return true;
}

// Waits until the retry's time has come. False when it is not wanted any more: `ended` says why.
Task<bool> HttpConnection::back_off() {
  RequestState& s = state();
  const Duration time = proxy::back_off(s.rule->retry, s.retries, worker_.random());
  watch_client();
  Cancel cancel(co_await cancellation_here());
  s.connecting = &cancel;
  const Result<> slept = co_await under(cancel, sleep(time));
  s.connecting = nullptr;
  stream_->notify(nullptr);
  if (interrupted()) co_return false;
  if (!slept.ok()) s.ended = Ended::client_gone;  // the connection is cut off from here
  co_return slept.ok();
}

Task<Result<>> HttpConnection::sleep(Duration time) {
  co_return co_await worker_.loop().sleep(time);
}

void HttpConnection::leave_host() {
  RequestState& s = state();
  if (s.up) {
    ClusterStats& stats = s.cluster->stats();
    if (s.reusable) {
      s.cluster->give_back(std::move(s.up));
    } else {
      if (s.ended == Ended::client_gone || s.whole_over || s.attempt_over) {
        stats.upstream_rq_tx_reset.add();
        stats.upstream_cx_destroy_local_with_active_rq.add();
      }
      s.cluster->discard(std::move(s.up));
      x_->answer = http::H1ResponseParser(response_limits);
    }
  }
  s.host.release();
}

// The time of a try runs from when the whole request is there.
void HttpConnection::limit_attempt() {
  RequestState& s = state();
  if (!s.timeouts.attempt || !s.complete || s.response_began) return;
  x_->attempt.set(*this, worker_.loop(), *s.timeouts.attempt);
}

// Before the request is sent. Only a stream that is not quiet can have ended: the others are not
// asked.
bool HttpConnection::client_has_left() const {
  return state().complete && !stream_->is_idle() && stream_->peer_has_left();
}

void HttpConnection::watch_client() {
  unread_ = !stream_->is_idle();
  stream_->notify(this);
}

void HttpConnection::on_readable(net::Stream& stream) {
  // Its next request waits already, or it has said all: that it has left is the only news.
  if (!input_.empty() || unread_) {
    if (stream.peer_has_left()) return lost_client();
    stream.notify(this);
    return;
  }
  if (!in_) in_ = worker_.buffers().take();
  const Result<net::Taken> taken = stream.read_now(in_.span());
  if (!taken.ok() || taken->end) {
    return lost_client();
  }
  input_ = in_.first(taken->bytes);
  stats().downstream_cx_rx_bytes_total.add(taken->bytes);
  if (input_.empty()) stream_->notify(this);
}

// The connection downstream has ended, or takes no more bytes.
void HttpConnection::lost_client() {
  RequestState& s = state();
  const bool by_us = s.whole_over || s.idle_over || s.request_over;
  if (!by_us) s.client_gone = true;
  interrupt();
}

// Wakes whoever waits for the upstream side.
void HttpConnection::interrupt() {
  RequestState& s = state();
  if (s.connecting) s.connecting->cancel();
  if (s.uploading) s.uploading->cancel();
  if (s.up) s.up->stream().close();
}

Task<Nothing> HttpConnection::upload() {
  Cancel cancel(co_await cancellation_here());
  state().uploading = &cancel;
  co_await under(cancel, upload_rest());
  state().uploading = nullptr;
  co_return Nothing();
}

// Nobody will send the rest, unless it was the end of the response that stopped us.
Nothing HttpConnection::stop_upload(const Fault& why) {
  if (why.kind != FaultKind::cancelled) lost_client();
  return {};
}

// Where the policy may ask for another try, up to a limit.
void HttpConnection::keep_to_send_again(std::span<const std::string_view> pieces) {
  RequestState& s = state();
  if (s.body_sent) return;
  const RetryRules& rules = s.rule->retry;
  std::size_t size = x_->out.size();
  for (const std::string_view piece : pieces) size += piece.size();
  const bool wanted = rules.on != 0 && rules.retries > 0;
  s.body_sent = !wanted || size > most_kept_to_send_again;
  if (wanted && s.body_sent) s.cluster->stats().retry_or_shadow_abandoned.add();
  if (s.body_sent) return;
  for (const std::string_view piece : pieces) x_->out += piece;
}

Task<Nothing> HttpConnection::upload_rest() {
  RequestState& s = state();
  http::H1RequestParser& parser = x_->parser;
  net::Stream& up = s.up->stream();
  const bool chunked = request().body.kind == BodyFraming::Kind::chunked;
  std::string line;
  const bool asks_here = request().expect_continue && !s.passes_expect;
  if (asks_here && !std::exchange(s.continued, true) && nothing_came()) {
    constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    count_sent(go_on.size());
    const Result<> said = co_await stream_->write_all(go_on);
    if (!said.ok()) co_return stop_upload(said.fault());
  }
  bool many = false;  // the last read filled its buffer
  while (!s.complete) {
    const H1Event event = parser.next(input_);  // the end of a body needs no byte after it
    if (event == H1Event::more) {
      if (stream_->is_idle()) in_.release();
      const Result<> ready = co_await stream_->readable();
      if (!ready.ok()) co_return stop_upload(ready.fault());
      if (!in_ || (many && in_.size() == Buffers::small)) {
        in_ = many ? worker_.buffers().take_large() : worker_.buffers().take();
      }
      const Result<net::Taken> taken = stream_->read_now(in_.span());
      if (!taken.ok() || taken->end) {
        lost_client();
        co_return Nothing();
      }
      many = taken->bytes == in_.size();
      input_ = in_.first(taken->bytes);
      stats().downstream_cx_rx_bytes_total.add(taken->bytes);
      s.progress = now();
      continue;
    }
    line.clear();
    Result<> sent = done();
    if (event == H1Event::data) {
      const std::string_view data = parser.data();
      s.bytes_received += data.size();
      if (chunked) http::write_chunk_start(line, data.size());
      const std::array<std::string_view, 3> pieces{line, data, chunked ? "\r\n" : ""};
      keep_to_send_again(pieces);
      sent = co_await up.write_all(std::span(pieces));
      s.cluster->stats().upstream_cx_tx_bytes_total.add(data.size());
    } else if (event == H1Event::end) {
      if (chunked) http::write_last_chunk(line, &parser.trailers());
      keep_to_send_again(std::array<std::string_view, 1>{line});
      request_is_complete();
      if (!line.empty()) sent = co_await up.write_all(line);
      watch_client();
      limit_attempt();
    } else if (event == H1Event::failed) {
      s.bad_request = true;
      interrupt();
      co_return Nothing();
    }
    if (!sent.ok()) {
      s.cut_short = true;  // the server has perhaps answered without reading on
      co_return Nothing();
    }
  }
  co_return Nothing();
}

}  // namespace fairlead::proxy
