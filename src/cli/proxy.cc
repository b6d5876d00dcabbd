// fairlead proxy: the data plane, by Envoy's flags and Envoy's bootstrap file.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/program_pages.h"
#include "cli/commands.h"
#include "intercept/rules.h"
#include "net/loop.h"
#include "net/signals.h"
#include "proxy/access_log.h"
#include "proxy/admin.h"
#include "proxy/decide/filter_chain.h"
#include "proxy/decide/table.h"
#include "proxy/proxy.h"
#include "proxy/source/source.h"
#include "xds/bootstrap.h"

namespace fairlead::cli {
namespace {

constexpr int failed = 1;
constexpr ::uid_t proxy_user = 1337;  // whom capture leaves alone

struct Options {
  std::string config_path;
  std::string config_yaml;
  unsigned concurrency = 0;  // 0: one worker a hardware thread
  std::string log_level = "info";
  unsigned drain_seconds = 20;
  unsigned drain_delay_milliseconds = 1000;
  unsigned flush_milliseconds = 500;
  std::string service_cluster;
  std::string service_node;
  std::string mode = "serve";
  bool allow_unknown_static = false;
  std::vector<std::string> accepted;  // fields that decide, by path or name
  bool json = false;                  // of --mode validate
  std::string log_path;
  bool reject_unknown_dynamic = false;
  std::string admin_address_path;
  std::string last_good;
  std::string mark = "auto";
  std::vector<std::string> ignored;  // flags that shape Envoy's process and not ours
  bool flag_ignored = false;
  Arguments arguments;
};

int complain(const Fault& fault, int status = failed) {
  std::fprintf(stderr, "fairlead proxy: %s\n", fault.describe().c_str());
  return status;
}

// ── Reading ──────────────────────────────────────────────────────────────────────────────────────

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return from_errno(errno, "opening " + path);
  if (std::error_code unknown; std::filesystem::is_directory(path, unknown)) {
    return from_errno(EISDIR, "reading " + path);
  }
  std::ostringstream text;
  text << file.rdbuf();
  if (file.bad()) return from_errno(errno, "reading " + path);
  return std::move(text).str();
}

// What a message names as the place of its cause.
std::string source_of(const Options& flags) {
  return flags.config_path.empty() ? "--config-yaml" : flags.config_path;
}

Result<xds::Examination> examined(const Options& flags) {
  if (flags.config_path.empty() && flags.config_yaml.empty()) {
    return invalid("--config-path (-c) or --config-yaml is needed: see --help");
  }
  std::string file;
  std::vector<xds::BootstrapText> texts;
  if (!flags.config_path.empty()) {
    Result<std::string> read = read_file(flags.config_path);
    if (!read) return std::move(read).fault();
    file = std::move(*read);
    texts.push_back({.text = file, .source = flags.config_path});
  }
  if (!flags.config_yaml.empty()) {
    texts.push_back({.text = flags.config_yaml, .source = "--config-yaml"});
  }
  Result<xds::Examination> made = xds::examine_bootstrap(
      texts, {.allow_unknown = flags.allow_unknown_static, .accepted = flags.accepted});
  if (!made) return made;
  if (!flags.service_node.empty()) made->bootstrap.node.id = flags.service_node;
  if (!flags.service_cluster.empty()) made->bootstrap.node.cluster = flags.service_cluster;
  return made;
}

// Each access log that a listener names, with whose it is.
template <class Visit>
void for_each_log(const config::Listener& listener, Visit visit) {
  const auto of_chain = [&](const config::FilterChain& chain) {
    const auto* http = std::get_if<config::HttpConnectionManager>(&chain.filter);
    for (const config::AccessLog& log :
         http ? http->access_logs : std::get<config::TcpProxy>(chain.filter).access_logs) {
      visit(log);
    }
  };
  for (const config::AccessLog& log : listener.access_logs) visit(log);
  for (const config::FilterChain& chain : listener.filter_chains) of_chain(chain);
  if (listener.default_filter_chain) of_chain(*listener.default_filter_chain);
}

Result<> check_formats(const config::Listener& listener) {
  Result<> sound = done();
  for_each_log(listener, [&](const config::AccessLog& log) {
    if (!sound) return;
    Result<proxy::LogFormat> format = proxy::LogFormat::parse(log.format);
    if (format) return;
    Fault fault = std::move(format).fault();
    fault.message =
        fmt::format("listener {}: access log {}: {}", listener.name, log.path, fault.message);
    sound = std::move(fault);
  });
  return sound;
}

// Not for `--mode validate`: the machine that validates need not be the one that serves.
Result<> check_logs(const xds::Bootstrap& bootstrap) {
  Result<> sound = done();
  for (const config::Listener& listener : bootstrap.listeners) {
    for_each_log(listener, [&](const config::AccessLog& log) {
      if (!sound) return;
      sound = proxy::LogFiles::can_open(log.path);
      if (!sound) sound = std::move(sound).fault().during("checking listener " + listener.name);
    });
  }
  return sound;
}

// What only the data path would find out.
Result<> check_static(const xds::Bootstrap& bootstrap) {
  auto snapshot = std::make_shared<const config::Snapshot>(xds::snapshot_of(bootstrap));
  for (const auto& [name, listener] : snapshot->listeners) {
    if (Result<> sound = proxy::check_filter_chains(*listener); !sound) return sound;
    if (Result<> sound = check_formats(*listener); !sound) return sound;
  }
  Result<proxy::SnapshotTablePointer> table = proxy::SnapshotTable::make(snapshot);
  if (!table) return std::move(table).fault();
  return done();
}

// ── Telling what was found ───────────────────────────────────────────────────────────────────────

std::string line_of(const Diagnostic& one) {
  const std::string kind = one.unknown ? "unknown" : std::string(name_of(one.effect));
  return fmt::format("not honoured ({}): {}", kind, one.describe());
}

void tell_unhonoured(const std::vector<config::Unhonoured>& all) {
  for (const config::Unhonoured& one : all) log::warning(line_of(one));
}

void tell_errors(const std::vector<Diagnostic>& errors) {
  for (const Diagnostic& one : errors) {
    std::string where = one.origin.file;
    if (one.origin.line > 0) where += fmt::format(":{}", one.origin.line);
    if (!one.field.empty()) where += ": " + one.field;
    complain(invalid(where + ": " + one.reason));
  }
}

nlohmann::json finding(const Diagnostic& one, const char* verdict) {
  nlohmann::json made{{"verdict", verdict},
                      {"class", one.unknown ? "unknown" : name_of(one.effect)},
                      {"field", one.field},
                      {"reason", one.reason},
                      {"file", one.origin.file}};
  if (one.origin.line > 0) made["line"] = one.origin.line;
  return made;
}

int validated(const Options& flags, const xds::Examination& examination) {
  const bool sound = examination.errors.empty();
  if (flags.json) {
    nlohmann::json findings = nlohmann::json::array();
    for (const Diagnostic& one : examination.errors) findings.push_back(finding(one, "refused"));
    for (const Diagnostic& one : examination.bootstrap.unhonoured) {
      findings.push_back(finding(one, "listed"));
    }
    const nlohmann::json all{{"source", source_of(flags)}, {"ok", sound}, {"findings", findings}};
    std::printf("%s\n", all.dump(2).c_str());
    return sound ? 0 : failed;
  }
  tell_errors(examination.errors);
  tell_unhonoured(examination.bootstrap.unhonoured);
  if (sound) std::printf("configuration '%s' OK\n", source_of(flags).c_str());
  return sound ? 0 : failed;
}

// ── The mark by which capture knows us where it cannot go by the user ────────────────────────────

bool may_mark(std::uint32_t mark) {
  const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  const bool may = ::setsockopt(probe, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) == 0;
  ::close(probe);
  return may;
}

Result<std::optional<std::uint32_t>> mark_of(const Options& flags) {
  if (flags.mark == "none") return std::optional<std::uint32_t>();
  if (flags.mark == "auto") {
    const bool known = ::getuid() == proxy_user || ::getgid() == proxy_user;
    if (known || !may_mark(intercept::proxy_mark)) return std::optional<std::uint32_t>();
    return std::optional<std::uint32_t>(intercept::proxy_mark);
  }
  char* end = nullptr;
  const unsigned long number = std::strtoul(flags.mark.c_str(), &end, 0);
  if (end == flags.mark.c_str() || *end != '\0' || number > 0xffffffffUL) {
    return invalid("--mark: '" + flags.mark + "' is neither auto, none nor a number");
  }
  return std::optional<std::uint32_t>(static_cast<std::uint32_t>(number));
}

// ── Running ──────────────────────────────────────────────────────────────────────────────────────

std::string last_good_of(const Options& flags, const xds::Bootstrap& bootstrap) {
  if (!bootstrap.discovery || flags.last_good == "none") return {};
  if (!flags.last_good.empty()) return flags.last_good;
  return flags.config_path.empty() ? "" : flags.config_path + ".last-good";
}

// The control thread: configuration in, signals, the admin port.
class Running {
 public:
  Running(net::Loop& loop, net::Signals& signals, const Options& flags,
          const xds::Bootstrap& bootstrap, const proxy::ProxyOptions& options)
      : loop_(loop),
        signals_(signals),
        flags_(flags),
        static_(!bootstrap.discovery),
        proxy_(loop, options),
        source_(loop, source_options(flags, bootstrap),
                [this](config::SnapshotPointer snapshot) { take(std::move(snapshot)); }),
        admin_(loop, proxy_, hooks()) {}

