// Every field of a manifest that fairlead knows: honoured, or ignored and why. The readers take
// only fields from this table, docs/manifests.md is it in print, and a test compares the two.
#pragma once

#include <string_view>
#include <vector>

namespace fairlead::kube {

struct KnownField {
  const char* type;  // as in Kubernetes' API: "Service", "ServiceSpec", "Container"
  const char* name;
  const char* ignored;   // why; null: honoured
  const char* harmless;  // the value that asks for nothing more than what happens anyway, or null
};

[[nodiscard]] const std::vector<KnownField>& known_fields();
// Grouped by type.

[[nodiscard]] const KnownField* find_field(std::string_view type, std::string_view name);
// Null when the field is unknown.

struct KnownKind {
  const char* kind;
  const char* api_version;  // the first that is honoured
  const char* also;         // other versions, separated by spaces
  bool namespaced;
  const char* remark;  // what does not become of it, or null
};

[[nodiscard]] const std::vector<KnownKind>& known_kinds();

}  // namespace fairlead::kube
