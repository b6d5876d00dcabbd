#include "proxy/forward.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

#include "http/h1_writer.h"
#include "http/validate.h"
#include "proxy/decide/rewrite.h"
#include "proxy/exchange.h"
#include "proxy/tunnel.h"
#include "proxy/worker.h"

namespace fairlead::proxy {
namespace {

using http::BodyFraming;
using http::FieldName;
using http::H1Event;

constexpr Duration head_patience = std::chrono::seconds(60);
// For a request's head once it has begun, where the configuration sets no time: no client may hold
// memory for ever.
constexpr Duration linger_time = std::chrono::seconds(1);
constexpr std::size_t linger_bytes = std::size_t{1024} * 1024;
constexpr Duration first_back_off = std::chrono::milliseconds(25);
constexpr std::size_t worth_a_piece = 4096;  // smaller pieces of a body are copied together

bool has_word(const std::vector<std::string>& words, std::string_view word) {
  return std::any_of(words.begin(), words.end(),
                     [&](const std::string& one) { return http::same_name(one, word); });
}

// Eight lower-case hexadecimal digits, the highest first in memory.
std::uint64_t hexadecimal(std::uint32_t word) {
  // Each byte of `digits` gets one digit's value, then its letter.
  std::uint64_t digits = __builtin_bswap32(word);
  digits = (digits | digits << 16) & 0x0000ffff0000ffff;
  digits = (digits | digits << 8) & 0x00ff00ff00ff00ff;
  digits = (digits >> 4 | digits << 8) & 0x0f0f0f0f0f0f0f0f;
  const std::uint64_t letters = (digits + 0x0606060606060606) >> 4 & 0x0101010101010101;
  return digits + 0x3030303030303030 + letters * ('a' - '0' - 10);
}

// 36 characters: a UUID of version 4 (RFC 9562 §5.4).
std::string_view write_uuid(std::array<char, 40>& into, Random& random) {
  const std::uint64_t high = (random.next() & ~0xf000ULL) | 0x4000ULL;
  const std::uint64_t low = (random.next() & ~(0xcULL << 60)) | (0x8ULL << 60);
  const std::array<std::uint64_t, 4> text{hexadecimal(high >> 32), hexadecimal(high & 0xffffffff),
                                          hexadecimal(low >> 32), hexadecimal(low & 0xffffffff)};
  const char* const digits = reinterpret_cast<const char*>(text.data());
  into[8] = into[13] = into[18] = into[23] = '-';
  std::memcpy(&into[0], digits, 8);
  std::memcpy(&into[9], digits + 8, 4);
  std::memcpy(&into[14], digits + 12, 4);
  std::memcpy(&into[19], digits + 16, 4);
  std::memcpy(&into[24], digits + 20, 12);
  return {into.data(), 36};
}

// "10.0.0.1" of "10.0.0.1:80", "fd00::1" of "[fd00::1]:80".
std::string_view host_of(std::string_view address) {
  const std::string_view host = address.substr(0, address.rfind(':'));
  return host.starts_with('[') ? host.substr(1, host.size() - 2) : host;
}

std::int64_t milliseconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

}  // namespace

// One downstream connection. The request on its way is in `x_`; an idle connection has none.
class HttpConnection final : public Connection, private net::Stream::Notice {
 public:
  HttpConnection(Worker& worker, Accepted accepted, ChainPointer chain, SnapshotTablePointer table);
  ~HttpConnection() override;

  [[nodiscard]] Task<> run(std::string first_bytes);
  void drain() override;
  void abort() override;
  void rang(Alarm::Kind kind);

 private:
  enum class Then : std::uint8_t { next, close };

  // ── Between requests ──
  [[nodiscard]] bool must_end() const;
  void take_exchange();
  void rest();
  void watch_idleness();
  void watch_stillness(Duration limit);
  [[nodiscard]] Duration stillness_left() const;
  [[nodiscard]] bool begin_with(const std::string& first_bytes);
  [[nodiscard]] Task<> linger();
  [[nodiscard]] Task<Result<>> read_on();
  void refuse(std::uint16_t status, std::string_view why, std::string_view details, Flag flag);

