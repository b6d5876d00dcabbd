// The response of an attempt, on its way downstream.
#include <array>
#include <charconv>
#include <utility>

#include "http/h1_writer.h"
#include "proxy/decide/rewrite.h"
#include "proxy/http_connection.h"
#include "proxy/tunnel.h"

namespace fairlead::proxy {
namespace {

using http::BodyFraming;
using http::FieldName;
using http::H1Event;

// What an app may not say to its caller (docs/trust.md).
constexpr http::FieldNames not_from_an_app =
    FieldName::x_envoy_peer_metadata | FieldName::x_envoy_peer_metadata_id |
    FieldName::x_envoy_upstream_service_time | FieldName::x_fairlead_undelivered;

constexpr std::size_t worth_a_piece = 4096;  // smaller pieces of a body are copied together

}  // namespace

Task<Nothing> HttpConnection::respond() {
  Exchange& x = *x_;
  RequestState& s = x.state;
  net::Stream& up = s.up->stream();
  std::string_view bytes;
  H1Event event = H1Event::more;
  while (event != H1Event::head) {
    if (event == H1Event::more) {
      if (up.is_idle()) x.from_upstream.release();
      const Result<> ready = co_await up.readable();
      if (!ready.ok()) s.client_gone = true;
      if (interrupted()) break;
      if (!x.from_upstream) x.from_upstream = worker_.buffers().take();
      if (!read_upstream(bytes, event)) {
        on_upstream_reset(Ended::failed);
        break;
      }
    } else if (event == H1Event::interim) {
      if (passes_interim()) {
        x.reply.clear();
        x.answer.head().fields.remove(not_from_an_app);
        http::write_response(x.reply, x.answer.head(), {});
        count_sent(x.reply.size());
        const Result<> written = co_await stream_->write_all(x.reply);
        if (!written.ok()) lost_client();
      }
    } else {
      x.failure_text = x.answer.error().why;
      s.ended = Ended::bad_response;
      break;
    }
    event = bytes.empty() ? H1Event::more : x.answer.next(bytes);
  }
  const bool came = event == H1Event::head;
  if (came) head_came();
  if (came && !retried_instead(bytes)) {
    const BodyFraming framing = begin_response();
    if (framing.kind == BodyFraming::Kind::tunnel) {
      co_await become_tunnel(bytes);
    } else {
      event = take_body(framing, bytes);
      count_sent(x.reply.size());
      const Result<> written = co_await stream_->write_all(x.reply);
      if (!written.ok()) {
        lost_client();
        (void)interrupted();
      } else if (event == H1Event::failed) {
        became_garbage();
      } else if (event == H1Event::end) {
        s.ended = Ended::delivered;
      } else {
        co_await stream_body(framing);
      }
    }
  }
  if (s.ended != Ended::retry) {
    s.reusable = s.ended == Ended::delivered && x.answer.head().keep_alive && s.complete &&
                 bytes.empty() && x.answer.head().body.kind != BodyFraming::Kind::until_close;
  }
  if (s.uploading) s.uploading->cancel();
  co_return Nothing();
}

// Only of an endpoint with a proxy before it, whose app's own mark that proxy takes off.
void HttpConnection::drop_mark_of_stranger() {
  http::Fields& fields = x_->answer.head().fields;
  if (!fields.has(FieldName::x_fairlead_undelivered)) return;
  if (!state().host->proxied()) fields.remove(FieldName::x_fairlead_undelivered);
}

void HttpConnection::head_came() {
  Exchange& x = *x_;
  drop_mark_of_stranger();
  x.state.response_began = now();
  x.state.response_status = x.answer.head().status;
  x.attempt.cancel();
  x.request.cancel();
}

// Of 100, that which the client asked for, and of several attempts the first; HTTP/1.0 knows none
// (RFC 9110 §15.2).
bool HttpConnection::passes_interim() {
  if (request().version != http::Version::http11) return false;
  if (x_->answer.head().status != 100) return true;
  return state().passes_expect && !std::exchange(state().continued, true);
}

BodyFraming HttpConnection::begin_response() {
  RequestState& s = state();
  const BodyFraming framing = framing_downstream();
  keep_ = request().keep_alive && s.complete && !must_end() &&
          framing.kind != BodyFraming::Kind::tunnel &&
          framing.kind != BodyFraming::Kind::until_close;
  prepare_response(framing);
  s.response_started = true;
  s.status = s.response_status;
  s.details = "via_upstream";
  return framing;
}

// What of the body came with the head goes with it.
H1Event HttpConnection::take_body(const BodyFraming& framing, std::string_view& bytes) {
  Exchange& x = *x_;
  const bool chunked = framing.kind == BodyFraming::Kind::chunked;
  H1Event event = H1Event::data;
  while ((event = x.answer.next(bytes)) == H1Event::data) {
    x.state.bytes_sent += x.answer.data().size();
    if (chunked) {
      http::write_chunk(x.reply, x.answer.data());
    } else {
      x.reply += x.answer.data();
    }
  }
  if (event == H1Event::end && chunked && !request().is_head()) {
    http::write_last_chunk(x.reply, &x.answer.trailers());
  }
  return event;
}

// Reads what is there: bytes to give to the parser, or the event that the end of the stream is.
// False: the connection broke.
bool HttpConnection::read_upstream(std::string_view& bytes, H1Event& event) {
  Exchange& x = *x_;
  const Result<net::Taken> taken = x.state.up->stream().read_now(x.from_upstream.span());
  if (!taken.ok()) {
    x.failure_text = taken.fault().message;
    return false;
  }
  if (taken->end) {
    x.state.head_cut = !x.state.response_began && !x.answer.between_messages();
    event = x.answer.finish();
    if (event == H1Event::end) return true;
    x.failure_text = "the connection was closed";
    return false;
  }
  bytes = x.from_upstream.first(taken->bytes);
  x.state.progress = now();
  x.state.cluster->stats().upstream_cx_rx_bytes_total.add(taken->bytes);
  event = H1Event::more;
  return true;
}

void HttpConnection::on_upstream_reset(Ended how) {
  RequestState& s = state();
  if (interrupted()) return;
  s.ended = how;
  s.failure = Outcome::reset;
  if (how == Ended::broken) {
    s.flags |= Flag::upstream_connection_termination;
    s.details = "upstream_reset_after_response_started{connection_termination}";
    s.cluster->stats().upstream_cx_destroy_remote_with_active_rq.add();
  }
}

// The rest of a response that has begun to go downstream is not HTTP.
void HttpConnection::became_garbage() {
  RequestState& s = state();
  s.ended = Ended::broken;
  s.flags |= Flag::upstream_protocol_error;
  s.details = "upstream_reset_after_response_started{protocol_error}";
  x_->failure_text = x_->answer.error().why;
  s.cluster->stats().upstream_cx_protocol_error.add();
}

bool HttpConnection::retried_instead(std::string_view bytes) {
  Exchange& x = *x_;
  RequestState& s = x.state;
  const http::ResponseHead& head = x.answer.head();
  const RetryRules& rules = s.rule->retry;
  if (head.status < 400 && rules.on == 0) return false;
  const http::Field* grpc = head.fields.find(FieldName::grpc_status);
  const bool asked_by_header = asks_by_header(rules, head);
  if (head.status < 400 && !grpc && !asked_by_header) return false;
  int grpc_status = -1;
  if (grpc) {
    std::from_chars(grpc->value.data(), grpc->value.data() + grpc->value.size(), grpc_status);
  }
  const Attempt made{
      .outcome = Outcome::responded,
      .connection_reused = s.pooled.has_value(),
      .request_sent = true,
      .status = head.status,
      .undelivered = head.status >= 500 && head.fields.has(FieldName::x_fairlead_undelivered),
      .rate_limited = head.fields.has("x-envoy-ratelimited"),
      .asked_by_header = asked_by_header,
      .grpc_status = grpc_status};
  if (!earns_another(made)) return false;
  s.ended = Ended::retry;
  const bool keep_alive = head.keep_alive;
  H1Event event = H1Event::data;
  while (event == H1Event::data) event = x.answer.next(bytes);
  s.reusable = event == H1Event::end && keep_alive && bytes.empty() && s.complete;
  if (!s.reusable) s.up->stream().close();
  return true;
}

BodyFraming HttpConnection::framing_downstream() const {
  const BodyFraming body = x_->answer.head().body;
  if (body.kind != BodyFraming::Kind::chunked && body.kind != BodyFraming::Kind::until_close) {
    return body;
  }
  // Of unknown length: chunks for those who know them.
  if (request().version == http::Version::http10) return {BodyFraming::Kind::until_close, 0};
  return BodyFraming::chunked();
}

void HttpConnection::prepare_response(const BodyFraming& framing) {
  RequestState& s = state();
  http::ResponseHead& head = x_->answer.head();
  head.fields.remove(not_from_an_app);
  const auto end =
      std::to_chars(x_->service_time.data(), x_->service_time.data() + x_->service_time.size(),
                    milliseconds(*s.response_began - s.sent))
          .ptr;
  head.fields.add(
      {"x-envoy-upstream-service-time",
       {x_->service_time.data(), static_cast<std::size_t>(end - x_->service_time.data())},
       FieldName::x_envoy_upstream_service_time});
  if (s.rule->changes_response) rewrite_response(*s.rule, head);
  if (!head.fields.has(FieldName::date)) {
    head.fields.add({"date", worker_.date(), FieldName::date});
  }
  if (!manager().server_header_pass_through) {
    head.fields.set({"server", manager().server_name, FieldName::server});
  }
  x_->reply.clear();
  http::write_response(x_->reply, head,
                       {.body = framing,
                        .persist = keep_ ? http::Persist::keep_alive : http::Persist::close,
                        .peer = request().version});
}

// The rest of a body, piece by piece: the next one is read when the last one is written.
Task<Nothing> HttpConnection::stream_body(const BodyFraming& framing) {
  Exchange& x = *x_;
  RequestState& s = x.state;
  net::Stream& up = s.up->stream();
  const bool chunked = framing.kind == BodyFraming::Kind::chunked;
  bool many = false;  // the last read filled its buffer
  H1Event event = H1Event::more;
  while (event != H1Event::end) {
    if (up.is_idle()) x.from_upstream.release();
    const Result<> ready = co_await up.readable();
    if (!ready.ok()) s.client_gone = true;
    if (interrupted()) co_return Nothing();
    if (!x.from_upstream || (many && x.from_upstream.size() == Buffers::small)) {
      x.from_upstream = many ? worker_.buffers().take_large() : worker_.buffers().take();
    }
    std::string_view bytes;
    if (!read_upstream(bytes, event)) {
      on_upstream_reset(Ended::broken);
      co_return Nothing();
    }
    many = bytes.size() == x.from_upstream.size();
    x.reply.clear();
    while (event != H1Event::end && !bytes.empty()) {
      event = x.answer.next(bytes);
      if (event != H1Event::data) break;
      const std::string_view data = x.answer.data();
      s.bytes_sent += data.size();
      if (data.size() < worth_a_piece) {
        if (chunked) {
          http::write_chunk(x.reply, data);
        } else {
          x.reply += data;
        }
        continue;
      }
      if (chunked) http::write_chunk_start(x.reply, data.size());
      const std::array<std::string_view, 3> pieces{x.reply, data, chunked ? "\r\n" : ""};
      for (const std::string_view piece : pieces) count_sent(piece.size());
      const Result<> written = co_await stream_->write_all(std::span(pieces));
      if (!written.ok()) {
        lost_client();
        (void)interrupted();
        co_return Nothing();
      }
      s.progress = now();
      x.reply.clear();
    }
    // A body whose last byte came with this read is over now.
    if (event == H1Event::data) event = x.answer.next(bytes);
    if (event == H1Event::failed) {
      became_garbage();
      co_return Nothing();
    }
    if (event == H1Event::end && chunked) http::write_last_chunk(x.reply, &x.answer.trailers());
    if (!x.reply.empty()) {
      count_sent(x.reply.size());
      const Result<> written = co_await stream_->write_all(x.reply);
      if (!written.ok()) {
        lost_client();
        (void)interrupted();
        co_return Nothing();
      }
    }
    if (event == H1Event::end && !bytes.empty()) s.up->stream().close();  // it speaks out of turn
  }
  s.ended = Ended::delivered;
  co_return Nothing();
}

// After 101, or 2xx to CONNECT: what is spoken now is not ours to understand.
Task<Nothing> HttpConnection::become_tunnel(std::string_view bytes) {
  Exchange& x = *x_;
  RequestState& s = x.state;
  net::Stream& up = s.up->stream();
  stream_->notify(nullptr);
  x.whole.cancel();
  stats().downstream_cx_upgrades_total.add();
  x.reply += bytes;
  s.ended = Ended::tunnelled;
  x.soiled = true;
  Result<> written = co_await stream_->write_all(x.reply);
  x.from_upstream.release();
  if (written.ok() && !input_.empty()) written = co_await up.write_all(input_);
  const std::size_t early = input_.size();
  input_ = {};
  in_.release();
  Carried there;
  Carried back;
  s.tunnel = {&there, &back};
  if (written.ok()) {
    (void)co_await both(carry(*stream_, up, worker_.buffers(), there),
                        carry(up, *stream_, worker_.buffers(), back));
  }
  s.tunnel = {};
  s.bytes_received += early + there.bytes;
  s.bytes_sent += bytes.size() + back.bytes;
  count_sent(x.reply.size() + back.bytes);
  stats().downstream_cx_rx_bytes_total.add(there.bytes);
  co_return Nothing();
}

}  // namespace fairlead::proxy
