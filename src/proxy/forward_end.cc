// What is said of a request that is over: counters, the access log, the record.
#include "proxy/http_connection.h"

namespace fairlead::proxy {
namespace {

using http::FieldName;

}  // namespace

void HttpConnection::finish() {
  Exchange& x = *x_;
  RequestState& s = x.state;
  x.whole.cancel();
  x.attempt.cancel();
  x.request.cancel();
  if (s.ended == Ended::client_gone) {
    s.flags |= Flag::downstream_connection_termination;
    s.details = "downstream_remote_disconnect";
    stats().downstream_rq_rx_reset.add();
    if (s.cluster) s.cluster->stats().upstream_rq_cancelled.add();
  }
  count_end();
  log_end();
  record_end();
  if (s.cluster) {
    if (s.retries > 0) s.cluster->retry_ends();
    leave_host();
    s.cluster->stats().upstream_rq_active.subtract();
  }
  if (!s.complete) x.soiled = true;
  s = RequestState();
}

HttpConnection::Then HttpConnection::give_up() {
  keep_ = false;
  stream_->reset();
  finish();
  return Then::close;
}

void HttpConnection::count_end() {
  RequestState& s = state();
  const Duration took = now() - s.began;
  HttpStats& http = stats();
  http.downstream_rq_active.subtract();
  http.downstream_rq_completed.add();
  http.downstream_rq_time.add(took);
  const std::size_t hundreds = s.status / 100;
  if (hundreds >= 1 && hundreds <= 5) http.downstream_rq_xx[hundreds - 1].add();
  if (!s.cluster) return;
  ClusterStats& upstream = s.cluster->stats();
  if (hundreds >= 1 && hundreds <= 5) {
    upstream.upstream_rq_completed.add();
    upstream.upstream_rq_xx[hundreds - 1].add();
    upstream.upstream_rq_codes.add(s.status);
  }
  if (s.response_began) upstream.upstream_rq_time.add(now() - s.sent);
  if (s.retries > 0 && s.status != 0 && s.status < 500) upstream.upstream_rq_retry_success.add();
}

void HttpConnection::log_end() {
  if (chain_->logs.empty()) return;
  RequestState& s = state();
  LogEntry entry;
  entry.started = s.started;
  entry.duration = now() - s.began;
  if (s.request_ended) entry.request_duration = *s.request_ended - s.began;
  if (s.response_began) entry.response_duration = *s.response_began - s.began;
  entry.request = &request();
  if (s.response_status != 0) {
    entry.response = &x_->answer.head();
    entry.trailers = &x_->answer.trailers();
    entry.upstream_protocol = "HTTP/1.1";
  }
  if (s.answered_here) {
    entry.response = &x_->local;
    entry.trailers = nullptr;
  }
  entry.protocol = http::name_of(request().version);
  entry.response_code = s.status;
  entry.flags = s.flags;
  entry.response_details = s.details;
  entry.upstream_failure = x_->failure_text;
  entry.bytes_received = s.bytes_received;
  entry.bytes_sent = s.bytes_sent;
  if (s.host) entry.upstream_host = s.host->text();
  entry.upstream_cluster = s.cluster_name;
  entry.upstream_local_address = x_->upstream_local_text;
  entry.downstream_remote_address = remote_text_;
  entry.downstream_local_address = dialled_text_;
  entry.downstream_direct_local_address = dialled_text_;
  if (s.rule) {
    entry.route_name = s.rule->route->name;
    entry.virtual_host = s.rule->host->name;
  }
  entry.requested_server_name = server_name_;
  entry.filter_chain = chain_->chain->name;
  entry.attempts = s.attempts;
  entry.connection_id = id_;
  worker_.log(*chain_, entry);
}

// With what holds for all requests of this connection.
Record& HttpConnection::new_record() {
  Record& record = worker_.records().add();
  record.direction = chain_->listener->direction;
  record.downstream_remote = stream_->peer();
  record.downstream_local = stream_->local();
  record.original_destination = dialled_;
  record.listener = chain_->listener->name;
  record.filter_chain = chain_->chain->name;
  return record;
}

void HttpConnection::record_end() {
  RequestState& s = state();
  Record& record = new_record();
  record.id = request().fields.value(FieldName::x_request_id);
  record.method = request().method;
  record.path = request().path;
  record.started = s.started;
  record.duration = now() - s.began;
  record.upstream_local = s.upstream_local;
  if (s.rule) {
    record.virtual_host = s.rule->host->name;
    record.route = s.rule->route->name;
  }
  record.cluster = s.cluster_name;
  if (s.host) {
    record.upstream_remote = s.host->address();
    if (const config::LbEndpoint* endpoint = s.cluster->endpoint_of(*s.host)) {
      record.workload = endpoint->workload;
    }
  }
  record.world = s.table->snapshot().world;
  record.pooled = s.pooled;
  record.attempts = s.attempts;
  record.status = s.status;
  record.flags = s.flags;
  if (has(s.flags, Flag::protection_not_enforced)) record.details = s.details;
  record.bytes_received = s.bytes_received;
  record.bytes_sent = s.bytes_sent;
}

}  // namespace fairlead::proxy
