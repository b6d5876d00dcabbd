// Our gRPC server as a foreign client finds it: Debian's python3-grpcio, which is gRPC's C core.
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>

#include "http/io/grpc.h"
#include "net/unix.h"

extern char** environ;

namespace fairlead::http {
namespace {

constexpr const char* kScript = R"(
import queue, sys, threading
import grpc
channel = grpc.insecure_channel('127.0.0.1:' + sys.argv[1])
same = lambda bytes: bytes
def method(kind, name='Echo'):
    return getattr(channel, kind)('/test/' + name, request_serializer=same, response_deserializer=same)
unary, stream = method('unary_unary'), method('stream_stream')
print(list(stream(iter([b'a', b'', b'cc']))))
big = b'x' * 3000000
print([answer == b'echo ' + big for answer in stream(iter([big] * 4))])
def status(call):
    try: return call()
    except grpc.RpcError as error: return error.code().name + ': ' + error.details()
print(status(lambda: method('unary_unary', 'Nothing')(b'')))
print(status(lambda: unary(b'y' * 5000000)))
def many():
    for number in range(100): assert unary(b'%d' % number) == b'echo %d' % number
threads = [threading.Thread(target=many) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
waiting = queue.Queue()
late = stream(iter(waiting.get, None), timeout=0.3)
print(status(lambda: next(late)).split(':')[0])
other = queue.Queue()
given_up = stream(iter(other.get, None))
other.put(b'once'); print(next(given_up)); given_up.cancel()
slow = stream(iter([b'z' * 100000] * 200))
threading.Event().wait(0.3)
print(sum(len(answer) for answer in slow))
)";

constexpr const char* kExpected =
    "[b'echo a', b'echo ', b'echo cc']\n"
    "[True, True, True, True]\n"
    "UNIMPLEMENTED: there is no method /test/Nothing\n"
    "RESOURCE_EXHAUSTED: a gRPC message of 5000000 bytes is over the limit of 4194304\n"
    "DEADLINE_EXCEEDED\n"
    "b'echo once'\n"
    "20001000\n";

Task<GrpcStatus> echo(GrpcCallHandle& call) {
  if (call.method() != "/test/Echo") co_return grpc_unimplemented(call.method());
  while (true) {
    Result<std::optional<std::string>> message = co_await call.receive();
    if (!message.ok()) co_return status_of(message.fault());
    if (!*message) co_return GrpcStatus{};
    if (Result<> sent = co_await call.send("echo " + **message); !sent.ok()) {
      co_return status_of(sent.fault());
    }
  }
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

TEST(GrpcForeign, GrpcsOwnClientIsServedWell) {
  net::Loop loop;
  GrpcServer server(loop, echo);
  const auto at = server.listen(*SocketAddress::parse("127.0.0.1:0"));
  ASSERT_TRUE(at.ok());
  // What it prints, its complaints too, comes over a socket pair.
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  const std::string port = std::to_string(at->port);
  std::array<char*, 5> words{const_cast<char*>("python3"), const_cast<char*>("-c"),
                             const_cast<char*>(kScript), const_cast<char*>(port.c_str()), nullptr};
  pid_t client = 0;
  ASSERT_EQ(::posix_spawn(&client, "/usr/bin/python3", &actions, nullptr, words.data(), environ),
            0);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  auto output = net::UnixStream::adopt(loop, Descriptor(ends[0]), "client");
  ASSERT_TRUE(output.ok());
  const auto printed = loop.run(read_to_end(**output));
  int status = 0;
  ::waitpid(client, &status, 0);
  loop.run(server.close());
  ASSERT_TRUE(printed.ok()) << printed.fault().describe();
  EXPECT_EQ(*printed, kExpected);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace fairlead::http
