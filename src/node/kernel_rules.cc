#include "node/kernel_rules.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/descriptor.h"
#include "nft/diff.h"
#include "nft/read.h"

namespace fairlead::node {
namespace {

template <class Named>
const Named* find(const std::vector<Named>& all LIFETIMEBOUND, const std::string& name) {
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Named& one) { return one.name == name; });
  return found == all.end() ? nullptr : &*found;
}

// Those of `found`, each in the words of its namesake.
template <class Holder>  // Set or Map
std::vector<Holder> holders_as_found(const std::vector<Holder>& found,
                                     const std::vector<Holder>& wanted) {
  std::vector<Holder> all;
  for (const Holder& one : found) {
    const Holder* namesake = find(wanted, one.name);
    all.push_back(namesake == nullptr ? one : *namesake);
    all.back().elements = one.elements;
  }
  return all;
}

std::vector<nft::Rule> rules_as_found(std::vector<nft::Rule> found,
                                      const std::vector<nft::Rule>& wanted) {
  const std::size_t both = std::min(found.size(), wanted.size());
  for (std::size_t i = 0; i < both; ++i) {
    if (nft::as_listed(found[i]) == nft::as_listed(wanted[i])) found[i] = wanted[i];
  }
  return found;
}

std::vector<nft::Chain> chains_as_found(const std::vector<nft::Chain>& found,
                                        const std::vector<nft::Chain>& wanted) {
  std::vector<nft::Chain> all;
  for (const nft::Chain& one : found) {
    const nft::Chain* namesake = find(wanted, one.name);
    if (namesake == nullptr || namesake->base != one.base) {
      all.push_back(one);
      continue;
    }
    all.push_back(*namesake);
    all.back().rules = rules_as_found(one.rules, namesake->rules);
  }
  return all;
}

// The generation in an answer to GETGEN; absent when it is none.
std::optional<std::uint32_t> generation_in(const char* bytes, std::size_t size) {
  if (size < sizeof(nlmsghdr) + sizeof(nfgenmsg)) return std::nullopt;
  nlmsghdr head{};
  std::memcpy(&head, bytes, sizeof head);
  constexpr int answer = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN;
  if (head.nlmsg_type != answer) return std::nullopt;
  std::size_t place = sizeof(nlmsghdr) + sizeof(nfgenmsg);
  while (place + sizeof(nlattr) + sizeof(std::uint32_t) <= size) {
    nlattr attribute{};
    std::memcpy(&attribute, bytes + place, sizeof attribute);
    if ((attribute.nla_type & NLA_TYPE_MASK) == NFTA_GEN_ID) {
      std::uint32_t number = 0;
      std::memcpy(&number, bytes + place + sizeof attribute, sizeof number);
      return ntohl(number);
    }
    place += NLA_ALIGN(std::max<std::size_t>(attribute.nla_len, sizeof attribute));
  }
  return std::nullopt;
}

}  // namespace

nft::Ruleset as_found(const nft::Table& found, const nft::Ruleset& wanted) {
  const nft::Table* namesake = wanted.table(found.name);
  if (namesake == nullptr) return {.tables = {found}};
  nft::Table table{.family = found.family, .name = found.name, .comment = namesake->comment};
  table.counters = found.counters;
  table.sets = holders_as_found(found.sets, namesake->sets);
  table.maps = holders_as_found(found.maps, namesake->maps);
  table.chains = chains_as_found(found.chains, namesake->chains);
  return {.tables = {std::move(table)}};
}

Result<std::uint32_t> rules_generation() {
  const Descriptor socket(
      ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER));
  if (!socket.valid()) return from_errno(errno, "opening netlink");
  struct {
    nlmsghdr head{};
    nfgenmsg body{};
  } request;
  request.head.nlmsg_len = sizeof request;
  request.head.nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN;
  request.head.nlmsg_flags = NLM_F_REQUEST;
  if (::send(socket.number(), &request, sizeof request, 0) < 0) {
    return from_errno(errno, "asking for the generation of the rules");
  }
  std::array<char, 1024> buffer{};
  // The kernel has answered before send() returned.
  const ssize_t size = ::recv(socket.number(), buffer.data(), buffer.size(), 0);
  if (size < 0) return from_errno(errno, "reading the generation of the rules");
  const auto generation = generation_in(buffer.data(), static_cast<std::size_t>(size));
  if (!generation) return unsupported("the kernel does not tell the generation of its rules");
  return *generation;
}

Result<KernelRules> KernelRules::open(Self self) {
  Result<nft::Kernel> kernel = nft::Kernel::open();
  if (!kernel) return std::move(kernel).fault();
  if (Result<std::string> tables = kernel->ask("list tables"); !tables) {
    return std::move(tables).fault();
  }
  return KernelRules(std::move(self), std::move(*kernel));
}

void KernelRules::note_generation(std::uint32_t expected) {
  // More than our own change: somebody else was there at the same time.
  const Result<std::uint32_t> now = rules_generation();
  generation_.reset();
  if (now && *now == expected) generation_ = expected;
}

Result<> KernelRules::apply(mesh::WorldPointer world) {
  const Result<std::uint32_t> before = rules_generation();
  const bool ours = plan_ && before && generation_ == *before;
  if (!ours) {
    const Result<bool> replaced = replace(std::move(world));
    if (!replaced) return replaced.fault();
    return done();
  }
  const nft::Transaction change = plan_->change_to(std::move(world));
  if (Result<> committed = kernel_.commit(change); !committed) {
    generation_.reset();
    plan_.reset();
    return committed;
  }
  if (!change.empty()) note_generation(*before + 1);
  return done();
}

Result<bool> KernelRules::replace(mesh::WorldPointer world) {
  const Result<std::uint32_t> before = rules_generation();
  const nft::Ruleset wanted = service_rules(*world, self_);
  const Result<nft::Table> found = nft::read(kernel_, nft::TableFamily::inet, services_table);
  if (!found && found.fault().kind == FaultKind::denied) return found.fault();
  const nft::Transaction change =
      found ? nft::difference(as_found(*found, wanted), wanted) : nft::replacement(wanted);
  if (Result<> committed = kernel_.commit(change); !committed) {
    generation_.reset();
    return committed.fault();
  }
  if (before) note_generation(*before + (change.empty() ? 0 : 1));
  plan_.emplace(std::move(world), self_);
  return !change.empty();
}

Result<bool> KernelRules::restore() {
  if (!plan_) return false;
  const Result<std::uint32_t> now = rules_generation();
  if (now && generation_ == *now) return false;
  return replace(plan_->world());
}

Result<> remove_rules(nft::Kernel& kernel) {
  return kernel.commit(nft::removal({.tables = {nft::Table{.name = services_table}}}));
}

}  // namespace fairlead::node
