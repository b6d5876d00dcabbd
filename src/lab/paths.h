// Where labs keep their files, and which labs there are. One directory a lab:
//
//   BASE/NAME/lock           held as long as the lab lives: a directory whose lock is free is stale
//            lab.json        who and where: see Record
//            objects.json    the cluster as ordinary Kubernetes JSON (kind: List)
//            command.sock    what `fairlead lab exec` and the others speak to: see ipc.h
//            control.sock    the control plane's status
//            nodes/NODE.sock the status of a node's agent
//            logs/NAMESPACE_POD_CONTAINER.log, logs/lab.log, logs/control.log, logs/node-NODE.log
//
// BASE is /run/fairlead for root, else $XDG_RUNTIME_DIR/fairlead, else, or when that cannot be
// used, /tmp/fairlead-UID. Labs are looked for in all of them.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/descriptor.h"
#include "base/result.h"

namespace fairlead::lab {

// What decides where a user's labs are.
struct User {
  uid_t uid = 0;
  std::string runtime_directory;  // XDG_RUNTIME_DIR; may be empty
  bool operator==(const User&) const = default;
};
[[nodiscard]] User this_user();

struct Base {
  std::string path;
  std::string instead_of;  // why it is not where it should be; a sentence, mostly empty
};
[[nodiscard]] Result<Base> base_directory(const User& user = this_user());
// For a new lab. Makes it when needed, for this user alone. Fault: denied when it belongs to
// somebody else.

[[nodiscard]] std::vector<std::string> base_directories(const User& user = this_user());
// Where this user's labs may be, whatever XDG_RUNTIME_DIR was when they were brought up: those
// directories that are there and nobody else's.

[[nodiscard]] Result<> check_name(std::string_view name);
// A lab's name becomes a folder and a host name: letters, digits and dashes, at most 40.

// The paths of one lab.
struct Paths {
  std::string base;
  std::string name;

  [[nodiscard]] std::string directory() const { return base + "/" + name; }
  [[nodiscard]] std::string lock() const { return directory() + "/lock"; }
  [[nodiscard]] std::string record() const { return directory() + "/lab.json"; }
  [[nodiscard]] std::string objects() const { return directory() + "/objects.json"; }
  [[nodiscard]] std::string command_socket() const { return directory() + "/command.sock"; }
  [[nodiscard]] std::string control_socket() const { return directory() + "/control.sock"; }
  [[nodiscard]] std::string node_socket(std::string_view node) const;
  [[nodiscard]] std::string logs() const { return directory() + "/logs"; }
  [[nodiscard]] std::string log_of(std::string_view name_space, std::string_view pod,
                                   std::string_view container) const;
  [[nodiscard]] std::string log_of(std::string_view program) const;
  [[nodiscard]] std::string command(std::string_view verb) const;
  // What a person may type: "fairlead lab logs", with --name when it is not the usual one.
};

inline constexpr const char* usual_name = "lab";

// One machine of the lab that is no pod: a node, a VM, or control's own.
struct MachineRecord {
  std::string name;
  std::vector<std::string> addresses;
  bool operator==(const MachineRecord&) const = default;
};

// What lab.json says.
struct Record {
  std::string name;
  bool rootless = false;
  pid_t guardian = 0;  // the process outside; it ends when the lab does
  pid_t init = 0;      // pid 1 inside, as the host numbers it: nsenter -t INIT
  std::vector<MachineRecord> nodes;
  std::vector<MachineRecord> vms;
  MachineRecord control;
  std::string started;  // RFC 3339
  std::vector<std::string> manifests;
  bool operator==(const Record&) const = default;
};

[[nodiscard]] std::string to_json(const Record& record);
[[nodiscard]] Result<Record> read_record(std::string_view json);

struct Found {
  Paths paths;
  Record record;  // as far as it could be read
};

[[nodiscard]] Result<std::vector<Found>> living_labs(
    const std::vector<std::string>& bases = base_directories());
// Sorted by name. Directories of labs that are no more are removed on the way.

[[nodiscard]] Result<Found> find_lab(const std::string& name,
                                     const std::vector<std::string>& bases = base_directories());
// The living lab of that name; an empty name means the only one there is. Fault: missing, naming
// those that there are.

[[nodiscard]] Result<Descriptor> claim(const Paths& paths);
// Makes the directory and holds its lock; what a dead lab left there is removed first. Fault:
// exhausted when a living lab has the name.

[[nodiscard]] Fault is_up_already(const std::string& name);

void remove_directory(const Paths& paths);

[[nodiscard]] Result<> write_file(const std::string& path, std::string_view text);
// By a temporary name and a rename, so that no reader sees half of it; of which nothing stays when
// that fails.
[[nodiscard]] Result<std::string> read_file(const std::string& path);

}  // namespace fairlead::lab
