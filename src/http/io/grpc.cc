#include "http/io/grpc.h"

#include <array>
#include <deque>
#include <functional>
#include <unordered_map>
#include <utility>

#include "net/readiness.h"

namespace fairlead::http {
namespace {

// Calls a function when something is cancelled, or at once when it is already.
class OnCancel final : private CancelHook {
 public:
  OnCancel(Cancel* cancel, std::function<void()> action) : action_(std::move(action)) {
    if (cancel == nullptr) return;
    if (cancel->is_cancelled()) {
      action_();
    } else {
      hook(*cancel);
    }
  }
  ~OnCancel() = default;

 private:
  void cancelled() override { action_(); }
  std::function<void()> action_;
};

constexpr Duration kLastWords = std::chrono::seconds(1);  // to tell the peer that we go
constexpr int kReadsAhead = 16;           // of what is read before what answers it is written
constexpr std::size_t kCallsAhead = 256;  // that have ended before their handlers have

}  // namespace

struct GrpcCallHandle::State {
  std::weak_ptr<GrpcConnection> connection;
  GrpcCall id = 0;
  std::string method;
  H2Fields metadata;
  std::string peer;
  std::deque<GrpcMessage> messages;
  bool of_server = false;
  bool half_closed = false;  // the peer sends no more messages
  bool ended = false;
  GrpcStatus status;
  net::Readiness incoming;  // a message, or an end, has come
  net::Readiness room;      // less waits to be sent, or nothing ever will be
  bool wants_room = false;
  Cancel cancel;  // server: in force for the handler
  bool late = false;
  std::optional<net::Timer> deadline;
};

class GrpcConnection : public std::enable_shared_from_this<GrpcConnection> {
 public:
  using Call = GrpcCallHandle::State;
  GrpcConnection(net::StreamPointer stream, GrpcSession::Role role,
                 const GrpcConnectionOptions& options, const GrpcHandler* handler,
                 Places::Place* place = nullptr)
      : stream_(std::move(stream)),
        place_(place),
        options_(options),
        session_(role, options.session),
        handler_(handler),
        keepalive_(stream_->loop(), [this] { watch_silence(); }),
        last_words_(stream_->loop(), [this] { stop_.cancel(); }) {}

  Task<> run(Cancel* closing);
  // Until the connection's end, and that of all handlers.
  void wind_up();
  void abandon() { stop_.cancel(); }

  [[nodiscard]] Result<std::shared_ptr<Call>> start(const GrpcSession::Request& request);
  [[nodiscard]] bool usable() const { return !over_ && !going_away_; }
  [[nodiscard]] GrpcSession& session() LIFETIMEBOUND { return session_; }
  [[nodiscard]] std::size_t max_queued() const { return options_.max_queued; }
  void output_waits() { output_.set_soon(); }
  void taken(const GrpcMessage& message);

 private:
  Task<Result<>> pump();
  Task<Result<>> read();
  Task<Result<>> write();
  Task<Result<>> write_until_over();
  Task<> handle(std::shared_ptr<Call> call);
  void lose(const Fault& why);
  void digest();
  void on(GrpcOpened& opened);
  void on(GrpcMessage& message);
  void on(const GrpcHalfClosed& half_closed);
  void on(const GrpcEnded& ended);
  void on(const GrpcGoingAway&) { going_away_ = true; }
  void give_room();
  void watch_silence();
  Call* find(GrpcCall id) const {
    const auto found = calls_.find(id);
    return found == calls_.end() ? nullptr : found->second.get();
  }

  void calls_changed() {
    if (place_ != nullptr) place_->set_idle(calls_.empty());
  }

