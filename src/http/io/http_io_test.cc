#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "http/io/client.h"
#include "http/io/server.h"
#include "net/memory_stream.h"

namespace fairlead::http {
namespace {

using std::chrono::milliseconds;

std::string big() {
  std::string bytes;
  for (int i = 0; bytes.size() < 3'000'000; ++i) bytes += std::to_string(i) + ",";
  return bytes;
}

Task<Result<>> stream_big(BodyWriter& writer) {
  const std::string bytes = big();
  for (std::size_t at = 0; at < bytes.size(); at += 100'000) {
    if (Result<> sent = co_await writer.write(std::string_view(bytes).substr(at, 100'000));
        !sent.ok()) {
      co_return sent;
    }
  }
  co_return done();
}

Task<Result<>> break_off(BodyWriter& writer) {
  static_cast<void>(co_await writer.write("half of "));
  co_return Fault{FaultKind::internal, "no more"};
}

Task<> shout(net::Stream& stream, std::string early) {
  std::string all = early;
  std::array<char, 100> buffer;
  while (all.find('\n') == std::string::npos) {
    if (!(co_await stream.readable()).ok()) co_return;
    Result<net::Taken> taken = stream.read_now(buffer);
    if (!taken.ok() || taken->end) co_return;
    all.append(buffer.data(), taken->bytes);
  }
  for (char& letter : all) letter = static_cast<char>(std::toupper(letter));
  static_cast<void>(co_await stream.write_all(all));
}

// One handler with all that a handler can do.
Task<Response> answer(Request& request) {
  const std::string_view path = request.path();
  if (path == "/hello") {
    co_return Response::text(200, "hello " + request.parameter("name").value_or("?") + "\n");
  }
  if (path == "/echo") {
    Result<std::string> body = co_await request.body();
    if (!body.ok()) co_return Response::text(413, body.fault().message);
    co_return Response::text(200, *body);
  }
  if (path == "/big") {
    Response response;
    response.stream = stream_big;
    if (request.query() == "sized") response.size = big().size();
    co_return response;
  }
  if (path == "/broken") {
    Response response;
    response.stream = break_off;
    co_return response;
  }
  if (path == "/shout") {
    Response response;
    response.status = 101;
    response.fields = {{"upgrade", "shout"}};
    response.tunnel = shout;
    co_return response;
  }
  if (path == "/slow") {
    static_cast<void>(co_await request.stream().loop().sleep(std::chrono::hours(1)));
    co_return Response::text(200, "at last");
  }
  co_return Response::text(404, "no such path\n");
}

Task<Result<std::string>> read_to_end(net::Stream& stream) {
  std::string all;
  std::array<char, 4096> buffer;
  while (true) {
    if (Result<> ready = co_await stream.readable(); !ready.ok()) co_return ready.fault();
    Result<net::Taken> taken = stream.read_now(buffer);
    if (!taken.ok()) co_return taken.fault();
    if (taken->end) co_return all;
    all.append(buffer.data(), taken->bytes);
  }
}

// What comes back for these bytes, with the dates taken out.
Task<Result<std::string>> raw(net::Loop& loop, const std::string& bytes,
                              const ServerOptions& options, std::size_t cut) {
  auto [client, server] = net::MemoryStream::pair(loop, 512);
  server->read_at_most(cut);
  Gate gate;
  const Handler handler = answer;
  loop.start(gate, serve(*server, handler, options));
  auto ended = co_await both(
      [](net::Stream& stream, const std::string& text) -> Task<Result<>> {
        co_return co_await stream.write_all(text);
      }(*client, bytes),
      [](net::Stream& stream) -> Task<Result<std::string>> {
        co_return co_await read_to_end(stream);
      }(*client));
  client->close();
  co_await gate.empty();
  co_return std::move(ended.second);
}

std::string talk(const std::string& bytes, const ServerOptions& options = {},
                 std::size_t cut = SIZE_MAX) {
  net::Loop loop;
  const Result<std::string> all = loop.run(raw(loop, bytes, options, cut));
  if (!all.ok()) return "fault: " + all.fault().describe();
  std::string text;
  for (std::size_t at = 0; at < all->size();) {
    const std::size_t end = all->find('\n', at);
    std::string line = all->substr(at, end == std::string::npos ? end : end - at);
    at += line.size() + 1;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.starts_with("date: ")) text += line + "\n";
  }
  return text;
}

const std::string kClose = "connection: close\r\n\r\n";

TEST(Server, AnswersOneRequestAfterTheOtherHoweverTheBytesAreCut) {
  const std::string two =
      "GET /hello?name=a%20b+c&name=d HTTP/1.1\r\nhost: x\r\n\r\n"
      "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde"
      "\r\n0\r\n\r\n"
      "POST /nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nskip"
      "HEAD /hello HTTP/1.1\r\nhost: x\r\n" +
      kClose;
  const std::string expected =
      "HTTP/1.1 200 OK\ncontent-type: text/plain; charset=utf-8\ncontent-length: 12\n\n"
      "hello a b c\n"
      "HTTP/1.1 200 OK\ncontent-type: text/plain; charset=utf-8\ncontent-length: 5\n\nabcde"
      "HTTP/1.1 404 Not Found\ncontent-type: text/plain; charset=utf-8\ncontent-length: 13\n\n"
      "no such path\n"
      "HTTP/1.1 200 OK\ncontent-type: text/plain; charset=utf-8\ncontent-length: 8\n"
      "connection: close\n\n";
  EXPECT_EQ(talk(two), expected);
  EXPECT_EQ(talk(two, {}, 1), expected);
  EXPECT_EQ(talk(two, {}, 7), expected);
}

TEST(Server, RefusesWhatIsNoHttpAndSaysWhy) {
  EXPECT_TRUE(talk("GET / HTTP/1.1\r\nhost: x\r\nbad field: 1\r\n\r\n")
                  .starts_with("HTTP/1.1 400 Bad Request\n"));
  EXPECT_TRUE(talk(std::string(20'000, 'x')).starts_with("HTTP/1.1 4"));
}

TEST(Server, AHeadThatDoesNotComeIsTimedOut) {
  ServerOptions options;
  options.head_timeout = milliseconds(20);
  EXPECT_TRUE(
      talk("GET / HTTP/1.1\r\nhost", options).starts_with("HTTP/1.1 408 Request Timeout\n"));
}

TEST(Server, AnIdleConnectionIsClosed) {
  ServerOptions options;
  options.idle_timeout = milliseconds(20);
  EXPECT_EQ(talk("", options), "");
}

TEST(Server, ABodyIsAskedForOnlyWhenWanted) {
  const auto with = [](const std::string& path) {
    return talk("POST " + path +
                " HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n"
                "connection: close\r\n\r\nhi");
  };
  EXPECT_TRUE(with("/echo").starts_with("HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\n"));
  EXPECT_TRUE(with("/nothing").starts_with("HTTP/1.1 404 Not Found\n"));
}

TEST(Server, ABodyOverTheLimitIsRefused) {
  ServerOptions options;
  options.max_body = 3;
  EXPECT_TRUE(
      talk("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n" + kClose + "abcd", options)
          .starts_with("HTTP/1.1 413 "));
}

TEST(Server, AnOldClientGetsAStreamUntilTheEnd) {
  const std::string all = talk("GET /big HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(all.ends_with(big() + "\n"));
  EXPECT_EQ(all.find("chunked"), std::string::npos);
}

// ── client and server over sockets ──────────────────────────────────────────────────────────────

class Sockets : public testing::TestWithParam<std::string> {
 protected:
  Sockets() : server(loop, answer) {
    if (GetParam() == "unix") {
      path = testing::TempDir() + "fairlead-http-io-" + std::to_string(::getpid());
      EXPECT_TRUE(server.listen_unix(path).ok());
      at = Endpoint(path);
    } else {
      const auto address = server.listen(*SocketAddress::parse(GetParam()));
      EXPECT_TRUE(address.ok());
      at = Endpoint(*address);
    }
  }
  ~Sockets() override { loop.run(server.close(milliseconds(0))); }

  Result<Answer> get(const std::string& target, ClientOptions options = {}) {
    return loop.run(fetch(loop, at, {.path = target}, options));
  }

  net::Loop loop;
  Server server;
  std::string path;
  Endpoint at{SocketAddress{}};
};
INSTANTIATE_TEST_SUITE_P(Over, Sockets, testing::Values("127.0.0.1:0", "[::1]:0", "unix"),
                         [](const auto& chosen) {
                           return chosen.param == "unix"          ? "unix"
                                  : chosen.param.starts_with("[") ? "v6"
                                                                  : "v4";
                         });

TEST_P(Sockets, ARequestIsAnswered) {
  const auto answered = get("/hello?name=you");
  ASSERT_TRUE(answered.ok()) << answered.fault().describe();
  EXPECT_EQ(answered->head.status, 200);
  EXPECT_EQ(answered->body, "hello you\n");
  EXPECT_EQ(answered->head.fields.value("content-type"), "text/plain; charset=utf-8");
}

TEST_P(Sockets, BodiesOfMegabytesAreStreamed) {
  for (const char* target : {"/big", "/big?sized"}) {
    const auto answered = get(target);
    ASSERT_TRUE(answered.ok()) << answered.fault().describe();
    EXPECT_TRUE(answered->body == big());
  }
  const auto echoed = loop.run(fetch(loop, at, {.method = "POST", .path = "/echo", .body = big()}));
  ASSERT_TRUE(echoed.ok()) << echoed.fault().describe();
  EXPECT_TRUE(echoed->body == big());
}

TEST_P(Sockets, ABodyThatBreaksOffIsNoAnswer) {
  const auto answered = get("/broken");
  ASSERT_FALSE(answered.ok());
  EXPECT_EQ(answered.fault().kind, FaultKind::closed);
  EXPECT_EQ(answered.fault().side, Side::upstream);
}

TEST_P(Sockets, NoAnswerInTimeIsATimeout) {
  ClientOptions options;
  options.timeout = milliseconds(300);
  const auto answered = get("/slow", options);
  ASSERT_FALSE(answered.ok());
  EXPECT_EQ(answered.fault().kind, FaultKind::timed_out);
  EXPECT_EQ(answered.fault().describe(),
            "timed out after 300 ms (while asking " + at.text() + " for /slow)");
}

Task<Result<std::string>> several(net::Loop& loop, Endpoint at) {
  auto stream = co_await open(loop, at);
  if (!stream.ok()) co_return stream.fault();
  ClientConnection connection(std::move(*stream));
  std::string log;
  for (int i = 0; i < 3; ++i) {
    if (auto sent =
            co_await connection.begin({.method = "POST", .path = "/echo"}, BodyFraming::chunked());
        !sent.ok()) {
      co_return sent.fault();
    }
    for (const char* piece : {"a", "bc", ""}) {
      if (auto sent = co_await connection.write(piece); !sent.ok()) co_return sent.fault();
    }
    if (auto sent = co_await connection.finish(); !sent.ok()) co_return sent.fault();
    auto body = co_await connection.body();
    if (!body.ok()) co_return body.fault();
    log += *body + (connection.reusable() ? " again; " : " once; ");
  }
  if (auto sent = co_await connection.send({.path = "/shout", .fields = {{"upgrade", "shout"}}});
      !sent.ok()) {
    co_return sent.fault();
  }
  auto head = co_await connection.head();
  if (!head.ok()) co_return head.fault();
  log += std::to_string((*head)->status) + " ";
  if (auto sent = co_await connection.stream().write_all("quiet please\n"); !sent.ok()) {
    co_return sent.fault();
  }
  std::string rest = connection.early();
  auto shouted = co_await read_to_end(connection.stream());
  if (!shouted.ok()) co_return shouted.fault();
  co_return log + rest + *shouted;
}

TEST_P(Sockets, OneConnectionCarriesSeveralRequestsAndThenSomethingElse) {
  const auto log = loop.run(several(loop, at));
  ASSERT_TRUE(log.ok()) << log.fault().describe();
  EXPECT_EQ(*log, "abc again; abc again; abc again; 101 QUIET PLEASE\n");
}

TEST_P(Sockets, ClosingTheServerEndsIdleConnectionsAndCancelsWhatHangs) {
  Gate gate;
  Result<Answer> hanging = Fault{};
  loop.start(gate, [](net::Loop& on, Endpoint to, Result<Answer>& into) -> Task<> {
    into = co_await fetch(on, to, {.path = "/slow"});
  }(loop, at, hanging));
  const auto idle = get("/hello");
  ASSERT_TRUE(idle.ok());
  loop.run(server.close(milliseconds(20)));
  EXPECT_EQ(server.acceptor().connections(), 0U);
  loop.run([](Gate& wait) -> Task<> { co_await wait.empty(); }(gate));
  EXPECT_FALSE(hanging.ok());
  EXPECT_FALSE(get("/hello").ok());
}

// A server over memory that answers with a megabyte, and its clients, which take nothing.
struct Slow {
  explicit Slow(const ServerOptions& options)
      : server(
            loop,
            [](Request&) -> Task<Response> {
              co_return Response::text(200, std::string(1'000'000, 'x'));
            },
            options) {}
  ~Slow() { loop.run(server.close()); }

  std::unique_ptr<net::MemoryStream> connect(const char* from) {
    auto [client, at_server] = net::MemoryStream::pair(loop, 1000);
    at_server->set_addresses({}, *SocketAddress::parse(from));
    server.acceptor().adopt(std::move(at_server));
    return std::move(client);
  }
  void ask(net::Stream& client) {
    static_cast<void>(loop.run([](net::Stream& to) -> Task<Result<>> {
      co_return co_await to.write_all("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    }(client)));
    turn();
  }
  void turn() {
    static_cast<void>(loop.run([](net::Loop& on) -> Task<Result<>> {
      co_return co_await on.sleep(milliseconds(5));
    }(loop)));
  }
  std::string first_line(net::Stream& client) {
    std::array<char, 1000> buffer;
    const Result<net::Taken> taken = client.read_now(buffer);
    if (!taken.ok()) return taken.fault().message;
    const std::string text(buffer.data(), taken->bytes);
    return text.substr(0, text.find('\r'));
  }

  net::Loop loop;
  Server server;
};

TEST(Server, AnswersThatNobodyTakesHaveABound) {
  Slow slow({.max_in_hand = 3'000'000});
  std::vector<std::unique_ptr<net::MemoryStream>> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(slow.connect("10.0.0.1:1"));
    slow.ask(*clients.back());
  }
  EXPECT_EQ(slow.server.shared().in_hand, 3'000'000U);
  EXPECT_EQ(slow.server.shared().put_off, 1U);
  EXPECT_EQ(slow.first_line(*clients[0]), "HTTP/1.1 200 OK");
  EXPECT_EQ(slow.first_line(*clients[3]), "HTTP/1.1 503 Service Unavailable");
  clients.clear();
  slow.turn();
  slow.turn();
  EXPECT_EQ(slow.server.shared().in_hand, 0U);
}

TEST(Server, PipelinedRequestsAreAnsweredOneAfterTheOther) {
  Slow slow({});
  const auto client = slow.connect("10.0.0.1:1");
  for (int i = 0; i < 30; ++i) slow.ask(*client);
  EXPECT_EQ(slow.server.shared().in_hand, 1'000'000U) << "the others wait in the stream";
}

TEST(Server, WhenAllPlacesAreTakenTheGreediestGivesWay) {
  Slow slow({.places = {.total = 4, .per_client = 3}, .what = "a test"});
  std::vector<std::unique_ptr<net::MemoryStream>> greedy;
  for (int i = 0; i < 10; ++i) greedy.push_back(slow.connect("10.0.0.1:1"));
  slow.turn();
  EXPECT_EQ(slow.server.acceptor().connections(), 3U) << "idle ones make room for new ones";
  const auto second = slow.connect("10.0.0.2:1");
  const auto third = slow.connect("10.0.0.3:1");
  slow.ask(*second);
  slow.ask(*third);
  EXPECT_EQ(slow.first_line(*second), "HTTP/1.1 200 OK");
  EXPECT_EQ(slow.first_line(*third), "HTTP/1.1 200 OK");
  EXPECT_EQ(slow.server.acceptor().places().counts().evicted, 8U);
  EXPECT_EQ(slow.server.acceptor().places().counts().refused, 0U);
}

TEST(Client, SaysWhatIsWrongWithAnEndpoint) {
  net::Loop loop;
  const auto nobody = loop.run(fetch(loop, Endpoint(std::string("/nonexistent.sock")), {}));
  ASSERT_FALSE(nobody.ok());
  EXPECT_EQ(nobody.fault().kind, FaultKind::missing);
  EXPECT_EQ(Endpoint::parse("reviews").fault().message,
            "\"reviews\" is neither an address like 127.0.0.1:8080 nor unix:PATH");
  EXPECT_EQ(Endpoint::parse("http://[::1]:80/")->text(), "[::1]:80");
  EXPECT_EQ(Endpoint::parse("unix:/run/x")->text(), "unix:/run/x");
}

}  // namespace
}  // namespace fairlead::http
