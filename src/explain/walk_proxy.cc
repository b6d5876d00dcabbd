// The walk through proxies: listener, filter chain, route, cluster, endpoint.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <variant>

#include "control/compile/compile.h"
#include "explain/endpoints.h"
#include "explain/walk.h"
#include "http/h1_parser.h"
#include "http/validate.h"
#include "proxy/decide/arrival.h"
#include "proxy/decide/balance.h"
#include "proxy/decide/closed.h"
#include "proxy/decide/limits.h"
#include "proxy/decide/match.h"
#include "proxy/decide/rewrite.h"

namespace fairlead::explain {
namespace {

// As long as any: it counts in the size of a request's head.
constexpr std::string_view some_id = "00000000-0000-4000-8000-000000000000";

std::vector<Refusal> told(const proxy::Refusals& refusals) {
  std::vector<Refusal> all;
  for (const proxy::Refusal& each : refusals) {
    all.push_back({.name = each.what, .why = each.why, .origin = each.origin});
  }
  return all;
}

const config::Listener* bound_to(const config::Snapshot& snapshot, std::uint16_t port) {
  for (const auto& [name, listener] : snapshot.listeners) {
    if (listener->bind_to_port && listener->address.port == port) return listener.get();
  }
  return nullptr;
}

bool inspected(const config::Listener& listener, std::uint16_t port) {
  const auto& without = listener.uninspected_ports;
  return listener.http_inspector &&
         std::find(without.begin(), without.end(), port) == without.end();
}

std::string why_treated(const config::Listener& listener, const config::FilterChain& chain,
                        bool looks, bool http) {
  if (!looks) {
    if (chain.origin.kind != "built-in") return "the port declares it";
    const bool speaks_http = std::holds_alternative<config::HttpConnectionManager>(chain.filter);
    return speaks_http ? "the bootstrap says so" : "nothing is known of it";
  }
  if (http) return "the first bytes are HTTP/1.1";
  return fmt::format("the first bytes are not HTTP/1.1, or none come for {} ms",
                     listener.listener_filters_timeout.count());
}

Met refused_by_proxy(bool http, const char* flag) {
  if (!http) return {.ending = Ending::closed, .flag = flag};
  return {.ending = Ending::answered, .status = 503, .flag = flag};
}

std::string_view word_for(config::BalancePolicy policy) {
  switch (policy) {
    case config::BalancePolicy::round_robin:
      return "in turn";
    case config::BalancePolicy::least_request:
      return "the less busy of two at random";
    case config::BalancePolicy::random:
      return "at random";
    case config::BalancePolicy::cluster_provided:
      return "as the cluster says";
  }
  return "";
}

// Of what the proxy chose and refuses.
std::string closed_failure(std::string_view answer, std::string_view part, std::string_view why) {
  return fmt::format(
      "{} PNE: {} is closed, since it came with a protection that is not enforced ({})", answer,
      part, why);
}

Met met_closed(bool http) {
  if (http) return {.ending = Ending::answered, .status = 503};
  return {.ending = Ending::closed};
}

// The request as the proxy has it when it looks for a route: by its own parser, in its own order.
class ReceivedRequest {
 public:
  ReceivedRequest(std::string text, std::string peer, const config::HttpConnectionManager& manager)
      : text_(std::move(text)), peer_(std::move(peer)), parser_(proxy::limits_of(manager)) {
    std::string_view bytes = text_;
    if (parser_.next(bytes) != http::H1Event::head) {
      status_ = parser_.error().status;
      refusal_ = fmt::format("{}: {}", status_, parser_.error().why);
      return;
    }
    http::RequestHead& head = parser_.head();
    asked_upgrade_ = head.upgrade;
    proxy::receive(
        head, manager,
        {.peer = peer_, .id = proxy::needs_id(manager, head) ? some_id : std::string_view()});
    const Result<> normal = manager.normalize_path ? proxy::normalise_path(head) : done();
    if (normal) return;
    status_ = 400;
    refusal_ = "400: " + normal.fault().message;
  }

