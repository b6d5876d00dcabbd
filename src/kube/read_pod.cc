// Pods and what is in them.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "kube/reader.h"

namespace fairlead::kube {
namespace {

constexpr int most_seconds = 1'000'000'000;

template <class Security>
void read_security(Security& scope, SecurityContext& into) {
  scope.integer("runAsUser", into.run_as_user, 0, INT32_MAX);
  scope.integer("runAsGroup", into.run_as_group, 0, INT32_MAX);
}

// ── environment ─────────────────────────────────────────────────────────────────────────────────

void read_field_reference(Reader& reader, const document::Node& node, std::string& into) {
  Scope scope(reader, node, "ObjectFieldSelector");
  scope.required("fieldPath", into, field_path);
}

KeyReference read_key_reference(Reader& reader, const document::Node& node,
                                KeyReference::Source source) {
  Scope scope(reader, node, "KeySelector");
  KeyReference into;
  into.source = source;
  scope.required("name", into.name, dns_name);
  scope.required("key", into.key, file_key);
  scope.boolean("optional", into.optional);
  return into;
}

// False when the source is one that is not honoured: the variable is then left out.
bool read_variable_source(Reader& reader, const document::Node& node, EnvironmentVariable& into) {
  Scope scope(reader, node, "EnvVarSource");
  const document::Node field = scope.take("fieldRef");
  const document::Node config_map = scope.take("configMapKeyRef");
  const document::Node secret = scope.take("secretKeyRef");
  const int given = int{field.given()} + int{config_map.given()} + int{secret.given()};
  if (given > 1 || node.size() == 0) {
    reader.fail(node.expected("exactly one of fieldRef, configMapKeyRef and secretKeyRef"));
  }
  if (field.given()) {
    FieldReference reference;
    read_field_reference(reader, field, reference.path);
    into.value = std::move(reference);
  } else if (config_map.given()) {
    into.value = read_key_reference(reader, config_map, KeyReference::Source::config_map);
  } else if (secret.given()) {
    into.value = read_key_reference(reader, secret, KeyReference::Source::secret);
  }
  return given > 0;
}

void read_variable(Reader& reader, const document::Node& node, Container& into) {
  Scope scope(reader, node, "EnvVar");
  EnvironmentVariable variable;
  scope.required("name", variable.name, variable_name);
  std::string text;
  scope.text("value", text);
  const document::Node source = scope.take("valueFrom");
  if (!source.given()) {
    variable.value = std::move(text);
  } else {
    if (!text.empty()) reader.fail(source.refused("not both value and valueFrom"));
    if (!read_variable_source(reader, source, variable)) return;
  }
  into.env.push_back(std::move(variable));
}

void read_environment_source(Reader& reader, const document::Node& node, Container& into) {
  Scope scope(reader, node, "EnvFromSource");
  EnvironmentSource source;
  scope.text("prefix", source.prefix);
  const document::Node config_map = scope.take("configMapRef");
  const document::Node secret = scope.take("secretRef");
  if (config_map.given() == secret.given()) {
    return reader.fail(node.expected("exactly one of configMapRef and secretRef"));
  }
  if (secret.given()) source.source = KeyReference::Source::secret;
  Scope reference(reader, secret.given() ? secret : config_map, "EnvSourceReference");
  reference.required("name", source.name, dns_name);
  reference.boolean("optional", source.optional);
  into.env_from.push_back(std::move(source));
}

// ── probes and hooks ────────────────────────────────────────────────────────────────────────────

HttpAction read_http_action(Reader& reader, const document::Node& node) {
  Scope scope(reader, node, "HTTPGetAction");
  HttpAction action;
  scope.text("path", action.path);
  if (action.path.empty() || action.path.front() != '/') action.path.insert(0, "/");
  scope.port_reference("port", action.port, port_name);
  if (!action.port.given()) {
    reader.fail(node.get("port").expected("a port from 1 to 65535, or a port's name"));
  }
  scope.text("host", action.host);
  scope.choice<bool>("scheme", action.https, {{"HTTP", false}, {"HTTPS", true}});
  scope.each("httpHeaders", [&](const document::Node& item) {
    Scope header(reader, item, "HTTPHeader");
    std::pair<std::string, std::string> pair;
    header.required("name", pair.first, not_empty);
    header.text("value", pair.second);
    action.headers.push_back(std::move(pair));
  });
  return action;
}

TcpAction read_tcp_action(Reader& reader, const document::Node& node) {
  Scope scope(reader, node, "TCPSocketAction");
  TcpAction action;
  scope.port_reference("port", action.port, port_name);
  if (!action.port.given()) {
    reader.fail(node.get("port").expected("a port from 1 to 65535, or a port's name"));
  }
  scope.text("host", action.host);
  return action;
}

ExecAction read_exec_action(Reader& reader, const document::Node& node) {
  Scope scope(reader, node, "ExecAction");
  ExecAction action;
  scope.strings("command", action.command);
  if (action.command.empty()) {
    reader.fail(node.get("command").expected("a command, as a list of words"));
  }
  return action;
}

void read_probe(Scope& container, const char* name, bool once, std::optional<Probe>& into) {
  const document::Node node = container.take(name);
  if (!node.given()) return;
  Reader& reader = container.reader();
  Scope scope(reader, node, "Probe");
  Probe probe;
  const document::Node http = scope.take("httpGet");
  const document::Node tcp = scope.take("tcpSocket");
  const document::Node exec = scope.take("exec");
  const bool grpc = node.get("grpc").given();
  const int given = int{http.given()} + int{tcp.given()} + int{exec.given()} + int{grpc};
  if (given != 1) {
    return reader.fail(node.expected("exactly one of httpGet, tcpSocket, exec and grpc"));
  }
  if (http.given()) probe.action = read_http_action(reader, http);
  if (tcp.given()) probe.action = read_tcp_action(reader, tcp);
  if (exec.given()) probe.action = read_exec_action(reader, exec);
  scope.integer("initialDelaySeconds", probe.initial_delay_seconds, 0, most_seconds);
  scope.integer("periodSeconds", probe.period_seconds, 1, most_seconds);
  scope.integer("timeoutSeconds", probe.timeout_seconds, 1, most_seconds);
  scope.integer("successThreshold", probe.success_threshold, 1, once ? 1 : most_seconds);
  scope.integer("failureThreshold", probe.failure_threshold, 1, most_seconds);
  if (!grpc) into = std::move(probe);
}

void read_hook(Reader& reader, const document::Node& node, std::optional<Hook>& into) {
  if (!node.given()) return;
  Scope scope(reader, node, "LifecycleHandler");
  const document::Node exec = scope.take("exec");
  const document::Node http = scope.take("httpGet");
  const document::Node tcp = scope.take("tcpSocket");
  const document::Node sleep = scope.take("sleep");
  if (int{exec.given()} + int{http.given()} + int{tcp.given()} + int{sleep.given()} != 1) {
    return reader.fail(node.expected("exactly one of exec, httpGet, tcpSocket and sleep"));
  }
  if (exec.given()) into = read_exec_action(reader, exec);
  if (http.given()) into = read_http_action(reader, http);
  if (tcp.given()) into = read_tcp_action(reader, tcp);
  if (sleep.given()) {
    Scope seconds(reader, sleep, "SleepAction");
    SleepAction action;
    seconds.integer("seconds", action.seconds, 0, most_seconds);
    into = action;
  }
}

// ── containers ──────────────────────────────────────────────────────────────────────────────────

void read_container_port(Reader& reader, const document::Node& node, Container& into) {
  Scope scope(reader, node, "ContainerPort");
  ContainerPort port;
  scope.text("name", port.name, port_name);
  scope.required_port("containerPort", port.port);
  read_protocol(scope, port.protocol);
  for (const ContainerPort& other : into.ports) {
    if (!port.name.empty() && other.name == port.name) {
      reader.fail(node.get("name").refused(
          fmt::format("two ports of one container are named \"{}\"", port.name)));
    }
  }
  into.ports.push_back(std::move(port));
}

void read_mount(Reader& reader, const document::Node& node, Container& into) {
  Scope scope(reader, node, "VolumeMount");
  VolumeMount mount;
  scope.required("name", mount.name, not_empty);
  scope.required("mountPath", mount.path, not_empty);
  scope.text("subPath", mount.sub_path);
  scope.boolean("readOnly", mount.read_only);
  if (("/" + mount.sub_path + "/").find("/../") != std::string::npos ||
      (!mount.sub_path.empty() && mount.sub_path.front() == '/')) {
    reader.fail(node.get("subPath").expected("a relative path without .."));
  }
  for (const VolumeMount& other : into.volume_mounts) {
    if (other.path == mount.path) {
      reader.fail(node.get("mountPath")
                      .refused(fmt::format("two volumes are mounted at \"{}\"", mount.path)));
    }
  }
  into.volume_mounts.push_back(std::move(mount));
}

void read_container(Reader& reader, const document::Node& node, bool init, Container& into) {
  Scope scope(reader, node, "Container");
  scope.required("name", into.name, dns_label);
  scope.required("image", into.image, not_empty);
  scope.strings("command", into.command);
  scope.strings("args", into.args);
  scope.text("workingDir", into.working_dir);
  scope.each("env", [&](const document::Node& item) { read_variable(reader, item, into); });
  scope.each("envFrom",
             [&](const document::Node& item) { read_environment_source(reader, item, into); });
  scope.each("ports", [&](const document::Node& item) { read_container_port(reader, item, into); });
  scope.each("volumeMounts", [&](const document::Node& item) { read_mount(reader, item, into); });
  if (const document::Node policy = scope.take("restartPolicy"); policy.given()) {
    if (!init)
      reader.fail(policy.refused("only an init container has a restart policy of its own"));
    if (policy.text() != "Always") reader.fail(policy.expected("Always"));
    into.sidecar = true;
  }
  read_probe(scope, "startupProbe", true, into.startup_probe);
  read_probe(scope, "livenessProbe", true, into.liveness_probe);
  read_probe(scope, "readinessProbe", false, into.readiness_probe);
  const bool probed = into.startup_probe || into.liveness_probe || into.readiness_probe;
  const document::Node hooks = scope.take("lifecycle");
  if (init && !into.sidecar && (probed || hooks.given())) {
    reader.fail(node.refused("an init container that ends has no probes and no lifecycle"));
  }
  Scope lifecycle(reader, hooks, "Lifecycle");
  read_hook(reader, lifecycle.take("postStart"), into.post_start);
  read_hook(reader, lifecycle.take("preStop"), into.pre_stop);
  Scope security(reader, scope.take("securityContext"), "SecurityContext");
  read_security(security, into.security);
  security.boolean("privileged", into.security.privileged);
  Scope capabilities(reader, security.take("capabilities"), "Capabilities");
  capabilities.strings("add", into.security.add_capabilities);
  capabilities.strings("drop", into.security.drop_capabilities);
}

// ── volumes ─────────────────────────────────────────────────────────────────────────────────────

void read_items(Scope& scope, std::vector<KeyToPath>& into) {
  scope.each("items", [&](const document::Node& node) {
    Scope item(scope.reader(), node, "KeyToPath");
    KeyToPath entry;
    item.required("key", entry.key, file_key);
    item.required("path", entry.path, path_inside);
    item.integer("mode", entry.mode, 0, 0777);
    into.push_back(std::move(entry));
  });
}

KeyedVolume read_keyed_volume(Reader& reader, const document::Node& node,
                              KeyReference::Source source) {
  const bool secret = source == KeyReference::Source::secret;
  Scope scope(reader, node, secret ? "SecretVolumeSource" : "ConfigMapVolumeSource");
  KeyedVolume volume;
  volume.source = source;
  scope.required(secret ? "secretName" : "name", volume.name, dns_name);
  read_items(scope, volume.items);
  scope.integer("defaultMode", volume.default_mode, 0, 0777);
  scope.boolean("optional", volume.optional);
  return volume;
}

DownwardVolume read_downward_volume(Reader& reader, const document::Node& node) {
  Scope scope(reader, node, "DownwardAPIVolumeSource");
  DownwardVolume volume;
  scope.integer("defaultMode", volume.default_mode, 0, 0777);
  scope.each("items", [&](const document::Node& item) {
    Scope file(reader, item, "DownwardAPIVolumeFile");
    KeyToPath entry;
    file.required("path", entry.path, path_inside);
    file.integer("mode", entry.mode, 0, 0777);
    const document::Node field = file.take("fieldRef");
    if (!field.given()) {
      if (!item.get("resourceFieldRef").given()) {
        reader.fail(item.expected("a file with fieldRef"));
      }
      return;
    }
    read_field_reference(reader, field, entry.key);
    volume.items.push_back(std::move(entry));
  });
  return volume;
}

void read_volume(Reader& reader, const document::Node& node, PodSpec& into) {
  Scope scope(reader, node, "Volume");
  Volume volume;
  scope.required("name", volume.name, dns_label);
  const document::Node empty = scope.take("emptyDir");
  const document::Node config_map = scope.take("configMap");
  const document::Node secret = scope.take("secret");
  const document::Node downward = scope.take("downwardAPI");
  if (node.size() > 2) reader.fail(node.expected("a name and one source of the volume"));
  if (config_map.given()) {
    volume.source = read_keyed_volume(reader, config_map, KeyReference::Source::config_map);
  } else if (secret.given()) {
    volume.source = read_keyed_volume(reader, secret, KeyReference::Source::secret);
  } else if (downward.given()) {
    volume.source = read_downward_volume(reader, downward);
  } else if (empty.present() || node.size() < 2) {
    EmptyDirectory directory;
    Scope source(reader, empty, "EmptyDirVolumeSource");
    std::string medium;
    source.text("medium", medium);
    directory.memory = medium == "Memory";
    if (!medium.empty() && !directory.memory) {
      reader.fail(empty.get("medium").expected("Memory, or nothing"));
    }
    volume.source = directory;
  } else {
    const std::vector<document::Node> fields = node.children();
    for (const document::Node& field : fields) {
      if (field.key() != "name") volume.source = OtherVolume{field.key()};
    }
  }
  into.volumes.push_back(std::move(volume));
}

// ── the whole ───────────────────────────────────────────────────────────────────────────────────

template <class Named>
void check_names_differ(Reader& reader, const document::Node& list, const std::vector<Named>& all,
                        const char* what, std::set<std::string>& names) {
  for (std::size_t i = 0; i < all.size() && i < list.size(); ++i) {
    if (names.insert(all[i].name).second) continue;
    reader.fail(
        list.at(i).get("name").refused(fmt::format("two {} are named \"{}\"", what, all[i].name)));
  }
}

void check_mounts(Reader& reader, const document::Node& list,
                  const std::vector<Container>& containers, const std::set<std::string>& volumes) {
  for (std::size_t i = 0; i < containers.size() && i < list.size(); ++i) {
    const document::Node mounts = list.at(i).get("volumeMounts");
    for (std::size_t j = 0; j < containers[i].volume_mounts.size() && j < mounts.size(); ++j) {
      if (volumes.count(containers[i].volume_mounts[j].name) > 0) continue;
      reader.fail(mounts.at(j).get("name").expected("the name of one of the pod's volumes"));
    }
  }
}

void read_pod_spec(Reader& reader, const document::Node& node, PodSpec& into,
                   const std::vector<std::string>& claims) {
  if (!node.given()) return reader.fail(node.expected("the spec of a pod"));
  Scope scope(reader, node, "PodSpec");
  const auto containers = [&](const char* name, bool init, std::vector<Container>& list) {
    scope.each(name, [&](const document::Node& item) {
      read_container(reader, item, init, list.emplace_back());
    });
  };
  containers("initContainers", true, into.init_containers);
  containers("containers", false, into.containers);
  if (into.containers.empty()) {
    reader.fail(node.get("containers").expected("a list of at least one container"));
  }
  scope.each("volumes", [&](const document::Node& item) { read_volume(reader, item, into); });
  std::set<std::string> names;
  check_names_differ(reader, node.get("initContainers"), into.init_containers, "containers", names);
  check_names_differ(reader, node.get("containers"), into.containers, "containers", names);
  std::set<std::string> volumes;
  check_names_differ(reader, node.get("volumes"), into.volumes, "volumes", volumes);
  for (const std::string& claim : claims) {
    if (!volumes.insert(claim).second) continue;
    into.volumes.push_back({claim, OtherVolume{"persistentVolumeClaim"}});
  }
  check_mounts(reader, node.get("initContainers"), into.init_containers, volumes);
  check_mounts(reader, node.get("containers"), into.containers, volumes);
  scope.choice<RestartPolicy>("restartPolicy", into.restart_policy,
                              {{"Always", RestartPolicy::always},
                               {"OnFailure", RestartPolicy::on_failure},
                               {"Never", RestartPolicy::never}});
  scope.integer("terminationGracePeriodSeconds", into.termination_grace_seconds, 0, most_seconds);
  scope.text("nodeName", into.node_name);
  scope.string_map("nodeSelector", into.node_selector, label_key, &label_value);
  scope.text("serviceAccount", into.service_account);
  scope.text("serviceAccountName", into.service_account);
  if (into.service_account.empty()) into.service_account = "default";
  if (!dns_name.holds(into.service_account)) {
    reader.fail(node.get("serviceAccountName").expected(dns_name.expected));
  }
  scope.boolean("hostNetwork", into.host_network);
  scope.boolean("enableServiceLinks", into.service_links);
  scope.text("hostname", into.hostname);
  scope.text("subdomain", into.subdomain);
  for (const char* name : {"hostname", "subdomain"}) {
    const document::Node given = node.get(name);
    if (!given.text().empty() && !dns_label.holds(given.text())) {
      reader.fail(given.expected(dns_label.expected));
    }
  }
  Scope security(reader, scope.take("securityContext"), "PodSecurityContext");
  read_security(security, into.security);
}

// ── status ──────────────────────────────────────────────────────────────────────────────────────

void read_addresses(Scope& scope, const char* list, const char* single,
                    std::vector<IpAddress>& into) {
  Reader& reader = scope.reader();
  scope.each(list, [&](const document::Node& item) {
    Scope one(reader, item, "PodIP");
    read_ip(reader, one.take("ip"), into.emplace_back());
  });
  const document::Node first = scope.take(single);
  if (first.given() && into.empty()) read_ip(reader, first, into.emplace_back());
}

void read_state(Reader& reader, const document::Node& node, ContainerStatus& into) {
  Scope scope(reader, node, "ContainerState");
  const document::Node waiting = scope.take("waiting");
  const document::Node running = scope.take("running");
  const document::Node terminated = scope.take("terminated");
  if (running.given()) {
    Scope one(reader, running, "ContainerStateRunning");
    Running state;
    one.text("startedAt", state.started_at);
    into.state = std::move(state);
  } else if (terminated.given()) {
    Scope one(reader, terminated, "ContainerStateTerminated");
    Terminated state;
    one.integer("exitCode", state.exit_code, INT32_MIN);
    one.integer("signal", state.signal, 0);
    one.text("reason", state.reason);
    one.text("startedAt", state.started_at);
    one.text("finishedAt", state.finished_at);
    into.state = std::move(state);
  } else {
    Scope one(reader, waiting, "ContainerStateWaiting");
    Waiting state;
    one.text("reason", state.reason);
    one.text("message", state.message);
    into.state = std::move(state);
  }
}

void read_container_status(Reader& reader, const document::Node& node, ContainerStatus& into) {
  Scope scope(reader, node, "ContainerStatus");
  scope.required("name", into.name, not_empty);
  scope.text("image", into.image);
  scope.boolean("ready", into.ready);
  scope.boolean("started", into.started);
  scope.integer("restartCount", into.restart_count, 0);
  read_state(reader, scope.take("state"), into);
}

void read_pod_status(Reader& reader, const document::Node& node, PodStatus& into) {
  Scope scope(reader, node, "PodStatus");
  scope.choice<PodPhase>("phase", into.phase,
                         {{"Pending", PodPhase::pending},
                          {"Running", PodPhase::running},
                          {"Succeeded", PodPhase::succeeded},
                          {"Failed", PodPhase::failed},
                          {"Unknown", PodPhase::unknown}});
  read_conditions(scope, into.conditions);
  read_addresses(scope, "podIPs", "podIP", into.pod_ips);
  read_addresses(scope, "hostIPs", "hostIP", into.host_ips);
  scope.text("startTime", into.start_time);
  const auto statuses = [&](const char* name, std::vector<ContainerStatus>& list) {
    scope.each(name, [&](const document::Node& item) {
      read_container_status(reader, item, list.emplace_back());
    });
  };
  statuses("initContainerStatuses", into.init_containers);
  statuses("containerStatuses", into.containers);
  scope.text("message", into.message);
  scope.text("reason", into.reason);
}

}  // namespace

void read_pod_template(Reader& reader, const document::Node& node, PodTemplate& into,
                       const std::vector<std::string>& claims) {
  if (!node.given()) return reader.fail(node.expected("a template of a pod"));
  Scope scope(reader, node, "PodTemplateSpec");
  {
    Scope metadata(reader, scope.take("metadata"), "PodTemplateMeta");
    metadata.string_map("labels", into.labels, label_key, &label_value);
    metadata.string_map("annotations", into.annotations, label_key, nullptr);
  }
  const document::Node spec = scope.take("spec");
  read_pod_spec(reader, spec, into.spec, claims);
  if (into.spec.restart_policy != RestartPolicy::always) {
    reader.fail(spec.get("restartPolicy").expected("Always, as all pods of controllers have"));
  }
}

void read_spec(Scope& scope, Pod& into) {
  read_pod_spec(scope.reader(), scope.take("spec"), into.spec, {});
  read_pod_status(scope.reader(), scope.take("status"), into.status);
}

}  // namespace fairlead::kube
