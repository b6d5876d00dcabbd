#include "lab/readiness.h"

#include <fmt/format.h>

#include <string_view>
#include <variant>
#include <vector>

namespace fairlead::lab {
namespace {

using Kind = Readiness::Kind;

constexpr std::string_view start_error = "StartError: ";
constexpr int one_bad_start = 1;  // as of an app that did not find its database yet

bool has_failed(const kube::ContainerStatus& container) {
  const auto* ended = std::get_if<kube::Terminated>(&container.state);
  return ended != nullptr && (ended->exit_code != 0 || ended->signal != 0);
}

bool cannot_start(const kube::ContainerStatus& container) {
  const auto* waiting = std::get_if<kube::Waiting>(&container.state);
  return waiting != nullptr && waiting->reason == cannot_be_created;
}

bool crashes(const kube::ContainerStatus& container) {
  return !container.ready && container.restart_count > one_bad_start;
}

struct Sought {
  const kube::ContainerStatus* container = nullptr;
  const char* kind = "";
};

Sought seek(const kube::PodStatus& status, bool (*holds)(const kube::ContainerStatus&)) {
  for (const kube::ContainerStatus& one : status.init_containers) {
    if (holds(one)) return {&one, "init "};
  }
  for (const kube::ContainerStatus& one : status.containers) {
    if (holds(one)) return {&one, ""};
  }
  return {};
}

Readiness failed(const kube::PodStatus& status) {
  const Sought found = seek(status, has_failed);
  if (found.container == nullptr) return {.kind = Kind::hopeless, .why = "has failed"};
  const auto& ended = std::get<kube::Terminated>(found.container->state);
  return {.kind = Kind::hopeless,
          .why = fmt::format("has failed: its {}container {} {}", found.kind, found.container->name,
                             describe_ending(ended)),
          .container = found.container->name};
}

Readiness unable(const Sought& found) {
  const auto& waiting = std::get<kube::Waiting>(found.container->state);
  return {.kind = Kind::hopeless,
          .why = fmt::format("cannot start: its {}container {} (image {}): {}", found.kind,
                             found.container->name, found.container->image, waiting.message)};
}

Readiness crashing(const Sought& found) {
  return {.kind = Kind::waiting,
          .why = fmt::format("is not ready: its {}container {} crashes again and again", found.kind,
                             found.container->name),
          .container = found.container->name};
}

bool runs_unready(const kube::ContainerStatus& container) {
  return !container.ready && std::holds_alternative<kube::Running>(container.state);
}

// What keeps it from being ready is said by the condition itself.
Readiness unready(const kube::PodStatus& status, const std::string& why) {
  if (why.empty()) return {.kind = Kind::waiting, .why = "is not ready"};
  const Sought found = seek(status, runs_unready);
  return {.kind = Kind::waiting,
          .why = "is not ready: " + why,
          .container = found.container == nullptr ? "" : found.container->name};
}

}  // namespace

Readiness readiness_of(const kube::PodStatus& status) {
  if (status.phase == kube::PodPhase::succeeded) return {.kind = Kind::over};
  if (status.phase == kube::PodPhase::failed) return failed(status);
  const kube::Condition* ready = kube::find_condition(status.conditions, "Ready");
  if (ready != nullptr && ready->status == "True") return {.kind = Kind::ready};
  if (!status.message.empty()) {
    return {.kind = Kind::hopeless, .why = "cannot start: " + status.message};
  }
  if (const Sought found = seek(status, cannot_start); found.container != nullptr) {
    return unable(found);
  }
  if (const Sought found = seek(status, crashes); found.container != nullptr) {
    return crashing(found);
  }
  return unready(status, ready == nullptr ? "" : ready->message);
}

std::string start_trouble(const kube::Terminated& ended) {
  return ended.reason.starts_with(start_error) ? ended.reason.substr(start_error.size()) : "";
}

std::string describe_ending(const kube::Terminated& ended) {
  const std::string trouble = start_trouble(ended);
  if (!trouble.empty()) return "cannot start: " + trouble;
  if (ended.signal != 0) return fmt::format("was ended by signal {}", ended.signal);
  return fmt::format("ended with {}", ended.exit_code);
}

}  // namespace fairlead::lab
