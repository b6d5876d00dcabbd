// fairlead sample-app: the sample service, one process a pod.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
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

int complain(const Fault& fault, int status) {
  std::fprintf(stderr, "fairlead sample-app: %s\n", fault.describe().c_str());
  return status;
}

// As in the environment, so that no call fails later for a reason that is known now.
std::string check_call(const std::string& url) {
  const Result<lab::app::CallTarget> target = lab::app::target_of(url);
  return target ? "" : target.fault().describe();
}

int serve(lab::app::AppSettings settings) {
  log::set_source("sample-app");
  const Result<> ended = lab::app::run_app(std::move(settings));
  return ended ? 0 : complain(ended.fault(), 1);
}

}  // namespace

int run_sample_app(const Arguments& arguments) {
  // A fault in it is told after --help has been.
  const Result<lab::app::AppSettings> told = lab::app::settings_from(environment);
  lab::app::AppSettings settings = told ? *told : lab::app::AppSettings();
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
  app.add_option("--call", calls, "call this URL for each request; may be repeated")
      ->check(CLI::Validator(check_call, "URL"));
  app.add_option("--drain", drain, "seconds that requests in flight get after SIGTERM")
      ->check(CLI::Range(0.0, 3600.0));
  if (const auto status = ended_by_arguments(app, arguments)) return *status;
  if (!told) return complain(told.fault(), wrong_use);
  if (!ports.empty()) settings.ports = ports;
  if (settings.ports.empty() && settings.tcp_ports.empty()) settings.ports = {8080};
  if (calls) settings.calls = *calls;
  settings.drain = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(drain));
  return serve(std::move(settings));
}

}  // namespace fairlead::cli
