#include "proxy/admin.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "base/log.h"
#include "proxy/admin_dump.h"

namespace fairlead::proxy {
namespace {

using Json = nlohmann::ordered_json;
using http::Response;

constexpr std::array changing{
    std::string_view("/logging"),        std::string_view("/healthcheck/fail"),
    std::string_view("/healthcheck/ok"), std::string_view("/drain_listeners"),
    std::string_view("/reopen_logs"),    std::string_view("/quitquitquit"),
};

constexpr const char* help =
    "admin commands are:\n"
    "  /certs: none yet\n"
    "  /clusters: endpoints of every cluster (filter=REGEX, format=json)\n"
    "  /config_dump: the configuration in force (resource=LIST, mask=FIELDS, name_regex=REGEX)\n"
    "  /drain_listeners (POST): stop listening; graceful, inboundonly, skip_exit\n"
    "  /fairlead/records: the last requests and the way they went (id=X-REQUEST-ID, count=N)\n"
    "  /fairlead/source: where the configuration comes from\n"
    "  /healthcheck/fail, /healthcheck/ok (POST): what /ready says\n"
    "  /init_dump: what is still waited for\n"
    "  /listeners: every listener (format=json)\n"
    "  /logging (POST): the log's level, and level=LEVEL changes it\n"
    "  /memory: bytes in use\n"
    "  /quitquitquit (POST): exit\n"
    "  /ready: 200 LIVE, or 503 and why not\n"
    "  /reopen_logs (POST): open access logs anew\n"
    "  /server_info: version, state, arguments\n"
    "  /stats: counters (filter=REGEX, usedonly, format=json|prometheus)\n"
    "  /stats/prometheus: the same for Prometheus\n";

Response plain(std::uint16_t status, std::string body) {
  return Response::text(status, std::move(body));
}

// Calls `visit` for every endpoint of a cluster, wherever the snapshot keeps it.
template <class Visit>
void for_each_endpoint(const config::Snapshot& snapshot, const config::Cluster& cluster,
                       Visit visit) {
  const config::ClusterLoadAssignment* endpoints = &cluster.endpoints;
  if (cluster.type == config::ClusterType::eds) {
    const auto found = snapshot.endpoints.find(
        cluster.eds_service_name.empty() ? cluster.name : cluster.eds_service_name);
    if (found == snapshot.endpoints.end()) return;
    endpoints = found->second.get();
  }
  for (const config::LocalityEndpoints& locality : endpoints->localities) {
    for (const config::LbEndpoint& endpoint : locality.endpoints) visit(locality, endpoint);
  }
}

std::string address_of(const config::LbEndpoint& endpoint) {
  if (!endpoint.unix_path.empty()) return endpoint.unix_path;
  if (!endpoint.host.empty()) return fmt::format("{}:{}", endpoint.host, endpoint.address.port);
  return endpoint.address.text();
}

bool is_healthy(const config::LbEndpoint& endpoint) {
  return endpoint.health == config::Health::healthy || endpoint.health == config::Health::unknown;
}

Json limits_of(const config::Cluster& cluster) {
  return {{"max_connections", cluster.max_connections},
          {"max_pending_requests", cluster.max_pending_requests},
          {"max_requests", cluster.max_requests},
          {"max_retries", cluster.max_retries}};
}

Json json_address(const SocketAddress& address) {
  return {{"socket_address", {{"address", address.ip.text()}, {"port_value", address.port}}}};
}

// One of `known`; the first of them when none was asked for.
Result<std::string> format_of(const http::Request& request,
                              std::initializer_list<std::string_view> known) {
  const std::string asked = request.parameter("format").value_or("");
  if (asked.empty()) return std::string(*known.begin());
  if (std::find(known.begin(), known.end(), asked) != known.end()) return asked;
  return invalid(fmt::format("usage: {}?format=({})", request.path(), fmt::join(known, "|")));
}

Response refusal(const Fault& fault) {
  return plain(fault.kind == FaultKind::missing ? 404 : 400, fault.describe() + "\n");
}

// Absent: no number.
std::optional<std::size_t> count_of(const http::Request& request) {
  const std::optional<std::string> asked = request.parameter("count");
  std::size_t count = 100;
  if (!asked) return count;
  const char* const end = asked->data() + asked->size();
  const auto [stopped, error] = std::from_chars(asked->data(), end, count);
  if (error != std::errc() || stopped != end) return std::nullopt;
  return count;
}

}  // namespace

Admin::Admin(net::Loop& control, Proxy& proxy, AdminHooks hooks)
    : proxy_(proxy),
      hooks_(std::move(hooks)),
      server_(control, [this](http::Request& request) { return answer(request); },
              {.places = {.total = 128, .per_client = 64}, .what = "the admin port"}) {}

bool Admin::ready() const {
  return proxy_.ready() && (!hooks_.source_ready || hooks_.source_ready());
}

const char* Admin::state_name() const {
  switch (proxy_.state()) {
    case Proxy::State::live:
      if (proxy_.failing()) return "DRAINING";
      if (proxy_.stuck_workers() != 0) return "WORKERS_STUCK";
      return ready() ? "LIVE" : "INITIALIZING";
    case Proxy::State::draining:
      return "DRAINING";
    case Proxy::State::pre_initializing:
      return "PRE_INITIALIZING";
    case Proxy::State::initializing:
      return "INITIALIZING";
  }
  return "INITIALIZING";
}

Task<Response> Admin::answer(http::Request& request) {
  const std::string path(request.path());
  if (path == "/fairlead/records") {
    const std::string id = request.parameter("id").value_or("");
    const std::optional<std::size_t> count = count_of(request);
    if (!count) co_return plain(400, "usage: /fairlead/records?id=X-REQUEST-ID&count=N\n");
    const std::vector<Record> records = co_await proxy_.records(id, *count);
    co_return Response::json(records_json(records) + "\n");
  }
  if (std::find(changing.begin(), changing.end(), path) == changing.end()) {
    co_return get(request);
  }
  if (request.method() != "POST") {
    co_return plain(405, fmt::format("Method {} not allowed, POST required.\n", request.method()));
  }
  if (request.head().fields.has("origin")) {
    // A web page that a browser shows has no business here.
    co_return plain(403, "Requests from web pages are refused.\n");
  }
  co_return change(request);
}

Response Admin::get(http::Request& request) {
  const std::string_view path = request.path();
  if (path == "/ready") return plain(ready() ? 200 : 503, fmt::format("{}\n", state_name()));
  if (path == "/stats") return stats(request);
  if (path == "/stats/prometheus") return prometheus(request);
  if (path == "/server_info") return Response::json(server_info());
  if (path == "/config_dump") return config_dump(request);
  if (path == "/fairlead/source") return Response::json(hooks_.source ? hooks_.source() : "{}");
  if (path == "/clusters") return clusters(request);
  if (path == "/listeners") return listeners(request);
  if (path == "/memory") {
    for (const Reading& reading : proxy_.readings()) {
      if (reading.name != "memory_allocated") continue;
      return Response::json(json_text(Json{{"allocated", std::to_string(reading.value)}}, 1) +
                            "\n");
    }
  }
  if (path == "/certs") return Response::json("{\"certificates\":[]}\n");
  if (path == "/init_dump") return Response::json(hooks_.source ? hooks_.source() : "{}");
  if (path == "/" || path == "/help") return plain(200, help);
  return plain(404, fmt::format("invalid path. {}", help));
}

Response Admin::change(http::Request& request) {
  const std::string_view path = request.path();
  if (path == "/healthcheck/fail" || path == "/healthcheck/ok") {
    proxy_.fail_health_check(path == "/healthcheck/fail");
    return plain(200, "OK\n");
  }
  if (path == "/reopen_logs") {
    proxy_.logs().reopen();
    return plain(200, "OK\n");
  }
  if (path == "/drain_listeners") {
    // Envoy's skip_exit: responses say that their connection ends, and listeners stay.
    const bool graceful = request.parameter("graceful").has_value();
    const bool stay = graceful && request.parameter("skip_exit").has_value();
    if (graceful) proxy_.begin_drain();
    if (!stay) proxy_.stop_listening(request.parameter("inboundonly").has_value());
    return plain(200, "OK\n");
  }
  if (path == "/quitquitquit") {
    if (hooks_.quit) hooks_.quit();
    Response response = plain(200, "OK\n");
    response.close = true;
    return response;
  }
  if (!request.query().empty()) {
    log::Level level = log::Level::info;
    if (!log::level_from(request.parameter("level").value_or(""), level)) {
      return plain(400, "usage: /logging?level=trace|debug|info|warning|error|off\n");
    }
    log::set_level(level);
  }
  return plain(200, fmt::format("active loggers:\n  fairlead: {}\n", log::name_of(log::level())));
}

Response Admin::config_dump(const http::Request& request) const {
  const std::string whole =
      hooks_.config_dump ? hooks_.config_dump() : std::string("{\"configs\":[]}\n");
  const DumpQuery query{.resource = request.parameter("resource").value_or(""),
                        .mask = request.parameter("mask").value_or(""),
                        .name_regex = request.parameter("name_regex").value_or("")};
  if (query == DumpQuery{}) return Response::json(whole);
  Result<std::string> part = part_of_dump(whole, query);
  return part ? Response::json(std::move(part).value()) : refusal(part.fault());
}

Response Admin::stats(const http::Request& request) const {
  for (const char* unknown : {"type", "histogram_buckets"}) {
    if (!request.parameter(unknown)) continue;
    return plain(400,
                 fmt::format("{}= is not built: filter=, usedonly and format= are\n", unknown));
  }
  const Result<std::string> format = format_of(request, {"text", "json", "prometheus"});
  return format ? stats_as(*format, request) : refusal(format.fault());
}

Response Admin::prometheus(const http::Request& request) const {
  const Result<std::string> format = format_of(request, {"prometheus"});
  return format ? stats_as(*format, request) : refusal(format.fault());
}

Response Admin::stats_as(const std::string& format, const http::Request& request) const {
  std::vector<Reading> readings = proxy_.readings();
  if (hooks_.readings) {
    std::vector<Reading> more = hooks_.readings();
    readings.insert(readings.end(), std::make_move_iterator(more.begin()),
                    std::make_move_iterator(more.end()));
  }
  const Stats::Filter filter{.used_only = request.parameter("usedonly").has_value(),
                             .pattern = request.parameter("filter").value_or("")};
  if (const Result<> checked = Stats::check(filter); !checked) return refusal(checked.fault());
  if (format == "json") return Response::json(proxy_.stats().json(readings, filter));
  if (format == "text") return plain(200, proxy_.stats().text(readings, filter));
  Response response = plain(200, proxy_.stats().prometheus(readings, filter));
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  return response;
}

Response Admin::clusters(const http::Request& request) const {
  const Result<std::string> format = format_of(request, {"text", "json"});
  if (!format) return refusal(format.fault());
  const Result<Pattern> wanted = compiled(request.parameter("filter").value_or(""));
  if (!wanted) return refusal(wanted.fault());
  return *format == "json" ? Response::json(clusters_json(*wanted))
                           : plain(200, clusters_text(*wanted));
}

Response Admin::listeners(const http::Request& request) const {
  const Result<std::string> format = format_of(request, {"text", "json"});
  if (!format) return refusal(format.fault());
  return *format == "json" ? Response::json(listeners_json()) : plain(200, listeners_text());
}

std::string Admin::clusters_text(const Pattern& wanted) const {
  if (!proxy_.snapshot()) return {};
  const config::Snapshot& snapshot = *proxy_.snapshot();
  std::string text;
  for (const auto& entry : snapshot.clusters) {
    const std::string& name = entry.first;
    if (!matches_within(*wanted, name)) continue;
    const config::Cluster& cluster = *entry.second;
    text += fmt::format(
        "{0}::observability_name::{0}\n"
        "{0}::default_priority::max_connections::{1}\n"
        "{0}::default_priority::max_pending_requests::{2}\n"
        "{0}::default_priority::max_requests::{3}\n"
        "{0}::default_priority::max_retries::{4}\n",
        name, cluster.max_connections, cluster.max_pending_requests, cluster.max_requests,
        cluster.max_retries);
    for_each_endpoint(
        snapshot, cluster,
        [&](const config::LocalityEndpoints& locality, const config::LbEndpoint& endpoint) {
          const std::string where = name + "::" + address_of(endpoint);
          text += fmt::format(
              "{0}::hostname::{1}\n{0}::health_flags::{2}\n{0}::weight::{3}\n"
              "{0}::region::{4}\n{0}::zone::{5}\n{0}::priority::{6}\n",
              where, endpoint.host, is_healthy(endpoint) ? "healthy" : "/failed_eds_health",
              endpoint.weight, locality.region, locality.zone, locality.priority);
        });
  }
  return text;
}

std::string Admin::clusters_json(const Pattern& wanted) const {
  if (!proxy_.snapshot()) return "{}\n";
  const config::Snapshot& snapshot = *proxy_.snapshot();
  Json all = Json::array();
  for (const auto& [name, cluster] : snapshot.clusters) {
    if (!matches_within(*wanted, name)) continue;
    Json hosts = Json::array();
    for_each_endpoint(
        snapshot, *cluster,
        [&](const config::LocalityEndpoints& locality, const config::LbEndpoint& endpoint) {
          Json address = endpoint.unix_path.empty()
                             ? json_address(endpoint.address)
                             : Json{{"pipe", {{"path", endpoint.unix_path}}}};
          hosts.push_back(
              {{"address", std::move(address)},
               {"health_status",
                {{"eds_health_status", is_healthy(endpoint) ? "HEALTHY" : "UNHEALTHY"}}},
               {"weight", endpoint.weight},
               {"locality", {{"region", locality.region}, {"zone", locality.zone}}}});
        });
    all.push_back({{"name", name},
                   {"added_via_api", cluster->type == config::ClusterType::eds},
                   {"host_statuses", std::move(hosts)},
                   {"circuit_breakers", {{"thresholds", Json::array({limits_of(*cluster)})}}},
                   {"observability_name", name}});
  }
  return json_text(Json{{"cluster_statuses", std::move(all)}}, 1) + "\n";
}

std::string Admin::listeners_text() const {
  if (!proxy_.snapshot()) return {};
  std::string text;
  for (const auto& [name, listener] : proxy_.snapshot()->listeners) {
    text += fmt::format("{}::{}\n", name, listener->address.text());
  }
  return text;
}

std::string Admin::listeners_json() const {
  if (!proxy_.snapshot()) return "{}\n";
  Json all = Json::array();
  for (const auto& [name, listener] : proxy_.snapshot()->listeners) {
    Json more = Json::array();
    for (const SocketAddress& address : listener->additional_addresses) {
      more.push_back(json_address(address));
    }
    all.push_back({{"name", name}, {"local_address", json_address(listener->address)}});
    if (!more.empty()) all.back()["additional_local_addresses"] = std::move(more);
  }
  return json_text(Json{{"listener_statuses", std::move(all)}}, 1) + "\n";
}

std::string Admin::server_info() const {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(proxy_.uptime()).count();
  return json_text(Json{{"version", hooks_.version},
                        {"state", state_name()},
                        {"uptime_current_epoch", fmt::format("{}s", seconds)},
                        {"uptime_all_epochs", fmt::format("{}s", seconds)},
                        {"hot_restart_version", "disabled"},
                        {"stuck_workers", proxy_.stuck_workers()},
                        {"command_line_options",
                         {{"concurrency", proxy_.concurrency()}, {"arguments", hooks_.arguments}}}},
                   1) +
         "\n";
}

}  // namespace fairlead::proxy
