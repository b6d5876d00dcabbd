#include <gtest/gtest.h>

#include <sys/socket.h>

#include <string>
#include <thread>

#include "dns/message.h"
#include "dns/query.h"
#include "intercept/install.h"
#include "nft/apply.h"
#include "nft/test_namespace.h"
#include "witness/conntrack.h"
#include "witness/exchange.h"
#include "witness/gather.h"
#include "witness/order.h"

namespace fairlead::witness {
namespace {

using nft::testing::TestNamespace;
using nft::testing::Wire;

// ── orders and records ──────────────────────────────────────────────────────────────────────────

TEST(Order, TravelsAsJson) {
  Order order{.where = "default/productpage",
              .request = Request{.http = true,
                                 .host = "reviews",
                                 .addresses = {"127.0.0.1"},
                                 .port = 9080,
                                 .names = {"reviews.default.svc.cluster.local"},
                                 .servers = {"10.96.0.10:53"},
                                 .prefer_v6 = true,
                                 .text = "HEAD / HTTP/1.1\r\nhost: a\r\n\r\n",
                                 .head = true,
                                 .id = "7",
                                 .uid = 1000,
                                 .gid = 1001,
                                 .patience_milliseconds = 500},
              .proxy = true,
              .id = "7",
              .sources = {*SocketAddress::parse("[fd00::1]:80")},
              .since = 1795548391321095,
              .listening = true,
              .tables = {"fairlead-capture"}};
  const Result<Order> back = order_from_json(order_json(order));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(*back, order);
  order.request.reset();
  EXPECT_EQ(*order_from_json(order_json(order)), order);
  EXPECT_FALSE(order_from_json("x").ok());
  EXPECT_FALSE(order_from_json(R"({"sources":["nowhere"]})").ok());
}

TEST(Records, AreReadFromWhatAProxySays) {
  const auto records = records_from_json(
      R"({"records":[{"id":"7","direction":"outbound","downstreamRemote":"10.244.1.3:45000",
      "originalDestination":"10.96.0.12:9080","upstreamRemote":"10.244.2.5:9080","listener":"l",
      "filterChain":"http","cluster":"c","attempts":2,"pooledMilliseconds":12,"status":200,
      "flags":"-","world":"42"}]})",
      "default/productpage",
      [](const explain::ProxyRecord&, std::string_view id) { return id == "7"; });
  ASSERT_TRUE(records.ok());
  ASSERT_EQ(records->size(), 1U);
  const explain::ProxyRecord& record = records->front();
  EXPECT_EQ(record.proxy, "default/productpage");
  EXPECT_EQ(record.upstream_remote->text(), "10.244.2.5:9080");
  EXPECT_FALSE(record.upstream_local);
  EXPECT_EQ(record.pooled_milliseconds, 12U);
  EXPECT_EQ(record.attempts, 2U);
  const Wanted all = [](const explain::ProxyRecord&, std::string_view) { return true; };
  EXPECT_FALSE(records_from_json("{}", "x", all).ok());
  // Whoever had the same port before is somebody else.
  const char* two =
      R"({"records":[{"started":99,"cluster":"old"},{"started":100,"cluster":"new"}]})";
  ASSERT_EQ(records_from_json(two, "x", all, 100)->size(), 1U);
  EXPECT_EQ(records_from_json(two, "x", all, 100)->front().cluster, "new");
}

TEST(NameServers, AreThoseOfTheFile) {
  EXPECT_EQ(name_servers("search default.svc.cluster.local\nnameserver 10.96.0.10\n"
                         "nameserver\tfd00:10:96::a \n# nameserver 1.2.3.4\nnameserver x\n"),
            (std::vector<std::string>{"10.96.0.10:53", "[fd00:10:96::a]:53"}));
}

// ── in a pod's namespace ────────────────────────────────────────────────────────────────────────