  // ── One request ──
  [[nodiscard]] Task<Then> handle();
  void begin();
  [[nodiscard]] bool decide(LocalReply& reply);
  [[nodiscard]] bool decide_cluster(LocalReply& reply);
  [[nodiscard]] bool answers_itself(LocalReply& reply);
  [[nodiscard]] bool check_upgrade(LocalReply& reply);
  void prepare_request();
  [[nodiscard]] bool gather(bool keep);
  void request_is_complete();
  [[nodiscard]] bool find_host(LocalReply& reply);
  [[nodiscard]] Task<Nothing> attempt();
  [[nodiscard]] Task<bool> connect();
  [[nodiscard]] bool interrupted();
  [[nodiscard]] bool earns_another(const Attempt& made);
  [[nodiscard]] bool try_again();
  [[nodiscard]] LocalReply failure_reply();
  [[nodiscard]] LocalReply reset_reply();
  [[nodiscard]] Task<Then> answer_locally(LocalReply reply);
  void write_local(const LocalReply& reply, const http::RequestHead* request);
  void leave_host();
  void finish();
  void count_end();
  void log_end();
  void record_end();
  void watch_client();
  void came(net::Stream& stream) override;
  void interrupt();

  // ── The two directions ──
  [[nodiscard]] Task<Nothing> upload();
  [[nodiscard]] Task<Nothing> upload_rest();
  [[nodiscard]] Task<Nothing> respond();
  [[nodiscard]] Task<bool> await_head();
  [[nodiscard]] bool retried_instead(std::string_view bytes);
  void prepare_response(const BodyFraming& framing);
  [[nodiscard]] BodyFraming framing_downstream() const;
  [[nodiscard]] Task<Nothing> stream_body(const BodyFraming& framing);
  [[nodiscard]] Task<Nothing> become_tunnel(std::string_view bytes);
  [[nodiscard]] bool read_upstream(std::string_view& bytes, H1Event& event);
  void broke_off(Ended how);
  void became_garbage();

  [[nodiscard]] RequestState& state() { return x_->state; }
  [[nodiscard]] const http::RequestHead& request() const { return x_->parser.head(); }
  [[nodiscard]] const config::HttpConnectionManager& manager() const { return *chain_->http; }
  [[nodiscard]] HttpStats& stats() const { return *chain_->http_stats; }
  [[nodiscard]] Instant now() const { return worker_.loop().now(); }

