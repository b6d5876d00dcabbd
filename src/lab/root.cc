#include "lab/root.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <sstream>

#include "base/descriptor.h"
#include "lab/namespaces.h"

namespace fairlead::lab {
namespace {

namespace fs = std::filesystem;

// Folders of the container's own, in memory.
constexpr std::array<std::string_view, 4> own_folders{"tmp", "var", "run", "mnt"};

Result<> bind_mount(const std::string& source, const std::string& target, unsigned long flags) {
  if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND | flags, nullptr) == 0) {
    return done();
  }
  return from_errno(errno, fmt::format("binding {} to {}", source, target));
}

Result<> make_read_only(const std::string& target, bool deep) {
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  const unsigned flags = deep ? AT_RECURSIVE : 0;
  if (::syscall(SYS_mount_setattr, AT_FDCWD, target.c_str(), flags, &attributes,
                sizeof attributes) == 0) {
    return done();
  }
  return from_errno(errno, fmt::format("making {} read-only", target));
}

Result<> make_folder(const std::string& path, mode_t mode = 0755) {
  if (::mkdir(path.c_str(), mode) == 0) {
    ::chmod(path.c_str(), mode);  // whatever the umask
    return done();
  }
  return from_errno(errno, "making " + path);
}

Result<> make_file(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  return file.valid() ? done() : from_errno(errno, "making " + path);
}

bool exists(const std::string& path) {
  struct stat found{};
  return ::lstat(path.c_str(), &found) == 0;
}

bool is_folder(const std::string& path) {
  struct stat found{};
  return ::stat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode);
}

bool is_read_only(const std::string& path) {
  struct statvfs found{};
  return ::statvfs(path.c_str(), &found) == 0 && (found.f_flag & ST_RDONLY) != 0;
}

// The place `path` (absolute in the container) below `top`, symbolic links on the way followed
// inside `top`, made when it is not there: a file when `as_file`, else a folder. A read-only folder
// on the way is opened up.
Result<std::string> make_place(const std::string& top, const std::string& path, bool as_file) {
  std::string here = top;
  std::vector<std::string> left;
  const auto push = [&left](const std::string& more) {
    std::vector<std::string> parts;
    std::istringstream words(more);
    for (std::string part; std::getline(words, part, '/');) {
      if (!part.empty() && part != ".") parts.push_back(part);
    }
    left.insert(left.end(), parts.rbegin(), parts.rend());
  };
  push(path);
  int links = 0;
  while (!left.empty()) {
    const std::string part = left.back();
    left.pop_back();
    if (part == "..") {
      if (here.size() > top.size()) here.resize(here.rfind('/'));
      continue;
    }
    const std::string next = here + "/" + part;
    std::error_code error;
    const fs::path link = fs::read_symlink(next, error);
    if (!error) {
      if (++links > 16) return invalid(fmt::format("{} goes round in symbolic links", path));
      if (link.is_absolute()) here = top;
      push(link.string());
      continue;
    }
    if (!exists(next)) {
      if (is_read_only(here)) {
        if (Result<> opened = open_up(here, {}); !opened) return std::move(opened).fault();
      }
      Result<> made = left.empty() && as_file ? make_file(next) : make_folder(next);
      if (!made) return std::move(made).fault();
    }
    here = next;
  }
  return here;
}

// What tells of the machine or changes it, as container runtimes hide it. Where a kernel has no
// such file there is nothing to hide.
constexpr std::array masked_paths{"/proc/acpi",          "/proc/asound",
                                  "/proc/kcore",         "/proc/keys",
                                  "/proc/latency_stats", "/proc/sched_debug",
                                  "/proc/scsi",          "/proc/timer_list",
                                  "/proc/timer_stats",   "/sys/devices/virtual/powercap",
                                  "/sys/firmware"};
constexpr std::array read_only_paths{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                     "/proc/sysrq-trigger"};