  int run(const std::optional<SocketAddress>& admin) {
    if (admin) {
      const Result<SocketAddress> listening = admin_.listen(*admin);
      if (!listening) return complain(listening.fault());
      if (!tell_admin_address(*listening)) return failed;
    }
    source_.start();
    loop_.start(gate_, watch_signals());
    loop_.run();
    loop_.run(end());
    return status_;
  }

 private:
  static proxy::SourceOptions source_options(const Options& flags,
                                             const xds::Bootstrap& bootstrap) {
    proxy::SourceOptions options;
    options.bootstrap = bootstrap;
    options.last_good_path = last_good_of(flags, bootstrap);
    options.client.strict = flags.reject_unknown_dynamic;
    return options;
  }

  proxy::AdminHooks hooks() {
    return {.config_dump = [this] { return source_.config_dump(); },
            .source = [this] { return proxy::status_json(source_.status()); },
            .readings = [this] { return readings(); },
            .source_ready = [this] { return source_.ready(); },
            .quit = [this] { loop_.stop(); },
            .version = "fairlead/" FAIRLEAD_VERSION,
            .arguments = flags_.arguments};
  }

  bool tell_admin_address(const SocketAddress& address) const {
    if (flags_.admin_address_path.empty()) return true;
    std::ofstream file(flags_.admin_address_path, std::ios::trunc);
    file << address.text();
    file.flush();
    if (file) return true;
    complain(from_errno(errno, "writing " + flags_.admin_address_path));
    return false;
  }

