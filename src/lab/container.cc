#include "lab/container.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <sstream>

namespace fairlead::lab {
namespace {

using Variables = std::map<std::string, std::string, std::less<>>;
using kube::KeyReference;

const char* kind_of(KeyReference::Source source) {
  return source == KeyReference::Source::config_map ? "ConfigMap" : "Secret";
}

const kube::StringMap* data_of(const kube::Objects& objects, KeyReference::Source source,
                               std::string_view name_space, std::string_view name) {
  if (source == KeyReference::Source::config_map) {
    const auto* found = kube::find(objects.config_maps, name_space, name);
    return found == nullptr ? nullptr : &found->data;
  }
  const auto* found = kube::find(objects.secrets, name_space, name);
  return found == nullptr ? nullptr : &found->data;
}

// ── environment ─────────────────────────────────────────────────────────────────────────────────

Result<> add_all(Variables& variables, const kube::EnvironmentSource& from, const kube::Pod& pod,
                 const kube::Objects& objects) {
  const kube::StringMap* data = data_of(objects, from.source, pod.metadata.name_space, from.name);
  if (data == nullptr) {
    if (from.optional) return done();
    return missing(fmt::format("there is no {} {}/{}, which envFrom names", kind_of(from.source),
                               pod.metadata.name_space, from.name));
  }
  for (const auto& [key, value] : *data) variables[from.prefix + key] = value;
  return done();
}

Result<std::optional<std::string>> value_of_key(const KeyReference& key, const kube::Pod& pod,
                                                const kube::Objects& objects) {
  const kube::StringMap* data = data_of(objects, key.source, pod.metadata.name_space, key.name);
  if (data != nullptr) {
    if (const auto found = data->find(key.key); found != data->end()) {
      return std::optional(found->second);
    }
  }
  if (key.optional) return std::optional<std::string>();
  return missing(fmt::format("there is no {} {}/{} with the key {}", kind_of(key.source),
                             pod.metadata.name_space, key.name, key.key));
}

Result<std::optional<std::string>> value_of(const kube::EnvironmentVariable& variable,
                                            const Variables& known, const kube::Pod& pod,
                                            const kube::Objects& objects) {
  if (const auto* text = std::get_if<std::string>(&variable.value)) {
    return std::optional(expand(*text, known));
  }
  if (const auto* field = std::get_if<kube::FieldReference>(&variable.value)) {
    std::optional<std::string> value = field_of(pod, field->path);
    if (value) return value;
    return unsupported(fmt::format("the field {} is not known to the downward API", field->path));
  }
  return value_of_key(std::get<KeyReference>(variable.value), pod, objects);
}

// What is set for every container; its own variables come before.
Variables given_variables(const kube::Pod& pod, const kube::Objects& objects) {
  Variables variables;
  if (pod.spec.service_links) variables = service_links(objects, pod.metadata.name_space);
  variables["PATH"] = usual_path;
  variables["HOME"] = "/root";
  variables["HOSTNAME"] = pod.metadata.name;
  return variables;
}

Result<Variables> variables_of(const kube::Pod& pod, const kube::Container& container,
                               const kube::Objects& objects) {
  Variables variables = given_variables(pod, objects);
  for (const kube::EnvironmentSource& from : container.env_from) {
    if (Result<> added = add_all(variables, from, pod, objects); !added) {
      return std::move(added).fault();
    }
  }
  for (const kube::EnvironmentVariable& variable : container.env) {
    Result<std::optional<std::string>> value = value_of(variable, variables, pod, objects);
    if (!value) {
      return std::move(value).fault().during(fmt::format("setting ${}", variable.name));
    }
    if (*value) variables[variable.name] = std::move(**value);
  }
  return variables;
}

// "reviews-v1" is REVIEWS_V1.
std::string variable_name(std::string_view name) {
  std::string word(name);
  for (char& letter : word) {
    letter =
        letter == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
  }
  return word;
}

const char* word_for(kube::Protocol protocol) {
  switch (protocol) {
    case kube::Protocol::tcp:
      return "tcp";
    case kube::Protocol::udp:
      return "udp";
    case kube::Protocol::sctp:
      break;
  }
  return "sctp";
}

void add_links(Variables& variables, const kube::Service& service) {
  const std::string name = variable_name(service.metadata.name);
  const IpAddress& ip = service.cluster_ips.front();
  const std::string first = std::to_string(service.ports.front().port);
  variables[name + "_SERVICE_HOST"] = ip.text();
  variables[name + "_SERVICE_PORT"] = first;
  for (const kube::ServicePort& port : service.ports) {
    const std::string number = std::to_string(port.port);
    const std::string protocol = word_for(port.protocol);
    if (!port.name.empty()) {
      variables[name + "_SERVICE_PORT_" + variable_name(port.name)] = number;
    }
    const std::string url = protocol + "://" + SocketAddress{ip, port.port}.text();
    const std::string prefix = fmt::format("{}_PORT_{}_{}", name, number, variable_name(protocol));
    if (&port == &service.ports.front()) variables[name + "_PORT"] = url;
    variables[prefix] = url;
    variables[prefix + "_PROTO"] = protocol;
    variables[prefix + "_PORT"] = number;
    variables[prefix + "_ADDR"] = ip.text();
  }
}

// ── command ─────────────────────────────────────────────────────────────────────────────────────

// What the pod's own annotation says of the container; empty when it does not speak of it.
Result<std::vector<std::string>> annotated_command(const kube::Pod& pod,
                                                   const kube::Container& container) {
  const auto found = pod.metadata.annotations.find(command_annotation);
  if (found == pod.metadata.annotations.end()) return std::vector<std::string>{};
  std::istringstream lines(found->second);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(container.image + "=")) {
      return split_words(std::string_view(line).substr(container.image.size() + 1));
    }
  }
  const auto& containers = pod.spec.containers;
  const bool names_images =
      std::any_of(containers.begin(), containers.end(), [&](const kube::Container& one) {
        return found->second.find(one.image + "=") != std::string::npos;
      });
  const bool first = !containers.empty() && containers.front().name == container.name;
  if (names_images || !first) return std::vector<std::string>{};
  return split_words(found->second);
}

