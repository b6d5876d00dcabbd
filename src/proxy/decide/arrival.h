// What is done with a request's head before a route is looked for, so that no client passes for
// what it is not, and rules see what the endpoint will get. Pure.
#pragma once

#include <string_view>

#include "base/lifetime.h"
#include "config/listener.h"
#include "http/message.h"

namespace fairlead::proxy {

struct Arrival {
  std::string_view peer;  // the address that the connection came from, without its port
  std::string_view id;    // a new one if needs_id(), else empty
};

[[nodiscard]] bool needs_id(const config::HttpConnectionManager& manager,
                            const http::RequestHead& head);
// Whether it gets an x-request-id of our own.

void receive(http::RequestHead& head, const config::HttpConnectionManager& manager,
             const Arrival& arrival LIFETIMEBOUND);
// As Envoy does for a request from outside: fields of the hop alone are taken off, and those that
// only a proxy may set (docs/trust.md); x-forwarded-for (with use_remote_address),
// x-forwarded-proto and x-request-id are put on. What is written are views of `arrival`.
// Of `head.upgrade` those protocols are left that `manager` lets pass. Other than in Envoy, which
// answers 403, a request that asks for others goes on without.

[[nodiscard]] std::string_view host_of(std::string_view address LIFETIMEBOUND);
// "10.0.0.1" of "10.0.0.1:80", "fd00::1" of "[fd00::1]:80".

[[nodiscard]] std::string_view scheme_of(const http::RequestHead& head);
// "http" or "https": of the target, else what x-forwarded-proto says.

}  // namespace fairlead::proxy