  net::StreamPointer stream_;
  Places::Place* place_;  // null: none
  GrpcConnectionOptions options_;
  GrpcSession session_;
  const GrpcHandler* handler_;
  std::unordered_map<GrpcCall, std::shared_ptr<Call>> calls_;
  Cancel stop_;
  Gate handlers_;
  net::Readiness output_;
  net::Readiness written_;  // all that could be written since it was cleared
  net::Timer keepalive_;
  net::Timer last_words_;
  std::uint64_t pings_ = 0;
  bool heard_ = false;  // since the keepalive timer was set
  bool asked_ = false;  // a ping is not answered yet
  bool going_away_ = false;
  bool over_ = false;
};

// ── the connection ──────────────────────────────────────────────────────────────────────────────

Task<> GrpcConnection::run(Cancel* closing) {
  const std::shared_ptr<GrpcConnection> self = shared_from_this();
  const OnCancel politely(closing, [this] {
    session_.go_away("the server is shutting down");
    output_waits();
  });
  const OnCancel firmly(co_await cancellation_here(), [this] { wind_up(); });
  if (options_.keepalive > Duration::zero()) keepalive_.arm(options_.keepalive);
  const Result<> ended = co_await under(stop_, pump());
  keepalive_.stop();
  lose(ended.ok() ? Fault{FaultKind::closed, "the connection has ended"} : ended.fault());
  stream_->close();
  co_await handlers_.close();
}

void GrpcConnection::wind_up() {
  session_.go_away("the server is shutting down");
  handlers_.cancel().cancel();
  output_waits();
  last_words_.arm(kLastWords);
}

Task<Result<>> GrpcConnection::pump() {
  auto ended = co_await both(read(), write());
  if (!ended.first.ok()) co_return ended.first;
  co_return ended.second;
}

Task<Result<>> GrpcConnection::read() {
  // One buffer does for all connections of a thread: what was read is digested at once.
  static thread_local std::array<char, std::size_t{64} * 1024> buffer;
  Fault why{FaultKind::closed, "the peer closed the connection"};
  int ahead = 0;
  while (true) {
    if (Result<> ready = co_await stream_->readable(); !ready.ok()) {
      why = std::move(ready).fault();
      break;
    }
    Result<net::Taken> taken = stream_->read_now(buffer);
    if (!taken.ok()) {
      why = std::move(taken).fault();
      break;
    }
    if (taken->end) break;
    if (taken->bytes == 0) continue;
    heard_ = true;
    asked_ = false;
    Result<> received = session_.receive({buffer.data(), taken->bytes});
    digest();
    output_waits();
    if (!received.ok()) {
      why = std::move(received).fault();
      break;
    }
    // Who sends and does not read waits: nothing that answers a peer (acknowledgements, resets,
    // calls that it gave up) piles up without a bound. Others on this loop get their turn, too.
    if (written_.is_set()) ahead = 0;
    written_.clear();
    if (++ahead < kReadsAhead && handlers_.inside() < calls_.size() + kCallsAhead) continue;
    if (Result<> caught_up = co_await written_.wait(); !caught_up.ok()) {
      why = std::move(caught_up).fault();
      break;
    }
  }
  lose(why);
  co_return why;
}

void GrpcConnection::taken(const GrpcMessage& message) {
  session_.taken(message);
  digest();
  output_waits();
}

Task<Result<>> GrpcConnection::write() {
  Result<> ended = co_await write_until_over();
  written_.close();
  co_return ended;
}

Task<Result<>> GrpcConnection::write_until_over() {
  while (true) {
    std::string bytes = session_.take_output();
    digest();  // a call that we end is over once that is on its way
    if (!bytes.empty()) {
      Result<> written = co_await stream_->write_all(bytes);
      if (!written.ok()) {
        lose(written.fault());
        stream_->close();
        co_return written;
      }
      give_room();
      continue;
    }
    if (over_ || session_.finished()) {
      stream_->shutdown_write();
      stream_->close();
      co_return done();
    }
    written_.set_soon();
    output_.clear();
    if (Result<> woken = co_await output_.wait(); !woken.ok()) co_return woken;
  }
}

void GrpcConnection::lose(const Fault& why) {
  if (std::exchange(over_, true)) return;
  session_.lost(why);
  digest();
  output_waits();
}

void GrpcConnection::watch_silence() {
  if (!heard_ && asked_) {
    lose(Fault{FaultKind::timed_out, "the peer is silent, and answers no ping"});
    stop_.cancel();
    return;
  }
  if (!heard_) {
    asked_ = true;
    session_.ping(++pings_);
    output_waits();
  }
  heard_ = false;
  keepalive_.arm(options_.keepalive);
}

void GrpcConnection::give_room() {
  for (const auto& [id, call] : calls_) {
    if (call->wants_room && session_.queued(id) <= options_.max_queued) call->room.set_soon();
  }
}

void GrpcConnection::digest() {
  for (GrpcEvent& event : session_.take_events()) {
    std::visit([this](auto& one) { on(one); }, event);
  }
}

void GrpcConnection::on(GrpcOpened& opened) {
  auto call = std::make_shared<Call>();
  call->connection = weak_from_this();
  call->id = opened.call;
  call->of_server = true;
  call->method = std::move(opened.method);
  call->metadata = std::move(opened.metadata);
  call->peer = stream_->peer_name();
  call->cancel.inherit(&handlers_.cancel());
  if (opened.timeout) {
    Call* late = call.get();
    call->deadline.emplace(stream_->loop(), [late] {
      late->late = true;
      late->cancel.cancel();
    });
    call->deadline->arm(*opened.timeout);
  }
  calls_.emplace(opened.call, call);
  calls_changed();
  if (!stream_->loop().start(handlers_, handle(call))) {
    session_.finish(call->id, {GrpcCode::unavailable, "the server is shutting down"});
  }
}

void GrpcConnection::on(GrpcMessage& message) {
  Call* call = find(message.call);
  if (call == nullptr) {
    session_.taken(message);
    return;
  }
  call->messages.push_back(std::move(message));
  call->incoming.set_soon();
}

void GrpcConnection::on(const GrpcHalfClosed& half_closed) {
  Call* call = find(half_closed.call);
  if (call == nullptr) return;
  call->half_closed = true;
  call->incoming.set_soon();
}

void GrpcConnection::on(const GrpcEnded& ended) {
  const auto found = calls_.find(ended.call);
  if (found == calls_.end()) return;
  const std::shared_ptr<Call> call = found->second;
  calls_.erase(found);
  calls_changed();
  call->ended = true;
  call->status = ended.status;
  if (call->deadline) call->deadline->stop();
  call->incoming.set_soon();
  call->room.set_soon();
  call->cancel.cancel();
}

Task<> GrpcConnection::handle(std::shared_ptr<Call> call) {
  GrpcCallHandle handle(call);
  GrpcStatus status = co_await under(call->cancel, (*handler_)(handle));
  if (call->deadline) call->deadline->stop();
  if (call->ended) co_return;
  if (call->late) status = {GrpcCode::deadline_exceeded, "the call's time is over"};
  if (handlers_.cancel().is_cancelled()) {
    status = {GrpcCode::unavailable, "the server is shutting down"};
  }
  session_.finish(call->id, status);
  output_waits();
}

Result<std::shared_ptr<GrpcConnection::Call>> GrpcConnection::start(
    const GrpcSession::Request& request) {
  if (!usable()) return Fault{FaultKind::closed, "the connection takes no more calls"};
  Result<GrpcCall> started = session_.start(request);
  if (!started.ok()) return started.fault();
  auto call = std::make_shared<Call>();
  call->connection = weak_from_this();
  call->id = *started;
  call->method = request.method;
  call->peer = stream_->peer_name();
  if (request.timeout) {
    call->deadline.emplace(stream_->loop(), [this, id = *started] {
      session_.cancel(id, {GrpcCode::deadline_exceeded, "the call's time is over"});
      digest();
      output_waits();
    });
    call->deadline->arm(*request.timeout);
  }
  calls_.emplace(*started, call);
  output_waits();
  return call;
}

// ── a call ──────────────────────────────────────────────────────────────────────────────────────

Task<Result<std::optional<std::string>>> GrpcCallHandle::receive() {
  const std::shared_ptr<State> call = state_;
  while (call->messages.empty()) {
    if (call->half_closed) co_return std::optional<std::string>();
    if (call->ended) {
      if (call->of_server) {
        co_return Fault{FaultKind::closed, call->status.message, Side::downstream};
      }
      co_return std::optional<std::string>();
    }
    call->incoming.clear();
    if (Result<> woken = co_await call->incoming.wait(); !woken.ok()) co_return woken.fault();
  }
  GrpcMessage message = std::move(call->messages.front());
  call->messages.pop_front();
  if (const auto connection = call->connection.lock(); connection && !call->ended) {
    connection->taken(message);
  }
  co_return std::optional(std::move(message.bytes));
}

Task<Result<>> GrpcCallHandle::send(std::string_view message) {
  co_return co_await send(std::vector<std::string_view>{message});
}

Task<Result<>> GrpcCallHandle::send(const std::vector<std::string_view>& parts) {
  const std::shared_ptr<State> call = state_;
  const auto over = [&call] {
    return Fault{FaultKind::closed,
                 call->status.ok() ? "the call has ended" : call->status.message};
  };
  const std::shared_ptr<GrpcConnection> connection = call->connection.lock();
  if (call->ended || !connection) co_return over();
  GrpcSession& session = connection->session();
  std::size_t size = 0;
  for (const std::string_view part : parts) size += part.size();
  session.begin_message(call->id, size);
  Result<> sent = done();
  for (const std::string_view part : parts) {
    session.send_part(call->id, part);
    while (sent.ok() && !call->ended && session.queued(call->id) > connection->max_queued()) {
      connection->output_waits();
      call->room.clear();
      call->wants_room = true;
      sent = co_await call->room.wait();
      call->wants_room = false;
    }
    // Who has to stop waiting has begun a message. Its rest would fill memory for a peer that takes
    // nothing.
    if (!sent.ok() && !call->ended) {
      if (call->of_server) {
        session.reset(call->id, H2Error::cancel);
      } else {
        session.cancel(call->id, {GrpcCode::cancelled, "sending was given up within a message"});
      }
    }
    if (!sent.ok() || call->ended) break;
  }
  connection->output_waits();
  if (!sent.ok()) co_return sent;
  if (call->ended) co_return over();
  co_return sent;
}

bool GrpcCallHandle::ended() const {
  return state_->ended;
}

const GrpcStatus& GrpcCallHandle::status() const {
  return state_->status;
}

void GrpcCallHandle::half_close() {
  const auto connection = state_->connection.lock();
  if (!connection || state_->ended) return;
  connection->session().half_close(state_->id);
  connection->output_waits();
}

void GrpcCallHandle::cancel(GrpcStatus status) {
  const auto connection = state_->connection.lock();
  if (!connection || state_->ended) return;
  connection->session().cancel(state_->id, status);
  connection->output_waits();
}

void GrpcCallHandle::reset(H2Error error) {
  const auto connection = state_->connection.lock();
  if (!connection || state_->ended) return;
  connection->session().reset(state_->id, error);
  connection->output_waits();
}

const std::string& GrpcCallHandle::method() const {
  return state_->method;
}

const H2Fields& GrpcCallHandle::metadata() const {
  return state_->metadata;
}

const std::string& GrpcCallHandle::peer_name() const {
  return state_->peer;
}

// ── both sides ──────────────────────────────────────────────────────────────────────────────────

GrpcStatus grpc_unimplemented(std::string_view method) {
  return {GrpcCode::unimplemented, "there is no method " + std::string(method)};
}

GrpcServer::GrpcServer(net::Loop& loop, GrpcHandler handler, GrpcConnectionOptions options)
    : handler_(std::move(handler)),
      options_(std::move(options)),
      acceptor_(
          loop,
          [this](net::StreamPointer stream, Places::Place& place) {
            return serve_one(std::move(stream), place);
          },
          options_.places, options_.what) {}

Task<> GrpcServer::serve_one(net::StreamPointer stream, Places::Place& place) {
  place.set_idle(true);
  const auto connection = std::make_shared<GrpcConnection>(
      std::move(stream), GrpcSession::Role::server, options_, &handler_, &place);
  co_await connection->run(&acceptor_.closing());
}

namespace {

Task<> run_client(std::shared_ptr<GrpcConnection> connection) {
  co_await connection->run(nullptr);
}

}  // namespace

GrpcChannel::GrpcChannel(net::StreamPointer stream, const GrpcConnectionOptions& options) {
  net::Loop& loop = stream->loop();
  connection_ = std::make_shared<GrpcConnection>(std::move(stream), GrpcSession::Role::client,
                                                 options, nullptr);
  loop.start(run_client(connection_));
}

GrpcChannel::~GrpcChannel() {
  if (connection_) connection_->abandon();
}

GrpcChannel::GrpcChannel(GrpcChannel&& other) noexcept = default;

Result<GrpcCallHandle> GrpcChannel::call(const GrpcSession::Request& request) {
  Result<std::shared_ptr<GrpcCallHandle::State>> started = connection_->start(request);
  if (!started.ok()) return started.fault();
  return GrpcCallHandle(std::move(*started));
}

bool GrpcChannel::usable() const {
  return connection_->usable();
}

}  // namespace fairlead::http