std::vector<std::string> sample_command(const kube::Container& container) {
  std::vector<std::string> words{"fairlead", "sample-app"};
  for (const kube::ContainerPort& port : container.ports) {
    if (port.protocol != kube::Protocol::tcp) continue;
    words.emplace_back("--port");
    words.push_back(std::to_string(port.port));
  }
  return words;
}

Result<> choose_command(Plan& plan, const kube::Pod& pod, const kube::Container& container,
                        const Images& images) {
  plan.words = container.command;
  if (plan.words.empty()) {
    Result<std::vector<std::string>> annotated = annotated_command(pod, container);
    if (!annotated) return std::move(annotated).fault();
    plan.words = std::move(*annotated);
    plan.source = CommandSource::annotation;
  }
  if (plan.words.empty()) {
    if (const std::vector<std::string>* mapped = images.command_of(container.image)) {
      plan.words = *mapped;
      plan.source = CommandSource::mapping;
    }
  }
  if (!plan.words.empty()) {
    plan.words.insert(plan.words.end(), container.args.begin(), container.args.end());
    return done();
  }
  // What the image's own program would make of `args` nobody knows: the sample app gets none.
  plan.words = sample_command(container);
  plan.source = CommandSource::sample;
  return done();
}

std::uint32_t user_of(const kube::Pod& pod, const kube::Container& container) {
  return static_cast<std::uint32_t>(
      container.security.run_as_user.value_or(pod.spec.security.run_as_user.value_or(0)));
}

std::uint32_t group_of(const kube::Pod& pod, const kube::Container& container) {
  return static_cast<std::uint32_t>(
      container.security.run_as_group.value_or(pod.spec.security.run_as_group.value_or(0)));
}

// "repository[:tag]" without the tag; a port in the registry's name is no tag.
std::string_view without_tag(std::string_view image) {
  const std::size_t digest = image.find('@');
  if (digest != std::string_view::npos) image = image.substr(0, digest);
  const std::size_t colon = image.rfind(':');
  const std::size_t slash = image.rfind('/');
  const bool tagged =
      colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash);
  return tagged ? image.substr(0, colon) : image;
}

std::string join(const std::vector<IpAddress>& addresses) {
  std::vector<std::string> texts;
  texts.reserve(addresses.size());
  for (const IpAddress& address : addresses) texts.push_back(address.text());
  return fmt::format("{}", fmt::join(texts, ","));
}

std::optional<std::string> entry_of(const kube::StringMap& map, std::string_view rest) {
  // ['key'] or ["key"]
  if (rest.size() < 4 || !rest.starts_with("[") || !rest.ends_with("]")) return std::nullopt;
  const std::string key(rest.substr(2, rest.size() - 4));
  const auto found = map.find(key);
  return found == map.end() ? "" : found->second;
}

}  // namespace

