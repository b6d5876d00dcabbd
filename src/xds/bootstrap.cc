#include "xds/bootstrap.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <set>
#include <tuple>
#include <utility>

#include "base/json_text.h"
#include "config/sidecar.h"
#include "document/document.h"
#include "xds/bootstrap_process.h"
#include "xds/bootstrap_routes.h"
#include "xds/bootstrap_wire.h"
#include "xds/decode_parts.h"
#include "xds/encode_parts.h"
#include "xds/listener_addresses.h"
#include "xds/references.h"
#include "xds/text.h"

namespace fairlead::xds {
namespace {

using Message = wire::boot::Bootstrap;

// ── Reading ──────────────────────────────────────────────────────────────────────────────────────

Node node_from(const wire::core::Node& message) {
  return {.id = message.id(),
          .cluster = message.cluster(),
          .region = message.locality().region(),
          .zone = message.locality().zone(),
          .sub_zone = message.locality().sub_zone(),
          .metadata = write_message(message.metadata()),
          .user_agent_name = message.user_agent_name(),
          .user_agent_version = message.user_agent_version()};
}

// Each is read, also when one before it is refused: all that is wrong is to be told at once.
Result<> read_listeners(Bootstrap& made, const Message::StaticResources& fixed,
                        const Place& place) {
  Result<> all = done();
  std::set<std::string> names;
  std::set<std::string> clusters;
  ListenerAddresses addresses;
  for (const auto& cluster : fixed.clusters()) clusters.insert(cluster.name());
  for (int i = 0; i < fixed.listeners_size(); ++i) {
    const Place here = place.in("listeners", i);
    wire::listener::Listener message = fixed.listeners(i);
    // Envoy makes up a name for a listener that has none; so do we.
    if (message.name().empty()) message.set_name(fmt::format("listener_{}", i));
    Result<config::Listener> listener = read(message, here);
    Result<> sound =
        listener.ok() ? check_route_clusters(message, clusters, here) : listener.fault();
    if (sound.ok() && !names.insert(message.name()).second) {
      sound = here.in("name").refused("is there twice");
    }
    if (sound.ok()) {
      const Result<> alone = addresses.add(*listener);
      if (!alone.ok()) sound = here.in("address").refused(alone.fault().message);
    }
    if (sound.ok()) made.listeners.push_back(std::move(listener).value());
    if (all.ok()) all = std::move(sound);
  }
  return all;
}

Result<> read_clusters(Bootstrap& made, const Message::StaticResources& fixed, const Place& place) {
  Result<> all = done();
  std::set<std::string> names;
  for (int i = 0; i < fixed.clusters_size(); ++i) {
    const Place here = place.in("clusters", i);
    Result<config::Cluster> cluster = read(fixed.clusters(i), here);
    Result<> sound = cluster.ok() ? done() : cluster.fault();
    if (sound.ok() && !names.insert(cluster->name).second) {
      sound = here.in("name").refused("is there twice");
    }
    if (sound.ok()) made.clusters.push_back(std::move(cluster).value());
    if (all.ok()) all = std::move(sound);
  }
  return all;
}

// Of clusters to which the bootstrap's own HTTP routes lead. Others may be control, or for what is
// not built.
void note_http2_routes(const Bootstrap& made, const Message::StaticResources& fixed,
                       const Place& place) {
  std::set<std::string> asked;
  for (const config::Listener& listener : made.listeners) add_route_clusters(listener, asked);
  std::set<std::string> http2;
  for (const config::Cluster& cluster : made.clusters) {
    if (cluster.http2 && asked.contains(cluster.name)) http2.insert(cluster.name);
  }
  for (int i = 0; i < fixed.clusters_size(); ++i) {
    if (http2.contains(fixed.clusters(i).name())) {
      note_http2(fixed.clusters(i), place.in("clusters", i));
    }
  }
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
    // The same resources come, each in full.
    here.note("DELTA_GRPC: state of the world is spoken instead", Effect::tunes);
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

// ── What is put up with ──────────────────────────────────────────────────────────────────────────

std::string without_positions(std::string_view path) {
  std::string made;
  bool inside = false;
  for (const char c : path) {
    if (c == '[') inside = true;
    if (!inside) made += c;
    if (c == ']') inside = false;
  }
  return made;
}

// "lb_policy" of "static_resources.clusters[0].lb_policy"
std::string name_of_field(const std::string& path) {
  const std::string plain = without_positions(path);
  return plain.substr(plain.rfind('.') + 1);
}

bool is_accepted(const Diagnostic& one, const StaticRules& rules) {
  return std::any_of(rules.accepted.begin(), rules.accepted.end(), [&](const std::string& field) {
    return field == one.field || field == without_positions(one.field) ||
           field == name_of_field(one.field);
  });
}

bool is_error(const Diagnostic& one, const StaticRules& rules) {
  if (one.unknown) return !rules.allow_unknown;
  return one.effect == Effect::protects ||
         (one.effect == Effect::decides && !is_accepted(one, rules));
}

Diagnostic as_error(Diagnostic one) {
  if (one.unknown) return one;
  std::string why = fmt::format("not honoured, and it {}", name_of(one.effect));
  if (!one.reason.empty()) why += ": " + one.reason;
  if (one.effect == Effect::decides) {
    why += fmt::format("; --accept-unhonoured {} goes on without it", name_of_field(one.field));
  }
  one.reason = std::move(why);
  return one;
}

// What Place::refused() says, of a finding.
std::string told(const Diagnostic& one) {
  std::string where = fmt::format("{}:{}", one.origin.file, one.origin.line);
  if (!one.field.empty()) where += ": " + one.field;
  return where + ": " + one.reason;
}

// Adds what a text's report holds to what is to be told.
void sort_out(Examination& made, const Report& report, const StaticRules& rules) {
  std::vector<Diagnostic> errors = report.faults();
  for (Diagnostic& one : report.unhonoured()) {
    if (is_error(one, rules)) {
      errors.push_back(as_error(std::move(one)));
    } else {
      made.bootstrap.unhonoured.push_back(std::move(one));
    }
  }
  std::sort(errors.begin(), errors.end(), [](const Diagnostic& a, const Diagnostic& b) {
    return std::tie(a.origin.line, a.field, a.reason) < std::tie(b.origin.line, b.field, b.reason);
  });
  made.errors.insert(made.errors.end(), errors.begin(), errors.end());
}

// ── Reading all of it ────────────────────────────────────────────────────────────────────────────

// One text of the configuration, what it says, and what was found in it.
struct Part {
  document::Document document;
  Report report;
  Message message;
};

Result<> read_text(Part& part, const BootstrapText& from) {
  const document::Limits limits{.ignore_tag = true};
  Result<std::vector<document::Document>> documents =
      document::parse(from.text, from.source, document::Format::automatic, limits);
  if (!documents.ok()) return std::move(documents).fault();
  if (documents->size() != 1) {
    return invalid(
        fmt::format("{}: expected one document, found {}", from.source, documents->size()));
  }
  part.document = documents->front();
  part.report = Report(part.document.root());
  part.report.name("Bootstrap");
  const Place place(part.report);
  // What is wrong is kept in the report.
  static_cast<void>(read_message(part.document.root(), part.message, place));
  return done();
}

Bootstrap read(const Message& message, const Place& place) {
  Bootstrap made;
  made.node = node_from(message.node());
  const Place fixed = place.in("static_resources");
  const Result<> parts = all({read_clusters(made, message.static_resources(), fixed),
                              read_listeners(made, message.static_resources(), fixed),
                              read_admin(made, message, place.in("admin")),
                              read_discovery(made, message, place.in("dynamic_resources"))});
  note_http2_routes(made, message.static_resources(), fixed);
  static_cast<void>(parts);  // each fault is in the report
  judge_process(message, place);
  return made;
}

}  // namespace

Result<Examination> examine_bootstrap(const std::vector<BootstrapText>& texts,
                                      const StaticRules& rules) {
  std::vector<Part> parts(texts.size());
  Examination made;
  bool sound = true;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const Result<> read = read_text(parts[i], texts[i]);
    if (!read.ok()) return read.fault();
    sound = sound && parts[i].report.faults().empty();
    if (i > 0) parts[0].message.MergeFrom(parts[i].message);
  }
  if (sound && !parts.empty()) {
    const Place place(parts[0].report);
    place.holds(*Message::descriptor());
    made.bootstrap = read(parts[0].message, place);
  }
  for (const Part& part : parts) sort_out(made, part.report, rules);
  return made;
}

Result<Bootstrap> read_bootstrap(const std::vector<BootstrapText>& texts,
                                 const StaticRules& rules) {
  Result<Examination> made = examine_bootstrap(texts, rules);
  if (!made.ok()) return std::move(made).fault();
  if (made->errors.empty()) return std::move(made->bootstrap);
  std::string why = told(made->errors.front());
  const std::size_t more = made->errors.size() - 1;
  if (more > 0) why += fmt::format(" (and {} more: --mode validate lists all)", more);
  return invalid(std::move(why));
}

Result<Bootstrap> read_bootstrap(std::string_view text, const std::string& source,
                                 const StaticRules& rules) {
  return read_bootstrap({{.text = text, .source = source}}, rules);
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

config::Cluster control_of(const SidecarBootstrap& sidecar) {
  config::LbEndpoint endpoint{.address = {.port = sidecar.control_port}};
  if (const Result<IpAddress> ip = IpAddress::parse(sidecar.control_host)) {
    endpoint.address.ip = *ip;
  } else {
    endpoint.host = sidecar.control_host;
  }
  config::Cluster cluster = config::cluster_at(control_cluster, std::move(endpoint));
  cluster.http2 = true;
  return cluster;
}

Bootstrap bootstrap_of(const SidecarBootstrap& sidecar) {
  Bootstrap made{.node = node_of(sidecar), .admin = sidecar.admin};
  made.clusters.push_back(
      config::cluster_at(config::sidecar_admin_cluster, {.address = sidecar.admin}));
  made.listeners = config::sidecar_listeners(
      {.admin = sidecar.admin, .metrics = sidecar.metrics_port, .health = sidecar.health_port},
      sidecar.addresses);
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
