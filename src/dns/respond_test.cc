#include "dns/respond.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "dns/query.h"

namespace fairlead::dns {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Name name(std::string_view text) {
  return *Name::parse(text);
}

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

const Name& reviews() {
  static const Name name = *Name::parse("reviews.default.svc.cluster.local");
  return name;
}

const Name& many() {
  static const Name name = *Name::parse("many.default.svc.cluster.local");
  return name;
}

constexpr int endpoints_of_many = 300;

class Responding : public ::testing::Test {
 protected:
  Responding() : zone_(name("cluster.local")) {
    zone_.set_synced();
    zone_.put(Entry{.name_space = "default",
                    .name = "reviews",
                    .addresses = {*IpAddress::parse("10.96.0.12")}});
    Entry large{.name_space = "default", .name = "many", .kind = Entry::Kind::endpoints};
    for (int i = 0; i < endpoints_of_many; ++i) {
      const auto low = static_cast<std::uint8_t>(i);
      large.endpoints.push_back(
          {.address = IpAddress::v4({10, 244, static_cast<std::uint8_t>(i >> 8), low})});
    }
    zone_.put(std::move(large));
  }

  std::string raw(const std::string& query, Carrier carrier = Carrier::udp) {
    std::string response(largest_message, '\0');
    response.resize(responder_.respond(bytes_of(query), carrier, response));
    return response;
  }
  Message said(const Message& query, Carrier carrier = Carrier::udp) {
    Result<Message> message = parse(bytes_of(raw(write(query), carrier)));
    EXPECT_TRUE(message.ok());
    return message ? *message : Message{};
  }
  static Message asking(const Name& about, Type type = Type::a) {
    return {.header = {.id = 77, .recursion_desired = true}, .questions = {{about, type}}};
  }

  Zone zone_;
  SeededRandom chance_{1};
  Responder responder_{zone_, chance_};
};

TEST_F(Responding, AnswersWhatWasAsked) {
  const Result<Reply> reply =
      read_reply(bytes_of(raw(query(9, reviews(), Type::a))), 9, reviews(), Type::a);
  ASSERT_TRUE(reply.ok()) << reply.fault().describe();
  EXPECT_EQ(reply->code, Code::no_error);
  EXPECT_THAT(reply->addresses, ElementsAre(*IpAddress::parse("10.96.0.12")));
  const Message message = said(asking(reviews()));
  EXPECT_TRUE(message.header.authoritative);
  EXPECT_TRUE(message.header.recursion_desired);
  EXPECT_FALSE(message.header.recursion_available);
  EXPECT_EQ(message.questions, asking(reviews()).questions);
}

TEST_F(Responding, SpeaksEdnsOnlyToThoseWhoDo) {
  EXPECT_FALSE(said(asking(reviews())).edns.has_value());
  Message query = asking(reviews());
  query.edns = Edns{.size = 4096, .dnssec_ok = true};
  EXPECT_EQ(said(query).edns, (Edns{.size = 1232, .dnssec_ok = true}));
  query.edns->version = 1;
  const Message refused = said(query);
  EXPECT_EQ(refused.header.code, Code::bad_version);
  EXPECT_EQ(refused.edns->version, 0);
  EXPECT_THAT(refused.answers, IsEmpty());
}

TEST_F(Responding, FitsWhatTheClientTakes) {
  Message query = asking(many());
  EXPECT_LE(raw(write(query)).size(), 512U);
  EXPECT_TRUE(said(query).header.truncated);
  query.edns = Edns{.size = 100};  // below what everybody takes
  EXPECT_GT(raw(write(query)).size(), 400U);
  EXPECT_LE(raw(write(query)).size(), 512U);
  query.edns->size = 60000;
  EXPECT_LE(raw(write(query)).size(), 1232U);
  const Message whole = said(query, Carrier::tcp);
  EXPECT_FALSE(whole.header.truncated);
  EXPECT_THAT(whole.answers, SizeIs(endpoints_of_many));
}

TEST_F(Responding, PutsAnotherAddressFirstEachTime) {
  std::set<std::string> first;
  std::set<std::string> all;
  for (int i = 0; i < 50; ++i) {
    const Message message = said(asking(many()), Carrier::tcp);
    first.insert(std::get<IpAddress>(message.answers.front().data).text());
    for (const Record& record : message.answers) {
      all.insert(std::get<IpAddress>(record.data).text());
    }
  }
  EXPECT_GT(first.size(), 20U);
  EXPECT_THAT(all, SizeIs(endpoints_of_many));
}

TEST_F(Responding, SaysWhyItDoesNotAnswer) {
  Message other = asking(reviews());
  other.questions[0].klass = Class::chaos;
  EXPECT_EQ(said(other).header.code, Code::refused);
  other.questions[0].klass = Class::any;
  EXPECT_EQ(said(other).header.code, Code::no_error);
  for (const Opcode opcode : {Opcode::status, Opcode::notify, Opcode::update}) {
    Message query = asking(reviews());
    query.header.opcode = opcode;
    EXPECT_EQ(said(query).header.code, Code::not_implemented);
    EXPECT_EQ(said(query).header.opcode, opcode);
  }
  Message two = asking(reviews());
  two.questions.push_back(two.questions.front());
  EXPECT_EQ(said(two).header.code, Code::format_error);
  two.questions.clear();
  EXPECT_EQ(said(two).header.code, Code::format_error);
  EXPECT_EQ(said(asking(name("example.com"))).header.code, Code::refused);
}

TEST_F(Responding, ComplainsAboutBrokenBytesWithTheirId) {
  const std::string whole = query(0xabcd, reviews(), Type::a);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::string response = raw(whole.substr(0, size));
    if (size < 12) {
      EXPECT_THAT(response, IsEmpty()) << size;
      continue;
    }
    const Result<Message> message = parse(bytes_of(response));
    ASSERT_TRUE(message.ok()) << size;
    EXPECT_EQ(message->header.id, 0xabcd);
    EXPECT_TRUE(message->header.response);
    EXPECT_EQ(message->header.code, Code::format_error) << size;
  }
}