  // What the proxy answers itself; empty: head() is good.
  [[nodiscard]] const std::string& refusal() const LIFETIMEBOUND { return refusal_; }
  [[nodiscard]] std::uint32_t status() const { return status_; }
  [[nodiscard]] const http::RequestHead& head() const LIFETIMEBOUND { return parser_.head(); }

  // What the proxy does with the upgrade that the request asks for; empty: it asks for none.
  [[nodiscard]] std::string upgrade() const {
    if (asked_upgrade_.empty()) return {};
    const std::string_view passes = head().upgrade;
    return passes.empty()
               ? fmt::format("the upgrade to {} is not configured: the request goes on without it",
                             http::printable(asked_upgrade_))
               : fmt::format("the upgrade to {} is passed on; the app may switch to it",
                             http::printable(passes));
  }

 private:
  std::string text_;
  std::string peer_;
  http::H1RequestParser parser_;
  std::string asked_upgrade_;
  std::string refusal_;
  std::uint32_t status_ = 0;
};

// "outbound|9080||reviews.default.svc.cluster.local": what istiod's names say.
struct Named {
  const mesh::Service* service = nullptr;
  const mesh::ServicePort* port = nullptr;
};

Named service_behind(const mesh::World& world, const std::string& cluster) {
  const std::size_t last = cluster.rfind('|');
  const std::size_t first = cluster.find('|');
  if (last == std::string::npos || first == last) return {};
  const mesh::Service* service = mesh::find_service_by_host(world, cluster.substr(last + 1));
  if (!service) return {};
  for (const mesh::ServicePort& port : service->ports) {
    const std::string number = std::to_string(port.port);
    if (cluster.compare(first + 1, number.size() + 1, number + '|') == 0) return {service, &port};
  }
  return {service, nullptr};
}

}  // namespace

void Walk::enter_proxy(Way way, const mesh::Workload& workload, std::uint16_t capture_port,
                       const SocketAddress& source, const SocketAddress& dialled) {
  const config::Snapshot& snapshot = model_.snapshot_of(workload);
  const config::Listener* accepted = bound_to(snapshot, capture_port);
  Hop& hop = add(way, Stage::listener, proxy_of(workload), "");
  hop.world = snapshot.versions.listeners;
  if (!accepted) {
    hop.says = fmt::format("port {}", capture_port);
    return fail(std::move(way), {.ending = Ending::refused},
                fmt::format("the proxy has no listener on port {}", capture_port));
  }
  if (depth_ == most_proxies) {
    return fail(std::move(way), {.ending = Ending::closed},
                "the connection goes in a circle from proxy to proxy");
  }
  const config::Listener* listener = proxy::listener_for(snapshot, *accepted, dialled);
  hop.name = listener->name;
  hop.says = listener->name;
  if (listener != accepted) {
    hop.details.push_back(
        fmt::format("{} hands over what dialled {}", accepted->name, dialled.text()));
  } else if (accepted->use_original_dst) {
    hop.details.push_back(fmt::format("no listener is for {} in particular", dialled.text()));
  }
  hop.origin = listener->origin;
  for (const config::Unhonoured& field : snapshot.unhonoured) {
    if (field.effect == Effect::decides) {
      note(fmt::format("may differ: {} is not honoured", field.describe()));
    }
  }
  ++depth_;
  choose_chain(std::move(way), {&workload, &snapshot, listener, source, dialled});
  --depth_;
}

void Walk::choose_chain(Way way, AtProxy at) {
  proxy::ConnectionFacts facts{.source = at.source, .destination = at.dialled};
  const bool looks = inspected(*at.listener, at.dialled.port);
  if (looks && http_) facts.application_protocols = {"http/1.1"};
  proxy::Refusals refused;
  const config::FilterChain* chain = proxy::choose_filter_chain(*at.listener, facts, &refused);
  Hop& hop = add(way, Stage::chain, proxy_of(*at.workload), "");
  hop.world = at.snapshot->versions.listeners;
  hop.refused = told(refused);
  if (!chain) {
    hop.says = "none";
    return fail(std::move(way), {.ending = Ending::closed},
                fmt::format("no filter chain of {} takes a connection to {}", at.listener->name,
                            at.dialled.text()));
  }
  hop.name = chain->name;
  hop.origin = chain->origin;
  at.http = std::holds_alternative<config::HttpConnectionManager>(chain->filter);
  (at.http ? way.by_http : way.by_tcp) = true;
  hop.says = fmt::format("{}, as {}: {}", chain->name.empty() ? "its only one" : chain->name,
                         at.http ? "HTTP" : "TCP", why_treated(*at.listener, *chain, looks, http_));
  if (!chain->closed.empty()) {
    return fail(std::move(way), {.ending = Ending::closed},
                closed_failure("the connection is reset,", "the filter chain " + chain->name,
                               chain->closed));
  }
  if (const auto* manager = std::get_if<config::HttpConnectionManager>(&chain->filter)) {
    return route(std::move(way), at, *manager);
  }
  forward(way, at, std::get<config::TcpProxy>(chain->filter).clusters);
}

void Walk::route(Way way, const AtProxy& at, const config::HttpConnectionManager& manager) {
  Hop& hop = add(way, Stage::route, proxy_of(*at.workload), "");
  hop.world = at.snapshot->versions.routes;
  std::shared_ptr<const config::RouteConfiguration> routes;
  if (manager.routes) {
    routes = std::make_shared<const config::RouteConfiguration>(*manager.routes);
    hop.world = at.snapshot->versions.listeners;  // they came inside the listener
  } else if (const auto found = at.snapshot->routes.find(manager.route_config_name);
             found != at.snapshot->routes.end()) {
    routes = found->second;
  }
  if (!routes) {
    hop.says = manager.route_config_name;
    return fail(std::move(way), {.ending = Ending::answered, .status = 404, .flag = "NR"},
                fmt::format("404 NR: the proxy has no routes named {}", manager.route_config_name));
  }
  const auto table = proxy::RouteTable::make(routes);
  if (!table) return fail(std::move(way), {}, table.fault().describe());
  ReceivedRequest received(request_text(call_, some_id), at.source.ip.text(), manager);
  if (!received.refusal().empty()) {
    hop.says = "none: the request is refused";
    return fail(std::move(way), {.ending = Ending::answered, .status = received.status()},
                received.refusal());
  }
  const http::RequestHead& request = received.head();
  proxy::Refusals refused;
  const proxy::Rule* rule = proxy::match(**table, request, &refused);
  hop.refused = told(refused);
  if (std::string upgrade = received.upgrade(); !upgrade.empty()) {
    hop.details.push_back(std::move(upgrade));
  }
  if (!rule) {
    hop.says = routes->name;
    return fail(std::move(way), {.ending = Ending::answered, .status = 404, .flag = "NR"},
                fmt::format("404 NR: no route of {} takes {} {}", routes->name, request.authority,
                            request.path));
  }
  hop.name = rule->route->name;
  hop.says = fmt::format("{}, host {}, route {}", routes->name, rule->host->name,
                         rule->route->name.empty() ? "without a name" : rule->route->name);
  if (hop.says == fmt::format("{0}, host {0}, route default", routes->name))
    hop.says = routes->name;
  hop.origin = rule->route->origin;
  if (const std::string_view why = proxy::why_closed(manager, *rule); !why.empty()) {
    return fail(std::move(way), {.ending = Ending::answered, .status = 403},
                closed_failure("403", "the route", why));
  }
  switch (rule->route->kind) {
    case config::Route::Kind::forward:
      return forward(way, at, rule->route->forward.clusters);
    case config::Route::Kind::redirect:
      return fail(std::move(way),
                  {.ending = Ending::answered, .status = rule->route->redirect.status},
                  fmt::format("the proxy answers itself: {} to {}", rule->route->redirect.status,
                              proxy::redirect_location(*rule, request)));
    case config::Route::Kind::direct:
      return fail(std::move(way),
                  {.ending = Ending::answered, .status = rule->route->direct.status},
                  fmt::format("the proxy answers itself: {}", rule->route->direct.status));
  }
}

void Walk::forward(const Way& way, const AtProxy& at,
                   const std::vector<config::WeightedCluster>& clusters) {
  const std::vector<proxy::ClusterShare> shares = proxy::cluster_shares(clusters);
  Way whole = way;
  if (shares.size() > 1) {
    for (const proxy::ClusterShare& each : shares) {
      whole.hops.back().choices.push_back({.name = each.cluster->cluster, .share = each.share});
    }
  }
  for (const proxy::ClusterShare& each : shares) {
    Way one = whole;
    one.share *= each.share;
    to_cluster(std::move(one), at, each.cluster->cluster);
  }
}

void Walk::to_cluster(Way way, const AtProxy& at, const std::string& name) {
  Hop& hop = add(way, Stage::cluster, proxy_of(*at.workload), name);
  hop.name = name;
  hop.world = at.snapshot->versions.clusters;
  const auto found = at.snapshot->clusters.find(name);
  if (found == at.snapshot->clusters.end()) {
    return fail(std::move(way), refused_by_proxy(at.http, "NC"),
                fmt::format("503 NC: the proxy has no cluster {}", name));
  }
  const config::Cluster& cluster = *found->second;
  hop.origin = cluster.origin;
  if (!cluster.closed.empty()) {
    return fail(std::move(way), met_closed(at.http),
                closed_failure(at.http ? "503" : "the connection is reset,", "the cluster " + name,
                               cluster.closed));
  }
  switch (cluster.type) {
    case config::ClusterType::original_dst:
      return to_dialled(std::move(way), at, cluster);
    case config::ClusterType::static_endpoints:
      return to_endpoints(std::move(way), at, cluster, cluster.endpoints);
    case config::ClusterType::eds: {
      const std::string& wanted =
          cluster.eds_service_name.empty() ? cluster.name : cluster.eds_service_name;
      const auto endpoints = at.snapshot->endpoints.find(wanted);
      if (endpoints == at.snapshot->endpoints.end()) {
        return fail(std::move(way), refused_by_proxy(at.http, "UH"),
                    fmt::format("503 UH: no endpoints of {} came", wanted));
      }
      return to_endpoints(std::move(way), at, cluster, *endpoints->second);
    }
    case config::ClusterType::strict_dns:
      hop.details.push_back("the proxy resolves its names itself");
      return end_unknown(std::move(way), at.dialled,
                         "where a cluster of type STRICT_DNS leads: its proxy alone knows");
  }
}

void Walk::to_endpoints(Way way, const AtProxy& at, const config::Cluster& cluster,
                        const config::ClusterLoadAssignment& endpoints) {
  proxy::Refusals refused;
  const std::vector<proxy::EligibleEndpoint> eligible = proxy::eligible(endpoints, &refused);
  const Named named = service_behind(world_, cluster.name);
  Hop& hop = add(way, Stage::endpoint, proxy_of(*at.workload), "");
  hop.world = at.snapshot->versions.endpoints;
  hop.origin = endpoints.origin;
  for (const proxy::EligibleEndpoint& each : eligible) {
    hop.choices.push_back({.name = each.endpoint->workload,
                           .address = each.endpoint->address.text(),
                           .share = each.share,
                           .origin = each.endpoint->origin});
  }
  hop.refused = told(refused);
  if (named.port) {
    for (Refusal& each : left_out(*named.service, *named.port, hop.choices)) {
      hop.refused.push_back(std::move(each));
    }
  }
  if (cluster.name == control::black_hole_cluster) {
    hop.says = "nowhere: it lets no connection through";
    return fail(std::move(way), {.ending = Ending::closed},
                fmt::format("port {} of {} is its proxy's, for captured connections alone",
                            at.dialled.port, pod_of(*at.workload)));
  }
  if (eligible.empty()) {
    hop.says = "nobody";
    hop.details.emplace_back(at.http ? "the proxy answers 503, flag UH"
                                     : "the proxy closes the connection, flag UH");
    return fail(std::move(way), refused_by_proxy(at.http, "UH"),
                named.port ? why_nobody(world_, *named.service, *named.port)
                           : fmt::format("{} has no endpoint that could be asked", cluster.name));
  }
  hop.says = eligible.size() == 1
                 ? with_name(eligible.front().endpoint->address)
                 : fmt::format("one of {}, {}", eligible.size(), word_for(cluster.balance));
  const Way whole = way;
  for (const proxy::EligibleEndpoint& each : eligible) {
    Way one = whole;
    one.share *= each.share;
    if (const std::string_view why = proxy::why_closed(cluster, each.endpoint); !why.empty()) {
      fail(std::move(one), met_closed(at.http),
           closed_failure(at.http ? "503" : "the connection is reset,",
                          each.endpoint->address.text(), why));
      continue;
    }
    send_out(std::move(one), at, each.endpoint->address);
  }
}

void Walk::to_dialled(Way way, const AtProxy& at, const config::Cluster& cluster) {
  if (const std::string_view why = proxy::why_closed(cluster, nullptr); !why.empty()) {
    return fail(std::move(way), met_closed(at.http),
                closed_failure(at.http ? "503" : "the connection is reset,",
                               "the cluster " + cluster.name, why));
  }
  if (at.inbound()) return deliver(std::move(way), at, cluster);
  Hop& hop = add(way, Stage::endpoint, proxy_of(*at.workload),
                 fmt::format("{}, the address that was dialled", at.dialled.text()));
  hop.to = at.dialled.text();
  hop.world = at.snapshot->versions.clusters;
  hop.origin = cluster.origin;
  send_out(std::move(way), at, at.dialled);
}

// The proxy's own connection on its way out of the pod.
void Walk::send_out(Way way, const AtProxy& at, const SocketAddress& to) {
  const mesh::Workload& workload = *at.workload;
  const Result<const nft::Ruleset*> rules = model_.capture_of(workload);
  if (!rules) return fail(std::move(way), {}, rules.fault().describe());
  const auto& own = workload.addresses;
  const bool local = holds(own, to.ip) || to.ip.is_loopback();
  const nft::Packet packet{.hook = nft::Hook::output,
                           .source = {address_of(&workload, to.ip.family()), some_port},
                           .destination = to,
                           .out_interface = local ? "lo" : "eth0",
                           .uid = proxy_user,
                           .gid = proxy_user,
                           .destination_is_local = local};
  const nft::Trace trace = nft::trace(**rules, packet);
  if (trace.fate != nft::Fate::redirected) return leave(std::move(way), to, true, &workload);
  Hop& hop = add(way, Stage::capture, proxy_of(workload),
                 fmt::format("the proxy's own connection is taken to port {}", trace.port));
  hop.to = SocketAddress{loopback(to.ip.family()), trace.port}.text();
  hop.rules = rules_behind(**rules, trace);
  enter_proxy(std::move(way), workload, trace.port, packet.source, to);
}

// From the inbound side of a proxy to its app.
void Walk::deliver(Way way, const AtProxy& at, const config::Cluster& cluster) {
  const mesh::Workload& workload = *at.workload;
  const Result<const nft::Ruleset*> rules = model_.capture_of(workload);
  if (!rules) return fail(std::move(way), {}, rules.fault().describe());
  const bool v4 = at.dialled.ip.is_v4();
  const std::optional<IpAddress>& bound = v4 ? cluster.source_v4 : cluster.source_v6;
  const IpAddress source = bound.value_or(address_of(&workload, at.dialled.ip.family()));
  const nft::Packet packet{.hook = nft::Hook::output,
                           .source = {source, some_port},
                           .destination = at.dialled,
                           .out_interface = "lo",
                           .uid = proxy_user,
                           .gid = proxy_user,
                           .destination_is_local = true};
  const nft::Trace trace = nft::trace(**rules, packet);
  Hop& hop = add(way, Stage::delivery, proxy_of(workload),
                 fmt::format("handed to the app at {}, from {}", at.dialled.text(), source.text()));
  hop.name = source.text();
  hop.to = at.dialled.text();
  hop.world = at.snapshot->versions.clusters;
  hop.origin = cluster.origin;
  hop.rules = rules_behind(**rules, trace);
  if (trace.fate == nft::Fate::redirected) {
    return enter_proxy(std::move(way), workload, trace.port, packet.source, at.dialled);
  }
  reach_app(std::move(way), workload, at.dialled);
}

}  // namespace fairlead::explain
