#include "control/control.h"

#include <memory>
#include <utility>

#include "control/rest.h"

namespace fairlead::control {
namespace {

net::ListenOptions dual_stack() {
  return {.only_v6 = false};
}

// Discovery needs one stream of a connection, few bytes of requests and few fields: what a peer can
// make us hold is bounded by that, whatever HTTP/2 and gRPC would allow.
http::GrpcConnectionOptions discovery_options() {
  http::GrpcConnectionOptions options;
  options.places = {.total = 4096, .per_client = 2048};
  options.what = "discovery";
  options.session.budget = std::make_shared<http::GrpcBudget>();
  options.session.max_waiting = std::size_t{64} * 1024;
  options.session.http2 = {.max_concurrent_streams = 8,
                           .stream_window = 256 * 1024,
                           .connection_window = 1024 * 1024,
                           .max_header_bytes = 16 * 1024};
  return options;
}

http::ServerOptions http_options() {
  http::ServerOptions options;
  options.places = {.total = 1024, .per_client = 256};
  options.what = "registry and status";
  return options;
}

}  // namespace

Control::Control(net::Loop& loop)
    : discovery_(loop, publisher_),
      http_(
          loop, [this](http::Request& request) { return answer(request); }, http_options()),
      grpc_(
          loop, [this](http::GrpcCallHandle& call) { return discovery_.answer(call); },
          discovery_options()) {}

Result<SocketAddress> Control::listen_http(const SocketAddress& address) {
  return http_.listen(address, dual_stack());
}

Result<SocketAddress> Control::listen_grpc(const SocketAddress& address) {
  return grpc_.listen(address, dual_stack());
}

Result<> Control::listen_status(const std::string& path) {
  return http_.listen_unix(path);
}

void Control::use(mesh::WorldPointer world, std::vector<std::string> broken) {
  broken_ = std::move(broken);
  if (world != nullptr && world != publisher_.world()) {
    discovery_.push(publisher_.use(std::move(world)));
  }
}

Status Control::status() const {
  Status status = publisher_.status();
  status.broken = broken_;
  const http::Places& discovery = grpc_.acceptor().places();
  const http::Places& http = http_.acceptor().places();
  status.load = {.discovery = {discovery.limits(), discovery.counts()},
                 .http = {http.limits(), http.counts()},
                 .streams_given_up = discovery_.given_up(),
                 .answers_put_off = http_.shared().put_off,
                 .descriptors = net::descriptor_state()};
  return status;
}

Task<> Control::close() {
  co_await grpc_.close();
  co_await http_.close();
}

Task<http::Response> Control::answer(http::Request& request) {
  co_return answer_now(request);
}

http::Response Control::answer_now(const http::Request& request) const {
  const bool reads = request.method() == "GET" || request.method() == "HEAD";
  const bool own = request.path() == "/fairlead/status" || request.path() == "/ready";
  if (own && !reads) {
    http::Response response = http::Response::text(405, "this is only read: GET\n");
    response.fields = {{"allow", "GET, HEAD"}};
    return response;
  }
  if (request.path() == "/fairlead/status") return http::Response::json(status_json(status()));
  const mesh::WorldPointer& world = publisher_.world();
  if (world == nullptr) {
    std::string why = "no world yet: nothing could be read\n";
    for (const std::string& broken : broken_) why += broken + "\n";
    return http::Response::text(503, std::move(why));
  }
  if (request.path() == "/ready")
    return http::Response::text(200, "world " + world->version + "\n");
  // A head is asked for as the whole: the server leaves the body out.
  const std::string_view method = request.method() == "HEAD" ? "GET" : request.method();
  RestAnswer rest = answer_rest(*world, method, request.head().path);
  http::Response response =
      http::Response::text(static_cast<std::uint16_t>(rest.status), std::move(rest.body));
  response.content_type = std::move(rest.content_type);
  return response;
}

}  // namespace fairlead::control