TEST_F(Responding, NeverAnswersAnAnswer) {
  Message query = asking(reviews());
  query.header.response = true;
  EXPECT_THAT(raw(write(query)), IsEmpty());
}

TEST(Query, AsksAndReadsOnlyItsOwnAnswer) {
  const std::string question = query(5, reviews(), Type::aaaa);
  Message message = *parse(bytes_of(question));
  EXPECT_TRUE(message.edns.has_value());
  EXPECT_FALSE(read_reply(bytes_of(question), 5, reviews(), Type::aaaa).ok());
  message.header.response = true;
  const std::string reply = write(message);
  EXPECT_TRUE(read_reply(bytes_of(reply), 5, reviews(), Type::aaaa).ok());
  EXPECT_FALSE(read_reply(bytes_of(reply), 6, reviews(), Type::aaaa).ok());
  EXPECT_FALSE(read_reply(bytes_of(reply), 5, reviews(), Type::a).ok());
  EXPECT_FALSE(read_reply(bytes_of(reply), 5, many(), Type::aaaa).ok());
  EXPECT_EQ(framed("abc"), std::string("\0\3abc", 5));
}

TEST(Query, TriesNamesAsAPodsResolverDoes) {
  const std::vector<std::string> search = search_path("shop", "cluster.local");
  EXPECT_THAT(search, ElementsAre("shop.svc.cluster.local", "svc.cluster.local", "cluster.local"));
  EXPECT_THAT(candidates("reviews", search),
              ElementsAre("reviews.shop.svc.cluster.local", "reviews.svc.cluster.local",
                          "reviews.cluster.local", "reviews"));
  EXPECT_THAT(candidates("a.b.c.d.e.f", search)[0], "a.b.c.d.e.f");
  EXPECT_THAT(candidates("reviews.", search), ElementsAre("reviews"));
}

}  // namespace
}  // namespace fairlead::dns
