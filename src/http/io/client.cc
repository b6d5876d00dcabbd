#include "http/io/client.h"

#include <array>
#include <utility>

#include "http/h1_parser.h"
#include "http/h1_writer.h"
#include "http/list.h"

namespace fairlead::http {
namespace {

constexpr std::size_t answer_read_size = std::size_t{16} * 1024;

Fault of_server(Fault fault) {
  fault.side = Side::upstream;
  return fault;
}

}  // namespace

Result<Endpoint> Endpoint::parse(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  constexpr std::string_view kHttp = "http://";
  std::string_view rest = text;
  if (rest.starts_with(kUnix)) {
    rest.remove_prefix(kUnix.size());
    if (rest.empty()) return invalid("\"unix:\" is followed by a path");
    return Endpoint(std::string(rest));
  }
  if (rest.starts_with(kHttp)) rest.remove_prefix(kHttp.size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  Result<SocketAddress> address = SocketAddress::parse(rest);
  if (!address.ok()) {
    return invalid("\"" + std::string(text) +
                   "\" is neither an address like 127.0.0.1:8080 nor unix:PATH");
  }
  return Endpoint(*address);
}

std::string Endpoint::text() const {
  if (const auto* address = std::get_if<SocketAddress>(&at)) return address->text();
  return "unix:" + std::get<std::string>(at);
}

Task<Result<net::StreamPointer>> open(net::Loop& loop, Endpoint to, net::ConnectOptions options) {
  if (const auto* path = std::get_if<std::string>(&to.at)) {
    Result<net::UnixStreamPointer> stream = net::connect_unix(loop, *path);
    if (!stream.ok()) co_return stream.fault();
    co_return net::StreamPointer(std::move(*stream));
  }
  Result<net::TcpStreamPointer> stream =
      co_await net::connect(loop, std::get<SocketAddress>(to.at), options);
  if (!stream.ok()) co_return stream.fault();
  co_return net::StreamPointer(std::move(*stream));
}

struct ClientConnection::State {
  State(net::StreamPointer made, const Limits& limits) : stream(std::move(made)), parser(limits) {}

  Task<Result<H1Event>> next();

  net::StreamPointer stream;
  H1ResponseParser parser;
  std::array<char, answer_read_size> buffer;
  std::string_view unread;
  BodyFraming writing;
  bool head_came = false;
  bool answered = true;  // the last answer has ended
  bool spoilt = false;   // nothing more can be asked here
};

ClientConnection::ClientConnection(net::StreamPointer stream, const Limits& limits)
    : state_(std::make_unique<State>(std::move(stream), limits)) {}
ClientConnection::~ClientConnection() = default;
ClientConnection::ClientConnection(ClientConnection&&) noexcept = default;

Task<Result<H1Event>> ClientConnection::State::next() {
  while (true) {
    const H1Event event = parser.next(unread);
    if (event == H1Event::failed) {
      spoilt = true;
      co_return of_server(Fault{FaultKind::invalid, parser.error().why});
    }
    if (event != H1Event::more) co_return event;
    if (Result<> ready = co_await stream->readable(); !ready.ok()) co_return ready.fault();
    Result<net::Taken> taken = stream->read_now(buffer);
    if (!taken.ok()) {
      spoilt = true;
      co_return of_server(std::move(taken).fault());
    }
    if (!taken->end) {
      unread = {buffer.data(), taken->bytes};
      continue;
    }
    spoilt = true;
    if (parser.finish() == H1Event::end) co_return H1Event::end;
    co_return of_server(Fault{FaultKind::closed, head_came ? "the server left within its answer"
                                                           : "the server left without an answer"});
  }
}

Task<Result<>> ClientConnection::begin(const Ask& ask, BodyFraming body) {
  State& state = *state_;
  RequestHead head;
  head.method = ask.method;
  head.path = ask.path;
  const std::string peer = state.stream->peer_name();
  // A unix socket has no name that a Host field could hold.
  head.authority = !ask.authority.empty()      ? std::string_view(ask.authority)
                   : peer.starts_with("unix:") ? std::string_view("localhost")
                                               : std::string_view(peer);
  head.body = body;
  for (const auto& [name, value] : ask.fields) {
    head.fields.add(name, value);
  }
  head.upgrade = whole_list(head.fields, FieldName::upgrade);
  state.writing = body;
  state.head_came = false;
  state.answered = false;
  state.parser.expect(H1ResponseParser::asked_by(head));
  std::string out;
  write_request(out, head, {.body = body});
  const std::array<std::string_view, 2> pieces{
      out, body.kind == BodyFraming::Kind::sized && ask.body.size() == body.size
               ? std::string_view(ask.body)
               : std::string_view()};
  co_return co_await state.stream->write_all(pieces);
}

Task<Result<>> ClientConnection::send(const Ask& ask) {
  const bool bodiless = ask.body.empty() && (ask.method == "GET" || ask.method == "HEAD");
  co_return co_await begin(ask,
                           bodiless ? BodyFraming::none() : BodyFraming::sized(ask.body.size()));
}

Task<Result<>> ClientConnection::write(std::string_view bytes) {
  if (bytes.empty()) co_return done();
  if (state_->writing.kind != BodyFraming::Kind::chunked) {
    co_return co_await state_->stream->write_all(bytes);
  }
  std::string start;
  write_chunk_start(start, bytes.size());
  const std::array<std::string_view, 3> pieces{start, bytes, "\r\n"};
  co_return co_await state_->stream->write_all(pieces);
}

Task<Result<>> ClientConnection::finish() {
  if (state_->writing.kind != BodyFraming::Kind::chunked) co_return done();
  std::string out;
  write_last_chunk(out);
  co_return co_await state_->stream->write_all(out);
}

Task<Result<const ResponseHead*>> ClientConnection::head() {
  State& state = *state_;
  while (!state.head_came) {
    Result<H1Event> event = co_await state.next();
    if (!event.ok()) co_return event.fault();
    state.head_came = *event == H1Event::head;
  }
  const ResponseHead& head = state.parser.head();
  if (!head.keep_alive) state.spoilt = true;
  co_return &head;
}

Task<Result<std::string_view>> ClientConnection::piece() {
  State& state = *state_;
  if (state.answered) co_return std::string_view();
  if (Result<const ResponseHead*> came = co_await head(); !came.ok()) co_return came.fault();
  Result<H1Event> event = co_await state.next();
  if (!event.ok()) co_return event.fault();
  if (*event == H1Event::data) co_return state.parser.data();
  state.answered = true;
  co_return std::string_view();
}

Task<Result<std::string>> ClientConnection::body(std::size_t limit) {
  std::string all;
  while (true) {
    Result<std::string_view> next = co_await piece();
    if (!next.ok()) co_return next.fault();
    if (next->empty()) co_return all;
    if (all.size() + next->size() > limit) {
      co_return of_server(
          Fault{FaultKind::exhausted, "the answer is over " + std::to_string(limit) + " bytes"});
    }
    all += *next;
  }
}

bool ClientConnection::reusable() const {
  return state_->answered && !state_->spoilt && state_->unread.empty() && state_->stream->is_idle();
}

net::Stream& ClientConnection::stream() const {
  return *state_->stream;
}

std::string ClientConnection::early() const {
  return std::string(state_->unread);
}

namespace {

Task<Result<Answer>> fetch_now(net::Loop& loop, const Endpoint& to, const Ask& ask,
                               const ClientOptions& options) {
  Result<net::StreamPointer> stream = co_await open(loop, to, options.connect);
  if (!stream.ok()) co_return stream.fault();
  ClientConnection connection(std::move(*stream), options.limits);
  Answer answer{.local = connection.stream().local(), .peer = connection.stream().peer()};
  // A server may answer, and close, before it has taken the whole body: its answer counts.
  const Result<> sent = co_await connection.send(ask);
  if (!sent.ok() && sent.fault().kind == FaultKind::cancelled) co_return sent.fault();
  Result<const ResponseHead*> head = co_await connection.head();
  if (!head.ok()) co_return sent.ok() ? head.fault() : sent.fault();
  answer.head = (*head)->clone();
  Result<std::string> body = co_await connection.body(options.max_body);
  if (!body.ok()) co_return body.fault();
  answer.body = std::move(*body);
  co_return answer;
}

}  // namespace

Task<Result<Answer>> fetch(net::Loop& loop, Endpoint to, Ask ask, ClientOptions options) {
  Result<Answer> answer =
      co_await net::within(loop, options.timeout, fetch_now(loop, to, ask, options));
  if (answer.ok()) co_return answer;
  Fault fault = std::move(answer).fault();
  if (fault.kind == FaultKind::timed_out) fault.side = Side::upstream;
  co_return std::move(fault).during("asking " + to.text() + " for " + ask.path);
}

}  // namespace fairlead::http
