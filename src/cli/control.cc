// fairlead control: the control plane over files, and what its proxies say to it.
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/lines.h"
#include "base/log.h"
#include "cli/commands.h"
#include "control/control.h"
#include "http/io/client.h"
#include "lab/paths.h"
#include "net/give_back.h"
#include "net/signals.h"
#include "registry/edit.h"
#include "registry/worlds.h"

namespace fairlead::cli {
namespace {

constexpr int failed = 1;
constexpr const char* usual_address = "127.0.0.1:8080";

struct Options {
  std::vector<std::string> files;
  bool recursive = false;
  bool strict = false;
  std::string http_address = usual_address;
  std::string grpc_address = "127.0.0.1:15010";
  std::string status_socket;
  std::string log_level = "info";
};

int complain(const Fault& fault, int status = failed) {
  std::fprintf(stderr, "fairlead control: %s\n", fault.describe().c_str());
  return status;
}

// ── serving ─────────────────────────────────────────────────────────────────────────────────────

Result<SocketAddress> address_from(const std::string& text, const char* option) {
  Result<SocketAddress> address = SocketAddress::parse(text);
  if (address.ok()) return address;
  return invalid(fmt::format("{} takes an address like 127.0.0.1:8080 or [::]:8080, not \"{}\"",
                             option, text));
}

// Says what is new: a world, what is broken and what is well again.
class Teller {
 public:
  void tell(registry::Worlds& worlds) {
    if (const auto removed = worlds.take_removed(); !removed.empty()) {
      log::info(registry::describe_removed(removed));
    }
    for (const std::string& broken : worlds.broken()) {
      if (std::find(broken_.begin(), broken_.end(), broken) == broken_.end()) {
        log::error(broken + (worlds.world() ? "; what was good last stays in force"
                                            : "; there is no world until this is mended"));
      }
    }
    if (!broken_.empty() && worlds.broken().empty()) log::info("all files can be read again");
    broken_ = worlds.broken();
    const mesh::WorldPointer& world = worlds.world();
    if (world == nullptr || world->version == version_) return;
    version_ = world->version;
    log::info(fmt::format("world {}: {}, {}", version_, counted(world->services.size(), "service"),
                          counted(world->workloads.size(), "workload")));
    if (const auto names = mesh::unenforced_policies(*world); !names.empty()) {
      log::warning(mesh::describe_unenforced(names));
    }
    tell_ignored(*world);
  }

 private:
  // What is new of it, and no more lines than somebody reads: the status has all.
  void tell_ignored(const mesh::World& world) {
    constexpr std::size_t most_lines = 20;
    std::unordered_set<std::string> ignored;
    std::size_t fresh = 0;
    for (const mesh::Ignored& one : world.ignored) {
      std::string line = fmt::format("ignored: {}{}{}: {}", one.origin.describe(),
                                     one.field.empty() ? "" : ", ", one.field, one.reason);
      if (!ignored_.contains(line) && fresh++ < most_lines) log::warning(line);
      ignored.insert(std::move(line));
    }
    if (fresh > most_lines) {
      log::warning(fmt::format("ignored: {} more; `fairlead control status` names them all",
                               fresh - most_lines));
    }
    ignored_ = std::move(ignored);
  }

