// The side of a person's terminal: runs a command in a pod with these streams, follows a log, opens
// a port of this machine to a service of a lab.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "lab/paths.h"

namespace fairlead::lab {

struct Execution {
  std::string target;
  std::string container;
  std::vector<std::string> words;
  bool interactive = false;  // with this process's standard input
  bool terminal = false;     // with a terminal of its own
  bool privileged = false;   // as root with all capabilities
  bool bare = false;         // in the pod's network alone, beside its containers, with all rights
};

[[nodiscard]] Result<int> execute(const Paths& paths, const Execution& what);
// The exit status of what was run; 128 and its number when a signal ended it.

struct LogRequest {
  std::string path;
  std::string container;  // whose it is, when it is a pod's
  std::string pod;        // "shop/pod/web-1"; empty: a program of the lab itself
  bool follow = false;
  int last_lines = -1;  // below 0: all
};
[[nodiscard]] Result<> print_log(const Paths& paths, const LogRequest& request);
// Following ends with the lab, or when the container will write no more.

[[nodiscard]] Result<> forward(const Paths& paths, const std::string& service, std::uint16_t port,
                               std::uint16_t local_port);
// Listens on 127.0.0.1 (local_port 0: a free one, which is printed) until it is interrupted. Fault:
// closed when the lab ends before.

[[nodiscard]] bool is_alive(const Paths& paths);

}  // namespace fairlead::lab
