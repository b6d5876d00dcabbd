#include "kube/read.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "base/near.h"
#include "kube/fields.h"
#include "kube/gathering.h"
#include "kube/groups.h"
#include "kube/reader.h"

namespace fairlead::kube {
namespace {

const KnownKind* find_kind(std::string_view kind) {
  for (const KnownKind& known : known_kinds()) {
    if (kind == known.kind) return &known;
  }
  return nullptr;
}

bool is_version(const KnownKind& kind, std::string_view version) {
  const std::string all = fmt::format(" {} {} ", kind.api_version, kind.also);
  return all.find(fmt::format(" {} ", version)) != std::string::npos;
}

std::string_view group_of(std::string_view version) {
  const std::size_t slash = version.find('/');
  return slash == std::string_view::npos ? std::string_view{} : version.substr(0, slash);
}

// The same objects under a name that Kubernetes no longer serves: refused rather than unknown.
bool is_outdated(const KnownKind& kind, std::string_view version) {
  const std::string_view group = group_of(version);
  const std::string_view own = group_of(kind.api_version);
  return group == own || (group == "extensions" && (own == "apps" || own == "networking.k8s.io"));
}

const Rule& name_rule(std::string_view kind) {
  if (kind == "Service") return service_label;
  if (kind == "Namespace") return dns_label;
  return dns_name;
}

// Mostly without a kind: known by the file's name.
bool is_of_kustomize(const document::Node& node) {
  if (node.get("apiVersion").text().starts_with("kustomize.config.k8s.io/")) return true;
  const std::string_view file = node.file();
  const std::string_view name = file.substr(file.rfind('/') + 1);
  const bool by_name = name == "kustomization.yaml" || name == "kustomization.yml";
  return by_name && !node.get("kind").given();
}

class Gatherer {
 public:
  explicit Gatherer(Reading& reading) : reading_(reading) {}

  std::vector<Fault> faults;

  void document(const document::Node& node, std::string_view kind_of_list = {}) {
    if (!node.is_object()) {
      faults.push_back(node.expected("an object with apiVersion and kind"));
      return;
    }
    if (is_of_kustomize(node)) {
      reading_.ignored.push_back({{"Kustomization", "", "", node.file(), node.line()},
                                  "",
                                  "what kustomize would make of the manifests is not made: "
                                  "`kubectl kustomize DIR | fairlead "
                                  "lab up -f -` takes it"});
      return;
    }
    const document::Node kind = node.get("kind");
    const document::Node version = node.get("apiVersion");
    const bool named = kind.given() || kind_of_list.empty();
    if (named && (kind.kind() != document::Kind::text || kind.text().empty())) {
      faults.push_back(kind.expected("the kind of an object, like Service"));
      return;
    }
    if (named && (version.kind() != document::Kind::text || version.text().empty())) {
      faults.push_back(version.expected("the version of this kind, like v1 or apps/v1"));
      return;
    }
    const std::string name = named ? kind.text() : std::string(kind_of_list);
    if (is_list(name, node)) return list(node, name.substr(0, name.size() - 4));
    object(node, name, named ? version.text() : "");
  }

 private:
  static bool is_list(const std::string& kind, const document::Node& node) {
    const bool ends = kind.size() >= 4 && kind.compare(kind.size() - 4, 4, "List") == 0;
    return ends && (kind == "List" || node.get("items").present());
  }

  void list(const document::Node& node, const std::string& kind_of_items) {
    Reader reader({"List", "", "", node.file(), node.line()}, reading_.ignored);
    std::vector<document::Node> items;
    {
      Scope scope(reader, node, "List");
      (void)scope.take("kind");
      (void)scope.take("apiVersion");
      Scope metadata(reader, scope.take("metadata"), "ListMeta");
      metadata.text("resourceVersion", reading_.objects.resource_version);
      if (node.get("items").given()) {
        scope.each("items", [&](const document::Node& item) { items.push_back(item); });
      } else {
        (void)scope.take("items");
      }
    }
    if (reader.failed()) {
      faults.push_back(*reader.fault());
      return;
    }
    for (const document::Node& item : items) document(item, kind_of_items);
  }

