// The names, numbers and types of the fields of Envoy's API, also where our subset has none of them
// (envoy_fields.txt, made by tools/envoy-fields). With them a field that Envoy has and we have not
// is told from one that nobody has. For this room alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fairlead::xds {

struct EnvoyField {
  std::string_view name;
  int number = 0;
  bool repeated = false;  // or a map
  std::string_view type;  // a message's full name; empty for scalars and enums
  std::string_view zero;  // of an enum: the name of its zero
};
// Static.

[[nodiscard]] bool is_envoys_message(std::string_view message);
// By its full name.
[[nodiscard]] std::optional<EnvoyField> envoy_field(std::string_view message,
                                                    std::string_view name);
[[nodiscard]] std::optional<EnvoyField> envoy_field(std::string_view message, int number);
[[nodiscard]] std::vector<std::string> envoy_field_names(std::string_view message);
// None for a message that Envoy does not have.

}  // namespace fairlead::xds
