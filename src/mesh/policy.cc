#include "mesh/policy.h"

#include <fmt/format.h>

#include <algorithm>

namespace fairlead::mesh {
namespace {

bool holds(const LabelCondition& condition, const std::map<std::string, std::string>& labels) {
  using Operator = LabelCondition::Operator;
  const auto found = labels.find(condition.key);
  const bool there = found != labels.end();
  const auto listed = [&] {
    return std::find(condition.values.begin(), condition.values.end(), found->second) !=
           condition.values.end();
  };
  switch (condition.operation) {
    case Operator::in:
      return there && listed();
    case Operator::not_in:
      return !there || !listed();
    case Operator::exists:
      return there;
    case Operator::does_not_exist:
      return !there;
  }
  return false;
}

bool selects(const Policy& policy, const Workload& workload) {
  if (policy.kind == PolicyKind::network && workload.kind != WorkloadKind::pod) return false;
  return (policy.everywhere || policy.name_space == workload.name_space) &&
         std::all_of(policy.labels.begin(), policy.labels.end(),
                     [&](const LabelCondition& each) { return holds(each, workload.labels); });
}

// Of peer authentications one alone counts: that of the workload, else of its namespace, else of
// the mesh.
int rank_of(const Policy& policy) {
  if (!policy.labels.empty()) return 2;
  return policy.everywhere ? 0 : 1;
}

struct TlsOf {
  std::vector<const Policy*> by_rank{nullptr, nullptr, nullptr};  // the first of each

  TlsOf(const std::vector<Policy>& policies, const Workload& workload) {
    for (const Policy& policy : policies) {
      if (policy.kind != PolicyKind::peer_authentication || !selects(policy, workload)) continue;
      const Policy*& place = by_rank[static_cast<std::size_t>(rank_of(policy))];
      if (place == nullptr) place = &policy;
    }
  }

  // Who requires mutual TLS on this port; null: nobody.
  [[nodiscard]] const Policy* requires_it(std::uint16_t port) const {
    if (const Policy* own = by_rank[2]) {
      const auto found = own->port_modes.find(port);
      if (found != own->port_modes.end() && found->second != MutualTls::unset) {
        return found->second == MutualTls::required ? own : nullptr;
      }
    }
    for (auto policy = by_rank.rbegin(); policy != by_rank.rend(); ++policy) {
      if (*policy == nullptr || (*policy)->mode == MutualTls::unset) continue;
      return (*policy)->mode == MutualTls::required ? *policy : nullptr;
    }
    return nullptr;
  }

  // On any port.
  [[nodiscard]] bool is_required_by(const Policy& policy) const {
    if (requires_it(0) == &policy) return true;
    return &policy == by_rank[2] &&
           std::any_of(policy.port_modes.begin(), policy.port_modes.end(),
                       [](const auto& each) { return each.second == MutualTls::required; });
  }
};

}  // namespace

std::string name_of(const Policy& policy) {
  return fmt::format("{} {}/{}", policy.origin.kind, policy.name_space, policy.origin.name);
}

std::vector<const Policy*> judging_callee(const std::vector<Policy>& policies LIFETIMEBOUND,
                                          const Workload& callee, std::uint16_t port) {
  const Policy* tls = TlsOf(policies, callee).requires_it(port);
  std::vector<const Policy*> judges;
  for (const Policy& policy : policies) {
    const bool counts = policy.kind == PolicyKind::peer_authentication
                            ? tls == &policy
                            : policy.judges_callees && selects(policy, callee);
    if (counts) judges.push_back(&policy);
  }
  return judges;
}

std::vector<const Policy*> judging_caller(const std::vector<Policy>& policies LIFETIMEBOUND,
                                          const Workload& caller) {
  std::vector<const Policy*> judges;
  for (const Policy& policy : policies) {
    if (policy.judges_callers && selects(policy, caller)) judges.push_back(&policy);
  }
  return judges;
}

std::vector<const Policy*> judging_anything(const std::vector<Policy>& policies LIFETIMEBOUND,
                                            const List<Workload>& workloads) {
  std::vector<const Policy*> judges;
  for (const Policy& policy : policies) {
    const bool counts =
        std::any_of(workloads.begin(), workloads.end(), [&](const Workload& workload) {
          if (policy.kind != PolicyKind::peer_authentication) return selects(policy, workload);
          return selects(policy, workload) && TlsOf(policies, workload).is_required_by(policy);
        });
    if (counts || workloads.empty()) judges.push_back(&policy);
  }
  return judges;
}

std::string describe_unenforced(const std::vector<std::string>& names, const std::string& whom) {
  constexpr std::size_t kMost = 5;
  if (names.empty()) return {};
  std::string text = fmt::format("{} {}{} {} not enforced: ", names.size(),
                                 names.size() == 1 ? "policy" : "policies", whom,
                                 names.size() == 1 ? "is" : "are");
  for (std::size_t i = 0; i < std::min(names.size(), kMost); ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  if (names.size() > kMost) text += fmt::format(" and {} more", names.size() - kMost);
  return text;
}

}  // namespace fairlead::mesh
