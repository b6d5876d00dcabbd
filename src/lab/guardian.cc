#include "lab/guardian.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/json_text.h"
#include "lab/ipc.h"
#include "lab/namespaces.h"
#include "lab/paths.h"
#include "lab/screen.h"

namespace fairlead::lab {
namespace {

using nlohmann::json;

constexpr int failed = 1;

int complain(const Fault& fault) {
  std::fprintf(stderr, "fairlead lab up: %s\n", fault.describe().c_str());
  return failed;
}

class Guardian {
 public:
  Guardian(const Options& options, Paths paths, Descriptor verdict)
      : options_(options),
        paths_(std::move(paths)),
        verdict_(std::move(verdict)),
        screen_(::isatty(STDOUT_FILENO) != 0) {}

  int run() {
    Result<> begun = begin();
    if (!begun) {
      complain(begun.fault());
      tell_verdict(false);
      remove_directory(paths_);
      return failed;
    }
    watch();
    screen_.clear();
    remove_directory(paths_);
    tell_verdict(false);  // when it never was ready
    return failed_ ? failed : 0;
  }

 private:
  Result<> begin() {
    sigset_t signals;
    ::sigemptyset(&signals);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) ::sigaddset(&signals, number);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    signals_ = Descriptor(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
    int ends[2];
    if (!signals_.valid() || ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
      return from_errno(errno, "preparing to watch the lab");
    }
    channel_ = Descriptor(ends[0]);
    const Descriptor theirs(ends[1]);
    const Descriptor paper(::memfd_create("options", MFD_CLOEXEC));
    const std::string text = to_json(options_);
    if (::write(paper.number(), text.data(), text.size()) < 0 ||
        ::lseek(paper.number(), 0, SEEK_SET) != 0) {
      return from_errno(errno, "writing the lab's options");
    }
    const std::array<int, 2> kept{theirs.number(), paper.number()};
    Result<Namespaces> namespaces =
        start_inside({"fairlead", "lab", "inside", std::to_string(kept[0]), std::to_string(kept[1]),
                      paths_.base},
                     kept);
    if (!namespaces) return std::move(namespaces).fault();
    init_ = namespaces->init;
    send({{"guardian", ::getpid()}, {"init", init_}, {"rootless", namespaces->rootless}});
    return done();
  }

  void send(const json& line) {
    const std::string text = json_text(line) + "\n";
    static_cast<void>(::send(channel_.number(), text.data(), text.size(), MSG_NOSIGNAL));
  }

  void watch() {
    for (;;) {
      std::array<pollfd, 2> waiting{pollfd{channel_.number(), POLLIN, 0},
                                    pollfd{signals_.number(), POLLIN, 0}};
      if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) break;
      if (waiting[0].revents != 0 && !listen()) break;
      if (waiting[1].revents != 0 && !take_signals()) return;
    }
    // The lab has closed its end: it is ending.
    int status = 0;
    while (::waitpid(init_, &status, 0) < 0 && errno == EINTR) {
    }
    judge(status);
  }

  // Whether the lab may say more.
  bool listen() {
    std::string bytes;
    std::vector<Descriptor> none;
    const Result<std::size_t> size = receive(channel_.number(), bytes, none);
    if (!size || *size == 0) return false;
    reader_.add(bytes);
    std::string text;
    while (reader_.take(text)) show(parse_json(text));
    return true;
  }

  void show(const json& line) {
    if (!line.is_object()) return;
    if (line.contains("progress")) screen_.progress(line.value("progress", ""));
    if (line.contains("say")) screen_.say(line.value("say", ""));
    if (line.contains("failed")) {
      screen_.say("fairlead lab up: " + line.value("failed", ""), stderr);
      failed_ = true;
    }
    if (line.contains("ready")) tell_verdict(true);
    if (line.contains("unready")) tell_verdict(false);  // it stays up, to be looked at
    if (line.contains("over")) over_ = true;
  }

  void tell_verdict(bool ready) {
    if (!verdict_.valid()) return;
    screen_.fall_silent();
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null, stream);
    ::close(null);
    static_cast<void>(!::write(verdict_.number(), ready ? "1" : "0", 1));
    verdict_.close();
  }

  // False once the lab is over.
  bool take_signals() {
    signalfd_siginfo info{};
    while (::read(signals_.number(), &info, sizeof info) == sizeof info) {
      if (info.ssi_signo == SIGCHLD) {
        int status = 0;
        if (::waitpid(init_, &status, WNOHANG) != init_) continue;
        ::fcntl(channel_.number(), F_SETFL, O_NONBLOCK);
        while (listen()) {
        }
        judge(status);
        return false;
      }
      ++wishes_to_stop_;
      if (wishes_to_stop_ == 1) {
        screen_.say("stopping (once more: at once)");
        send({{"stop", true}});
      } else {
        ::kill(init_, SIGKILL);
      }
    }
    return true;
  }

  void judge(int status) {
    if (over_ || failed_) return;
    failed_ = true;
    const std::string how = WIFSIGNALED(status)
                                ? fmt::format("was ended by signal {}", WTERMSIG(status))
                                : fmt::format("ended with status {}", WEXITSTATUS(status));
    screen_.say(fmt::format("fairlead lab up: the lab's first process {}", how), stderr);
  }

  const Options& options_;
  Paths paths_;
  Descriptor verdict_;
  Screen screen_;
  Descriptor signals_;
  Descriptor channel_;
  LineReader reader_;
  pid_t init_ = 0;
  int wishes_to_stop_ = 0;
  bool failed_ = false;
  bool over_ = false;  // it said that it ended as it should
};

// The caller's process, while another one brings the lab up.
int wait_for_verdict(const Descriptor& verdict) {
  char word = 0;
  ssize_t size = 0;
  do {
    size = ::read(verdict.number(), &word, 1);
  } while (size < 0 && errno == EINTR);
  return size == 1 && word == '1' ? 0 : failed;
}

}  // namespace

int bring_up(const Options& options, bool detach) {
  const Result<Base> base = base_directory();
  if (!base) return complain(base.fault());
  // Clears what dead labs left behind.
  const Result<std::vector<Found>> labs = living_labs();
  if (!labs) return complain(labs.fault());
  for (const Found& lab : *labs) {
    if (lab.paths.name == options.name) return complain(is_up_already(options.name));
  }
  if (!base->instead_of.empty()) std::fprintf(stderr, "%s\n", base->instead_of.c_str());
  Paths paths{.base = base->path, .name = options.name};
  Result<Descriptor> lock = claim(paths);
  if (!lock) return complain(lock.fault());
  if (!detach) return Guardian(options, std::move(paths), Descriptor()).run();

  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return complain(from_errno(errno, "making a pipe"));
  const Descriptor verdict(ends[0]);
  Descriptor judge(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return complain(from_errno(errno, "making a process"));
  if (child == 0) {
    ::setsid();
    ::_exit(Guardian(options, std::move(paths), std::move(judge)).run());
  }
  judge.close();
  return wait_for_verdict(verdict);
}

}  // namespace fairlead::lab
