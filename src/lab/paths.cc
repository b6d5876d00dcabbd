#include "lab/paths.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/json_text.h"
#include "base/near.h"

namespace fairlead::lab {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* root_base = "/run/fairlead";
constexpr const char* going = ".going-";  // before a lab's name: its directory is being removed

std::string temporary_base(uid_t uid) {
  return fmt::format("/tmp/fairlead-{}", uid);
}

bool is_private(const std::string& path, uid_t uid) {
  struct stat found{};
  return ::lstat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode) && found.st_uid == uid &&
         (found.st_mode & 022) == 0;
}

Result<> make_private(const std::string& path, uid_t uid) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return from_errno(errno, fmt::format("the state directory {} cannot be made", path));
  }
  if (!is_private(path, uid)) {
    return Fault{.kind = FaultKind::denied,
                 .message = fmt::format("{} must be a directory of this user that nobody else can "
                                        "write to, and it is not: remove it",
                                        path)};
  }
  if (::access(path.c_str(), W_OK | X_OK) == 0) return done();
  return from_errno(errno, fmt::format("the state directory {} cannot be written to", path));
}

// Until it is closed nobody else makes or removes a lab's directory in there: one that is being
// made is not taken for one that is left over.
Descriptor hold(const std::string& base) {
  Descriptor directory(::open(base.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  while (directory.valid() && ::flock(directory.number(), LOCK_EX) != 0 && errno == EINTR) continue;
  return directory;
}

bool is_locked(const std::string& path) {
  const Descriptor lock(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  return lock.valid() && ::flock(lock.number(), LOCK_EX | LOCK_NB) != 0;
}

json to_value(const MachineRecord& machine) {
  return {{"name", machine.name}, {"addresses", machine.addresses}};
}

MachineRecord machine_from(const json& value) {
  MachineRecord machine;
  machine.name = value.value("name", "");
  for (const json& address : value.value("addresses", json::array())) {
    if (address.is_string()) machine.addresses.push_back(address.get<std::string>());
  }
  return machine;
}

std::vector<MachineRecord> machines_from(const json& value, const char* name) {
  std::vector<MachineRecord> machines;
  for (const json& machine : value.value(name, json::array())) {
    machines.push_back(machine_from(machine));
  }
  return machines;
}

}  // namespace

User this_user() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  return {.uid = ::geteuid(), .runtime_directory = runtime == nullptr ? "" : runtime};
}

Result<Base> base_directory(const User& user) {
  if (user.uid == 0) {
    Result<> made = make_private(root_base, user.uid);
    return made ? Result<Base>(Base{.path = root_base}) : std::move(made).fault();
  }
  Base base{.path = temporary_base(user.uid)};
  if (!user.runtime_directory.empty()) {
    const std::string wished = user.runtime_directory + "/fairlead";
    const Result<> made = user.runtime_directory.front() == '/'
                              ? make_private(wished, user.uid)
                              : invalid("XDG_RUNTIME_DIR is no absolute path");
    if (made) return Base{.path = wished};
    base.instead_of =
        fmt::format("{}: the lab's files are in {} instead", made.fault().describe(), base.path);
  }
  if (Result<> made = make_private(base.path, user.uid); !made) return std::move(made).fault();
  return base;
}

std::vector<std::string> base_directories(const User& user) {
  if (user.uid == 0) return {root_base};
  std::vector<std::string> bases;
  for (const std::string& path :
       {user.runtime_directory + "/fairlead", fmt::format("/run/user/{}/fairlead", user.uid),
        temporary_base(user.uid)}) {
    const bool known = std::find(bases.begin(), bases.end(), path) != bases.end();
    if (!known && is_private(path, user.uid)) bases.push_back(path);
  }
  return bases;
}

Result<> check_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  const bool sound = !name.empty() && name.size() <= 40 && name.front() != '-' &&
                     name.back() != '-' && std::all_of(name.begin(), name.end(), allowed);
  if (sound) return done();
  return invalid(
      fmt::format("'{}' is no name for a lab: small letters, digits and dashes inside, "
                  "at most 40",
                  name));
}

std::string Paths::node_socket(std::string_view node) const {
  return fmt::format("{}/nodes/{}.sock", directory(), node);
}

std::string Paths::log_of(std::string_view name_space, std::string_view pod,
                          std::string_view container) const {
  return fmt::format("{}/{}_{}_{}.log", logs(), name_space, pod, container);
}

std::string Paths::log_of(std::string_view program) const {
  return fmt::format("{}/{}.log", logs(), program);
}

std::string Paths::command(std::string_view verb) const {
  const std::string named = name == usual_name ? "" : " --name " + name;
  return fmt::format("fairlead lab {}{}", verb, named);
}

std::string to_json(const Record& record) {
  json value = {{"name", record.name},
                {"rootless", record.rootless},
                {"guardian", record.guardian},
                {"init", record.init},
                {"started", record.started},
                {"manifests", record.manifests},
                {"control", to_value(record.control)},
                {"nodes", json::array()},
                {"vms", json::array()}};
  for (const MachineRecord& node : record.nodes) value["nodes"].push_back(to_value(node));
  for (const MachineRecord& vm : record.vms) value["vms"].push_back(to_value(vm));
  return json_text(value, 1) + "\n";
}

