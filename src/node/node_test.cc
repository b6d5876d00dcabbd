// The agent's parts against the real kernel, each test in network namespaces of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "dns/query.h"
#include "http/io/client.h"
#include "net/tcp.h"
#include "nft/diff.h"
#include "nft/read.h"
#include "nft/test_namespace.h"
#include "node/agent.h"
#include "node/plan/test_world.h"
#include "node/services_view.h"
#include "node/tally.h"

namespace fairlead::node {
namespace {

using nft::testing::TestNamespace;
using testing::add_endpoint;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ip;
using testing::port;
using testing::service;
using testing::world_of;

mesh::World shop(const std::string& version, const std::string& endpoint = "10.244.1.2") {
  mesh::Service reviews = service("reviews", {"10.96.0.12"}, {port("http", 9080)});
  add_endpoint(reviews, endpoint, 8080);
  add_endpoint(reviews, "10.244.1.9", 8080).workload = "default/reviews-v2";
  mesh::World world = world_of({reviews, service("empty", {"10.96.0.99"}, {port("", 80)})});
  world.version = version;
  return world;
}

mesh::WorldPointer shared(mesh::World world) {
  return std::make_shared<const mesh::World>(std::move(world));
}

// ── the kernel's table ──────────────────────────────────────────────────────────────────────────

class Rules : public ::testing::Test {
 protected:
  KernelRules open() {
    return space_.in([] {
      Result<KernelRules> rules = KernelRules::open({.node = "n1"});
      if (!rules) throw std::runtime_error(rules.fault().describe());
      return std::move(*rules);
    });
  }
  // The kernel counts by namespace, so these speak from inside of it.
  void apply(KernelRules& rules, const mesh::World& world) {
    const Result<> applied = space_.in([&] { return rules.apply(shared(world)); });
    ASSERT_TRUE(applied.ok()) << applied.fault().describe();
  }
  bool restore(KernelRules& rules) {
    const Result<bool> restored = space_.in([&] { return rules.restore(); });
    EXPECT_TRUE(restored.ok());
    return restored && *restored;
  }
  static nft::Table table(KernelRules& rules) {
    const Result<nft::Table> read =
        nft::read(rules.kernel(), nft::TableFamily::inet, services_table);
    EXPECT_TRUE(read.ok());
    return read ? *read : nft::Table{};
  }

