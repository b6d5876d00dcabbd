// The walk through names: what the caller asks for, and which addresses that gives.
#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "base/near.h"
#include "dns/query.h"
#include "dns/zone.h"
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
  } else if (const mesh::Workload* workload = mesh::find_workload_by_address(world_, address)) {
    hop.details.push_back("it is the address of " + called(*workload));
    hop.origin = workload->origin;
  }
  if (!address.is_unspecified()) return dial(std::move(way), address);
  hop.details.emplace_back("Linux takes it for the caller itself");
  dial(std::move(way), loopback(address.family()));
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
  const std::vector<std::string> candidates =
      dns::candidates(host, dns::search_path(call_.from.name_space(), world_.domain));
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

}  // namespace fairlead::explain
