// One request, from its head to the endpoint that it goes to.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "http/h1_writer.h"
#include "http/validate.h"
#include "proxy/decide/arrival.h"
#include "proxy/decide/closed.h"
#include "proxy/decide/rewrite.h"
#include "proxy/http_connection.h"
#include "proxy/uuid.h"

namespace fairlead::proxy {
namespace {

using http::BodyFraming;
using http::H1Event;

bool has_word(const std::vector<std::string>& words, std::string_view word) {
  return std::any_of(words.begin(), words.end(),
                     [&](const std::string& one) { return http::same_name(one, word); });
}

}  // namespace

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
  // Of a route, once there is one: until then an answer of our own must be taken in time too.
  if (manager().stream_idle_timeout.count() > 0) s.timeouts.idle = manager().stream_idle_timeout;
  s.started = worker_.wall();
  stats().downstream_rq_total.add();
  stats().downstream_rq_active.add();
}

Task<HttpConnection::Then> HttpConnection::handle() {
  begin();
  RequestState& s = x_->state;
  LocalReply reply;
  receive_head();
  if (!decide(reply)) co_return co_await answer_locally(std::move(reply));
  prepare_request();
  if (!gather(true)) co_return co_await answer_locally(failure_reply());
  if (s.timeouts.idle) watch_stillness(*s.timeouts.idle);
  if (!s.complete) limit_request();
  if (client_has_left()) {
    s.ended = Ended::client_gone;
    co_return give_up();
  }

  while (true) {
    if (!find_host(reply)) co_return co_await answer_locally(std::move(reply));
    co_await attempt();
    if (s.ended == Ended::delivered || s.ended == Ended::tunnelled) break;
    if (s.ended == Ended::broken || s.ended == Ended::client_gone) co_return give_up();
    if ((s.ended == Ended::failed || s.ended == Ended::retry) && try_again()) {
      if (co_await back_off()) continue;
      if (s.ended == Ended::client_gone) co_return give_up();
    }
    co_return co_await answer_locally(failure_reply());
  }
  const bool lingers = !keep_ && !s.complete && s.ended == Ended::delivered;
  finish();
  if (lingers) co_await linger();
  co_return keep_ ? Then::next : Then::close;
}

void HttpConnection::receive_head() {
  http::RequestHead& head = x_->parser.head();
  Arrival arrival;
  if (manager().use_remote_address) arrival.peer = host_of(remote_text_);
  if (needs_id(manager(), head)) arrival.id = write_uuid(x_->request_id, worker_.random());
  const bool asks_upgrade = !head.upgrade.empty();
  receive(head, manager(), arrival);
  if (asks_upgrade && head.upgrade.empty()) stats().downstream_rq_ws_on_non_ws_route.add();
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
  if (const std::string_view why = why_closed(manager(), *s.rule); !why.empty()) {
    stats().protection_not_enforced.add();
    reply = closed_reply(403, why, "this route");
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
  if (const config::Closed& why = s.cluster->config().closed; !why.empty()) {
    s.cluster->stats().protection_not_enforced.add();
    s.cluster = nullptr;
    reply = closed_reply(503, why, fmt::format("the cluster {}", s.cluster_name));
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
  const bool refused = head.is_connect() && !has_word(manager().upgrades, "CONNECT");
  state().upgrading = head.is_connect() ? !refused : !head.upgrade.empty();
  if (!refused) return true;
  stats().downstream_rq_ws_on_non_ws_route.add();
  reply = {.status = 403, .details = "upgrade_failed"};
  reply.body = "fairlead: CONNECT is not allowed here.\n";
  return false;
}

void HttpConnection::prepare_request() {
  RequestState& s = state();
  http::RequestHead& head = x_->parser.head();
  if (s.rule->changes_request) rewrite_request(*s.rule, head);
  // Whoever takes Expect off answers it (RFC 9110 §10.1.1).
  s.passes_expect = head.expect_continue && head.fields.has(http::FieldName::expect);
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
  if (const std::string_view why = s.cluster->why_closed(*host); !why.empty()) {
    s.cluster->stats().protection_not_enforced.add();
    reply = closed_reply(503, why, fmt::format("{} (cluster {})", host->text(), s.cluster_name));
    return false;
  }
  return true;
}

}  // namespace fairlead::proxy
