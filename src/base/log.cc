#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <string>

#include "base/one_line.h"

namespace fairlead::log {
namespace {

spdlog::level::level_enum level_of(Level level) {
  switch (level) {
    case Level::trace:
      return spdlog::level::trace;
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warning:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
    case Level::off:
      return spdlog::level::off;
  }
  return spdlog::level::info;
}

std::shared_ptr<spdlog::logger> make(const std::string& source) {
  auto logger =
      std::make_shared<spdlog::logger>(source, std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %n: %v", spdlog::pattern_time_type::utc);
  return logger;
}

std::shared_ptr<spdlog::logger>& logger() {
  static std::shared_ptr<spdlog::logger> the = make("fairlead");
  return the;
}

// Messages quote what peers and files say. Here, where all of them pass, none of that can begin a
// line of its own.
void write(spdlog::level::level_enum level, std::string_view message) {
  if (!logger()->should_log(level)) return;
  if (is_one_line(message)) {
    logger()->log(level, "{}", message);
  } else {
    logger()->log(level, "{}", one_line(message));
  }
}

}  // namespace

void set_level(Level level) {
  logger()->set_level(level_of(level));
}

Level level() {
  for (const Level one : {Level::trace, Level::debug, Level::info, Level::warning, Level::error}) {
    if (level_of(one) == logger()->level()) return one;
  }
  return Level::off;
}

std::string_view name_of(Level level) {
  switch (level) {
    case Level::trace:
      return "trace";
    case Level::debug:
      return "debug";
    case Level::info:
      return "info";
    case Level::warning:
      return "warning";
    case Level::error:
      return "error";
    case Level::off:
      return "off";
  }
  return "info";
}

bool level_from(std::string_view name, Level& level) {
  if (name == "trace")
    level = Level::trace;
  else if (name == "debug")
    level = Level::debug;
  else if (name == "info")
    level = Level::info;
  else if (name == "warning" || name == "warn")
    level = Level::warning;
  else if (name == "error" || name == "critical")
    level = Level::error;
  else if (name == "off")
    level = Level::off;
  else
    return false;
  return true;
}

void set_source(std::string_view source) {
  const auto level = logger()->level();
  logger() = make(std::string(source));
  logger()->set_level(level);
}

void trace(std::string_view message) {
  write(spdlog::level::trace, message);
}
void debug(std::string_view message) {
  write(spdlog::level::debug, message);
}
void info(std::string_view message) {
  write(spdlog::level::info, message);
}
void warning(std::string_view message) {
  write(spdlog::level::warn, message);
}
void error(std::string_view message) {
  write(spdlog::level::err, message);
}

}  // namespace fairlead::log