  void take(config::SnapshotPointer snapshot) {
    const std::string world = snapshot->world;
    const bool first = !proxy_.snapshot();
    const Result<> applied =
        proxy_.apply(std::move(snapshot), [this, world, first](const auto& troubles) {
          for (const std::string& trouble : troubles) log::error(trouble);
          if (!troubles.empty() && first && static_) {
            status_ = failed;  // a static proxy that cannot listen has nothing to wait for
            loop_.stop();
            return;
          }
          log::info(fmt::format("speaking world {}", world));
          if (first) give_back_program_pages();
        });
    if (!applied) {
      log::error(fmt::format("world {} cannot be used, the one before stays: {}", world,
                             applied.fault().describe()));
    }
  }

  std::vector<proxy::Reading> readings() const {
    std::vector<proxy::Reading> all;
    const proxy::SourceStatus status = source_.status();
    for (const proxy::SourceType& type : status.types) {
      const bool clusters = type.type == xds::ResourceType::cluster;
      const bool listeners = type.type == xds::ResourceType::listener;
      if (!clusters && !listeners) continue;
      const std::string scope = clusters ? "cluster_manager" : "listener_manager";
      const std::string stem = clusters ? "cds" : "lds";
      const auto add = [&](const char* name, std::uint64_t value) {
        all.push_back({.scope = scope, .name = stem + name, .value = value, .counts_up = true});
      };
      add(".update_attempt", type.counts.accepted + type.counts.refused);
      add(".update_success", type.counts.accepted);
      add(".update_rejected", type.counts.refused);
    }
    all.push_back(
        {.scope = "control_plane", .name = "connected_state", .value = status.connected ? 1U : 0U});
    return all;
  }

