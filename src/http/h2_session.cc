#include "http/h2_session.h"

#include <fmt/format.h>
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "base/release.h"

namespace fairlead::http {
namespace {

struct SessionDeleter {
  void operator()(nghttp2_session* session) const { nghttp2_session_del(session); }
};

std::uint8_t* bytes_of(const std::string& text) {
  // nghttp2 copies what it is given and takes it as non-const for the sake of C.
  return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));  // NOLINT
}

std::vector<nghttp2_nv> to_nghttp2(const H2Fields& fields) {
  std::vector<nghttp2_nv> made;
  made.reserve(fields.size());
  for (const H2Field& field : fields) {
    made.push_back({bytes_of(field.name), bytes_of(field.value), field.name.size(),
                    field.value.size(), NGHTTP2_NV_FLAG_NONE});
  }
  return made;
}

std::string_view view(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

// What one stream still has to send.
struct Outgoing {
  static constexpr std::size_t kept_when_empty = 16 * 1024;
  std::string queue;
  std::size_t sent = 0;
  bool ends = false;
  std::optional<H2Fields> trailers;

  [[nodiscard]] std::size_t left() const { return queue.size() - sent; }
  std::size_t take(std::uint8_t* into, std::size_t room) {
    const std::size_t size = std::min(room, left());
    std::memcpy(into, queue.data() + sent, size);
    sent += size;
    if (sent == queue.size()) {
      // A stream may live for days after one large message: its room is given back.
      if (queue.capacity() > kept_when_empty) release(queue);
      queue.clear();
      sent = 0;
    }
    return size;
  }
};

struct Incoming {
  H2Fields fields;
  std::size_t bytes = 0;
};

}  // namespace

const std::string* find_field(const H2Fields& fields LIFETIMEBOUND, std::string_view name) {
  const auto found = std::find_if(fields.begin(), fields.end(),
                                  [&](const H2Field& field) { return field.name == name; });
  return found == fields.end() ? nullptr : &found->value;
}

std::string describe(H2Error error) {
  return nghttp2_http2_strerror(static_cast<std::uint32_t>(error));
}

struct H2Session::State {
  std::unique_ptr<nghttp2_session, SessionDeleter> session;
  std::uint32_t max_header_bytes = 0;
  std::vector<H2Event> events;
  std::unordered_map<H2Stream, Outgoing> outgoing;
  std::unordered_map<H2Stream, Incoming> incoming;
  std::unordered_set<H2Stream> reset_by_peer;
  std::size_t open = 0;

  static State& of(void* user_data) { return *static_cast<State*>(user_data); }
  static int begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user_data);
  static int header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                    std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                    std::uint8_t flags, void* user_data);
  static int frame(nghttp2_session*, const nghttp2_frame* frame, void* user_data);
  static int data(nghttp2_session*, std::uint8_t flags, H2Stream stream, const std::uint8_t* bytes,
                  std::size_t size, void* user_data);
  static int close(nghttp2_session*, H2Stream stream, std::uint32_t error, void* user_data);
  static int sent(nghttp2_session* session, const nghttp2_frame* frame, void* user_data);
  static ssize_t read(nghttp2_session*, H2Stream stream, std::uint8_t* into, std::size_t room,
                      std::uint32_t* flags, nghttp2_data_source*, void* user_data);

  void headers_came(const nghttp2_frame& frame);
  void resume(H2Stream stream) { nghttp2_session_resume_data(session.get(), stream); }
};

int H2Session::State::begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
  State& state = of(user_data);
  if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) ++state.open;
  state.incoming[frame->hd.stream_id] = {};
  return 0;
}

int H2Session::State::header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                             std::size_t name_size, const std::uint8_t* value,
                             std::size_t value_size, std::uint8_t, void* user_data) {
  State& state = of(user_data);
  Incoming& incoming = state.incoming[frame->hd.stream_id];
  incoming.bytes += name_size + value_size + 32;  // RFC 9113 §6.5.2 counts 32 for each
  if (incoming.bytes > state.max_header_bytes) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  incoming.fields.push_back(
      {std::string(view(name, name_size)), std::string(view(value, value_size))});
  return 0;
}

void H2Session::State::headers_came(const nghttp2_frame& frame) {
  const auto found = incoming.find(frame.hd.stream_id);
  if (found == incoming.end()) return;
  H2Headers headers{.stream = frame.hd.stream_id, .fields = std::move(found->second.fields)};
  // A response's own fields come as "headers" too when a 1xx went before them; they have a status.
  headers.trailers = frame.headers.cat == NGHTTP2_HCAT_HEADERS &&
                     (headers.fields.empty() || headers.fields.front().name != ":status");
  incoming.erase(found);
  events.emplace_back(std::move(headers));
}

