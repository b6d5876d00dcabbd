// Every command of the program: one line here, one file beside it. The only place where shells
// meet.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace fairlead::cli {

// Arguments after the command's name. Returns the exit status: 0 well done, 1 the work failed,
// 2 wrong use (unless the command's own help says more).
using Arguments = std::vector<std::string>;
inline constexpr int wrong_use = 2;
inline constexpr int not_enforced = 4;
// With --strict: a policy that judges calls is not enforced.
inline constexpr const char* strict_help =
    "exit status 4 when a policy that would judge calls is not enforced";

inline constexpr const char* help_by_name = "--help-by-name";
// Stands behind the words of `fairlead help COMMAND WORD...`, each of which has to be a command of
// the one before.
[[nodiscard]] std::optional<int> helped_by_name(const CLI::App& app, const Arguments& arguments);
// Gives that help, if it is asked for, or says which word is no command.

[[nodiscard]] std::optional<int> ended_by_arguments(CLI::App& app, const Arguments& arguments);
// Reads the arguments. With a value, the command ends with this status: help was asked for and
// given, or the use was wrong and that has been said.

[[nodiscard]] std::string describe_wrong_use(const CLI::App& app, const CLI::ParseError& error);
// "it takes no 'x'", "there is no command 'aply'; near it: apply", "FROM is required"
int complain_of_use(const CLI::App& app, const std::string& what);
// Says it after the command's name, and where help is. Returns wrong_use.

void take_all_descriptors();
// As many files and connections as the hard limit allows: the soft one is mostly 1024, which one
// busy mesh reaches. For what serves; not for what starts other programs, who inherit it.

[[nodiscard]] Result<> check_files_exist(const std::vector<std::string>& files);
// Of --files. Fault: missing, with the first that does not exist.

inline constexpr const char* recursive_help = "with the folders inside folders, too";
void say_what_is_left(const std::vector<std::string>& paths);
// A word, on standard error, of folders inside those that are named: they are not read.
[[nodiscard]] std::vector<std::string> manifests_of(bool recursive,
                                                    const std::vector<std::string>& paths);
// What was named, as kubectl takes it: the folders inside too, as they are now, when that is asked
// for, else say_what_is_left().

struct Command {
  const char* name;
  const char* summary;  // one line of help; null: not told to people
  int (*run)(const Arguments& arguments);
};

int run_control(const Arguments& arguments);
int run_intercept(const Arguments& arguments);
int run_proxy(const Arguments& arguments);
int run_node(const Arguments& arguments);
int run_sample_app(const Arguments& arguments);
int run_path(const Arguments& arguments);
int run_witness(const Arguments& arguments);
int run_lab(const Arguments& arguments);

}  // namespace fairlead::cli
