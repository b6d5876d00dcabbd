// The registry as Pilot 0.7.1 told it over HTTP: /v1/registration/. A function of the world and a
// path; no sockets.
#pragma once

#include <string>
#include <string_view>

#include "mesh/world.h"

namespace fairlead::control {

struct RestAnswer {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
};

[[nodiscard]] RestAnswer answer_rest(const mesh::World& world, std::string_view method,
                                     std::string_view target);
// `target`: as in the request line, percent-encoded or not. What Pilot had beside the registry
// (/v1/clusters and its like) is 404 with a sentence that says where it went.

[[nodiscard]] std::string service_key(const mesh::Service& service, const mesh::ServicePort& port);
// "reviews.default.svc.cluster.local|http"; the host alone when the port has no name.

}  // namespace fairlead::control
