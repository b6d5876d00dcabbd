// The walk through kernels: the rules of the caller's pod, then those of its node.
#include <fmt/format.h>

#include <algorithm>

#include "explain/endpoints.h"
#include "explain/walk.h"
#include "nft/render.h"

namespace fairlead::explain {
namespace {

bool runs_as_a_proxy(const mesh::Workload& workload) {
  return workload.runs_as.user == proxy_user || workload.runs_as.group == proxy_user;
}

// With hostNetwork.
bool is_on_its_nodes_network(const mesh::Workload& workload, const mesh::Node& node) {
  return !workload.addresses.empty() && holds(node.addresses, workload.addresses.front());
}

// The node puts its own address in the sender's place (hairpin).
bool is_masqueraded(const nft::Ruleset& rules, const nft::Packet& packet) {
  return nft::trace(rules, packet).fate == nft::Fate::masqueraded;
}

}  // namespace

IpAddress loopback(Family family) {
  if (family == Family::v4) return IpAddress::v4({127, 0, 0, 1});
  return IpAddress::v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
}

bool holds(const std::vector<IpAddress>& addresses, const IpAddress& address) {
  return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
}

std::vector<KernelRule> rules_behind(const nft::Ruleset& rules, const nft::Trace& trace) {
  const auto told = [&](const nft::Step& step) {
    const nft::Table* table = rules.table(step.table);
    const std::string family = table ? std::string(nft::name_of(table->family)) + ' ' : "";
    return KernelRule{.table = family + step.table,
                      .chain = step.chain,
                      .rule = step.rule,
                      .text = step.text,
                      .comment = step.comment};
  };
  std::vector<KernelRule> behind;
  if (trace.steps.empty()) return behind;
  const std::size_t last = trace.decided ? trace.decided_by : trace.steps.size() - 1;
  // The last rule that sent the packet elsewhere says why; the one that decided says what.
  for (std::size_t i = last; i-- > 0;) {
    const nft::Step& step = trace.steps[i];
    if (!step.matched || step.verdict.empty() || step.rule == 0) continue;
    behind.push_back(told(step));
    break;
  }
  const nft::Step& end = trace.steps[last];
  if (end.matched && end.rule != 0) behind.push_back(told(end));
  if (behind.empty()) behind.push_back(told(end));
  return behind;
}

void Walk::dial(Way way, const IpAddress& address) {
  const SocketAddress to{address, call_.to.port};
  const mesh::Workload* workload = call_.from.workload;
  if (!workload) return leave(std::move(way), to, false, nullptr);
  const Result<const nft::Ruleset*> rules = model_.capture_of(*workload);
  if (!rules) {
    add(way, Stage::capture, pod_of(*workload), "the rules cannot be made");
    return fail(std::move(way), {}, rules.fault().describe());
  }
  if ((*rules)->tables.empty()) {
    add(way, Stage::capture, pod_of(*workload), "nothing is captured here: there is no sidecar");
    return leave(std::move(way), to, false, workload);
  }
  const bool local = holds(workload->addresses, address) || address.is_loopback();
  const nft::Packet packet{.hook = nft::Hook::output,
                           .source = {address_of(workload, address.family()), some_port},
                           .destination = to,
                           .out_interface = local ? "lo" : "eth0",
                           .uid = workload->runs_as.user,
                           .gid = workload->runs_as.group,
                           .destination_is_local = local};
  const nft::Trace trace = nft::trace(**rules, packet);
  const bool taken = trace.fate == nft::Fate::redirected;
  Hop& hop = add(way, Stage::capture, pod_of(*workload),
                 taken ? fmt::format("taken to the proxy, port {}", trace.port)
                       : "not taken: it goes past the proxy");
  if (!taken && runs_as_a_proxy(*workload)) {
    hop.details.push_back(
        fmt::format("its app runs as user {} and group {}: capture takes that "
                    "for the proxy",
                    workload->runs_as.user, workload->runs_as.group));
  }
  hop.rules = rules_behind(**rules, trace);
  hop.to = taken ? SocketAddress{loopback(address.family()), trace.port}.text() : to.text();
  if (taken) return enter_proxy(std::move(way), *workload, trace.port, packet.source, to);
  leave(std::move(way), to, false, workload);
}

void Walk::leave(Way way, const SocketAddress& to, bool by_proxy, const mesh::Workload* sender) {
  const SocketAddress source{address_of(sender, to.ip.family()), some_port};
  const bool own = sender && (holds(sender->addresses, to.ip) || to.ip.is_loopback());
  if (own) return arrive_beside(std::move(way), *sender, to);
  const mesh::Node* node = node_of(sender);
  if (!node) return arrive(std::move(way), to, source);
  const bool from_node = sender == nullptr || is_on_its_nodes_network(*sender, *node);
  const mesh::RunsAs runs_as = sender ? sender->runs_as : mesh::RunsAs();
  const nft::Packet packet{.hook = from_node ? nft::Hook::output : nft::Hook::prerouting,
                           .source = source,
                           .destination = to,
                           .in_interface = from_node ? "" : "veth",
                           .out_interface = from_node ? "veth" : "",
                           .uid = from_node ? std::optional(runs_as.user) : std::nullopt,
                           .gid = from_node ? std::optional(runs_as.group) : std::nullopt,
                           .destination_is_local = holds(node->addresses, to.ip)};
  through_node(std::move(way), *node, packet, by_proxy);
}

void Walk::through_node(Way way, const mesh::Node& node, const nft::Packet& packet, bool by_proxy) {
  const nft::Ruleset& rules = model_.node_rules_of(node);
  const nft::Trace trace = nft::trace(rules, packet);
  const SocketAddress& to = packet.destination;
  const mesh::Service* service = mesh::find_service_by_address(world_, to.ip);
  switch (trace.fate) {
    case nft::Fate::translated: {
      Hop& hop = add(
          way, Stage::kernel, "node " + node.name,
          fmt::format("{} becomes {}", to.text(),
                      trace.targets.size() == 1 ? with_name(trace.targets.front().address)
                                                : fmt::format("one of {}", trace.targets.size())));
      hop.rules = rules_behind(rules, trace);
      if (service) hop.origin = service->origin;
      return translated(way, rules, trace, packet);
    }
    case nft::Fate::rejected:
    case nft::Fate::dropped: {
      Hop& hop = add(way, Stage::kernel, "node " + node.name,
                     fmt::format("{} is {}", to.text(), trace.outcome()));
      hop.rules = rules_behind(rules, trace);
      if (service) hop.origin = service->origin;
      const Ending met = trace.fate == nft::Fate::rejected ? Ending::refused : Ending::unreachable;
      return refused_by_node(std::move(way), to, met);
    }
    case nft::Fate::accepted:
    case nft::Fate::redirected:
    case nft::Fate::masqueraded:
      break;
  }
  if (!by_proxy) {
    add(way, Stage::kernel, "node " + node.name,
        fmt::format("{} is no service's address: the node sends it on as it is", to.text()))
        .to = to.text();
  }
  arrive(std::move(way), to, packet.source);
}

void Walk::translated(const Way& way, const nft::Ruleset& rules, const nft::Trace& trace,
                      const nft::Packet& packet) {
  Way whole = way;
  Hop& hop = whole.hops.back();
  double all = trace.missed;
  for (const nft::Target& target : trace.targets) all += target.weight;
  for (const nft::Target& target : trace.targets) {
    const mesh::Workload* workload = workload_at(world_, target.address);
    hop.choices.push_back({.name = name_at(target.address),
                           .address = target.address.text(),
                           .share = target.weight / all,
                           .origin = workload ? workload->origin : Origin{}});
  }
  const SocketAddress& to = packet.destination;
  const mesh::Service* service = mesh::find_service_by_address(world_, to.ip);
  const mesh::ServicePort* port = service ? port_numbered(*service, to.port) : nullptr;
  if (port) hop.refused = left_out(*service, *port, hop.choices, to.ip.family());
  for (const nft::Target& target : trace.targets) {
    Way one = whole;
    one.share *= target.weight / all;
    const bool to_itself = target.address.ip == packet.source.ip;
    if (to_itself && !is_masqueraded(rules, {.hook = nft::Hook::postrouting,
                                             .source = packet.source,
                                             .destination = target.address,
                                             .out_interface = "veth"})) {
      fail(std::move(one), {.ending = Ending::unreachable},
           fmt::format("{} is the caller itself, which drops what comes from its own address",
                       target.address.text()));
      continue;
    }
    arrive(std::move(one), target.address, packet.source);
  }
}

void Walk::refused_by_node(Way way, const SocketAddress& to, Ending met) {
  const mesh::Service* service = mesh::find_service_by_address(world_, to.ip);
  if (!service) {
    return fail(std::move(way), {.ending = met}, fmt::format("no service has {}", to.text()));
  }
  const mesh::ServicePort* port = port_numbered(*service, to.port);
  if (!port) return fail(std::move(way), {.ending = met}, why_no_port(*service, to.port));
  way.hops.back().refused = left_out(*service, *port, {}, to.ip.family());
  fail(std::move(way), {.ending = met}, why_nobody(world_, *service, *port, to.ip.family()));
}

}  // namespace fairlead::explain