  void object(const document::Node& node, const std::string& kind, const std::string& version) {
    const Origin origin = {kind, node.get("metadata").get("namespace").text(),
                           node.get("metadata").get("name").text(), node.file(), node.line()};
    const KnownKind* known = find_kind(kind);
    const bool served = known != nullptr && (version.empty() || is_version(*known, version));
    if (known != nullptr && !served && is_outdated(*known, version)) {
      faults.push_back(node.get("apiVersion").expected(known->api_version));
      return;
    }
    if (!served) return not_served(node, kind, version, origin);
    if (kind == "EndpointSlice" && node.get("addressType").text() == "FQDN") {
      reading_.ignored.push_back({origin, "addressType", "slices of names are not followed"});
      return;
    }
    dispatch(node, *known, origin);
  }

  // Told apart: a kind that is to come, one of somebody else's group, and a word that nobody knows.
  void not_served(const document::Node& node, const std::string& kind, const std::string& version,
                  const Origin& origin) {
    if (version.empty()) {  // of an item of a typed list, which does not say it
      reading_.ignored.push_back({origin, "", fmt::format("{} is no kind that is read", kind)});
      return;
    }
    const std::string group(group_of(version));
    const std::vector<std::string> kinds = kinds_of_group(group);
    if (std::find(kinds.begin(), kinds.end(), kind) != kinds.end()) {
      reading_.ignored.push_back(
          {origin, "", fmt::format("{} of {} is not supported yet", kind, version)});
      return;
    }
    if (!kinds.empty()) {
      faults.push_back(node.get("kind").refused(
          fmt::format("{} has no kind \"{}\"{}", version, kind, where_else(kind, kinds))));
      return;
    }
    // A group of custom resources has a dot in its name.
    if (group.find('.') == std::string::npos) {
      faults.push_back(node.get("apiVersion")
                           .refused(fmt::format("there is no API group \"{}\"{}", group,
                                                did_you_mean(group, named_groups()))));
      return;
    }
    reading_.ignored.push_back(
        {origin, "", fmt::format("{} is of a group that is not known, {}", kind, group)});
  }

  static std::vector<std::string> named_groups() {
    std::vector<std::string> names = known_groups();
    std::erase(names, "");
    return names;
  }

  static std::string where_else(const std::string& kind, const std::vector<std::string>& kinds) {
    if (const KnownKind* known = find_kind(kind))
      return fmt::format("; it is of {}", known->api_version);
    for (const std::string& group : known_groups()) {
      const std::vector<std::string> others = kinds_of_group(group);
      if (std::find(others.begin(), others.end(), kind) == others.end()) continue;
      return fmt::format("; it is of {}", group.empty() ? "v1" : group);
    }
    return did_you_mean(kind, kinds);
  }

  void dispatch(const document::Node& node, const KnownKind& kind, const Origin& origin) {
    Objects& all = reading_.objects;
    const std::string_view name = kind.kind;
    if (name == "Namespace") return read_one(node, kind, origin, all.namespaces);
    if (name == "Node") return read_one(node, kind, origin, all.nodes);
    if (name == "Pod") return read_one(node, kind, origin, all.pods);
    if (name == "Deployment") return read_one(node, kind, origin, all.deployments);
    if (name == "ReplicaSet") return read_one(node, kind, origin, all.replica_sets);
    if (name == "StatefulSet") return read_one(node, kind, origin, all.stateful_sets);
    if (name == "DaemonSet") return read_one(node, kind, origin, all.daemon_sets);
    if (name == "Service") return read_one(node, kind, origin, all.services);
    if (name == "Endpoints") return read_one(node, kind, origin, all.endpoints);
    if (name == "EndpointSlice") return read_one(node, kind, origin, all.endpoint_slices);
    if (name == "ServiceAccount") return read_one(node, kind, origin, all.service_accounts);
    if (name == "ConfigMap") return read_one(node, kind, origin, all.config_maps);
    if (name == "Secret") return read_one(node, kind, origin, all.secrets);
    if (name == "ServiceEntry") return read_one(node, kind, origin, all.service_entries);
    if (name == "WorkloadEntry") return read_one(node, kind, origin, all.workload_entries);
    dispatch_policy(node, kind, origin);
  }

