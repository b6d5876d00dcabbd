#include "explain/path.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "explain/endpoints.h"
#include "explain/walk.h"

namespace fairlead::explain {
namespace {

std::string text_of(const Target& target, bool http) {
  std::string text =
      fmt::format("{}://{}", http ? "http" : "tcp", host_and_port(target.host, target.port));
  if (http) text += target.path;
  return text;
}

std::size_t common_hops(const std::vector<Leaf>& leaves) {
  std::size_t common = leaves.front().hops.size();
  for (const Leaf& leaf : leaves) {
    const auto& first = leaves.front().hops;
    std::size_t same = 0;
    while (same < common && same < leaf.hops.size() && first[same] == leaf.hops[same]) ++same;
    common = same;
  }
  return common;
}

// The same but for what was dialled on the way.
bool same_way(const Leaf& one, const Leaf& other) {
  return one.workload == other.workload && one.address == other.address &&
         one.failure == other.failure &&
         std::equal(one.hops.begin(), one.hops.end(), other.hops.begin(), other.hops.end(),
                    [](const Hop& left, const Hop& right) {
                      return left.stage == right.stage && left.place == right.place &&
                             left.name == right.name && left.says == right.says &&
                             left.to == right.to && left.choices == right.choices;
                    });
}

// A headless name has several addresses, and behind each of them the same endpoints.
void join_same_ways(std::vector<Leaf>& leaves) {
  std::vector<Leaf> joined;
  for (Leaf& leaf : leaves) {
    const auto same = std::find_if(joined.begin(), joined.end(),
                                   [&](const Leaf& each) { return same_way(each, leaf); });
    if (same == joined.end()) {
      joined.push_back(std::move(leaf));
    } else {
      same->share += leaf.share;
    }
  }
  leaves = std::move(joined);
}

std::string cause_of(const std::vector<Leaf>& leaves) {
  const bool some_arrives = std::any_of(leaves.begin(), leaves.end(),
                                        [](const Leaf& leaf) { return leaf.failure.empty(); });
  return some_arrives || leaves.empty() ? std::string() : leaves.front().failure;
}

void warn_of_losses(const std::vector<Leaf>& leaves, Path& path) {
  double lost = 0;
  std::string why;
  for (const Leaf& leaf : leaves) {
    if (leaf.failure.empty()) continue;
    lost += leaf.share;
    why = leaf.failure;
  }
  if (lost > 0) {
    path.notes.push_back(
        fmt::format("{} % of the requests do not arrive: {}", std::lround(lost * 100), why));
  }
}

}  // namespace

const std::string& Path::certain_failure() const {
  return failure.empty() && branches.size() == 1 ? branches.front().failure : failure;
}

namespace {

std::uint16_t port_of_address(const std::string& address) {
  const Result<SocketAddress> at = SocketAddress::parse(address);
  return at ? at->port : std::uint16_t{0};
}

const mesh::Workload* workload_called(const mesh::World& world, const std::string& name) {
  const std::size_t slash = name.find('/');
  if (slash == std::string::npos) return nullptr;
  return mesh::find_workload(world, name.substr(0, slash), name.substr(slash + 1));
}

// What a pod says to itself no policy judges.
void add_policies(const mesh::World& world, const Caller& from, Path& path) {
  std::vector<const mesh::Policy*> judges;
  for (const Branch& branch : path.branches) {
    if (!branch.failure.empty() || branch.workload == from.name()) continue;
    if (from.workload != nullptr) {
      const auto more = mesh::judging_caller(world.policies, *from.workload);
      judges.insert(judges.end(), more.begin(), more.end());
    }
    if (const mesh::Workload* callee = workload_called(world, branch.workload)) {
      const auto more =
          mesh::judging_callee(world.policies, *callee, port_of_address(branch.address));
      judges.insert(judges.end(), more.begin(), more.end());
    }
  }
  for (const mesh::Policy& policy : world.policies) {
    if (std::find(judges.begin(), judges.end(), &policy) == judges.end()) continue;
    const auto& known = path.not_enforced;
    if (std::find(known.begin(), known.end(), policy.origin) != known.end()) continue;
    path.not_enforced.push_back(policy.origin);
  }
}

}  // namespace

Path explain(Model& model, const Call& call) {
  Walk walk(model, call);
  std::vector<Leaf> leaves = walk.from_the_caller();
  join_same_ways(leaves);
  Path path{.from = call.from.name(),
            .to = text_of(call.to, walk.http()),
            .scheme = walk.http() ? "http" : "tcp",
            .world = model.world().version,
            .failure = cause_of(leaves),
            .notes = walk.notes()};
  const bool of_http = !call.headers.empty() || call.method != "GET";
  if (!walk.http() && of_http) {
    path.notes.emplace_back("over TCP nothing is sent: a method and header fields change nothing");
  }
  if (leaves.empty()) return path;
  const std::size_t common = common_hops(leaves);
  path.hops.assign(leaves.front().hops.begin(),
                   leaves.front().hops.begin() + static_cast<std::ptrdiff_t>(common));
  const bool ends_before = leaves.size() == 1 && leaves.front().address.empty();
  if (ends_before) return path;
  if (path.failure.empty()) warn_of_losses(leaves, path);
  for (Leaf& leaf : leaves) {
    leaf.hops.erase(leaf.hops.begin(), leaf.hops.begin() + static_cast<std::ptrdiff_t>(common));
    path.branches.push_back({.share = leaf.share,
                             .workload = std::move(leaf.workload),
                             .address = std::move(leaf.address),
                             .hops = std::move(leaf.hops),
                             .failure = std::move(leaf.failure),
                             .condition = std::move(leaf.condition)});
  }
  if (path.arrives()) add_policies(model.world(), call.from, path);
  return path;
}

}  // namespace fairlead::explain
