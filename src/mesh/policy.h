// Policies that somebody else would enforce and fairlead does not yet: which calls each would
// judge.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/lifetime.h"
#include "base/origin.h"
#include "mesh/list.h"
#include "mesh/workload.h"

namespace fairlead::mesh {

enum class PolicyKind : std::uint8_t {
  peer_authentication,
  authorization,
  request_authentication,
  network,
};

struct LabelCondition {
  enum class Operator : std::uint8_t { in, not_in, exists, does_not_exist };
  std::string key;
  Operator operation = Operator::in;
  std::vector<std::string> values;
  bool operator==(const LabelCondition&) const = default;
};

enum class MutualTls : std::uint8_t { unset, optional, required };

// One that could refuse something, and for a peer authentication also one that permits what another
// would refuse.
struct Policy {
  PolicyKind kind = PolicyKind::authorization;
  std::string name_space;
  bool everywhere = false;             // it stands in the root namespace: all namespaces are meant
  std::vector<LabelCondition> labels;  // of workloads; all must hold, so none: every workload
  bool judges_callers = false;         // NetworkPolicy: egress
  bool judges_callees = true;
  MutualTls mode = MutualTls::unset;  // of a peer authentication
  std::map<std::uint16_t, MutualTls> port_modes;
  Origin origin;
  bool operator==(const Policy&) const = default;
};

[[nodiscard]] std::string name_of(const Policy& policy);
// "AuthorizationPolicy shop/deny-all"

// Each gives policies in their order, without repeating one; good as long as `policies`.
[[nodiscard]] std::vector<const Policy*> judging_callee(
    const std::vector<Policy>& policies LIFETIMEBOUND, const Workload& callee, std::uint16_t port);
[[nodiscard]] std::vector<const Policy*> judging_caller(
    const std::vector<Policy>& policies LIFETIMEBOUND, const Workload& caller);
[[nodiscard]] std::vector<const Policy*> judging_anything(
    const std::vector<Policy>& policies LIFETIMEBOUND, const List<Workload>& workloads);
// Those that would judge any call to or from these; without any workload all of them, since nobody
// knows then who runs.

[[nodiscard]] std::string describe_unenforced(const std::vector<std::string>& names,
                                              const std::string& whom = {});
// "2 policies are not enforced: AuthorizationPolicy shop/deny-all, NetworkPolicy shop/closed", with
// `whom` "2 policies that would judge this are not enforced: ..."; five names at most. Empty when
// there are none.

}  // namespace fairlead::mesh