Result<> Images::add(std::string_view line) {
  const std::size_t equals = line.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return invalid(fmt::format("expected IMAGE=COMMAND, found '{}'", line));
  }
  Result<std::vector<std::string>> words = split_words(line.substr(equals + 1));
  if (!words) return std::move(words).fault();
  if (words->empty()) {
    return invalid(fmt::format("expected a command after '{}'", line.substr(0, equals + 1)));
  }
  commands_[std::string(line.substr(0, equals))] = std::move(*words);
  return done();
}

Result<> Images::add_file(std::string_view text, const std::string& source) {
  std::istringstream lines{std::string(text)};
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const std::size_t first = line.find_first_not_of(" \t\r");
    if (first == std::string::npos || line[first] == '#') continue;
    if (Result<> added = add(std::string_view(line).substr(first)); !added) {
      return invalid(fmt::format("{}:{}: {}", source, number, added.fault().message));
    }
  }
  return done();
}

const std::vector<std::string>* Images::command_of(std::string_view image) const {
  auto found = commands_.find(image);
  if (found == commands_.end()) found = commands_.find(without_tag(image));
  return found == commands_.end() ? nullptr : &found->second;
}

Result<std::vector<std::string>> split_words(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool inside = false;
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (c == '\\' && quote != '\'' && i + 1 < text.size()) {
      word += text[++i];
      inside = true;
    } else if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else {
        word += c;
      }
    } else if (c == '\'' || c == '"') {
      quote = c;
      inside = true;
    } else if (!blank) {
      word += c;
      inside = true;
    } else if (inside) {
      words.push_back(std::move(word));
      word.clear();
      inside = false;
    }
  }
  if (quote != 0) return invalid(fmt::format("a quote {} is never closed in: {}", quote, text));
  if (inside) words.push_back(std::move(word));
  return words;
}

Variables service_links(const kube::Objects& objects, std::string_view name_space) {
  Variables variables;
  for (const kube::Service& service : objects.services) {
    const bool named = service.metadata.name_space == name_space && !service.headless &&
                       !service.cluster_ips.empty() && !service.ports.empty();
    if (named) add_links(variables, service);
  }
  return variables;
}

std::string expand(std::string_view text, const Variables& variables) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    if (text[i + 1] == '$') {
      out += '$';
      ++i;
      continue;
    }
    const std::size_t close = text[i + 1] == '(' ? text.find(')', i) : std::string_view::npos;
    const auto found = close == std::string_view::npos
                           ? variables.end()
                           : variables.find(text.substr(i + 2, close - i - 2));
    if (found == variables.end()) {
      out += text[i];
      continue;
    }
    out += found->second;
    i = close;
  }
  return out;
}

std::optional<std::string> field_of(const kube::Pod& pod, std::string_view path) {
  const std::vector<IpAddress>& ips = pod.status.pod_ips;
  const std::vector<IpAddress>& hosts = pod.status.host_ips;
  if (path == "metadata.name") return pod.metadata.name;
  if (path == "metadata.namespace") return pod.metadata.name_space;
  if (path == "metadata.uid") return pod.metadata.uid;
  if (path == "spec.nodeName") return pod.spec.node_name;
  if (path == "spec.serviceAccountName") return pod.spec.service_account;
  if (path == "status.podIP") return ips.empty() ? "" : ips.front().text();
  if (path == "status.podIPs") return join(ips);
  if (path == "status.hostIP") return hosts.empty() ? "" : hosts.front().text();
  if (path == "status.hostIPs") return join(hosts);
  constexpr std::string_view labels = "metadata.labels";
  constexpr std::string_view annotations = "metadata.annotations";
  if (path.starts_with(labels)) return entry_of(pod.metadata.labels, path.substr(labels.size()));
  if (path.starts_with(annotations)) {
    return entry_of(pod.metadata.annotations, path.substr(annotations.size()));
  }
  return std::nullopt;
}

Result<Plan> plan_container(const kube::Pod& pod, const kube::Container& container,
                            const Images& images, const kube::Objects& objects) {
  Plan plan;
  if (Result<> chosen = choose_command(plan, pod, container, images); !chosen) {
    return std::move(chosen).fault();
  }
  Result<Variables> variables = variables_of(pod, container, objects);
  if (!variables) return std::move(variables).fault();
  for (std::string& word : plan.words) word = expand(word, *variables);
  for (const auto& [name, value] : *variables) plan.environment.push_back(name + "=" + value);
  if (!container.working_dir.empty()) plan.working_directory = container.working_dir;
  plan.uid = user_of(pod, container);
  plan.gid = group_of(pod, container);
  const Result<Capabilities> capabilities = capabilities_of(container.security);
  if (!capabilities) return capabilities.fault();
  plan.capabilities = *capabilities;
  return plan;
}

}  // namespace fairlead::lab
