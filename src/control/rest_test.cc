#include "control/rest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::control {
namespace {

using ::testing::HasSubstr;

mesh::World two_services() {
  mesh::World world;
  mesh::Service hello;
  hello.name_space = "default";
  hello.name = "hello";
  hello.host = "hello.default.svc.cluster.local";
  hello.addresses = {*IpAddress::parse("10.96.0.1")};
  hello.ports = {{.name = "http", .port = 80}, {.name = "custom", .port = 90}};
  for (const char* last : {"1", "2"}) {
    mesh::Endpoint endpoint;
    endpoint.address = *IpAddress::parse(std::string("10.1.1.") + last);
    endpoint.ports = {{.name = "http", .port = 8080}, {.name = "custom", .port = 9090}};
    endpoint.labels = {{"app", "hello"}, {"version", std::string("v") + last}};
    hello.endpoints.push_back(endpoint);
  }
  hello.endpoints[0].zone = "zone-1";
  mesh::Service bare;
  bare.name_space = "default";
  bare.name = "bare";
  bare.host = "bare.default.svc.cluster.local";
  bare.ports = {{.port = 5000}};
  mesh::Service outside = bare;
  outside.name = "outside";
  outside.host = "api.example.com";
  outside.mesh_external = true;
  world.services = {bare, hello, outside};
  return world;
}

std::string body(std::string_view target) {
  return answer_rest(two_services(), "GET", target).body;
}

TEST(Rest, TheWholeRegistryIsSortedAndIndentedAsPilotDid) {
  const char* expected = R"([
  {
   "service-key": "bare.default.svc.cluster.local",
   "hosts": []
  },
  {
   "service-key": "hello.default.svc.cluster.local|custom",
   "hosts": [
    {
     "ip_address": "10.1.1.1",
     "port": 9090,
     "tags": {
      "az": "zone-1"
     }
    },
    {
     "ip_address": "10.1.1.2",
     "port": 9090
    }
   ]
  },
  {
   "service-key": "hello.default.svc.cluster.local|http",
   "hosts": [
    {
     "ip_address": "10.1.1.1",
     "port": 8080,
     "tags": {
      "az": "zone-1"
     }
    },
    {
     "ip_address": "10.1.1.2",
     "port": 8080
    }
   ]
  }
 ])";
  EXPECT_EQ(body("/v1/registration/"), expected);
  EXPECT_EQ(body("/v1/registration"), expected);
  EXPECT_EQ(answer_rest(two_services(), "GET", "/v1/registration").content_type,
            "application/json");
}

TEST(Rest, OneServiceByItsKeyEncodedOrNot) {
  const char* expected = R"({
  "hosts": [
   {
    "ip_address": "10.1.1.2",
    "port": 8080
   }
  ]
 })";
  EXPECT_EQ(body("/v1/registration/hello.default.svc.cluster.local|http|version=v2"), expected);
  EXPECT_EQ(body("/v1/registration/hello.default.svc.cluster.local%7chttp%7Cversion%3Dv2"),
            expected);
  EXPECT_EQ(
      body("/v1/registration/hello.default.svc.cluster.local|http|app=x;app=hello,version=v2"),
      expected);
}

TEST(Rest, AnUnknownKeyHasNoHostsAndIsNoError) {
  for (const char* key : {"nobody", "hello.default.svc.cluster.local|nothing",
                          "hello.default.svc.cluster.local", "|", "%", "hello|http|version=v9"}) {
    const RestAnswer answer =
        answer_rest(two_services(), "GET", std::string("/v1/registration/") + key);
    EXPECT_EQ(answer.status, 200) << key;
    EXPECT_EQ(answer.body, "{\n  \"hosts\": []\n }") << key;
  }
}

TEST(Rest, WhatPilotHadBesideIsNamed) {
  for (const char* path : {"/v1/clusters/a/b", "/v1/listeners/a/b", "/v1/routes/80/a/b",
                           "/v1/az/a/b", "/cache_stats"}) {
    const RestAnswer answer = answer_rest(two_services(), "GET", path);
    EXPECT_EQ(answer.status, 404) << path;
    EXPECT_THAT(answer.body, HasSubstr("xDS v3")) << path;
  }
  EXPECT_EQ(answer_rest(two_services(), "GET", "/").status, 404);
  EXPECT_EQ(answer_rest(two_services(), "GET", "/v1/registrations").status, 404);
  EXPECT_EQ(answer_rest(two_services(), "POST", "/v1/registration/").status, 405);
}

}  // namespace
}  // namespace fairlead::control