  Task<> watch_signals() {
    bool ending = false;
    while (true) {
      const Result<int> signal = co_await signals_.next();
      if (!signal) co_return;
      if (*signal == SIGHUP || *signal == SIGUSR1) {
        proxy_.logs().reopen();
        continue;
      }
      if (ending) break;
      ending = true;
      log::info("ending: no new connections, those that are open are finished");
      loop_.start(gate_, drain());
    }
    log::info("ending at once");
    loop_.stop();
  }

  Task<> drain() {
    co_await proxy_.drain(std::chrono::milliseconds(flags_.drain_delay_milliseconds),
                          std::chrono::seconds(flags_.drain_seconds));
    loop_.stop();
  }

  Task<> end() {
    co_await gate_.close();
    co_await source_.close();
    co_await admin_.close();
    if (co_await proxy_.stop()) co_return;
    // Its thread cannot be ended, and everything that it may still touch must stay until the
    // process is gone.
    log::error("a worker does not end: it is cut off with the process");
    std::_Exit(failed);
  }

  net::Loop& loop_;
  net::Signals& signals_;
  const Options& flags_;
  bool static_;
  int status_ = 0;
  Gate gate_;
  proxy::Proxy proxy_;
  proxy::Source source_;
  proxy::Admin admin_;
};

int serve(const Options& flags, const xds::Bootstrap& bootstrap) {
  take_all_descriptors();
  Result<std::optional<std::uint32_t>> mark = mark_of(flags);
  if (!mark) return complain(mark.fault(), wrong_use);
  proxy::ProxyOptions options;
  options.concurrency = flags.concurrency != 0 ? flags.concurrency
                                               : std::max(1U, std::thread::hardware_concurrency());
  options.worker.mark = *mark;
  options.worker.log_flush = std::chrono::milliseconds(std::max(flags.flush_milliseconds, 1U));

  net::Loop loop;
  Result<std::unique_ptr<net::Signals>> signals =
      net::Signals::watch(loop, {SIGTERM, SIGINT, SIGHUP, SIGUSR1});
  if (!signals) return complain(signals.fault());
  Running running(loop, **signals, flags, bootstrap, options);
  return running.run(bootstrap.admin);
}

// The program's log, and whatever else goes to standard error, goes to a file from now on.
Result<> log_to(const std::string& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file < 0) return from_errno(errno, "--log-path: opening " + path);
  const bool turned = ::dup2(file, STDERR_FILENO) >= 0;
  ::close(file);
  return turned ? done() : Result<>(from_errno(errno, "--log-path: " + path));
}

// What the configuration says, with what only the data path would find out.
Result<xds::Examination> checked(const Options& flags) {
  Result<xds::Examination> made = examined(flags);
  if (!made || !made->errors.empty()) return made;
  if (Result<> sound = check_static(made->bootstrap); !sound) {
    made->errors.push_back({.resource = "Bootstrap",
                            .reason = sound.fault().describe(),
                            .origin = {.file = source_of(flags)}});
  }
  return made;
}

int act(const Options& flags) {
  log::Level level = log::Level::info;
  if (!log::level_from(flags.log_level, level)) {
    return complain(invalid("--log-level: there is no level '" + flags.log_level + "'"), wrong_use);
  }
  const bool validates = flags.mode == "validate";
  if (flags.json && !validates) {
    return complain(invalid("--json goes with --mode validate"), wrong_use);
  }
  log::set_source("proxy");
  log::set_level(level);
  if (!flags.log_path.empty()) {
    if (Result<> turned = log_to(flags.log_path); !turned) return complain(turned.fault());
  }
  const Result<xds::Examination> examination = checked(flags);
  if (!examination) {
    const bool no_config = flags.config_path.empty() && flags.config_yaml.empty();
    return complain(examination.fault(), no_config ? wrong_use : failed);
  }
  if (validates) return validated(flags, *examination);
  tell_errors(examination->errors);
  if (!examination->errors.empty()) return failed;
  tell_unhonoured(examination->bootstrap.unhonoured);
  if (Result<> sound = check_logs(examination->bootstrap); !sound) {
    return complain(std::move(sound).fault());
  }
  return serve(flags, examination->bootstrap);
}

// ── Flags ────────────────────────────────────────────────────────────────────────────────────────

