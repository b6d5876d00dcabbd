#include "kube/inject.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>
#include <utility>

#include "base/capture_words.h"

namespace fairlead::kube {
namespace {

constexpr const char* namespace_label = "istio-injection";
constexpr const char* istio_word = "sidecar.istio.io/inject";
constexpr const char* our_word = "fairlead/inject";
constexpr std::uint16_t health_port = 15021;
constexpr std::uint16_t metrics_port = 15090;
// Istio's own list, and the namespace of our control plane.
constexpr std::array system_namespaces{"kube-system", "kube-public", "kube-node-lease",
                                       "istio-system", "fairlead-system"};

std::string value_of(const StringMap& map, const char* key) {
  const auto found = map.find(key);
  return found == map.end() ? std::string() : found->second;
}

bool is_yes(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return text == "true" || text == "yes" || text == "y" || text == "on";
}

bool is_system(const std::string& name_space) {
  return std::find(system_namespaces.begin(), system_namespaces.end(), name_space) !=
         system_namespaces.end();
}

bool has_proxy(const Pod& pod) {
  const auto is_proxy = [](const Container& container) {
    return container.name == proxy_container_name;
  };
  return std::any_of(pod.spec.containers.begin(), pod.spec.containers.end(), is_proxy) ||
         std::any_of(pod.spec.init_containers.begin(), pod.spec.init_containers.end(), is_proxy);
}

std::vector<std::string> capture_command(const Pod& pod, const InjectSettings& settings) {
  std::vector<std::string> command = settings.capture_command;
  for (const CaptureWord& word : capture_words) {
    const auto given = pod.metadata.annotations.find(
        fmt::format("{}{}", capture_annotation_prefix, word.annotation));
    if (given == pod.metadata.annotations.end()) continue;
    command.push_back(fmt::format("--{}", word.flag));
    command.push_back(word.flag_value(given->second));
  }
  return command;
}

EnvironmentVariable field(const char* name, const char* path) {
  return {.name = name, .value = FieldReference{path}};
}

Container capture_container(const Pod& pod, const InjectSettings& settings) {
  Container container;
  container.name = init_container_name;
  container.image = settings.image;
  container.command = capture_command(pod, settings);
  container.security.run_as_user = 0;
  container.security.run_as_group = 0;
  container.security.add_capabilities = {"NET_ADMIN", "NET_RAW"};
  return container;
}

Container proxy_container(const std::string& kind, const InjectSettings& settings) {
  Container container;
  container.name = proxy_container_name;
  container.image = kind == "envoy" ? "envoy" : settings.image;
  container.command = kind == "envoy" ? settings.envoy_command : settings.proxy_command;
  container.env = {field("POD_NAME", "metadata.name"), field("POD_NAMESPACE", "metadata.namespace"),
                   field("INSTANCE_IP", "status.podIP"),
                   field("SERVICE_ACCOUNT", "spec.serviceAccountName")};
  container.ports = {{.name = "http-envoy-prom", .port = metrics_port, .protocol = Protocol::tcp}};
  const HttpAction healthy{.path = "/healthz/ready", .port = {.number = health_port}};
  container.startup_probe =
      Probe{.action = healthy, .period_seconds = 1, .timeout_seconds = 3, .failure_threshold = 600};
  container.readiness_probe =
      Probe{.action = healthy, .period_seconds = 15, .timeout_seconds = 3, .failure_threshold = 4};
  container.security.run_as_user = proxy_user;
  container.security.run_as_group = proxy_user;
  return container;
}

}  // namespace

InjectDecision should_inject(const Pod& pod, const Namespace* name_space,
                             const InjectSettings& settings) {
  const std::string& where = pod.metadata.name_space;
  const StringMap no_labels;
  const StringMap& around = name_space != nullptr ? name_space->metadata.labels : no_labels;
  if (pod.spec.host_network) return {false, "it uses its node's network"};
  if (is_system(where)) return {false, fmt::format("{} is a system namespace", where)};
  if (has_proxy(pod)) return {false, "it has a sidecar already"};
  const std::string injection = value_of(around, namespace_label);
  if (injection == "disabled") {
    return {false, fmt::format("namespace {} has {}=disabled", where, namespace_label)};
  }
  const std::string ours = value_of(around, our_word);
  if (!ours.empty() && !is_yes(ours)) {
    return {false, fmt::format("namespace {} has {}={}", where, our_word, ours)};
  }
  for (const char* word : {our_word, istio_word}) {
    const std::string said = value_of(pod.metadata.labels, word);
    if (!said.empty()) return {is_yes(said), fmt::format("its label {} is {}", word, said)};
  }
  const std::string noted = value_of(pod.metadata.annotations, istio_word);
  if (!noted.empty() && !is_yes(noted)) {
    return {false, fmt::format("its annotation {} is {}", istio_word, noted)};
  }
  if (injection == "enabled") {
    return {true, fmt::format("namespace {} has {}=enabled", where, namespace_label)};
  }
  if (is_yes(ours)) return {true, fmt::format("namespace {} has {}={}", where, our_word, ours)};
  if (settings.all) return {true, "--inject all"};
  if (settings.namespaces.contains(where)) return {true, "--inject " + where};
  return {false, fmt::format("namespace {} asks for no sidecars", where)};
}

Result<> inject(Pod& pod, const InjectSettings& settings) {
  std::string kind = value_of(pod.metadata.annotations, proxy_kind_annotation);
  if (kind.empty()) kind = settings.default_proxy;
  if (kind != "fairlead" && kind != "envoy") {
    return invalid(fmt::format("{}: annotation {}: '{}' is no proxy: fairlead or envoy is expected",
                               pod.metadata.origin.describe(), proxy_kind_annotation, kind));
  }
  pod.spec.init_containers.insert(pod.spec.init_containers.begin(),
                                  capture_container(pod, settings));
  pod.spec.containers.insert(pod.spec.containers.begin(), proxy_container(kind, settings));
  pod.metadata.annotations[proxy_kind_annotation] = kind;
  pod.metadata.annotations[injected_annotation] =
      R"({"initContainers":["istio-init"],"containers":["istio-proxy"]})";
  return done();
}

}  // namespace fairlead::kube
