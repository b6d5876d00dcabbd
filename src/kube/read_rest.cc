// Namespaces, nodes, accounts, data, and Istio's entries.
#include <fmt/format.h>

#include <charconv>

#include "kube/reader.h"

namespace fairlead::kube {
namespace {

bool is_prefix(std::string_view text) {
  const std::size_t slash = text.find('/');
  const Result<IpAddress> ip = IpAddress::parse(text.substr(0, slash));
  if (!ip.ok()) return false;
  if (slash == std::string_view::npos) return true;
  int length = -1;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + slash + 1, end, length);
  return error == std::errc{} && stop == end && length >= 0 && length <= (ip->is_v4() ? 32 : 128);
}

void read_data(Scope& scope, const char* name, StringMap& into) {
  const document::Node node = scope.take(name);
  if (!node.given()) return;
  if (!node.is_object()) return scope.reader().fail(node.expected("an object of base64"));
  for (const document::Node& item : node.children()) {
    if (!file_key.holds(item.key())) {
      return scope.reader().fail(
          item.refused(fmt::format("expected {}, found \"{}\"", file_key.expected, item.key())));
    }
    std::string bytes;
    if (item.given()) read_bytes(scope.reader(), item, bytes);
    into[item.key()] = std::move(bytes);
  }
}

}  // namespace

void read_spec(Scope& /*scope*/, Namespace& /*into*/) {}

void read_spec(Scope& scope, Node& into) {
  Reader& reader = scope.reader();
  Scope spec(reader, scope.take("spec"), "NodeSpec");
  spec.strings("podCIDRs", into.pod_cidrs);
  std::string first;
  spec.text("podCIDR", first);
  if (into.pod_cidrs.empty() && !first.empty()) into.pod_cidrs.push_back(first);
  for (const std::string& range : into.pod_cidrs) {
    if (is_prefix(range) && range.find('/') != std::string::npos) continue;
    reader.fail(
        spec.node()
            .get("podCIDRs")
            .refused(fmt::format("expected a range like 10.244.1.0/24, found \"{}\"", range)));
  }
  spec.boolean("unschedulable", into.unschedulable);
  Scope status(reader, scope.take("status"), "NodeStatus");
  status.each("addresses", [&](const document::Node& item) {
    Scope address(reader, item, "NodeAddress");
    NodeAddress one;
    address.required("type", one.type, not_empty);
    address.required("address", one.address, not_empty);
    into.addresses.push_back(std::move(one));
  });
  read_conditions(status, into.conditions);
}

void read_spec(Scope& /*scope*/, ServiceAccount& /*into*/) {}

void read_spec(Scope& scope, ConfigMap& into) {
  scope.string_map("data", into.data, file_key, nullptr);
  read_data(scope, "binaryData", into.binary_data);
  for (const auto& [key, bytes] : into.binary_data) {
    if (into.data.count(key) == 0) continue;
    scope.reader().fail(
        scope.node().get("binaryData").get(key).refused("this key is in data as well"));
  }
}

void read_spec(Scope& scope, Secret& into) {
  scope.text("type", into.type);
  if (into.type.empty()) into.type = "Opaque";
  read_data(scope, "data", into.data);
  scope.string_map("stringData", into.data, file_key, nullptr);
}

// ── Istio's ─────────────────────────────────────────────────────────────────────────────────────

