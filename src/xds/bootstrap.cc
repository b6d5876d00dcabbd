#include "xds/bootstrap.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/json_text.h"
#include "document/document.h"
#include "xds/bootstrap_routes.h"
#include "xds/bootstrap_wire.h"
#include "xds/decode_parts.h"
#include "xds/encode_parts.h"
#include "xds/proto/seen.pb.h"
#include "xds/text.h"

namespace fairlead::xds {
namespace {

using Message = wire::boot::Bootstrap;

// ── Reading ──────────────────────────────────────────────────────────────────────────────────────

Node node_from(const wire::core::Node& message, const document::Node& text) {
  const document::Node metadata = text.get("metadata");
  return {.id = message.id(),
          .cluster = message.cluster(),
          .region = message.locality().region(),
          .zone = message.locality().zone(),
          .sub_zone = message.locality().sub_zone(),
          .metadata = metadata.given() ? document::write_json(metadata) : "{}",
          .user_agent_name = message.user_agent_name(),
          .user_agent_version = message.user_agent_version()};
}

Result<> read_listeners(Bootstrap& made, const Message::StaticResources& fixed,
                        const Place& place) {
  std::set<std::string> names;
  std::set<std::string> clusters;
  for (const config::Cluster& cluster : made.clusters) clusters.insert(cluster.name);
  for (int i = 0; i < fixed.listeners_size(); ++i) {
    const Place here = place.in("listeners", i);
    wire::listener::Listener message = fixed.listeners(i);
    // Envoy makes up a name for a listener that has none; so do we.
    if (message.name().empty()) message.set_name(fmt::format("listener_{}", i));
    Result<config::Listener> listener = read(message, here);
    if (!listener.ok()) return std::move(listener).fault();
    const Result<> leads = check_route_clusters(message, clusters, here);
    if (!leads.ok()) return leads;
    if (!names.insert(listener->name).second) return here.in("name").refused("is there twice");
    made.listeners.push_back(std::move(listener).value());
  }
  return done();
}

Result<> read_clusters(Bootstrap& made, const Message::StaticResources& fixed, const Place& place) {
  std::set<std::string> names;
  for (int i = 0; i < fixed.clusters_size(); ++i) {
    const Place here = place.in("clusters", i);
    Result<config::Cluster> cluster = read(fixed.clusters(i), here);
    if (!cluster.ok()) return std::move(cluster).fault();
    if (!names.insert(cluster->name).second) return here.in("name").refused("is there twice");
    made.clusters.push_back(std::move(cluster).value());
  }
  return done();
}

Result<> read_admin(Bootstrap& made, const Message& message, const Place& place) {
  if (!message.has_admin() || !message.admin().has_address()) return done();
  const Place here = place.in("address");
  const Result<SocketAddress> address = read_address(message.admin().address(), here);
  if (!address.ok()) return address.fault();
  made.admin = *address;
  return done();
}

void note_api_type(const wire::core::ApiConfigSource& ads, const Place& place) {
  using Api = wire::core::ApiConfigSource;
  const Place here = place.in("api_type");
  if (ads.api_type() == Api::DELTA_GRPC) {
    here.note("DELTA_GRPC: state of the world is spoken instead");
  } else if (ads.api_type() != Api::GRPC) {
    here.note(Api::ApiType_Name(ads.api_type()) + ": gRPC is spoken instead");
  }
  if (ads.transport_api_version() == wire::core::V2) {
    place.in("transport_api_version").note("V2: V3 is spoken instead");
  }
}

bool has_cluster(const Bootstrap& bootstrap, const std::string& name) {
  return std::any_of(bootstrap.clusters.begin(), bootstrap.clusters.end(),
                     [&](const config::Cluster& cluster) { return cluster.name == name; });
}

Result<> read_ads(Bootstrap& made, const wire::core::ApiConfigSource& ads, const Place& place) {
  const Place services = place.in("grpc_services");
  if (ads.grpc_services_size() != 1 || !ads.grpc_services(0).has_envoy_grpc()) {
    return services.refused("expected one, with envoy_grpc");
  }
  const std::string& cluster = ads.grpc_services(0).envoy_grpc().cluster_name();
  if (!has_cluster(made, cluster)) {
    return services.refused(fmt::format("\"{}\" is no static cluster", cluster));
  }
  note_api_type(ads, place);
  made.discovery->cluster = cluster;
  made.discovery->node_on_first_message_only = ads.set_node_on_first_message_only();
  return done();
}

Result<> read_discovery(Bootstrap& made, const Message& message, const Place& place) {
  const auto& dynamic = message.dynamic_resources();
  if (dynamic.has_cds_config()) {
    check_config_source(dynamic.cds_config(), place.in("cds_config"));
  }
  if (dynamic.has_lds_config()) {
    check_config_source(dynamic.lds_config(), place.in("lds_config"));
  }
  const bool clusters = dynamic.cds_config().has_ads();
  const bool listeners = dynamic.lds_config().has_ads();
  if (!dynamic.has_ads_config()) {
    if (clusters || listeners) return place.in("ads_config").refused("is needed for \"ads\"");
    return done();
  }
  made.discovery = AggregatedDiscovery{.clusters = clusters, .listeners = listeners};
  return read_ads(made, dynamic.ads_config(), place.in("ads_config"));
}

// "static_resources" of "staticResources".
std::string snake_case(std::string_view name) {
  std::string made;
  for (const char letter : name) {
    if (letter >= 'A' && letter <= 'Z') made += '_';
    made += letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter | 0x20) : letter;
  }
  return made;
}

// Whether Envoy has such a field, of which our subset knows the name alone.
template <class Type>
bool is_envoys(std::string_view field) {
  const std::string seen = ", " + Type::descriptor()->options().GetExtension(wire::seen);
  return seen.find(fmt::format(", {}=", snake_case(field))) != std::string::npos;
}

// What goes through our hands must be ours to do; what shapes Envoy's own process need not, but
// must be Envoy's.
bool must_be_known(std::string_view path) {
  const std::string_view top = path.substr(0, path.find_first_of(".["));
  if (top != "admin") return !is_envoys<Message>(top);
  const std::string_view rest = path.substr(std::min(path.size(), top.size() + 1));
  return !is_envoys<wire::boot::Admin>(rest.substr(0, rest.find_first_of(".[")));
}

Result<> refuse_unknown(const Report& report) {
  for (const Report::Note& note : report.notes()) {
    if (!must_be_known(note.path)) continue;
    return report.refused(note.path, note.what.empty()
                                         ? "unknown field: fairlead does not honour it"
                                         : fmt::format("not honoured: {}", note.what));
  }
  return done();
}

Result<Bootstrap> read(const document::Node& root, Report& report, UnknownStaticFields unknown) {
  const Place place(report);
  Message message;
  Result<> read_part = read_message(root, message, place);
  Bootstrap made;
  made.node = node_from(message.node(), root.get("node"));
  const Place fixed = place.in("static_resources");
  if (read_part.ok()) read_part = read_clusters(made, message.static_resources(), fixed);
  if (read_part.ok()) read_part = read_listeners(made, message.static_resources(), fixed);
  if (read_part.ok()) read_part = read_admin(made, message, place.in("admin"));
  if (read_part.ok()) read_part = read_discovery(made, message, place.in("dynamic_resources"));
  if (read_part.ok() && unknown == UnknownStaticFields::reject) read_part = refuse_unknown(report);
  if (!read_part.ok()) return std::move(read_part).fault();
  made.unhonoured = report.unhonoured();
  return made;
}

}  // namespace

