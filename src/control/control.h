// The control plane's shell: a publisher joined to its ports. Discovery on gRPC; on HTTP
//
//   GET /v1/registration/...   the registry in Pilot's shapes (rest.h)
//   GET /fairlead/status       who speaks which world (status.h)
//   GET /ready                 200 once there is a world, else 503
#pragma once

#include <string>
#include <vector>

#include "control/ads.h"
#include "control/publish.h"
#include "http/io/grpc.h"
#include "http/io/server.h"
#include "net/loop.h"

namespace fairlead::control {

class Control {
 public:
  explicit Control(net::Loop& loop);

  [[nodiscard]] Result<SocketAddress> listen_http(const SocketAddress& address);
  [[nodiscard]] Result<SocketAddress> listen_grpc(const SocketAddress& address);
  // [::] takes IPv4 too. Gives the address, with the port that the kernel chose for 0.
  [[nodiscard]] Result<> listen_status(const std::string& path);
  // What is on HTTP, on a unix socket.

  void use(mesh::WorldPointer world, std::vector<std::string> broken);
  // The newest world, and the files of which an older one is in force. Null: none yet.
  [[nodiscard]] Status status() const;

  [[nodiscard]] Task<> close();
  // Streams end with UNAVAILABLE, ports are given back. Call it before this dies, or end the loop
  // first.

 private:
  [[nodiscard]] Task<http::Response> answer(http::Request& request);
  [[nodiscard]] http::Response answer_now(const http::Request& request) const;

  Publisher publisher_;
  DiscoveryService discovery_;
  std::vector<std::string> broken_;
  http::Server http_;
  http::GrpcServer grpc_;
};

}  // namespace fairlead::control
