#include "http/io/server.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <utility>

#include "base/log.h"
#include "http/h1_parser.h"
#include "http/h1_writer.h"
#include "http/validate.h"
#include "net/pause.h"

namespace fairlead::http {
namespace {

constexpr std::size_t read_size = std::size_t{16} * 1024;
constexpr std::size_t kMostDrained = std::size_t{256} * 1024;  // of a body that nobody read

// RFC 9110 §5.6.7, of this second.
std::string_view date_now() {
  thread_local std::time_t second = 0;
  thread_local std::array<char, 40> text{};
  thread_local std::size_t size = 0;
  const std::time_t now = std::time(nullptr);
  if (now != second) {
    second = now;
    std::tm utc{};
    ::gmtime_r(&now, &utc);
    size = std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &utc);
  }
  return {text.data(), size};
}

int hex_digit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

// Of a query: '+' is a space, and what is no escape stays as it is.
std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '%' && at + 2 < text.size() && hex_digit(text[at + 1]) >= 0 &&
        hex_digit(text[at + 2]) >= 0) {
      out += static_cast<char>(hex_digit(text[at + 1]) * 16 + hex_digit(text[at + 2]));
      at += 2;
    } else {
      out += text[at] == '+' ? ' ' : text[at];
    }
  }
  return out;
}

Task<Result<>> readable(net::Stream& stream) {
  co_return co_await stream.readable();
}

Task<Result<>> write_all(net::Stream& stream, std::span<const std::string_view> pieces) {
  co_return co_await stream.write_all(pieces);
}

// Cancels one thing with another, beside what it is under.
class Follow final : private CancelHook {
 public:
  Follow(Cancel* first, Cancel& second) : second_(second) {
    if (first == nullptr) return;
    if (first->is_cancelled()) {
      second_.cancel();
    } else {
      hook(*first);
    }
  }
  Follow(const Follow&) = delete;
  Follow& operator=(const Follow&) = delete;
  ~Follow() = default;

 private:
  void cancelled() override { second_.cancel(); }
  Cancel& second_;
};

}  // namespace

class ServerConnection {
 public:
  ServerConnection(net::Stream& stream, const Handler& handler, const ServerOptions& options,
                   Cancel* closing, Places::Place* place = nullptr, ServerShared* shared = nullptr)
      : stream_(stream),
        handler_(handler),
        options_(options),
        closing_(closing),
        place_(place),
        shared_(shared != nullptr ? *shared : alone_),
        parser_(options.limits) {}

  Task<> serve();

  Task<Result<std::string>> whole_body();
  Task<Result<std::string_view>> piece();
  Task<Result<>> write_body(std::string_view bytes);
  [[nodiscard]] const RequestHead& head() const LIFETIMEBOUND { return parser_.head(); }
  [[nodiscard]] const Fields& trailers() const LIFETIMEBOUND { return parser_.trailers(); }
  [[nodiscard]] net::Stream& stream() const LIFETIMEBOUND { return stream_; }

 private:
  enum class Next : std::uint8_t { head, over, refused };

  [[nodiscard]] bool closing() const { return closing_ != nullptr && closing_->is_cancelled(); }
  Task<Result<bool>> fill(Duration limit);
  Task<bool> idle();
  Task<Next> read_head();
  Task<bool> answer();
  Task<bool> send(Response response);
  Task<Result<>> send_streamed(const Response& response, const ResponseHead& head,
                               const H1WriteOptions& how);
  Task<Result<>> write_now(std::string_view head, std::string_view body);
  Task<bool> drain();
  Task<> refuse();
  Task<> run_tunnel(Response response);

  net::Stream& stream_;
  const Handler& handler_;
  const ServerOptions& options_;
  Cancel* closing_;
  Places::Place* place_;  // null: none
  ServerShared alone_;
  ServerShared& shared_;
  H1RequestParser parser_;
  std::unique_ptr<char[]> buffer_;
  std::string_view unread_;
  bool body_over_ = true;        // the present request's
  bool continue_owed_ = false;   // the client waits for 100
  bool asked_to_close_ = false;  // nothing may follow the present request
  BodyFraming writing_;          // of the streamed response being sent
  bool omit_body_ = false;
  std::uint64_t written_ = 0;
};

