#include "lab/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string_view>

#include "lab/paths.h"

namespace fairlead::lab {
namespace {

constexpr int not_found = 127;
constexpr int cannot_be_run = 126;

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

Result<> settle(const Launch& how) {
  if (how.network != nullptr && ::setns(how.network->descriptor(), CLONE_NEWNET) != 0) {
    return from_errno(errno, "entering the network namespace");
  }
  if (how.join != 0) {
    if (Result<> joined = join(how.join); !joined) return joined;
  } else if (how.root) {
    if (::unshare(CLONE_NEWNS | CLONE_NEWUTS) != 0) {
      return from_errno(errno, "making the container's namespaces");
    }
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
  if (Result<> kept = keep_capabilities(how.capabilities); !kept) return kept;
  if (::setgroups(0, nullptr) != 0 || ::setresgid(how.gid, how.gid, how.gid) != 0 ||
      ::setresuid(how.uid, how.uid, how.uid) != 0) {
    return from_errno(errno, fmt::format("becoming the user {} and group {}", how.uid, how.gid));
  }
  return done();
}

// Last of all: whatever had the numbers that these get is closed.
Result<> pass_on(std::span<const net::Passed> passed, std::vector<std::string>& variables) {
  if (passed.empty()) return done();
  std::vector<int> numbers;
  std::vector<std::string> names;
  for (const net::Passed& one : passed) {
    numbers.push_back(one.descriptor.number());
    names.push_back(one.name);
  }
  for (std::string& variable : net::passing_variables(names, ::getpid())) {
    variables.push_back(std::move(variable));
  }
  return net::put_in_place(numbers);
}

Result<> run(const Launch& how) {
  if (Result<> wired = wire_streams(how); !wired) return wired;
  if (Result<> settled = settle(how); !settled) return settled;
  if (Result<> became = become(how); !became) return became;
  const std::string path = path_of_environment(how.environment);
  const std::string& wanted = how.program.empty() ? how.words.front() : how.program;
  const Result<std::string> program = find_program(wanted, path, how.working_directory);
  if (!program) return program.fault();
  std::vector<std::string> variables = how.environment;
  if (Result<> passed = pass_on(how.passed, variables); !passed) return passed;
  std::vector<char*> words;
  std::vector<char*> environment;
  words.reserve(how.words.size() + 1);
  environment.reserve(variables.size() + 1);
  for (const std::string& word : how.words) words.push_back(const_cast<char*>(word.c_str()));
  for (const std::string& one : variables) environment.push_back(const_cast<char*>(one.c_str()));
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
  const Result<> ran = run(how);
  const std::string text = ran ? "" : ran.fault().describe();
  static_cast<void>(!::write(teller, text.data(), text.size()));
  // As a shell says it.
  ::_exit(!ran && ran.fault().kind == FaultKind::missing ? not_found : cannot_be_run);
}

// Which processes the next child sees, until the end of the scope: its own, as their first, or
// those of another one's. Going back cannot fail but by our own mistake, and staying would put the
// lab's programs into a container: it ends the program.
class ChildNamespace {
 public:
  ChildNamespace() : own_(::open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC)) {}
  ~ChildNamespace() {
    if (changed_ && ::setns(own_.number(), CLONE_NEWPID) != 0) std::abort();
  }
  void stay() { changed_ = false; }
  // In the child, which has no way back.
  ChildNamespace(const ChildNamespace&) = delete;
  ChildNamespace& operator=(const ChildNamespace&) = delete;

  [[nodiscard]] Result<> make_new() {
    if (!own_.valid() || ::unshare(CLONE_NEWPID) != 0) {
      return from_errno(errno, "making a process namespace");
    }
    changed_ = true;
    return done();
  }
  [[nodiscard]] Result<> take_from(pid_t process) {
    const std::string path = fmt::format("/proc/{}/ns/pid", process);
    const Descriptor there(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!own_.valid() || !there.valid() || ::setns(there.number(), CLONE_NEWPID) != 0) {
      return from_errno(errno, "entering the container's processes");
    }
    changed_ = true;
    return done();
  }

 private:
  Descriptor own_;
  bool changed_ = false;
};

Result<pid_t> fork_for(const Launch& how) {
  ChildNamespace processes;
  Result<> chosen = done();
  if (how.join != 0) {
    chosen = processes.take_from(how.join);
  } else if (how.root) {
    chosen = processes.make_new();
  }
  if (!chosen) return std::move(chosen).fault();
  const pid_t child = ::fork();
  if (child < 0) return from_errno(errno, "making a process");
  if (child == 0) processes.stay();
  return child;
}

// A line of /proc/PID/status that holds a set of signals.
std::uint64_t signals_in(const std::string& status, std::string_view name) {
  const std::size_t place = status.find(name);
  if (place == std::string::npos) return 0;
  return std::strtoull(status.c_str() + place + name.size(), nullptr, 16);
}

}  // namespace

Result<Launched> launch(const Launch& how) {
  int report[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, report) != 0) {
    return from_errno(errno, "making a socket");
  }
  Launched launched{.report = Descriptor(report[0])};
  const Descriptor write_end(report[1]);
  const Result<pid_t> child = fork_for(how);
  if (!child) return child.fault();
  // The child ends in its program, or tells why not: it never leaves.
  if (*child == 0) run_or_tell(how, report[1]);
  launched.pid = *child;
  return launched;
}

std::string trouble_of(const Launched& launched) {
  std::string trouble;
  char part[512];
  for (ssize_t size = 0; (size = ::read(launched.report.number(), part, sizeof part)) > 0;) {
    trouble.append(part, static_cast<std::size_t>(size));
  }
  return trouble;
}

void kill_group(pid_t leader, int signal) {
  ::kill(-leader, signal);
  ::kill(leader, signal);  // when it leads no group yet
}

bool heeds(pid_t process, int signal) {
  const Result<std::string> status = read_file(fmt::format("/proc/{}/status", process));
  if (!status) return false;
  const std::uint64_t bit = std::uint64_t{1} << static_cast<unsigned>(signal - 1);
  const std::uint64_t heeded = signals_in(*status, "\nSigCgt:") | signals_in(*status, "\nSigBlk:");
  return (heeded & bit) != 0;
}

std::string path_of_environment(const std::vector<std::string>& environment) {
  for (const std::string& one : environment) {
    if (one.starts_with("PATH=")) return one.substr(5);
  }
  return usual_path;
}

}  // namespace fairlead::lab
