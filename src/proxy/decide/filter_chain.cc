#include "proxy/decide/filter_chain.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>

namespace fairlead::proxy {
namespace {

using config::FilterChain;
using config::FilterChainMatch;

// How closely a chain matches by one criterion: 0 leaves it open, more is closer; absent: not at
// all.
using Closeness = std::optional<std::size_t>;

Closeness by_prefix(const std::vector<config::Prefix>& ranges, const IpAddress& address) {
  if (ranges.empty()) return 0;
  Closeness closest;
  for (const config::Prefix& range : ranges) {
    if (!address.within(range.address, range.length)) continue;
    closest = std::max(closest.value_or(0), static_cast<std::size_t>(range.length) + 1);
  }
  return closest;
}

Closeness by_server_name(const std::vector<std::string>& names, std::string_view asked) {
  constexpr std::size_t exactly = 1U << 20;
  if (names.empty()) return 0;
  Closeness closest;
  for (const std::string_view name : names) {
    if (name == asked && !asked.empty()) return exactly;
    const bool suffix =
        name.starts_with("*.") && asked.size() > name.size() - 1 && asked.ends_with(name.substr(1));
    if (suffix) closest = std::max(closest.value_or(0), name.size());
  }
  return closest;
}

Closeness by_word(std::string_view wanted, std::string_view came) {
  if (wanted.empty()) return 0;
  return wanted == came ? Closeness(1) : std::nullopt;
}

Closeness by_application(const FilterChainMatch& match, const ConnectionFacts& facts) {
  if (match.application_protocols.empty()) return 0;
  for (const std::string& wanted : match.application_protocols) {
    const auto& came = facts.application_protocols;
    if (std::find(came.begin(), came.end(), wanted) != came.end()) return 1;
  }
  return {};
}

struct Criterion {
  const char* name;
  Closeness (*closeness)(const FilterChainMatch&, const ConnectionFacts&);
  std::string (*wanted)(const FilterChainMatch&);
  std::string (*came)(const ConnectionFacts&);
};

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string joined(const std::vector<config::Prefix>& ranges) {
  std::vector<std::string> words;
  words.reserve(ranges.size());
  for (const config::Prefix& range : ranges) {
    words.push_back(fmt::format("{}/{}", range.address.text(), range.length));
  }
  return joined(words);
}

std::string or_none(std::string text) {
  return text.empty() ? "none" : std::move(text);
}

// In the order in which they are asked.
constexpr Criterion criteria[] = {
    {"destination port",
     [](const FilterChainMatch& match, const ConnectionFacts& facts) -> Closeness {
       if (!match.destination_port) return 0;
       return *match.destination_port == facts.destination.port ? Closeness(1) : std::nullopt;
     },
     [](const FilterChainMatch& match) { return std::to_string(*match.destination_port); },
     [](const ConnectionFacts& facts) { return std::to_string(facts.destination.port); }},
    {"destination address",
     [](const FilterChainMatch& match, const ConnectionFacts& facts) {
       return by_prefix(match.prefix_ranges, facts.destination.ip);
     },
     [](const FilterChainMatch& match) { return joined(match.prefix_ranges); },
     [](const ConnectionFacts& facts) { return facts.destination.ip.text(); }},
    {"server name",
     [](const FilterChainMatch& match, const ConnectionFacts& facts) {
       return by_server_name(match.server_names, facts.server_name);
     },
     [](const FilterChainMatch& match) { return joined(match.server_names); },
     [](const ConnectionFacts& facts) { return or_none(std::string(facts.server_name)); }},
    {"transport protocol",
     [](const FilterChainMatch& match, const ConnectionFacts& facts) {
       return by_word(match.transport_protocol, facts.transport_protocol);
     },
     [](const FilterChainMatch& match) { return match.transport_protocol; },
     [](const ConnectionFacts& facts) { return std::string(facts.transport_protocol); }},
    {"application protocol", by_application,
     [](const FilterChainMatch& match) { return joined(match.application_protocols); },
     [](const ConnectionFacts& facts) {
       const auto& came = facts.application_protocols;
       return or_none(joined(std::vector<std::string>(came.begin(), came.end())));
     }},
    {"source address",
     [](const FilterChainMatch& match, const ConnectionFacts& facts) {
       return by_prefix(match.source_prefix_ranges, facts.source.ip);
     },
     [](const FilterChainMatch& match) { return joined(match.source_prefix_ranges); },
     [](const ConnectionFacts& facts) { return facts.source.ip.text(); }},
};

void refuse(const FilterChain& chain, std::string why, Refusals* refused) {
  if (refused) refused->push_back({"filter chain " + chain.name, std::move(why), chain.origin});
}

// Keeps those candidates that match `criterion` most closely.
void keep_closest(std::vector<const FilterChain*>& candidates, const Criterion& criterion,
                  const ConnectionFacts& facts, Refusals* refused) {
  Closeness best;
  for (const FilterChain* chain : candidates) {
    best = std::max(best, criterion.closeness(chain->match, facts));
  }
  std::erase_if(candidates, [&](const FilterChain* chain) {
    const Closeness closeness = criterion.closeness(chain->match, facts);
    if (closeness && closeness == best) return false;
    if (refused) {
      refuse(*chain,
             closeness ? fmt::format("another chain matches the {} {} more closely", criterion.name,
                                     criterion.came(facts))
                       : fmt::format("it takes the {} {}, and this is {}", criterion.name,
                                     criterion.wanted(chain->match), criterion.came(facts)),
             refused);
    }
    return true;
  });
}

bool listens_on(const config::Listener& listener, const SocketAddress& address) {
  if (listener.address == address) return true;
  const auto& more = listener.additional_addresses;
  return std::find(more.begin(), more.end(), address) != more.end();
}

const config::Listener* listening_on(const config::Snapshot& snapshot LIFETIMEBOUND,
                                     const SocketAddress& address) {
  for (const auto& [name, listener] : snapshot.listeners) {
    if (listens_on(*listener, address)) return listener.get();
  }
  return nullptr;
}

}  // namespace

const config::FilterChain* choose_filter_chain(const config::Listener& listener LIFETIMEBOUND,
                                               const ConnectionFacts& facts, Refusals* refused) {
  std::vector<const FilterChain*> candidates;
  candidates.reserve(listener.filter_chains.size());
  for (const FilterChain& chain : listener.filter_chains) candidates.push_back(&chain);
  for (const Criterion& criterion : criteria) keep_closest(candidates, criterion, facts, refused);

  const FilterChain* spare =
      listener.default_filter_chain ? &*listener.default_filter_chain : nullptr;
  if (candidates.empty()) return spare;
  for (std::size_t at = 1; at < candidates.size(); ++at) {
    refuse(*candidates[at], "an earlier chain matches the same", refused);
  }
  if (spare) refuse(*spare, "it is for what no other chain takes", refused);
  return candidates.front();
}

Result<> check_filter_chains(const config::Listener& listener) {
  const auto& chains = listener.filter_chains;
  for (auto left = chains.begin(); left != chains.end(); ++left) {
    for (auto right = left + 1; right != chains.end(); ++right) {
      if (left->match == right->match) {
        return invalid(fmt::format("listener {}: the filter chains '{}' and '{}' match the same",
                                   listener.name, left->name, right->name));
      }
    }
  }
  return done();
}

const config::Listener* listener_for(const config::Snapshot& snapshot LIFETIMEBOUND,
                                     const config::Listener& accepted LIFETIMEBOUND,
                                     const SocketAddress& dialled, Refusals* refused) {
  if (!accepted.use_original_dst) return &accepted;
  if (const config::Listener* exact = listening_on(snapshot, dialled)) return exact;
  const SocketAddress wildcard{dialled.ip.is_v4() ? IpAddress() : IpAddress::v6({}), dialled.port};
  if (refused) {
    refused->push_back({"listener " + dialled.text(), "no listener has this address", {}});
  }
  if (const config::Listener* any = listening_on(snapshot, wildcard)) return any;
  if (refused) {
    refused->push_back({"listener " + wildcard.text(), "no listener has this port", {}});
  }
  return &accepted;
}

}  // namespace fairlead::proxy