Result<> mask(const std::string& path) {
  if (!exists(path)) return done();
  if (!is_folder(path)) return bind_mount("/dev/null", path, 0);
  if (::mount("tmpfs", path.c_str(), "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV, "mode=555") == 0) {
    return done();
  }
  return from_errno(errno, "hiding " + path);
}

Result<> protect_kernel(const std::string& top) {
  for (const char* path : masked_paths) {
    if (Result<> masked = mask(top + path); !masked) return masked;
  }
  for (const char* path : read_only_paths) {
    const std::string place = top + path;
    if (!exists(place)) continue;
    if (Result<> bound = bind_mount(place, place, MS_REC); !bound) return bound;
    if (Result<> made = make_read_only(place, true); !made) return made;
  }
  return done();
}

// Of the process namespace that this process is the first of.
Result<> mount_own_proc(const std::string& target) {
  if (::mount("proc", target.c_str(), "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0) {
    return done();
  }
  return from_errno(errno, "mounting the container's /proc");
}

Result<> bind_host(const std::string& top, bool privileged) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator("/", error)) {
    const std::string name = entry.path().filename();
    const std::string target = top + "/" + name;
    if (std::find(own_folders.begin(), own_folders.end(), name) != own_folders.end()) continue;
    if (entry.is_symlink(error)) {
      fs::create_symlink(fs::read_symlink(entry.path(), error), target, error);
      continue;
    }
    const bool folder = entry.is_directory(error);
    if (!folder && !entry.is_regular_file(error)) continue;
    if (Result<> made = folder ? make_folder(target) : make_file(target); !made) return made;
    if (name == "proc") {
      if (Result<> mounted = mount_own_proc(target); !mounted) return mounted;
      continue;
    }
    if (Result<> bound = bind_mount("/" + name, target, MS_REC); !bound) return bound;
    const bool may_be_written = name == "dev" || (name == "sys" && privileged);
    if (may_be_written) continue;
    if (Result<> made = make_read_only(target, true); !made) return made;
  }
  if (error) return from_errno(error.value(), "reading /");
  return done();
}

Result<> make_own_folders(const std::string& top) {
  for (const std::string_view name : own_folders) {
    const mode_t mode = name == "tmp" ? 01777 : 0755;
    if (Result<> made = make_folder(fmt::format("{}/{}", top, name), mode); !made) return made;
  }
  for (const char* name : {"/var/tmp", "/var/log", "/var/lib", "/var/cache"}) {
    const mode_t mode = std::string_view(name) == "/var/tmp" ? 01777 : 0755;
    if (Result<> made = make_folder(top + name, mode); !made) return made;
  }
  std::error_code error;
  fs::create_directory_symlink("/run", top + "/var/run", error);
  // A kernel without shared memory there goes without.
  static_cast<void>(
      ::mount("tmpfs", (top + "/dev/shm").c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"));
  return done();
}

Result<> bind_all(const std::string& top, const std::vector<Bind>& binds) {
  for (const Bind& one : binds) {
    const Result<std::string> target = make_place(top, one.target, !is_folder(one.source));
    if (!target) return target.fault();
    if (Result<> bound = bind_mount(one.source, *target, MS_REC); !bound) return bound;
    if (!one.read_only) continue;
    if (Result<> made = make_read_only(*target, true); !made) return made;
  }
  return done();
}

}  // namespace

Result<> change_root(const Root& root) {
  const std::string& top = root.scratch;
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return from_errno(errno, "making the container's mounts its own");
  }
  if (::mount("tmpfs", top.c_str(), "tmpfs", 0, "mode=755") != 0) {
    return from_errno(errno, "mounting the container's root");
  }
  if (Result<> bound = bind_host(top, root.privileged); !bound) return bound;
  if (!root.privileged) {
    if (Result<> done_so = protect_kernel(top); !done_so) return done_so;
  }
  if (Result<> made = make_own_folders(top); !made) return made;
  const Bind programs{.source = root.programs, .target = program_folder, .read_only = true};
  if (Result<> bound = bind_all(top, {programs}); !bound) return bound;
  if (Result<> bound = bind_all(top, root.binds); !bound) return bound;
  // As a container runtime does. What cannot be made fails when it is entered.
  static_cast<void>(make_place(top, root.working_directory, false).ok());
  if (::chdir(top.c_str()) != 0 || ::syscall(SYS_pivot_root, ".", ".") != 0 ||
      ::umount2(".", MNT_DETACH) != 0 || ::chdir("/") != 0) {
    return from_errno(errno, "entering the container's root");
  }
  return done();
}

Result<std::string> find_program(const std::string& word, const std::string& path,
                                 const std::string& working_directory) {
  const auto usable = [](const std::string& file) {
    errno = 0;
    return ::access(file.c_str(), X_OK) == 0 && !is_folder(file);
  };
  if (word.find('/') != std::string::npos) {
    const std::string file = word.front() == '/' ? word : working_directory + "/" + word;
    if (usable(file)) return file;
    if (errno == ENOENT || errno == ENOTDIR) {
      return missing(fmt::format("there is no program {} on this host", word));
    }
    return Fault{.kind = FaultKind::denied,
                 .message = fmt::format("the user {} cannot run {}: {}", ::geteuid(), word,
                                        is_folder(file) ? "it is a folder" : std::strerror(errno))};
  }
  std::istringstream folders(path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string file = folder + "/" + word;
    if (!word.empty() && usable(file)) return file;
  }
  return missing(fmt::format("there is no program '{}' on this host (looked in {})", word, path));
}

}  // namespace fairlead::lab
