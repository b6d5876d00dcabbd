#include "lab/target.h"

#include <fmt/format.h>

namespace fairlead::lab {
namespace {

struct Kind {
  const char* name;
  const char* plural;  // in small letters, as the singular is
  const char* brief;
};

constexpr Kind kinds[] = {
    {"Pod", "pods", "po"},
    {"Deployment", "deployments", "deploy"},
    {"StatefulSet", "statefulsets", "sts"},
    {"DaemonSet", "daemonsets", "ds"},
    {"ReplicaSet", "replicasets", "rs"},
    {"Service", "services", "svc"},
    {"VM", "vms", "vm"},
    {"Node", "nodes", "node"},
};

// Empty when the word is none.
std::string kind_of(std::string_view word) {
  word = word.substr(0, word.find('.'));  // deployment.apps
  std::string small(word);
  for (char& letter : small) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  }
  for (const Kind& kind : kinds) {
    const std::string_view plural = kind.plural;
    const bool named = small == plural || small == plural.substr(0, plural.size() - 1);
    if (named || small == kind.brief) return kind.name;
  }
  return "";
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::size_t start = 0;
  for (std::size_t slash = 0; slash != std::string_view::npos; start = slash + 1) {
    slash = text.find('/', start);
    words.emplace_back(text.substr(start, slash - start));
  }
  return words;
}

}  // namespace

std::string Target::describe() const {
  const std::string full = name_space.empty() ? name : name_space + "/" + name;
  return kind.empty() ? fmt::format("'{}'", full) : fmt::format("{} {}", kind, full);
}

std::vector<Target> meanings_of(std::string_view text) {
  const std::vector<std::string> words = words_of(text);
  const std::string& name = words.back();
  if (words.size() == 1) return {{.name = name}};
  const std::string& near = words[words.size() - 2];
  const std::string kind = kind_of(near);
  std::vector<Target> meanings;
  if (words.size() == 2) {
    meanings.push_back({.name_space = near, .name = name});
    if (!kind.empty()) meanings.push_back({.kind = kind, .name = name});
    return meanings;
  }
  const std::string& far = words[words.size() - 3];
  const std::string far_kind = kind_of(far);
  if (!kind.empty()) meanings.push_back({.name_space = far, .kind = kind, .name = name});
  if (!far_kind.empty()) meanings.push_back({.name_space = near, .kind = far_kind, .name = name});
  if (meanings.empty()) meanings.push_back({.name_space = near, .name = name});
  return meanings;
}

bool is_meant(const Target& target, const kube::Metadata& object, std::string_view kind) {
  if (!target.kind.empty() && target.kind != kind) return false;
  if (!target.name_space.empty() && target.name_space != object.name_space) return false;
  return target.name == object.name;
}

}  // namespace fairlead::lab