  TestNamespace space_;
};

TEST_F(Rules, AreLeftAloneWhenTheyAreRightAlready) {
  KernelRules first = open();
  apply(first, shop("1"));
  const auto before = space_.in([] { return *rules_generation(); });
  KernelRules second = open();
  apply(second, shop("1"));
  EXPECT_EQ(space_.in([] { return *rules_generation(); }), before);
}

TEST_F(Rules, OfAnEarlierAgentAreTakenOverWithTheirCounts) {
  KernelRules first = open();
  apply(first, shop("1"));
  space_.run("ip route add 10.96.0.0/16 dev lo");
  const nft::testing::Listeners listeners;
  static_cast<void>(listeners.connect(space_, {}, {ip("10.96.0.99"), 80}));
  KernelRules second = open();
  apply(second, shop("2", "10.244.1.3"));
  const auto readings = nft::counters(second.kernel(), nft::TableFamily::inet, services_table);
  ASSERT_TRUE(readings.ok());
  std::uint64_t refused = 0;
  for (const nft::Reading& one : *readings)
    refused += one.place == "set refused4" ? one.packets : 0;
  EXPECT_EQ(refused, 1U);
  KernelRules third = open();
  apply(third, shop("1"));
  EXPECT_EQ(table(third), table(first));
}

TEST_F(Rules, AreRestoredWhateverSomebodyElseDid) {
  KernelRules rules = open();
  apply(rules, shop("1"));
  const nft::Table right = table(rules);
  EXPECT_FALSE(restore(rules));
  const std::string table_name = std::string("inet ") + services_table;
  const auto replaced = [&](const std::string& chain, const std::string& by) {
    const std::string where = table_name + " " + chain;
    return "replace rule " + where + " handle $(nft -a list chain " + where +
           " | sed -n 's/.* handle //p' | tail -1) " + by;
  };
  for (const std::string& damage :
       {"delete table " + table_name, "flush chain " + table_name + " services",
        "flush set " + table_name + " connections4",
        "add element " + table_name + " services4 '{ 10.96.0.77 . tcp . 80 : 5 }'",
        "add chain " + table_name + " stranger", std::string("flush ruleset"),
        "add table " + table_name + " '{ flags dormant; }'",
        // As many rules as before, but others.
        replaced("output", "accept"), replaced("services", "meta mark vmap @counts comment \"x\""),
        replaced("one-of-2", "drop"), replaced("postrouting", "limit rate 1/second drop"),
        "add rule " + table_name + " output counter"}) {
    space_.run("nft " + damage);
    EXPECT_TRUE(restore(rules)) << damage;
    EXPECT_EQ(table(rules), right) << damage;
    EXPECT_FALSE(restore(rules)) << damage;
  }
  space_.run("nft add table inet somebody");
  EXPECT_FALSE(restore(rules)) << "another table is not our business";
}

TEST_F(Rules, AreNotEvenBegunByWhoMayNotChangeThem) {
  const pid_t child = ::fork();
  if (child == 0) {
    space_.in([] {
      if (::setuid(65534) != 0) ::_exit(2);
      const Result<KernelRules> rules = KernelRules::open({.node = "n1"});
      ::_exit(!rules && rules.fault().kind == FaultKind::denied ? 0 : 1);
    });
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(Rules, AreAppliedAsAWholeOverSomebodysChange) {
  KernelRules rules = open();
  apply(rules, shop("1"));
  space_.run(std::string("nft delete table inet ") + services_table);
  apply(rules, shop("2", "10.244.1.3"));
  KernelRules fresh = open();
  const nft::Table now = table(rules);
  apply(fresh, shop("2", "10.244.1.3"));
  EXPECT_EQ(table(fresh), now);
}

TEST_F(Rules, AreShownToPeopleAndRemovedWhole) {
  KernelRules rules = open();
  apply(rules, shop("1"));
  const Result<std::string> shown = show_services(rules.kernel());
  ASSERT_TRUE(shown.ok());
  EXPECT_EQ(*shown,
            "SERVICE               ADDRESS          CONNECTIONS  ENDPOINTS\n"
            "default/empty:80      10.96.0.99:80              0  none: connections are refused\n"
            "default/reviews:http  10.96.0.12:9080            0  10.244.1.2:8080  10.244.1.2\n"
            "                                                    10.244.1.9:8080  reviews-v2\n");
  EXPECT_TRUE(remove_rules(rules.kernel()).ok());
  EXPECT_TRUE(remove_rules(rules.kernel()).ok());
  EXPECT_THAT(*show_services(rules.kernel()), HasSubstr("no table"));
}

// ── the agent ───────────────────────────────────────────────────────────────────────────────────

const SocketAddress dns_at{IpAddress::v4({10, 96, 0, 10}), 53};

Task<Result<std::string>> get(net::Loop& loop, std::string socket, std::string path) {
  Result<http::Answer> answer = co_await http::fetch(
      loop, http::Endpoint(std::move(socket)), {.path = std::move(path), .authority = "node"});
  if (!answer) co_return std::move(answer).fault();
  co_return std::to_string(answer->head.status) + " " + answer->body;
}

std::span<const std::uint8_t> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

Task<Result<dns::Reply>> ask_by_udp(net::Loop& loop, dns::Name name) {
  auto socket = net::UdpSocket::connect(loop, dns_at);
  if (!socket) co_return std::move(socket).fault();
  const std::string query = dns::query(7, name, dns::Type::a);
  if (Result<> sent = (*socket)->send_now(query, dns_at); !sent) co_return sent.fault();
  std::array<char, 2048> buffer{};
  while (true) {
    if (Result<> ready = co_await (*socket)->readable(); !ready) co_return ready.fault();
    Result<std::optional<net::Datagram>> got = (*socket)->receive_now(buffer);
    if (!got) co_return std::move(got).fault();
    if (!*got) continue;
    co_return dns::read_reply(as_bytes({buffer.data(), (*got)->bytes}), 7, name, dns::Type::a);
  }
}

// Several queries at once on one connection, byte by byte; answers until the server ends.
Task<Result<std::vector<dns::Code>>> ask_by_tcp(net::Loop& loop, std::string bytes) {
  Result<net::TcpStreamPointer> stream = co_await net::connect(loop, dns_at);
  if (!stream) co_return std::move(stream).fault();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::string one = bytes.substr(i, 1);
    if (Result<> sent = co_await (*stream)->write_all(one); !sent) co_return sent.fault();
  }
  (*stream)->shutdown_write();
  std::string all;
  std::array<char, 4096> buffer{};
  while (true) {
    if (Result<> ready = co_await (*stream)->readable(); !ready) co_return ready.fault();
    Result<net::Taken> taken = (*stream)->read_now(buffer);
    if (!taken || taken->end) break;
    all.append(buffer.data(), taken->bytes);
  }
  std::vector<dns::Code> codes;
  for (std::size_t place = 0; place + 2 <= all.size();) {
    const std::size_t size =
        static_cast<std::uint8_t>(all[place]) << 8U | static_cast<std::uint8_t>(all[place + 1]);
    const Result<dns::Message> message = dns::parse(as_bytes(all).subspan(place + 2, size));
    if (!message) co_return message.fault();
    codes.push_back(message->header.code);
    place += 2 + size;
  }
  co_return codes;
}

Task<Result<>> wait_readable(net::UdpSocket& socket) {
  co_return co_await socket.readable();
}

class Agents : public ::testing::Test {
 protected:
  Agents() {
    space_.run("ip addr add 10.96.0.10/32 dev lo");
    socket_ = (std::filesystem::temp_directory_path() /
               ("fairlead-node-test." + std::to_string(::getpid()) + ".sock"))
                  .string();
  }

  // Runs `test` beside an agent, in the namespace.
  template <class Test>
  void beside_an_agent(Test test) {
    space_.in([&] {
      net::Loop loop;
      Result<std::unique_ptr<Agent>> agent =
          Agent::start(loop, {.self = {.node = "n1", .dns = {dns_at}}, .status_socket = socket_});
      if (!agent) throw std::runtime_error(agent.fault().describe());
      test(loop, **agent);
      loop.run((*agent)->close());
      return 0;
    });
  }

  TestNamespace space_;
  std::string socket_;
};

const dns::Name& reviews() {
  static const dns::Name name = *dns::Name::parse("reviews.default.svc.cluster.local");
  return name;
}

TEST_F(Agents, TellHowFarTheyAre) {
  beside_an_agent([&](net::Loop& loop, Agent& agent) {
    EXPECT_THAT(*loop.run(get(loop, socket_, "/ready")), HasSubstr("503"));
    agent.set_world(shared(shop("41")));
    agent.set_world(shared(shop("42", "10.244.1.3")));
    agent.set_broken({"b.yaml:3: no"});
    EXPECT_THAT(*loop.run(get(loop, socket_, "/ready")), HasSubstr("200"));
    const std::string status = *loop.run(get(loop, socket_, "/status"));
    const auto json = nlohmann::json::parse(status.substr(4));
    EXPECT_EQ(json["world"], "42");
    EXPECT_EQ(json["applied"], "42");
    EXPECT_EQ(json["error"], "");
    EXPECT_EQ(json["broken"][0], "b.yaml:3: no");
    EXPECT_EQ(json["services"], 2);
    EXPECT_EQ(json["dns"]["addresses"][0], "10.96.0.10:53");
    EXPECT_EQ(json["dns"]["lost"], 0);
    EXPECT_EQ(json["dns"]["dropped"], 0);
    EXPECT_THAT(*loop.run(get(loop, socket_, "/services")), HasSubstr("10.244.1.3:8080"));
    EXPECT_THAT(*loop.run(get(loop, socket_, "/nothing")), HasSubstr("404"));
  });
  EXPECT_FALSE(std::filesystem::exists(socket_));
}

TEST_F(Agents, AnswerNamesFromTheNewestWorld) {
  beside_an_agent([&](net::Loop& loop, Agent& agent) {
    agent.set_world(shared(shop("1")));
    const Result<dns::Reply> reply = loop.run(ask_by_udp(loop, reviews()));
    ASSERT_TRUE(reply.ok()) << reply.fault().describe();
    EXPECT_THAT(reply->addresses, ElementsAre(ip("10.96.0.12")));
    mesh::World gone = shop("2");
    gone.services = {*find_service(gone, "default", "empty")};
    agent.set_world(shared(gone));
    EXPECT_EQ(loop.run(ask_by_udp(loop, reviews()))->code, dns::Code::no_such_name);
  });
}

TEST_F(Agents, AnswerByTcpOneAfterTheOther) {
  beside_an_agent([&](net::Loop& loop, Agent& agent) {
    agent.set_world(shared(shop("1")));
    const dns::Name outside = *dns::Name::parse("example.com");
    const auto codes = loop.run(ask_by_tcp(
        loop, dns::framed(dns::query(1, reviews(), dns::Type::a)) +
                  dns::framed(dns::query(2, outside, dns::Type::a)) + dns::framed("0123456789ab")));
    ASSERT_TRUE(codes.ok()) << codes.fault().describe();
    EXPECT_THAT(*codes,
                ElementsAre(dns::Code::no_error, dns::Code::refused, dns::Code::not_implemented));
  });
}

// Connections that ask nothing, as many as the kernel lets one client have.
Task<> connect_often(net::Loop& loop, SocketAddress to, net::ConnectOptions how, std::size_t count,
                     std::vector<net::TcpStreamPointer>& all) {
  for (std::size_t i = 0; i < count; ++i) {
    Result<net::TcpStreamPointer> stream = co_await net::connect(loop, to, how);
    if (stream) all.push_back(std::move(*stream));
  }
}

TEST_F(Agents, OnePodCannotTakeAllConnections) {
  beside_an_agent([&](net::Loop& loop, Agent& agent) {
    agent.set_world(shared(shop("1")));
    std::vector<net::TcpStreamPointer> greedy;
    loop.run(connect_often(loop, dns_at, {.source = ip("127.0.0.9")}, 400, greedy));
    const auto codes =
        loop.run(ask_by_tcp(loop, dns::framed(dns::query(1, reviews(), dns::Type::a))));
    ASSERT_TRUE(codes.ok()) << codes.fault().describe();
    EXPECT_THAT(*codes, ElementsAre(dns::Code::no_error));
    const DnsCounts counts = agent.status().queries;
    EXPECT_LE(counts.connections, 65U);
    EXPECT_GE(counts.evicted, 300U) << "its own idle ones gave way";
    EXPECT_THAT(*loop.run(get(loop, socket_, "/status")), HasSubstr("\"evicted\":"));
  });
}

TEST_F(Agents, AQueryThatIsTooLongEndsItsConnection) {
  beside_an_agent([&](net::Loop& loop, Agent& agent) {
    agent.set_world(shared(shop("1")));
    const auto codes = loop.run(ask_by_tcp(loop, std::string("\xff\xff") + std::string(100, 'x')));
    ASSERT_TRUE(!codes.ok() || codes->empty());
  });
}

// Sent before there is a world, answered once there is one.
TEST_F(Agents, ReadNothingBeforeTheyKnowTheWorld) {
  beside_an_agent([&](net::Loop& loop, Agent& agent) {
    auto waiting = net::UdpSocket::connect(loop, dns_at);
    ASSERT_TRUE(waiting.ok());
    ASSERT_TRUE((*waiting)->send_now(dns::query(7, reviews(), dns::Type::a), dns_at).ok());
    EXPECT_THAT(*loop.run(get(loop, socket_, "/ready")), HasSubstr("503"));
    EXPECT_EQ(agent.status().queries.udp, 0U);
    agent.set_world(shared(shop("1")));
    std::array<char, 2048> buffer{};
    ASSERT_TRUE(loop.run(wait_readable(**waiting)).ok());
    EXPECT_TRUE((*waiting)->receive_now(buffer)->has_value());
  });
}

TEST_F(Agents, SayWhichPassedSocketIsMissing) {
  space_.in([&] {
    net::Loop loop;
    Result<Sockets> sockets = open_dns_sockets({dns_at});
    EXPECT_TRUE(sockets.ok());
    static_cast<void>(take_socket(*sockets, dns_tcp_socket));
    const auto agent = Agent::start(
        loop, {.self = {.node = "n1", .dns = {dns_at}}, .sockets = std::move(*sockets)});
    EXPECT_FALSE(agent.ok());
    EXPECT_THAT(agent.fault().describe(), HasSubstr("called dns-tcp and bound to 10.96.0.10:53"));
    return 0;
  });
}

TEST(Tally, WhatAnEarlierProgramDidNotAnswerIsLost) {
  const Result<Descriptor> memory = Tally::make();
  ASSERT_TRUE(memory.ok());
  {
    Result<Tally> first = Tally::over(*memory);
    first->taken(5);
    first->answered(5);
    first->taken(3);
    EXPECT_EQ(first->lost(), 0U);
  }
  {
    Result<Tally> second = Tally::over(*memory);
    EXPECT_EQ(second->lost(), 3U);
    second->taken(2);
  }
  Result<Tally> third = Tally::over(*memory);
  EXPECT_EQ(third->lost(), 5U);
}

// An agent in a process of its own, over sockets that this one holds.
class HeldAgent {
 public:
  explicit HeldAgent(const Sockets& held) {
    child_ = ::fork();
    if (child_ != 0) return;
    Sockets copies;
    for (const net::Passed& one : held) {
      copies.push_back({one.name, Descriptor(::dup(one.descriptor.number()))});
    }
    net::Loop loop;
    auto agent = Agent::start(
        loop,
        {.self = {.node = "n1", .dns = {dns_at}}, .rules = false, .sockets = std::move(copies)});
    if (!agent) ::_exit(1);
    (*agent)->set_world(shared(shop("1")));
    loop.run();
    ::_exit(0);
  }
  void kill() {
    if (child_ > 0) ::kill(child_, SIGKILL);
    if (child_ > 0) ::waitpid(child_, nullptr, 0);
    child_ = -1;
  }
  ~HeldAgent() { kill(); }
  HeldAgent(const HeldAgent&) = delete;
  HeldAgent& operator=(const HeldAgent&) = delete;

 private:
  pid_t child_ = -1;
};

// How many answers come until none has come for a while.
Task<std::size_t> count_answers(net::Loop& loop, net::UdpSocket& socket, Duration patience) {
  std::array<char, 2048> buffer{};
  for (std::size_t count = 0;;) {
    const Result<> ready = co_await net::within(loop, patience, wait_readable(socket));
    if (!ready) co_return count;
    const Result<std::optional<net::Datagram>> got = socket.receive_now(buffer);
    count += got && *got ? 1 : 0;
  }
}

// Five times: 100 queries, as come at 500 a second within 200 ms, while no agent is there, and 100
// more around the time when one is killed. What one had in hand may be lost, once for each kill.
TEST_F(Agents, AreKilledAndLoseWhatIsInHandAlone) {
  space_.in([&] {
    net::Loop loop;
    Result<Sockets> held = open_dns_sockets({dns_at});
    if (!held) throw std::runtime_error(held.fault().describe());
    auto client = net::UdpSocket::connect(loop, dns_at);
    if (!client) throw std::runtime_error(client.fault().describe());
    const std::string query = dns::query(7, reviews(), dns::Type::a);
    std::size_t sent = 0;
    const auto send = [&](int queries) {
      for (int i = 0; i < queries; ++i) sent += (*client)->send_now(query, dns_at).ok() ? 1 : 0;
    };
    std::size_t answered = 0;
    constexpr std::size_t kills = 5;
    for (std::size_t kill = 0; kill < kills; ++kill) {
      send(100);
      HeldAgent agent(*held);
      answered += loop.run(count_answers(loop, **client, std::chrono::seconds(2)));
      send(100);
      agent.kill();
    }
    const HeldAgent last(*held);
    answered += loop.run(count_answers(loop, **client, std::chrono::seconds(2)));
    EXPECT_EQ(sent, 200 * kills);
    EXPECT_LE(answered, sent);
    EXPECT_GE(answered, sent - datagrams_in_hand * kills);
    return 0;
  });
}

// kdig of the Knot project, as a client that we did not write.
std::string kdig(const std::string& arguments) {
  std::string text;
  std::FILE* output = ::popen(("kdig @10.96.0.10 +timeout=5 " + arguments).c_str(), "r");
  std::array<char, 4096> buffer{};
  while (std::fgets(buffer.data(), buffer.size(), output) != nullptr) text += buffer.data();
  ::pclose(output);
  return text;
}

TEST_F(Agents, AreUnderstoodByKdig) {
  // The agent in a process of its own: kdig waits for it.
  const pid_t child = ::fork();
  if (child == 0) {
    beside_an_agent([&](net::Loop& loop, Agent& agent) {
      mesh::World world = shop("1");
      mesh::Service large = service("large", {}, {port("http", 80)});
      large.kind = mesh::ServiceKind::headless;
      for (int i = 1; i <= 250; ++i) add_endpoint(large, "10.244.3." + std::to_string(i), 80);
      std::vector<mesh::Service> services(world.services.begin(), world.services.end());
      services.push_back(std::move(large));
      world.services = world_of(std::move(services)).services;
      agent.set_world(shared(std::move(world)));
      loop.run();
    });
    ::_exit(0);
  }
  space_.in([&] {
    for (int i = 0; i < 100 && !std::filesystem::exists(socket_); ++i) ::usleep(100'000);
    for (const char* how : {"", "+tcp", "+noedns", "+bufsize=512"}) {
      const std::string more = std::string(" ") + how;
      EXPECT_THAT(kdig("reviews.default.svc.cluster.local A +short" + more), "10.96.0.12\n");
    }
    EXPECT_THAT(kdig("reviews.default.svc.cluster.local AAAA"),
                ::testing::AllOf(HasSubstr("status: NOERROR"), HasSubstr("ANSWER: 0"),
                                 HasSubstr("AUTHORITY: 1"), HasSubstr("SOA")));
    EXPECT_THAT(kdig("review.default.svc.cluster.local"), HasSubstr("status: NXDOMAIN"));
    EXPECT_THAT(kdig("example.com"), HasSubstr("status: REFUSED"));
    EXPECT_THAT(kdig("CH TXT version.bind"), HasSubstr("status: REFUSED"));
    EXPECT_THAT(kdig("+short -x 10.96.0.12"), "reviews.default.svc.cluster.local.\n");
    EXPECT_THAT(kdig("SRV reviews.default.svc.cluster.local +short"),
                "0 100 9080 reviews.default.svc.cluster.local.\n");
    EXPECT_THAT(kdig("reviews.default.svc.cluster.local +short +padding=4000"), "10.96.0.12\n");
    EXPECT_THAT(kdig("SRV _http._tcp.reviews.default.svc.cluster.local +short"),
                "0 100 9080 reviews.default.svc.cluster.local.\n");
    EXPECT_THAT(kdig("large.default.svc.cluster.local +ignore +noedns"), HasSubstr(" tc "));
    // Truncated by UDP, kdig comes again by TCP.
    EXPECT_THAT(kdig("large.default.svc.cluster.local"),
                ::testing::AllOf(HasSubstr("ANSWER: 250"), HasSubstr("(TCP)")));
    return 0;
  });
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  std::filesystem::remove(socket_);
}

}  // namespace
}  // namespace fairlead::node
