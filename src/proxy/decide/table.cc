#include "proxy/decide/table.h"

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <variant>

namespace fairlead::proxy {
namespace {

using config::HttpConnectionManager;
using RouteTablePointer = std::shared_ptr<const RouteTable>;

const HttpConnectionManager* http_of(const config::FilterChain& chain LIFETIMEBOUND) {
  return std::get_if<HttpConnectionManager>(&chain.filter);
}

template <class Visit>
void for_each_manager(const config::Listener& listener, const Visit& visit) {
  for (const config::FilterChain& chain : listener.filter_chains) {
    if (const HttpConnectionManager* manager = http_of(chain)) visit(*manager);
  }
  if (!listener.default_filter_chain) return;
  if (const HttpConnectionManager* manager = http_of(*listener.default_filter_chain))
    visit(*manager);
}

bool needs_resolving(const config::ClusterLoadAssignment& endpoints) {
  for (const config::LocalityEndpoints& locality : endpoints.localities) {
    const bool any =
        std::any_of(locality.endpoints.begin(), locality.endpoints.end(),
                    [](const config::LbEndpoint& endpoint) { return !endpoint.host.empty(); });
    if (any) return true;
  }
  return false;
}

}  // namespace

struct SnapshotTable::State {
  config::SnapshotPointer snapshot;
  std::unordered_map<SocketAddress, const config::Listener*> listeners;
  std::unordered_map<std::string_view, RouteTablePointer> named;
  std::unordered_map<const HttpConnectionManager*, RouteTablePointer> by_manager;
  std::unordered_map<std::string_view, ClusterTable> clusters;  // names are the clusters' own

  void index_listeners() {
    for (const auto& [name, listener] : snapshot->listeners) {
      listeners.try_emplace(listener->address, listener.get());
      for (const SocketAddress& address : listener->additional_addresses) {
        listeners.try_emplace(address, listener.get());
      }
    }
  }

  Result<> make_named(const State* previous) {
    for (const auto& [name, routes] : snapshot->routes) {
      if (previous) {
        const auto before = previous->named.find(name);
        if (before != previous->named.end() && &before->second->routes() == routes.get()) {
          named.emplace(name, before->second);
          continue;
        }
      }
      Result<RouteTablePointer> table = RouteTable::make(routes);
      if (!table) return std::move(table).fault();
      named.emplace(name, std::move(table).value());
    }
    return done();
  }

  Result<> make_inline(const State* previous) {
    Result<> result = done();
    for (const auto& entry : snapshot->listeners) {
      const std::shared_ptr<const config::Listener>& listener = entry.second;
      for_each_manager(*listener, [&](const HttpConnectionManager& manager) {
        if (!result) return;
        if (!manager.routes) {
          const auto found = named.find(manager.route_config_name);
          if (found != named.end()) by_manager.emplace(&manager, found->second);
          return;
        }
        if (previous) {
          const auto before = previous->by_manager.find(&manager);
          if (before != previous->by_manager.end() &&
              &before->second->routes() == &*manager.routes) {
            by_manager.emplace(&manager, before->second);
            return;
          }
        }
        Result<RouteTablePointer> table = RouteTable::make(
            std::shared_ptr<const config::RouteConfiguration>(listener, &*manager.routes));
        if (table) {
          by_manager.emplace(&manager, std::move(table).value());
        } else {
          result =
              std::move(table).fault().during("making the listener " + listener->name + " ready");
        }
      });
    }
    return result;
  }

  [[nodiscard]] std::shared_ptr<const config::ClusterLoadAssignment> endpoints_of(
      const std::shared_ptr<const config::Cluster>& cluster) const {
    switch (cluster->type) {
      case config::ClusterType::original_dst:
        return nullptr;
      case config::ClusterType::strict_dns:
        if (needs_resolving(cluster->endpoints)) return nullptr;
        [[fallthrough]];
      case config::ClusterType::static_endpoints:
        return {cluster, &cluster->endpoints};
      case config::ClusterType::eds:
        break;
    }
    const auto found = snapshot->endpoints.find(
        cluster->eds_service_name.empty() ? cluster->name : cluster->eds_service_name);
    return found == snapshot->endpoints.end() ? nullptr : found->second;
  }

  void make_clusters(const State* previous) {
    for (const auto& [name, cluster] : snapshot->clusters) {
      ClusterTable table{.cluster = cluster, .endpoints = nullptr};
      if (std::shared_ptr<const config::ClusterLoadAssignment> endpoints = endpoints_of(cluster)) {
        const ClusterTable* before = previous ? previous->find_cluster(name) : nullptr;
        const bool same =
            before && before->endpoints && &before->endpoints->made_of() == endpoints.get();
        table.endpoints =
            same ? before->endpoints : std::make_shared<const EndpointSet>(std::move(endpoints));
      }
      clusters.emplace(cluster->name, std::move(table));
    }
  }

  [[nodiscard]] const ClusterTable* find_cluster(std::string_view name) const LIFETIMEBOUND {
    const auto found = clusters.find(name);
    return found == clusters.end() ? nullptr : &found->second;
  }
};

SnapshotTable::SnapshotTable() : state_(std::make_unique<State>()) {}
SnapshotTable::~SnapshotTable() = default;

Result<SnapshotTablePointer> SnapshotTable::make(config::SnapshotPointer snapshot,
                                                 const SnapshotTable* previous) {
  std::shared_ptr<SnapshotTable> table(new SnapshotTable);
  State& state = *table->state_;
  const State* const before = previous ? previous->state_.get() : nullptr;
  state.snapshot = std::move(snapshot);
  state.index_listeners();
  if (Result<> made = state.make_named(before); !made) return std::move(made).fault();
  if (Result<> made = state.make_inline(before); !made) return std::move(made).fault();
  state.make_clusters(before);
  return SnapshotTablePointer(std::move(table));
}

const config::Snapshot& SnapshotTable::snapshot() const LIFETIMEBOUND {
  return *state_->snapshot;
}

const config::Listener* SnapshotTable::listener_for(const config::Listener& accepted LIFETIMEBOUND,
                                                    const SocketAddress& dialled) const
    LIFETIMEBOUND {
  if (!accepted.use_original_dst) return &accepted;
  const auto& listeners = state_->listeners;
  if (const auto exact = listeners.find(dialled); exact != listeners.end()) return exact->second;
  const SocketAddress wildcard{dialled.ip.is_v4() ? IpAddress() : IpAddress::v6({}), dialled.port};
  const auto any = listeners.find(wildcard);
  return any == listeners.end() ? &accepted : any->second;
}

const RouteTable* SnapshotTable::routes(const HttpConnectionManager& manager) const LIFETIMEBOUND {
  const auto found = state_->by_manager.find(&manager);
  return found == state_->by_manager.end() ? nullptr : found->second.get();
}

const ClusterTable* SnapshotTable::cluster(std::string_view name) const LIFETIMEBOUND {
  return state_->find_cluster(name);
}

}  // namespace fairlead::proxy
