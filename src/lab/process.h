// A process of a container: where it runs, as whom, with what.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/descriptor.h"
#include "base/result.h"
#include "lab/capabilities.h"
#include "lab/namespace.h"
#include "lab/root.h"
#include "net/passed.h"

namespace fairlead::lab {

struct Launch {
  const NetworkNamespace* network = nullptr;
  std::optional<Root> root;  // a root of its own, and processes: it is pid 1; empty: the lab's
  pid_t join = 0;            // instead: the mounts, host name and processes of this process
  std::string host_name;     // with a root of its own
  std::vector<std::string> words;
  std::string program;  // what is run under the name words.front(); empty: what that word finds
  std::vector<std::string> environment;  // "NAME=value"
  std::string working_directory = "/";
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  Capabilities capabilities = all_capabilities;  // what it may have at most, and has as user 0
  std::array<int, 3> streams{-1, -1, -1};        // -1: /dev/null
  std::span<const net::Passed> passed;  // as net/passed.h says; good until launch() returns
  bool terminal = false;                // the first stream is to be its controlling terminal
};

struct Launched {
  pid_t pid = 0;      // leads a session and a process group of its own
  Descriptor report;  // see trouble_of
};

[[nodiscard]] Result<Launched> launch(const Launch& how);
// Of a thread alone in its process: for the moment of a fork it is set that children get a process
// namespace of their own, or another one's.
// Returns at once; what fails on the way to the program ends the child with status 127 when the
// program is not there, else with 126.

[[nodiscard]] std::string trouble_of(const Launched& launched);
// Once: why the program was never reached, as far as that has been said. Complete when the process
// is over.

void kill_group(pid_t leader, int signal);

[[nodiscard]] bool heeds(pid_t process, int signal);
// Whether it catches the signal, or holds it back to fetch it: pid 1 of a namespace gets no others
// from without, but for SIGKILL and SIGSTOP. False when it is over.

[[nodiscard]] std::string path_of_environment(const std::vector<std::string>& environment);
// The value of PATH, or the usual one.

}  // namespace fairlead::lab
