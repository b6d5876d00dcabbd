#include "kube/services.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "kube/naming.h"

namespace fairlead::kube {

const ServiceRanges& default_ranges() {
  static const ServiceRanges ranges = {
      IpAddress::v4({10, 96, 0, 0}),
      16,
      IpAddress::v6({0xfd, 0, 0, 0x10, 0, 0x96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}),
      112,
      {IpAddress::v4({10, 96, 0, 10}),
       IpAddress::v6({0xfd, 0, 0, 0x10, 0, 0x96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0a})}};
  return ranges;
}

// ── cluster IPs ─────────────────────────────────────────────────────────────────────────────────

namespace {

std::string place_of(const Service& service) {
  std::string text = service.metadata.origin.file;
  if (service.metadata.origin.line > 0) {
    text += fmt::format(":{}", service.metadata.origin.line);
  }
  return text.empty() ? text : text + ": ";
}

bool needs_addresses(const Service& service) {
  return !service.headless && service.type != ServiceType::external_name;
}

// The address `offset` into a range.
IpAddress address_at(const IpAddress& base, std::uint64_t offset) {
  std::array<std::uint8_t, 16> bytes = base.bytes();
  const std::size_t size = base.is_v4() ? 4 : 16;
  for (std::size_t i = 0; i < 8 && i < size; ++i) {
    const std::uint64_t sum = bytes[size - 1 - i] + (offset & 0xFFU);
    bytes[size - 1 - i] = static_cast<std::uint8_t>(sum);
    offset = (offset >> 8U) + (sum >> 8U);
  }
  if (!base.is_v4()) return IpAddress::v6(bytes);
  return IpAddress::v4({bytes[0], bytes[1], bytes[2], bytes[3]});
}

void settle_families(Service& service) {
  std::vector<Family>& families = service.ip_families;
  if (families.empty()) {
    for (const IpAddress& ip : service.cluster_ips) families.push_back(ip.family());
  }
  IpFamilyPolicy& policy = service.ip_family_policy;
  if (policy == IpFamilyPolicy::unset) {
    // A headless Service without selector may have endpoints of either family.
    const bool both = families.size() > 1 || (service.headless && service.selector.empty());
    policy = both ? IpFamilyPolicy::require_dual : IpFamilyPolicy::single;
  }
  if (families.empty()) families.push_back(Family::v4);
  if (policy != IpFamilyPolicy::single && families.size() < 2) {
    families.push_back(families[0] == Family::v4 ? Family::v6 : Family::v4);
  }
}

class Allocator {
 public:
  explicit Allocator(const ServiceRanges& ranges) : ranges_(ranges) {
    const int v4_bits = std::clamp(32 - ranges.v4_length, 0, 32);
    const int v6_bits = std::clamp(128 - ranges.v6_length, 0, 32);
    size_ = std::uint64_t{1} << static_cast<unsigned>(std::min(v4_bits, v6_bits));
    reserved_ = std::clamp<std::uint64_t>(size_ / 16, std::min<std::uint64_t>(size_, 16), 256);
  }

  Result<> claim(const Service& service) {
    for (const IpAddress& ip : service.cluster_ips) {
      const IpAddress& base = ip.is_v4() ? ranges_.v4 : ranges_.v6;
      const int length = ip.is_v4() ? ranges_.v4_length : ranges_.v6_length;
      if (!ip.within(base, length)) {
        return invalid(fmt::format("{}spec.clusterIP: expected an address of {}/{}, found {}",
                                   place_of(service), base.text(), length, ip.text()));
      }
      const bool of_dns =
          std::find(ranges_.dns.begin(), ranges_.dns.end(), ip) != ranges_.dns.end();
      if (of_dns && !is_cluster_dns(service)) {
        return invalid(fmt::format("{}spec.clusterIP: {} is where the cluster's DNS answers",
                                   place_of(service), ip.text()));
      }
      const auto [taken, fresh] = owners_.emplace(ip, &service);
      if (fresh) continue;
      const Service& other = *taken->second;
      return invalid(fmt::format("{}spec.clusterIP: {} is that of {} already", place_of(service),
                                 ip.text(), who(other)));
    }
    return done();
  }

  bool is_free(const IpAddress& ip) const { return owners_.count(ip) == 0; }

  void keep(Service& service, const Service& before) {
    for (const Family family : missing_families(service)) {
      for (const IpAddress& ip : before.cluster_ips) {
        if (ip.family() != family || !is_free(ip)) continue;
        owners_.emplace(ip, &service);
        put(service, ip);
      }
    }
  }

