// Datagrams, unix sockets, signals, file watches, namespaces, names: all that is no TCP.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <string>

#include "net/file_watch.h"
#include "net/netns.h"
#include "net/resolve.h"
#include "net/signals.h"
#include "net/tcp.h"
#include "net/udp.h"
#include "net/unix.h"

namespace fairlead::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

SocketAddress address(const std::string& text) {
  return *SocketAddress::parse(text);
}

std::string scratch(const std::string& name) {
  const std::string path =
      testing::TempDir() + "fairlead-net-" + std::to_string(::getpid()) + "-" + name;
  std::filesystem::remove_all(path);
  return path;
}

// ── UDP ─────────────────────────────────────────────────────────────────────────────────────────

Task<Result<Datagram>> next_datagram(UdpSocket& socket, std::string& text) {
  std::array<char, 100> buffer;
  while (true) {
    Result<std::optional<Datagram>> came = socket.receive_now(buffer);
    if (!came.ok()) co_return came.fault();
    if (*came) {
      text.assign(buffer.data(), (*came)->bytes);
      co_return **came;
    }
    if (Result<> ready = co_await socket.readable(); !ready.ok()) co_return ready.fault();
  }
}

Task<Result<std::string>> question_and_answer(UdpSocket& server, UdpSocket& client,
                                              SocketAddress to) {
  std::string text;
  if (Result<> sent = client.send_now("question", to); !sent.ok()) co_return sent.fault();
  Result<Datagram> question = co_await next_datagram(server, text);
  if (!question.ok()) co_return question.fault();
  std::string log = text + " to " + question->to.ip.text();
  if (Result<> sent = server.send_now("answer", question->from, question->to.ip); !sent.ok()) {
    co_return sent.fault();
  }
  Result<Datagram> answer = co_await next_datagram(client, text);
  if (!answer.ok()) co_return answer.fault();
  co_return log + ", " + text;
}

TEST(Udp, AnswersFromTheAddressThatWasAsked) {
  Loop loop;
  auto server = UdpSocket::bind(loop, address("0.0.0.0:0"));
  ASSERT_TRUE(server.ok());
  // A connected socket hears that one address alone.
  const SocketAddress to{*IpAddress::parse("127.0.0.7"), (*server)->local().port};
  auto client = UdpSocket::connect(loop, to);
  ASSERT_TRUE(client.ok());
  const auto log = loop.run(question_and_answer(**server, **client, to));
  ASSERT_TRUE(log.ok()) << log.fault().describe();
  EXPECT_EQ(*log, "question to 127.0.0.7, answer");
}

TEST(Udp, SpeaksIpv6) {
  Loop loop;
  auto server = UdpSocket::bind(loop, address("[::]:0"));
  ASSERT_TRUE(server.ok()) << server.fault().describe();
  const SocketAddress to{*IpAddress::parse("::1"), (*server)->local().port};
  auto client = UdpSocket::connect(loop, to);
  ASSERT_TRUE(client.ok());
  const auto log = loop.run(question_and_answer(**server, **client, to));
  ASSERT_TRUE(log.ok()) << log.fault().describe();
  EXPECT_EQ(*log, "question to ::1, answer");
}

// Says each of them back twice over, but for "hush".
Task<Result<std::size_t>> echo_some(UdpSocket& server, Exchanges& exchanges, std::size_t count) {
  std::size_t seen = 0;
  while (seen < count) {
    if (Result<> ready = co_await server.readable(); !ready.ok()) co_return ready.fault();
    if (Result<> came = server.receive_now(exchanges); !came.ok()) co_return came.fault();
    for (std::size_t i = 0; i < exchanges.size(); ++i) {
      const std::string text(exchanges.bytes(i));
      if (text == "hush") continue;
      const std::string twice = text + text;
      twice.copy(exchanges.answer_room(i).data(), exchanges.answer_room(i).size());
      exchanges.answer(i, twice.size());
    }
    server.answer_now(exchanges);
    seen += exchanges.size();
  }
  co_return seen;
}

