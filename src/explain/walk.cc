#include "explain/walk.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/compile/compile.h"
#include "dns/query.h"
#include "dns/zone.h"
#include "explain/endpoints.h"
#include "explain/near.h"
#include "nft/render.h"

namespace fairlead::explain {
namespace {

constexpr std::uint32_t app_user = 0;  // any but the proxy's

// Where a sidecar answers itself.
constexpr std::uint16_t admin_port = 15000;  // on loopback alone
constexpr std::uint16_t health_port = 15021;
constexpr std::uint16_t metrics_port = 15090;

std::string ordinal(std::size_t number) {
  switch (number) {
    case 1:
      return "first";
    case 2:
      return "second";
    case 3:
      return "third";
    default:
      return fmt::format("{}th", number);
  }
}

bool name_is_there(dns::Reason reason) {
  return reason == dns::Reason::found || reason == dns::Reason::no_such_type ||
         reason == dns::Reason::no_ready_endpoint || reason == dns::Reason::no_such_endpoint ||
         reason == dns::Reason::no_such_port || reason == dns::Reason::bad_alias;
}

// In the words of whoever wrote the name, where that can be.
std::string why_not(const dns::Answer& answer, const dns::Question& question) {
  for (auto alias = answer.answers.rbegin(); alias != answer.answers.rend(); ++alias) {
    const auto* target = std::get_if<dns::Name>(&alias->data);
    if (!target || alias->type != dns::Type::cname) continue;
    return fmt::format("{} stands for {}, of which nobody here knows an address",
                       question.name.text(), target->text());
  }
  const std::vector<std::string_view> labels = question.name.labels();
  const std::size_t svc =
      static_cast<std::size_t>(std::find(labels.begin(), labels.end(), "svc") - labels.begin());
  const bool below_svc = svc != labels.size() && svc >= 1;
  if (below_svc && svc >= 2 && answer.reason == dns::Reason::no_such_service) {
    return fmt::format("there is no service '{}' in namespace {}", labels[svc - 2],
                       labels[svc - 1]);
  }
  if (below_svc && answer.reason == dns::Reason::no_such_namespace) {
    return fmt::format("there is no namespace '{}'", labels[svc - 1]);
  }
  return dns::describe(answer, question);
}

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

bool has_rules(const nft::Ruleset& rules) {
  return !rules.tables.empty();
}

bool holds(const std::vector<IpAddress>& addresses, const IpAddress& address) {
  return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
}

bool is_of_proxy(const mesh::Workload& workload, std::uint16_t port) {
  return workload.sidecar != mesh::Sidecar::none &&
         (port == health_port || port == metrics_port || port == admin_port);
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

IpAddress loopback(Family family) {
  if (family == Family::v4) return IpAddress::v4({127, 0, 0, 1});
  return IpAddress::v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
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

std::string pod_of(const mesh::Workload& workload) {
  return fmt::format("{}/{}", workload.name_space, workload.name);
}

std::string proxy_of(const mesh::Workload& workload) {
  return pod_of(workload) + ", its proxy";
}

// ── the frame ───────────────────────────────────────────────────────────────────────────────────

Walk::Walk(Knowledge& knowledge, const Call& call)
    : knowledge_(knowledge),
      call_(call),
      world_(knowledge.world()),
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

// ── names ───────────────────────────────────────────────────────────────────────────────────────

bool Walk::ask(Hop& hop, const std::string& candidate, std::vector<IpAddress>& found,
               std::vector<dns::Reason>& reasons) {
  const Result<dns::Name> name = dns::Name::parse(candidate);
  if (!name) {
    hop.refused.push_back({.name = candidate, .why = name.fault().message});
    reasons.push_back(dns::Reason::no_such_name);
    return false;
  }
  std::string why;
  for (const dns::Type type : {dns::Type::a, dns::Type::aaaa}) {
    const dns::Question question{.name = *name, .type = type};
    const dns::Answer answer = dns::answer(knowledge_.zone(), question);
    for (const dns::Record& record : answer.answers) {
      if (const auto* target = std::get_if<dns::Name>(&record.data);
          target && record.type == dns::Type::cname && type == dns::Type::a) {
        hop.details.push_back(fmt::format("{} is an alias of {}", candidate, target->text()));
      }
      if (const auto* address = std::get_if<IpAddress>(&record.data)) found.push_back(*address);
    }
    if (answer.entry) hop.origin = answer.entry->origin;
    if (answer.host) hop.origin = answer.host->origin;
    if (type == dns::Type::a) {
      reasons.push_back(answer.reason);
      why = fmt::format("{}: {}",
                        answer.code == dns::Code::no_error ? "NODATA" : dns::name_of(answer.code),
                        why_not(answer, question));
    }
  }
  if (!found.empty()) return true;
  hop.refused.push_back({.name = candidate, .why = why});
  return false;
}

std::string Walk::why_no_name(const std::string& first_reason) const {
  std::vector<std::string> names;
  const std::string name_space = call_.from.name_space();
  for (const mesh::Service& service : world_.services) {
    const bool here = service.name_space == name_space;
    names.push_back(service.kind == mesh::ServiceKind::external ? service.host
                    : here                                      ? service.name
                           : service.name + '.' + service.name_space);
  }
  std::erase(names, call_.to.host);  // it is there, and that is not what is missing
  const std::vector<std::string> near = near_names(call_.to.host, names);
  return near.empty() ? first_reason : first_reason + did_you_mean(call_.to.host, names);
}

void Walk::resolve(Way way) {
  const std::string& host = call_.to.host;
  const std::string place = way.hops.front().place;
  if (const Result<IpAddress> literal = IpAddress::parse(host); literal) {
    const mesh::Service* service = mesh::find_service_by_address(world_, *literal);
    const mesh::Workload* workload = mesh::find_workload_by_address(world_, *literal);
    Hop& hop = add(way, Stage::name, place, host + " is an address: no name is asked");
    if (service) {
      hop.details.push_back("it is the address of " + called(*service));
      hop.origin = service->origin;
    } else if (workload) {
      hop.details.push_back("it is the address of " + called(*workload));
      hop.origin = workload->origin;
    }
    if (literal->is_unspecified()) {
      hop.details.push_back("Linux takes it for the caller itself");
      return dial(std::move(way), loopback(literal->family()));
    }
    return dial(std::move(way), *literal);
  }
  if (const std::vector<IpAddress> own = in_hosts_file(call_.from, host); !own.empty()) {
    Hop& hop = add(way, Stage::name, place, "");
    hop.details.emplace_back("found in its /etc/hosts: no name server is asked");
    return found_as(std::move(way), own);
  }
  const std::vector<std::string> candidates =
      dns::candidates(host, dns::search_path(call_.from.name_space(), world_.domain));
  Hop& hop = add(way, Stage::name, place, "");
  std::vector<IpAddress> found;
  std::vector<dns::Reason> reasons;
  std::size_t asked = 0;
  while (asked < candidates.size() && !ask(hop, candidates[asked], found, reasons)) ++asked;
  if (found.empty()) {
    hop.says = host + " is no name that the node's DNS knows";
    return fail(std::move(way), likely_cause(hop, reasons));
  }
  hop.details.push_back(fmt::format("found as {}, the {} of {} names to try", candidates[asked],
                                    ordinal(asked + 1), candidates.size()));
  found_as(std::move(way), found);
}

// Of all the names that were tried, why the one that the writer is likely to have meant is none.
std::string Walk::likely_cause(const Hop& hop, const std::vector<dns::Reason>& reasons) const {
  const std::string& host = call_.to.host;
  const auto there = std::find_if(reasons.begin(), reasons.end(), name_is_there);
  if (there != reasons.end()) {
    return hop.refused[static_cast<std::size_t>(there - reasons.begin())].why;
  }
  const auto dots = static_cast<std::size_t>(std::count(host.begin(), host.end(), '.'));
  const bool short_form = dots < 2 || (dots == 2 && host.ends_with(".svc"));
  const std::size_t last = hop.refused.size() - 1;
  const std::size_t at = short_form ? std::min(dots, last) : last;
  const bool or_outside = dots == 1 && at < last && reasons[at] == dns::Reason::no_such_namespace;
  return why_no_name(hop.refused[at].why +
                     (or_outside ? fmt::format(", and nobody outside is asked for {}", host) : ""));
}

void Walk::found_as(Way way, const std::vector<IpAddress>& found) {
  const std::string& host = call_.to.host;
  Hop& hop = way.hops.back();
  const Family family = address_of(call_.from.workload, Family::v4).is_unspecified() ||
                                found.front().family() == Family::v6
                            ? Family::v6
                            : Family::v4;
  std::vector<IpAddress> used;
  std::vector<IpAddress> other;
  for (const IpAddress& address : found) {
    (address.family() == family ? used : other).push_back(address);
  }
  if (used.empty()) used.swap(other);
  if (!other.empty()) {
    hop.details.push_back(
        fmt::format("also {}, which an app may take instead", other.front().text()));
  }
  hop.says = used.size() == 1 ? fmt::format("{} is {}", host, used.front().text())
                              : fmt::format("{} is one of {} addresses, in an order that changes",
                                            host, used.size());
  for (const IpAddress& address : used) {
    hop.choices.push_back({.name = name_at({address, call_.to.port}),
                           .address = address.text(),
                           .share = 1.0 / static_cast<double>(used.size())});
  }
  dial_each(way, used);
}

void Walk::dial_each(const Way& way, const std::vector<IpAddress>& addresses) {
  for (const IpAddress& address : addresses) {
    Way one = way;
    one.share /= static_cast<double>(addresses.size());
    dial(std::move(one), address);
  }
}

// ── the sender's kernel ─────────────────────────────────────────────────────────────────────────

void Walk::dial(Way way, const IpAddress& address) {
  const SocketAddress to{address, call_.to.port};
  const mesh::Workload* workload = call_.from.workload;
  if (!workload) return leave(std::move(way), to, false, nullptr);
  const Result<const nft::Ruleset*> rules = knowledge_.capture_of(*workload);
  if (!rules) {
    add(way, Stage::capture, pod_of(*workload), "the rules cannot be made");
    return fail(std::move(way), rules.fault().describe());
  }
  if (!has_rules(**rules)) {
    add(way, Stage::capture, pod_of(*workload), "nothing is captured here: there is no sidecar");
    return leave(std::move(way), to, false, workload);
  }
  const bool local = holds(workload->addresses, address) || address.is_loopback();
  const nft::Packet packet{.hook = nft::Hook::output,
                           .source = {address_of(workload, address.family()), some_port},
                           .destination = to,
                           .out_interface = local ? "lo" : "eth0",
                           .uid = app_user,
                           .gid = app_user,
                           .destination_is_local = local};
  const nft::Trace trace = nft::trace(**rules, packet);
  const bool taken = trace.fate == nft::Fate::redirected;
  Hop& hop = add(way, Stage::capture, pod_of(*workload),
                 taken ? fmt::format("taken to the proxy, port {}", trace.port)
                       : "not taken: it goes past the proxy");
  hop.rules = rules_behind(**rules, trace);
  hop.to = taken ? SocketAddress{loopback(address.family()), trace.port}.text() : to.text();
  if (taken) return enter_proxy(std::move(way), *workload, trace.port, packet.source, to);
  leave(std::move(way), to, false, workload);
}

void Walk::leave(Way way, const SocketAddress& to, bool by_proxy, const mesh::Workload* sender) {
  const SocketAddress source{address_of(sender, to.ip.family()), some_port};
  const bool own = sender && (holds(sender->addresses, to.ip) || to.ip.is_loopback());
  if (own) return reach_app(std::move(way), *sender, to);
  const mesh::Node* node = node_of(sender);
  if (!node) return arrive(std::move(way), to, source);
  const bool from_node = sender == nullptr;
  const nft::Packet packet{.hook = from_node ? nft::Hook::output : nft::Hook::prerouting,
                           .source = source,
                           .destination = to,
                           .in_interface = from_node ? "" : "veth",
                           .out_interface = from_node ? "veth" : "",
                           .uid = from_node ? std::optional<std::uint32_t>(0) : std::nullopt,
                           .gid = from_node ? std::optional<std::uint32_t>(0) : std::nullopt,
                           .destination_is_local = holds(node->addresses, to.ip)};
  through_node(std::move(way), *node, packet, by_proxy);
}

void Walk::through_node(Way way, const mesh::Node& node, const nft::Packet& packet, bool by_proxy) {
  const nft::Ruleset& rules = knowledge_.node_rules_of(node);
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
      return translated(way, trace, packet);
    }
    case nft::Fate::rejected:
    case nft::Fate::dropped: {
      Hop& hop = add(way, Stage::kernel, "node " + node.name,
                     fmt::format("{} is {}", to.text(), trace.outcome()));
      hop.rules = rules_behind(rules, trace);
      if (service) hop.origin = service->origin;
      return refused_by_node(std::move(way), to);
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

void Walk::translated(const Way& way, const nft::Trace& trace, const nft::Packet& packet) {
  Way whole = way;
  Hop& hop = whole.hops.back();
  double all = trace.missed;
  for (const nft::Target& target : trace.targets) all += target.weight;
  for (const nft::Target& target : trace.targets) {
    const mesh::Workload* workload = mesh::find_workload_by_address(world_, target.address.ip);
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
    arrive(std::move(one), target.address, packet.source);
  }
}

void Walk::refused_by_node(Way way, const SocketAddress& to) {
  const mesh::Service* service = mesh::find_service_by_address(world_, to.ip);
  if (!service) return fail(std::move(way), fmt::format("no service has {}", to.text()));
  const mesh::ServicePort* port = port_numbered(*service, to.port);
  if (!port) return fail(std::move(way), why_no_port(*service, to.port));
  way.hops.back().refused = left_out(*service, *port, {}, to.ip.family());
  fail(std::move(way), why_nobody(world_, *service, *port));
}

// ── the far end ─────────────────────────────────────────────────────────────────────────────────

void Walk::arrive(Way way, const SocketAddress& to, const SocketAddress& source) {
  const mesh::Workload* workload = mesh::find_workload_by_address(world_, to.ip);
  if (!workload) return arrive_nowhere(std::move(way), to);
  const Result<const nft::Ruleset*> rules = knowledge_.capture_of(*workload);
  if (!rules) {
    add(way, Stage::capture, pod_of(*workload), "the rules cannot be made");
    return fail(std::move(way), rules.fault().describe());
  }
  if (!has_rules(**rules)) return reach_app(std::move(way), *workload, to);
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
  return !call_.within.empty() &&
         std::none_of(call_.within.begin(), call_.within.end(), [&](const nft::Prefix& prefix) {
           return address.family() == prefix.address.family() &&
                  address.within(prefix.address, prefix.length);
         });
}

void Walk::arrive_nowhere(Way way, const SocketAddress& to) {
  if (to.ip.is_loopback() && !call_.from.workload) {
    return reach_node(std::move(way), *call_.from.node, to);
  }
  for (const mesh::Workload& workload : world_.ended) {
    if (!holds(workload.addresses, to.ip)) continue;
    add(way, Stage::app, pod_of(workload), to.text() + " was its address").origin = workload.origin;
    return fail(std::move(way),
                fmt::format("{}: it runs no more, and answers nobody", has_ended(workload)));
  }
  for (const mesh::Node& node : world_.nodes) {
    if (holds(node.addresses, to.ip)) return reach_node(std::move(way), node, to);
    for (const std::string& range : node.pod_ranges) {
      const Result<nft::Prefix> prefix = nft::parse_prefix(range);
      if (prefix && to.ip.within(prefix->address, prefix->length)) {
        add(way, Stage::app, "node " + node.name, to.text() + " is in the range of its pods");
        return fail(std::move(way), fmt::format("no pod has the address {}", to.ip.text()));
      }
    }
  }
  for (const SocketAddress& server : cluster_dns()) {
    if (server.ip != to.ip) continue;
    add(way, Stage::app, to.ip.text(), "the name server that each node has");
    if (server == to) return end(std::move(way), nullptr, to);
    return fail(std::move(way), fmt::format("the name server {} listens on port {} alone",
                                            to.ip.text(), server.port));
  }
  if (out_of_reach(to.ip)) {
    add(way, Stage::app, to.ip.text(), "outside of the lab");
    return fail(std::move(way),
                fmt::format("{} is outside of the lab, from which no way leads out", to.ip.text()));
  }
  for (const mesh::Service& service : world_.services) {
    for (const mesh::Endpoint& endpoint : service.endpoints) {
      if (endpoint.address != to.ip) continue;
      add(way, Stage::app, to.ip.text(),
          fmt::format("{} is an endpoint of {}: nothing more is known of it", to.text(),
                      called(service)))
          .origin = endpoint.origin;
      return end(std::move(way), nullptr, to);
    }
  }
  if (mesh::find_service_by_address(world_, to.ip)) {
    add(way, Stage::app, to.ip.text(), "a service's address, which nobody translates here");
    return fail(std::move(way),
                fmt::format("no kernel on the way turns {} into an endpoint", to.text()));
  }
  if (!call_.within.empty()) {
    add(way, Stage::app, to.ip.text(), "nobody's address");
    return fail(std::move(way), fmt::format("nobody in the lab has the address {}", to.ip.text()));
  }
  add(way, Stage::app, to.ip.text(), "outside of everything that is known here");
  note(fmt::format("whether {} answers cannot be said from here", to.text()));
  end(std::move(way), nullptr, to);
}

void Walk::reach_node(Way way, const mesh::Node& node, const SocketAddress& at) {
  add(way, Stage::app, "node " + node.name,
      fmt::format("{} is the node's own: whatever listens there answers", at.text()))
      .origin = node.origin;
  end_if_somebody_listens(std::move(way), nullptr, at);
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
  if (known) return end(std::move(way), &workload, at);

  const bool by_name = !IpAddress::parse(call_.to.host);
  if (const std::string why = by_name ? why_not_translated(world_, at) : ""; !why.empty()) {
    hop.says = "nobody listens on " + port;
    return end(std::move(way), &workload, at, why);
  }
  // Many an app declares no port at all, and its service knows it all the same.
  const bool declares_none =
      std::all_of(workload.ports.begin(), workload.ports.end(),
                  [&](const auto& each) { return is_of_proxy(workload, each.port); });
  const bool offered = offered_by_a_service(world_, at);
  if (offered && declares_none) return end(std::move(way), &workload, at);
  hop.says = "whatever listens on " + port;
  hop.details.push_back(fmt::format("{} declares port {}: only the request itself tells",
                                    offered ? "no container" : "neither a container nor a service",
                                    at.port));
  end_if_somebody_listens(std::move(way), &workload, at);
}

}  // namespace fairlead::explain
