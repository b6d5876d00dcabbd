#include "proxy/decide/closed.h"

#include <algorithm>

namespace fairlead::proxy {
namespace {

bool lists_filter(const std::vector<std::string>& list, const std::string& name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

bool carries_labels(const config::Labels& labels, const config::Labels& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& label) {
    const auto found = labels.find(label.first);
    return found != labels.end() && found->second == label.second;
  });
}

}  // namespace

std::string_view why_closed(const config::HttpConnectionManager& manager LIFETIMEBOUND,
                            const Rule& rule LIFETIMEBOUND) {
  if (!manager.closed.empty()) return manager.closed;
  for (const config::ClosedFilter& filter : manager.closed_filters) {
    const bool disabled = lists_filter(rule.route->disabled_filters, filter.name) ||
                          lists_filter(rule.host->disabled_filters, filter.name);
    if (!disabled) return filter.why;
  }
  return rule.closed ? std::string_view(*rule.closed) : std::string_view();
}

std::string_view why_closed(const config::Cluster& cluster LIFETIMEBOUND,
                            const config::LbEndpoint* endpoint LIFETIMEBOUND) {
  if (!cluster.closed.empty()) return cluster.closed;
  if (endpoint && !endpoint->closed.empty()) return endpoint->closed;
  static const config::Labels none;
  const config::Labels& labels = endpoint ? endpoint->transport_socket_labels : none;
  for (const config::TransportSocketMatch& match : cluster.transport_socket_matches) {
    if (carries_labels(labels, match.labels)) return match.closed;
  }
  return cluster.transport_socket;
}

bool may_be_closed(const config::Cluster& cluster, const config::ClusterLoadAssignment* endpoints) {
  if (!why_closed(cluster, nullptr).empty()) return true;
  if (!endpoints) return false;
  for (const config::LocalityEndpoints& locality : endpoints->localities) {
    const bool any = std::any_of(
        locality.endpoints.begin(), locality.endpoints.end(),
        [&](const config::LbEndpoint& one) { return !why_closed(cluster, &one).empty(); });
    if (any) return true;
  }
  return false;
}

std::string closed_details(std::string_view why) {
  std::string details = "protection_not_enforced{";
  for (const char c : why) details += c == ' ' ? '_' : c;
  return details + '}';
}

}  // namespace fairlead::proxy
