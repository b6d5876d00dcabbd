// `fairlead sample-app` as people call it: its ports.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "cli/test_program.h"

namespace fairlead::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// A port that somebody else has, as long as this is there.
class TakenPort {
 public:
  TakenPort() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    socklen_t size = sizeof(any);
    auto* address = reinterpret_cast<sockaddr*>(&any);
    EXPECT_EQ(::bind(socket_, address, size), 0);
    EXPECT_EQ(::listen(socket_, 1), 0);
    EXPECT_EQ(::getsockname(socket_, address, &size), 0);
    number_ = ntohs(any.sin_port);
  }
  ~TakenPort() { ::close(socket_); }
  TakenPort(const TakenPort&) = delete;
  TakenPort& operator=(const TakenPort&) = delete;
  [[nodiscard]] std::string text() const { return std::to_string(number_); }

 private:
  int socket_;
  std::uint16_t number_ = 0;
};

TEST(SampleAppCommandTest, APortThatIsTakenIsToldAndNothingElseHappens) {
  const TakenPort taken;
  for (const char* option : {"--port ", "--tcp-port "}) {
    const Ran ran = run_program("sample-app --port 0 " + (option + taken.text()));
    EXPECT_EQ(ran.status, 1);
    EXPECT_THAT(ran.said, AllOf(HasSubstr("fairlead sample-app: cannot listen on "),
                                HasSubstr(":" + taken.text() + ": "), Not(HasSubstr("answers"))));
  }
}

TEST(SampleAppCommandTest, AVariableThatMakesNoSenseIsRefused) {
  const Ran port = run_program("sample-app", "PORT=abc ");
  EXPECT_EQ(port.status, 2);
  EXPECT_EQ(
      port.said,
      "fairlead sample-app: the variable PORT is 'abc'; expected is a port from 1 to 65535, or "
      "0 for a free one\n");
  const Ran calls = run_program("sample-app --port 0", "APP_CALLS=https://a/ ");
  EXPECT_EQ(calls.status, 2);
  EXPECT_THAT(calls.said, HasSubstr("the variable APP_CALLS is 'https://a/'"));
  const Ran option = run_program("sample-app --port 0 --call https://a/");
  EXPECT_EQ(option.status, 2);
  EXPECT_THAT(option.said, HasSubstr("--call: only http is called, not 'https://a/'"));
  EXPECT_EQ(run_program("sample-app --help", "PORT=abc ").status, 0);
}

using SampleAppPortTest = WithAFolder;

TEST_F(SampleAppPortTest, ThePortThatTheKernelChoseIsSaid) {
  const std::string said = write("said", "");
  const Ran ran = run_program("sample-app --service web --port 0 --tcp-port 0 >" + said +
                              " 2>&1 & for i in $(seq 400); do grep -q answers " + said +
                              " && break; sleep 0.05; done; kill $!; wait $!; cat " + said);
  EXPECT_THAT(ran.said, testing::ContainsRegex("answers as 'web' on [1-9][0-9]*, [1-9][0-9]*/tcp"));
  EXPECT_EQ(ran.status, 0);
}

// samples/proxy/bootstrap.yaml, which README tells to try.
TEST(SampleBootstrapTest, IsTakenAsItStands) {
  const std::filesystem::path build = std::filesystem::path(FAIRLEAD_PROGRAM).parent_path();
  const Ran ran = run_program("proxy --mode validate -c " +
                              (build / "../../samples/proxy/bootstrap.yaml").string());
  EXPECT_EQ(ran.status, 0) << ran.said;
}

}  // namespace
}  // namespace fairlead::cli
