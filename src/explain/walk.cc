#include "explain/walk.h"

#include <fmt/format.h>

#include <algorithm>

#include "dns/query.h"
#include "explain/endpoints.h"

namespace fairlead::explain {
namespace {

bool decided_http(const mesh::World& world, const Target& target, const std::string& name_space) {
  if (target.scheme != Scheme::declared) return target.scheme == Scheme::http;
  const mesh::Service* service = nullptr;
  if (const Result<IpAddress> address = IpAddress::parse(target.host); address) {
    service = mesh::find_service_by_address(world, *address);
  } else {
    for (const std::string& candidate :
         dns::candidates(target.host, dns::search_path(name_space, world.domain))) {
      service = mesh::find_service_by_host(world, candidate);
      if (service) break;
    }
  }
  const mesh::ServicePort* port = service ? port_numbered(*service, target.port) : nullptr;
  return !port || port->protocol == mesh::Protocol::http ||
         port->protocol == mesh::Protocol::undeclared;
}

std::string_view word_for(mesh::Sidecar sidecar) {
  switch (sidecar) {
    case mesh::Sidecar::none:
      return "without a sidecar";
    case mesh::Sidecar::fairlead:
      return "with a fairlead sidecar";
    case mesh::Sidecar::envoy:
      return "with an Envoy sidecar";
  }
  return "";
}

}  // namespace

std::string pod_of(const mesh::Workload& workload) {
  return fmt::format("{}/{}", workload.name_space, workload.name);
}

std::string proxy_of(const mesh::Workload& workload) {
  return pod_of(workload) + ", its proxy";
}

Walk::Walk(Model& model, const Call& call)
    : model_(model),
      call_(call),
      world_(model.world()),
      http_(decided_http(world_, call.to, call.from.name_space())) {}

Hop& Walk::add(Way& way, Stage stage, std::string place, std::string says) const {
  Hop hop{.stage = stage, .place = std::move(place), .says = std::move(says)};
  hop.world = world_.version;
  way.hops.push_back(std::move(hop));
  return way.hops.back();
}

Leaf Walk::leaf_of(Way way) {
  return {.share = way.share,
          .hops = std::move(way.hops),
          .client = std::move(way.client),
          .family = way.family};
}

// What fails behind a proxy is not what its sender meets: the proxy answers, or closes.
void Walk::fail(Way way, const Met& met, std::string failure) {
  way.hops.back().failure = failure;
  Met at_sender = met;
  const bool behind = met.ending == Ending::refused || met.ending == Ending::unreachable;
  if (behind && way.by_http) at_sender = {.ending = Ending::answered};
  if (behind && !way.by_http && way.by_tcp) at_sender = {.ending = Ending::closed};
  Leaf leaf = leaf_of(std::move(way));
  leaf.failure = std::move(failure);
  leaf.met = std::move(at_sender);
  leaves_.push_back(std::move(leaf));
}

void Walk::end(Way way, const mesh::Workload* workload, const SocketAddress& address) {
  Leaf leaf = leaf_of(std::move(way));
  leaf.workload = workload ? pod_of(*workload) : std::string();
  leaf.address = address.text();
  leaves_.push_back(std::move(leaf));
}

void Walk::end_refused(Way way, const mesh::Workload* workload, const SocketAddress& address,
                       std::string failure) {
  fail(std::move(way), {.ending = Ending::refused}, std::move(failure));
  leaves_.back().workload = workload ? pod_of(*workload) : std::string();
  leaves_.back().address = address.text();
}

void Walk::end_unknown(Way way, const SocketAddress& address, std::string unknown) {
  end(std::move(way), nullptr, address);
  leaves_.back().unknown = std::move(unknown);
}

void Walk::end_if(Way way, const mesh::Workload* workload, const SocketAddress& address,
                  std::string condition) {
  end(std::move(way), workload, address);
  leaves_.back().condition = std::move(condition);
}

void Walk::note(std::string text) {
  if (std::find(notes_.begin(), notes_.end(), text) == notes_.end()) {
    notes_.push_back(std::move(text));
  }
}

IpAddress Walk::address_of(const mesh::Workload* workload, Family family) const {
  const std::vector<IpAddress>& addresses =
      workload ? workload->addresses : call_.from.node->addresses;
  for (const IpAddress& address : addresses) {
    if (address.family() == family) return address;
  }
  return family == Family::v4 ? IpAddress() : IpAddress::v6({});
}

std::string Walk::name_at(const SocketAddress& address) const {
  const mesh::Workload* workload = workload_at(world_, address);
  return workload ? pod_of(*workload) : std::string();
}

std::string Walk::with_name(const SocketAddress& address) const {
  const std::string name = name_at(address);
  return name.empty() ? address.text() : address.text() + ", " + name;
}

const mesh::Node* Walk::node_of(const mesh::Workload* sender) const {
  if (!sender) return call_.from.node;
  if (const mesh::Node* node = mesh::find_node(world_, sender->node)) return node;
  // A VM has no node of its own: its packets enter the cluster by the first.
  return world_.nodes.empty() ? nullptr : &world_.nodes.front();
}

std::vector<Leaf> Walk::from_the_caller() {
  Way way;
  if (const mesh::Workload* workload = call_.from.workload) {
    std::string where;
    for (const IpAddress& address : workload->addresses) {
      where += (where.empty() ? "" : ", ") + address.text();
    }
    if (!workload->node.empty()) where += " on " + workload->node;
    Hop& hop = add(way, Stage::caller, pod_of(*workload),
                   fmt::format("{} {}", workload->kind == mesh::WorkloadKind::vm ? "VM" : "pod",
                               word_for(workload->sidecar)));
    hop.details.push_back(where);
    if (call_.from.siblings > 0) {
      hop.details.push_back(fmt::format("one of {} that are called so", call_.from.siblings + 1));
    }
    hop.origin = workload->origin;
    if (!workload->ended.empty()) {
      fail(std::move(way), {},
           fmt::format("{}: it runs no more, and asks nobody", has_ended(*workload)));
      return std::move(leaves_);
    }
    if (workload->addresses.empty()) {
      fail(std::move(way), {}, fmt::format("{} has no address yet", called(*workload)));
      return std::move(leaves_);
    }
  } else {
    Hop& hop = add(way, Stage::caller, call_.from.node->name, "a process on the node itself");
    hop.origin = call_.from.node->origin;
  }
  resolve(std::move(way));
  return std::move(leaves_);
}

}  // namespace fairlead::explain