Result<Bootstrap> read_bootstrap(std::string_view text, const std::string& source,
                                 UnknownStaticFields unknown) {
  const Result<std::vector<document::Document>> documents = document::parse(text, source);
  if (!documents.ok()) return documents.fault();
  if (documents->size() != 1) {
    return invalid(fmt::format("{}: expected one document, found {}", source, documents->size()));
  }
  Report report(documents->front().root());
  report.name("Bootstrap");
  return read(documents->front().root(), report, unknown);
}

config::Snapshot snapshot_of(const Bootstrap& bootstrap) {
  config::Snapshot snapshot;
  snapshot.world = "static";
  for (const config::Listener& listener : bootstrap.listeners) {
    snapshot.listeners.put(listener.name, std::make_shared<const config::Listener>(listener));
  }
  for (const config::Cluster& cluster : bootstrap.clusters) {
    snapshot.clusters.put(cluster.name, std::make_shared<const config::Cluster>(cluster));
  }
  snapshot.unhonoured = bootstrap.unhonoured;
  return snapshot;
}

// ── Writing ──────────────────────────────────────────────────────────────────────────────────────

void write(const Node& node, wire::core::Node& into) {
  into.set_id(node.id);
  into.set_cluster(node.cluster);
  if (!node.region.empty() || !node.zone.empty() || !node.sub_zone.empty()) {
    into.mutable_locality()->set_region(node.region);
    into.mutable_locality()->set_zone(node.zone);
    into.mutable_locality()->set_sub_zone(node.sub_zone);
  }
  into.set_user_agent_name(node.user_agent_name);
  if (!node.user_agent_version.empty()) into.set_user_agent_version(node.user_agent_version);
  read_struct_text(node.metadata, *into.mutable_metadata());
}

