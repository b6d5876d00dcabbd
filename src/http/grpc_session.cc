#include "http/grpc_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace fairlead::http {
namespace {

// What keeping a message costs beside its bytes: empty ones count too.
constexpr std::size_t cost_of_a_message = 64;
constexpr std::size_t own_allowance = std::size_t{64} * 1024;  // of a connection, beside the budget

std::size_t cost_of(const GrpcMessage& message) {
  return message.bytes.size() + cost_of_a_message;
}

struct Call {
  explicit Call(std::size_t max_message) : deframer(max_message) {}
  GrpcDeframer deframer;
  std::size_t unfinished = 0;        // of the deframer's bytes, as counted for the connection
  bool peer_ended = false;           // server: nothing more comes, and the owner has not heard it
  bool answered = false;             // server: response fields are sent; client: they came
  bool finished = false;             // server: finish() was called
  std::optional<GrpcStatus> status;  // client: as soon as it is known
  std::size_t waiting = 0;           // cost of messages that nobody has taken
  std::size_t owed = 0;              // received bytes that flow control has not been told of
};

bool is_grpc(const H2Fields& fields) {
  const std::string* type = find_field(fields, "content-type");
  return type && type->starts_with("application/grpc");
}

GrpcStatus status_of_reset(H2Error error) {
  // grpc/doc/PROTOCOL-HTTP2.md, "Errors".
  const std::string message = "the stream was reset: " + describe(error);
  switch (error) {
    case H2Error::refused_stream:
      return {GrpcCode::unavailable, message};
    case H2Error::cancel:
      return {GrpcCode::cancelled, message};
    case H2Error::enhance_your_calm:
      return {GrpcCode::resource_exhausted, message};
    case H2Error::none:
      return {GrpcCode::unknown, "the stream ended without a status"};
    case H2Error::protocol:
    case H2Error::internal:
    case H2Error::flow_control:
      break;
  }
  return {GrpcCode::internal, message};
}

const H2Fields& response_fields() {
  static const H2Fields fields{{":status", "200"}, {"content-type", "application/grpc"}};
  return fields;
}

}  // namespace

struct GrpcSession::State {
  State(Role own_role, const GrpcOptions& given)
      : role(own_role), options(given), http2(own_role, given.http2) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (options.budget) options.budget->used -= drawn;
  }

  Role role;
  GrpcOptions options;
  H2Session http2;
  std::unordered_map<GrpcCall, Call> calls;
  std::vector<GrpcEvent> events;
  std::uint64_t pongs = 0;
  std::size_t unfinished = 0;  // over all calls
  std::size_t drawn = 0;       // from the budget

  void digest();
  void on(H2Headers& headers);
  void on(H2Data& data);
  void on(const H2End& end);
  void on(const H2Closed& closed);
  void on(const H2GoAway&) { events.emplace_back(GrpcGoingAway{}); }
  void on(const H2Pong&) { ++pongs; }

  void open(H2Headers& headers);
  void refuse(H2Stream stream, const char* http_status);
  void answer(GrpcCall id, Call& call, const H2Headers& headers);
  void give_messages(GrpcCall id, Call& call);
  void end_of_messages(GrpcCall id, Call& call);
  [[nodiscard]] bool hold(Call& call, std::size_t bytes);
  void fail(GrpcCall id, const GrpcStatus& status);
  void finish(GrpcCall id, Call& call, const GrpcStatus& status);
  Call* find(GrpcCall id) {
    const auto found = calls.find(id);
    return found == calls.end() ? nullptr : &found->second;
  }
};

void GrpcSession::State::digest() {
  for (H2Event& event : http2.take_events()) {
    std::visit([this](auto& one) { on(one); }, event);
  }
}

void GrpcSession::State::on(H2Headers& headers) {
  if (Call* call = find(headers.stream)) {
    if (role == Role::client) answer(headers.stream, *call, headers);
  } else if (role == Role::server) {
    open(headers);
  }
}

void GrpcSession::State::open(H2Headers& headers) {
  const std::string* method = find_field(headers.fields, ":method");
  const std::string* path = find_field(headers.fields, ":path");
  if (!method || *method != "POST" || !path) return refuse(headers.stream, "405");
  if (!is_grpc(headers.fields)) return refuse(headers.stream, "415");
  calls.try_emplace(headers.stream, options.max_message);
  GrpcOpened opened{.call = headers.stream, .method = *path};
  if (const std::string* timeout = find_field(headers.fields, "grpc-timeout")) {
    opened.timeout = parse_grpc_timeout(*timeout);
    if (!opened.timeout) {
      return fail(headers.stream,
                  {GrpcCode::invalid_argument, "grpc-timeout: not a number and a unit"});
    }
  }
  opened.metadata = std::move(headers.fields);
  events.emplace_back(std::move(opened));
}

