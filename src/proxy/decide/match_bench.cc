// What choosing costs for one request: a route among a thousand hosts, a cluster, an endpoint.
#include <benchmark/benchmark.h>

#include <string>

#include "proxy/decide/balance.h"
#include "proxy/decide/match.h"
#include "proxy/decide/rewrite.h"

namespace fairlead::proxy {
namespace {

std::shared_ptr<const RouteTable> thousand_hosts() {
  auto routes = std::make_shared<config::RouteConfiguration>();
  routes->ignore_port_in_host_matching = true;
  for (int i = 0; i < 1000; ++i) {
    config::VirtualHost host;
    host.name = "service-" + std::to_string(i);
    host.domains = {host.name, host.name + ".default", host.name + ".default.svc.cluster.local"};
    host.routes.resize(1);
    host.routes[0].forward.clusters = {{.cluster = "outbound|9080||" + host.name}};
    routes->virtual_hosts.push_back(std::move(host));
  }
  return RouteTable::make(std::move(routes)).value();
}

void choose(benchmark::State& state) {
  const auto table = thousand_hosts();
  http::RequestHead head;
  head.authority = "service-777.default.svc.cluster.local:9080";
  head.path = "/reviews/0?page=2";
  auto endpoints = std::make_shared<config::ClusterLoadAssignment>();
  endpoints->localities.resize(1);
  endpoints->localities[0].endpoints.resize(5);
  const EndpointSet set(endpoints);
  Balancer balancer(config::BalancePolicy::least_request);
  SeededRandom random(1);
  const std::uint32_t load[5] = {1, 2, 3, 0, 1};
  for (auto _ : state) {
    benchmark::DoNotOptimize(normalise_path(head).ok());
    const Rule* rule = match(*table, head);
    benchmark::DoNotOptimize(choose_cluster(rule->route->forward.clusters, random).cluster.data());
    benchmark::DoNotOptimize(balancer.pick(set, load, random));
  }
}
BENCHMARK(choose);

}  // namespace
}  // namespace fairlead::proxy
