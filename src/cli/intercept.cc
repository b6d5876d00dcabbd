// fairlead intercept: puts a pod's capture rules into the kernel, shows them, proves them, removes
// them. The flags are those of istio-iptables.
#include <fmt/format.h>
#include <pwd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "intercept/check.h"
#include "intercept/install.h"
#include "intercept/meaning.h"
#include "intercept/settings.h"
#include "intercept/show.h"
#include "lab/client.h"
#include "nft/render.h"

namespace fairlead::cli {
namespace {

constexpr int failed = 1;

struct Options {
  std::string action;  // apply, show, check, remove
  std::string pod;     // of show: a lab's
  std::string lab;     // which
  std::optional<std::string> netns;
  std::string exemption = "auto";
  std::map<std::string, std::string> flags;  // by the option's name
  bool dry_run = false;
  bool run_validation = false;
  bool cleanup_only = false;
  bool iptables = false;
};

int complain(const Fault& fault, int status = failed) {
  std::fprintf(stderr, "fairlead intercept: %s\n", fault.describe().c_str());
  return status;
}

// ── settings ────────────────────────────────────────────────────────────────────────────────────

// An empty variable counts as unset, as with istio-iptables. Null: unset.
const char* variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr || *value == '\0' ? nullptr : value;
}

// By flag or else by variable; empty when by neither.
std::optional<std::string> given(const Options& options, const intercept::Option& option) {
  const auto flag = options.flags.find(option.name);
  if (flag != options.flags.end()) return flag->second;
  const char* value = variable(option.environment);
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

bool is_given(const Options& options, const std::string& name) {
  for (const intercept::Option& option : intercept::options()) {
    if (option.name == name) return given(options, option).has_value();
  }
  return false;
}

// As istio-iptables: the user of $ENVOY_USER, where none is named by number.
Result<> take_envoy_user(const Options& options, intercept::Settings& settings) {
  const char* name = variable("ENVOY_USER");
  if (name == nullptr || is_given(options, "proxy-uid")) return done();
  const passwd* user = ::getpwnam(name);
  if (user == nullptr) {
    return missing(fmt::format("ENVOY_USER names the user '{}', who does not exist here", name));
  }
  settings.proxy_uids = {user->pw_uid};
  settings.proxy_gids = {user->pw_uid};
  return done();
}

Result<intercept::Settings> settings_from(const Options& options) {
  intercept::Settings settings;
  if (Result<> taken = take_envoy_user(options, settings); !taken) return std::move(taken).fault();
  for (const intercept::Option& option : intercept::options()) {
    const std::optional<std::string> value = given(options, option);
    if (!value) continue;
    Result<> set = option.set(settings, *value);
    if (!set) {
      const std::string where = options.flags.contains(option.name)
                                    ? fmt::format("reading --{}", option.name)
                                    : fmt::format("reading ${}", option.environment);
      return std::move(set).fault().during(where);
    }
  }
  return settings;
}

void say_what_the_mark_replaces(const Options& options) {
  for (const char* name : {"proxy-uid", "proxy-gid"}) {
    if (!is_given(options, name)) continue;
    std::fprintf(stderr,
                 "fairlead intercept: --%s has no effect with --exemption mark: the proxy is known "
                 "by its sockets' mark %#x alone\n",
                 name, intercept::proxy_mark);
  }
}

// By owner where the owners exist, else by mark, and says so.
void choose_exemption(const Options& options, intercept::Settings& settings) {
  const bool by_owner = options.exemption == "owner" ||
                        (options.exemption == "auto" && intercept::owners_exist(settings));
  settings.exemption = by_owner ? intercept::Exemption::owner : intercept::Exemption::mark;
  if (by_owner) return;
  if (options.exemption == "mark") {
    say_what_the_mark_replaces(options);
    return;
  }
  std::fprintf(stderr,
               "fairlead intercept: the proxy's user does not exist in this user namespace (see "
               "/proc/self/uid_map), so the proxy is known by its sockets' mark %#x instead\n",
               intercept::proxy_mark);
}

// ── actions ─────────────────────────────────────────────────────────────────────────────────────

const char* word_for(intercept::Probe::Outcome outcome) {
  switch (outcome) {
    case intercept::Probe::Outcome::agrees:
      return "ok";
    case intercept::Probe::Outcome::differs:
    case intercept::Probe::Outcome::altered:
      return "FAIL";
    case intercept::Probe::Outcome::untried:
    case intercept::Probe::Outcome::walked:
      return "--";
  }
  return "";
}

int check(nft::Kernel& kernel) {
  const auto installed = intercept::installed(kernel);
  if (!installed) return complain(installed.fault());
  if (!installed->has_value()) {
    std::puts("nothing is captured here: there is no table fairlead-capture");
    return failed;
  }
  const nft::Table& table = (*installed)->table;
  const std::vector<intercept::Probe> probes = intercept::check(table);
  for (const intercept::Probe& probe : probes) {
    std::printf("%-4s %s\n       the rules say: %s\n       seen:          %s\n",
                word_for(probe.outcome), probe.what.c_str(), probe.predicted.c_str(),
                probe.observed.c_str());
  }
  const intercept::Judgement judgement = intercept::judge(probes, table);
  std::puts(judgement.text.c_str());
  return judgement.proved ? 0 : failed;
}

int remove(nft::Kernel& kernel) {
  const Result<bool> removed = intercept::remove(kernel);
  if (!removed) return complain(removed.fault());
  std::puts(*removed ? "capture removed: nothing is left of it" : "there was nothing to remove");
  return 0;
}

int apply(nft::Kernel& kernel, const Options& options, const intercept::Settings& settings) {
  if (Result<> applied = intercept::apply(kernel, settings); !applied) {
    return complain(applied.fault());
  }
  const nft::Ruleset rules = intercept::capture_rules(settings);
  const nft::Table& table = rules.tables.front();
  const std::string taken = intercept::describe_capture(table);
  const std::string said = taken == "nothing"
                               ? "rules in force, by which nothing is captured, as was asked"
                               : "capture in force: " + taken;
  std::printf("%s; %s\n", said.c_str(), intercept::describe_exemption(table).c_str());
  return options.run_validation ? check(kernel) : 0;
}

int show(nft::Kernel& kernel, const Options& options) {
  const auto installed = intercept::installed(kernel);
  if (!installed) return complain(installed.fault());
  if (!installed->has_value()) {
    std::puts(
        "nothing is captured here: there is no table fairlead-capture; "
        "a lab's pod is asked with: fairlead intercept show POD");
    return 0;
  }
  const auto& [table, readings] = **installed;
  const std::string text = options.iptables ? intercept::show_as_iptables(table, readings)
                                            : intercept::show(table, readings);
  std::fputs(text.c_str(), stdout);
  return 0;
}

int print_removal() {
  std::printf("# also takes ::6 from lo, if it was given with the table of both families\n%s",
              intercept::removal().text().c_str());
  return 0;
}

int print_rules(const intercept::Settings& settings) {
  std::fputs(nft::render(intercept::capture_rules(settings)).c_str(), stdout);
  return 0;
}

Result<> enter_if_asked(const Options& options) {
  if (!options.netns) return done();
  if (!options.netns->empty()) return intercept::enter(*options.netns);
  return invalid(
      "--netns is empty (an unset variable of the shell?): name a pid, a path or a name");
}

bool removes(const Options& options) {
  return options.action == "remove" || options.cleanup_only;
}

int act_on_kernel(const Options& options, const intercept::Settings& settings) {
  const bool reads = options.action == "show" || options.action == "check";
  const Result<> allowed =
      intercept::may(reads ? "reading the kernel's rules" : "changing the kernel's rules");
  if (!allowed) return complain(allowed.fault());
  Result<nft::Kernel> kernel = nft::Kernel::open();
  if (!kernel) return complain(kernel.fault());
  if (options.action == "show") return show(*kernel, options);
  if (options.action == "check") return check(*kernel);
  return removes(options) ? remove(*kernel) : apply(*kernel, options, settings);
}

// Settings are read by that alone which uses them.
Result<intercept::Settings> settings_to_apply(const Options& options) {
  if (options.action != "apply" || removes(options)) return intercept::Settings{};
  Result<intercept::Settings> settings = settings_from(options);
  if (!settings) return settings;
  choose_exemption(options, *settings);
  if (Result<> sound = intercept::check(*settings); !sound) return std::move(sound).fault();
  return settings;
}

// The same command, beside the containers of a lab's pod: they may not read rules themselves.
int show_pod(const Options& options) {
  const Result<lab::Found> found = lab::find_lab(options.lab);
  if (!found)
    return complain(found.fault(), found.fault().kind == FaultKind::missing ? wrong_use : 1);
  lab::Execution what{
      .target = options.pod, .words = {"fairlead", "intercept", "show"}, .bare = true};
  if (options.iptables) what.words.emplace_back("--iptables");
  const Result<int> ended = lab::execute(found->paths, what);
  if (ended) return *ended;
  return complain(ended.fault(), ended.fault().kind == FaultKind::missing ? wrong_use : 1);
}

int act(const Options& options) {
  if (!options.pod.empty() && options.netns) {
    return complain(invalid("a lab's pod and --netns both say where: give one of them"), wrong_use);
  }
  if (!options.pod.empty()) return show_pod(options);
  const Result<intercept::Settings> settings = settings_to_apply(options);
  if (!settings) return complain(settings.fault(), wrong_use);
  if (Result<> entered = enter_if_asked(options); !entered) {
    return complain(entered.fault(), options.netns->empty() ? wrong_use : failed);
  }
  if (options.dry_run) return removes(options) ? print_removal() : print_rules(*settings);
  return act_on_kernel(options, *settings);
}

// ── flags ───────────────────────────────────────────────────────────────────────────────────────

void add_settings(CLI::App& command, Options& options) {
  for (const intercept::Option& option : intercept::options()) {
    std::string names = fmt::format("--{}", option.name);
    if (option.letter != 0) names = fmt::format("-{},{}", option.letter, names);
    const std::string help = fmt::format("{} [${}]", option.help, option.environment);
    const std::string name = option.name;
    CLI::Option* added = command.add_option_function<std::string>(
        names, [&options, name](const std::string& value) { options.flags[name] = value; }, help);
    added->type_name(option.is_switch ? "[true|false]" : "VALUE");
    if (option.is_switch) added->expected(0, 1)->default_str("true");
  }
}

void add_actions(CLI::App& app, Options& options) {
  const auto add = [&](const char* name, const char* what) {
    CLI::App* command = app.add_subcommand(name, what);
    command->callback([&options, name] { options.action = name; });
    command->add_option("--netns,--network-namespace", options.netns,
                        "the pod's network namespace: a pid, a path, or a name of `ip netns`");
    return command;
  };
  CLI::App* apply = add("apply", "put the rules into the kernel, in one step; may be run again");
  add_settings(*apply, options);
  apply
      ->add_option("--exemption", options.exemption,
                   "how the proxy is known: auto (by owner, where it exists), owner, mark")
      ->check(CLI::IsMember({"auto", "owner", "mark"}));
  apply->add_flag("-n,--dry-run", options.dry_run, "print the rules and change nothing");
  apply->add_flag("--run-validation", options.run_validation, "then check, as `check` does");
  apply->add_flag("--cleanup-only", options.cleanup_only, "remove instead");
  CLI::App* shows = add("show", "tell the rules in force, hop by hop");
  shows->add_flag("--iptables", options.iptables, "in the form of iptables -t nat -L -v -n");
  shows->add_option(
      "pod", options.pod,
      "POD, NAMESPACE/POD, deploy/NAME, ... of a lab; this very namespace unless given");
  shows->add_option("--name", options.lab, "which lab; the only one unless given");
  add("check", "prove the rules by connecting");
  add("remove", "take the rules out");
  app.require_subcommand(1);
}

}  // namespace

int run_intercept(const Arguments& arguments) {
  CLI::App app("Takes a pod's TCP connections to its proxy, by rules in the kernel.",
               "fairlead intercept");
  Options options;
  add_actions(app, options);
  if (const auto status = ended_by_arguments(app, arguments)) return *status;
  return act(options);
}

}  // namespace fairlead::cli