namespace {

void write(const AggregatedDiscovery& discovery, Message::DynamicResources& into) {
  if (discovery.clusters) write_ads(*into.mutable_cds_config());
  if (discovery.listeners) write_ads(*into.mutable_lds_config());
  wire::core::ApiConfigSource& ads = *into.mutable_ads_config();
  ads.set_api_type(wire::core::ApiConfigSource::GRPC);
  ads.set_transport_api_version(wire::core::V3);
  ads.set_set_node_on_first_message_only(discovery.node_on_first_message_only);
  ads.add_grpc_services()->mutable_envoy_grpc()->set_cluster_name(discovery.cluster);
}

}  // namespace

void write(const Bootstrap& bootstrap, wire::boot::Bootstrap& into) {
  write(bootstrap.node, *into.mutable_node());
  for (const config::Listener& listener : bootstrap.listeners) {
    write(listener, *into.mutable_static_resources()->add_listeners());
  }
  for (const config::Cluster& cluster : bootstrap.clusters) {
    write(cluster, *into.mutable_static_resources()->add_clusters());
  }
  if (bootstrap.discovery) write(*bootstrap.discovery, *into.mutable_dynamic_resources());
  if (bootstrap.admin) {
    write(*bootstrap.admin, *into.mutable_admin()->mutable_address()->mutable_socket_address());
  }
}

