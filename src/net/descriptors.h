// The process's descriptors: some are kept for what must go on when clients would take them all,
// for connections upstream, for operators' ports, files and logs. When the reserve is reached,
// accepting pauses; clients wait in the kernel's queue until descriptors are free again.
#pragma once

#include <cstdint>

namespace fairlead::net {

[[nodiscard]] int descriptor_reserve(int limit);
// Of a process that may open `limit`: a quarter, at least 16 and at most 4,096 of them, and never
// more than half.

struct DescriptorState {
  bool paused = false;       // accepting waits now
  std::uint64_t pauses = 0;  // times that it began to wait, since the process began
};
[[nodiscard]] DescriptorState descriptor_state();
// Of the whole process; from any thread.

// For listeners. From any thread.
[[nodiscard]] bool may_accept();
// False while the reserve is touched. Looks again whether it still is.
void descriptor_accepted(int descriptor);
// The kernel gives the lowest number that is free: one from the reserve says that all below are
// taken.

}  // namespace fairlead::net
