// The sample service: answers who it is and what it saw, and calls on when it is asked to.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "http/io/acceptor.h"
#include "http/io/server.h"
#include "lab/app/request_spec.h"
#include "lab/app/resolve.h"
#include "net/loop.h"

namespace fairlead::lab::app {

class App {
 public:
  App(net::Loop& loop, AppSettings settings, Random& random);

  [[nodiscard]] Result<std::string> listen();
  // On all of its ports, of every address. Says which, as "9080, 9000/tcp". Fault: one cannot be
  // had; the app is to be closed all the same, as others may be open already.
  [[nodiscard]] Result<SocketAddress> listen_http(const SocketAddress& address);
  [[nodiscard]] Result<SocketAddress> listen_tcp(const SocketAddress& address);
  [[nodiscard]] Task<> close();
  // Takes no more connections, lets requests in flight end for as long as `drain` says. Before it
  // dies.

 private:
  [[nodiscard]] Task<http::Response> answer(http::Request& request);
  [[nodiscard]] Task<http::Response> answer(http::Request& request, const RequestSpec& spec);

  net::Loop& loop_;
  AppSettings settings_;
  Random& random_;
  Resolver resolver_;
  http::Server http_;
  http::Acceptor tcp_;
};

[[nodiscard]] Result<> run_app(AppSettings settings);
// Until SIGTERM or SIGINT, then drains.

// An answer's JSON:
//   {"service":"reviews","version":"v2","pod":"reviews-v2-5c75-x7","namespace":"default",
//    "method":"GET","path":"/reviews/0?x=y","local":"10.244.1.3:9080","peer":"10.244.2.2:51312",
//    "headers":{"host":"reviews:9080",...},"body_bytes":0,
//    "calls":[{"url":"http://ratings:9080/ratings/0","status":200,"peer":"10.96.0.9:9080",
//              "answer":{...}}, {"url":"...","error":"..."}]}
// Its status is 502 when a call got no answer or one of 500 and above. Also in the fields
// x-sample-pod and x-sample-version. /health, /healthz, /ready and /live answer "ok" and call
// nobody.

}  // namespace fairlead::lab::app