  void dispatch_policy(const document::Node& node, const KnownKind& kind, const Origin& origin) {
    Objects& all = reading_.objects;
    const std::string_view name = kind.kind;
    if (name == "PeerAuthentication") return read_one(node, kind, origin, all.peer_authentications);
    if (name == "AuthorizationPolicy")
      return read_one(node, kind, origin, all.authorization_policies);
    if (name == "RequestAuthentication")
      return read_one(node, kind, origin, all.request_authentications);
    if (name == "NetworkPolicy") return read_one(node, kind, origin, all.network_policies);
  }

  template <class Object>
  void read_one(const document::Node& node, const KnownKind& kind, const Origin& origin,
                std::vector<Object>& into) {
    Reader reader(origin, reading_.ignored);
    const std::size_t listed = reading_.ignored.size();
    Object object;
    {
      Scope scope(reader, node, kind.kind);
      (void)scope.take("kind");
      (void)scope.take("apiVersion");
      read_metadata(reader, scope.take("metadata"), kind.namespaced, name_rule(kind.kind),
                    object.metadata);
      settle_origin(reader, node, kind, object.metadata);
      read_spec(scope, object);
    }
    std::sort(reading_.ignored.begin() + static_cast<std::ptrdiff_t>(listed),
              reading_.ignored.end(), [](const Ignored& a, const Ignored& b) {
                return std::tie(a.origin.line, a.field) < std::tie(b.origin.line, b.field);
              });
    if (!reader.failed()) check_unique(reader, node, kind, object.metadata);
    if (reader.failed()) {
      Fault fault = *reader.fault();
      const std::string name = origin.name.empty() ? "without a name" : origin.name;
      faults.push_back(std::move(fault.during(fmt::format("reading {} {}", kind.kind, name))));
      return;
    }
    into.push_back(std::move(object));
  }

  static void settle_origin(Reader& reader, const document::Node& node, const KnownKind& kind,
                            Metadata& metadata) {
    metadata.origin = {kind.kind, metadata.name_space, metadata.name, node.file(), node.line()};
    const auto given = metadata.annotations.find(origin_annotation);
    if (given != metadata.annotations.end()) {
      const Origin written = Origin::decode(given->second);
      if (written.known()) {
        metadata.origin = written;
        reader.set_ours();
      }
      metadata.annotations.erase(given);
    }
    reader.set_origin(metadata.origin);
  }

  void check_unique(Reader& reader, const document::Node& node, const KnownKind& kind,
                    const Metadata& metadata) {
    const std::string place = fmt::format("{}:{}", node.file(), node.line());
    const auto [first, fresh] = places_.emplace(
        std::tuple(std::string(kind.kind), metadata.name_space, metadata.name), place);
    if (!fresh) {
      reader.fail(invalid(fmt::format("{}: metadata.name: {} {} is given twice, first in {}", place,
                                      kind.kind, metadata.full_name(), first->second)));
    }
  }