Descriptor listener(std::uint16_t port, int type = SOCK_STREAM) {
  Descriptor made(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(made.number(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_storage address = nft::testing::to_system({IpAddress::v4({0, 0, 0, 0}), port});
  nft::testing::demand(::bind(made.number(), reinterpret_cast<const sockaddr*>(&address),
                              nft::testing::size_of(address)) == 0,
                       "bind");
  if (type == SOCK_STREAM) nft::testing::demand(::listen(made.number(), 8) == 0, "listen");
  return made;
}

// Answers `count` connections with `answer`, each after it has read something.
std::thread answering(const Descriptor& where, int count, std::string answer) {
  return std::thread([socket = where.number(), count, answer = std::move(answer)] {
    for (int i = 0; i < count; ++i) {
      const Descriptor accepted(::accept4(socket, nullptr, nullptr, SOCK_CLOEXEC));
      std::array<char, 4096> bytes{};
      if (::recv(accepted.number(), bytes.data(), bytes.size(), 0) <= 0) continue;
      ::send(accepted.number(), answer.data(), answer.size(), MSG_NOSIGNAL);
      ::recv(accepted.number(), bytes.data(), bytes.size(), 0);  // until the other end closes
    }
  });
}

Request request_to(const std::string& host, std::uint16_t port) {
  return {.host = host,
          .port = port,
          .text = "GET / HTTP/1.1\r\nhost: " + host + "\r\nx-request-id: id-1\r\n\r\n",
          .id = "id-1",
          .uid = 1000,
          .gid = 1000};
}

TEST(Gather, TheConnectionTheCounterAndTheAnswer) {
  Wire wire;
  const auto captured = wire.pod.in([] {
    Result<nft::Kernel> kernel = nft::Kernel::open();
    if (!kernel) return Result<>(kernel.fault());
    return intercept::apply(*kernel, intercept::Settings{});
  });
  ASSERT_TRUE(captured.ok()) << captured.fault().describe();
  const Descriptor proxy = wire.pod.in([] { return listener(15001); });
  const Descriptor admin = wire.pod.in([] { return listener(15000); });
  std::thread answers =
      answering(proxy, 1, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-a: b\r\n\r\nhello");
  const std::string records = R"({"records":[{"id":"id-1","direction":"outbound","cluster":"c"},)"
                              R"({"id":"id-2","direction":"outbound","cluster":"d"}]})";
  std::thread admin_answers =
      answering(admin, 1,
                "HTTP/1.1 200 OK\r\ncontent-length: " + std::to_string(records.size()) +
                    "\r\n\r\n" + records);

  const explain::Evidence evidence = wire.pod.in([&] {
    return gather({.where = "default/pod",
                   .request = request_to("10.96.0.12", 9080),
                   .proxy = true,
                   .id = "id-1",
                   .tables = {intercept::table_name}});
  });
  answers.join();
  admin_answers.join();

  EXPECT_EQ(evidence.trouble, std::vector<std::string>{});
  ASSERT_TRUE(evidence.exchange);
  EXPECT_EQ(evidence.exchange->error, "");
  EXPECT_EQ(evidence.exchange->status, 200);
  EXPECT_EQ(evidence.exchange->body, "hello");
  ASSERT_EQ(evidence.records.size(), 1U);
  EXPECT_EQ(evidence.records[0].proxy, "default/pod");
  ASSERT_EQ(evidence.connections.size(), 1U);
  const explain::TrackedConnection& connection = evidence.connections[0];
  EXPECT_EQ(connection.where, "default/pod");
  EXPECT_EQ(connection.source, evidence.exchange->local);
  EXPECT_EQ(connection.destination.text(), "10.96.0.12:9080");
  EXPECT_EQ(connection.reply_source.text(), "127.0.0.1:15001");
  EXPECT_EQ(connection.state, "ESTABLISHED");
  bool counted = false;
  for (const explain::Count& count : evidence.counts) {
    counted =
        counted || (count.place == "chain redirect-outbound" && count.after == count.before + 1);
  }
  EXPECT_TRUE(counted);
}

TEST(Gather, TheCountersOfATableOfIpv4Alone) {
  Wire wire;
  const auto captured = wire.pod.in([] {
    Result<nft::Kernel> kernel = nft::Kernel::open();
    if (!kernel) return Result<>(kernel.fault());
    intercept::Settings settings;
    settings.dual_stack = false;
    return intercept::apply(*kernel, settings);
  });
  ASSERT_TRUE(captured.ok()) << captured.fault().describe();
  const explain::Evidence evidence = wire.pod.in(
      [&] { return gather({.where = "default/pod", .tables = {intercept::table_name}}); });
  EXPECT_EQ(evidence.trouble, std::vector<std::string>{});
  EXPECT_FALSE(evidence.counts.empty());
}

TEST(Gather, TheProxysUserIsNotCaptured) {
  Wire wire;
  const auto captured = wire.pod.in([] {
    Result<nft::Kernel> kernel = nft::Kernel::open();
    if (!kernel) return Result<>(kernel.fault());
    return intercept::apply(*kernel, intercept::Settings{});
  });
  ASSERT_TRUE(captured.ok()) << captured.fault().describe();
  const Descriptor peer = wire.peer.in([] { return listener(9080); });
  std::thread answers = answering(peer, 1, "HTTP/1.1 204 No Content\r\n\r\n");
  Request request = request_to("10.96.0.12", 9080);
  request.uid = 1337;
  request.gid = 1337;
  const explain::Evidence evidence =
      wire.pod.in([&] { return gather({.where = "default/pod", .request = request}); });
  answers.join();
  ASSERT_TRUE(evidence.exchange);
  EXPECT_EQ(evidence.exchange->status, 204);
  ASSERT_EQ(evidence.connections.size(), 1U);
  EXPECT_EQ(evidence.connections[0].reply_source.text(), "10.96.0.12:9080");
}

TEST(Gather, ARefusedConnectionSaysSo) {
  Wire wire;
  const explain::Evidence evidence = wire.pod.in(
      [&] { return gather({.where = "default/pod", .request = request_to("10.96.0.12", 9080)}); });
  ASSERT_TRUE(evidence.exchange);
  EXPECT_NE(evidence.exchange->error.find("Connection refused"), std::string::npos)
      << evidence.exchange->error;
  EXPECT_NE(evidence.exchange->error.find("10.96.0.12:9080"), std::string::npos);
  EXPECT_EQ(evidence.exchange->failing, explain::Failing::refused);
  EXPECT_FALSE(evidence.exchange->connected);
}

// As clients do that have several addresses of a name.
TEST(Gather, AnAddressThatRefusesIsPassedOver) {
  Wire wire;
  const Descriptor peer = wire.pod.in([] { return listener(9080); });
  std::thread answers = answering(peer, 1, "HTTP/1.1 204 No Content\r\n\r\n");
  Request request = request_to("localhost", 9080);
  request.addresses = {"::1", "127.0.0.1"};
  const explain::Evidence evidence =
      wire.pod.in([&] { return gather({.where = "default/pod", .request = request}); });
  answers.join();
  ASSERT_TRUE(evidence.exchange);
  EXPECT_EQ(evidence.exchange->status, 204);
  EXPECT_EQ(evidence.exchange->peer.text(), "127.0.0.1:9080");
  ASSERT_EQ(evidence.exchange->tried.size(), 1U);
  EXPECT_NE(evidence.exchange->tried[0].find("[::1]:9080"), std::string::npos);
  EXPECT_EQ(evidence.exchange->error, "");
  EXPECT_EQ(evidence.exchange->failing, explain::Failing::none);
}

TEST(Gather, AnAnswerThatIsNoHttpIsToldAsThat) {
  Wire wire;
  const Descriptor peer = wire.peer.in([] { return listener(9080); });
  std::thread answers = answering(peer, 1, "220 mail.example ESMTP\r\n");
  const explain::Evidence evidence = wire.pod.in(
      [&] { return gather({.where = "default/pod", .request = request_to("10.96.0.12", 9080)}); });
  answers.join();
  ASSERT_TRUE(evidence.exchange);
  EXPECT_TRUE(evidence.exchange->connected);
  EXPECT_EQ(evidence.exchange->failing, explain::Failing::not_http);
}

TEST(Gather, TheSocketsThatListen) {
  Wire wire;
  const Descriptor v4 = wire.pod.in([] { return listener(9080); });
  const auto on_v6 = [](std::uint16_t port, int v6_only) {
    Descriptor made(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ::setsockopt(made.number(), IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only);
    const sockaddr_storage address = nft::testing::to_system({IpAddress::v6({}), port});
    nft::testing::demand(::bind(made.number(), reinterpret_cast<const sockaddr*>(&address),
                                nft::testing::size_of(address)) == 0,
                         "bind");
    nft::testing::demand(::listen(made.number(), 8) == 0, "listen");
    return made;
  };
  const Descriptor both = wire.pod.in([&] { return on_v6(9081, 0); });
  const Descriptor alone = wire.pod.in([&] { return on_v6(9082, 1); });
  const explain::Evidence evidence =
      wire.pod.in([&] { return gather({.where = "default/pod", .listening = true}); });
  EXPECT_EQ(evidence.trouble, std::vector<std::string>{});
  ASSERT_EQ(evidence.listening.size(), 1U);
  std::map<std::string, bool> sockets;
  for (const explain::ListeningSocket& socket : evidence.listening[0].sockets) {
    sockets[socket.address.text()] = socket.both_families;
  }
  EXPECT_EQ(sockets, (std::map<std::string, bool>{
                         {"0.0.0.0:9080", false}, {"[::]:9081", true}, {"[::]:9082", false}}));
}

// Two answers of one name: the first, by UDP, says that it is cut.
TEST(Gather, AnAnswerThatIsCutIsAskedForByTcp) {
  Wire wire;
  const Descriptor by_udp = wire.peer.in([] { return listener(53, SOCK_DGRAM); });
  const Descriptor by_tcp = wire.peer.in([] { return listener(53); });
  const auto answer_to = [](std::span<const std::uint8_t> question, bool whole) {
    auto message = dns::parse(question);
    if (!message) throw std::runtime_error("no question");
    message->header.response = true;
    message->header.truncated = !whole;
    for (std::uint8_t i = 1; whole && i <= 100; ++i) {
      message->answers.push_back({.owner = message->questions.at(0).name,
                                  .type = dns::Type::a,
                                  .ttl = 5,
                                  .data = IpAddress::v4({10, 96, 0, i})});
    }
    return dns::write(*message);
  };
  std::thread server([&] {
    std::array<std::uint8_t, 512> bytes{};
    for (int i = 0; i < 2; ++i) {  // A and AAAA
      sockaddr_storage from{};
      socklen_t size = sizeof from;
      const ssize_t got = ::recvfrom(by_udp.number(), bytes.data(), bytes.size(), 0,
                                     reinterpret_cast<sockaddr*>(&from), &size);
      if (got <= 0) return;
      const bool second = i == 1;
      const std::string answer = answer_to({bytes.data(), static_cast<std::size_t>(got)}, second);
      ::sendto(by_udp.number(), answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from),
               size);
      if (second) return;
      const Descriptor accepted(::accept4(by_tcp.number(), nullptr, nullptr, SOCK_CLOEXEC));
      const ssize_t asked = ::recv(accepted.number(), bytes.data(), bytes.size(), 0);
      if (asked <= 2) return;
      const std::string whole =
          dns::framed(answer_to({bytes.data() + 2, static_cast<std::size_t>(asked) - 2}, true));
      for (const std::string_view part :
           {std::string_view(whole).substr(0, 1), std::string_view(whole).substr(1)}) {
        ::send(accepted.number(), part.data(), part.size(), MSG_NOSIGNAL);
      }
    }
  });
  Request request = request_to("many", 9080);
  request.names = {"many.example"};
  request.servers = {"10.244.1.1:53"};
  const explain::Evidence evidence =
      wire.pod.in([&] { return gather({.where = "default/pod", .request = request}); });
  server.join();
  ASSERT_FALSE(evidence.names.empty());
  EXPECT_EQ(evidence.names.front().addresses.size(), 100U) << evidence.names.front().outcome;
}

TEST(Gather, NamesAreAskedInTurn) {
  Wire wire;
  const Descriptor server = wire.peer.in([] { return listener(53, SOCK_DGRAM); });
  std::thread answers([socket = server.number()] {
    // Knows b.example alone, which has one IPv4 address.
    for (int i = 0; i < 4; ++i) {
      std::array<std::uint8_t, 512> bytes{};
      sockaddr_storage from{};
      socklen_t size = sizeof from;
      const ssize_t got = ::recvfrom(socket, bytes.data(), bytes.size(), 0,
                                     reinterpret_cast<sockaddr*>(&from), &size);
      if (got <= 0) return;
      auto message = dns::parse({bytes.data(), static_cast<std::size_t>(got)});
      if (!message) return;
      message->header.response = true;
      const dns::Question question = message->questions.at(0);
      const bool known = question.name.text() == "b.example";
      if (!known) message->header.code = dns::Code::no_such_name;
      if (known && question.type == dns::Type::a) {
        message->answers.push_back({.owner = question.name,
                                    .type = dns::Type::a,
                                    .ttl = 5,
                                    .data = IpAddress::v4({10, 96, 0, 12})});
      }
      const std::string answer = dns::write(*message);
      ::sendto(socket, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
  });
  Request request = request_to("b", 9080);
  request.names = {"a.example", "b.example", "c.example"};
  request.servers = {"10.244.1.1:53"};
  const explain::Evidence evidence =
      wire.pod.in([&] { return gather({.where = "default/pod", .request = request}); });
  answers.join();
  std::string said;
  for (const explain::NameAnswer& answer : evidence.names) {
    said += answer.name + ' ' + answer.type + ' ' + answer.outcome + '\n';
  }
  EXPECT_EQ(said,
            "a.example A NXDOMAIN\na.example AAAA NXDOMAIN\n"
            "b.example A NOERROR\nb.example AAAA NODATA\n");
  ASSERT_TRUE(evidence.exchange);
  EXPECT_EQ(evidence.exchange->peer.text(), "10.96.0.12:9080");
}

TEST(Gather, WhatCannotBeLookedAtIsTroubleAndNothingElse) {
  const TestNamespace alone;
  const explain::Evidence evidence = alone.in([&] {
    return gather({.where = "default/pod", .proxy = true, .id = "x", .tables = {"no-such-table"}});
  });
  ASSERT_EQ(evidence.trouble.size(), 2U);
  EXPECT_NE(evidence.trouble[0].find("the counters of no-such-table in default/pod"),
            std::string::npos);
  EXPECT_NE(evidence.trouble[1].find("the records of default/pod's proxy"), std::string::npos);
}

TEST(Status, OfANodeThatDoesNotSpeak) {
  const explain::Speaks speaks = node_status("node1", "/nowhere/node1.sock");
  EXPECT_EQ(speaks.who, "node1");
  EXPECT_EQ(speaks.world, "");
  EXPECT_NE(speaks.error.find("No such file"), std::string::npos) << speaks.error;
}

}  // namespace
}  // namespace fairlead::witness