void expect_answers_to_many(const char* bound, const char* asked) {
  Loop loop;
  auto server = UdpSocket::bind(loop, address(bound));
  ASSERT_TRUE(server.ok()) << server.fault().describe();
  const SocketAddress to{*IpAddress::parse(asked), (*server)->local().port};
  // Connected sockets hear nobody but whom they asked.
  auto one = UdpSocket::connect(loop, to);
  auto two = UdpSocket::connect(loop, to);
  ASSERT_TRUE(one.ok() && two.ok());
  Exchanges exchanges(3, 100, 200);
  EXPECT_EQ(exchanges.most(), 3U);
  for (const char* text : {"hush", "a", "b", "hush", "c"}) {
    ASSERT_TRUE((*one)->send_now(text, to).ok());
    ASSERT_TRUE((*two)->send_now(text, to).ok());
  }
  const auto seen = loop.run(echo_some(**server, exchanges, 10));
  ASSERT_TRUE(seen.ok()) << seen.fault().describe();
  EXPECT_EQ(*seen, 10U);
  for (UdpSocket* client : {one->get(), two->get()}) {
    for (const char* expected : {"aa", "bb", "cc"}) {
      std::string text;
      const auto answer = loop.run(next_datagram(*client, text));
      ASSERT_TRUE(answer.ok()) << answer.fault().describe();
      EXPECT_EQ(text, expected);
    }
  }
}

TEST(Udp, AnswersManyTogether) {
  expect_answers_to_many("127.0.0.1:0", "127.0.0.1");
  expect_answers_to_many("0.0.0.0:0", "127.0.0.7");
  expect_answers_to_many("[::]:0", "::1");
}

TEST(Udp, AConnectedSocketHearsThatNobodyListens) {
  Loop loop;
  auto taken = UdpSocket::bind(loop, address("127.0.0.1:0"));
  const SocketAddress nobody = (*taken)->local();
  (*taken)->close();
  auto client = UdpSocket::connect(loop, nobody);
  ASSERT_TRUE(client.ok());
  ASSERT_TRUE((*client)->send_now("hello?", nobody).ok());
  std::string text;
  const auto answer = loop.run(next_datagram(**client, text));
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.fault().kind, FaultKind::unreachable);
}

// ── unix sockets ────────────────────────────────────────────────────────────────────────────────

Task<Result<std::string>> first_words(UnixListener& listener) {
  auto stream = co_await listener.accept();
  if (!stream.ok()) co_return stream.fault();
  std::array<char, 100> buffer;
  while (true) {
    if (Result<> ready = co_await (*stream)->readable(); !ready.ok()) co_return ready.fault();
    Result<Taken> taken = (*stream)->read_now(buffer);
    if (!taken.ok()) co_return taken.fault();
    if (taken->end) co_return "the end";
    if (taken->bytes != 0) co_return std::string(buffer.data(), taken->bytes);
  }
}

TEST(Unix, AListenerReplacesADeadSocketAndSparesALivingOne) {
  Loop loop;
  const std::string path = scratch("socket");
  {
    auto listener = UnixListener::listen(loop, path);
    ASSERT_TRUE(listener.ok()) << listener.fault().describe();
    auto client = connect_unix(loop, path);
    ASSERT_TRUE(client.ok());
    EXPECT_EQ((*client)->peer_name(), "unix:" + path);
    const std::string_view words = "hello";
    ASSERT_TRUE((*client)->write_now({&words, 1}).ok());
    const auto heard = loop.run(first_words(**listener));
    ASSERT_TRUE(heard.ok());
    EXPECT_EQ(*heard, "hello");
    const auto second = UnixListener::listen(loop, path);
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.fault().message,
              "cannot listen on unix:" + path + ": another process listens there");
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  {
    // One that is left behind: nobody listens on it.
    auto listener = UnixListener::listen(loop, path);
    ASSERT_TRUE(listener.ok());
    std::filesystem::rename(path, path + ".kept");
  }
  std::filesystem::rename(path + ".kept", path);
  EXPECT_TRUE(UnixListener::listen(loop, path).ok());
}

TEST(Unix, NobodyThereIsSaidAtOnce) {
  Loop loop;
  const auto none = connect_unix(loop, scratch("none"));
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.fault().kind, FaultKind::missing);
  const auto long_path = connect_unix(loop, std::string(200, 'x'));
  ASSERT_FALSE(long_path.ok());
  EXPECT_EQ(long_path.fault().kind, FaultKind::invalid);
}

// ── signals ─────────────────────────────────────────────────────────────────────────────────────

TEST(Signals, AreWaitedFor) {
  Loop loop;
  auto signals = Signals::watch(loop, {SIGUSR1, SIGUSR2});
  ASSERT_TRUE(signals.ok());
  ::kill(::getpid(), SIGUSR2);
  auto first = loop.run((*signals)->next());
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(*first, SIGUSR2);
  Timer later(loop, [] { ::kill(::getpid(), SIGUSR1); });
  later.arm(milliseconds(5));
  auto second = loop.run((*signals)->next());
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(*second, SIGUSR1);
}

