#include "lab/app/request_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace fairlead::lab::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Result<AppSettings> settings_of(const std::map<std::string, std::string>& variables) {
  return settings_from([&](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return {};
    return found->second;
  });
}

AppSettings with(std::map<std::string, std::string> variables) {
  return settings_of(variables).value();
}

TEST(Settings, AreGuessedFromThePodsName) {
  const AppSettings reviews = with({{"HOSTNAME", "reviews-v2-5c757f4846-x7z5b"}});
  EXPECT_EQ(reviews.service, "reviews");
  EXPECT_EQ(reviews.version, "v2");
  EXPECT_THAT(reviews.calls, ElementsAre("http://ratings:9080/ratings/0"));
  EXPECT_THAT(with({{"HOSTNAME", "reviews-v1-5c75-x7"}}).calls, IsEmpty());
  EXPECT_THAT(with({{"HOSTNAME", "productpage-v1-a-b"}}).calls,
              ElementsAre("http://details:9080/details/0", "http://reviews:9080/reviews/0"));
  EXPECT_EQ(with({{"HOSTNAME", "my-shop-v12-a-b"}}).service, "my-shop");
  EXPECT_EQ(with({{"HOSTNAME", "cart-7d9f-x2"}}).service, "cart");
  EXPECT_EQ(with({{"HOSTNAME", "cart-7d9f-x2"}}).version, "");
  EXPECT_EQ(with({}).service, "");
}

TEST(Settings, WhatIsSaidWins) {
  const AppSettings said = with({{"HOSTNAME", "reviews-v2-a-b"},
                                 {"APP_NAME", "ratings"},
                                 {"APP_VERSION", "v7"},
                                 {"POD_NAME", "p"},
                                 {"POD_NAMESPACE", "shop"},
                                 {"APP_CALLS", "http://a  b:1/x"},
                                 {"PORT", "9080"}});
  EXPECT_EQ(said.service, "ratings");
  EXPECT_EQ(said.version, "v7");
  EXPECT_EQ(said.pod, "p");
  EXPECT_EQ(said.name_space, "shop");
  EXPECT_THAT(said.calls, ElementsAre("http://a", "b:1/x"));
  EXPECT_THAT(said.ports, ElementsAre(9080));
  EXPECT_THAT(with({{"HOSTNAME", "reviews-v2-a"}, {"APP_CALLS", ""}}).calls, IsEmpty());
}

TEST(Settings, OfVariablesThatMakeNoSenseAreRefused) {
  for (const char* port : {"abc", "80a", "-1", "65536", " 80", "tcp://10.0.0.1:80"}) {
    const Result<AppSettings> settings = settings_of({{"PORT", port}});
    ASSERT_FALSE(settings.ok()) << port;
    EXPECT_THAT(settings.fault().describe(),
                HasSubstr(std::string("the variable PORT is '") + port +
                          "'; expected is a port from 1 to 65535"));
  }
  EXPECT_THAT(with({{"PORT", ""}}).ports, IsEmpty());
  EXPECT_THAT(with({{"PORT", "0"}}).ports, ElementsAre(0));
  const Result<AppSettings> calls = settings_of({{"APP_CALLS", "http://a https://b/"}});
  ASSERT_FALSE(calls.ok());
  EXPECT_THAT(
      calls.fault().describe(),
      HasSubstr("the variable APP_CALLS is 'http://a https://b/'; expected is a list of URLs "
                "like http://ratings:9080/, with blanks between: only http is called, not "
                "'https://b/'"));
}

TEST(RequestSpec, EachParameter) {
  const RequestSpec spec =
      request_spec_from(
          "call=http%3A%2F%2Fa%2F%3Fdelay%3D1s&call=b:1&delay=250ms&fail=0.25&status=503"
          "&bytes=10&chunked=1&mine=x&&flag")
          .value();
  EXPECT_THAT(spec.calls, ElementsAre("http://a/?delay=1s", "b:1"));
  EXPECT_EQ(spec.delay, std::chrono::milliseconds(250));
  EXPECT_DOUBLE_EQ(spec.fail, 0.25);
  EXPECT_EQ(spec.status, 503);
  EXPECT_EQ(spec.bytes, 10U);
  EXPECT_TRUE(spec.chunked);
  EXPECT_FALSE(request_spec_from("").value().calls_said);
  EXPECT_TRUE(request_spec_from("call=none").value().calls_said);
  EXPECT_THAT(request_spec_from("call=none").value().calls, IsEmpty());
  EXPECT_THAT(request_spec_from("chain=a:1,b:2,c").value().calls,
              ElementsAre("http://a:1/?chain=b:2,c"));
  EXPECT_EQ(request_spec_from("delay=2").value().delay, std::chrono::seconds(2));
  EXPECT_EQ(request_spec_from("delay=0.5m").value().delay, std::chrono::seconds(30));
}

TEST(RequestSpec, WhatIsUnclearIsNamed) {
  for (const char* query :
       {"delay=x", "delay=-1s", "delay=99999h", "delay=1e300s", "fail=2", "fail=", "fail=nan",
        "status=700", "status=x", "bytes=-1", "bytes=1k"}) {
    const Result<RequestSpec> spec = request_spec_from(query);
    ASSERT_FALSE(spec.ok()) << query;
    EXPECT_THAT(spec.fault().message, HasSubstr("expected is")) << query;
  }
}

TEST(Targets, OfUrls) {
  const CallTarget target = target_of("http://reviews:9080/reviews/0?x=y").value();
  EXPECT_EQ(target.host, "reviews");
  EXPECT_EQ(target.port, 9080);
  EXPECT_EQ(target.authority, "reviews:9080");
  EXPECT_EQ(target.path, "/reviews/0?x=y");
  EXPECT_EQ(target_of("a").value().port, 80);
  EXPECT_EQ(target_of("a").value().path, "/");
  EXPECT_EQ(target_of("http://a?q").value().path, "/?q");
  EXPECT_EQ(target_of("http://[fd00::1]:81/").value().host, "fd00::1");
  EXPECT_EQ(target_of("http://[fd00::1]:81/").value().authority, "[fd00::1]:81");
  for (const char* url : {"", "http://", "ftp://x", "http://a/\r\nX: y", "http://a b/"}) {
    EXPECT_FALSE(target_of(url).ok()) << url;
  }
}

}  // namespace
}  // namespace fairlead::lab::app