namespace {

constexpr const char* control_cluster = "xds-grpc";  // as Istio names it
constexpr const char* admin_cluster = "prometheus_stats";

Origin by_the_bootstrap() {
  return {.kind = "built-in", .name = "bootstrap"};
}

std::string address_list(const std::vector<IpAddress>& addresses) {
  std::string list;
  for (const IpAddress& address : addresses) {
    list += (list.empty() ? "" : ",") + address.text();
  }
  return list;
}

Node node_of(const SidecarBootstrap& sidecar) {
  const nlohmann::json metadata{{"NAME", sidecar.pod},
                                {"NAMESPACE", sidecar.name_space},
                                {"SERVICE_ACCOUNT", sidecar.service_account},
                                {"INSTANCE_IPS", address_list(sidecar.addresses)},
                                {"INTERCEPTION_MODE", "REDIRECT"},
                                {"CLUSTER_ID", "Kubernetes"},
                                {"LABELS", sidecar.labels}};
  return {.id = sidecar_id(sidecar),
          .cluster = sidecar.cluster.empty() ? fmt::format("{}.{}", sidecar.pod, sidecar.name_space)
                                             : sidecar.cluster,
          .region = sidecar.region,
          .zone = sidecar.zone,
          .metadata = json_text(metadata)};
}

config::Cluster cluster_at(std::string name, config::LbEndpoint endpoint) {
  config::Cluster cluster;
  cluster.name = name;
  cluster.type = endpoint.host.empty() ? config::ClusterType::static_endpoints
                                       : config::ClusterType::strict_dns;
  cluster.connect_timeout = std::chrono::seconds(1);
  cluster.endpoints.cluster_name = std::move(name);
  cluster.endpoints.localities.emplace_back();
  cluster.endpoints.localities.back().endpoints.push_back(std::move(endpoint));
  cluster.origin = by_the_bootstrap();
  return cluster;
}

config::Cluster control_of(const SidecarBootstrap& sidecar) {
  config::LbEndpoint endpoint{.address = {.port = sidecar.control_port}};
  if (const Result<IpAddress> ip = IpAddress::parse(sidecar.control_host)) {
    endpoint.address.ip = *ip;
  } else {
    endpoint.host = sidecar.control_host;
  }
  config::Cluster cluster = cluster_at(control_cluster, std::move(endpoint));
  cluster.http2 = true;
  return cluster;
}

// A listener that leads one path to the admin port, and nothing else.
config::Listener window(std::string name, std::uint16_t port, const char* path,
                        const char* admin_path, bool v4, bool v6) {
  config::Route route{.name = name,
                      .path = {.kind = config::PathMatch::Kind::exact, .value = path},
                      .origin = by_the_bootstrap()};
  route.forward.clusters = {{.cluster = admin_cluster}};
  if (path != std::string_view(admin_path)) route.forward.prefix_rewrite = admin_path;

  config::RouteConfiguration routes{.name = name, .origin = by_the_bootstrap()};
  routes.virtual_hosts.push_back(
      {.name = name, .domains = {"*"}, .routes = {std::move(route)}, .origin = by_the_bootstrap()});
  config::HttpConnectionManager http;
  http.stat_prefix = name;
  http.codec = config::HttpConnectionManager::Codec::automatic;
  http.routes = std::move(routes);

  config::Listener listener;
  listener.name = std::move(name);
  listener.address = {v4 ? IpAddress() : IpAddress::v6({}), port};
  if (v4 && v6) listener.additional_addresses = {{IpAddress::v6({}), port}};
  listener.filter_chains.push_back({.filter = std::move(http), .origin = by_the_bootstrap()});
  listener.origin = by_the_bootstrap();
  return listener;
}

Bootstrap bootstrap_of(const SidecarBootstrap& sidecar) {
  Bootstrap made{.node = node_of(sidecar), .admin = sidecar.admin};
  const bool v6 = std::any_of(sidecar.addresses.begin(), sidecar.addresses.end(),
                              [](const IpAddress& address) { return !address.is_v4(); });
  const bool v4 = !v6 || std::any_of(sidecar.addresses.begin(), sidecar.addresses.end(),
                                     [](const IpAddress& address) { return address.is_v4(); });
  made.clusters.push_back(cluster_at(admin_cluster, {.address = sidecar.admin}));
  if (sidecar.metrics_port != 0) {
    made.listeners.push_back(window("prometheus", sidecar.metrics_port, "/stats/prometheus",
                                    "/stats/prometheus", v4, v6));
  }
  if (sidecar.health_port != 0) {
    made.listeners.push_back(
        window("health", sidecar.health_port, "/healthz/ready", "/ready", v4, v6));
  }
  if (sidecar.control_host.empty()) return made;
  made.clusters.push_back(control_of(sidecar));
  made.discovery =
      AggregatedDiscovery{.cluster = control_cluster, .node_on_first_message_only = true};
  return made;
}

}  // namespace

std::string sidecar_id(const SidecarBootstrap& sidecar) {
  const IpAddress address = sidecar.addresses.empty() ? IpAddress() : sidecar.addresses.front();
  return fmt::format("sidecar~{}~{}.{}~{}.svc.cluster.local", address.text(), sidecar.pod,
                     sidecar.name_space, sidecar.name_space);
}

std::string write_bootstrap(const SidecarBootstrap& sidecar) {
  return write_bootstrap(bootstrap_of(sidecar));
}

std::string write_bootstrap(const Bootstrap& bootstrap) {
  Message message;
  write(bootstrap, message);
  nlohmann::ordered_json json = parse_ordered_json(write_message(message));
  // The library writes maps in no order of its own.
  json["node"]["metadata"] = parse_json(json_text(json["node"]["metadata"]));
  return json_text(json, 2) + '\n';
}

}  // namespace fairlead::xds
