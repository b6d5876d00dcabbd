#include "node/tally.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace fairlead::node {

Result<Descriptor> Tally::make() {
  Descriptor memory(::memfd_create("dns-tally", MFD_CLOEXEC));
  if (!memory.valid() || ::ftruncate(memory.number(), sizeof(Counts)) != 0) {
    return from_errno(errno, "making the memory that counts queries");
  }
  return memory;
}

Result<Tally> Tally::over(const Descriptor& memory) {
  void* at =
      ::mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED, memory.number(), 0);
  if (at == MAP_FAILED) return from_errno(errno, "mapping the memory that counts queries");
  // Zeros, or what an earlier program left: both are valid counts.
  auto* counts = static_cast<Counts*>(at);
  counts->lost += counts->taken - counts->answered;
  counts->answered.store(counts->taken);
  return Tally(counts);
}

Tally::Tally(Tally&& other) noexcept : counts_(std::exchange(other.counts_, nullptr)) {}

Tally::~Tally() {
  if (counts_ != nullptr) ::munmap(counts_, sizeof(Counts));
}

}  // namespace fairlead::node