  std::unique_ptr<Exchange> x_;
  Buffer in_;
  std::string_view input_;  // bytes of in_ that are not read yet
  bool idle_ = false;
  bool served_ = false;  // at least one request
  bool ending_ = false;  // asked to end
  bool keep_ = false;    // may serve another request after this one
  Instant idle_since_;
  std::array<char, 24> service_time_{};
  Instant still_by_;  // when that rings, while it is set
  Alarm still_{Alarm::Kind::stillness};
};

void Alarm::set(HttpConnection& connection, net::Loop& loop, Duration after) {
  connection_ = &connection;
  loop.arm(*this, after);
}

void Alarm::expired() {
  connection_->rang(kind_);
}

// ── Between requests ─────────────────────────────────────────────────────────────────────────────

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
  if (x_->head_bytes == chain_->limits.head_bytes) return;
  x_->parser = http::H1RequestParser(chain_->limits);
  x_->answer = http::H1ResponseParser(chain_->limits);
  x_->head_bytes = chain_->limits.head_bytes;
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

void HttpConnection::rang(Alarm::Kind kind) {
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
      stats().downstream_rq_header_timeout.add();
      refuse(408, "the head of the request did not come in time", "request_header_timeout",
             Flag::none);
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
      state().request_over = true;
      stats().downstream_rq_timeout.add();
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

Task<> HttpConnection::run(std::string first_bytes) {
  (void)begin_with(first_bytes);
  while (true) {
    if (input_.empty()) {
      if (stream_->quiet()) {
        if (!x_ || x_->parser.between_messages()) {
          rest();
          if (served_ && must_end()) break;
          watch_idleness();
        }
        const Result<> ready = co_await stream_->readable();
        idle_ = false;
        if (!ready.ok()) break;
      }
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
      if (!x_->head.pending() && !x_->parser.between_messages()) {
        const Duration given = manager().request_headers_timeout;
        x_->head.set(*this, worker_.loop(), given > Duration::zero() ? given : head_patience);
      }
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
  }
}

void HttpConnection::refuse(std::uint16_t status, std::string_view why, std::string_view details,
                            Flag flag) {
  stats().downstream_rq_total.add();
  keep_ = false;
  LocalReply reply{.status = status, .flag = flag, .details = details};
  reply.body = fmt::format("fairlead: {}.\n", why);
  write_local(reply, nullptr);
  const std::array<std::string_view, 1> pieces{x_->reply};
  const Result<std::size_t> written = stream_->write_now(pieces);  // as much as goes at once
  stats().downstream_rq_xx[status / 100 - 1].add();
  LogEntry entry;
  entry.started = worker_.wall();
  entry.protocol = "HTTP/1.1";
  entry.response_code = status;
  entry.flags = flag;
  entry.response_details = details;
  entry.bytes_sent = written.ok() ? reply.body.size() : 0;
  entry.downstream_remote_address = remote_text_;
  entry.downstream_local_address = dialled_text_;
  entry.filter_chain = chain_->chain->name;
  entry.connection_id = id_;
  worker_.log(*chain_, entry);
  x_->soiled = true;
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
  stream_->shut();
  (void)co_await net::within(worker_.loop(), linger_time, read_on());
}

// ── One request ──────────────────────────────────────────────────────────────────────────────────

void HttpConnection::begin() {
  served_ = true;
  keep_ = false;
  Exchange& x = *x_;
  x.tried.clear();
  x.failure_text.clear();
  x.upstream_local_text.clear();
  RequestState& s = x.state;
  s.table = worker_.table();
  s.began = s.progress = now();
  s.started = worker_.wall();
  stats().downstream_rq_total.add();
  stats().downstream_rq_active.add();
}

Task<HttpConnection::Then> HttpConnection::handle() {
  begin();
  RequestState& s = x_->state;
  LocalReply reply;
  if (!decide(reply)) co_return co_await answer_locally(std::move(reply));
  prepare_request();
  if (!gather(true)) co_return co_await answer_locally(failure_reply());
  if (s.timeouts.idle) watch_stillness(*s.timeouts.idle);
  if (!s.complete && manager().request_timeout.count() > 0) {
    x_->request.set(*this, worker_.loop(), manager().request_timeout);
  }

  while (true) {
    if (!find_host(reply)) co_return co_await answer_locally(std::move(reply));
    co_await attempt();
    if (s.ended == Ended::delivered || s.ended == Ended::tunnelled) break;
    if (s.ended == Ended::broken || s.ended == Ended::client_gone) {
      keep_ = false;
      stream_->reset();
      break;
    }
    if ((s.ended == Ended::failed || s.ended == Ended::retry) && try_again()) continue;
    co_return co_await answer_locally(failure_reply());
  }
  const bool lingers = !keep_ && !s.complete && s.ended == Ended::delivered;
  finish();
  if (lingers) co_await linger();
  co_return keep_ ? Then::next : Then::close;
}

bool HttpConnection::decide(LocalReply& reply) {
  RequestState& s = state();
  http::RequestHead& head = x_->parser.head();
  if (manager().normalize_path && !head.is_connect()) {
    const Result<> normal = normalise_path(head);
    if (!normal.ok()) {
      reply = {.status = 400, .details = "path_normalization_failed"};
      reply.body = fmt::format("fairlead: {}.\n", normal.fault().message);
      return false;
    }
  }
  if (!check_upgrade(reply)) return false;
  // Routes that stand in the listener go with it; those that it names are the newest.
  const RouteTable* routes = (manager().routes ? *table_ : *s.table).routes(manager());
  s.rule = routes ? match(*routes, head) : nullptr;
  if (!s.rule) {
    stats().no_route.add();
    reply = {.status = 404, .flag = Flag::no_route_found, .details = "route_not_found"};
    reply.body = routes ? fmt::format("fairlead: no route takes {} {} of host {}.\n",
                                      http::printable(head.method), http::printable(head.path),
                                      http::printable(head.authority))
                        : fmt::format("fairlead: the routes {} are not known.\n",
                                      http::printable(manager().route_config_name));
    return false;
  }
  if (answers_itself(reply)) return false;
  return decide_cluster(reply);
}

bool HttpConnection::answers_itself(LocalReply& reply) {
  const config::Route& route = *state().rule->route;
  if (route.kind == config::Route::Kind::forward) return false;
  reply = {.flag = Flag::none, .details = "direct_response"};
  if (route.kind == config::Route::Kind::direct) {
    stats().rq_direct_response.add();
    reply.status = static_cast<std::uint16_t>(route.direct.status);
    reply.body = route.direct.body;
  } else {
    stats().rq_redirect.add();
    reply.status = static_cast<std::uint16_t>(route.redirect.status);
    reply.location = redirect_location(*state().rule, request());
  }
  return true;
}

bool HttpConnection::decide_cluster(LocalReply& reply) {
  RequestState& s = state();
  const config::RouteAction& action = s.rule->route->forward;
  s.cluster_name = choose_cluster(action.clusters, worker_.random()).cluster;
  s.cluster = worker_.cluster(s.cluster_name);
  s.timeouts = timeouts_of(action, manager());
  if (!s.cluster) {
    stats().no_cluster.add();
    reply = {.status = 503,
             .flag = Flag::no_cluster_found,
             .details = "cluster_not_found",
             .undelivered = true};
    reply.body = fmt::format("fairlead: the route leads to the cluster {}, which is not known.\n",
                             s.cluster_name);
    return false;
  }
  if (s.cluster->reached(Cluster::Limit::requests)) {
    s.cluster->stats().upstream_rq_pending_overflow.add();
    reply = {.status = 503,
             .flag = Flag::upstream_overflow,
             .details = "upstream_reset_before_response_started{overflow}",
             .undelivered = true};
    reply.body = fmt::format("fairlead: the cluster {} has as many requests as it may have.\n",
                             s.cluster_name);
    s.cluster = nullptr;
    return false;
  }
  s.cluster->stats().upstream_rq_active.add();
  return true;
}

bool HttpConnection::check_upgrade(LocalReply& reply) {
  const http::RequestHead& head = request();
  if (head.upgrade.empty() && !head.is_connect()) return true;
  if (http::same_name(head.upgrade, "h2c")) return true;  // not passed on: RFC 9113 §3.1
  const std::string_view what = head.is_connect() ? "CONNECT" : head.upgrade;
  if (has_word(manager().upgrades, what)) {
    state().upgrading = true;
    return true;
  }
  stats().downstream_rq_ws_on_non_ws_route.add();
  reply = {.status = 403, .details = "upgrade_failed"};
  reply.body = fmt::format("fairlead: {} is not allowed here.\n", http::printable(what));
  return false;
}

void HttpConnection::prepare_request() {
  RequestState& s = state();
  http::RequestHead& head = x_->parser.head();
  const bool edge = manager().use_remote_address;
  if (s.rule->changes_request) rewrite_request(*s.rule, head);
  if (head.expect_continue || head.version == http::Version::http10) {
    head.fields.remove(FieldName::expect);
  }
  if (edge) {
    const std::string_view peer = host_of(remote_text_);
    const std::string_view before = head.fields.value(FieldName::x_forwarded_for);
    if (before.empty()) {
      head.fields.remove(FieldName::x_forwarded_for);
      head.fields.add({"x-forwarded-for", peer, FieldName::x_forwarded_for});
    } else {
      head.fields.set_copy("x-forwarded-for", fmt::format("{},{}", before, peer));
    }
  }
  if (edge || !head.fields.has(FieldName::x_forwarded_proto)) {
    head.fields.remove(FieldName::x_forwarded_proto);
    head.fields.add({"x-forwarded-proto", "http", FieldName::x_forwarded_proto});
  }
  if (manager().generate_request_id) {
    const bool anew = edge && !manager().preserve_external_request_id;
    if (anew) head.fields.remove(FieldName::x_request_id);
    if (anew || !head.fields.has(FieldName::x_request_id)) {
      head.fields.add(
          {"x-request-id", write_uuid(x_->request_id, worker_.random()), FieldName::x_request_id});
    }
  }
  x_->out.clear();
  http::write_request(x_->out, head, {.body = head.body, .pass_upgrade = s.upgrading});
}

// What of the body is here already: so much can be sent again.
bool HttpConnection::gather(bool keep) {
  RequestState& s = state();
  const BodyFraming framing = request().body;
  while (!s.complete) {
    switch (x_->parser.next(input_)) {
      case H1Event::data: {
        const std::string_view data = x_->parser.data();
        s.bytes_received += data.size();
        if (!keep) break;
        if (framing.kind == BodyFraming::Kind::chunked) {
          http::write_chunk(x_->out, data);
        } else {
          x_->out += data;
        }
        break;
      }
      case H1Event::end:
        if (keep && framing.kind == BodyFraming::Kind::chunked) {
          http::write_last_chunk(x_->out, &x_->parser.trailers());
        }
        request_is_complete();
        break;
      case H1Event::failed:
        s.bad_request = true;
        s.ended = Ended::bad_request;
        return false;
      default:
        return true;
    }
  }
  return true;
}

void HttpConnection::request_is_complete() {
  RequestState& s = state();
  s.complete = true;
  s.request_ended = now();
  x_->request.cancel();
  if (s.timeouts.whole && !s.upgrading) {
    x_->whole.set(*this, worker_.loop(), *s.timeouts.whole);
  }
}

bool HttpConnection::find_host(LocalReply& reply) {
  RequestState& s = state();
  Host* host = nullptr;
  if (s.cluster->config().type == config::ClusterType::original_dst) {
    if (worker_.leads_to_ourselves(dialled_, stream_->local().ip)) {
      reply = {.status = 503, .flag = Flag::no_healthy_upstream, .details = "loop_refused"};
      reply.body = fmt::format(
          "fairlead: {} is this proxy itself; the request would go in a "
          "circle.\n",
          dialled_text_);
      return false;
    }
    host = &s.cluster->at(dialled_);
  } else {
    host = s.cluster->pick(x_->tried);
  }
  if (!host) {
    s.cluster->stats().upstream_cx_none_healthy.add();
    reply = {.status = 503,
             .flag = Flag::no_healthy_upstream,
             .details = "no_healthy_upstream",
             .undelivered = true};
    reply.body = fmt::format("fairlead: no endpoint of the cluster {} is ready.\n", s.cluster_name);
    return false;
  }
  s.host = HostHold(*host);
  return true;
}

// One try: a connection, the request, and the response for as long as it lasts.
Task<Nothing> HttpConnection::attempt() {
  Exchange& x = *x_;
  RequestState& s = x.state;
  ++s.attempts;
  s.request_sent = s.attempt_over = s.reusable = false;
  s.pooled.reset();
  s.cluster->stats().upstream_rq_total.add();
  watch_client();
  if (s.timeouts.attempt) x.attempt.set(*this, worker_.loop(), *s.timeouts.attempt);
  s.up = s.cluster->take_idle(*s.host);
  if (s.up) {
    s.pooled = now() - s.up->made();
  } else {
    const bool same_again =
        std::find(x.tried.begin(), x.tried.end(), s.host->name()) != x.tried.end();
    if (same_again) {
      const auto most = static_cast<std::uint64_t>(first_back_off.count()) << (s.retries - 1);
      (void)co_await worker_.loop().sleep(Duration(worker_.random().below(most)));
    }
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
                   .upgrade = s.upgrading && !request().is_connect()});
  s.request_sent = true;
  s.sent = now();
  s.cluster->stats().upstream_cx_tx_bytes_total.add(x.out.size());
  // Whether it went well is seen in what comes back: a server may answer early and close.
  (void)co_await s.up->stream().write_all(x.out);
  if (s.complete) {
    co_await respond();
  } else {
    s.body_sent = true;
    (void)co_await both(upload(), respond());
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
  const RetrySituation situation{.retries_made = s.retries,
                                 .retries_in_flight = s.cluster->retries_in_flight(),
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
  return true;
}

LocalReply HttpConnection::reset_reply() {
  RequestState& s = state();
  LocalReply reply{.status = 503};
  const std::string where = fmt::format("{} (cluster {})", s.host->text(), s.cluster_name);
  if (s.failure == Outcome::connect_failed && has(s.flags, Flag::upstream_overflow)) {
    reply.flag = Flag::upstream_overflow;
    reply.details = "upstream_reset_before_response_started{overflow}";
    reply.undelivered = true;
    reply.body = fmt::format("fairlead: {}.\n", x_->failure_text);
  } else if (s.failure == Outcome::connect_failed) {
    reply.flag = Flag::upstream_connection_failure;
    reply.details = "upstream_reset_before_response_started{connection_failure}";
    reply.undelivered = true;
    reply.body = fmt::format("fairlead: no connection to {}: {}.\n", where, x_->failure_text);
  } else if (s.failure == Outcome::try_timed_out) {
    reply.status = 504;
    reply.flag = Flag::upstream_request_timeout;
    reply.details = "upstream_per_try_timeout";
    reply.body = fmt::format("fairlead: {} did not answer within {} ms.\n", where,
                             milliseconds(*s.timeouts.attempt));
  } else {
    s.cluster->stats().upstream_rq_rx_reset.add();
    reply.flag = Flag::upstream_connection_termination;
    reply.details = "upstream_reset_before_response_started{connection_termination}";
    reply.undelivered = http::is_safe(request().method) && !request().body.may_have_bytes();
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

void HttpConnection::write_local(const LocalReply& reply, const http::RequestHead* request) {
  http::ResponseHead head;
  head.status = reply.status;
  if (!reply.body.empty()) head.fields.add("content-type", "text/plain");
  if (!reply.location.empty()) head.fields.add("location", reply.location);
  if (has(reply.flag, Flag::upstream_overflow)) head.fields.add("x-envoy-overloaded", "true");
  if (reply.undelivered && chain_->listener->direction == config::Direction::inbound) {
    std::string_view reason = reply.details;
    head.fields.add(config::undelivered_mark, reason);
  }
  head.fields.add("date", worker_.date());
  head.fields.add("server", manager().server_name);
  if (request && x_->state.rule && x_->state.rule->changes_response) {
    rewrite_response(*x_->state.rule, head);
  }
  x_->reply.clear();
  http::write_response(x_->reply, head,
                       {.body = BodyFraming::sized(reply.body.size()),
                        .persist = keep_ ? http::Persist::keep_alive : http::Persist::close,
                        .peer = request ? request->version : http::Version::http11,
                        .pass_upgrade = false});
  if (!request || !request->is_head()) x_->reply += reply.body;
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
  s.response_started = true;
  x_->whole.cancel();
  const Result<> written = co_await stream_->write_all(x_->reply);
  if (!written.ok()) {
    keep_ = false;
    s.flags |= Flag::downstream_connection_termination;
  }
  finish();
  if (!keep_ && written.ok()) co_await linger();
  co_return keep_ ? Then::next : Then::close;
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
      x_->answer = http::H1ResponseParser(chain_->limits);
    }
  }
  s.host.release();
}

// ── How it ended ─────────────────────────────────────────────────────────────────────────────────

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

void HttpConnection::count_end() {
  RequestState& s = state();
  const Duration took = now() - s.began;
  HttpStats& http = stats();
  http.downstream_rq_active.subtract();
  http.downstream_rq_completed.add();
  http.downstream_rq_time.add(took);
  http.downstream_cx_tx_bytes_total.add(x_->reply.size());
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
    entry.upstream_protocol = "HTTP/1.1";
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
  entry.filter_chain = chain_->chain->name;
  entry.attempts = s.attempts;
  entry.connection_id = id_;
  worker_.log(*chain_, entry);
}

void HttpConnection::record_end() {
  RequestState& s = state();
  Record& record = worker_.records().add();
  record.id = request().fields.value(FieldName::x_request_id);
  record.method = request().method;
  record.path = request().path;
  record.started = s.started;
  record.duration = now() - s.began;
  record.direction = chain_->listener->direction;
  record.downstream_remote = stream_->peer();
  record.downstream_local = stream_->local();
  record.original_destination = dialled_;
  record.upstream_local = s.upstream_local;
  record.listener = chain_->listener->name;
  record.filter_chain = chain_->chain->name;
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
  record.bytes_received = s.bytes_received;
  record.bytes_sent = s.bytes_sent;
}

// ── The client while it waits ────────────────────────────────────────────────────────────────────

void HttpConnection::watch_client() {
  if (state().complete && stream_->quiet()) stream_->notify(this);
}

void HttpConnection::came(net::Stream& stream) {
  if (!input_.empty()) return;  // the next request has begun to come already
  if (!in_) in_ = worker_.buffers().take();
  const Result<net::Taken> taken = stream.read_now(in_.span());
  if (!taken.ok() || taken->end) {
    state().client_gone = true;
    interrupt();
    return;
  }
  input_ = in_.first(taken->bytes);
  stats().downstream_cx_rx_bytes_total.add(taken->bytes);
  if (input_.empty()) stream_->notify(this);
}

// Wakes whoever waits for the upstream side.
void HttpConnection::interrupt() {
  RequestState& s = state();
  if (s.connecting) s.connecting->cancel();
  if (s.uploading) s.uploading->cancel();
  if (s.up) s.up->stream().close();
}

// ── The two directions ───────────────────────────────────────────────────────────────────────────

Task<Nothing> HttpConnection::upload() {
  Cancel cancel(co_await cancellation_here());
  state().uploading = &cancel;
  co_await under(cancel, upload_rest());
  state().uploading = nullptr;
  co_return Nothing();
}

Task<Nothing> HttpConnection::upload_rest() {
  RequestState& s = state();
  http::H1RequestParser& parser = x_->parser;
  net::Stream& up = s.up->stream();
  const bool chunked = request().body.kind == BodyFraming::Kind::chunked;
  std::string line;
  if (request().expect_continue && s.bytes_received == 0) {
    const Result<> said = co_await stream_->write_all("HTTP/1.1 100 Continue\r\n\r\n");
    if (!said.ok()) co_return Nothing();
  }
  bool many = false;  // the last read filled its buffer
  while (!s.complete) {
    const H1Event event = parser.next(input_);  // the end of a body needs no byte after it
    if (event == H1Event::more) {
      if (stream_->quiet()) {
        in_.release();
        const Result<> ready = co_await stream_->readable();
        if (!ready.ok()) co_return Nothing();
      }
      if (!in_ || (many && in_.size() == Buffers::small)) {
        in_ = many ? worker_.buffers().take_large() : worker_.buffers().take();
      }
      const Result<net::Taken> taken = stream_->read_now(in_.span());
      if (!taken.ok() || taken->end) {
        s.client_gone = true;
        interrupt();
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
      sent = co_await up.write_all(std::span(pieces));
      s.cluster->stats().upstream_cx_tx_bytes_total.add(data.size());
    } else if (event == H1Event::end) {
      if (chunked) http::write_last_chunk(line, &parser.trailers());
      if (!line.empty()) sent = co_await up.write_all(line);
      request_is_complete();
      watch_client();
    } else if (event == H1Event::failed) {
      s.bad_request = true;
      interrupt();
      co_return Nothing();
    }
    if (!sent.ok()) co_return Nothing();  // the server has perhaps answered without reading on
  }
  co_return Nothing();
}

void HttpConnection::broke_off(Ended how) {
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
    event = x.answer.finish();
    if (event == H1Event::end || event == H1Event::head) return true;
    x.failure_text = "the connection was closed";
    return false;
  }
  bytes = x.from_upstream.first(taken->bytes);
  x.state.progress = now();
  x.state.cluster->stats().upstream_cx_rx_bytes_total.add(taken->bytes);
  event = H1Event::more;
  return true;
}

Task<Nothing> HttpConnection::respond() {
  Exchange& x = *x_;
  RequestState& s = x.state;
  net::Stream& up = s.up->stream();
  std::string_view bytes;
  while (true) {
    H1Event event = bytes.empty() ? H1Event::more : x.answer.next(bytes);
    if (event == H1Event::more) {
      if (up.quiet()) {
        x.from_upstream.release();
        const Result<> ready = co_await up.readable();
        if (!ready.ok()) s.client_gone = true;
      }
      if (interrupted()) break;
      if (!x.from_upstream) x.from_upstream = worker_.buffers().take();
      if (!read_upstream(bytes, event)) {
        broke_off(Ended::failed);
        break;
      }
      continue;
    }
    if (event == H1Event::interim) {
      if (x.answer.head().status == 100 || request().version != http::Version::http11) continue;
      x.reply.clear();
      http::write_response(x.reply, x.answer.head(), {});
      (void)co_await stream_->write_all(x.reply);
      continue;
    }
    if (event != H1Event::head) {
      x.failure_text = x.answer.error().why;
      s.ended = Ended::bad_response;
      break;
    }

    s.response_began = now();
    x.attempt.cancel();
    x.request.cancel();
    s.response_status = x.answer.head().status;
    if (retried_instead(bytes)) break;
    const BodyFraming framing = framing_downstream();
    const bool tunnel = framing.kind == BodyFraming::Kind::tunnel;
    keep_ = request().keep_alive && s.complete && !must_end() && !tunnel &&
            framing.kind != BodyFraming::Kind::until_close;
    prepare_response(framing);
    s.response_started = true;
    s.status = s.response_status;
    s.details = "via_upstream";
    if (tunnel) {
      co_await become_tunnel(bytes);
      break;
    }
    const bool silent = request().is_head();
    while ((event = x.answer.next(bytes)) == H1Event::data) {
      s.bytes_sent += x.answer.data().size();
      if (framing.kind == BodyFraming::Kind::chunked) {
        http::write_chunk(x.reply, x.answer.data());
      } else {
        x.reply += x.answer.data();
      }
    }
    const bool whole = event == H1Event::end;
    if (whole && framing.kind == BodyFraming::Kind::chunked && !silent) {
      http::write_last_chunk(x.reply, &x.answer.trailers());
    }
    const Result<> written = co_await stream_->write_all(x.reply);
    if (!written.ok()) {
      s.client_gone = true;
      s.ended = Ended::client_gone;
    } else if (event == H1Event::failed) {
      became_garbage();
    } else if (whole) {
      s.ended = Ended::delivered;
    } else {
      co_await stream_body(framing);
    }
    break;
  }
  s.reusable = s.ended == Ended::delivered && x.answer.head().keep_alive && s.complete &&
               bytes.empty() && x.answer.head().body.kind != BodyFraming::Kind::until_close;
  if (s.uploading) s.uploading->cancel();
  co_return Nothing();
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
      .undelivered = head.status == 503 && head.fields.has(FieldName::x_fairlead_undelivered),
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
  head.fields.remove(FieldName::x_fairlead_undelivered | FieldName::x_envoy_upstream_service_time);
  if (s.rule->changes_response) rewrite_response(*s.rule, head);
  const auto end = std::to_chars(service_time_.data(), service_time_.data() + service_time_.size(),
                                 milliseconds(*s.response_began - s.sent))
                       .ptr;
  head.fields.add({"x-envoy-upstream-service-time",
                   {service_time_.data(), static_cast<std::size_t>(end - service_time_.data())},
                   FieldName::x_envoy_upstream_service_time});
  if (!head.fields.has(FieldName::date)) {
    head.fields.add({"date", worker_.date(), FieldName::date});
  }
  if (!manager().server_header_pass_through) {
    head.fields.remove(FieldName::server);
    head.fields.add({"server", manager().server_name, FieldName::server});
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
    if (up.quiet()) {
      x.from_upstream.release();
      const Result<> ready = co_await up.readable();
      if (!ready.ok()) s.client_gone = true;
    }
    if (interrupted()) co_return Nothing();
    if (!x.from_upstream || (many && x.from_upstream.size() == Buffers::small)) {
      x.from_upstream = many ? worker_.buffers().take_large() : worker_.buffers().take();
    }
    std::string_view bytes;
    if (!read_upstream(bytes, event)) {
      broke_off(Ended::broken);
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
      const Result<> written = co_await stream_->write_all(std::span(pieces));
      if (!written.ok()) {
        s.client_gone = true;
        s.ended = Ended::client_gone;
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
      const Result<> written = co_await stream_->write_all(x.reply);
      if (!written.ok()) {
        s.client_gone = true;
        s.ended = Ended::client_gone;
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
  co_return Nothing();
}

Task<> forward_http(Worker& worker, Accepted accepted, ChainPointer chain,
                    SnapshotTablePointer table, std::string first_bytes) {
  HttpConnection connection(worker, std::move(accepted), std::move(chain), std::move(table));
  co_await connection.run(std::move(first_bytes));
}

}  // namespace fairlead::proxy