void GrpcSession::State::refuse(H2Stream stream, const char* http_status) {
  (void)http2.respond(stream, {{":status", http_status}}, H2Session::Body::none);
}

void GrpcSession::State::answer(GrpcCall id, Call& call, const H2Headers& headers) {
  const std::string* http_status = find_field(headers.fields, ":status");
  if (http_status && http_status->starts_with('1')) return;
  if (std::optional<GrpcStatus> status = grpc_status_in(headers.fields)) {
    call.status = std::move(status);
  } else if (http_status && (*http_status != "200" || !is_grpc(headers.fields))) {
    call.status = {grpc_code_for_http(*http_status),
                   fmt::format("not a gRPC answer: HTTP status {}", *http_status)};
    http2.reset(id, H2Error::cancel);
  }
  call.answered = true;
}

void GrpcSession::State::on(H2Data& data) {
  Call* call = find(data.stream);
  if (!call || call->finished || (role == Role::client && call->status)) {
    http2.consumed(data.stream, data.bytes.size());
    return;
  }
  call->deframer.add(data.bytes);
  call->owed += data.bytes.size();
  give_messages(data.stream, *call);
}

// What a server's owner does not take stays as bytes, and the peer's window shut: it costs what was
// sent, however small the messages are. A client's peer is whom it chose to ask.
void GrpcSession::State::give_messages(GrpcCall id, Call& call) {
  while (role == Role::client || call.waiting < options.max_waiting) {
    Result<std::optional<std::string>> message = call.deframer.next();
    if (!message.ok()) return fail(id, status_of(message.fault()));
    if (!*message) break;
    GrpcMessage& given = std::get<GrpcMessage>(
        events.emplace_back(GrpcMessage{.call = id, .bytes = std::move(**message)}));
    call.waiting += cost_of(given);
  }
  if (!hold(call, call.deframer.waiting())) {
    return fail(id, {GrpcCode::resource_exhausted,
                     "too many bytes are held of messages that have not come whole"});
  }
  // What is in an unfinished message must not hold the window shut, or it would never be finished.
  if (call.waiting >= options.max_waiting) return;
  http2.consumed(id, std::exchange(call.owed, 0));
  if (std::exchange(call.peer_ended, false)) end_of_messages(id, call);
}

// Counts what a call holds of messages that are not whole. False: it is too much.
bool GrpcSession::State::hold(Call& call, std::size_t bytes) {
  if (role == Role::client) return true;
  unfinished = unfinished - call.unfinished + bytes;
  call.unfinished = bytes;
  const std::size_t wanted = unfinished - std::min(unfinished, own_allowance);
  if (options.budget) {
    options.budget->used = options.budget->used - drawn + wanted;
    drawn = wanted;
  }
  const bool grants =
      wanted == 0 || !options.budget || options.budget->used <= options.budget->limit;
  return grants && unfinished <= options.max_unfinished;
}

void GrpcSession::State::fail(GrpcCall id, const GrpcStatus& status) {
  Call* call = find(id);
  if (role == Role::server) {
    finish(id, *call, status);
  } else {
    call->status = status;
    http2.reset(id, H2Error::cancel);
  }
}

void GrpcSession::State::on(const H2End& end) {
  Call* call = find(end.stream);
  if (!call) return;
  if (role == Role::server && call->waiting >= options.max_waiting) {
    call->peer_ended = true;  // after the messages that wait
    return;
  }
  end_of_messages(end.stream, *call);
}

void GrpcSession::State::end_of_messages(GrpcCall id, Call& call) {
  if (!call.deframer.between_messages() && !call.finished && !call.status) {
    return fail(id, {GrpcCode::internal, "the body ended inside a message"});
  }
  if (role == Role::client) {
    if (!call.status) call.status = {GrpcCode::unknown, "the answer ended without a status"};
    http2.reset(id, H2Error::cancel);  // nobody listens to our half any more
  } else if (!call.finished) {
    events.emplace_back(GrpcHalfClosed{id});
  }
}

void GrpcSession::State::on(const H2Closed& closed) {
  const auto found = calls.find(closed.stream);
  if (found == calls.end()) return;
  Call& call = found->second;
  (void)hold(call, 0);
  GrpcEnded ended{.call = closed.stream};
  if (role == Role::client) {
    ended.status = call.status ? *call.status : status_of_reset(closed.error);
  } else if (!call.finished || closed.by_peer || closed.error != H2Error::none) {
    ended.status = {GrpcCode::cancelled, "the call was ended: " + describe(closed.error)};
  }
  calls.erase(found);
  events.emplace_back(std::move(ended));
}