int H2Session::State::frame(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
  State& state = of(user_data);
  switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
      state.headers_came(*frame);
      [[fallthrough]];
    case NGHTTP2_DATA:
      if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
        state.events.emplace_back(H2End{frame->hd.stream_id});
      }
      break;
    case NGHTTP2_RST_STREAM:
      state.reset_by_peer.insert(frame->hd.stream_id);
      break;
    case NGHTTP2_GOAWAY:
      state.events.emplace_back(H2GoAway{
          .last = frame->goaway.last_stream_id,
          .error = H2Error{frame->goaway.error_code},
          .debug = std::string(view(frame->goaway.opaque_data, frame->goaway.opaque_data_len))});
      break;
    case NGHTTP2_PING:
      if (frame->hd.flags & NGHTTP2_FLAG_ACK) {
        H2Pong pong;
        std::memcpy(&pong.payload, frame->ping.opaque_data, sizeof pong.payload);
        state.events.emplace_back(pong);
      }
      break;
    default:
      break;
  }
  return 0;
}

int H2Session::State::data(nghttp2_session*, std::uint8_t, H2Stream stream,
                           const std::uint8_t* bytes, std::size_t size, void* user_data) {
  of(user_data).events.emplace_back(H2Data{stream, std::string(view(bytes, size))});
  return 0;
}

int H2Session::State::close(nghttp2_session*, H2Stream stream, std::uint32_t error,
                            void* user_data) {
  State& state = of(user_data);
  state.outgoing.erase(stream);
  state.incoming.erase(stream);
  --state.open;
  const bool by_peer = state.reset_by_peer.erase(stream) > 0;
  state.events.emplace_back(
      H2Closed{.stream = stream, .error = H2Error{error}, .by_peer = by_peer});
  return 0;
}

int H2Session::State::sent(nghttp2_session* session, const nghttp2_frame* frame, void*) {
  // A server that has answered in full lets go of a request that still comes (RFC 9113 §8.1).
  const bool ended = frame->hd.flags & NGHTTP2_FLAG_END_STREAM &&
                     (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA);
  const H2Stream stream = frame->hd.stream_id;
  if (ended && nghttp2_session_check_server_session(session) != 0 &&
      nghttp2_session_get_stream_remote_close(session, stream) == 0) {
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_NO_ERROR);
  }
  return 0;
}

ssize_t H2Session::State::read(nghttp2_session* session, H2Stream stream, std::uint8_t* into,
                               std::size_t room, std::uint32_t* flags, nghttp2_data_source*,
                               void* user_data) {
  Outgoing& outgoing = of(user_data).outgoing[stream];
  const std::size_t size = outgoing.take(into, room);
  if (outgoing.left() == 0 && outgoing.ends) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (outgoing.trailers) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      const std::vector<nghttp2_nv> fields = to_nghttp2(*outgoing.trailers);
      if (nghttp2_submit_trailer(session, stream, fields.data(), fields.size()) != 0) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
      }
    }
    return static_cast<ssize_t>(size);
  }
  return size > 0 ? static_cast<ssize_t>(size) : ssize_t{NGHTTP2_ERR_DEFERRED};
}

namespace {

nghttp2_data_provider provider(nghttp2_data_source_read_callback read) {
  nghttp2_data_provider made{};
  made.read_callback = read;
  return made;
}

}  // namespace

H2Session::H2Session(Role role, const H2Options& options) : state_(std::make_unique<State>()) {
  state_->max_header_bytes = options.max_header_bytes;

  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, State::begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, State::header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, State::frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, State::data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, State::close);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, State::sent);

  nghttp2_option* option = nullptr;
  nghttp2_option_new(&option);
  nghttp2_option_set_no_auto_window_update(option, 1);  // consumed() says when
  nghttp2_option_set_no_closed_streams(option, 1);      // no memory for the past

  nghttp2_session* session = nullptr;
  if (role == Role::client) {
    nghttp2_session_client_new2(&session, callbacks, state_.get(), option);
  } else {
    nghttp2_session_server_new2(&session, callbacks, state_.get(), option);
  }
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  state_->session.reset(session);

  std::vector<nghttp2_settings_entry> settings{
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options.max_concurrent_streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options.stream_window},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, options.max_header_bytes}};
  if (role == Role::client) settings.push_back({NGHTTP2_SETTINGS_ENABLE_PUSH, 0});
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0,
                                        static_cast<std::int32_t>(options.connection_window));
}

H2Session::~H2Session() = default;
H2Session::H2Session(H2Session&&) noexcept = default;
H2Session& H2Session::operator=(H2Session&&) noexcept = default;