  Result<> give(Service& service) {
    const std::vector<Family> families = missing_families(service);
    if (families.empty()) return done();
    const std::uint64_t usable = size_ - std::min(size_, reserved_ + 1);  // not the very last
    const std::uint64_t start = hash_of(service.metadata.full_name());
    for (std::uint64_t i = 0; i < usable; ++i) {
      const std::uint64_t offset = reserved_ + (start + i) % usable;
      const bool free = std::all_of(families.begin(), families.end(), [&](Family family) {
        return is_free(address_at(base_of(family), offset));
      });
      if (!free) continue;
      for (const Family family : families) {
        const IpAddress ip = address_at(base_of(family), offset);
        owners_.emplace(ip, &service);
        put(service, ip);
      }
      return done();
    }
    return Fault{FaultKind::exhausted,
                 fmt::format("{}no cluster IP is left for {}", place_of(service), who(service))};
  }

 private:
  [[nodiscard]] const IpAddress& base_of(Family family) const {
    return family == Family::v4 ? ranges_.v4 : ranges_.v6;
  }

  static bool is_cluster_dns(const Service& service) {
    return service.metadata.name_space == "kube-system" && service.metadata.name == "kube-dns";
  }

  static std::string who(const Service& service) {
    Origin origin = service.metadata.origin;
    if (!origin.known()) origin.kind = "Service";
    origin.name_space = service.metadata.name_space;
    origin.name = service.metadata.name;
    return origin.describe();
  }

  static std::vector<Family> missing_families(const Service& service) {
    std::vector<Family> missing;
    for (const Family family : service.ip_families) {
      const bool there = std::any_of(service.cluster_ips.begin(), service.cluster_ips.end(),
                                     [&](const IpAddress& ip) { return ip.family() == family; });
      if (!there) missing.push_back(family);
    }
    return missing;
  }

  // In the order of the families.
  static void put(Service& service, const IpAddress& ip) {
    service.cluster_ips.push_back(ip);
    const auto rank = [&](const IpAddress& each) {
      return std::find(service.ip_families.begin(), service.ip_families.end(), each.family()) -
             service.ip_families.begin();
    };
    std::sort(service.cluster_ips.begin(), service.cluster_ips.end(),
              [&](const IpAddress& a, const IpAddress& b) { return rank(a) < rank(b); });
  }

  const ServiceRanges& ranges_;
  std::uint64_t size_ = 0;
  std::uint64_t reserved_ = 0;
  std::map<IpAddress, const Service*> owners_;
};

}  // namespace

Result<> allocate_cluster_ips(std::vector<Service>& services, const std::vector<Service>& before,
                              const ServiceRanges& ranges) {
  Allocator allocator(ranges);
  std::map<std::pair<std::string, std::string>, const Service*> known;
  for (const Service& service : before) {
    known[{service.metadata.name_space, service.metadata.name}] = &service;
  }
  for (Service& service : services) {
    if (service.type == ServiceType::external_name) continue;
    settle_families(service);
    if (Result<> claimed = allocator.claim(service); !claimed.ok()) return claimed;
  }
  for (Service& service : services) {
    const auto found = known.find({service.metadata.name_space, service.metadata.name});
    if (needs_addresses(service) && found != known.end()) allocator.keep(service, *found->second);
  }
  for (Service& service : services) {
    if (!needs_addresses(service)) continue;
    if (Result<> given = allocator.give(service); !given.ok()) return given;
  }
  return done();
}

// ── endpoint slices ─────────────────────────────────────────────────────────────────────────────

namespace {

constexpr std::size_t most_in_a_slice = 100;
constexpr const char* skip_mirror_label = "endpointslice.kubernetes.io/skip-mirror";
constexpr const char* zone_label = "topology.kubernetes.io/zone";

std::uint16_t container_port(const Pod& pod, const PortReference& target, Protocol protocol) {
  const auto look = [&](const std::vector<Container>& containers, bool sidecars) -> std::uint16_t {
    for (const Container& container : containers) {
      if (sidecars && !container.sidecar) continue;
      for (const ContainerPort& port : container.ports) {
        if (port.name == target.name && port.protocol == protocol) return port.port;
      }
    }
    return 0;
  };
  const std::uint16_t found = look(pod.spec.containers, false);
  return found != 0 ? found : look(pod.spec.init_containers, true);
}

// What the service's ports are on this pod; a name that the pod does not have leaves its port out.
std::vector<EndpointPort> ports_on(const Pod& pod, const Service& service) {
  std::vector<EndpointPort> ports;
  for (const ServicePort& port : service.ports) {
    std::uint16_t number = port.target.number;
    if (!port.target.given()) number = port.port;
    if (!port.target.name.empty()) number = container_port(pod, port.target, port.protocol);
    if (number != 0) ports.push_back({port.name, number, port.protocol, port.app_protocol});
  }
  return ports;
}

// Equal port sets make one slice, in an order of their own.
std::string key_of(const std::vector<EndpointPort>& ports) {
  std::string key;
  for (const EndpointPort& port : ports) {
    key += fmt::format("{}/{}/{};", port.name, port.port, static_cast<int>(port.protocol));
  }
  return key;
}

EndpointSlice slice_for(const Metadata& service, const Metadata& source, Family family,
                        const char* manager, const std::string& key) {
  EndpointSlice slice;
  slice.family = family;
  slice.metadata.name_space = service.name_space;
  const std::string unique =
      fmt::format("{}|{}|{}|{}", service.full_name(), static_cast<int>(family), manager, key);
  slice.metadata.name = fmt::format("{}-{}", source.name, safe_word(hash_of(unique), 5));
  slice.metadata.labels = source.labels;
  slice.metadata.labels[service_name_label] = service.name;
  slice.metadata.labels[slice_manager_label] = manager;
  slice.metadata.origin = source.origin;
  return slice;
}

class Slicer {
 public:
  explicit Slicer(const Objects& objects) : objects_(objects) {
    for (const Node& node : objects.nodes) {
      const auto zone = node.metadata.labels.find(zone_label);
      if (zone != node.metadata.labels.end()) zones_[node.metadata.name] = zone->second;
    }
    for (const Pod& pod : objects.pods) by_namespace_[pod.metadata.name_space].push_back(&pod);
    for (auto& [name, pods] : by_namespace_) {
      std::sort(pods.begin(), pods.end(),
                [](const Pod* a, const Pod* b) { return a->metadata.name < b->metadata.name; });
    }
  }

