// The end of the walk: who has the address that the packets reach, and whether an app answers.
#include <fmt/format.h>

#include <algorithm>

#include "control/compile/compile.h"
#include "explain/endpoints.h"
#include "explain/walk.h"

namespace fairlead::explain {
namespace {

// Where a sidecar answers itself.
constexpr std::uint16_t admin_port = 15000;  // on loopback alone
constexpr std::uint16_t health_port = 15021;
constexpr std::uint16_t metrics_port = 15090;

bool is_inside(const std::vector<nft::Prefix>& ranges, const IpAddress& address) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const nft::Prefix& range) {
    return address.family() == range.address.family() &&
           address.within(range.address, range.length);
  });
}

}  // namespace

void Walk::arrive(Way way, const SocketAddress& to, const SocketAddress& source) {
  const mesh::Workload* workload = workload_at(world_, to);
  if (!workload) return arrive_nowhere(std::move(way), to);
  const Result<const nft::Ruleset*> rules = model_.capture_of(*workload);
  if (!rules) {
    add(way, Stage::capture, pod_of(*workload), "the rules cannot be made");
    return fail(std::move(way), {}, rules.fault().describe());
  }
  if ((*rules)->tables.empty()) return reach_app(std::move(way), *workload, to);
  const nft::Packet packet{.hook = nft::Hook::prerouting,
                           .source = source,
                           .destination = to,
                           .in_interface = "eth0",
                           .destination_is_local = true};
  const nft::Trace trace = nft::trace(**rules, packet);
  const bool taken = trace.fate == nft::Fate::redirected;
  Hop& hop = add(way, Stage::capture, pod_of(*workload),
                 taken ? fmt::format("taken to the proxy, port {}", trace.port)
                       : "not taken: it goes past the proxy");
  hop.rules = rules_behind(**rules, trace);
  hop.to = taken ? SocketAddress{to.ip, trace.port}.text() : to.text();
  if (!taken) return reach_app(std::move(way), *workload, to);
  enter_proxy(std::move(way), *workload, trace.port, source, to);
}

bool Walk::out_of_reach(const IpAddress& address) const {
  return !call_.within.empty() && !is_inside(call_.within, address);
}

// Nothing that runs is known by this address.
void Walk::arrive_nowhere(Way way, const SocketAddress& to) {
  const bool told = arrive_at_node(way, to) || arrive_at_ended_pod(way, to) ||
                    arrive_among_pods(way, to) || arrive_at_name_server(way, to);
  if (told) return;
  const std::string ip = to.ip.text();
  if (out_of_reach(to.ip)) {
    add(way, Stage::app, ip, "outside of the lab");
    return fail(std::move(way), {.ending = Ending::unreachable},
                fmt::format("{} is outside of the lab, from which no way leads out", ip));
  }
  if (arrive_at_stranger(way, to)) return;
  if (mesh::find_service_by_address(world_, to.ip)) {
    add(way, Stage::app, ip, "a service's address, which nobody translates here");
    return fail(std::move(way), {.ending = Ending::unreachable},
                fmt::format("no kernel on the way turns {} into an endpoint", to.text()));
  }
  if (is_inside(call_.within, to.ip)) {
    add(way, Stage::app, ip, "nobody's address");
    return fail(std::move(way), {.ending = Ending::unreachable},
                fmt::format("nobody has the address {}", ip));
  }
  add(way, Stage::app, ip, "outside of everything that is known here");
  end_unknown(
      std::move(way), to,
      fmt::format("whether {} answers: it is outside of all that is known here", to.text()));
}

bool Walk::arrive_at_node(Way& way, const SocketAddress& to) {
  const mesh::Node* own = to.ip.is_loopback() && !call_.from.workload ? call_.from.node : nullptr;
  for (const mesh::Node& node : world_.nodes) {
    if (own == nullptr && holds(node.addresses, to.ip)) own = &node;
  }
  if (own == nullptr) return false;
  reach_node(std::move(way), *own, to);
  return true;
}

