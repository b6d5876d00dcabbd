// The node's agent, run as people run it, on loopback addresses of this machine.
#include <gmock/gmock.h>

#include "cli/test_program.h"

namespace fairlead::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class NodeCommandTest : public WithAFolder {
 protected:
  // What a shell says of it: $fairlead, $S (a status socket) and $F (a manifest) are set.
  Ran shell(const std::string& script) const {
    const std::string path = folder_ + "/script";
    std::ofstream(path) << "fairlead=" FAIRLEAD_PROGRAM " S=" << folder_ << "/s F=" << folder_
                        << "/shop.yaml\nexec 2>&1\n"
                        << script;
    return run_program("", "timeout 60 sh " + path + " # ");
  }
  void SetUp() override {
    write("shop.yaml",
          "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"
          "spec: {clusterIP: 10.96.0.7, ports: [{port: 80}]}\n");
  }
};

constexpr const char* functions = R"sh(
hold() {
  exec $fairlead node --hold-sockets --name n1 --files "$F" --no-rules --status-socket "$S" -l off \
    --dns-address 127.77.0.10:5353 "$@"
}
ask() { kdig @127.77.0.10 -p 5353 +short +timeout=20 +retry=0 "$@" web.default.svc.cluster.local A; }
ready() {
  for i in $(seq 400); do
    curl -fs --noproxy '*' --unix-socket "$S" http://node/ready && return
    sleep 0.05
  done
}
)sh";

TEST_F(NodeCommandTest, HoldsItsSocketsWhileTheAgentIsKilled) {
  const Ran ran = shell(std::string(functions) + R"sh(
hold & holder=$!
ready
# The agent is stopped before it is killed: what is asked meanwhile waits for the next one.
agent=$(pgrep -P $holder)
kill -STOP $agent
ask & asked=$!
ask +tcp & asked_too=$!
sleep 0.2
kill -KILL $agent
wait $asked && wait $asked_too
ready
test "$(pgrep -P $holder)" != "$agent" && echo another
kill -TERM $holder
wait $holder
echo ended with $?
test -e "$S" || echo gone
)sh");
  EXPECT_EQ(ran.said, "ready\n10.96.0.7\n10.96.0.7\nready\nanother\nended with 0\ngone\n");
}

// Without a right to the kernel's rules.
TEST_F(NodeCommandTest, AnAgentThatCannotBeginEndsItsHolder) {
  const Ran ran = shell(R"sh(
setpriv --reuid 65534 --regid 65534 --clear-groups $fairlead node --hold-sockets --name n1 \
  --files /etc/hosts --dns-address 127.77.0.11:5353
echo ended with $?
)sh");
  EXPECT_THAT(ran.said, AllOf(HasSubstr("fairlead node: "), HasSubstr("ended with 1")));
}

TEST_F(NodeCommandTest, SocketsThatWerePassedOnAndDoNotFitAreRefused) {
  const Ran ran = shell(R"sh(
sh -c 'LISTEN_PID=$$ LISTEN_FDS=many exec "$0" node --name n1 --files "$1" --no-rules' $fairlead "$F"
echo ended with $?
)sh");
  EXPECT_THAT(ran.said, AllOf(HasSubstr("LISTEN_FDS: expected a number from 0 to 16, found many"),
                              HasSubstr("ended with 2")));
}

}  // namespace
}  // namespace fairlead::cli