  std::vector<EndpointSlice> all() {
    for (const Service& service : objects_.services) {
      if (service.type == ServiceType::external_name || service.selector.empty()) continue;
      for (const Family family : families_of(service)) add(service, family);
    }
    for (const Endpoints& endpoints : objects_.endpoints) mirror(endpoints);
    return std::move(slices_);
  }

 private:
  static std::vector<Family> families_of(const Service& service) {
    if (!service.ip_families.empty()) return service.ip_families;
    std::vector<Family> families;
    families.reserve(service.cluster_ips.size());
    for (const IpAddress& ip : service.cluster_ips) families.push_back(ip.family());
    if (families.empty()) families.push_back(Family::v4);
    return families;
  }

  SliceEndpoint endpoint_of(const Pod& pod, const Service& service, const IpAddress& ip) const {
    SliceEndpoint endpoint;
    endpoint.addresses = {ip};
    const bool serving = is_ready(pod);
    const bool terminating = is_terminating(pod);
    endpoint.ready = service.publish_not_ready_addresses || (serving && !terminating);
    endpoint.serving = serving;
    endpoint.terminating = terminating;
    if (!pod.spec.hostname.empty() && pod.spec.subdomain == service.metadata.name) {
      endpoint.hostname = pod.spec.hostname;
    }
    endpoint.node_name = pod.spec.node_name;
    const auto zone = zones_.find(pod.spec.node_name);
    if (zone != zones_.end()) endpoint.zone = zone->second;
    endpoint.target =
        ObjectReference{"Pod", pod.metadata.name_space, pod.metadata.name, pod.metadata.uid};
    return endpoint;
  }

  void add(const Service& service, Family family) {
    struct Group {
      std::vector<EndpointPort> ports;
      std::vector<SliceEndpoint> endpoints;
    };
    std::map<std::string, Group> groups;
    for (const Pod* pod : by_namespace_[service.metadata.name_space]) {
      if (is_over(*pod) || !selects(service.selector, pod->metadata.labels)) continue;
      const auto ip = std::find_if(pod->status.pod_ips.begin(), pod->status.pod_ips.end(),
                                   [&](const IpAddress& each) { return each.family() == family; });
      if (ip == pod->status.pod_ips.end()) continue;
      std::vector<EndpointPort> ports = ports_on(*pod, service);
      Group& group = groups[key_of(ports)];
      group.ports = std::move(ports);
      group.endpoints.push_back(endpoint_of(*pod, service, *ip));
    }
    if (groups.empty()) groups[""] = {};
    for (auto& [key, group] : groups) {
      add_slices(service, family, key, group.ports, group.endpoints);
    }
  }