// Whatever has the node's own network: its programs, and pods with hostNetwork of which nobody
// knows who has that port.
void Walk::reach_node(Way way, const mesh::Node& node, const SocketAddress& to) {
  if (to.ip.is_loopback() && !node.addresses.empty()) {
    const mesh::Workload* pod = workload_at(world_, {node.addresses.front(), to.port});
    if (pod != nullptr) return reach_app(std::move(way), *pod, to);
  }
  Hop& hop = add(way, Stage::app, "node " + node.name,
                 fmt::format("{} is the node's own: whatever listens there answers", to.text()));
  hop.origin = node.origin;
  hop.to = to.text();
  for (const mesh::Workload* pod : workloads_at(world_, to.ip)) {
    hop.details.push_back(pod_of(*pod) + " has it too, with hostNetwork");
  }
  if (model_.listening_at(node.name) == nullptr) {
    return end_if(std::move(way), nullptr, to,
                  fmt::format("something listens on port {}", to.port));
  }
  const std::string why = why_unheard(node.name, to);
  if (why.empty()) return end(std::move(way), nullptr, to);
  end_refused(std::move(way), nullptr, to, why);
}

// On the caller's own network: itself, or another pod that shares it.
void Walk::arrive_beside(Way way, const mesh::Workload& sender, const SocketAddress& to) {
  // Who shares its loopback shares its addresses, of whichever family.
  const SocketAddress at{to.ip.is_loopback() ? sender.addresses.front() : to.ip, to.port};
  const mesh::Workload* workload = workload_at(world_, at);
  const mesh::Node* node = mesh::find_node(world_, sender.node);
  if (workload == nullptr && node != nullptr && holds(node->addresses, at.ip)) {
    return reach_node(std::move(way), *node, to);
  }
  reach_app(std::move(way), workload ? *workload : sender, to);
}

bool Walk::arrive_at_ended_pod(Way& way, const SocketAddress& to) {
  for (const mesh::Workload& workload : world_.ended) {
    if (!holds(workload.addresses, to.ip)) continue;
    add(way, Stage::app, pod_of(workload), to.text() + " was its address").origin = workload.origin;
    fail(std::move(way), {.ending = Ending::unreachable},
         fmt::format("{}: it runs no more, and answers nobody", has_ended(workload)));
    return true;
  }
  return false;
}

bool Walk::arrive_among_pods(Way& way, const SocketAddress& to) {
  for (const mesh::Node& node : world_.nodes) {
    for (const std::string& range : node.pod_ranges) {
      const Result<nft::Prefix> prefix = nft::parse_prefix(range);
      if (!prefix || !to.ip.within(prefix->address, prefix->length)) continue;
      add(way, Stage::app, "node " + node.name, to.text() + " is in the range of its pods");
      fail(std::move(way), {.ending = Ending::unreachable},
           fmt::format("no pod has the address {}", to.ip.text()));
      return true;
    }
  }
  return false;
}

bool Walk::arrive_at_name_server(Way& way, const SocketAddress& to) {
  for (const SocketAddress& server : cluster_dns()) {
    if (server.ip != to.ip) continue;
    add(way, Stage::app, to.ip.text(), "the name server that each node has");
    if (server == to) {
      end(std::move(way), nullptr, to);
    } else {
      fail(std::move(way), {.ending = Ending::refused},
           fmt::format("the name server {} listens on port {} alone", to.ip.text(), server.port));
    }
    return true;
  }
  return false;
}

// An endpoint by its address alone: no pod and no machine.
bool Walk::arrive_at_stranger(Way& way, const SocketAddress& to) {
  for (const mesh::Service& service : world_.services) {
    for (const mesh::Endpoint& endpoint : service.endpoints) {
      if (endpoint.address != to.ip) continue;
      add(way, Stage::app, to.ip.text(),
          fmt::format("{} is an endpoint of {}: nothing more is known of it", to.text(),
                      called(service)))
          .origin = endpoint.origin;
      end_if(std::move(way), nullptr, to, fmt::format("{} answers", to.text()));
      return true;
    }
  }
  return false;
}

