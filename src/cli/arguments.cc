#include <CLI/CLI.hpp>

#include "cli/commands.h"

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

}  // namespace fairlead::cli