// ── files ───────────────────────────────────────────────────────────────────────────────────────

Task<Result<>> change_seen(Loop& loop, FileWatch& watch, const std::function<void()>& act) {
  Timer later(loop, act);
  later.arm(milliseconds(5));
  co_return co_await within(loop, seconds(20), watch.changed(milliseconds(5)));
}

Task<Result<>> change_in(Loop& loop, FileWatch& watch, Duration time) {
  co_return co_await within(loop, time, watch.changed(milliseconds(5)));
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

TEST(FileWatch, SeesEveryWayInWhichAFileChanges) {
  Loop loop;
  const std::string folder = scratch("folder");
  std::filesystem::create_directory(folder);
  const std::string file = folder + "/a.yaml";
  write_file(file, "1");
  auto watch = FileWatch::make(loop);
  ASSERT_TRUE(watch.ok());
  (*watch)->add(file);
  const auto seen = [&](const std::function<void()>& act) {
    return loop.run(change_seen(loop, **watch, act)).ok();
  };
  EXPECT_TRUE(seen([&] { write_file(file, "2"); }));
  EXPECT_TRUE(seen([&] {
    write_file(folder + "/.a.tmp", "3");
    std::filesystem::rename(folder + "/.a.tmp", file);
  }));
  EXPECT_TRUE(seen([&] { std::filesystem::remove(file); }));
  EXPECT_TRUE(seen([&] { write_file(file, "4"); }));
  // The folder itself goes and comes back.
  EXPECT_TRUE(seen([&] { std::filesystem::remove_all(folder); }));
  EXPECT_TRUE(seen([&] { std::filesystem::create_directory(folder); }));
  EXPECT_TRUE(seen([&] { write_file(file, "5"); }));
  // As Kubernetes replaces a mounted ConfigMap: the link to the folder of today is renamed.
  std::filesystem::create_directories(folder + "/1");
  write_file(folder + "/1/a.yaml", "6");
  std::filesystem::create_directory_symlink("1", folder + "/..data");
  EXPECT_TRUE(seen([&] {
    std::filesystem::remove(file);
    std::filesystem::create_symlink("..data/a.yaml", file);
  }));
  EXPECT_TRUE(seen([&] {
    std::filesystem::create_directories(folder + "/2");
    std::filesystem::create_directory_symlink("2", folder + "/..new");
    std::filesystem::rename(folder + "/..new", folder + "/..data");
  }));
  std::filesystem::remove_all(folder);
}

TEST(FileWatch, WaitsForWhatDoesNotExistYet) {
  Loop loop;
  const std::string folder = scratch("later");
  auto watch = FileWatch::make(loop);
  ASSERT_TRUE(watch.ok());
  (*watch)->add(folder + "/deep/a.yaml");
  const auto seen = [&](const std::function<void()>& act) {
    return loop.run(change_seen(loop, **watch, act)).ok();
  };
  EXPECT_TRUE(seen([&] { std::filesystem::create_directory(folder); }));
  EXPECT_TRUE(seen([&] { std::filesystem::create_directory(folder + "/deep"); }));
  EXPECT_TRUE(seen([&] { write_file(folder + "/deep/a.yaml", "1"); }));
  std::filesystem::remove_all(folder);
}

TEST(FileWatch, SeesALinkThatLeadsElsewhere) {
  Loop loop;
  const std::string folder = scratch("links");
  for (const char* each : {"/v1", "/v2", "/in"}) std::filesystem::create_directories(folder + each);
  std::filesystem::create_directory_symlink("v1", folder + "/current");
  std::filesystem::create_directory_symlink("../current", folder + "/in/deep");
  auto watch = FileWatch::make(loop);
  ASSERT_TRUE(watch.ok());
  (*watch)->add(folder + "/in/deep/");
  const auto seen = [&](const std::function<void()>& act) {
    return loop.run(change_seen(loop, **watch, act)).ok();
  };
  EXPECT_TRUE(seen([&] { write_file(folder + "/v1/a.yaml", "1"); }));
  EXPECT_TRUE(seen([&] {
    std::filesystem::create_directory_symlink("v2", folder + "/new");
    std::filesystem::rename(folder + "/new", folder + "/current");
  }));
  EXPECT_TRUE(seen([&] { write_file(folder + "/v2/a.yaml", "2"); }));
  // What lies beside the link is nobody's business.
  write_file(folder + "/beside", "x");
  EXPECT_FALSE(loop.run(change_in(loop, **watch, milliseconds(200))).ok());
  std::filesystem::remove_all(folder);
}

TEST(FileWatch, SeesAFolderAboveThatIsAnotherOne) {
  Loop loop;
  const std::string folder = scratch("above");
  for (const char* each : {"/now/mesh/in", "/next/mesh/in"}) {
    std::filesystem::create_directories(folder + each);
  }
  auto watch = FileWatch::make(loop);
  ASSERT_TRUE(watch.ok());
  (*watch)->add(folder + "/now/mesh/in");
  const auto seen = [&](const std::function<void()>& act) {
    return loop.run(change_seen(loop, **watch, act)).ok();
  };
  EXPECT_TRUE(seen([&] {
    std::filesystem::rename(folder + "/now", folder + "/before");
    std::filesystem::rename(folder + "/next", folder + "/now");
  }));
  EXPECT_TRUE(seen([&] { write_file(folder + "/now/mesh/in/a.yaml", "1"); }));
  write_file(folder + "/now/mesh/beside", "x");
  write_file(folder + "/before/mesh/in/a.yaml", "x");
  EXPECT_FALSE(loop.run(change_in(loop, **watch, milliseconds(200))).ok());
  std::filesystem::remove_all(folder);
}

TEST(FileWatch, KnowsWhatIsBeingWritten) {
  Loop loop;
  const std::string folder = scratch("half");
  std::filesystem::create_directories(folder);
  const std::string file = folder + "/a.yaml";
  write_file(file, "whole");
  auto watch = FileWatch::make(loop);
  ASSERT_TRUE(watch.ok());
  (*watch)->add(folder);
  std::ofstream writing;
  const auto seen = [&](const std::function<void()>& act) {
    return loop.run(change_seen(loop, **watch, act)).ok();
  };
  EXPECT_FALSE((*watch)->being_written(file));
  EXPECT_TRUE(seen([&] {
    writing.open(file);
    writing << "half" << std::flush;
  }));
  EXPECT_TRUE((*watch)->being_written(file));
  EXPECT_TRUE(seen([&] { write_file(folder + "/b.yaml", "another"); }));
  EXPECT_TRUE((*watch)->being_written(file));
  EXPECT_FALSE((*watch)->being_written(folder + "/b.yaml"));
  EXPECT_TRUE(seen([&] { writing.close(); }));
  EXPECT_FALSE((*watch)->being_written(file));
  std::filesystem::remove_all(folder);
}

TEST(FileWatch, LooksNowAndThenWhereTheKernelTellsNothing) {
  Loop loop;
  auto watch = FileWatch::make(loop);
  ASSERT_TRUE(watch.ok());
  EXPECT_TRUE(loop.run((*watch)->changed(milliseconds(1), milliseconds(20))).ok());
  (*watch)->add("/");
  EXPECT_EQ((*watch)->trouble(), "");
}

// ── namespaces ──────────────────────────────────────────────────────────────────────────────────

TEST(NetNamespace, CallsInsideAndStaysOutside) {
  Loop loop;
  const auto here = NetNamespace::current();
  ASSERT_TRUE(here.ok());
  const auto listener = here->call_for([&]() -> Result<std::string> {
    // Another thread, the same namespace: a socket made there is one of ours.
    return std::string("made");
  });
  ASSERT_TRUE(listener.ok());
  EXPECT_EQ(*listener, "made");
  EXPECT_TRUE(NetNamespace::of_process(::getpid()).ok());
  const auto none = NetNamespace::open("/nonexistent/ns");
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.fault().kind, FaultKind::missing);
}

// ── names ───────────────────────────────────────────────────────────────────────────────────────

TEST(Resolve, KnowsTheHostsFileAndAddresses) {
  Loop loop;
  const auto local = loop.run(resolve(loop, "localhost"));
  ASSERT_TRUE(local.ok()) << local.fault().describe();
  EXPECT_TRUE(local->front().is_loopback());
  const auto itself = loop.run(resolve(loop, "fd00::1"));
  ASSERT_TRUE(itself.ok());
  EXPECT_EQ(itself->front().text(), "fd00::1");
}

TEST(Resolve, ACancelledLookUpLeavesNothingBehind) {
  auto loop = std::make_unique<Loop>();
  loop->start(
      [](Loop& on) -> Task<> { static_cast<void>(co_await resolve(on, "localhost")); }(*loop));
  loop.reset();
}

}  // namespace
}  // namespace fairlead::net