Result<Record> read_record(std::string_view text) {
  const json value = parse_json(text);
  if (!value.is_object()) return invalid("lab.json holds no JSON object");
  try {
    Record record;
    record.name = value.value("name", "");
    record.rootless = value.value("rootless", false);
    record.guardian = value.value("guardian", 0);
    record.init = value.value("init", 0);
    record.started = value.value("started", "");
    record.manifests = value.value("manifests", std::vector<std::string>{});
    record.control = machine_from(value.value("control", json::object()));
    record.nodes = machines_from(value, "nodes");
    record.vms = machines_from(value, "vms");
    return record;
  } catch (const json::exception& error) {
    return invalid(fmt::format("lab.json is not what this program writes: {}", error.what()));
  }
}

namespace {

// In one step, so that whoever looks sees a lab or none, never half of one. Where it is now.
std::string move_away(const Paths& paths) {
  std::error_code ignored;
  const std::string gone = fmt::format("{}/{}{}", paths.base, going, paths.name);
  fs::remove_all(gone, ignored);
  const bool moved = ::rename(paths.directory().c_str(), gone.c_str()) == 0;
  return moved ? gone : paths.directory();
}

// False: it is a living lab's.
bool remove_if_left_over(const Paths& paths) {
  const Descriptor held = hold(paths.base);
  if (is_locked(paths.lock())) return false;
  std::error_code ignored;
  fs::remove_all(move_away(paths), ignored);
  return true;
}

Result<> add_living(std::vector<Found>& labs, const std::string& base) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(base, error)) {
    Found found{.paths = {.base = base, .name = entry.path().filename().string()}};
    if (found.paths.name.starts_with(going)) {
      std::error_code ignored;  // it may be gone by now
      fs::remove_all(entry.path(), ignored);
    }
    if (!check_name(found.paths.name) || !entry.is_directory(error)) continue;
    if (remove_if_left_over(found.paths)) continue;
    found.record.name = found.paths.name;
    if (const Result<std::string> text = read_file(found.paths.record())) {
      if (Result<Record> record = read_record(*text)) found.record = std::move(*record);
    }
    labs.push_back(std::move(found));
  }
  const bool absent = error == std::errc::no_such_file_or_directory;
  return !error || absent ? done() : from_errno(error.value(), fmt::format("reading {}", base));
}

}  // namespace

Result<std::vector<Found>> living_labs(const std::vector<std::string>& bases) {
  std::vector<Found> labs;
  for (const std::string& base : bases) {
    if (Result<> added = add_living(labs, base); !added) return std::move(added).fault();
  }
  std::sort(labs.begin(), labs.end(),
            [](const Found& a, const Found& b) { return a.paths.name < b.paths.name; });
  return labs;
}

Result<Found> find_lab(const std::string& name, const std::vector<std::string>& bases) {
  Result<std::vector<Found>> labs = living_labs(bases);
  if (!labs) return std::move(labs).fault();
  std::vector<std::string> names;
  for (Found& lab : *labs) {
    if (lab.paths.name == name || (name.empty() && labs->size() == 1)) return std::move(lab);
    names.push_back(lab.paths.name);
  }
  if (!name.empty()) {
    return missing(fmt::format("no lab is called '{}'{}", name, did_you_mean(name, names)));
  }
  if (names.empty()) return missing("no lab is up: `fairlead lab up FILE…` brings one up");
  return missing(
      fmt::format("several labs are up, say which with --name: {}", fmt::join(names, ", ")));
}

Fault is_up_already(const std::string& name) {
  return Fault{.kind = FaultKind::exhausted,
               .message = fmt::format("a lab called '{0}' is up already: `fairlead lab down {0}` "
                                      "ends it, --name gives this one another name",
                                      name)};
}

Result<Descriptor> claim(const Paths& paths) {
  const Descriptor held = hold(paths.base);
  if (::mkdir(paths.directory().c_str(), 0700) != 0 && errno != EEXIST) {
    return from_errno(errno, fmt::format("making {}", paths.directory()));
  }
  Descriptor lock(::open(paths.lock().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.valid()) return from_errno(errno, fmt::format("opening {}", paths.lock()));
  if (::flock(lock.number(), LOCK_EX | LOCK_NB) != 0) return is_up_already(paths.name);
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(paths.directory(), error)) {
    if (entry.path() != paths.lock()) fs::remove_all(entry.path(), error);
  }
  for (const std::string& folder : {paths.logs(), paths.directory() + "/nodes"}) {
    if (::mkdir(folder.c_str(), 0700) != 0) return from_errno(errno, "making " + folder);
  }
  return lock;
}

void remove_directory(const Paths& paths) {
  const Descriptor held = hold(paths.base);
  std::error_code ignored;
  fs::remove_all(move_away(paths), ignored);
}

namespace {

Result<> write_all(const std::string& path, std::string_view text) {
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file.valid()) return from_errno(errno, "writing " + path);
  while (!text.empty()) {
    const ssize_t written = ::write(file.number(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return from_errno(errno, "writing " + path);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return done();
}

}  // namespace

Result<> write_file(const std::string& path, std::string_view text) {
  const std::string temporary = path + ".new";
  Result<> written = write_all(temporary, text);
  if (written && ::rename(temporary.c_str(), path.c_str()) != 0) {
    written = from_errno(errno, "writing " + path);
  }
  if (!written) ::unlink(temporary.c_str());
  return written;
}

Result<std::string> read_file(const std::string& path) {
  const std::ifstream file(path, std::ios::binary);
  if (!file) return from_errno(errno, "reading " + path);
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

}  // namespace fairlead::lab
