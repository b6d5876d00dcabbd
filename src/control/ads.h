// Aggregated discovery on real gRPC: a publisher's streams, each joined to a call. State of the
// world; the incremental protocol is not spoken.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "control/publish.h"
#include "http/io/grpc.h"
#include "net/readiness.h"

namespace fairlead::control {

class DiscoveryService {
 public:
  explicit DiscoveryService(Publisher& publisher) : publisher_(publisher) {}

  [[nodiscard]] Task<http::GrpcStatus> answer(http::GrpcCallHandle& call);
  // One call, until either side ends it. Any method but StreamAggregatedResources is UNIMPLEMENTED.
  void push(std::vector<Publisher::Push> pushes);
  // What Publisher::use() gave: sent by the streams that they are for.

 private:
  // One open stream.
  struct Talk {
    std::deque<xds::Message> outgoing;
    net::Readiness waiting;  // something is in `outgoing`
    Cancel over;             // nobody is heard any more
  };
  Task<http::GrpcStatus> hear(http::GrpcCallHandle& call, Publisher::Proxy proxy, Talk& talk);
  static Task<http::GrpcStatus> speak_until_over(http::GrpcCallHandle& call, Talk& talk);
  static Task<http::GrpcStatus> speak(http::GrpcCallHandle& call, Talk& talk);
  static void queue(Talk& talk, xds::Messages messages);

  Publisher& publisher_;
  std::map<Publisher::Proxy, Talk*> talks_;
};

}  // namespace fairlead::control