void add_ignored(CLI::App& app, Options& flags) {
  const char* group = "Taken for Envoy's sake, without effect";
  for (const char* name :
       {"--component-log-level", "--log-format", "--base-id", "--restart-epoch",
        "--parent-shutdown-time-s", "--drain-strategy", "--local-address-ip-version",
        "--file-flush-min-size-kb", "--service-zone", "--hot-restart-version-cookie",
        "--socket-mode", "--socket-path", "--stats-tag", "--base-id-path"}) {
    app.add_option(name, flags.ignored)->group(group);
  }
  for (const char* name : {"--disable-hot-restart", "--skip-deprecated-logs", "--enable-core-dump",
                           "--use-dynamic-base-id", "--cpuset-threads", "--enable-mutex-tracing",
                           "--log-format-escaped", "--enable-fine-grain-logging",
                           "--ignore-unknown-dynamic-fields", "--log-stacktrace-single-entry",
                           "--skip-hot-restart-parent-stats", "--skip-hot-restart-on-no-parent"}) {
    app.add_flag(name, flags.flag_ignored)->group(group);
  }
}

void add_flags(CLI::App& app, Options& flags) {
  app.add_option("-c,--config-path", flags.config_path, "an Envoy bootstrap, YAML or JSON");
  app.add_option("--config-yaml", flags.config_yaml,
                 "the same as text; beside --config-path it is merged over the file");
  app.add_option("--concurrency", flags.concurrency,
                 "worker threads (default, and 0: one a hardware thread)")
      ->check(CLI::Range(0, 256));
  app.add_option("-l,--log-level", flags.log_level,
                 "trace, debug, info, warning, error, critical, off");
  app.add_option("--drain-time-s", flags.drain_seconds,
                 "the most that SIGTERM waits for what is on its way (default 20)");
  app.add_option("--drain-delay-ms", flags.drain_delay_milliseconds,
                 "after SIGTERM, how long new connections are still taken (default 1000)");
  app.add_option("--file-flush-interval-msec", flags.flush_milliseconds,
                 "how long an access log line may wait (default 500)");
  app.add_option("--service-cluster", flags.service_cluster, "node.cluster of the bootstrap");
  app.add_option("--service-node", flags.service_node, "node.id of the bootstrap");
  app.add_option("--mode", flags.mode,
                 "serve, or validate: tell all that is wrong with the configuration, or not "
                 "honoured, and exit")
      ->check(CLI::IsMember({"serve", "validate"}));
  app.add_flag("--allow-unknown-static-fields,--allow-unknown-fields", flags.allow_unknown_static,
               "list fields of the bootstrap that Envoy does not have, instead of refusing them");
  app.add_option("--accept-unhonoured", flags.accepted,
                 "fields of the bootstrap, by name or path (outlier_detection, "
                 "static_resources.clusters.outlier_detection; comma between them), that decide "
                 "where something goes or what is answered, are not built yet, and may be missing. "
                 "What protects (TLS, filters that can deny, limits) is refused always, what only "
                 "observes or tunes is listed")
      ->delimiter(',');
  app.add_flag("--json", flags.json, "with --mode validate: what was found, as JSON");
  app.add_option("--log-path", flags.log_path, "write the log to this file, not to standard error");
  app.add_flag("--reject-unknown-dynamic-fields", flags.reject_unknown_dynamic,
               "refuse (NACK) resources with fields that are not honoured");
  app.add_option("--admin-address-path", flags.admin_address_path,
                 "a file to write the admin port's address to");
  app.add_option("--last-good-path", flags.last_good,
                 "where the last good configuration is kept, to start from when control is not "
                 "there (default: CONFIG-PATH.last-good; none)");
  app.add_option("--mark", flags.mark,
                 "the mark of connections upstream: auto (unless run as user or group 1337, where "
                 "the system allows it), none, a number");
  add_ignored(app, flags);
}

}  // namespace

int run_proxy(const Arguments& arguments) {
  CLI::App app("Forwards HTTP/1.1 and TCP as an Envoy bootstrap file, or a control plane, says.",
               "fairlead proxy");
  Options flags;
  flags.arguments = arguments;
  app.set_version_flag("--version", "fairlead " FAIRLEAD_VERSION, "the version");
  add_flags(app, flags);
  if (const auto status = ended_by_arguments(app, arguments)) return *status;
  return act(flags);
}

}  // namespace fairlead::cli
