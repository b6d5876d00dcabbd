// What a container is to run: its command, its environment, as whom. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/lifetime.h"
#include "base/result.h"
#include "kube/objects.h"
#include "lab/capabilities.h"

namespace fairlead::lab {

inline constexpr const char* usual_path =
    "/run/fairlead/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
// PATH of a container that sets none.
inline constexpr const char* command_annotation = "fairlead/command";
// On a pod (or a VM's WorkloadEntry): the command of its first container, or lines
// "IMAGE=COMMAND".

// Which local command stands for which image.
class Images {
 public:
  [[nodiscard]] Result<> add(std::string_view line);
  // "IMAGE=COMMAND". An image without a tag stands for all its tags.
  [[nodiscard]] Result<> add_file(std::string_view text, const std::string& source);
  // One a line; empty lines and those that begin with # are left out.
  [[nodiscard]] const std::vector<std::string>* command_of(std::string_view image) const
      LIFETIMEBOUND;
  // Null when none is given.

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> commands_;
};

[[nodiscard]] Result<std::vector<std::string>> split_words(std::string_view text);
// As a shell splits a simple command: blanks, quotes and backslashes, nothing else.

// How a container's command was found.
enum class CommandSource : std::uint8_t { manifest, annotation, mapping, sample };

struct Plan {
  std::vector<std::string> words;
  std::vector<std::string> environment;  // "NAME=value"
  std::string working_directory = "/";
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  Capabilities capabilities = usual_capabilities();
  CommandSource source = CommandSource::manifest;
};

[[nodiscard]] Result<Plan> plan_container(const kube::Pod& pod, const kube::Container& container,
                                          const Images& images, const kube::Objects& objects);
// `pod` has its addresses; `objects` hold config maps, secrets, and services with their addresses.
// Without any command the built-in sample app answers on the declared ports. Fault: what it refers
// to is missing.

[[nodiscard]] std::map<std::string, std::string, std::less<>> service_links(
    const kube::Objects& objects, std::string_view name_space);
// The variables that name the namespace's services, as kubelet sets them: REVIEWS_SERVICE_HOST,
// REVIEWS_SERVICE_PORT, REVIEWS_SERVICE_PORT_HTTP, REVIEWS_PORT, REVIEWS_PORT_9080_TCP, and so on.
// Services without an address of their own have none.

[[nodiscard]] std::string expand(std::string_view text,
                                 const std::map<std::string, std::string, std::less<>>& variables);
// Kubernetes' $(NAME): replaced when NAME is known, else left; $$ is a dollar.

[[nodiscard]] std::optional<std::string> field_of(const kube::Pod& pod, std::string_view path);
// The downward API: "metadata.labels['app']", "status.podIP". Empty when there is no such field.

}  // namespace fairlead::lab