// True: there are bytes in unread_. False: the client sends nothing more.
Task<Result<bool>> ServerConnection::fill(Duration limit) {
  while (true) {
    if (stream_.is_idle()) {
      if (Result<> ready = co_await net::within(stream_.loop(), limit, readable(stream_));
          !ready.ok()) {
        co_return ready.fault();
      }
    } else if (Result<> ready = co_await stream_.readable(); !ready.ok()) {
      co_return ready.fault();
    }
    if (buffer_ == nullptr) buffer_ = std::make_unique_for_overwrite<char[]>(read_size);
    Result<net::Taken> taken = stream_.read_now({buffer_.get(), read_size});
    if (!taken.ok()) co_return taken.fault();
    if (taken->end) co_return false;
    if (taken->bytes == 0) continue;
    unread_ = {buffer_.get(), taken->bytes};
    co_return true;
  }
}

// Waits for the first byte of the next request, holding no memory. False: the connection is over.
Task<bool> ServerConnection::idle() {
  // The next request is here already: others have their turn before it.
  if (!unread_.empty()) co_return (co_await net::Pause()).ok();
  if (closing()) co_return false;
  parser_.release();
  buffer_.reset();
  if (!stream_.is_idle()) co_return true;
  Cancel until(co_await cancellation_here());
  const Follow closing(closing_, until);
  if (place_ != nullptr) place_->set_idle(true);
  const Result<> ready = co_await under(until, [](ServerConnection& self) -> Task<Result<>> {
    co_return co_await net::within(self.stream_.loop(), self.options_.idle_timeout,
                                   readable(self.stream_));
  }(*this));
  if (place_ != nullptr) place_->set_idle(false);
  co_return ready.ok();
}

Task<ServerConnection::Next> ServerConnection::read_head() {
  const Instant deadline = stream_.loop().now() + options_.head_timeout;
  while (true) {
    switch (parser_.next(unread_)) {
      case H1Event::head:
        co_return Next::head;
      case H1Event::failed:
        co_return Next::refused;
      default:
        break;
    }
    Result<bool> filled = co_await fill(deadline - stream_.loop().now());
    if (filled.ok() && *filled) continue;
    if (parser_.between_messages()) co_return Next::over;
    if (filled.ok()) co_return parser_.finish() == H1Event::failed ? Next::refused : Next::over;
    if (filled.fault().kind != FaultKind::timed_out) co_return Next::over;
    static_cast<void>(co_await write_now(
        "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", {}));
    co_return Next::over;
  }
}

Task<> ServerConnection::refuse() {
  const H1Error& error = parser_.error();
  Response response = Response::text(error.status, error.why + "\n");
  ResponseHead head;
  head.status = error.status;
  head.fields.add("content-type", response.content_type);
  std::string out;
  write_response(out, head,
                 {.body = BodyFraming::sized(response.body.size()), .persist = Persist::close});
  static_cast<void>(co_await write_now(out, response.body));
}

Task<> ServerConnection::serve() {
  while (co_await idle()) {
    const Next next = co_await read_head();
    if (next == Next::refused) co_await refuse();
    if (next != Next::head) break;
    body_over_ = false;
    asked_to_close_ = !head().keep_alive;
    continue_owed_ = head().expect_continue && head().body.may_have_bytes();
    if (!co_await answer()) break;
  }
  // What was written arrives even when the client has sent bytes that were not read.
  stream_.shutdown_write();
  Result<bool> more = true;
  for (int rounds = 0; rounds < 64 && more.ok() && *more; ++rounds) {
    more = co_await fill(std::chrono::milliseconds(500));
  }
  stream_.close();
}

Task<Result<std::string_view>> ServerConnection::piece() {
  if (body_over_) co_return std::string_view();
  if (continue_owed_) {
    continue_owed_ = false;
    Result<> told = co_await write_now("HTTP/1.1 100 Continue\r\n\r\n", {});
    if (!told.ok()) co_return told.fault();
  }
  while (true) {
    switch (parser_.next(unread_)) {
      case H1Event::data:
        co_return parser_.data();
      case H1Event::end:
        body_over_ = true;
        co_return std::string_view();
      case H1Event::failed:
        asked_to_close_ = true;
        co_return Fault{FaultKind::invalid, parser_.error().why, Side::downstream};
      default:
        break;
    }
    Result<bool> filled = co_await fill(options_.body_timeout);
    if (!filled.ok() || !*filled) {
      asked_to_close_ = true;
      Fault fault = filled.ok() ? Fault{FaultKind::closed, "the client left within its request"}
                                : std::move(filled).fault();
      fault.side = Side::downstream;
      co_return fault;
    }
  }
}

