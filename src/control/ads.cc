#include "control/ads.h"

#include <utility>

#include "xds/session.h"

namespace fairlead::control {

using http::GrpcCode;
using http::GrpcStatus;

Task<GrpcStatus> DiscoveryService::answer(http::GrpcCallHandle& call) {
  if (call.method() != xds::ads_method) co_return http::grpc_unimplemented(call.method());
  const Publisher::Proxy proxy = publisher_.opened(call.peer_name());
  Talk talk;
  talk.over.inherit(co_await cancellation_here());
  talks_.emplace(proxy, &talk);
  // Also when this coroutine is destroyed where it waits.
  struct Leaving {
    DiscoveryService& service;
    Publisher::Proxy proxy;
    ~Leaving() {
      service.talks_.erase(proxy);
      service.publisher_.closed(proxy);
    }
  } const leaving{*this, proxy};
  auto ended = co_await both(hear(call, proxy, talk), speak_until_over(call, talk));
  co_return ended.first;
}

void DiscoveryService::queue(Talk& talk, xds::Messages messages) {
  if (messages.empty()) return;
  for (xds::Message& message : messages) talk.outgoing.push_back(std::move(message));
  talk.waiting.set_soon();
}

Task<GrpcStatus> DiscoveryService::hear(http::GrpcCallHandle& call, Publisher::Proxy proxy,
                                        Talk& talk) {
  GrpcStatus status;
  while (true) {
    Result<std::optional<std::string>> message = co_await call.receive();
    if (!message.ok()) status = http::status_of(message.fault());
    if (!message.ok() || !*message) break;
    Result<xds::Messages> answers = publisher_.received(proxy, **message);
    if (!answers.ok()) {
      status = {GrpcCode::invalid_argument, answers.fault().describe()};
      break;
    }
    queue(talk, std::move(*answers));
  }
  talk.over.cancel();
  co_return status;
}

Task<GrpcStatus> DiscoveryService::speak_until_over(http::GrpcCallHandle& call, Talk& talk) {
  co_return co_await under(talk.over, speak(call, talk));
}

Task<GrpcStatus> DiscoveryService::speak(http::GrpcCallHandle& call, Talk& talk) {
  while (true) {
    if (talk.outgoing.empty()) {
      talk.waiting.clear();
      if (Result<> woken = co_await talk.waiting.wait(); !woken.ok()) {
        // The stream is over, and the other half says why.
        co_return GrpcStatus{};
      }
      continue;
    }
    const xds::Message message = std::move(talk.outgoing.front());
    talk.outgoing.pop_front();
    if (Result<> sent = co_await call.send(message.parts()); !sent.ok()) co_return GrpcStatus{};
  }
}

void DiscoveryService::push(std::vector<Publisher::Push> pushes) {
  for (Publisher::Push& one : pushes) {
    const auto talk = talks_.find(one.proxy);
    if (talk != talks_.end()) queue(*talk->second, std::move(one.messages));
  }
}

}  // namespace fairlead::control
