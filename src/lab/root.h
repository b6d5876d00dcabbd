// What a container sees as its files: a folder in memory in which the host's top-level entries are
// bound, read-only; /tmp, /var, /run and the mount paths are its own, and so are /etc/hosts and
// /etc/resolv.conf. Its /proc shows its own processes, and of the kernel's settings it changes
// none, as container runtimes have it. No sandbox: a program can still read the host's files.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace fairlead::lab {

inline constexpr const char* program_folder = "/run/fairlead/bin";
// In every container: holds this very program under the name fairlead, and the real Envoy if there
// is one, for whoever runs as a user that could not reach them where they are.

struct Bind {
  std::string source;  // on the lab's side
  std::string target;  // in the container; folders on the way are made
  bool read_only = false;
};

struct Root {
  std::string scratch;   // an empty folder of the lab to build in; may be shared
  std::string programs;  // the folder where the lab keeps them
  std::vector<Bind> binds;
  std::string working_directory = "/";  // made when it is not there
  bool privileged = false;              // with all of /proc and /sys, to write to
};

[[nodiscard]] Result<> change_root(const Root& root);
// For a process between fork and exec, in a mount and a process namespace of its own: makes `root`
// its file system. Afterwards its working directory is /.

[[nodiscard]] Result<std::string> find_program(const std::string& word, const std::string& path,
                                               const std::string& working_directory);
// Where `word` would be found by execvp in this process's file system: itself when it holds a
// slash, else the first executable in the folders of `path`. Fault: missing.

}  // namespace fairlead::lab
