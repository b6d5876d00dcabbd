// fairlead lab: a small cluster on this machine, made of namespaces, from ordinary Kubernetes
// manifests.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/json_text.h"
#include "base/lines.h"
#include "base/near.h"
#include "cli/commands.h"
#include "lab/client.h"
#include "lab/guardian.h"
#include "lab/ipc.h"
#include "lab/manifests.h"
#include "lab/options.h"
#include "lab/paths.h"
#include "lab/root.h"
#include "lab/screen.h"
#include "lab/status.h"
#include "lab/supervisor.h"
#include "registry/files.h"

namespace fairlead::cli {
namespace {

constexpr int failed = 1;
constexpr auto down_patience = std::chrono::seconds(45);

struct Options {
  std::string action;
  std::string name;  // of the lab; empty: the only one
  lab::Options options;
  bool detach = false;
  bool strict = false;
  bool json = false;
  std::string target;
  std::string name_space;  // of the target
  std::string container;
  std::vector<std::string> containers;  // of kill, which takes several
  std::vector<std::string> words;       // after --
  std::vector<std::string> files;
  bool recursive = false;
  bool interactive = false;
  bool terminal = false;
  bool privileged = false;
  bool follow = false;
  int tail = -1;
  std::string signal = "KILL";
  bool hold = false;
  std::string port;  // PORT, or LOCAL:PORT
  std::uint16_t local_port = 0;
};

int complain(const std::string& action, const Fault& fault, int status) {
  std::fprintf(stderr, "fairlead lab %s: %s\n", action.c_str(), fault.describe().c_str());
  return status;
}

// A name that is not there is wrong use, whatever it is the name of.
int complain(const std::string& action, const Fault& fault) {
  return complain(action, fault, fault.kind == FaultKind::missing ? wrong_use : failed);
}

Result<lab::Found> find(const Options& flags) {
  return lab::find_lab(flags.name);
}

std::string target_of(const Options& flags) {
  return flags.name_space.empty() ? flags.target : flags.name_space + "/" + flags.target;
}

void say(const std::string& line) {
  std::fprintf(stderr, "%s\n", line.c_str());
}

// Asks the lab, and waits for the answer.
Result<lab::Line> ask(const Options& flags, lab::Line line) {
  const Result<lab::Found> found = find(flags);
  if (!found) return found.fault();
  const Result<Descriptor> connection = lab::call(found->paths, line);
  if (!connection) return connection.fault();
  return lab::last_line(*connection, say);
}

int report(const Options& flags, const Result<lab::Line>& answer) {
  if (!answer) return complain(flags.action, answer.fault());
  return answer->value("status", failed);
}

// ── the actions ─────────────────────────────────────────────────────────────────────────────────

// Where a program that the command line names is: its absolute path.
Result<std::string> program_here(const std::string& word) {
  const char* path = std::getenv("PATH");
  std::error_code error;
  const std::string here = std::filesystem::current_path(error);
  return lab::find_program(word, path == nullptr ? "" : path, here);
}

std::vector<std::string> namespaces_of(const kube::Objects& objects) {
  std::set<std::string> names;
  for (const kube::Namespace& one : objects.namespaces) names.insert(one.metadata.name);
  const auto add = [&names](const auto& list) {
    for (const auto& one : list) names.insert(one.metadata.name_space);
  };
  add(objects.pods);
  add(objects.deployments);
  add(objects.stateful_sets);
  add(objects.daemon_sets);
  return {names.begin(), names.end()};
}

// A mistyped --inject would only show in sidecars that are not there.
Result<> check_namespaces(const std::vector<std::string>& inject, const kube::Objects& objects) {
  const std::vector<std::string> known = namespaces_of(objects);
  for (const std::string& name : inject) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    return missing(fmt::format("--inject {0}: these manifests have no namespace '{0}'{1}", name,
                               did_you_mean(name, known)));
  }
  return done();
}

// Why --strict makes no lab of these; empty: nothing keeps it from it.
std::string refusal_of(const std::vector<std::string>& files) {
  const Result<mesh::WorldPointer> world = registry::read_world_as_if_running(files);
  if (!world) return world.fault().message;
  const std::vector<std::string> names = mesh::unenforced_policies(**world);
  return names.empty() ? "" : "--strict: " + mesh::describe_unenforced(names);
}

int up(const Options& flags) {
  lab::Options options = flags.options;
  if (!flags.name.empty()) options.name = flags.name;
  if (Result<> sound = lab::check_name(options.name); !sound) {
    return complain("up", sound.fault(), wrong_use);
  }
  // Once out here, so that a mistake is told before anything is made.
  if (!options.envoy.empty()) {
    Result<std::string> program = program_here(options.envoy);
    if (!program) return complain("up", std::move(program).fault().during("reading --envoy"));
    options.envoy = *program;
  }
  if (const Result<lab::Images> images = lab::images_of(options); !images) {
    return complain("up", images.fault(), wrong_use);
  }
  const std::vector<std::string> files = manifests_of(flags.recursive, flags.files);
  const Result<kube::Reading> reading = lab::read_manifests(files);
  if (!reading) return complain("up", reading.fault());
  if (Result<> any = lab::check_holds_any(*reading); !any) return complain("up", any.fault());
  if (Result<> known = check_namespaces(options.inject, reading->objects); !known) {
    return complain("up", known.fault());
  }
  if (const std::string why = flags.strict ? refusal_of(files) : ""; !why.empty()) {
    return complain("up", unsupported(why), not_enforced);
  }
  (flags.recursive ? options.trees : options.manifests) = flags.files;
  return lab::bring_up(options, flags.detach);
}

int down(const Options& flags) {
  const Result<lab::Found> found = find(flags);
  if (!found) return complain("down", found.fault());
  const Result<Descriptor> connection = lab::call(found->paths, {{"command", "down"}});
  if (connection) {
    static_cast<void>(lab::last_line(*connection, say, down_patience).ok());
  } else if (found->record.guardian > 0) {
    ::kill(found->record.guardian, SIGTERM);
  }
  const auto began = std::chrono::steady_clock::now();
  while (lab::is_alive(found->paths)) {
    if (std::chrono::steady_clock::now() - began > down_patience) {
      if (found->record.guardian > 0) ::kill(found->record.guardian, SIGKILL);
      std::fprintf(stderr, "fairlead lab down: it did not end in time and was ended at once\n");
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  std::printf("lab %s is down\n", found->paths.name.c_str());
  return 0;
}

int list(const Options& flags) {
  const Result<std::vector<lab::Found>> labs = lab::living_labs();
  if (!labs) return complain("list", labs.fault());
  if (flags.json) {
    lab::Line all = lab::Line::array();
    for (const lab::Found& one : *labs) {
      all.push_back(lab::Line::parse(lab::to_json(one.record), nullptr, false));
    }
    std::printf("%s\n", json_text(all, 1).c_str());
    return 0;
  }
  if (labs->empty()) {
    say("no lab is up");
    return 0;
  }
  std::vector<std::vector<std::string>> rows{{"LAB", "NODES", "SINCE", "FROM"}};
  for (const lab::Found& one : *labs) {
    rows.push_back({one.paths.name, std::to_string(one.record.nodes.size()), one.record.started,
                    fmt::format("{}", fmt::join(one.record.manifests, " "))});
  }
  std::fputs(lab::table(rows).c_str(), stdout);
  return 0;
}

int status(const Options& flags) {
  const Result<lab::Line> answer = ask(flags, {{"command", "status"}});
  if (!answer) return complain("status", answer.fault());
  const lab::Line& all = answer->at("lab");
  const std::string text =
      flags.json ? json_text(all, 1) + "\n" : lab::describe_status(all, lab::columns_of_terminal());
  std::fputs(text.c_str(), stdout);
  return 0;
}

// A lab lives in the folder where it was brought up, which may be another one than this.
std::vector<std::string> absolute(const std::vector<std::string>& paths) {
  std::vector<std::string> all;
  all.reserve(paths.size());
  std::error_code error;
  for (const std::string& path : paths) all.push_back(std::filesystem::absolute(path, error));
  return all;
}

int apply(const Options& flags) {
  if (!flags.recursive) say_what_is_left(flags.files);
  return report(flags, ask(flags, {{"command", "apply"},
                                   {"files", absolute(flags.files)},
                                   {"recursive", flags.recursive}}));
}

int exec(const Options& flags) {
  if (flags.words.empty()) {
    return complain("exec", invalid("say what to run after --, as in: fairlead lab exec POD -- ls"),
                    wrong_use);
  }
  const Result<lab::Found> found = find(flags);
  if (!found) return complain("exec", found.fault());
  const Result<int> ended = lab::execute(found->paths, {.target = target_of(flags),
                                                        .container = flags.container,
                                                        .words = flags.words,
                                                        .interactive = flags.interactive,
                                                        .terminal = flags.terminal,
                                                        .privileged = flags.privileged});
  return ended ? *ended : complain("exec", ended.fault());
}

int logs(const Options& flags) {
  const Result<lab::Found> found = find(flags);
  if (!found) return complain("logs", found.fault());
  const Result<lab::Line> answer = ask(
      flags, {{"command", "find"}, {"target", target_of(flags)}, {"container", flags.container}});
  if (!answer) return complain("logs", answer.fault());
  if (answer->value("pods", 1) > 1) {
    std::fprintf(stderr, "%s is %s; this is %s/%s\n", flags.target.c_str(),
                 counted(answer->value("pods", std::size_t{1}), "pod").c_str(),
                 answer->value("namespace", "").c_str(), answer->value("pod", "").c_str());
  }
  const std::string pod = answer->value("pod", "");
  const Result<> printed =
      lab::print_log(found->paths, {.path = answer->value("log", ""),
                                    .container = answer->value("container", ""),
                                    .pod = pod.empty() ? ""
                                                       : answer->value("namespace", "") + "/" +
                                                             answer->value("kind", "") + "/" + pod,
                                    .follow = flags.follow,
                                    .last_lines = flags.tail});
  return printed ? 0 : complain("logs", printed.fault());
}

Result<int> signal_number(std::string name) {
  static const std::map<std::string, int> known{
      {"KILL", SIGKILL}, {"TERM", SIGTERM}, {"INT", SIGINT},   {"HUP", SIGHUP},
      {"STOP", SIGSTOP}, {"CONT", SIGCONT}, {"QUIT", SIGQUIT}, {"ABRT", SIGABRT},
      {"SEGV", SIGSEGV}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2}};
  if (name.starts_with("SIG")) name = name.substr(3);
  if (const auto found = known.find(name); found != known.end()) return found->second;
  const bool number =
      !name.empty() && name.size() <= 2 &&
      std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (number && std::stoi(name) >= 1 && std::stoi(name) <= SIGRTMAX) return std::stoi(name);
  return invalid(fmt::format(
      "'{}' is no signal: KILL, TERM, INT, HUP, STOP, CONT, ... or a number from 1 to {}", name,
      SIGRTMAX));
}

int kill(const Options& flags) {
  const Result<int> number = signal_number(flags.signal);
  if (!number) return complain("kill", number.fault(), wrong_use);
  return report(flags, ask(flags, {{"command", "kill"},
                                   {"target", target_of(flags)},
                                   {"containers", flags.containers},
                                   {"signal", *number},
                                   {"hold", flags.hold}}));
}

int restart(const Options& flags) {
  return report(flags, ask(flags, {{"command", "restart"}, {"target", target_of(flags)}}));
}

Result<std::uint16_t> port_number(const std::string& text) {
  std::uint16_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc() && rest == end && number > 0) return number;
  return invalid(
      fmt::format("'{}' is no port: expected PORT or LOCAL:PORT, from 1 to 65535", text));
}

struct Ports {
  std::uint16_t of_service = 0;  // its first
  std::uint16_t local = 0;       // a free one
};

// "80", or "8080:80" as kubectl's users write it.
Result<Ports> ports_of(const Options& flags) {
  Ports ports{.local = flags.local_port};
  if (flags.port.empty()) return ports;
  const std::size_t colon = flags.port.find(':');
  if (colon != std::string::npos) {
    const Result<std::uint16_t> local = port_number(flags.port.substr(0, colon));
    if (!local) return local.fault();
    ports.local = *local;
  }
  const Result<std::uint16_t> port =
      port_number(flags.port.substr(colon == std::string::npos ? 0 : colon + 1));
  if (!port) return port.fault();
  ports.of_service = *port;
  return ports;
}

int forward(const Options& flags) {
  const Result<Ports> ports = ports_of(flags);
  if (!ports) return complain("forward", ports.fault(), wrong_use);
  const Result<lab::Found> found = find(flags);
  if (!found) return complain("forward", found.fault());
  const Result<> forwarded =
      lab::forward(found->paths, target_of(flags), ports->of_service, ports->local);
  return forwarded ? 0 : complain("forward", forwarded.fault());
}

// ── flags ───────────────────────────────────────────────────────────────────────────────────────

// What comes after -- is no argument for the parser, and yet belongs to the use.
class WithCommand : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* app, std::string name) const override {
    std::string usage = CLI::Formatter::make_usage(app, std::move(name));
    usage.insert(usage.find_last_not_of('\n') + 1, " -- COMMAND [ARGUMENT...]");
    return usage;
  }
};

