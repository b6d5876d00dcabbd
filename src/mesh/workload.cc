#include "mesh/workload.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

namespace fairlead::mesh {
namespace {

constexpr std::array<std::uint16_t, 4> never_taken{15008, 15020, 15021, 15090};
// The proxy's own, and the tunnel's.

// "80, 8080" or "*"; absent: it is neither.
std::optional<bool> lists_port(std::string_view list, std::uint16_t port) {
  if (list == "*") return true;
  const std::string wanted = std::to_string(port);
  bool listed = false;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::string_view one = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (one.find_first_not_of("0123456789") != std::string_view::npos) return {};
    listed = listed || one == wanted;
  }
  return listed;
}

}  // namespace

bool proxy_takes(const Workload& workload, std::uint16_t port) {
  if (workload.sidecar == Sidecar::none || !workload.injected_here) return false;
  if (std::find(never_taken.begin(), never_taken.end(), port) != never_taken.end()) return false;
  const auto given = [&](const char* word, std::string_view otherwise) {
    const auto found = workload.capture.find(word);
    return lists_port(found == workload.capture.end() ? otherwise : found->second, port);
  };
  const std::optional<bool> included = given("includeInboundPorts", "*");
  const std::optional<bool> excluded = given("excludeInboundPorts", "");
  return included.value_or(false) && !excluded.value_or(true);
}

}  // namespace fairlead::mesh
