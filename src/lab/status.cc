#include "lab/status.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>

#include "base/lines.h"

namespace fairlead::lab {
namespace {

using nlohmann::json;

const char* name_of(kube::PodPhase phase) {
  switch (phase) {
    case kube::PodPhase::pending:
      return "Pending";
    case kube::PodPhase::running:
      return "Running";
    case kube::PodPhase::succeeded:
      return "Succeeded";
    case kube::PodPhase::failed:
      return "Failed";
    case kube::PodPhase::unknown:
      break;
  }
  return "Unknown";
}

json container_json(const ContainerRunner& container) {
  const bool sidecar = container.spec().sidecar || container.spec().name == proxy_container;
  const kube::ContainerStatus& status = container.status();
  return {{"name", container.spec().name},
          {"kind", sidecar               ? "sidecar"
                   : container.is_init() ? "init"
                                         : "app"},
          {"image", container.spec().image},
          {"state", describe_state(status.state)},
          {"ready", status.ready},
          {"restarts", status.restart_count}};
}

json pod_json(const kube::Pod& pod, const kube::PodStatus& status) {
  const kube::Condition* ready = kube::find_condition(status.conditions, "Ready");
  return {{"namespace", pod.metadata.name_space},
          {"name", pod.metadata.name},
          {"kind", "Pod"},
          {"node", pod.spec.node_name},
          {"addresses", json::array()},
          {"ready", ready != nullptr && ready->status == "True"},
          {"phase", name_of(status.phase)},
          {"terminating", false},
          {"message", status.message.empty() && ready != nullptr ? ready->message : status.message},
          {"origin", pod.metadata.origin.describe()},
          {"containers", json::array()}};
}

json pod_json(const RunningPod& running) {
  json value = pod_json(running.runner->pod(), running.runner->status());
  if (running.is_vm) value["kind"] = "VM";
  value["addresses"] = running.runner->machine().addresses.texts();
  value["terminating"] = running.retiring;
  for (const auto& container : running.runner->containers()) {
    value["containers"].push_back(container_json(*container));
  }
  return value;
}

json node_json(const Node& node, const std::string& world) {
  return {{"name", node.name},
          {"addresses", node.machine.addresses.texts()},
          {"running", node.agent != nullptr && node.agent->is_running()},
          {"restarts", node.agent == nullptr ? 0 : node.agent->restarts()},
          {"applied", node.progress.applied},
          {"current", node.progress.applied == world},
          {"error", node.progress.error}};
}

std::string join_texts(const json& list, const char* between) {
  std::vector<std::string> texts;
  for (const json& one : list) texts.push_back(one.get<std::string>());
  return fmt::format("{}", fmt::join(texts, between));
}

std::string describe_agent(const json& agent, const std::string& world_field) {
  if (!agent.value("running", false)) return "does not run";
  if (agent.value("current", false)) return "current";
  const std::string error = agent.value("error", "");
  const std::string at = agent.value(world_field, "");
  std::string text = at.empty() ? "has not answered yet" : "at world " + at;
  if (!error.empty()) text += ": " + error;
  return text;
}

std::string describe_addresses(const json& machine, bool all) {
  json addresses = machine.value("addresses", json::array());
  if (!all && addresses.size() > 1) addresses = json::array({addresses.front()});
  return join_texts(addresses, " ");
}

std::string describe_machines(const json& status, bool all_addresses) {
  std::vector<std::vector<std::string>> rows{{"MACHINE", "STATE", "RESTARTS", "ADDRESSES"}};
  const auto add = [&](const std::string& name, const json& agent, const char* field) {
    if (!agent.is_object()) return;
    rows.push_back({name, describe_agent(agent, field), std::to_string(agent.value("restarts", 0)),
                    describe_addresses(agent, all_addresses)});
  };
  add("control", status.value("control", json()), "world");
  for (const json& node : status.value("nodes", json::array())) {
    add(node.value("name", ""), node, "applied");
  }
  return table(rows);
}

std::string describe_pods(const json& status, bool all_addresses) {
  std::vector<std::vector<std::string>> rows{{"POD", "READY", "RESTARTS", "NODE", "ADDRESSES"}};
  for (const json& pod : status.value("pods", json::array())) {
    int restarts = 0;
    for (const json& container : pod["containers"]) restarts += container.value("restarts", 0);
    std::string ready = pod.value("ready", false) ? "yes" : "no (" + pod.value("phase", "") + ")";
    if (pod.value("terminating", false)) ready = "ending";
    rows.push_back({pod.value("namespace", "") + "/" + pod.value("name", ""), ready,
                    std::to_string(restarts),
                    pod.value("kind", "") == "VM" ? "a VM" : pod.value("node", ""),
                    describe_addresses(pod, all_addresses)});
    for (const json& container : pod["containers"]) {
      rows.push_back(
          {fmt::format("  {} {}", container.value("kind", ""), container.value("name", "")),
           container.value("state", "")});
    }
    const std::string message = pod.value("message", "");
    if (!message.empty()) rows.push_back({"  " + message});
  }
  return table(rows);
}

std::string describe_tables(const json& status, bool all_addresses) {
  std::string text;
  if (status.contains("control")) text += describe_machines(status, all_addresses) + "\n";
  return text + describe_pods(status, all_addresses);
}

std::size_t widest(const std::string& text) {
  std::size_t columns = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) columns = std::max(columns, columns_of(line));
  return columns;
}

}  // namespace

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    // Nothing follows a row's last cell, so it may be as long as it likes.
    for (std::size_t i = 0; i + 1 < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += i + 1 == row.size() ? row[i] : fmt::format("{:<{}}  ", row[i], widths[i]);
    }
    text += line + "\n";
  }
  return text;
}