// A variable of a script that is not set must not mean the only lab: `down --name "$lab"`.
std::string check_name_given(const std::string& name) {
  return name.empty() ? "a lab's name was expected, and this is empty" : "";
}

std::string check_local_port(const std::string& text) {
  const bool sound = text == "0" || port_number(text).ok();
  return sound ? ""
               : fmt::format("'{}' is no port: expected 1 to 65535, or 0 for a free one", text);
}

class Flags {
 public:
  Flags(CLI::App& app, Options& flags) : app_(app), flags_(flags) {}

  void add_all() {
    app_.footer(
        "Exit status: 0 done; 1 it failed; 2 wrong use, as of a name that is not there: a lab's,\n"
        "a pod's, a container's, a service's, a file's. exec: its command's, or 128 and the\n"
        "number of the signal that ended it.");
    app_.add_option("--name", flags_.name, "which lab; may also follow the verb")
        ->check(CLI::Validator(check_name_given, ""));
    add_up();
    add_with_name("down", "end a lab: every process, namespace and rule of it");
    CLI::App* lists = app_.add_subcommand("list", "the labs that are up")->alias("ls");
    lists->callback([this] { flags_.action = "list"; });
    lists->add_flag("--json", flags_.json, "lab.json of each");
    add_with_name("status", "nodes, pods, containers, and what is not honoured")
        ->alias("ps")
        ->add_flag("--json", flags_.json, "the same for programs");
    CLI::App* applies = add("apply", "add manifests to a lab, or read them again");
    applies->add_flag("-R,--recursive", flags_.recursive, recursive_help);
    add_files(*applies, flags_.files);
    CLI::App* exec = add_with_target("exec", "run a command in a pod, a VM, a node or control");
    exec->formatter(std::make_shared<WithCommand>());
    exec->add_option("-c,--container", flags_.container, "which container");
    exec->add_flag("-i,--stdin", flags_.interactive,
                   "with this standard input, even if it is a terminal");
    exec->add_flag("-t,--tty", flags_.terminal, "with a terminal");
    exec->add_flag("--privileged", flags_.privileged,
                   "as root with all capabilities, which containers do not have");
    CLI::App* logs = add_with_target("logs", "what a container, control or a node's agent wrote");
    logs->add_option("-c,--container", flags_.container, "which container");
    logs->add_flag("-f,--follow", flags_.follow, "go on as it writes");
    logs->add_option("--tail", flags_.tail, "the last lines alone; -1: all")
        ->check(CLI::Range(-1, std::numeric_limits<int>::max()));
    CLI::App* kill = add_with_target("kill",
                                     "as a fault would: a whole pod, containers of it, "
                                     "control, or a node's agent");
    kill->add_option("-c,--container", flags_.containers,
                     "these containers alone, which then "
                     "start again; may be given again")
        ->allow_extra_args(false);  // what follows is the pod
    kill->add_option("-s,--signal", flags_.signal, "KILL unless given");
    kill->add_flag("--hold", flags_.hold, "control or an agent stays away until restart");
    add_with_target("restart",
                    "in an orderly way: a pod, a Deployment (one pod after the other), "
                    "control, a node's agent");
    CLI::App* forward = add("forward", "open a port of this machine to a service");
    forward->add_option("service", flags_.target, "SERVICE, NAMESPACE/SERVICE or svc/SERVICE")
        ->required();
    add_name_space(*forward);
    forward->add_option("port", flags_.port,
                        "PORT of the service, its first unless given; or LOCAL:PORT");
    forward->add_option("--local-port", flags_.local_port, "on 127.0.0.1; a free one unless given")
        ->check(CLI::Validator(check_local_port, ""));
    app_.require_subcommand(0, 1);
  }

