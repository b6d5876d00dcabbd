// Envoy's resources, as wire bytes or as text, made into config values. Pure. What is invalid is
// refused with the path of the field; what is outside our subset of Envoy's API is listed, and the
// caller decides what to do about it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/snapshot.h"
#include "xds/resource.h"

namespace fairlead::xds {

[[nodiscard]] Result<Decoded<config::Cluster>> decode_cluster(std::string_view bytes,
                                                              Rejected* rejected = nullptr);
[[nodiscard]] Result<Decoded<config::ClusterLoadAssignment>> decode_cluster_load_assignment(
    std::string_view bytes, Rejected* rejected = nullptr);
[[nodiscard]] Result<Decoded<config::Listener>> decode_listener(std::string_view bytes,
                                                                Rejected* rejected = nullptr);
[[nodiscard]] Result<Decoded<config::RouteConfiguration>> decode_route_configuration(
    std::string_view bytes, Rejected* rejected = nullptr);
// `bytes`: the message itself, that is, the `value` of the Any that carried it. A fault is
// `invalid`, and its message starts with the resource and the path of the field:
// "Cluster outbound|80||a: lb_policy: ...". With a fault, `rejected` tells what it would have
// closed. A field that protects and is not honoured is no fault: it closes the smallest part of the
// value that holds it (config/closed.h).

struct Resources {
  std::vector<config::Cluster> clusters;
  std::vector<config::ClusterLoadAssignment> endpoints;
  std::vector<config::Listener> listeners;
  std::vector<config::RouteConfiguration> routes;
  std::vector<config::Unhonoured> unhonoured;  // with whole resources of other types
};

[[nodiscard]] Result<Resources> decode_resources(std::string_view text, const std::string& source);
// A list of resources in protobuf's JSON mapping (or the same in YAML), each with its "@type".
// `source` names the text in faults: "FILE:LINE: FIELD: expected ...".

}  // namespace fairlead::xds
