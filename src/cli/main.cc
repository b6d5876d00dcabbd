// fairlead: one program, one command a job. main() lists them all; nothing registers itself.
#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "cli/commands.h"

namespace fairlead::cli {

int dispatch(const Arguments& words);

namespace {

const std::vector<Command>& commands() {
  static const std::vector<Command> all{
      {"control", "the control plane over files: serve it, or ask it for its status", run_control},
      {"intercept", "take a pod's connections to its proxy: apply, show, check, remove",
       run_intercept},
      {"proxy", "forward HTTP and TCP, by Envoy's bootstrap file and flags", run_proxy},
      {"node", "a node's half: names by DNS, service addresses in the kernel", run_node},
      {"sample-app", "the sample service: answers who it is, and calls on", run_sample_app},
      {"path", "tell where a call goes, and why: every hop, the rule and the object behind it",
       run_path},
      {"witness", nullptr, run_witness},
      {"lab", "a small cluster on this machine: up, down, status, exec, logs, kill, ...", run_lab},
  };
  return all;
}

int usage(std::FILE* out) {
  std::fputs(
      "fairlead: a service mesh in one program, which shows the way a request goes\n\n"
      "usage: fairlead COMMAND [ARGUMENT...]     fairlead COMMAND --help tells more\n\n",
      out);
  for (const Command& command : commands()) {
    if (command.summary == nullptr) continue;
    std::fprintf(out, "  %-12s %s\n", command.name, command.summary);
  }
  std::fputs("  version      the version of this program\n", out);
  return out == stdout ? 0 : wrong_use;
}

int version(const Arguments& words) {
  if (words.empty()) {
    std::puts("fairlead " FAIRLEAD_VERSION);
    return 0;
  }
  if (words[0] == "--help" || words[0] == "-h" || words[0] == help_by_name) {
    std::puts("usage: fairlead version     prints the version of this program");
    return 0;
  }
  std::fprintf(stderr, "fairlead version: it takes no '%s'\n", words[0].c_str());
  return wrong_use;
}

bool asks_for_help(const std::string& word) {
  return word == "--help" || word == "-h" || word == "help";
}

// `help lab up` is `lab up --help`.
int help(Arguments words) {
  std::erase_if(words, asks_for_help);
  if (words.empty()) return usage(stdout);
  words.emplace_back(help_by_name);
  return dispatch(words);
}

}  // namespace

int dispatch(const Arguments& words) {
  if (words.empty()) return usage(stderr);
  const Arguments rest(words.begin() + 1, words.end());
  if (asks_for_help(words[0])) return help(rest);
  if (words[0] == "--version" || words[0] == "version") return version(rest);
  const auto found = std::find_if(commands().begin(), commands().end(),
                                  [&](const Command& command) { return words[0] == command.name; });
  if (found == commands().end()) {
    std::fprintf(stderr, "fairlead: there is no command '%s'\n\n", words[0].c_str());
    return usage(stderr);
  }
  return found->run(rest);
}

}  // namespace fairlead::cli

int main(int count, char** words) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed peer is an error value, not the end of the program
  return fairlead::cli::dispatch({words + 1, words + count});
}
