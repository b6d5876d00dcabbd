// This node's table in the kernel, kept as the newest world wants it, whoever else writes there.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "mesh/world.h"
#include "nft/apply.h"
#include "node/plan/services.h"

namespace fairlead::node {

[[nodiscard]] nft::Ruleset as_found(const nft::Table& found, const nft::Ruleset& wanted);
// `found`, as it was read from the kernel, in the words of `wanted`: what the two have in common is
// written as `wanted` writes it, so that their difference is what really differs. Pure.

[[nodiscard]] Result<std::uint32_t> rules_generation();
// How many times anybody changed the rules of this network namespace, as the kernel counts.

class KernelRules {
 public:
  static Result<KernelRules> open(Self self);
  // For the network namespace that the calling thread is in. Fault: missing without libnftables,
  // denied to who may not change rules there, nor ever will.

  Result<> apply(mesh::WorldPointer world);
  // In one transaction: the first time from whatever stands there, so that counters go on; later
  // only what changed. A fault leaves the kernel as it was.

  Result<bool> restore();
  // True when somebody else had changed the table, which is now again as it was applied. Cheap as
  // long as nobody changed any rule.

  [[nodiscard]] nft::Kernel& kernel() LIFETIMEBOUND { return kernel_; }

 private:
  KernelRules(Self self, nft::Kernel kernel) : self_(std::move(self)), kernel_(std::move(kernel)) {}
  Result<bool> replace(mesh::WorldPointer world);
  void note_generation(std::uint32_t expected);

  Self self_;
  nft::Kernel kernel_;
  std::optional<ServicePlan> plan_;          // what was applied; absent: nothing, or not all of it
  std::optional<std::uint32_t> generation_;  // absent: the table must be looked at
};

[[nodiscard]] Result<> remove_rules(nft::Kernel& kernel);
// Leaves nothing of the table.

}  // namespace fairlead::node
