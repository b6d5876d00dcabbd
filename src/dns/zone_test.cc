#include "dns/zone.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::dns {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

Name name(std::string_view text) {
  return *Name::parse(text);
}

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

Zone shop() {
  Zone zone(name("cluster.local"));
  zone.set_synced();
  zone.set_namespaces({"default", "empty"});
  zone.set_servers({ip("10.96.0.10"), ip("fd00:10:96::a")});
  zone.put(Entry{.name_space = "default",
                 .name = "reviews",
                 .addresses = {ip("10.96.0.12"), ip("fd00:10:96::c")},
                 .ports = {{"http", "tcp", 9080}, {"", "tcp", 1}},
                 .origin = {.kind = "Service", .name_space = "default", .name = "reviews"}});
  zone.put(Entry{.name_space = "default",
                 .name = "only4",
                 .addresses = {ip("10.96.0.13")},
                 .ports = {{"http", "tcp", 80}}});
  zone.put(Entry{.name_space = "default",
                 .name = "db",
                 .kind = Entry::Kind::endpoints,
                 .endpoints = {{ip("10.244.1.5"), "db-0", {{"sql", "tcp", 5432}}},
                               {ip("fd00:10:244:1::5"), "db-0", {{"sql", "tcp", 5432}}},
                               {ip("10.244.2.6"), "", {{"sql", "tcp", 5433}}}}});
  zone.put(Entry{.name_space = "default", .name = "nobody", .kind = Entry::Kind::endpoints});
  const auto alias = [&](const char* of, const char* to) {
    zone.put(Entry{.name_space = "default", .name = of, .kind = Entry::Kind::alias, .alias = to});
  };
  alias("near", "reviews.default.svc.cluster.local");
  alias("far", "example.com");
  alias("loop", "loop.default.svc.cluster.local");
  alias("dangling", "gone.default.svc.cluster.local");
  alias("literal", "");
  zone.put(Host{.name = name("api.example.org"), .addresses = {ip("240.0.0.1")}});
  zone.put(Host{.name = name("vm.default.svc.cluster.local"), .addresses = {ip("10.200.0.5")}});
  return zone;
}

std::string text_of(const Record& record) {
  if (const auto* address = std::get_if<IpAddress>(&record.data)) return address->text();
  if (const auto* target = std::get_if<Name>(&record.data)) return target->text();
  if (const auto* text = std::get_if<Text>(&record.data)) return text->strings.front();
  if (const auto* srv = std::get_if<Srv>(&record.data)) {
    return std::to_string(srv->weight) + " " + std::to_string(srv->port) + " " + srv->target.text();
  }
  return "?";
}

struct Said {
  std::string code;
  Reason reason = Reason::found;
  std::vector<std::string> answers;
  std::vector<Record> authority;
  std::vector<std::string> additional;
};

Said ask(const std::string& text, Type type = Type::a) {
  static const Zone zone = shop();
  const Answer answer = dns::answer(zone, {name(text), type});
  Said said{.code = name_of(answer.code), .reason = answer.reason, .authority = answer.authority};
  for (const Record& record : answer.answers) said.answers.push_back(text_of(record));
  for (const Record& record : answer.additional) said.additional.push_back(text_of(record));
  return said;
}

void expect_nothing(const std::string& text, Type type) {
  const Said said = ask(text, type);
  EXPECT_EQ(said.code, "NOERROR") << text;
  EXPECT_EQ(said.reason, Reason::no_such_type) << text;
  EXPECT_THAT(said.answers, IsEmpty()) << text;
  ASSERT_THAT(said.authority, SizeIs(1)) << text;
  EXPECT_EQ(said.authority[0].type, Type::soa);
}

void expect_denied(const std::string& text, Reason reason, Type type = Type::a) {
  const Said said = ask(text, type);
  EXPECT_EQ(said.code, "NXDOMAIN") << text;
  EXPECT_EQ(said.reason, reason) << text;
  ASSERT_THAT(said.authority, SizeIs(1)) << text;
  EXPECT_EQ(std::get<Soa>(said.authority[0].data).minimum, time_to_live);
}

TEST(Zone, GivesAServiceItsAddressOfTheFamilyAsked) {
  EXPECT_THAT(ask("reviews.default.svc.cluster.local").answers, ElementsAre("10.96.0.12"));
  EXPECT_THAT(ask("reviews.default.svc.cluster.local", Type::aaaa).answers,
              ElementsAre("fd00:10:96::c"));
  EXPECT_THAT(ask("reviews.default.svc.cluster.local", Type::any).answers,
              ElementsAre("10.96.0.12", "fd00:10:96::c"));
}

