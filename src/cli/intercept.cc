// fairlead intercept: puts a pod's capture rules into the kernel, shows them, proves them, removes
// them. The flags are those of istio-iptables.
#include <fmt/format.h>
#include <pwd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "intercept/install.h"
#include "intercept/settings.h"
#include "intercept/show.h"
#include "nft/render.h"

namespace fairlead::cli {
namespace {

constexpr int failed = 1;

struct Wishes {
  std::string action;  // apply, show, check, remove
  std::string netns;
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

// As istio-iptables: the user of $ENVOY_USER, where there is one of that name.
Result<> take_envoy_user(intercept::Settings& settings) {
  const char* name = std::getenv("ENVOY_USER");
  if (name == nullptr || *name == '\0') return done();
  const passwd* user = ::getpwnam(name);
  if (user == nullptr) {
    return missing(fmt::format("ENVOY_USER names the user '{}', who does not exist here", name));
  }
  settings.proxy_uids = {user->pw_uid};
  settings.proxy_gids = {user->pw_uid};
  return done();
}

Result<intercept::Settings> settings_from(const Wishes& wishes) {
  intercept::Settings settings;
  if (Result<> taken = take_envoy_user(settings); !taken) return std::move(taken).fault();
  for (const intercept::Option& option : intercept::options()) {
    const auto flag = wishes.flags.find(option.name);
    const char* variable = std::getenv(option.environment);
    if (flag == wishes.flags.end() && variable == nullptr) continue;
    const bool by_flag = flag != wishes.flags.end();
    Result<> set = option.set(settings, by_flag ? flag->second : variable);
    if (!set) {
      const std::string where = by_flag ? fmt::format("reading --{}", option.name)
                                        : fmt::format("reading ${}", option.environment);
      return std::move(set).fault().during(where);
    }
  }
  return settings;
}

// By owner where the owners exist, else by mark, and says so.
void choose_exemption(const Wishes& wishes, intercept::Settings& settings) {
  const bool by_owner = wishes.exemption == "owner" ||
                        (wishes.exemption == "auto" && intercept::owners_exist(settings));
  settings.exemption = by_owner ? intercept::Exemption::owner : intercept::Exemption::mark;
  if (by_owner || wishes.exemption != "auto") return;
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
      return "FAIL";
    case intercept::Probe::Outcome::untried:
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
  const auto probes = intercept::check((*installed)->table);
  if (!probes) return complain(probes.fault());
  int agreeing = 0;
  int differing = 0;
  for (const intercept::Probe& probe : *probes) {
    agreeing += probe.outcome == intercept::Probe::Outcome::agrees ? 1 : 0;
    differing += probe.outcome == intercept::Probe::Outcome::differs ? 1 : 0;
    std::printf("%-4s %s\n       the rules say: %s\n       seen:          %s\n",
                word_for(probe.outcome), probe.what.c_str(), probe.predicted.c_str(),
                probe.observed.c_str());
  }
  const char* verdict = differing > 0   ? "capture does not do what its rules say"
                        : agreeing == 0 ? "nothing could be proved: no connection could be tried"
                                        : "capture works";
  std::printf("%s; %s\n", verdict, intercept::describe_exemption((*installed)->table).c_str());
  return differing == 0 && agreeing > 0 ? 0 : failed;
}

int remove(nft::Kernel& kernel) {
  const Result<bool> removed = intercept::remove(kernel);
  if (!removed) return complain(removed.fault());
  std::puts(*removed ? "capture removed: nothing is left of it" : "there was nothing to remove");
  return 0;
}

int apply(nft::Kernel& kernel, const Wishes& wishes, const intercept::Settings& settings) {
  if (Result<> applied = intercept::apply(kernel, settings); !applied) {
    return complain(applied.fault());
  }
  const nft::Ruleset rules = intercept::capture_rules(settings);
  std::printf("capture in force: outbound TCP to port %d, inbound to port %d; %s\n",
              settings.outbound_port, settings.inbound_port,
              intercept::describe_exemption(rules.tables.front()).c_str());
  return wishes.run_validation ? check(kernel) : 0;
}

int show(nft::Kernel& kernel, const Wishes& wishes) {
  const auto installed = intercept::installed(kernel);
  if (!installed) return complain(installed.fault());
  if (!installed->has_value()) {
    std::puts(
        "nothing is captured here: there is no table fairlead-capture; "
        "a lab's pod is asked with: fairlead lab exec POD -- fairlead intercept show");
    return 0;
  }
  const auto& [table, readings] = **installed;
  const std::string text = wishes.iptables ? intercept::show_as_iptables(table, readings)
                                           : intercept::show(table, readings);
  std::fputs(text.c_str(), stdout);
  return 0;
}

int act(const Wishes& wishes) {
  Result<intercept::Settings> settings = settings_from(wishes);
  if (!settings) return complain(settings.fault(), wrong_use);
  const bool applies = wishes.action == "apply" && !wishes.cleanup_only;
  if (applies) choose_exemption(wishes, *settings);
  if (Result<> sound = intercept::check(*settings); !sound) {
    return complain(sound.fault(), wrong_use);
  }
  if (wishes.dry_run) {
    std::fputs(nft::render(intercept::capture_rules(*settings)).c_str(), stdout);
    return 0;
  }
  if (!wishes.netns.empty()) {
    if (Result<> entered = intercept::enter(wishes.netns); !entered) {
      return complain(entered.fault());
    }
  }
  Result<nft::Kernel> kernel = nft::Kernel::open();
  if (!kernel) return complain(kernel.fault());
  if (applies) return apply(*kernel, wishes, *settings);
  if (wishes.action == "show") return show(*kernel, wishes);
  if (wishes.action == "check") return check(*kernel);
  return remove(*kernel);
}

// ── flags ───────────────────────────────────────────────────────────────────────────────────────

void add_settings(CLI::App& command, Wishes& wishes) {
  for (const intercept::Option& option : intercept::options()) {
    std::string names = fmt::format("--{}", option.name);
    if (option.letter != 0) names = fmt::format("-{},{}", option.letter, names);
    const std::string help = fmt::format("{} [${}]", option.help, option.environment);
    const std::string name = option.name;
    CLI::Option* added = command.add_option_function<std::string>(
        names, [&wishes, name](const std::string& value) { wishes.flags[name] = value; }, help);
    added->type_name(option.is_switch ? "[true|false]" : "VALUE");
    if (option.is_switch) added->expected(0, 1)->default_str("true");
  }
}

void add_actions(CLI::App& app, Wishes& wishes) {
  const auto add = [&](const char* name, const char* what) {
    CLI::App* command = app.add_subcommand(name, what);
    command->callback([&wishes, name] { wishes.action = name; });
    command->add_option("--netns,--network-namespace", wishes.netns,
                        "the pod's network namespace: a pid, a path, or a name of `ip netns`");
    return command;
  };
  CLI::App* apply = add("apply", "put the rules into the kernel, in one step; may be run again");
  add_settings(*apply, wishes);
  apply
      ->add_option("--exemption", wishes.exemption,
                   "how the proxy is known: auto (by owner, where it exists), owner, mark")
      ->check(CLI::IsMember({"auto", "owner", "mark"}));
  apply->add_flag("-n,--dry-run", wishes.dry_run, "print the rules and change nothing");
  apply->add_flag("--run-validation", wishes.run_validation, "then check, as `check` does");
  apply->add_flag("--cleanup-only", wishes.cleanup_only, "remove instead");
  CLI::App* shows = add("show", "tell the rules in force, hop by hop");
  shows->add_flag("--iptables", wishes.iptables, "in the form of iptables -t nat -L -v -n");
  add("check", "prove the rules by connecting");
  add("remove", "take the rules out");
  app.require_subcommand(1);
}

}  // namespace

int run_intercept(const Arguments& arguments) {
  CLI::App app("Takes a pod's TCP connections to its proxy, by rules in the kernel.",
               "fairlead intercept");
  Wishes wishes;
  add_actions(app, wishes);
  if (const auto status = ended_by_arguments(app, arguments)) return *status;
  return act(wishes);
}

}  // namespace fairlead::cli
