// What was read from the DNS sockets and what was answered, in memory that outlives the program: so
// that the next one can say what was lost when one was killed.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/descriptor.h"
#include "base/result.h"

namespace fairlead::node {

class Tally {
 public:
  [[nodiscard]] static Result<Descriptor> make();
  // Memory to be held, or passed on.
  [[nodiscard]] static Result<Tally> over(const Descriptor& memory);
  // What an earlier program took and did not answer counts as lost from here on.

  Tally(Tally&& other) noexcept;
  Tally& operator=(Tally&&) = delete;
  ~Tally();

  void taken(std::uint64_t queries) { counts_->taken += queries; }
  void answered(std::uint64_t queries) { counts_->answered += queries; }
  [[nodiscard]] std::uint64_t lost() const { return counts_->lost; }
  // In the hands of programs that ended, over all of them.

 private:
  struct Counts {
    std::atomic<std::uint64_t> taken;
    std::atomic<std::uint64_t> answered;
    std::atomic<std::uint64_t> lost;
  };
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
  explicit Tally(Counts* counts) : counts_(counts) {}
  Counts* counts_;
};

}  // namespace fairlead::node
