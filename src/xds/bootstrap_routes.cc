#include "xds/bootstrap_routes.h"

#include <fmt/format.h>

namespace fairlead::xds {
namespace {

using Names = std::set<std::string>;
using HttpManager = wire::http::HttpConnectionManager;

Result<> check_name(const std::string& cluster, const Names& clusters, const Place& place) {
  if (clusters.contains(cluster)) return done();
  return place.refused(fmt::format("\"{}\" is no static cluster", cluster));
}

Result<> check_action(const wire::route::RouteAction& action, const Names& clusters,
                      const Place& place) {
  if (!action.cluster().empty()) {
    return check_name(action.cluster(), clusters, place.in("cluster"));
  }
  const Place weighted = place.in("weighted_clusters");
  for (int i = 0; i < action.weighted_clusters().clusters_size(); ++i) {
    const Place here = weighted.in("clusters", i);
    const Result<> named =
        check_name(action.weighted_clusters().clusters(i).name(), clusters, here.in("name"));
    if (!named) return named;
  }
  return done();
}

Result<> check_host(const wire::route::VirtualHost& host, const Names& clusters,
                    const Place& place) {
  for (int i = 0; i < host.routes_size(); ++i) {
    if (!host.routes(i).has_route()) continue;
    const Place here = place.in("routes", i);
    const Result<> checked = check_action(host.routes(i).route(), clusters, here.in("route"));
    if (!checked) return checked;
  }
  return done();
}

Result<> check_manager(const wire::Any& any, const Names& clusters, const Place& place) {
  HttpManager http;
  if (!any.UnpackTo(&http) || !http.has_route_config()) return done();
  const wire::route::RouteConfiguration& routes = http.route_config();
  if (routes.has_validate_clusters() && !routes.validate_clusters().value()) return done();
  const Place inside = place.in("route_config");
  inside.in("validate_clusters").take_back_note();
  for (int i = 0; i < routes.virtual_hosts_size(); ++i) {
    const Result<> checked =
        check_host(routes.virtual_hosts(i), clusters, inside.in("virtual_hosts", i));
    if (!checked) return checked;
  }
  return done();
}

Result<> check_chain(const wire::listener::FilterChain& chain, const Names& clusters,
                     const Place& place) {
  for (int i = 0; i < chain.filters_size(); ++i) {
    const Place here = place.in("filters", i);
    const wire::Any& any = chain.filters(i).typed_config();
    if (!any.Is<HttpManager>()) continue;
    const Result<> checked = check_manager(any, clusters, here.in("typed_config"));
    if (!checked) return checked;
  }
  return done();
}

}  // namespace

Result<> check_route_clusters(const wire::listener::Listener& listener, const Names& clusters,
                              const Place& place) {
  for (int i = 0; i < listener.filter_chains_size(); ++i) {
    const Result<> checked =
        check_chain(listener.filter_chains(i), clusters, place.in("filter_chains", i));
    if (!checked) return checked;
  }
  if (!listener.has_default_filter_chain()) return done();
  return check_chain(listener.default_filter_chain(), clusters, place.in("default_filter_chain"));
}

}  // namespace fairlead::xds