void GrpcSession::State::finish(GrpcCall id, Call& call, const GrpcStatus& status) {
  if (std::exchange(call.finished, true)) return;
  call.deframer = GrpcDeframer(options.max_message);  // what comes now is thrown away
  (void)hold(call, 0);
  const H2Fields trailers = grpc_trailers(status);
  if (call.answered) {
    http2.finish(id, trailers);
  } else {
    H2Fields only = response_fields();
    only.insert(only.end(), trailers.begin(), trailers.end());
    (void)http2.respond(id, only, H2Session::Body::none);
    call.answered = true;
  }
  http2.consumed(id, std::exchange(call.owed, 0));
}

GrpcSession::GrpcSession(Role role, const GrpcOptions& options)
    : state_(std::make_unique<State>(role, options)) {}
GrpcSession::~GrpcSession() = default;
GrpcSession::GrpcSession(GrpcSession&&) noexcept = default;
GrpcSession& GrpcSession::operator=(GrpcSession&&) noexcept = default;

Result<> GrpcSession::receive(std::string_view bytes) {
  Result<> received = state_->http2.receive(bytes);
  state_->digest();
  return received;
}

std::vector<GrpcEvent> GrpcSession::take_events() {
  return std::exchange(state_->events, {});
}

std::string GrpcSession::take_output(std::size_t limit) {
  std::string output = state_->http2.take_output(limit);
  state_->digest();  // writing ends streams too
  return output;
}

void GrpcSession::lost(const Fault& why) {
  for (auto& [id, call] : std::exchange(state_->calls, {})) {
    GrpcStatus status{GrpcCode::unavailable, why.describe()};
    if (call.status) status = *call.status;
    state_->events.emplace_back(GrpcEnded{id, std::move(status)});
  }
}

Result<GrpcCall> GrpcSession::start(const Request& request) {
  H2Fields fields{{":method", "POST"},
                  {":scheme", "http"},
                  {":path", request.method},
                  {":authority", request.authority},
                  {"te", "trailers"},
                  {"content-type", "application/grpc"},
                  {"user-agent", state_->options.user_agent}};
  if (request.timeout) fields.push_back({"grpc-timeout", format_grpc_timeout(*request.timeout)});
  fields.insert(fields.end(), request.metadata.begin(), request.metadata.end());
  Result<H2Stream> stream = state_->http2.request(fields, H2Session::Body::follows);
  if (stream.ok()) state_->calls.try_emplace(*stream, state_->options.max_message);
  return stream;
}

void GrpcSession::half_close(GrpcCall call) {
  state_->http2.finish(call);
}

void GrpcSession::cancel(GrpcCall id, const GrpcStatus& status) {
  Call* call = state_->find(id);
  if (!call) return;
  if (!call->status) call->status = status;
  state_->http2.reset(id, H2Error::cancel);
}

void GrpcSession::finish(GrpcCall id, const GrpcStatus& status) {
  if (Call* call = state_->find(id)) state_->finish(id, *call, status);
}

void GrpcSession::reset(GrpcCall id, H2Error error) {
  Call* call = state_->find(id);
  if (!call) return;
  call->finished = true;
  (void)state_->hold(*call, 0);
  state_->http2.reset(id, error);
}

void GrpcSession::send(GrpcCall id, std::string_view message) {
  begin_message(id, message.size());
  send_part(id, message);
}

void GrpcSession::begin_message(GrpcCall id, std::size_t size) {
  Call* call = state_->find(id);
  if (!call || call->finished) return;
  if (state_->role == Role::server && !std::exchange(call->answered, true)) {
    (void)state_->http2.respond(id, response_fields(), H2Session::Body::follows);
  }
  state_->http2.send(id, grpc_prefix(size));
}

void GrpcSession::send_part(GrpcCall id, std::string_view bytes) {
  const Call* call = state_->find(id);
  if (call && !call->finished) state_->http2.send(id, bytes);
}

std::size_t GrpcSession::queued(GrpcCall call) const {
  return state_->http2.queued(call);
}

void GrpcSession::taken(const GrpcMessage& message) {
  Call* call = state_->find(message.call);
  if (!call) return;
  call->waiting -= cost_of(message);
  if (!call->finished) state_->give_messages(message.call, *call);
}

void GrpcSession::ping(std::uint64_t payload) {
  state_->http2.ping(payload);
}

std::uint64_t GrpcSession::pongs() const {
  return state_->pongs;
}

void GrpcSession::go_away(std::string_view why) {
  state_->http2.go_away(H2Error::none, why);
}

bool GrpcSession::finished() const {
  return state_->http2.finished();
}

std::size_t GrpcSession::open_calls() const {
  return state_->calls.size();
}

}  // namespace fairlead::http