Result<> H2Session::receive(std::string_view bytes) {
  const ssize_t read = nghttp2_session_mem_recv(
      state_->session.get(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  if (read < 0) {
    return invalid(fmt::format("not HTTP/2: {}", nghttp2_strerror(static_cast<int>(read))));
  }
  return done();
}

std::vector<H2Event> H2Session::take_events() {
  return std::exchange(state_->events, {});
}

std::string H2Session::take_output(std::size_t limit) {
  std::string output;
  while (output.size() < limit) {
    const std::uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(state_->session.get(), &bytes);
    if (size <= 0) break;
    output.append(view(bytes, static_cast<std::size_t>(size)));
  }
  return output;
}

Result<H2Stream> H2Session::request(const H2Fields& fields, Body body) {
  const std::vector<nghttp2_nv> made = to_nghttp2(fields);
  const nghttp2_data_provider reader = provider(State::read);
  const H2Stream stream =
      nghttp2_submit_request(state_->session.get(), nullptr, made.data(), made.size(),
                             body == Body::follows ? &reader : nullptr, nullptr);
  if (stream < 0) {
    return Fault{.kind = FaultKind::exhausted,
                 .message = fmt::format("no new stream: {}", nghttp2_strerror(stream)),
                 .retry = Retry::elsewhere};
  }
  ++state_->open;
  if (body == Body::follows) state_->outgoing[stream];
  return stream;
}

Result<> H2Session::respond(H2Stream stream, const H2Fields& fields, Body body) {
  nghttp2_session* session = state_->session.get();
  if (!nghttp2_session_find_stream(session, stream)) {
    return Fault{.kind = FaultKind::closed,
                 .message = fmt::format("HTTP/2 stream {} is gone", stream),
                 .side = Side::downstream};
  }
  const std::vector<nghttp2_nv> made = to_nghttp2(fields);
  const nghttp2_data_provider reader = provider(State::read);
  if (body == Body::follows) state_->outgoing[stream];
  const int failed = nghttp2_submit_response(session, stream, made.data(), made.size(),
                                             body == Body::follows ? &reader : nullptr);
  if (failed == 0) return done();
  state_->outgoing.erase(stream);
  return Fault{.kind = FaultKind::internal,
               .message = fmt::format("HTTP/2 stream {} takes no response: {}", stream,
                                      nghttp2_strerror(failed)),
               .side = Side::downstream};
}

void H2Session::send(H2Stream stream, std::string_view bytes) {
  const auto found = state_->outgoing.find(stream);
  if (found == state_->outgoing.end() || found->second.ends) return;
  found->second.queue.append(bytes);
  state_->resume(stream);
}

void H2Session::finish(H2Stream stream) {
  const auto found = state_->outgoing.find(stream);
  if (found == state_->outgoing.end() || found->second.ends) return;
  found->second.ends = true;
  state_->resume(stream);
}

void H2Session::finish(H2Stream stream, const H2Fields& trailers) {
  const auto found = state_->outgoing.find(stream);
  if (found == state_->outgoing.end() || found->second.ends) return;
  found->second.trailers = trailers;
  finish(stream);
}

void H2Session::reset(H2Stream stream, H2Error error) {
  nghttp2_submit_rst_stream(state_->session.get(), NGHTTP2_FLAG_NONE, stream,
                            static_cast<std::uint32_t>(error));
}

std::size_t H2Session::queued(H2Stream stream) const {
  const auto found = state_->outgoing.find(stream);
  return found == state_->outgoing.end() ? 0 : found->second.left();
}

std::size_t H2Session::room(H2Stream stream) const {
  const auto found = state_->outgoing.find(stream);
  return found == state_->outgoing.end() ? 0 : found->second.queue.capacity();
}

void H2Session::consumed(H2Stream stream, std::size_t bytes) {
  nghttp2_session_consume(state_->session.get(), stream, bytes);
}

void H2Session::ping(std::uint64_t payload) {
  std::array<std::uint8_t, 8> bytes{};
  std::memcpy(bytes.data(), &payload, bytes.size());
  nghttp2_submit_ping(state_->session.get(), NGHTTP2_FLAG_NONE, bytes.data());
}

void H2Session::go_away(H2Error error, std::string_view why) {
  nghttp2_session* session = state_->session.get();
  nghttp2_submit_goaway(session, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session),
                        static_cast<std::uint32_t>(error),
                        reinterpret_cast<const std::uint8_t*>(why.data()), why.size());
}

bool H2Session::finished() const {
  nghttp2_session* session = state_->session.get();
  return nghttp2_session_want_read(session) == 0 && nghttp2_session_want_write(session) == 0;
}

std::size_t H2Session::open_streams() const {
  return state_->open;
}

}  // namespace fairlead::http