 private:
  CLI::App* add_verb(const char* name, const char* what, const std::string& flag) {
    CLI::App* command = app_.add_subcommand(name, what);
    command->callback([this, name] { flags_.action = name; });
    command->add_option(flag, flags_.name, "which lab; the only one unless given")
        ->check(CLI::Validator(check_name_given, ""));
    return command;
  }

  CLI::App* add(const char* name, const char* what) { return add_verb(name, what, "--name"); }

  // The lab's name may also stand alone: `down demo`.
  CLI::App* add_with_name(const char* name, const char* what) {
    return add_verb(name, what, "--name,name");
  }

  // One option with two ways to be given, of which the help must not ask for both.
  static void add_files(CLI::App& command, std::vector<std::string>& files) {
    command
        .add_option("files,-f,--filename", files,
                    "files and folders of manifests, with or without -f")
        ->option_text("PATH...")
        ->required();
  }

  void add_name_space(CLI::App& command) {
    command.add_option("-n,--namespace", flags_.name_space, "of what is named; any unless given");
  }

  CLI::App* add_with_target(const char* name, const char* what) {
    CLI::App* command = add(name, what);
    command
        ->add_option("target", flags_.target,
                     "POD, NAMESPACE/POD, deploy/NAME, svc/NAME, ..., a VM, a node, or control")
        ->required();
    add_name_space(*command);
    return command;
  }

