#include <fmt/ranges.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "base/near.h"
#include "cli/commands.h"
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
                   word->c_str(), did_you_mean(*word, names_of_inner(*command)).c_str());
      return wrong_use;
    }
    command = inner;
  }
  std::fputs(command->help(before).c_str(), stdout);
  return 0;
}

// In words of our own where the parser's leave the way on open.
std::string describe_wrong_use(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<std::string> inner = names_of_inner(app);
  const std::vector<std::string> extra = app.remaining(true);
  const bool names_none = app.get_subcommands().empty() && !inner.empty();
  if (names_none && !extra.empty() && !extra.front().starts_with('-')) {
    return fmt::format("there is no command '{}'{}", extra.front(),
                       did_you_mean(extra.front(), inner));
  }
  if (!extra.empty()) return fmt::format("it takes no '{}'", fmt::join(extra, " "));
  if (names_none && app.get_require_subcommand_min() > 0) {
    return fmt::format("say which of its commands: {}", fmt::join(inner, ", "));
  }
  constexpr std::string_view no_number = "Could not convert: ";
  const std::string_view said = error.what();
  if (!said.starts_with(no_number)) return std::string(said);
  return fmt::format("'{}' is no number that it takes", said.substr(no_number.size()));
}

int complain_of_use(const CLI::App& app, const std::string& what) {
  std::string command = app.get_name();
  for (const CLI::App* inner : app.get_subcommands()) command += " " + inner->get_name();
  std::fprintf(stderr, "%s: %s; %s --help tells more\n", command.c_str(), what.c_str(),
               command.c_str());
  return wrong_use;
}

std::optional<int> ended_by_arguments(CLI::App& app, const Arguments& arguments) {
  if (const auto status = helped_by_name(app, arguments)) return status;
  std::vector<std::string> backwards(arguments.rbegin(), arguments.rend());  // as CLI11 takes them
  try {
    app.parse(backwards);
  } catch (const CLI::ParseError& error) {
    const bool is_help = error.get_exit_code() == 0;
    return is_help ? app.exit(error) : complain_of_use(app, describe_wrong_use(app, error));
  }
  return std::nullopt;
}

Result<> check_files_exist(const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    if (::access(file.c_str(), F_OK) != 0) {
      return missing(fmt::format("--files names {}, which does not exist", file));
    }
  }
  return done();
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
