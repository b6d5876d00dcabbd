// Services, and the endpoints that are written by hand or by a controller.
#include <fmt/format.h>

#include <algorithm>

#include "kube/fields.h"
#include "kube/reader.h"

namespace fairlead::kube {
namespace {

// ── services ────────────────────────────────────────────────────────────────────────────────────

void read_service_port(Reader& reader, const document::Node& node, Service& into) {
  Scope scope(reader, node, "ServicePort");
  ServicePort port;
  scope.text("name", port.name);
  if (!port.name.empty() && !dns_label.holds(port.name)) {
    reader.fail(node.get("name").expected(dns_label.expected));
  }
  scope.required_port("port", port.port);
  read_protocol(scope, port.protocol);
  if (port.protocol != Protocol::tcp && !reader.ours()) {
    reader.ignore(node.get("protocol"),
                  "TCP alone is translated and forwarded; this port has a name and no more");
  }
  scope.target_port("targetPort", port.target, port_name);
  scope.text("appProtocol", port.app_protocol);
  if (!port.app_protocol.empty() && !label_key.holds(port.app_protocol)) {
    reader.fail(
        node.get("appProtocol").expected("a protocol's name, like http or kubernetes.io/h2c"));
  }
  for (const ServicePort& other : into.ports) {
    if (other.port == port.port && other.protocol == port.protocol) {
      reader.fail(node.get("port").refused(
          fmt::format("two ports are {} of the same protocol", port.port)));
    }
    if (!port.name.empty() && other.name == port.name) {
      reader.fail(node.get("name").refused(fmt::format("two ports are named \"{}\"", port.name)));
    }
  }
  into.ports.push_back(std::move(port));
}

void check_port_names(Reader& reader, const document::Node& list, const Service& service) {
  if (service.ports.size() < 2) return;
  for (std::size_t i = 0; i < service.ports.size() && i < list.size(); ++i) {
    if (service.ports[i].name.empty()) {
      return reader.fail(list.at(i).get("name").expected("a name, since there are several ports"));
    }
  }
}

void read_cluster_ips(Scope& spec, Service& into) {
  Reader& reader = spec.reader();
  const document::Node single = spec.take("clusterIP");
  const document::Node list = spec.take("clusterIPs");
  if (single.given() && single.kind() != document::Kind::text) {
    return reader.fail(single.expected("an IP address, None, or nothing"));
  }
  std::vector<document::Node> given;
  if (list.given() && !list.is_list()) return reader.fail(list.expected("a list of IP addresses"));
  for (const document::Node& item : list.children()) given.push_back(item);
  if (given.empty() && !single.text().empty()) given.push_back(single);
  if (!list.children().empty() && single.given() && single.text() != list.at(0).text()) {
    return reader.fail(
        single.expected(fmt::format("the first of clusterIPs, {}", list.at(0).text())));
  }
  if (given.size() == 1 && given[0].text() == "None") {
    into.headless = true;
    return;
  }
  for (const document::Node& node : given) {
    IpAddress& ip = into.cluster_ips.emplace_back();
    const Result<IpAddress> parsed = IpAddress::parse(node.text());
    if (!parsed.ok()) return reader.fail(node.expected("an IP address or None"));
    ip = *parsed;
  }
  if (into.cluster_ips.size() > 2 ||
      (into.cluster_ips.size() == 2 &&
       into.cluster_ips[0].family() == into.cluster_ips[1].family())) {
    reader.fail(list.expected("at most one address of each family"));
  }
}

void read_families(Scope& spec, Service& into) {
  spec.each("ipFamilies", [&](const document::Node& node) {
    const bool known = node.text() == "IPv4" || node.text() == "IPv6";
    if (!known) return spec.reader().fail(node.expected("IPv4 or IPv6"));
    const Family family = node.text() == "IPv4" ? Family::v4 : Family::v6;
    if (std::find(into.ip_families.begin(), into.ip_families.end(), family) !=
        into.ip_families.end()) {
      return spec.reader().fail(node.refused("a family is given twice"));
    }
    into.ip_families.push_back(family);
  });
  spec.choice<IpFamilyPolicy>("ipFamilyPolicy", into.ip_family_policy,
                              {{"SingleStack", IpFamilyPolicy::single},
                               {"PreferDualStack", IpFamilyPolicy::prefer_dual},
                               {"RequireDualStack", IpFamilyPolicy::require_dual}});
  if (into.ip_family_policy == IpFamilyPolicy::single && into.ip_families.size() > 1) {
    spec.reader().fail(spec.node().get("ipFamilies").expected("one family, as SingleStack says"));
  }
  for (std::size_t i = 0; i < into.cluster_ips.size() && i < into.ip_families.size(); ++i) {
    if (into.cluster_ips[i].family() == into.ip_families[i]) continue;
    spec.reader().fail(spec.node()
                           .get("ipFamilies")
                           .refused(fmt::format("{} is not of family {} in this list",
                                                into.cluster_ips[i].text(), i + 1)));
  }
}

void check_external_name(Scope& spec, const Service& service) {
  Reader& reader = spec.reader();
  const document::Node& node = spec.node();
  if (service.type != ServiceType::external_name) return;
  if (!dns_name.holds(service.external_name)) {
    reader.fail(node.get("externalName").expected(dns_name.expected));
  }
  if (service.headless || !service.cluster_ips.empty()) {
    reader.fail(node.get("clusterIP").refused("an ExternalName has no address"));
  }
}

// ── endpoints ───────────────────────────────────────────────────────────────────────────────────

void read_target(Reader& reader, const document::Node& node, std::optional<ObjectReference>& into) {
  if (!node.given()) return;
  Scope scope(reader, node, "ObjectReference");
  ObjectReference target;
  scope.text("kind", target.kind);
  scope.text("namespace", target.name_space);
  scope.text("name", target.name);
  scope.text("uid", target.uid);
  into = std::move(target);
}

void read_endpoint_port(Reader& reader, const document::Node& node, bool any,
                        std::vector<EndpointPort>& into) {
  Scope scope(reader, node, "EndpointPort");
  EndpointPort port;
  scope.text("name", port.name);
  if (!port.name.empty() && !dns_label.holds(port.name)) {
    reader.fail(node.get("name").expected(dns_label.expected));
  }
  if (any) {
    scope.port("port", port.port);
  } else {
    scope.required_port("port", port.port);
  }
  read_protocol(scope, port.protocol);
  scope.text("appProtocol", port.app_protocol);
  for (const EndpointPort& other : into) {
    if (other.name == port.name && other.protocol == port.protocol) {
      reader.fail(node.get("name").refused(
          port.name.empty() ? "several ports must have names"
                            : fmt::format("two ports are named \"{}\"", port.name)));
    }
  }
  into.push_back(std::move(port));
}

void check_hostname(Reader& reader, const document::Node& node) {
  if (!node.text().empty() && !dns_label.holds(node.text())) {
    reader.fail(node.expected(dns_label.expected));
  }
}

void read_endpoint_address(Reader& reader, const document::Node& node, EndpointAddress& into) {
  Scope scope(reader, node, "EndpointAddress");
  read_ip(reader, scope.take("ip"), into.ip);
  scope.text("hostname", into.hostname);
  check_hostname(reader, node.get("hostname"));
  scope.text("nodeName", into.node_name);
  read_target(reader, scope.take("targetRef"), into.target);
}

void read_subset(Reader& reader, const document::Node& node, EndpointSubset& into) {
  Scope scope(reader, node, "EndpointSubset");
  scope.each("addresses", [&](const document::Node& item) {
    read_endpoint_address(reader, item, into.addresses.emplace_back());
  });
  scope.each("notReadyAddresses", [&](const document::Node& item) {
    read_endpoint_address(reader, item, into.not_ready_addresses.emplace_back());
  });
  scope.each("ports", [&](const document::Node& item) {
    read_endpoint_port(reader, item, false, into.ports);
  });
  if (into.addresses.empty() && into.not_ready_addresses.empty()) {
    reader.fail(node.expected("addresses or notReadyAddresses"));
  }
}

void read_slice_endpoint(Reader& reader, const document::Node& node, Family family,
                         SliceEndpoint& into) {
  Scope scope(reader, node, "Endpoint");
  scope.each("addresses", [&](const document::Node& item) {
    IpAddress& ip = into.addresses.emplace_back();
    read_ip(reader, item, ip);
    if (!reader.failed() && ip.family() != family) {
      reader.fail(item.expected(family == Family::v4 ? "an IPv4 address" : "an IPv6 address"));
    }
  });
  if (into.addresses.empty()) reader.fail(node.get("addresses").expected("a list of addresses"));
  {
    Scope conditions(reader, scope.take("conditions"), "EndpointConditions");
    conditions.boolean("ready", into.ready);
    conditions.boolean("serving", into.serving);
    conditions.boolean("terminating", into.terminating);
  }
  scope.text("hostname", into.hostname);
  check_hostname(reader, node.get("hostname"));
  scope.text("nodeName", into.node_name);
  scope.text("zone", into.zone);
  read_target(reader, scope.take("targetRef"), into.target);
}

}  // namespace

void read_spec(Scope& scope, Service& into) {
  Reader& reader = scope.reader();
  const document::Node node = scope.take("spec");
  if (!node.given()) return reader.fail(node.expected("an object"));
  Scope spec(reader, node, "ServiceSpec");
  spec.choice<ServiceType>("type", into.type,
                           {{"ClusterIP", ServiceType::cluster_ip},
                            {"NodePort", ServiceType::node_port},
                            {"LoadBalancer", ServiceType::load_balancer},
                            {"ExternalName", ServiceType::external_name}});
  const bool outside =
      into.type == ServiceType::node_port || into.type == ServiceType::load_balancer;
  if (outside && !reader.ours()) {
    reader.ignore(node.get("type"), find_field("ServiceSpec", "externalIPs")->ignored);
  }
  spec.string_map("selector", into.selector, label_key, &label_value);
  read_cluster_ips(spec, into);
  read_families(spec, into);
  spec.text("externalName", into.external_name);
  spec.boolean("publishNotReadyAddresses", into.publish_not_ready_addresses);
  spec.each("ports", [&](const document::Node& item) { read_service_port(reader, item, into); });
  check_port_names(reader, node.get("ports"), into);
  check_external_name(spec, into);
  const bool may_have_none = into.headless || into.type == ServiceType::external_name;
  if (into.ports.empty() && !may_have_none) {
    reader.fail(node.get("ports").expected("a list of at least one port"));
  }
  if (into.headless && into.type != ServiceType::cluster_ip) {
    reader.fail(node.get("clusterIP").refused("only a Service of type ClusterIP may have None"));
  }
}

void read_spec(Scope& scope, Endpoints& into) {
  scope.each("subsets", [&](const document::Node& item) {
    read_subset(scope.reader(), item, into.subsets.emplace_back());
  });
}

void read_spec(Scope& scope, EndpointSlice& into) {
  Reader& reader = scope.reader();
  if (!scope.node().get("addressType").given()) {
    reader.fail(scope.node().get("addressType").expected("IPv4 or IPv6"));
  }
  scope.choice<Family>("addressType", into.family, {{"IPv4", Family::v4}, {"IPv6", Family::v6}});
  scope.each("endpoints", [&](const document::Node& item) {
    read_slice_endpoint(reader, item, into.family, into.endpoints.emplace_back());
  });
  scope.each("ports", [&](const document::Node& item) {
    read_endpoint_port(reader, item, true, into.ports);
  });
}

}  // namespace fairlead::kube