  void add_up() {
    CLI::App* up = app_.add_subcommand("up", "bring a lab up from manifests");
    lab::Options& options = flags_.options;
    up->callback([this] { flags_.action = "up"; });
    up->add_option("--name", flags_.name, "its name: 'lab' unless given")
        ->check(CLI::Validator(check_name_given, ""));
    up->add_flag("-d,--detach", flags_.detach, "come back when it is ready");
    up->add_flag("--strict", flags_.strict, strict_help);
    up->add_option("--nodes", options.nodes, "how many nodes")->check(CLI::Range(1, 200));
    up->add_option("--inject", inject_, "sidecars for these namespaces, or for all")
        ->allow_extra_args(false)
        ->delimiter(',');
    up->add_option("--image", options.images,
                   "IMAGE=COMMAND: what stands for an image; may be given again")
        ->allow_extra_args(false);
    up->add_option("--images", options.image_file, "a file of such lines");
    up->add_option("--envoy", options.envoy, "a real Envoy in the place of fairlead's proxies");
    up->add_flag_callback(
        "--no-mesh", [&options] { options.mesh = false; },
        "neither control nor nodes' agents: names and service addresses do not work");
    up->add_flag("-R,--recursive", flags_.recursive, recursive_help);
    add_files(*up, flags_.files);
    up->parse_complete_callback([this] { take_inject(); });
  }

