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

// Takes the word before the first slash away from `text`.
std::string_view take_word(std::string_view& text) {
  const std::size_t slash = text.find('/');
  const std::string_view word = text.substr(0, slash);
  text.remove_prefix(slash + 1);
  return word;
}

}  // namespace

std::string Target::describe() const {
  const std::string full = name_space.empty() ? name : name_space + "/" + name;
  return kind.empty() ? fmt::format("'{}'", full) : fmt::format("{} {}", kind, full);
}

Target target_of(std::string_view text) {
  Target target;
  while (text.find('/') != std::string_view::npos) {
    const std::string_view word = take_word(text);
    const std::string kind = kind_of(word);
    if (kind.empty()) {
      target.name_space = word;
    } else {
      target.kind = kind;
    }
  }
  target.name = text;
  return target;
}

bool is_meant(const Target& target, const kube::Metadata& object, std::string_view kind) {
  if (!target.kind.empty() && target.kind != kind) return false;
  if (!target.name_space.empty() && target.name_space != object.name_space) return false;
  return target.name == object.name;
}

}  // namespace fairlead::lab
