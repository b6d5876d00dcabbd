#include "proxy/access_log.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace fairlead::proxy {
namespace {

class AccessLogTest : public ::testing::Test {
 protected:
  AccessLogTest() {
    entry_.started = WallTime{} + std::chrono::milliseconds(1795508100123);
    entry_.duration = std::chrono::microseconds(12'900);
    entry_.response_duration = std::chrono::milliseconds(9);
    request_.path = "/reviews?id=7";
    request_.authority = "reviews:9080";
    request_.fields.add("user-agent", "curl/8");
    request_.fields.add("x-request-id", "abc");
    response_.fields.add("x-envoy-upstream-service-time", "11");
    entry_.request = &request_;
    entry_.response = &response_;
    entry_.protocol = "HTTP/1.1";
    entry_.response_code = 200;
    entry_.response_details = "via_upstream";
    entry_.bytes_received = 3;
    entry_.bytes_sent = 100;
    entry_.upstream_host = "10.244.1.2:9080";
    entry_.upstream_cluster = "outbound|9080||reviews.default.svc.cluster.local";
    entry_.upstream_local_address = "10.244.1.1:40000";
    entry_.downstream_remote_address = "[fd00::7]:51000";
    entry_.downstream_local_address = "10.96.0.12:9080";
    entry_.route_name = "default";
  }

  std::string line(std::string_view format) {
    const Result<LogFormat> parsed = LogFormat::parse(format);
    if (!parsed) return "refused: " + parsed.fault().describe();
    std::string out;
    parsed->render(entry_, out);
    return out;
  }

  http::RequestHead request_;
  http::ResponseHead response_;
  LogEntry entry_;
};

TEST_F(AccessLogTest, TheDefaultIsEnvoys) {
  EXPECT_EQ(line(""),
            "[2026-11-24T08:15:00.123Z] \"GET /reviews?id=7 HTTP/1.1\" 200 - 3 100 12 11 \"-\" "
            "\"curl/8\" \"abc\" \"reviews:9080\" \"10.244.1.2:9080\"\n");
}

TEST_F(AccessLogTest, IstiosTextFormat) {
  entry_.flags = Flag::upstream_connection_failure | Flag::upstream_retry_limit_exceeded;
  EXPECT_EQ(
      line("[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" "
           "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% "
           "%CONNECTION_TERMINATION_DETAILS% \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" "
           "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "
           "\"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" "
           "\"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% "
           "%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% "
           "%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"),
      "[2026-11-24T08:15:00.123Z] \"GET /reviews?id=7 HTTP/1.1\" 200 UF,URX via_upstream - \"-\" 3 "
      "100 12 11 \"-\" \"curl/8\" \"abc\" \"reviews:9080\" \"10.244.1.2:9080\" "
      "outbound|9080||reviews.default.svc.cluster.local 10.244.1.1:40000 10.96.0.12:9080 "
      "[fd00::7]:51000 - default\n");
}

TEST_F(AccessLogTest, PartsAndLimits) {
  EXPECT_EQ(line("%REQ(X-NONE?USER-AGENT):4% %REQ(X-NONE)% 100%%"), "curl - 100%");
  EXPECT_EQ(line("%REQ_WITHOUT_QUERY(:PATH)% %PATH(NQ)% %PATH(WQ)%"),
            "/reviews /reviews /reviews?id=7");
  EXPECT_EQ(line("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_REMOTE_PORT%"),
            "fd00::7 51000");
  EXPECT_EQ(line("%UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %UPSTREAM_LOCAL_PORT%"),
            "10.244.1.1 40000");
  EXPECT_EQ(line("%RESPONSE_DURATION% %RESPONSE_TX_DURATION% %REQUEST_DURATION%"), "9 3 -");
  EXPECT_EQ(line("%RESPONSE_FLAGS_LONG% %DYNAMIC_METADATA(a:b)% %ACCESS_LOG_TYPE%"),
            "- - DownstreamEnd");
}

TEST_F(AccessLogTest, TimesInAnyForm) {
  EXPECT_EQ(line("%START_TIME(%s.%3f)% %START_TIME(%Y/%m/%d %H:%M:%S.%f)%"),
            "1795508100.123 2026/11/24 08:15:00.123000000");
  EXPECT_EQ(line("%EMIT_TIME(%s.%6f)%"), "1795508100.135900");
}

TEST_F(AccessLogTest, TheEnvironmentIsReadOnce) {
  ::setenv("FAIRLEAD_TEST_POD", "reviews-1", 1);
  EXPECT_EQ(line("%ENVIRONMENT(FAIRLEAD_TEST_POD)% %ENVIRONMENT(FAIRLEAD_TEST_NONE)%"),
            "reviews-1 -");
}

TEST_F(AccessLogTest, AFieldOnSeveralLinesIsWrittenWhole) {
  request_.fields.add("x-forwarded-for", "1.1.1.1");
  request_.fields.add("X-Multi", "a");
  request_.fields.add("x-forwarded-for", "2.2.2.2, 3.3.3.3");
  request_.fields.add("x-multi", "b");
  EXPECT_EQ(line("%REQ(X-FORWARDED-FOR)% %REQ(X-MULTI)% %REQ(X-MULTI):2%"),
            "1.1.1.1,2.2.2.2, 3.3.3.3 a,b a,");
}

TEST_F(AccessLogTest, WhatTheEntryNames) {
  http::Fields trailers;
  EXPECT_EQ(line("%TRAILER(X-SUM)% %RESPONSE_TRAILER(X-SUM)% %UNIQUE_ID% %REQUESTED_SERVER_NAME%"),
            "- - - -");
  trailers.add("x-sum", "7");
  entry_.trailers = &trailers;
  entry_.unique_id = "u-1";
  entry_.requested_server_name = "shop.example";
  EXPECT_EQ(line("%TRAILER(X-SUM)% %RESPONSE_TRAILER(X-SUM)% %UNIQUE_ID% %REQUESTED_SERVER_NAME%"),
            "7 7 u-1 shop.example");
  const std::string id(request_.fields.value("x-request-id"));
  EXPECT_EQ(line("%STREAM_ID%"), id);
  entry_.request = nullptr;
  EXPECT_EQ(line("%STREAM_ID%"), "u-1");
  EXPECT_TRUE(LogFormat::parse("%STREAM_ID%")->wants_unique_id());
  EXPECT_TRUE(LogFormat::parse("a %UNIQUE_ID%")->wants_unique_id());
  EXPECT_FALSE(LogFormat::parse("")->wants_unique_id());
}

TEST_F(AccessLogTest, NoTextIsTooLong) {
  const std::string path(5000, 'p');
  request_.path = path;
  const std::string agent(1000, 'a');
  request_.fields.set_copy("user-agent", agent);
  EXPECT_EQ(line("<%REQ(:PATH)%> <%REQ(User-Agent)%> <%REQ(USER-AGENT):3%> %BYTES_SENT%\n"),
            "<" + path + "> <" + agent + "> <aaa> 100\n");
}

TEST_F(AccessLogTest, WhatIsNoOperatorIsRefusedByName) {
  EXPECT_EQ(line("%NO_SUCH%"), "refused: access log format: there is no operator '%NO_SUCH%'");
  EXPECT_EQ(line("%REQ(:METHOD)"),
            "refused: access log format: '%REQ(:METHOD)' has no closing '%'");
  EXPECT_EQ(line("%REQ%"), "refused: access log format: REQ wants the name of a field");
  EXPECT_EQ(line("%REQ(A):x%"), "refused: access log format: 'x' is not a length");
  EXPECT_EQ(line("%DURATION(1)%"), "refused: access log format: DURATION takes no argument");
}

TEST_F(AccessLogTest, AnEntryWithNothingInItIsWrittenAllTheSame) {
  entry_ = {};
  EXPECT_EQ(line("%REQ(:METHOD)% %RESPONSE_CODE% %UPSTREAM_HOST% %UPSTREAM_LOCAL_PORT% "
                 "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %RESPONSE_TX_DURATION% %PATH(NQ)%"),
            "- 0 - - - - -");
}

}  // namespace
}  // namespace fairlead::proxy
