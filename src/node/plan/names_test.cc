#include "node/plan/names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "node/plan/test_world.h"

namespace fairlead::node {
namespace {

using testing::add_endpoint;
using ::testing::ElementsAre;
using testing::ip;
using ::testing::IsEmpty;
using testing::port;
using testing::service;
using testing::world_of;

mesh::World shop() {
  mesh::Service reviews = service("reviews", {"10.96.0.12"}, {port("http", 9080)});
  mesh::Service db = service("db", {}, {port("sql", 5432)});
  db.kind = mesh::ServiceKind::headless;
  add_endpoint(db, "10.244.1.2", 5432).hostname = "db-0";
  mesh::Endpoint& later = add_endpoint(db, "10.244.1.3", 5432);
  later.hostname = "db-1";
  later.ready = false;
  mesh::Service alias = service("alias", {}, {});
  alias.kind = mesh::ServiceKind::external_name;
  alias.alias = "reviews.default.svc.cluster.local";
  mesh::Service literal = alias;
  literal.name = "literal";
  literal.alias = "10.1.2.3";
  mesh::Service vm = service("vm.example.org", {}, {port("http", 80)});
  vm.kind = mesh::ServiceKind::external;
  vm.host = "vm.example.org";
  add_endpoint(vm, "10.200.0.5", 80);
  mesh::Service virtual_ip = vm;
  virtual_ip.name = virtual_ip.host = "api.example.org";
  virtual_ip.addresses = {ip("240.0.0.1")};
  mesh::World world = world_of({reviews, db, alias, literal, vm, virtual_ip});
  world.namespaces = {"default", "quiet"};
  return world;
}

std::vector<std::string> ask(const dns::Zone& zone, const std::string& name,
                             dns::Type type = dns::Type::a) {
  std::vector<std::string> texts;
  const dns::Answer answer = dns::answer(zone, {*dns::Name::parse(name), type});
  if (answer.code != dns::Code::no_error) texts.push_back(dns::name_of(answer.code));
  for (const dns::Record& record : answer.answers) {
    if (const auto* address = std::get_if<IpAddress>(&record.data)) {
      texts.push_back(address->text());
    }
    if (const auto* name_of_it = std::get_if<dns::Name>(&record.data)) {
      texts.push_back(name_of_it->text());
    }
  }
  return texts;
}

TEST(Names, AreThoseOfTheWorld) {
  const dns::Zone zone = zone_of(shop());
  EXPECT_THAT(ask(zone, "reviews.default.svc.cluster.local"), ElementsAre("10.96.0.12"));
  EXPECT_THAT(ask(zone, "db.default.svc.cluster.local"), ElementsAre("10.244.1.2"));
  EXPECT_THAT(ask(zone, "db-0.db.default.svc.cluster.local"), ElementsAre("10.244.1.2"));
  EXPECT_THAT(ask(zone, "db-1.db.default.svc.cluster.local"), ElementsAre("NXDOMAIN"));
  EXPECT_THAT(ask(zone, "alias.default.svc.cluster.local"),
              ElementsAre("reviews.default.svc.cluster.local", "10.96.0.12"));
  EXPECT_THAT(ask(zone, "literal.default.svc.cluster.local"), ElementsAre("NXDOMAIN"));
  EXPECT_THAT(ask(zone, "quiet.svc.cluster.local"), IsEmpty());
  EXPECT_THAT(ask(zone, "vm.example.org"), ElementsAre("10.200.0.5"));
  EXPECT_THAT(ask(zone, "api.example.org"), ElementsAre("240.0.0.1"));
  EXPECT_THAT(ask(zone, "example.org"), ElementsAre("REFUSED"));
}

TEST(Names, FollowTheWorld) {
  const mesh::World before = shop();
  mesh::World after = before;
  std::vector<mesh::Service> services(before.services.begin(), before.services.end());
  std::erase_if(services, [](const auto& one) { return one.name == "reviews"; });
  for (mesh::Service& one : services) {
    for (mesh::Endpoint& endpoint : one.endpoints) endpoint.ready = !endpoint.ready;
  }
  after.services = std::move(services);
  share(after, before);
  after.services.push_back(service("zebra", {"10.96.0.20"}, {}));
  after.namespaces = {"default", "loud"};
  dns::Zone changed = zone_of(before);
  update(changed, before, after);
  const dns::Zone fresh = zone_of(after);
  for (const char* name :
       {"reviews.default.svc.cluster.local", "db.default.svc.cluster.local",
        "db-1.db.default.svc.cluster.local", "db-0.db.default.svc.cluster.local",
        "alias.default.svc.cluster.local", "zebra.default.svc.cluster.local",
        "quiet.svc.cluster.local", "loud.svc.cluster.local", "vm.example.org", "api.example.org"}) {
    EXPECT_EQ(ask(changed, name), ask(fresh, name)) << name;
  }
  EXPECT_EQ(ask(changed, "12.0.96.10.in-addr.arpa", dns::Type::ptr),
            ask(fresh, "12.0.96.10.in-addr.arpa", dns::Type::ptr));
  EXPECT_EQ(changed.size(), fresh.size());
}

}  // namespace
}  // namespace fairlead::node