  void take_inject() {
    for (const std::string& name : inject_) {
      if (name == "all") {
        flags_.options.inject_all = true;
      } else {
        flags_.options.inject.push_back(name);
      }
    }
  }

  CLI::App& app_;
  Options& flags_;
  std::vector<std::string> inject_;
};

struct Verb {
  int (*act)(const Options& flags);
  const char* needs = nullptr;  // what has to be named, by example
};

const std::map<std::string, Verb>& verbs() {
  static const std::map<std::string, Verb> all{{"up", {up, "FILE…"}},
                                               {"down", {down}},
                                               {"list", {list}},
                                               {"status", {status}},
                                               {"apply", {apply, "FILE…"}},
                                               {"exec", {exec, "POD -- ls"}},
                                               {"logs", {logs, "POD"}},
                                               {"kill", {kill, "POD"}},
                                               {"restart", {restart, "POD"}},
                                               {"forward", {forward, "SERVICE"}}};
  return all;
}

// As of every command, with a way on that fits the verb.
std::string describe_use(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<CLI::App*> given = app.get_subcommands();
  if (given.empty()) return describe_wrong_use(app, error);
  const std::string verb = given.front()->get_name();
  if (error.get_name() == "RequiredError") {
    return fmt::format("say what, as in: fairlead lab {} {}", verb, verbs().at(verb).needs);
  }
  const bool had_extra = !app.remaining(true).empty();
  const bool wants_dashes = verb == "exec" && had_extra;
  return describe_wrong_use(app, error) +
         (wants_dashes ? " here: a command comes after --, as in: fairlead lab exec POD -- ls"
                       : "");
}

}  // namespace