  std::vector<std::string> broken_;
  std::unordered_set<std::string> ignored_;
  std::string version_;
};

Task<Result<>> until_told_to_stop(net::Signals& signals, control::Control& control) {
  Result<int> signal = co_await signals.next();
  if (!signal.ok()) co_return signal.fault();
  log::info("stopping");
  co_await control.close();
  co_return done();
}

Fault elsewhere(Fault fault, const char* option) {
  fault.message += fmt::format("; {} takes another one", option);
  return fault;
}

Result<> listen(control::Control& control, const Options& options) {
  Result<SocketAddress> http_at = address_from(options.http_address, "--http-address");
  if (http_at.ok()) http_at = control.listen_http(*http_at);
  if (!http_at.ok()) return elsewhere(http_at.fault(), "--http-address");
  Result<SocketAddress> grpc_at = address_from(options.grpc_address, "--grpc-address");
  if (grpc_at.ok()) grpc_at = control.listen_grpc(*grpc_at);
  if (!grpc_at.ok()) return elsewhere(grpc_at.fault(), "--grpc-address");
  if (!options.status_socket.empty()) {
    if (Result<> at = control.listen_status(options.status_socket); !at.ok()) return at;
  }
  log::info(fmt::format("registry and status on http://{}, discovery (gRPC) on {}", http_at->text(),
                        grpc_at->text()));
  return done();
}

// Why this world is not to be served; empty: it is.
std::string refusal_of(const Options& options, const mesh::WorldPointer& world) {
  if (!options.strict || world == nullptr) return {};
  const std::vector<std::string> names = mesh::unenforced_policies(*world);
  return names.empty() ? "" : "--strict: " + mesh::describe_unenforced(names);
}

int serve(const Options& options) {
  take_all_descriptors();
  log::set_source("control");
  log::Level level = log::Level::info;
  if (!log::level_from(options.log_level, level)) {
    return complain(invalid(fmt::format("there is no log level \"{}\"", options.log_level)),
                    wrong_use);
  }
  log::set_level(level);
  for (const auto& [text, option] : {std::pair(options.http_address, "--http-address"),
                                     std::pair(options.grpc_address, "--grpc-address")}) {
    if (const auto address = address_from(text, option); !address.ok()) {
      return complain(address.fault(), wrong_use);
    }
  }
  if (Result<> there = check_files_exist(options.files); !there.ok()) {
    return complain(there.fault(), wrong_use);
  }
  net::Loop loop;
  auto signals = net::Signals::watch(loop, {SIGTERM, SIGINT});
  if (!signals.ok()) return complain(signals.fault());
  control::Control control(loop);
  const net::GiveBack give_back(loop);
  Teller teller;
  std::unique_ptr<registry::Worlds> worlds;
  const auto changed = [&] {
    teller.tell(*worlds);
    const auto refused = refusal_of(options, worlds->world());
    if (refused.empty()) return control.use(worlds->world(), worlds->broken());
    // What is served goes on as it was.
    log::error(refused + "; the world before stays in force");
    std::vector<std::string> broken = worlds->broken();
    broken.push_back(refused);
    control.use(nullptr, std::move(broken));
  };
  // What --strict refuses is known before the ports open. Otherwise files are read beside the loop,
  // and whoever asks before the first world hears that there is none yet.
  using First = registry::Worlds::First;
  const First first = options.strict ? First::at_once : First::soon;
  auto watching = registry::Worlds::watch(loop, {options.files, options.recursive}, changed, first);
  if (!watching.ok()) return complain(watching.fault());
  worlds = std::move(*watching);
  if (first == First::at_once) {
    if (const auto refused = refusal_of(options, worlds->world()); !refused.empty()) {
      return complain(unsupported(refused), not_enforced);
    }
    changed();
  }
  if (Result<> listening = listen(control, options); !listening.ok()) {
    loop.run(control.close());
    return complain(listening.fault());
  }
  const Result<> ended = loop.run(until_told_to_stop(**signals, control));
  return ended.ok() ? 0 : complain(ended.fault());
}

// ── status ──────────────────────────────────────────────────────────────────────────────────────

Result<http::Endpoint> control_of_lab(const std::string& name) {
  const Result<lab::Found> found = lab::find_lab(name);
  if (!found.ok()) return found.fault();
  return http::Endpoint(found->paths.directory() + "/control.sock");
}

struct Asking {
  std::string address;  // empty, as the lab: that of the only lab, or the usual one without labs
  std::string lab;
  bool json = false;
};

Result<http::Endpoint> where_to_ask(const Asking& asking) {
  if (!asking.address.empty()) return http::Endpoint::parse(asking.address);
  const Result<std::vector<lab::Found>> labs = lab::living_labs();
  const bool no_lab = labs.ok() && labs->empty() && asking.lab.empty();
  return no_lab ? http::Endpoint::parse(usual_address) : control_of_lab(asking.lab);
}

int show_status(const Asking& asking) {
  Result<http::Endpoint> at = where_to_ask(asking);
  if (!at.ok()) return complain(at.fault(), asking.address.empty() ? failed : wrong_use);
  net::Loop loop;
  const Result<http::Answer> answer =
      loop.run(http::fetch(loop, *at, {.path = "/fairlead/status"}));
  if (!answer.ok()) {
    Fault fault = answer.fault();
    if (fault.kind == FaultKind::unreachable || fault.kind == FaultKind::missing) {
      fault.message += "; does `fairlead control` run there? --address or --name says where to ask";
    }
    return complain(fault);
  }
  if (answer->head.status != 200) {
    return complain(invalid(fmt::format("{} answered {}: this is no fairlead control", at->text(),
                                        answer->head.status)));
  }
  if (asking.json) {
    std::fputs(answer->body.c_str(), stdout);
    return 0;
  }
  const Result<std::string> text = control::describe_status(answer->body);
  if (!text.ok()) return complain(text.fault());
  std::fputs(text->c_str(), stdout);
  return 0;
}

}  // namespace

int run_control(const Arguments& arguments) {
  CLI::App app(
      "The control plane: reads files of Kubernetes' and Istio's objects, tells proxies by xDS\n"
      "what to do, and answers as a registry. Edits of the files are seen at once; a broken file\n"
      "keeps its last good version.");
  app.name("fairlead control");
  app.failure_message(CLI::FailureMessage::simple);
  Options options;
  app.add_option("--files", options.files, "files, and directories of *.yaml, *.yml and *.json")
      ->type_name("PATH...");
  app.add_flag("-R,--recursive", options.recursive, recursive_help);
  app.add_flag("--strict", options.strict,
               "serve no world with policies that are not enforced: exit status 4 at the start,\n"
               "later the world before stays");
  app.add_option("--http-address", options.http_address, "of the registry, status and readiness")
      ->capture_default_str()
      ->type_name("IP:PORT");
  app.add_option("--grpc-address", options.grpc_address, "of discovery (ADS)")
      ->capture_default_str()
      ->type_name("IP:PORT");
  app.add_option("--status-socket", options.status_socket,
                 "answer as on --http-address on this unix socket too")
      ->type_name("PATH");
  app.add_option("-l,--log-level", options.log_level, "trace, debug, info, warning, error, off")
      ->capture_default_str();

  Asking asking;
  CLI::App* status = app.add_subcommand(
      "status", "the newest world, and for each proxy what it acknowledged or why it refused");
  auto* address = status->add_option("--address", asking.address,
                                     "control's, IP:PORT or unix:PATH; 127.0.0.1:8080 "
                                     "when no lab is up");
  status
      ->add_option("--name", asking.lab, "the lab whose control to ask; the only one unless given")
      ->excludes(address);
  status->add_flag("--json", asking.json, "as control gives it");

  if (const auto ended = ended_by_arguments(app, arguments)) return *ended;
  if (status->parsed()) return show_status(asking);
  if (options.files.empty()) {
    return complain(invalid("--files is missing: files or directories of manifests"), wrong_use);
  }
  if (!options.recursive) say_what_is_left(options.files);
  return serve(options);
}

}  // namespace fairlead::cli