Task<Result<std::string>> ServerConnection::whole_body() {
  std::string all;
  while (true) {
    Result<std::string_view> next = co_await piece();
    if (!next.ok()) co_return next.fault();
    if (next->empty()) co_return all;
    if (all.size() + next->size() > options_.max_body) {
      co_return Fault{FaultKind::exhausted,
                      "the request's body is over " + std::to_string(options_.max_body) + " bytes"};
    }
    all += *next;
  }
}

// The rest of a body that the handler did not want. False: nothing can follow on this connection.
Task<bool> ServerConnection::drain() {
  if (body_over_) co_return true;
  // A client that waits for 100 has been answered instead, and may send the body or not.
  if (continue_owed_) co_return false;
  std::size_t drained = 0;
  while (drained <= kMostDrained) {
    Result<std::string_view> next = co_await piece();
    if (!next.ok()) co_return false;
    if (next->empty()) co_return true;
    drained += next->size();
  }
  co_return false;
}

Task<bool> ServerConnection::answer() {
  Request request(*this);
  Response response = co_await handler_(request);
  // A handler that was stopped within its work has no answer, whatever it says.
  if (const Cancel* cancel = co_await cancellation_here();
      cancel != nullptr && cancel->is_cancelled()) {
    stream_.reset();
    co_return false;
  }
  if (response.status == 101 && response.tunnel) {
    co_await run_tunnel(std::move(response));
    co_return false;
  }
  if (!co_await send(std::move(response))) co_return false;
  if (!co_await drain()) co_return false;
  co_return !asked_to_close_;
}

Task<Result<>> ServerConnection::write_now(std::string_view head, std::string_view body) {
  const std::array<std::string_view, 2> pieces{head, body};
  const std::span<const std::string_view> both(pieces.data(), body.empty() ? 1 : 2);
  co_return co_await net::within(stream_.loop(), options_.body_timeout, write_all(stream_, both));
}

namespace {

// A body that waits for its client.
class InHand {
 public:
  InHand(ServerShared& shared, std::size_t bytes) : shared_(shared), bytes_(bytes) {
    shared_.in_hand += bytes_;
  }
  ~InHand() { shared_.in_hand -= bytes_; }
  InHand(const InHand&) = delete;
  InHand& operator=(const InHand&) = delete;

 private:
  ServerShared& shared_;
  std::size_t bytes_;
};

}  // namespace

Task<bool> ServerConnection::send(Response response) {
  if (shared_.in_hand > 0 &&
      response.body.size() >
          options_.max_in_hand - std::min(options_.max_in_hand, shared_.in_hand)) {
    ++shared_.put_off;
    response = Response::text(503, "too many answers wait for their clients; try again\n");
    response.fields.emplace_back("retry-after", "1");
  }
  if (response.close || closing() || continue_owed_) asked_to_close_ = true;
  ResponseHead answer;
  answer.status = response.status;
  if (!response.content_type.empty()) answer.fields.add("content-type", response.content_type);
  for (const auto& [name, value] : response.fields) answer.fields.add(name, value);
  if (!answer.fields.has(FieldName::date)) answer.fields.add("date", date_now());
  H1WriteOptions how{.persist = asked_to_close_ ? Persist::close : Persist::keep_alive,
                     .peer = head().version};
  if (response.stream) {
    const Result<> sent = co_await send_streamed(response, answer, how);
    if (!sent.ok()) stream_.reset();
    co_return sent.ok();
  }
  const InHand in_hand(shared_, response.body.size());
  how.body = BodyFraming::sized(response.body.size());
  std::string out;
  write_response(out, answer, how);
  const bool bodiless = head().is_head() || response.status == 304 || response.status == 204;
  co_return (co_await write_now(out, bodiless ? std::string_view() : response.body)).ok();
}

