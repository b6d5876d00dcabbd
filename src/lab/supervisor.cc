#include "lab/supervisor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "base/lines.h"
#include "base/log.h"
#include "lab/commands.h"
#include "lab/ipc.h"
#include "lab/lab.h"
#include "lab/namespaces.h"
#include "net/file_watch.h"
#include "net/signals.h"
#include "net/unix.h"

namespace fairlead::lab {
namespace {

using nlohmann::json;
using std::chrono::seconds;

constexpr Duration patience = seconds(60);
constexpr Duration settle = std::chrono::milliseconds(20);  // what comes in one burst is read once

Result<Options> options_from(int descriptor) {
  std::string text;
  char part[4096];
  for (ssize_t size = 0; (size = ::read(descriptor, part, sizeof part)) > 0;) {
    text.append(part, static_cast<std::size_t>(size));
  }
  ::close(descriptor);
  return read_options(text);
}

class Supervisor {
 public:
  Supervisor(net::Loop& loop, net::UnixStreamPointer channel, Options options, Paths paths)
      : loop_(loop),
        channel_(std::move(channel)),
        lab_(loop, children_, std::move(options), paths,
             [this](std::string line) { say(std::move(line)); }),
        paths_(std::move(paths)) {}

  Task<Result<>> run() {
    Result<std::unique_ptr<net::Signals>> signals =
        net::Signals::watch(loop_, {SIGCHLD, SIGTERM, SIGINT});
    if (!signals) co_return std::move(signals).fault();
    signals_ = std::move(*signals);
    loop_.start(watchers_, take_signals());
    loop_.start(watchers_, listen_to_guardian());
    Result<> begun = co_await begin();
    if (!begun) send({{"failed", begun.fault().describe()}});
    if (begun) static_cast<void>((co_await stop_.after(0)).ok());
    send({{"progress", "stopping"}});
    if (commands_) co_await commands_->close();
    co_await lab_.take_down();
    co_await watchers_.close();
    if (begun) send({{"over", true}});
    co_return done();
  }

 private:
  void send(const json& line) {
    const std::string text = json_text(line) + "\n";
    static_cast<void>(::send(channel_->descriptor(), text.data(), text.size(), MSG_NOSIGNAL));
  }
  void say(std::string line) { send({{"say", std::move(line)}}); }

  Task<> take_signals() {
    for (;;) {
      const Result<int> signal = co_await signals_->next();
      if (!signal) co_return;
      if (*signal == SIGCHLD) {
        children_.reap();
      } else {
        stop_.set(true);
      }
    }
  }

  Task<> listen_to_guardian() {
    LineReader reader;
    std::array<char, 4096> bytes{};
    for (;;) {
      if (!(co_await channel_->readable()).ok()) co_return;
      const Result<net::Taken> taken = channel_->read_now(bytes);
      // Without its guardian a lab is nobody's: everything in it ends with this process.
      if (!taken || taken->end) ::_exit(1);
      reader.add({bytes.data(), taken->bytes});
      std::string text;
      while (reader.take(text)) hear(parse_json(text));
    }
  }

  void hear(const json& line) {
    if (!line.is_object()) return;
    if (line.contains("stop")) stop_.set(true);
    if (!line.contains("init")) return;
    record_.init = line.value("init", 0);
    record_.guardian = line.value("guardian", 0);
    record_.rootless = line.value("rootless", false);
    known_.set(true);
  }

  Task<Result<>> begin() {
    static_cast<void>((co_await known_.after(0)).ok());
    send({{"progress", "reading the manifests"}});
    if (Result<> built = lab_.build(); !built) co_return built;
    Result<std::unique_ptr<Commands>> commands =
        Commands::listen(lab_, [this] { stop_.set(true); });
    if (!commands) co_return std::move(commands).fault();
    commands_ = std::move(*commands);
    if (Result<> written = write_record(); !written) co_return written;
    loop_.start(watchers_, watch_manifests());
    loop_.start(watchers_, tell_when_ready());
    co_return done();
  }

  Result<> write_record() {
    record_.name = paths_.name;
    record_.started = time_text(SystemClock().wall());
    record_.manifests = lab_.manifests();
    for (const Node& node : lab_.nodes()) {
      record_.nodes.push_back({node.name, node.machine.addresses.texts()});
    }
    for (const auto& [name, running] : lab_.pods()) {
      if (!running.is_vm) continue;
      record_.vms.push_back(
          {running.runner->pod().metadata.name, running.runner->machine().addresses.texts()});
    }
    if (lab_.control() != nullptr) {
      record_.control = {"control", lab_.control_machine().addresses.texts()};
    }
    return write_file(paths_.record(), to_json(record_));
  }

