// Formats that a configuration may hold, over values that a peer may send. The first line is the
// format, each further one a value: method, path, authority, a field of the request, one of the
// response.
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "proxy/access_log.h"

namespace fairlead::proxy {
namespace {

std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

void check(std::string_view input) {
  const Result<LogFormat> format = LogFormat::parse(take_line(input));
  if (!format) return;
  http::RequestHead request;
  request.method = take_line(input);
  request.path = take_line(input);
  request.authority = take_line(input);
  request.fields.add("user-agent", take_line(input));
  http::ResponseHead response;
  response.fields.add("x-answer", take_line(input));
  LogEntry entry;
  entry.started =
      WallTime(std::chrono::seconds(1'700'000'000) + std::chrono::nanoseconds(input.size()));
  entry.duration = std::chrono::microseconds(input.size());
  entry.request_duration = entry.duration;
  entry.request = &request;
  entry.response = &response;
  entry.protocol = "HTTP/1.1";
  entry.response_code = 200;
  entry.upstream_host = input;
  entry.route_name = input;
  std::string first = "earlier\n";
  std::string second;
  format->render(entry, first);
  format->render(entry, second);
  if (first != "earlier\n" + second) std::abort();
}

}  // namespace
}  // namespace fairlead::proxy

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fairlead::proxy::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
