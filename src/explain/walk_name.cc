// The walk through names: what the caller asks for, and which addresses that gives.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <variant>

#include "base/near.h"
#include "dns/query.h"
#include "dns/zone.h"
#include "explain/address_order.h"
#include "explain/endpoints.h"
#include "explain/walk.h"

namespace fairlead::explain {
namespace {

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

const char* text_of(Family family) {
  return family == Family::v4 ? "IPv4" : "IPv6";
}

const char* names_of(AddressPolicy policy) {
  return policy == AddressPolicy::glibc ? "glibc does" : "musl, Go and Java do";
}

std::string client_of(AddressPolicy policy, Family first) {
  return fmt::format("{} first, as {}", text_of(first), names_of(policy));
}

std::vector<IpAddress> by_family(const std::vector<IpAddress>& addresses,
                                 const std::vector<Family>& families) {
  std::vector<IpAddress> sorted;
  for (const Family family : families) {
    for (const IpAddress& address : addresses) {
      if (address.family() == family) sorted.push_back(address);
    }
  }
  return sorted;
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

}  // namespace

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
    const dns::Answer answer = dns::answer(model_.zone(), question);
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

void Walk::take_as_address(Way way, const IpAddress& address) {
  Hop& hop = way.hops.back();
  hop.says = call_.to.host + " is an address: no name is asked";
  if (const mesh::Service* service = mesh::find_service_by_address(world_, address)) {
    hop.details.push_back("it is the address of " + called(*service));
    hop.origin = service->origin;
  } else if (const mesh::Workload* workload = workload_at(world_, {address, call_.to.port})) {
    hop.details.push_back("it is the address of " + called(*workload));
    hop.origin = workload->origin;
  }
  if (!address.is_unspecified()) return dial(std::move(way), address);
  hop.details.emplace_back("Linux takes it for the caller itself");
  dial(std::move(way), loopback(address.family()));
}

std::vector<std::string> Walk::names_to_ask() const {
  if (!call_.from.workload && call_.node_resolver) {
    return dns::candidates(call_.to.host, call_.node_resolver->search, call_.node_resolver->ndots);
  }
  return dns::candidates(call_.to.host, dns::search_path(call_.from.name_space(), world_.domain));
}

// A process on a node asks whom the node's resolv.conf names. False: that is the cluster's DNS.
bool Walk::ask_nobody_of_the_cluster(Way& way) {
  if (call_.from.workload) return false;
  const std::string& host = call_.to.host;
  const std::string& node = call_.from.node->name;
  Hop& hop = way.hops.back();
  if (!call_.node_resolver) {
    hop.says = host + " is looked up as the node's own resolv.conf says";
    const std::string why =
        fmt::format("whom a process on {} asks for names: its resolv.conf is not known", node);
    end_unknown(std::move(way), {IpAddress(), call_.to.port}, why);
    return true;
  }
  const std::vector<IpAddress>& servers = call_.node_resolver->servers;
  for (const SocketAddress& cluster : cluster_dns()) {
    if (holds(servers, cluster.ip)) return false;
  }
  std::string list;
  for (const IpAddress& server : servers) list += (list.empty() ? "" : ", ") + server.text();
  const std::string asked = fmt::format(
      "a process on {} asks {}, as its /etc/resolv.conf says, and not the cluster's DNS", node,
      list);
  hop.says = host + " is looked up as the node's own resolv.conf says";
  hop.details.push_back(asked);
  const bool lost = std::all_of(servers.begin(), servers.end(), [&](const IpAddress& server) {
    return out_of_reach(server) || (server.is_loopback() && !call_.within.empty());
  });
  if (lost) {
    fail(std::move(way), {.ending = Ending::no_address}, asked + ": nobody there answers it");
  } else {
    end_unknown(std::move(way), {IpAddress(), call_.to.port}, asked);
  }
  return true;
}

void Walk::resolve(Way way) {
  const std::string& host = call_.to.host;
  Hop& hop = add(way, Stage::name, way.hops.front().place, "");
  if (const Result<IpAddress> literal = IpAddress::parse(host); literal) {
    return take_as_address(std::move(way), *literal);
  }
  if (const std::vector<IpAddress> own = in_hosts_file(call_.from, host); !own.empty()) {
    hop.details.emplace_back("found in its /etc/hosts: no name server is asked");
    return found_as(std::move(way), own);
  }
  if (ask_nobody_of_the_cluster(way)) return;
  const std::vector<std::string> candidates = names_to_ask();
  std::vector<IpAddress> found;
  std::vector<dns::Reason> reasons;
  std::size_t asked = 0;
  while (asked < candidates.size() && !ask(hop, candidates[asked], found, reasons)) ++asked;
  if (found.empty()) {
    hop.says = host + " is no name that the node's DNS knows";
    return fail(std::move(way), {.ending = Ending::no_address}, likely_cause(hop, reasons));
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

std::vector<IpAddress> Walk::own_addresses() const {
  return call_.from.workload ? call_.from.workload->addresses : call_.from.node->addresses;
}

// A name with addresses of both families is not one address: which is tried first is the client's
// to choose, and who is refused goes on with the next.
void Walk::found_as(Way way, const std::vector<IpAddress>& found) {
  const std::string& host = call_.to.host;
  const std::vector<IpAddress> own = own_addresses();
  const std::vector<Family> first = families_in_order(AddressPolicy::glibc, found, own);
  const std::vector<Family> other = families_in_order(AddressPolicy::rfc6724, found, own);
  const bool both = first.size() > 1;
  const std::vector<IpAddress> sorted = by_family(found, first);
  Hop& hop = way.hops.back();
  if (found.size() == 1) {
    hop.says = fmt::format("{} is {}", host, found.front().text());
  } else if (both && found.size() == 2) {
    hop.says = fmt::format("{} is {} and {}", host, sorted[0].text(), sorted[1].text());
  } else {
    hop.says =
        fmt::format("{} is one of {} addresses, in an order that changes", host, found.size());
  }
  if (both) {
    hop.details.push_back(first == other
                              ? fmt::format("clients take {} first", text_of(first.front()))
                              : fmt::format("clients take {}; {}",
                                            client_of(AddressPolicy::glibc, first.front()),
                                            client_of(AddressPolicy::rfc6724, other.front())));
  }
  for (const IpAddress& address : sorted) {
    hop.choices.push_back({.name = name_at({address, call_.to.port}),
                           .address = address.text(),
                           .share = 1.0 / static_cast<double>(found.size())});
  }
  if (!both) return dial_in_order(way, first, found);
  const std::size_t begin = leaves_.size();
  way.client = client_of(AddressPolicy::glibc, first.front());
  dial_in_order(way, first, found);
  const std::size_t end = leaves_.size();
  if (first != other) {
    way.client = client_of(AddressPolicy::rfc6724, other.front());
    dial_in_order(way, other, found);
  }
  const bool same_end =
      end == leaves_.size() || refused_since(begin) || leaves_[begin].family == leaves_[end].family;
  if (same_end) {
    // All clients come to the same end.
    leaves_.erase(leaves_.begin() + static_cast<std::ptrdiff_t>(end), leaves_.end());
    for (std::size_t i = begin; i < end; ++i) leaves_[i].client.clear();
  }
}

// Family by family: the next one, when all of one are refused before anybody took the connection.
void Walk::dial_in_order(const Way& way, const std::vector<Family>& families,
                         const std::vector<IpAddress>& addresses) {
  Way whole = way;
  for (std::size_t i = 0; i < families.size(); ++i) {
    const bool last = i + 1 == families.size();
    if (families.size() > 1) whole.family = families[i];
    if (dial_each(whole, by_family(addresses, {families[i]}), !last)) return;
  }
}

bool Walk::refused_since(std::size_t leaf) const {
  return std::all_of(
      leaves_.begin() + static_cast<std::ptrdiff_t>(leaf), leaves_.end(), [](const Leaf& each) {
        return each.met.ending == Ending::refused || each.met.ending == Ending::unreachable;
      });
}

// In an order that changes; a client that is refused goes on with another. False: all were refused,
// and `others_follow`.
bool Walk::dial_each(const Way& way, const std::vector<IpAddress>& addresses, bool others_follow) {
  struct Dialled {
    std::vector<Leaf> leaves;
    bool refused;
  };
  std::vector<Dialled> all;
  const auto begin = static_cast<std::ptrdiff_t>(leaves_.size());
  for (const IpAddress& address : addresses) {
    Way one = way;
    one.share /= static_cast<double>(addresses.size());
    dial(std::move(one), address);
    const bool refused = refused_since(static_cast<std::size_t>(begin));
    all.push_back({.leaves = {std::make_move_iterator(leaves_.begin() + begin),
                              std::make_move_iterator(leaves_.end())},
                   .refused = refused});
    leaves_.erase(leaves_.begin() + begin, leaves_.end());
  }
  const auto refused =
      std::count_if(all.begin(), all.end(), [](const Dialled& one) { return one.refused; });
  const bool all_refused = refused == static_cast<std::ptrdiff_t>(all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool goes_on = all[i].refused && (!all_refused || others_follow);
    if (!goes_on) continue;
    note(fmt::format("{} is refused, and the client goes on: {}", addresses[i].text(),
                     all[i].leaves.front().failure));
  }
  if (all_refused && others_follow) return false;
  for (Dialled& one : all) {
    if (one.refused && !all_refused) continue;
    for (Leaf& leaf : one.leaves) {
      if (!all_refused) {
        leaf.share *= static_cast<double>(all.size()) /
                      static_cast<double>(static_cast<std::ptrdiff_t>(all.size()) - refused);
      }
      leaves_.push_back(std::move(leaf));
    }
  }
  return true;
}

}  // namespace fairlead::explain
