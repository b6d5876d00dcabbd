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

void Walk::fail(Way way, std::string failure) {
  way.hops.back().failure = failure;
  leaves_.push_back(
      {.share = way.share, .hops = std::move(way.hops), .failure = std::move(failure)});
}

void Walk::end(Way way, const mesh::Workload* workload, const SocketAddress& address,
               std::string failure) {
  way.hops.back().failure = failure;
  leaves_.push_back({.share = way.share,
                     .hops = std::move(way.hops),
                     .workload = workload ? pod_of(*workload) : std::string(),
                     .address = address.text(),
                     .failure = std::move(failure)});
}

void Walk::end_if_somebody_listens(Way way, const mesh::Workload* workload,
                                   const SocketAddress& address) {
  end(std::move(way), workload, address);
  leaves_.back().condition = fmt::format("something listens on port {}", address.port);
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
  const mesh::Workload* workload = mesh::find_workload_by_address(world_, address.ip);
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
      fail(std::move(way),
           fmt::format("{}: it runs no more, and asks nobody", has_ended(*workload)));
      return std::move(leaves_);
    }
    if (workload->addresses.empty()) {
      fail(std::move(way), fmt::format("{} has no address yet", called(*workload)));
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
