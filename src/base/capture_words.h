// How a pod says which of its traffic is captured: Istio's annotations, each of which becomes a
// flag of istio-iptables. One table for whoever writes the flags (injection) and whoever reads the
// annotations (the explanation).
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace fairlead {

inline constexpr std::string_view capture_annotation_prefix = "traffic.sidecar.istio.io/";

struct CaptureWord {
  std::string_view annotation;  // after the prefix
  std::string_view flag;        // without its dashes
  bool adds_own_ports = false;
  // The proxy's own ports are never captured inbound, whatever else is left out.

  [[nodiscard]] std::string flag_value(const std::string& given) const {
    // What the annotation's value becomes.
    if (!adds_own_ports) return given;
    return given + (given.empty() ? "" : ",") + "15020,15021,15090";
  }
};

inline constexpr std::array capture_words{
    CaptureWord{"includeOutboundIPRanges", "istio-service-cidr"},
    CaptureWord{"excludeOutboundIPRanges", "istio-service-exclude-cidr"},
    CaptureWord{"includeOutboundPorts", "istio-outbound-ports"},
    CaptureWord{"excludeOutboundPorts", "istio-local-outbound-ports-exclude"},
    CaptureWord{"includeInboundPorts", "istio-inbound-ports"},
    CaptureWord{"excludeInboundPorts", "istio-local-exclude-ports", true},
    CaptureWord{"excludeInterfaces", "istio-exclude-interfaces"},
};

}  // namespace fairlead
