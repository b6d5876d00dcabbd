// Answers of our own: each says why, to a person.
#include <fmt/format.h>

#include <array>

#include "http/h1_writer.h"
#include "proxy/decide/closed.h"
#include "proxy/decide/rewrite.h"
#include "proxy/http_connection.h"

namespace fairlead::proxy {
namespace {

using http::BodyFraming;

constexpr Duration reply_patience = std::chrono::minutes(5);
// For a client that does not take an answer of our own, where nothing else limits it.

}  // namespace

LocalReply HttpConnection::reset_reply() {
  RequestState& s = state();
  LocalReply reply{.status = 503};
  const std::string where = fmt::format("{} (cluster {})", s.host->text(), s.cluster_name);
  const bool may_be_sent_again =
      http::is_safe(request().method) && !request().body.may_have_bytes();
  if (s.failure == Outcome::connect_failed && has(s.flags, Flag::upstream_overflow)) {
    reply.flag = Flag::upstream_overflow;
    reply.details = "upstream_reset_before_response_started{overflow}";
    reply.undelivered = true;
    reply.body = fmt::format("fairlead: {}.\n", x_->failure_text);
  } else if (s.failure == Outcome::connect_failed) {
    reply.flag = Flag::upstream_connection_failure;
    reply.details = s.connect_timed_out
                        ? "upstream_reset_before_response_started{connection_timeout}"
                        : "upstream_reset_before_response_started{connection_failure}";
    reply.undelivered = true;
    reply.body = fmt::format("fairlead: no connection to {}: {}.\n", where, x_->failure_text);
  } else if (s.failure == Outcome::try_timed_out) {
    reply.status = 504;
    reply.flag = Flag::upstream_request_timeout;
    reply.details = "upstream_per_try_timeout";
    reply.body = fmt::format("fairlead: {} did not answer within {} ms.\n", where,
                             milliseconds(*s.timeouts.attempt));
  } else if (s.head_cut) {
    s.cluster->stats().upstream_cx_protocol_error.add();
    reply.status = 502;
    reply.flag = Flag::upstream_protocol_error;
    reply.details = "upstream_reset_before_response_started{protocol_error}";
    reply.undelivered = may_be_sent_again;
    reply.body =
        fmt::format("fairlead: {} ended the connection inside its answer's head.\n", where);
  } else {
    s.cluster->stats().upstream_rq_rx_reset.add();
    reply.flag = Flag::upstream_connection_termination;
    reply.details = "upstream_reset_before_response_started{connection_termination}";
    reply.undelivered = may_be_sent_again;
    reply.body = fmt::format("fairlead: {} ended the connection before it answered.\n", where);
  }
  return reply;
}

LocalReply HttpConnection::failure_reply() {
  RequestState& s = state();
  LocalReply reply;
  switch (s.ended) {
    case Ended::timed_out:
      if (s.request_over) {
        reply = {.status = 408, .details = "request_overall_timeout"};
        reply.body = fmt::format("fairlead: the request did not come whole within {} ms.\n",
                                 manager().request_timeout.count());
        return reply;
      }
      if (s.idle_over && !s.complete) {
        reply = {
            .status = 408, .flag = Flag::stream_idle_timeout, .details = "stream_idle_timeout"};
        reply.body = fmt::format("fairlead: nothing of the request came for {} ms.\n",
                                 milliseconds(*s.timeouts.idle));
        return reply;
      }
      s.cluster->stats().upstream_rq_timeout.add();
      reply = {.status = 504};
      reply.flag = s.idle_over ? Flag::stream_idle_timeout : Flag::upstream_request_timeout;
      reply.details = s.idle_over ? "stream_idle_timeout" : "response_timeout";
      reply.body = fmt::format("fairlead: {} (cluster {}) did not answer within {} ms.\n",
                               s.host ? s.host->text() : "the endpoint", s.cluster_name,
                               milliseconds(s.idle_over ? *s.timeouts.idle : *s.timeouts.whole));
      return reply;
    case Ended::bad_response:
      s.cluster->stats().upstream_cx_protocol_error.add();
      reply = {.status = 502,
               .flag = Flag::upstream_protocol_error,
               .details = "upstream_reset_before_response_started{protocol_error}"};
      reply.body = fmt::format("fairlead: what {} (cluster {}) answered is no HTTP: {}.\n",
                               s.host->text(), s.cluster_name, x_->failure_text);
      return reply;
    case Ended::bad_request:
      stats().downstream_cx_protocol_error.add();
      reply = {.status = x_->parser.error().status,
               .flag = Flag::downstream_protocol_error,
               .details = "http1.codec_error"};
      reply.body = fmt::format("fairlead: {}.\n", x_->parser.error().why);
      return reply;
    default:
      return reset_reply();
  }
}

// Never marked as undelivered: a refusal is not to be tried elsewhere.
LocalReply HttpConnection::closed_reply(std::uint16_t status, std::string_view why,
                                        std::string_view part) {
  x_->details_text = closed_details(why);
  LocalReply reply{
      .status = status, .flag = Flag::protection_not_enforced, .details = x_->details_text};
  reply.body = fmt::format(
      "fairlead: {} is closed: it came with a protection that is not enforced here ({}).\n", part,
      why);
  return reply;
}

void HttpConnection::write_local(const LocalReply& reply, const http::RequestHead* request) {
  http::ResponseHead& head = x_->local;
  head.fields.clear();
  head.status = reply.status;
  if (!reply.body.empty()) head.fields.add("content-type", "text/plain");
  if (!reply.location.empty()) head.fields.add("location", reply.location);
  if (has(reply.flag, Flag::upstream_overflow)) head.fields.add("x-envoy-overloaded", "true");
  head.fields.add_copy("date", worker_.date());
  head.fields.add("server", manager().server_name);
  if (request && x_->state.rule && x_->state.rule->changes_response) {
    rewrite_response(*x_->state.rule, head);
  }
  // After the route's changes: one that takes the mark off means an app's.
  if (reply.undelivered && chain_->listener->direction == config::Direction::inbound) {
    std::string_view reason = reply.details;
    head.fields.add(config::undelivered_mark, reason);
  }
  head.fields.add_copy("content-length", fmt::to_string(reply.body.size()));
  x_->reply.clear();
  http::write_response(x_->reply, head,
                       {.body = BodyFraming::sized(reply.body.size()),
                        .persist = keep_ ? http::Persist::keep_alive : http::Persist::close,
                        .peer = request ? request->version : http::Version::http11,
                        .pass_upgrade = false});
  if (!request || !request->is_head()) x_->reply += reply.body;
  count_sent(x_->reply.size());
}

Task<HttpConnection::Then> HttpConnection::answer_locally(LocalReply reply) {
  RequestState& s = state();
  if (s.ended != Ended::bad_request && !gather(false)) s.complete = false;
  keep_ = s.complete && request().keep_alive && !request().is_connect() && !must_end();
  write_local(reply, &request());
  s.status = reply.status;
  s.flags |= reply.flag;
  s.details = reply.details;
  if (!request().is_head()) s.bytes_sent = reply.body.size();
  s.response_started = s.answered_here = true;
  s.progress = now();
  x_->whole.cancel();
  if (!s.timeouts.idle) s.timeouts.idle = reply_patience;
  watch_stillness(*s.timeouts.idle);
  const Result<> written = co_await stream_->write_all(x_->reply);
  if (!written.ok()) {
    keep_ = false;
    s.flags |= Flag::downstream_connection_termination;
  }
  finish();
  if (!keep_ && written.ok()) co_await linger();
  co_return keep_ ? Then::next : Then::close;
}

void HttpConnection::refuse(std::uint16_t status, std::string_view why, std::string_view details,
                            Flag flag) {
  x_->head.cancel();
  x_->request.cancel();
  stats().downstream_rq_total.add();
  keep_ = false;
  LocalReply reply{.status = status, .flag = flag, .details = details};
  reply.body = fmt::format("fairlead: {}.\n", why);
  write_local(reply, nullptr);
  const std::array<std::string_view, 1> pieces{x_->reply};
  const Result<std::size_t> written = stream_->write_now(pieces);  // as much as goes at once
  stats().downstream_rq_completed.add();
  stats().downstream_rq_xx[status / 100 - 1].add();
  LogEntry entry;
  entry.started = worker_.wall();
  entry.protocol = "HTTP/1.1";
  entry.response = &x_->local;
  entry.response_code = status;
  entry.flags = flag;
  entry.response_details = details;
  entry.bytes_sent = written.ok() ? reply.body.size() : 0;
  entry.downstream_remote_address = remote_text_;
  entry.downstream_local_address = dialled_text_;
  entry.requested_server_name = server_name_;
  entry.filter_chain = chain_->chain->name;
  entry.connection_id = id_;
  worker_.log(*chain_, entry);
  Record& record = new_record();
  record.started = entry.started;
  record.world = worker_.table()->snapshot().world;
  record.status = status;
  record.flags = flag;
  record.bytes_sent = entry.bytes_sent;
  x_->soiled = true;
}

}  // namespace fairlead::proxy
