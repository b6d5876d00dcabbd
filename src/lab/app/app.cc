#include "lab/app/app.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json_text.h"
#include "base/log.h"
#include "http/io/client.h"
#include "http/validate.h"
#include "net/signals.h"

namespace fairlead::lab::app {
namespace {

using Json = nlohmann::ordered_json;
using PassedOn = std::vector<std::pair<std::string, std::string>>;

std::string lowered(std::string_view text) {
  std::string made(text);
  for (char& c : made) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return made;
}

std::string dumped(const Json& json) {
  return json_text(json) + "\n";
}

Json headers_of(const http::Fields& fields) {
  Json headers = Json::object();
  for (const http::Field& field : fields) {
    const std::string name = lowered(field.name);
    if (headers.contains(name)) {
      headers[name] = headers[name].get<std::string>() + ", " + std::string(field.value);
    } else {
      headers[name] = std::string(field.value);
    }
  }
  return headers;
}

PassedOn passed_on(const http::Fields& fields) {
  PassedOn passed;
  for (const http::Field& field : fields) {
    std::string name = lowered(field.name);
    if (is_passed_on(name)) passed.emplace_back(std::move(name), std::string(field.value));
  }
  return passed;
}

bool is_probe(std::string_view path) {
  constexpr std::array<std::string_view, 4> probes{"/health", "/healthz", "/ready", "/live"};
  return std::find(probes.begin(), probes.end(), path) != probes.end();
}

// ── Calling on ───────────────────────────────────────────────────────────────────────────────────

Task<Result<http::Answer>> fetch_from(net::Loop& loop, Resolver& resolver, const CallTarget& target,
                                      const PassedOn& fields) {
  Result<std::vector<SocketAddress>> addresses =
      co_await resolver.resolve(target.host, target.port);
  if (!addresses) co_return std::move(addresses).fault();
  Fault last;
  for (const SocketAddress& address : *addresses) {
    Result<http::Answer> answer = co_await http::fetch(
        loop, address,
        {.path = target.path, .authority = target.authority, .fields = fields, .body = {}},
        {.timeout = std::chrono::seconds(30), .limits = {}, .connect = {}});
    if (answer) co_return answer;
    last = std::move(answer).fault();
    if (last.kind != FaultKind::unreachable) break;  // it was sent: that is the answer
  }
  co_return last;
}

Task<Json> call_on(net::Loop& loop, Resolver& resolver, const std::string& url,
                   const PassedOn& fields) {
  Json call{{"url", url}};
  Result<CallTarget> target = target_of(url);
  if (!target) {
    call["error"] = target.fault().describe();
    co_return call;
  }
  Result<http::Answer> answer = co_await fetch_from(loop, resolver, *target, fields);
  if (!answer) {
    call["error"] = answer.fault().describe();
    co_return call;
  }
  call["status"] = answer->head.status;
  call["peer"] = answer->peer.text();
  Json said = parse_ordered_json(answer->body);
  if (said.is_object()) {
    call["answer"] = std::move(said);
  } else {
    constexpr std::size_t shown = 200;
    call["body_bytes"] = answer->body.size();
    call["body"] = answer->body.substr(0, shown);
  }
  co_return call;
}

bool went_wrong(const Json& call) {
  return call.contains("error") || call.value("status", 0) >= 500;
}

// ── Answers ──────────────────────────────────────────────────────────────────────────────────────

Task<std::size_t> read_body(http::Request& request) {
  std::size_t size = 0;
  for (;;) {
    const Result<std::string_view> piece = co_await request.piece();
    if (!piece || piece->empty()) co_return size;
    size += piece->size();
  }
}

constexpr std::string_view filling = "The quick brown fox jumps over the lazy dog. 0123456789 ";
constexpr std::size_t piece_size = std::size_t{64} * 1024;

std::string text_of(std::size_t size) {
  std::string text;
  text.reserve(size);
  while (text.size() < size) text += filling.substr(0, size - text.size());
  return text;
}

Task<Result<>> write_text(http::BodyWriter& writer, std::uint64_t size) {
  const std::string piece =
      text_of(static_cast<std::size_t>(std::min<std::uint64_t>(size, piece_size)));
  while (size > 0) {
    const auto now = static_cast<std::size_t>(std::min<std::uint64_t>(size, piece.size()));
    Result<> written = co_await writer.write(std::string_view(piece).substr(0, now));
    if (!written) co_return written;
    size -= now;
  }
  co_return done();
}

Task<Result<>> write_in_pieces(http::BodyWriter& writer, const std::string& body) {
  constexpr std::size_t piece = 100;
  for (std::size_t at = 0; at < body.size(); at += piece) {
    Result<> written = co_await writer.write(std::string_view(body).substr(at, piece));
    if (!written) co_return written;
  }
  co_return done();
}

http::Response bytes_response(std::uint64_t size, bool chunked) {
  http::Response response;
  response.content_type = "text/plain";
  response.stream = [size](http::BodyWriter& writer) { return write_text(writer, size); };
  if (!chunked) response.size = size;
  return response;
}

Task<> echo(net::StreamPointer stream) {
  std::vector<char> buffer(std::size_t{16} * 1024);
  for (;;) {
    if (Result<> ready = co_await stream->readable(); !ready) co_return;
    const Result<net::Taken> taken = stream->read_now(buffer);
    if (!taken) co_return;
    if (taken->bytes > 0) {
      if (Result<> sent = co_await stream->write_all({buffer.data(), taken->bytes}); !sent)
        co_return;
    }
    if (taken->end) break;
  }
  stream->shutdown_write();
}

template <class Server>
Task<Nothing> closed(Server& server, Duration grace) {
  co_await server.close(grace);
  co_return Nothing{};
}

Result<SocketAddress> listen_everywhere(http::Acceptor& acceptor, std::uint16_t port) {
  Result<SocketAddress> both = acceptor.listen({IpAddress::v6({}), port}, {.only_v6 = false});
  if (both || both.fault().kind == FaultKind::exhausted) return both;
  return acceptor.listen({IpAddress(), port});  // no IPv6 here
}

}  // namespace

App::App(net::Loop& loop, AppSettings settings, Random& random)
    : loop_(loop),
      settings_(std::move(settings)),
      random_(random),
      resolver_(loop),
      http_(loop, [this](http::Request& request) { return answer(request); }),
      tcp_(loop, [](net::StreamPointer stream, http::Places::Place& /*place*/) {
        return echo(std::move(stream));
      }) {}

Result<std::string> App::listen() {
  std::string ports;
  const auto listen_on = [&ports](http::Acceptor& acceptor, std::uint16_t port,
                                  const char* protocol) -> Result<> {
    const Result<SocketAddress> listening = listen_everywhere(acceptor, port);
    if (!listening) return listening.fault();
    ports += fmt::format("{}{}{}", ports.empty() ? "" : ", ", listening->port, protocol);
    return done();
  };
  for (const std::uint16_t port : settings_.ports) {
    if (Result<> ready = listen_on(http_.acceptor(), port, ""); !ready) return ready.fault();
  }
  for (const std::uint16_t port : settings_.tcp_ports) {
    if (Result<> ready = listen_on(tcp_, port, "/tcp"); !ready) return ready.fault();
  }
  return ports;
}

Result<SocketAddress> App::listen_http(const SocketAddress& address) {
  return http_.listen(address);
}

Result<SocketAddress> App::listen_tcp(const SocketAddress& address) {
  return tcp_.listen(address);
}

Task<> App::close() {
  co_await both(closed(http_, settings_.drain), closed(tcp_, settings_.drain));
}

Task<http::Response> App::answer(http::Request& request) {
  if (is_probe(request.path())) co_return http::Response::text(200, "ok\n");
  const Result<RequestSpec> spec = request_spec_from(request.query());
  http::Response response = spec ? co_await answer(request, *spec)
                                 : http::Response::text(400, spec.fault().describe() + "\n");
  if (!settings_.pod.empty()) response.fields.emplace_back("x-sample-pod", settings_.pod);
  if (!settings_.version.empty()) {
    response.fields.emplace_back("x-sample-version", settings_.version);
  }
  co_return response;
}

Task<http::Response> App::answer(http::Request& request, const RequestSpec& spec) {
  const std::size_t body_bytes = co_await read_body(request);
  if (spec.delay.count() > 0) {
    if (Result<> slept = co_await loop_.sleep(spec.delay); !slept) {
      co_return http::Response::text(503, "the app is going away\n");
    }
  }
  constexpr std::uint64_t cases = 1'000'000;
  if (static_cast<double>(random_.below(cases)) < spec.fail * static_cast<double>(cases)) {
    co_return http::Response::text(spec.status.value_or(500), "failed, as it was asked to\n");
  }

  const PassedOn fields = passed_on(request.head().fields);
  Json calls = Json::array();
  bool wrong = false;
  for (const std::string& url : spec.calls_said ? spec.calls : settings_.calls) {
    Json call = co_await call_on(loop_, resolver_, url, fields);
    wrong = wrong || went_wrong(call);
    calls.push_back(std::move(call));
  }
  const std::uint16_t status = spec.fail > 0 || !spec.status ? (wrong ? 502 : 200) : *spec.status;
  if (spec.bytes) {
    http::Response response = bytes_response(*spec.bytes, spec.chunked);
    response.status = status;
    co_return response;
  }

  const Json said{{"service", settings_.service},
                  {"version", settings_.version},
                  {"pod", settings_.pod},
                  {"namespace", settings_.name_space},
                  {"method", std::string(request.method())},
                  {"path", std::string(request.head().path)},
                  {"local", request.stream().local().text()},
                  {"peer", request.stream().peer().text()},
                  {"headers", headers_of(request.head().fields)},
                  {"body_bytes", body_bytes},
                  {"calls", std::move(calls)}};
  http::Response response = http::Response::json(dumped(said), status);
  if (spec.chunked) {
    response.stream = [body = std::exchange(response.body, {})](http::BodyWriter& writer) {
      return write_in_pieces(writer, body);
    };
  }
  co_return response;
}

namespace {

Task<Result<>> listen_until_told(App& app, const std::string& who, net::Signals& signals) {
  const Result<std::string> ports = app.listen();
  if (!ports) co_return ports.fault();
  log::info(fmt::format("the sample app answers as '{}' on {}", who, *ports));
  const Result<int> signal = co_await signals.next();
  if (!signal) co_return signal.fault();
  log::info("told to end: finishing what was begun");
  co_return done();
}

Task<Result<>> serve_until_told(App& app, const std::string& who, net::Signals& signals) {
  Result<> told = co_await listen_until_told(app, who, signals);
  co_await app.close();
  co_return told;
}

}  // namespace

Result<> run_app(AppSettings settings) {
  net::Loop loop;
  Result<std::unique_ptr<net::Signals>> signals = net::Signals::watch(loop, {SIGTERM, SIGINT});
  if (!signals) return std::move(signals).fault();
  SeededRandom random(seed_from_system());
  const std::string who =
      settings.version.empty() ? settings.service : settings.service + " " + settings.version;
  App app(loop, std::move(settings), random);
  return loop.run(serve_until_told(app, who, **signals));
}

}  // namespace fairlead::lab::app
