#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/commands.h"
#include "lab/manifests.h"

namespace fairlead::cli {

std::optional<int> ended_by_arguments(CLI::App& app, const Arguments& arguments) {
  std::vector<std::string> backwards(arguments.rbegin(), arguments.rend());  // as CLI11 takes them
  try {
    app.parse(backwards);
  } catch (const CLI::ParseError& error) {
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
