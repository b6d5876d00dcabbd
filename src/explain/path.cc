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
         one.failure == other.failure && one.client == other.client &&
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

bool arrives(const Leaf& leaf) {
  return leaf.failure.empty() && leaf.unknown.empty();
}

// Those of the clients that are spoken of first.
std::vector<const Leaf*> of_client(const std::vector<Leaf>& leaves, const std::string& client) {
  std::vector<const Leaf*> found;
  for (const Leaf& leaf : leaves) {
    if (leaf.client == client) found.push_back(&leaf);
  }
  return found;
}

// What all of it comes to: of the clients that are spoken of first.
void conclude(const std::vector<Leaf>& leaves, Path& path) {
  if (leaves.empty()) return;
  const std::vector<const Leaf*> first = of_client(leaves, leaves.front().client);
  if (std::any_of(first.begin(), first.end(), [](const Leaf* leaf) { return arrives(*leaf); })) {
    return;
  }
  for (const Leaf* leaf : first) {
    if (leaf->unknown.empty()) continue;
    path.unknown = leaf->unknown;
    return;
  }
  path.failure = first.front()->failure;
  path.met = first.front()->met;
}

void warn_of_losses(const std::vector<const Leaf*>& leaves, Path& path) {
  double lost = 0;
  std::string why;
  bool some_arrive = false;
  for (const Leaf* leaf : leaves) {
    some_arrive = some_arrive || arrives(*leaf);
    if (leaf->failure.empty()) continue;
    lost += leaf->share;
    why = leaf->failure;
  }
  const std::string& client = leaves.front()->client;
  const std::string whose = client.empty() ? "" : fmt::format(" of clients that take {}", client);
  if (lost > 0 && (some_arrive || !client.empty())) {
    path.notes.push_back(fmt::format("{} % of the requests{} do not arrive: {}",
                                     std::lround(lost * 100), whose, why));
  }
}

// Where some arrive in any case, the others' conditions stand below.
void note_conditions(Path& path) {
  if (!path.condition().empty()) return;
  for (const Branch& branch : path.branches) {
    if (!branch.arrives() || branch.condition.empty()) continue;
    const std::string note =
        fmt::format("{} is reached if {}",
                    branch.workload.empty() ? branch.address : branch.workload, branch.condition);
    if (std::find(path.notes.begin(), path.notes.end(), note) == path.notes.end()) {
      path.notes.push_back(note);
    }
  }
}

}  // namespace

const char* name_of(Ending ending) {
  switch (ending) {
    case Ending::unsaid:
      return "";
    case Ending::no_address:
      return "no address";
    case Ending::refused:
      return "refused";
    case Ending::unreachable:
      return "unreachable";
    case Ending::closed:
      return "closed";
    case Ending::answered:
      return "answered";
  }
  return "";
}

std::string Path::condition() const {
  std::string condition;
  for (const Branch& branch : branches) {
    if (!branch.arrives()) continue;
    if (branch.condition.empty()) return {};
    condition = branch.condition;
  }
  return condition;
}

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
  model.close_zone(!call.within.empty());
  Walk walk(model, call);
  std::vector<Leaf> leaves = walk.from_the_caller();
  join_same_ways(leaves);
  Path path{.from = call.from.name(),
            .to = text_of(call.to, walk.http()),
            .scheme = walk.http() ? "http" : "tcp",
            .world = model.world().version,
            .notes = walk.notes()};
  conclude(leaves, path);
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
  std::vector<std::string> clients;
  for (const Leaf& leaf : leaves) {
    if (std::find(clients.begin(), clients.end(), leaf.client) == clients.end()) {
      clients.push_back(leaf.client);
    }
  }
  for (const std::string& client : clients) warn_of_losses(of_client(leaves, client), path);
  for (Leaf& leaf : leaves) {
    leaf.hops.erase(leaf.hops.begin(), leaf.hops.begin() + static_cast<std::ptrdiff_t>(common));
    path.branches.push_back({.share = leaf.share,
                             .workload = std::move(leaf.workload),
                             .address = std::move(leaf.address),
                             .hops = std::move(leaf.hops),
                             .failure = std::move(leaf.failure),
                             .condition = std::move(leaf.condition),
                             .unknown = std::move(leaf.unknown),
                             .client = std::move(leaf.client),
                             .family = leaf.family,
                             .met = std::move(leaf.met)});
  }
  path.ends = path.branches;
  for (Branch& end : path.ends) end.hops.clear();
  note_conditions(path);
  if (path.failure.empty()) add_policies(model.world(), call.from, path);
  return path;
}

std::vector<std::string> places_to_look_at(const Path& path) {
  std::vector<std::string> places;
  for (const Branch& branch : path.branches) {
    const Hop* last = !branch.hops.empty() ? &branch.hops.back()
                      : path.hops.empty()  ? nullptr
                                           : &path.hops.back();
    if (last == nullptr || last->stage != Stage::app || last->to.empty()) continue;
    constexpr std::string_view node = "node ";
    std::string place;
    if (last->place == branch.workload) place = branch.workload;
    if (branch.workload.empty() && last->place.starts_with(node)) {
      place = last->place.substr(node.size());
    }
    if (place.empty() || std::find(places.begin(), places.end(), place) != places.end()) continue;
    places.push_back(std::move(place));
  }
  return places;
}

}  // namespace fairlead::explain
