#include "lab/namespaces.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <sstream>

#include "base/descriptor.h"
#include "lab/namespace.h"
#include "lab/paths.h"

namespace fairlead::lab {
namespace {

namespace fs = std::filesystem;

constexpr int plain_flags = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC;
constexpr std::uint32_t users_wanted = 65535;  // besides root: as many as a system has

// ── why namespaces are denied ───────────────────────────────────────────────────────────────────

std::string system_value(const char* name) {
  Result<std::string> text = read_file(std::string("/proc/sys/") + name);
  if (!text) return "";
  while (!text->empty() && text->back() == '\n') text->pop_back();
  return *text;
}

std::string cause_of_denial(int error) {
  if (system_value("kernel/apparmor_restrict_unprivileged_userns") == "1") {
    return "AppArmor takes the rights away from user namespaces here "
           "(kernel.apparmor_restrict_unprivileged_userns is 1, as on Ubuntu 24.04): run this with "
           "sudo, or allow it with `sudo sysctl -w "
           "kernel.apparmor_restrict_unprivileged_userns=0`";
  }
  if (system_value("kernel/unprivileged_userns_clone") == "0") {
    return "this system keeps user namespaces for root (kernel.unprivileged_userns_clone is 0): "
           "run this with sudo, or allow it with `sudo sysctl -w "
           "kernel.unprivileged_userns_clone=1`";
  }
  if (error == ENOSPC || system_value("user/max_user_namespaces") == "0") {
    return "no more user namespaces may be made here (user.max_user_namespaces): run this with "
           "sudo, or raise it with `sudo sysctl -w user.max_user_namespaces=10000`";
  }
  return "a container's seccomp profile or a security module may be the cause: on the host itself "
         "it works, in a container with --privileged";
}

Fault denial(int error, bool rootless) {
  std::string what = fmt::format("namespaces are denied here ({}); ", std::strerror(error));
  what += rootless ? cause_of_denial(error)
                   : "this root has no CAP_SYS_ADMIN, as in an unprivileged container: run it with "
                     "--privileged, or on the host itself";
  return {.kind = FaultKind::denied, .message = std::move(what)};
}

// ── users ───────────────────────────────────────────────────────────────────────────────────────

std::string user_name() {
  const passwd* user = ::getpwuid(::getuid());
  return user != nullptr ? user->pw_name : std::to_string(::getuid());
}

Result<SubordinateRange> range_in(const char* file) {
  const std::string user = user_name();
  const Result<std::string> text = read_file(file);
  const SubordinateRange range = text ? find_range(*text, user, ::getuid()) : SubordinateRange{};
  if (range.count > 1337) return range;  // the proxies' user must exist
  return missing(fmt::format(
      "the user {0} has no range of further user ids in {1}, which a lab without root needs: `sudo "
      "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {0}` gives one",
      user, file));
}

Result<> write_map(const char* program, pid_t target, std::uint32_t own,
                   const SubordinateRange& range) {
  const std::uint32_t count = std::min(range.count, users_wanted);
  std::vector<std::string> words{program,
                                 std::to_string(target),
                                 "0",
                                 std::to_string(own),
                                 "1",
                                 "1",
                                 std::to_string(range.first),
                                 std::to_string(count)};
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::execvp(program, arguments.data());
    ::_exit(errno == ENOENT ? 127 : 126);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return from_errno(errno, program);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return done();
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
    return missing(
        fmt::format("a lab without root needs the program {}, of the package uidmap: "
                    "`sudo apt-get install uidmap`, or run this with sudo",
                    program));
  }
  return Fault{
      .kind = FaultKind::denied,
      .message = fmt::format("`{}` failed: its message stands above", fmt::join(words, " "))};
}

Result<> map_users(pid_t target) {
  const Result<SubordinateRange> users = range_in("/etc/subuid");
  if (!users) return users.fault();
  const Result<SubordinateRange> groups = range_in("/etc/subgid");
  if (!groups) return groups.fault();
  if (Result<> mapped = write_map("newuidmap", target, ::getuid(), *users); !mapped) return mapped;
  return write_map("newgidmap", target, ::getgid(), *groups);
}

// ── the first process ───────────────────────────────────────────────────────────────────────────

struct Entrance {
  int go = -1;      // a byte comes when the users are mapped
  int failed = -1;  // takes the errno of what failed
  bool rootless = false;
  std::span<const int> kept;
  char* const* arguments = nullptr;
};

[[noreturn]] void fail(const Entrance& entrance) {
  const int error = errno;
  static_cast<void>(!::write(entrance.failed, &error, sizeof error));
  ::_exit(1);
}

int enter(void* argument) {
  const auto& entrance = *static_cast<const Entrance*>(argument);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  char byte = 0;
  if (::read(entrance.go, &byte, 1) != 1) ::_exit(1);
  if (entrance.rootless) {
    if (::setgroups(0, nullptr) != 0 || ::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0) {
      fail(entrance);
    }
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a change of user forgets it
  }
  for (const int descriptor : entrance.kept) ::fcntl(descriptor, F_SETFD, 0);
  ::execv("/proc/self/exe", entrance.arguments);
  fail(entrance);
}

// ── mounts ──────────────────────────────────────────────────────────────────────────────────────

Result<> mount_at(const char* source, const std::string& target, const char* type,
                  unsigned long flags, const char* data = nullptr) {
  if (::mount(source, target.c_str(), type, flags, data) == 0) return done();
  return from_errno(errno, fmt::format("mounting {} at {}", source, target));
}

Result<> bind_entry(const fs::directory_entry& entry, const std::string& target) {
  std::error_code error;
  if (entry.is_symlink(error)) {
    fs::create_symlink(fs::read_symlink(entry.path(), error), target, error);
    return done();
  }
  if (entry.is_directory(error)) {
    if (::mkdir(target.c_str(), 0755) != 0) return from_errno(errno, "making " + target);
  } else {
    const Descriptor file(::open(target.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    if (!file.valid()) return from_errno(errno, "making " + target);
  }
  return mount_at(entry.path().c_str(), target, nullptr, MS_BIND | MS_REC);
}

Result<> keep_program(const std::string& source, const std::string& target) {
  const Descriptor file(::open(target.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
  if (!file.valid()) return from_errno(errno, "making " + target);
  return mount_at(source.c_str(), target, nullptr, MS_BIND);
}

// Their folder can be bound further, also when a file in it has lost its path: the file itself
// could not.
Result<> keep_programs(const std::string& folder, const std::string& envoy) {
  std::error_code error;
  // By its path: the link itself leads into the mount namespace that this process came from.
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) return from_errno(error.value(), "finding this program's own file");
  if (Result<> kept = keep_program(self, folder + "/fairlead"); !kept) return kept;
  return envoy.empty() ? done() : keep_program(envoy, folder + "/envoy");
}

}  // namespace

SubordinateRange find_range(const std::string& text, const std::string& user, std::uint32_t uid) {
  SubordinateRange best;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string owner = line.substr(0, first);
    if (owner != user && owner != std::to_string(uid)) continue;
    SubordinateRange range;
    std::istringstream numbers(line.substr(first + 1, second - first - 1) + ' ' +
                               line.substr(second + 1));
    if (numbers >> range.first >> range.count && range.count > best.count) best = range;
  }
  return best;
}

Result<Namespaces> start_inside(const std::vector<std::string>& words, std::span<const int> kept) {
  std::vector<std::string> copies = words;
  std::vector<char*> arguments;
  arguments.reserve(copies.size() + 1);
  for (std::string& word : copies) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  int go[2];
  int failed[2];
  if (::pipe2(go, O_CLOEXEC) != 0 || ::pipe2(failed, O_CLOEXEC) != 0) {
    return from_errno(errno, "making a pipe");
  }
  const Descriptor go_read(go[0]);
  Descriptor go_write(go[1]);
  const Descriptor failed_read(failed[0]);
  Descriptor failed_write(failed[1]);

  Entrance entrance{.go = go[0],
                    .failed = failed[1],
                    .rootless = ::geteuid() != 0,
                    .kept = kept,
                    .arguments = arguments.data()};
  const int flags = plain_flags | (entrance.rootless ? CLONE_NEWUSER : 0) | SIGCHLD;
  std::vector<char> stack(256 * 1024);
  const pid_t init = ::clone(enter, stack.data() + stack.size(), flags, &entrance);
  if (init < 0) return denial(errno, entrance.rootless);

  Result<> mapped = entrance.rootless ? map_users(init) : done();
  if (mapped) static_cast<void>(!::write(go_write.number(), "g", 1));
  go_write.close();
  failed_write.close();
  int error = 0;
  const bool entered = mapped && ::read(failed_read.number(), &error, sizeof error) == 0;
  if (entered) return Namespaces{.init = init, .rootless = entrance.rootless};
  ::kill(init, SIGKILL);
  ::waitpid(init, nullptr, 0);
  if (!mapped) return std::move(mapped).fault();
  return denial(error, entrance.rootless);
}

Result<> open_up(const std::string& folder, std::span<const std::string> left_out) {
  const Descriptor place(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!place.valid()) return from_errno(errno, "opening " + folder);
  std::error_code error;
  std::vector<fs::directory_entry> entries;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    if (std::find(left_out.begin(), left_out.end(), name) == left_out.end()) {
      entries.push_back(entry);
    }
  }
  if (error) return from_errno(error.value(), "reading " + folder);
  std::sort(entries.begin(), entries.end());
  // Once the memory is mounted, the old folder is reached through the descriptor alone.
  if (Result<> made = mount_at("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755"); !made) {
    return made;
  }
  const std::string old = fmt::format("/proc/self/fd/{}", place.number());
  for (const fs::directory_entry& entry : entries) {
    const std::string name = entry.path().filename();
    const fs::directory_entry source(fs::path(old) / name, error);
    // What cannot be bound (a dangling mount, a file of nobody's) is left out, as it would be of
    // no use inside either.
    static_cast<void>(bind_entry(source, folder + "/" + name).ok());
  }
  return done();
}

Result<> settle_inside(const std::string& host_name, const std::string& state_base,
                       const std::string& work_folder, const std::string& envoy) {
  ::sethostname(host_name.c_str(), host_name.size());
  if (Result<> made = mount_at("none", "/", nullptr, MS_REC | MS_PRIVATE); !made) return made;
  if (Result<> made = mount_at("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC); !made) {
    return std::move(made).fault().during("giving the lab a /proc of its own");
  }
  const std::vector<std::string> left_out{"netns", "xtables.lock"};
  if (Result<> made = open_up("/run", left_out); !made) return made;
  if (::access(state_base.c_str(), W_OK) != 0) return from_errno(errno, "keeping " + state_base);
  if (::mkdir("/run/netns", 0755) != 0) return from_errno(errno, "making /run/netns");
  std::error_code error;
  for (const char* folder : {"/root", "/bin"}) {
    fs::create_directories(work_folder + folder, error);
    if (error) return from_errno(error.value(), "making " + work_folder);
  }
  if (Result<> kept = keep_programs(work_folder + "/bin", envoy); !kept) return kept;
  return prepare_here(true);
}

}  // namespace fairlead::lab
