// Descriptors that outlive the program which uses them: a parent holds them and passes them on as
// systemd does (sd_listen_fds(3)): they begin at 3, and LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES
// tell how many, to whom, and their names.
#pragma once

#include <sys/types.h>

#include <span>
#include <string>
#include <vector>

#include "base/descriptor.h"
#include "base/result.h"

namespace fairlead::net {

inline constexpr int first_passed = 3;
inline constexpr std::size_t most_passed = 16;

struct Passed {
  std::string name;  // without ':'
  Descriptor descriptor;
};

[[nodiscard]] std::vector<std::string> passing_variables(const std::vector<std::string>& names,
                                                         pid_t to);
// "LISTEN_FDS=2", "LISTEN_PID=…", "LISTEN_FDNAMES=dns-udp:dns-tcp".

[[nodiscard]] Result<> put_in_place(std::span<const int> descriptors);
// Between fork and exec: they become 3, 4, … and stay open over exec. What had those numbers is
// closed. At most `most_passed`.

// The three variables as they stand in the environment; null: not set.
struct PassingVariables {
  const char* count = nullptr;
  const char* pid = nullptr;
  const char* names = nullptr;
};

[[nodiscard]] Result<std::vector<std::string>> passed_names(const PassingVariables& variables,
                                                            pid_t self);
// Pure. Empty when nothing was passed, or to another process. Without names each is called
// "unknown". Fault: invalid, when the variables are no numbers or do not fit each other.

[[nodiscard]] Result<std::vector<Passed>> take_passed();
// What was passed to this process, once: the variables are unset, and no child inherits them.

}  // namespace fairlead::net