  Task<> tell_when_ready() {
    const Instant began = loop_.now();
    std::string shown;
    const Result<Lacks> left = co_await lab_.until_settled(patience, [&](const Lacks& now) {
      std::string progress = "waiting for " + now.names(false);
      if (progress != shown && stop_.number() == 0) send({{"progress", progress}});
      shown = std::move(progress);
    });
    if (!left || stop_.number() > 0) co_return;
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(loop_.now() - began);
    say(describe(*left, static_cast<double>(took.count()) / 1000));
    send({{left->none() ? "ready" : "unready", true}});
  }

  // What there is after `took` seconds.
  [[nodiscard]] std::string describe(const Lacks& left, double took) {
    const std::string all =
        fmt::format("{}, {}", counted(lab_.nodes().size(), "node"), counted(left.pods, "pod"));
    const std::vector<std::string> names = lab_.not_enforced();
    const std::string but = names.empty() ? "" : ", but " + mesh::describe_unenforced(names);
    if (left.none()) {
      return fmt::format("lab {} is ready: {}, in {:.1f} s{}", paths_.name, all, took, but);
    }
    return fmt::format(
        "lab {} is up, but after {:.1f} s not ready: {}; `{}` tells more, `{}` ends it{}",
        paths_.name, took, left.names(true), paths_.command("status"), paths_.command("down"), but);
  }

  // A folder is watched before it is read, so that nothing that comes into it is missed: until none
  // is new, for one may be made in another while that is not watched yet.
  void watch_all() {
    for (bool any = true; any;) {
      any = false;
      for (const std::string& path : lab_.to_watch()) any = watch_->add(path) || any;
    }
  }

  Task<> watch_manifests() {
    Result<std::unique_ptr<net::FileWatch>> watch = net::FileWatch::make(loop_);
    if (!watch) co_return;
    watch_ = std::move(*watch);
    watch_all();
    lab_.when_manifests_are_added([this] { watch_all(); });
    lab_.set_being_written([this](const std::string& file) { return watch_->being_written(file); });
    for (;;) {
      if (!(co_await watch_->changed(settle, lab_.until_reread())).ok()) co_return;
      watch_all();
      const std::string before = lab_.broken();
      const Result<> read = lab_.reread();
      if (read || lab_.broken() == before) continue;
      say("the last good version stays in force: " + read.fault().describe());
    }
  }

  net::Loop& loop_;
  net::UnixStreamPointer channel_;
  Children children_;
  Lab lab_;
  Paths paths_;
  Record record_;
  std::unique_ptr<net::Signals> signals_;
  std::unique_ptr<Commands> commands_;
  std::unique_ptr<net::FileWatch> watch_;
  Latest<bool> known_;
  Latest<bool> stop_;
  Gate watchers_;
};

// Its own session, so that Ctrl-C reaches the guardian alone; its own log.
void settle_streams(const Paths& paths) {
  ::setsid();
  const Descriptor null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Descriptor log(
      ::open(paths.log_of("lab").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  ::dup2(null.number(), STDIN_FILENO);
  if (log.valid()) {
    ::dup2(log.number(), STDOUT_FILENO);
    ::dup2(log.number(), STDERR_FILENO);
  }
}

}  // namespace

int run_inside(int channel, int options_descriptor, const std::string& state_base) {
  ::fcntl(channel, F_SETFD, FD_CLOEXEC);
  ::umask(022);
  const auto fail = [channel](const Fault& fault) {
    const std::string text = json_text(json{{"failed", fault.describe()}}) + "\n";
    static_cast<void>(::send(channel, text.data(), text.size(), MSG_NOSIGNAL));
    return 1;
  };
  Result<Options> options = options_from(options_descriptor);
  if (!options) return fail(options.fault());
  Paths paths{.base = state_base, .name = options->name};
  settle_streams(paths);
  log::set_source("lab");
  if (Result<> settled =
          settle_inside("fairlead-" + options->name, state_base, work_folder, options->envoy);
      !settled) {
    return fail(settled.fault());
  }
  net::Loop loop;
  Result<net::UnixStreamPointer> stream =
      net::UnixStream::adopt(loop, Descriptor(channel), "the guardian");
  if (!stream) return fail(stream.fault());
  Supervisor supervisor(loop, std::move(*stream), std::move(*options), std::move(paths));
  Result<> ran = loop.run(supervisor.run());
  return ran ? 0 : fail(ran.fault());
}

}  // namespace fairlead::lab
