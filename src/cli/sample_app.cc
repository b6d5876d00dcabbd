// fairlead sample-app: the sample service, one process a pod.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "cli/commands.h"
#include "lab/app/app.h"

namespace fairlead::cli {
namespace {

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  if (!value) return {};
  return value;
}

constexpr const char* more =
    "\nWhat a request may ask for, in its query: call=URL (again for more; call=none), "
    "chain=HOST:PORT,HOST:PORT, delay=250ms, fail=0.2, status=503, bytes=1000, chunked=1.\n"
    "Without options the environment says who it is: APP_NAME, APP_VERSION, POD_NAME or HOSTNAME, "
    "POD_NAMESPACE, APP_CALLS, PORT.";

}  // namespace

int run_sample_app(const Arguments& arguments) {
  lab::app::AppSettings settings = lab::app::settings_from(environment);
  std::vector<std::uint16_t> ports;
  std::optional<std::vector<std::string>> calls;
  double drain = 5;

  CLI::App app("Answers HTTP with JSON: who it is, what came, and the calls that it made in turn.",
               "fairlead sample-app");
  app.footer(more);
  app.add_option("--port", ports, "answer HTTP here (default: $PORT, else 8080); may be repeated");
  app.add_option("--tcp-port", settings.tcp_ports, "send back what comes here; may be repeated");
  app.add_option("--service", settings.service, "its name (guessed from the pod's)");
  app.add_option("--version", settings.version, "its version (guessed from the pod's name)");
  app.add_option("--pod", settings.pod, "the pod's name");
  app.add_option("--call", calls, "call this URL for each request; may be repeated");
  app.add_option("--drain", drain, "seconds that requests in flight get after SIGTERM")
      ->check(CLI::Range(0.0, 3600.0));
  if (const auto status = ended_by_arguments(app, arguments)) return *status;
  if (!ports.empty()) settings.ports = ports;
  if (settings.ports.empty() && settings.tcp_ports.empty()) settings.ports = {8080};
  if (calls) settings.calls = *calls;
  settings.drain = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(drain));

  log::set_source("sample-app");
  const Result<> ended = lab::app::run_app(std::move(settings));
  if (ended) return 0;
  std::fprintf(stderr, "fairlead sample-app: %s\n", ended.fault().describe().c_str());
  return 1;
}

}  // namespace fairlead::cli