TEST(Zone, AnswersInTheCaseOfTheQuestionAndNamesTheObject) {
  const Zone zone = shop();
  const Answer answer = dns::answer(zone, {name("ReViEwS.dEfault.SVC.clUster.local"), Type::a});
  ASSERT_THAT(answer.answers, SizeIs(1));
  EXPECT_EQ(answer.answers[0].owner.text(), "ReViEwS.dEfault.SVC.clUster.local");
  ASSERT_NE(answer.entry, nullptr);
  EXPECT_EQ(answer.entry->origin.describe(), "Service default/reviews");
  const Answer denied = dns::answer(zone, {name("x.default.svc.CLUSTER.local"), Type::a});
  EXPECT_EQ(denied.authority[0].owner.text(), "CLUSTER.local");
}

TEST(Zone, TellsNothingOfThatTypeFromNoSuchName) {
  expect_nothing("only4.default.svc.cluster.local", Type::aaaa);
  expect_nothing("reviews.default.svc.cluster.local", Type::txt);
  expect_nothing("svc.cluster.local", Type::a);
  expect_nothing("pod.cluster.local", Type::a);
  expect_nothing("default.svc.cluster.local", Type::a);
  expect_nothing("empty.svc.cluster.local", Type::a);
  expect_nothing("cluster.local", Type::a);
  expect_nothing("_tcp.reviews.default.svc.cluster.local", Type::srv);
  expect_nothing("_http._tcp.reviews.default.svc.cluster.local", Type::a);
  expect_denied("review.default.svc.cluster.local", Reason::no_such_service);
  expect_denied("reviews.defalt.svc.cluster.local", Reason::no_such_namespace);
  expect_denied("defalt.svc.cluster.local", Reason::no_such_namespace);
  expect_denied("x.y.reviews.default.svc.cluster.local", Reason::no_such_name);
  expect_denied("x.reviews.default.svc.cluster.local", Reason::no_such_endpoint);
  expect_denied("_https._tcp.reviews.default.svc.cluster.local", Reason::no_such_port, Type::srv);
  expect_denied("_http._udp.reviews.default.svc.cluster.local", Reason::no_such_port, Type::srv);
  expect_denied("_udp.reviews.default.svc.cluster.local", Reason::no_such_port);
  expect_denied("x.far.default.svc.cluster.local", Reason::no_such_name);
  expect_denied("whatever.cluster.local", Reason::no_such_name);
  // What a resolver asks first for a name that its search path does not complete.
  expect_denied("reviews.default.svc.cluster.local.default.svc.cluster.local",
                Reason::no_such_service);
}

TEST(Zone, GivesAHeadlessServiceItsEndpoints) {
  EXPECT_THAT(ask("db.default.svc.cluster.local").answers,
              UnorderedElementsAre("10.244.1.5", "10.244.2.6"));
  EXPECT_THAT(ask("db.default.svc.cluster.local", Type::aaaa).answers,
              ElementsAre("fd00:10:244:1::5"));
  EXPECT_THAT(ask("DB-0.db.default.svc.cluster.local").answers, ElementsAre("10.244.1.5"));
  EXPECT_THAT(ask("10-244-2-6.db.default.svc.cluster.local").answers, ElementsAre("10.244.2.6"));
  expect_nothing("10-244-2-6.db.default.svc.cluster.local", Type::aaaa);
  expect_denied("nobody.default.svc.cluster.local", Reason::no_ready_endpoint);
}

TEST(Zone, GivesNamedPortsTheirNumberAndTarget) {
  const Said service = ask("_http._tcp.reviews.default.svc.cluster.local", Type::srv);
  EXPECT_THAT(service.answers, ElementsAre("100 9080 reviews.default.svc.cluster.local"));
  EXPECT_THAT(service.additional, ElementsAre("10.96.0.12", "fd00:10:96::c"));
  const Said headless = ask("_sql._TCP.db.default.svc.cluster.local", Type::srv);
  EXPECT_THAT(headless.answers,
              UnorderedElementsAre("33 5432 db-0.db.default.svc.cluster.local",
                                   "33 5433 10-244-2-6.db.default.svc.cluster.local"));
  EXPECT_THAT(headless.additional,
              UnorderedElementsAre("10.244.1.5", "fd00:10:244:1::5", "10.244.2.6"));
}

