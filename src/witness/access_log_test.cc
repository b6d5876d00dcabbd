#include "witness/access_log.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace fairlead::witness {
namespace {

bool all(const explain::ProxyRecord& /*record*/, std::string_view /*id*/) {
  return true;
}

// As Envoy 1.40 writes them.
constexpr std::string_view log =
    "[2026-11-24 12:59:27.762][14][warning][main] [source/server/server.cc:1059] There is no "
    "configured limit to the number of allowed active downstream connections.\n"
    "[2026-11-24T12:59:29.714Z] \"GET /?a=%22 HTTP/1.1\" 200 - via_upstream - \"-\" 0 313 5 4 "
    "\"-\" \"an \\\"agent\\\" - \" \"b578ee9e\" \"web\" \"10.244.2.2:9080\" "
    "outbound|80||web.default.svc.cluster.local 10.244.1.2:38178 10.96.41.108:80 "
    "10.244.1.2:54880 - default\n"
    "[2026-11-24T12:59:29.715Z] \"GET / HTTP/1.1\" 200 - via_upstream - \"-\" 0 313 3 2 \"-\" "
    "\"fairlead-path\" \"b578ee9e\" \"web\" \"[fd00::2]:9080\" inbound|9080|| [::6]:52788 "
    "[fd00::2]:9080 [fd00::1]:38178 - default\n"
    "[2026-11-24T12:59:29.716Z] \"GET / HTTP/1.1\" 503 UF upstream_reset_before_response_started - "
    "\"delayed connect error: Connection refused\" 0 152 3 - \"-\" \"curl\" \"other\" \"web\" "
    "\"10.244.2.2:9080\" outbound|80||web.default.svc.cluster.local - 10.96.41.108:80 "
    "10.244.1.2:54881 - default\n"
    "[2026-11-24T12:59:29.717Z] \"- - -\" 0 - - - \"-\" 4 5 90 - \"-\" \"-\" \"-\" \"-\" "
    "\"10.244.2.9:7000\" outbound|7000||echo.default.svc.cluster.local 10.244.1.2:38179 "
    "10.96.41.109:7000 10.244.1.2:54882 - -\n"
    "[2026-11-24T12:59:29.717Z] \"GET / HTTP/1.1\" 200 - via_upst";

TEST(AccessLog, TellsOfRequestsAndConnections) {
  const auto records = records_from_access_log(log, "default/client", all);
  ASSERT_EQ(records.size(), 4U);
  const explain::ProxyRecord& out = records[0];
  EXPECT_EQ(out.proxy, "default/client");
  EXPECT_TRUE(out.from_access_log);
  EXPECT_EQ(out.direction, "outbound");
  EXPECT_EQ(out.status, 200);
  EXPECT_EQ(out.flags, "");
  EXPECT_EQ(out.cluster, "outbound|80||web.default.svc.cluster.local");
  EXPECT_EQ(out.route, "default");
  EXPECT_EQ(out.upstream_local->text(), "10.244.1.2:38178");
  EXPECT_EQ(out.upstream_remote->text(), "10.244.2.2:9080");
  EXPECT_EQ(out.downstream_remote.text(), "10.244.1.2:54880");
  EXPECT_EQ(out.original_destination.text(), "10.96.41.108:80");
  EXPECT_EQ(out.microseconds, 5000U);
  EXPECT_EQ(records[1].direction, "inbound");
  EXPECT_EQ(records[1].upstream_local->text(), "[::6]:52788");
  EXPECT_EQ(records[2].status, 503);
  EXPECT_EQ(records[2].flags, "UF");
  EXPECT_FALSE(records[2].upstream_local);
  EXPECT_EQ(records[3].status, 0);
  EXPECT_EQ(records[3].route, "");
  EXPECT_EQ(records[3].upstream_remote->text(), "10.244.2.9:7000");
}

TEST(AccessLog, IsAskedForOneRequest) {
  const auto records = records_from_access_log(
      log, "x",
      [](const explain::ProxyRecord& /*record*/, std::string_view id) { return id == "other"; });
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].flags, "UF");
  EXPECT_TRUE(records_from_access_log("[\n[x]\n\"\n[a] \" \\\n\n", "x", all).empty());
}

}  // namespace
}  // namespace fairlead::witness