namespace {

void read_workload(Reader& reader, const document::Node& node, bool address_needed,
                   WorkloadEntrySpec& into) {
  if (!node.given()) return reader.fail(node.expected("an object"));
  Scope scope(reader, node, "WorkloadEntrySpec");
  if (address_needed) {
    scope.required("address", into.address, not_empty);
  } else {
    scope.text("address", into.address);
  }
  const bool path = into.address.rfind("unix://", 0) == 0;
  if (!into.address.empty() && !path && !IpAddress::parse(into.address).ok() &&
      !dns_name.holds(into.address)) {
    reader.fail(node.get("address").expected("an IP address, a host name, or unix:///PATH"));
  }
  const document::Node ports = scope.take("ports");
  if (ports.given() && !ports.is_object()) reader.fail(ports.expected("an object of ports"));
  for (const document::Node& port : ports.children()) {
    const Result<std::int64_t> number = port.as_integer();
    if (!number.ok() || *number < 1 || *number > UINT16_MAX) {
      return reader.fail(port.expected("a port from 1 to 65535"));
    }
    into.ports[port.key()] = static_cast<std::uint16_t>(*number);
  }
  scope.string_map("labels", into.labels, label_key, &label_value);
  scope.text("locality", into.locality);
  int weight = 1;
  scope.integer("weight", weight, 0);
  into.weight = weight == 0 ? 1 : static_cast<std::uint32_t>(weight);  // 0 is "not said"
  scope.text("serviceAccount", into.service_account);
}

void read_entry_port(Reader& reader, const document::Node& node, ServiceEntry& into) {
  Scope scope(reader, node, "ServiceEntryPort");
  EntryPort port;
  scope.required_port("number", port.number);
  scope.required("name", port.name, not_empty);
  scope.text("protocol", port.protocol);
  if (const document::Node target = scope.take("targetPort");
      target.given() && target.as_integer().ok() && *target.as_integer() == 0) {
    port.target_port = 0;
  } else {
    scope.port("targetPort", port.target_port);
  }
  for (const EntryPort& other : into.ports) {
    if (other.number == port.number) {
      reader.fail(node.get("number").refused(fmt::format("two ports are {}", port.number)));
    }
    if (other.name == port.name) {
      reader.fail(node.get("name").refused(fmt::format("two ports are named \"{}\"", port.name)));
    }
  }
  into.ports.push_back(std::move(port));
}

void check_resolution(Scope& spec, const ServiceEntry& entry) {
  Reader& reader = spec.reader();
  const document::Node endpoints = spec.node().get("endpoints");
  if (!entry.endpoints.empty() && !entry.workload_selector.empty()) {
    reader.fail(endpoints.refused("not both endpoints and workloadSelector"));
  }
  if (entry.resolution == Resolution::none && !entry.endpoints.empty()) {
    reader.fail(endpoints.refused("resolution NONE has no endpoints"));
  }
  if (entry.resolution != Resolution::fixed) return;
  for (std::size_t i = 0; i < entry.endpoints.size() && i < endpoints.size(); ++i) {
    const std::string& address = entry.endpoints[i].address;
    if (address.rfind("unix://", 0) == 0 || IpAddress::parse(address).ok()) continue;
    reader.fail(endpoints.at(i).get("address").expected("an IP address, as resolution is STATIC"));
  }
}

}  // namespace

void read_spec(Scope& scope, WorkloadEntry& into) {
  read_workload(scope.reader(), scope.take("spec"), true, into.spec);
}

void read_spec(Scope& scope, ServiceEntry& into) {
  Reader& reader = scope.reader();
  const document::Node node = scope.take("spec");
  if (!node.given()) return reader.fail(node.expected("an object"));
  Scope spec(reader, node, "ServiceEntrySpec");
  spec.each("hosts", [&](const document::Node& item) {
    if (item.kind() != document::Kind::text || !host_or_pattern.holds(item.text())) {
      return reader.fail(item.expected(host_or_pattern.expected));
    }
    into.hosts.push_back(item.text());
  });
  if (into.hosts.empty()) reader.fail(node.get("hosts").expected("a list of at least one host"));
  spec.each("addresses", [&](const document::Node& item) {
    if (item.kind() != document::Kind::text || !is_prefix(item.text())) {
      return reader.fail(item.expected("an IP address or a range like 10.0.0.0/8"));
    }
    into.addresses.push_back(item.text());
  });
  spec.each("ports", [&](const document::Node& item) { read_entry_port(reader, item, into); });
  spec.choice<bool>("location", into.internal, {{"MESH_EXTERNAL", false}, {"MESH_INTERNAL", true}});
  spec.choice<Resolution>("resolution", into.resolution,
                          {{"NONE", Resolution::none},
                           {"STATIC", Resolution::fixed},
                           {"DNS", Resolution::dns},
                           {"DNS_ROUND_ROBIN", Resolution::dns_round_robin}});
  spec.each("endpoints", [&](const document::Node& item) {
    read_workload(reader, item, into.resolution != Resolution::dns, into.endpoints.emplace_back());
  });
  Scope selector(reader, spec.take("workloadSelector"), "WorkloadSelector");
  selector.string_map("labels", into.workload_selector, label_key, &label_value);
  check_resolution(spec, into);
}

}  // namespace fairlead::kube
