#include "lab/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "lab/ipc.h"

namespace fairlead::lab {
namespace {

namespace fs = std::filesystem;

constexpr int not_found = 127;
constexpr int cannot_be_run = 126;
constexpr char mounts_follow = '\0';  // the byte that carries them

constexpr const char* usual_path =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/fairlead/bin";

Result<> join(pid_t target) {
  for (const auto& [name, kind] : {std::pair{"uts", CLONE_NEWUTS}, std::pair{"mnt", CLONE_NEWNS}}) {
    const std::string path = fmt::format("/proc/{}/ns/{}", target, name);
    const Descriptor there(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!there.valid() || ::setns(there.number(), kind) != 0) {
      return from_errno(errno, "entering the container");
    }
  }
  return done();
}

// Of the namespace that a file of /proc stands for; 0 when it is gone.
ino_t number_of(const std::string& path) {
  struct stat found{};
  return ::stat(path.c_str(), &found) == 0 ? found.st_ino : 0;
}

// First of all it hands over its mounts, so that whoever ends it finds all that it started.
Result<> hand_over_mounts(int teller) {
  const Descriptor mounts(::open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC));
  if (!mounts.valid()) return from_errno(errno, "opening the container's mount namespace");
  const std::array<int, 1> passed{mounts.number()};
  return send_with(teller, std::string_view(&mounts_follow, 1), passed);
}

Result<> settle(const Launch& how, int teller) {
  if (how.network != nullptr && ::setns(how.network->descriptor(), CLONE_NEWNET) != 0) {
    return from_errno(errno, "entering the network namespace");
  }
  if (how.join != 0) {
    if (Result<> joined = join(how.join); !joined) return joined;
  } else if (how.root) {
    if (::unshare(CLONE_NEWNS | CLONE_NEWUTS) != 0) {
      return from_errno(errno, "making the container's namespaces");
    }
    if (Result<> handed = hand_over_mounts(teller); !handed) return handed;
    ::sethostname(how.host_name.c_str(), how.host_name.size());
    if (Result<> changed = change_root(*how.root); !changed) return changed;
  }
  if (::chdir(how.working_directory.c_str()) != 0) {
    return from_errno(errno,
                      fmt::format("going to the working directory {}", how.working_directory));
  }
  return done();
}

Result<> wire_streams(const Launch& how) {
  ::setsid();
  if (how.terminal && ::ioctl(how.streams[0], TIOCSCTTY, 0) != 0) {
    return from_errno(errno, "taking the terminal");
  }
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  // Above the first three, so that none is overwritten before it is copied.
  std::array<int, 3> from{};
  for (int i = 0; i < 3; ++i) {
    from[i] = ::fcntl(how.streams[i] < 0 ? null : how.streams[i], F_DUPFD_CLOEXEC, 10);
  }
  for (int i = 0; i < 3; ++i) {
    if (::dup2(from[i], i) < 0) return from_errno(errno, "giving the streams");
  }
  return done();
}

Result<> become(const Launch& how) {
  if (::setgroups(0, nullptr) != 0 || ::setresgid(how.gid, how.gid, how.gid) != 0 ||
      ::setresuid(how.uid, how.uid, how.uid) != 0) {
    return from_errno(errno, fmt::format("becoming the user {} and group {}", how.uid, how.gid));
  }
  return done();
}

Result<> run(const Launch& how, int teller) {
  if (Result<> wired = wire_streams(how); !wired) return wired;
  if (Result<> settled = settle(how, teller); !settled) return settled;
  if (Result<> became = become(how); !became) return became;
  const std::string path = path_of_environment(how.environment);
  const std::string& wanted = how.program.empty() ? how.words.front() : how.program;
  const Result<std::string> program = find_program(wanted, path, how.working_directory);
  if (!program) return program.fault();
  std::vector<char*> words;
  std::vector<char*> environment;
  words.reserve(how.words.size() + 1);
  environment.reserve(how.environment.size() + 1);
  for (const std::string& word : how.words) words.push_back(const_cast<char*>(word.c_str()));
  for (const std::string& one : how.environment) {
    environment.push_back(const_cast<char*>(one.c_str()));
  }
  words.push_back(nullptr);
  environment.push_back(nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(program->c_str(), words.data(), environment.data());
  return from_errno(errno, fmt::format("running {}", *program));
}

[[noreturn]] void run_or_tell(const Launch& how, int report) {
  // Above what the streams take.
  const int teller = ::fcntl(report, F_DUPFD_CLOEXEC, 20);
  const Result<> ran = run(how, teller);
  const std::string text = ran ? "" : ran.fault().describe();
  static_cast<void>(!::write(teller, text.data(), text.size()));
  // As a shell says it.
  ::_exit(!ran && ran.fault().kind == FaultKind::missing ? not_found : cannot_be_run);
}

}  // namespace

Result<Launched> launch(const Launch& how) {
  int report[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, report) != 0) {
    return from_errno(errno, "making a socket");
  }
  Launched launched{.report = Descriptor(report[0])};
  const Descriptor write_end(report[1]);
  launched.pid = ::fork();
  if (launched.pid == 0) run_or_tell(how, report[1]);
  if (launched.pid < 0) return from_errno(errno, "making a process");
  return launched;
}

Report report_of(const Launched& launched) {
  Report report;
  std::vector<Descriptor> passed;
  for (;;) {
    const Result<std::size_t> size = receive(launched.report.number(), report.trouble, passed);
    if (!size || *size == 0) break;
  }
  if (!passed.empty()) report.mounts = std::move(passed.front());
  if (!report.trouble.empty() && report.trouble.front() == mounts_follow)
    report.trouble.erase(0, 1);
  return report;
}

void kill_group(pid_t leader, int signal) {
  ::kill(-leader, signal);
  ::kill(leader, signal);  // when it leads no group yet
}

void kill_all_in(const Descriptor& mounts) {
  if (!mounts.valid()) return;
  const ino_t meant = number_of(fmt::format("/proc/self/fd/{}", mounts.number()));
  if (meant == 0 || meant == number_of("/proc/self/ns/mnt")) return;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    pid_t process = 0;
    const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), process);
    if (failed != std::errc() || end != name.data() + name.size()) continue;
    if (number_of("/proc/" + name + "/ns/mnt") == meant) ::kill(process, SIGKILL);
  }
}

std::string path_of_environment(const std::vector<std::string>& environment) {
  for (const std::string& one : environment) {
    if (one.starts_with("PATH=")) return one.substr(5);
  }
  return usual_path;
}

}  // namespace fairlead::lab
