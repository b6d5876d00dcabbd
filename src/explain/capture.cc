#include "explain/capture.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "intercept/settings.h"

namespace fairlead::explain {
namespace {

// An annotation's name, and the flag of istio-iptables that it becomes.
struct Becomes {
  std::string_view annotation;
  std::string_view flag;
};

constexpr std::array becomes{
    Becomes{"includeOutboundIPRanges", "istio-service-cidr"},
    Becomes{"excludeOutboundIPRanges", "istio-service-exclude-cidr"},
    Becomes{"includeOutboundPorts", "istio-outbound-ports"},
    Becomes{"excludeOutboundPorts", "istio-local-outbound-ports-exclude"},
    Becomes{"includeInboundPorts", "istio-inbound-ports"},
    Becomes{"excludeInboundPorts", "istio-local-exclude-ports"},
    Becomes{"excludeInterfaces", "istio-exclude-interfaces"},
};

const intercept::Option* option_named(std::string_view name) {
  const auto options = intercept::options();
  const auto found =
      std::find_if(options.begin(), options.end(),
                   [&](const intercept::Option& option) { return option.name == name; });
  return found == options.end() ? nullptr : &*found;
}

// The proxy's own ports are never captured inbound, whatever else is left out.
std::string with_own_ports(const std::string& ports) {
  return ports + (ports.empty() ? "" : ",") + "15020,15021,15090";
}

}  // namespace

Result<intercept::Settings> capture_settings(const mesh::Workload& workload) {
  intercept::Settings settings;
  for (const auto& [annotation, flag] : becomes) {
    const auto given = workload.capture.find(std::string(annotation));
    if (given == workload.capture.end()) continue;
    const intercept::Option* option = option_named(flag);
    if (!option) continue;
    const bool inbound_excluded = annotation == "excludeInboundPorts";
    Result<> set =
        option->set(settings, inbound_excluded ? with_own_ports(given->second) : given->second);
    if (!set) {
      return std::move(set).fault().during("reading traffic.sidecar.istio.io/" +
                                           std::string(annotation) + " of " +
                                           workload.origin.describe());
    }
  }
  return settings;
}

}  // namespace fairlead::explain