TEST(Zone, FollowsAliasesInside) {
  EXPECT_THAT(ask("near.default.svc.cluster.local").answers,
              ElementsAre("reviews.default.svc.cluster.local", "10.96.0.12"));
  EXPECT_THAT(ask("near.default.svc.cluster.local", Type::cname).answers,
              ElementsAre("reviews.default.svc.cluster.local"));
  const Said outside = ask("far.default.svc.cluster.local");
  EXPECT_EQ(outside.code, "NOERROR");
  EXPECT_THAT(outside.answers, ElementsAre("example.com"));
  EXPECT_EQ(ask("loop.default.svc.cluster.local").code, "NOERROR");
  EXPECT_LE(ask("loop.default.svc.cluster.local").answers.size(), 11U);
  const Said dangling = ask("dangling.default.svc.cluster.local");
  EXPECT_EQ(dangling.code, "NXDOMAIN");
  EXPECT_THAT(dangling.answers, ElementsAre("gone.default.svc.cluster.local"));
  expect_denied("literal.default.svc.cluster.local", Reason::bad_alias);
}

TEST(Zone, KnowsWhoseAddressItIs) {
  EXPECT_THAT(ask("12.0.96.10.in-addr.arpa", Type::ptr).answers,
              ElementsAre("reviews.default.svc.cluster.local"));
  EXPECT_THAT(ask(reverse_name(ip("fd00:10:96::c")).text(), Type::ptr).answers,
              ElementsAre("reviews.default.svc.cluster.local"));
  EXPECT_THAT(ask("5.1.244.10.in-addr.arpa", Type::ptr).answers,
              ElementsAre("db-0.db.default.svc.cluster.local"));
  EXPECT_THAT(ask("6.2.244.10.in-addr.arpa", Type::ptr).answers,
              ElementsAre("10-244-2-6.db.default.svc.cluster.local"));
  expect_nothing("12.0.96.10.in-addr.arpa", Type::a);
  expect_denied("99.0.96.10.in-addr.arpa", Reason::no_such_name, Type::ptr);
  expect_denied("0.96.10.in-addr.arpa", Reason::no_such_name, Type::ptr);
}

TEST(Zone, KnowsItsOwnApex) {
  EXPECT_THAT(ask("dns-version.cluster.local", Type::txt).answers, ElementsAre("1.1.0"));
  EXPECT_THAT(ask("cluster.local", Type::ns).answers, ElementsAre("ns.dns.cluster.local"));
  EXPECT_THAT(ask("ns.dns.cluster.local").answers, ElementsAre("10.96.0.10"));
  EXPECT_EQ(ask("cluster.local", Type::soa).answers.size(), 1U);
}

TEST(Zone, SpellsPodAddresses) {
  EXPECT_THAT(ask("10-244-1-5.default.pod.cluster.local").answers, ElementsAre("10.244.1.5"));
  EXPECT_THAT(ask("fd00-10-244-1--5.default.pod.cluster.local", Type::aaaa).answers,
              ElementsAre("fd00:10:244:1::5"));
  expect_nothing("10-244-1-5.default.pod.cluster.local", Type::aaaa);
  expect_denied("web.default.pod.cluster.local", Reason::no_such_name);
  expect_denied("10-244-1-5.defalt.pod.cluster.local", Reason::no_such_namespace);
}

TEST(Zone, KnowsTheMeshesOwnHostsAndNothingElseOutside) {
  EXPECT_THAT(ask("API.example.org").answers, ElementsAre("240.0.0.1"));
  expect_denied("sub.api.default.svc.cluster.local", Reason::no_such_service);
  EXPECT_THAT(ask("vm.default.svc.cluster.local").answers, ElementsAre("10.200.0.5"));
  expect_nothing("vm.default.svc.cluster.local", Type::aaaa);
  for (const char* outside : {"example.com", "local", "www.api.example.org", "acluster.local"}) {
    const Said said = ask(outside);
    EXPECT_EQ(said.code, "REFUSED") << outside;
    EXPECT_EQ(said.reason, Reason::outside);
    EXPECT_THAT(said.authority, IsEmpty());
  }
  EXPECT_EQ(ask("cluster.local", Type::axfr).code, "REFUSED");
}

TEST(Zone, DeniesAllThatIsOutsideWhenItIsClosed) {
  Zone zone = shop();
  zone.set_closed(true);
  for (const char* outside : {"example.com", "local", "acluster.local"}) {
    const Answer said = answer(zone, {name(outside), Type::aaaa});
    EXPECT_EQ(said.code, Code::no_such_name) << outside;
    EXPECT_EQ(said.reason, Reason::outside);
    ASSERT_THAT(said.authority, SizeIs(1)) << "without a SOA nobody may keep the denial";
    EXPECT_EQ(said.authority.front().type, Type::soa);
    EXPECT_TRUE(said.authority.front().owner.is_root());
  }
  const Answer alias = answer(zone, {name("far.default.svc.cluster.local"), Type::a});
  EXPECT_THAT(alias.answers, SizeIs(1));
  EXPECT_EQ(alias.code, Code::no_such_name) << "of what the alias stands for";
  EXPECT_EQ(answer(zone, {name("api.example.org"), Type::a}).answers.size(), 1U);
  EXPECT_EQ(answer(zone, {name("cluster.local"), Type::axfr}).code, Code::refused);
}