  void add_slices(const Service& service, Family family, const std::string& key,
                  const std::vector<EndpointPort>& ports,
                  const std::vector<SliceEndpoint>& endpoints) {
    for (std::size_t at = 0; at == 0 || at < endpoints.size(); at += most_in_a_slice) {
      EndpointSlice slice = slice_for(service.metadata, service.metadata, family, slice_controller,
                                      fmt::format("{}{}", key, at));
      slice.metadata.owners = {
          {"v1", "Service", service.metadata.name, service.metadata.uid, true}};
      if (service.headless) slice.metadata.labels[headless_label] = "";
      slice.ports = ports;
      const std::size_t end = std::min(endpoints.size(), at + most_in_a_slice);
      slice.endpoints.assign(endpoints.begin() + static_cast<std::ptrdiff_t>(at),
                             endpoints.begin() + static_cast<std::ptrdiff_t>(end));
      add_unique(std::move(slice));
    }
  }

  void mirror(const Endpoints& endpoints) {
    const Metadata& metadata = endpoints.metadata;
    const Service* service = find(objects_.services, metadata.name_space, metadata.name);
    const auto skip = metadata.labels.find(skip_mirror_label);
    if (service == nullptr || !service->selector.empty()) return;
    if (skip != metadata.labels.end() && skip->second == "true") return;
    for (std::size_t i = 0; i < endpoints.subsets.size(); ++i) {
      for (const Family family : {Family::v4, Family::v6}) {
        mirror_subset(endpoints, endpoints.subsets[i], family, std::to_string(i));
      }
    }
  }

  void mirror_subset(const Endpoints& endpoints, const EndpointSubset& subset, Family family,
                     const std::string& key) {
    EndpointSlice slice =
        slice_for(endpoints.metadata, endpoints.metadata, family, slice_mirror_controller, key);
    slice.metadata.owners = {
        {"v1", "Endpoints", endpoints.metadata.name, endpoints.metadata.uid, true}};
    slice.ports = subset.ports;
    const auto add_all = [&](const std::vector<EndpointAddress>& addresses, bool ready) {
      for (const EndpointAddress& address : addresses) {
        if (address.ip.family() != family) continue;
        SliceEndpoint endpoint;
        endpoint.addresses = {address.ip};
        endpoint.ready = ready;
        endpoint.hostname = address.hostname;
        endpoint.node_name = address.node_name;
        endpoint.target = address.target;
        slice.endpoints.push_back(std::move(endpoint));
      }
    };
    add_all(subset.addresses, true);
    add_all(subset.not_ready_addresses, false);
    if (!slice.endpoints.empty()) add_unique(std::move(slice));
  }

  void add_unique(EndpointSlice slice) {
    for (std::uint64_t again = 1;
         !names_.emplace(slice.metadata.name_space, slice.metadata.name).second; ++again) {
      slice.metadata.name.replace(slice.metadata.name.size() - 5, 5,
                                  safe_word(hash_of(slice.metadata.name) + again, 5));
    }
    slices_.push_back(std::move(slice));
  }

  const Objects& objects_;
  std::map<std::string, std::string> zones_;
  std::map<std::string, std::vector<const Pod*>> by_namespace_;
  std::set<std::pair<std::string, std::string>> names_;
  std::vector<EndpointSlice> slices_;
};

}  // namespace

std::vector<EndpointSlice> endpoint_slices_of(const Objects& objects) {
  return Slicer(objects).all();
}

namespace {

std::string label_of(const EndpointSlice& slice, const char* label) {
  const auto found = slice.metadata.labels.find(label);
  return found == slice.metadata.labels.end() ? std::string() : found->second;
}

using FullName = std::pair<std::string, std::string>;  // namespace, name

FullName service_of(const EndpointSlice& slice) {
  return {slice.metadata.name_space, label_of(slice, service_name_label)};
}

bool is_controllers(const EndpointSlice& slice) {
  const std::string manager = label_of(slice, slice_manager_label);
  return manager == slice_controller || manager == slice_mirror_controller;
}

}  // namespace

void put_endpoint_slices(Objects& objects, Elsewhere elsewhere) {
  std::vector<EndpointSlice> made = endpoint_slices_of(objects);
  std::set<FullName> known;  // services whose slices are made here
  for (const EndpointSlice& slice : made) {
    const bool all_of_it = elsewhere == Elsewhere::no_pods_are || !slice.endpoints.empty();
    if (all_of_it) known.insert(service_of(slice));
  }
  std::erase_if(objects.endpoint_slices, [&](const EndpointSlice& slice) {
    return is_controllers(slice) && known.contains(service_of(slice));
  });
  std::set<FullName> names;
  for (const EndpointSlice& slice : objects.endpoint_slices) {
    names.emplace(slice.metadata.name_space, slice.metadata.name);
  }
  for (EndpointSlice& slice : made) {
    if (names.contains({slice.metadata.name_space, slice.metadata.name})) continue;
    objects.endpoint_slices.push_back(std::move(slice));
  }
}

}  // namespace fairlead::kube
