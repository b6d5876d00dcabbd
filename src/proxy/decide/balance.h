// Which endpoint of a cluster takes a request. Pure but for the balancer's own state, which is a
// worker's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/lifetime.h"
#include "config/cluster.h"
#include "proxy/decide/refusal.h"

namespace fairlead::proxy {

struct EligibleEndpoint {
  const config::LbEndpoint* endpoint = nullptr;  // of the assignment
  std::uint32_t priority = 0;
  double share = 0;  // of all requests, over time, at even load
};

[[nodiscard]] std::vector<EligibleEndpoint> eligible(
    const config::ClusterLoadAssignment& endpoints LIFETIMEBOUND, Refusals* refused = nullptr);
// Healthy or unknown, weight above 0, in the lowest priority that has any. Priorities share as in
// Envoy: one whose healthy part times 1.4 is below 1 gives the rest to the next. Localities do not
// matter (Envoy's default). There is no panic: when nobody is healthy nobody is asked (istiod sets
// Envoy so), and the answer is 503 UH.

// The endpoints of a cluster made ready. Immutable; endpoints are numbered 0..size()-1, and only
// eligible ones are in it.
class EndpointSet {
 public:
  explicit EndpointSet(std::shared_ptr<const config::ClusterLoadAssignment> endpoints);
  EndpointSet(const config::ClusterLoadAssignment& endpoints, std::shared_ptr<const void> owner);
  // `owner` keeps `endpoints` alive: a Cluster with its endpoints in it.

  [[nodiscard]] const config::ClusterLoadAssignment& made_of() const LIFETIMEBOUND {
    return *made_of_;
  }
  [[nodiscard]] std::uint64_t identity() const { return identity_; }
  // Of this set alone, in this process.

  [[nodiscard]] std::size_t size() const { return endpoints_.size(); }
  [[nodiscard]] const config::LbEndpoint& endpoint(std::size_t at) const LIFETIMEBOUND {
    return *endpoints_[at];
  }

  struct Group {            // of one priority
    std::size_t first = 0;  // in endpoints
    std::size_t count = 0;
    std::uint32_t share = 0;   // of 100: how often this priority is asked
    bool even = true;          // all weights are the same
    std::uint64_t weight = 0;  // sum
  };
  [[nodiscard]] const std::vector<Group>& groups() const LIFETIMEBOUND { return groups_; }
  [[nodiscard]] const std::vector<std::uint64_t>& weights_up_to() const LIFETIMEBOUND {
    return weights_up_to_;
  }
  // For each endpoint, the sum of the weights of its group up to and with it.

 private:
  std::shared_ptr<const void> owner_;
  const config::ClusterLoadAssignment* made_of_;
  std::uint64_t identity_;
  std::vector<const config::LbEndpoint*> endpoints_;
  std::vector<Group> groups_;
  std::vector<std::uint64_t> weights_up_to_;
};

// Requests in flight, by endpoint number of the set. Shorter than the set: the rest is 0.
using LoadView = std::span<const std::uint32_t>;

// One worker's balancer for one cluster.
class Balancer {
 public:
  explicit Balancer(config::BalancePolicy policy, std::uint32_t choices = 2);
  // `choices` of least_request.

  [[nodiscard]] std::optional<std::size_t> pick(const EndpointSet& set, LoadView load,
                                                Random& random,
                                                std::span<const std::size_t> avoid = {});
  // The endpoint's number in `set`; absent when it is empty. `avoid` are those already tried: they
  // are taken again only when there is no other. round_robin goes smoothly (weights 5 1 1:
  // aabacaa), least_request takes the least loaded of `choices` random ones, load over weight.
  // When `set` is another than last time (a new snapshot), the round starts anew, at a
  // random place, so that workers do not walk in step.

 private:
  using Group = EndpointSet::Group;
  void start_anew(const EndpointSet& set, Random& random);
  std::size_t from_group(const EndpointSet& set, std::size_t group, LoadView load, Random& random,
                         std::span<const std::size_t> avoid);
  std::size_t next_in_turn(const EndpointSet& set, std::size_t group,
                           std::span<const std::size_t> avoid);
  std::size_t by_credit(const EndpointSet& set, const Group& group,
                        std::span<const std::size_t> avoid);
  std::size_t least_loaded(const EndpointSet& set, const Group& group, LoadView load,
                           Random& random, std::span<const std::size_t> avoid) const;

  config::BalancePolicy policy_;
  std::uint32_t choices_;
  std::uint64_t set_ = 0;               // identity of the last one
  std::vector<std::size_t> positions_;  // by group: even round robin
  std::vector<std::int64_t> credits_;   // by endpoint: smooth weighted round robin
};

}  // namespace fairlead::proxy