std::string describe_state(
    const std::variant<kube::Waiting, kube::Running, kube::Terminated>& state) {
  if (const auto* waiting = std::get_if<kube::Waiting>(&state)) {
    return "waiting: " + waiting->reason +
           (waiting->message.empty() ? "" : " (" + waiting->message + ")");
  }
  if (const auto* ended = std::get_if<kube::Terminated>(&state)) {
    if (ended->reason == "Completed") return "done";
    return fmt::format("ended: {} ({})", ended->exit_code, ended->reason);
  }
  return "running";
}

json status_of(Lab& lab) {
  const std::string world = std::to_string(lab.generation());
  json status = {{"name", lab.paths().name},
                 {"world", world},
                 {"manifests", lab.manifests()},
                 {"broken", lab.broken()},
                 {"unwritten", lab.unwritten()},
                 {"missing", lab.lacks().describe()},
                 {"ignored", lab.not_honoured()},
                 {"hindered", json::array()},
                 {"notEnforced", lab.not_enforced()},
                 {"nodes", json::array()},
                 {"pods", json::array()}};
  for (const Lack& one : lab.hindered()) status["hindered"].push_back(one.who + " " + one.why);
  if (lab.control() != nullptr) {
    status["control"] = {{"addresses", lab.control_machine().addresses.texts()},
                         {"running", lab.control()->is_running()},
                         {"restarts", lab.control()->restarts()},
                         {"world", lab.control_progress().world},
                         {"current", lab.control_progress().applied == world},
                         {"error", lab.control_progress().error}};
    for (const Node& node : lab.nodes()) status["nodes"].push_back(node_json(node, world));
  }
  for (const auto& [name, running] : lab.pods()) status["pods"].push_back(pod_json(running));
  for (const auto& [name, pod] : lab.unplaced()) {
    status["pods"].push_back(pod_json(pod, pod.status));
  }
  return status;
}

std::string describe_status(const json& status, std::size_t columns) {
  const std::string tables = describe_tables(status, true);
  const bool fits = columns == 0 || widest(tables) <= columns;
  const auto names = status.value("notEnforced", std::vector<std::string>());
  std::string text = fmt::format("lab {}, world {}, from {}{}\n", status.value("name", ""),
                                 status.value("world", ""),
                                 join_texts(status.value("manifests", json::array()), " "),
                                 names.empty() ? "" : ", but " + mesh::describe_unenforced(names));
  const std::string unwritten = status.value("unwritten", "");
  if (!unwritten.empty()) text += "nobody hears of what changes:\n  " + unwritten + "\n";
  const std::string broken = status.value("broken", "");
  if (!broken.empty()) {
    text +=
        fmt::format("the last good version is in force, as the newest is broken:\n  {}\n", broken);
  }
  text += "\n";
  text += fits ? tables : describe_tables(status, false);
  const json& hindered = status.value("hindered", json::array());
  if (!hindered.empty()) text += "\n";
  for (const json& one : hindered) text += one.get<std::string>() + "\n";
  const json& ignored = status.value("ignored", json::array());
  if (!ignored.empty()) text += "\nnot honoured:\n";
  for (const json& one : ignored) text += "  " + one.get<std::string>() + "\n";
  return text;
}

}  // namespace fairlead::lab
