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

std::vector<std::string> manifests_of(bool recursive, const std::vector<std::string>& paths) {
  if (recursive) return lab::with_inner_folders(paths);
  const std::string left = lab::describe_inner_folders(paths);
  if (!left.empty()) std::fprintf(stderr, "%s\n", left.c_str());
  return paths;
}

}  // namespace fairlead::cli
