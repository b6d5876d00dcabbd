// Which of root's powers a container has (capabilities(7)).
#pragma once

#include <cstdint>

#include "base/result.h"
#include "kube/objects.h"

namespace fairlead::lab {

using Capabilities = std::uint64_t;  // a bit each, by the kernel's numbers
inline constexpr Capabilities all_capabilities = ~Capabilities{0};

[[nodiscard]] Capabilities usual_capabilities();
// What container runtimes give, as containerd does: no CAP_SYS_ADMIN, CAP_NET_ADMIN,
// CAP_SYS_PTRACE.

[[nodiscard]] Result<Capabilities> capabilities_of(const kube::SecurityContext& security);
// Those, less `drop`, and `add`, as in Kubernetes: with or without CAP_ before the name, ALL for
// all. All when it is privileged. Fault: a name that is no capability's.

[[nodiscard]] Result<> keep_capabilities(Capabilities kept);
// Of the calling process and whatever it becomes: no program can bring others back. Before it
// becomes another user. What this kernel does not know is left out.

}  // namespace fairlead::lab
