// A process of a container: where it runs, as whom, with what.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/descriptor.h"
#include "base/result.h"
#include "lab/namespace.h"
#include "lab/root.h"

namespace fairlead::lab {

struct Launch {
  const NetworkNamespace* network = nullptr;
  std::optional<Root> root;  // a root of its own; empty: the lab's
  pid_t join = 0;            // instead: the mounts and host name of this process
  std::string host_name;     // with a root of its own
  std::vector<std::string> words;
  std::string program;  // what is run under the name words.front(); empty: what that word finds
  std::vector<std::string> environment;  // "NAME=value"
  std::string working_directory = "/";
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::array<int, 3> streams{-1, -1, -1};  // -1: /dev/null
  bool terminal = false;                   // the first stream is to be its controlling terminal
};

struct Launched {
  pid_t pid = 0;      // leads a session and a process group of its own
  Descriptor report;  // see report_of
};

[[nodiscard]] Result<Launched> launch(const Launch& how);
// Returns at once; what fails on the way to the program ends the child with status 127 when the
// program is not there, else with 126.

// What a launched process said of itself before it became its program.
struct Report {
  Descriptor mounts;    // its own mount namespace; none, or not yet: not valid
  std::string trouble;  // why the program was never reached
};

[[nodiscard]] Report report_of(const Launched& launched);
// Once: what is there so far. Complete when the process is over.

void kill_group(pid_t leader, int signal);

void kill_all_in(const Descriptor& mounts);
// SIGKILL for every process of that mount namespace, whatever group it went to. Never of this
// process's own. The descriptor keeps the namespace: its number alone is given to the next one as
// soon as the last process has left.

[[nodiscard]] std::string path_of_environment(const std::vector<std::string>& environment);
// The value of PATH, or the usual one.

}  // namespace fairlead::lab
