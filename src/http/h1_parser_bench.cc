// What a plain request and its answer cost in a proxy's codec: parsed, and written anew.
#include <benchmark/benchmark.h>

#include <string>
#include <string_view>

#include "http/h1_parser.h"
#include "http/h1_writer.h"

namespace fairlead::http {
namespace {

constexpr std::string_view request =
    "GET /reviews/0?page=2 HTTP/1.1\r\n"
    "Host: reviews:9080\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/128.0.0.0 "
    "Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-US,en;q=0.5\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n"
    "x-request-id: 7c1ea1f2-2b1c-4c4e-9b1a-5d7f6f0e8a11\r\n"
    "x-forwarded-proto: http\r\n"
    "Connection: keep-alive\r\n"
    "\r\n";

constexpr std::string_view small_request = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

constexpr std::string_view response =
    "HTTP/1.1 200 OK\r\n"
    "Content-Type: application/json\r\n"
    "Content-Length: 11\r\n"
    "Date: Tue, 24 Nov 2026 08:00:00 GMT\r\n"
    "Server: app\r\n"
    "\r\n"
    "{\"ok\":true}";

void parse_request(benchmark::State& state) {
  H1RequestParser parser;
  for (auto _ : state) {
    std::string_view bytes = request;
    while (parser.next(bytes) != H1Event::end) {
    }
    benchmark::DoNotOptimize(parser.head().path);
  }
}
BENCHMARK(parse_request);

void parse_response(benchmark::State& state) {
  H1ResponseParser parser;
  for (auto _ : state) {
    std::string_view bytes = response;
    parser.expect({});
    while (parser.next(bytes) != H1Event::end) {
    }
    benchmark::DoNotOptimize(parser.head().status);
  }
}
BENCHMARK(parse_response);

void write_request_anew(benchmark::State& state) {
  H1RequestParser parser;
  std::string_view bytes = request;
  parser.next(bytes);
  std::string out;
  for (auto _ : state) {
    out.clear();
    write_request(out, parser.head(), {.body = parser.head().body});
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(write_request_anew);

// All that the codec does for one request through a proxy.
void pass_through(benchmark::State& state, std::string_view asked) {
  H1RequestParser requests;
  H1ResponseParser responses;
  std::string out;
  for (auto _ : state) {
    std::string_view bytes = asked;
    out.clear();
    while (requests.next(bytes) != H1Event::end) {
    }
    write_request(out, requests.head(), {.body = requests.head().body});
    responses.expect(H1ResponseParser::asked_by(requests.head()));
    bytes = response;
    for (;;) {
      const H1Event event = responses.next(bytes);
      if (event == H1Event::head) {
        write_response(out, responses.head(), {.body = responses.head().body});
      } else if (event == H1Event::data) {
        out += responses.data();
      } else {
        break;
      }
    }
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK_CAPTURE(pass_through, browser, request);
BENCHMARK_CAPTURE(pass_through, plain, small_request);

}  // namespace
}  // namespace fairlead::http