  Reading& reading_;
  std::map<std::tuple<std::string, std::string, std::string>, std::string> places_;
};

}  // namespace

Result<Reading> read(const std::vector<document::Document>& documents) {
  Reading reading;
  Gatherer gatherer(reading);
  for (const document::Document& document : documents) gatherer.document(document.root());
  if (!gatherer.faults.empty()) return gatherer.faults.front();
  return reading;
}

Reading read(const std::vector<document::Document>& documents, std::vector<Fault>& faults) {
  Reading reading;
  Gatherer gatherer(reading);
  for (const document::Document& document : documents) gatherer.document(document.root());
  faults = std::move(gatherer.faults);
  return reading;
}

struct Gathering::State {
  Reading reading;
  Gatherer gatherer{reading};
};

Gathering::Gathering() : state_(std::make_unique<State>()) {}
Gathering::~Gathering() = default;

void Gathering::add(const document::Document& document) {
  state_->gatherer.document(document.root());
}

const std::vector<Fault>& Gathering::faults() const {
  return state_->gatherer.faults;
}

Reading Gathering::take() {
  return std::move(state_->reading);
}

std::vector<Fault> faults_of(const std::vector<document::Document>& documents) {
  std::vector<Fault> faults;
  (void)read(documents, faults);
  return faults;
}

// ── Several files ────────────────────────────────────────────────────────────────────────────────

namespace {

template <class Visit>
void for_each_list(Visit visit) {
  visit("Namespace", &Objects::namespaces);
  visit("Node", &Objects::nodes);
  visit("Pod", &Objects::pods);
  visit("Deployment", &Objects::deployments);
  visit("ReplicaSet", &Objects::replica_sets);
  visit("StatefulSet", &Objects::stateful_sets);
  visit("DaemonSet", &Objects::daemon_sets);
  visit("Service", &Objects::services);
  visit("Endpoints", &Objects::endpoints);
  visit("EndpointSlice", &Objects::endpoint_slices);
  visit("ServiceAccount", &Objects::service_accounts);
  visit("ConfigMap", &Objects::config_maps);
  visit("Secret", &Objects::secrets);
  visit("ServiceEntry", &Objects::service_entries);
  visit("WorkloadEntry", &Objects::workload_entries);
  visit("PeerAuthentication", &Objects::peer_authentications);
  visit("AuthorizationPolicy", &Objects::authorization_policies);
  visit("RequestAuthentication", &Objects::request_authentications);
  visit("NetworkPolicy", &Objects::network_policies);
}

template <class Object>
bool all_named_once(const std::vector<Object>& objects) {
  std::vector<std::pair<std::string_view, std::string_view>> names;
  names.reserve(objects.size());
  for (const Object& object : objects) {
    names.emplace_back(object.metadata.name_space, object.metadata.name);
  }
  std::sort(names.begin(), names.end());
  return std::adjacent_find(names.begin(), names.end()) == names.end();
}

}  // namespace

void for_each_object(const Objects& objects,
                     const std::function<void(const char* kind, const Metadata& object)>& visit) {
  for_each_list([&](const char* kind, auto list) {
    for (const auto& object : objects.*list) visit(kind, object.metadata);
  });
}

Joined::Joined(std::vector<Reading*> readings) : readings_(std::move(readings)) {
  for (Reading* reading : readings_) {
    std::vector<std::size_t>& sizes = sizes_.emplace_back();
    for_each_list([&](const char* /*kind*/, auto list) {
      auto& from = reading->objects.*list;
      auto& into = all_.*list;
      sizes.push_back(from.size());
      std::move(from.begin(), from.end(), std::back_inserter(into));
    });
    const std::string& version = reading->objects.resource_version;
    if (!version.empty()) all_.resource_version = version;
  }
}

Joined::~Joined() {
  std::vector<std::size_t> taken(sizes_.empty() ? 0 : sizes_.front().size());
  for (std::size_t i = 0; i < readings_.size(); ++i) {
    std::size_t list_number = 0;
    for_each_list([&](const char* /*kind*/, auto list) {
      const std::size_t size = sizes_[i][list_number];
      const auto from = (all_.*list).begin() + static_cast<std::ptrdiff_t>(taken[list_number]);
      std::move(from, from + static_cast<std::ptrdiff_t>(size),
                (readings_[i]->objects.*list).begin());
      taken[list_number++] += size;
    });
  }
}

bool Joined::unique() const {
  if (readings_.size() < 2) return true;
  bool unique = true;
  for_each_list(
      [&](const char* /*kind*/, auto list) { unique = unique && all_named_once(all_.*list); });
  return unique;
}

}  // namespace fairlead::kube
