// A real TLS client and server with a proxy between them that was told nothing of what they speak.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "proxy/test_peers.h"

namespace fairlead::proxy {
namespace {

using namespace testing;
using ::testing::HasSubstr;

// openssl as a child, its standard input and output ours.
class Openssl {
 public:
  explicit Openssl(std::vector<std::string> words) {
    words.insert(words.begin(), "openssl");
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(ends[1], 0);
      ::dup2(ends[1], 1);
      ::dup2(::open("/dev/null", O_WRONLY | O_CLOEXEC), 2);
      ::execvp(arguments[0], arguments.data());
      ::_exit(127);
    }
    ::close(ends[1]);
    wire_ = Wire(ends[0]);
  }
  ~Openssl() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    (void)end();
  }
  Openssl(const Openssl&) = delete;
  Openssl& operator=(const Openssl&) = delete;

  [[nodiscard]] Wire& wire() { return wire_; }
  int end() {
    int status = 0;
    ::waitpid(std::exchange(pid_, 0), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t pid_ = 0;
  Wire wire_{-1};
};

class DetectTlsTest : public ::testing::Test {
 protected:
  DetectTlsTest() {
    std::string pattern = "/tmp/fairlead-tls-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    certificate_ = folder_ + "/certificate.pem";
    key_ = folder_ + "/key.pem";
  }
  ~DetectTlsTest() override { std::filesystem::remove_all(folder_); }

  bool make_certificate() {
    Openssl made({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                  "-keyout", key_, "-out", certificate_, "-subj", "/CN=shop", "-addext",
                  "subjectAltName=DNS:shop", "-days", "2"});
    return made.end() == 0;
  }
  static SocketAddress where_it_listens(Openssl& server) {
    (void)server.wire().until("ACCEPT ");
    std::string text = server.wire().until("\n");
    while (!text.empty() && text.back() == '\n') text.pop_back();
    const Result<SocketAddress> address = SocketAddress::parse(text);
    EXPECT_TRUE(address.ok()) << text;
    return address.ok() ? *address : SocketAddress();
  }

  std::string folder_;
  std::string certificate_;
  std::string key_;
  RunningProxy proxy_;
};

TEST_F(DetectTlsTest, AClientHelloGoesAsTcpToTheServicesEndpoint) {
  ASSERT_TRUE(make_certificate());
  Openssl server({"s_server", "-accept", "127.0.0.1:0", "-cert", certificate_, "-key", key_, "-rev",
                  "-naccept", "2"});
  const SocketAddress endpoint = where_it_listens(server);
  Server web(Server::answering([](const std::string&) { return ok_with("by http"); }));

  // As for a port of which nothing was declared.
  config::Listener listener = listener_of("front", manager_of({route_to("web")}));
  listener.http_inspector = true;
  listener.tls_inspector = true;
  listener.filter_chains[0].match.application_protocols = {"http/1.0", "http/1.1"};
  listener.filter_chains[0].match.transport_protocol = "raw_buffer";
  config::FilterChain other;
  other.name = "other";
  config::TcpProxy tcp;
  tcp.stat_prefix = "tcp";
  tcp.clusters.push_back({.cluster = "service"});
  other.filter = tcp;
  listener.default_filter_chain = std::move(other);
  ASSERT_TRUE(proxy_
                  .apply(snapshot_of({std::move(listener)}, {cluster_of("web", {web.address()}),
                                                             cluster_of("service", {endpoint})}))
                  .empty());
  const SocketAddress front = proxy_.address();

  for (const char* version : {"-tls1_2", "-tls1_3"}) {
    Openssl client({"s_client", "-connect", front.text(), version, "-servername", "shop", "-CAfile",
                    certificate_, "-verify_return_error", "-verify_hostname", "shop", "-quiet"});
    ASSERT_TRUE(client.wire().send("hello there\n"));
    EXPECT_THAT(client.wire().until("\n"), HasSubstr("ereht olleh")) << version;
    ASSERT_TRUE(client.wire().send("CLOSE\n"));
    EXPECT_EQ(client.end(), 0) << version;
  }
  EXPECT_EQ(web.connections(), 0);
  std::vector<Record> records;
  ASSERT_TRUE(eventually([&] { return (records = proxy_.records()).size() == 2; }));
  for (const Record& record : records) {
    EXPECT_EQ(record.filter_chain.view(), "other");
    EXPECT_EQ(record.upstream_remote, endpoint);
    EXPECT_EQ(record.flags, Flag::none);
  }
  // And HTTP without TLS is still found.
  Wire plain = Wire::to(front);
  ASSERT_TRUE(plain.send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n"));
  EXPECT_THAT(plain.message(), HasSubstr("by http"));
}

}  // namespace
}  // namespace fairlead::proxy