int run_lab(const Arguments& arguments) {
  // The lab's own first process, as guardian.cc calls it; no command for people.
  if (arguments.size() == 4 && arguments[0] == "inside") {
    return lab::run_inside(std::stoi(arguments[1]), std::stoi(arguments[2]), arguments[3]);
  }
  for (const auto& argument : arguments) {
    if (fits_json(std::string(argument))) continue;
    std::fprintf(
        stderr,
        "fairlead lab: the argument %s is not UTF-8, as names, files and commands of a lab "
        "have to be\n",
        json_text(lab::Line(argument)).c_str());
    return wrong_use;
  }
  CLI::App app(
      "A small cluster on this machine, from Kubernetes manifests: pods are network namespaces, "
      "containers are processes. It is no sandbox: what runs in it reads this machine's files.",
      "fairlead lab");
  Options flags;
  Flags parser(app, flags);
  parser.add_all();
  if (const auto status = helped_by_name(app, arguments)) return *status;
  const auto end = std::find(arguments.begin(), arguments.end(), "--");
  if (end != arguments.end()) flags.words.assign(end + 1, arguments.end());
  std::vector<std::string> words(std::make_reverse_iterator(end), arguments.rend());
  try {
    app.parse(words);
  } catch (const CLI::ParseError& error) {
    const bool is_help = error.get_exit_code() == 0;
    return is_help ? app.exit(error) : complain_of_use(app, describe_use(app, error));
  }
  if (flags.action.empty()) {
    std::fputs(app.help().c_str(), stderr);
    return wrong_use;
  }
  return verbs().at(flags.action).act(flags);
}

}  // namespace fairlead::cli
