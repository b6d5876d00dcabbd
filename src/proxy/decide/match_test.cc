#include "proxy/decide/match.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "proxy/decide/rewrite.h"

namespace fairlead::proxy {
namespace {

using config::HeaderMatch;
using config::PathMatch;
using config::StringMatch;
using ::testing::HasSubstr;

config::Route route(std::string name, PathMatch path, std::vector<HeaderMatch> headers = {}) {
  config::Route made;
  made.name = std::move(name);
  made.path = std::move(path);
  made.headers = std::move(headers);
  made.forward.clusters = {{.cluster = made.name}};
  return made;
}

config::VirtualHost host(std::string name, std::vector<std::string> domains,
                         std::vector<config::Route> routes = {}) {
  config::VirtualHost made;
  made.name = std::move(name);
  made.domains = std::move(domains);
  made.routes = std::move(routes);
  if (made.routes.empty()) made.routes = {route(made.name, {})};
  return made;
}

std::shared_ptr<const RouteTable> table_of(std::vector<config::VirtualHost> hosts,
                                           bool ignore_port = false) {
  auto routes = std::make_shared<config::RouteConfiguration>();
  routes->name = "test";
  routes->virtual_hosts = std::move(hosts);
  routes->ignore_port_in_host_matching = ignore_port;
  return RouteTable::make(std::move(routes)).value();
}

http::RequestHead request(std::string_view authority, std::string_view path = "/") {
  http::RequestHead head;
  head.authority = authority;
  head.path = path;
  return head;
}

std::string chosen(const RouteTable& table, const http::RequestHead& head) {
  const Rule* rule = match(table, head);
  return rule ? rule->route->name : "none";
}

TEST(Hosts, ExactThenLongestSuffixThenLongestPrefixThenAny) {
  const auto table =
      table_of({host("any", {"*"}), host("com", {"*.com"}), host("a.com", {"*.a.com"}),
                host("exact", {"x.a.com", "Other"}), host("dash", {"*-v.a.com"}),
                host("rev", {"rev.*"}), host("reviews", {"rev.iews.*"})});
  const std::map<std::string, std::string> expected{
      {"x.a.com", "exact"}, {"X.A.com", "exact"}, {"other", "exact"},        {"y.a.com", "a.com"},
      {"a.com", "com"},     {".com", "any"},      {"q-v.a.com", "dash"},     {"-v.a.com", "a.com"},
      {"rev.x", "rev"},     {"rev.", "any"},      {"rev.iews.x", "reviews"}, {"rev.x.com", "com"},
      {"", "any"},          {"x.a.com:80", "any"}};
  for (const auto& [authority, name] : expected) {
    EXPECT_EQ(chosen(*table, request(authority)), name) << authority;
  }
}

TEST(Hosts, ThePortIsIgnoredWhenAsked) {
  const auto table =
      table_of({host("a", {"a"}), host("six", {"[fd00::1]"}), host("s", {"*.s"})}, true);
  EXPECT_EQ(chosen(*table, request("a:9080")), "a");
  EXPECT_EQ(chosen(*table, request("A")), "a");
  EXPECT_EQ(chosen(*table, request("[fd00::1]:80")), "six");
  EXPECT_EQ(chosen(*table, request("[fd00::1]")), "six");
  EXPECT_EQ(chosen(*table, request("x.s:1")), "s");
  EXPECT_EQ(chosen(*table, request("b:9080")), "none");
  const auto strict = table_of({host("a", {"a"}), host("port", {"a:9080"})});
  EXPECT_EQ(chosen(*strict, request("a:9080")), "port");
  EXPECT_EQ(chosen(*strict, request("a:9081")), "none");
}

TEST(Paths, EachKind) {
  using Kind = PathMatch::Kind;
  const auto table = table_of({host(
      "h", {"*"},
      {route("exact", {Kind::exact, "/a"}), route("separated", {Kind::path_separated_prefix, "/b"}),
       route("regex", {Kind::regex, "/c/[0-9]+"}), route("loose", {Kind::exact, "/UP", false}),
       route("prefix", {Kind::prefix, "/d"}),
       route("loose prefix", {Kind::prefix, "/Low", false})})});
  const std::map<std::string, std::string> expected{
      {"/a", "exact"},       {"/a?q=/d", "exact"},      {"/a/", "none"},       {"/b", "separated"},
      {"/b/x", "separated"}, {"/bx", "none"},           {"/b?x", "separated"}, {"/c/12", "regex"},
      {"/c/12/", "none"},    {"/x/c/12", "none"},       {"/up", "loose"},      {"/dx", "prefix"},
      {"/A", "none"},        {"/lOWer", "loose prefix"}};
  for (const auto& [path, name] : expected) {
    EXPECT_EQ(chosen(*table, request("h", path)), name) << path;
  }
}

TEST(Paths, TheFirstRouteWinsNotTheLongest) {
  const auto table = table_of(
      {host("h", {"*"}, {route("short", {.value = "/"}), route("long", {.value = "/abc"})})});
  EXPECT_EQ(chosen(*table, request("h", "/abc")), "short");
}

HeaderMatch wants(std::string name, StringMatch::Kind kind, std::string value,
                  bool invert = false) {
  return {.name = std::move(name),
          .value = StringMatch{.kind = kind, .value = std::move(value)},
          .invert = invert};
}

TEST(Headers, EachKindAndItsInverse) {
  using Kind = StringMatch::Kind;
  const auto one = [](HeaderMatch match) {
    return table_of({host("h", {"*"}, {route("yes", {}, {std::move(match)})})});
  };
  const auto takes = [](const RouteTable& table,
                        std::vector<std::pair<std::string, std::string>> fields) {
    http::RequestHead head = request("h", "/p?q");
    for (const auto& [name, value] : fields) head.fields.add_copy(name, value);
    return match(table, head) != nullptr;
  };
  EXPECT_TRUE(takes(*one(wants("x", Kind::exact, "1")), {{"X", "1"}}));
  EXPECT_FALSE(takes(*one(wants("x", Kind::exact, "1")), {{"X", "12"}}));
  EXPECT_TRUE(takes(*one(wants("x", Kind::prefix, "1")), {{"x", "12"}}));
  EXPECT_TRUE(takes(*one(wants("x", Kind::suffix, "2")), {{"x", "12"}}));
  EXPECT_TRUE(takes(*one(wants("x", Kind::contains, "34")), {{"x", "1345"}}));
  EXPECT_TRUE(takes(*one(wants("x", Kind::regex, "a+")), {{"x", "aaa"}}));
  EXPECT_FALSE(takes(*one(wants("x", Kind::regex, "a+")), {{"x", "aaab"}}));
  EXPECT_TRUE(takes(*one({.name = "x", .value = {}, .invert = false}), {{"x", ""}}));
  EXPECT_FALSE(takes(*one({.name = "x", .value = {}, .invert = false}), {}));
  EXPECT_TRUE(takes(*one({.name = "x", .value = {}, .invert = true}), {}));
  EXPECT_TRUE(takes(*one(wants("x", Kind::exact, "1", true)), {{"x", "2"}}));
  EXPECT_FALSE(takes(*one(wants("x", Kind::exact, "1", true)), {}))
      << "as Envoy without treat_missing";
  EXPECT_TRUE(takes(*one(wants("x", Kind::exact, "2")), {{"x", "1"}, {"x", "2"}}));
  EXPECT_FALSE(takes(*one(wants("x", Kind::exact, "1,2")), {{"x", "1"}, {"x", "2"}}));
  EXPECT_FALSE(takes(*one(wants("x", Kind::exact, "2", true)), {{"x", "1"}, {"x", "2"}}));
  EXPECT_TRUE(takes(*one(wants(":method", Kind::exact, "GET")), {}));
  EXPECT_TRUE(takes(*one(wants(":path", Kind::exact, "/p?q")), {}));
  EXPECT_TRUE(takes(*one(wants(":authority", Kind::exact, "h")), {}));
  EXPECT_TRUE(takes(*one(wants("host", Kind::exact, "h")), {}));
  HeaderMatch loose = wants("x", Kind::contains, "AbC");
  loose.value->ignore_case = true;
  EXPECT_TRUE(takes(*one(loose), {{"x", "xxaBcx"}}));
}

TEST(Headers, ANumberInARangeAsEnvoyReadsIt) {
  const auto takes = [](HeaderMatch match, const std::vector<std::string>& values) {
    const auto table = table_of({host("h", {"*"}, {route("r", {}, {std::move(match)})})});
    http::RequestHead head = request("h");
    for (const std::string& value : values) head.fields.add("x-n", value);
    return match_host(*table, "h") && fairlead::proxy::match(*table, head) != nullptr;
  };
  const HeaderMatch small{.name = "x-n", .range = config::Int64Range{-10, 10}};
  HeaderMatch not_small = small;
  not_small.invert = true;
  for (const char* value : {"5", "-10", "9", "+5", "05", " 5\t"}) {
    EXPECT_TRUE(takes(small, {value})) << value;
    EXPECT_FALSE(takes(not_small, {value})) << value;
  }
  for (const char* value :
       {"10", "-11", "", " ", "0x5", "5.0", "5a", "1,2", "+-5", "+", "99999999999999999999"}) {
    EXPECT_FALSE(takes(small, {value})) << value;
    EXPECT_TRUE(takes(not_small, {value})) << value;
  }
  EXPECT_TRUE(takes(small, {"50", "7"}));
  EXPECT_FALSE(takes(small, {}));
  EXPECT_FALSE(takes(not_small, {}));
  EXPECT_FALSE(takes({.name = "x-n", .range = config::Int64Range{10, 1}}, {"5"}));
}

TEST(Headers, OneThatIsMissingCountsAsEmptyWhenAsked) {
  using Kind = StringMatch::Kind;
  const auto takes_none = [](HeaderMatch match) {
    match.missing_is_empty = true;
    const auto table = table_of({host("h", {"*"}, {route("r", {}, {std::move(match)})})});
    return fairlead::proxy::match(*table, request("h")) != nullptr;
  };
  EXPECT_TRUE(takes_none(wants("x", Kind::exact, "a", true)));
  EXPECT_FALSE(takes_none(wants("x", Kind::exact, "a")));
  EXPECT_TRUE(takes_none(wants("x", Kind::regex, "a*")));
  EXPECT_TRUE(takes_none({.name = "x"}));
  EXPECT_TRUE(takes_none({.name = "x", .range = config::Int64Range{0, 5}, .invert = true}));
}

TEST(QueryParameters, TheFirstOfTheNameCountsAsItCame) {
  using Kind = StringMatch::Kind;
  const auto takes = [](config::QueryParameterMatch match, std::string_view path) {
    config::Route one = route("r", {});
    one.query_parameters = {std::move(match)};
    const auto table = table_of({host("h", {"*"}, {one})});
    return fairlead::proxy::match(*table, request("h", path)) != nullptr;
  };
  const config::QueryParameterMatch is_1{.name = "a", .value = StringMatch{.value = "1"}};
  for (const char* path : {"/?a=1", "/?a=1&a=2", "/?b=1&a=1", "/?&&a=1", "/?a=1&"}) {
    EXPECT_TRUE(takes(is_1, path)) << path;
  }
  for (const char* path : {"/?a=2", "/?a=2&a=1", "/?a=1=2", "/", "/?", "/?a", "/?A=1", "/?xa=1",
                           "/?a=1;b", "/?a=1?", "/??a=1", "/?%61=1", "/?a=%31", "/a=1"}) {
    EXPECT_FALSE(takes(is_1, path)) << path;
  }
  const config::QueryParameterMatch is_empty{.name = "a", .value = StringMatch{}};
  EXPECT_TRUE(takes(is_empty, "/?a"));
  EXPECT_TRUE(takes(is_empty, "/?a="));
  EXPECT_FALSE(takes(is_empty, "/?b"));
  const config::QueryParameterMatch digits{
      .name = "a", .value = StringMatch{.kind = Kind::regex, .value = "[0-9]+"}};
  EXPECT_TRUE(takes(digits, "/?a=12"));
  EXPECT_FALSE(takes(digits, "/?a=12x"));
  EXPECT_TRUE(takes({.name = "a"}, "/?a"));
  EXPECT_FALSE(takes({.name = "a"}, "/?ab"));
  EXPECT_FALSE(takes({.name = "a", .present = false}, "/?a"));
  EXPECT_TRUE(takes({.name = "a", .present = false}, "/?b"));
}

TEST(Refusals, AConditionSaysWhatWasExpectedAndWhatCame) {
  config::Route picky = route("r", {}, {{.name = "x-n", .range = config::Int64Range{1, 5}}});
  picky.query_parameters = {
      {.name = "a", .value = StringMatch{.kind = StringMatch::Kind::prefix, .value = "v"}},
      {.name = "b", .present = false}};
  const auto table = table_of({host("h", {"*"}, {picky})});
  const auto why = [&](std::string_view path, std::string_view number) {
    http::RequestHead head = request("h", path);
    if (!number.empty()) head.fields.add("x-n", number);
    Refusals refused;
    EXPECT_EQ(match(*table, head, &refused), nullptr);
    return refused.at(0).why;
  };
  EXPECT_EQ(why("/", ""),
            "the header x-n is not there, and must be an integer from 1 up to and without 5");
  EXPECT_EQ(why("/", "5"),
            "the header x-n is '5', and must be an integer from 1 up to and without 5");
  EXPECT_EQ(why("/", "2"), "the query parameter a is not there, and must begin with v");
  EXPECT_EQ(why("/?a=w", "2"), "the query parameter a is 'w', and must begin with v");
  EXPECT_EQ(why("/?a=v&b", "2"), "the query parameter b is there");
}

TEST(Refusals, EachHostAndEachEarlierRouteSaysWhy) {
  const auto table =
      table_of({host("other", {"other"}),
                host("mine", {"mine"},
                     {route("a", {.value = "/a"}),
                      route("b", {}, {wants("x-user", StringMatch::Kind::exact, "jason")}),
                      route("", {PathMatch::Kind::exact, "/c"}), route("rest", {})}),
                host("any", {"*"})});
  Refusals refused;
  const Rule* rule = match(*table, request("mine", "/x"), &refused);
  ASSERT_NE(rule, nullptr);
  EXPECT_EQ(rule->route->name, "rest");
  EXPECT_EQ(rule->host->name, "mine");
  ASSERT_EQ(refused.size(), 5U);
  EXPECT_EQ(refused[0].what, "virtual host other");
  EXPECT_EQ(refused[0].why, "the host mine is none of its domains");
  EXPECT_EQ(refused[1].what, "virtual host any");
  EXPECT_EQ(refused[2].why, "the path /x does not begin with /a");
  EXPECT_EQ(refused[3].what, "route b");
  EXPECT_EQ(refused[3].why, "the header x-user is not there, and must be jason");
  EXPECT_EQ(refused[4].what, "route 3");
}

TEST(RouteTable, WhatCannotBeMadeReadyIsNamed) {
  auto routes = std::make_shared<config::RouteConfiguration>();
  routes->name = "r";
  routes->virtual_hosts = {host("h", {"*"}, {route("bad", {PathMatch::Kind::regex, "("})})};
  auto made = RouteTable::make(routes);
  ASSERT_FALSE(made.ok());
  EXPECT_THAT(made.fault().message, HasSubstr("virtual host h, route bad: the pattern ("));
  routes->virtual_hosts[0].routes[0].path = {};
  config::RouteAction& action = routes->virtual_hosts[0].routes[0].forward;
  action.regex_rewrite = {.pattern = "[", .substitution = ""};
  EXPECT_THAT(RouteTable::make(routes).fault().message, HasSubstr("the pattern [ is refused"));
  action.regex_rewrite = {.pattern = "(a)", .substitution = "\\2"};
  EXPECT_THAT(RouteTable::make(routes).fault().message,
              HasSubstr("the substitution \\2 is refused"));
  auto policy = std::make_shared<config::RouteConfiguration>();
  policy->virtual_hosts = {host("h", {"*"}, {route("bad", {})})};
  policy->virtual_hosts[0].retry = config::RetryPolicy{
      .retriable_headers = {
          {.name = "x",
           .value = config::StringMatch{.kind = config::StringMatch::Kind::regex, .value = "["}}}};
  made = RouteTable::make(policy);
  ASSERT_FALSE(made.ok());
  EXPECT_THAT(made.fault().message, HasSubstr("virtual host h, route bad: the pattern ["));
  auto twice = std::make_shared<config::RouteConfiguration>();
  twice->virtual_hosts = {host("h", {"a"}), host("i", {"A"})};
  made = RouteTable::make(twice);
  ASSERT_FALSE(made.ok());
  EXPECT_THAT(made.fault().message, HasSubstr("the domain A stands twice"));
}

TEST(RouteTable, RetriesComeFromTheRouteElseTheHost) {
  config::VirtualHost mine = host("h", {"*"}, {route("own", {.value = "/own"}), route("rest", {})});
  mine.retry = config::RetryPolicy{.retry_on = {"5xx"}, .retries = 5};
  mine.routes[0].forward.retry = config::RetryPolicy{.retry_on = {"reset"}, .retries = 7};
  const auto table = table_of({mine});
  EXPECT_EQ(match(*table, request("h", "/own"))->retry.retries, 7U);
  EXPECT_EQ(match(*table, request("h", "/x"))->retry.on, RetryRules::server_error);
}

TEST(Clusters, ByWeight) {
  SeededRandom random(7);
  const std::vector<config::WeightedCluster> clusters{{"a", 70}, {"b", 0}, {"c", 30}};
  std::map<std::string, int> counts;
  for (int i = 0; i < 10000; ++i) ++counts[choose_cluster(clusters, random).cluster];
  EXPECT_NEAR(counts["a"], 7000, 250);
  EXPECT_NEAR(counts["c"], 3000, 250);
  EXPECT_EQ(counts["b"], 0);
  const auto shares = cluster_shares(clusters);
  ASSERT_EQ(shares.size(), 2U);
  EXPECT_DOUBLE_EQ(shares[0].share, 0.7);
  EXPECT_EQ(choose_cluster({{"a", 0}, {"b", 0}}, random).cluster, "a");
}

TEST(NormalisePath, WhatIsTheSameBecomesTheSame) {
  const std::map<std::string, std::string> expected{{"/", "/"},
                                                    {"/a/b", "/a/b"},
                                                    {"/a/./b", "/a/b"},
                                                    {"/a/../b", "/b"},
                                                    {"/a/..", "/"},
                                                    {"/a/b/..", "/a/"},
                                                    {"/a/.", "/a/"},
                                                    {"/%61", "/a"},
                                                    {"/%2e%2E/a", ""},
                                                    {"/a/%2e%2e/b", "/b"},
                                                    {"/a%2fb", "/a%2Fb"},
                                                    {"/..", ""},
                                                    {"/a\\b", "/a/b"},
                                                    {"/a\\..\\b", "/b"},
                                                    {"/%zz", ""},
                                                    {"/%4", ""},
                                                    {"/%00", ""},
                                                    {"/.hidden", "/.hidden"},
                                                    {"/a//b", "/a//b"},
                                                    {"/a?x=/../%zz", "/a?x=/../%zz"},
                                                    {"/a/../b?/../c", "/b?/../c"},
                                                    {"/...", "/..."},
                                                    {"*", "*"}};
  for (const auto& [path, normal] : expected) {
    http::RequestHead head = request("h", path);
    const Result<> done = normalise_path(head);
    EXPECT_EQ(done.ok(), !normal.empty()) << path;
    if (done) EXPECT_EQ(head.path, normal) << path;
    if (done) {
      const std::string once(head.path);
      ASSERT_TRUE(normalise_path(head).ok());
      EXPECT_EQ(head.path, once);
    }
  }
}

TEST(Rewrite, PrefixHostAndFields) {
  config::Route changed = route("r", {.value = "/api"});
  changed.forward.prefix_rewrite = "/v2";
  changed.forward.host_rewrite = "inside";
  changed.request_headers_to_add = {{.name = "x-a", .value = "1", .append = false},
                                    {.name = "x-b", .value = "2"}};
  changed.request_headers_to_remove = {"x-gone", "host", ":path"};
  changed.response_headers_to_add = {{.name = "x-r", .value = "3"}};
  const auto table = table_of({host("h", {"*"}, {changed, route("plain", {})})});
  http::RequestHead head = request("h", "/api/x?q");
  head.fields.add("X-Gone", "y");
  head.fields.add("X-A", "old");
  head.fields.add("x-b", "old");
  head.fields.add("x-envoy-original-path", "/forged");
  const Rule* rule = match(*table, head);
  ASSERT_TRUE(rule && rule->changes_request && rule->changes_response);
  rewrite_request(*rule, head);
  EXPECT_EQ(head.path, "/v2/x?q");
  EXPECT_EQ(head.authority, "inside");
  EXPECT_FALSE(head.fields.has("x-gone"));
  EXPECT_EQ(head.fields.value("x-a"), "1");
  EXPECT_EQ(head.fields.value("x-envoy-original-path"), "/api/x?q");
  EXPECT_EQ(head.fields.value("x-envoy-original-host"), "h");
  ASSERT_EQ(head.fields.size(), 5U);
  EXPECT_EQ(head.fields[4].value, "2");
  http::ResponseHead response;
  rewrite_response(*rule, response);
  EXPECT_EQ(response.fields.value("x-r"), "3");
  EXPECT_FALSE(match(*table, request("h", "/x"))->changes_request);
}

TEST(Rewrite, ByPattern) {
  config::Route changed = route("r", {.value = "/"});
  changed.forward.regex_rewrite = {.pattern = "/(\\w+)/(\\w+)", .substitution = "/\\2/\\1"};
  const auto table = table_of({host("h", {"*"}, {changed})});
  http::RequestHead head = request("h", "/a/b/c/d?x=/e/f");
  const Rule* rule = match(*table, head);
  ASSERT_TRUE(rule && rule->changes_request);
  rewrite_request(*rule, head);
  EXPECT_EQ(head.path, "/b/a/d/c?x=/e/f");
  EXPECT_EQ(head.fields.value("x-envoy-original-path"), "/a/b/c/d?x=/e/f");
}

TEST(Headers, WhatHttp1HasNotIsNotThere) {
  const auto table = table_of(
      {host("h", {"*"}, {route("two", {}, {HeaderMatch{.name = ":protocol"}}), route("one", {})})});
  EXPECT_EQ(chosen(*table, request("h")), "one");
  Refusals refused;
  (void)match(*table, request("h"), &refused);
  ASSERT_FALSE(refused.empty());
  EXPECT_THAT(refused.back().why, HasSubstr("the header :protocol is not there"));
}

// What Envoy 1.40 answers to the same.
TEST(Rewrite, Redirects) {
  const auto location = [](PathMatch path, config::RedirectAction action, std::string_view target,
                           std::string_view authority = "h:80") {
    config::Route moved = route("r", std::move(path));
    moved.kind = config::Route::Kind::redirect;
    moved.redirect = std::move(action);
    const auto table = table_of({host("h", {"*"}, {moved})});
    const http::RequestHead head = request(authority, target);
    return redirect_location(*match(*table, head), head);
  };
  const auto any = [&](config::RedirectAction action, std::string_view authority = "h:80") {
    return location({}, std::move(action), "/a?b", authority);
  };
  EXPECT_EQ(any({.host = "new"}), "http://new/a?b");
  EXPECT_EQ(any({.scheme = "https", .path = "/x"}), "https://h/x?b");
  EXPECT_EQ(any({.path = "/x?y"}), "http://h:80/x?y");
  EXPECT_EQ(any({.port = 8443}), "http://h:8443/a?b");
  EXPECT_EQ(any({.host = "new:1", .port = 8443}), "http://new:1:8443/a?b");
  EXPECT_EQ(any({.scheme = "https", .port = 8443}, "h"), "https://h:8443/a?b");
  EXPECT_EQ(any({.scheme = "ftp"}), "ftp://h/a?b");
  EXPECT_EQ(any({.scheme = "https"}, "h:81"), "https://h:81/a?b");
  EXPECT_EQ(any({.scheme = "https"}, "h:443"), "https://h:443/a?b");
  EXPECT_EQ(any({.scheme = "https"}, "[fd00::1]:80"), "https://[fd00::1]/a?b");
  EXPECT_EQ(any({.port = 8443}, "[fd00::1]"), "http://[fd00::1]:8443/a?b");
  EXPECT_EQ(any({.strip_query = true}), "http://h:80/a");
  EXPECT_EQ(any({.path = "/new", .strip_query = true}), "http://h:80/new");
  EXPECT_EQ(any({.path = "/new?z=1", .strip_query = true}), "http://h:80/new?z=1");

  const auto moved = [&](PathMatch path, std::string_view target, bool strip = false) {
    return location(std::move(path), {.prefix_rewrite = "/new", .strip_query = strip}, target);
  };
  using Kind = PathMatch::Kind;
  EXPECT_EQ(moved({.value = "/pre/fix"}, "/pre/fix/more?q=1"), "http://h:80/new/more?q=1");
  EXPECT_EQ(moved({.value = "/pre/fix"}, "/pre/fixed"), "http://h:80/newed");
  EXPECT_EQ(moved({.value = "/pre"}, "/pre/x?q", true), "http://h:80/new/x");
  EXPECT_EQ(moved({Kind::exact, "/a"}, "/a?q"), "http://h:80/new?q");
  EXPECT_EQ(moved({Kind::regex, "/a/.*"}, "/a/b?q"), "http://h:80/new?q");
  EXPECT_EQ(moved({Kind::path_separated_prefix, "/a"}, "/a/b"), "http://h:80/new/b");
  EXPECT_EQ(location({}, {.regex_rewrite = config::RegexRewrite{"a", "bb\\0"}}, "/regexall/aa?a"),
            "http://h:80/regexbball/bbabba?a");
}

}  // namespace
}  // namespace fairlead::proxy