// Ports on which its proxy listens. Those of its capture are nobody's to dial.
bool Walk::reach_proxy_itself(Way& way, const mesh::Workload& workload, const SocketAddress& at) {
  if (workload.sidecar == mesh::Sidecar::none) return false;
  const bool captures =
      at.port == control::outbound_capture_port || at.port == control::inbound_capture_port;
  if (captures) {
    const SocketAddress source{address_of(&workload, at.ip.family()), some_port};
    enter_proxy(std::move(way), workload, at.port, source, at);
    return true;
  }
  const bool answers = (at.port == admin_port && at.ip.is_loopback()) || at.port == health_port ||
                       at.port == metrics_port;
  if (!answers) return false;
  Hop& hop = add(way, Stage::app, proxy_of(workload),
                 fmt::format("the proxy itself answers on port {}", at.port));
  hop.to = at.text();
  hop.origin = workload.origin;
  end(std::move(way), &workload, at);
  return true;
}

namespace {

// The object behind the name that was asked for.
Origin named(const std::vector<Hop>& hops) {
  const auto hop = std::find_if(hops.begin(), hops.end(),
                                [](const Hop& each) { return each.stage == Stage::name; });
  return hop == hops.end() ? Origin{} : hop->origin;
}

}  // namespace

// Why nothing in `place` takes a connection to `at`; empty: something does. Somebody has looked.
std::string Walk::why_unheard(const std::string& place, const SocketAddress& at) const {
  const ListeningSocket* elsewhere = nullptr;
  for (const ListeningSocket& socket : *model_.listening_at(place)) {
    if (hears(socket, at)) return {};
    if (socket.address.port == at.port) elsewhere = &socket;
  }
  if (elsewhere == nullptr) {
    return fmt::format("nothing listens on port {} of {}", at.port, place);
  }
  return fmt::format("nothing listens on {} of {}, only on {}", at.text(), place,
                     elsewhere->address.text());
}

void Walk::reach_app(Way way, const mesh::Workload& workload, const SocketAddress& at) {
  if (reach_proxy_itself(way, workload, at)) return;
  const auto declared =
      std::find_if(workload.ports.begin(), workload.ports.end(), [&](const auto& port) {
        return port.port == at.port && port.transport == mesh::Transport::tcp;
      });
  const bool known = declared != workload.ports.end();
  std::string port = fmt::format("port {}", at.port);
  if (known && !declared->name.empty()) port += fmt::format(" ({})", declared->name);
  Hop& hop = add(way, Stage::app, pod_of(workload), "the app answers on " + port);
  hop.to = at.text();
  hop.origin = workload.origin;
  if (!workload.ready) hop.details.emplace_back("it is not ready");
  if (workload.terminating) hop.details.emplace_back("it is going away");

  const bool by_name = !IpAddress::parse(call_.to.host);
  const std::string why_headless = by_name ? why_not_translated(world_, at, named(way.hops)) : "";
  if (model_.listening_at(pod_of(workload)) != nullptr) {
    const std::string unheard = why_unheard(pod_of(workload), at);
    if (unheard.empty()) {
      if (!known) hop.details.emplace_back("no container declares it, and a socket listens there");
      return end(std::move(way), &workload, at);
    }
    hop.says = "nobody listens on " + port;
    return end_refused(std::move(way), &workload, at,
                       known || why_headless.empty() ? unheard : why_headless);
  }
  if (known) return end(std::move(way), &workload, at);
  if (!why_headless.empty()) {
    hop.says = "nobody listens on " + port;
    return end_refused(std::move(way), &workload, at, why_headless);
  }
  hop.says = "whatever listens on " + port;
  hop.details.push_back(fmt::format(
      "{} declares port {}: only the request itself tells",
      offered_by_a_service(world_, at) ? "no container" : "neither a container nor a service",
      at.port));
  end_if(std::move(way), &workload, at, fmt::format("something listens on port {}", at.port));
}

}  // namespace fairlead::explain
