// Aggregated discovery on real gRPC: a publisher's streams, each joined to a call. State of the
// world; the incremental protocol is not spoken.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "control/publish.h"
#include "http/io/grpc.h"
#include "net/loop.h"
#include "net/readiness.h"

namespace fairlead::control {

struct DiscoveryLimits {
  Duration patience = std::chrono::seconds(60);
  // For a response to be taken by its proxy, so far that what is left of it fits what a connection
  // may hold. After that the stream ends with DEADLINE_EXCEEDED.
};

class DiscoveryService {
 public:
  DiscoveryService(net::Loop& loop, Publisher& publisher, DiscoveryLimits limits = {})
      : loop_(loop), publisher_(publisher), limits_(limits) {}

  [[nodiscard]] Task<http::GrpcStatus> answer(http::GrpcCallHandle& call);
  // One call, until either side ends it. Any method but StreamAggregatedResources is UNIMPLEMENTED.
  // Requests are taken from the call when all responses so far are on their way to the proxy: who
  // does not read is not read from (HTTP/2 flow control).
  void push(std::vector<Publisher::Push> pushes);
  // What Publisher::use() gave: sent by the streams that they are for.

  [[nodiscard]] std::size_t waiting() const;
  // Responses that wait to be sent, over all streams: at most one a type and stream.
  [[nodiscard]] std::uint64_t given_up() const { return given_up_; }
  // Streams that were ended because their proxy took nothing.

 private:
  // One open stream.
  struct Talk {
    std::deque<xds::Message> outgoing;
    net::Readiness waiting;  // something is in `outgoing`
    net::Readiness drained;  // nothing is, and nothing is being sent
    Cancel over;             // nobody is heard any more
    http::GrpcStatus failed;
  };
  Task<http::GrpcStatus> hear(http::GrpcCallHandle& call, Publisher::Proxy proxy, Talk& talk);
  Task<http::GrpcStatus> hear_until_over(http::GrpcCallHandle& call, Publisher::Proxy proxy,
                                         Talk& talk);
  Task<Nothing> speak_until_over(http::GrpcCallHandle& call, Talk& talk);
  Task<Nothing> speak(http::GrpcCallHandle& call, Talk& talk);
  void give_up(http::GrpcCallHandle& call, Talk& talk);
  static void queue(Talk& talk, xds::Messages messages);

  net::Loop& loop_;
  Publisher& publisher_;
  DiscoveryLimits limits_;
  std::uint64_t given_up_ = 0;
  std::map<Publisher::Proxy, Talk*> talks_;
};

}  // namespace fairlead::control
