#include "control/ads.h"

#include <fmt/format.h>

#include <utility>

#include "base/log.h"
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
  auto ended = co_await both(hear_until_over(call, proxy, talk), speak_until_over(call, talk));
  co_return ended.first;
}

void DiscoveryService::queue(Talk& talk, xds::Messages messages) {
  if (messages.empty()) return;
  for (xds::Message& message : messages) talk.outgoing.push_back(std::move(message));
  talk.drained.clear();
  talk.waiting.set_soon();
}

Task<GrpcStatus> DiscoveryService::hear_until_over(http::GrpcCallHandle& call,
                                                   Publisher::Proxy proxy, Talk& talk) {
  const GrpcStatus status = co_await under(talk.over, hear(call, proxy, talk));
  talk.over.cancel();
  co_return talk.failed.ok() ? status : talk.failed;
}

Task<GrpcStatus> DiscoveryService::hear(http::GrpcCallHandle& call, Publisher::Proxy proxy,
                                        Talk& talk) {
  while (true) {
    // Answers to what has not been read yet would grow without a bound.
    if (Result<> drained = co_await talk.drained.wait(); !drained.ok()) co_return GrpcStatus{};
    Result<std::optional<std::string>> message = co_await call.receive();
    if (!message.ok()) co_return http::status_of(message.fault());
    if (!*message) co_return GrpcStatus{};
    Result<xds::Messages> answers = publisher_.received(proxy, **message);
    if (!answers.ok()) {
      co_return GrpcStatus{GrpcCode::invalid_argument, answers.fault().describe()};
    }
    queue(talk, std::move(*answers));
  }
}

Task<Nothing> DiscoveryService::speak_until_over(http::GrpcCallHandle& call, Talk& talk) {
  co_await under(talk.over, speak(call, talk));
  // The stream is over, and the other half says why.
  talk.over.cancel();
  talk.drained.close();
  co_return Nothing{};
}

namespace {

Task<Result<>> send(http::GrpcCallHandle& call, const xds::Message& message) {
  co_return co_await call.send(message.parts());
}

}  // namespace

Task<Nothing> DiscoveryService::speak(http::GrpcCallHandle& call, Talk& talk) {
  while (true) {
    if (talk.outgoing.empty()) {
      talk.drained.set_soon();
      talk.waiting.clear();
      if (Result<> woken = co_await talk.waiting.wait(); !woken.ok()) co_return Nothing{};
      continue;
    }
    const xds::Message message = std::move(talk.outgoing.front());
    talk.outgoing.pop_front();
    const Result<> sent = co_await net::within(loop_, limits_.patience, send(call, message));
    if (sent.ok()) continue;
    if (sent.fault().kind == FaultKind::timed_out) give_up(call, talk);
    co_return Nothing{};
  }
}

void DiscoveryService::give_up(http::GrpcCallHandle& call, Talk& talk) {
  ++given_up_;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limits_.patience).count();
  talk.failed = {GrpcCode::deadline_exceeded,
                 fmt::format("the proxy has not taken a response within {} s", seconds)};
  call.reset(http::H2Error::enhance_your_calm);
  log::warning(fmt::format("the discovery stream of {} is ended: {}", call.peer_name(),
                           talk.failed.message));
}

std::size_t DiscoveryService::waiting() const {
  std::size_t all = 0;
  for (const auto& [proxy, talk] : talks_) all += talk->outgoing.size();
  return all;
}

void DiscoveryService::push(std::vector<Publisher::Push> pushes) {
  for (Publisher::Push& one : pushes) {
    const auto talk = talks_.find(one.proxy);
    if (talk != talks_.end()) queue(*talk->second, std::move(one.messages));
  }
}

}  // namespace fairlead::control