Task<Result<>> ServerConnection::send_streamed(const Response& response, const ResponseHead& answer,
                                               const H1WriteOptions& given) {
  H1WriteOptions how = given;
  if (response.size) {
    how.body = BodyFraming::sized(*response.size);
  } else if (head().version == Version::http10) {
    how.body = {BodyFraming::Kind::until_close, 0};
    how.persist = Persist::close;
    asked_to_close_ = true;
  } else {
    how.body = BodyFraming::chunked();
  }
  std::string out;
  write_response(out, answer, how);
  if (Result<> sent = co_await write_now(out, {}); !sent.ok()) co_return sent;
  writing_ = how.body;
  omit_body_ = head().is_head();
  written_ = 0;
  if (omit_body_) co_return done();
  BodyWriter writer(*this);
  if (Result<> streamed = co_await response.stream(writer); !streamed.ok()) co_return streamed;
  if (response.size && written_ != *response.size) {
    co_return Fault{FaultKind::internal, "a streamed body had not the size that was promised"};
  }
  if (writing_.kind != BodyFraming::Kind::chunked) co_return done();
  out.clear();
  write_last_chunk(out, &writer.trailers());
  co_return co_await write_now(out, {});
}

Task<Result<>> ServerConnection::write_body(std::string_view bytes) {
  if (bytes.empty()) co_return done();
  written_ += bytes.size();
  if (writing_.kind != BodyFraming::Kind::chunked) co_return co_await write_now(bytes, {});
  std::string start;
  write_chunk_start(start, bytes.size());
  const std::array<std::string_view, 3> pieces{start, bytes, "\r\n"};
  co_return co_await net::within(stream_.loop(), options_.body_timeout, write_all(stream_, pieces));
}

Task<> ServerConnection::run_tunnel(Response response) {
  if (!co_await drain()) co_return;
  std::string out = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n";
  for (const auto& [name, value] : response.fields) out += name + ": " + value + "\r\n";
  out += "\r\n";
  if (!(co_await write_now(out, {})).ok()) co_return;
  std::string early(unread_);
  unread_ = {};
  co_await response.tunnel(stream_, std::move(early));
}

Task<> serve(net::Stream& stream, const Handler& handler, const ServerOptions& options,
             Cancel* closing) {
  ServerConnection connection(stream, handler, options, closing);
  co_await connection.serve();
}

// ── what handlers see ───────────────────────────────────────────────────────────────────────────

const RequestHead& Request::head() const {
  return connection_.head();
}

std::string_view Request::query() const {
  const std::string_view path = head().path;
  const std::size_t mark = path.find('?');
  return mark == std::string_view::npos ? std::string_view() : path.substr(mark + 1);
}

std::optional<std::string> Request::parameter(std::string_view name) const {
  std::string_view rest = query();
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    if (decoded(pair.substr(0, equals)) != name) continue;
    return equals == std::string_view::npos ? std::string() : decoded(pair.substr(equals + 1));
  }
  return {};
}

net::Stream& Request::stream() const {
  return connection_.stream();
}

Task<Result<std::string>> Request::body() {
  return connection_.whole_body();
}

Task<Result<std::string_view>> Request::piece() {
  return connection_.piece();
}

const Fields& Request::trailers() const {
  return connection_.trailers();
}

Task<Result<>> BodyWriter::write(std::string_view bytes) {
  return connection_.write_body(bytes);
}

Response Response::text(std::uint16_t status, std::string body) {
  Response response;
  response.status = status;
  response.content_type = "text/plain; charset=utf-8";
  response.body = std::move(body);
  return response;
}

Response Response::json(std::string body, std::uint16_t status) {
  Response response = text(status, std::move(body));
  response.content_type = "application/json";
  return response;
}

// ── the server ──────────────────────────────────────────────────────────────────────────────────

Server::Server(net::Loop& loop, Handler handler, ServerOptions options)
    : handler_(std::move(handler)),
      options_(std::move(options)),
      acceptor_(
          loop,
          [this](net::StreamPointer stream, Places::Place& place) {
            return serve_one(std::move(stream), place);
          },
          options_.places, options_.what) {}

Task<> Server::serve_one(net::StreamPointer stream, Places::Place& place) {
  ServerConnection connection(*stream, handler_, options_, &acceptor_.closing(), &place, &shared_);
  co_await connection.serve();
}

}  // namespace fairlead::http
