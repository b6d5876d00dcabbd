#include "proxy/decide/balance.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <map>

namespace fairlead::proxy {
namespace {

using config::LbEndpoint;

std::string name_of(const LbEndpoint& endpoint) {
  if (!endpoint.unix_path.empty()) return endpoint.unix_path;
  if (!endpoint.host.empty()) return fmt::format("{}:{}", endpoint.host, endpoint.address.port);
  return endpoint.address.text();
}

std::string_view why_not(const LbEndpoint& endpoint) {
  if (endpoint.health == config::Health::unhealthy) return "it is unhealthy";
  if (endpoint.health == config::Health::draining) return "it is draining";
  if (endpoint.weight == 0) return "its weight is 0";
  return {};
}

struct Priority {
  std::size_t all = 0;
  std::uint32_t share = 0;  // of 100
  std::vector<const LbEndpoint*> able;
};

// Envoy's: a priority is as healthy as its able part times 1.4, at most 100 %; each takes that much
// of what the ones before it left; when all together cannot take everything, all take more.
void share_out(std::map<std::uint32_t, Priority>& priorities) {
  const auto health = [](const Priority& priority) {
    if (priority.able.empty()) return std::size_t{0};
    return std::clamp<std::size_t>(priority.able.size() * 140 / priority.all, 1, 100);
  };
  std::size_t together = 0;
  for (const auto& [number, priority] : priorities) together += health(priority);
  if (together == 0) return;
  together = std::min<std::size_t>(together, 100);
  std::size_t left = 100;
  Priority* first = nullptr;
  for (auto& [number, priority] : priorities) {
    if (health(priority) == 0) continue;
    const std::size_t share = std::min(left, health(priority) * 100 / together);
    priority.share = static_cast<std::uint32_t>(share);
    left -= share;
    if (!first) first = &priority;
  }
  if (first) first->share += static_cast<std::uint32_t>(left);
}

std::map<std::uint32_t, Priority> priorities_of(
    const config::ClusterLoadAssignment& endpoints LIFETIMEBOUND, Refusals* refused) {
  std::map<std::uint32_t, Priority> priorities;
  for (const config::LocalityEndpoints& locality : endpoints.localities) {
    Priority& priority = priorities[locality.priority];
    for (const LbEndpoint& endpoint : locality.endpoints) {
      ++priority.all;
      const std::string_view why = why_not(endpoint);
      if (why.empty()) {
        priority.able.push_back(&endpoint);
      } else if (refused) {
        refused->push_back({"endpoint " + name_of(endpoint), std::string(why), endpoint.origin});
      }
    }
  }
  share_out(priorities);
  if (!refused) return priorities;
  for (const auto& [number, priority] : priorities) {
    if (priority.share != 0) continue;
    for (const LbEndpoint* endpoint : priority.able) {
      refused->push_back({"endpoint " + name_of(*endpoint),
                          fmt::format("its priority {} waits until those before it fail", number),
                          endpoint->origin});
    }
  }
  return priorities;
}

std::uint64_t weight_of(const std::vector<const LbEndpoint*>& endpoints) {
  std::uint64_t sum = 0;
  for (const LbEndpoint* endpoint : endpoints) sum += endpoint->weight;
  return sum;
}

std::uint64_t next_identity() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

bool within(std::span<const std::size_t> numbers, std::size_t number) {
  return std::find(numbers.begin(), numbers.end(), number) != numbers.end();
}

std::uint64_t load_of(LoadView load, std::size_t endpoint) {
  return endpoint < load.size() ? load[endpoint] : 0;
}

// One of the group, in proportion to the weights.
std::size_t at_random(const EndpointSet& set, const EndpointSet::Group& group, Random& random) {
  if (group.even) return group.first + random.below(group.count);
  const auto begin = set.weights_up_to().begin() + static_cast<std::ptrdiff_t>(group.first);
  const auto end = begin + static_cast<std::ptrdiff_t>(group.count);
  const auto found = std::upper_bound(begin, end, random.below(group.weight));
  return group.first + static_cast<std::size_t>(found - begin);
}

bool all_avoided(const EndpointSet::Group& group, std::span<const std::size_t> avoid) {
  if (avoid.size() < group.count) return false;
  for (std::size_t at = group.first; at < group.first + group.count; ++at) {
    if (!within(avoid, at)) return false;
  }
  return true;
}

}  // namespace

std::vector<EligibleEndpoint> eligible(const config::ClusterLoadAssignment& endpoints LIFETIMEBOUND,
                                       Refusals* refused) {
  std::vector<EligibleEndpoint> chosen;
  for (const auto& [number, priority] : priorities_of(endpoints, refused)) {
    if (priority.share == 0) continue;
    const auto weight = static_cast<double>(weight_of(priority.able));
    for (const LbEndpoint* endpoint : priority.able) {
      chosen.push_back({endpoint, number, priority.share / 100.0 * endpoint->weight / weight});
    }
  }
  return chosen;
}

EndpointSet::EndpointSet(std::shared_ptr<const config::ClusterLoadAssignment> endpoints)
    : EndpointSet(*endpoints, endpoints) {}

EndpointSet::EndpointSet(const config::ClusterLoadAssignment& endpoints,
                         std::shared_ptr<const void> owner)
    : owner_(std::move(owner)), made_of_(&endpoints), identity_(next_identity()) {
  for (const auto& [number, priority] : priorities_of(endpoints, nullptr)) {
    if (priority.share == 0) continue;
    Group group{.first = endpoints_.size(),
                .count = priority.able.size(),
                .share = priority.share,
                .weight = weight_of(priority.able)};
    std::uint64_t up_to = 0;
    for (const LbEndpoint* endpoint : priority.able) {
      group.even = group.even && endpoint->weight == priority.able.front()->weight;
      endpoints_.push_back(endpoint);
      weights_up_to_.push_back(up_to += endpoint->weight);
    }
    groups_.push_back(group);
  }
}

Balancer::Balancer(config::BalancePolicy policy, std::uint32_t choices)
    : policy_(policy), choices_(std::max<std::uint32_t>(choices, 1)) {}

void Balancer::start_anew(const EndpointSet& set, Random& random) {
  set_ = set.identity();
  positions_.clear();
  for (const Group& group : set.groups()) positions_.push_back(random.below(group.count));
  credits_.clear();
  const bool uneven = std::any_of(set.groups().begin(), set.groups().end(),
                                  [](const Group& group) { return !group.even; });
  if (policy_ != config::BalancePolicy::round_robin || !uneven) return;
  credits_.resize(set.size());
  for (std::size_t at = 0; at < set.size(); ++at) {
    credits_[at] = static_cast<std::int64_t>(random.below(set.endpoint(at).weight));
  }
}

std::optional<std::size_t> Balancer::pick(const EndpointSet& set, LoadView load, Random& random,
                                          std::span<const std::size_t> avoid) {
  if (set.size() == 0) return {};
  if (set.identity() != set_) start_anew(set, random);
  const std::vector<Group>& groups = set.groups();
  std::size_t group = 0;
  if (groups.size() > 1) {
    std::uint64_t place = random.below(100);
    while (group + 1 < groups.size() && place >= groups[group].share)
      place -= groups[group++].share;
  }
  if (avoid.empty()) return from_group(set, group, load, random, avoid);
  for (std::size_t tried = 0; tried < groups.size(); ++tried) {
    const std::size_t other = (group + tried) % groups.size();
    if (!all_avoided(groups[other], avoid)) return from_group(set, other, load, random, avoid);
  }
  return from_group(set, group, load, random, {});
}

// Not all of the group is to be avoided.
std::size_t Balancer::from_group(const EndpointSet& set, std::size_t number, LoadView load,
                                 Random& random, std::span<const std::size_t> avoid) {
  const Group& group = set.groups()[number];
  switch (policy_) {
    case config::BalancePolicy::round_robin:
      return group.even ? next_in_turn(set, number, avoid) : by_credit(set, group, avoid);
    case config::BalancePolicy::least_request:
      return least_loaded(set, group, load, random, avoid);
    case config::BalancePolicy::random:
    case config::BalancePolicy::cluster_provided:
      break;
  }
  constexpr int tries = 16;
  std::size_t chosen = at_random(set, group, random);
  for (int tried = 1; tried < tries && within(avoid, chosen); ++tried) {
    chosen = at_random(set, group, random);
  }
  while (within(avoid, chosen)) {
    chosen = chosen + 1 < group.first + group.count ? chosen + 1 : group.first;
  }
  return chosen;
}

std::size_t Balancer::next_in_turn(const EndpointSet& set, std::size_t number,
                                   std::span<const std::size_t> avoid) {
  const Group& group = set.groups()[number];
  for (;;) {
    const std::size_t chosen = group.first + positions_[number];
    if (++positions_[number] >= group.count) positions_[number] = 0;
    if (!within(avoid, chosen)) return chosen;
  }
}

// Each gets credit by its weight, the richest is chosen and pays for all: nginx's smooth round.
std::size_t Balancer::by_credit(const EndpointSet& set, const Group& group,
                                std::span<const std::size_t> avoid) {
  std::size_t chosen = set.size();
  for (std::size_t at = group.first; at < group.first + group.count; ++at) {
    credits_[at] += set.endpoint(at).weight;
    if (within(avoid, at)) continue;
    if (chosen == set.size() || credits_[at] > credits_[chosen]) chosen = at;
  }
  credits_[chosen] -= static_cast<std::int64_t>(group.weight);
  return chosen;
}

std::size_t Balancer::least_loaded(const EndpointSet& set, const Group& group, LoadView load,
                                   Random& random, std::span<const std::size_t> avoid) const {
  std::size_t best = set.size();
  const auto consider = [&](std::size_t candidate) {
    if (within(avoid, candidate)) return;
    // load / weight, compared without dividing; the first stays when they are equal.
    if (best == set.size() || load_of(load, candidate) * set.endpoint(best).weight <
                                  load_of(load, best) * set.endpoint(candidate).weight) {
      best = candidate;
    }
  };
  for (std::uint32_t choice = 0; choice < choices_; ++choice) {
    consider(at_random(set, group, random));
  }
  if (best != set.size()) return best;
  // Chance took only those to be avoided.
  for (std::size_t at = group.first; at < group.first + group.count; ++at) consider(at);
  return best;
}

}  // namespace fairlead::proxy