TEST(Zone, GivesEveryPortOfANameThatNamesNone) {
  Zone zone = shop();
  const auto pod = [&](const char* address, const char* hostname) {
    return Endpoint{ip(address), hostname, {{"sql", "tcp", 5432}, {"", "tcp", 8080}}};
  };
  zone.put(Entry{.name_space = "default",
                 .name = "store",
                 .kind = Entry::Kind::endpoints,
                 .endpoints = {pod("10.244.1.5", "a"), pod("10.244.1.6", "b")}});
  const auto targets = [&](const char* text) {
    std::vector<std::string> all;
    for (const Record& record : answer(zone, {name(text), Type::srv}).answers) {
      const auto& srv = std::get<Srv>(record.data);
      all.push_back(std::to_string(srv.weight) + ' ' + std::to_string(srv.port) + ' ' +
                    srv.target.text());
    }
    return all;
  };
  EXPECT_THAT(targets("store.default.svc.cluster.local"),
              UnorderedElementsAre("50 5432 a.store.default.svc.cluster.local",
                                   "50 8080 a.store.default.svc.cluster.local",
                                   "50 5432 b.store.default.svc.cluster.local",
                                   "50 8080 b.store.default.svc.cluster.local"));
  EXPECT_THAT(targets("b.store.default.svc.cluster.local"),
              UnorderedElementsAre("100 5432 b.store.default.svc.cluster.local",
                                   "100 8080 b.store.default.svc.cluster.local"));
  EXPECT_THAT(targets("reviews.default.svc.cluster.local"),
              UnorderedElementsAre("100 9080 reviews.default.svc.cluster.local",
                                   "100 1 reviews.default.svc.cluster.local"));
  const Answer one = answer(zone, {name("b.store.default.svc.cluster.local"), Type::srv});
  EXPECT_THAT(one.additional, SizeIs(2));
}

TEST(Zone, TellsEachAliasOfALoopOnce) {
  Zone zone = shop();
  zone.put(Entry{.name_space = "default",
                 .name = "there",
                 .kind = Entry::Kind::alias,
                 .alias = "back.default.svc.cluster.local"});
  zone.put(Entry{.name_space = "default",
                 .name = "back",
                 .kind = Entry::Kind::alias,
                 .alias = "There.default.svc.cluster.local"});
  EXPECT_THAT(answer(zone, {name("there.default.svc.cluster.local"), Type::a}).answers, SizeIs(2));
  EXPECT_THAT(answer(zone, {name("loop.default.svc.cluster.local"), Type::a}).answers, SizeIs(1));
}

TEST(Zone, FailsUntilItIsSynced) {
  const Zone zone(name("cluster.local"));
  for (const char* text : {"reviews.default.svc.cluster.local", "example.com"}) {
    const Answer said = answer(zone, {name(text), Type::a});
    EXPECT_EQ(said.code, Code::server_failure);
    EXPECT_THAT(describe(said, {name(text), Type::a}), HasSubstr("not known yet"));
  }
}

TEST(Zone, ForgetsWhatIsTakenOut) {
  Zone zone = shop();
  zone.remove("default", "db");
  EXPECT_EQ(answer(zone, {name("db.default.svc.cluster.local"), Type::a}).reason,
            Reason::no_such_service);
  EXPECT_EQ(answer(zone, {name("5.1.244.10.in-addr.arpa"), Type::ptr}).code, Code::no_such_name);
  zone.put(Entry{.name_space = "default", .name = "reviews", .addresses = {ip("10.96.0.77")}});
  EXPECT_THAT(zone.owners(ip("10.96.0.12")), IsEmpty());
  EXPECT_THAT(zone.owners(ip("10.96.0.77")), SizeIs(1));
  zone.put(Entry{.name_space = "fresh", .name = "a"});
  EXPECT_TRUE(zone.has_namespace("Fresh"));
  zone.remove("fresh", "a");
  EXPECT_FALSE(zone.has_namespace("fresh"));
  EXPECT_TRUE(zone.has_namespace("empty"));
}

}  // namespace
}  // namespace fairlead::dns
