#include <fmt/ranges.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "cli/commands.h"
#include "explain/near.h"
#include "lab/manifests.h"

namespace fairlead::cli {
namespace {

const CLI::App* inner_command(const CLI::App& command, const std::string& name) {
  const std::vector<const CLI::App*> inner = command.get_subcommands({});
  const auto found = std::find_if(inner.begin(), inner.end(),
                                  [&](const CLI::App* each) { return each->get_name() == name; });
  return found == inner.end() ? nullptr : *found;
}

std::vector<std::string> names_of_inner(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::App* each : command.get_subcommands({})) names.push_back(each->get_name());
  return names;
}

// "fairlead intercept has no command 'aply'; near it: apply". CLI11 says only that one is missing,
// or that a word was not expected.
std::optional<std::string> unknown_command(const CLI::App& app, const Arguments& arguments) {
  const std::vector<std::string> names = names_of_inner(app);
  if (arguments.empty() && app.get_require_subcommand_min() > 0) {
    return fmt::format("{}: say which of its commands: {}", app.get_name(), fmt::join(names, ", "));
  }
  if (names.empty() || arguments.empty() || arguments.front().starts_with('-') ||
      inner_command(app, arguments.front()) != nullptr) {
    return std::nullopt;
  }
  return app.get_name() + " has no command '" + arguments.front() + "'" +
         explain::did_you_mean(arguments.front(), names);
}

}  // namespace

std::optional<int> helped_by_name(const CLI::App& app, const Arguments& arguments) {
  if (arguments.empty() || arguments.back() != help_by_name) return std::nullopt;
  const CLI::App* command = &app;
  std::string before;
  for (auto word = arguments.begin(); word + 1 != arguments.end(); ++word) {
    const CLI::App* inner = inner_command(*command, *word);
    before += (before.empty() ? "" : " ") + command->get_name();
    if (inner == nullptr) {
      std::fprintf(stderr, "fairlead help: %s has no command '%s'%s\n", before.c_str(),
                   word->c_str(), explain::did_you_mean(*word, names_of_inner(*command)).c_str());
      return wrong_use;
    }
    command = inner;
  }
  std::fputs(command->help(before).c_str(), stdout);
  return 0;
}

std::optional<int> ended_by_arguments(CLI::App& app, const Arguments& arguments) {
  if (const auto status = helped_by_name(app, arguments)) return status;
  std::vector<std::string> backwards(arguments.rbegin(), arguments.rend());  // as CLI11 takes them
  try {
    app.parse(backwards);
  } catch (const CLI::ParseError& error) {
    if (const auto unknown = unknown_command(app, arguments)) {
      std::fprintf(stderr, "%s\n", unknown->c_str());
      return wrong_use;
    }
    return app.exit(error) == 0 ? 0 : wrong_use;
  }
  return std::nullopt;
}

void take_all_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  static_cast<void>(::setrlimit(RLIMIT_NOFILE, &limit));
}

void say_what_is_left(const std::vector<std::string>& paths) {
  const std::string left = lab::describe_inner_folders(paths);
  if (!left.empty()) std::fprintf(stderr, "%s\n", left.c_str());
}

std::vector<std::string> manifests_of(bool recursive, const std::vector<std::string>& paths) {
  if (recursive) return lab::with_inner_folders(paths);
  say_what_is_left(paths);
  return paths;
}

}  // namespace fairlead::cli
