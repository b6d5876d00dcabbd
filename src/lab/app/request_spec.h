// What the sample app is, and what a request asks of it. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace fairlead::lab::app {

struct AppSettings {
  std::string service;  // "reviews"
  std::string version;  // "v2"; may be empty
  std::string pod;
  std::string name_space;
  std::vector<std::uint16_t> ports;      // HTTP
  std::vector<std::uint16_t> tcp_ports;  // sends back what comes
  std::vector<std::string> calls;  // URLs that it calls for each request, unless told otherwise
  Duration drain = std::chrono::seconds(5);  // that requests in flight get after SIGTERM
};

using Environment = std::function<std::optional<std::string>(const char* name)>;

[[nodiscard]] Result<AppSettings> settings_from(const Environment& environment);
// APP_NAME, APP_VERSION, POD_NAME (else HOSTNAME), POD_NAMESPACE, APP_CALLS ("URL URL"), PORT. What
// is missing is guessed from the pod's name: "reviews-v2-5c75-x7" is version v2 of reviews. Calls
// that nobody names are the shop's: productpage calls details and reviews, reviews from v2 on
// ratings. A fault names the variable, its value and what was expected. An empty PORT is none.

// The query of a request:
//   call=URL         call on to it; may come several times; "none": call nobody
//   chain=A:1,B:2    call on to A, which calls on to B
//   delay=250ms      be slow: ms, s, m, or seconds without a unit
//   fail=0.2         fail in this share of cases, with status=... or else 500
//   status=404       answer with this status
//   bytes=1000       answer so many bytes of text instead of JSON
//   chunked=1        answer without saying the length before
struct RequestSpec {
  std::vector<std::string> calls;
  bool calls_said = false;  // then the app's own calls are not made
  Duration delay{};
  double fail = 0;
  std::optional<std::uint16_t> status;
  std::optional<std::uint64_t> bytes;
  bool chunked = false;
};

[[nodiscard]] Result<RequestSpec> request_spec_from(std::string_view query);
// A fault names the parameter and what was expected. Parameters that it does not know are the
// user's own.

struct CallTarget {
  std::string host;  // without the brackets of an IPv6 address
  std::uint16_t port = 80;
  std::string authority;  // as in the URL
  std::string path = "/";
};
[[nodiscard]] Result<CallTarget> target_of(std::string_view url);
// "http://host:port/path?query", or the same without "http://".

[[nodiscard]] bool is_passed_on(std::string_view field);
// Fields that an app copies from what it is asked to what it asks: request id, trace context, who
// the user is. In lower case.

}  // namespace fairlead::lab::app
