// The program's own log: one line an event, to standard error. Not the access log.
#pragma once

#include <string_view>

namespace fairlead::log {

enum class Level { trace, debug, info, warning, error, off };

void set_level(Level level);
[[nodiscard]] Level level();
[[nodiscard]] bool level_from(std::string_view name, Level& level);
// Envoy's names: trace, debug, info, warning (or warn), error, critical, off.
[[nodiscard]] std::string_view name_of(Level level);

void set_source(std::string_view source);
// The word that each line carries: "proxy", "control", "node". Call once, before threads start.

void trace(std::string_view message);
void debug(std::string_view message);
void info(std::string_view message);
void warning(std::string_view message);
void error(std::string_view message);
// One line each: control characters in `message` are escaped (one_line.h), whoever wrote them.

}  // namespace fairlead::log
