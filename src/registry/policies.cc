#include "registry/policies.h"

#include <algorithm>
#include <tuple>

namespace fairlead::registry {
namespace {

bool is_root(const std::string& name_space) {
  return name_space == "istio-system" || name_space == "fairlead-system";
}

mesh::MutualTls mode_of(kube::MutualTls mode) {
  switch (mode) {
    case kube::MutualTls::unset:
      return mesh::MutualTls::unset;
    case kube::MutualTls::optional:
      return mesh::MutualTls::optional;
    case kube::MutualTls::required:
      return mesh::MutualTls::required;
  }
  return mesh::MutualTls::unset;
}

mesh::LabelCondition::Operator operator_of(kube::SelectorRequirement::Operator operation) {
  using From = kube::SelectorRequirement::Operator;
  using To = mesh::LabelCondition::Operator;
  switch (operation) {
    case From::in:
      return To::in;
    case From::not_in:
      return To::not_in;
    case From::exists:
      return To::exists;
    case From::does_not_exist:
      return To::does_not_exist;
  }
  return To::exists;
}

std::vector<mesh::LabelCondition> conditions_of(const kube::StringMap& labels) {
  std::vector<mesh::LabelCondition> all;
  all.reserve(labels.size());
  for (const auto& [key, value] : labels) all.push_back({.key = key, .values = {value}});
  return all;
}

std::vector<mesh::LabelCondition> conditions_of(const kube::LabelSelector& selector) {
  std::vector<mesh::LabelCondition> all = conditions_of(selector.match_labels);
  for (const kube::SelectorRequirement& each : selector.match_expressions) {
    all.push_back(
        {.key = each.key, .operation = operator_of(each.operation), .values = each.values});
  }
  return all;
}

mesh::Policy start(mesh::PolicyKind kind, const kube::Policy& given) {
  return {.kind = kind,
          .name_space = given.metadata.name_space,
          .everywhere = kind != mesh::PolicyKind::network && is_root(given.metadata.name_space),
          .labels = conditions_of(given.selector),
          .origin = given.metadata.origin};
}

// Once for each Service that it names.
void add_for_targets(const kube::Policy& given, mesh::Policy policy, const kube::Objects& objects,
                     std::vector<mesh::Policy>& into) {
  if (!given.by_target) return into.push_back(std::move(policy));
  policy.everywhere = false;
  for (const std::string& name : given.services) {
    const kube::Service* service = kube::find(objects.services, given.metadata.name_space, name);
    if (service == nullptr || service->selector.empty()) continue;
    policy.labels = conditions_of(service->selector);
    into.push_back(policy);
  }
}

auto order_of(const mesh::Policy& policy) {
  return std::tie(policy.name_space, policy.kind, policy.origin.name, policy.origin.line);
}

}  // namespace

std::vector<mesh::Policy> policies_of(const kube::Objects& objects) {
  std::vector<mesh::Policy> all;
  for (const kube::PeerAuthentication& given : objects.peer_authentications) {
    mesh::Policy policy = start(mesh::PolicyKind::peer_authentication, given);
    policy.mode = mode_of(given.mode);
    for (const auto& [port, mode] : given.ports) policy.port_modes[port] = mode_of(mode);
    all.push_back(std::move(policy));
  }
  for (const kube::AuthorizationPolicy& given : objects.authorization_policies) {
    if (!given.can_refuse()) continue;
    add_for_targets(given, start(mesh::PolicyKind::authorization, given), objects, all);
  }
  for (const kube::RequestAuthentication& given : objects.request_authentications) {
    if (!given.has_rules) continue;
    add_for_targets(given, start(mesh::PolicyKind::request_authentication, given), objects, all);
  }
  for (const kube::NetworkPolicy& given : objects.network_policies) {
    mesh::Policy policy = start(mesh::PolicyKind::network, given);
    policy.judges_callees = given.ingress;
    policy.judges_callers = given.egress;
    all.push_back(std::move(policy));
  }
  std::sort(all.begin(), all.end(), [](const mesh::Policy& left, const mesh::Policy& right) {
    return order_of(left) < order_of(right);
  });
  return all;
}

}  // namespace fairlead::registry
